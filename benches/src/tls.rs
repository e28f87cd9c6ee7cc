//! `tls`: handshakes a second, and megabytes a second within one connection, beside nginx from Debian with the same
//! certificate. The servers share one core, the client has another.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use aurora_axum::{Aurora, Database, Profile, Tls};
use axum::Router;
use axum::routing::get;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::data::Folder;
use crate::measure::{middle, verdict};
use crate::requests::quarters;
use crate::serve::{self, Server};

const AT_ONCE: usize = 8;
const HANDSHAKES: usize = 60;
const STREAMS: usize = 2;
const BODIES: usize = 60;
const ROUNDS: usize = 15;
const LARGE: usize = 1024 * 1024;

pub(crate) async fn run() {
    let nginx = Command::new("nginx").arg("-v").output();
    if !nginx.is_ok_and(|done| done.status.success()) {
        println!("# nginx is not there (Debian: nginx-light)");
        return;
    }
    let folder = Folder::new("tls");
    let ours = Server::start("tls-axum", &folder.0, true);
    serve::ready(ours.port).await;
    let (first, second) = (Nginx::start(&folder.0, "first"), Nginx::start(&folder.0, "second"));
    for port in [first.port, second.port] {
        serve::ready(port).await;
    }
    if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().first() {
        core_affinity::set_for_current(*core);
    }
    // nginx's OpenSSL has no ML-KEM: the same key exchange on both sides, and ours by itself.
    let (classic, hybrid) = (client(&folder.0, false), client(&folder.0, true));
    let ports = [first.port, ours.port, second.port];
    let mut handshakes: [Vec<f64>; 3] = Default::default();
    let mut bytes: [Vec<f64>; 3] = Default::default();
    let mut later = Vec::new();
    for port in ports {
        connect(port, &classic, 5).await;
        stream(port, &classic, 2).await;
    }
    for round in 0..ROUNDS {
        for step in 0..3 {
            let at = (round + step) % 3;
            handshakes[at].push(connect(ports[at], &classic, HANDSHAKES).await);
            bytes[at].push(stream(ports[at], &classic, BODIES).await);
        }
        later.push(connect(ours.port, &hybrid, HANDSHAKES).await);
    }
    tell("tls-handshakes", &handshakes, "/s");
    println!("figure tls-handshakes.ml-kem {:.0} /s", middle(&later).0);
    tell("tls-throughput", &bytes, "MB/s");
}

fn tell(name: &str, [nginx, ours, again]: &[Vec<f64>; 3], unit: &str) {
    println!("figure {name}.nginx {:.0} {unit}", middle(nginx).0);
    println!("figure {name}.aurora {:.0} {unit}", middle(ours).0);
    let ratios = |of: &[f64]| of.iter().zip(nginx).map(|(a, b)| a / b).collect::<Vec<f64>>();
    println!("control {name} {:.3}", middle(&ratios(again)).0);
    let ratios = ratios(ours);
    verdict(name, middle(&ratios).0, 0.5, true, quarters(&ratios));
}

fn client(folder: &Path, with_ml_kem: bool) -> Arc<ClientConfig> {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(folder.join("tls.pem")).unwrap()).unwrap();
    let groups: Vec<&'static dyn SupportedKxGroup> = match with_ml_kem {
        true => vec![aws_lc_rs::kx_group::X25519MLKEM768],
        false => vec![aws_lc_rs::kx_group::X25519],
    };
    let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
    let config = ClientConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = config.with_root_certificates(trusted).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Whole handshakes a second, each with one small answer.
async fn connect(port: u16, config: &Arc<ClientConfig>, each: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let config = Arc::clone(config);
        tasks.spawn(async move {
            for _ in 0..each {
                let read = ask(port, &config, "/small", 1).await;
                assert!(read > 0);
            }
        });
    }
    tasks.join_all().await;
    (AT_ONCE * each) as f64 / start.elapsed().as_secs_f64()
}

/// Megabytes a second of answers of one each.
async fn stream(port: u16, config: &Arc<ClientConfig>, each: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let config = Arc::clone(config);
        tasks.spawn(async move { ask(port, &config, "/large", each).await });
    }
    let read: usize = tasks.join_all().await.into_iter().sum();
    assert!(read >= STREAMS * each * LARGE, "{read}");
    read as f64 / 1e6 / start.elapsed().as_secs_f64()
}

/// Asks so many times on one connection, and answers how many bytes came.
async fn ask(port: u16, config: &Arc<ClientConfig>, path: &str, times: usize) -> usize {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut line = TlsConnector::from(Arc::clone(config)).connect(name, socket).await.unwrap();
    let (mut read, mut buffer) = (0, vec![0; 256 * 1024]);
    for turn in 1..=times {
        let last = if turn == times { "close" } else { "keep-alive" };
        let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {last}\r\n\r\n");
        line.write_all(text.as_bytes()).await.unwrap();
        line.flush().await.unwrap();
        // The body's size is known; the head before it is some hundred bytes.
        let enough = if path == "/large" { turn * LARGE } else { read + 1 };
        while read < enough {
            match line.read(&mut buffer).await.unwrap() {
                0 => break,
                some => read += some,
            }
        }
    }
    read
}

/// nginx with one worker on the servers' core, stopped when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path, name: &str) -> Self {
        let port = serve::free_port();
        let place = folder.join(name);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("large"), vec![b'x'; LARGE]).unwrap();
        std::fs::write(place.join("small"), "small").unwrap();
        let (at, pem) = (place.display(), folder.join("tls.pem").display().to_string());
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
             uwsgi_temp_path {at}/d; scgi_temp_path {at}/e; tcp_nodelay on; sendfile on; keepalive_requests 100000;\n\
             server {{ listen 127.0.0.1:{port} ssl; root {at}; ssl_certificate {pem}; ssl_certificate_key {pem};\n\
             ssl_protocols TLSv1.3; ssl_session_tickets on; }} }}\n"
        );
        let file = place.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let core = core_affinity::get_core_ids().unwrap_or_default().last().map_or(0, |core| core.id);
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "nginx", "-p"]).arg(&place).arg("-c").arg(&file);
        command.arg("-e").arg(place.join("error.log")).stdin(Stdio::null());
        Self { child: command.spawn().unwrap(), port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server of this bench. `false`: not it.
pub(crate) async fn server(kind: &str, folder: &Path) -> bool {
    if kind != "tls-axum" {
        return false;
    }
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let aurora = builder.tls(Tls::development(folder.join("tls.pem"))).build().await.unwrap();
    let large: &'static [u8] = vec![b'x'; LARGE].leak();
    let public = Router::new()
        .route("/small", get(|| async { "small" }))
        .route("/large", get(move || async move { large }));
    let app = aurora_axum::secure(&aurora, Router::new()).public(public);
    let port = serve::free_port();
    serve::say(port);
    aurora_axum::serve(app, SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    true
}

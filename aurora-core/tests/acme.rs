//! Certificates by ACME from Pebble, the test server of those who made the protocol.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "common/certificates.rs"]
mod certificates;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_core::config::Profile;
use aurora_core::env::{Clock as _, ManualClock, SystemClock, SystemEntropy};
use aurora_core::http::{Acme, Tls, Transport};
use aurora_core::{Aurora, Database};
use certificates::{Authority, connect, shown, trusting};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::TLS13;
use tokio::net::TcpListener;

const NAME: &str = "notes.example.com";
const LONGEST: Duration = Duration::from_secs(20);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(program: &str, arguments: &[&str], folder: &Path) -> Running {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    // It does not wait before it looks; one in ten nonces is refused, as the protocol has it.
    command.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "10")]);
    command.stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap_or_else(|error| {
        panic!("{program} does not start ({error}): run scripts/test, or install Debian's package pebble")
    }))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Pebble, and the name server that it asks, for which every name is this machine.
struct Pebble {
    directory: String,
    management: u16,
    root: PathBuf,
    folder: PathBuf,
    _running: [Running; 2],
}

impl Pebble {
    /// It looks for names on that port.
    fn start(folder: &Path, tls_port: u16) -> Self {
        let (dns, api, management) = (free_port(), free_port(), free_port());
        let authority = Authority::new();
        let (certificate, key) = authority.issue(&["localhost"]).put(folder);
        let root = folder.join("api-root.pem");
        std::fs::write(&root, authority.pem()).unwrap();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{api}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate, "privateKey": key, "httpPort": 1, "tlsPort": tls_port,
        } });
        std::fs::write(folder.join("pebble.json"), config.to_string()).unwrap();
        let dns_at = format!("127.0.0.1:{dns}");
        let management_at = format!("127.0.0.1:{}", free_port());
        let names = start(
            "pebble-challtestsrv",
            &[
                "-dns01",
                &dns_at,
                "-management",
                &management_at,
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-defaultIPv6",
                "",
                "-defaultIPv4",
                "127.0.0.1",
            ],
            folder,
        );
        let pebble = start("pebble", &["-config", "pebble.json", "-strict", "-dnsserver", &dns_at], folder);
        let directory = format!("https://localhost:{api}/dir");
        let this = Self { directory, management, root, folder: folder.to_owned(), _running: [names, pebble] };
        let begun = Instant::now();
        while this.asked("roots/0").is_none() {
            assert!(begun.elapsed() < LONGEST, "pebble does not answer: {}", this.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    fn asked(&self, path: &str) -> Option<Vec<u8>> {
        let url = format!("https://localhost:{}/{path}", self.management);
        let done = Command::new("curl").args(["-sf", "--cacert"]).arg(&self.root).arg(url).output().unwrap();
        done.status.success().then_some(done.stdout)
    }

    /// What its certificates lead to.
    fn trust(&self) -> rustls::ClientConfig {
        let pem = self.asked("roots/0").unwrap();
        trusting(CertificateDer::from_pem_slice(&pem).unwrap(), &[&TLS13])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("pebble.log")).unwrap()
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("acme-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn transport(folder: &Path, acme: Acme, clock: Arc<ManualClock>) -> Transport {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let builder = builder.environment(clock, Arc::new(SystemEntropy));
    let tls = Tls::acme(acme).look_every(Duration::from_millis(50));
    builder.tls(tls).build().await.unwrap().http().transport().await.unwrap()
}

/// Takes connections and says nothing.
fn take(listener: Arc<TcpListener>, transport: Transport) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let transport = transport.clone();
            tokio::spawn(async move {
                let Ok(socket) = transport.accept(socket, Duration::from_secs(5)).await else { return };
                let (mut read, mut write) = tokio::io::split(socket);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    })
}

/// Serves, and waits for a certificate that is not `before`. Pebble refuses one request in ten, and a machine that has
/// other things to do loses one now and then: a service waits for minutes before it asks again, a new start does at once.
async fn got<F: Future<Output = Transport>>(
    (pebble, listener): (&Pebble, &Arc<TcpListener>),
    start: impl Fn() -> F,
    before: Option<&[u8]>,
) -> (Vec<u8>, tokio::task::JoinHandle<()>) {
    let address = listener.local_addr().unwrap();
    for _ in 0..4 {
        let serving = take(Arc::clone(listener), start().await);
        match within(pebble, address, before).await {
            Some(certificate) => return (certificate, serving),
            None => serving.abort(),
        }
        println!("an order was not answered; asked again");
    }
    panic!("no certificate came: {}", pebble.log());
}

async fn within(pebble: &Pebble, address: SocketAddr, before: Option<&[u8]>) -> Option<Vec<u8>> {
    let (config, begun) = (pebble.trust(), Instant::now());
    loop {
        if let Ok(stream) = connect(address, NAME, &config).await {
            let now = shown(&stream);
            if before != Some(&now[..]) {
                println!("after {:?}", begun.elapsed());
                return Some(now);
            }
        }
        if begun.elapsed() > LONGEST {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Nothing was there, then a certificate that the authority's root vouches for; the next start orders none, and one
/// whose life is nearly over is renewed while it is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_ordered_kept_and_renewed() {
    let folder = folder("ordered");
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let pebble = Pebble::start(&folder, address.port());
    let kept = folder.join("kept");
    let acme = || {
        let acme = Acme::of(&pebble.directory, &[NAME, "www.notes.example.com"], &kept);
        acme.contact("mailto:ops@example.com").directory_root(&pebble.root)
    };
    // It stands still, and what Pebble issues is valid from the moment on that it does.
    let ahead = SystemClock.now().plus(Duration::from_secs(120));
    let clock = Arc::new(ManualClock::new(ahead));
    let start = || transport(&folder, acme(), clock.clone());
    let (certificate, serving) = got((&pebble, &listener), start, None).await;
    let config = pebble.trust();
    connect(address, "www.notes.example.com", &config).await.unwrap();
    assert!(connect(address, "other.example.com", &config).await.is_err(), "of its names alone");
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&kept).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    println!("{names:?}");
    assert_eq!(names.len(), 2, "an account and a certificate: {names:?}");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
    serving.abort();
    // A second start, with what is kept.
    let serving = take(Arc::clone(&listener), transport(&folder, acme(), clock.clone()).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let again = shown(&connect(address, NAME, &config).await.unwrap());
    assert_eq!(again, certificate, "one that is good is not ordered again");
    serving.abort();
    // Whatever life Pebble gives them: a minute before its end.
    let until = end_of(&kept);
    clock.set(aurora_core::types::Timestamp::from_seconds(until - 60));
    let (renewed, _serving) = got((&pebble, &listener), start, Some(&certificate)).await;
    assert_ne!(renewed, certificate);
    let accounts = std::fs::read_dir(&kept).unwrap().count();
    assert_eq!(accounts, 2, "the same account, and one file more replaced");
}

/// The last second of the certificate that is kept there.
fn end_of(kept: &Path) -> i64 {
    let file = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "pem")).unwrap();
    let done =
        Command::new("openssl").args(["x509", "-noout", "-enddate", "-in"]).arg(&file).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let date = said.trim().trim_start_matches("notAfter=").to_owned();
    let done = Command::new("date").args(["-u", "+%s", "-d", &date]).output().unwrap();
    String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()
}

/// Whoever asks for the challenge's protocol is shown nothing while nobody looks, and says nothing over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_order_there_is_no_challenge_and_no_certificate() {
    let folder = folder("none");
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    // Nobody answers there.
    let directory = format!("https://localhost:{}/dir", free_port());
    let acme = Acme::of(&directory, &[NAME], folder.join("kept"));
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let _serving = take(listener, transport(&folder, acme, clock).await);
    let mut config = Authority::new().trusted(&[&TLS13]);
    assert!(connect(address, NAME, &config).await.is_err());
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    assert!(connect(address, NAME, &config).await.is_err());
    assert_eq!(std::fs::read_dir(folder.join("kept")).unwrap().count(), 0, "no account without a server");
}

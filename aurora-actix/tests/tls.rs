//! Both adapters over TLS: a certificate that is renewed while clients are connected, and clients that stall.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "tests")]

#[path = "../../aurora-core/tests/common/certificates.rs"]
mod certificates;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::web::{self, ServiceConfig};
use aurora_core::config::Profile;
use aurora_core::http::Tls;
use aurora_core::{Aurora, Database};
use axum::Router;
use axum::routing::get;
use certificates::{Authority, connect, shown};
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("aurora-tls-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Says how it was asked, on a thread of its own.
async fn served(folder: &Path, tls: Tls, on_actix: bool) -> SocketAddr {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let aurora = builder.tls(tls).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            if on_actix {
                let scheme = async |request: HttpRequest| request.connection_info().scheme().to_owned();
                let public = move |app: &mut ServiceConfig| {
                    app.route("/open", web::get().to(scheme));
                };
                let app = aurora_actix::secure(&aurora, |_| {}).public(public);
                aurora_actix::serve_on(app, listener).await.unwrap();
            } else {
                let public = Router::new().route("/open", get(async || "https"));
                let app = aurora_axum::secure(&aurora, Router::new()).public(public);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                aurora_axum::serve_on(app, listener).await.unwrap();
            }
        });
    });
    address
}

/// Asks on a connection that stays open.
async fn ask(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) -> String {
    stream.write_all(b"GET /open HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhttps") {
        let mut part = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut part)).await;
        match read.unwrap().unwrap() {
            0 => break,
            read => answer.extend(part.iter().take(read)),
        }
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_renewal_drops_nobody() {
    for (name, on_actix) in [("axum", false), ("actix", true)] {
        let folder = folder(name);
        let authority = Authority::new();
        let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
        let tls = Tls::files(certificate, key).look_every(Duration::from_millis(20));
        let address = served(&folder, tls, on_actix).await;
        let config = authority.trusted(&[&TLS13]);
        let mut open = Vec::new();
        for _ in 0..20 {
            open.push(connect(address, "localhost", &config).await.unwrap());
        }
        for stream in &mut open {
            let answer = ask(stream).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("https"), "{name}: {answer}");
        }
        let before = open.first().map(shown).unwrap();
        authority.issue(&["localhost"]).put(&folder);
        let begun = Instant::now();
        loop {
            let mut stream = connect(address, "localhost", &config).await.unwrap();
            assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"), "{name}");
            if shown(&stream) != before {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}: it never came");
        }
        for stream in &mut open {
            assert!(ask(stream).await.starts_with("HTTP/1.1 200"), "{name}");
        }
        println!("{name}: a new certificate after {:?}, {} connections went on", begun.elapsed(), open.len());
    }
}

/// attack V01
#[tokio::test]
async fn a_handshake_that_stalls_is_cut() {
    for (name, on_actix) in [("axum", false), ("actix", true)] {
        let folder = folder(&format!("slow-{name}"));
        let authority = Authority::new();
        let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
        let address = served(&folder, Tls::files(certificate, key), on_actix).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        let config = authority.trusted(&[&TLS13]);
        let mut quiet = connect(address, "localhost", &config).await.unwrap();
        let (begun, mut part) = (Instant::now(), [0; 64]);
        for (what, ended) in [
            ("silent", tokio::time::timeout(Duration::from_secs(15), silent.read(&mut part)).await),
            ("half", tokio::time::timeout(Duration::from_secs(15), half.read(&mut part)).await),
            ("no request", tokio::time::timeout(Duration::from_secs(15), quiet.read(&mut part)).await),
        ] {
            println!("{name}, {what}: cut within {:?}: {ended:?}", begun.elapsed());
            assert!(ended.is_ok(), "{name}, {what}");
        }
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET /open HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        plain.read_to_end(&mut heard).await.unwrap();
        assert!(!heard.starts_with(b"HTTP"), "{name}: nothing is answered in clear");
    }
}

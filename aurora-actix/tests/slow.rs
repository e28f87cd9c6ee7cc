//! Slow and greedy clients, over real sockets.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use actix_web::web::{self, ServiceConfig};
use aurora_core::config::Profile;
use aurora_core::{Aurora, Database};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn started(name: &str) -> SocketAddr {
    let folder = std::env::temp_dir().join(format!("aurora-actix-slow-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let aurora = builder.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let public = |app: &mut ServiceConfig| {
                app.route("/open", web::get().to(async || "open"))
                    .route("/open", web::post().to(async || "open"));
            };
            let app = aurora_actix::secure(&aurora, |_| {}).public(public);
            aurora_actix::serve_on(app, listener).await.unwrap();
        });
    });
    address
}

/// Sends `first`, waits for an answer, then sends `more` again and again until the server closes.
async fn cut_after(address: SocketAddr, first: &str, more: &[u8], every: Duration) -> Duration {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(first.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(client.read(&mut answer).await.unwrap() > 0, "an answer");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if client.write_all(more).await.is_err() {
            break;
        }
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(every, client.read(&mut answer)).await {
            break;
        }
    }
    begun.elapsed()
}

const GET: &str = "GET /open HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// attack V01
#[tokio::test]
async fn a_second_head_has_its_time_like_the_first() {
    let address = started("head").await;
    let head = format!("{GET}GET /open HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    for (name, first, more) in [("silent", GET, &b""[..]), ("dribbling", &head, &b"x"[..])] {
        let open = cut_after(address, first, more, Duration::from_millis(200)).await;
        println!("{name}: cut after {open:?}");
        assert!(open < Duration::from_secs(15), "{name}: {open:?}");
    }
    // One that asks is not cut.
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut answer = vec![0; 4096];
    for _ in 0..3 {
        client.write_all(GET.as_bytes()).await.unwrap();
        assert!(client.read(&mut answer).await.unwrap() > 0);
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}

/// attack V01
#[tokio::test]
async fn a_body_that_nobody_reads_is_not_read_for_ever() {
    let address = started("body").await;
    let chunk = [&b"1000\r\n"[..], &[b'x'; 4096], b"\r\n"].concat();
    for (name, path) in [("locked", "/private"), ("public", "/open")] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n"
        );
        let open = cut_after(address, &head, &chunk, Duration::from_millis(20)).await;
        println!("{name}: cut after {open:?}");
        assert!(open < Duration::from_secs(15), "{name}: {open:?}");
    }
    // One that is read leaves the connection as it was.
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut answer = vec![0; 4096];
    for _ in 0..2 {
        let body = "POST /auth/v1/signup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
            transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        client.write_all(body.as_bytes()).await.unwrap();
        let read = client.read(&mut answer).await.unwrap();
        assert!(answer.get(..12).is_some_and(|start| read > 12 && start == b"HTTP/1.1 422"), "{read}");
    }
}

//! The end of a server, over a real socket, by the signal that ends a program.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "tests")]

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::web::{self, ServiceConfig};
use aurora_core::config::Profile;
use aurora_core::{Aurora, Database};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Says that this process is the server that the test ends: a signal ends whole processes.
const ADDRESS: &str = "AURORA_DRAIN_ADDRESS";
const NAME: &str = "open_requests_end_before_the_server_does";

async fn serve(listener: TcpListener) {
    let folder = std::env::temp_dir().join(format!("aurora-actix-drain-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let aurora = builder.build().await.unwrap();
    let public = |app: &mut ServiceConfig| {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            "done"
        };
        app.route("/slow", web::get().to(slow)).route("/open", web::get().to(async || "open"));
    };
    let app = aurora_actix::secure(&aurora, |_| {}).public(public);
    aurora_actix::serve_on(app, listener).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Ends the server, whatever becomes of the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Server {
    fn started(address: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([NAME, "--exact", "--nocapture"]).env(ADDRESS, address.to_string());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    async fn ended(&mut self) -> bool {
        for _ in 0..200 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

async fn answer(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut client = TcpStream::connect(address).await?;
    let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    client.write_all(ask.as_bytes()).await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A request that is under way when SIGTERM comes gets its answer, nobody new gets in, and the server ends well.
#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    if let Ok(address) = std::env::var(ADDRESS) {
        return serve(TcpListener::bind(address).unwrap()).await;
    }
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = Server::started(address);
    let begun = Instant::now();
    while answer(address, "/open").await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server did not start");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let slow = tokio::spawn(answer(address, "/slow"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    server.terminate();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!slow.is_finished(), "the request was still open");
    assert!(TcpStream::connect(address).await.is_err(), "nobody new is let in");
    let slow = slow.await.unwrap().unwrap();
    assert!(slow.starts_with("HTTP/1.1 200") && slow.ends_with("done"), "{slow}");
    assert!(server.ended().await, "the server ends well");
    println!("answered after SIGTERM, and ended {:?} after it", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(10), "and soon, though it might wait for 25 s");
}

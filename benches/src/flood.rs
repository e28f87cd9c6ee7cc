//! `flood`: sign-ins without end while 1,000 sessions refresh: how long either takes, and that nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aurora_core::testing::TestClient;

use crate::client::Client;
use crate::data::Folder;
use crate::refresh::refresh;
use crate::serve::{self, Server};
use crate::sign_in::{credentials, p99};

const SESSIONS: usize = 1_000;
const REFRESHERS: usize = 20;
const EACH: usize = 3;
const FLOODERS: usize = 50;

pub(crate) async fn run() {
    let folder = Folder::new("flood");
    let aurora = serve::build(&folder.0).await;
    let mut tokens = Vec::new();
    for n in 0..SESSIONS {
        let user = TestClient::new(&aurora).sign_in(&format!("person{n}@example.com")).await.unwrap();
        tokens.push(user.refresh_token().expose().to_owned());
    }
    aurora.close().await;
    let server = Server::start("aurora", &folder.0, false);
    let port = server.port;
    serve::ready(port).await;
    let (status, body) = Client::connect(port).await.post("/auth/v1/signup", &credentials()).await;
    assert_eq!(status, 200, "{body}");

    let (quiet, tokens) = refreshes(port, tokens).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..FLOODERS {
        let over = Arc::clone(&over);
        flood.spawn(async move { sign_ins(port, &over).await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    let (busy, tokens) = refreshes(port, tokens).await;
    let took = start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    let (asked, answered): (Vec<usize>, Vec<Vec<f64>>) = flood.join_all().await.into_iter().unzip();
    let (asked, answered) = (asked.iter().sum::<usize>(), answered.concat());
    assert_eq!(asked, answered.len(), "sign-ins were lost");
    // Every session lives, and no two became one.
    let (_, tokens) = refreshes(port, tokens).await;
    let alive: BTreeSet<&String> = tokens.iter().collect();
    assert_eq!(alive.len(), SESSIONS, "sessions were lost");

    let count = SESSIONS * EACH;
    println!("figure flood.refreshes {count} of {count} answered ({:.0} /s)", count as f64 / took);
    println!("figure flood.sign-ins {} of {asked} answered", answered.len());
    println!("figure flood.sessions {} of {SESSIONS} alive after it", alive.len());
    println!("figure flood.refresh-p99 {:.2} ms (quiet {:.2} ms)", p99(&busy) * 1e3, p99(&quiet) * 1e3);
    println!("figure flood.sign-in-p99 {:.0} ms ({FLOODERS} at once)", p99(&answered) * 1e3);
}

/// Each session refreshes [`EACH`] times: seconds that each took, and every session's next token. Anything but a
/// new session stops the bench.
async fn refreshes(port: u16, tokens: Vec<String>) -> (Vec<f64>, Vec<String>) {
    let mut tasks = tokio::task::JoinSet::new();
    for share in tokens.chunks(SESSIONS / REFRESHERS) {
        let mut share = share.to_vec();
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            let mut took = Vec::new();
            for _ in 0..EACH {
                for token in &mut share {
                    let start = Instant::now();
                    *token = refresh(&mut client, token).await;
                    took.push(start.elapsed().as_secs_f64());
                }
            }
            (took, share)
        });
    }
    let (took, tokens): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().unzip();
    (took.concat(), tokens.concat())
}

/// How many were asked for, and seconds that each answer took.
async fn sign_ins(port: u16, over: &AtomicBool) -> (usize, Vec<f64>) {
    let mut client = Client::connect(port).await;
    let (mut asked, mut took) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        asked += 1;
        let (status, body) = client.post("/auth/v1/token?grant_type=password", &credentials()).await;
        assert_eq!(status, 200, "{body}");
        took.push(start.elapsed().as_secs_f64());
    }
    (asked, took)
}

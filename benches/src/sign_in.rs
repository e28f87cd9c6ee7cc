//! A flood of sign-ins: how many a second, what it takes of memory, and what others feel of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::client::Client;
use crate::data::Folder;
use crate::measure::{middle, verdict};
use crate::requests::quarters;
use crate::serve::{self, Server};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const FLOOD: usize = 500;

pub(crate) async fn run() {
    let folder = Folder::new("sign-in");
    drop(serve::build(&folder.0).await);
    let server = Server::start("aurora", &folder.0, false);
    serve::ready(server.port).await;
    let mut client = Client::connect(server.port).await;
    let (status, body) = client.post("/auth/v1/signup", &credentials()).await;
    assert_eq!(status, 200, "{body}");
    let session: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = session["access_token"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = server.memory();

    let quiet = latencies(server.port, &token, Duration::from_secs(3)).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let (mut ratios, mut rates, mut limits, mut slow) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut most = 0;
    for _ in 0..3 {
        let before = hashes_per_second(cores, FLOOD / 2).await;
        let (rate, peak) = flood(&server).await;
        let after = hashes_per_second(cores, FLOOD / 2).await;
        let limit = 2.0 / (1.0 / before + 1.0 / after);
        ratios.push(rate / limit);
        rates.push(rate);
        limits.push(limit);
        most = most.max(peak);
    }
    for _ in 0..3 {
        let running = tokio::spawn({
            let token = token.clone();
            let port = server.port;
            async move { latencies(port, &token, Duration::from_secs(4)).await }
        });
        flood(&server).await;
        slow.extend(running.await.unwrap());
    }
    println!("figure sign-in.rate {:.1} /s", middle(&rates).0);
    println!("figure sign-in.limit {:.1} /s ({cores} threads that only hash)", middle(&limits).0);
    verdict("sign-in", middle(&ratios).0, 0.85, true, quarters(&ratios));
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let allowed = idle + cores as u64 * u64::from(MEMORY_KIB) * 1024 + 10 * 1024 * 1024;
    println!("figure sign-in.idle-memory {:.1} MiB", mib(idle));
    println!("figure sign-in.flood-memory {:.1} MiB (at most {:.1})", mib(most), mib(allowed));
    verdict("sign-in.memory", most as f64 / allowed as f64, 1.0, false, 0.0);
    let (quiet, slow) = (p99(&quiet), p99(&slow));
    println!("figure sign-in.quiet-p99 {:.2} ms", quiet * 1e3);
    println!("figure sign-in.flood-p99 {:.2} ms", slow * 1e3);
    verdict("sign-in.p99", slow / quiet, 5.0, false, 0.0);
}

pub(crate) fn credentials() -> String {
    r#"{"email":"flood@example.com","password":"quiet harbour lamp 41"}"#.to_owned()
}

/// Sign-ins per second, and the most memory seen meanwhile.
async fn flood(server: &Server) -> (f64, u64) {
    let done = Arc::new(AtomicBool::new(false));
    let port = server.port;
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            for _ in 0..FLOOD / 50 {
                let (status, body) = client.post("/auth/v1/token?grant_type=password", &credentials()).await;
                assert_eq!(status, 200, "{body}");
            }
        });
    }
    let mut most = 0;
    while !tasks.is_empty() {
        tokio::select! {
            joined = tasks.join_next() => if let Some(joined) = joined { joined.unwrap() },
            () = tokio::time::sleep(Duration::from_millis(20)) => most = most.max(server.memory()),
        }
    }
    done.store(true, Ordering::Relaxed);
    (FLOOD as f64 / start.elapsed().as_secs_f64(), most)
}

async fn latencies(port: u16, token: &str, time: Duration) -> Vec<f64> {
    let mut client = Client::connect(port).await;
    let (start, mut all) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let one = Instant::now();
        let (status, body) = client.get("/notes", token).await;
        assert_eq!(status, 200, "{body}");
        all.push(one.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    all
}

pub(crate) fn p99(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() * 99 / 100]
}

/// What as many threads as cores hash that do nothing else, with memory they keep.
async fn hashes_per_second(threads: usize, count: usize) -> f64 {
    tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).unwrap();
                    let blocks = params.block_count();
                    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                    let mut memory = vec![Block::default(); blocks];
                    let mut out = [0; 32];
                    for _ in 0..count / threads {
                        argon2
                            .hash_password_into_with_memory(
                                b"quiet harbour lamp 41",
                                &[7; 16],
                                &mut out,
                                &mut memory,
                            )
                            .unwrap();
                    }
                });
            }
        });
        count as f64 / start.elapsed().as_secs_f64()
    })
    .await
    .unwrap()
}

//! `GET /notes` per second against a bare axum handler that runs the same query on an equal plain pool.

use std::time::Instant;

use aurora_core::testing::TestClient;

use crate::client::Client;
use crate::data::{self, Folder};
use crate::measure::{middle, verdict};
use crate::serve::{self, Server};

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 150;
const ROUNDS: usize = 15;

pub(crate) async fn run() {
    let folder = Folder::new("requests");
    let (user, tokens) = prepare(&folder).await;
    std::fs::write(folder.0.join("owner"), user).unwrap();
    let aurora = Server::start("aurora", &folder.0, true);
    let bare = Server::start("bare", &folder.0, true);
    let again = Server::start("bare", &folder.0, true);
    for server in [&aurora, &bare, &again] {
        serve::ready(server.port).await;
        load(server.port, &tokens[..1], 20).await;
    }
    let (mut warm, mut control, mut ours, mut plain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let first = load(bare.port, &tokens[..1], REQUESTS).await;
        let mine = load(aurora.port, &tokens[..1], REQUESTS).await;
        let second = load(again.port, &tokens[..1], REQUESTS).await;
        warm.push(mine / first);
        control.push(second / first);
        ours.push(mine);
        plain.push(first);
    }
    println!("figure requests.bare {:.0} /s", middle(&plain).0);
    println!("figure requests.aurora-warm {:.0} /s", middle(&ours).0);
    println!("control requests {:.3}", middle(&control).0);
    let (ratio, _) = middle(&warm);
    verdict("requests", ratio, 0.7, true, quarters(&warm));
    let cold = load(aurora.port, &tokens, tokens.len() / CONNECTIONS).await;
    println!("figure requests.aurora-cold {cold:.0} /s");
}

/// The middle half of the values around the median.
pub(crate) fn quarters(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() * 3 / 4] - sorted[sorted.len() / 4]) / sorted[sorted.len() / 2]
}

/// A user with 100 notes, and many tokens of theirs.
async fn prepare(folder: &Folder) -> (String, Vec<String>) {
    let aurora = serve::build(&folder.0).await;
    let client = TestClient::new(&aurora);
    let mut tokens = Vec::new();
    let mut user = String::new();
    for _ in 0..CONNECTIONS * 150 {
        let signed_in = client.sign_in("bench@example.com").await.unwrap();
        tokens.push(signed_in.token().expose().to_owned());
        user = signed_in.user().to_string();
    }
    let mut connection = data::plain(&folder.0.join("app.db"), false).await;
    sqlx::query("UPDATE notes SET owner = ?1 WHERE owner = ?2")
        .bind(&user)
        .bind(data::USER)
        .execute(&mut connection)
        .await
        .unwrap();
    aurora.close().await;
    (user, tokens)
}

/// Requests per second over [`CONNECTIONS`] kept connections.
async fn load(port: u16, tokens: &[String], each: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mine: Vec<String> = tokens.iter().skip(connection).step_by(CONNECTIONS).cloned().collect();
        let mine = if mine.is_empty() { tokens.to_vec() } else { mine };
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            for i in 0..each {
                let (status, body) = client.get("/notes", &mine[i % mine.len()]).await;
                assert_eq!(status, 200, "{body}");
                assert!(body.len() > 1_000, "{body}");
            }
        });
    }
    tasks.join_all().await;
    (CONNECTIONS * each) as f64 / start.elapsed().as_secs_f64()
}

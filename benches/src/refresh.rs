//! `refresh`: a session's refresh, with rotation and a durable commit, against the raw cost of one durable commit on
//! the same database; and over HTTP beside PocketBase's auth-refresh, which neither rotates nor writes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use aurora_axum::{Aurora, Database, Profile, Secret};
use aurora_core::load::{Limits, Quota};
use aurora_core::session::Client as From;
use aurora_core::testing::TestClient;
use aurora_core::types::RequestId;
use serde_json::{Value, json};

use crate::client::Client;
use crate::data::{self, Folder};
use crate::measure::{self, Side, median, middle, quotient, verdict};
use crate::relational::{Postgres, pocketbase, script};
use crate::requests::quarters;
use crate::serve::{self, Server};

const SESSIONS: usize = 50;
const ROUNDS: usize = 150;
const PER_ROUND: u32 = 10;
const CONNECTIONS: usize = 10;
const COMMIT: &str = "UPDATE bench_commits SET n = n + 1 WHERE id = 1";
const TABLE: &str = "CREATE TABLE bench_commits (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    INSERT INTO bench_commits VALUES (1, 0)";

pub(crate) fn run() {
    // First, while nothing is pinned.
    measure::free(beside_pocketbase());
    measure::pinned(against_a_commit());
}

async fn against_a_commit() {
    let folder = Folder::new("refresh");
    let path = folder.0.join("app.db");
    let aurora = open(&format!("sqlite://{}", path.display()), &folder.0).await;
    let mut connection = data::plain(&path, false).await;
    sqlx::raw_sql(TABLE).execute(&mut connection).await.unwrap();
    let connection = Rc::new(tokio::sync::Mutex::new(connection));
    let commit = || -> Side<'_> {
        let connection = Rc::clone(&connection);
        (
            "commit",
            Box::new(move |n| {
                let connection = Rc::clone(&connection);
                Box::pin(async move {
                    let mut connection = connection.lock().await;
                    for _ in 0..n {
                        sqlx::query(COMMIT).execute(&mut *connection).await.unwrap();
                    }
                })
            }),
        )
    };
    compare("refresh-sqlite", [commit(), commit()], &aurora).await;
    aurora.close().await;

    let server = Postgres::durable();
    let url = server.owned("bench_refresh").await;
    let folder = Folder::new("refresh-postgres");
    let aurora = open(&url, &folder.0).await;
    let mut connection = server.superuser("bench_refresh").await;
    script(&mut connection, TABLE).await;
    let connection = Rc::new(tokio::sync::Mutex::new(connection));
    let commit = || -> Side<'_> {
        let connection = Rc::clone(&connection);
        (
            "commit",
            Box::new(move |n| {
                let connection = Rc::clone(&connection);
                Box::pin(async move {
                    let mut connection = connection.lock().await;
                    for _ in 0..n {
                        sqlx::query(COMMIT).execute(&mut *connection).await.unwrap();
                    }
                })
            }),
        )
    };
    compare("refresh-postgres", [commit(), commit()], &aurora).await;
    aurora.close().await;
}

async fn open(url: &str, folder: &Path) -> Aurora {
    let wide = Quota::new(1_000_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    (limits.request, limits.sign_up, limits.sign_in, limits.refresh) = (wide, wide, wide, wide);
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(url).unwrap())
        .key_file(folder.join("aurora.key"))
        .limits(limits)
        .build()
        .await
        .unwrap()
}

async fn compare(name: &str, [commit, again]: [Side<'_>; 2], aurora: &Aurora) {
    let mut sessions = VecDeque::new();
    for n in 0..SESSIONS {
        let user = TestClient::new(aurora).sign_in(&format!("person{n}@example.com")).await.unwrap();
        sessions.push_back(user.refresh_token().clone());
    }
    let sessions = Rc::new(RefCell::new(sessions));
    let from = From::new([127, 0, 0, 1].into(), RequestId::from_bytes([7; 16]));
    let ours: Side<'_> = (
        "aurora",
        Box::new(move |n| {
            let (sessions, from) = (Rc::clone(&sessions), from.clone());
            Box::pin(async move {
                for _ in 0..n {
                    let token: Secret = sessions.borrow_mut().pop_front().unwrap();
                    let session = aurora.auth().refresh(&token, &from).await.unwrap();
                    assert_ne!(session.refresh_token.expose(), token.expose());
                    sessions.borrow_mut().push_back(session.refresh_token);
                }
            })
        }),
    );
    let times = measure::rounds(&mut [commit, again, ours], ROUNDS, PER_ROUND).await;
    println!("figure {name}.commit {:.1} us", median(&times[0]) / 1e3);
    println!("figure {name}.aurora {:.1} us", median(&times[2]) / 1e3);
    println!("figure {name}.rate {:.0} /s", 1e9 / median(&times[2]));
    let (control, wide) = quotient(&times[1], &times[0]);
    println!("control {name} {control:.3}");
    let (ratio, spread) = quotient(&times[0], &times[2]);
    verdict(name, ratio, 0.5, true, spread.max(wide));
}

/// Ten connections, each with a session of its own, take turns by blocks; both servers have every core.
async fn beside_pocketbase() {
    let Some(binary) = pocketbase::fetch() else { return };
    let folder = Folder::new("refresh-http");
    let aurora = serve::build(&folder.0).await;
    let mut tokens = Vec::new();
    for n in 0..CONNECTIONS {
        let user = TestClient::new(&aurora).sign_in(&format!("person{n}@example.com")).await.unwrap();
        tokens.push(user.refresh_token().expose().to_owned());
    }
    aurora.close().await;
    let ours = Server::start("aurora", &folder.0, false);
    serve::ready(ours.port).await;
    person(&binary, &folder.0);
    let theirs = pocketbase::start(&binary, &folder.0).await;
    let admin = pocketbase::sign_in(theirs.port, "_superusers", "admin@example.com").await;
    let mut client = Client::connect(theirs.port).await;
    let quiet = json!({"logs": {"maxDays": 0}, "rateLimits": {"enabled": false}});
    pocketbase::ask(&mut client, "PATCH", "/api/settings", &admin, &quiet).await;
    let password = pocketbase::PASSWORD;
    let me = json!({"email": "me@example.com", "password": password, "passwordConfirm": password});
    pocketbase::ask(&mut client, "POST", "/api/collections/users/records", &admin, &me).await;
    let mine = pocketbase::sign_in(theirs.port, "users", "me@example.com").await;
    let (mut ratios, mut our_rates, mut their_rates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..13 {
        let their_rate = auth_refreshes(theirs.port, &mine).await;
        let (our_rate, next) = refreshes(ours.port, tokens).await;
        tokens = next;
        // The first round warms.
        if round > 0 {
            ratios.push(our_rate / their_rate);
            our_rates.push(our_rate);
            their_rates.push(their_rate);
        }
    }
    println!("figure pocketbase/refresh.aurora {:.0} /s (each rotates, and commits)", middle(&our_rates).0);
    println!("figure pocketbase/refresh.pocketbase {:.0} /s (none rotates)", middle(&their_rates).0);
    let (ratio, spread) = (middle(&ratios).0, quarters(&ratios));
    println!("ratio pocketbase/refresh {ratio:.3} (figure, spread {:.0}%)", spread * 100.0);
}

fn person(binary: &Path, folder: &Path) {
    let directory = format!("--dir={}", folder.join("pb_data").display());
    let made = Command::new(binary)
        .args(["superuser", "upsert", "admin@example.com", pocketbase::PASSWORD, &directory])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

const BLOCK: usize = 100;

async fn auth_refreshes(port: u16, token: &str) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let token = token.to_owned();
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            for _ in 0..BLOCK {
                let path = "/api/collections/users/auth-refresh";
                let (status, body) = client.json("POST", path, &token, "").await;
                assert_eq!(status, 200, "{body}");
            }
        });
    }
    tasks.join_all().await;
    (CONNECTIONS * BLOCK) as f64 / start.elapsed().as_secs_f64()
}

/// Refreshes a second, and every session's next token.
async fn refreshes(port: u16, tokens: Vec<String>) -> (f64, Vec<String>) {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for mut token in tokens {
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            for _ in 0..BLOCK {
                token = refresh(&mut client, &token).await;
            }
            token
        });
    }
    let next = tasks.join_all().await;
    ((CONNECTIONS * BLOCK) as f64 / start.elapsed().as_secs_f64(), next)
}

/// The next token of a session.
pub(crate) async fn refresh(client: &mut Client, token: &str) -> String {
    let wish = json!({ "refresh_token": token }).to_string();
    let (status, body) = client.post("/auth/v1/token?grant_type=refresh_token", &wish).await;
    assert_eq!(status, 200, "{body}");
    let session: Value = serde_json::from_str(&body).unwrap();
    let next = session["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(next, token, "it did not rotate");
    next
}

//! Two processes on one database: each its own connections, sessions and caches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use aurora_core::types::Timestamp;
use common::{Fixture, Options, PASSWORD};
use serde_json::{Value, json};

async fn two() -> (Fixture, Fixture) {
    let options = Options::default();
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let first = Fixture::with(options).await;
    (first, Fixture::with(Options { path, start_key, ..Options::default() }).await)
}

/// How long `other` goes on letting the token in.
async fn until_refused(other: &Fixture, token: &str) -> Duration {
    let started = Instant::now();
    loop {
        let reply = other.user(token).await;
        if reply.status != 200 {
            assert!(["session_not_found", "user_not_found"].contains(&reply.code()), "{}", reply.text);
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(5), "never seen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// asvs(V7.4.1, V7.4.2, V7.4.5): what ends a session in one process is seen by another within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_session_is_seen_elsewhere_within_a_second() {
    let (here, there) = two().await;
    for how in ["sign-out", "ban", "end of all sessions", "deletion", "a statement of the host's"] {
        let session = match here.sign_up("ann@example.com").await {
            reply if reply.status == 200 => reply,
            _ => here.sign_in("ann@example.com", PASSWORD).await,
        };
        let (token, ann) = (session.access(), session.user_id().parse().unwrap());
        assert_eq!(there.user(&token).await.status, 200, "{how}");
        match how {
            "sign-out" => {
                here.call("POST", "/logout", Some(&token), Value::Null).await;
            }
            "ban" => here.auth.ban(ann, Timestamp::from_seconds(4_000_000_000)).await.unwrap(),
            "end of all sessions" => here.auth.end_sessions_of(ann).await.unwrap(),
            "deletion" => here.auth.delete_user(ann).await.unwrap(),
            _ => here.execute("DELETE FROM auth_sessions").await,
        }
        let took = until_refused(&there, &token).await;
        println!("{how}: seen after {took:?}");
        assert!(took < Duration::from_secs(1), "{how}: {took:?}");
        if how == "ban" {
            assert_eq!(there.sign_in("ann@example.com", PASSWORD).await.code(), "user_banned");
            here.auth.unban(ann).await.unwrap();
        }
    }
}

/// attack J18: a role that the service gives is in the other process's next answer and in its next token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_change_is_seen_elsewhere_at_once() {
    let (here, there) = two().await;
    let session = here.sign_up("ann@example.com").await;
    assert_eq!(there.user(&session.access()).await.status, 200);
    here.auth.update_app_metadata(session.user_id().parse().unwrap(), r#"{"role":"editor"}"#).await.unwrap();
    assert_eq!(there.user(&session.access()).await.json["app_metadata"]["role"], "editor");
    let refreshed = there.refresh(&session.refresh()).await;
    assert_eq!(refreshed.json["user"]["app_metadata"]["role"], "editor", "{}", refreshed.text);
    let claims = refreshed.access();
    let claims = claims.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["app_metadata"]["role"], json!("editor"));
}

/// Both refresh one token at the same moment, many times: one successor, and nobody is signed out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_refresh_one_token_and_agree() {
    let (here, there) = two().await;
    let mut token = here.sign_up("ann@example.com").await.refresh();
    for round in 0..25 {
        let (one, two) = tokio::join!(here.refresh(&token), there.refresh(&token));
        for reply in [&one, &two] {
            assert_eq!(reply.status, 200, "round {round}: {}", reply.text);
        }
        assert_eq!(one.refresh(), two.refresh(), "round {round}");
        token = one.refresh();
    }
    assert_eq!(here.count("SELECT count(*) FROM auth_sessions").await, 1);
}

/// asvs(V15.4.3):
/// refreshes, sign-ins, bans and sign-outs of one user from both sides: nobody waits for ever, nothing is 500, and
/// whoever is banned in the end has no session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flows_of_one_user_do_not_deadlock() {
    let (here, there) = two().await;
    let ann = here.sign_up("ann@example.com").await;
    let id = ann.user_id().parse().unwrap();
    let started = Instant::now();
    let mut work = tokio::task::JoinSet::new();
    for number in 0..24_u32 {
        let fixture = if number % 2 == 0 { here.clone() } else { there.clone() };
        let token = ann.refresh();
        work.spawn(async move {
            match number % 4 {
                0 => fixture.refresh(&token).await.status.as_u16(),
                1 => fixture.sign_in("ann@example.com", PASSWORD).await.status.as_u16(),
                2 => {
                    let ended = fixture.auth.ban(id, Timestamp::from_seconds(4_000_000_000)).await;
                    ended.map_or_else(|error| error.status().as_u16(), |()| 200)
                }
                _ => {
                    let ended = fixture.auth.end_sessions_of(id).await;
                    ended.map_or_else(|error| error.status().as_u16(), |()| 200)
                }
            }
        });
    }
    let mut statuses = Vec::new();
    while let Some(status) = work.join_next().await {
        statuses.push(status.unwrap());
    }
    println!("{statuses:?} in {:?}", started.elapsed());
    // 429: more than five sign-ins to one account at once.
    assert!(statuses.iter().all(|status| [200, 400, 403, 429].contains(status)), "{statuses:?}");
    assert_eq!(here.count("SELECT count(*) FROM auth_sessions").await, 0);
}

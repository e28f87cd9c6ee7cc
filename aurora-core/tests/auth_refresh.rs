//! Refresh tokens: rotation, loss, replay, storms, lifetimes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Fixture, Options, PASSWORD};
use serde_json::{Value, json};

/// attack R04: a lost answer is given again, however late.
#[tokio::test]
async fn an_unused_successor_is_returned_again() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("ann@example.com").await.refresh();
    let second = fixture.refresh(&first).await;
    assert_eq!(second.status, 200, "{}", second.text);
    assert_ne!(second.refresh(), first);
    for later in [0, 5, 60, 86_400 * 20] {
        fixture.advance(later);
        let again = fixture.refresh(&first).await;
        assert_eq!(again.refresh(), second.refresh());
        assert_eq!(fixture.user(&again.access()).await.status, 200);
    }
    assert_eq!(fixture.count("SELECT count(*) FROM auth_refresh_tokens").await, 2);
    let actions = fixture.actions_since(1).await;
    assert_eq!(actions.len(), 5);
    assert!(actions.iter().all(|action| action == "token_refreshed"));
}

/// attack R01, asvs(V10.4.5): after the grace a replay ends the family, although the request fails.
#[tokio::test]
async fn a_replay_after_the_grace_ends_the_family_and_that_is_committed() {
    let fixture = Fixture::new().await;
    let sign_up = fixture.sign_up("ann@example.com").await;
    let first = sign_up.refresh();
    let second = fixture.refresh(&first).await.refresh();
    fixture.advance(3600);
    let third = fixture.refresh(&second).await;
    // Within ten seconds of the successor's use: the newest one comes back.
    fixture.advance(10);
    assert_eq!(fixture.refresh(&first).await.refresh(), third.refresh());
    fixture.advance(1);
    let before = fixture.audit().await.len();
    let replay = fixture.refresh(&first).await;
    assert_eq!((replay.status.as_u16(), replay.code()), (400, "refresh_token_already_used"));
    assert_eq!(replay.json["message"], "Invalid Refresh Token: Already Used");
    let records = fixture.audit().await.split_off(before);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].action, "token_revoked");
    assert_eq!(records[0].payload["reason"], "replayed");
    assert_eq!(records[0].actor, sign_up.user_id());
    for dead in [first, second, third.refresh()] {
        assert_eq!(fixture.refresh(&dead).await.code(), "refresh_token_not_found");
    }
    assert_eq!(fixture.user(&third.access()).await.code(), "session_not_found");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);
}

/// attack R11
#[tokio::test]
async fn another_session_of_the_same_user_lives_on() {
    let fixture = Fixture::new().await;
    let one = fixture.sign_up("ann@example.com").await.refresh();
    let other = fixture.sign_in("ann@example.com", PASSWORD).await;
    let two = fixture.refresh(&one).await.refresh();
    fixture.refresh(&two).await;
    fixture.advance(60);
    assert_eq!(fixture.refresh(&one).await.code(), "refresh_token_already_used");
    assert_eq!(fixture.user(&other.access()).await.status, 200);
    assert_eq!(fixture.refresh(&other.refresh()).await.status, 200);
}

/// attack R03
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_refreshes_at_once_give_one_successor() {
    let fixture = Arc::new(Fixture::new().await);
    let first = fixture.sign_up("ann@example.com").await.refresh();
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let (fixture, first) = (Arc::clone(&fixture), first.clone());
        tasks.push(tokio::spawn(async move { fixture.refresh(&first).await }));
    }
    let mut successors = HashSet::new();
    for task in tasks {
        let reply = task.await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        successors.insert(reply.refresh());
    }
    assert_eq!(successors.len(), 1);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_refresh_tokens").await, 2);
    let next = fixture.refresh(successors.iter().next().unwrap()).await;
    assert_eq!(next.status, 200);
}

/// attack R03 with two processes' worth of state: two pools, two writer locks, one file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_on_one_file_agree_on_the_successor() {
    let options = || Options { path: std::path::PathBuf::new(), ..Options::default() };
    let (path, key) = (common::scratch(), options().start_key);
    let with = |mut options: Options| {
        options.path = path.clone();
        options.start_key = key.clone();
        options
    };
    let one = Arc::new(Fixture::with(with(options())).await);
    let two = Arc::new(Fixture::with(with(options())).await);
    let first = one.sign_up("ann@example.com").await;
    let mut tasks = Vec::new();
    for number in 0..60 {
        let server = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        let token = first.refresh();
        tasks.push(tokio::spawn(async move { server.refresh(&token).await }));
    }
    let mut successors = HashSet::new();
    for task in tasks {
        let reply = task.await.unwrap();
        assert!(reply.status == 200 || reply.status == 503, "{}", reply.text);
        if reply.status == 200 {
            successors.insert(reply.refresh());
        }
    }
    assert_eq!(successors.len(), 1);
    // What one server ends is over on the other within a second.
    assert_eq!(two.user(&first.access()).await.status, 200);
    assert_eq!(one.call("POST", "/logout", Some(&first.access()), Value::Null).await.status, 204);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(two.user(&first.access()).await.code(), "session_not_found");
}

/// attack R07, asvs(V7.3.1, V7.3.2, V10.4.8)
#[tokio::test]
async fn a_chain_ends_with_its_idle_and_its_absolute_lifetime() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("ann@example.com").await.refresh();
    fixture.advance(30 * 86_400 + 1);
    let idle = fixture.refresh(&first).await;
    assert_eq!((idle.status.as_u16(), idle.code()), (400, "session_expired"));
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);

    let mut token = fixture.sign_in("ann@example.com", PASSWORD).await.refresh();
    for _ in 0..14 {
        fixture.advance(26 * 86_400);
        token = fixture.refresh(&token).await.refresh();
    }
    fixture.advance(86_400 + 1);
    assert_eq!(fixture.refresh(&token).await.code(), "session_expired");
    let revoked = fixture.audit().await.into_iter().filter(|row| row.action == "token_revoked");
    assert!(revoked.map(|row| row.payload["reason"].clone()).eq([json!("expired"), json!("expired")]));
}

/// attack R06, asvs(V7.4.2, V7.4.5)
#[tokio::test]
async fn no_refresh_after_password_change_ban_deletion_or_global_sign_out() {
    let fixture = Fixture::new().await;
    let ann = fixture.sign_up("ann@example.com").await;
    let id = ann.user_id().parse().unwrap();
    let fresh = async || fixture.sign_in("ann@example.com", PASSWORD).await;

    let session = fresh().await;
    fixture.auth.ban(id, fixture.now().plus(Duration::from_secs(60))).await.unwrap();
    assert_eq!(fixture.refresh(&session.refresh()).await.status, 400);
    assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");
    let banned = fresh().await;
    assert_eq!((banned.status.as_u16(), banned.code()), (400, "user_banned"));
    assert_eq!(fixture.sign_in("ann@example.com", "wrong password").await.code(), "invalid_credentials");
    fixture.auth.unban(id).await.unwrap();

    let session = fresh().await;
    fixture.auth.end_sessions_of(id).await.unwrap();
    assert_eq!(fixture.refresh(&session.refresh()).await.status, 400);
    assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");

    let session = fresh().await;
    fixture.auth.delete_user(id).await.unwrap();
    assert_eq!(fixture.refresh(&session.refresh()).await.status, 400);
    assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");
    assert_eq!(fresh().await.code(), "invalid_credentials");
    assert_eq!(fixture.auth.delete_user(id).await.unwrap_err().code().as_str(), "user_not_found");
    let actions = fixture.actions_since(0).await;
    for action in ["user_banned", "user_unbanned", "session_revoked", "user_deleted"] {
        assert_eq!(actions.iter().filter(|found| *found == action).count(), 1, "{action}");
    }
}

/// attack R06: a ban that ended no session (the host's own statement, past the trigger) holds for the unused
/// successor, too.
#[tokio::test]
async fn a_banned_user_gets_no_successor_again() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("ann@example.com").await.refresh();
    assert_eq!(fixture.refresh(&first).await.status, 200);
    fixture.execute("DROP TRIGGER auth_users_banned; UPDATE auth_users SET banned_until = 9e15").await;
    let again = fixture.refresh(&first).await;
    assert_eq!((again.status.as_u16(), again.code()), (400, "user_banned"), "{}", again.text);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);
}

/// attacks R09, R10
#[tokio::test]
async fn garbage_and_extra_members() {
    let fixture = Fixture::new().await;
    let real = fixture.sign_up("ann@example.com").await;
    let unknown = format!("art_{}", "A".repeat(43));
    let long = "a".repeat(65_536);
    let cut = &real.refresh()[..real.refresh().len() - 1].to_owned();
    let flipped = real.refresh().to_ascii_uppercase();
    for garbage in ["x", "a\0b", &unknown, &long, cut, &flipped, &real.access(), "art_' OR 1=1 --", "%"] {
        let reply = fixture.refresh(garbage).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "refresh_token_not_found"), "{garbage:.40}");
    }
    let empty = fixture.refresh("").await;
    assert_eq!((empty.status.as_u16(), empty.code()), (400, "validation_failed"));
    let before = fixture.audit().await.len();
    assert_eq!(before, 1, "garbage writes nothing");
    let body = json!({
        "refresh_token": real.refresh(), "role": "service_role", "aud": "x", "scope": "admin", "aal": "aal2",
        "user_id": "00000000-0000-0000-0000-000000000000",
    });
    let reply = fixture.call("POST", "/token?grant_type=refresh_token", None, body).await;
    let principal = fixture.auth.sessions().admit(&reply.access()).await.unwrap();
    let claims: Value = serde_json::from_str(principal.claims()).unwrap();
    assert_eq!((&claims["role"], &claims["aal"]), (&json!("authenticated"), &json!("aal1")));
    assert_eq!(claims["amr"][0]["timestamp"], fixture.now().as_seconds());
    assert_eq!(claims["sub"], real.json["user"]["id"]);
}

#[tokio::test]
async fn overload_is_503_with_retry_after() {
    let mut options = Options::default();
    options.limits.refresh = aurora_core::load::Quota::new(1, Duration::from_secs(60));
    let fixture = Fixture::with(options).await;
    let token = fixture.sign_up("ann@example.com").await.refresh();
    assert_eq!(fixture.refresh(&token).await.status, 200);
    let over = fixture.refresh(&token).await;
    assert_eq!((over.status.as_u16(), over.code()), (503, "over_capacity"));
    assert!(over.headers.contains_key("retry-after"));
    assert!(over.json["error_id"].is_string());
}

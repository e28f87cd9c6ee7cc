//! A clock that is stepped: an hour on and back, years on. Nothing panics, nothing that was used comes back, nobody is
//! locked out for ever, and the audit log keeps its order.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use aurora_core::config::Autoconfirm;
use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::types::Timestamp;
use common::{Fixture, Options, PASSWORD, Reply};
use serde_json::json;

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;

fn step(fixture: &Fixture, seconds: i64) {
    fixture.clock.set(Timestamp::from_seconds(fixture.now().as_seconds() + seconds));
}

async fn by_code(fixture: &Fixture, email: &str, code: &str) -> Reply {
    let body = json!({ "type": "email", "email": email, "token": code });
    fixture.call("POST", "/verify", None, body).await
}

async fn code(fixture: &Fixture, email: &str) -> String {
    let sent = fixture.call("POST", "/otp", None, json!({ "email": email, "create_user": false })).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    fixture.send_mails().await;
    let mails = fixture.mailbox.mails();
    let of = |kind: Kind| mails.iter().find(|mail| mail.kind == kind && mail.to.as_str() == email);
    of(Kind::MagicLink).unwrap().code.clone().unwrap()
}

fn options() -> Options {
    let mut options = Options::default();
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
    options
}

/// fault K21: a code that was used stays used, and one that ran out is refused again although the clock went back to
/// before it did: whoever asks meanwhile deletes it.
#[tokio::test]
async fn a_used_code_does_not_come_back_with_the_clock() {
    let fixture = Fixture::with(options()).await;
    fixture.sign_up("ann@example.com").await;
    for back in [-HOUR, -60, -YEAR] {
        let used = code(&fixture, "ann@example.com").await;
        let signed_in = by_code(&fixture, "ann@example.com", &used).await;
        assert_eq!(signed_in.status, 200, "before {back} s: {}", signed_in.text);
        step(&fixture, back);
        assert_eq!(by_code(&fixture, "ann@example.com", &used).await.code(), "otp_expired", "after {back} s");
        step(&fixture, -back);
        assert_eq!(by_code(&fixture, "ann@example.com", &used).await.code(), "otp_expired");
    }
    let late = code(&fixture, "ann@example.com").await;
    step(&fixture, 10 * YEAR);
    assert_eq!(by_code(&fixture, "ann@example.com", &late).await.code(), "otp_expired");
    println!("4 codes, clocks stepped by an hour, a minute, a year and ten years");
}

/// fault K21: a session survives an hour on and back; a refresh token that was used is not good again; years end it.
#[tokio::test]
async fn sessions_live_through_steps_and_end_with_the_years() {
    let fixture = Fixture::with(options()).await;
    let session = fixture.sign_up("ann@example.com").await;
    let first = session.refresh();
    step(&fixture, HOUR);
    let second = fixture.refresh(&first).await;
    assert_eq!(second.status, 200, "{}", second.text);
    step(&fixture, -HOUR);
    let third = fixture.refresh(&second.refresh()).await;
    assert_eq!(third.status, 200, "{}", third.text);
    assert_eq!(fixture.user(&third.access()).await.status, 200);
    let fourth = fixture.refresh(&third.refresh()).await;
    step(&fixture, HOUR);
    // Used twice over, and long: the clock that went back and forth makes it no younger.
    assert_eq!(fixture.refresh(&first).await.code(), "refresh_token_already_used");
    assert_eq!(fixture.user(&fourth.access()).await.status, 403, "the family ended with the replay");

    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    step(&fixture, 10 * YEAR);
    assert!(fixture.refresh(&session.refresh()).await.status.is_client_error());
    assert!(fixture.user(&session.access()).await.status.is_client_error());
    // What was issued in those years does not outlive the clock's return by ten of them.
    let ahead = fixture.sign_in("ann@example.com", PASSWORD).await;
    step(&fixture, -10 * YEAR);
    let back = fixture.user(&ahead.access()).await;
    assert!(back.status.is_client_error(), "a token of the future was admitted: {}", back.text);
}

/// fault K21: guesses that were used up years ahead of now lock nobody out once the clock is right again.
#[tokio::test]
async fn a_lockout_does_not_outlive_a_step() {
    let mut chosen = options();
    chosen.limits.guesses = Quota::new(3, Duration::from_secs(600));
    let fixture = Fixture::with(chosen).await;
    fixture.sign_up("ann@example.com").await;
    step(&fixture, 10 * YEAR);
    for _ in 0..3 {
        assert_eq!(fixture.sign_in("ann@example.com", "wrong horse").await.code(), "invalid_credentials");
    }
    step(&fixture, -10 * YEAR);
    fixture.advance(600);
    let signed_in = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert!(signed_in.status == 200 || signed_in.status == 429, "{}", signed_in.text);
    if signed_in.status == 429 {
        let wait: u64 = signed_in.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait <= 600, "locked out for {wait} s");
    }
    println!("after three wrong guesses in ten years' time: {}", signed_in.status);
}

/// fault K21: records of a clock that runs backwards keep the order in which they were written.
#[tokio::test]
async fn the_audit_log_is_in_the_order_of_what_happened() {
    let mut chosen = options();
    chosen.settings.sign_ups.autoconfirm = Autoconfirm::On;
    let fixture = Fixture::with(chosen).await;
    for (person, seconds) in
        [("ann", -HOUR), ("ben", HOUR), ("cat", -YEAR), ("dan", 10 * YEAR), ("eve", -HOUR)]
    {
        fixture.sign_up(&format!("{person}@example.com")).await;
        step(&fixture, seconds);
    }
    let targets: Vec<String> = fixture
        .audit()
        .await
        .into_iter()
        .filter(|row| row.action == "user_signedup")
        .map(|row| row.actor)
        .collect();
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for person in ["ann", "ben", "cat", "dan", "eve"] {
            let question = format!("SELECT id FROM auth_users WHERE email = '{person}@example.com'");
            ids.push(fixture.database.rows(&question).await[0][0].clone().unwrap());
        }
        ids
    };
    assert_eq!(targets.len(), ids.len());
    for (target, id) in targets.iter().zip(&ids) {
        assert!(target.contains(id.as_str()), "{target} stands where {id} belongs");
    }
}

//! Second factors over the wire: enrolled, asked for, used once, counted; what wants one, and what none removes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/totp.rs"]
mod totp;

mod codes;
mod edges;
mod recovery;
mod stolen;

use std::collections::BTreeSet;
use std::time::Duration;

use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use common::{Fixture, Options, Reply, SERVICE_KEY};
use totp::code_at;

fn options() -> Options {
    let mut options = Options::default();
    let roomy = Quota::new(10_000, Duration::from_secs(60));
    (options.limits.guesses, options.limits.factor) = (roomy, roomy);
    (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
    options
}

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

/// Two processes on one database.
async fn two() -> (Fixture, Fixture) {
    let first = options();
    let (path, start_key) = (first.path.clone(), first.start_key.clone());
    let here = Fixture::with(first).await;
    (here, Fixture::with(Options { path, start_key, ..options() }).await)
}

async fn post(fixture: &Fixture, path: &str, token: &str, body: Value) -> Reply {
    fixture.call("POST", path, Some(token), body).await
}

async fn enroll(fixture: &Fixture, token: &str, name: &str) -> Reply {
    post(fixture, "/factors", token, json!({ "factor_type": "totp", "friendly_name": name })).await
}

async fn challenge(fixture: &Fixture, token: &str, factor: &str) -> String {
    let reply = post(fixture, &format!("/factors/{factor}/challenge"), token, json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json["id"].as_str().unwrap().to_owned()
}

async fn answer(fixture: &Fixture, token: &str, factor: &str, challenge: &str, code: &str) -> Reply {
    let body = json!({ "challenge_id": challenge, "code": code });
    post(fixture, &format!("/factors/{factor}/verify"), token, body).await
}

async fn challenge_and_verify(fixture: &Fixture, token: &str, factor: &str, code: &str) -> Reply {
    let challenge = challenge(fixture, token, factor).await;
    answer(fixture, token, factor, &challenge, code).await
}

fn now_code(fixture: &Fixture, secret: &str) -> String {
    code_at(secret, fixture.now().as_seconds())
}

/// A code that is none of the three around now.
fn wrong_code(fixture: &Fixture, secret: &str) -> String {
    let now = fixture.now().as_seconds();
    let good: BTreeSet<String> = [-30, 0, 30].into_iter().map(|off| code_at(secret, now + off)).collect();
    (0..4).map(|number| format!("{number:06}")).find(|code| !good.contains(code)).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn methods(token: &str) -> Vec<String> {
    let claims = claims(token);
    claims["amr"].as_array().unwrap().iter().map(|one| one["method"].as_str().unwrap().to_owned()).collect()
}

/// Somebody with a factor that counts, and the session that it raised.
struct Person {
    token: String,
    refresh: String,
    factor: String,
    secret: String,
    id: String,
}

/// The code that made the factor count is used up: half a minute has passed.
async fn with_factor(fixture: &Fixture, email: &str) -> Person {
    let session = fixture.sign_up(email).await;
    let (factor, secret, raised) = add(fixture, &session.access(), "phone").await;
    let (token, refresh, id) = (raised.access(), raised.refresh(), raised.user_id());
    Person { token, refresh, factor, secret, id }
}

async fn add(fixture: &Fixture, token: &str, name: &str) -> (String, String, Reply) {
    let enrolled = enroll(fixture, token, name).await;
    assert_eq!(enrolled.status, 200, "{}", enrolled.text);
    let factor = enrolled.json["id"].as_str().unwrap().to_owned();
    let secret = enrolled.json["totp"]["secret"].as_str().unwrap().to_owned();
    let raised = challenge_and_verify(fixture, token, &factor, &now_code(fixture, &secret)).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    fixture.advance(30);
    (factor, secret, raised)
}

async fn generate(fixture: &Fixture, token: &str) -> Vec<String> {
    made(&post(fixture, "/factors/recovery-codes", token, json!({})).await)
}

fn made(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let codes = reply.json["codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

async fn recover(fixture: &Fixture, token: &str, code: &str) -> Reply {
    post(fixture, "/factors/recovery-codes/verify", token, json!({ "code": code })).await
}

async fn put(fixture: &Fixture, token: &str, body: Value) -> Reply {
    fixture.call("PUT", "/user", Some(token), body).await
}

async fn by_service(fixture: &Fixture, method: &str, path: &str) -> Reply {
    fixture.call(method, path, Some(SERVICE_KEY), Value::Null).await
}

async fn mails(fixture: &Fixture, kind: Kind) -> usize {
    fixture.send_mails().await;
    fixture.mailbox.mails().iter().filter(|mail| mail.kind == kind).count()
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{}", reply.text);
}

//! What the flows tell a log, at its most talkative: request ids, and no secret.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use aurora_core::config::CookieSessions;
use common::{Fixture, Options, PASSWORD, SERVICE_KEY};
use http::Request;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<String> = Mutex::new(String::new());

/// Hears everything, at every level, of every crate.
struct Everything;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

fn line(name: &str, visit: impl FnOnce(&mut Line<'_>)) {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push_str(name);
    visit(&mut Line(&mut lines));
    lines.push('\n');
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        line(span.metadata().name(), |visitor| span.record(visitor));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        line("recorded", |visitor| values.record(visitor));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        line(event.metadata().target(), |visitor| event.record(visitor));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What a browser keeps: a sign-in in cookies, a read, a forged change.
async fn cookies(fixture: &Fixture) -> Vec<String> {
    let body = json!({ "email": "canary-address@example.com", "password": PASSWORD }).to_string();
    let ask = Request::post("/auth/v1/token?grant_type=password")
        .header("content-type", "application/json")
        .header("sec-fetch-site", "same-origin")
        .header("x-aurora-session", "cookie");
    let reply = fixture.send(ask.body(body.into_bytes()).unwrap(), "192.0.2.1").await;
    let lines = reply.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let pairs: Vec<&str> = lines.map(|line| line.split(';').next().unwrap()).collect();
    assert_eq!(pairs.len(), 3);
    for (method, path) in [("GET", "/user"), ("PUT", "/user"), ("POST", "/token?grant_type=refresh_token")] {
        let ask = Request::builder().method(method).uri(format!("/auth/v1{path}"));
        let ask = ask.header("cookie", pairs.join("; ")).header("sec-fetch-site", "same-origin");
        fixture.send(ask.body(Vec::new()).unwrap(), "192.0.2.1").await;
    }
    pairs.iter().map(|pair| pair.split_once('=').unwrap().1.to_owned()).collect()
}

/// attack C08, asvs(V16.2.5, V16.3.4)
#[tokio::test]
async fn no_secret_in_any_line() {
    tracing::subscriber::set_global_default(Everything).unwrap();
    let mut options = Options::default();
    options.settings.cookies = CookieSessions::On;
    let fixture = Fixture::with(options).await;
    let session = fixture.sign_up("canary-address@example.com").await;
    let in_cookies = cookies(&fixture).await;
    fixture.sign_in("canary-address@example.com", "canary-wrong-password").await;
    let other = fixture.sign_in("canary-address@example.com", PASSWORD).await;
    let refreshed = fixture.refresh(&session.refresh()).await;
    fixture.refresh("art_canary-garbage-token").await;
    let change = json!({ "password": "canary-new-password", "data": { "note": "canary-metadata" } });
    assert_eq!(fixture.call("PUT", "/user", Some(&refreshed.access()), change).await.status, 200);
    fixture.user(&other.access()).await;
    fixture.user("canary.forged.token").await;
    fixture.call("GET", "/user?access_token=canary-in-query", Some(SERVICE_KEY), Value::Null).await;
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    let broken = fixture.sign_in("canary-address@example.com", "canary-new-password").await;
    assert_eq!(broken.status, 500);

    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let id = broken.json["error_id"].as_str().unwrap();
    assert!(lines.contains(id), "the failure is found by its request's id");
    assert!(lines.contains(common::missing_audit()), "and its cause stands there");
    assert!(lines.contains("/token") && lines.contains("status=500"));
    for secret in [
        "canary",
        PASSWORD,
        SERVICE_KEY,
        &session.access(),
        &session.refresh(),
        &refreshed.refresh(),
        "$argon2",
    ]
    .into_iter()
    .chain(in_cookies.iter().map(String::as_str))
    {
        let found = lines.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret}: {found:?}");
    }
}

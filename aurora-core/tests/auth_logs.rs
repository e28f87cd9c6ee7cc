//! What the flows tell a log, at its most talkative: request ids, and no secret.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;
#[path = "common/totp.rs"]
mod totp;

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aurora_core::auth::NewApiKey;
use aurora_core::config::CookieSessions;
use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::session::{ApiKeyKind, ApiScope};
use common::mailed::{
    VERIFIER, by_code, by_link, by_service, challenge, exchange, location, mail, open, parameter, post,
    token, with,
};
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

const ADDRESS: &str = "canary-address@example.com";

/// Links, codes, a nonce and a verifier: each shown wrong, then right, then again.
async fn mails(fixture: &Fixture, access: &str) -> Vec<String> {
    let mut secrets = vec![VERIFIER.to_owned()];
    post(fixture, "/recover", with(json!({ "email": ADDRESS }), challenge())).await;
    let recovery = mail(fixture, Kind::Recovery, ADDRESS).await;
    let code = parameter(&location(&open(fixture, recovery.link.as_deref().unwrap()).await), "code");
    exchange(fixture, &code, "canary-verifier-that-is-not-the-one-of-the-mail").await;
    assert_eq!(exchange(fixture, &code, VERIFIER).await.status, 200);
    assert_eq!(exchange(fixture, &code, VERIFIER).await.status, 404);
    secrets.extend([token(&recovery), recovery.code.clone().unwrap(), code]);
    post(fixture, "/otp", json!({ "email": ADDRESS })).await;
    let link = mail(fixture, Kind::MagicLink, ADDRESS).await;
    let code = link.code.clone().unwrap();
    by_code(fixture, "magiclink", ADDRESS, "canary-code").await;
    let session = by_code(fixture, "magiclink", ADDRESS, &code).await;
    assert_eq!(session.status, 200, "{}", session.text);
    assert_eq!(by_link(fixture, "magiclink", &token(&link)).await.code(), "otp_expired");
    secrets.extend([token(&link), code, session.access(), session.refresh()]);
    let generated = json!({ "type": "magiclink", "email": ADDRESS });
    let generated = by_service(fixture, "POST", "/admin/generate_link", generated).await.json;
    let said = |name: &str| generated[name].as_str().unwrap_or_else(|| panic!("{generated}")).to_owned();
    let session = by_link(fixture, "magiclink", &said("hashed_token")).await;
    assert_eq!(session.status, 200, "{}", session.text);
    secrets.extend([said("hashed_token"), said("email_otp"), session.refresh()]);
    fixture.call("GET", "/reauthenticate", Some(access), Value::Null).await;
    let nonce = mail(fixture, Kind::Reauthentication, ADDRESS).await.code.unwrap();
    for nonce in ["canary-nonce", &nonce] {
        let change = json!({ "password": "canary-by-nonce", "nonce": nonce });
        fixture.call("PUT", "/user", Some(access), change).await;
    }
    assert_eq!(fixture.sign_in(ADDRESS, "canary-by-nonce").await.status, 200);
    secrets.push(nonce);
    secrets
}

/// A seed, recovery codes and what they open, of somebody else.
async fn factors(fixture: &Fixture) -> Vec<String> {
    let first = fixture.sign_up("canary-factor@example.com").await.access();
    let call = async |path: &str, token: &str, body| fixture.call("POST", path, Some(token), body).await;
    let enrolled = call("/factors", &first, json!({ "factor_type": "totp" })).await.json;
    let (id, seed) = (enrolled["id"].as_str().unwrap(), enrolled["totp"]["secret"].as_str().unwrap());
    let mut raised = None;
    for code in ["canary", &totp::code_at(seed, fixture.now().as_seconds())] {
        let asked = call(&format!("/factors/{id}/challenge"), &first, json!({})).await.json;
        let answer = json!({ "challenge_id": asked["id"], "code": code });
        raised = Some(call(&format!("/factors/{id}/verify"), &first, answer).await);
    }
    let raised = raised.unwrap();
    let told = call("/factors/recovery-codes", &raised.access(), json!({})).await.json;
    let codes: Vec<String> =
        told["codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    for code in ["canary-recovery", &codes[0], &codes[0]] {
        call("/factors/recovery-codes/verify", &raised.access(), json!({ "code": code })).await;
    }
    let key = data_encoding::BASE32_NOPAD.decode(seed.as_bytes()).unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut secrets = vec![seed.to_owned(), hex, format!("{key:?}"), raised.refresh()];
    let grouped = |code: &String| [&code[..4], &code[4..8], &code[8..12], &code[12..]].join("-");
    secrets.extend(codes.iter().map(grouped));
    secrets.extend(codes);
    secrets
}

/// Keys of applications: one that is good, then revoked, and one that never was.
async fn keys(fixture: &Fixture) -> Vec<String> {
    let new =
        NewApiKey { kind: ApiKeyKind::Secret, name: "nightly".to_owned(), scopes: vec![ApiScope::Auth] };
    let (info, key) = fixture.auth.create_api_key(new).await.unwrap();
    let ask = async |key: &str| {
        let ask = Request::get("/auth/v1/admin/users").header("apikey", key);
        let ask = ask.header("authorization", format!("Bearer {key}"));
        fixture.send(ask.body(Vec::new()).unwrap(), "192.0.2.1").await.status.as_u16()
    };
    assert_eq!(ask(key.expose()).await, 200);
    fixture.auth.revoke_api_key(info.id).await.unwrap();
    assert_eq!([ask(key.expose()).await, ask("sb_secret_canary").await], [401, 401]);
    vec![key.expose().to_owned()]
}

/// attacks C08, E03, asvs(V16.2.5, V16.3.4)
#[tokio::test]
async fn no_secret_in_any_line() {
    tracing::subscriber::set_global_default(Everything).unwrap();
    let mut options = Options::default();
    options.settings.cookies = CookieSessions::On;
    // So long that no other number is one by chance.
    options.settings.mails.code_digits = 10;
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.mail, options.limits.mail_to, options.limits.guesses) = (roomy, roomy, roomy);
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
    let mut others = mails(&fixture, &refreshed.access()).await;
    others.extend(factors(&fixture).await);
    others.extend(keys(&fixture).await);
    others.extend(in_cookies);
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    let broken = fixture.sign_in("canary-address@example.com", "canary-by-nonce").await;
    assert_eq!(broken.status, 500);

    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let id = broken.json["error_id"].as_str().unwrap();
    assert!(lines.contains(id), "the failure is found by its request's id");
    assert!(lines.contains(common::missing_audit()), "and its cause stands there");
    assert!(lines.contains("/token") && lines.contains("status=500"));
    for heard in ["/verify", "/reauthenticate", "/factors", "/factors/recovery-codes/verify", "/admin/users"]
    {
        assert!(lines.contains(heard), "{heard} was not heard");
    }
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
    .chain(others.iter().map(String::as_str))
    {
        assert!(secret.len() >= 6, "{secret:?}");
        let found = lines.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret}: {found:?}");
    }
    println!("{} secrets of flows in none of {} lines", others.len(), lines.lines().count());
}

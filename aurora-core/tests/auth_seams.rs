//! Where flows meet: what one of them counts, keeps or asks for holds when another leads to the same place.
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

use std::sync::Arc;
use std::time::Duration;

use aurora_core::auth::{BeforeUserCreated, HookError, Hooks, UserCreation};
use aurora_core::config::{Autoconfirm, CookieSessions};
use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::types::{BoxFuture, UserId};
use common::{Fixture, Options, PASSWORD, Reply, SERVICE_KEY};
use http::Request;
use serde_json::{Value, json};
use totp::code_at;

const OWN: &str = "http://127.0.0.1:8080";

fn options() -> Options {
    let mut options = Options::default();
    options.settings.sign_ups.autoconfirm = Autoconfirm::Off;
    options.settings.sign_ups.anonymous = true;
    options
}

fn id(reply: &Reply) -> UserId {
    reply.user_id().parse().unwrap()
}

/// What a browser sends without a token of its own.
async fn by_browser(fixture: &Fixture, from: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let method = if path == "/health" { "GET" } else { "POST" };
    let mut request =
        Request::builder().method(method).uri(format!("/auth/v1{path}")).header("host", "127.0.0.1:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    fixture.send(request.body(Vec::new()).unwrap(), from).await
}

/// asvs(V6.3.8): metadata that no token could carry is refused alike for who is registered and who is not.
#[tokio::test]
async fn what_is_sent_with_a_code_does_not_tell_who_is_registered() {
    let mut options = options();
    options.settings.cookies = CookieSessions::On;
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await;
    fixture.auth.confirm_email(id(&ann)).await.unwrap();
    for (length, status) in [(100, 200), (2_500, 400)] {
        let mut answers = Vec::new();
        for email in ["ann@example.com", "nobody@example.com"] {
            fixture.advance(120);
            let body = json!({ "email": email, "data": { "note": "x".repeat(length) } });
            let reply = fixture.call("POST", "/otp", None, body).await;
            answers.push((reply.status.as_u16(), reply.text));
        }
        assert_eq!(answers[0], answers[1], "{length}");
        assert_eq!(answers[0].0, status, "{}", answers[0].1);
    }
}

/// Somebody who changes addresses within a /64 writes one record a minute, and not one request more than others.
#[tokio::test]
async fn forgeries_of_one_network_are_one_record_and_limited() {
    let mut options = options();
    options.settings.cookies = CookieSessions::On;
    options.limits.request = Quota::new(40, Duration::from_secs(60));
    let fixture = Fixture::with(options).await;
    let before = fixture.audit().await.len();
    let mut refused = 0;
    for host in 1..=60 {
        let from = format!("2001:db8:1:2::{host:x}");
        let reply = by_browser(&fixture, &from, "/health", &[("x-aurora-session", "cookie")]).await;
        match reply.status.as_u16() {
            403 => refused += 1,
            429 => assert!(refused >= 40, "{refused}"),
            other => panic!("{other}: {}", reply.text),
        }
    }
    assert_eq!(refused, 40);
    assert_eq!(fixture.audit().await.len() - before, 1);
    let other = by_browser(&fixture, "2001:db8:1:3::1", "/health", &[("x-aurora-session", "cookie")]).await;
    assert_eq!(other.status, 403);
    assert_eq!(fixture.audit().await.len() - before, 2, "another network has a record of its own");
}

/// A refresh cookie that opens nothing is counted as a refresh, before it is looked up.
#[tokio::test]
async fn refreshes_by_unknown_cookies_are_counted() {
    let mut options = options();
    options.settings.cookies = CookieSessions::On;
    options.limits.refresh = Quota::new(3, Duration::from_secs(60));
    let fixture = Fixture::with(options).await;
    let mut answers = Vec::new();
    for number in 0..5 {
        let cookie = format!("__Host-aurora-refresh=art_{number}{}", "A".repeat(42));
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), ("origin", OWN)];
        let reply = by_browser(&fixture, "192.0.2.7", "/token?grant_type=refresh_token", &headers).await;
        answers.push((reply.status.as_u16(), reply.code().to_owned()));
    }
    let unknown = (400, "refresh_token_not_found".to_owned());
    let over = (503, "over_capacity".to_owned());
    assert_eq!(answers, [unknown.clone(), unknown.clone(), unknown, over.clone(), over]);
}

/// attack E08: the service's word for an address makes somebody known of whoever was not, with nothing left of before.
#[tokio::test]
async fn an_anonymous_user_whose_address_the_service_confirms_is_known() {
    let fixture = Fixture::with(options()).await;
    let lone = fixture.call("POST", "/signup", None, json!({})).await;
    let who = id(&lone);
    let asked =
        fixture.call("PUT", "/user", Some(&lone.access()), json!({ "email": "ann@example.com" })).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    fixture.auth.confirm_new_email(who, &"ann@example.com".parse().unwrap()).await.unwrap();
    assert_eq!(fixture.user(&lone.access()).await.code(), "session_not_found");
    let account = fixture.call("GET", &format!("/admin/users/{who}"), Some(SERVICE_KEY), Value::Null).await;
    assert_eq!(
        (&account.json["is_anonymous"], &account.json["email"]),
        (&json!(false), &json!("ann@example.com"))
    );
    assert_eq!(account.json["identities"].as_array().map(Vec::len), Some(1), "{}", account.text);
    assert!(!account.json["email_confirmed_at"].is_null());
}

/// Whoever asks for mails to an address learns nothing of whether somebody's change to it waits.
#[tokio::test]
async fn a_change_that_waits_does_not_show_in_limits() {
    let mut options = options();
    options.settings.sign_ups.both_addresses_confirm = false;
    options.limits.mail_to = Quota::new(3, Duration::from_secs(3_600));
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await;
    fixture.auth.confirm_email(id(&ann)).await.unwrap();
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let to = json!({ "email": "new@example.com" });
    assert_eq!(fixture.call("PUT", "/user", Some(&session.access()), to.clone()).await.status, 200);
    for _ in 0..3 {
        let again = json!({ "type": "email_change", "email": "ann@example.com" });
        fixture.call("POST", "/resend", None, again).await;
    }
    // One of three went to the mail of the change itself.
    let mut answers = Vec::new();
    for _ in 0..3 {
        let body = json!({ "email": "new@example.com" });
        answers.push(fixture.call("POST", "/recover", None, body).await.status.as_u16());
    }
    assert_eq!(answers, [200, 200, 429]);
}

/// Lets somebody unknown in, and addresses of one domain.
#[derive(Debug)]
struct OneDomain;

impl BeforeUserCreated for OneDomain {
    fn may_be_created<'a>(&'a self, creation: &'a UserCreation) -> BoxFuture<'a, Result<(), HookError>> {
        let account = creation.account.to_json().unwrap();
        let account: Value = serde_json::from_str(&account).unwrap();
        let email = account["email"].as_str().unwrap_or_default().to_owned();
        Box::pin(async move {
            if email.is_empty() || email.ends_with("@example.com") {
                return Ok(());
            }
            Err(HookError::refuse(403, "Only people of example.com"))
        })
    }
}

/// asvs(V2.2.1): whom the host would not let register does not come in by way of nobody's name.
#[tokio::test]
async fn an_upgrade_is_a_registration() {
    let mut options = options();
    options.hooks = Hooks { before_user_created: Some(Arc::new(OneDomain)), ..Hooks::default() };
    let fixture = Fixture::with(options).await;
    let lone = fixture.call("POST", "/signup", None, json!({})).await;
    for (address, status) in [("me@evil.test", 403), ("me@example.com", 200)] {
        let reply = fixture.call("PUT", "/user", Some(&lone.access()), json!({ "email": address })).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text);
    }
    let refused = fixture.audit().await.into_iter().find(|row| row.action == "signup_failed").unwrap();
    assert_eq!(refused.payload["by"], "upgrade");
}

/// asvs(V16.2.1): what the service does to somebody's second factor is recorded with its request; guesses at one are
/// told to its owner, once.
#[tokio::test]
async fn what_happens_to_a_factor_is_told() {
    let mut options = options();
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.factor, options.limits.guesses) = (roomy, roomy);
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await;
    fixture.auth.confirm_email(id(&ann)).await.unwrap();
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let token = session.access();
    let wish = json!({ "factor_type": "totp", "friendly_name": "phone" });
    let factor = fixture.call("POST", "/factors", Some(&token), wish).await;
    let secret = factor.json["totp"]["secret"].as_str().unwrap();
    let factor = factor.json["id"].as_str().unwrap();
    let show = async |token: &str, code: &str| {
        let challenge =
            fixture.call("POST", &format!("/factors/{factor}/challenge"), Some(token), json!({})).await;
        let body = json!({ "challenge_id": challenge.json["id"], "code": code });
        fixture.call("POST", &format!("/factors/{factor}/verify"), Some(token), body).await
    };
    let code = code_at(secret, fixture.now().as_seconds());
    assert_eq!(show(&token, &code).await.status, 200);
    let thief = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    for _ in 0..5 {
        assert_eq!(show(&thief, "12345").await.code(), "mfa_verification_failed");
    }
    fixture.advance(60);
    assert_eq!(show(&thief, "12345").await.code(), "mfa_verification_failed");
    fixture.send_mails().await;
    let told = fixture.mailbox.mails().into_iter().filter(|mail| mail.kind == Kind::FactorGuessed).count();
    assert_eq!(told, 1);
    let path = format!("/admin/users/{}/factors/{factor}", session.user_id());
    assert_eq!(
        fixture.call_from("192.0.2.3", "DELETE", &path, Some(SERVICE_KEY), Value::Null).await.status,
        200
    );
    let record = fixture.audit().await.into_iter().rfind(|row| row.action == "factor_deleted").unwrap();
    assert_eq!((record.actor.as_str(), &record.payload["address"]), ("service", &json!("192.0.2.3")));
    assert!(record.request.is_some());
}

/// A session that is raised is the only one of the first level that is left, however many there were.
#[tokio::test]
async fn a_thousand_sessions_hide_none() {
    let fixture = Fixture::with(options()).await;
    let ann = fixture.sign_up("ann@example.com").await;
    fixture.auth.confirm_email(id(&ann)).await.unwrap();
    let first = fixture.sign_in("ann@example.com", PASSWORD).await;
    let oldest = fixture.count("SELECT count(*) FROM auth_sessions").await;
    assert_eq!(oldest, 1);
    // As a sign-in leaves them, without the cost of a thousand hashes.
    let copies = if common::on_postgres() {
        "INSERT INTO auth.sessions SELECT gen_random_uuid(), user_id, gen_random_uuid(), generation, aal, amr, \
            user_agent, ip, created_at + interval '1 millisecond', authenticated_at, refreshed_at, not_after \
            FROM auth.sessions, generate_series(1, 1100)"
    } else {
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) INSERT INTO auth_sessions \
            SELECT printf('%08x-0000-4000-8000-000000000000', i), user_id, \
            printf('%08x-0000-4000-8000-000000000001', i), generation, aal, amr, user_agent, address, created_at + 1, \
            authenticated_at, refreshed_at, expires_at FROM auth_sessions, n"
    };
    fixture.execute(copies).await;
    fixture.advance(1);
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let token = session.access();
    let wish = json!({ "factor_type": "totp", "friendly_name": "phone" });
    let factor = fixture.call("POST", "/factors", Some(&token), wish).await;
    let code = code_at(factor.json["totp"]["secret"].as_str().unwrap(), fixture.now().as_seconds());
    let factor = factor.json["id"].as_str().unwrap();
    let challenge =
        fixture.call("POST", &format!("/factors/{factor}/challenge"), Some(&token), json!({})).await;
    let body = json!({ "challenge_id": challenge.json["id"], "code": code });
    let raised = fixture.call("POST", &format!("/factors/{factor}/verify"), Some(&token), body).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 1);
    assert_eq!(fixture.refresh(&first.refresh()).await.status, 400);
    println!("1,102 sessions of the first level, one raised, one left");
}

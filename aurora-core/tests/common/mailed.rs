//! Sign-in by mail, as its readers, their clients and mail scanners do it.

use std::time::Duration;

use aurora_core::config::Autoconfirm;
use aurora_core::load::Quota;
use aurora_core::mail::{Kind, Rendered};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use serde_json::{Value, json};

use super::{Fixture, Options, PASSWORD, Reply, SERVICE_KEY};

pub const SITE: &str = "http://127.0.0.1:8080";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub fn options() -> Options {
    let mut options = Options::default();
    options.settings.sign_ups.autoconfirm = Autoconfirm::Off;
    options.settings.sign_ups.anonymous = true;
    options.settings.redirects.push("https://spa.example.com/**".to_owned());
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.mail, options.limits.mail_to, options.limits.guesses) = (roomy, roomy, roomy);
    options
}

/// The first mail of that kind to that address.
pub async fn mail(fixture: &Fixture, kind: Kind, to: &str) -> Rendered {
    fixture.send_mails().await;
    let mails = fixture.mailbox.mails();
    let found = mails.iter().rev().find(|mail| mail.kind == kind && mail.to.as_str() == to);
    found.unwrap_or_else(|| panic!("no {kind} to {to} among {} mails", mails.len())).clone()
}

pub async fn mails_to(fixture: &Fixture, to: &str) -> usize {
    fixture.send_mails().await;
    fixture.mailbox.mails().iter().filter(|mail| mail.to.as_str() == to).count()
}

pub fn parameter(link: &str, name: &str) -> String {
    let (_, query) = link.split_once('?').unwrap();
    let query = query.split('#').next().unwrap();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

pub fn token(mail: &Rendered) -> String {
    parameter(mail.link.as_deref().unwrap(), "token")
}

pub async fn post(fixture: &Fixture, path: &str, body: Value) -> Reply {
    fixture.call("POST", path, None, body).await
}

pub async fn by_code(fixture: &Fixture, kind: &str, email: &str, code: &str) -> Reply {
    post(fixture, "/verify", json!({ "type": kind, "email": email, "token": code })).await
}

pub async fn by_link(fixture: &Fixture, kind: &str, token: &str) -> Reply {
    post(fixture, "/verify", json!({ "type": kind, "token_hash": token })).await
}

/// Opens a link as a browser or a mail scanner does.
pub async fn open(fixture: &Fixture, link: &str) -> Reply {
    let path = link.strip_prefix(SITE).unwrap_or_else(|| panic!("a link elsewhere: {link}"));
    let request = Request::get(path).header("host", "127.0.0.1:8080").body(Vec::new()).unwrap();
    fixture.send(request, "192.0.2.9").await
}

pub async fn press(fixture: &Fixture, link: &str) -> Reply {
    let fields = ["token", "type", "redirect_to"].map(|name| (name, parameter(link, name)));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::post("/auth/v1/verify/link")
        .header("host", "127.0.0.1:8080")
        .header("origin", SITE)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.into_bytes())
        .unwrap();
    fixture.send(request, "192.0.2.9").await
}

pub fn location(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text);
    reply.headers["location"].to_str().unwrap().to_owned()
}

pub fn fragment(reply: &Reply, name: &str) -> String {
    let place = location(reply);
    let (_, fragment) = place.split_once('#').unwrap_or_else(|| panic!("no fragment: {place}"));
    parameter(&format!("?{fragment}"), name)
}

/// The newest mail that was not there before.
pub fn newer(fixture: &Fixture, before: &[Rendered]) -> Rendered {
    let mails = fixture.mailbox.mails();
    mails.into_iter().find(|mail| !before.iter().any(|old| old.id == mail.id)).unwrap()
}

pub async fn confirmed(fixture: &Fixture, email: &str) -> Reply {
    let user = fixture.sign_up(email).await;
    fixture.auth.confirm_email(user.user_id().parse().unwrap()).await.unwrap();
    let session = fixture.sign_in(email, PASSWORD).await;
    assert_eq!(session.status, 200, "{}", session.text);
    session
}

pub async fn by_service(fixture: &Fixture, method: &str, path: &str, body: Value) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/auth/v1{path}"))
        .header("apikey", SERVICE_KEY)
        .header("authorization", format!("Bearer {SERVICE_KEY}"))
        .header("x-supabase-api-version", "2024-01-01");
    if !body.is_null() {
        request = request.header("content-type", "application/json");
    }
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    fixture.send(request.body(body).unwrap(), "192.0.2.3").await
}

/// The mail to that address that was not there before.
pub async fn mail_since(fixture: &Fixture, before: &[Rendered], to: &str) -> Rendered {
    fixture.send_mails().await;
    let mails = fixture.mailbox.mails();
    let is_new = |mail: &&Rendered| mail.to.as_str() == to && !before.iter().any(|old| old.id == mail.id);
    mails.iter().find(is_new).unwrap_or_else(|| panic!("no mail to {to} since")).clone()
}

/// What a client says beforehand whose verifier is [`VERIFIER`].
pub fn challenge() -> Value {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    json!({ "code_challenge": challenge, "code_challenge_method": "s256" })
}

pub async fn exchange(fixture: &Fixture, code: &str, verifier: &str) -> Reply {
    let body = json!({ "auth_code": code, "code_verifier": verifier });
    post(fixture, "/token?grant_type=pkce", body).await
}

/// `body` with the members of `more`.
pub fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

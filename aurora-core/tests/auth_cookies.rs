//! Sessions in cookies, and what a foreign page makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_core::config::{Autoconfirm, CookieSessions};
use aurora_core::http::{Admitted, Peer, Rejection};
use aurora_core::load::Quota;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{ANON_KEY, Fixture, Options, PASSWORD, Reply, SERVICE_KEY};
use http::{HeaderMap, Request};
use serde_json::{Value, json};

const OWN: &str = "http://127.0.0.1:8080";
const SPA: &str = "https://spa.example.com";
const ACCESS: &str = "__Host-aurora-access";
const REFRESH: &str = "__Host-aurora-refresh";
const CSRF: &str = "__Host-aurora-csrf";
const PASSWORD_GRANT: &str = "/token?grant_type=password";
const REFRESH_GRANT: &str = "/token?grant_type=refresh_token";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn options() -> Options {
    let mut options = Options::default();
    options.settings.cookies = CookieSessions::On;
    options.settings.sign_ups.anonymous = true;
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.mail, options.limits.mail_to, options.limits.guesses) = (roomy, roomy, roomy);
    options
}

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

/// What a browser keeps for the site, and the page that its user looks at.
struct Browser<'a> {
    fixture: &'a Fixture,
    jar: Mutex<BTreeMap<String, String>>,
}

/// What a request says beside its cookies.
type Said<'a> = &'a [(&'a str, &'a str)];

const SAME_ORIGIN: Said<'static> = &[("sec-fetch-site", "same-origin"), ("origin", OWN)];

impl<'a> Browser<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        Self { fixture, jar: Mutex::default() }
    }

    fn with(fixture: &'a Fixture, jar: BTreeMap<String, String>) -> Self {
        Self { fixture, jar: Mutex::new(jar) }
    }

    fn jar(&self) -> BTreeMap<String, String> {
        self.jar.lock().unwrap().clone()
    }

    fn kept(&self, name: &str) -> String {
        self.jar().get(name).unwrap_or_else(|| panic!("no {name}")).clone()
    }

    fn keep(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Sends exactly these headers and the jar, and keeps what is set.
    async fn send(&self, method: &str, path: &str, said: Said<'_>, body: &Value) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/auth/v1{path}"))
            .header("host", "127.0.0.1:8080")
            .header("x-supabase-api-version", "2024-01-01");
        let cookies: Vec<String> = self.jar().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in said {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Vec::new()
        } else {
            request = request.header("content-type", "application/json");
            body.to_string().into_bytes()
        };
        let reply = self.fixture.send(request.body(body).unwrap(), "192.0.2.1").await;
        for (name, value, attributes) in set(&reply.headers) {
            if attributes.contains("Max-Age=0") {
                self.jar.lock().unwrap().remove(&name);
            } else {
                self.keep(&name, &value);
            }
        }
        reply
    }

    /// Asks for cookies, as the site's own page does.
    async fn ask(&self, path: &str, body: Value) -> Reply {
        let said = [SAME_ORIGIN, &[("x-aurora-session", "cookie")]].concat();
        self.send("POST", path, &said, &body).await
    }

    /// A change as the site's own page sends it.
    async fn change(&self, method: &str, path: &str, body: Value) -> Reply {
        let token = self.kept(CSRF);
        let said = [SAME_ORIGIN, &[("x-csrf-token", token.as_str())]].concat();
        self.send(method, path, &said, &body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("sec-fetch-site", "same-origin")], &Value::Null).await
    }

    async fn admit(&self, method: &str, said: Said<'_>) -> Result<Admitted, Rejection> {
        let mut request = Request::builder().method(method).uri("/notes").header("host", "127.0.0.1:8080");
        let cookies: Vec<String> = self.jar().iter().map(|(name, value)| format!("{name}={value}")).collect();
        request = request.header("cookie", cookies.join("; "));
        for (name, value) in said {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        self.fixture.http.admit(&head, Peer::from("192.0.2.1".parse::<IpAddr>().unwrap())).await
    }
}

/// Each `Set-Cookie`: name, value, attributes.
fn set(headers: &HeaderMap) -> Vec<(String, String, String)> {
    let lines = headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    lines
        .map(|line| {
            let (pair, attributes) = line.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned(), attributes.to_owned())
        })
        .collect()
}

fn is(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{}", reply.text);
}

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

async fn signed_in<'a>(fixture: &'a Fixture, email: &str) -> Browser<'a> {
    let browser = Browser::new(fixture);
    let reply = browser.ask("/signup", credentials(email)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    browser
}

/// All three cookies, no token for a script, nothing for a cache.
fn is_in_cookies(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    for member in ["access_token", "refresh_token"] {
        assert!(reply.json.get(member).is_none(), "{}", reply.text);
    }
    assert_eq!(reply.json["token_type"], "cookie");
    assert!(reply.json["user"]["id"].is_string() && reply.json["expires_at"].is_i64());
    assert_eq!(reply.headers["cache-control"], "no-store");
    let cookies = set(&reply.headers);
    let names: Vec<&str> = cookies.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, [ACCESS, REFRESH, CSRF]);
    for (name, value, attributes) in &cookies {
        let hidden = if name == CSRF { "" } else { " HttpOnly;" };
        assert_eq!(*attributes, format!("Path=/; Secure;{hidden} SameSite=Lax; Max-Age=2592000"), "{name}");
        assert!(!attributes.to_ascii_lowercase().contains("domain"));
        assert!(name.len() + value.len() < 4_096);
        assert_eq!(reply.text.contains(value.as_str()), name == CSRF, "{name}");
    }
    assert_eq!(reply.json["csrf_token"], cookies[2].1);
}

/// attack S07: where cookies are off, none is set and none is read.
#[tokio::test]
async fn off_by_default() {
    let fixture = Fixture::new().await;
    let browser = Browser::new(&fixture);
    is(&browser.ask("/signup", credentials("ann@example.com")).await, 400, "validation_failed");
    assert!(fixture.audit().await.is_empty(), "refused before anything happened");
    let session = fixture.sign_up("ann@example.com").await;
    assert!(!session.headers.contains_key("set-cookie"));
    browser.keep(ACCESS, &session.access());
    browser.keep(REFRESH, &session.refresh());
    is(&browser.get("/user").await, 401, "no_authorization");
    let reply = browser.send("POST", REFRESH_GRANT, SAME_ORIGIN, &Value::Null).await;
    is(&reply, 415, "unsupported_media_type");
    is(&browser.send("POST", "/logout", SAME_ORIGIN, &Value::Null).await, 401, "no_authorization");
    is(&fixture.call("GET", "/csrf", Some(&session.access()), Value::Null).await, 404, "not_found");
    let admitted = browser.admit("GET", &[]).await.unwrap();
    assert!(admitted.principal().user_id().is_none());
    assert!(!fixture.user(&session.access()).await.headers["vary"].to_str().unwrap().contains("cookie"));
}

/// attacks S02, S05, asvs(V3.3.1, V3.3.2, V3.3.3, V3.3.4, V3.3.5)
#[tokio::test]
async fn every_flow_that_gives_a_session_gives_it_in_cookies() {
    let mut options = options();
    options.settings.redirects.push("https://spa.example.com/**".to_owned());
    let fixture = Fixture::with(options).await;
    let browser = Browser::new(&fixture);
    is_in_cookies(&browser.ask("/signup", credentials("ann@example.com")).await);
    is_in_cookies(&browser.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    is_in_cookies(&browser.change("POST", REFRESH_GRANT, Value::Null).await);
    is_in_cookies(&Browser::new(&fixture).ask("/signup", json!({ "data": {} })).await);
    // A client that has tokens and becomes one that has none.
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let body = json!({ "refresh_token": session.refresh() });
    is_in_cookies(&Browser::new(&fixture).ask(REFRESH_GRANT, body).await);
    // A code that was typed.
    assert_eq!(browser.ask("/otp", json!({ "email": "ann@example.com" })).await.status, 200);
    fixture.send_mails().await;
    let code = fixture.mailbox.mails()[0].code.clone().unwrap();
    let body = json!({ "type": "email", "email": "ann@example.com", "token": code });
    is_in_cookies(&Browser::new(&fixture).ask("/verify", body).await);
    // A link with a challenge.
    fixture.advance(61);
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let body = json!({ "email": "ann@example.com", "code_challenge": challenge,
        "code_challenge_method": "s256" });
    assert_eq!(browser.ask("/otp", body).await.status, 200);
    fixture.send_mails().await;
    let link = fixture.mailbox.mails()[0].link.clone().unwrap();
    let path = link.strip_prefix(OWN).unwrap().strip_prefix("/auth/v1").unwrap().to_owned();
    let opened = browser.get(&path).await;
    assert!(!opened.headers.contains_key("set-cookie"), "a link that is opened signs nobody in");
    let place = opened.headers["location"].to_str().unwrap().to_owned();
    let code = place.split_once("code=").unwrap().1.to_owned();
    let body = json!({ "auth_code": code, "code_verifier": VERIFIER });
    is_in_cookies(&Browser::new(&fixture).ask("/token?grant_type=pkce", body).await);
    // Everybody else has tokens, as ever.
    let plain = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert!(!plain.access().is_empty() && !plain.headers.contains_key("set-cookie"));
}

/// A registration that waits for its mail gives no session, in cookies or not.
#[tokio::test]
async fn who_waits_for_a_mail_has_no_cookie() {
    let mut options = options();
    options.settings.sign_ups.autoconfirm = Autoconfirm::Off;
    let fixture = Fixture::with(options).await;
    let reply = Browser::new(&fixture).ask("/signup", credentials("ann@example.com")).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.headers.contains_key("set-cookie") && reply.json["confirmation_sent_at"].is_string());
}

/// How a foreign page's request looks, by what a browser says of it; and what is missing of the site's own.
fn forgeries(token: &str) -> Vec<(Vec<(&'static str, String)>, &'static str)> {
    let (origin, forged) = ("origin_not_allowed", "csrf_token_invalid");
    let with = |said: &[(&'static str, &str)], code| {
        let said: Vec<_> = said.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        (said, code)
    };
    let other = token.replace("csrf_", "csrf-");
    vec![
        // A form, a script in `no-cors`, a navigation: the cookie comes along where the browser is old.
        with(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")], origin),
        with(&[("sec-fetch-site", "cross-site"), ("origin", "null")], origin),
        with(&[("sec-fetch-site", "cross-site")], origin),
        with(&[("sec-fetch-site", "cross-site"), ("origin", OWN), ("x-csrf-token", token)], origin),
        // Another port, a sibling's subdomain.
        with(&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:9999")], origin),
        with(&[("sec-fetch-site", "same-site"), ("x-csrf-token", token)], origin),
        with(&[("sec-fetch-site", "none"), ("x-csrf-token", token)], origin),
        // An allowed origin, from another site.
        with(&[("sec-fetch-site", "cross-site"), ("origin", SPA), ("x-csrf-token", token)], origin),
        // A browser that says nothing of the site.
        with(&[("origin", "https://evil.test"), ("x-csrf-token", token)], origin),
        with(&[("origin", SPA), ("x-csrf-token", token)], origin),
        with(&[("x-csrf-token", token)], origin),
        with(&[], origin),
        with(&[("origin", OWN)], forged),
        // A script of the site's own that does not know the token.
        with(&[("sec-fetch-site", "same-origin"), ("origin", OWN)], forged),
        with(&[("sec-fetch-site", "same-origin"), ("x-csrf-token", "")], forged),
        with(&[("sec-fetch-site", "same-origin"), ("x-csrf-token", "csrf_")], forged),
        with(&[("sec-fetch-site", "same-origin"), ("x-csrf-token", &other)], forged),
        with(&[("sec-fetch-site", "same-origin"), ("x-csrf-token", &token[..token.len() - 1])], forged),
        with(&[("sec-fetch-site", "same-origin"), ("x-csrf-token", token), ("x-csrf-token", token)], forged),
    ]
}

/// attack S05, asvs(V3.5.1, V3.5.3): what a cookie signs changes nothing unless the site's own page asks, with its
/// session's token; on Aurora's routes and on the host's.
#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let id = browser.get("/user").await.user_id();
    let token = browser.kept(CSRF);
    let jar = browser.jar();
    let mut asked = 0;
    for (said, code) in forgeries(&token) {
        let said: Vec<(&str, &str)> = said.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let session = "/sessions/00000000-0000-4000-8000-000000000000";
        for (method, path, body) in [
            ("PUT", "/user", json!({ "data": { "name": "Eve" } })),
            ("POST", "/logout", Value::Null),
            ("DELETE", session, Value::Null),
            ("POST", REFRESH_GRANT, Value::Null),
            ("GET", "/reauthenticate", Value::Null),
        ] {
            let reply = browser.send(method, path, &said, &body).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (403, code), "{method} {path} {said:?}");
            assert!(!reply.headers.contains_key("set-cookie"), "{method} {path} {said:?}");
            asked += 1;
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "BREW"] {
            let refused = browser.admit(method, &said).await.unwrap_err();
            assert_eq!(refused.error().code().as_str(), code, "{method} {said:?}");
            assert_eq!(refused.into_response().status(), 403);
            asked += 1;
        }
    }
    println!("{asked} forged requests refused");
    assert_eq!(browser.jar(), jar, "nothing was rotated, nobody signed out");
    let user = browser.get("/user").await;
    assert!(user.json["user_metadata"].get("name").is_none());
    assert!(
        !fixture.audit().await.iter().any(|row| row.action == "token_refreshed" || row.action == "logout")
    );
    is(&browser.get("/logout").await, 405, "method_not_allowed");

    // The site's own page does all of it.
    let said = [SAME_ORIGIN, &[("x-csrf-token", token.as_str())]].concat();
    let admitted = browser.admit("POST", &said).await.unwrap();
    assert_eq!(admitted.user().unwrap().0.to_string(), id);
    assert!(!admitted.principal().reads_only());
    let without_metadata = [("origin", OWN), ("x-csrf-token", token.as_str())];
    assert!(browser.admit("POST", &without_metadata).await.is_ok());
    let changed = browser.change("PUT", "/user", json!({ "data": { "name": "Ann" } })).await;
    assert_eq!(changed.json["user_metadata"]["name"], "Ann");
    assert_eq!(browser.change("GET", "/reauthenticate", Value::Null).await.status, 200);
    assert_eq!(browser.change("POST", "/logout", Value::Null).await.status, 204);
}

/// asvs(V3.5.3): by GET a cookie reads, and nothing else; and no foreign script, image or frame reads as the user.
#[tokio::test]
async fn a_cookie_reads_by_get() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let link = |site: &'static str| vec![("sec-fetch-site", site), link[0], link[1]];
    for said in [
        vec![],
        vec![("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "none")],
        link("none"),
        link("cross-site"),
        link("same-site"),
    ] {
        let admitted = browser.admit("GET", &said).await.unwrap();
        assert!(admitted.principal().user_id().is_some() && admitted.principal().reads_only(), "{said:?}");
        assert_eq!(browser.send("GET", "/user", &said, &Value::Null).await.status, 200, "{said:?}");
        assert_eq!(browser.send("HEAD", "/sessions", &[], &Value::Null).await.status, 200);
    }
    let image = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    for said in [
        vec![("sec-fetch-site", "cross-site"), image[0], image[1]],
        vec![("sec-fetch-site", "same-site"), image[0], image[1]],
        vec![("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        vec![
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "websocket"),
            ("origin", "https://evil.test"),
        ],
        vec![("origin", "https://evil.test")],
        vec![("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:9999")],
    ] {
        let refused = browser.admit("GET", &said).await.unwrap_err();
        assert_eq!(refused.error().code().as_str(), "origin_not_allowed", "{said:?}");
        is(&browser.send("GET", "/user", &said, &Value::Null).await, 403, "origin_not_allowed");
    }
    let vary = browser.get("/user").await.headers.get_all("vary").iter().any(|vary| vary == "cookie");
    assert!(vary, "no cache gives it to somebody else");
}

/// Whoever sends a bearer token needs no token against forgeries, and their cookies say nothing.
#[tokio::test]
async fn a_bearer_token_and_a_cookie_never_mix() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let bob = fixture.sign_up("bob@example.com").await;
    let bearer = |token: &str| format!("Bearer {token}");
    let send = async |method: &str, path: &str, authorization: &str, body: Value| {
        browser.send(method, path, &[("authorization", authorization)], &body).await
    };
    let as_bob = bearer(&bob.access());
    assert_eq!(send("GET", "/user", &as_bob, Value::Null).await.user_id(), bob.user_id());
    let changed = send("PUT", "/user", &as_bob, json!({ "data": { "name": "Bob" } })).await;
    assert_eq!(changed.user_id(), bob.user_id());
    assert_eq!(
        browser.admit("POST", &[("authorization", &as_bob)]).await.unwrap().user().unwrap().0.to_string(),
        bob.user_id()
    );
    // A wrong one is refused, not replaced; an application's key is not a user.
    is(&send("GET", "/user", "Bearer a.b.c", Value::Null).await, 403, "bad_jwt");
    is(&send("GET", "/user", "Bearer ", Value::Null).await, 401, "no_authorization");
    is(&send("GET", "/user", "Basic YTpi", Value::Null).await, 401, "no_authorization");
    is(&send("GET", "/user", &bearer(ANON_KEY), Value::Null).await, 401, "no_authorization");
    is(&send("GET", "/user", &bearer(SERVICE_KEY), Value::Null).await, 401, "no_authorization");
    is(&send("POST", REFRESH_GRANT, &bearer(ANON_KEY), Value::Null).await, 400, "refresh_token_not_found");
    is(&send("POST", "/logout", "Bearer a.b.c", Value::Null).await, 403, "bad_jwt");
    assert!(browser.admit("GET", &[("authorization", "Bearer a.b.c")]).await.is_err());
    let anonymous = browser.admit("GET", &[("authorization", &bearer(ANON_KEY))]).await.unwrap();
    assert!(anonymous.principal().user_id().is_none());
    let service = browser.admit("POST", &[("apikey", SERVICE_KEY)]).await.unwrap();
    assert!(service.principal().user_id().is_none(), "a service's key is the service's");
    // An application's public key beside the cookie says which application, as ever.
    assert_eq!(browser.send("GET", "/user", &[("apikey", ANON_KEY)], &Value::Null).await.status, 200);
    is(
        &browser.send("GET", "/user", &[("apikey", "sb_publishable_x")], &Value::Null).await,
        401,
        "no_authorization",
    );
    // Nobody's cookies were touched.
    assert_eq!(browser.get("/user").await.json["email"], "ann@example.com");
}

/// attack S07, asvs(V3.5.1): no foreign page signs its visitor in as somebody else.
#[tokio::test]
async fn a_sign_in_is_not_forged() {
    let fixture = fixture().await;
    fixture.sign_up("eve@example.com").await;
    let before = fixture.audit().await.len();
    let cookie = ("x-aurora-session", "cookie");
    for said in [
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.test"), cookie],
        vec![("sec-fetch-site", "cross-site"), ("origin", SPA), cookie],
        vec![("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:9999"), cookie],
        vec![("sec-fetch-site", "none"), cookie],
        vec![("origin", "null"), cookie],
        vec![cookie],
    ] {
        let browser = Browser::new(&fixture);
        let reply = browser.send("POST", PASSWORD_GRANT, &said, &credentials("eve@example.com")).await;
        is(&reply, 403, "origin_not_allowed");
        assert!(browser.jar().is_empty(), "{said:?}");
    }
    let actions = fixture.actions_since(before).await;
    assert_eq!(actions, ["csrf_refused"], "one record a minute, and nobody signed in");
    // A form cannot ask for cookies at all, and one that asks for tokens gets no cookie.
    let form = [("content-type", "application/x-www-form-urlencoded"), SAME_ORIGIN[0], cookie];
    let browser = Browser::new(&fixture);
    is(&browser.send("POST", PASSWORD_GRANT, &form, &Value::Null).await, 415, "unsupported_media_type");
    for other in ["Cookie", "bearer", ""] {
        let said = [SAME_ORIGIN, &[("x-aurora-session", other)]].concat();
        let reply = browser.send("POST", PASSWORD_GRANT, &said, &credentials("eve@example.com")).await;
        is(&reply, 400, "validation_failed");
    }
    let twice = [SAME_ORIGIN, &[cookie, cookie]].concat();
    let reply = browser.send("POST", PASSWORD_GRANT, &twice, &credentials("eve@example.com")).await;
    is(&reply, 400, "validation_failed");
}

/// attack S01, asvs(V7.2.4): what was planted before a sign-in is gone after it, and what it opened has ended.
#[tokio::test]
async fn a_planted_session_does_not_survive_a_sign_in() {
    let fixture = fixture().await;
    let eve = signed_in(&fixture, "eve@example.com").await;
    fixture.sign_up("ann@example.com").await;
    let victim = Browser::with(&fixture, eve.jar());
    is_in_cookies(&victim.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    for name in [ACCESS, REFRESH, CSRF] {
        assert_ne!(victim.kept(name), eve.kept(name), "{name}");
    }
    assert_eq!(victim.get("/user").await.json["email"], "ann@example.com");
    is(&eve.get("/user").await, 403, "session_not_found");
    is(&eve.change("POST", REFRESH_GRANT, Value::Null).await, 400, "refresh_token_not_found");
    // The same person again: one session, a new one.
    let before = victim.jar();
    is_in_cookies(&victim.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    let former = Browser::with(&fixture, before);
    is(&former.get("/user").await, 403, "session_not_found");
    // Beside the one of the registration, which is another device's.
    let sessions = victim.get("/sessions").await;
    assert_eq!(sessions.json["sessions"].as_array().unwrap().len(), 2, "{}", sessions.text);
}

/// A token is one session's: not another user's, not another device's; the same in every tab and after a refresh.
#[tokio::test]
async fn a_token_is_of_its_session_only() {
    let fixture = fixture().await;
    let (ann, eve) =
        (signed_in(&fixture, "ann@example.com").await, signed_in(&fixture, "eve@example.com").await);
    let phone = Browser::new(&fixture);
    is_in_cookies(&phone.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    let own = ann.kept(CSRF);
    for other in [eve.kept(CSRF), phone.kept(CSRF)] {
        // Planted as a cookie and sent as a header, as far as a script of a subdomain might come.
        let victim = Browser::with(&fixture, ann.jar());
        victim.keep(CSRF, &other);
        is(&victim.change("PUT", "/user", json!({ "data": {} })).await, 403, "csrf_token_invalid");
        is(&victim.change("POST", REFRESH_GRANT, Value::Null).await, 403, "csrf_token_invalid");
        is(&victim.change("POST", "/logout", Value::Null).await, 403, "csrf_token_invalid");
    }
    is_in_cookies(&ann.change("POST", REFRESH_GRANT, Value::Null).await);
    assert_eq!(ann.kept(CSRF), own);
    let text = String::from_utf8_lossy(&fixture.copy()).into_owned();
    assert!(!text.contains(own.trim_start_matches("csrf_")), "it is in no copy of the database");
    let told = ann.get("/csrf").await;
    assert_eq!(told.json, json!({ "csrf_token": own }));
    assert_eq!(told.headers["cache-control"], "no-store");
}

/// attacks R01, R04: a refresh by cookie is a refresh, with its grace and its replay.
#[tokio::test]
async fn a_session_is_refreshed_by_its_cookie() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let first = browser.jar();
    fixture.advance(15 * 60 + 1);
    is(&browser.get("/user").await, 403, "bad_jwt");
    assert_eq!(browser.admit("GET", &[]).await.unwrap_err().into_response().status(), 401);
    assert_eq!(browser.get("/csrf").await.status, 200, "who has to refresh is told the token");
    // Two tabs at once, one of which loses the answer.
    let tab = Browser::with(&fixture, browser.jar());
    let (one, two) = tokio::join!(
        browser.change("POST", REFRESH_GRANT, Value::Null),
        tab.change("POST", REFRESH_GRANT, Value::Null)
    );
    is_in_cookies(&one);
    is_in_cookies(&two);
    assert_eq!(browser.kept(REFRESH), tab.kept(REFRESH));
    assert_eq!(browser.get("/user").await.status, 200);
    // Late, twice on, after the grace: a replay, which takes the cookies away.
    is_in_cookies(&browser.change("POST", REFRESH_GRANT, Value::Null).await);
    fixture.advance(11);
    let thief = Browser::with(&fixture, first);
    let reply = thief.change("POST", REFRESH_GRANT, Value::Null).await;
    is(&reply, 400, "refresh_token_already_used");
    assert!(thief.jar().is_empty(), "{:?}", thief.jar());
    is(&browser.get("/user").await, 403, "session_not_found");
    let reply = browser.change("POST", REFRESH_GRANT, Value::Null).await;
    is(&reply, 400, "refresh_token_not_found");
    assert!(browser.jar().is_empty());
    let nobody = browser.send("POST", REFRESH_GRANT, SAME_ORIGIN, &Value::Null).await;
    is(&nobody, 400, "refresh_token_not_found");
    assert!(!nobody.headers.contains_key("set-cookie"));
}

/// A refresh that fails for a while takes nothing away.
#[tokio::test]
async fn an_overload_signs_nobody_out() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    let reply = browser.change("POST", REFRESH_GRANT, Value::Null).await;
    assert_eq!(reply.status, 500);
    assert!(!reply.headers.contains_key("set-cookie"));
    fixture.execute("ALTER TABLE gone RENAME TO aurora_audit").await;
    is_in_cookies(&browser.change("POST", REFRESH_GRANT, Value::Null).await);
}

/// attack S04, asvs(V7.4.1): a cookie that was used after its sign-out opens nothing; and signing out always works.
#[tokio::test]
async fn signing_out_ends_the_session_and_takes_the_cookies() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let other = Browser::new(&fixture);
    is_in_cookies(&other.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    let stolen = Browser::with(&fixture, browser.jar());
    let reply = browser.change("POST", "/logout?scope=others", Value::Null).await;
    assert_eq!(reply.status, 204);
    assert_eq!(browser.jar().len(), 3, "the session that asks goes on");
    is(&other.get("/user").await, 403, "session_not_found");
    let reply = browser.change("POST", "/logout?scope=local", Value::Null).await;
    assert_eq!(reply.status, 204);
    assert!(browser.jar().is_empty());
    let attributes: Vec<String> =
        set(&reply.headers).into_iter().map(|(.., attributes)| attributes).collect();
    assert!(attributes.iter().all(|one| one.starts_with("Path=/; Secure;") && one.ends_with("Max-Age=0")));
    is(&stolen.get("/user").await, 403, "session_not_found");
    assert_eq!(stolen.admit("GET", &[]).await.unwrap_err().into_response().status(), 401);
    is(&stolen.change("POST", REFRESH_GRANT, Value::Null).await, 400, "refresh_token_not_found");
    // Again, by whoever still has cookies of a session that is over: they go.
    let reply = other.change("POST", "/logout", Value::Null).await;
    assert_eq!(reply.status, 204);
    assert!(other.jar().is_empty());
    is(&other.send("POST", "/logout", SAME_ORIGIN, &Value::Null).await, 401, "no_authorization");

    // After a month away, with an access token that no key verifies any more.
    let late = Browser::new(&fixture);
    is_in_cookies(&late.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    let twin = Browser::with(&fixture, late.jar());
    fixture.advance(86_400);
    late.keep(ACCESS, "a.b.c");
    assert_eq!(late.change("POST", "/logout?scope=local", Value::Null).await.status, 204);
    assert!(late.jar().is_empty());
    is(&twin.change("POST", REFRESH_GRANT, Value::Null).await, 400, "refresh_token_not_found");
}

/// attack V03, asvs(V15.3.7)
#[tokio::test]
async fn odd_cookies_open_nothing() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let access = browser.kept(ACCESS);
    let send = async |lines: &[Vec<u8>]| {
        let mut request = Request::get("/auth/v1/user").header("x-supabase-api-version", "2024-01-01");
        for line in lines {
            request = request.header("cookie", line.as_slice());
        }
        fixture.send(request.body(Vec::new()).unwrap(), "192.0.2.1").await
    };
    let of = |text: String| vec![text.into_bytes()];
    let right = send(&of(format!("theme=dark; {ACCESS}={access}; x=\"1\""))).await;
    assert_eq!(right.status, 200, "{}", right.text);
    // HTTP/2 sends a cookie each.
    let two = [b"theme=dark".to_vec(), format!("{ACCESS}={access}").into_bytes()];
    assert_eq!(send(&two).await.status, 200);
    let foreign = [&b"\xff\xfe=\x80; "[..], ACCESS.as_bytes(), b"=", access.as_bytes()].concat();
    assert_eq!(send(&[foreign]).await.status, 200, "another one's cookies may be what they like");
    for (name, lines) in [
        ("twice", of(format!("{ACCESS}={access}; {ACCESS}={access}"))),
        ("a planted one first", of(format!("{ACCESS}=x; {ACCESS}={access}"))),
        ("in two headers", vec![format!("{ACCESS}={access}").into(), format!("{ACCESS}={access}").into()]),
    ] {
        let reply = send(&lines).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "validation_failed"), "{name}");
        assert!(!reply.text.contains(&access));
    }
    let (head, signature) = access.rsplit_once('.').unwrap();
    for (name, value) in [
        ("quoted", format!("\"{access}\"")),
        ("escaped", access.replace('.', "%2E")),
        ("cut", access[..access.len() - 2].to_owned()),
        ("padded", format!("{access}=")),
        ("bad base64", format!("{head}.{}", "!".repeat(signature.len()))),
        ("not base64url", format!("{head}.{}", "+/".repeat(signature.len() / 2))),
        ("empty", String::new()),
        ("a refresh token", browser.kept(REFRESH)),
        ("a token against forgeries", browser.kept(CSRF)),
        ("5 KB", "x".repeat(5_000)),
        ("64 KB", format!("{access}{}", "A".repeat(65_536))),
    ] {
        let reply = send(&of(format!("{ACCESS}={value}"))).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (403, "bad_jwt"), "{name}");
    }
    let unreadable = [ACCESS.as_bytes(), b"=\xff\xfe"].concat();
    assert_eq!(send(&[unreadable]).await.code(), "bad_jwt");
    for other in [
        format!("__host-aurora-access={access}"),
        format!("aurora-access={access}"),
        format!("__Secure-aurora-access={access}"),
        format!("{ACCESS} ={access}"),
        format!("={ACCESS}={access}"),
        format!("$Version=1; {ACCESS}x={access}"),
        ACCESS.to_owned(),
    ] {
        let reply = send(&of(other.clone())).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "no_authorization"), "{other}");
    }
    let many = (0..2_000).map(|n| format!("c{n}=x")).collect::<Vec<_>>().join("; ");
    assert_eq!(send(&of(format!("{many}; {ACCESS}={access}"))).await.status, 200);
    // The refresh cookie alone opens nothing, wherever it is put.
    let refresh = Browser::new(&fixture);
    refresh.keep(REFRESH, &browser.kept(REFRESH));
    is(&refresh.get("/user").await, 401, "no_authorization");
    for value in ["garbage", "", "\"art_x\""] {
        refresh.keep(REFRESH, value);
        let reply = refresh.send("POST", REFRESH_GRANT, SAME_ORIGIN, &Value::Null).await;
        is(&reply, 400, "refresh_token_not_found");
    }
}

/// attack S08, asvs(V3.4.2): an allowed origin of the same site may have its cookies; no other may.
#[tokio::test]
async fn an_allowed_origin_of_the_same_site() {
    let fixture = fixture().await;
    let browser = Browser::new(&fixture);
    let spa = [("sec-fetch-site", "same-site"), ("origin", SPA)];
    let said = [&spa[..], &[("x-aurora-session", "cookie")]].concat();
    let reply = browser.send("POST", "/signup", &said, &credentials("ann@example.com")).await;
    is_in_cookies(&reply);
    assert_eq!(reply.headers["access-control-allow-origin"], SPA);
    assert_eq!(reply.headers["access-control-allow-credentials"], "true");
    // It cannot read the cookie, and asks.
    let told = browser.send("GET", "/csrf", &spa, &Value::Null).await;
    let token = told.json["csrf_token"].as_str().unwrap().to_owned();
    let said = [&spa[..], &[("x-csrf-token", token.as_str())]].concat();
    assert_eq!(browser.send("PUT", "/user", &said, &json!({ "data": {} })).await.status, 200);
    assert!(browser.admit("POST", &said).await.is_ok());
    for origin in ["null", "https://evil.test", "https://spa.example.com.evil.test", "http://spa.example.com"]
    {
        for site in ["same-site", "cross-site", "same-origin"] {
            let said = [("sec-fetch-site", site), ("origin", origin), ("x-csrf-token", token.as_str())];
            let reply = browser.send("PUT", "/user", &said, &json!({ "data": {} })).await;
            is(&reply, 403, "origin_not_allowed");
            for header in ["access-control-allow-origin", "access-control-allow-credentials"] {
                assert!(!reply.headers.contains_key(header), "{origin}");
            }
        }
        let ask = [("origin", origin), ("access-control-request-method", "POST")];
        let reply = browser.send("OPTIONS", "/token", &ask, &Value::Null).await;
        assert_eq!(reply.status, 403);
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    }
    let ask = [
        ("origin", SPA),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-aurora-session"),
    ];
    let reply = browser.send("OPTIONS", "/token", &ask, &Value::Null).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.headers["access-control-allow-credentials"], "true");
}

/// asvs(V16.3.3): a forged request leaves a record, once an address and minute, and none of its secrets.
#[tokio::test]
async fn forgeries_are_recorded() {
    let fixture = Arc::new(fixture().await);
    let browser = signed_in(&fixture, "ann@example.com").await;
    let id = browser.get("/user").await.user_id();
    let before = fixture.audit().await.len();
    let forged = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")];
    for _ in 0..5 {
        browser.send("PUT", "/user?x=secret-in-the-query", &forged, &json!({})).await;
        browser.admit("POST", &forged).await.unwrap_err();
    }
    let rows = fixture.audit().await.split_off(before);
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!((row.action.as_str(), row.kind.as_str()), ("csrf_refused", "security"));
    assert!(row.actor.contains(&id), "{row:?}");
    assert!(row.target.is_some() && row.request.is_some());
    let text = row.payload.to_string();
    for (name, value) in [
        ("route", "/auth/v1/user"),
        ("origin", "https://evil.test"),
        ("site", "cross-site"),
        ("code", "origin_not_allowed"),
        ("address", "192.0.2.1"),
    ] {
        assert_eq!(row.payload[name], value, "{text}");
    }
    assert!(!text.contains("secret-in-the-query") && !text.contains("eyJ") && !text.contains("art_"));
    fixture.advance(60);
    browser.admit("DELETE", SAME_ORIGIN).await.unwrap_err();
    let row = fixture.audit().await.pop().unwrap();
    assert_eq!(
        (row.payload["route"].as_str(), row.payload["code"].as_str()),
        (Some("/notes"), Some("csrf_token_invalid"))
    );
    // No record, no answer that passes for one: and the change is refused all the same.
    fixture.advance(60);
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    assert_eq!(browser.send("PUT", "/user", &forged, &json!({})).await.status, 500);
    fixture.execute("ALTER TABLE gone RENAME TO aurora_audit").await;
    let user = browser.get("/user").await;
    assert_eq!(user.status, 200);
}

/// asvs(V3.3.5): what no cookie could carry is refused where it is written, so that no sign-in fails of it.
#[tokio::test]
async fn metadata_fits_a_cookie() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let data = |length: usize| json!({ "data": { "note": "x".repeat(length) } });
    let mut fits = 0;
    for length in [500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500] {
        let reply = browser.change("PUT", "/user", data(length)).await;
        if reply.status != 200 {
            is(&reply, 400, "validation_failed");
            continue;
        }
        fits = length;
        let reply = browser.change("POST", REFRESH_GRANT, Value::Null).await;
        is_in_cookies(&reply);
    }
    println!("the longest note that fits a cookie: {fits} characters and more");
    assert!((1_000..3_000).contains(&fits), "{fits}");
}

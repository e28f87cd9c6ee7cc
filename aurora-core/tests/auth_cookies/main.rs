//! Sessions in cookies, and what a foreign page makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod flows;
mod forging;
mod living;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use aurora_core::config::CookieSessions;
use aurora_core::http::{Admitted, Peer, Rejection};
use aurora_core::load::Quota;
use http::{HeaderMap, Request};
use serde_json::{Value, json};

use common::{Fixture, Options, PASSWORD, Reply};

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

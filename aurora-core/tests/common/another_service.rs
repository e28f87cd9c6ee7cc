//! A service that signs people in, and what another one that only verifies answers: alike on every adapter.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failing fixture fails the test"
)]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::cell::Cell;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aurora_core::config::Profile;
use aurora_core::env::{Clock, ManualClock, SystemClock};
use aurora_core::http::{Admitted, Peer};
use aurora_core::session::token::Verifier;
use aurora_core::testing::{TestClient, TestUser};
use aurora_core::types::{Error, Secret, Timestamp};
use aurora_core::verify::{Claims, Current};
use aurora_core::{Aurora, Database};
use http::Request;
use serde_json::{Value, json};

use super::project;

const HEADER: &str = r#"{"alg":"ES256","kid":"project-ec","typ":"JWT"}"#;
const PEER: [u8; 4] = [192, 0, 2, 7];

thread_local! {
    /// How often a handler was reached. Each test has a thread of its own, and its handlers run on it.
    static REACHED: Cell<usize> = const { Cell::new(0) };
}

/// What `GET /me` of the other service answers.
pub fn me(user: &Current<Claims>) -> String {
    REACHED.set(REACHED.get() + 1);
    let who = user.principal();
    json!({
        "id": user.id(), "session": user.session(), "email": user.claims().email, "aal": user.claims().aal,
        "role": who.role().as_str(), "assurance": who.assurance().as_str(),
        "may": who.has_permission("notes.delete"),
    })
    .to_string()
}

/// What `GET /issuer` reads.
#[derive(serde::Deserialize)]
pub struct Issued {
    pub iss: String,
}

/// What `GET /misfit` reads: no token says so.
#[derive(serde::Deserialize)]
pub struct Misfit {
    #[serde(rename = "email")]
    pub _email: u8,
}

/// What `GET /fails` fails with.
pub fn failure() -> Error {
    Error::internal("the disk is on fire")
}

/// A request by GET.
pub struct Ask {
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
}

impl Ask {
    pub fn new(path: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { path: path.to_owned(), headers }
    }

    fn me(token: &str) -> Self {
        Self::new("/me", &[("authorization", &format!("Bearer {token}"))])
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }
}

/// Who signs people in, over a scratch SQLite file, by a key that the tests know.
pub struct Issuer {
    aurora: Aurora,
    away: Arc<AtomicBool>,
    folder: PathBuf,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Issuer {
    pub async fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("aurora-issuer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite://{}", folder.join("app.db").display());
        let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
        let aurora = builder.jwt_keys(Secret::from(project::EC)).build().await.unwrap();
        Self { aurora, away: Arc::default(), folder }
    }

    fn name(&self) -> String {
        self.aurora.auth().settings().issuer()
    }

    async fn sign_in(&self, email: &str) -> TestUser {
        TestClient::new(&self.aurora).sign_in(email).await.unwrap()
    }

    /// Verifies its tokens by the key set that it answers.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.verifier_of(&self.name(), Arc::new(SystemClock))
    }

    fn verifier_of(&self, issuer: &str, clock: Arc<dyn Clock>) -> Arc<Verifier> {
        let (aurora, away) = (self.aurora.clone(), Arc::clone(&self.away));
        let fetch = move || {
            let (aurora, away) = (aurora.clone(), Arc::clone(&away));
            async move {
                if away.load(Ordering::SeqCst) {
                    return Err(std::io::Error::other("away"));
                }
                let (status, body) = call(&aurora, "GET", "/.well-known/jwks.json", None).await;
                assert_eq!(status, 200);
                Ok(body)
            }
        };
        Arc::new(Verifier::new(issuer, clock, fetch).unwrap())
    }
}

async fn call(aurora: &Aurora, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(format!("/auth/v1{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Vec::new()).unwrap();
    let response = aurora.http().call(request, Peer::from(IpAddr::from(PEER))).await;
    (response.status().as_u16(), String::from_utf8(response.into_body()).unwrap())
}

/// The user, their claims and what they are of reach the handler.
pub async fn a_good_token_passes(ask: impl AsyncFn(Arc<Verifier>, Ask) -> Answer) {
    let issuer = Issuer::start().await;
    let ann = issuer.sign_in("ann@example.com").await;
    let (verifier, token) = (issuer.verifier(), ann.token().expose());
    let me = ask(Arc::clone(&verifier), Ask::me(token)).await;
    let session = &project::part(token, 1)["session_id"];
    let expected = json!({
        "id": ann.user(), "session": session, "email": "ann@example.com", "aal": "aal1",
        "role": "authenticated", "assurance": "aal1", "may": false,
    });
    assert_eq!((me.status, me.json()), (200, expected));
    assert_eq!(me.header("x-request-id").len(), 36);
    let bearer = format!("bEARER {token}");
    let own = ask(verifier, Ask::new("/issuer", &[("authorization", &bearer)])).await;
    assert_eq!((own.status, own.body), (200, issuer.name()));
}

/// Tokens of the issuer's own key that it would not issue, or not for this.
fn tampered(good: &Value, key_set: &str) -> Vec<(&'static str, String)> {
    let header: Value = serde_json::from_str(HEADER).unwrap();
    let with = |changes: Value| {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let now = SystemClock.now().as_seconds();
    let application = |role: &str| json!({ "iss": good["iss"], "role": role, "iat": now, "exp": now + 600 });
    let mut tokens: Vec<(&str, String)> = [
        ("another issuer's", with(json!({ "iss": "https://other.example.com/auth/v1" }))),
        ("for another audience", with(json!({ "aud": "other" }))),
        ("expired", with(json!({ "iat": now - 2_000, "exp": now - 1_000 }))),
        ("of tomorrow", with(json!({ "iat": now + 86_400, "exp": now + 87_000 }))),
        ("for ten years", with(json!({ "exp": now + 315_360_000 }))),
        ("a person as the service", with(json!({ "role": "service_role" }))),
        ("a person as anon", with(json!({ "role": "anon" }))),
        ("an application, anon", application("anon")),
        ("an application, the service", application("service_role")),
    ]
    .into_iter()
    .map(|(what, claims)| (what, project::es256(&header, &claims)))
    .collect();
    let encode = |value: &Value| project::encode(value.to_string());
    let none = json!({ "alg": "none", "kid": "project-ec", "typ": "JWT" });
    tokens.push(("unsigned", format!("{}.{}.", encode(&none), encode(good))));
    let hs256 = json!({ "alg": "HS256", "kid": "project-ec", "typ": "JWT" });
    tokens.push(("signed by the public key", project::hs256(&hs256, good, key_set.as_bytes())));
    tokens.push(("a project's anon key", project::legacy("anon")));
    tokens.push(("a project's service key", project::legacy("service_role")));
    tokens.push(("no token", "x.y.z".to_owned()));
    tokens.push(("an opaque key", "sb_secret_Zk3mTq8vX1yB7nLp2HsUf9_hT4cWq0x".to_owned()));
    tokens
}

/// Requests without a token where one counts.
fn without_token(good: &str) -> Vec<(&'static str, Ask)> {
    let bearer = format!("Bearer {good}");
    let mut asks = vec![
        ("nothing", Ask::new("/me", &[])),
        ("a path that does not exist", Ask::new("/nowhere", &[])),
        ("two tokens", Ask::new("/me", &[("authorization", &bearer), ("authorization", &bearer)])),
        ("in the query", Ask::new(&format!("/me?access_token={good}&token={good}&apikey={good}"), &[])),
        ("as a key", Ask::new("/me", &[("apikey", good)])),
        ("in a cookie", Ask::new("/me", &[("cookie", &format!("sb-access-token={good}"))])),
        ("for a proxy", Ask::new("/me", &[("proxy-authorization", &bearer)])),
    ];
    for value in ["Basic YTpi", "Bearer", "Bearer ", good, &format!("Token {good}"), ""] {
        asks.push(("another scheme", Ask::new("/me", &[("authorization", value)])));
    }
    asks
}

/// Nothing but a token that verifies opens anything, and each refusal has the issuer's own shape and code.
pub async fn everything_else_is_refused(ask: impl AsyncFn(Arc<Verifier>, Ask) -> Answer) {
    let issuer = Issuer::start().await;
    let ann = issuer.sign_in("ann@example.com").await;
    let (verifier, good) = (issuer.verifier(), ann.token().expose());
    let claims = project::part(good, 1);
    let again = project::es256(&serde_json::from_str(HEADER).unwrap(), &claims);
    assert_eq!(
        ask(Arc::clone(&verifier), Ask::me(&again)).await.status,
        200,
        "what follows would prove nothing"
    );

    let key_set = issuer.aurora.auth().jwks_json();
    let wrong =
        tampered(&claims, &key_set).into_iter().map(|(what, token)| (what, Ask::me(&token), "bad_jwt"));
    let none = without_token(good).into_iter().map(|(what, ask)| (what, ask, "no_authorization"));
    let (mut tried, reached) = (0, REACHED.get());
    for (what, request, code) in wrong.chain(none) {
        let mut newer = Ask { path: request.path.clone(), headers: request.headers.clone() };
        newer.headers.push(("x-supabase-api-version", "2024-01-01".to_owned()));
        let old = ask(Arc::clone(&verifier), request).await;
        let new = ask(Arc::clone(&verifier), newer).await;
        for answer in [&old, &new] {
            assert_eq!((answer.status, answer.header("x-sb-error-code")), (401, code), "{what}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
            assert_eq!(answer.header("cache-control"), "no-store", "{what}");
            assert_eq!(answer.header("x-request-id").len(), 36, "{what}");
        }
        let (old, new) = (old.json(), new.json());
        assert_eq!((&old["code"], &old["error_code"]), (&json!(401), &json!(code)), "{what}");
        assert_eq!((&new["code"], &new["message"]), (&json!(code), &old["msg"]), "{what}");
        assert_eq!((old.as_object().unwrap().len(), new.as_object().unwrap().len()), (3, 2), "{what}");
        tried += 1;
    }
    assert_eq!(REACHED.get(), reached, "a handler was reached");
    println!("{tried} requests without a token that verifies: all 401");

    // As the issuer's own lock has it.
    let head = Request::get("/me").header("x-supabase-api-version", "2024-01-01").body(()).unwrap();
    let admitted = issuer.aurora.http().admit(&head.into_parts().0, Peer::from(IpAddr::from(PEER))).await;
    let own = admitted.and_then(Admitted::locked).unwrap_err();
    let nothing = ask(verifier, Ask::new("/me", &[])).await;
    assert_eq!(
        (own.error().status().as_u16(), json!(own.error().message())),
        (401, nothing.json()["msg"].clone())
    );

    // The clock decides to the second, half a minute after `exp`.
    let exp = claims["exp"].as_i64().unwrap();
    for (after, status) in [(29, 200), (30, 401)] {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(exp + after)));
        let answer = ask(issuer.verifier_of(&issuer.name(), clock), Ask::me(good)).await;
        assert_eq!(answer.status, status, "{after} s after `exp`");
    }
    let other = issuer.verifier_of("https://other.example.com/auth/v1", Arc::new(SystemClock));
    assert_eq!(ask(other, Ask::me(good)).await.status, 401, "for another issuer");
}

/// Without a key set nobody passes, and nobody is told that their token is wrong; a set that was had goes on.
pub async fn without_a_key_set_nobody_passes(ask: impl AsyncFn(Arc<Verifier>, Ask) -> Answer) {
    let issuer = Issuer::start().await;
    let ann = issuer.sign_in("ann@example.com").await;
    let token = ann.token().expose();
    issuer.away.store(true, Ordering::SeqCst);
    let reached = REACHED.get();
    let verifier = issuer.verifier();
    let told = ask(Arc::clone(&verifier), Ask::me(token)).await;
    assert_eq!((told.status, told.header("x-sb-error-code")), (503, "over_capacity"), "{}", told.body);
    assert_eq!((told.header("retry-after"), told.header("www-authenticate")), ("5", ""));
    assert_eq!(told.json()["error_id"], told.header("x-request-id"));
    assert!(!told.body.contains("away"), "{}", told.body);
    assert_eq!(ask(verifier, Ask::new("/me", &[])).await.status, 401, "who shows no token needs no key");
    assert_eq!(REACHED.get(), reached);

    issuer.away.store(false, Ordering::SeqCst);
    let verifier = issuer.verifier();
    assert_eq!(ask(Arc::clone(&verifier), Ask::me(token)).await.status, 200);
    issuer.away.store(true, Ordering::SeqCst);
    assert_eq!(ask(verifier, Ask::me(token)).await.status, 200, "the set is kept");
}

/// The bound of a sign-out is the token's `exp`, as the guide says.
pub async fn a_sign_out_is_not_seen(ask: impl AsyncFn(Arc<Verifier>, Ask) -> Answer) {
    let issuer = Issuer::start().await;
    let ann = issuer.sign_in("ann@example.com").await;
    let (verifier, token) = (issuer.verifier(), ann.token().expose());
    assert_eq!(call(&issuer.aurora, "POST", "/logout", Some(token)).await.0, 204);
    let (status, body) = call(&issuer.aurora, "GET", "/user", Some(token)).await;
    assert!(status == 403 && body.contains("session_not_found"), "whoever cannot wait asks: {status} {body}");
    assert_eq!(ask(verifier, Ask::me(token)).await.status, 200);
}

/// What handlers fail with, and that one panics, is told in the issuer's shape, and no cause of it.
pub async fn failures_keep_their_shape(ask: impl AsyncFn(Arc<Verifier>, Ask) -> Answer) {
    let issuer = Issuer::start().await;
    let ann = issuer.sign_in("ann@example.com").await;
    let (verifier, bearer) = (issuer.verifier(), ann.authorization());
    for path in ["/fails", "/panics", "/misfit"] {
        let told = ask(Arc::clone(&verifier), Ask::new(path, &[("authorization", &bearer)])).await;
        assert_eq!((told.status, told.header("x-sb-error-code")), (500, "unexpected_failure"), "{path}");
        let (body, id) = (told.json(), told.header("x-request-id"));
        assert_eq!((&body["code"], &body["msg"]), (&json!(500), &json!("Internal server error")), "{path}");
        assert_eq!((id.len(), &body["error_id"]), (36, &json!(id)), "{path}");
        assert!(!id.starts_with("00000000") && !told.body.contains("fire"), "{path}: {}", told.body);
    }
}

//! Without randomness nothing is made: no link, code, factor, key or token, and nothing half.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod common;
#[path = "common/dump.rs"]
mod dump;
#[path = "common/totp.rs"]
mod totp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aurora_core::auth::NewApiKey;
use aurora_core::env::{Entropy, SystemEntropy};
use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::session::{ApiKeyKind, ApiScope};
use aurora_core::types::{Code, Error, Result};
use common::mailed::{
    VERIFIER, challenge, confirmed, location, mail, open, options, parameter, post, token, with,
};
use common::{Fixture, PASSWORD, Reply, SERVICE_KEY};
use dump::values;
use serde_json::{Value, json};

/// Randomness that can be taken away.
#[derive(Debug, Default)]
struct Dry(AtomicBool);

impl Entropy for Dry {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::overloaded(1));
        }
        SystemEntropy.fill(bytes)
    }
}

/// A request, and who sends it.
struct Ask {
    method: &'static str,
    path: String,
    token: Option<String>,
    body: Value,
}

fn ask(path: impl Into<String>, token: Option<&str>, body: Value) -> Ask {
    Ask { method: "POST", path: path.into(), token: token.map(str::to_owned), body }
}

async fn send(fixture: &Fixture, ask: &Ask) -> Reply {
    fixture.call(ask.method, &ask.path, ask.token.as_deref(), ask.body.clone()).await
}

/// Somebody with a factor, raised, with recovery codes; and a session beside it that is not raised.
async fn raised(fixture: &Fixture, email: &str) -> (String, String, String, String) {
    let first = confirmed(fixture, email).await.access();
    let call = async |path: String, token: &str, body| fixture.call("POST", &path, Some(token), body).await;
    let enrolled = call("/factors".to_owned(), &first, json!({ "factor_type": "totp" })).await.json;
    let (id, seed) = (enrolled["id"].as_str().unwrap(), enrolled["totp"]["secret"].as_str().unwrap());
    let asked = call(format!("/factors/{id}/challenge"), &first, json!({})).await.json;
    let code = totp::code_at(seed, fixture.now().as_seconds());
    let answer = json!({ "challenge_id": asked["id"], "code": code });
    let token = call(format!("/factors/{id}/verify"), &first, answer).await.access();
    let told = call("/factors/recovery-codes".to_owned(), &token, json!({})).await.json;
    let code = told["codes"][0].as_str().unwrap().to_owned();
    (token, id.to_owned(), seed.to_owned(), code)
}

/// What is asked for, each of it good.
async fn asks(fixture: &Fixture) -> Vec<Ask> {
    let ann = confirmed(fixture, "ann@example.com").await;
    confirmed(fixture, "ben@example.com").await;
    fixture.sign_up("cyd@example.com").await;
    // Links and codes that wait.
    confirmed(fixture, "dan@example.com").await;
    post(fixture, "/otp", json!({ "email": "dan@example.com" })).await;
    let code = mail(fixture, Kind::MagicLink, "dan@example.com").await.code.unwrap();
    confirmed(fixture, "eve@example.com").await;
    post(fixture, "/recover", json!({ "email": "eve@example.com" })).await;
    let link = token(&mail(fixture, Kind::Recovery, "eve@example.com").await);
    confirmed(fixture, "fay@example.com").await;
    post(fixture, "/recover", with(json!({ "email": "fay@example.com" }), challenge())).await;
    let wait = mail(fixture, Kind::Recovery, "fay@example.com").await.link.unwrap();
    let exchange = parameter(&location(&open(fixture, &wait).await), "code");
    // Factors that count. Each answer is a session's own.
    let (gus, ..) = raised(fixture, "gus@example.com").await;
    let (hal_raised, factor, seed, _) = raised(fixture, "hal@example.com").await;
    let hal = fixture.sign_in("hal@example.com", PASSWORD).await;
    let (_, _, _, recovery) = raised(fixture, "ida@example.com").await;
    let ida = fixture.sign_in("ida@example.com", PASSWORD).await;
    fixture.advance(60);
    let asked =
        fixture.call("POST", &format!("/factors/{factor}/challenge"), Some(&hal.access()), json!({})).await;
    let totp = totp::code_at(&seed, fixture.now().as_seconds());
    let (ann, service) = (ann.access(), Some(SERVICE_KEY));
    let address = |name: &str| json!({ "email": format!("{name}@example.com") });
    let mut all = vec![
        ask("/signup", None, json!({ "email": "new@example.com", "password": PASSWORD })),
        ask("/signup", None, json!({})),
        ask("/otp", None, address("ben")),
        ask("/otp", None, address("newer")),
        ask("/recover", None, address("ben")),
        ask("/resend", None, with(address("cyd"), json!({ "type": "signup" }))),
        ask("/verify", None, with(address("dan"), json!({ "type": "magiclink", "token": code }))),
        ask("/verify", None, json!({ "type": "recovery", "token_hash": link })),
        ask("/token?grant_type=pkce", None, json!({ "auth_code": exchange, "code_verifier": VERIFIER })),
        ask("/invite", service, address("jon")),
        ask("/admin/generate_link", service, with(address("ben"), json!({ "type": "magiclink" }))),
        ask("/admin/users", service, with(address("kim"), json!({ "password": PASSWORD }))),
        ask("/factors", Some(&ann), json!({ "factor_type": "totp" })),
        ask(format!("/factors/{factor}/challenge"), Some(&hal_raised), json!({})),
        ask(
            format!("/factors/{factor}/verify"),
            Some(&hal.access()),
            json!({ "challenge_id": asked.json["id"], "code": totp }),
        ),
        ask("/factors/recovery-codes/regenerate", Some(&gus), json!({})),
        ask("/factors/recovery-codes/verify", Some(&ida.access()), json!({ "code": recovery })),
    ];
    let put = |body| Ask { method: "PUT", path: "/user".to_owned(), token: Some(ann.clone()), body };
    all.push(Ask {
        method: "GET",
        path: "/reauthenticate".to_owned(),
        token: Some(ann.clone()),
        body: Value::Null,
    });
    all.push(put(json!({ "email": "other@example.com" })));
    all.push(put(json!({ "password": "a brand new one" })));
    all
}

/// attack S11, asvs(V11.5.1), fault K24: each request that makes something unguessable is 503 and changes no value of
/// any table while there is no randomness, and works once there is.
#[tokio::test]
async fn without_randomness_no_link_code_factor_or_key_is_made() {
    let entropy = Arc::new(Dry::default());
    let mut options = options();
    options.entropy = entropy.clone();
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    options.limits.factor = roomy;
    let fixture = Fixture::with(options).await;
    let asks = asks(&fixture).await;
    fixture.send_mails().await;
    let dry = |dry: bool| entropy.0.store(dry, Ordering::SeqCst);
    let secret =
        || NewApiKey { kind: ApiKeyKind::Secret, name: "nightly".to_owned(), scopes: vec![ApiScope::Data] };
    let before = values(&fixture).await;
    dry(true);
    for ask in &asks {
        let reply = send(&fixture, ask).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (503, "over_capacity"),
            "{} {}: {}",
            ask.method,
            ask.path,
            reply.text
        );
        assert!(reply.headers.contains_key("retry-after"), "{}", ask.path);
    }
    let auth = &fixture.auth;
    assert_eq!(auth.create_api_key(secret()).await.unwrap_err().code(), Code::OverCapacity);
    assert_eq!(auth.prepare_signing_key().await.unwrap_err().code(), Code::OverCapacity);
    assert_eq!(auth.rotate_signing_key().await.unwrap_err().code(), Code::OverCapacity);
    let after = values(&fixture).await;
    let changed: Vec<_> =
        after.symmetric_difference(&before).map(|value| String::from_utf8_lossy(value)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    println!("{} requests and 3 calls: 503, {} values as before", asks.len(), before.len());

    dry(false);
    for ask in &asks {
        let reply = send(&fixture, ask).await;
        assert!(reply.status.is_success(), "{} {}: {}", ask.method, ask.path, reply.text);
    }
    auth.create_api_key(secret()).await.unwrap();
    auth.prepare_signing_key().await.unwrap();
    auth.rotate_signing_key().await.unwrap();
    assert_ne!(values(&fixture).await, before);
}

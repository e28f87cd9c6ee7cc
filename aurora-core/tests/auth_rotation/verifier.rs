//! Another service, by the key set alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_core::env::ManualClock;
use aurora_core::session::token::Verifier;
use aurora_core::types::{Code, Timestamp};
use serde_json::{Value, json};

use crate::common::Fixture;
use crate::project::{encode, hs256, part};
use crate::{common, kid, project};

/// Another service verifies by the key set alone: no database, and therefore no revocation before `exp`.
#[tokio::test]
async fn another_service_verifies_by_the_key_set_alone() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    let (text, fetched) = (Arc::new(Mutex::new(fixture.tokens.jwks())), Arc::new(AtomicUsize::new(0)));
    let (source, counter) = (Arc::clone(&text), Arc::clone(&fetched));
    let fetch = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let text = source.lock().unwrap().clone();
        async move { if text.is_empty() { Err(std::io::Error::other("away")) } else { Ok(text) } }
    };
    let issuer = "http://127.0.0.1:8080/auth/v1";
    let verifier = Verifier::new(issuer, fixture.clock.clone(), fetch).unwrap();
    let principal = verifier.verify(&session.access()).await.unwrap();
    assert_eq!(principal.user_id().unwrap().to_string(), session.user_id());
    assert!(principal.claims().contains("ann@example.com"));
    verifier.verify(&session.access()).await.unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    // What the issuer ended goes on here until `exp`, and half a minute for the clocks.
    fixture.call("POST", "/logout", Some(&session.access()), Value::Null).await;
    assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");
    verifier.verify(&session.access()).await.unwrap();
    fixture.advance(900 + 29);
    verifier.verify(&session.access()).await.unwrap();
    fixture.advance(1);
    assert_eq!(verifier.verify(&session.access()).await.unwrap_err().code(), Code::BadJwt);
    // Forged ones.
    let again = fixture.sign_in("ann@example.com", common::PASSWORD).await;
    let (token, claims) = (again.access(), part(&again.access(), 1));
    let known = kid(&again);
    let (body, signature) = token.split_once('.').unwrap().1.split_once('.').unwrap();
    let header = |value: Value| encode(value.to_string());
    let forged = [
        hs256(
            &json!({ "alg": "HS256", "kid": known, "typ": "JWT" }),
            &claims,
            fixture.tokens.jwks().as_bytes(),
        ),
        format!("{}.{body}.", header(json!({ "alg": "none", "kid": known, "typ": "JWT" }))),
        format!("{}.{body}.{signature}", header(json!({ "alg": "EdDSA", "kid": known, "typ": "JWT" }))),
        format!("{}.{body}.{signature}", header(json!({ "alg": "ES256", "kid": "x", "typ": "JWT" }))),
        project::legacy("service_role"),
    ];
    for token in &forged {
        assert_eq!(verifier.verify(token).await.unwrap_err().code(), Code::BadJwt, "{token:.60}");
    }
    let other = Verifier::new("https://other.example.com/auth/v1", fixture.clock.clone(), {
        let jwks = fixture.tokens.jwks();
        move || {
            let jwks = jwks.clone();
            async move { Ok::<_, std::io::Error>(jwks) }
        }
    });
    assert!(other.unwrap().verify(&token).await.is_err(), "another issuer's");
}

/// Whoever hangs up amid the first look at the key set takes it from nobody else; an issuer that never answers is given
/// up after ten seconds.
#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_takes_no_key_set_along() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let (fetched, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (counter, gate) = (Arc::clone(&fetched), Arc::clone(&answers));
    let mut public: Value = serde_json::from_str(project::EC).unwrap();
    public.as_object_mut().unwrap().remove("d");
    let text = format!(r#"{{"keys":[{public}]}}"#);
    let fetch = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let (gate, text) = (Arc::clone(&gate), text.clone());
        async move { gate.acquire().await.map(|_| text) }
    };
    let verifier = Verifier::new("https://app.example.com/auth/v1", clock, fetch).unwrap();
    let claims = json!({
        "iss": "https://app.example.com/auth/v1", "aud": "authenticated", "role": "authenticated",
        "sub": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a11", "session_id": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a12",
        "iat": 1_800_000_000, "exp": 1_800_000_900,
    });
    let good = project::es256(&json!({ "alg": "ES256", "kid": "project-ec", "typ": "JWT" }), &claims);
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity, "it never answered");
    tokio::time::advance(Duration::from_secs(1)).await;
    let hung_up = tokio::time::timeout(Duration::from_millis(10), verifier.verify(&good)).await;
    assert!(hung_up.is_err());
    answers.add_permits(1);
    verifier.verify(&good).await.unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 2, "the second look went on without its client");
}

/// A new key is looked up, once in half a minute; a secret in a key set is passed over; a set that is away or no set
/// lets nobody in.
#[tokio::test(start_paused = true)]
async fn a_verifier_looks_for_new_keys_and_does_not_hammer() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let (text, fetched) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
    let (source, counter) = (Arc::clone(&text), Arc::clone(&fetched));
    let fetch = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let text = source.lock().unwrap().clone();
        async move { if text.is_empty() { Err(std::io::Error::other("away")) } else { Ok(text) } }
    };
    let verifier = Verifier::new("https://app.example.com/auth/v1", clock, fetch).unwrap();
    let claims = json!({
        "iss": "https://app.example.com/auth/v1", "aud": "authenticated", "role": "authenticated",
        "sub": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a11", "session_id": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a12",
        "iat": 1_800_000_000, "exp": 1_800_000_900,
    });
    let header = json!({ "alg": "ES256", "kid": "project-ec", "typ": "JWT" });
    let good = project::es256(&header, &claims);
    let mut more = claims.clone();
    more["user_permissions"] = json!(["notes.delete"]);
    more["user_roles"] = json!(["editor"]);
    let says_what_it_may = project::es256(&header, &more);
    let count = || fetched.swap(0, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
    }
    assert_eq!(count(), 1, "an issuer that is away is asked once a second");
    tokio::time::advance(Duration::from_secs(1)).await;
    // A secret in the set is nobody's key: whoever knows it could sign.
    *text.lock().unwrap() = format!(r#"{{"keys":[{}]}}"#, project::OCT);
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
    tokio::time::advance(Duration::from_secs(1)).await;
    let public = |jwk: &str| {
        let mut key: Value = serde_json::from_str(jwk).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(member);
        }
        key.to_string()
    };
    *text.lock().unwrap() = format!(r#"{{"keys":[{},{}]}}"#, project::OCT, public(project::RSA));
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::BadJwt, "not in the set yet");
    count();
    *text.lock().unwrap() = format!(r#"{{"keys":[{},{}]}}"#, public(project::RSA), public(project::EC));
    for _ in 0..5 {
        assert!(verifier.verify(&good).await.is_err());
    }
    assert_eq!(count(), 0, "it looked a moment ago");
    tokio::time::advance(Duration::from_secs(30)).await;
    verifier.verify(&good).await.unwrap();
    assert_eq!(count(), 1);
    let principal = verifier.verify(&says_what_it_may).await.unwrap();
    assert!(principal.has_role("editor") && !principal.has_permission("notes.delete"));
    assert!(!principal.claims().contains("user_permissions"));
    // It goes on with the last set for an hour.
    text.lock().unwrap().clear();
    tokio::time::advance(Duration::from_secs(3_500)).await;
    verifier.verify(&good).await.unwrap();
    tokio::time::advance(Duration::from_secs(101)).await;
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
    *text.lock().unwrap() = "<html>".to_owned();
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
}

//! Access tokens under attack, through the public surface. Rows J01 to J16.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod crypto_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_core::crypto::Keyring;
use aurora_core::env::ManualClock;
use aurora_core::session::token::{
    AccessClaims, SigningKeyState, SigningKeyStore, TokenKeys, TokenOptions, VerifyKey,
};
use aurora_core::types::{AuthenticationMethod, Code, Secret, SessionId, Timestamp, UserId};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use crypto_support::{Signing, ring};
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000;
const ISSUER: &str = "https://app.example.com/auth/v1";
const SECRET: &str = "9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3yRe6";

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

async fn open(name: &str, configured: Vec<VerifyKey>) -> (TokenKeys, Arc<Signing>, Keyring) {
    let (ring, store) = (ring(&format!("token-{name}")).await, Arc::new(Signing::default()));
    let options = TokenOptions::new(ISSUER);
    let clock = ManualClock::new(now());
    let keys = TokenKeys::open(&ring, Arc::clone(&store) as _, configured, options, &clock);
    (keys.await.unwrap(), store, ring)
}

fn shared(leeway: u64) -> TokenKeys {
    let mut options = TokenOptions::new(ISSUER);
    options.leeway = Duration::from_secs(leeway);
    TokenKeys::with_shared_secret(&SECRET.into(), Vec::new(), options).unwrap()
}

fn claims() -> AccessClaims {
    AccessClaims {
        user: UserId::from_bytes([7; 16]),
        session: SessionId::from_bytes([9; 16]),
        email: "ann@example.com".to_owned(),
        phone: String::new(),
        app_metadata: r#"{"provider":"email","providers":["email"]}"#.to_owned(),
        user_metadata: r#"{"name":"Ann \"A\" \u00e9"}"#.to_owned(),
        assurance: "aal1",
        methods: vec![AuthenticationMethod { method: "password".to_owned(), at: now() }],
        is_anonymous: false,
        issued_at: now(),
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

fn payload() -> Value {
    json!({
        "iss": ISSUER, "sub": UserId::from_bytes([7; 16]).to_string(), "aud": "authenticated",
        "exp": NOW + 900, "iat": NOW, "role": "authenticated",
        "session_id": SessionId::from_bytes([9; 16]).to_string(),
    })
}

/// Signed with HS256 under `secret`, whatever the header says.
fn forge(header: &str, payload: &str, secret: &[u8]) -> String {
    let text = format!("{}.{}", encode(header), encode(payload));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", encode(tag.as_ref()))
}

fn hs256(payload: &Value) -> String {
    forge(r#"{"alg":"HS256","kid":"hs256","typ":"JWT"}"#, &payload.to_string(), SECRET.as_bytes())
}

fn refused(keys: &TokenKeys, token: &str) {
    let error = keys.verify(token, now()).expect_err(&token[..token.len().min(200)]);
    assert_eq!(error.code(), Code::BadJwt);
    assert_eq!(error.message(), "invalid JWT: unable to parse or verify signature");
}

/// asvs(V1.2.3)
#[tokio::test]
async fn a_token_says_what_supabase_says_and_verifies() {
    let (keys, ..) = open("says", Vec::new()).await;
    let token = keys.issue(&claims()).unwrap();
    let header = part(token.expose(), 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    let said = part(token.expose(), 1);
    let mut expected = payload();
    for (name, value) in [
        ("email", json!("ann@example.com")),
        ("phone", json!("")),
        ("aal", json!("aal1")),
        ("is_anonymous", json!(false)),
        ("app_metadata", json!({"provider": "email", "providers": ["email"]})),
        ("user_metadata", json!({"name": "Ann \"A\" \u{e9}"})),
        ("amr", json!([{"method": "password", "timestamp": NOW}])),
    ] {
        expected[name] = value;
    }
    assert_eq!(said, expected);
    let verified = keys.verify(token.expose(), now()).unwrap();
    assert_eq!((verified.user(), verified.session()), (claims().user, claims().session));
    assert_eq!((verified.issued_at(), verified.expires_at()), (now(), now().plus(Duration::from_secs(900))));
    assert_eq!(serde_json::from_str::<Value>(verified.claims()).unwrap(), said);
    let jwks: Value = serde_json::from_str(&keys.jwks()).unwrap();
    assert_eq!(jwks["keys"][0]["kid"], header["kid"]);
    assert_eq!((&jwks["keys"][0]["kty"], &jwks["keys"][0]["crv"]), (&json!("EC"), &json!("P-256")));
    assert!(jwks["keys"][0].get("d").is_none());
    assert!(!format!("{keys:?} {token:?} {verified:?}").contains("ann@"));
}

/// attacks J01, J02, J03, asvs(V9.1.1, V9.1.2, V9.1.3)
#[tokio::test]
async fn the_algorithm_is_the_keys() {
    let (keys, store, _) = open("alg", Vec::new()).await;
    let token = keys.issue(&claims()).unwrap();
    let kid = part(token.expose(), 0)["kid"].as_str().unwrap().to_owned();
    let body = payload().to_string();
    let mut tried = 0;
    for alg in
        ["none", "None", "nOnE", "NONE", "", "HS256", "HS384", "ES384", "RS256", "EdDSA", "es256", "ES256 "]
    {
        for secret in [&b""[..], b"secret"] {
            let forged = forge(&json!({"alg": alg, "kid": kid, "typ": "JWT"}).to_string(), &body, secret);
            refused(&keys, &forged);
            refused(&keys, &format!("{}.", forged.rsplit_once('.').unwrap().0));
            tried += 2;
        }
    }
    let stripped = token.expose().rsplit_once('.').unwrap().0;
    for text in [format!("{stripped}."), stripped.to_owned(), format!("{}.x", token.expose())] {
        refused(&keys, &text);
    }
    // HS256 with our public key in every form as the secret.
    let jwk = store.0.lock().unwrap()[0].public_jwk.clone();
    let members: Value = serde_json::from_str(&jwk).unwrap();
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(members[name].as_str().unwrap()).unwrap();
    let raw = [bytes("x"), bytes("y")].concat();
    let point = [&[4][..], &raw].concat();
    let der = [&b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"[..], &point].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    let header = json!({"alg": "HS256", "kid": kid, "typ": "JWT"}).to_string();
    for secret in [
        &raw,
        &point,
        &der,
        &pem.clone().into_bytes(),
        &pem.trim_end().as_bytes().to_vec(),
        &jwk.clone().into_bytes(),
        &keys.jwks().into_bytes(),
    ] {
        refused(&keys, &forge(&header, &body, secret));
        tried += 1;
    }
    // The attacker's own key in the header.
    for (name, value) in [
        ("jwk", members.clone()),
        ("jku", json!("https://evil.test/jwks")),
        ("x5u", json!("https://evil.test/x")),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        let mut header = part(token.expose(), 0);
        header[name] = value;
        let (_, rest) = token.expose().split_once('.').unwrap();
        refused(&keys, &format!("{}.{rest}", encode(header.to_string())));
        let shared = shared(0);
        let mut header = json!({"alg": "HS256", "kid": "hs256", "typ": "JWT"});
        header[name] = json!("x");
        refused(&shared, &forge(&header.to_string(), &body, SECRET.as_bytes()));
        tried += 2;
    }
    println!("algorithm and key confusion: {tried} forgeries refused");
}

/// attack J04
#[tokio::test]
async fn a_kid_is_looked_up_in_memory_and_nowhere_else() {
    let keys = shared(0);
    let body = payload().to_string();
    let ok = |header: &str| keys.verify(&forge(header, &body, SECRET.as_bytes()), now()).is_ok();
    assert!(ok(r#"{"alg":"HS256","kid":"hs256","typ":"JWT"}"#));
    assert!(ok(r#"{"alg":"HS256","typ":"JWT"}"#), "one key: nothing to choose");
    for kid in ["../../dev/null", "' OR 1=1 --", "", "HS256", "hs256\0", "unknown"] {
        assert!(!ok(&json!({"alg": "HS256", "kid": kid, "typ": "JWT"}).to_string()), "{kid}");
    }
    assert!(!ok(r#"{"alg":"HS256","kid":null,"typ":"JWT"}"#));
    assert!(!ok(r#"{"alg":"HS256","kid":7,"typ":"JWT"}"#));
    assert!(!ok(&json!({"alg": "HS256", "kid": "k".repeat(65_536), "typ": "JWT"}).to_string()));
    // Two keys and no kid.
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]), "kid": "two"});
    let two = VerifyKey::from_jwk(&jwk.to_string()).unwrap();
    let keys =
        TokenKeys::with_shared_secret(&SECRET.into(), vec![two.clone()], TokenOptions::new(ISSUER)).unwrap();
    refused(&keys, &forge(r#"{"alg":"HS256","typ":"JWT"}"#, &body, SECRET.as_bytes()));
    // The other key's name with this key's algorithm.
    refused(&keys, &forge(r#"{"alg":"HS256","kid":"two","typ":"JWT"}"#, &body, SECRET.as_bytes()));
    let twice =
        TokenKeys::with_shared_secret(&SECRET.into(), vec![two.clone(), two], TokenOptions::new(ISSUER));
    assert_eq!(twice.unwrap_err().code(), Code::Configuration);
}

/// attacks J06, J07, J09, asvs(V9.2.2, V9.2.3, V10.3.1)
#[test]
fn malformed_is_not_absent() {
    let keys = shared(0);
    assert!(keys.verify(&hs256(&payload()), now()).is_ok());
    let mut tried = 0;
    let wrong = [
        json!("1790000000"),
        json!(1_790_000_000.5),
        json!(1.79e9),
        json!(-1),
        json!(null),
        json!([NOW]),
        json!({}),
        json!(true),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
    ];
    for name in ["exp", "iat", "nbf"] {
        for value in &wrong {
            let mut body = payload();
            body[name] = value.clone();
            refused(&keys, &hs256(&body));
            tried += 1;
        }
        let header = r#"{"alg":"HS256","kid":"hs256","typ":"JWT"}"#;
        for number in ["1e309", "-1e309", "NaN", "Infinity", "01790000000", "0x6AB13380"] {
            let mut body = payload();
            body[name] = json!("HERE");
            let text = body.to_string().replace("\"HERE\"", number);
            refused(&keys, &forge(header, &text, SECRET.as_bytes()));
            tried += 1;
        }
    }
    for name in ["exp", "iat", "iss", "aud", "sub", "session_id", "role"] {
        let mut body = payload();
        body.as_object_mut().unwrap().remove(name);
        refused(&keys, &hs256(&body));
        body[name] = json!(null);
        refused(&keys, &hs256(&body));
        tried += 2;
    }
    for (name, value) in [
        ("iss", json!("https://app.example.com/auth/v1/")),
        ("iss", json!("https://evil.test")),
        ("iss", json!([ISSUER])),
        ("aud", json!(["authenticated"])),
        ("aud", json!("refresh")),
        ("aud", json!("")),
        ("aud", json!("Authenticated")),
        ("role", json!("service_role")),
        ("role", json!("anon")),
        ("role", json!("")),
        ("role", json!(["authenticated"])),
        ("sub", json!("")),
        ("sub", json!("ann")),
        ("sub", json!(7)),
        ("session_id", json!("")),
        ("session_id", json!("x")),
        ("exp", json!(NOW + 3601)),
        ("exp", json!(NOW)),
        ("iat", json!(NOW - 10_000)),
    ] {
        let mut body = payload();
        body[name] = value;
        refused(&keys, &hs256(&body));
        tried += 1;
    }
    for header in [
        r#"{"alg":"HS256","kid":"hs256"}"#,
        r#"{"alg":"HS256","kid":"hs256","typ":"jwt+refresh"}"#,
        r#"{"alg":"HS256","kid":"hs256","typ":""}"#,
        r#"{"alg":"HS256","kid":"hs256","typ":null}"#,
        r#"{"kid":"hs256","typ":"JWT"}"#,
        r#"["HS256","JWT","hs256"]"#,
        "null",
        "",
    ] {
        refused(&keys, &forge(header, &payload().to_string(), SECRET.as_bytes()));
        tried += 1;
    }
    println!("claims and headers: {tried} malformed or foreign, refused");
}

/// attack J08, asvs(V9.2.1)
#[test]
fn the_clock_decides_exactly_at_its_bounds() {
    for leeway in [0, 5, 60] {
        let keys = shared(leeway);
        let at = |name: &str, value: i64, now: i64| {
            let mut body = payload();
            body[name] = json!(value);
            keys.verify(&hs256(&body), Timestamp::from_seconds(now)).is_ok()
        };
        let leeway = i64::try_from(leeway).unwrap();
        assert!(at("exp", NOW + 900, NOW + 900 + leeway - 1));
        assert!(!at("exp", NOW + 900, NOW + 900 + leeway));
        assert!(at("nbf", NOW + leeway, NOW) && !at("nbf", NOW + leeway + 1, NOW));
        assert!(at("iat", NOW + leeway, NOW) && !at("iat", NOW + leeway + 1, NOW));
    }
    let mut options = TokenOptions::new(ISSUER);
    options.leeway = Duration::from_secs(61);
    assert_eq!(
        TokenKeys::with_shared_secret(&SECRET.into(), Vec::new(), options).unwrap_err().code(),
        Code::Configuration
    );
}

/// attack J12, asvs(V1.5.3)
#[test]
fn duplicate_members_and_other_spellings_are_refused() {
    let keys = shared(0);
    let (header, body) = (r#"{"alg":"HS256","kid":"hs256","typ":"JWT"}"#, payload().to_string());
    let sign = |header: &str, body: &str| forge(header, body, SECRET.as_bytes());
    assert!(keys.verify(&sign(header, &body), now()).is_ok());
    for name in ["sub", "exp", "role", "session_id", "iss"] {
        let twice = body.replacen('{', &format!(r#"{{"{name}":{},"#, payload()[name]), 1);
        refused(&keys, &sign(header, &twice));
    }
    refused(&keys, &sign(header, &body.replacen('{', r#"{"a":{"b":1,"b":2},"#, 1)));
    refused(&keys, &sign(header, &body.replacen('{', r#"{"x":1,"\u0078":2,"#, 1)));
    refused(&keys, &sign(r#"{"alg":"none","alg":"HS256","kid":"hs256","typ":"JWT"}"#, &body));
    refused(&keys, &sign(header, &format!("{body}{body}")));
    refused(&keys, &sign(&format!("{header} x"), &body));
    // Other encodings of the same bytes.
    let good = sign(header, &body);
    let (text, tag) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(tag).unwrap();
    refused(&keys, &format!("{text}.{}", URL_SAFE.encode(&bytes)));
    let last = tag.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n".chars() {
        if other != last {
            refused(&keys, &format!("{text}.{}{other}", &tag[..tag.len() - 1]));
        }
    }
    for text in [
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("Bearer {good}"),
        good.replace('.', ".."),
    ] {
        refused(&keys, &text);
    }
    for length in 0..bytes.len() {
        refused(&keys, &format!("{text}.{}", encode(&bytes[..length])));
    }
}

/// attack J14
#[test]
fn oversized_tokens_cost_nothing() {
    let keys = shared(0);
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    let header = r#"{"alg":"HS256","kid":"hs256","typ":"JWT"}"#;
    let long = [
        "a".repeat(1_000_000),
        ".".repeat(10_000),
        ".".repeat(8_000),
        format!("{}.{}.", encode(header), "A".repeat(8_000)),
        forge(
            header,
            &payload().to_string().replacen('{', &format!(r#"{{"x":{deep},"#), 1),
            SECRET.as_bytes(),
        ),
        forge(&deep[..2_000], "{}", b""),
    ];
    for token in &long {
        let start = Instant::now();
        refused(&keys, token);
        assert!(start.elapsed() < Duration::from_millis(5), "{} bytes: {:?}", token.len(), start.elapsed());
    }
    let mut large = claims();
    large.user_metadata = json!({"x": "y".repeat(9_000)}).to_string();
    assert_eq!(keys.issue(&large).unwrap_err().code(), Code::ValidationFailed);
    large.user_metadata = "[]".to_owned();
    assert_eq!(keys.issue(&large).unwrap_err().code(), Code::ValidationFailed);
}

/// attack J15
#[test]
fn weak_secrets_do_not_start() {
    let weak = [
        "secret",
        "",
        "changeme",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        &"a".repeat(64),
        "0123456789012345678901234567890",
    ];
    for secret in weak {
        let error =
            TokenKeys::with_shared_secret(&secret.into(), Vec::new(), TokenOptions::new(ISSUER)).unwrap_err();
        assert_eq!(error.code(), Code::Configuration, "{secret}");
        assert!(error.message().contains("openssl rand"), "{error}");
    }
    assert_eq!(shared(0).jwks(), r#"{"keys":[]}"#);
}

/// attack J16
#[tokio::test]
async fn a_rotated_key_verifies_until_it_is_removed() {
    let (keys, store, ring) = open("rotate", Vec::new()).await;
    let old = keys.issue(&claims()).unwrap();
    let other = keys.clone();
    keys.rotate(&ManualClock::new(now())).await.unwrap();
    let new = other.issue(&claims()).unwrap();
    assert_ne!(part(old.expose(), 0)["kid"], part(new.expose(), 0)["kid"]);
    assert!(other.verify(old.expose(), now()).is_ok() && other.verify(new.expose(), now()).is_ok());
    store.0.lock().unwrap()[0].state = SigningKeyState::VerifyOnly;
    keys.reload().await.unwrap();
    assert!(keys.verify(old.expose(), now()).is_ok());
    assert_eq!(serde_json::from_str::<Value>(&keys.jwks()).unwrap()["keys"].as_array().unwrap().len(), 2);
    let removed = store.0.lock().unwrap().remove(0);
    keys.reload().await.unwrap();
    refused(&keys, old.expose());
    assert!(keys.verify(new.expose(), now()).is_ok());
    // Another process on the same store and root.
    let options = TokenOptions::new(ISSUER);
    let clock = ManualClock::new(now());
    let again = TokenKeys::open(&ring, Arc::clone(&store) as _, Vec::new(), options.clone(), &clock);
    assert!(again.await.unwrap().verify(new.expose(), now()).is_ok());
    // Whoever writes to the database cannot bring a key in, swap one, or revive one under another name.
    for change in 0..4 {
        let mut forged = removed.clone();
        match change {
            0 => forged.kid = "mine".to_owned(),
            1 => forged.sealed[40] ^= 1,
            2 => forged.algorithm = "HS256".to_owned(),
            _ => forged.sealed = store.0.lock().unwrap()[0].sealed.clone(),
        }
        let tampered = Arc::new(Signing::default());
        tampered.insert(forged).await.unwrap();
        let opened =
            TokenKeys::open(&ring, tampered, Vec::new(), options.clone(), &ManualClock::new(now())).await;
        assert_eq!(opened.unwrap_err().code(), Code::Configuration, "change {change}");
    }
    let elsewhere = crypto_support::ring("elsewhere").await;
    let opened = TokenKeys::open(&elsewhere, store, Vec::new(), options, &ManualClock::new(now())).await;
    assert_eq!(opened.unwrap_err().code(), Code::Configuration);
}

/// asvs(V6.8.2, V9.1.2)
#[tokio::test]
async fn a_configured_key_verifies_by_its_own_algorithm_alone() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()), "kid": "ed"});
    let (keys, ..) = open("configured", vec![VerifyKey::from_jwk(&jwk.to_string()).unwrap()]).await;
    let sign = |header: &str, body: &str| {
        let text = format!("{}.{}", encode(header), encode(body));
        format!("{text}.{}", encode(pair.sign(text.as_bytes()).as_ref()))
    };
    let good = sign(r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#, &payload().to_string());
    assert!(keys.verify(&good, now()).is_ok());
    refused(&keys, &sign(r#"{"alg":"ES256","kid":"ed","typ":"JWT"}"#, &payload().to_string()));
    refused(&keys, &good.replace(&encode(payload().to_string()), &encode("{}")));
    let jwks: Value = serde_json::from_str(&keys.jwks()).unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert!(!keys.jwks().contains("oct"));
    let _: Secret = keys.issue(&claims()).unwrap();
}

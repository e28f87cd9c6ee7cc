//! Rows of the attack table that reach sign-in, each by its id.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{ANON_KEY, Fixture, Options, PASSWORD};
use http::Request;
use serde_json::{Value, json};

fn post(path: &str) -> http::request::Builder {
    Request::post(format!("/auth/v1{path}"))
        .header("apikey", ANON_KEY)
        .header("x-supabase-api-version", "2024-01-01")
}

/// attacks J01, J02, J03, J04, J12, J14: asvs(V7.2.1, V9.1.1, V9.1.2)
#[tokio::test]
async fn forged_tokens_are_refused() {
    let fixture = Fixture::new().await;
    let token = fixture.sign_up("ann@example.com").await.access();
    let parts: Vec<&str> = token.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let kid = header["kid"].as_str().unwrap();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let mut forged = vec![
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], encode(&payload.replace("authenticated", "service_role")), parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len())),
        format!("{token}."),
        format!("{token}="),
        String::from("..."),
        ".".repeat(10_000),
        "a".repeat(1_000_000),
    ];
    for alg in ["none", "None", "nOnE", "HS256", "RS256", "es256", ""] {
        forged.push(format!(
            "{}.{}.{}",
            encode(&json!({ "alg": alg, "kid": kid, "typ": "JWT" }).to_string()),
            parts[1],
            parts[2]
        ));
        forged.push(format!("{}.{}.", encode(&json!({ "alg": alg, "typ": "JWT" }).to_string()), parts[1]));
    }
    for (name, value) in [
        ("jwk", "{}"),
        ("jku", "https://evil.test"),
        ("x5u", "https://evil.test"),
        ("kid", "../../dev/null"),
        ("kid", "' OR 1=1"),
    ] {
        let mut header = header.clone();
        header[name] = json!(value);
        forged.push(format!("{}.{}.{}", encode(&header.to_string()), parts[1], parts[2]));
    }
    let twice = format!(r#"{{"alg":"ES256","alg":"none","kid":"{kid}","typ":"JWT"}}"#);
    forged.push(format!("{}.{}.{}", encode(&twice), parts[1], parts[2]));
    for forged in forged {
        let started = Instant::now();
        let reply = fixture.user(&forged).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (403, "bad_jwt"), "{forged:.60}");
        assert!(started.elapsed() < Duration::from_millis(250), "J14: {forged:.60}");
    }
    assert_eq!(fixture.user(&token).await.status, 200);
}

/// attack J09: one kind of token is not another.
#[tokio::test]
async fn tokens_of_one_kind_are_not_another() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    assert_eq!(fixture.user(&session.refresh()).await.code(), "bad_jwt");
    assert_eq!(fixture.refresh(&session.access()).await.code(), "refresh_token_not_found");
    assert_eq!(fixture.user(ANON_KEY).await.code(), "no_authorization");
}

/// attacks J08, J17, asvs(V7.4.1, V9.2.1):
/// over at once in this process; warm or cold, the session is asked for.
#[tokio::test]
async fn a_warm_token_ends_with_its_session() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    for _ in 0..3 {
        assert_eq!(fixture.user(&session.access()).await.status, 200);
    }
    fixture.call("POST", "/logout?scope=local", Some(&session.access()), Value::Null).await;
    for _ in 0..3 {
        assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");
    }
    let other = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(fixture.user(&other.access()).await.status, 200);
    fixture.advance(899);
    assert_eq!(fixture.user(&other.access()).await.status, 200, "J08: valid to its last second");
    fixture.advance(1);
    assert_eq!(fixture.user(&other.access()).await.code(), "bad_jwt", "J08: and no longer");
}

/// attack J16: what a retired key signed holds, what a removed key signed does not, warm or cold.
#[tokio::test]
async fn a_removed_key_ends_what_it_signed() {
    let fixture = Fixture::new().await;
    let old = fixture.sign_up("ann@example.com").await;
    assert_eq!(fixture.user(&old.access()).await.status, 200);
    let before = fixture.audit().await.len();
    let kid = fixture.auth.rotate_signing_key().await.unwrap();
    let row = fixture.audit().await.swap_remove(before);
    assert_eq!((row.action.as_str(), row.actor.as_str()), ("signing_key_rotated", "service"));
    assert_eq!(row.target.as_deref(), Some(kid.as_str()));
    let jwks = fixture.call("GET", "/.well-known/jwks.json", None, Value::Null).await.json;
    let kids: Vec<_> =
        jwks["keys"].as_array().unwrap().iter().filter_map(|key| key["kid"].as_str()).collect();
    assert!(kids.len() == 2 && kids.contains(&kid.as_str()), "{kids:?}");
    let new = fixture.refresh(&old.refresh()).await;
    for token in [old.access(), new.access()] {
        assert_eq!(fixture.user(&token).await.status, 200);
    }
    fixture.execute("DELETE FROM aurora_signing_keys WHERE id = 1").await;
    fixture.auth.sessions().reload_keys().await.unwrap();
    assert_eq!(fixture.user(&old.access()).await.code(), "bad_jwt");
    assert_eq!(fixture.user(&new.access()).await.status, 200);
}

/// attacks J19, V03, asvs(V14.2.1, V15.3.7)
#[tokio::test]
async fn a_token_counts_in_its_header_only_and_once() {
    let fixture = Fixture::new().await;
    let token = fixture.sign_up("ann@example.com").await.access();
    let query = format!("/user?access_token={token}&token={token}");
    assert_eq!(fixture.call("GET", &query, None, Value::Null).await.status, 401);
    let get = || Request::get("/auth/v1/user");
    let lower = get().header("authorization", format!("bearer {token}")).body(Vec::new()).unwrap();
    assert_eq!(fixture.send(lower, "192.0.2.1").await.status, 200);
    let bearer = format!("Bearer {token}");
    let twice =
        get().header("authorization", &bearer).header("authorization", &bearer).body(Vec::new()).unwrap();
    assert_eq!(fixture.send(twice, "192.0.2.1").await.status, 400);
    let list = get().header("authorization", format!("{bearer}, {bearer}")).body(Vec::new()).unwrap();
    assert_eq!(fixture.send(list, "192.0.2.1").await.status, 403);
    let bytes = http::HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    let foreign = get().header("authorization", bytes).body(Vec::new()).unwrap();
    assert_eq!(fixture.send(foreign, "192.0.2.1").await.status, 401, "V03");
}

/// attack P02
#[tokio::test]
async fn a_huge_password_is_refused_before_hashing() {
    let fixture = Fixture::new().await;
    fixture.sign_up("ann@example.com").await;
    for (length, status) in [(1_025, 400), (100_000, 400), (1_000_000, 413)] {
        let started = Instant::now();
        let password = "x".repeat(length);
        assert_eq!(fixture.sign_in("ann@example.com", &password).await.status.as_u16(), status);
        let body = json!({ "email": "bob@example.com", "password": password });
        assert_eq!(fixture.call("POST", "/signup", None, body).await.status.as_u16(), status);
        println!("{length} bytes: {:?}", started.elapsed());
    }
    assert_eq!(fixture.audit().await.len(), 1);
}

/// attack P06, asvs(V6.2.5, V6.2.8, V6.2.9)
#[tokio::test]
async fn passwords_match_exactly_or_not_at_all() {
    let fixture = Fixture::new().await;
    let wide: String =
        ('\u{e0}'..='\u{ff}').chain('\u{3b1}'..='\u{3c9}').chain('\u{430}'..='\u{436}').collect();
    let long = format!("a passphrase {} of 128 characters", "that goes on ".repeat(8)).split_off(8);
    let long = format!("{long:z<128}");
    let passwords = ["  spaces at both ends  ", "nul\0byte inside", "🔑🌲🚲🎺🧊🪁🐙🛶", &long, &wide];
    for (number, password) in passwords.iter().enumerate() {
        let email = format!("user{number}@example.com");
        let body = json!({ "email": email, "password": password });
        assert_eq!(fixture.call("POST", "/signup", None, body).await.status, 200);
        assert_eq!(fixture.sign_in(&email, password).await.status, 200, "{password:?}");
        let mut shorter = (*password).to_owned();
        shorter.pop();
        for other in
            [password.trim(), &shorter, &format!("{password}x"), password.split('\0').next().unwrap()]
        {
            if other != *password {
                assert_eq!(fixture.sign_in(&email, other).await.code(), "invalid_credentials", "{other:?}");
            }
        }
    }
    let start: String = long.chars().take(72).collect();
    let (one, two) = (format!("{start}1"), format!("{start}2"));
    let body = json!({ "email": "z@example.com", "password": one });
    assert_eq!(fixture.call("POST", "/signup", None, body).await.status, 200);
    assert_eq!(
        fixture.sign_in("z@example.com", &two).await.code(),
        "invalid_credentials",
        "the 73rd byte counts"
    );
}

/// attack P08: an imported bcrypt hash verifies and is replaced.
#[tokio::test]
async fn imported_hashes_verify_and_are_rehashed() {
    let fixture = Fixture::new().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let new = aurora_core::auth::NewUser {
        email: "old@example.com".parse().unwrap(),
        password_hash: Some(hash),
        confirmed: true,
        user_metadata: None,
        app_metadata: Some(r#"{"plan":"pro"}"#.to_owned()),
    };
    fixture.auth.create_user(new).await.unwrap();
    assert_eq!(fixture.sign_in("old@example.com", "wrong password").await.status, 400);
    let reply = fixture.sign_in("old@example.com", PASSWORD).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json["user"]["app_metadata"]["plan"], "pro");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users WHERE password LIKE '$argon2id$%'").await, 1);
    // Two sign-ins at once that both rehash: both get in.
    let new = aurora_core::auth::NewUser {
        email: "two@example.com".parse().unwrap(),
        password_hash: Some(bcrypt::hash(PASSWORD, 4).unwrap()),
        confirmed: true,
        user_metadata: None,
        app_metadata: None,
    };
    fixture.auth.create_user(new).await.unwrap();
    let (one, two) = tokio::join!(
        fixture.sign_in("two@example.com", PASSWORD),
        fixture.sign_in("two@example.com", PASSWORD)
    );
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    assert_eq!(fixture.sign_in("old@example.com", PASSWORD).await.status, 200);
    // attack P05
    for hostile in [
        "",
        "$argon2id$v=19$m=4294967295,t=4294967295,p=1$AAAA$AAAA",
        "$2b$31$x",
        "plain",
        "$argon2d$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFh",
    ] {
        fixture.execute(&format!("UPDATE auth_users SET password = '{hostile}'")).await;
        assert_eq!(
            fixture.sign_in("old@example.com", PASSWORD).await.code(),
            "invalid_credentials",
            "{hostile}"
        );
    }
}

/// attack P14, asvs(V2.3.4)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_sign_ups_of_one_address_make_one_account() {
    let fixture = Arc::new(Fixture::new().await);
    let mut tasks = Vec::new();
    for number in 0..50_u32 {
        let fixture = Arc::clone(&fixture);
        let email: String = "annabel@example.com"
            .chars()
            .enumerate()
            .map(|(at, c)| if number >> (at % 6) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        tasks.push(tokio::spawn(async move { fixture.sign_up(&email).await.status.as_u16() }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 422].contains(status)), "{statuses:?}");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
    assert_eq!(
        fixture.sign_up("ａnnabel@example.com").await.status,
        400,
        "a full-width letter is no address"
    );
    let mut actions = fixture.actions_since(0).await;
    actions.sort();
    assert_eq!(actions.len(), 50);
    assert_eq!(actions[49], "user_signedup");
}

/// attacks P18, P19: asvs(V8.3.1, V15.3.3)
#[tokio::test]
async fn a_body_names_no_one_and_grants_nothing() {
    let fixture = Fixture::new().await;
    let body = json!({
        "email": "eve@example.com", "password": PASSWORD, "role": "service_role", "is_admin": true, "id": "1",
        "email_verified": true, "email_confirm": true, "tenant_id": "x", "app_metadata": { "role": "admin" },
        "aud": "admin", "banned_until": null,
    });
    let eve = fixture.call("POST", "/signup", None, body).await;
    assert_eq!(eve.json["user"]["role"], "authenticated");
    assert_eq!(eve.json["user"]["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    let ann = fixture.sign_up("ann@example.com").await.user_id();
    let body = json!({ "id": ann, "user_id": ann, "sub": ann, "data": { "x": 1 } });
    assert_eq!(fixture.call("PUT", "/user", None, body.clone()).await.status, 401);
    let changed = fixture.call("PUT", "/user", Some(&eve.access()), body).await;
    assert_eq!(changed.json["id"], eve.json["user"]["id"]);
}

/// attack P20, asvs(V1.3.11)
#[tokio::test]
async fn no_address_breaks_a_line() {
    let fixture = Fixture::new().await;
    for email in ["a@b.c\r\nBcc: x@y.z", "a@b.c\n", "a\0@b.c", "\"a\\\"\"@b.c", "a@b.c\u{2028}"] {
        assert_eq!(fixture.sign_up(email).await.status, 400, "{email:?}");
    }
}

/// attacks S05, S06, S07, S08: asvs(V3.4.2, V3.5.1, V3.5.2, V3.5.3)
#[tokio::test]
async fn foreign_pages_get_nowhere() {
    let fixture = Fixture::new().await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string().into_bytes();
    let from = async |origin: &str, content_type: &str| {
        let request = post("/signup").header("origin", origin).header("content-type", content_type);
        fixture.send(request.body(body.clone()).unwrap(), "192.0.2.1").await
    };
    for origin in
        ["null", "https://evil.test", "https://spa.example.com.evil.test", "https://evilspa.example.com"]
    {
        let reply = from(origin, "application/json").await;
        assert_eq!((reply.status.as_u16(), reply.code()), (403, "origin_not_allowed"), "{origin}");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        assert_eq!(from("https://spa.example.com", content_type).await.status, 415);
    }
    let preflight = Request::builder()
        .method("OPTIONS")
        .uri("/auth/v1/token?grant_type=password")
        .header("origin", "https://spa.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "apikey,authorization,x-client-info,x-supabase-api-version")
        .body(Vec::new())
        .unwrap();
    let reply = fixture.send(preflight, "192.0.2.1").await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.headers["access-control-allow-origin"], "https://spa.example.com");
    assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    let allowed = from("https://spa.example.com", "application/json").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://spa.example.com");
    let exposed = allowed.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("x-supabase-api-version"));
    assert_eq!(fixture.call("GET", "/logout", None, Value::Null).await.status, 405);
}

/// attacks Q04, V01, V02, asvs(V1.5.2, V2.2.1)
#[tokio::test]
async fn bodies_that_are_none() {
    let fixture = Fixture::new().await;
    let send = async |body: &[u8]| {
        let request = post("/signup").header("content-type", "application/json").body(body.to_vec()).unwrap();
        fixture.send(request, "192.0.2.1").await
    };
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let twice = br#"{"email":"a@b.c","email":"d@e.f","password":"long enough"}"#;
    let nested = br#"{"email":"a@b.c","password":"long enough","data":{"a":{"b":1,"b":2}}}"#;
    for body in [
        &b""[..],
        b"null",
        b"[]",
        b"{",
        b"{}x",
        b"\xff\xfe",
        twice,
        nested,
        deep.as_bytes(),
        b"{\"email\":\"\\ud800\"}",
    ] {
        let reply = send(body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "bad_json"),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let wrong = send(br#"{"email":{"$gt":""},"password":"long enough"}"#).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (400, "validation_failed"));
    assert_eq!(wrong.json["message"], "`email` has the wrong type");
    assert_eq!(send(&vec![b' '; 300_000]).await.status, 413);
    let big = json!({ "email": "a@b.c", "password": "long enough", "data": { "a": "x".repeat(5_000) } });
    assert_eq!(send(big.to_string().as_bytes()).await.code(), "validation_failed");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 0);
}

/// attacks U04, U05: asvs(V16.2.5, V16.4.1)
#[tokio::test]
async fn records_hold_one_line_and_no_secret() {
    let fixture = Fixture::new().await;
    let agent =
        http::HeaderValue::from_bytes("Fire\u{9b}fox \u{2028}\u{1b}[31m".replace('\u{1b}', "").as_bytes())
            .unwrap();
    let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string().into_bytes();
    let request = post("/signup").header("content-type", "application/json").header("user-agent", agent);
    let reply = fixture.send(request.body(body).unwrap(), "192.0.2.1").await;
    let list = fixture.call("GET", "/sessions", Some(&reply.access()), Value::Null).await;
    assert_eq!(list.json["sessions"][0]["device"], "Fire?fox ?[31m");
    fixture.refresh(&reply.refresh()).await;
    fixture.sign_in("ann@example.com", "tr0ub4dor and three").await;
    fixture.call("PUT", "/user", Some(&reply.access()), json!({ "password": "another long one" })).await;
    let records = fixture.audit().await;
    assert_eq!(records.len(), 4);
    let text = format!("{records:?}");
    for secret in [
        PASSWORD,
        "tr0ub4dor",
        "another long one",
        &reply.access(),
        &reply.refresh(),
        "ann@example.com",
        "$argon2",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// attacks U06, V04, asvs(V16.5.1, V16.5.3): what cannot be recorded does not happen.
#[tokio::test]
async fn without_its_record_nothing_happens() {
    use aurora_core::audit::{AuditSink, Record};
    use aurora_core::store::Transaction;
    use aurora_core::types::{BoxFuture, Error, Result};
    #[derive(Debug)]
    struct Broken;
    impl AuditSink for Broken {
        fn write<'a>(&'a self, _: &'a mut dyn Transaction, _: Record) -> BoxFuture<'a, Result<()>> {
            Box::pin(async { Err(Error::internal("the audit disk is full at /var/secret/path")) })
        }
    }
    let fixture = Fixture::with(Options { audit: Some(Arc::new(Broken)), ..Options::in_production() }).await;
    let reply = fixture.sign_up("ann@example.com").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (500, "unexpected_failure"));
    assert!(!reply.text.contains("secret"), "V04: {}", reply.text);
    assert_eq!(reply.json["error_id"].as_str(), reply.headers["x-request-id"].to_str().ok());
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 0);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 500, "denials, too");
}

/// attack S11
#[tokio::test]
async fn a_failing_random_source_is_an_error_and_never_zeros() {
    use aurora_core::env::Entropy;
    use aurora_core::types::{Error, Result};
    #[derive(Debug)]
    struct Dry;
    impl Entropy for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<()> {
            Err(Error::overloaded(1))
        }
    }
    let sink = aurora_core::audit::DatabaseAudit::new(Arc::new(Dry));
    let fixture = Fixture::with(Options { audit: Some(Arc::new(sink)), ..Options::default() }).await;
    assert_eq!(fixture.sign_up("ann@example.com").await.status, 503);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 0);
}

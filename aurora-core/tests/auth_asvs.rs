//! Requirements of OWASP ASVS 5.0 that no test of a flow proves by the way. `scripts/asvs` counts them and all others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::collections::HashSet;

use aurora_core::config::Settings;
use aurora_core::http::Peer;
use aurora_core::types::{Role, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{ANON_KEY, Fixture, Options, PASSWORD, Reply};
use http::Request;
use serde_json::{Value, json};

fn post(path: &str) -> http::request::Builder {
    Request::post(format!("/auth/v1{path}"))
        .header("apikey", ANON_KEY)
        .header("content-type", "application/json")
        .header("x-supabase-api-version", "2024-01-01")
}

async fn send(fixture: &Fixture, path: &str, body: &str) -> Reply {
    fixture.send(post(path).body(body.as_bytes().to_vec()).unwrap(), "192.0.2.1").await
}

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// asvs(V3.4.4, V4.1.1, V14.3.2): each answer of each route says what it is, and that nobody keeps it or guesses.
#[tokio::test]
async fn every_answer_says_what_it_is_and_is_kept_by_nobody() {
    let fixture = Fixture::new().await;
    let token = fixture.sign_up("ann@example.com").await.access();
    let mut answers = Vec::new();
    for route in aurora_core::http::Http::ROUTES {
        let path = route.path().replace("{id}", "00000000-0000-0000-0000-000000000000");
        let body = if ["POST", "PUT"].contains(&route.method()) { json!({}) } else { Value::Null };
        for bearer in [None, Some(token.as_str()), Some("a.b.c")] {
            if route.path() != "/logout" || bearer != Some(token.as_str()) {
                let reply = fixture.call(route.method(), &path, bearer, body.clone()).await;
                answers.push((format!("{} {path}", route.method()), reply));
            }
        }
        for method in ["HEAD", "OPTIONS", "PATCH"] {
            answers.push((
                format!("{method} {path}"),
                fixture.call(method, &path, Some(&token), Value::Null).await,
            ));
        }
    }
    for name in ["signup", "sign-in"] {
        let reply = match name {
            "signup" => fixture.sign_up("bob@example.com").await,
            _ => fixture.sign_in("bob@example.com", PASSWORD).await,
        };
        assert_eq!(reply.status, 200, "{}", reply.text);
        answers.push((name.to_owned(), reply));
    }
    answers.push(("nowhere".to_owned(), fixture.call("GET", "/nowhere", None, Value::Null).await));
    answers.push(("too large".to_owned(), send(&fixture, "/signup", &" ".repeat(300_000)).await));
    answers.push(("half a body".to_owned(), send(&fixture, "/signup", "{").await));
    let preflight = Request::options("/auth/v1/token")
        .header("origin", "https://spa.example.com")
        .header("access-control-request-method", "POST");
    let preflight = fixture.send(preflight.body(Vec::new()).unwrap(), "192.0.2.1").await;
    answers.push(("preflight".to_owned(), preflight));
    for (name, reply) in &answers {
        assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{name}");
        if !reply.text.is_empty() {
            let page = name.starts_with("GET /mailbox") && !name.contains("json");
            let kind = if page { "text/html; charset=utf-8" } else { "application/json; charset=utf-8" };
            assert_eq!(reply.headers["content-type"], kind, "{name}");
            assert!(page || !reply.json.is_null(), "{name}: {}", reply.text);
        }
        let public = name.ends_with("jwks.json") && reply.status == 200;
        let kept = if public { "public, max-age=600" } else { "no-store" };
        assert_eq!(reply.headers["cache-control"], kept, "{name}");
    }
    println!("{} answers", answers.len());
    assert!(answers.len() > 60);
}

/// asvs(V1.1.1): what is encoded is decoded once, where it is expected, and before it is looked at.
#[tokio::test]
async fn nothing_is_decoded_twice_or_unasked() {
    let fixture = Fixture::new().await;
    let body = r#"{"email":"\u0061nn@example.com","password":"a\\u0062c %41 &amp; long"}"#;
    let made = send(&fixture, "/signup", body).await;
    assert_eq!((made.status.as_u16(), &made.json["user"]["email"]), (200, &json!("ann@example.com")));
    assert_eq!(fixture.sign_in("ann@example.com", r"a\u0062c %41 &amp; long").await.status, 200);
    for again in [r"abc %41 &amp; long", r"a\u0062c A &amp; long", r"a\u0062c %41 & long"] {
        assert_eq!(fixture.sign_in("ann@example.com", again).await.code(), "invalid_credentials", "{again}");
    }
    for path in ["/%74oken?grant_type=password", "/%2574oken?grant_type=password", "/sign%75p"] {
        assert_eq!(send(&fixture, path, "{}").await.status, 404, "{path}");
    }
    let body = json!({ "email": "ann@example.com", "password": "x" }).to_string();
    for query in ["grant_type=%70assword", "grant_type=%2570assword", "%67rant_type=password"] {
        let reply = send(&fixture, &format!("/token?{query}"), &body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "validation_failed"), "{query}");
    }
    for email in ["ann%40example.com", "ann&#64;example.com", r"ann\u0040example.com"] {
        assert_eq!(fixture.sign_up(email).await.code(), "validation_failed", "{email}");
    }
    // A member that is another one's twin once it is decoded.
    let body = r#"{"email":"eve@example.com","password":"long enough","em\u0061il":"bob@example.com"}"#;
    assert_eq!(send(&fixture, "/signup", body).await.code(), "bad_json");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
}

/// asvs(V1.2.3): what a user writes stays within its string, in answers and in tokens.
#[tokio::test]
async fn no_text_leaves_its_string() {
    let fixture = Fixture::new().await;
    let text = "\",\"role\":\"service_role\",\"sub\":\"0\\\"}}</script>\u{2028}'";
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "data": { "a": text, text: "a" } });
    let request = post("/signup").header("user-agent", r#"x","current":false,"y":"\"#);
    let made = fixture.send(request.body(body.to_string().into_bytes()).unwrap(), "192.0.2.1").await;
    assert_eq!(made.status, 200, "{}", made.text);
    let list = fixture.call("GET", "/sessions", Some(&made.access()), Value::Null).await.json;
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(list["sessions"][0]["current"], true);
    assert_eq!(list["sessions"][0]["device"], r#"x","current":false,"y":"\"#);
    let id = made.user_id();
    fixture
        .auth
        .update_app_metadata(id.parse().unwrap(), &json!({ "plan": text }).to_string())
        .await
        .unwrap();
    let next = fixture.refresh(&made.refresh()).await;
    let principal = fixture.auth.sessions().admit(&next.access()).await.unwrap();
    let verified: Value = serde_json::from_str(principal.claims()).unwrap();
    for said in [&verified, &claims(&next.access()), &next.json["user"]] {
        assert_eq!(said["role"], "authenticated");
        assert_eq!(said["user_metadata"], json!({ "a": text, text: "a" }));
        assert_eq!(said["app_metadata"]["plan"], text);
    }
    assert_eq!((&verified["sub"], &next.json["user"]["id"]), (&json!(id), &json!(id)));
}

/// asvs(V6.3.2): no account and no key is there before somebody made one.
#[tokio::test]
async fn no_account_and_no_key_is_there_from_the_start() {
    let mut options = Options::default();
    for settings in [Settings::production("https://app.example.com"), Settings::development()] {
        assert!(settings.api_keys.anon.is_empty() && settings.api_keys.service.is_empty());
        options.settings.api_keys = settings.api_keys;
    }
    let fixture = Fixture::with(options).await;
    for table in ["auth_users", "auth_identities", "auth_sessions"] {
        assert_eq!(fixture.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    for name in ["admin", "root", "sa", "postgres", "supabase_admin", "service_role", "aurora"] {
        for password in [name, "password", "changeme", PASSWORD] {
            let email = format!("{name}@example.com");
            assert_eq!(fixture.sign_in(&email, password).await.code(), "invalid_credentials");
        }
        for (header, value) in [("apikey", name.to_owned()), ("authorization", format!("Bearer {name}"))] {
            let (head, ()) = Request::get("/notes").header(header, value).body(()).unwrap().into_parts();
            let peer = Peer::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
            let role = fixture.http.admit(&head, peer).await.map(|admitted| admitted.principal().role());
            assert!(!matches!(role, Ok(Role::Service | Role::Authenticated)), "{header}: {name}");
        }
    }
}

/// asvs(V6.2.10): nobody is made to change a password that is not known to be lost.
#[tokio::test]
async fn a_password_is_good_for_years() {
    let fixture = Fixture::new().await;
    fixture.sign_up("ann@example.com").await;
    for _ in 0..10 {
        fixture.advance(366 * 86_400);
        let session = fixture.sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(session.status, 200, "{}", session.text);
        assert_eq!(fixture.user(&session.access()).await.status, 200, "and nothing else is asked first");
    }
}

/// asvs(V7.2.3, V11.5.1), attack S11: 256 bits each, every one of which is as often set as not.
#[tokio::test]
async fn session_secrets_are_drawn_and_never_twice() {
    const SIGN_INS: usize = 128;
    let fixture = Fixture::new().await;
    fixture.sign_up("ann@example.com").await;
    let (mut secrets, mut sessions, mut set) = (HashSet::new(), HashSet::new(), [0_usize; 256]);
    for _ in 0..SIGN_INS {
        let reply = fixture.sign_in("ann@example.com", PASSWORD).await;
        let token = reply.refresh();
        let secret = URL_SAFE_NO_PAD.decode(token.strip_prefix("art_").unwrap()).unwrap();
        assert_eq!(secret.len(), 32);
        for (at, count) in set.iter_mut().enumerate() {
            *count += usize::from(secret[at / 8] >> (at % 8) & 1);
        }
        secrets.insert(secret);
        sessions.insert(claims(&reply.access())["session_id"].as_str().unwrap().to_owned());
    }
    assert_eq!((secrets.len(), sessions.len()), (SIGN_INS, SIGN_INS));
    // Seven standard deviations around the half.
    assert!(set.iter().all(|count| (24..=104).contains(count)), "{set:?}");
    println!("{SIGN_INS} refresh tokens of 256 bits, none twice; {:?} times a bit was set", set.iter().max());
}

/// asvs(V10.3.3): a user is an id that nobody else ever gets, and not an address.
#[tokio::test]
async fn an_address_that_comes_back_is_somebody_else() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("ann@example.com").await;
    fixture.auth.delete_user(first.user_id().parse().unwrap()).await.unwrap();
    let second = fixture.sign_up("ann@example.com").await;
    assert_ne!(first.user_id(), second.user_id());
    assert_eq!(fixture.user(&first.access()).await.code(), "session_not_found");
    assert_eq!(fixture.refresh(&first.refresh()).await.code(), "refresh_token_not_found");
    // An address that is given up, and taken by the next one.
    let moved = json!({ "email": "ann@new.example.com" });
    assert_eq!(fixture.call("PUT", "/user", Some(&second.access()), moved).await.status, 200);
    let moved = "ann@new.example.com".parse().unwrap();
    fixture.auth.confirm_new_email(second.user_id().parse().unwrap(), &moved).await.unwrap();
    let third = fixture.sign_up("ann@example.com").await;
    for (reply, email) in [(&second, "ann@new.example.com"), (&third, "ann@example.com")] {
        let principal = fixture.auth.sessions().admit(&reply.access()).await.unwrap();
        assert_eq!(principal.user_id().unwrap().to_string(), reply.user_id());
        assert_eq!(claims(&reply.access())["sub"], json!(reply.user_id()));
        let user = fixture.user(&reply.access()).await.json;
        assert_eq!((&user["id"], &user["email"]), (&json!(reply.user_id()), &json!(email)));
    }
    assert_ne!(second.user_id(), third.user_id());
}

/// asvs(V14.2.7): what is over is cleared away by itself: sessions, their addresses and their tokens.
#[tokio::test]
async fn what_is_over_is_cleared_away() {
    let fixture = Fixture::new().await;
    let ann = fixture.sign_up("ann@example.com").await;
    fixture.refresh(&ann.refresh()).await;
    fixture.advance(31 * 86_400);
    fixture.sign_up("bob@example.com").await;
    for table in ["auth_sessions", "auth_refresh_tokens"] {
        let left = fixture.count(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(left, 1, "{table}: Bob's alone, and nobody asked");
    }
}

/// asvs(V15.3.1): of an account its own fields are shown, each by name, and never what the database holds beside.
#[tokio::test]
async fn an_account_shows_no_more_than_is_listed() {
    const SHOWN: &str = "id aud role email email_confirmed_at confirmed_at confirmation_sent_at phone \
        phone_confirmed_at recovery_sent_at email_change_sent_at new_email new_phone invited_at \
        reauthentication_sent_at last_sign_in_at app_metadata user_metadata identities factors created_at \
        updated_at is_anonymous banned_until";
    const SESSION: &str = "id current device address created_at last_used_at expires_at";
    let only = |value: &Value, names: &str| {
        for name in value.as_object().unwrap().keys() {
            assert!(names.split_whitespace().any(|shown| shown == name), "{name}: {value}");
        }
    };
    let fixture = Fixture::new().await;
    let made = fixture.sign_up("ann@example.com").await;
    let entered = fixture.sign_in("ann@example.com", PASSWORD).await;
    let refreshed = fixture.refresh(&made.refresh()).await;
    let read = fixture.user(&made.access()).await;
    let changed = fixture.call("PUT", "/user", Some(&made.access()), json!({ "data": { "a": 1 } })).await;
    for user in
        [&made.json["user"], &entered.json["user"], &refreshed.json["user"], &read.json, &changed.json]
    {
        only(user, SHOWN);
    }
    let list = fixture.call("GET", "/sessions", Some(&made.access()), Value::Null).await;
    for session in list.json["sessions"].as_array().unwrap() {
        only(session, SESSION);
    }
    let stored = fixture.database.rows("SELECT password FROM auth_users").await[0][0].clone().unwrap();
    assert!(stored.starts_with("$argon2id$"));
    for reply in [made, entered, refreshed, read, changed, list] {
        assert!(!reply.text.contains(&stored) && !reply.text.contains("$argon2"), "{}", reply.text);
    }
}

/// asvs(V16.2.1, V16.2.2, V16.3.1): when, who, from where, what and to whom, in UTC; of what succeeds and what does not.
#[tokio::test]
async fn a_record_says_when_who_where_and_what() {
    let fixture = Fixture::new().await;
    let made = fixture.sign_up("ann@example.com").await;
    let ann = made.user_id();
    let mut expected = vec![(fixture.now(), ann.as_str(), "user_signedup", ann.as_str())];
    fixture.advance(61);
    fixture.sign_in("ann@example.com", "not the password").await;
    expected.push((fixture.now(), "anonymous", "login_failed", &ann));
    fixture.advance(3_600);
    let entered = fixture.sign_in("ann@example.com", PASSWORD).await;
    expected.push((fixture.now(), &ann, "login", &ann));
    let session = claims(&entered.access())["session_id"].as_str().unwrap().to_owned();
    fixture.advance(1);
    fixture.refresh(&entered.refresh()).await;
    expected.push((fixture.now(), &ann, "token_refreshed", &session));
    fixture.advance(1);
    let change = json!({ "password": "another long one" });
    assert_eq!(fixture.call("PUT", "/user", Some(&entered.access()), change).await.status, 200);
    expected.push((fixture.now(), &ann, "user_updated_password", &ann));
    fixture.advance(1);
    fixture.call("POST", "/logout", Some(&entered.access()), Value::Null).await;
    expected.push((fixture.now(), &ann, "logout", &session));

    let question = "SELECT at, actor, action, target, request_id, payload FROM aurora_audit ORDER BY rowid";
    let rows = fixture.database.rows(question).await;
    assert_eq!(rows.len(), expected.len());
    let mut requests = HashSet::new();
    for (row, expected) in rows.iter().zip(expected) {
        let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap()).collect();
        // Microseconds since 1970 on one engine, a time with its offset on the other.
        let at = cells[0].parse().map_or_else(|_| cells[0].parse().unwrap(), Timestamp::from_micros);
        assert_eq!((at, cells[1], cells[2], cells[3]), expected);
        assert!(requests.insert(cells[4]), "each has its own request");
        let payload: Value = serde_json::from_str(cells[5]).unwrap();
        assert_eq!(payload["address"], "192.0.2.1", "{}", cells[2]);
        if ["user_signedup", "login"].contains(&cells[2]) {
            assert_eq!(payload["provider"], "email", "how they signed in");
        }
    }
    for time in ["created_at", "updated_at", "last_sign_in_at"] {
        assert!(made.json["user"][time].as_str().unwrap().ends_with('Z'), "{time}");
    }
}

//! Every flow over the wire: its happy path, its denials, and the record of each.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use aurora_core::config::Autoconfirm;
use aurora_core::types::Code;
use common::{ANON_KEY, Fixture, Options, PASSWORD};
use http::Request;
use serde_json::{Value, json};

async fn unconfirmed() -> Fixture {
    let mut options = Options::default();
    options.settings.sign_ups.autoconfirm = Autoconfirm::Off;
    Fixture::with(options).await
}

/// asvs(V14.3.2)
#[tokio::test]
async fn sign_up_gives_a_session_in_supabase_s_shape() {
    let fixture = Fixture::new().await;
    let body = json!({ "email": "Ann@Example.com", "password": PASSWORD, "data": { "name": "Ann" } });
    let reply = fixture.call("POST", "/signup", None, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json["token_type"], "bearer");
    assert_eq!(reply.json["expires_in"], 900);
    assert_eq!(reply.json["expires_at"], fixture.now().as_seconds() + 900);
    let user = &reply.json["user"];
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["aud"], "authenticated");
    assert_eq!(user["role"], "authenticated");
    assert_eq!(user["phone"], "");
    assert_eq!(user["user_metadata"], json!({ "name": "Ann" }));
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    assert_eq!(user["identities"][0]["provider"], "email");
    assert_eq!(user["identities"][0]["user_id"], user["id"]);
    assert_eq!(user["is_anonymous"], false);
    assert!(user["email_confirmed_at"].is_string() && user["last_sign_in_at"].is_string());
    let read = fixture.user(&reply.access()).await;
    assert_eq!((read.status.as_u16(), &read.json["id"]), (200, &user["id"]));
    assert_eq!(read.headers["cache-control"], "no-store");

    let records = fixture.audit().await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.action.as_str(), record.kind.as_str()), ("user_signedup", "security"));
    assert_eq!(record.actor, user["id"].as_str().unwrap());
    assert_eq!(record.request.as_deref(), reply.headers["x-request-id"].to_str().ok());
    assert_eq!(record.sequence, None);
}

/// attack P07, asvs(V2.2.2, V6.2.1)
#[tokio::test]
async fn sign_up_is_refused_with_its_reason() {
    let fixture = Fixture::new().await;
    fixture.sign_up("ann@example.com").await;
    let cases = [
        (
            json!({ "email": "ANN@example.com", "password": PASSWORD }),
            422,
            "user_already_exists",
            "User already registered",
        ),
        (
            json!({ "email": "bob@example.com", "password": "short" }),
            422,
            "weak_password",
            "Password should be at least 8 characters.",
        ),
        (
            json!({ "email": "bob", "password": PASSWORD }),
            400,
            "validation_failed",
            "Unable to validate email address: invalid format",
        ),
        (json!({ "email": "bob@example.com" }), 400, "validation_failed", "Signup requires a valid password"),
        (
            json!({ "password": PASSWORD }),
            422,
            "anonymous_provider_disabled",
            "Anonymous sign-ins are disabled",
        ),
        (
            json!({ "phone": "+4912345", "password": PASSWORD }),
            400,
            "phone_provider_disabled",
            "Phone signups are disabled",
        ),
        (
            json!({ "email": "bob@example.com", "password": PASSWORD, "data": [] }),
            400,
            "validation_failed",
            "`data` has the wrong type",
        ),
    ];
    for (body, status, code, message) in cases {
        let reply = fixture.call("POST", "/signup", None, body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{}", reply.text);
        assert_eq!(reply.json["message"], message);
        assert_eq!(reply.headers["x-sb-error-code"], code);
        assert_eq!(reply.headers["x-supabase-api-version"], "2024-01-01");
        if code == "weak_password" {
            assert_eq!(reply.json["weak_password"]["reasons"], json!(["length"]));
        }
    }
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
    assert_eq!(fixture.actions_since(1).await, ["user_repeated_signup", "signup_failed", "signup_failed"]);
}

#[tokio::test]
async fn closed_registration_is_told_and_recorded() {
    let mut options = Options::default();
    options.settings.sign_ups.disabled = true;
    let fixture = Fixture::with(options).await;
    let reply = fixture.sign_up("ann@example.com").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (422, "signup_disabled"));
    assert_eq!(fixture.actions_since(0).await, ["signup_failed"]);
}

/// attack P15, asvs(V2.3.1): without autoconfirm a taken address looks like a fresh one, and nothing changes.
#[tokio::test]
async fn without_autoconfirm_a_taken_address_gives_a_made_up_user() {
    let fixture = unconfirmed().await;
    let first = fixture.sign_up("ann@example.com").await;
    assert_eq!(first.status, 200);
    assert!(first.json.get("access_token").is_none());
    assert!(first.json.get("email_confirmed_at").is_none());
    assert!(first.json["confirmation_sent_at"].is_string());
    assert_eq!(first.json["identities"].as_array().unwrap().len(), 1);
    // One that waits for its confirmation is answered as a new one is; see auth_mail_edges.
    let again = fixture.sign_up("ann@example.com").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json["id"], first.json["id"]);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
    assert_eq!(fixture.actions_since(0).await, ["user_signedup", "user_repeated_signup"]);

    let early = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!((early.status.as_u16(), early.code()), (400, "email_not_confirmed"));
    assert_eq!(early.json["message"], "Email not confirmed");
    let wrong = fixture.sign_in("ann@example.com", "wrong password").await;
    assert_eq!(
        wrong.code(),
        "invalid_credentials",
        "only who knows the password learns that it is unconfirmed"
    );
    fixture.auth.confirm_email(first.user_id().parse().unwrap()).await.unwrap();
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    let taken = fixture.sign_up("ann@example.com").await;
    assert_eq!(
        (taken.status.as_u16(), &taken.json["identities"], &taken.json["role"]),
        (200, &json!([]), &json!(""))
    );
    assert_ne!(taken.json["id"], first.json["id"]);
}

/// asvs(V16.3.1)
#[tokio::test]
async fn sign_in_and_its_denials() {
    let fixture = Fixture::with(Options::in_production()).await;
    let user = fixture.sign_up("ann@example.com").await.user_id();
    let before = fixture.audit().await.len();
    let reply = fixture.sign_in("ANN@Example.com", PASSWORD).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.user_id(), user);
    let wrong = fixture.sign_in("ann@example.com", "wrong password").await;
    let unknown = fixture.sign_in("bob@example.com", PASSWORD).await;
    let no_address = fixture.sign_in("not an address", PASSWORD).await;
    for denied in [&wrong, &unknown, &no_address] {
        assert_eq!(denied.status, 400);
        assert_eq!(denied.text, r#"{"code":"invalid_credentials","message":"Invalid login credentials"}"#);
    }
    let records = fixture.audit().await.split_off(before);
    let seen: Vec<_> =
        records.iter().map(|row| (row.action.as_str(), row.payload["reason"].as_str())).collect();
    assert_eq!(
        seen,
        [
            ("login", None),
            ("login_failed", Some("wrong password")),
            ("login_failed", Some("unknown address"))
        ]
    );
    assert_eq!(records[1].target.as_deref(), Some(user.as_str()));
    assert_eq!(records[1].actor, "anonymous");
}

#[tokio::test]
async fn claims_are_supabase_s() {
    let fixture = Fixture::new().await;
    let reply = fixture.sign_up("ann@example.com").await;
    let principal = fixture.auth.sessions().admit(&reply.access()).await.unwrap();
    let claims: Value = serde_json::from_str(principal.claims()).unwrap();
    assert_eq!(claims["iss"], "http://127.0.0.1:8080/auth/v1");
    assert_eq!(claims["sub"], reply.json["user"]["id"]);
    assert_eq!(claims["aud"], "authenticated");
    assert_eq!(claims["role"], "authenticated");
    assert_eq!(claims["email"], "ann@example.com");
    assert_eq!(claims["aal"], "aal1");
    assert_eq!(claims["amr"][0]["method"], "password");
    assert_eq!(claims["is_anonymous"], false);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(claims["session_id"], principal.session_id().unwrap().to_string());
}

/// attacks A07, P18, asvs(V8.3.1, V15.3.3)
#[tokio::test]
async fn metadata_is_the_user_s_to_change_and_roles_are_not() {
    let fixture = Fixture::new().await;
    let reply = fixture.sign_up("ann@example.com").await;
    let body = json!({ "data": { "a": 1, "b": 2 }, "app_metadata": { "admin": true }, "role": "service_role", "id": "x" });
    let changed = fixture.call("PUT", "/user", Some(&reply.access()), body).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed =
        fixture.call("PUT", "/user", Some(&reply.access()), json!({ "data": { "a": null, "c": [3] } })).await;
    assert_eq!(changed.json["user_metadata"], json!({ "b": 2, "c": [3] }));
    assert_eq!(changed.json["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    assert_eq!(changed.json["role"], "authenticated");
    assert_eq!(fixture.actions_since(1).await, ["user_modified", "user_modified"]);
}

/// attack P13, asvs(V6.2.2, V7.4.3, V7.5.1)
#[tokio::test]
async fn a_new_password_wants_a_recent_sign_in_and_ends_other_sessions() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("ann@example.com").await;
    let second = fixture.sign_in("ann@example.com", PASSWORD).await;
    let put = async |token: &str, body: Value| fixture.call("PUT", "/user", Some(token), body).await;
    let before = fixture.audit().await.len();

    let same = put(&second.access(), json!({ "password": PASSWORD })).await;
    assert_eq!((same.status.as_u16(), same.code()), (422, "same_password"));
    assert_eq!(same.json["message"], "New password should be different from the old password.");
    let weak = put(&second.access(), json!({ "password": "x" })).await;
    assert_eq!((weak.status.as_u16(), weak.code()), (422, "weak_password"));
    let changed = put(&second.access(), json!({ "password": "another long one" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);

    let dead = fixture.user(&first.access()).await;
    assert_eq!((dead.status.as_u16(), dead.code()), (403, "session_not_found"));
    assert_eq!(fixture.refresh(&first.refresh()).await.code(), "refresh_token_not_found");
    assert_eq!(fixture.user(&second.access()).await.status, 200);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.code(), "invalid_credentials");

    fixture.advance(601);
    let stale = put(&second.access(), json!({ "password": "a third long one" })).await;
    assert_eq!((stale.status.as_u16(), stale.code()), (400, "reauthentication_needed"));
    let wrong = json!({ "password": "a third long one", "current_password": PASSWORD });
    assert_eq!(put(&second.access(), wrong).await.code(), "invalid_credentials");
    let right = json!({ "password": "a third long one", "current_password": "another long one" });
    assert_eq!(put(&second.access(), right).await.status, 200);
    assert_eq!(
        fixture.actions_since(before).await,
        [
            "user_change_failed",
            "user_change_failed",
            "user_updated_password",
            "login_failed",
            "user_change_failed",
            "user_change_failed",
            "user_updated_password"
        ]
    );
}

/// asvs(V7.5.1)
#[tokio::test]
async fn a_new_address_waits_with_autoconfirm_too() {
    let fixture = Fixture::new().await;
    fixture.sign_up("bob@example.com").await;
    let ann = fixture.sign_up("ann@example.com").await;
    // Nor does it tell who is registered.
    for email in ["BOB@example.com", "ann@new.example.com"] {
        let moved = fixture.call("PUT", "/user", Some(&ann.access()), json!({ "email": email })).await;
        assert_eq!((moved.status.as_u16(), &moved.json["email"]), (200, &json!("ann@example.com")));
        assert_eq!(moved.json["new_email"], email.to_lowercase());
    }
    assert_eq!(fixture.sign_in("ann@new.example.com", PASSWORD).await.code(), "invalid_credentials");
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    fixture.advance(601);
    let stale =
        fixture.call("PUT", "/user", Some(&ann.access()), json!({ "email": "ann@old.example.com" })).await;
    assert_eq!(stale.code(), "reauthentication_needed");
    let actions = fixture.actions_since(2).await;
    assert_eq!(actions, ["user_modified", "user_modified", "login_failed", "login", "user_change_failed"]);
}

/// asvs(V2.3.1)
#[tokio::test]
async fn a_new_address_waits_without_autoconfirm() {
    let fixture = unconfirmed().await;
    let id = fixture.sign_up("ann@example.com").await.user_id().parse().unwrap();
    fixture.auth.confirm_email(id).await.unwrap();
    let ann = fixture.sign_in("ann@example.com", PASSWORD).await;
    let waiting =
        fixture.call("PUT", "/user", Some(&ann.access()), json!({ "email": "ann@new.example.com" })).await;
    assert_eq!(waiting.json["email"], "ann@example.com");
    assert_eq!(waiting.json["new_email"], "ann@new.example.com");
    assert_eq!(fixture.sign_in("ann@new.example.com", PASSWORD).await.code(), "invalid_credentials");
    // The current address is confirmed again; the one that waits still waits.
    fixture.auth.confirm_email(id).await.unwrap();
    let user = fixture.user(&ann.access()).await.json;
    assert_eq!(
        (&user["email"], &user["new_email"]),
        (&json!("ann@example.com"), &json!("ann@new.example.com"))
    );
    let other = "ann@other.example.com".parse().unwrap();
    assert_eq!(fixture.auth.confirm_new_email(id, &other).await.unwrap_err().code(), Code::NotFound);
    fixture.auth.confirm_new_email(id, &"ann@new.example.com".parse().unwrap()).await.unwrap();
    let user = fixture.user(&ann.access()).await.json;
    assert_eq!((&user["email"], &user["new_email"]), (&json!("ann@new.example.com"), &Value::Null));
}

/// attack S04, asvs(V7.4.1)
#[tokio::test]
async fn sign_out_ends_what_its_scope_says_at_once() {
    let fixture = Fixture::new().await;
    fixture.sign_up("ann@example.com").await;
    for (scope, dead) in
        [("local", [true, false, false]), ("others", [false, true, true]), ("global", [true, true, true])]
    {
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(fixture.sign_in("ann@example.com", PASSWORD).await);
        }
        let before = fixture.audit().await.len();
        let path = format!("/logout?scope={scope}");
        let out = fixture.call("POST", &path, Some(&sessions[0].access()), Value::Null).await;
        assert_eq!((out.status.as_u16(), out.text.as_str()), (204, ""));
        for (session, dead) in sessions.iter().zip(dead) {
            let user = fixture.user(&session.access()).await;
            assert_eq!(
                user.status == 403 && user.code() == "session_not_found",
                dead,
                "{scope}: {}",
                user.text
            );
            assert_eq!(fixture.refresh(&session.refresh()).await.status == 400, dead, "{scope}");
        }
        assert_eq!(fixture.actions_since(before).await[0], "logout");
    }
}

#[tokio::test]
async fn an_expired_token_may_still_sign_its_own_session_out() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("ann@example.com").await;
    let second = fixture.sign_in("ann@example.com", PASSWORD).await;
    fixture.advance(3600);
    assert_eq!(fixture.user(&first.access()).await.code(), "bad_jwt");
    let others = fixture.call("POST", "/logout?scope=others", Some(&first.access()), Value::Null).await;
    assert_eq!((others.status.as_u16(), others.code()), (403, "bad_jwt"));
    let out = fixture.call("POST", "/logout", Some(&first.access()), Value::Null).await;
    assert_eq!(out.status, 204);
    assert_eq!(fixture.refresh(&first.refresh()).await.code(), "refresh_token_not_found");
    assert_eq!(fixture.refresh(&second.refresh()).await.status, 200, "only its own");
    let forged = format!("{}x", first.access());
    assert_eq!(fixture.call("POST", "/logout", Some(&forged), Value::Null).await.status, 403);
}

/// attack S04: asvs(V7.4.1)
#[tokio::test]
async fn devices_are_listed_and_ended_by_their_user_only() {
    let fixture = Fixture::new().await;
    let laptop = fixture.sign_up("ann@example.com").await;
    fixture.advance(5);
    let phone = fixture.sign_in("ann@example.com", PASSWORD).await;
    let bob = fixture.sign_up("bob@example.com").await;
    let list = fixture.call("GET", "/sessions", Some(&laptop.access()), Value::Null).await;
    let sessions = list.json["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["current"], false, "newest first");
    assert_eq!(sessions[1]["current"], true);
    assert_eq!(sessions[0]["device"], "test-agent/1.0");
    assert_eq!(sessions[0]["address"], "192.0.2.1");
    assert!(sessions[0]["created_at"].is_string() && sessions[0]["last_used_at"].is_string());
    let before = fixture.audit().await.len();
    let path = format!("/sessions/{}", sessions[0]["id"].as_str().unwrap());
    assert_eq!(fixture.call("DELETE", &path, Some(&bob.access()), Value::Null).await.status, 404);
    assert_eq!(fixture.user(&phone.access()).await.status, 200);
    for missing in ["/sessions/7", "/sessions/00000000-0000-0000-0000-000000000000"] {
        assert_eq!(fixture.call("DELETE", missing, Some(&bob.access()), Value::Null).await.status, 404);
    }
    assert_eq!(fixture.call("DELETE", &path, Some(&laptop.access()), Value::Null).await.status, 204);
    assert_eq!(fixture.user(&phone.access()).await.code(), "session_not_found");
    assert_eq!(fixture.call("DELETE", &path, Some(&laptop.access()), Value::Null).await.status, 404);
    assert_eq!(fixture.user(&laptop.access()).await.status, 200);
    let records = fixture.audit().await.split_off(before);
    assert_eq!(records.len(), 4, "{records:?}");
    assert!(records.iter().all(|row| row.action == "session_revoked"));
    assert!(records[2].payload.get("reason").is_none(), "the third one was allowed");
}

#[tokio::test]
async fn what_anyone_may_read() {
    let fixture = Fixture::new().await;
    let settings = fixture.call("GET", "/settings", None, Value::Null).await;
    assert_eq!(settings.json["external"]["email"], true);
    assert_eq!(settings.json["mailer_autoconfirm"], true);
    assert_eq!(settings.json["disable_signup"], false);
    let health = fixture.call("GET", "/health", None, Value::Null).await;
    assert!(health.json["version"].is_string() && health.json["name"].is_string());
    let keys = fixture.call("GET", "/.well-known/jwks.json", None, Value::Null).await;
    assert_eq!(keys.headers["cache-control"], "public, max-age=600");
    assert_eq!(keys.json["keys"][0]["kty"], "EC");
    assert!(keys.json["keys"][0].get("d").is_none());
    let head = fixture.call("HEAD", "/health", None, Value::Null).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

/// asvs(V7.2.2, V8.2.1)
#[tokio::test]
async fn every_route_that_needs_a_user_refuses_without_one() {
    let fixture = Fixture::new().await;
    for route in aurora_core::http::Http::ROUTES.iter().filter(|route| route.needs_user()) {
        let path = route.path().replace("{id}", "00000000-0000-0000-0000-000000000000");
        let body = if route.method() == "PUT" { json!({}) } else { Value::Null };
        let reply = fixture.call(route.method(), &path, None, body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "no_authorization"), "{route:?}");
        assert_eq!(reply.json["message"], "This endpoint requires a valid Bearer token");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        let service = fixture.call(route.method(), &path, Some(common::SERVICE_KEY), body.clone()).await;
        assert_eq!(service.status, 401, "a service key is no user");
        let garbage = fixture.call(route.method(), &path, Some("a.b.c"), body).await;
        assert_eq!((garbage.status.as_u16(), garbage.code()), (403, "bad_jwt"), "{route:?}");
    }
}

/// asvs(V3.5.3, V4.1.4)
#[tokio::test]
async fn other_methods_paths_and_shapes() {
    let fixture = Fixture::with(Options::in_production()).await;
    let get = fixture.call("GET", "/logout", None, Value::Null).await;
    assert_eq!((get.status.as_u16(), get.headers["allow"].to_str().unwrap()), (405, "POST, OPTIONS"));
    let options = fixture.call("OPTIONS", "/user", None, Value::Null).await;
    assert_eq!(
        (options.status.as_u16(), options.headers["allow"].to_str().unwrap()),
        (204, "GET, PUT, HEAD, OPTIONS")
    );
    assert_eq!(fixture.call("POST", "/nowhere", None, Value::Null).await.code(), "not_found");
    // Without the version header: the first shape.
    let request = Request::post("/auth/v1/token?grant_type=password")
        .header("content-type", "application/json")
        .body(br#"{"email":"a@b.c","password":"xxxxxxxx"}"#.to_vec())
        .unwrap();
    let old = fixture.send(request, "192.0.2.1").await;
    let shape =
        json!({ "code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials" });
    assert_eq!(old.json, shape);
    assert!(!old.headers.contains_key("x-supabase-api-version"));
    let grant = fixture.call("POST", "/token?grant_type=pkce", None, json!({})).await;
    assert_eq!((grant.status.as_u16(), grant.code()), (400, "validation_failed"));
}

#[tokio::test]
async fn application_keys_are_matched_by_hash() {
    let fixture = Fixture::new().await;
    let admit = async |headers: &[(&str, &str)]| {
        let mut request = Request::get("/notes");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let peer = aurora_core::http::Peer::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
        match fixture.http.admit(&head, peer).await {
            Ok(admitted) => (200, admitted.principal().role().as_str().to_owned()),
            Err(rejection) => (rejection.into_response().status().as_u16(), String::new()),
        }
    };
    let service = format!("Bearer {}", common::SERVICE_KEY);
    let anon = format!("bearer {ANON_KEY}");
    let user = format!("BEARER {}", fixture.sign_up("ann@example.com").await.access());
    assert_eq!(admit(&[]).await, (200, "anon".to_owned()));
    assert_eq!(admit(&[("apikey", ANON_KEY)]).await, (200, "anon".to_owned()));
    assert_eq!(admit(&[("authorization", &anon)]).await, (200, "anon".to_owned()));
    assert_eq!(admit(&[("authorization", &service)]).await, (200, "service_role".to_owned()));
    assert_eq!(admit(&[("apikey", common::SERVICE_KEY)]).await, (200, "service_role".to_owned()));
    assert_eq!(
        admit(&[("apikey", ANON_KEY), ("authorization", &user)]).await,
        (200, "authenticated".to_owned())
    );
    assert_eq!(admit(&[("apikey", common::SERVICE_KEY), ("authorization", &user)]).await.1, "authenticated");
    for denied in [
        ("apikey", "sb_secret_guess"),
        ("authorization", "Bearer sb_secret_guess"),
        ("authorization", "Bearer"),
        ("authorization", "Basic YTpi"),
        ("authorization", "Bearer a.b.c"),
    ] {
        assert_eq!(admit(&[denied]).await.0, 401, "{denied:?}");
    }
    assert_eq!(admit(&[("authorization", &user), ("authorization", &anon)]).await.0, 400);
}

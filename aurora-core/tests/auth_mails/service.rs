//! What the service does itself, and what is switched off.

use aurora_core::mail::Kind;
use http::Request;
use serde_json::{Value, json};

use crate::common::mailed::{SITE, by_link, by_service, confirmed, mail, mails_to, post, token, with};
use crate::common::{Fixture, PASSWORD};
use crate::{changes, fixture};

#[tokio::test]
async fn somebody_unknown_comes_in_and_becomes_known() {
    let fixture = fixture().await;
    let body = json!({ "data": { "theme": "dark" } });
    let session = post(&fixture, "/signup", body).await;
    assert_eq!(session.status, 200, "{}", session.text);
    assert_eq!(
        (&session.json["user"]["is_anonymous"], &session.json["user"]["email"]),
        (&json!(true), &json!(""))
    );
    assert_eq!(session.json["user"]["identities"], json!([]));
    let claims = fixture.auth.sessions().admit(&session.access()).await.unwrap();
    let claims: Value = serde_json::from_str(claims.claims()).unwrap();
    assert_eq!((&claims["is_anonymous"], &claims["amr"][0]["method"]), (&json!(true), &json!("anonymous")));
    let asked =
        fixture.call("PUT", "/user", Some(&session.access()), json!({ "email": "ann@example.com" })).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let mail = mail(&fixture, Kind::EmailChangeNew, "ann@example.com").await;
    let known = by_link(&fixture, "email_change", &token(&mail)).await;
    assert_eq!(known.status, 200, "{}", known.text);
    let user = &known.json["user"];
    assert_eq!((&user["id"], &user["is_anonymous"]), (&session.json["user"]["id"], &json!(false)));
    assert_eq!(user["user_metadata"], json!({ "theme": "dark" }), "their own, not a stranger's");
    assert_eq!(user["identities"][0]["provider"], "email");
    assert_eq!(user["app_metadata"]["provider"], "email");
    let told = changes(&fixture, &session).await;
    assert_eq!(told, ["waits for confirmation", "changed"].map(|said| json!(said)));
    // Off unless it is asked for.
    let strict = Fixture::new().await;
    let refused = post(&strict, "/signup", json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "anonymous_provider_disabled"));
    assert_eq!(strict.actions_since(0).await, ["signup_failed"]);
}

#[tokio::test]
async fn the_service_keeps_its_users() {
    let fixture = fixture().await;
    let new = json!({ "email": "ann@example.com", "password": PASSWORD, "email_confirm": true,
        "user_metadata": { "name": "Ann" }, "app_metadata": { "plan": "pro" } });
    let ann = by_service(&fixture, "POST", "/admin/users", new.clone()).await;
    assert_eq!(ann.status, 200, "{}", ann.text);
    assert_eq!(
        ann.json["app_metadata"],
        json!({ "plan": "pro", "provider": "email", "providers": ["email"] })
    );
    assert_eq!(by_service(&fixture, "POST", "/admin/users", new).await.code(), "email_exists");
    let id = ann.json["id"].as_str().unwrap().to_owned();
    for number in 0..4 {
        let body = json!({ "email": format!("u{number}@example.com") });
        by_service(&fixture, "POST", "/admin/users", body).await;
    }
    let page = by_service(&fixture, "GET", "/admin/users?page=2&per_page=2", Value::Null).await;
    assert_eq!(page.json["users"].as_array().unwrap().len(), 2);
    assert_eq!(page.headers["x-total-count"], "5");
    assert_eq!(
        page.headers["link"],
        "</auth/v1/admin/users?page=3&per_page=2>; rel=\"next\", </auth/v1/admin/users?page=3&per_page=2>; rel=\"last\""
    );
    assert_eq!(
        by_service(&fixture, "GET", "/admin/users?page=&per_page=", Value::Null).await.json["users"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let body =
        json!({ "email": "anna@example.com", "ban_duration": "24h", "app_metadata": { "plan": null } });
    let changed = by_service(&fixture, "PUT", &format!("/admin/users/{id}"), body).await;
    assert_eq!(changed.json["email"], "anna@example.com");
    assert!(changed.json["banned_until"].is_string() && changed.json["app_metadata"].get("plan").is_none());
    assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");
    assert_eq!(fixture.sign_in("anna@example.com", PASSWORD).await.code(), "user_banned");
    by_service(&fixture, "PUT", &format!("/admin/users/{id}"), json!({ "ban_duration": "none" })).await;
    assert_eq!(fixture.sign_in("anna@example.com", PASSWORD).await.status, 200);
    let path = format!("/admin/users/{id}");
    let gone = by_service(&fixture, "DELETE", &path, json!({ "should_soft_delete": true })).await;
    assert_eq!(gone.text, "{}");
    let left = by_service(&fixture, "GET", &path, Value::Null).await;
    assert!(
        left.json["deleted_at"].is_string()
            && left.json["email"] == ""
            && left.json["user_metadata"] == json!({})
    );
    assert_eq!(fixture.sign_in("anna@example.com", PASSWORD).await.code(), "invalid_credentials");
    assert_eq!(by_service(&fixture, "DELETE", &path, Value::Null).await.status, 200);
    assert_eq!(by_service(&fixture, "GET", &path, Value::Null).await.code(), "user_not_found");
    assert_eq!(
        by_service(&fixture, "GET", "/admin/users/ann", Value::Null).await.code(),
        "validation_failed"
    );
}

/// asvs(V8.2.1, V16.3.2)
#[tokio::test]
async fn nobody_else_administers() {
    let fixture = fixture().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    let routes = aurora_core::http::Http::ROUTES.iter().filter(|route| route.needs_service());
    let mut tried = 0;
    for route in routes {
        let path = route.path().replace("{id}", &session.user_id());
        let body = if route.method() == "GET" { Value::Null } else { json!({ "email": "eve@example.com" }) };
        let user = fixture.call(route.method(), &path, Some(&session.access()), body.clone()).await;
        assert_eq!((user.status.as_u16(), user.code()), (403, "not_admin"), "{} {path}", route.method());
        assert_eq!(user.json["message"], "User not allowed");
        let visitor = fixture.call(route.method(), &path, None, body.clone()).await;
        assert_eq!(visitor.code(), "not_admin", "{} {path}", route.method());
        let request = Request::builder().method(route.method()).uri(format!("/auth/v1{path}"));
        let nobody = fixture.send(request.body(Vec::new()).unwrap(), "192.0.2.7").await;
        assert_eq!(nobody.status, 401, "{} {path}", route.method());
        tried += 1;
    }
    println!("{tried} routes of the service's, each refused to a user, a visitor and nobody");
    assert_eq!(tried, 9);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
    // Who tried is recorded: once as a user and once as a visitor, per address and minute.
    let refused = async || {
        let rows = fixture.audit().await.into_iter().filter(|row| row.action == "admin_refused");
        rows.map(|row| (row.actor, row.kind, row.payload, row.request.is_some())).collect::<Vec<_>>()
    };
    let first = json!({ "address": "192.0.2.1", "route": "/auth/v1/invite" });
    let record = |actor: &str| (actor.to_owned(), "security".to_owned(), first.clone(), true);
    assert_eq!(refused().await, [record(&session.user_id()), record("anonymous")]);
    let ask = async |from: &str, token: Option<&str>| {
        let reply = fixture.call_from(from, "GET", "/admin/users?page=1", token, Value::Null).await;
        assert_eq!(reply.code(), "not_admin");
        refused().await.len()
    };
    assert_eq!(ask("192.0.2.1", Some(&session.access())).await, 2);
    assert_eq!(ask("192.0.2.8", Some(&session.access())).await, 3, "from elsewhere");
    fixture.advance(60);
    assert_eq!(ask("192.0.2.1", None).await, 4, "a minute later");
    assert!(!format!("{:?}", refused().await).contains("page"), "no query stands in a record");
    // A forged token is nobody's, and makes no record; where none can be written, nobody gets past either.
    let forged = fixture.call("GET", "/admin/users", Some("not.a.token"), Value::Null).await;
    assert_eq!((forged.status.as_u16(), forged.code(), refused().await.len()), (403, "bad_jwt", 4));
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    let user =
        fixture.call_from("192.0.2.9", "GET", "/admin/users", Some(&session.access()), Value::Null).await;
    assert_eq!((user.status.as_u16(), user.code()), (500, "unexpected_failure"));
}

#[tokio::test]
async fn invitations_and_links_for_a_host_that_sends_mails_itself() {
    let fixture = fixture().await;
    let invited =
        by_service(&fixture, "POST", "/invite", json!({ "email": "ann@example.com", "data": { "team": 7 } }))
            .await;
    assert_eq!(invited.status, 200, "{}", invited.text);
    assert!(invited.json["invited_at"].is_string());
    let mail = mail(&fixture, Kind::Invite, "ann@example.com").await;
    let session = by_link(&fixture, "invite", &token(&mail)).await;
    assert_eq!(session.json["user"]["user_metadata"], json!({ "team": 7 }));
    assert_eq!(
        by_service(&fixture, "POST", "/invite", json!({ "email": "ann@example.com" })).await.code(),
        "email_exists"
    );
    let generate = async |body: Value| by_service(&fixture, "POST", "/admin/generate_link", body).await;
    let before = fixture.mailbox.mails().len();
    for (body, kind) in [
        (json!({ "type": "signup", "email": "bob@example.com", "password": PASSWORD }), "signup"),
        (json!({ "type": "recovery", "email": "ann@example.com" }), "recovery"),
        (
            json!({ "type": "magiclink", "email": "ann@example.com", "redirect_to": "https://spa.example.com/x" }),
            "magiclink",
        ),
        (json!({ "type": "invite", "email": "cyd@example.com" }), "invite"),
    ] {
        let link = generate(body).await;
        assert_eq!(link.status, 200, "{}", link.text);
        assert_eq!(link.json["verification_type"], kind);
        assert!(
            link.json["action_link"].as_str().unwrap().starts_with(&format!("{SITE}/auth/v1/verify?token="))
        );
        let hashed = link.json["hashed_token"].as_str().unwrap();
        assert_eq!(by_link(&fixture, kind, hashed).await.status, 200, "{kind}");
    }
    assert_eq!(fixture.sign_in("bob@example.com", PASSWORD).await.status, 200);
    assert_eq!(
        generate(json!({ "type": "recovery", "email": "nobody@example.com" })).await.code(),
        "user_not_found"
    );
    assert_eq!(
        generate(json!({ "type": "sms", "email": "ann@example.com" })).await.code(),
        "validation_failed"
    );
    fixture.send_mails().await;
    assert_eq!(fixture.mailbox.mails().len(), before);
}

/// Status, code and sentence are those of Supabase's server where these are switched off.
#[tokio::test]
async fn what_is_switched_off_says_so() {
    let fixture = fixture().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    let access = session.access();
    const LINKING: &str = "Manual linking is disabled";
    const PROVIDER: &str = "Unsupported provider: provider is not enabled";
    const SAML: &str = "SAML 2.0 is disabled";
    const WEB3: &str = "Web3 provider is disabled";
    for (method, path, token, body, status, code, sentence) in [
        ("POST", "/sso", None, json!({ "domain": "example.com" }), 404, "saml_provider_disabled", SAML),
        ("POST", "/token?grant_type=web3", None, json!({}), 422, "web3_provider_disabled", WEB3),
        (
            "GET",
            "/user/identities/authorize?provider=github",
            Some(&access),
            Value::Null,
            404,
            "manual_linking_disabled",
            LINKING,
        ),
        ("DELETE", "/user/identities/x", Some(&access), Value::Null, 404, "manual_linking_disabled", LINKING),
        (
            "POST",
            "/token?grant_type=id_token",
            None,
            json!({ "provider": "google", "id_token": "e30.e30.AA" }),
            400,
            "provider_disabled",
            PROVIDER,
        ),
        (
            "GET",
            "/authorize?provider=github&redirect_to=http%3A%2F%2F127.0.0.1%3A8080%2F",
            None,
            Value::Null,
            400,
            "validation_failed",
            PROVIDER,
        ),
    ] {
        let reply = fixture.call(method, path, token.map(String::as_str), body).await;
        let said = (reply.status.as_u16(), reply.code(), reply.json["message"].as_str().unwrap_or_default());
        assert_eq!(said, (status, code, sentence), "{method} {path}: {}", reply.text);
    }
    // Nobody is sent on to where a link asks for.
    let plain = Request::get("/auth/v1/authorize?provider=github&redirect_to=https://evil.example.com");
    let reply = fixture.send(plain.body(Vec::new()).unwrap(), "192.0.2.1").await;
    assert_eq!((reply.status.as_u16(), reply.headers.get("location")), (400, None), "{}", reply.text);
    assert_eq!(reply.headers["x-sb-error-code"], "validation_failed");
}

/// As Supabase's server answers; it asks no switch at `/verify`, where no code was sent to any number.
#[tokio::test]
async fn phone_numbers_are_answered_as_where_they_are_switched_off() {
    const OFF: &str = "phone_provider_disabled";
    const OTP: &str = "Unsupported phone provider";
    const LOGINS: &str = "Phone logins are disabled";
    let fixture = fixture().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    let access = session.access();
    let phone = json!({ "phone": "+4712345678" });
    let (secret, sms) = (json!({ "password": PASSWORD }), json!({ "type": "sms" }));
    let code = with(sms.clone(), json!({ "token": "123456" }));
    let refusals = [
        ("POST", "/signup", None, &secret, 400, OFF, "Phone signups are disabled"),
        ("POST", "/token?grant_type=password", None, &secret, 422, OFF, LOGINS),
        ("POST", "/otp", None, &json!({ "channel": "sms" }), 400, OFF, OTP),
        ("POST", "/resend", None, &sms, 400, OFF, LOGINS),
        ("POST", "/verify", None, &code, 403, "otp_expired", "Token has expired or is invalid"),
        ("PUT", "/user", Some(&access), &json!({ "email": "new@example.com" }), 400, OFF, OTP),
    ];
    for (method, path, token, body, status, code, sentence) in refusals {
        let body = with(body.clone(), phone.clone());
        let reply = fixture.call(method, path, token.map(String::as_str), body).await;
        let said = (reply.status.as_u16(), reply.code(), reply.json["message"].as_str().unwrap_or_default());
        assert_eq!(said, (status, code, sentence), "{method} {path}: {}", reply.text);
    }
    let ann = format!("/admin/users/{}", session.user_id());
    for (method, path) in [("POST", "/admin/users"), ("PUT", ann.as_str())] {
        let reply = by_service(&fixture, method, path, phone.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, OFF), "{method} {path}: {}", reply.text);
    }
    // With an address beside it, it is not clear who is meant.
    for (path, end) in [
        ("/signup", " on signup."),
        ("/token?grant_type=password", " on login."),
        ("/otp", ""),
        ("/resend", "."),
        ("/verify", " on verify"),
    ] {
        let both = with(phone.clone(), json!({ "email": "ann@example.com", "password": PASSWORD }));
        let reply = post(&fixture, path, with(both, code.clone())).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "validation_failed"), "{}", reply.text);
        let sentence = format!("Only an email address or phone number should be provided{end}");
        assert_eq!(reply.json["message"], sentence, "{path}");
    }
    // An empty one is none, as clients send it; nothing was changed or sent for the others.
    let empty = json!({ "email": "ann@example.com", "phone": "", "password": PASSWORD });
    assert_eq!(post(&fixture, "/token?grant_type=password", empty).await.status, 200);
    let user = fixture.user(&access).await;
    assert_eq!((&user.json["phone"], &user.json["email"]), (&json!(""), &json!("ann@example.com")));
    assert_eq!(mails_to(&fixture, "new@example.com").await, 0);
}

//! Requests that another page made.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::common::{ANON_KEY, SERVICE_KEY};
use crate::{
    ACCESS, Browser, CSRF, OWN, PASSWORD_GRANT, REFRESH, REFRESH_GRANT, SAME_ORIGIN, SPA, credentials,
    fixture, forgeries, is, is_in_cookies, signed_in,
};

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

//! A session in cookies, from its refresh to its end.

use http::Request;
use serde_json::{Value, json};

use crate::{
    ACCESS, Browser, CSRF, PASSWORD_GRANT, REFRESH, REFRESH_GRANT, SAME_ORIGIN, SPA, credentials, fixture,
    is, is_in_cookies, set, signed_in,
};

/// attacks R01, R04: a refresh by cookie is a refresh, with its grace and its replay.
#[tokio::test]
async fn a_session_is_refreshed_by_its_cookie() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let first = browser.jar();
    fixture.advance(15 * 60 + 1);
    is(&browser.get("/user").await, 403, "bad_jwt");
    assert_eq!(browser.admit("GET", &[]).await.unwrap_err().into_response().status(), 401);
    assert_eq!(browser.get("/csrf").await.status, 200, "who has to refresh is told the token");
    // Two tabs at once, one of which loses the answer.
    let tab = Browser::with(&fixture, browser.jar());
    let (one, two) = tokio::join!(
        browser.change("POST", REFRESH_GRANT, Value::Null),
        tab.change("POST", REFRESH_GRANT, Value::Null)
    );
    is_in_cookies(&one);
    is_in_cookies(&two);
    assert_eq!(browser.kept(REFRESH), tab.kept(REFRESH));
    assert_eq!(browser.get("/user").await.status, 200);
    // Late, twice on, after the grace: a replay, which takes the cookies away.
    is_in_cookies(&browser.change("POST", REFRESH_GRANT, Value::Null).await);
    fixture.advance(11);
    let thief = Browser::with(&fixture, first);
    let reply = thief.change("POST", REFRESH_GRANT, Value::Null).await;
    is(&reply, 400, "refresh_token_already_used");
    assert!(thief.jar().is_empty(), "{:?}", thief.jar());
    is(&browser.get("/user").await, 403, "session_not_found");
    let reply = browser.change("POST", REFRESH_GRANT, Value::Null).await;
    is(&reply, 400, "refresh_token_not_found");
    assert!(browser.jar().is_empty());
    let nobody = browser.send("POST", REFRESH_GRANT, SAME_ORIGIN, &Value::Null).await;
    is(&nobody, 400, "refresh_token_not_found");
    assert!(!nobody.headers.contains_key("set-cookie"));
}

/// A refresh that fails for a while takes nothing away.
#[tokio::test]
async fn an_overload_signs_nobody_out() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    let reply = browser.change("POST", REFRESH_GRANT, Value::Null).await;
    assert_eq!(reply.status, 500);
    assert!(!reply.headers.contains_key("set-cookie"));
    fixture.execute("ALTER TABLE gone RENAME TO aurora_audit").await;
    is_in_cookies(&browser.change("POST", REFRESH_GRANT, Value::Null).await);
}

/// attack S04, asvs(V7.4.1): a cookie that was used after its sign-out opens nothing; and signing out always works.
#[tokio::test]
async fn signing_out_ends_the_session_and_takes_the_cookies() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let other = Browser::new(&fixture);
    is_in_cookies(&other.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    let stolen = Browser::with(&fixture, browser.jar());
    let reply = browser.change("POST", "/logout?scope=others", Value::Null).await;
    assert_eq!(reply.status, 204);
    assert_eq!(browser.jar().len(), 3, "the session that asks goes on");
    is(&other.get("/user").await, 403, "session_not_found");
    let reply = browser.change("POST", "/logout?scope=local", Value::Null).await;
    assert_eq!(reply.status, 204);
    assert!(browser.jar().is_empty());
    let attributes: Vec<String> =
        set(&reply.headers).into_iter().map(|(.., attributes)| attributes).collect();
    assert!(attributes.iter().all(|one| one.starts_with("Path=/; Secure;") && one.ends_with("Max-Age=0")));
    is(&stolen.get("/user").await, 403, "session_not_found");
    assert_eq!(stolen.admit("GET", &[]).await.unwrap_err().into_response().status(), 401);
    is(&stolen.change("POST", REFRESH_GRANT, Value::Null).await, 400, "refresh_token_not_found");
    // Again, by whoever still has cookies of a session that is over: they go.
    let reply = other.change("POST", "/logout", Value::Null).await;
    assert_eq!(reply.status, 204);
    assert!(other.jar().is_empty());
    is(&other.send("POST", "/logout", SAME_ORIGIN, &Value::Null).await, 401, "no_authorization");

    // After a month away, with an access token that no key verifies any more.
    let late = Browser::new(&fixture);
    is_in_cookies(&late.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    let twin = Browser::with(&fixture, late.jar());
    fixture.advance(86_400);
    late.keep(ACCESS, "a.b.c");
    assert_eq!(late.change("POST", "/logout?scope=local", Value::Null).await.status, 204);
    assert!(late.jar().is_empty());
    is(&twin.change("POST", REFRESH_GRANT, Value::Null).await, 400, "refresh_token_not_found");
}

/// attack V03, asvs(V15.3.7)
#[tokio::test]
async fn odd_cookies_open_nothing() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let access = browser.kept(ACCESS);
    let send = async |lines: &[Vec<u8>]| {
        let mut request = Request::get("/auth/v1/user").header("x-supabase-api-version", "2024-01-01");
        for line in lines {
            request = request.header("cookie", line.as_slice());
        }
        fixture.send(request.body(Vec::new()).unwrap(), "192.0.2.1").await
    };
    let of = |text: String| vec![text.into_bytes()];
    let right = send(&of(format!("theme=dark; {ACCESS}={access}; x=\"1\""))).await;
    assert_eq!(right.status, 200, "{}", right.text);
    // HTTP/2 sends a cookie each.
    let two = [b"theme=dark".to_vec(), format!("{ACCESS}={access}").into_bytes()];
    assert_eq!(send(&two).await.status, 200);
    let foreign = [&b"\xff\xfe=\x80; "[..], ACCESS.as_bytes(), b"=", access.as_bytes()].concat();
    assert_eq!(send(&[foreign]).await.status, 200, "another one's cookies may be what they like");
    for (name, lines) in [
        ("twice", of(format!("{ACCESS}={access}; {ACCESS}={access}"))),
        ("a planted one first", of(format!("{ACCESS}=x; {ACCESS}={access}"))),
        ("in two headers", vec![format!("{ACCESS}={access}").into(), format!("{ACCESS}={access}").into()]),
    ] {
        let reply = send(&lines).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "validation_failed"), "{name}");
        assert!(!reply.text.contains(&access));
    }
    let (head, signature) = access.rsplit_once('.').unwrap();
    for (name, value) in [
        ("quoted", format!("\"{access}\"")),
        ("escaped", access.replace('.', "%2E")),
        ("cut", access[..access.len() - 2].to_owned()),
        ("padded", format!("{access}=")),
        ("bad base64", format!("{head}.{}", "!".repeat(signature.len()))),
        ("not base64url", format!("{head}.{}", "+/".repeat(signature.len() / 2))),
        ("empty", String::new()),
        ("a refresh token", browser.kept(REFRESH)),
        ("a token against forgeries", browser.kept(CSRF)),
        ("5 KB", "x".repeat(5_000)),
        ("64 KB", format!("{access}{}", "A".repeat(65_536))),
    ] {
        let reply = send(&of(format!("{ACCESS}={value}"))).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (403, "bad_jwt"), "{name}");
    }
    let unreadable = [ACCESS.as_bytes(), b"=\xff\xfe"].concat();
    assert_eq!(send(&[unreadable]).await.code(), "bad_jwt");
    for other in [
        format!("__host-aurora-access={access}"),
        format!("aurora-access={access}"),
        format!("__Secure-aurora-access={access}"),
        format!("{ACCESS} ={access}"),
        format!("={ACCESS}={access}"),
        format!("$Version=1; {ACCESS}x={access}"),
        ACCESS.to_owned(),
    ] {
        let reply = send(&of(other.clone())).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "no_authorization"), "{other}");
    }
    let many = (0..2_000).map(|n| format!("c{n}=x")).collect::<Vec<_>>().join("; ");
    assert_eq!(send(&of(format!("{many}; {ACCESS}={access}"))).await.status, 200);
    // The refresh cookie alone opens nothing, wherever it is put.
    let refresh = Browser::new(&fixture);
    refresh.keep(REFRESH, &browser.kept(REFRESH));
    is(&refresh.get("/user").await, 401, "no_authorization");
    for value in ["garbage", "", "\"art_x\""] {
        refresh.keep(REFRESH, value);
        let reply = refresh.send("POST", REFRESH_GRANT, SAME_ORIGIN, &Value::Null).await;
        is(&reply, 400, "refresh_token_not_found");
    }
}

/// attack S08, asvs(V3.4.2): an allowed origin of the same site may have its cookies; no other may.
#[tokio::test]
async fn an_allowed_origin_of_the_same_site() {
    let fixture = fixture().await;
    let browser = Browser::new(&fixture);
    let spa = [("sec-fetch-site", "same-site"), ("origin", SPA)];
    let said = [&spa[..], &[("x-aurora-session", "cookie")]].concat();
    let reply = browser.send("POST", "/signup", &said, &credentials("ann@example.com")).await;
    is_in_cookies(&reply);
    assert_eq!(reply.headers["access-control-allow-origin"], SPA);
    assert_eq!(reply.headers["access-control-allow-credentials"], "true");
    // It cannot read the cookie, and asks.
    let told = browser.send("GET", "/csrf", &spa, &Value::Null).await;
    let token = told.json["csrf_token"].as_str().unwrap().to_owned();
    let said = [&spa[..], &[("x-csrf-token", token.as_str())]].concat();
    assert_eq!(browser.send("PUT", "/user", &said, &json!({ "data": {} })).await.status, 200);
    assert!(browser.admit("POST", &said).await.is_ok());
    for origin in ["null", "https://evil.test", "https://spa.example.com.evil.test", "http://spa.example.com"]
    {
        for site in ["same-site", "cross-site", "same-origin"] {
            let said = [("sec-fetch-site", site), ("origin", origin), ("x-csrf-token", token.as_str())];
            let reply = browser.send("PUT", "/user", &said, &json!({ "data": {} })).await;
            is(&reply, 403, "origin_not_allowed");
            for header in ["access-control-allow-origin", "access-control-allow-credentials"] {
                assert!(!reply.headers.contains_key(header), "{origin}");
            }
        }
        let ask = [("origin", origin), ("access-control-request-method", "POST")];
        let reply = browser.send("OPTIONS", "/token", &ask, &Value::Null).await;
        assert_eq!(reply.status, 403);
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    }
    let ask = [
        ("origin", SPA),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-aurora-session"),
    ];
    let reply = browser.send("OPTIONS", "/token", &ask, &Value::Null).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.headers["access-control-allow-credentials"], "true");
}

/// asvs(V3.3.5): what no cookie could carry is refused where it is written, so that no sign-in fails of it.
#[tokio::test]
async fn metadata_fits_a_cookie() {
    let fixture = fixture().await;
    let browser = signed_in(&fixture, "ann@example.com").await;
    let data = |length: usize| json!({ "data": { "note": "x".repeat(length) } });
    let mut fits = 0;
    for length in [500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500] {
        let reply = browser.change("PUT", "/user", data(length)).await;
        if reply.status != 200 {
            is(&reply, 400, "validation_failed");
            continue;
        }
        fits = length;
        let reply = browser.change("POST", REFRESH_GRANT, Value::Null).await;
        is_in_cookies(&reply);
    }
    println!("the longest note that fits a cookie: {fits} characters and more");
    assert!((1_000..3_000).contains(&fits), "{fits}");
}

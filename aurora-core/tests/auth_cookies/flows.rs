//! Which answers give cookies.

use aurora_core::config::Autoconfirm;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::common::{Fixture, PASSWORD};
use crate::{
    ACCESS, Browser, OWN, PASSWORD_GRANT, REFRESH, REFRESH_GRANT, SAME_ORIGIN, VERIFIER, credentials, is,
    is_in_cookies, options,
};

/// attack S07: where cookies are off, none is set and none is read.
#[tokio::test]
async fn off_by_default() {
    let fixture = Fixture::new().await;
    let browser = Browser::new(&fixture);
    is(&browser.ask("/signup", credentials("ann@example.com")).await, 400, "validation_failed");
    assert!(fixture.audit().await.is_empty(), "refused before anything happened");
    let session = fixture.sign_up("ann@example.com").await;
    assert!(!session.headers.contains_key("set-cookie"));
    browser.keep(ACCESS, &session.access());
    browser.keep(REFRESH, &session.refresh());
    is(&browser.get("/user").await, 401, "no_authorization");
    let reply = browser.send("POST", REFRESH_GRANT, SAME_ORIGIN, &Value::Null).await;
    is(&reply, 415, "unsupported_media_type");
    is(&browser.send("POST", "/logout", SAME_ORIGIN, &Value::Null).await, 401, "no_authorization");
    is(&fixture.call("GET", "/csrf", Some(&session.access()), Value::Null).await, 404, "not_found");
    let admitted = browser.admit("GET", &[]).await.unwrap();
    assert!(admitted.principal().user_id().is_none());
    assert!(!fixture.user(&session.access()).await.headers["vary"].to_str().unwrap().contains("cookie"));
}

/// attacks S02, S05, asvs(V3.3.1, V3.3.2, V3.3.3, V3.3.4, V3.3.5)
#[tokio::test]
async fn every_flow_that_gives_a_session_gives_it_in_cookies() {
    let mut options = options();
    options.settings.redirects.push("https://spa.example.com/**".to_owned());
    let fixture = Fixture::with(options).await;
    let browser = Browser::new(&fixture);
    is_in_cookies(&browser.ask("/signup", credentials("ann@example.com")).await);
    is_in_cookies(&browser.ask(PASSWORD_GRANT, credentials("ann@example.com")).await);
    is_in_cookies(&browser.change("POST", REFRESH_GRANT, Value::Null).await);
    is_in_cookies(&Browser::new(&fixture).ask("/signup", json!({ "data": {} })).await);
    // A client that has tokens and becomes one that has none.
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let body = json!({ "refresh_token": session.refresh() });
    is_in_cookies(&Browser::new(&fixture).ask(REFRESH_GRANT, body).await);
    // A code that was typed.
    assert_eq!(browser.ask("/otp", json!({ "email": "ann@example.com" })).await.status, 200);
    fixture.send_mails().await;
    let code = fixture.mailbox.mails()[0].code.clone().unwrap();
    let body = json!({ "type": "email", "email": "ann@example.com", "token": code });
    is_in_cookies(&Browser::new(&fixture).ask("/verify", body).await);
    // A link with a challenge.
    fixture.advance(61);
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let body = json!({ "email": "ann@example.com", "code_challenge": challenge,
        "code_challenge_method": "s256" });
    assert_eq!(browser.ask("/otp", body).await.status, 200);
    fixture.send_mails().await;
    let link = fixture.mailbox.mails()[0].link.clone().unwrap();
    let path = link.strip_prefix(OWN).unwrap().strip_prefix("/auth/v1").unwrap().to_owned();
    let opened = browser.get(&path).await;
    assert!(!opened.headers.contains_key("set-cookie"), "a link that is opened signs nobody in");
    let place = opened.headers["location"].to_str().unwrap().to_owned();
    let code = place.split_once("code=").unwrap().1.to_owned();
    let body = json!({ "auth_code": code, "code_verifier": VERIFIER });
    is_in_cookies(&Browser::new(&fixture).ask("/token?grant_type=pkce", body).await);
    // Everybody else has tokens, as ever.
    let plain = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert!(!plain.access().is_empty() && !plain.headers.contains_key("set-cookie"));
}

/// A registration that waits for its mail gives no session, in cookies or not.
#[tokio::test]
async fn who_waits_for_a_mail_has_no_cookie() {
    let mut options = options();
    options.settings.sign_ups.autoconfirm = Autoconfirm::Off;
    let fixture = Fixture::with(options).await;
    let reply = Browser::new(&fixture).ask("/signup", credentials("ann@example.com")).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.headers.contains_key("set-cookie") && reply.json["confirmation_sent_at"].is_string());
}

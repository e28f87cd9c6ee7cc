//! Registrations that wait for their mail.

use std::time::Duration;

use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::common::mailed::{
    VERIFIER, by_code, by_link, confirmed, exchange, fragment, location, mail, mails_to, newer, open,
    options, parameter, post, press, token,
};
use crate::common::{Fixture, PASSWORD};
use crate::{common, fixture};

/// asvs(V6.4.1)
#[tokio::test]
async fn a_registration_waits_for_its_mail() {
    let fixture = fixture().await;
    let user = fixture.sign_up("ann@example.com").await;
    assert_eq!((user.status.as_u16(), user.json.get("access_token")), (200, None));
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.code(), "email_not_confirmed");
    let mail = mail(&fixture, Kind::Confirmation, "ann@example.com").await;
    let code = mail.code.clone().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    assert!(mail.text.contains(&code) && mail.text.contains(mail.link.as_deref().unwrap()));
    let session = by_code(&fixture, "email", "Ann@Example.com", &code).await;
    assert_eq!(session.status, 200, "{}", session.text);
    assert!(session.json["user"]["email_confirmed_at"].is_string());
    assert_eq!(fixture.user(&session.access()).await.status, 200);
    let principal = fixture.auth.sessions().admit(&session.access()).await.unwrap();
    let claims: Value = serde_json::from_str(principal.claims()).unwrap();
    assert_eq!(claims["amr"][0]["method"], "otp");
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    let again = by_code(&fixture, "email", "ann@example.com", &code).await;
    assert_eq!((again.status.as_u16(), again.code()), (403, "otp_expired"));
    assert_eq!(again.json["message"], "Token has expired or is invalid");
    let actions = fixture.actions_since(0).await;
    let expected = ["user_signedup", "login_failed", "mail_sent", "login", "login", "login_failed"];
    assert_eq!(actions, expected);
}

/// Mail scanners open links. Only a pressed button signs in, and a link works once.
///
/// attack E02
#[tokio::test]
async fn opening_a_link_changes_nothing() {
    let fixture = fixture().await;
    let body = json!({ "email": "ann@example.com", "create_user": true });
    let sent = post(&fixture, "/otp?redirect_to=https%3A%2F%2Fspa.example.com%2Fwelcome", body).await;
    assert_eq!((sent.status.as_u16(), sent.text.as_str()), (200, "{}"));
    let mail = mail(&fixture, Kind::Confirmation, "ann@example.com").await;
    let link = mail.link.clone().unwrap();
    assert_eq!(parameter(&link, "type"), "signup");
    for _ in 0..3 {
        let page = open(&fixture, &link).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert!(page.text.contains("<form method=\"post\"") && !page.text.contains("<script"));
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["referrer-policy"], "same-origin");
    }
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);
    let pressed = press(&fixture, &link).await;
    assert!(location(&pressed).starts_with("https://spa.example.com/welcome#access_token="));
    assert_eq!(pressed.headers["referrer-policy"], "no-referrer");
    assert_eq!(fragment(&pressed, "token_type"), "bearer");
    assert_eq!(fixture.user(&fragment(&pressed, "access_token")).await.status, 200);
    let again = press(&fixture, &link).await;
    assert_eq!(fragment(&again, "error_code"), "otp_expired");
    assert_eq!(fragment(&open(&fixture, &link).await, "error"), "access_denied");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 1);
}

#[tokio::test]
async fn a_link_with_a_challenge_is_worth_nothing_without_its_verifier() {
    let fixture = fixture().await;
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let body =
        json!({ "email": "ann@example.com", "code_challenge": challenge, "code_challenge_method": "s256" });
    post(&fixture, "/otp?redirect_to=https%3A%2F%2Fspa.example.com%2Fcallback%3Fnext%3D1", body).await;
    let link = mail(&fixture, Kind::Confirmation, "ann@example.com").await.link.unwrap();
    assert!(parameter(&link, "token").starts_with("pkce_"));
    assert!(
        open(&fixture, &link).await.text.contains("<form"),
        "an address to confirm wants a button pressed"
    );
    press(&fixture, &link).await;
    let first = location(&open(&fixture, &link).await);
    assert!(first.starts_with("https://spa.example.com/callback?next=1&code="), "{first}");
    assert_eq!(location(&open(&fixture, &link).await), first, "a scanner before the reader burns nothing");
    let code = parameter(&first, "code");
    let exchange = async |code: &str, verifier: &str| exchange(&fixture, code, verifier).await;
    let other = "aBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let wrong = exchange(&code, other).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (400, "bad_code_verifier"));
    let unknown = exchange("no-such-code", VERIFIER).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "flow_state_not_found"));
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);
    let session = exchange(&code, VERIFIER).await;
    assert_eq!(session.status, 200, "{}", session.text);
    assert_eq!(exchange(&code, VERIFIER).await.code(), "flow_state_not_found");
    for body in [
        json!({ "code_challenge": "short" }),
        json!({ "code_challenge": challenge, "code_challenge_method": "md5" }),
    ] {
        let mut body = body;
        body["email"] = json!("ann@example.com");
        assert_eq!(post(&fixture, "/recover", body).await.code(), "validation_failed");
    }
}

/// A stranger registers somebody else's address and waits for its owner.
#[tokio::test]
async fn what_a_stranger_set_is_gone_when_the_owner_confirms() {
    let fixture = fixture().await;
    let theirs =
        json!({ "email": "ann@example.com", "password": "the stranger's own", "data": { "name": "Eve" } });
    post(&fixture, "/signup", theirs.clone()).await;
    let planted = mail(&fixture, Kind::Confirmation, "ann@example.com").await;
    // By the owner's own registration, whose mail is the one that counts.
    let mine = json!({ "email": "ann@example.com", "password": PASSWORD, "data": { "name": "Ann" } });
    let made_up = post(&fixture, "/signup", mine).await;
    assert_eq!(made_up.json["user_metadata"], json!({ "name": "Ann" }), "nothing of the stranger's");
    let own = fixture.mailbox.mails();
    fixture.send_mails().await;
    let own =
        fixture.mailbox.mails().into_iter().find(|mail| !own.iter().any(|old| old.id == mail.id)).unwrap();
    post(&fixture, "/signup", theirs.clone()).await;
    let session = by_link(&fixture, "signup", &token(&own)).await;
    assert_eq!(session.status, 200, "{}", session.text);
    // Nobody can tell whose mail it was, so that it proves the mailbox and no password.
    assert_eq!(session.json["user"]["user_metadata"], json!({}));
    for password in [PASSWORD, "the stranger's own"] {
        assert_eq!(fixture.sign_in("ann@example.com", password).await.code(), "invalid_credentials");
    }
    let chosen = fixture.call("PUT", "/user", Some(&session.access()), json!({ "password": PASSWORD })).await;
    assert_eq!(chosen.status, 200, "{}", chosen.text);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    assert_eq!(by_link(&fixture, "signup", &token(&planted)).await.code(), "otp_expired");
    // By a link, without a registration of her own.
    let theirs =
        json!({ "email": "bea@example.com", "password": "the stranger's own", "data": { "name": "Eve" } });
    post(&fixture, "/signup", theirs).await;
    post(&fixture, "/otp", json!({ "email": "bea@example.com" })).await;
    let link = token(&mail(&fixture, Kind::MagicLink, "bea@example.com").await);
    let session = by_link(&fixture, "magiclink", &link).await;
    assert_eq!(session.json["user"]["user_metadata"], json!({}));
    assert_eq!(fixture.sign_in("bea@example.com", "the stranger's own").await.code(), "invalid_credentials");
    // By a mail that is asked for again after several registered: it carries nobody's password.
    for password in ["the stranger's own", PASSWORD] {
        post(&fixture, "/signup", json!({ "email": "cyd@example.com", "password": password })).await;
    }
    fixture.send_mails().await;
    let before = fixture.mailbox.mails();
    post(&fixture, "/resend", json!({ "type": "signup", "email": "cyd@example.com" })).await;
    fixture.send_mails().await;
    let again =
        fixture.mailbox.mails().into_iter().find(|mail| !before.iter().any(|old| old.id == mail.id)).unwrap();
    assert_eq!(by_link(&fixture, "signup", &token(&again)).await.status, 200);
    for password in ["the stranger's own", PASSWORD] {
        assert_eq!(fixture.sign_in("cyd@example.com", password).await.code(), "invalid_credentials");
    }
}

/// A stranger fills the places for registrations that wait; the owner's own still gets its mail, and with a verifier
/// its password.
#[tokio::test]
async fn whoever_asked_and_reads_the_mail_keeps_their_password() {
    let fixture = fixture().await;
    for number in 0..7 {
        let theirs = json!({ "email": "ann@example.com", "password": format!("the stranger's {number}") });
        post(&fixture, "/signup", theirs).await;
    }
    fixture.send_mails().await;
    let before = fixture.mailbox.mails();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let mine = json!({ "email": "ann@example.com", "password": PASSWORD, "data": { "name": "Ann" },
        "code_challenge": challenge, "code_challenge_method": "s256" });
    post(&fixture, "/signup", mine).await;
    fixture.send_mails().await;
    let own = newer(&fixture, &before);
    let pressed = location(&press(&fixture, own.link.as_deref().unwrap()).await);
    let place = location(&open(&fixture, own.link.as_deref().unwrap()).await);
    assert_eq!(place, pressed, "once it is confirmed, opening the link gives what pressing gave");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);
    let session = exchange(&fixture, &parameter(&place, "code"), VERIFIER).await;
    assert_eq!(session.json["user"]["user_metadata"], json!({ "name": "Ann" }), "{}", session.text);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    // Somebody who registers twice is nobody else.
    for _ in 0..2 {
        fixture.sign_up("bob@example.com").await;
    }
    let mail = mail(&fixture, Kind::Confirmation, "bob@example.com").await;
    assert_eq!(by_link(&fixture, "signup", &token(&mail)).await.status, 200);
    assert_eq!(fixture.sign_in("bob@example.com", PASSWORD).await.status, 200);
}

/// What an intruder had under way ends with the old password.
///
/// attack E08
#[tokio::test]
async fn a_new_password_ends_a_change_of_the_address() {
    let mut options = options();
    options.settings.sign_ups.both_addresses_confirm = false;
    let fixture = Fixture::with(options).await;
    let session = confirmed(&fixture, "ann@example.com").await;
    let access = session.access();
    fixture.call("PUT", "/user", Some(&access), json!({ "email": "eve@example.com" })).await;
    let mail = mail(&fixture, Kind::EmailChangeNew, "eve@example.com").await;
    let changed = fixture.call("PUT", "/user", Some(&access), json!({ "password": "a brand new one" })).await;
    assert!(changed.json.get("new_email").is_none(), "{}", changed.text);
    assert_eq!(by_link(&fixture, "email_change", &token(&mail)).await.code(), "otp_expired");
    let before = mails_to(&fixture, "eve@example.com").await;
    // The same answer for nobody, for nothing and for something that waits.
    let resend = async |email: &str| {
        post(&fixture, "/resend", json!({ "type": "email_change", "email": email })).await
    };
    for email in ["ann@example.com", "nobody@example.com"] {
        let reply = resend(email).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "{}"), "{email}");
    }
    assert_eq!(mails_to(&fixture, "eve@example.com").await, before);
    // Address and password in one go: the links that were sent are good.
    let both = json!({ "email": "new@example.com", "password": "one more of them" });
    assert_eq!(fixture.call("PUT", "/user", Some(&access), both).await.status, 200);
    assert_eq!(resend("ann@example.com").await.text, "{}");
    let mail = common::mailed::mail(&fixture, Kind::EmailChangeNew, "new@example.com").await;
    assert!(!token(&mail).starts_with("pkce_"));
    // The present address takes it back.
    let back = fixture.call("PUT", "/user", Some(&access), json!({ "email": "ann@example.com" })).await;
    assert!(back.json.get("new_email").is_none(), "{}", back.text);
    assert_eq!(by_link(&fixture, "email_change", &token(&mail)).await.code(), "otp_expired");
}

/// A stranger's guesses at an address use up none of its nonces.
#[tokio::test]
async fn guesses_at_an_address_leave_its_nonces_alone() {
    let mut options = options();
    options.limits.guesses = Quota::new(5, Duration::from_secs(900));
    let fixture = Fixture::with(options).await;
    let session = confirmed(&fixture, "ann@example.com").await;
    fixture.call("GET", "/reauthenticate", Some(&session.access()), Value::Null).await;
    let nonce = mail(&fixture, Kind::Reauthentication, "ann@example.com").await.code.unwrap();
    for _ in 0..8 {
        by_code(&fixture, "email", "ann@example.com", "no such code").await;
    }
    let body = json!({ "password": "a brand new one", "nonce": nonce });
    assert_eq!(fixture.call("PUT", "/user", Some(&session.access()), body).await.status, 200);
}

#[tokio::test]
async fn a_registration_that_is_sent_again_keeps_its_password() {
    let fixture = fixture().await;
    fixture.sign_up("ann@example.com").await;
    fixture.send_mails().await;
    fixture.advance(7_200);
    let old = token(&mail(&fixture, Kind::Confirmation, "ann@example.com").await);
    assert_eq!(by_link(&fixture, "signup", &old).await.code(), "otp_expired", "an hour is over");
    let before = fixture.mailbox.mails();
    let again = post(&fixture, "/resend", json!({ "type": "signup", "email": "ann@example.com" })).await;
    assert_eq!(again.text, "{}");
    fixture.send_mails().await;
    let mail =
        fixture.mailbox.mails().into_iter().find(|mail| !before.iter().any(|old| old.id == mail.id)).unwrap();
    assert_eq!(by_link(&fixture, "signup", &token(&mail)).await.status, 200);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
}

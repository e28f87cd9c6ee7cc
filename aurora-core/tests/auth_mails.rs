//! Sign-in by mail: what is sent, what comes back of it, and what does not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::mailed::{
    SITE, VERIFIER, by_code, by_link, by_service, confirmed, exchange, fragment, location, mail, mails_to,
    newer, open, options, parameter, post, press, token, with,
};
use common::{ANON_KEY, Fixture, PASSWORD, Reply};
use http::Request;
use serde_json::{Value, json};

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

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

/// attack E07
#[tokio::test]
async fn recovery_leads_to_a_new_password_and_tells_nobody_who_is_known() {
    let fixture = fixture().await;
    let old = confirmed(&fixture, "ann@example.com").await;
    let before = fixture.audit().await.len();
    let known = post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
    let unknown = post(&fixture, "/recover", json!({ "email": "bob@example.com" })).await;
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!(known.text, "{}");
    let records = fixture.audit().await.split_off(before);
    assert_eq!(records.iter().filter(|row| row.action == "user_recovery_requested").count(), 2);
    assert_eq!(mails_to(&fixture, "bob@example.com").await, 0);
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    let session = by_code(&fixture, "recovery", "ann@example.com", mail.code.as_deref().unwrap()).await;
    assert_eq!(session.status, 200, "{}", session.text);
    let body = json!({ "password": "another fine one" });
    let changed = fixture.call("PUT", "/user", Some(&session.access()), body).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(fixture.user(&old.access()).await.code(), "session_not_found", "other sessions end");
    assert_eq!(fixture.sign_in("ann@example.com", "another fine one").await.status, 200);
    assert_eq!(mail.to.as_str(), "ann@example.com");
    common::mailed::mail(&fixture, Kind::PasswordChanged, "ann@example.com").await;
}

/// attack E09
#[tokio::test]
async fn tokens_are_worth_nothing_elsewhere() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    confirmed(&fixture, "bob@example.com").await;
    for email in ["ann@example.com", "bob@example.com"] {
        post(&fixture, "/recover", json!({ "email": email })).await;
    }
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    let code = mail.code.clone().unwrap();
    assert_eq!(by_code(&fixture, "recovery", "bob@example.com", &code).await.code(), "otp_expired");
    // A magic link and a recovery give the same, and are taken alike, as in Supabase.
    for kind in ["signup", "invite", "email_change"] {
        assert_eq!(by_link(&fixture, kind, &token(&mail)).await.code(), "otp_expired", "{kind}");
        assert_eq!(by_code(&fixture, kind, "ann@example.com", &code).await.code(), "otp_expired", "{kind}");
    }
    // An access token, a refresh token, a link with more or less of it.
    let session = fixture.sign_in("ann@example.com", PASSWORD).await;
    let link = token(&mail);
    for other in [
        session.access(),
        session.refresh(),
        format!("{link}x"),
        link[..link.len() - 1].to_owned(),
        String::from("%"),
    ] {
        let reply = by_link(&fixture, "recovery", &other).await;
        assert!(matches!(reply.code(), "otp_expired" | "validation_failed"), "{other}: {}", reply.text);
        assert_eq!(fixture.user(&link).await.code(), "bad_jwt");
    }
    // Deleted and registered again: nothing of the old one attaches.
    fixture.auth.delete_user(session.user_id().parse().unwrap()).await.unwrap();
    confirmed(&fixture, "ann@example.com").await;
    assert_eq!(by_link(&fixture, "recovery", &link).await.code(), "otp_expired");
}

/// attack E06 asvs(V6.6.3)
#[tokio::test]
async fn five_wrong_codes_and_a_code_is_dead() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
    let first = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    let right = first.code.clone().unwrap();
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        assert_eq!(by_code(&fixture, "recovery", "ann@example.com", wrong).await.code(), "otp_expired");
    }
    assert_eq!(by_code(&fixture, "recovery", "ann@example.com", &right).await.code(), "otp_expired");
    // Another mail gives no new tries.
    let before = fixture.mailbox.mails();
    post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
    fixture.send_mails().await;
    let second =
        fixture.mailbox.mails().into_iter().find(|mail| !before.iter().any(|old| old.id == mail.id)).unwrap();
    let code = second.code.clone().unwrap();
    assert_eq!(by_code(&fixture, "recovery", "ann@example.com", &code).await.code(), "otp_expired");
    // Whoever reads the mail is not locked out by a stranger's guesses.
    assert_eq!(by_link(&fixture, "recovery", &token(&second)).await.status, 200);
}

/// attack E02 asvs(V6.5.1)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_at_once_and_one_gets_in() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    let before = fixture.count("SELECT count(*) FROM auth_sessions").await;
    let mut tasks = Vec::new();
    for number in 0..50 {
        let (fixture, token, code) = (fixture.clone(), token(&mail), mail.code.clone().unwrap());
        tasks.push(tokio::spawn(async move {
            if number % 2 == 0 {
                by_link(&fixture, "recovery", &token).await
            } else {
                by_code(&fixture, "recovery", "ann@example.com", &code).await
            }
        }));
    }
    let mut let_in = 0;
    for task in tasks {
        let reply = task.await.unwrap();
        match (reply.status.as_u16(), reply.code()) {
            (200, _) => let_in += 1,
            (403, "otp_expired") | (503, _) => {}
            other => panic!("{other:?}: {}", reply.text),
        }
    }
    assert_eq!(let_in, 1);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, before + 1);
    println!("50 uses of one mail at once: {let_in} session");
}

/// What was recorded of their address, oldest first.
async fn changes(fixture: &Fixture, whose: &Reply) -> Vec<Value> {
    let rows = fixture.audit().await.into_iter().filter(|row| row.action == "user_modified");
    let of_address = rows.filter(|row| row.payload.get("email").is_some()).inspect(|row| {
        assert_eq!((&row.actor, row.target.as_deref()), (&whose.user_id(), Some(whose.user_id().as_str())));
        assert!(row.kind == "security" && row.request.is_some() && !row.payload.to_string().contains('@'));
    });
    of_address.map(|row| row.payload["email"].clone()).collect()
}

/// attack E08 asvs(V6.3.7)
#[tokio::test]
async fn a_new_address_waits_for_both() {
    let fixture = fixture().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    let access = session.access();
    let asked = fixture.call("PUT", "/user", Some(&access), json!({ "email": "new@example.com" })).await;
    assert_eq!((asked.status.as_u16(), asked.json["email"].as_str()), (200, Some("ann@example.com")));
    assert_eq!(asked.json["new_email"], "new@example.com");
    let old = mail(&fixture, Kind::EmailChangeCurrent, "ann@example.com").await;
    let new = mail(&fixture, Kind::EmailChangeNew, "new@example.com").await;
    assert_eq!(fixture.sign_in("new@example.com", PASSWORD).await.code(), "invalid_credentials");
    let half = by_link(&fixture, "email_change", &token(&new)).await;
    assert_eq!((half.status.as_u16(), half.json["code"].as_str()), (200, Some("200")));
    assert!(half.json["msg"].as_str().unwrap().starts_with("Confirmation link accepted."));
    assert_eq!(fixture.user(&access).await.json["email"], "ann@example.com");
    assert_eq!(by_link(&fixture, "email_change", &token(&new)).await.code(), "otp_expired");
    let done = by_code(&fixture, "email_change", "ann@example.com", old.code.as_deref().unwrap()).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json["user"]["email"], "new@example.com");
    assert!(done.json["user"].get("new_email").is_none());
    let told = changes(&fixture, &session).await;
    assert_eq!(told, ["waits for confirmation", "one of two agreed", "changed"].map(|said| json!(said)));
    let last: Vec<_> =
        fixture.audit().await.into_iter().rev().take(2).map(|row| (row.action, row.payload)).collect();
    assert_eq!((last[0].0.as_str(), last[1].0.as_str()), ("login", "user_modified"), "in one transaction");
    assert_eq!(
        (&last[1].1["by"], &last[1].1["address"]),
        (&json!("email_change_current"), &json!("192.0.2.1"))
    );
    mail(&fixture, Kind::EmailChanged, "ann@example.com").await;
    assert_eq!(fixture.sign_in("new@example.com", PASSWORD).await.status, 200);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.code(), "invalid_credentials");
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_stays_its_owner_s() {
    let mut options = options();
    options.settings.sign_ups.both_addresses_confirm = false;
    let fixture = Fixture::with(options).await;
    let session = confirmed(&fixture, "ann@example.com").await;
    fixture.call("PUT", "/user", Some(&session.access()), json!({ "email": "bob@example.com" })).await;
    let mail = mail(&fixture, Kind::EmailChangeNew, "bob@example.com").await;
    confirmed(&fixture, "bob@example.com").await;
    let late = by_link(&fixture, "email_change", &token(&mail)).await;
    assert_eq!((late.status.as_u16(), late.code()), (422, "email_exists"));
    assert_eq!(fixture.user(&session.access()).await.json["email"], "ann@example.com");
    assert_eq!(changes(&fixture, &session).await, [json!("waits for confirmation")], "nothing changed");
}

/// attack P13 asvs(V7.5.1)
#[tokio::test]
async fn a_nonce_stands_in_for_the_password_once() {
    let fixture = fixture().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    fixture.advance(700);
    let access = fixture.refresh(&session.refresh()).await.access();
    let change = async |nonce: Option<&str>, password: &str| {
        let body = json!({ "password": password, "nonce": nonce });
        fixture.call("PUT", "/user", Some(&access), body).await
    };
    assert_eq!(change(None, "a brand new one").await.code(), "reauthentication_needed");
    let sent = fixture.call("GET", "/reauthenticate", Some(&access), Value::Null).await;
    assert_eq!((sent.status.as_u16(), sent.text.as_str()), (200, "{}"));
    let mail = mail(&fixture, Kind::Reauthentication, "ann@example.com").await;
    let nonce = mail.code.clone().unwrap();
    assert!(mail.link.is_none());
    let wrong = if nonce == "000000" { "000001" } else { "000000" };
    let refused = change(Some(wrong), "a brand new one").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "reauthentication_not_valid"));
    for kind in ["email", "recovery"] {
        assert_eq!(by_code(&fixture, kind, "ann@example.com", &nonce).await.code(), "otp_expired");
    }
    assert_eq!(change(Some(&nonce), "a brand new one").await.status, 200);
    assert_eq!(change(Some(&nonce), "yet another one").await.code(), "reauthentication_not_valid");
    assert_eq!(fixture.call("GET", "/reauthenticate", None, Value::Null).await.code(), "no_authorization");
}

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

/// attack S09
#[tokio::test]
async fn links_lead_nowhere_else() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    for (wanted, expected) in [
        ("https://spa.example.com/a", "https://spa.example.com/a"),
        ("https://evil.test/", SITE),
        ("//evil.test", SITE),
        ("https://spa.example.com.evil.test/", SITE),
        ("https://spa.example.com@evil.test/", SITE),
        ("javascript:alert(1)", SITE),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        post(&fixture, &format!("/recover?redirect_to={encoded}"), json!({ "email": "ann@example.com" }))
            .await;
        fixture.send_mails().await;
        let mails = fixture.mailbox.mails();
        let recoveries = mails.iter().filter(|mail| mail.kind == Kind::Recovery);
        let newest = recoveries.max_by_key(|mail| mail.created_at).unwrap();
        let link = newest.link.clone().unwrap();
        assert_eq!(parameter(&link, "redirect_to"), expected, "{wanted}");
        // Nor does a link that was edited on its way.
        let edited = link.split("&redirect_to=").next().unwrap().to_owned() + "&redirect_to=" + &encoded;
        let pressed = press(&fixture, &edited).await;
        assert!(location(&pressed).starts_with(&format!("{expected}#")), "{wanted}: {}", location(&pressed));
        fixture.advance(1);
    }
}

/// attack E01
#[tokio::test]
async fn forged_hosts_are_in_no_mail() {
    let fixture = Fixture::with({
        let mut options = options();
        options.settings.profile = aurora_core::config::Profile::Production;
        options.settings.site_url = "https://app.example.com".to_owned();
        options
    })
    .await;
    confirmed(&fixture, "ann@example.com").await;
    let request = Request::post("/auth/v1/recover")
        .header("host", "evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "host=evil.test")
        .header("apikey", ANON_KEY)
        .header("content-type", "application/json")
        .body(br#"{"email":"ann@example.com"}"#.to_vec())
        .unwrap();
    assert_eq!(fixture.send(request, "192.0.2.1").await.status, 200);
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    assert!(mail.link.as_deref().unwrap().starts_with("https://app.example.com/auth/v1/verify?"));
    assert!(!mail.text.contains("evil") && !mail.html.contains("evil"));
}

/// attack E03
#[tokio::test]
async fn nothing_in_the_tables_is_a_token_or_a_code() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    let rows = if common::on_postgres() {
        "SELECT encode(link_hash, 'hex'), encode(code_hash, 'hex'), encode(sealed, 'hex') FROM auth.one_time_tokens"
    } else {
        "SELECT hex(link_hash), hex(code_hash), hex(sealed) FROM auth_one_time_tokens"
    };
    let rows = fixture.database.rows(rows).await;
    assert!(!rows.is_empty());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let code = mail.code.clone().unwrap();
    let forms = [
        hex(token(&mail).as_bytes()),
        hex(digest(&SHA256, token(&mail).as_bytes()).as_ref()),
        hex(code.as_bytes()),
        hex(digest(&SHA256, code.as_bytes()).as_ref()),
    ];
    for value in rows.iter().flatten().flatten() {
        for form in &forms {
            assert!(!value.to_lowercase().contains(form), "a row holds what opens a door");
        }
    }
}

#[tokio::test]
async fn mails_are_counted_alike_for_known_and_unknown() {
    let mut options = options();
    options.limits.mail_to = Quota::new(2, Duration::from_secs(120));
    let fixture = Fixture::with(options).await;
    confirmed(&fixture, "ann@example.com").await;
    fixture.send_mails().await;
    let mut seen = Vec::new();
    for email in ["ann@example.com", "bob@example.com"] {
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(post(&fixture, "/recover", json!({ "email": email })).await.code().to_owned());
        }
        seen.push(codes);
    }
    // Ann's registration counted as one.
    assert_eq!(seen[0], ["", "over_email_send_rate_limit", "over_email_send_rate_limit"]);
    assert_eq!(seen[1], ["", "", "over_email_send_rate_limit"]);
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

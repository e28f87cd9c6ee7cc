//! Which code counts, and how often it is tried.

use aurora_core::config::Autoconfirm;
use aurora_core::mail::{Delivery, Kind};
use serde_json::{Value, json};

use crate::common::mailed::{
    by_code, by_link, by_service, confirmed, mail, mail_since, newer, options, post, token,
};
use crate::common::{Fixture, PASSWORD};
use crate::{asks_for, common, fixture, id, lone};

/// Autoconfirm believes whoever registers. It moves no account and proves no address to somebody who is signed in.
///
/// attack E08
#[tokio::test]
async fn autoconfirm_is_for_registrations_alone() {
    let mut believing = options();
    believing.settings.sign_ups.autoconfirm = Autoconfirm::On;
    let fixture = Fixture::with(believing).await;
    let eve = fixture.sign_up("eve@example.com").await;
    let asked = asks_for(&fixture, &eve, "ann@example.com").await;
    assert_eq!(
        (&asked.json["email"], &asked.json["new_email"]),
        (&json!("eve@example.com"), &json!("ann@example.com"))
    );
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.code(), "invalid_credentials");
    let old = mail(&fixture, Kind::EmailChangeCurrent, "eve@example.com").await;
    let new = mail(&fixture, Kind::EmailChangeNew, "ann@example.com").await;
    let half = by_link(&fixture, "email_change", &token(&old)).await;
    assert_eq!((half.status.as_u16(), &half.json["code"]), (200, &json!("200")));
    assert_eq!(fixture.user(&eve.access()).await.json["email"], "eve@example.com");
    let done = by_link(&fixture, "email_change", &token(&new)).await;
    assert_eq!(done.json["user"]["email"], "ann@example.com", "{}", done.text);
    mail(&fixture, Kind::EmailChanged, "eve@example.com").await;
    // Somebody unknown registers by it, and it is believed as any registration's; a taken one is not given away.
    for (email, status, code) in [("ann@example.com", 422, "email_exists"), ("cyd@example.com", 200, "")] {
        let unknown = post(&fixture, "/signup", json!({})).await;
        let known = fixture.call("PUT", "/user", Some(&unknown.access()), json!({ "email": email })).await;
        assert_eq!((known.status.as_u16(), known.code()), (status, code), "{email}: {}", known.text);
    }
    // Without a mailer nobody's address changes.
    let mut silent = options();
    silent.settings.sign_ups.autoconfirm = Autoconfirm::On;
    silent.delivery = Some(Delivery::Nowhere);
    let silent = Fixture::with(silent).await;
    let dan = silent.sign_up("dan@example.com").await;
    let refused =
        silent.call("PUT", "/user", Some(&dan.access()), json!({ "email": "new@example.com" })).await;
    assert_eq!(refused.code(), "email_provider_disabled", "{}", refused.text);
    assert_eq!(silent.user(&dan.access()).await.json["email"], "dan@example.com");
}

/// A hundred accounts that ask for one address do not make its code a hundred times easier to guess.
///
/// attack E06
#[tokio::test]
async fn at_an_address_the_newest_code_is_good_alone() {
    let fixture = lone().await;
    let mut asked = Vec::new();
    // All of them within one moment of the clock: the last one is the newest all the same.
    for name in ["eve", "eva", "ann"] {
        let session = confirmed(&fixture, &format!("{name}@example.com")).await;
        fixture.send_mails().await;
        let before = fixture.mailbox.mails();
        asks_for(&fixture, &session, "new@example.com").await;
        fixture.send_mails().await;
        asked.push((session, newer(&fixture, &before)));
    }
    for (_, older) in &asked[..2] {
        let code = older.code.as_deref().unwrap();
        assert_eq!(by_code(&fixture, "email_change", "new@example.com", code).await.code(), "otp_expired");
    }
    let (ann, newest) = &asked[2];
    // A link made for another account meanwhile has a code of its own, and takes the place.
    fixture.advance(1);
    let wish =
        json!({ "type": "email_change_new", "email": "eve@example.com", "new_email": "new@example.com" });
    let made = by_service(&fixture, "POST", "/admin/generate_link", wish).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let code = newest.code.as_deref().unwrap();
    assert_eq!(by_code(&fixture, "email_change", "new@example.com", code).await.code(), "otp_expired");
    // The links of all of them go on: nobody guesses those.
    let done = by_link(&fixture, "email_change", &token(newest)).await;
    assert_eq!((done.status.as_u16(), done.user_id()), (200, ann.user_id()), "{}", done.text);
    let late = made.json["email_otp"].as_str().unwrap();
    assert_eq!(by_code(&fixture, "email_change", "new@example.com", late).await.code(), "email_exists");
    // Registrations and recoveries at one address: the same, and the newest works.
    for _ in 0..3 {
        fixture.advance(1);
        fixture.sign_up("bob@example.com").await;
    }
    fixture.send_mails().await;
    let mut mails = fixture.mailbox.mails();
    mails.retain(|mail| mail.to.as_str() == "bob@example.com");
    mails.sort_by_key(|mail| mail.created_at);
    let codes: Vec<&str> = mails.iter().filter_map(|mail| mail.code.as_deref()).collect();
    let statuses = [
        by_code(&fixture, "signup", "bob@example.com", codes[0]).await.status.as_u16(),
        by_code(&fixture, "signup", "bob@example.com", codes[2]).await.status.as_u16(),
    ];
    assert_eq!((codes.len(), statuses), (3, [403, 200]));
}

/// Taking a change back, or asking for another address in between, gives no new tries; nor does signing others out.
///
/// attack E06
#[tokio::test]
async fn tries_outlive_what_they_were_counted_on() {
    let fixture = fixture().await;
    let session = confirmed(&fixture, "eve@example.com").await;
    let access = session.access();
    for _ in 0..5 {
        asks_for(&fixture, &session, "ann@example.com").await;
        assert_eq!(by_code(&fixture, "email_change", "ann@example.com", "wrong").await.code(), "otp_expired");
        asks_for(&fixture, &session, "other@example.com").await;
        asks_for(&fixture, &session, "eve@example.com").await;
        fixture.call("GET", "/reauthenticate", Some(&access), Value::Null).await;
        let body = json!({ "password": "a brand new one", "nonce": "wrong" });
        fixture.call("PUT", "/user", Some(&access), body).await;
        fixture.call("POST", "/logout?scope=others", Some(&access), Value::Null).await;
    }
    fixture.advance(1);
    fixture.send_mails().await;
    let before = fixture.mailbox.mails();
    asks_for(&fixture, &session, "ann@example.com").await;
    let asked = mail_since(&fixture, &before, "ann@example.com").await;
    let right = asked.code.as_deref().unwrap();
    assert_eq!(by_code(&fixture, "email_change", "ann@example.com", right).await.code(), "otp_expired");
    assert_eq!(by_link(&fixture, "email_change", &token(&asked)).await.json["code"], "200", "a link goes on");
    let before = fixture.mailbox.mails();
    fixture.call("GET", "/reauthenticate", Some(&access), Value::Null).await;
    let nonce = mail_since(&fixture, &before, "eve@example.com").await;
    let body = json!({ "password": "a brand new one", "nonce": nonce.code });
    let refused = fixture.call("PUT", "/user", Some(&access), body).await;
    assert_eq!(refused.code(), "reauthentication_not_valid", "{}", refused.text);
    // Nothing of it is left when the time of the tokens is over, or the account is.
    fixture.advance(7_300);
    asks_for(&fixture, &fixture.sign_in("eve@example.com", PASSWORD).await, "ann@example.com").await;
    let code = mail(&fixture, Kind::EmailChangeNew, "ann@example.com").await;
    assert!(code.code.is_some());
    fixture.auth.retire_user(id(&session)).await.unwrap();
    let table = if common::on_postgres() { "auth.one_time_tokens" } else { "auth_one_time_tokens" };
    assert_eq!(fixture.count(&format!("SELECT count(*) FROM {table}")).await, 0);
}

/// Development may fix an address's code for the tests of a front end. It is a code like any other: for what was asked
/// for, at its address, once; and nobody else's is the same.
#[tokio::test]
async fn a_fixed_code_is_its_addresss_alone() {
    const CODE: &str = "424242";
    let mut options = options();
    options.settings.mails.test_codes = vec![("ann@example.com".to_owned(), CODE.to_owned())];
    let fixture = Fixture::with(options).await;
    // Known to everybody who reads the settings, it opens nothing that was not asked for.
    for kind in ["signup", "email", "recovery", "magiclink"] {
        assert_eq!(by_code(&fixture, kind, "ann@example.com", CODE).await.code(), "otp_expired", "{kind}");
    }
    for email in ["ann@example.com", "bob@example.com"] {
        assert_eq!(fixture.sign_up(email).await.status, 200);
    }
    let (ann, bob) = (
        mail(&fixture, Kind::Confirmation, "ann@example.com").await,
        mail(&fixture, Kind::Confirmation, "bob@example.com").await,
    );
    assert_eq!(ann.code.as_deref(), Some(CODE));
    assert_ne!(bob.code.as_deref(), Some(CODE));
    for (kind, email, code) in [
        ("signup", "bob@example.com", CODE),
        ("recovery", "ann@example.com", CODE),
        ("signup", "ann@example.com", "424243"),
    ] {
        let refused = by_code(&fixture, kind, email, code).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "otp_expired"), "{kind} {email} {code}");
    }
    let session = by_code(&fixture, "signup", "Ann@Example.com", CODE).await;
    assert_eq!((session.status.as_u16(), &session.json["user"]["email"]), (200, &json!("ann@example.com")));
    assert_eq!(fixture.user(&session.access()).await.status, 200);
    assert_eq!(by_code(&fixture, "signup", "ann@example.com", CODE).await.code(), "otp_expired");
    let code = bob.code.as_deref().unwrap();
    assert_eq!(by_code(&fixture, "signup", "bob@example.com", code).await.status, 200);
    // Asked for again, and for something else: the same one, and good again. The links beside it stay drawn by chance.
    let mut links = vec![token(&ann)];
    for (kind, path) in [("magiclink", "/otp"), ("recovery", "/recover"), ("magiclink", "/otp")] {
        fixture.advance(61);
        fixture.send_mails().await;
        let before = fixture.mailbox.mails();
        assert_eq!(post(&fixture, path, json!({ "email": "ann@example.com" })).await.status, 200);
        let sent = mail_since(&fixture, &before, "ann@example.com").await;
        assert_eq!(sent.code.as_deref(), Some(CODE), "{path}");
        assert_eq!(by_code(&fixture, kind, "ann@example.com", CODE).await.status, 200, "{path}");
        links.push(token(&sent));
    }
    links.sort();
    links.dedup();
    assert_eq!(links.len(), 4);
}

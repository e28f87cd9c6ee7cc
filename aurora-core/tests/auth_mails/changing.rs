//! A new address, and nonces.

use aurora_core::mail::Kind;
use serde_json::{Value, json};

use crate::common::mailed::{by_code, by_link, confirmed, mail, options, token};
use crate::common::{Fixture, PASSWORD};
use crate::{changes, fixture};

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

//! What is asked again, and what the service does.

use aurora_core::auth::NewUser;
use aurora_core::mail::Kind;
use aurora_core::types::Code;
use serde_json::{Value, json};

use crate::common::PASSWORD;
use crate::common::mailed::{by_link, by_service, confirmed, mail, mail_since, mails_to, post, token};
use crate::{asks_for, fixture, id};

/// attack E08
#[tokio::test]
async fn asking_again_keeps_the_half_that_was_given() {
    let fixture = fixture().await;
    let ends = ["old", "new"];
    for (number, (first, later)) in
        [("new", 60), ("old", 60), ("new", 5_000), ("old", 7_300)].into_iter().enumerate()
    {
        let address = |end: &str| format!("{end}{number}@example.com");
        let [old, new] = ends.map(address);
        let session = confirmed(&fixture, &old).await;
        asks_for(&fixture, &session, &new).await;
        let mails = [
            mail(&fixture, Kind::EmailChangeCurrent, &old).await,
            mail(&fixture, Kind::EmailChangeNew, &new).await,
        ];
        let agreed = usize::from(first == "new");
        let half = by_link(&fixture, "email_change", &token(&mails[agreed])).await;
        assert_eq!(half.json["code"], "200", "{}", half.text);
        fixture.advance(later);
        let counted = [mails_to(&fixture, &old).await, mails_to(&fixture, &new).await];
        let before = fixture.mailbox.mails();
        post(&fixture, "/resend", json!({ "type": "email_change", "email": old })).await;
        let mut expected = counted;
        expected[1 - agreed] += 1;
        if later > 7_200 {
            // Too long ago: both are asked again.
            expected[agreed] += 1;
        }
        assert_eq!(
            [mails_to(&fixture, &old).await, mails_to(&fixture, &new).await],
            expected,
            "{first} {later}"
        );
        let other = ends.map(address)[1 - agreed].clone();
        let asked = mail_since(&fixture, &before, &other).await;
        let done = by_link(&fixture, "email_change", &token(&asked)).await;
        if later > 7_200 {
            assert_eq!(done.json["code"], "200", "{}", done.text);
        } else {
            assert_eq!(done.json["user"]["email"], json!(new), "{}", done.text);
        }
    }
    // What was agreed to for one address is nothing to another one.
    confirmed(&fixture, "ann@example.com").await;
    let make = async |kind: &str, new: &str| {
        let wish = json!({ "type": kind, "email": "ann@example.com", "new_email": new });
        let made = by_service(&fixture, "POST", "/admin/generate_link", wish).await;
        made.json["hashed_token"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
    };
    let current = make("email_change_current", "good@example.com").await;
    let new = make("email_change_new", "evil@example.com").await;
    assert_eq!(by_link(&fixture, "email_change", &current).await.code(), "otp_expired");
    assert_eq!(by_link(&fixture, "email_change", &new).await.code(), "otp_expired", "nobody else was asked");
    let current = make("email_change_current", "good@example.com").await;
    let new = make("email_change_new", "good@example.com").await;
    assert_eq!(by_link(&fixture, "email_change", &new).await.json["code"], "200");
    let again = make("email_change_current", "good@example.com").await;
    assert_eq!(by_link(&fixture, "email_change", &current).await.code(), "otp_expired");
    let done = by_link(&fixture, "email_change", &again).await;
    assert_eq!(done.json["user"]["email"], "good@example.com", "{}", done.text);
}

/// asvs(V16.2.1)
#[tokio::test]
async fn what_the_service_does_is_recorded_with_its_request() {
    let fixture = fixture().await;
    let before = fixture.audit().await.len();
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "email_confirm": true });
    let ann = by_service(&fixture, "POST", "/admin/users", body).await.user_id();
    let path = format!("/admin/users/{ann}");
    by_service(&fixture, "POST", "/admin/users", json!({ "email": "b@example.com", "password": "short" }))
        .await;
    by_service(&fixture, "PUT", &path, json!({ "password": "short" })).await;
    // An address that is somebody's: at create, invitation, two links and a change.
    let body = json!({ "email": "bob@example.com", "email_confirm": true });
    let bob = by_service(&fixture, "POST", "/admin/users", body.clone()).await.user_id();
    let invite = json!({ "email": "bob@example.com" });
    let link = |kind: &str| json!({ "type": kind, "email": "bob@example.com", "password": PASSWORD });
    for (method, path, body) in [
        ("POST", "/admin/users", body),
        ("POST", "/invite", invite),
        ("POST", "/admin/generate_link", link("signup")),
        ("POST", "/admin/generate_link", link("invite")),
        ("PUT", path.as_str(), json!({ "email": "bob@example.com" })),
    ] {
        let refused = by_service(&fixture, method, path, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, "email_exists"),
            "{path}: {}",
            refused.text
        );
    }
    by_service(&fixture, "PUT", &path, json!({ "ban_duration": "24h" })).await;
    by_service(&fixture, "PUT", &path, json!({ "ban_duration": "none" })).await;
    by_service(&fixture, "POST", "/invite", json!({ "email": "cyd@example.com" })).await;
    let link = json!({ "type": "recovery", "email": "ann@example.com" });
    by_service(&fixture, "POST", "/admin/generate_link", link).await;
    by_service(&fixture, "DELETE", &path, json!({ "should_soft_delete": true })).await;
    by_service(&fixture, "DELETE", &path, Value::Null).await;
    let records: Vec<_> =
        fixture.audit().await.split_off(before).into_iter().filter(|row| row.kind == "security").collect();
    let actions: Vec<&str> = records.iter().map(|row| row.action.as_str()).collect();
    let expected = [
        "user_signedup",
        "user_change_failed",
        "user_change_failed",
        "user_signedup",
        "signup_failed",
        "signup_failed",
        "signup_failed",
        "signup_failed",
        "user_change_failed",
        "user_banned",
        "user_unbanned",
        "user_invited",
        "link_generated",
        "user_deleted",
        "user_deleted",
    ];
    assert_eq!(actions, expected);
    let mut requests = Vec::new();
    for row in &records {
        assert_eq!(
            (row.actor.as_str(), &row.payload["address"]),
            ("service", &json!("192.0.2.3")),
            "{}",
            row.action
        );
        requests.push(row.request.clone().unwrap());
    }
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), expected.len(), "each its own");
    let taken: Vec<_> = records.iter().filter(|row| row.payload["reason"] == "address taken").collect();
    let whose: Vec<_> = taken.iter().map(|row| row.target.as_deref().unwrap()).collect();
    assert_eq!(whose, [&bob, &bob, &bob, &bob, &ann], "the owner, and who was to be changed");
    assert!(taken.iter().all(|row| row.payload["code"] == "email_exists"), "{taken:?}");
    // The host's own code asks for the same, without a request.
    let new = NewUser {
        email: "bob@example.com".parse().unwrap(),
        password_hash: None,
        confirmed: true,
        user_metadata: None,
        app_metadata: None,
    };
    assert_eq!(fixture.auth.create_user(new).await.unwrap_err().code(), Code::EmailExists);
    let last = fixture.audit().await.pop().unwrap();
    assert_eq!((last.action.as_str(), last.target, last.request), ("signup_failed", Some(bob), None));
    // Somebody without an address has none to prove who they are by.
    let unknown = post(&fixture, "/signup", json!({})).await;
    let refused = fixture.call("GET", "/reauthenticate", Some(&unknown.access()), Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "validation_failed"), "{}", refused.text);
    let last = fixture.audit().await.pop().unwrap();
    assert_eq!(
        (last.action.as_str(), &last.payload["reason"]),
        ("user_change_failed", &json!("no confirmed address"))
    );
    assert_eq!((&last.actor, last.target), (&unknown.user_id(), Some(unknown.user_id())));
    assert!(last.request.is_some());
    // The host's own code has no request, and names none.
    let own = fixture.sign_up("dan@example.com").await;
    fixture.auth.delete_user(id(&own)).await.unwrap();
    let last = fixture.audit().await.pop().unwrap();
    assert_eq!((last.action.as_str(), last.request), ("user_deleted", None));
}

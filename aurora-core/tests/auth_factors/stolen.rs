//! What a session without the second factor may not do.

use aurora_core::mail::Kind;
use serde_json::{Value, json};

use crate::common::{Fixture, PASSWORD};
use crate::{
    add, challenge_and_verify, claims, enroll, fixture, generate, mails, methods, now_code, options, post,
    put, recover, refused, with_factor,
};

/// asvs(V7.5.1): a first factor wants a recent sign-in, a second one the first; none goes without one.
#[tokio::test]
async fn a_stolen_session_adds_no_factor_and_removes_none() {
    let fixture = fixture().await;
    let stale = fixture.sign_up("ann@example.com").await;
    fixture.advance(601);
    refused(&enroll(&fixture, &stale.access(), "thief's").await, 400, "reauthentication_needed");
    let body = |evidence: Value| {
        let mut body = json!({ "factor_type": "totp", "friendly_name": "phone" });
        body.as_object_mut().unwrap().extend(evidence.as_object().unwrap().clone());
        body
    };
    let wrong =
        post(&fixture, "/factors", &stale.access(), body(json!({ "current_password": "a wrong one" }))).await;
    refused(&wrong, 400, "invalid_credentials");
    let right =
        post(&fixture, "/factors", &stale.access(), body(json!({ "current_password": PASSWORD }))).await;
    assert_eq!(right.status, 200, "{}", right.text);

    let bob = with_factor(&fixture, "bob@example.com").await;
    let weak = fixture.sign_in("bob@example.com", PASSWORD).await;
    let another = enroll(&fixture, &weak.access(), "thief's").await;
    refused(&another, 403, "insufficient_aal");
    assert_eq!(another.json["message"], "AAL2 required to enroll a new factor");
    assert_eq!(another.json["step_up"], json!({ "aal": "aal2" }));
    let path = format!("/factors/{}", bob.factor);
    let removed = fixture.call("DELETE", &path, Some(&weak.access()), Value::Null).await;
    refused(&removed, 422, "insufficient_aal");
    assert_eq!(removed.json["message"], "AAL2 required to unenroll verified factor");
    refused(
        &post(&fixture, "/factors/recovery-codes", &weak.access(), json!({})).await,
        403,
        "insufficient_aal",
    );
    // Nobody removes another's, and the password does not.
    let foreign = fixture.call("DELETE", &path, Some(&stale.access()), Value::Null).await;
    refused(&foreign, 404, "mfa_factor_not_found");
    let denied = fixture.audit().await.into_iter().filter(|row| row.action == "factor_refused");
    let reasons: Vec<String> = denied.map(|row| row.payload["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["needs aal2", "needs aal2", "needs a fresh factor", "not theirs"]);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_factors WHERE verified_at IS NOT NULL").await, 1);
    assert_eq!(
        fixture.call("DELETE", &path, Some(&bob.token), Value::Null).await.json["id"],
        bob.factor.as_str()
    );
    assert_eq!(mails(&fixture, Kind::FactorRemoved).await, 1);
}

/// Where a host lets any session enrol, as Supabase does, the factor that a session just made for itself is still no
/// proof of who it is.
#[tokio::test]
async fn a_factor_of_a_moment_ago_is_no_recent_sign_in() {
    let mut chosen = options();
    chosen.settings.factors.enroll_in_any_session = true;
    let fixture = Fixture::with(chosen).await;
    let stale = fixture.sign_up("ann@example.com").await;
    fixture.advance(601);
    let (factor, secret, raised) = add(&fixture, &stale.access(), "phone").await;
    let change = json!({ "password": "another long battery" });
    refused(&put(&fixture, &raised.access(), change.clone()).await, 400, "reauthentication_needed");
    let again = challenge_and_verify(&fixture, &raised.access(), &factor, &now_code(&fixture, &secret)).await;
    assert_eq!(put(&fixture, &again.access(), change).await.status, 200);
}

/// asvs(V6.4.3, V7.5.1): neither a password that is known nor a mailbox that is read is a way past the second factor,
/// and no way removes it.
#[tokio::test]
async fn address_and_password_want_the_second_factor() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let codes = generate(&fixture, &ann.token).await;
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(
        fixture.call("POST", "/recover", None, json!({ "email": "ann@example.com" })).await.status,
        200
    );
    fixture.send_mails().await;
    let mail = fixture.mailbox.mails().into_iter().find(|mail| mail.kind == Kind::Recovery).unwrap();
    let body = json!({ "type": "recovery", "email": "ann@example.com", "token": mail.code.unwrap() });
    let recovered = fixture.call("POST", "/verify", None, body).await;
    assert_eq!(
        (&claims(&recovered.access())["aal"], methods(&recovered.access())),
        (&json!("aal1"), vec!["otp".into()])
    );
    assert_eq!(recovered.json["user"]["factors"][0]["status"], "verified", "the client knows what is next");
    fixture.call("GET", "/reauthenticate", Some(&recovered.access()), Value::Null).await;
    fixture.send_mails().await;
    let nonce = fixture.mailbox.mails().into_iter().find(|mail| mail.kind == Kind::Reauthentication).unwrap();
    for token in [weak.access(), recovered.access()] {
        for change in [
            json!({ "password": "another long battery" }),
            json!({ "password": "another long battery", "current_password": PASSWORD }),
            json!({ "password": "another long battery", "nonce": nonce.code.clone().unwrap() }),
            json!({ "email": "eve@example.com" }),
        ] {
            let reply = put(&fixture, &token, change).await;
            refused(&reply, 401, "insufficient_aal");
            let sentence = "AAL2 session is required to update email or password when MFA is enabled.";
            assert_eq!(reply.json["message"], sentence);
            assert!(
                reply.headers["www-authenticate"]
                    .to_str()
                    .unwrap()
                    .contains("insufficient_user_authentication")
            );
        }
        assert_eq!(put(&fixture, &token, json!({ "data": { "theme": "dark" } })).await.status, 200);
    }
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200, "the password is what it was");
    let raised = recover(&fixture, &recovered.access(), &codes[0]).await;
    assert_eq!(methods(&raised.access()), ["mfa/recovery_code", "otp"]);
    let changed = put(&fixture, &raised.access(), json!({ "password": "another long battery" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json["factors"][0]["status"], "verified", "the factor stays");
    refused(&fixture.user(&ann.token).await, 403, "session_not_found");
    let last = fixture.audit().await.pop().unwrap();
    assert_eq!(
        (last.action.as_str(), last.target.as_deref()),
        ("user_updated_password", Some(ann.id.as_str()))
    );
}

/// What was under way without a second factor ends when one begins to count.
#[tokio::test]
async fn a_change_of_the_address_does_not_outlive_the_first_factor() {
    let mut chosen = options();
    chosen.settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off;
    chosen.settings.sign_ups.both_addresses_confirm = false;
    let fixture = Fixture::with(chosen).await;
    fixture.sign_up("ann@example.com").await;
    fixture.send_mails().await;
    let code = fixture.mailbox.mails()[0].code.clone().unwrap();
    let body = json!({ "type": "signup", "email": "ann@example.com", "token": code });
    let session = fixture.call("POST", "/verify", None, body).await;
    assert_eq!(
        put(&fixture, &session.access(), json!({ "email": "eve@example.com" })).await.json["new_email"],
        "eve@example.com"
    );
    fixture.send_mails().await;
    let mail = fixture.mailbox.mails().into_iter().find(|mail| mail.kind == Kind::EmailChangeNew).unwrap();
    let (_, _, raised) = add(&fixture, &session.access(), "phone").await;
    assert_eq!(raised.json["user"].get("new_email"), None);
    let body = json!({ "type": "email_change", "email": "eve@example.com", "token": mail.code.unwrap() });
    refused(&fixture.call("POST", "/verify", None, body).await, 403, "otp_expired");
    // One that a raised session asks for is confirmed as ever.
    assert_eq!(put(&fixture, &raised.access(), json!({ "email": "new@example.com" })).await.status, 200);
    fixture.send_mails().await;
    let mails = fixture.mailbox.mails();
    let mail = mails.iter().find(|mail| mail.to.as_str() == "new@example.com").unwrap();
    let body =
        json!({ "type": "email_change", "email": "new@example.com", "token": mail.code.clone().unwrap() });
    let done = fixture.call("POST", "/verify", None, body).await;
    assert_eq!(done.json["user"]["email"], "new@example.com", "{}", done.text);
    assert_eq!(done.json["user"]["factors"][0]["status"], "verified");
}

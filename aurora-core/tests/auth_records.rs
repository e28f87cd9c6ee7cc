//! What is asked for is recorded: by whom, of whom, and with what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod common;
#[path = "common/totp.rs"]
mod totp;

use aurora_core::auth::UserRole;
use common::mailed::{confirmed, options, post};
use common::{Fixture, Row_};
use serde_json::{Value, json};

/// The records of that action, and no more of them than one.
async fn only(fixture: &Fixture, action: &str) -> Row_ {
    let mut rows = fixture.audit().await;
    rows.retain(|row| row.action == action);
    assert_eq!(rows.len(), 1, "{action}: {rows:?}");
    rows.swap_remove(0)
}

/// asvs(V16.3.1, V16.3.3): requests for a mail name the address they came from and whom they are about; the mail goes
/// to its owner, so that the actor is nobody.
#[tokio::test]
async fn requests_for_mails_are_recorded() {
    let fixture = Fixture::with(options()).await;
    let ann = confirmed(&fixture, "ann@example.com").await;
    let ben = fixture.sign_up("ben@example.com").await;
    for (path, body, action, whose, mail) in [
        ("/otp", json!({ "email": "ann@example.com" }), "user_magic_link_requested", &ann, "magic_link"),
        (
            "/resend",
            json!({ "type": "signup", "email": "ben@example.com" }),
            "user_confirmation_requested",
            &ben,
            "confirmation",
        ),
    ] {
        assert_eq!(post(&fixture, path, body).await.status, 200, "{path}");
        let row = only(&fixture, action).await;
        assert_eq!((row.actor.as_str(), row.kind.as_str()), ("anonymous", "security"), "{row:?}");
        assert_eq!(row.target.as_deref(), Some(whose.user_id().as_str()), "{row:?}");
        assert_eq!((&row.payload["mail"], &row.payload["address"]), (&json!(mail), &json!("192.0.2.1")));
        assert!(row.request.is_some() && !row.payload.to_string().contains('@'), "{row:?}");
    }
    let nonce = fixture.call("GET", "/reauthenticate", Some(&ann.access()), Value::Null).await;
    assert_eq!(nonce.status, 200, "{}", nonce.text);
    let row = only(&fixture, "user_reauthenticate_requested").await;
    assert_eq!(row.target.as_deref(), Some(ann.user_id().as_str()), "{row:?}");
    assert_eq!(row.payload["mail"], "reauthentication");
    assert!(row.request.is_some());
}

/// asvs(V16.3.3)
#[tokio::test]
async fn what_becomes_of_factors_is_recorded() {
    let fixture = Fixture::with(options()).await;
    let ann = confirmed(&fixture, "ann@example.com").await;
    let call = async |method: &str, path: &str, token: &str, body| {
        let reply = fixture.call(method, path, Some(token), body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply
    };
    let enrolled = call("POST", "/factors", &ann.access(), json!({ "factor_type": "totp" })).await.json;
    let (id, seed) = (enrolled["id"].as_str().unwrap(), enrolled["totp"]["secret"].as_str().unwrap());
    let asked = call("POST", &format!("/factors/{id}/challenge"), &ann.access(), json!({})).await.json;
    let code = totp::code_at(seed, fixture.now().as_seconds());
    let answer = json!({ "challenge_id": asked["id"], "code": code });
    let raised = call("POST", &format!("/factors/{id}/verify"), &ann.access(), answer).await.access();
    let codes = call("POST", "/factors/recovery-codes", &raised, json!({})).await.json;
    let row = only(&fixture, "recovery_codes_generated").await;
    assert_eq!((row.actor, row.target), (ann.user_id(), Some(ann.user_id())));
    assert_eq!((&row.payload["count"], row.kind.as_str()), (&json!("10"), "security"));
    let told = codes["codes"].as_array().unwrap();
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(|code| !row.payload.to_string().contains(code.as_str().unwrap())));
    call("DELETE", &format!("/factors/{id}"), &raised, Value::Null).await;
    let row = only(&fixture, "factor_unenrolled").await;
    assert_eq!((row.actor, row.target), (ann.user_id(), Some(ann.user_id())));
    assert_eq!(row.payload["factor"], id, "{}", row.payload);
    assert!(row.request.is_some());
    // Refused, it is no such record.
    let gone = fixture.call("DELETE", &format!("/factors/{id}"), Some(&raised), Value::Null).await;
    assert_eq!(gone.code(), "mfa_factor_not_found");
    only(&fixture, "factor_unenrolled").await;
}

/// asvs(V16.3.2)
#[tokio::test]
async fn a_deleted_role_is_recorded_with_its_reason() {
    let fixture = Fixture::with(options()).await;
    let editor: aurora_core::types::RoleName = "editor".parse().unwrap();
    let role = UserRole { name: editor.clone(), rank: 5, permissions: Vec::new().into_iter().collect() };
    fixture.auth.define_role(role, "test").await.unwrap();
    fixture.auth.delete_role(&editor, "nobody edits").await.unwrap();
    let row = only(&fixture, "role_deleted").await;
    assert_eq!((row.actor.as_str(), row.target.as_deref()), ("service", Some("editor")));
    assert_eq!((&row.payload["reason"], row.kind.as_str()), (&json!("nobody edits"), "security"));
    assert!(fixture.auth.delete_role(&editor, "again").await.is_err());
    only(&fixture, "role_deleted").await;
    println!("records: {}", fixture.audit().await.len());
}

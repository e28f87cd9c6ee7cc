//! What a user changes, against sign-outs, bans and limits at the same moment.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aurora_core::auth::{Scope, UserChange};
use aurora_core::types::{Code, Principal};
use common::Fixture;
use serde_json::{Value, json};

async fn stored(fixture: &Fixture) -> (String, String) {
    let question = "SELECT user_metadata, password FROM auth_users WHERE email = 'ann@example.com'";
    let row = fixture.database.rows(question).await.swap_remove(0);
    (row[0].clone().unwrap(), row[1].clone().unwrap())
}

async fn principal(fixture: &Fixture, token: &str) -> Principal {
    fixture.auth.sessions().admit(token).await.unwrap()
}

fn changes() -> [UserChange; 3] {
    let data = UserChange { data: Some(r#"{"a":1}"#.to_owned()), ..UserChange::default() };
    let email = UserChange { email: Some("ann@new.example.com".to_owned()), ..UserChange::default() };
    let password = UserChange { password: Some("another long one".into()), ..UserChange::default() };
    [data, email, password]
}

/// attack J17, asvs(V15.4.2):
/// admitted before, applied after: the session is asked for again where the change is written.
#[tokio::test]
async fn a_change_of_an_ended_session_is_refused() {
    let fixture = Fixture::new().await;
    for scope in [Scope::Global, Scope::Local] {
        fixture.sign_up("ann@example.com").await;
        let session = fixture.sign_in("ann@example.com", common::PASSWORD).await;
        let ann = principal(&fixture, &session.access()).await;
        fixture.auth.sign_out(&ann, scope, &fixture.client()).await.unwrap();
        let before = (stored(&fixture).await, fixture.audit().await.len());
        for change in changes() {
            let error = fixture.auth.update_user(&ann, change.clone(), &fixture.client()).await.unwrap_err();
            let told = [Code::SessionNotFound, Code::ReauthenticationNeeded];
            assert!(told.contains(&error.code()), "{scope:?} {change:?} {error:?}");
        }
        assert_eq!(stored(&fixture).await, before.0);
        assert_eq!(fixture.actions_since(before.1).await, ["user_change_failed"; 3]);
    }
}

/// attack J17
#[tokio::test]
async fn a_change_of_a_banned_user_is_refused() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    let ann = principal(&fixture, &session.access()).await;
    // The host's own statement, past the trigger that ends the sessions.
    fixture.execute("DROP TRIGGER auth_users_banned; UPDATE auth_users SET banned_until = 9e15").await;
    let before = stored(&fixture).await;
    for change in changes() {
        let error = fixture.auth.update_user(&ann, change, &fixture.client()).await.unwrap_err();
        assert_eq!(error.code(), Code::SessionNotFound);
    }
    assert_eq!(stored(&fixture).await, before);
}

/// attack J17, asvs(V15.4.2):
/// `PUT /user` racing with a global sign-out: whatever the sign-out's answer finds stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_changes_after_a_global_sign_out_answered() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.sign_up("ann@example.com").await;
    let mut password = common::PASSWORD.to_owned();
    for round in 0..12_u64 {
        let thief = fixture.sign_in("ann@example.com", &password).await.access();
        let ann = fixture.sign_in("ann@example.com", &password).await.access();
        let wanted = format!("the thief's password {round}");
        let bodies = [json!({ "data": { "round": round } }), json!({ "password": &wanted })];
        let running: Vec<_> = bodies
            .into_iter()
            .map(|body| {
                let (fixture, thief) = (Arc::clone(&fixture), thief.clone());
                tokio::spawn(async move { fixture.call("PUT", "/user", Some(&thief), body).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(round * 4)).await;
        fixture.call("POST", "/logout", Some(&ann), Value::Null).await;
        let at_answer = stored(&fixture).await;
        for put in running {
            let reply = put.await.unwrap();
            let expected = ["", "session_not_found", "over_capacity"];
            assert!(expected.contains(&reply.code()), "{}", reply.text);
        }
        let gone = fixture.user(&ann).await.code() == "session_not_found";
        assert!(gone);
        if fixture.user(&thief).await.status != 200 {
            assert_eq!(stored(&fixture).await, at_answer, "round {round}");
        }
        if fixture.sign_in("ann@example.com", &wanted).await.status == 200 {
            password = wanted;
        }
        fixture.advance(3_600);
    }
}

/// attack P18, asvs(V2.2.3):
/// Metadata that no token could carry is refused where it is written, never at a later sign-in or refresh.
#[tokio::test]
async fn metadata_always_fits_into_a_token() {
    let fixture = Fixture::new().await;
    let text = |length: usize| "x".repeat(length);
    let ann = fixture.sign_up("ann@example.com").await;
    let id = ann.user_id().parse().unwrap();
    let sizes = (0..45).map(|step| 100 * step);
    let largest = async |refused: &mut bool, size: usize| {
        let change = format!(r#"{{"plan":"{}"}}"#, text(size));
        match fixture.auth.update_app_metadata(id, &change).await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.code(), Code::ValidationFailed);
                *refused = true;
            }
        }
        assert_eq!(fixture.sign_in("ann@example.com", common::PASSWORD).await.status, 200, "{size}");
    };
    // The user's own share, then the service's, until it is refused.
    let put =
        fixture.call("PUT", "/user", Some(&ann.access()), json!({ "data": { "a": text(4_000) } })).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let mut refused = false;
    for size in sizes {
        largest(&mut refused, size).await;
    }
    assert!(refused, "the two together exceed a token");
    assert_eq!(fixture.refresh(&ann.refresh()).await.status, 200);
    // The other way around: the service has filled its share.
    let bob = fixture.sign_up("bob@example.com").await;
    let full = format!(r#"{{"plan":"{}"}}"#, text(4_000));
    fixture.auth.update_app_metadata(bob.user_id().parse().unwrap(), &full).await.unwrap();
    let put =
        fixture.call("PUT", "/user", Some(&bob.access()), json!({ "data": { "a": text(4_000) } })).await;
    assert_eq!((put.status.as_u16(), put.code()), (400, "validation_failed"));
    assert_eq!(fixture.sign_in("bob@example.com", common::PASSWORD).await.status, 200);
    // A longer address later does not make it too large.
    let room = json!({ "email": format!("{}@{}.example.com", text(64), text(60)) });
    let moved = fixture.call("PUT", "/user", Some(&bob.access()), room).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(fixture.refresh(&bob.refresh()).await.status, 200);
    let new = aurora_core::auth::NewUser {
        email: "cy@example.com".parse().unwrap(),
        password_hash: None,
        confirmed: true,
        user_metadata: Some(format!(r#"{{"a":"{}"}}"#, text(4_000))),
        app_metadata: Some(full),
    };
    assert_eq!(fixture.auth.create_user(new).await.unwrap_err().code(), Code::ValidationFailed);
}

//! Recovery, and how often a code may be guessed.

use aurora_core::mail::Kind;
use serde_json::json;

use crate::common::PASSWORD;
use crate::common::mailed::{by_code, by_link, confirmed, mail, mails_to, post, token};
use crate::{common, fixture};

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

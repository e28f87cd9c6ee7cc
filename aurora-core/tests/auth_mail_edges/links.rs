//! Links that are pressed elsewhere, late or twice.

use std::time::Duration;

use aurora_core::mail::Kind;
use aurora_core::types::Code;
use serde_json::{Value, json};

use crate::common::mailed::{
    VERIFIER, by_code, by_link, by_service, challenge, confirmed, exchange, location, mail, newer, open,
    parameter, post, press, token, with,
};
use crate::common::{PASSWORD, Reply};
use crate::{asks_for, fixture, id, lone};

/// A registration that is confirmed on a telephone: the address is, and nobody is signed in there.
///
/// attack E02
#[tokio::test]
async fn a_link_pressed_elsewhere_confirms_and_signs_nobody_in() {
    let fixture = fixture().await;
    let body = with(
        json!({ "email": "ann@example.com", "password": PASSWORD, "data": { "name": "Ann" } }),
        challenge(),
    );
    post(&fixture, "/signup", body).await;
    let link = mail(&fixture, Kind::Confirmation, "ann@example.com").await.link.unwrap();
    for _ in 0..2 {
        let page = open(&fixture, &link).await;
        assert!(page.status == 200 && page.text.contains("<form method=\"post\""), "{}", page.text);
    }
    assert_eq!(
        fixture.sign_in("ann@example.com", PASSWORD).await.code(),
        "email_not_confirmed",
        "only opened"
    );
    let pressed = location(&press(&fixture, &link).await);
    assert!(!pressed.contains("access_token") && !parameter(&pressed, "code").is_empty(), "{pressed}");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 0);
    assert_eq!(location(&press(&fixture, &link).await), pressed, "twice is once");
    assert_eq!(location(&open(&fixture, &link).await), pressed);
    let entered = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(
        (entered.status.as_u16(), &entered.json["user"]["user_metadata"]),
        (200, &json!({ "name": "Ann" }))
    );
    let code = parameter(&pressed, "code");
    let other = "aBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(exchange(&fixture, &code, other).await.code(), "bad_code_verifier");
    assert_eq!(exchange(&fixture, &code, VERIFIER).await.status, 200);
    assert_eq!(exchange(&fixture, &code, VERIFIER).await.code(), "flow_state_not_found");
    assert_eq!(parameter(&location(&press(&fixture, &link).await), "error_code"), "otp_expired");
    let records = fixture.audit().await;
    let told = records.iter().filter(|row| row.payload["email"] == "confirmed").count();
    assert_eq!(told, 1, "the button is recorded once");
    // A banned user's button does nothing.
    let bob = post(
        &fixture,
        "/signup",
        with(json!({ "email": "bob@example.com", "password": PASSWORD }), challenge()),
    )
    .await;
    let link = mail(&fixture, Kind::Confirmation, "bob@example.com").await.link.unwrap();
    fixture.auth.ban(id(&bob), fixture.now().plus(Duration::from_secs(60))).await.unwrap();
    assert!(parameter(&location(&press(&fixture, &link).await), "code").is_empty());
}

/// The mailbox is proved on one device and the verifier on another, while a stranger waits for the address, too.
#[tokio::test]
async fn a_button_pressed_elsewhere_gives_no_stranger_a_password() {
    let fixture = fixture().await;
    // The stranger with a challenge of theirs, the owner with hers.
    let strangers = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let theirs = json!({ "email": "ann@example.com", "password": "the stranger's own", "data": { "name": "Eve" },
        "code_challenge": strangers, "code_challenge_method": "plain" });
    let mine = json!({ "email": "ann@example.com", "password": PASSWORD, "data": { "name": "Ann" } });
    for pressed_own in [true, false] {
        let before = fixture.mailbox.mails();
        post(&fixture, "/signup", theirs.clone()).await;
        fixture.send_mails().await;
        let planted = newer(&fixture, &before);
        let before = fixture.mailbox.mails();
        post(&fixture, "/signup", with(mine.clone(), challenge())).await;
        fixture.send_mails().await;
        let own = newer(&fixture, &before);
        let (used, dead) = if pressed_own { (&own, &planted) } else { (&planted, &own) };
        let place = location(&press(&fixture, used.link.as_deref().unwrap()).await);
        for password in [PASSWORD, "the stranger's own"] {
            let refused = fixture.sign_in("ann@example.com", password).await;
            assert_eq!(refused.code(), "invalid_credentials", "a mailbox proves no password");
        }
        let dead = dead.link.as_deref().unwrap();
        assert_eq!(parameter(&location(&press(&fixture, dead).await), "error_code"), "otp_expired");
        let code = parameter(&place, "code");
        if pressed_own {
            let session = exchange(&fixture, &code, VERIFIER).await;
            assert_eq!(session.json["user"]["user_metadata"], json!({ "name": "Ann" }), "{}", session.text);
            assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
        } else {
            // The owner comes in by a mail of her own; a code that leaked brings nobody's password back after that.
            post(&fixture, "/otp", json!({ "email": "ann@example.com" })).await;
            let link = mail(&fixture, Kind::MagicLink, "ann@example.com").await;
            assert_eq!(by_link(&fixture, "magiclink", &token(&link)).await.status, 200);
            exchange(&fixture, &code, strangers).await;
            let refused = fixture.sign_in("ann@example.com", "the stranger's own").await;
            assert_eq!(refused.code(), "invalid_credentials");
        }
        let rows = fixture.database.rows("SELECT id FROM auth_users WHERE email = 'ann@example.com'").await;
        fixture.auth.delete_user(rows[0][0].as_deref().unwrap().parse().unwrap()).await.unwrap();
    }
}

/// A stranger who registers an address that the service invited sets nothing there, and clears nothing away.
#[tokio::test]
async fn an_invitation_outlives_a_stranger_s_registration() {
    let fixture = fixture().await;
    let wish = json!({ "email": "ann@example.com", "data": { "team": 7 } });
    by_service(&fixture, "POST", "/invite", wish).await;
    let theirs =
        json!({ "email": "ann@example.com", "password": "the stranger's own", "data": { "team": 1 } });
    post(&fixture, "/signup", theirs).await;
    let planted = mail(&fixture, Kind::Confirmation, "ann@example.com").await;
    let session = by_link(&fixture, "signup", &token(&planted)).await;
    assert_eq!(session.json["user"]["user_metadata"], json!({ "team": 7 }), "{}", session.text);
    assert_eq!(fixture.sign_in("ann@example.com", "the stranger's own").await.code(), "invalid_credentials");
}

/// A stranger cannot tell by the answer whether an address waits for its confirmation; the client of whoever
/// registers twice goes on as after the first time.
///
/// attack P15
#[tokio::test]
async fn an_address_that_waits_is_answered_as_a_new_one() {
    let fixture = fixture().await;
    let sign_up = async |email: &str, name: &str| {
        let body = json!({ "email": email, "password": "a password of mine", "data": { "name": name } });
        post(&fixture, "/signup", body).await
    };
    let first = sign_up("ann@example.com", "Ann").await;
    fixture.advance(86_400);
    let known = sign_up("ann@example.com", "Eve").await;
    let fresh = sign_up("bob@example.com", "Eve").await;
    assert_eq!(known.user_id(), first.user_id(), "as in Supabase: the user who waits");
    let told = |reply: &Reply, email: &str| {
        assert_eq!(reply.status, 200, "{}", reply.text);
        let identity = reply.json["identities"][0]["identity_id"].as_str().unwrap();
        let mut text = reply.text.replace(&reply.user_id(), "id").replace(identity, "identity");
        text = text.replace(email, "address");
        text
    };
    assert_eq!(told(&known, "ann@example.com"), told(&fresh, "bob@example.com"));
    assert!(!known.text.contains("Ann"), "nothing of who registered first");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 2);
    // Of somebody who has a confirmed account nothing is told but that, as in Supabase.
    fixture.auth.confirm_email(id(&first)).await.unwrap();
    let taken = sign_up("ann@example.com", "Eve").await;
    assert_eq!((&taken.json["identities"], &taken.json["role"]), (&json!([]), &json!("")));
    assert_ne!(taken.user_id(), first.user_id());
}

/// `type`, as Supabase reads it (`internal/api/verify.go`): a token to confirm with, one to recover with, and `email`
/// for either.
#[tokio::test]
async fn types_are_taken_as_supabase_takes_them() {
    let fixture = fixture().await;
    let mut tried = 0;
    for (made, taken) in [
        ("signup", ["signup", "invite", "email"]),
        ("invite", ["signup", "invite", "email"]),
        ("magiclink", ["magiclink", "recovery", "email"]),
        ("recovery", ["magiclink", "recovery", "email"]),
    ] {
        for kind in ["signup", "invite", "magiclink", "recovery", "email_change", "email"] {
            for typed in [false, true] {
                tried += 1;
                let email = format!("user{tried}@example.com");
                if made == "recovery" {
                    confirmed(&fixture, &email).await;
                }
                let wish = json!({ "type": made, "email": email, "password": PASSWORD });
                let link = by_service(&fixture, "POST", "/admin/generate_link", wish).await;
                let (token, code) = (&link.json["hashed_token"], &link.json["email_otp"]);
                let reply = if typed {
                    by_code(&fixture, kind, &email, code.as_str().unwrap()).await
                } else {
                    by_link(&fixture, kind, token.as_str().unwrap()).await
                };
                let expected = if taken.contains(&kind) { (200, "") } else { (403, "otp_expired") };
                assert_eq!(
                    (reply.status.as_u16(), reply.code()),
                    expected,
                    "{made} as {kind}: {}",
                    reply.text
                );
            }
        }
    }
    println!("{tried} links and codes, each as some type");
}

/// attack P13
#[tokio::test]
async fn a_nonce_outlives_what_is_refused_for_something_else() {
    let fixture = fixture().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    fixture.advance(700);
    let access = fixture.refresh(&session.refresh()).await.access();
    fixture.call("GET", "/reauthenticate", Some(&access), Value::Null).await;
    let nonce = mail(&fixture, Kind::Reauthentication, "ann@example.com").await.code.unwrap();
    let change = async |body: Value| {
        let body = with(body, json!({ "nonce": nonce }));
        fixture.call("PUT", "/user", Some(&access), body).await
    };
    assert_eq!(change(json!({ "password": "short" })).await.code(), "weak_password");
    assert_eq!(change(json!({ "password": PASSWORD })).await.code(), "same_password");
    assert_eq!(change(json!({ "email": "new@example.com" })).await.status, 200);
    assert_eq!(change(json!({ "email": "newer@example.com" })).await.code(), "reauthentication_not_valid");
    assert_eq!(change(json!({ "password": "a brand new one" })).await.code(), "reauthentication_not_valid");
}

/// asvs(V7.4.2)
#[tokio::test]
async fn what_ends_an_account_ends_its_links() {
    let fixture = lone().await;
    let session = confirmed(&fixture, "ann@example.com").await;
    let ann = id(&session);
    let recovery = async || {
        fixture.advance(1);
        fixture.send_mails().await;
        let before = fixture.mailbox.mails();
        post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
        fixture.send_mails().await;
        token(&newer(&fixture, &before))
    };
    let banned = recovery().await;
    fixture.auth.ban(ann, fixture.now().plus(Duration::from_secs(60))).await.unwrap();
    fixture.auth.unban(ann).await.unwrap();
    assert_eq!(by_link(&fixture, "recovery", &banned).await.code(), "otp_expired", "a ban");
    let ended = recovery().await;
    fixture.auth.end_sessions_of(ann).await.unwrap();
    assert_eq!(by_link(&fixture, "recovery", &ended).await.code(), "otp_expired", "the service's own");
    // A thief's change of the address ends with the thief's session; a link to the owner's mailbox does not.
    let owner = fixture.sign_in("ann@example.com", PASSWORD).await;
    asks_for(&fixture, &owner, "eve@example.com").await;
    fixture.call("GET", "/reauthenticate", Some(&owner.access()), Value::Null).await;
    let nonce = mail(&fixture, Kind::Reauthentication, "ann@example.com").await.code.unwrap();
    let theirs = mail(&fixture, Kind::EmailChangeNew, "eve@example.com").await;
    let mine = recovery().await;
    fixture.call("POST", "/logout?scope=global", Some(&owner.access()), Value::Null).await;
    assert_eq!(by_link(&fixture, "email_change", &token(&theirs)).await.code(), "otp_expired", "signed out");
    assert_eq!(by_link(&fixture, "recovery", &mine).await.status, 200);
    let owner = fixture.sign_in("ann@example.com", PASSWORD).await;
    let body = json!({ "password": "a brand new one", "nonce": nonce });
    let refused = fixture.call("PUT", "/user", Some(&owner.access()), body).await;
    assert_eq!(refused.code(), "reauthentication_not_valid", "signed out");
    // An address that the service moves takes along what was sent to the old one.
    asks_for(&fixture, &owner, "new@example.com").await;
    let old = recovery().await;
    fixture.auth.confirm_new_email(ann, &"new@example.com".parse().unwrap()).await.unwrap();
    assert_eq!(by_link(&fixture, "recovery", &old).await.code(), "otp_expired", "moved");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
    // Nobody comes back who was deleted but for the row.
    let path = format!("/admin/users/{ann}");
    by_service(&fixture, "DELETE", &path, json!({ "should_soft_delete": true })).await;
    for body in [
        json!({ "email": "back@example.com", "password": PASSWORD, "email_confirm": true }),
        json!({ "ban_duration": "none" }),
        json!({ "user_metadata": { "name": "Ann" } }),
    ] {
        let back = by_service(&fixture, "PUT", &path, body).await;
        assert_eq!((back.status.as_u16(), back.code()), (404, "user_not_found"), "{}", back.text);
    }
    let until = fixture.now().plus(Duration::from_secs(60));
    assert_eq!(fixture.auth.ban(ann, until).await.unwrap_err().code(), Code::UserNotFound);
    assert_eq!(fixture.auth.update_app_metadata(ann, "{}").await.unwrap_err().code(), Code::UserNotFound);
    let left = by_service(&fixture, "GET", &path, Value::Null).await;
    assert_eq!((&left.json["email"], left.json["deleted_at"].is_string()), (&json!(""), true));
}

//! Where sign-in by mail could be taken at its word: other devices, several askers, half agreements, what ends what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use aurora_core::auth::NewUser;
use aurora_core::config::Autoconfirm;
use aurora_core::mail::{Delivery, Kind};
use aurora_core::types::{Code, UserId};
use common::mailed::{
    VERIFIER, by_code, by_link, by_service, challenge, confirmed, exchange, location, mail, mail_since,
    mails_to, newer, open, options, parameter, post, press, token, with,
};
use common::{Fixture, PASSWORD, Reply};
use serde_json::{Value, json};

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

/// With changes to which the new address alone agrees.
async fn lone() -> Fixture {
    let mut options = options();
    options.settings.sign_ups.both_addresses_confirm = false;
    Fixture::with(options).await
}

async fn asks_for(fixture: &Fixture, session: &Reply, email: &str) -> Reply {
    let asked = fixture.call("PUT", "/user", Some(&session.access()), json!({ "email": email })).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    asked
}

fn id(reply: &Reply) -> UserId {
    reply.user_id().parse().unwrap()
}

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

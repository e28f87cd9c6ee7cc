//! Enrolling, and what a code is good for.

use std::time::Duration;

use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::types::Assurance;
use serde_json::{Value, json};

use crate::common::{Fixture, PASSWORD};
use crate::totp::code_at;
use crate::{
    answer, challenge, challenge_and_verify, claims, enroll, fixture, mails, methods, now_code, options,
    post, refused, two, with_factor, wrong_code,
};

/// asvs(V6.3.7): its owner is told of a new factor.
#[tokio::test]
async fn an_app_is_enrolled_and_its_code_raises_the_session() {
    let fixture = fixture().await;
    let first = fixture.sign_up("ann@example.com").await;
    let elsewhere = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(
        (claims(&first.access())["aal"].as_str(), first.json["user"].get("factors")),
        (Some("aal1"), None)
    );
    let before = fixture.audit().await.len();

    let enrolled = enroll(&fixture, &first.access(), "Ann's phone").await;
    assert_eq!(enrolled.status, 200, "{}", enrolled.text);
    assert_eq!(
        (&enrolled.json["type"], &enrolled.json["friendly_name"]),
        (&json!("totp"), &json!("Ann's phone"))
    );
    let (factor, totp) = (enrolled.json["id"].as_str().unwrap(), &enrolled.json["totp"]);
    let secret = totp["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32);
    let uri = url::Url::parse(totp["uri"].as_str().unwrap()).unwrap();
    assert_eq!(uri.path(), "/127.0.0.1:ann%40example.com");
    assert!(uri.query_pairs().any(|(name, value)| name == "secret" && value == secret));
    assert!(totp["qr_code"].as_str().unwrap().starts_with("<?xml"));
    let user = fixture.user(&first.access()).await;
    assert_eq!(
        (&user.json["factors"][0]["status"], &user.json["factors"][0]["factor_type"]),
        (&json!("unverified"), &json!("totp"))
    );
    assert!(!user.text.contains(secret), "told once");

    let challenged = post(
        &fixture,
        &format!("/factors/{factor}/challenge"),
        &first.access(),
        json!({ "factorId": factor }),
    )
    .await;
    assert_eq!(challenged.json["type"], "totp");
    assert_eq!(challenged.json["expires_at"], fixture.now().as_seconds() + 300);
    let id = challenged.json["id"].as_str().unwrap();
    let raised = answer(&fixture, &first.access(), factor, id, &now_code(&fixture, secret)).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    assert_eq!((&raised.json["token_type"], &raised.json["expires_in"]), (&json!("bearer"), &json!(900)));
    let shown = &raised.json["user"]["factors"][0];
    assert_eq!((&shown["status"], &shown["friendly_name"]), (&json!("verified"), &json!("Ann's phone")));
    let said = claims(&raised.access());
    assert_eq!((&said["aal"], &said["session_id"]), (&json!("aal2"), &claims(&first.access())["session_id"]));
    assert_eq!(methods(&raised.access()), ["totp", "password"]);
    let principal = fixture.auth.sessions().admit(&raised.access()).await.unwrap();
    assert_eq!((principal.assurance(), principal.factor_used_at()), (Assurance::Aal2, Some(fixture.now())));

    // The session's own refresh token of before is worth nothing, nor is the user's other session.
    refused(&fixture.refresh(&first.refresh()).await, 400, "refresh_token_not_found");
    assert_eq!(fixture.user(&first.access()).await.status, 200);
    refused(&fixture.user(&elsewhere.access()).await, 403, "session_not_found");
    refused(&fixture.refresh(&elsewhere.refresh()).await, 400, "refresh_token_not_found");
    assert_eq!(fixture.refresh(&raised.refresh()).await.status, 200);
    let actions = fixture.actions_since(before).await;
    assert_eq!(
        actions,
        ["factor_in_progress", "challenge_created", "verification_attempted", "token_refreshed"]
    );
    let record = fixture.audit().await.swap_remove(before + 2);
    assert_eq!((&record.payload["factor"], &record.payload["sessions_ended"]), (&json!(factor), &json!("1")));
    assert_eq!(mails(&fixture, Kind::FactorEnrolled).await, 1);
    for row in fixture.audit().await {
        assert!(!row.payload.to_string().contains(secret));
    }
}

/// A first factor alone goes on signing in; what it lacks is said by `aal` and by the user's factors.
///
/// attack R09: a refresh changes neither level nor methods, whatever its body says.
#[tokio::test]
async fn a_refresh_keeps_the_level_and_a_sign_in_begins_at_the_first() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    fixture.advance(3_600);
    let body = json!({ "refresh_token": ann.refresh, "aal": "aal1", "amr": [], "role": "service_role" });
    let next = fixture.call("POST", "/token?grant_type=refresh_token", None, body).await;
    assert_eq!((&claims(&next.access())["aal"], methods(&next.access()).len()), (&json!("aal2"), 2));
    assert_eq!(claims(&next.access())["amr"], claims(&ann.token)["amr"]);
    let signed_in = fixture.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(signed_in.json["user"]["factors"][0]["status"], "verified");
    let mut weak = signed_in.refresh();
    for _ in 0..3 {
        let body = json!({ "refresh_token": weak, "aal": "aal2", "amr": [{ "method": "totp" }] });
        let next = fixture.call("POST", "/token?grant_type=refresh_token", None, body).await;
        let said = claims(&next.access());
        assert_eq!((&said["aal"], methods(&next.access())), (&json!("aal1"), vec!["password".to_owned()]));
        assert_eq!(fixture.user(&next.access()).await.status, 200);
        weak = next.refresh();
    }
    assert_eq!(fixture.user(&next.access()).await.status, 200, "two sessions of different levels live");
}

/// asvs(V6.5.1, V15.4.1): of many at once with one code, one gets in; nobody does afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_is_good_once_in_two_processes_at_once() {
    let (here, there) = two().await;
    let ann = with_factor(&here, "ann@example.com").await;
    there.advance(30);
    let code = now_code(&here, &ann.secret);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..20 {
        let fixture = if number % 2 == 0 { here.clone() } else { there.clone() };
        let (token, factor, code) = (ann.token.clone(), ann.factor.clone(), code.clone());
        crowd.spawn(async move { challenge_and_verify(&fixture, &token, &factor, &code).await });
    }
    let mut good = Vec::new();
    while let Some(reply) = crowd.join_next().await {
        let reply = reply.unwrap();
        match reply.status.as_u16() {
            200 => good.push(reply),
            422 => assert_eq!(reply.json["message"], "Invalid TOTP code entered"),
            // The factor waits after five.
            status => assert_eq!(status, 429, "{}", reply.text),
        }
    }
    assert_eq!(good.len(), 1);
    let used = "SELECT count(*) FROM aurora_audit WHERE action = 'verification_attempted'";
    assert_eq!(here.count(used).await, 2, "the first one made the factor count");
    // Long enough for the factor to look again; the code has run out, and the one before it is none.
    here.advance(3_600);
    let token = here.refresh(&good[0].refresh()).await.access();
    refused(&challenge_and_verify(&here, &token, &ann.factor, &code).await, 422, "mfa_verification_failed");
    println!("20 at once in two processes, one of them raised");
}

/// asvs(V6.5.8): the service's clock decides, one step of half a minute either way; faults K21: set back, it revives
/// no code that was used.
#[tokio::test]
async fn the_service_s_clock_decides() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let now = fixture.now().as_seconds();
    for off in [-90, -60, 60, 90] {
        let code = code_at(&ann.secret, now + off);
        let reply = challenge_and_verify(&fixture, &ann.token, &ann.factor, &code).await;
        refused(&reply, 422, "mfa_verification_failed");
    }
    // The next step's code, of a phone that runs ahead: the one of now is used up with it.
    let ahead = code_at(&ann.secret, now + 30);
    let raised = challenge_and_verify(&fixture, &ann.token, &ann.factor, &ahead).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    for code in [code_at(&ann.secret, now), ahead] {
        let reply = challenge_and_verify(&fixture, &raised.access(), &ann.factor, &code).await;
        refused(&reply, 422, "mfa_verification_failed");
    }
    fixture.clock.set(fixture.now().minus(Duration::from_secs(30)));
    let code = code_at(&ann.secret, now);
    let reply = challenge_and_verify(&fixture, &raised.access(), &ann.factor, &code).await;
    refused(&reply, 422, "mfa_verification_failed");
    let reasons: Vec<Value> = fixture
        .audit()
        .await
        .into_iter()
        .filter(|row| row.action == "factor_refused")
        .map(|row| row.payload["reason"].clone())
        .collect();
    let (wrong, used) = (json!("wrong code"), json!("used code"));
    assert_eq!(reasons, [&wrong, &wrong, &wrong, &wrong, &used, &used, &used].map(Clone::clone));
    fixture.advance(90);
    let code = now_code(&fixture, &ann.secret);
    assert_eq!(challenge_and_verify(&fixture, &raised.access(), &ann.factor, &code).await.status, 200);
}

/// asvs(V6.6.3, V2.3.2): five wrong codes, and the right one waits; in every process, and after a restart.
#[tokio::test]
async fn tries_are_few_and_counted_with_the_factor() {
    let (here, there) = two().await;
    let ann = with_factor(&here, "ann@example.com").await;
    there.advance(30);
    for number in 0..5 {
        let fixture = if number % 2 == 0 { &here } else { &there };
        let code = wrong_code(fixture, &ann.secret);
        let reply = challenge_and_verify(fixture, &ann.token, &ann.factor, &code).await;
        refused(&reply, 422, "mfa_verification_failed");
    }
    for fixture in [&here, &there] {
        let code = now_code(fixture, &ann.secret);
        let reply = challenge_and_verify(fixture, &ann.token, &ann.factor, &code).await;
        refused(&reply, 429, "over_request_rate_limit");
        assert_eq!(reply.headers["retry-after"], "60");
    }
    for fixture in [&here, &there] {
        fixture.advance(60);
    }
    let wrong = challenge_and_verify(&here, &ann.token, &ann.factor, &wrong_code(&here, &ann.secret)).await;
    refused(&wrong, 422, "mfa_verification_failed");
    let code = now_code(&there, &ann.secret);
    let held = challenge_and_verify(&there, &ann.token, &ann.factor, &code).await;
    assert_eq!((held.status.as_u16(), held.headers["retry-after"].to_str().unwrap()), (429, "120"));
    there.advance(120);
    let code = now_code(&there, &ann.secret);
    assert_eq!(challenge_and_verify(&there, &ann.token, &ann.factor, &code).await.status, 200);
    assert_eq!(there.count("SELECT failures FROM auth_mfa_factors").await, 0, "success forgets them");
}

/// asvs(V2.3.2): by default five guesses at once, also a hundred in parallel; another user has their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_are_limited_before_they_are_looked_at() {
    let mut chosen = options();
    chosen.limits.guesses = aurora_core::load::Limits::default().guesses;
    let fixture = Fixture::with(chosen).await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let bob = with_factor(&fixture, "bob@example.com").await;
    let asked = challenge(&fixture, &ann.token, &ann.factor).await;
    let wrong = wrong_code(&fixture, &ann.secret);
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (fixture, ann, factor) = (fixture.clone(), ann.token.clone(), ann.factor.clone());
        let (asked, wrong) = (asked.clone(), wrong.clone());
        crowd.spawn(async move { answer(&fixture, &ann, &factor, &asked, &wrong).await.status.as_u16() });
    }
    let mut looked_at = 0;
    while let Some(status) = crowd.join_next().await {
        looked_at += usize::from(status.unwrap() == 422);
    }
    assert_eq!(looked_at, 5);
    let code = now_code(&fixture, &bob.secret);
    assert_eq!(challenge_and_verify(&fixture, &bob.token, &bob.factor, &code).await.status, 200);
    let mut chosen = options();
    chosen.limits.factor = Quota::new(4, Duration::from_secs(3_600));
    let few = Fixture::with(chosen).await;
    let session = few.sign_up("ann@example.com").await;
    let names = ["a", "b", "c", "d", "e"];
    let mut statuses = Vec::new();
    for name in names {
        statuses.push(enroll(&few, &session.access(), name).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
}

/// asvs(V6.6.2): a challenge is answered once, from where it was asked for, in time, for its own factor and user.
#[tokio::test]
async fn a_challenge_is_its_own() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let eve = with_factor(&fixture, "eve@example.com").await;
    let code = now_code(&fixture, &ann.secret);
    let asked = challenge(&fixture, &ann.token, &ann.factor).await;
    let path = format!("/factors/{}/verify", ann.factor);
    let body = json!({ "challenge_id": asked, "code": code });
    let elsewhere = fixture.call_from("192.0.2.77", "POST", &path, Some(&ann.token), body).await;
    refused(&elsewhere, 422, "mfa_ip_address_mismatch");
    // Somebody else's factor is not there; their challenge is not this factor's.
    refused(&answer(&fixture, &eve.token, &ann.factor, &asked, &code).await, 404, "mfa_factor_not_found");
    let theirs = post(&fixture, &format!("/factors/{}/challenge", ann.factor), &eve.token, json!({})).await;
    refused(&theirs, 404, "mfa_factor_not_found");
    assert_eq!(theirs.json["message"], "Factor not found");
    let foreign = challenge(&fixture, &eve.token, &eve.factor).await;
    refused(&answer(&fixture, &ann.token, &ann.factor, &foreign, &code).await, 422, "mfa_factor_not_found");
    let nobody = "00000000-0000-4000-8000-000000000000";
    refused(&answer(&fixture, &ann.token, &ann.factor, nobody, &code).await, 422, "mfa_factor_not_found");
    refused(&answer(&fixture, &ann.token, &ann.factor, "x", &code).await, 400, "validation_failed");
    refused(&answer(&fixture, &ann.token, &ann.factor, &asked, "").await, 400, "validation_failed");
    refused(&post(&fixture, "/factors/x/challenge", &ann.token, json!({})).await, 404, "validation_failed");
    // None of these was a look at the code.
    assert_eq!(fixture.count("SELECT max(failures) FROM auth_mfa_factors").await, 0);
    let raised = answer(&fixture, &ann.token, &ann.factor, &asked, &code).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    fixture.advance(30);
    let next = now_code(&fixture, &ann.secret);
    refused(
        &answer(&fixture, &raised.access(), &ann.factor, &asked, &next).await,
        422,
        "mfa_factor_not_found",
    );
    let late = challenge(&fixture, &raised.access(), &ann.factor).await;
    fixture.advance(301);
    let code = now_code(&fixture, &ann.secret);
    refused(
        &answer(&fixture, &raised.access(), &ann.factor, &late, &code).await,
        422,
        "mfa_challenge_expired",
    );
    refused(
        &answer(&fixture, &raised.access(), &ann.factor, &late, &code).await,
        422,
        "mfa_factor_not_found",
    );
    assert_eq!(challenge_and_verify(&fixture, &raised.access(), &ann.factor, &code).await.status, 200);
}

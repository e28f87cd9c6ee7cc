//! Second factors over the wire: enrolled, asked for, used once, counted; what wants one, and what none removes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;
#[path = "common/totp.rs"]
mod totp;

use std::collections::BTreeSet;
use std::time::Duration;

use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::types::Assurance;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Fixture, Options, PASSWORD, Reply, SERVICE_KEY};
use serde_json::{Value, json};
use totp::code_at;

fn options() -> Options {
    let mut options = Options::default();
    let roomy = Quota::new(10_000, Duration::from_secs(60));
    (options.limits.guesses, options.limits.factor) = (roomy, roomy);
    (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
    options
}

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

/// Two processes on one database.
async fn two() -> (Fixture, Fixture) {
    let first = options();
    let (path, start_key) = (first.path.clone(), first.start_key.clone());
    let here = Fixture::with(first).await;
    (here, Fixture::with(Options { path, start_key, ..options() }).await)
}

async fn post(fixture: &Fixture, path: &str, token: &str, body: Value) -> Reply {
    fixture.call("POST", path, Some(token), body).await
}

async fn enroll(fixture: &Fixture, token: &str, name: &str) -> Reply {
    post(fixture, "/factors", token, json!({ "factor_type": "totp", "friendly_name": name })).await
}

async fn challenge(fixture: &Fixture, token: &str, factor: &str) -> String {
    let reply = post(fixture, &format!("/factors/{factor}/challenge"), token, json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json["id"].as_str().unwrap().to_owned()
}

async fn answer(fixture: &Fixture, token: &str, factor: &str, challenge: &str, code: &str) -> Reply {
    let body = json!({ "challenge_id": challenge, "code": code });
    post(fixture, &format!("/factors/{factor}/verify"), token, body).await
}

async fn challenge_and_verify(fixture: &Fixture, token: &str, factor: &str, code: &str) -> Reply {
    let challenge = challenge(fixture, token, factor).await;
    answer(fixture, token, factor, &challenge, code).await
}

fn now_code(fixture: &Fixture, secret: &str) -> String {
    code_at(secret, fixture.now().as_seconds())
}

/// A code that is none of the three around now.
fn wrong_code(fixture: &Fixture, secret: &str) -> String {
    let now = fixture.now().as_seconds();
    let good: BTreeSet<String> = [-30, 0, 30].into_iter().map(|off| code_at(secret, now + off)).collect();
    (0..4).map(|number| format!("{number:06}")).find(|code| !good.contains(code)).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn methods(token: &str) -> Vec<String> {
    let claims = claims(token);
    claims["amr"].as_array().unwrap().iter().map(|one| one["method"].as_str().unwrap().to_owned()).collect()
}

/// Somebody with a factor that counts, and the session that it raised.
struct Person {
    token: String,
    refresh: String,
    factor: String,
    secret: String,
    id: String,
}

/// The code that made the factor count is used up: half a minute has passed.
async fn with_factor(fixture: &Fixture, email: &str) -> Person {
    let session = fixture.sign_up(email).await;
    let (factor, secret, raised) = add(fixture, &session.access(), "phone").await;
    let (token, refresh, id) = (raised.access(), raised.refresh(), raised.user_id());
    Person { token, refresh, factor, secret, id }
}

async fn add(fixture: &Fixture, token: &str, name: &str) -> (String, String, Reply) {
    let enrolled = enroll(fixture, token, name).await;
    assert_eq!(enrolled.status, 200, "{}", enrolled.text);
    let factor = enrolled.json["id"].as_str().unwrap().to_owned();
    let secret = enrolled.json["totp"]["secret"].as_str().unwrap().to_owned();
    let raised = challenge_and_verify(fixture, token, &factor, &now_code(fixture, &secret)).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    fixture.advance(30);
    (factor, secret, raised)
}

async fn generate(fixture: &Fixture, token: &str) -> Vec<String> {
    made(&post(fixture, "/factors/recovery-codes", token, json!({})).await)
}

fn made(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let codes = reply.json["codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

async fn recover(fixture: &Fixture, token: &str, code: &str) -> Reply {
    post(fixture, "/factors/recovery-codes/verify", token, json!({ "code": code })).await
}

async fn put(fixture: &Fixture, token: &str, body: Value) -> Reply {
    fixture.call("PUT", "/user", Some(token), body).await
}

async fn by_service(fixture: &Fixture, method: &str, path: &str) -> Reply {
    fixture.call(method, path, Some(SERVICE_KEY), Value::Null).await
}

async fn mails(fixture: &Fixture, kind: Kind) -> usize {
    fixture.send_mails().await;
    fixture.mailbox.mails().iter().filter(|mail| mail.kind == kind).count()
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{}", reply.text);
}

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

/// asvs(V6.5.1, V6.5.2, V6.5.3, V15.4.1): ten of 80 random bits, each good once, also for many at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recovery_codes_are_good_once() {
    let (here, there) = two().await;
    let ann = with_factor(&here, "ann@example.com").await;
    there.advance(30);
    let codes = generate(&here, &ann.token).await;
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
    assert!(codes.iter().all(|code| code.len() == 16), "sixteen characters of five bits: {codes:?}");
    let weak = here.sign_in("ann@example.com", PASSWORD).await;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..20 {
        let fixture = if number % 2 == 0 { here.clone() } else { there.clone() };
        let (token, code) = (weak.access(), codes[0].clone());
        crowd.spawn(async move { recover(&fixture, &token, &code).await });
    }
    let mut good = Vec::new();
    while let Some(reply) = crowd.join_next().await {
        let reply = reply.unwrap();
        if reply.status == 200 {
            good.push(reply);
        } else {
            refused(&reply, 422, "mfa_verification_failed");
        }
    }
    assert_eq!(good.len(), 1);
    let raised = good.pop().unwrap();
    assert_eq!(
        (&claims(&raised.access())["aal"], methods(&raised.access())),
        (&json!("aal2"), vec!["mfa/recovery_code".into(), "password".into()])
    );
    let used = here.audit().await.into_iter().find(|row| row.action == "recovery_code_used").unwrap();
    assert_eq!(used.payload["left"], "9");
    // Another user's code is none, in whatever spelling; one's own is typed as people do.
    let bob = with_factor(&here, "bob@example.com").await;
    refused(&recover(&here, &bob.token, &codes[1]).await, 422, "mfa_verification_failed");
    let lower = codes[1].to_lowercase();
    let typed = format!("{} {}-{} {}", &lower[..4], &lower[4..8], &lower[8..12], &lower[12..]);
    let raised = recover(&here, &raised.access(), &typed).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    // New ones stand in for the old; making them wants a factor of the last ten minutes.
    let again = "/factors/recovery-codes/regenerate";
    let next = made(&post(&here, again, &raised.access(), json!({})).await);
    refused(&recover(&here, &raised.access(), &codes[2]).await, 422, "mfa_verification_failed");
    here.advance(601);
    let stale = post(&here, again, &raised.access(), json!({})).await;
    refused(&stale, 403, "insufficient_aal");
    assert_eq!(stale.json["step_up"], json!({ "aal": "aal2", "max_age": 600 }));
    assert_eq!(recover(&here, &raised.access(), &next[0]).await.status, 200);
    for text in ["", "x", &"A".repeat(100_000)] {
        assert!(matches!(recover(&here, &raised.access(), text).await.status.as_u16(), 400 | 422));
    }
}

/// What the official client asks of recovery codes beside making and using them.
#[tokio::test]
async fn recovery_codes_are_counted_made_again_and_removed() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let bob = with_factor(&fixture, "bob@example.com").await;
    let (path, again) = ("/factors/recovery-codes", "/factors/recovery-codes/regenerate");
    let status = async |token: &str| fixture.call("GET", path, Some(token), Value::Null).await;
    let remove = async |token: &str| fixture.call("DELETE", path, Some(token), Value::Null).await;
    for none in [
        status(&ann.token).await,
        post(&fixture, again, &ann.token, json!({})).await,
        remove(&ann.token).await,
    ] {
        refused(&none, 404, "mfa_factor_not_found");
    }

    let first = post(&fixture, path, &ann.token, json!({ "friendly_name": "on paper" })).await;
    let (id, codes) = (first.json["id"].clone(), made(&first));
    assert_eq!((&first.json["type"], &first.json["total"]), (&json!("recovery_code"), &json!(10)));
    let is_bare = |code: &String| code.len() == 16 && code.chars().all(|c| c.is_ascii_alphanumeric());
    assert!(codes.len() == 10 && codes.iter().all(is_bare), "{codes:?}");
    // Another session may ask how many there are, at the first level, and for no more.
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    let told = status(&weak).await;
    let of_ann = |left: u32| json!({ "id": id, "type": "recovery_code", "total": 10, "remaining": left });
    assert_eq!((told.status.as_u16(), &told.json), (200, &of_ann(10)));
    refused(&status(&bob.token).await, 404, "mfa_factor_not_found");
    refused(&post(&fixture, again, &weak, json!({})).await, 403, "insufficient_aal");
    refused(&remove(&weak).await, 422, "insufficient_aal");
    refused(&post(&fixture, path, &ann.token, json!({})).await, 422, "mfa_verified_factor_exists");
    assert_eq!(status(&weak).await.json, of_ann(10), "what was refused changed nothing");

    let second = post(&fixture, again, &ann.token, json!({})).await;
    assert_eq!(second.json["id"], id);
    refused(&recover(&fixture, &weak, &codes[0]).await, 422, "mfa_verification_failed");
    let codes = made(&second);
    let raised = recover(&fixture, &weak, &codes[0]).await.access();
    assert_eq!(status(&raised).await.json, of_ann(9));
    let bobs = post(&fixture, path, &bob.token, json!({})).await;
    assert_ne!(bobs.json["id"], id);
    assert_eq!(remove(&raised).await.json, json!({ "id": id }));
    refused(&status(&raised).await, 404, "mfa_factor_not_found");
    refused(&recover(&fixture, &raised, &codes[1]).await, 422, "mfa_verification_failed");
    assert_eq!(status(&bob.token).await.json["remaining"], 10, "another's stay");
    assert_eq!(
        fixture.user(&raised).await.json["factors"][0]["id"],
        ann.factor.as_str(),
        "so does the factor"
    );

    let told = mails(&fixture, Kind::RecoveryCodesChanged).await;
    assert_eq!(told, 4, "each owner is told: thrice Ann, once Bob");

    let records: Vec<_> = fixture.audit().await.into_iter().filter(|row| row.actor == ann.id).collect();
    let made: Vec<_> = records.iter().filter(|row| row.action == "recovery_codes_generated").collect();
    assert_eq!(made.iter().map(|row| &row.payload["instead_of"]).collect::<Vec<_>>(), ["0", "10"]);
    let removed = records.iter().find(|row| row.action == "recovery_codes_removed").unwrap();
    assert_eq!((&removed.payload["left"], removed.kind.as_str()), (&json!("9"), "security"));
    assert_eq!(removed.target.as_deref(), Some(ann.id.as_str()));
    let denied = records.iter().filter(|row| row.action == "factor_refused");
    let reasons: Vec<&str> = denied.map(|row| row.payload["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "no recovery codes",
            "no recovery codes",
            "needs a fresh factor",
            "needs aal2",
            "recovery codes exist",
            "wrong recovery code",
            "wrong recovery code",
        ]
    );
}

/// asvs(V6.5.6): a lost factor goes, and what it raised with it.
#[tokio::test]
async fn a_factor_takes_along_what_it_raised() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let (second, _, here) = add(&fixture, &ann.token, "tablet").await;
    generate(&fixture, &here.access()).await;
    // Another device, by the first factor; this one was raised by the second last.
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    let there =
        challenge_and_verify(&fixture, &weak.access(), &ann.factor, &now_code(&fixture, &ann.secret)).await;
    assert_eq!(there.status, 200, "{}", there.text);
    let gone =
        fixture.call("DELETE", &format!("/factors/{}", ann.factor), Some(&here.access()), Value::Null).await;
    assert_eq!(gone.json, json!({ "id": ann.factor }));
    refused(&fixture.user(&there.access()).await, 403, "session_not_found");
    let kept = fixture.refresh(&here.refresh()).await;
    assert_eq!(claims(&kept.access())["aal"], "aal2", "the factor that raised it is there");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await, 10);
    let last = fixture.call("DELETE", &format!("/factors/{second}"), Some(&kept.access()), Value::Null).await;
    assert_eq!(last.status, 200, "{}", last.text);
    let fallen = fixture.refresh(&kept.refresh()).await;
    assert_eq!(
        (&claims(&fallen.access())["aal"], methods(&fallen.access())),
        (&json!("aal1"), vec!["password".to_owned()])
    );
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await, 0);
    assert_eq!(fallen.json["user"].get("factors"), None);
    let path = format!("/factors/{second}/challenge");
    refused(&post(&fixture, &path, &fallen.access(), json!({})).await, 404, "mfa_factor_not_found");
}

#[tokio::test]
async fn names_kinds_and_numbers() {
    let fixture = fixture().await;
    let session = fixture.sign_up("ann@example.com").await;
    let token = session.access();
    // One that never counted gives way to another of its name.
    let (one, two) = (enroll(&fixture, &token, "phone").await, enroll(&fixture, &token, "phone").await);
    assert_ne!(one.json["id"], two.json["id"]);
    assert_eq!(fixture.user(&token).await.json["factors"].as_array().unwrap().len(), 1);
    enroll(&fixture, &token, "old").await;
    fixture.advance(301);
    let (factor, _, raised) = add(&fixture, &token, "phone").await;
    let factors = fixture.user(&raised.access()).await.json["factors"].clone();
    assert_eq!(factors.as_array().unwrap().len(), 1, "{factors}: what ran out is gone");
    let taken = enroll(&fixture, &raised.access(), "phone").await;
    refused(&taken, 422, "mfa_factor_name_conflict");
    assert_eq!(
        taken.json["message"],
        "A factor with the friendly name \"phone\" for this user already exists"
    );
    for number in 1..10 {
        let reply = enroll(&fixture, &raised.access(), &format!("phone {number}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    refused(&enroll(&fixture, &raised.access(), "one more").await, 422, "too_many_enrolled_mfa_factors");
    for (kind, status, code) in [
        ("phone", 422, "mfa_phone_enroll_not_enabled"),
        ("webauthn", 422, "mfa_webauthn_enroll_not_enabled"),
        ("sms", 400, "validation_failed"),
        ("", 400, "validation_failed"),
    ] {
        let body = json!({ "factor_type": kind, "friendly_name": "x", "phone": "+4912345" });
        refused(&post(&fixture, "/factors", &raised.access(), body).await, status, code);
    }
    for (name, text) in [("friendly_name", "x".repeat(101)), ("issuer", "a\nb".to_owned())] {
        let mut body = json!({ "factor_type": "totp" });
        body[name] = json!(text);
        refused(&post(&fixture, "/factors", &raised.access(), body).await, 400, "validation_failed");
    }
    let path = format!("/factors/{factor}");
    let removed = fixture.call("DELETE", &path, Some(&raised.access()), Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    let named = json!({ "factor_type": "totp", "issuer": "My Shop", "friendly_name": "shop" });
    let named = post(&fixture, "/factors", &token, named).await;
    let uri = named.json["totp"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/My%20Shop:ann%40example.com?"), "{uri}");
}

#[tokio::test]
async fn nobody_known_and_nobody_live_has_no_factor() {
    let mut chosen = options();
    chosen.settings.sign_ups.anonymous = true;
    let fixture = Fixture::with(chosen).await;
    let visitor = fixture.call("POST", "/signup", None, json!({})).await;
    let refusal = enroll(&fixture, &visitor.access(), "phone").await;
    refused(&refusal, 403, "no_authorization");
    assert_eq!(refusal.json["message"], "Anonymous user not allowed to perform these actions");
    let ann = with_factor(&fixture, "ann@example.com").await;
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    let asked = challenge(&fixture, &weak.access(), &ann.factor).await;
    fixture.auth.ban(ann.id.parse().unwrap(), fixture.now().plus(Duration::from_secs(60))).await.unwrap();
    let code = now_code(&fixture, &ann.secret);
    refused(&answer(&fixture, &weak.access(), &ann.factor, &asked, &code).await, 403, "session_not_found");
}

/// asvs(V6.4.6, V6.5.6): the service sees and removes factors, and sees no seed.
#[tokio::test]
async fn the_service_removes_a_lost_factor() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    generate(&fixture, &ann.token).await;
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    let path = format!("/admin/users/{}/factors", ann.id);
    let listed = by_service(&fixture, "GET", &path).await;
    assert_eq!(listed.json.as_array().unwrap().len(), 1, "{}", listed.text);
    assert_eq!((&listed.json[0]["id"], &listed.json[0]["status"]), (&json!(ann.factor), &json!("verified")));
    assert!(!listed.text.contains(&ann.secret));
    let nobody = "00000000-0000-4000-8000-000000000000";
    refused(&by_service(&fixture, "DELETE", &format!("{path}/{nobody}")).await, 404, "mfa_factor_not_found");
    refused(&by_service(&fixture, "DELETE", &format!("{path}/x")).await, 404, "validation_failed");
    refused(
        &by_service(&fixture, "GET", &format!("/admin/users/{nobody}/factors")).await,
        404,
        "user_not_found",
    );
    let eve = with_factor(&fixture, "eve@example.com").await;
    let foreign = format!("/admin/users/{}/factors/{}", eve.id, ann.factor);
    refused(&by_service(&fixture, "DELETE", &foreign).await, 404, "mfa_factor_not_found");
    refused(
        &fixture.call("DELETE", &format!("{path}/{}", ann.factor), Some(&ann.token), Value::Null).await,
        403,
        "not_admin",
    );
    let removed = by_service(&fixture, "DELETE", &format!("{path}/{}", ann.factor)).await;
    assert_eq!((&removed.json["id"], &removed.json["factor_type"]), (&json!(ann.factor), &json!("totp")));
    refused(&fixture.user(&ann.token).await, 403, "session_not_found");
    assert_eq!(fixture.user(&weak.access()).await.status, 200, "a first factor's session goes on");
    assert_eq!(by_service(&fixture, "GET", &path).await.text, "[]");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await, 0);
    let record = fixture.audit().await.into_iter().find(|row| row.action == "factor_deleted").unwrap();
    assert_eq!((record.actor.as_str(), record.target), ("service", Some(ann.id.clone())));
    assert_eq!(mails(&fixture, Kind::FactorRemoved).await, 1);
    // Deleted users leave nothing, also those who are deleted but for the row.
    generate(&fixture, &eve.token).await;
    fixture.auth.retire_user(eve.id.parse().unwrap()).await.unwrap();
    let bob = with_factor(&fixture, "bob@example.com").await;
    fixture.auth.delete_user(bob.id.parse().unwrap()).await.unwrap();
    for table in ["auth_mfa_factors", "auth_mfa_challenges", "auth_mfa_recovery_codes"] {
        assert_eq!(fixture.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

/// asvs(V7.5.3): a route of the host's asks for a factor that was used lately, and says so.
#[tokio::test]
async fn a_route_asks_for_a_fresh_factor() {
    use aurora_core::http::{Claims, Peer};
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let peer = Peer::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
    let within = Duration::from_secs(300);
    let admit = async |token: &str| {
        let request = http::Request::get("/pay")
            .header("authorization", format!("Bearer {token}"))
            .header("x-supabase-api-version", "2024-01-01");
        fixture.http.admit(&request.body(()).unwrap().into_parts().0, peer).await.unwrap()
    };
    let fresh = admit(&ann.token).await.fresh::<Claims>(within).unwrap();
    assert_eq!((fresh.id().to_string(), fresh.claims().aal.as_str()), (ann.id.clone(), "aal2"));
    fixture.advance(270);
    assert!(admit(&ann.token).await.fresh::<Claims>(within).is_ok(), "the last second");
    fixture.advance(1);
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    for token in [&ann.token, &weak] {
        let admitted = admit(token).await;
        let error = admitted.fresh::<Claims>(within).unwrap_err();
        let response = admitted.error_response(&error);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(body["code"], "insufficient_aal");
        assert_eq!(body["step_up"], json!({ "aal": "aal2", "max_age": 300 }));
    }
    // A refresh is no use of the factor, a new code is.
    let refreshed = fixture.refresh(&ann.refresh).await.access();
    assert!(admit(&refreshed).await.fresh::<Claims>(within).is_err());
    let raised = challenge_and_verify(&fixture, &weak, &ann.factor, &now_code(&fixture, &ann.secret)).await;
    assert!(admit(&raised.access()).await.fresh::<Claims>(within).is_ok());
    assert!(admit(&weak).await.fresh::<Claims>(within).is_err(), "the token of before says what it said");
}

//! Aurora's own signing keys, from their publication to their end, in several processes; and who verifies elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;
#[path = "common/project.rs"]
mod project;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aurora_core::auth::{Granter, UserRole};
use aurora_core::env::ManualClock;
use aurora_core::session::token::{SigningKeyState, Verifier};
use aurora_core::store::{Database, Reader, Transaction};
use aurora_core::types::{Code, Result, Timestamp};
use common::{Fixture, Options, Reply};
use project::{encode, hs256, part};
use serde_json::{Value, json};

const PUBLISHED: u64 = 900;
const DAY: u64 = 86_400;

/// Two processes on one database and one clock. No job runs.
async fn two() -> (Fixture, Fixture) {
    let options = Options::default();
    let (path, start_key, now) = (options.path.clone(), options.start_key.clone(), options.now);
    let clock = Arc::new(ManualClock::new(now));
    let first = Fixture::on(options, Arc::clone(&clock)).await;
    (first, Fixture::on(Options { path, start_key, ..Options::default() }, clock).await)
}

fn kid(reply: &Reply) -> String {
    part(&reply.access(), 0)["kid"].as_str().unwrap().to_owned()
}

async fn published(fixture: &Fixture) -> Vec<String> {
    let jwks = fixture.call("GET", "/.well-known/jwks.json", None, Value::Null).await.json;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn states(fixture: &Fixture) -> Vec<SigningKeyState> {
    fixture.auth.signing_keys().await.unwrap().iter().map(|key| key.state).collect()
}

async fn actions(fixture: &Fixture) -> Vec<String> {
    let rows = fixture.audit().await.into_iter().map(|row| row.action);
    rows.filter(|action| action.starts_with("signing_key")).collect()
}

/// attack J16, asvs(V13.3.4): a key is published before it signs, and verifies as long as a token of it can
/// live; a process that has not heard of it takes its tokens all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_lives_from_its_publication_to_its_end() {
    use SigningKeyState::{Active, Pending, Retired, VerifyOnly};
    let (here, there) = two().await;
    let session = here.sign_up("ann@example.com").await;
    let first = kid(&session);
    assert_eq!(here.auth.advance_signing_keys().await.unwrap(), 0);
    let next = here.auth.prepare_signing_key().await.unwrap();
    assert_eq!(there.auth.prepare_signing_key().await.unwrap(), next, "one at a time");
    assert_eq!(states(&here).await, [Active, Pending]);
    assert_eq!(published(&here).await, [first.clone(), next.clone()], "known before it signs");
    here.advance(PUBLISHED - 1);
    assert_eq!(here.auth.advance_signing_keys().await.unwrap(), 0);
    let early = here.refresh(&session.refresh()).await;
    assert_eq!(kid(&early), first);
    here.advance(1);
    // Both processes' jobs at once: one moves the keys.
    let (one, two) = tokio::join!(here.auth.advance_signing_keys(), there.auth.advance_signing_keys());
    println!("moved {:?} and {:?}", one.as_ref().unwrap(), two.as_ref().unwrap());
    assert_eq!(one.unwrap() + two.unwrap(), 2, "one signs, one verifies");
    here.auth.sessions().reload_keys().await.unwrap();
    assert_eq!(states(&here).await, [VerifyOnly, Active]);
    let session = here.refresh(&early.refresh()).await;
    assert_eq!(kid(&session), next);
    for token in [early.access(), session.access()] {
        assert_eq!(here.user(&token).await.status, 200);
        assert_eq!(there.user(&token).await.status, 200);
    }
    // The longest that a token may live, and the time for which a process may not have heard.
    here.advance(3_600 + PUBLISHED - 1);
    assert_eq!(there.auth.advance_signing_keys().await.unwrap(), 0);
    assert_eq!(published(&there).await.len(), 2);
    here.advance(1);
    assert_eq!(there.auth.advance_signing_keys().await.unwrap(), 1);
    assert_eq!(states(&there).await, [Retired, Active]);
    assert_eq!(published(&there).await, [next]);
    let sealed = if common::on_postgres() { "octet_length(sealed)" } else { "length(sealed)" };
    assert_eq!(
        here.count(&format!("SELECT {sealed} FROM aurora_signing_keys ORDER BY id")).await,
        0,
        "wiped"
    );
    assert_eq!(actions(&here).await, ["signing_key_published", "signing_key_rotated", "signing_key_retired"]);
    // It starts again with what is left.
    assert_eq!(here.refresh(&session.refresh()).await.status, 200);
    here.auth.sessions().reload_keys().await.unwrap();
}

/// A token of a key that another process made a moment ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_has_not_heard_of_a_key_takes_its_tokens() {
    let (here, there) = two().await;
    let session = here.sign_up("ann@example.com").await;
    assert_eq!(there.user(&session.access()).await.status, 200);
    for _ in 0..3 {
        let made = here.auth.rotate_signing_key().await.unwrap();
        let fresh = here.refresh(&here.sign_in("ann@example.com", common::PASSWORD).await.refresh()).await;
        assert_eq!(kid(&fresh), made);
        let began = Instant::now();
        assert_eq!(there.user(&fresh.access()).await.status, 200, "it looks");
        println!("looked up within {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(there.user(&session.access()).await.status, 200, "and forgets nothing");
    }
    // Signing out with such a token, too.
    here.auth.rotate_signing_key().await.unwrap();
    let last = here.sign_in("ann@example.com", common::PASSWORD).await;
    assert_eq!(
        there.call("POST", "/logout?scope=local", Some(&last.access()), Value::Null).await.status,
        204
    );
}

/// Counts who gets a reader.
#[derive(Debug)]
struct Counting(Arc<dyn Database>, Arc<AtomicUsize>);

#[async_trait]
impl Database for Counting {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.read().await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        self.0.begin().await
    }

    fn has_one_writer(&self) -> bool {
        self.0.has_one_writer()
    }
}

/// attack J04: names of keys that nobody made cost a look four times a second, however many come, and none after
/// whatever is not such a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_names_of_keys_cost_little() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&reads);
    let wrap: common::Wrap = Box::new(|database| Arc::new(Counting(database, counting)));
    let fixture = Fixture::with(Options { wrap: Some(wrap), ..Options::default() }).await;
    let claims = part(&fixture.sign_up("ann@example.com").await.access(), 1);
    let forged = |kid: &str| hs256(&json!({ "alg": "ES256", "kid": kid, "typ": "JWT" }), &claims, b"x");
    fixture.auth.sessions().admit(&forged("x")).await.unwrap_err();
    reads.store(0, Ordering::SeqCst);
    for kid in ["x", "../../etc/passwd", "' OR 1=1", "", &"k".repeat(44)] {
        assert_eq!(fixture.auth.sessions().admit(&forged(kid)).await.unwrap_err().code(), Code::BadJwt);
    }
    let before = reads.load(Ordering::SeqCst);
    assert!(before <= 1, "{before} looks for names that are none of ours");
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..400_u32 {
        let (fixture, token) = (fixture.clone(), forged(&format!("{number:043}")));
        running.spawn(async move { fixture.auth.sessions().admit(&token).await.unwrap_err().code() });
    }
    while let Some(code) = running.join_next().await {
        assert_eq!(code.unwrap(), Code::BadJwt);
    }
    let (took, reads) = (began.elapsed(), reads.load(Ordering::SeqCst) - before);
    println!("400 names of keys: {reads} reads in {took:?}");
    let most = 4 + 6 * (took.as_millis() / 250 + 1);
    assert!(reads as u128 <= most, "{reads} reads");
}

/// Where readers wait, or fail.
#[derive(Debug, Default)]
struct Gate {
    /// The next reader waits until it is let through.
    next: AtomicBool,
    waits: AtomicBool,
    through: tokio::sync::Notify,
    fails: AtomicBool,
}

#[derive(Debug)]
struct Gated(Arc<dyn Database>, Arc<Gate>);

#[async_trait]
impl Database for Gated {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        if self.1.fails.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Err(aurora_core::types::Error::new(Code::UnexpectedFailure, "away"));
        }
        if self.1.next.swap(false, Ordering::SeqCst) {
            self.1.waits.store(true, Ordering::SeqCst);
            self.1.through.notified().await;
        }
        self.0.read().await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        self.0.begin().await
    }

    fn has_one_writer(&self) -> bool {
        self.0.has_one_writer()
    }
}

async fn gated() -> (Fixture, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let inner = Arc::clone(&gate);
    let wrap: common::Wrap = Box::new(|database| Arc::new(Gated(database, inner)));
    (Fixture::with(Options { wrap: Some(wrap), ..Options::default() }).await, gate)
}

/// attack J16: a request that verified a token before its key was retired, and ends afterwards, keeps nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_keeps_no_token_of_a_retired_key() {
    let (fixture, gate) = gated().await;
    let session = fixture.sign_up("ann@example.com").await;
    let (stolen, token) = (kid(&session), session.access());
    let other = fixture.sign_up("bob@example.com").await.access();
    let role = UserRole { name: "editor".parse().unwrap(), rank: 1, permissions: Default::default() };
    fixture.auth.define_role(role, "test").await.unwrap();
    let user = session.user_id().parse().unwrap();
    fixture.auth.grant_role(Granter::Service("test"), user, &"editor".parse().unwrap()).await.unwrap();
    fixture.auth.rotate_signing_key().await.unwrap();
    // So that the next reader is the one that asks for the roles, with the token verified.
    fixture.auth.sessions().admit(&other).await.unwrap();
    gate.next.store(true, Ordering::SeqCst);
    let running = tokio::spawn({
        let (fixture, token) = (fixture.clone(), token.clone());
        async move { fixture.auth.sessions().admit(&token).await }
    });
    while !gate.waits.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fixture.auth.retire_signing_key(&stolen).await.unwrap();
    gate.through.notify_one();
    assert!(running.await.unwrap().unwrap().has_role("editor"), "it was verified before");
    assert_eq!(fixture.auth.sessions().admit(&token).await.unwrap_err().code(), Code::BadJwt);
}

/// Whoever waits for a look at the keys that fails is told to come again, not that the token is a bad one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_fails_signs_nobody_out() {
    let (fixture, gate) = gated().await;
    let claims = part(&fixture.sign_up("ann@example.com").await.access(), 1);
    let header = json!({ "alg": "ES256", "kid": "k".repeat(43), "typ": "JWT" });
    let token = hs256(&header, &claims, b"x");
    gate.fails.store(true, Ordering::SeqCst);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (fixture, token) = (fixture.clone(), token.clone());
        running.spawn(async move { fixture.auth.sessions().admit(&token).await.unwrap_err().code() });
    }
    while let Some(code) = running.join_next().await {
        assert_eq!(code.unwrap(), Code::OverCapacity);
    }
    gate.fails.store(false, Ordering::SeqCst);
    assert_eq!(fixture.auth.sessions().admit(&token).await.unwrap_err().code(), Code::BadJwt, "it is one");
}

/// attack R03: refreshes from both sides while the key changes again and again: nobody is signed out, nothing is 5xx.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_amid_a_flood_of_refreshes_loses_nobody() {
    let (here, there) = two().await;
    let mut sessions = Vec::new();
    for number in 0..12 {
        sessions.push(here.sign_up(&format!("user{number}@example.com")).await.refresh());
    }
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut running = tokio::task::JoinSet::new();
    for (number, mut token) in sessions.into_iter().enumerate() {
        let (mut one, mut other) = (here.clone(), there.clone());
        if number % 2 == 0 {
            std::mem::swap(&mut one, &mut other);
        }
        let done = Arc::clone(&done);
        running.spawn(async move {
            let (mut count, mut names) = (0, std::collections::BTreeSet::new());
            while !done.load(Ordering::SeqCst) || count < 5 {
                let reply = one.refresh(&token).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                for fixture in [&one, &other] {
                    let user = fixture.user(&reply.access()).await;
                    assert_eq!(user.status, 200, "{}", user.text);
                }
                (token, count) = (reply.refresh(), count + 1);
                names.insert(kid(&reply));
            }
            (count, names)
        });
    }
    for round in 0..6 {
        let by = if round % 2 == 0 { &here } else { &there };
        by.auth.rotate_signing_key().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    done.store(true, Ordering::SeqCst);
    let (mut refreshes, mut names) = (0, std::collections::BTreeSet::new());
    while let Some(one) = running.join_next().await {
        let (count, seen) = one.unwrap();
        refreshes += count;
        names.extend(seen);
    }
    println!("{refreshes} refreshes under {} keys, nobody lost", names.len());
    assert!(names.len() >= 3, "the keys changed while they came: {}", names.len());
    assert_eq!(here.count("SELECT count(*) FROM auth_sessions").await, 12);
    let active = states(&here).await.into_iter().filter(|state| *state == SigningKeyState::Active).count();
    assert_eq!(active, 1);
}

/// asvs(V13.3.4): without anybody's doing, a new key signs every 90 days.
#[tokio::test]
async fn the_calendar_rotates() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    for round in 1..=3_u64 {
        // The one that signs does so since before its predecessor was retired.
        let since = if round > 1 { 3_600 + PUBLISHED } else { 0 };
        fixture.advance(90 * DAY - 1 - since);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0, "round {round}");
        fixture.advance(1);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 1, "published");
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0, "once");
        fixture.advance(PUBLISHED);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 2, "it signs");
        fixture.advance(3_600 + PUBLISHED);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 1, "the former is retired");
    }
    assert_eq!(published(&fixture).await.len(), 1);
    assert_ne!(published(&fixture).await[0], kid(&session));
    let mut off = Options::default();
    off.settings.tokens.rotate_every = None;
    let fixture = Fixture::with(off).await;
    fixture.advance(4_000 * DAY);
    assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0);
}

/// A key that was stolen ends by hand.
#[tokio::test]
async fn a_stolen_key_is_retired_by_hand() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    let stolen = kid(&session);
    let signs = fixture.auth.retire_signing_key(&stolen).await.unwrap_err();
    assert_eq!(signs.code(), Code::ValidationFailed);
    let new = fixture.auth.rotate_signing_key().await.unwrap();
    fixture.auth.retire_signing_key(&stolen).await.unwrap();
    fixture.auth.retire_signing_key(&stolen).await.unwrap();
    assert_eq!(fixture.user(&session.access()).await.code(), "bad_jwt");
    let again = fixture.refresh(&session.refresh()).await;
    assert_eq!((again.status.as_u16(), kid(&again)), (200, new.clone()), "nobody is signed out");
    // One that waited when the other was stolen never signs, and another may be made.
    let waited = fixture.auth.prepare_signing_key().await.unwrap();
    let new = fixture.auth.rotate_signing_key().await.unwrap();
    assert!(!published(&fixture).await.contains(&waited));
    assert_eq!(fixture.count("SELECT count(*) FROM aurora_signing_keys WHERE state = 'pending'").await, 0);
    let unknown = fixture.auth.retire_signing_key("nobody's").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    // One that waits may be given up, too; another takes its place.
    let waiting = fixture.auth.prepare_signing_key().await.unwrap();
    fixture.auth.retire_signing_key(&waiting).await.unwrap();
    fixture.advance(2 * PUBLISHED);
    assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0);
    assert_eq!(published(&fixture).await.last(), Some(&new));
    let wanted = "rotated retired published retired rotated published retired";
    let events = actions(&fixture).await;
    let events: Vec<&str> = events.iter().map(|action| &action["signing_key_".len()..]).collect();
    assert_eq!(events.join(" "), wanted);
}

/// Another service verifies by the key set alone: no database, and therefore no revocation before `exp`.
#[tokio::test]
async fn another_service_verifies_by_the_key_set_alone() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    let (text, fetched) = (Arc::new(Mutex::new(fixture.tokens.jwks())), Arc::new(AtomicUsize::new(0)));
    let (source, counter) = (Arc::clone(&text), Arc::clone(&fetched));
    let fetch = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let text = source.lock().unwrap().clone();
        async move { if text.is_empty() { Err(std::io::Error::other("away")) } else { Ok(text) } }
    };
    let issuer = "http://127.0.0.1:8080/auth/v1";
    let verifier = Verifier::new(issuer, fixture.clock.clone(), fetch).unwrap();
    let principal = verifier.verify(&session.access()).await.unwrap();
    assert_eq!(principal.user_id().unwrap().to_string(), session.user_id());
    assert!(principal.claims().contains("ann@example.com"));
    verifier.verify(&session.access()).await.unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    // What the issuer ended goes on here until `exp`, and half a minute for the clocks.
    fixture.call("POST", "/logout", Some(&session.access()), Value::Null).await;
    assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found");
    verifier.verify(&session.access()).await.unwrap();
    fixture.advance(900 + 29);
    verifier.verify(&session.access()).await.unwrap();
    fixture.advance(1);
    assert_eq!(verifier.verify(&session.access()).await.unwrap_err().code(), Code::BadJwt);
    // Forged ones.
    let again = fixture.sign_in("ann@example.com", common::PASSWORD).await;
    let (token, claims) = (again.access(), part(&again.access(), 1));
    let known = kid(&again);
    let (body, signature) = token.split_once('.').unwrap().1.split_once('.').unwrap();
    let header = |value: Value| encode(value.to_string());
    let forged = [
        hs256(
            &json!({ "alg": "HS256", "kid": known, "typ": "JWT" }),
            &claims,
            fixture.tokens.jwks().as_bytes(),
        ),
        format!("{}.{body}.", header(json!({ "alg": "none", "kid": known, "typ": "JWT" }))),
        format!("{}.{body}.{signature}", header(json!({ "alg": "EdDSA", "kid": known, "typ": "JWT" }))),
        format!("{}.{body}.{signature}", header(json!({ "alg": "ES256", "kid": "x", "typ": "JWT" }))),
        project::legacy("service_role"),
    ];
    for token in &forged {
        assert_eq!(verifier.verify(token).await.unwrap_err().code(), Code::BadJwt, "{token:.60}");
    }
    let other = Verifier::new("https://other.example.com/auth/v1", fixture.clock.clone(), {
        let jwks = fixture.tokens.jwks();
        move || {
            let jwks = jwks.clone();
            async move { Ok::<_, std::io::Error>(jwks) }
        }
    });
    assert!(other.unwrap().verify(&token).await.is_err(), "another issuer's");
}

/// Whoever hangs up amid the first look at the key set takes it from nobody else; an issuer that never answers is given
/// up after ten seconds.
#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_takes_no_key_set_along() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let (fetched, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (counter, gate) = (Arc::clone(&fetched), Arc::clone(&answers));
    let mut public: Value = serde_json::from_str(project::EC).unwrap();
    public.as_object_mut().unwrap().remove("d");
    let text = format!(r#"{{"keys":[{public}]}}"#);
    let fetch = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let (gate, text) = (Arc::clone(&gate), text.clone());
        async move { gate.acquire().await.map(|_| text) }
    };
    let verifier = Verifier::new("https://app.example.com/auth/v1", clock, fetch).unwrap();
    let claims = json!({
        "iss": "https://app.example.com/auth/v1", "aud": "authenticated", "role": "authenticated",
        "sub": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a11", "session_id": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a12",
        "iat": 1_800_000_000, "exp": 1_800_000_900,
    });
    let good = project::es256(&json!({ "alg": "ES256", "kid": "project-ec", "typ": "JWT" }), &claims);
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity, "it never answered");
    tokio::time::advance(Duration::from_secs(1)).await;
    let hung_up = tokio::time::timeout(Duration::from_millis(10), verifier.verify(&good)).await;
    assert!(hung_up.is_err());
    answers.add_permits(1);
    verifier.verify(&good).await.unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 2, "the second look went on without its client");
}

/// A new key is looked up, once in half a minute; a secret in a key set is passed over; a set that is away or no set
/// lets nobody in.
#[tokio::test(start_paused = true)]
async fn a_verifier_looks_for_new_keys_and_does_not_hammer() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let (text, fetched) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
    let (source, counter) = (Arc::clone(&text), Arc::clone(&fetched));
    let fetch = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let text = source.lock().unwrap().clone();
        async move { if text.is_empty() { Err(std::io::Error::other("away")) } else { Ok(text) } }
    };
    let verifier = Verifier::new("https://app.example.com/auth/v1", clock, fetch).unwrap();
    let claims = json!({
        "iss": "https://app.example.com/auth/v1", "aud": "authenticated", "role": "authenticated",
        "sub": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a11", "session_id": "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a12",
        "iat": 1_800_000_000, "exp": 1_800_000_900,
    });
    let header = json!({ "alg": "ES256", "kid": "project-ec", "typ": "JWT" });
    let good = project::es256(&header, &claims);
    let mut more = claims.clone();
    more["user_permissions"] = json!(["notes.delete"]);
    more["user_roles"] = json!(["editor"]);
    let says_what_it_may = project::es256(&header, &more);
    let count = || fetched.swap(0, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
    }
    assert_eq!(count(), 1, "an issuer that is away is asked once a second");
    tokio::time::advance(Duration::from_secs(1)).await;
    // A secret in the set is nobody's key: whoever knows it could sign.
    *text.lock().unwrap() = format!(r#"{{"keys":[{}]}}"#, project::OCT);
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
    tokio::time::advance(Duration::from_secs(1)).await;
    let public = |jwk: &str| {
        let mut key: Value = serde_json::from_str(jwk).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(member);
        }
        key.to_string()
    };
    *text.lock().unwrap() = format!(r#"{{"keys":[{},{}]}}"#, project::OCT, public(project::RSA));
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::BadJwt, "not in the set yet");
    count();
    *text.lock().unwrap() = format!(r#"{{"keys":[{},{}]}}"#, public(project::RSA), public(project::EC));
    for _ in 0..5 {
        assert!(verifier.verify(&good).await.is_err());
    }
    assert_eq!(count(), 0, "it looked a moment ago");
    tokio::time::advance(Duration::from_secs(30)).await;
    verifier.verify(&good).await.unwrap();
    assert_eq!(count(), 1);
    let principal = verifier.verify(&says_what_it_may).await.unwrap();
    assert!(principal.has_role("editor") && !principal.has_permission("notes.delete"));
    assert!(!principal.claims().contains("user_permissions"));
    // It goes on with the last set for an hour.
    text.lock().unwrap().clear();
    tokio::time::advance(Duration::from_secs(3_500)).await;
    verifier.verify(&good).await.unwrap();
    tokio::time::advance(Duration::from_secs(101)).await;
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
    *text.lock().unwrap() = "<html>".to_owned();
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(verifier.verify(&good).await.unwrap_err().code(), Code::OverCapacity);
}

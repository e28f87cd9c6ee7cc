//! Processes that have not heard yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aurora_core::auth::{Granter, UserRole};
use aurora_core::store::{Database, Reader, Transaction};
use aurora_core::types::{Code, Result};
use serde_json::{Value, json};

use crate::common::{Fixture, Options};
use crate::project::{hs256, part};
use crate::{common, kid, two};

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

//! Jobs on both engines: slots are held by one process at a time, and an idle service writes nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aurora_core::env::SystemEntropy;
use aurora_core::jobs::{Job, Jobs, Slot, Task};
use aurora_core::mail::{Kind, Message};
use aurora_core::store::{Database, Reader, Transaction};
use aurora_core::types::{BoxFuture, Result};
use common::{Fixture, Options};

async fn two() -> (Fixture, Fixture) {
    let options = Options::default();
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let first = Fixture::with(options).await;
    (first, Fixture::with(Options { path, start_key, ..Options::default() }).await)
}

fn slot(fixture: &Fixture, lease: Duration) -> Slot {
    Slot::new(fixture.database.shared(), fixture.clock.clone(), &SystemEntropy, lease).unwrap()
}

#[tokio::test]
async fn a_slot_has_one_holder_at_a_time() {
    let (here, there) = two().await;
    let lease = Duration::from_secs(60);
    let (one, two) = (slot(&here, lease), slot(&there, lease));
    assert!(one.take("rotation").await.unwrap());
    assert!(!two.take("rotation").await.unwrap());
    assert!(two.take("another").await.unwrap(), "a slot of another name");
    for fixture in [&here, &there] {
        fixture.advance(59);
    }
    assert!(one.take("rotation").await.unwrap(), "renewed in time");
    for fixture in [&here, &there] {
        fixture.advance(59);
    }
    assert!(!two.take("rotation").await.unwrap(), "the renewal counts");
    for fixture in [&here, &there] {
        fixture.advance(1);
    }
    assert!(two.take("rotation").await.unwrap(), "over");
    assert!(!one.take("rotation").await.unwrap());
    one.free("rotation").await.unwrap();
    assert!(!one.take("rotation").await.unwrap(), "nobody gives back what another holds");
    two.free("rotation").await.unwrap();
    assert!(one.take("rotation").await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_ask_at_once_one_gets_it() {
    let (here, there) = two().await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..20 {
        let slot = slot(if number % 2 == 0 { &here } else { &there }, Duration::from_secs(60));
        asking.spawn(async move { slot.take("rotation").await.unwrap() });
    }
    assert_eq!(asking.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
}

/// Counts those who are at it at the same moment.
#[derive(Debug, Default)]
struct Alone {
    now: AtomicUsize,
    most: AtomicUsize,
    runs: AtomicUsize,
}

impl Job for Alone {
    fn run(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            self.runs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_behind_a_slot_runs_in_one_process() {
    let (here, there) = two().await;
    let (alone, lease) = (Arc::new(Alone::default()), Duration::from_secs(60));
    let jobs = [Jobs::new(Arc::new(SystemEntropy)), Jobs::new(Arc::new(SystemEntropy))];
    for (jobs, fixture) in jobs.iter().zip([&here, &there]) {
        let task = Task::new("alone", Duration::from_millis(20), alone.clone());
        jobs.start(task.in_one_process(slot(fixture, lease)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let runs = alone.runs.load(Ordering::SeqCst);
    println!("{runs} runs");
    assert!(runs >= 3 && alone.most.load(Ordering::SeqCst) == 1);
    // Whoever goes gives it back, and the other takes over within the lease.
    let [first, second] = jobs;
    first.close().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(alone.runs.load(Ordering::SeqCst) > runs + 1);
    assert_eq!(alone.most.load(Ordering::SeqCst), 1);
    second.close().await;
    assert_eq!(here.count("SELECT count(*) FROM aurora_slots").await, 0);
}

/// Counts how often the writer's turn was asked for.
#[derive(Debug)]
struct Counted(Arc<dyn Database>, Arc<AtomicUsize>);

#[async_trait]
impl Database for Counted {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        self.0.read().await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.begin().await
    }

    fn has_one_writer(&self) -> bool {
        self.0.has_one_writer()
    }
}

#[tokio::test]
async fn an_empty_outbox_asks_for_no_turn() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    let wrap: common::Wrap = Box::new(move |database| Arc::new(Counted(database, counter)));
    let fixture = Fixture::with(Options { wrap: Some(wrap), ..Options::default() }).await;
    let before = begun.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(fixture.send_mails().await, 0);
    }
    assert_eq!(begun.load(Ordering::SeqCst), before);
    let database = fixture.database.shared();
    let mut transaction = database.begin().await.unwrap();
    let mail = Message::new(Kind::PasswordChanged, "ann@example.com".parse().unwrap());
    fixture.auth.outbox().put(&mut *transaction, &mail).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(fixture.send_mails().await, 1);
    assert_eq!(begun.load(Ordering::SeqCst), before + 2, "one to take it, one to record it");
}

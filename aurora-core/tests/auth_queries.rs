//! How often the database is asked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use aurora_core::store::{Database, Reader, Transaction};
use aurora_core::types::Result;
use common::{Fixture, Options};

/// Counts who gets a reader and who gets the writer's turn.
#[derive(Debug)]
struct Counting(Arc<dyn Database>, Arc<[AtomicUsize; 2]>);

#[async_trait]
impl Database for Counting {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        self.1[0].fetch_add(1, Ordering::SeqCst);
        self.0.read().await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        self.1[1].fetch_add(1, Ordering::SeqCst);
        self.0.begin().await
    }

    fn has_one_writer(&self) -> bool {
        self.0.has_one_writer()
    }
}

async fn counted() -> (Fixture, impl Fn() -> (usize, usize)) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counting = Arc::clone(&counts);
    let wrap: common::Wrap = Box::new(|database| Arc::new(Counting(database, counting)));
    let fixture = Fixture::with(Options { wrap: Some(wrap), ..Options::default() }).await;
    (fixture, move || (counts[0].swap(0, Ordering::SeqCst), counts[1].swap(0, Ordering::SeqCst)))
}

/// attack R10: garbage costs at most one query and never the turn of the one writer, where there is one; PostgreSQL
/// looks it up in a transaction, which waits for nobody.
#[tokio::test]
async fn garbage_refresh_tokens_cost_at_most_one_query() {
    let (fixture, taken) = counted().await;
    taken();
    let unknown = format!("art_{}", "A".repeat(43));
    for (garbage, queries) in
        [("x", 0), ("art_short", 0), (unknown.as_str(), 1), ("a".repeat(65_536).as_str(), 0)]
    {
        assert_eq!(fixture.refresh(garbage).await.status, 400);
        let wanted = if common::engine::on_postgres() { (0, queries) } else { (queries, 0) };
        assert_eq!(taken(), wanted, "{garbage:.50}: reads, turns");
    }
}

/// A session is asked about on every request, in memory.
#[tokio::test]
async fn a_thousand_requests_are_not_a_thousand_queries() {
    let (fixture, taken) = counted().await;
    let token = fixture.sign_up("ann@example.com").await.access();
    let started = std::time::Instant::now();
    taken();
    for _ in 0..1_000 {
        fixture.auth.sessions().admit(&token).await.unwrap();
    }
    let (reads, turns) = taken();
    let most = 1 + started.elapsed().as_millis() / 500;
    println!("1000 admissions in {:?}: {reads} reads", started.elapsed());
    assert!(reads as u128 <= most && turns == 0, "{reads} reads");
}

//! Every guarded call is dropped at its n-th poll, and at once another principal uses the same connections.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aurora_core::guard::Guarded;
use futures_util::StreamExt as _;

use crate::generator::world::{ANN, AnyRow, BOB, Cell, Scenario, World, plain, rows_of, run};

/// Polls a future at most `left` times, then drops it.
struct CancelAt<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for CancelAt<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.left -= 1;
        match self.inner.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

const MORE: &str = "UPDATE notes SET stars = stars + 1";
const SLOW: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT count(*), (SELECT max(title) FROM notes) FROM c";
/// Ended by nothing but a drop or the statement budget.
const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*), (SELECT max(title) FROM notes) FROM c";
const SLOW_WRITE: &str = "UPDATE notes SET stars = stars + 1 + (WITH RECURSIVE c(n) AS
  (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT 0 * count(*) FROM c)";

#[derive(Clone, Copy, Debug)]
enum Call {
    Read,
    One,
    SlowRead,
    Endless,
    Write,
    Returning,
    SlowWrite,
    Stream,
    Begin,
    Commit,
    Whole,
    Rollback,
    Snapshot,
    Executor,
    ExecutorWrite,
    ExecutorInTransaction,
}

use Call::{
    Begin, Commit, Endless, Executor, ExecutorInTransaction, ExecutorWrite, One, Read, Returning, Rollback,
    SlowRead, SlowWrite, Snapshot, Stream, Whole, Write,
};

async fn call(db: &Guarded, what: Call) {
    let read = "SELECT id, title FROM notes ORDER BY id";
    match what {
        Read => drop(db.query_as::<AnyRow>(read).fetch_all().await.unwrap()),
        One => drop(db.query_as::<AnyRow>(read).fetch_one().await.unwrap()),
        SlowRead => drop(db.query_as::<AnyRow>(SLOW).fetch_all().await),
        Endless => drop(db.query_as::<AnyRow>(ENDLESS).fetch_all().await),
        Write => drop(db.query(MORE).execute().await.unwrap()),
        Returning => {
            let sql = format!("{MORE} RETURNING id");
            drop(db.query_as::<AnyRow>(&sql).fetch_all().await.unwrap());
        }
        SlowWrite => drop(db.query(SLOW_WRITE).execute().await),
        Stream => {
            let mut rows = db.query_as::<AnyRow>(read).fetch();
            while let Some(row) = rows.next().await {
                row.unwrap();
            }
        }
        Begin => drop(db.begin().await.unwrap()),
        Commit | Whole => {
            let mut tx = db.begin().await.unwrap();
            tx.query(MORE).execute().await.unwrap();
            if matches!(what, Whole) {
                drop(tx.query_as::<AnyRow>(read).fetch_all().await.unwrap());
            }
            tx.commit().await.unwrap();
        }
        Rollback => {
            let mut tx = db.begin().await.unwrap();
            tx.query(MORE).execute().await.unwrap();
            tx.rollback().await.unwrap();
        }
        Snapshot => {
            let mut snapshot = db.snapshot().await.unwrap();
            drop(snapshot.query_as::<AnyRow>(read).fetch_all().await.unwrap());
            drop(snapshot.query_as::<AnyRow>(read).fetch_all().await.unwrap());
        }
        Executor => {
            let rows: Vec<AnyRow> = sqlx::query_as(read).fetch_all(db.sqlite().unwrap()).await.unwrap();
            drop(rows);
        }
        ExecutorWrite => drop(sqlx::query(MORE).execute(db.sqlite().unwrap()).await.unwrap()),
        ExecutorInTransaction => {
            let mut tx = db.begin().await.unwrap();
            sqlx::query(MORE).execute(tx.sqlite().unwrap()).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

async fn stars(world: &World) -> i64 {
    let mut conn = plain(&world.path).await;
    let sql = format!("SELECT sum(stars) FROM notes WHERE owner = '{ANN}'");
    match rows_of(&mut conn, &sql).await.unwrap()[0].cells[0] {
        Cell::Int(sum) => sum,
        ref other => panic!("{other:?}"),
    }
}

/// Bob's turn, at once: he sees his own rows alone, and may write.
async fn another(world: &World, bob: &Guarded, note: &str) {
    let own = async {
        let rows: Vec<(i64,)> = bob.query_as("SELECT id FROM notes ORDER BY id").fetch_all().await.unwrap();
        let ids: Vec<i64> = rows.into_iter().map(|(id,)| id).collect();
        assert_eq!(ids, [6, 7, 8, 9, 10], "{note}");
        let done =
            bob.query("UPDATE notes SET public = 1 - public WHERE id IN (1, 6)").execute().await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{note}");
    };
    tokio::time::timeout(Duration::from_secs(4), own)
        .await
        .unwrap_or_else(|_| panic!("{note}: somebody holds on"));
    // Nobody's transaction is left open on the file.
    let mut conn = plain(&world.path).await;
    run(&mut conn, "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK".to_owned())
        .await
        .unwrap_or_else(|error| panic!("{note}: {error}"));
}

/// asvs(V1.4.3)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_anywhere_nothing_is_carried_over() {
    let calls = [
        Read,
        One,
        SlowRead,
        Write,
        Returning,
        SlowWrite,
        Stream,
        Begin,
        Commit,
        Whole,
        Rollback,
        Snapshot,
        Executor,
        ExecutorWrite,
        ExecutorInTransaction,
    ];
    let mut world = World::with(Scenario::Owner, |options| options.readers = 1).await;
    for (what, cold) in calls.into_iter().flat_map(|what| [(what, true), (what, false)]) {
        let mut sum = stars(&world).await;
        let mut n = 1;
        loop {
            if cold {
                // Connections are opened and our views made anew.
                world = World::with(Scenario::Owner, |options| options.readers = 1).await;
                sum = stars(&world).await;
            }
            let (ann, bob) = (world.as_user(Some(ANN)), world.as_user(Some(BOB)));
            let future = async move { call(&ann, what).await };
            let done = CancelAt { inner: Box::pin(future), left: n }.await.is_some();
            another(&world, &bob, &format!("{what:?} at {n}")).await;
            let now = stars(&world).await;
            assert!(now == sum || now == sum + 5, "{what:?} at {n}: {sum} became {now}, half a write");
            let writes = matches!(
                what,
                Write | Returning | SlowWrite | Commit | Whole | ExecutorWrite | ExecutorInTransaction
            );
            assert!(writes || now == sum, "{what:?} at {n} wrote");
            assert!(!(done && writes) || now == sum + 5, "{what:?} was done and is not there");
            sum = now;
            if done {
                break;
            }
            n += 1;
            assert!(n < 2_000, "{what:?} never ends");
        }
        let state = if cold { "cold" } else { "warm" };
        println!("cancel: {what:?}, {state}, dropped at every poll up to {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_after_a_while_too() {
    // Polls alone hit the ends of a statement; these drops hit its middle.
    let world = World::with(Scenario::Owner, |options| options.readers = 1).await;
    let (ann, bob) = (world.as_user(Some(ANN)), world.as_user(Some(BOB)));
    let mut sum = stars(&world).await;
    let mut cut = 0;
    for micros in (0..40).map(|step| step * step * 60) {
        for what in [Endless, SlowWrite, Whole, Read] {
            let outcome = tokio::time::timeout(Duration::from_micros(micros), call(&ann, what)).await;
            cut += u32::from(outcome.is_err());
            another(&world, &bob, &format!("{what:?} after {micros} us")).await;
            let now = stars(&world).await;
            assert!(now == sum || now == sum + 5, "{what:?} after {micros} us: {sum} became {now}");
            sum = now;
        }
    }
    println!("cancel: {cut} of 160 calls cut in the middle");
    assert!(cut > 40);
}

#[tokio::test]
async fn a_statement_dropped_in_a_transaction_poisons_it() {
    let world = World::with(Scenario::Owner, |options| options.readers = 1).await;
    let (ann, bob) = (world.as_user(Some(ANN)), world.as_user(Some(BOB)));
    let sum = stars(&world).await;
    for n in 1..200 {
        let mut tx = ann.begin().await.unwrap();
        let done = CancelAt { inner: Box::pin(tx.query(MORE).execute()), left: n }.await.is_some();
        if done {
            tx.rollback().await.unwrap();
            println!("cancel: a statement in a transaction, up to {n}");
            assert_eq!(stars(&world).await, sum);
            return;
        }
        let code = tx.query("SELECT 1").execute().await.unwrap_err().code();
        assert_eq!(code, aurora_core::types::Code::TransactionPoisoned);
        assert!(tx.commit().await.is_err());
        another(&world, &bob, &format!("statement at {n}")).await;
    }
    panic!("never ends");
}

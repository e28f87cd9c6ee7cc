//! Rows one by one: who stops reading them keeps nobody waiting.

use std::time::Duration;

use aurora_core::guard::{GuardOptions, Guarded};
use aurora_core::types::Code;
use futures_util::{Stream, StreamExt as _};

use crate::fixture::{Fixture, POLICIES, ROWS, SCHEMA};

const CHANGE: &str = "UPDATE notes SET stars = stars + 1 RETURNING id";
const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";

async fn fixture(set: impl FnOnce(&mut GuardOptions)) -> Fixture {
    let mut options = GuardOptions::default();
    set(&mut options);
    Fixture::with(SCHEMA, ROWS, POLICIES, options).await.unwrap()
}

/// Another user's write, which waits for nobody.
async fn writes_at_once(db: &Guarded) {
    let write = db.query("UPDATE notes SET stars = 7 WHERE id = 3").execute();
    let done =
        tokio::time::timeout(Duration::from_secs(2), write).await.expect("the writer is free").unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn rest<T, E>(mut rows: impl Stream<Item = Result<T, E>> + Unpin) -> (usize, Option<E>) {
    let mut count = 0;
    while let Some(row) = rows.next().await {
        match row {
            Ok(_) => count += 1,
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}

async fn stars(db: &Guarded) -> i64 {
    let sum: (i64,) = db.query_as("SELECT sum(stars) FROM notes WHERE id < 3").fetch_one().await.unwrap();
    sum.0
}

#[tokio::test]
async fn a_paused_write_has_ended_and_keeps_no_writer() {
    let fixture = fixture(|_| {}).await;
    let (ann, bob) = (fixture.ann(), fixture.bob());
    let mut rows = ann.query_as::<(i64,)>(CHANGE).fetch();
    rows.next().await.unwrap().unwrap();
    writes_at_once(&bob).await;
    assert_eq!(stars(&ann).await, 2);
    assert!(matches!(rest(rows).await, (1, None)));
    let mut rows = sqlx::query(CHANGE).fetch(ann.sqlite().unwrap());
    rows.next().await.unwrap().unwrap();
    writes_at_once(&bob).await;
    assert!(matches!(rest(&mut rows).await, (1, None)));
    // Dropped after its first row, it is as whole as ever.
    let mut rows = ann.query_as::<(i64,)>(CHANGE).fetch();
    rows.next().await.unwrap().unwrap();
    drop(rows);
    assert_eq!(stars(&ann).await, 6);
}

#[tokio::test]
async fn a_paused_stream_does_not_lengthen_a_transaction() {
    let fixture = fixture(|options| options.longest_transaction = Duration::from_millis(300)).await;
    let (ann, bob) = (fixture.ann(), fixture.bob());
    for sql in [CHANGE, ENDLESS] {
        let mut tx = ann.begin().await.unwrap();
        tx.query("UPDATE notes SET stars = 50").execute().await.unwrap();
        let mut rows = tx.query_as::<(i64,)>(sql).fetch();
        rows.next().await.unwrap().unwrap();
        writes_at_once(&bob).await;
        let (_, ended) = rest(rows).await;
        assert_eq!(ended.map(|error| error.code()), (sql == ENDLESS).then_some(Code::StatementTooLong));
        assert!(tx.query("SELECT 1").execute().await.is_err());
        assert_eq!(tx.commit().await.unwrap_err().code(), Code::StatementTooLong, "{sql}");
        assert_eq!(stars(&ann).await, 0, "{sql}");
    }
    let mut tx = ann.begin().await.unwrap();
    let mut rows = sqlx::query(ENDLESS).fetch(tx.sqlite().unwrap());
    rows.next().await.unwrap().unwrap();
    writes_at_once(&bob).await;
    assert!(rest(&mut rows).await.1.is_some());
}

#[tokio::test]
async fn a_read_stream_has_its_time() {
    let fixture = fixture(|options| {
        options.readers = 1;
        options.longest_stream = Duration::from_millis(300);
    })
    .await;
    let (ann, bob) = (fixture.ann(), fixture.bob());
    for _ in 0..2 {
        let mut rows = ann.query_as::<(i64,)>(ENDLESS).fetch();
        rows.next().await.unwrap().unwrap();
        let other = bob.query_as::<(i64,)>("SELECT id FROM notes").fetch_all();
        let other = tokio::time::timeout(Duration::from_secs(2), other).await.expect("the reader is free");
        assert_eq!(other.unwrap().len(), 3);
        let (read, ended) = rest(rows).await;
        assert!(read < 1_000);
        assert_eq!(ended.unwrap().code(), Code::StatementTooLong);
    }
    let mut snapshot = ann.snapshot().await.unwrap();
    let mut rows = snapshot.query_as::<(i64,)>(ENDLESS).fetch();
    rows.next().await.unwrap().unwrap();
    assert_eq!(bob.query_as::<(i64,)>("SELECT id FROM notes").fetch_all().await.unwrap().len(), 3);
    drop(rows);
    let after = snapshot.query_as::<(i64,)>("SELECT 1").fetch_one().await.unwrap_err();
    assert_eq!(after.code(), Code::StatementTooLong);
}

#[tokio::test]
async fn only_a_read_that_is_dropped_early_ends_its_transaction() {
    let fixture = fixture(|_| {}).await;
    let ann = fixture.ann();
    let mut tx = ann.begin().await.unwrap();
    assert!(matches!(rest(tx.query_as::<(i64,)>(CHANGE).fetch()).await, (2, None)));
    assert!(matches!(rest(tx.query_as::<(i64,)>("SELECT id FROM notes").fetch()).await, (3, None)));
    tx.commit().await.unwrap();
    assert_eq!(stars(&ann).await, 2);
    let mut tx = ann.begin().await.unwrap();
    tx.query_as::<(i64,)>("SELECT id FROM notes").fetch().next().await.unwrap().unwrap();
    assert_eq!(tx.query("SELECT 1").execute().await.unwrap_err().code(), Code::TransactionPoisoned);
    assert_eq!(tx.commit().await.unwrap_err().code(), Code::TransactionPoisoned);
}

//! Transactions: they end, whatever becomes of who began them, and nobody waits for ever.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aurora_core::guard::Guarded;
use aurora_core::types::{Code, Principal, UserId};

use crate::generator::world::{ANN, BOB, Scenario, World, open};

async fn stars_of(db: &Guarded, id: i64) -> i64 {
    let (stars,): (i64,) =
        db.query_as("SELECT stars FROM notes WHERE id = $1").bind(id).fetch_one().await.unwrap();
    stars
}

#[tokio::test]
async fn a_panic_or_a_drop_rolls_back() {
    let world = World::new(Scenario::Owner).await;
    let (ann, bob) = (world.as_user(Some(ANN)), world.as_user(Some(BOB)));
    let before = stars_of(&ann, 1).await;
    let held = ann.clone();
    let task = tokio::spawn(async move {
        let mut tx = held.begin().await.unwrap();
        tx.query("UPDATE notes SET stars = 99").execute().await.unwrap();
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(task.await.unwrap_err().is_panic());
    bob.query("UPDATE notes SET stars = 7 WHERE id = 6").execute().await.unwrap();
    assert_eq!((stars_of(&ann, 1).await, stars_of(&bob, 6).await), (before, 7));
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 98").execute().await.unwrap();
    drop(tx);
    let mut tx = bob.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 8 WHERE id = 6").execute().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((stars_of(&ann, 1).await, stars_of(&bob, 6).await), (before, 8));
}

#[tokio::test]
async fn every_kind_of_error_poisons() {
    let world = World::new(Scenario::Owner).await;
    let ann = world.as_user(Some(ANN));
    for wrong in [
        "SELECT * FROM",
        "SELECT * FROM secrets",
        "SELECT * FROM no_such",
        "PRAGMA user_version",
        "INSERT INTO notes (id, title, owner) VALUES (1, 'x', 'y')",
        "INSERT INTO notes (id, title, owner) VALUES (50, 'x', 'y')",
        "UPDATE notes SET title = NULL",
        "SELECT json_extract(title, '$') FROM notes",
    ] {
        let mut tx = ann.begin().await.unwrap();
        tx.query("UPDATE notes SET stars = 50").execute().await.unwrap();
        tx.query(wrong).execute().await.unwrap_err();
        let after = tx.query("UPDATE notes SET stars = 51").execute().await.unwrap_err();
        assert_eq!(after.code(), Code::TransactionPoisoned, "{wrong}");
        assert_eq!(tx.commit().await.unwrap_err().code(), Code::TransactionPoisoned, "{wrong}");
        assert!(stars_of(&ann, 1).await < 50, "{wrong}");
    }
}

/// asvs(V15.4.3)
#[tokio::test]
async fn who_holds_the_writer_too_long_loses_it() {
    let world =
        World::with(Scenario::Owner, |options| options.longest_transaction = Duration::from_millis(150))
            .await;
    let (ann, bob) = (world.as_user(Some(ANN)), world.as_user(Some(BOB)));
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 60").execute().await.unwrap();
    let begun = Instant::now();
    bob.query("UPDATE notes SET stars = 9 WHERE id = 6").execute().await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(100) && waited < Duration::from_secs(2), "{waited:?}");
    let late = tx.query("SELECT 1").execute().await.unwrap_err();
    assert_eq!(late.code(), Code::StatementTooLong);
    assert!(tx.commit().await.is_err());
    assert!(stars_of(&ann, 1).await < 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_stays_as_it_was() {
    let world = World::new(Scenario::Owner).await;
    let ann = world.as_user(Some(ANN));
    let sum = "SELECT sum(stars), count(*) FROM notes";
    let mut snapshot = ann.snapshot().await.unwrap();
    let first: (i64, i64) = snapshot.query_as(sum).fetch_one().await.unwrap();
    let writer = ann.clone();
    let writes = tokio::spawn(async move {
        for id in 0..60_i64 {
            let insert = "INSERT INTO notes (title, owner, stars) VALUES ('s' || $1, auth.uid(), 5)";
            writer.query(insert).bind(id).execute().await.unwrap();
        }
    });
    for _ in 0..60 {
        let again: (i64, i64) = snapshot.query_as(sum).fetch_one().await.unwrap();
        assert_eq!(again, first);
    }
    writes.await.unwrap();
    let again: (i64, i64) = snapshot.query_as(sum).fetch_one().await.unwrap();
    assert_eq!(again, first);
    drop(snapshot);
    let (_, count): (i64, i64) = ann.query_as(sum).fetch_one().await.unwrap();
    assert_eq!(count, first.1 + 60);
}

/// asvs(V15.4.4)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_is_shared_fairly() {
    let world = World::new(Scenario::Owner).await;
    let written = Arc::new(AtomicU64::new(0));
    let greedy: Vec<_> = (0..4)
        .map(|_| {
            let (db, written) = (world.as_user(Some(ANN)), Arc::clone(&written));
            tokio::spawn(async move {
                loop {
                    db.query("UPDATE notes SET stars = 1 WHERE id = 1").execute().await.unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let bob = world.as_user(Some(BOB));
    let mut overtaken = Vec::new();
    for _ in 0..41 {
        let before = written.load(Ordering::Relaxed);
        bob.query("UPDATE notes SET stars = 2 WHERE id = 6").execute().await.unwrap();
        overtaken.push(written.load(Ordering::Relaxed) - before);
    }
    overtaken.sort_unstable();
    greedy.iter().for_each(tokio::task::JoinHandle::abort);
    // The longest may be the scheduler's doing: this task's turn to look comes after its write.
    let (middle, most) = (overtaken[20], overtaken[40]);
    println!("fairness: {middle} writes of 4 greedy tasks went before one of Bob's, at most {most}");
    assert!(middle <= 6 && most <= 200, "{overtaken:?}");
}

const TURNS: i64 = 200;

/// Adds one, [`TURNS`] times; busy is asked again.
async fn count_up(db: &Guarded) -> u32 {
    let mut busy = 0;
    for turn in 0..TURNS {
        // SQLite's busy handler sleeps and asks again: a pause lets the other process in now and then.
        if turn % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        loop {
            let outcome = if turn % 2 == 0 {
                db.query("UPDATE notes SET stars = stars + 1 WHERE id = 1").execute().await.map(drop)
            } else {
                in_transaction(db).await
            };
            match outcome {
                Ok(()) => break,
                Err(error) if error.code() == Code::OverCapacity => busy += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    busy
}

async fn in_transaction(db: &Guarded) -> aurora_core::types::Result<()> {
    let mut tx = db.begin().await?;
    let (stars,): (i64,) = tx.query_as("SELECT stars FROM notes WHERE id = 1").fetch_one().await?;
    tx.query("UPDATE notes SET stars = $1 WHERE id = 1").bind(stars + 1).execute().await?;
    tx.commit().await
}

/// The other process; does nothing unless asked to.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how a parent test speaks to its child")]
async fn child_of_two_processes() {
    let Ok(path) = std::env::var("AURORA_TEST_CHILD") else { return };
    let (guard, _) = open(path.as_ref(), Scenario::Owner, |_| {}).await;
    let db = guard.guarded(Principal::user(ANN.parse::<UserId>().unwrap()));
    std::fs::write(format!("{path}.ready"), "").unwrap();
    println!("child busy {}", count_up(&db).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_lose_no_update() {
    let world = World::new(Scenario::Owner).await;
    let ann = world.as_user(Some(ANN));
    let before = stars_of(&ann, 1).await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cancel_transactions::child_of_two_processes", "--nocapture"])
        .env("AURORA_TEST_CHILD", &world.path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Both count at once, or nothing is shown.
    let ready = std::path::PathBuf::from(format!("{}.ready", world.path.display()));
    while !ready.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first = stars_of(&ann, 1).await;
    let busy = count_up(&ann).await;
    let between = stars_of(&ann, 1).await - first - TURNS;
    println!("two processes: the child was {} ahead", first - before);
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(status.success());
    assert_eq!(stars_of(&ann, 1).await, before + 2 * TURNS);
    println!(
        "two processes: {} updates, {between} of the child's between the parent's, busy {busy} times",
        2 * TURNS
    );
    assert!(between > 0, "the two never met");
}

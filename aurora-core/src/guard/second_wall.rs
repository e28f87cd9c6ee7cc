//! The second wall alone: hand-made text, as if the first had let it through, with every name known.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::env::{SystemClock, SystemEntropy};
use crate::policy::{Known, Policies};
use crate::store::WriterLock;
use crate::types::{Code, Principal, Role};

use super::names::View;
use super::sqlite::{Run, Ticket};
use super::{Guard, Guarded};

const ANN: &str = "00000000-0000-4000-8000-00000000000a";

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn guard() -> (Guard, Folder) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("aurora-wall-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("app.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut plain = options.connect().await.unwrap();
    let schema = format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, word TEXT UNIQUE); CREATE TABLE other (id INTEGER PRIMARY KEY, word TEXT);
         INSERT INTO t VALUES (1, '{ANN}', 'mine'), (2, 'bob', 'HIDDEN'); INSERT INTO other VALUES (1, 'HIDDEN')"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(schema)).execute(&mut plain).await.unwrap();
    let policies =
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (owner = auth.uid()::text)";
    let policies = Policies::parse(policies, "policies.sql").unwrap();
    let writer = WriterLock::new(Duration::from_secs(5));
    let guard =
        Guard::open(&path, &policies, writer, Arc::new(SystemClock), &SystemEntropy, Default::default());
    (guard.await.unwrap(), Folder(folder))
}

/// Runs text past wall one, on a connection where everything of the guard's is made.
async fn past(ann: &Guarded, sql: &str, target: Option<&str>) -> Result<usize, Code> {
    let guard = ann.sqlite_actor().engine();
    let caller = ann.sqlite_actor().caller();
    let ready = guard
        .rewrite(
            Role::Authenticated,
            Known::NOTHING,
            "UPDATE t SET word = word WHERE json_valid(word) RETURNING *",
        )
        .unwrap();
    let read = guard.rewrite(Role::Authenticated, Known::NOTHING, "SELECT * FROM t").unwrap();
    let mut lease = guard.lease(&ready).await.unwrap();
    let connection = lease.connection().unwrap();
    guard.prepare(connection, caller.role, &ready).await.unwrap();
    guard.prepare(connection, caller.role, &read).await.unwrap();
    let ticket = Ticket {
        target: target.map(Arc::from),
        reads_target: true,
        tables: Arc::new(HashSet::new()),
        ..Ticket::default()
    };
    let budget = Duration::from_secs(2);
    let run = Run { caller: &caller, ticket: &ticket, now: guard.now(), budget };
    let mut rows = Vec::new();
    let outcome = connection.run(run, &Arc::from(sql), Default::default(), false, &mut rows).await;
    outcome.map(|done| rows.len().max(usize::try_from(done.rows_affected()).unwrap())).map_err(|error| {
        let error = super::sqlite::engine_error(guard.names(), error);
        assert!(!error.message().contains(&guard.names().schema()), "{error:?}");
        error.code()
    })
}

/// attack L03
#[tokio::test]
async fn it_denies_what_names_alone_do_not_open() {
    let (guard, _folder) = guard().await;
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    let names = ann.sqlite_actor().engine().names().clone();
    let (s, outer) = (names.schema(), names.outer(1, Role::Authenticated, Known::NOTHING));
    let inner = names.inner(0, Role::Authenticated, View::Select, Known::NOTHING);
    for sql in [
        "SELECT * FROM {s}.t",
        "SELECT word FROM {s}.other",
        "SELECT count(*) FROM {s}.t",
        "SELECT 1 FROM {s}.other",
        "SELECT * FROM t",
        "SELECT * FROM other",
        "SELECT * FROM main.t",
        "WITH x AS (SELECT * FROM {s}.t) SELECT * FROM x",
        "SELECT * FROM (SELECT * FROM {s}.t) AS {i}",
        "SELECT * FROM {s}.t AS {i}",
        "SELECT {i}.word FROM {s}.t {i}",
        "SELECT * FROM {s}.sqlite_schema",
        "SELECT * FROM sqlite_temp_schema",
        "SELECT * FROM sqlite_schema",
        "INSERT INTO {s}.t VALUES (9, 'x', 'y')",
        "UPDATE {s}.t SET word = 'x'",
        "DELETE FROM {s}.t",
        "DELETE FROM {s}.other",
        "REPLACE INTO {s}.t VALUES (2, 'x', 'y')",
        "INSERT INTO {s}.sqlite_schema VALUES (1, 1, 1, 1, 1)",
        "CREATE TABLE {s}.x (a)",
        "CREATE TEMP TABLE t (a)",
        "CREATE TEMP VIEW v AS SELECT * FROM {s}.t",
        "DROP TABLE {s}.t",
        "DROP VIEW {i}",
        "DROP VIEW {o}",
        "CREATE TEMP TRIGGER x AFTER INSERT ON {s}.t BEGIN SELECT 1; END",
        "ALTER TABLE {s}.t RENAME TO x",
        "CREATE INDEX {s}.x ON t(word)",
        "ANALYZE {s}",
        "REINDEX",
        "VACUUM {s} INTO '/tmp/aurora-stolen.db'",
        "ATTACH ':memory:' AS y",
        "DETACH {s}",
        "PRAGMA {s}.table_info(t)",
        "PRAGMA database_list",
        "PRAGMA foreign_keys = 0",
        "PRAGMA {s}.wal_checkpoint",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_table_info('t', '{s}')",
        "SELECT * FROM dbstat",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "ROLLBACK",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x')",
        "SELECT changes()",
        "SELECT last_insert_rowid()",
        "SELECT zeroblob(9)",
        "SELECT sqlite_version()",
        "EXPLAIN SELECT * FROM {s}.t",
        "SELECT * FROM json_each((SELECT word FROM {s}.other))",
    ] {
        let sql = sql.replace("{s}", &s).replace("{i}", &inner).replace("{o}", &outer);
        assert!(past(&ann, &sql, None).await.is_err(), "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/aurora-stolen.db").exists());
}

#[tokio::test]
async fn triggers_check_a_write_whose_rows_nobody_chose() {
    let (guard, _folder) = guard().await;
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    let s = ann.sqlite_actor().engine().names().schema();
    for sql in [
        "UPDATE {s}.t SET word = 'x'",
        "DELETE FROM {s}.t",
        "DELETE FROM {s}.t WHERE id = 2",
        "UPDATE {s}.t SET owner = 'x' WHERE id = 1",
        "INSERT INTO {s}.t VALUES (9, 'x', 'y')",
        "UPDATE {s}.t SET word = 'x' WHERE id = 2 RETURNING *",
        "INSERT INTO {s}.t VALUES (2, 'bob', 'y') ON CONFLICT (id) DO UPDATE SET word = 'taken'",
    ] {
        let outcome = past(&ann, &sql.replace("{s}", &s), Some("t")).await;
        assert_eq!(outcome, Err(Code::InsufficientPrivilege), "{sql}");
    }
    // Another table than the ticket's is out of reach whatever it says.
    for sql in [
        "DELETE FROM {s}.other",
        "UPDATE {s}.t SET word = (SELECT word FROM {s}.other)",
        "SELECT * FROM {s}.other",
    ] {
        assert_eq!(
            past(&ann, &sql.replace("{s}", &s), Some("t")).await,
            Err(Code::InsufficientPrivilege),
            "{sql}"
        );
    }
    // The hook itself works: what is allowed runs.
    assert_eq!(past(&ann, &format!("UPDATE {s}.t SET word = 'x' WHERE id = 1"), Some("t")).await, Ok(1));
    let view = ann.sqlite_actor().engine().names().outer(0, Role::Authenticated, Known::NOTHING);
    assert_eq!(past(&ann, &format!("SELECT * FROM {view}"), None).await, Ok(1));
}

#[tokio::test]
async fn a_cte_that_knows_a_name_passes_and_that_is_why_there_are_two_walls() {
    let (guard, _folder) = guard().await;
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    let names = ann.sqlite_actor().engine().names().clone();
    let inner = names.inner(0, Role::Authenticated, View::Select, Known::NOTHING);
    let spoof = format!("WITH {inner} AS (SELECT * FROM {}.t) SELECT * FROM {inner}", names.schema());
    // Should SQLite ever close this, the sentence in the guard's charter may go.
    assert_eq!(past(&ann, &spoof, None).await, Ok(2));
    // Wall one refuses the same text.
    assert_eq!(ann.query(&spoof).execute().await.unwrap_err().code(), Code::StatementNotSupported);
}

/// attack L03: a bare name that the rewriter missed finds an empty table of ours, not the file's.
#[tokio::test]
async fn a_bare_name_reaches_no_table_of_the_file() {
    let (guard, _folder) = guard().await;
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    let schema = guard.sqlite_engine().names().schema();
    let reads = [
        "(SELECT word FROM t WHERE id = 2)",
        "(SELECT count(*) FROM t)",
        "(SELECT rowid FROM t WHERE id = 2)",
    ];
    for read in reads {
        for write in [
            format!("UPDATE \"{schema}\".t SET word = {read} WHERE id = 1"),
            format!("INSERT INTO \"{schema}\".t (owner, word) VALUES ('{ANN}', {read})"),
            format!("DELETE FROM \"{schema}\".t WHERE word = {read}"),
        ] {
            let outcome = past(&ann, &write, Some("t")).await;
            // A unique violation would mean that the hidden word was read.
            assert!(matches!(outcome, Err(code) if code != Code::UniqueViolation), "{write}: {outcome:?}");
        }
    }
}

/// The guard's views that a snapshot was the first to need stay when it is dropped.
#[tokio::test]
async fn what_a_snapshot_made_of_ours_stays() {
    let (guard, _folder) = guard().await;
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    let mut snapshot = ann.snapshot().await.unwrap();
    let sql = "SELECT count(*) FROM t";
    let (seen,): (i64,) = snapshot.query_as(sql).fetch_one().await.unwrap();
    assert_eq!(seen, 1);
    drop(snapshot);
    let engine = ann.sqlite_actor().engine();
    let rewritten = engine.rewrite(Role::Authenticated, Known::NOTHING, sql).unwrap();
    assert!(!rewritten.needs.is_empty());
    let mut others = Vec::new();
    for _ in 0..3 {
        // The dropped snapshot's connection comes back from a task of its own.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut lease = engine.pool.reader().await.unwrap();
        let connection = lease.connection().unwrap();
        if rewritten.needs.iter().all(|need| connection.has(Role::Authenticated, *need)) {
            return;
        }
        others.push(lease);
    }
    panic!("the views went with the snapshot");
}

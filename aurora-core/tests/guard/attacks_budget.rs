//! What a hostile statement may take: time, memory, stack.

use std::time::{Duration, Instant};

use aurora_core::guard::{GuardOptions, Guarded};
use aurora_core::types::{Code, Error};

use crate::fixture::{Fixture, POLICIES, ROWS, SCHEMA};

/// The bound on memory counts all of SQLite's in the process: what one test takes would end the other's statements.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A row of any shape.
#[derive(Debug)]
struct Any;

impl<R: sqlx::Row> sqlx::FromRow<'_, R> for Any {
    fn from_row(_: &R) -> Result<Self, sqlx::Error> {
        Ok(Self)
    }
}

async fn rows(db: &Guarded, sql: &str) -> Result<Vec<Any>, Error> {
    db.query_as::<Any>(sql).fetch_all().await
}

async fn hurried() -> Fixture {
    let mut options = GuardOptions::default();
    options.statement_budget = Duration::from_millis(500);
    Fixture::with(SCHEMA, ROWS, POLICIES, options).await.unwrap()
}

const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)";

/// attack L06, asvs(V15.2.2)
#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_ended() {
    let _alone = ALONE.lock().await;
    let fixture = hurried().await;
    let ann = fixture.ann();
    for sql in [
        format!("{ENDLESS} SELECT count(*) FROM c"),
        format!("{ENDLESS} SELECT x FROM c ORDER BY x DESC"),
        format!("{ENDLESS} SELECT group_concat(x) FROM c"),
        format!("{ENDLESS} SELECT printf('%.*c', 1000000, 'x') AS big FROM c ORDER BY big || x"),
        format!("{ENDLESS} SELECT replace(printf('%.*c', 3000, 'x'), 'x', printf('%.*c', 3000, 'y')) FROM c"),
        format!("{ENDLESS} SELECT DISTINCT hex(printf('%.*c', 1000000, x)) FROM c"),
        format!("{ENDLESS} UPDATE notes SET stars = (SELECT count(*) FROM c)"),
        format!("{ENDLESS} INSERT INTO drops (note) SELECT x FROM c"),
        "SELECT count(*) FROM json_each(json_array(1,2,3,4,5,6,7,8,9)) a, json_each('[1,2,3,4,5,6,7,8,9]') b, json_each('[1,2,3,4,5,6,7,8,9]') c, json_each('[1,2,3,4,5,6,7,8,9]') d, json_each('[1,2,3,4,5,6,7,8,9]') e, json_each('[1,2,3,4,5,6,7,8,9]') f, json_each('[1,2,3,4,5,6,7,8,9]') g, json_each('[1,2,3,4,5,6,7,8,9]') h".to_owned(),
        format!("SELECT 'x' LIKE '{}'", "%a".repeat(10_000)),
        format!("SELECT printf('%.*c', 30000000, 'a') LIKE '{}b'", "%a".repeat(400)),
        "SELECT hex(hex(hex(printf('%.*c', 16000000, 'a'))))".to_owned(),
    ] {
        let begun = Instant::now();
        let outcome = rows(&ann, &sql).await;
        let took = begun.elapsed();
        let short = &sql[..sql.len().min(120)];
        assert!(took < Duration::from_secs(4), "{took:?} for {short}");
        let Err(error) = outcome else { continue };
        let codes = [Code::StatementTooLong, Code::ValidationFailed, Code::BadStatement, Code::StatementNotSupported];
        assert!(codes.contains(&error.code()), "{error:?} for {short}");
    }
    // And the next statement runs as if nothing had been.
    assert_eq!(rows(&ann, "SELECT id FROM notes").await.unwrap().len(), 3);
    assert_eq!(fixture.titles().await.len(), 5);
}

/// Nested and chained text, `n` deep.
fn deep(n: usize) -> Vec<String> {
    let wrap =
        |open: &str, core: &str, close: &str| format!("SELECT {}{core}{}", open.repeat(n), close.repeat(n));
    vec![
        wrap("(", "1", ")"),
        wrap("- ", "1", ""),
        wrap("NOT ", "1", ""),
        wrap("~ ", "1", ""),
        wrap("", "1", "+1"),
        wrap("", "1", " OR 1"),
        wrap("", "1", " AND 1"),
        wrap("", "'x'", "||'x'"),
        wrap("", "1", " IS NULL"),
        wrap("", "1", " ISNULL"),
        wrap("", "1", " IS 1"),
        wrap("", "body", "->'a'") + " FROM notes",
        wrap("abs(", "1", ")"),
        wrap("(SELECT ", "1", ")"),
        wrap("EXISTS (SELECT ", "1", ")"),
        wrap("CASE WHEN 1 THEN ", "1", " END"),
        wrap("CAST(", "1", " AS TEXT)"),
        wrap("1 IN (", "1", ")"),
        wrap("1 BETWEEN 0 AND ", "1", ""),
        wrap("1 = ", "1", ""),
        format!("SELECT 1 FROM {}notes{}", "(SELECT * FROM ".repeat(n), ")".repeat(n)),
        format!("SELECT 1 FROM {}notes{}", "(".repeat(n), ")".repeat(n)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(n)),
        format!("SELECT 1,1{}", " UNION SELECT 1,1".repeat(n)),
        format!("SELECT 1,1{}", " INTERSECT SELECT 1,1 EXCEPT SELECT 1,1".repeat(n / 2)),
        format!(
            "{}SELECT 1,1{}",
            "(".repeat(n / 100),
            format!("{})", " UNION SELECT 1,1".repeat(99)).repeat(n / 100)
        ),
        format!("SELECT {}1{}", "(".repeat(n / 200), format!("{})", "+1".repeat(199)).repeat(n / 200)),
        format!("SELECT 1 FROM notes WHERE 1{}", " AND id = 1".repeat(n)),
        format!(
            "SELECT 1 FROM notes a0{}",
            (1..n).map(|i| format!(" JOIN notes a{i} ON 1")).collect::<String>()
        ),
        format!("{}SELECT 1{}", "WITH c AS (".repeat(n), ") SELECT 1".repeat(n)),
        format!("SELECT ({})", "SELECT 1 WHERE EXISTS (".repeat(n)),
        format!("VALUES {}", vec!["(1)"; n + 1].join(",")),
        format!("SELECT {}", vec!["1"; n + 1].join(",")),
        format!("DELETE FROM notes WHERE {}1{}", "(".repeat(n), ")".repeat(n)),
        format!("UPDATE notes SET stars = {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
        "(".repeat(n),
        "SELECT ".repeat(n),
        "EXPLAIN ".repeat(n),
        format!("CREATE VIEW x AS SELECT {}1{}", "(".repeat(n), ")".repeat(n)),
        format!("CREATE TABLE x (a DEFAULT (1{}))", "+1".repeat(n)),
    ]
}

/// attack L06
#[test]
fn deep_text_overflows_no_stack() {
    let _alone = ALONE.blocking_lock();
    // The stack a request has: tokio's workers, and std's threads, get 2 MiB.
    let worker = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(2 * 1024 * 1024)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let fixture = hurried().await;
            for n in [10, 30, 63, 199, 500, 1_490, 2_990, 60_000] {
                for sql in deep(n) {
                    let ann = fixture.ann();
                    // On a worker's own stack; the answer does not matter, that there is one does.
                    tokio::spawn(async move {
                        let _ = rows(&ann, &sql).await;
                    })
                    .await
                    .unwrap();
                }
            }
            let fixture = Fixture::new().await;
            for sql in deep(8) {
                let carried = rows(&fixture.ann(), &sql).await;
                let no = [
                    "CREATE",
                    "EXPLAIN",
                    "SELECT SELECT",
                    "((",
                    "SELECT (SELECT 1 WHERE",
                    "SELECT 1 FROM ((",
                ];
                assert!(carried.is_ok() || no.iter().any(|head| sql.starts_with(head)), "{sql}: {carried:?}");
            }
        });
    });
    worker.unwrap().join().unwrap();
}

//! Expressions of policies against the same expressions on PostgreSQL: true, false, NULL or the error's SQLSTATE, on
//! each of a few rows.
//!
//! `AURORA_TEST_POSTGRES` names a database that may be written to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

mod cases;

use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::Principal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};

use cases::{COLUMNS, ENUM, EXPRESSIONS, ROWS, STORAGE};

async fn postgres() -> PgConnection {
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    let url = std::env::var("AURORA_TEST_POSTGRES");
    let Ok(url) = url else { panic!("AURORA_TEST_POSTGRES must name a PostgreSQL database for this test") };
    let mut db = PgConnection::connect(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
    let mut script = format!(
        "SET TIME ZONE 'UTC'; DROP SCHEMA IF EXISTS aurora_values CASCADE; CREATE SCHEMA aurora_values;
         SET search_path = aurora_values, public; {STORAGE} {ENUM} CREATE TABLE v ({});",
        columns.join(", ")
    );
    for row in ROWS {
        let row: Vec<String> = row
            .iter()
            .map(|value| if value.starts_with('{') { format!("'{value}'") } else { (*value).to_owned() })
            .collect();
        script.push_str(&format!("INSERT INTO v VALUES ({});", row.join(", ")));
    }
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut db).await.unwrap();
    db
}

/// `t`, `f`, `n`, or the SQLSTATE.
async fn on_postgres(db: &mut PgConnection, expression: &str, id: usize) -> String {
    let sql = format!("SELECT ({expression}) FROM v WHERE id = {id}");
    match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(db).await {
        Ok(row) => match row.get::<Option<bool>, _>(0) {
            Some(true) => "t".to_owned(),
            Some(false) => "f".to_owned(),
            None => "n".to_owned(),
        },
        Err(sqlx::Error::Database(error)) => error.code().unwrap_or_default().into_owned(),
        Err(error) => panic!("{expression}: {error}"),
    }
}

/// The same array as JSON.
fn json(array: &str) -> String {
    let items: Vec<String> = array
        .trim_matches(['{', '}'])
        .split(',')
        .filter(|item| !item.is_empty())
        .map(|item| match item {
            "NULL" => "null".to_owned(),
            number if number.parse::<i64>().is_ok() => number.to_owned(),
            text => format!("\"{text}\""),
        })
        .collect();
    format!("'[{}]'", items.join(","))
}

async fn guard(expressions: &[&str]) -> Result<Guard, String> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("aurora-values-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("app.db");
    let columns: Vec<String> = COLUMNS.iter().map(|(name, _, kind)| format!("{name} {kind}")).collect();
    let rows: Vec<String> = ROWS
        .iter()
        .map(|row| {
            let row = row
                .iter()
                .map(|value| if value.starts_with('{') { json(value) } else { (*value).to_owned() });
            format!("({})", row.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let (mut script, mut policies) = (String::from("BEGIN;"), ENUM.to_owned());
    for (at, expression) in expressions.iter().enumerate() {
        for (kind, condition) in [
            ("t", format!("({expression})")),
            ("f", format!("NOT ({expression})")),
            ("n", format!("({expression}) IS NULL")),
        ] {
            let table = format!("{kind}{at}");
            script.push_str(&format!("CREATE TABLE {table} ({});", columns.join(", ")));
            script.push_str(&format!("INSERT INTO {table} VALUES {};", rows.join(", ")));
            policies.push_str(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"));
            policies.push_str(&format!("CREATE POLICY p ON {table} FOR SELECT USING ({condition});\n"));
        }
    }
    script.push_str("COMMIT;");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut plain = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut plain).await.unwrap();
    plain.close().await.unwrap();
    let policies = Policies::parse(&policies, "values.sql").map_err(|errors| errors.to_string())?;
    let writer = WriterLock::new(Duration::from_secs(5));
    let opened =
        Guard::open(&path, &policies, writer, Arc::new(SystemClock), &SystemEntropy, GuardOptions::default())
            .await;
    opened.map_err(|error| error.to_string())
}

async fn on_sqlite(guard: &Guard, at: usize, id: usize) -> String {
    let db = guard.guarded(Principal::anonymous());
    let mut found = String::new();
    for kind in ["t", "f", "n"] {
        let sql = format!("SELECT count(*) FROM {kind}{at} WHERE id = {id}");
        // The policy runs on every row that the key lets through, and on that one alone.
        match db.query_as::<(i64,)>(&sql).fetch_one().await {
            Ok((1,)) => found.push_str(kind),
            Ok(_) => {}
            Err(error) => return error.message().split(' ').next().unwrap_or_default().to_owned(),
        }
    }
    found
}

#[tokio::test]
async fn values_are_postgresqls() {
    let mut db = postgres().await;
    let mut accepted: Vec<&str> = Vec::new();
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    for expression in EXPRESSIONS {
        match guard(&[expression]).await {
            Ok(_) => accepted.push(expression),
            Err(error) => {
                // What PostgreSQL raises for every row may be refused beforehand.
                let mut answers = Vec::new();
                for id in 1..=ROWS.len() {
                    answers.push(on_postgres(&mut db, expression, id).await);
                }
                if answers.iter().all(|answer| answer.len() == 5) {
                    refused.push(*expression);
                } else {
                    wrong.push(format!("{expression}: refused: {error}"));
                }
            }
        }
    }
    let guard = guard(&accepted).await.unwrap();
    let mut compared = 0;
    for (at, expression) in accepted.iter().enumerate() {
        for id in 1..=ROWS.len() {
            let expected = on_postgres(&mut db, expression, id).await;
            let found = on_sqlite(&guard, at, id).await;
            compared += 1;
            if expected != found {
                wrong.push(format!("{expression} on row {id}: PostgreSQL {expected}, here {found}"));
            }
        }
    }
    println!(
        "{} expressions, {compared} answers compared, {} refused as PostgreSQL raises for every row",
        accepted.len(),
        refused.len()
    );
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

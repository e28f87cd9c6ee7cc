//! Any SQL through the guard of SQLite, with both walls and with the second alone: no panic, and no word of a hidden
//! row comes out, in a row or in an error.
#![no_main]

use std::sync::{Arc, LazyLock};

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::Principal;
use libfuzzer_sys::fuzz_target;
use sqlx::postgres::PgRow;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, FromRow, Row as _};
use tokio::runtime::Runtime;

const SCHEMA: &str = "
CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL);
CREATE INDEX notes_owner ON notes(owner);
CREATE TABLE members (team_id INTEGER NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (team_id, user_id)) WITHOUT ROWID;
CREATE TABLE secrets (id INTEGER PRIMARY KEY, word TEXT);
INSERT INTO notes VALUES (1, 'mine', '{\"a\":1}', '00000000-0000-4000-8000-00000000000a'),
  (2, 'Qz7canary', 'Qz7canary', '00000000-0000-4000-8000-00000000000b'),
  (3, 'Qz7canary', '{\"k\":\"Qz7canary\"}', '00000000-0000-4000-8000-00000000000b');
INSERT INTO members VALUES (1, '00000000-0000-4000-8000-00000000000a');
INSERT INTO secrets VALUES (1, 'Qz7canary');
";
const POLICIES: &str = "
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text);
CREATE POLICY me ON members FOR SELECT TO authenticated USING (user_id = auth.uid()::text);
";
const CANARY: &str = "Qz7canary";
const ANN: &str = "00000000-0000-4000-8000-00000000000a";

static HOUSE: LazyLock<(Runtime, Guarded)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let guarded = runtime.block_on(async {
        let path = std::env::temp_dir().join(format!("aurora-fuzz-{}.db", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
        let policies = Policies::parse(POLICIES, "fuzz.sql").unwrap();
        let mut options = GuardOptions::default();
        options.statement_budget = std::time::Duration::from_millis(300);
        let writer = WriterLock::new(std::time::Duration::from_secs(5));
        let clock = Arc::new(SystemClock);
        let guard = Guard::open(&path, &policies, writer, clock, &SystemEntropy, options).await.unwrap();
        guard.guarded(Principal::user(ANN.parse().unwrap()))
    });
    (runtime, guarded)
});

/// Every cell of a row, as bytes of a text.
struct Cells(String);

impl FromRow<'_, SqliteRow> for Cells {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let cell = |at| row.try_get_unchecked::<Option<Vec<u8>>, _>(at).ok().flatten().unwrap_or_default();
        Ok(Self((0..row.len()).map(|at| String::from_utf8_lossy(&cell(at)).into_owned()).collect()))
    }
}

impl FromRow<'_, PgRow> for Cells {
    fn from_row(_: &PgRow) -> sqlx::Result<Self> {
        Ok(Self(String::new()))
    }
}

fuzz_target!(|sql: &str| {
    if sql.contains("Qz7") {
        return;
    }
    let (runtime, both) = &*HOUSE;
    runtime.block_on(async {
        for db in [both.clone(), both.without_wall_one_for_tests()] {
            let Ok(mut transaction) = db.begin().await else { continue };
            let told = match transaction.query_as::<Cells>(sql).fetch_all().await {
                Ok(rows) => rows.into_iter().map(|Cells(text)| text).collect::<String>(),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!told.contains(CANARY), "a hidden row came out of {sql:?}: {told}");
            let _ = transaction.rollback().await;
        }
    });
});

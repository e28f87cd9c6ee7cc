//! The same world on SQLite, through the guard's public API.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions};
use aurora_core::policy::{self, Policies, Schema};
use aurora_core::store::WriterLock;
use aurora_core::testing;
use aurora_core::types::{Error, Principal, TenantId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, TypeInfo as _, ValueRef as _};

use super::answer::{Answer, Cell, Outcome, Rows};
use super::postgres::writes;
use super::statements::Script;
use super::tree::Engine;
use super::world::{Who, World};

pub(crate) struct Sqlite {
    guard: Guard,
    plain: SqliteConnection,
    reset: String,
    _dir: Dir,
}

struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Any row.
struct AnyRow(Vec<Cell>);

/// [`Guarded`] reads rows of either engine; these come from SQLite.
impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for AnyRow {
    fn from_row(_: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        Err(sqlx::Error::Protocol("a row of PostgreSQL's".into()))
    }
}

impl<'r> sqlx::FromRow<'r, SqliteRow> for AnyRow {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        let mut cells = Vec::new();
        for at in 0..row.len() {
            let value = row.try_get_raw(at)?;
            let failed = sqlx::Error::Decode;
            cells.push(if value.is_null() {
                Cell::Null
            } else {
                match value.type_info().name() {
                    "INTEGER" | "BOOLEAN" => {
                        Cell::Int(<i64 as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?)
                    }
                    "REAL" => Cell::Real(<f64 as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?),
                    "TEXT" => Cell::Text(
                        String::from_utf8_lossy(
                            <&[u8] as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?,
                        )
                        .into_owned(),
                    ),
                    _ => Cell::Blob(<Vec<u8> as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?),
                }
            });
        }
        Ok(Self(cells))
    }
}

/// The catalog as the guard reads it, for policies that need no database.
pub(crate) fn schema(world: &World) -> Schema {
    let tables = world.tables.iter().map(|table| {
        let columns = table
            .columns
            .iter()
            .map(|column| policy::Column::new(&column.name, column.of.declared(Engine::Sqlite)));
        let mut known = policy::Table::new(&table.name, columns.collect());
        known.primary_key = table.key.iter().map(|at| table.columns[*at].name.clone()).collect();
        known
    });
    Schema { tables: tables.collect() }
}

/// Whether Aurora takes the world's policies and one more.
pub(crate) fn takes(world: &World, more: &str) -> Result<(), String> {
    let text = format!("{}{more};", world.policy_text());
    let lowered = Policies::parse(&text, "policies.sql").and_then(|policies| policies.lower(&schema(world)));
    lowered.map(|_| ()).map_err(|errors| errors.to_string())
}

impl Sqlite {
    pub(crate) async fn open(world: &World) -> Result<Self, String> {
        let policies =
            Policies::parse(&world.policy_text(), "policies.sql").map_err(|errors| errors.to_string())?;
        let dir = Dir(directory());
        let path = dir.0.join("app.db");
        let mut plain = connect(&path).await;
        run(&mut plain, &format!("{}{}", world.schema(Engine::Sqlite), world.data(Engine::Sqlite))).await;
        let mut options = GuardOptions::default();
        options.readers = 1;
        let lock = WriterLock::new(Duration::from_secs(5));
        let guard = Guard::open(&path, &policies, lock, Arc::new(SystemClock), &SystemEntropy, options).await;
        let guard = guard.map_err(|error| error.message().to_owned())?;
        let mut reset = String::from("BEGIN;");
        for table in &world.tables {
            reset.push_str(&format!("DELETE FROM {};", table.name));
        }
        reset.push_str(&world.data(Engine::Sqlite));
        reset.push_str("COMMIT;");
        Ok(Self { guard, plain, reset, _dir: dir })
    }

    /// Runs a script as somebody, and puts the rows back.
    pub(crate) async fn ask(&mut self, world: &World, who: &Who, script: &Script) -> Answer {
        let handle = self.guard.guarded(principal(who));
        let mut outcomes = Vec::new();
        let texts: Vec<String> =
            script.statements.iter().map(|statement| statement.text(Engine::Sqlite)).collect();
        match script.transaction {
            None => {
                for sql in &texts {
                    outcomes.push(if returns(sql) {
                        rows(handle.query_as::<AnyRow>(sql).fetch_all().await)
                    } else {
                        affected(handle.query(sql).execute().await.map(|done| done.rows_affected()))
                    });
                }
            }
            Some(commit) => {
                let mut transaction = handle.begin().await.unwrap();
                for sql in &texts {
                    outcomes.push(if returns(sql) {
                        rows(transaction.query_as::<AnyRow>(sql).fetch_all().await)
                    } else {
                        affected(transaction.query(sql).execute().await.map(|done| done.rows_affected()))
                    });
                }
                if !commit {
                    transaction.rollback().await.unwrap();
                } else if let Err(error) = transaction.commit().await {
                    outcomes.push(failed(&error));
                }
            }
        }
        let mut content = None;
        if texts.iter().any(|sql| writes(sql)) {
            let mut tables = Vec::new();
            for sql in world.content() {
                let found: Vec<AnyRow> = sqlx::query_as(AssertSqlSafe(sql))
                    .persistent(false)
                    .fetch_all(&mut self.plain)
                    .await
                    .unwrap();
                tables.push(Rows { types: Vec::new(), rows: found.into_iter().map(|row| row.0).collect() });
            }
            content = Some(tables);
            run(&mut self.plain, &self.reset).await;
        }
        Answer { outcomes, content }
    }
}

fn returns(sql: &str) -> bool {
    !writes(sql) || sql.contains(" RETURNING ")
}

pub(crate) fn principal(who: &Who) -> Principal {
    let principal = match who.user {
        None => Principal::anonymous(),
        Some(user) => testing::principal(user.parse().unwrap(), &who.claims),
    };
    match who.tenant {
        Some(tenant) => principal.in_tenant(tenant.parse::<TenantId>().unwrap()),
        None => principal,
    }
}

fn rows(answer: Result<Vec<AnyRow>, Error>) -> Outcome {
    match answer {
        Ok(found) => {
            Outcome::Rows(Rows { types: Vec::new(), rows: found.into_iter().map(|row| row.0).collect() })
        }
        Err(error) => failed(&error),
    }
}

fn affected(answer: Result<u64, Error>) -> Outcome {
    match answer {
        Ok(many) => Outcome::Affected(many),
        Err(error) => failed(&error),
    }
}

/// An error of a policy's function says its SQLSTATE first.
fn failed(error: &Error) -> Outcome {
    let message = error.message().to_owned();
    let own = error.code().as_str();
    let state = match message.split_once(' ') {
        // Each SQLSTATE of ours begins with a digit.
        Some((state, _)) if state.len() == 5 && state.starts_with(|c: char| c.is_ascii_digit()) => {
            state.to_owned()
        }
        _ => own.to_owned(),
    };
    Outcome::Failed(state, message)
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Off);
    options.busy_timeout(Duration::from_secs(5)).disable_statement_logging().connect().await.unwrap()
}

async fn run(conn: &mut SqliteConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await {
        panic!("{error}: {sql}");
    }
}

fn directory() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = base.join(format!("aurora-differential-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

//! The same world on SQLite, through the guard's public API.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions};
use aurora_core::policy::{self, Policies, Schema};
use aurora_core::store::WriterLock;
use aurora_core::testing;
use aurora_core::types::{Principal, TenantId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::answer::{Answer, Rows};
use super::cells::AnyRow;
use super::drive;
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
        let outcomes = drive::drive(&handle, script, Engine::Sqlite).await;
        let texts = script.statements.iter().map(|statement| statement.text(Engine::Sqlite));
        let writes = texts.into_iter().any(|sql| writes(&sql));
        let mut content = None;
        if writes {
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

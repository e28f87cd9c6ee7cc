use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, migrate};
use crate::env::Clock;
use crate::store::{Database, Reader, Transaction, WriterLock};
use crate::types::{Code, Error, Result};

/// How long a writer of this process waits for its turn before it is told to come back.
const TURN: Duration = Duration::from_secs(5);
/// How long SQLite itself waits for a writer of another process.
const BUSY: Duration = Duration::from_secs(5);

/// One SQLite file with the host's tables and Aurora's. Cheap to clone.
///
/// A few connections read; one writes, after its turn at the [`WriterLock`]. The journal is WAL and every commit
/// is synced (`synchronous=FULL`): what was acknowledged survives a power loss.
#[derive(Clone, Debug)]
pub struct SqliteDatabase {
    path: Arc<Path>,
    readers: SqlitePool,
    writers: SqlitePool,
    lock: WriterLock,
}

impl SqliteDatabase {
    /// Opens the file that `url` names (`sqlite://app.db`, `sqlite:/absolute/app.db` or a path), creates it if
    /// it does not exist, though not its folder, and brings Aurora's own tables up to date.
    pub async fn open(url: &str, clock: &dyn Clock) -> Result<Self> {
        let path = file(url)?;
        create_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .pragma("trusted_schema", "OFF")
            // What a row no longer holds, a destroyed key above all, is wiped in its page.
            .pragma("secure_delete", "FAST")
            // A host's `updated_at` trigger changes its own row; SQLite's default keeps it from firing itself.
            .pragma("recursive_triggers", "OFF")
            // sqlx logs statements, and a slow one with its text.
            .disable_statement_logging();
        let writers = first(&options).await.map_err(|error| {
            let sentence = format!("cannot open the database `{}`: {error}", path.display());
            Error::new(Code::Configuration, sentence).with_source(error)
        })?;
        let readers = pool(4).connect_lazy_with(options.pragma("query_only", "ON"));
        let lock = WriterLock::new(TURN);
        let database = Self { path: path.into(), readers, writers, lock };
        let mut write = database.write().await?;
        migrate::migrate(write.connection(), clock.now()).await?;
        Box::new(write).commit().await?;
        Ok(database)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock before the single writer. Whoever writes to this file holds it for the length of one transaction.
    pub fn writer(&self) -> &WriterLock {
        &self.lock
    }

    /// Closes every connection, after the writer's turn has come.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }

    async fn write(&self) -> Result<SqliteWrite> {
        let permit = self.lock.acquire().await?;
        let writers = self.writers.clone();
        // In a task of its own: a `begin` that is cancelled half way could leave its transaction open in the pool
        // (sqlx #4385). Finished here and dropped unclaimed, it is rolled back.
        let begun = tokio::spawn(async move {
            let transaction = writers.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
            Ok(SqliteWrite::new(transaction, permit))
        });
        begun.await.map_err(Error::internal)?
    }
}

/// Creates the file for its owner alone: password hashes are nobody else's. SQLite gives the journal the same mode.
fn create_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let fix = match path.parent() {
                Some(folder) if error.kind() == std::io::ErrorKind::NotFound => {
                    format!("; make the folder `{}` first", folder.display())
                }
                _ => String::new(),
            };
            let sentence = format!("cannot create the database `{}`: {error}{fix}", path.display());
            Err(Error::new(Code::Configuration, sentence).with_source(error))
        }
        _ => Ok(()),
    }
}

/// The first connection. Where several processes open a new file at once, one of them switches its journal, and SQLite
/// does not wait for that.
async fn first(options: &SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let begun = tokio::time::Instant::now();
    loop {
        let opened = pool(1).connect_with(options.clone().create_if_missing(true)).await;
        let busy = |error: &sqlx::Error| {
            error.as_database_error().is_some_and(|one| one.code().as_deref() == Some("5"))
        };
        if !opened.as_ref().is_err_and(busy) || begun.elapsed() > BUSY {
            return opened;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(TURN)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // When a commit fails for want of room, SQLite rolls back by itself and sqlx counts the transaction as open
        // for ever: no `begin` would work on this connection again. It is given up for a new one.
        .before_acquire(|connection, _| {
            let stuck = sqlx::Connection::is_in_transaction(connection);
            Box::pin(async move { Ok(!stuck) })
        })
}

/// The file that a URL names.
pub(crate) fn file(url: &str) -> Result<PathBuf> {
    let text = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    if path.is_empty() || path.contains(":memory:") {
        return Err(Error::new(
            Code::Configuration,
            format!(
                "`{url}` names no file; write sqlite://app.db (an in-memory database has no second reader)"
            ),
        ));
    }
    if path.contains("://") {
        return Err(Error::new(Code::Configuration, format!("`{url}` is not an SQLite address")));
    }
    Ok(PathBuf::from(path))
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        let connection = self.readers.acquire().await.map_err(failure)?;
        Ok(Box::new(SqliteReader::new(connection)))
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(self.write().await?))
    }

    fn has_one_writer(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemClock;
    use crate::store::sqlite::statements;

    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("aurora-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        directory.join("app.db")
    }

    #[tokio::test]
    async fn every_statement_prepares() {
        let database =
            SqliteDatabase::open(scratch("prepare").to_str().unwrap(), &SystemClock).await.unwrap();
        let mut write = database.write().await.unwrap();
        for (name, text) in statements::ALL {
            let prepared = sqlx::Executor::prepare(write.connection(), sqlx::SqlStr::from_static(text)).await;
            assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
        }
    }

    #[tokio::test]
    async fn opening_twice_changes_nothing_and_a_newer_schema_is_refused() {
        let path = scratch("twice");
        let first = SqliteDatabase::open(path.to_str().unwrap(), &SystemClock).await.unwrap();
        SqliteDatabase::open(path.to_str().unwrap(), &SystemClock).await.unwrap();
        let mut write = first.write().await.unwrap();
        sqlx::query("INSERT INTO aurora_migrations (version, applied_at) VALUES (99, 0)")
            .execute(write.connection())
            .await
            .unwrap();
        Box::new(write).commit().await.unwrap();
        let refused = SqliteDatabase::open(path.to_str().unwrap(), &SystemClock).await.unwrap_err();
        assert_eq!(refused.code(), Code::Configuration);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch("mode");
        SqliteDatabase::open(path.to_str().unwrap(), &SystemClock).await.unwrap();
        for file in [path.clone(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
            assert_eq!(
                std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                file.display()
            );
        }
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let folder = scratch("folder").with_file_name("none");
        let path = folder.join("app.db");
        let refused = SqliteDatabase::open(path.to_str().unwrap(), &SystemClock).await.unwrap_err();
        assert_eq!(refused.code(), Code::Configuration);
        let fix = format!("; make the folder `{}` first", folder.display());
        assert!(refused.message().ends_with(&fix), "{refused}");
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let database =
            SqliteDatabase::open(scratch("readers").to_str().unwrap(), &SystemClock).await.unwrap();
        let mut reader = database.readers.acquire().await.unwrap();
        assert!(sqlx::query("DELETE FROM auth_users").execute(&mut *reader).await.is_err());
    }

    /// faults K32: dropped at any point, the writer's turn passes on and nothing stays open.
    #[tokio::test]
    async fn a_dropped_transaction_is_rolled_back_before_the_next_turn() {
        let database =
            SqliteDatabase::open(scratch("dropped").to_str().unwrap(), &SystemClock).await.unwrap();
        for polls in 0..40 {
            let mut work = Box::pin(async {
                let mut write = database.write().await.unwrap();
                sqlx::query(
                    "INSERT INTO aurora_keys (id, purpose, wrapped, created_at) VALUES (7, 'x', x'00', 0)",
                )
                .execute(write.connection())
                .await
                .unwrap();
                std::future::pending::<()>().await;
            });
            for _ in 0..polls {
                let _ = tokio::time::timeout(Duration::from_micros(200), &mut work).await;
            }
            drop(work);
            let mut write =
                tokio::time::timeout(Duration::from_secs(3), database.write()).await.unwrap().unwrap();
            let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM aurora_keys")
                .fetch_one(write.connection())
                .await
                .unwrap();
            assert_eq!(rows, 0);
        }
    }
}

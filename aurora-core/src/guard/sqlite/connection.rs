//! One connection under the guard.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteQueryResult, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Either, Executor as _};

use crate::policy::functions::FUNCTIONS;
use crate::types::{Error, Result, Role, Timestamp, quote};

use super::super::names::Names;
use super::super::rewrite::Need;
use super::context::{Caller, Context, Facts, Ticket};
use super::ffi;

/// Longest time for a statement of ours.
const OWN_BUDGET: Duration = Duration::from_secs(30);

/// A connection whose `main` is empty and whose host database is attached under a secret name.
pub(crate) struct Connection {
    inner: SqliteConnection,
    context: Arc<Context>,
    made: HashSet<(Role, Need)>,
    /// Rewritten statements, by their number, for which everything was found made.
    ready: HashSet<u64>,
    /// Objects made inside the open transaction: a rollback takes them away again.
    fresh: Vec<(Role, Need)>,
    in_transaction: bool,
    /// The open transaction only reads the host's tables.
    reads: bool,
    /// A statement was sent and its end not seen: its future was dropped.
    in_flight: bool,
    /// Statements of the store's run on it.
    lent: bool,
}

/// How a statement runs.
pub(crate) struct Run<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) ticket: &'a Ticket,
    pub(crate) now: Timestamp,
    pub(crate) budget: Duration,
}

impl Connection {
    pub(super) async fn open(
        path: &Path,
        names: &Names,
        facts: &Arc<Facts>,
        read_only: bool,
    ) -> Result<Self> {
        // `filename(":memory:")`, not `in_memory(true)`: the latter's flags would make the attached file one too.
        let options = SqliteConnectOptions::new()
            .filename(":memory:")
            .statement_cache_capacity(256)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        let inner = SqliteConnection::connect_with(&options).await.map_err(Error::internal)?;
        let context = Arc::new(Context::new(names.clone(), Arc::clone(facts)));
        let mut connection = Self {
            inner,
            context,
            made: HashSet::new(),
            ready: HashSet::new(),
            fresh: Vec::new(),
            in_transaction: false,
            reads: false,
            in_flight: false,
            lent: false,
        };
        let schema = quote(&names.schema());
        let uri = uri(path, read_only)?;
        sqlx::query(AssertSqlSafe(format!("ATTACH DATABASE ?1 AS {schema}")))
            .bind(uri)
            .execute(&mut connection.inner)
            .await
            .map_err(|error| Error::internal(names.scrub(&error.to_string())))?;
        let set_up = format!(
            "PRAGMA {schema}.synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON"
        );
        connection.own(set_up).await?;
        connection.own(facts.shadows.clone()).await?;
        {
            let mut handle = connection.inner.lock_handle().await.map_err(Error::internal)?;
            ffi::install(handle.as_raw_handle(), &connection.context, FUNCTIONS)?;
        }
        connection.context.disarm();
        Ok(connection)
    }

    /// Runs SQL of ours.
    pub(crate) async fn own(&mut self, sql: String) -> Result<()> {
        self.context.arm_own(OWN_BUDGET);
        self.in_flight = true;
        let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.inner).await;
        self.in_flight = false;
        self.context.disarm();
        outcome.map(|_| ()).map_err(|error| super::error::engine(&self.context.names, error))
    }

    /// Whether everything the rewritten statement with this number names exists on this connection.
    pub(crate) fn is_ready(&self, statement: u64) -> bool {
        self.ready.contains(&statement)
    }

    /// Notes that it does. What a rollback may take away again is not noted.
    pub(crate) fn ready(&mut self, statement: u64) {
        if self.fresh.is_empty() {
            if self.ready.len() >= 4_096 {
                self.ready.clear();
            }
            self.ready.insert(statement);
        }
    }

    /// Whether the guard's object exists on this connection.
    pub(in crate::guard) fn has(&self, role: Role, need: Need) -> bool {
        self.made.contains(&(role, need))
    }

    /// Makes an object of the guard's. Its text says IF NOT EXISTS: a future dropped here leaves it made and unmarked.
    pub(in crate::guard) async fn make(
        &mut self,
        role: Role,
        need: Need,
        statements: &[String],
    ) -> Result<()> {
        if !statements.is_empty() {
            self.own(statements.join(";\n")).await?;
        }
        self.made.insert((role, need));
        if self.in_transaction {
            self.fresh.push((role, need));
        }
        Ok(())
    }

    /// Runs a transaction word of ours, kept prepared.
    async fn word(&mut self, sql: &'static str) -> Result<()> {
        self.context.arm_own(OWN_BUDGET);
        self.in_flight = true;
        let outcome = sqlx::query(sql).execute(&mut self.inner).await;
        self.in_flight = false;
        self.context.disarm();
        outcome.map(|_| ()).map_err(|error| super::error::engine(&self.context.names, error))
    }

    pub(crate) async fn begin(&mut self, immediate: bool) -> Result<()> {
        (self.in_transaction, self.reads) = (true, !immediate);
        self.word(if immediate { "BEGIN IMMEDIATE" } else { "BEGIN DEFERRED" }).await
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        self.word("COMMIT").await?;
        self.in_transaction = false;
        self.fresh.clear();
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<()> {
        let ended = {
            let mut handle = self.inner.lock_handle().await.map_err(Error::internal)?;
            ffi::autocommit(handle.as_raw_handle())
        };
        if !ended {
            self.word("ROLLBACK").await?;
        }
        self.in_transaction = false;
        for object in self.fresh.drain(..) {
            self.made.remove(&object);
        }
        Ok(())
    }

    /// Runs one rewritten statement to its end and collects its rows; `one` reads only the first.
    pub(crate) async fn run(
        &mut self,
        run: Run<'_>,
        sql: &Arc<str>,
        arguments: SqliteArguments,
        one: bool,
        rows: &mut Vec<SqliteRow>,
    ) -> Result<SqliteQueryResult, sqlx::Error> {
        self.arm(&run);
        let query = sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments);
        let mut done = SqliteQueryResult::default();
        let outcome = async {
            if one {
                rows.extend(self.inner.fetch_optional(query).await?);
                return Ok(());
            }
            let mut stream = self.inner.fetch_many(query);
            while let Some(step) = stream.try_next().await? {
                match step {
                    Either::Left(result) => done.extend([result]),
                    Either::Right(row) => rows.push(row),
                }
            }
            Ok(())
        }
        .await;
        self.settle();
        outcome.map(|()| done)
    }

    /// Arms the connection and marks it busy; the caller settles it, or its drop does.
    pub(crate) fn arm(&mut self, run: &Run<'_>) {
        self.context.arm(run.caller, run.ticket, run.now, run.budget);
        self.in_flight = true;
    }

    /// The statement's stream, for who takes rows one by one.
    pub(crate) fn inner(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }

    /// Lets statements of ours run on it, until it is taken back: in its open transaction Aurora's own tables are found
    /// by their names.
    pub(super) fn lend(&mut self) {
        self.context.arm_own(OWN_BUDGET);
        (self.in_flight, self.lent) = (true, true);
    }

    /// No statement of ours stays prepared, where one of the host's could come to run it unasked.
    pub(super) async fn take_back(&mut self) -> Result<()> {
        self.forget().await?;
        self.lent = false;
        self.settle();
        Ok(())
    }

    /// The end of a statement was seen.
    pub(crate) fn settle(&mut self) {
        self.in_flight = false;
        self.context.disarm();
    }

    pub(super) fn is_clean(&self) -> bool {
        !self.in_flight && !self.in_transaction
    }

    /// After a dropped future: ends what still runs, waits for the worker, rolls back. An error means the
    /// connection must be thrown away.
    ///
    /// A read transaction that was dropped with no statement in it is committed: what it made of ours stays, and
    /// the next one need not make it again.
    pub(super) async fn recover(&mut self) -> Result<()> {
        if self.in_transaction && self.reads && !self.in_flight && self.commit().await.is_ok() {
            return Ok(());
        }
        self.context.cancel();
        drop(self.inner.lock_handle().await.map_err(Error::internal)?);
        self.context.revive();
        self.in_flight = false;
        self.rollback().await?;
        if std::mem::take(&mut self.lent) {
            self.forget().await?;
        }
        self.context.disarm();
        Ok(())
    }

    /// Lets go of every prepared statement.
    pub(crate) async fn forget(&mut self) -> Result<()> {
        self.inner.clear_cached_statements().await.map_err(Error::internal)
    }

    /// Starts or ends the record of base tables that the authorizer was asked about.
    #[doc(hidden)]
    pub(crate) fn record(&self, on: bool) -> Vec<String> {
        let mut recorder = self.context.recorder.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *recorder, on.then(Vec::new)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

/// The path as a URI (<https://www.sqlite.org/uri.html>): every byte that could mean something is escaped.
fn uri(path: &Path, read_only: bool) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::internal("the database path is not UTF-8"))?;
    let mut uri = String::from("file:");
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                uri.push(char::from(byte))
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str(if read_only { "?mode=ro" } else { "?mode=rw" });
    Ok(uri)
}

//! Connections that are lent for one transaction and come back clean or not at all.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Either, Row as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::failure;
use crate::types::{Error, Result};

/// After so long a connection is replaced: its server process grows with what it has seen.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How long a connection may take to be rolled back and cleaned. Then it is closed.
const CLEANING: Duration = Duration::from_secs(5);

/// How long a transaction that is left open may wait for its next statement, in milliseconds.
const IDLE: &str = "60000";

/// A bounded set of connections to one database as one role.
///
/// Not sqlx's pool: that one spends a round trip on every return, and hands a connection on whose transaction was
/// cancelled while it began (sqlx #4385).
#[derive(Clone)]
pub(super) struct Connections(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    idle: Mutex<Vec<Open>>,
    permits: Arc<Semaphore>,
    most: u32,
    deadline: Duration,
    pooled: bool,
}

struct Open {
    connection: PgConnection,
    since: Instant,
}

/// A connection lent out, inside of a transaction. Dropped, it is rolled back before anybody else gets it.
pub(super) struct Lease {
    open: Option<Open>,
    connections: Connections,
    permit: Option<OwnedSemaphorePermit>,
    /// What cleans it when it comes back.
    cleaning: &'static str,
    /// Whether it came from the idle ones: the server may have closed it meanwhile.
    reused: bool,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, most: u32, deadline: Duration, pooled: bool) -> Self {
        let most = most.max(1);
        // A pooler knows no settings of a connection's start; there each transaction brings them.
        // Policies make a plan look costly, and compiling it takes longer than any statement that a request waits for.
        let settings = [("idle_in_transaction_session_timeout", IDLE), ("jit", "off")];
        let options = if pooled { options } else { options.options(settings) };
        let permits = usize::try_from(most).unwrap_or(1);
        Self(Arc::new(Inner {
            options,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(permits)),
            most,
            deadline,
            pooled,
        }))
    }

    /// A pooler in transaction mode stands before the server.
    pub(super) fn are_pooled(&self) -> bool {
        self.0.pooled
    }

    /// The next free connection. [`Code::OverCapacity`](crate::types::Code::OverCapacity) after the deadline.
    pub(super) async fn lease(&self, cleaning: &'static str) -> Result<Lease> {
        let turn = Arc::clone(&self.0.permits).acquire_owned();
        let permit = match tokio::time::timeout(self.0.deadline, turn).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(closed)) => return Err(Error::overloaded(1).with_source(closed)),
            Err(_elapsed) => return Err(Error::overloaded(1)),
        };
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (open, reused) = match idle {
            Some(open) => (open, true),
            None => (self.open().await?, false),
        };
        Ok(Lease { open: Some(open), connections: self.clone(), permit: Some(permit), cleaning, reused })
    }

    async fn open(&self) -> Result<Open> {
        let opening = async {
            let mut connection = self.0.options.connect().await?;
            // sqlx counts one transaction as open from here on, and is never asked to end it: a `begin` on this
            // connection is a savepoint then, and its `commit` cannot end the transaction that it lies in.
            std::mem::forget(connection.begin().await?);
            sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
            Ok(Open { connection, since: Instant::now() })
        };
        match tokio::time::timeout(self.0.deadline, opening).await {
            Ok(opened) => opened.map_err(failure),
            Err(_elapsed) => Err(Error::overloaded(1)),
        }
    }

    /// Waits for what is lent out, and closes everything.
    pub(super) async fn close(&self) {
        let _all = tokio::time::timeout(self.0.deadline, self.0.permits.acquire_many(self.0.most)).await;
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for open in idle {
            let _ = open.connection.close().await;
        }
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.0.options
    }

    fn put(&self, open: Open) {
        if open.since.elapsed() < LIFETIME && !self.0.permits.is_closed() {
            self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(open);
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection> {
        match &mut self.open {
            Some(open) => Ok(&mut open.connection),
            None => Err(Error::internal("the connection is gone")),
        }
    }

    /// Replaces a connection that turned out to be dead by a new one. `false` if it was new already.
    pub(super) async fn renew(&mut self) -> Result<bool> {
        if !std::mem::take(&mut self.reused) {
            return Ok(false);
        }
        // What else is idle is probably as old.
        self.open = None;
        self.connections.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.open = Some(self.connections.open().await?);
        Ok(true)
    }

    /// Replaces a connection that nobody should have again by a new one.
    pub(super) async fn replace(&mut self) -> Result<()> {
        self.open = None;
        self.reused = false;
        self.open = Some(self.connections.open().await?);
        Ok(())
    }

    /// Runs the `steps` statements of `sql`, which end the transaction, and cleans the connection with the same
    /// message. Whether it is clean; an error if the transaction did not end as asked.
    pub(super) async fn end(&mut self, sql: &str, steps: usize) -> sqlx::Result<bool> {
        let text = self.cleaned_after(sql);
        let Some(open) = &mut self.open else { return Err(sqlx::Error::WorkerCrashed) };
        end(&mut open.connection, text, steps).await
    }

    fn cleaned_after(&self, sql: &str) -> String {
        // Behind a pooler the next one's first message cleans.
        if self.connections.are_pooled() { sql.to_owned() } else { format!("{sql}; {}", self.cleaning) }
    }

    /// Gives a clean connection back.
    pub(super) fn give_back(mut self) {
        if let Some(open) = self.open.take() {
            self.connections.put(open);
        }
    }

    /// Closes the connection: nobody knows what state it is in.
    pub(super) fn discard(mut self) {
        self.open = None;
    }
}

impl Drop for Lease {
    /// Rolls back, cleans the connection and puts it back. The permit is held meanwhile.
    fn drop(&mut self) {
        let (Some(mut open), permit) = (self.open.take(), self.permit.take()) else { return };
        // Without a runtime the connection is closed here, and the server rolls back by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (connections, text) = (self.connections.clone(), self.cleaned_after("ROLLBACK"));
        runtime.spawn(async move {
            // A cancelled statement still runs; its answer is read first.
            let cleaning = end(&mut open.connection, text, 1);
            if let Ok(Ok(true)) = tokio::time::timeout(CLEANING, cleaning).await {
                connections.put(open);
            }
            drop(permit);
        });
    }
}

/// Runs statements of which the first `steps` end a transaction. Whether those after them say that the session is
/// clean.
async fn end(connection: &mut PgConnection, text: String, steps: usize) -> sqlx::Result<bool> {
    let mut answers = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(connection);
    let (mut done, mut clean) = (0, true);
    loop {
        match answers.try_next().await {
            Ok(Some(Either::Left(_))) => done += 1,
            Ok(Some(Either::Right(row))) => clean &= row.is_empty() || row.try_get(0).unwrap_or(false),
            Ok(None) => return Ok(clean),
            // Only the cleaning failed.
            Err(error) if done >= steps => {
                tracing::warn!(%error, "a connection could not be cleaned, and is closed");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

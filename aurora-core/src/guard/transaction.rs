use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::types::{Code, Error, Result};

use super::executor::TransactionExecutor;
use super::guarded::Guarded;
use super::query::{FromRecord, Query, QueryAs, Runner};
use super::rewrite::Rewritten;
use super::sqlite::Lease;

/// A write transaction of one principal.
///
/// Any error poisons it: further statements fail with `25P02` and [`Transaction::commit`] rolls back, as in
/// PostgreSQL. Dropped without a commit (an early return, a panic, a cancelled request) it is rolled back.
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Transaction {
    guarded: Guarded,
    slot: Slot,
    timer: AbortHandle,
}

/// A read transaction of one principal: every statement sees the same state of the database.
#[derive(Debug)]
pub struct Snapshot {
    guarded: Guarded,
    slot: Slot,
}

/// The connection of a transaction, shared with the timer that ends it.
#[derive(Clone, Debug)]
pub(super) struct Slot(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    lease: Option<Lease>,
    poisoned: bool,
    writes: bool,
    /// When the writer is taken back.
    ends: Option<Instant>,
}

/// A connection in use by one statement.
pub(super) enum Held {
    Slot(OwnedMutexGuard<State>),
    Own(Box<Lease>),
}

impl Transaction {
    pub(super) async fn begin(guarded: &Guarded) -> Result<Self> {
        let guard = guarded.guard();
        let mut lease = guard.pool.writer().await?;
        lease.connection()?.begin(true).await?;
        let ends = Instant::now() + guard.options.longest_transaction;
        let slot = Slot::new(lease, Some(ends));
        let timer = slot.end_at(ends);
        Ok(Self { guarded: guarded.clone(), slot, timer })
    }

    /// A statement whose rows are not read.
    pub fn query<'a>(&'a mut self, sql: &'a str) -> Query<'a> {
        Query::new(Runner::Slot(&self.guarded, &self.slot), sql)
    }

    /// A statement whose rows become `T`.
    pub fn query_as<'a, T: FromRecord>(&'a mut self, sql: &'a str) -> QueryAs<'a, T> {
        QueryAs::new(Runner::Slot(&self.guarded, &self.slot), sql)
    }

    /// As an executor for the host's own sqlx queries.
    pub fn sqlite(&mut self) -> Result<TransactionExecutor<'_>> {
        Ok(TransactionExecutor::new(&self.guarded, &self.slot))
    }

    /// Makes the changes last. A poisoned transaction is rolled back, and that is an error.
    pub async fn commit(self) -> Result<()> {
        self.timer.abort();
        let mut state = Arc::clone(&self.slot.0).lock_owned().await;
        let poisoned = state.poisoned;
        let Some(mut lease) = state.lease.take() else { return Err(ended()) };
        let connection = lease.connection()?;
        if poisoned {
            connection.rollback().await?;
            return Err(aborted());
        }
        connection.commit().await
    }

    /// Takes the changes back.
    pub async fn rollback(self) -> Result<()> {
        self.timer.abort();
        let mut state = Arc::clone(&self.slot.0).lock_owned().await;
        let Some(mut lease) = state.lease.take() else { return Ok(()) };
        lease.connection()?.rollback().await
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl Snapshot {
    pub(super) async fn begin(guarded: &Guarded) -> Result<Self> {
        let mut lease = guarded.guard().pool.reader().await?;
        lease.connection()?.begin(false).await?;
        Ok(Self { guarded: guarded.clone(), slot: Slot::new(lease, None) })
    }

    /// A statement whose rows become `T`.
    pub fn query_as<'a, T: FromRecord>(&'a mut self, sql: &'a str) -> QueryAs<'a, T> {
        QueryAs::new(Runner::Slot(&self.guarded, &self.slot), sql)
    }

    /// As an executor for the host's own sqlx queries.
    pub fn sqlite(&mut self) -> Result<TransactionExecutor<'_>> {
        Ok(TransactionExecutor::new(&self.guarded, &self.slot))
    }
}

impl Slot {
    /// A transaction that ends at a time writes.
    fn new(lease: Lease, ends: Option<Instant>) -> Self {
        let writes = ends.is_some();
        Self(Arc::new(Mutex::new(State { lease: Some(lease), poisoned: false, writes, ends })))
    }

    /// Takes the connection for one statement. The transaction counts as failed until the statement is done: a
    /// future that is dropped in the middle leaves it so.
    pub(super) async fn hold(&self) -> Result<Held> {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        if state.lease.is_none() {
            return Err(ended());
        }
        if state.poisoned {
            return Err(aborted());
        }
        state.poisoned = true;
        Ok(Held::Slot(state))
    }

    /// All steps of a statement's stream were taken: the transaction goes on.
    pub(super) async fn read_to_end(&self) {
        self.0.lock().await.poisoned = false;
    }

    /// Gives the writer free when the time is over, whether or not the transaction is ever touched again.
    fn end_at(&self, ends: Instant) -> AbortHandle {
        let slot = Arc::downgrade(&self.0);
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(ends).await;
            if let Some(slot) = slot.upgrade() {
                let mut state = slot.lock().await;
                if let Some(mut lease) = state.lease.take()
                    && let Ok(connection) = lease.connection()
                {
                    // Should this fail, the lease's drop recovers the connection or throws it away.
                    let _ = connection.rollback().await;
                }
            }
        });
        timer.abort_handle()
    }
}

impl Held {
    pub(super) fn own(lease: Lease) -> Self {
        Self::Own(Box::new(lease))
    }

    pub(super) fn lease(&mut self, rewritten: &Rewritten) -> Result<&mut Lease> {
        match self {
            Self::Own(lease) => Ok(lease),
            Self::Slot(state) => {
                if rewritten.writes && !state.writes {
                    return Err(Error::new(
                        Code::StatementNotSupported,
                        "a snapshot only reads; use begin()",
                    ));
                }
                state.lease.as_mut().ok_or_else(ended)
            }
        }
    }

    /// When a stream of `longest` that starts now has to end.
    pub(super) fn ends(&self, longest: Duration) -> Instant {
        let ends = Instant::now() + longest;
        match self {
            Self::Slot(state) => state.ends.map_or(ends, |latest| ends.min(latest)),
            Self::Own(_) => ends,
        }
    }

    /// The connection goes through recovery, and with it a transaction ends.
    pub(super) fn give_up(self) {
        if let Self::Slot(mut state) = self {
            state.lease = None;
        }
    }

    /// The statement ended; an error leaves the transaction poisoned.
    pub(super) fn done(&mut self, well: bool) {
        if let Self::Slot(state) = self {
            state.poisoned = !well;
        }
    }
}

fn ended() -> Error {
    Error::new(Code::StatementTooLong, "the transaction took too long and was rolled back")
        .with_retry_after(1)
}

fn aborted() -> Error {
    Error::new(
        Code::TransactionPoisoned,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

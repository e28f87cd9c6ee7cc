use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::store;
use crate::types::{Code, Error, Result};

use super::super::rewrite::Rewritten;
use super::super::transaction::{aborted, ended};
use super::lent::Lent;
use super::pool::Lease;
use super::run::Actor;

/// A write transaction: it holds the only writer.
#[derive(Debug)]
pub(in crate::guard) struct Transaction {
    pub(in crate::guard) actor: Actor,
    pub(in crate::guard) slot: Slot,
    timer: AbortHandle,
}

/// A read transaction.
#[derive(Debug)]
pub(in crate::guard) struct Snapshot {
    pub(in crate::guard) actor: Actor,
    pub(in crate::guard) slot: Slot,
}

/// The connection of a transaction, shared with the timer that ends it.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Slot(Arc<Mutex<State>>);

#[derive(Debug)]
pub(in crate::guard) struct State {
    lease: Option<Lease>,
    poisoned: bool,
    writes: bool,
    /// When the writer is taken back.
    ends: Option<Instant>,
}

/// A connection in use by one statement.
pub(in crate::guard) enum Held {
    Slot(OwnedMutexGuard<State>),
    Own(Box<Lease>),
}

impl Transaction {
    pub(in crate::guard) async fn begin(actor: &Actor) -> Result<Self> {
        let engine = actor.engine();
        let mut lease = engine.pool.writer().await?;
        lease.connection()?.begin(true).await?;
        let ends = Instant::now() + engine.options.longest_transaction;
        let slot = Slot::new(lease, Some(ends));
        let timer = slot.end_at(ends);
        Ok(Self { actor: actor.clone(), slot, timer })
    }

    /// Makes the changes last. A poisoned transaction is rolled back, and that is an error.
    pub(in crate::guard) async fn commit(self) -> Result<()> {
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

    /// The same transaction as the store's.
    pub(in crate::guard) async fn into_store(self) -> Result<Box<dyn store::Transaction>> {
        self.timer.abort();
        let mut state = Arc::clone(&self.slot.0).lock_owned().await;
        let Some(mut lease) = state.lease.take() else { return Err(ended()) };
        let connection = lease.connection()?;
        if state.poisoned {
            connection.rollback().await?;
            return Err(aborted());
        }
        Ok(store::go_on_sqlite(Box::new(Lent::begin(lease)?)))
    }

    /// Takes the changes back.
    pub(in crate::guard) async fn rollback(self) -> Result<()> {
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
    pub(in crate::guard) async fn begin(actor: &Actor) -> Result<Self> {
        let mut lease = actor.engine().pool.reader().await?;
        lease.connection()?.begin(false).await?;
        Ok(Self { actor: actor.clone(), slot: Slot::new(lease, None) })
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
    pub(in crate::guard) async fn hold(&self) -> Result<Held> {
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
    pub(in crate::guard) async fn read_to_end(&self) {
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
    pub(in crate::guard) fn own(lease: Lease) -> Self {
        Self::Own(Box::new(lease))
    }

    pub(in crate::guard) fn lease(&mut self, rewritten: &Rewritten) -> Result<&mut Lease> {
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
    pub(in crate::guard) fn ends(&self, longest: Duration) -> Instant {
        let ends = Instant::now() + longest;
        match self {
            Self::Slot(state) => state.ends.map_or(ends, |latest| ends.min(latest)),
            Self::Own(_) => ends,
        }
    }

    /// The connection goes through recovery, and with it a transaction ends.
    pub(in crate::guard) fn give_up(self) {
        if let Self::Slot(mut state) = self {
            state.lease = None;
        }
    }

    /// The statement ended; an error leaves the transaction poisoned.
    pub(in crate::guard) fn done(&mut self, well: bool) {
        if let Self::Slot(state) = self {
            state.poisoned = !well;
        }
    }
}

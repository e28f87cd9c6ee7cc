//! Transactions of the host's: one bound transaction, shared with the timer that ends it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::store::{self, BoundTransaction, Mode, within};
use crate::types::Result;

use super::super::transaction::{aborted, ended};
use super::engine::Actor;
use super::error;

/// How long a setting may take.
const SETTING: Duration = Duration::from_secs(5);

/// A write transaction.
#[derive(Debug)]
pub(in crate::guard) struct Transaction {
    pub(in crate::guard) actor: Actor,
    pub(in crate::guard) slot: Slot,
    timer: AbortHandle,
}

/// A read transaction: REPEATABLE READ, READ ONLY.
#[derive(Debug)]
pub(in crate::guard) struct Snapshot {
    pub(in crate::guard) actor: Actor,
    pub(in crate::guard) slot: Slot,
}

/// The bound transaction, shared with the timer that ends it.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Slot(Arc<Mutex<State>>);

#[derive(Debug)]
pub(in crate::guard) struct State {
    bound: Option<BoundTransaction>,
    poisoned: bool,
    /// When the transaction is taken back.
    ends: Option<Instant>,
    /// What one statement may take.
    budget: Duration,
}

/// A transaction in use by one statement.
pub(in crate::guard) enum Held {
    Slot(OwnedMutexGuard<State>),
    Own(Option<Box<BoundTransaction>>),
}

impl Transaction {
    pub(in crate::guard) async fn begin(actor: &Actor) -> Result<Self> {
        let options = &actor.engine().options;
        let bound = actor.begin(Mode::ReadWrite, options.statement_budget).await?;
        let ends = Instant::now() + options.longest_transaction;
        let slot = Slot::new(bound, Some(ends), options.statement_budget);
        let timer = slot.end_at(ends);
        Ok(Self { actor: actor.clone(), slot, timer })
    }

    /// Makes the changes last. A poisoned transaction is rolled back, and that is an error.
    pub(in crate::guard) async fn commit(self) -> Result<()> {
        self.timer.abort();
        let mut state = Arc::clone(&self.slot.0).lock_owned().await;
        let Some(bound) = state.bound.take() else { return Err(ended()) };
        if state.poisoned {
            bound.rollback().await?;
            return Err(aborted());
        }
        bound.commit().await
    }

    /// The same transaction as the store's.
    pub(in crate::guard) async fn into_store(self) -> Result<Box<dyn store::Transaction>> {
        self.timer.abort();
        let mut state = Arc::clone(&self.slot.0).lock_owned().await;
        let Some(bound) = state.bound.take() else { return Err(ended()) };
        if state.poisoned {
            bound.rollback().await?;
            return Err(aborted());
        }
        Ok(self.actor.engine().database().go_on(bound))
    }

    /// Takes the changes back.
    pub(in crate::guard) async fn rollback(self) -> Result<()> {
        self.timer.abort();
        let mut state = Arc::clone(&self.slot.0).lock_owned().await;
        match state.bound.take() {
            Some(bound) => bound.rollback().await,
            None => Ok(()),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl Snapshot {
    pub(in crate::guard) async fn begin(actor: &Actor) -> Result<Self> {
        let budget = actor.engine().options.statement_budget;
        let bound = actor.begin(Mode::Snapshot, budget).await?;
        Ok(Self { actor: actor.clone(), slot: Slot::new(bound, None, budget) })
    }
}

impl Slot {
    fn new(bound: BoundTransaction, ends: Option<Instant>, budget: Duration) -> Self {
        Self(Arc::new(Mutex::new(State { bound: Some(bound), poisoned: false, ends, budget })))
    }

    /// Takes the transaction for one statement. It counts as failed until the statement is done: a future that is
    /// dropped in the middle leaves it so.
    pub(in crate::guard) async fn hold(&self) -> Result<Held> {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        if state.bound.is_none() {
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

    /// Takes the transaction back when the time is over, whether or not it is ever touched again.
    fn end_at(&self, ends: Instant) -> AbortHandle {
        let slot = Arc::downgrade(&self.0);
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(ends).await;
            if let Some(slot) = slot.upgrade() {
                let bound = slot.lock().await.bound.take();
                if let Some(bound) = bound {
                    // Should this fail, its drop rolls back or closes the connection.
                    let _ = bound.rollback().await;
                }
            }
        });
        timer.abort_handle()
    }
}

impl Held {
    pub(in crate::guard) fn own(bound: BoundTransaction) -> Self {
        Self::Own(Some(Box::new(bound)))
    }

    pub(in crate::guard) fn connection(&mut self) -> Result<&mut PgConnection> {
        let bound = match self {
            Self::Own(bound) => bound.as_deref_mut(),
            Self::Slot(state) => state.bound.as_mut(),
        };
        bound.ok_or_else(ended)?.connection()
    }

    /// Lets a stream in a snapshot run longer than one statement may. A write transaction's own time counts.
    pub(in crate::guard) async fn allow(&mut self, longest: Duration) -> Result<()> {
        match self {
            Self::Slot(state) if state.ends.is_none() => {}
            _ => return Ok(()),
        }
        self.limit(longest).await
    }

    async fn limit(&mut self, limit: Duration) -> Result<()> {
        let millis = limit.as_millis().clamp(1, 2_147_483_647);
        let set = sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL statement_timeout = {millis}")));
        within(SETTING, set.execute(self.connection()?)).await.map_err(error::statement_of_ours)?;
        Ok(())
    }

    /// When a stream of `longest` that starts now has to end.
    pub(in crate::guard) fn ends(&self, longest: Duration) -> Instant {
        let ends = Instant::now() + longest;
        match self {
            Self::Slot(state) => state.ends.map_or(ends, |latest| ends.min(latest)),
            Self::Own(_) => ends,
        }
    }

    /// The stream's end: a transaction of its own is committed, a snapshot gets its limit back.
    pub(in crate::guard) async fn finish(mut self) -> Result<()> {
        let budget = match &mut self {
            Self::Own(bound) => {
                return match bound.take() {
                    Some(bound) => bound.commit().await,
                    None => Ok(()),
                };
            }
            Self::Slot(state) if state.ends.is_none() => state.budget,
            Self::Slot(_) => return Ok(()),
        };
        self.limit(budget).await
    }

    /// The transaction is rolled back, and with it the host's ends.
    pub(in crate::guard) fn give_up(self) {
        if let Self::Slot(mut state) = self {
            state.bound = None;
        }
    }

    /// The statement ended; an error leaves the transaction poisoned.
    pub(in crate::guard) fn done(&mut self, well: bool) {
        if let Self::Slot(state) = self {
            state.poisoned = !well;
        }
    }
}

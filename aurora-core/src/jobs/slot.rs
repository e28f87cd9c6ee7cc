use std::sync::Arc;
use std::time::Duration;

use crate::env::{Clock, Entropy, random};
use crate::store::Database;
use crate::types::{RequestId, Result};

/// The right to run a job, leased in the database: one process holds it at a time.
///
/// Whoever holds it keeps it by taking it again before the lease is over; a process that died loses it then.
#[derive(Clone, Debug)]
pub struct Slot {
    database: Arc<dyn Database>,
    clock: Arc<dyn Clock>,
    holder: String,
    lease: Duration,
}

impl Slot {
    /// For a holder of its own: two slots of one process compete as those of two do.
    pub fn new(
        database: Arc<dyn Database>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        lease: Duration,
    ) -> Result<Self> {
        let holder = RequestId::from_random(random(entropy)?).to_string();
        Ok(Self { database, clock, holder, lease })
    }

    /// Takes the slot of that name, or renews its lease. `false` if another holds it.
    pub async fn take(&self, name: &str) -> Result<bool> {
        let now = self.clock.now();
        let mut transaction = self.database.begin().await?;
        let taken = transaction.take_slot(name, &self.holder, now, now.plus(self.lease)).await?;
        if taken {
            transaction.commit().await?;
        }
        Ok(taken)
    }

    /// Gives it back, if it is ours.
    pub async fn free(&self, name: &str) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        transaction.free_slot(name, &self.holder).await?;
        transaction.commit().await
    }

    pub(super) fn lease(&self) -> Duration {
        self.lease
    }
}

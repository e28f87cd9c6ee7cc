//! What is done in the background.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::DataKeys;
use super::service::PUBLISHED;
use crate::crypto::{KeyState, Purpose, Resealed};
use crate::env::Entropy;
use crate::jobs::{Job, Slot, Task};
use crate::store::KeyRow;
use crate::types::{BoxFuture, Result};

/// How often keys that other processes made are read, and values sealed again.
pub const PERIOD: Duration = Duration::from_secs(30);
/// How long a process that died keeps the others from it, and the longest that a run may take.
const LEASE: Duration = Duration::from_secs(600);
/// Values that are sealed again in one transaction: others wait for the writer's turn no longer than that takes.
const BATCH: u32 = 100;
/// Between two batches whoever serves requests goes first.
const PAUSE: Duration = Duration::from_millis(20);
const NAME: &str = "data keys";

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Keys that took over.
    pub activated: u64,
    /// Values that were sealed again.
    pub resealed: u64,
    /// Values that are left under keys that only open.
    pub left: u64,
}

impl DataKeys {
    /// The job that does [`DataKeys::advance`] every half a minute, in one process at a time, and lets each process read
    /// keys that another made.
    pub fn task(&self, entropy: &dyn Entropy) -> Result<Task> {
        let database = Arc::clone(&self.0.database);
        let slot = Slot::new(database, Arc::clone(&self.0.clock), entropy, LEASE)?;
        Ok(Task::new(
            NAME,
            PERIOD,
            Arc::new(DataKeyJob { keys: self.clone(), slot, settled: Mutex::default() }),
        ))
    }

    /// Does what is due: lets keys that waited long enough take over, and seals again what keys that only open have
    /// sealed, until none is left. It may be cut off anywhere, and run in several processes at once.
    pub async fn advance(&self) -> Result<Progress> {
        let mut progress = Progress::default();
        let rows = self.unsettled().await?;
        for row in rows.iter().filter(|row| self.is_due(row)) {
            progress.activated += u64::from(self.take_over(row).await?);
        }
        let rows = self.unsettled().await?;
        for row in rows.iter().filter(|row| row.state == KeyState::DecryptOnly.as_str()) {
            let (resealed, left) = self.reseal(row).await?;
            progress.resealed += resealed;
            progress.left += left;
        }
        Ok(progress)
    }

    /// Every key that is pending or only opens.
    pub(super) async fn unsettled(&self) -> Result<Vec<KeyRow>> {
        let mut found: Vec<KeyRow> = Vec::new();
        loop {
            let after = found.last().map_or(0, |row| row.id);
            let page = self.0.database.read().await?.keys_unsettled(after).await?;
            if page.is_empty() {
                return Ok(found);
            }
            found.extend(page);
        }
    }

    fn is_due(&self, row: &KeyRow) -> bool {
        row.state == KeyState::Pending.as_str() && row.created_at.plus(PUBLISHED) <= self.now()
    }

    /// Seals again what one key has sealed: how much that was, and how much is left.
    async fn reseal(&self, row: &KeyRow) -> Result<(u64, u64)> {
        let purpose: Purpose = row.purpose.parse()?;
        let (mut resealed, mut left) = (0, 0);
        for place in self.0.places.iter().filter(|place| place.purpose() == purpose) {
            if place.count(row.id).await? == 0 {
                continue;
            }
            let from = self.0.keyring.key(row.id).await?;
            let to = self.0.keyring.data_key(from.owner(), purpose).await?;
            if to.id() == from.id() {
                // Not heard yet of who took over.
                left += place.count(row.id).await?;
                continue;
            }
            let mut passed = 0;
            loop {
                let turn = place.reseal(&from, &to, passed, BATCH).await?;
                resealed += turn.done;
                passed += turn.passed;
                // What others changed meanwhile is found by the next run.
                if turn == Resealed::default() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            left += place.count(row.id).await?;
        }
        if resealed > 0 {
            tracing::info!(key = row.id, resealed, left, "values of a former data key were sealed again");
        }
        Ok((resealed, left))
    }
}

/// Reads what others changed, and does what is due.
#[derive(Debug)]
struct DataKeyJob {
    keys: DataKeys,
    slot: Slot,
    /// Former keys that have nothing left, and that nobody can hold any more: their tables are not looked through again.
    settled: Mutex<HashSet<u32>>,
}

impl Job for DataKeyJob {
    fn run(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let inner = &self.keys.0;
            // A file that cannot be read, or a provider that does not answer, leaves what is held and is told; everything
            // else goes on.
            if let Err(error) = inner.keyring.provider().reload().await {
                tracing::error!(?error, "the root keys cannot be read again; those that are held go on");
            }
            inner.keyring.reload().await?;
            if !self.has_work().await? || !self.slot.take(NAME).await? {
                return Ok(());
            }
            let done = self.keys.advance().await;
            self.slot.free(NAME).await?;
            done.map(drop)
        })
    }
}

impl DataKeyJob {
    /// Whether a turn has something to do: asked with a reader, so that an idle service writes nothing.
    async fn has_work(&self) -> Result<bool> {
        let keys = &self.keys;
        let rows = keys.unsettled().await?;
        if rows.iter().any(|row| keys.is_due(row)) {
            return Ok(true);
        }
        for row in rows.iter().filter(|row| row.state == KeyState::DecryptOnly.as_str()) {
            if self.settled().contains(&row.id) {
                continue;
            }
            if !keys.counts(row).await?.is_empty() {
                return Ok(true);
            }
            let since = row.changed_at.unwrap_or(row.created_at);
            if since.plus(PUBLISHED * 10) <= keys.now() {
                self.settled().insert(row.id);
            }
        }
        Ok(false)
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, HashSet<u32>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

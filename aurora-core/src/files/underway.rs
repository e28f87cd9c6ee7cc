//! What is on its way in this process: it counts before a row does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blob::BlobId;
use super::{Asker, Files};
use crate::types::{Code, Error, Result};

/// Uploads at once, by their owners.
#[derive(Debug, Default)]
pub(super) struct Underway(Mutex<HashMap<String, Taken>>);

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    uploads: usize,
    bytes: i64,
}

impl Underway {
    /// What an owner's uploads have brought so far, and how many there are.
    pub(super) fn of(&self, owner: &str) -> (i64, i64) {
        let taken = self.taken().get(owner).copied().unwrap_or_default();
        (taken.bytes, i64::try_from(taken.uploads).unwrap_or(i64::MAX))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, Taken>> {
        // Numbers alone, which no panic leaves half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One upload, from its first question to its end. What it brought counts until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    underway: Arc<Underway>,
    /// `None` for the service, which is not counted.
    owner: Option<String>,
    bytes: i64,
}

impl Turn {
    /// Counts bytes that came. Answers what all of the owner's uploads have brought.
    pub(super) fn count(&mut self, bytes: usize) -> i64 {
        let Some(owner) = &self.owner else { return 0 };
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        let mut all = self.underway.taken();
        let taken = all.entry(owner.clone()).or_default();
        taken.bytes = taken.bytes.saturating_add(bytes);
        taken.bytes
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        if let Entry::Occupied(mut entry) = self.underway.taken().entry(owner) {
            let taken = entry.get_mut();
            taken.uploads = taken.uploads.saturating_sub(1);
            taken.bytes = taken.bytes.saturating_sub(self.bytes);
            if taken.uploads == 0 {
                entry.remove();
            }
        }
    }
}

/// A blob that no row names yet: it goes when this is dropped, whoever stopped waiting.
pub(super) struct Unnamed {
    files: Files,
    id: Option<BlobId>,
}

impl Unnamed {
    /// Removes it now.
    pub(super) async fn remove(mut self) {
        if let Some(id) = self.id.clone() {
            self.files.drop_blob(&id).await;
        }
        self.id = None;
    }

    /// A row names it, or may: what nothing names is swept.
    pub(super) fn keep(&mut self) {
        self.id = None;
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // Outside of a runtime the sweep removes it.
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let files = self.files.clone();
            runtime.spawn(async move { files.drop_blob(&id).await });
        }
    }
}

impl fmt::Debug for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unnamed").field(&self.id).finish()
    }
}

impl Files {
    /// One more upload of `asker`'s at the same time, if there are not too many.
    pub(super) fn turn(&self, asker: &Asker) -> Result<Turn> {
        let mut turn = Turn { underway: Arc::clone(&self.1), owner: None, bytes: 0 };
        if asker.is_service() {
            return Ok(turn);
        }
        let owner = asker.owner().key();
        let mut all = self.1.taken();
        let taken = all.entry(owner.clone()).or_default();
        if taken.uploads >= self.0.options.uploads_at_once {
            let sentence = "Too many uploads at once, please wait for one to end";
            return Err(Error::new(Code::OverRequestRateLimit, sentence).with_retry_after(1));
        }
        taken.uploads += 1;
        drop(all);
        turn.owner = Some(owner);
        Ok(turn)
    }

    pub(super) fn unnamed(&self, id: &BlobId) -> Unnamed {
        Unnamed { files: self.clone(), id: Some(id.clone()) }
    }

    pub(super) async fn drop_blob(&self, id: &BlobId) {
        if let Err(error) = self.0.blobs.remove(id).await {
            tracing::warn!(%error, "a refused file's bytes stay until the next sweep");
        }
    }
}

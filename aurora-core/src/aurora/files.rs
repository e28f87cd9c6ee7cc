//! Files: where their bytes lie, and the lines that every policy file has where they are switched on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Builder;
use crate::audit::{Action, AuditSink, Kind};
use crate::auth::Auth;
use crate::files::{Asker, BlobStore, FileOptions, Files, FilesParts, LocalBlobs};
use crate::guard::Guard;
use crate::types::{Principal, Result};

/// What Supabase's own schema says, so that a policy file need not: the tables are there for whoever has a policy.
const LINES: &str = "
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON storage.buckets TO anon, authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON storage.objects TO anon, authenticated;
";

/// What the host chose.
#[derive(Default)]
pub(super) struct Choice {
    place: Option<Place>,
    pub(super) options: FileOptions,
}

enum Place {
    Folder(PathBuf),
    Store(Arc<dyn BlobStore>),
}

impl Choice {
    /// The policy file with the lines that files want.
    pub(super) fn with_lines(&self, policies: Option<(String, String)>) -> Option<(String, String)> {
        if self.place.is_none() {
            return policies;
        }
        let (file, text) = policies.unwrap_or_default();
        Some((file, text + LINES))
    }

    pub(super) fn is_on(&self) -> bool {
        self.place.is_some()
    }

    /// The room, if files are switched on.
    pub(super) async fn make(
        &self,
        auth: &Auth,
        guard: &Guard,
        audit: &Arc<dyn AuditSink>,
    ) -> Result<Option<Files>> {
        let blobs: Arc<dyn BlobStore> = match &self.place {
            None => return Ok(None),
            Some(Place::Folder(folder)) => Arc::new(LocalBlobs::open(folder).await?),
            Some(Place::Store(store)) => Arc::clone(store),
        };
        let parts = auth.sessions().parts();
        Ok(Some(Files::new(FilesParts {
            options: self.options.clone(),
            blobs,
            guard: guard.clone(),
            database: Arc::clone(&parts.database),
            keyring: parts.keyring.clone(),
            audit: Arc::clone(audit),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
        })))
    }
}

impl Builder {
    /// Switches files on, at `/storage/v1`: their sealed bytes lie in this folder, which is made if its parent is
    /// there. Nobody but this service writes to it; processes that share a database share the folder. Who may do what,
    /// policies on `storage.buckets` and `storage.objects` say.
    pub fn files(mut self, folder: impl AsRef<Path>) -> Self {
        self.files.place = Some(Place::Folder(folder.as_ref().to_owned()));
        self
    }

    /// Switches files on, with their sealed bytes in another store.
    pub fn blobs(mut self, store: Arc<dyn BlobStore>) -> Self {
        self.files.place = Some(Place::Store(store));
        self
    }

    /// What files may be and take, other than the defaults.
    pub fn file_options(mut self, change: impl FnOnce(&mut FileOptions)) -> Self {
        change(&mut self.files.options);
        self
    }
}

impl super::Aurora {
    /// Asks for files as the service, past every policy and quota. The reason stands in the audit log before it exists.
    pub async fn files_of_all(&self, reason: &str) -> Result<Asker> {
        self.write(self.record(Kind::Access, Action::UNGUARDED, reason)?).await?;
        Ok(Asker::new(Principal::service()))
    }

    /// Buckets and objects as plain functions; `None` where files are not switched on.
    pub fn files(&self) -> Option<&Files> {
        self.0.files.as_ref()
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{BlobId, Files, sql};
use crate::jobs::{Job, Slot, Task};
use crate::store::BlobRow;
use crate::types::{BoxFuture, Code, Result, Timestamp};

/// How often files are swept.
const PERIOD: Duration = Duration::from_secs(3600);
/// How long a process that died keeps the others from it.
const LEASE: Duration = Duration::from_secs(2 * 3600);
const PAGE: i64 = 200;

/// What a sweep found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// Uploads that nobody finished, with their parts.
    pub uploads: u64,
    /// Blobs whose rows were gone and whose bytes were not: removed.
    pub doomed: u64,
    /// Blobs that no object names any more: doomed, and removed with the next sweep.
    pub unnamed: u64,
    /// Bytes that no row ever named: removed.
    pub orphans: u64,
    /// What unfinished writing left: removed.
    pub drafts: u64,
    /// Objects whose bytes are not there. Nothing is changed about them: they are what to look for in a backup.
    pub missing: u64,
}

#[derive(Debug)]
struct Sweeping(Files);

impl Job for Sweeping {
    fn run(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let report = self.0.sweep().await?;
            if report != SweepReport::default() {
                tracing::info!(?report, "files were swept");
            }
            Ok(())
        })
    }
}

impl Files {
    /// The job that sweeps once an hour, in one process at a time.
    pub fn sweeping(&self) -> Result<Task> {
        let slot =
            Slot::new(Arc::clone(&self.0.database), Arc::clone(&self.0.clock), &*self.0.entropy, LEASE)?;
        Ok(Task::new("files", PERIOD, Arc::new(Sweeping(self.clone()))).in_one_process(slot))
    }

    /// Makes bytes and rows agree again after whatever happened: removes what nothing names and is older than
    /// [`FileOptions::grace`](super::FileOptions), and tells what is missing.
    pub async fn sweep(&self) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        let horizon = self.now().minus(self.0.options.grace);
        self.end_uploads(&mut report).await?;
        self.doom_unnamed(&mut report, horizon).await?;
        self.remove_doomed_blobs(&mut report).await?;
        self.remove_orphans(&mut report, horizon).await?;
        report.drafts = self.0.blobs.remove_drafts(horizon).await?;
        Ok(report)
    }

    async fn end_uploads(&self, report: &mut SweepReport) -> Result<()> {
        loop {
            let expired = self.0.database.read().await?.expired_uploads(self.now(), PAGE).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for upload in expired {
                let mut writing = self.0.database.begin().await?;
                // Another part may have come since it was read: then it goes on.
                if !writing.expire_upload(&upload.id, self.now()).await? {
                    continue;
                }
                let doomed = writing.doom_blobs_of(&upload.id, "", self.now()).await?;
                writing.commit().await?;
                self.remove_bytes(&doomed).await;
                report.uploads += 1;
            }
        }
    }

    async fn doom_unnamed(&self, report: &mut SweepReport, horizon: Timestamp) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = self.0.database.read().await?.live_blobs(&after, horizon, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let stored = self.stored(&after, &last.id).await?;
            after.clone_from(&last.id);
            for blob in &page {
                if !self.is_named(blob).await? {
                    let mut writing = self.0.database.begin().await?;
                    let doomed = writing.doom_blob(&blob.id, self.now()).await?;
                    writing.commit().await?;
                    report.unnamed += u64::from(doomed);
                } else if !stored.contains(&blob.id) && self.is_missing(blob).await? {
                    tracing::error!(blob = blob.id, object = blob.object, "a file's bytes are missing");
                    report.missing += 1;
                }
            }
        }
    }

    /// The names of stored blobs behind `after`, as far as `last`. A store is listed, not asked for each.
    async fn stored(&self, after: &str, last: &str) -> Result<BTreeSet<String>> {
        let (mut found, mut from) = (BTreeSet::new(), after.parse::<BlobId>().ok());
        loop {
            let page = self.0.blobs.list(from.as_ref(), 1000).await?;
            let Some(end) = page.last() else { return Ok(found) };
            from = Some(end.id.clone());
            let is_all = end.id.as_str() >= last;
            found.extend(page.into_iter().map(|stored| stored.id.as_str().to_owned()));
            if is_all {
                return Ok(found);
            }
        }
    }

    async fn is_named(&self, blob: &BlobRow) -> Result<bool> {
        if self.0.database.read().await?.upload(&blob.object).await?.is_some() {
            return Ok(true);
        }
        let guarded = self.unasked();
        let found = guarded
            .query_as::<(i64,)>(sql::NAMES_VERSION.on(&guarded))
            .bind(blob.object.clone())
            .bind(blob.id.clone());
        Ok(found.fetch_optional().await?.is_some())
    }

    /// Whether the bytes of a blob are gone that is named even now.
    async fn is_missing(&self, blob: &BlobRow) -> Result<bool> {
        match self.0.blobs.read(&blob.id.parse()?, 0..1).await {
            Ok(_) => Ok(false),
            Err(error) if error.code() == Code::NotFound => {
                let now = self.0.database.read().await?.blob(&blob.id).await?;
                Ok(now.is_some_and(|now| now.doomed_at.is_none()))
            }
            Err(error) => Err(error),
        }
    }

    async fn remove_doomed_blobs(&self, report: &mut SweepReport) -> Result<()> {
        loop {
            let doomed = self.0.database.read().await?.doomed_blobs(self.now(), PAGE).await?;
            if doomed.is_empty() {
                return Ok(());
            }
            let before = report.doomed;
            for blob in doomed {
                match self.remove_doomed(&blob.id).await {
                    Ok(()) => report.doomed += 1,
                    Err(error) => tracing::warn!(blob = blob.id, %error, "a removed file's bytes stay"),
                }
            }
            if report.doomed == before {
                // What stays is tried again with the next sweep.
                return Ok(());
            }
        }
    }

    async fn remove_orphans(&self, report: &mut SweepReport, horizon: Timestamp) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.0.blobs.list(after.as_ref(), 200).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            for stored in page {
                if stored.modified < horizon
                    && self.0.database.read().await?.blob(stored.id.as_str()).await?.is_none()
                {
                    match self.0.blobs.remove(&stored.id).await {
                        Ok(()) => report.orphans += 1,
                        Err(error) => tracing::warn!(blob = %stored.id, %error, "an orphan's bytes stay"),
                    }
                }
            }
        }
    }
}

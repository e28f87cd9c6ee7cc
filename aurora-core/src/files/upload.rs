use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};

use super::blob::{BlobId, Draft};
use super::record::Bucket;
use super::seal::SealedFor;
use super::service::{exists, refused};
use super::{Asker, BucketName, Files, ObjectName, content, sql};
use crate::audit::Action;
use crate::crypto::Sealer;
use crate::store::BlobRow;
use crate::types::{Code, Error, Result};

/// Sealed bytes that are handed to a store at once.
const PIECE: usize = 256 * 1024;
/// How often a blob is sealed again for the row that took its place meanwhile.
const TRIES: usize = 3;

/// The content of a file as it arrives.
pub type Content<'a> = BoxStream<'a, Result<Bytes>>;

/// What becomes of an object that has the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// It stays, and the upload is refused.
    Refuse,
    /// Its content becomes the new one.
    Replace,
}

/// What is said of a file that comes.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Where it lies.
    pub bucket: BucketName,
    /// What it is called.
    pub name: ObjectName,
    /// Its type; by its name's ending where nothing is said.
    pub content_type: Option<String>,
    /// What `Cache-Control` a download carries.
    pub cache_control: Option<String>,
    /// What else its maker notes.
    pub user_metadata: Option<Map<String, Value>>,
    /// What becomes of an object that has the name.
    pub existing: Existing,
    /// How long it will be, where that is known.
    pub length: Option<u64>,
    /// The upload whose parts it is made of: they are counted no more when it shows.
    pub(super) parts_of: Option<String>,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The object.
    pub id: String,
    /// Bucket and name.
    pub key: String,
}

/// A blob that is whole, before a row names it.
struct Whole {
    id: BlobId,
    sealed: SealedFor,
    size: u64,
    kind: String,
    key: u32,
}

impl Upload {
    /// A file of that name, typed by its ending, which takes nobody's place.
    pub fn new(bucket: BucketName, name: ObjectName) -> Self {
        Self {
            bucket,
            name,
            content_type: None,
            cache_control: None,
            user_metadata: None,
            existing: Existing::Refuse,
            length: None,
            parts_of: None,
        }
    }

    fn declared(&self) -> Result<String> {
        match &self.content_type {
            Some(said) => content::media_type(said).ok_or_else(|| not_supported(said)),
            None => Ok(content::by_ending(self.name.as_str()).to_owned()),
        }
    }
}

impl Files {
    /// Takes a file in: asks the policies first, then reads `content`, and shows it when all of it is there.
    ///
    /// # Errors
    /// [`Code::InsufficientPrivilege`] where no policy lets `asker`; [`Code::AlreadyExists`];
    /// [`Code::PayloadTooLarge`], [`Code::InvalidMimeType`] and [`Code::QuotaExceeded`] by the limits. Nothing shows
    /// then, and no byte stays.
    pub async fn upload(&self, asker: &Asker, upload: &Upload, mut content: Content<'_>) -> Result<Uploaded> {
        let bucket = self.limits_of(&upload.bucket).await?;
        let object = self.ask_first(asker, upload, &bucket).await?;
        let whole = self.write(asker, upload, &bucket, object, &mut content).await?;
        self.show(asker, upload, whole).await
    }

    /// Refuses before the first byte what would be refused after the last. Answers for which object to seal.
    pub(super) async fn ask_first(&self, asker: &Asker, upload: &Upload, bucket: &Bucket) -> Result<String> {
        if upload.length.is_some_and(|length| length > self.largest(bucket)) {
            return Err(too_large());
        }
        let kind = upload.declared()?;
        if let Some(allowed) = &bucket.allowed_mime_types
            && !content::is_allowed(allowed, &kind, Some(&kind))
        {
            return Err(not_supported(&kind));
        }
        let there = self.look(&self.unasked(), &upload.bucket, &upload.name).await?;
        let (object, is_there) = match there {
            Some(object) => (object.id, true),
            None => (self.fresh_id()?, false),
        };
        if asker.is_service() {
            if is_there && upload.existing == Existing::Refuse {
                return Err(exists());
            }
            return Ok(object);
        }
        if upload.parts_of.is_none() {
            let mut reader = self.0.database.read().await?;
            let usage = reader.file_usage(&asker.owner().key()).await?;
            let length = upload.length.and_then(|length| i64::try_from(length).ok()).unwrap_or(0);
            self.within_quota(usage.bytes.saturating_add(length), usage.files.saturating_add(1))?;
        }
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await?;
        self.put_row(&mut writing, &guarded, asker, upload, &object, "", &json!({})).await?;
        writing.rollback().await?;
        Ok(object)
    }

    /// The row, as `asker`: inserted, or in the place of the one of its name. Answers its id.
    #[expect(clippy::too_many_arguments, reason = "a row has these columns")]
    pub(super) async fn put_row(
        &self,
        writing: &mut crate::guard::Transaction,
        guarded: &crate::guard::Guarded,
        asker: &Asker,
        upload: &Upload,
        object: &str,
        version: &str,
        metadata: &Value,
    ) -> Result<String> {
        let replaces = upload.existing == Existing::Replace;
        let statement = if replaces { sql::UPSERT_OBJECT } else { sql::INSERT_OBJECT };
        let user_metadata = upload.user_metadata.as_ref().map(serde_json::to_string).transpose();
        let (owner, now) = (asker.owner_id(), self.now().to_string());
        if !replaces {
            let insert = writing
                .query(statement.on(guarded))
                .bind(object.to_owned())
                .bind(upload.bucket.as_str().to_owned())
                .bind(upload.name.as_str().to_owned())
                .bind(owner)
                .bind(metadata.to_string())
                .bind(user_metadata.map_err(Error::internal)?)
                .bind(version.to_owned())
                .bind(now);
            insert.execute().await.map_err(refused)?;
            return Ok(object.to_owned());
        }
        let upsert = writing
            .query_as::<(String,)>(statement.on(guarded))
            .bind(object.to_owned())
            .bind(upload.bucket.as_str().to_owned())
            .bind(upload.name.as_str().to_owned())
            .bind(owner)
            .bind(metadata.to_string())
            .bind(user_metadata.map_err(Error::internal)?)
            .bind(version.to_owned())
            .bind(now);
        let (id,) = upsert.fetch_one().await.map_err(refused)?;
        Ok(id)
    }

    pub(super) fn largest(&self, bucket: &Bucket) -> u64 {
        bucket.file_size_limit.map_or(self.0.options.largest, |limit| limit.min(self.0.options.largest))
    }

    pub(super) fn within_quota(&self, bytes: i64, files: i64) -> Result<()> {
        let over = |quota: Option<u64>, taken: i64| {
            quota.is_some_and(|quota| u64::try_from(taken).unwrap_or(u64::MAX) > quota)
        };
        if over(self.0.options.quota, bytes) || over(self.0.options.quota_files, files) {
            return Err(Error::new(Code::QuotaExceeded, "Your files would take more than they may"));
        }
        Ok(())
    }

    /// Reads, looks at, counts, seals and stores the content. What is left early leaves nothing.
    async fn write(
        &self,
        asker: &Asker,
        upload: &Upload,
        bucket: &Bucket,
        object: String,
        content: &mut Content<'_>,
    ) -> Result<Whole> {
        let (mut kind, largest) = (upload.declared()?, self.largest(bucket));
        let mut head = Vec::new();
        let mut waiting: Vec<Bytes> = Vec::new();
        let mut ended = false;
        while head.len() < content::LOOKED_AT && !ended {
            match content.next().await {
                Some(piece) => {
                    let piece = piece?;
                    let room = content::LOOKED_AT.saturating_sub(head.len());
                    head.extend(piece.iter().take(room));
                    waiting.push(piece);
                }
                None => ended = true,
            }
        }
        let found = content::sniff(&head);
        if let Some(allowed) = &bucket.allowed_mime_types
            && !content::is_allowed(allowed, &kind, found)
        {
            return Err(not_supported(found.filter(|found| *found != kind).unwrap_or(&kind)));
        }
        if let (true, Some(found)) = (kind == "application/octet-stream", found) {
            kind = found.to_owned();
        }
        let id = self.fresh_blob()?;
        let sealed = SealedFor {
            owner: asker.owner().key(),
            bucket: upload.bucket.as_str().to_owned(),
            object,
            generation: id.as_str().to_owned(),
        };
        let (sealer, key) = sealed.sealer(&self.0.keyring).await?;
        let mut writing = self.writing(&id, sealer).await?;
        for piece in waiting {
            writing.push(&piece, largest).await?;
        }
        while !ended {
            match content.next().await {
                Some(piece) => writing.push(&piece?, largest).await?,
                None => ended = true,
            }
        }
        let size = writing.finish().await?;
        if upload.length.is_some_and(|length| length != size) {
            self.drop_blob(&id).await;
            return Err(Error::new(Code::ValidationFailed, "The content is not as long as was said"));
        }
        Ok(Whole { id, sealed, size, kind, key })
    }

    /// Names the blob: the object's row, what its owner's files take, the former blob's end and the record of it
    /// become true together.
    async fn show(&self, asker: &Asker, upload: &Upload, mut whole: Whole) -> Result<Uploaded> {
        for _ in 0..TRIES {
            match self.try_to_show(asker, upload, &whole).await {
                Ok(None) => return Ok(Uploaded { key: key(upload), id: whole.sealed.object }),
                // Another row took the name meanwhile: the content is sealed again, for that one.
                Ok(Some(object)) => whole = self.seal_again(whole, object).await?,
                Err((error, Outcome::Undone)) => {
                    self.drop_blob(&whole.id).await;
                    return Err(error);
                }
                // Nobody knows: what is there when all is quiet again tells the sweep.
                Err((error, Outcome::Unknown)) => return Err(error),
            }
        }
        self.drop_blob(&whole.id).await;
        Err(Error::overloaded(1))
    }

    /// `Some` with the object for which the content has to be sealed instead.
    async fn try_to_show(
        &self,
        asker: &Asker,
        upload: &Upload,
        whole: &Whole,
    ) -> Result<Option<String>, (Error, Outcome)> {
        let undone = |error: Error| (error, Outcome::Undone);
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await.map_err(undone)?;
        let metadata = json!({
            "eTag": format!("\"{}\"", whole.id),
            "size": whole.size,
            "mimetype": whole.kind,
            "cacheControl": upload.cache_control.as_deref().unwrap_or("no-cache"),
            "lastModified": self.now().to_string(),
            "contentLength": whole.size,
            "httpStatusCode": 200,
        });
        let (object, version) = (&whole.sealed.object, whole.id.as_str());
        let named = self.put_row(&mut writing, &guarded, asker, upload, object, version, &metadata).await;
        let named = named.map_err(undone)?;
        if named != *object {
            writing.rollback().await.map_err(undone)?;
            return Ok(Some(named));
        }
        let mut writing = writing.into_store().await.map_err(undone)?;
        let doomed = async {
            writing.add_blob(&self.row_of(whole)?).await?;
            let mut doomed = writing.doom_blobs_of(object, version, self.now()).await?;
            if let Some(parts_of) = &upload.parts_of {
                doomed.extend(writing.doom_blobs_of(parts_of, "", self.now()).await?);
                writing.delete_upload(parts_of).await?;
            }
            if !asker.is_service() {
                // Without what was replaced.
                let usage = writing.file_usage(&whole.sealed.owner).await?;
                self.within_quota(usage.bytes, usage.files)?;
            }
            let size = whole.size;
            let details = |record: crate::audit::Record| record.with("size", size).with("type", &whole.kind);
            self.record(&mut *writing, asker, Action::OBJECT_UPLOADED, &key(upload), details).await?;
            Ok(doomed)
        };
        let doomed = doomed.await.map_err(undone)?;
        writing.commit().await.map_err(|error| (error, Outcome::Unknown))?;
        self.remove_bytes(&doomed).await;
        Ok(None)
    }

    fn row_of(&self, whole: &Whole) -> Result<BlobRow> {
        Ok(BlobRow {
            id: whole.id.as_str().to_owned(),
            object: whole.sealed.object.clone(),
            bucket: whole.sealed.bucket.clone(),
            owner: whole.sealed.owner.clone(),
            part: 0,
            size: i64::try_from(whole.size).map_err(Error::internal)?,
            key: i64::from(whole.key),
            created_at: self.now(),
            doomed_at: None,
        })
    }

    async fn seal_again(&self, whole: Whole, object: String) -> Result<Whole> {
        let id = self.fresh_blob()?;
        let sealed = SealedFor { object, generation: id.as_str().to_owned(), ..whole.sealed.clone() };
        let (sealer, key) = sealed.sealer(&self.0.keyring).await?;
        let plain = self.open_blob(&whole.id, &whole.sealed, whole.size, 0..whole.size).await?;
        self.write_sealed(&id, sealer, plain).await?;
        self.drop_blob(&whole.id).await;
        Ok(Whole { id, sealed, key, ..whole })
    }

    async fn writing(&self, id: &BlobId, sealer: Sealer) -> Result<Writing> {
        Ok(Writing { draft: self.0.blobs.draft(id).await?, sealer, out: Vec::new(), size: 0 })
    }

    /// Writes what was taken in before.
    pub(super) async fn write_sealed(
        &self,
        id: &BlobId,
        sealer: Sealer,
        mut plain: Content<'_>,
    ) -> Result<()> {
        let mut writing = self.writing(id, sealer).await?;
        while let Some(piece) = plain.next().await {
            writing.push(&piece?, u64::MAX).await?;
        }
        writing.finish().await.map(drop)
    }

    /// A part of an upload that goes on, as a blob of its own: what came of `content`, up to `limit` bytes. Whoever
    /// sends less than they said has sent a part all the same. Answers how many there were, and under which key.
    pub(super) async fn write_part(
        &self,
        sealed: &SealedFor,
        id: &BlobId,
        content: &mut Content<'_>,
        limit: u64,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<(u64, u32)> {
        let (sealer, key) = sealed.sealer(&self.0.keyring).await?;
        let mut writing = self.writing(id, sealer).await?;
        while let Some(piece) = content.next().await {
            // A line that breaks off leaves what came before it.
            let Ok(piece) = piece else { break };
            seen(&piece);
            writing.push(&piece, limit).await?;
        }
        Ok((writing.finish().await?, key))
    }

    pub(super) async fn drop_blob(&self, id: &BlobId) {
        if let Err(error) = self.0.blobs.remove(id).await {
            tracing::warn!(%error, "a refused file's bytes stay until the next sweep");
        }
    }
}

/// Whether a transaction that failed left anything.
enum Outcome {
    Undone,
    Unknown,
}

/// Content on its way into a draft.
struct Writing {
    draft: Box<dyn Draft>,
    sealer: Sealer,
    out: Vec<u8>,
    size: u64,
}

impl Writing {
    async fn push(&mut self, plain: &[u8], largest: u64) -> Result<()> {
        self.size = self.size.saturating_add(plain.len() as u64);
        if self.size > largest {
            return Err(too_large());
        }
        self.sealer.push(plain, &mut self.out)?;
        if self.out.len() >= PIECE {
            self.draft.write(Bytes::from(std::mem::take(&mut self.out))).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64> {
        self.sealer.finish(&mut self.out)?;
        self.draft.write(Bytes::from(self.out)).await?;
        self.draft.finish().await?;
        Ok(self.size)
    }
}

fn key(upload: &Upload) -> String {
    format!("{}/{}", upload.bucket, upload.name)
}

pub(super) fn too_large() -> Error {
    Error::new(Code::PayloadTooLarge, "The object exceeded the maximum allowed size")
}

fn not_supported(kind: &str) -> Error {
    let shown: String = kind.chars().filter(|c| !c.is_control()).take(127).collect();
    Error::new(Code::InvalidMimeType, format!("mime type {shown} is not supported"))
}

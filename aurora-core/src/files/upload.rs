use bytes::Bytes;
use futures_core::stream::BoxStream;
use serde_json::{Map, Value, json};

use super::record::{Bucket, Object};
use super::service::{exists, refused};
use super::underway::Turn;
use super::{Asker, BucketName, Files, ObjectName, content, sql};
use crate::types::{Code, Error, Result};

/// Most bytes of what a file's maker notes beside it, as JSON: rows are read for lists and policies.
const MOST_NOTED: usize = 8 * 1024;
/// Most bytes of a `Cache-Control`.
const MOST_KEPT: usize = 200;

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
    /// What else its maker notes; up to 8 KiB as JSON.
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

/// For which object content is sealed.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) object: String,
    /// Its row was there, under the name.
    pub(super) is_there: bool,
}

/// What was asked before the first byte.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) target: Target,
    pub(super) bucket: Bucket,
    /// What its owner's files may take while it comes: with it, and without what it replaces.
    pub(super) room: Option<i64>,
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

    pub(super) fn declared(&self) -> Result<String> {
        match &self.content_type {
            Some(said) => content::media_type(said).ok_or_else(|| not_supported(said)),
            None => Ok(content::by_ending(self.name.as_str()).to_owned()),
        }
    }

    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.bucket, self.name)
    }

    /// What is said of a file is small: it stands in its row.
    fn is_bounded(&self) -> Result<()> {
        let wrong = |sentence: String| Err(Error::new(Code::ValidationFailed, sentence));
        if let Some(noted) = &self.user_metadata
            && serde_json::to_string(noted).map_err(Error::internal)?.len() > MOST_NOTED
        {
            return wrong(format!("metadata takes at most {MOST_NOTED} bytes"));
        }
        let kept = self.cache_control.as_deref().unwrap_or_default();
        if kept.len() > MOST_KEPT || kept.chars().any(char::is_control) {
            return wrong(format!("cache control is a text of at most {MOST_KEPT} characters"));
        }
        Ok(())
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
        let mut turn = self.turn(asker)?;
        let asked = self.ask_first(asker, upload).await?;
        let whole = self.write(asker, upload, asked, &mut content, &mut turn).await?;
        self.show(asker, upload, whole).await
    }

    /// Refuses before the first byte what would be refused after the last.
    pub(super) async fn ask_first(&self, asker: &Asker, upload: &Upload) -> Result<Asked> {
        upload.is_bounded()?;
        let there = self.look(&self.unasked(), &upload.bucket, &upload.name).await?;
        let target = match &there {
            Some(object) => Target { object: object.id.clone(), is_there: true },
            None => Target { object: self.fresh_id()?, is_there: false },
        };
        if !asker.is_service() {
            // Policies are asked before limits are: who may write to no bucket learns of none.
            let guarded = self.of(asker);
            let mut writing = guarded.begin().await?;
            self.put_row(&mut writing, &guarded, asker, upload, &target.object, "", &json!({})).await?;
            writing.rollback().await?;
        }
        if let Some(object) = &there
            && (upload.existing == Existing::Refuse || !asker.may_replace(object))
        {
            return Err(exists());
        }
        let bucket = self.limits_of(&upload.bucket).await?;
        if upload.length.is_some_and(|length| length > self.largest(&bucket)) {
            return Err(too_large());
        }
        let room = self.room(asker, upload, there.as_ref()).await?;
        Ok(Asked { target, bucket, room })
    }

    /// Whether a bucket takes files of the type that is said.
    pub(super) fn takes(bucket: &Bucket, upload: &Upload) -> Result<()> {
        let kind = upload.declared()?;
        match &bucket.allowed_mime_types {
            Some(allowed) if !content::is_allowed(allowed, &kind, Some(&kind)) => Err(not_supported(&kind)),
            _ => Ok(()),
        }
    }

    /// How many bytes an upload may bring, by its owner's quota: without what others of theirs bring at the same time,
    /// and with what it takes the place of. `None` where nothing is counted.
    async fn room(&self, asker: &Asker, upload: &Upload, there: Option<&Object>) -> Result<Option<i64>> {
        if asker.is_service() || upload.parts_of.is_some() {
            return Ok(None);
        }
        let owner = asker.owner().key();
        let mut reader = self.0.database.read().await?;
        let usage = reader.file_usage(&owner).await?;
        let former = match there {
            Some(object) => reader.blob(&object.version).await?.filter(|blob| blob.owner == owner),
            None => None,
        };
        let (size, count) = former.map_or((0, 0), |blob| (blob.size, 1));
        // What was replaced between the two questions is less than it was.
        let taken = usage.bytes.saturating_sub(size).max(0);
        // One of them is this one, where it has a turn: a URL that is signed has none.
        let (underway, others) = self.1.of(&owner);
        let length = upload.length.and_then(|length| i64::try_from(length).ok()).unwrap_or(0);
        let files = usage.files.saturating_sub(count).max(0).saturating_add(others.max(1));
        self.within_quota(taken.saturating_add(underway).saturating_add(length), files)?;
        Ok(Some(taken))
    }

    /// Counts bytes that came, and refuses those that are over the quota with all that is on its way.
    pub(super) fn count_coming(&self, turn: &mut Turn, taken: Option<i64>, bytes: usize) -> Result<()> {
        let underway = turn.count(bytes);
        match taken {
            Some(taken) => self.within_quota(taken.saturating_add(underway), 0),
            None => Ok(()),
        }
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
}

pub(super) fn too_large() -> Error {
    Error::new(Code::PayloadTooLarge, "The object exceeded the maximum allowed size")
}

pub(super) fn not_supported(kind: &str) -> Error {
    let shown: String = kind.chars().filter(|c| !c.is_control()).take(127).collect();
    Error::new(Code::InvalidMimeType, format!("mime type {shown} is not supported"))
}

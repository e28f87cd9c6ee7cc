use std::ops::Range;

use super::blob::BlobId;
use super::record::{Object, ObjectRecord};
use super::seal::{self, SealedFor};
use super::service::{no_such_bucket, no_such_object};
use super::upload::Content;
use super::{Asker, BucketName, Files, ObjectName, sql};
use crate::store::BlobRow;
use crate::types::{Code, Error, Result};

/// An object whose content may be read.
#[derive(Clone, Debug)]
pub struct Download {
    files: Files,
    object: Object,
    blob: BlobRow,
}

impl Download {
    /// What it is.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        u64::try_from(self.blob.size).unwrap_or(0)
    }

    /// The bytes in `range`. Only the chunks that it touches are read.
    ///
    /// # Errors
    /// [`Code::RangeNotSatisfiable`] beyond the end; [`Code::NotFound`] if it was replaced or removed meanwhile.
    pub async fn content(&self, range: Range<u64>) -> Result<Content<'static>> {
        if range.start > range.end || range.end > self.size() {
            return Err(Error::new(Code::RangeNotSatisfiable, "The requested range is not satisfiable"));
        }
        let sealed = SealedFor::of(&self.blob);
        self.files.open_blob(&self.blob.id.parse()?, &sealed, self.size(), range).await
    }
}

impl Files {
    /// What is known of an object that `asker` may see.
    ///
    /// # Errors
    /// [`Code::NoSuchObject`], also where no policy shows it.
    pub async fn info(&self, asker: &Asker, bucket: &BucketName, name: &ObjectName) -> Result<Object> {
        self.look(&self.of(asker), bucket, name).await?.ok_or_else(no_such_object)
    }

    /// An object that `asker` may see.
    ///
    /// # Errors
    /// As [`Files::info`].
    pub async fn download(&self, asker: &Asker, bucket: &BucketName, name: &ObjectName) -> Result<Download> {
        let object = self.info(asker, bucket, name).await?;
        self.with_blob(object).await
    }

    /// What is known of an object of a public bucket, whoever asks.
    ///
    /// # Errors
    /// [`Code::NoSuchBucket`] where it is not public, too; [`Code::NoSuchObject`].
    pub async fn public_info(&self, bucket: &BucketName, name: &ObjectName) -> Result<Object> {
        if !self.limits_of(bucket).await?.public {
            return Err(no_such_bucket());
        }
        self.look(&self.unasked(), bucket, name).await?.ok_or_else(no_such_object)
    }

    /// An object of a public bucket, whoever asks.
    ///
    /// # Errors
    /// As [`Files::public_info`].
    pub async fn public_download(&self, bucket: &BucketName, name: &ObjectName) -> Result<Download> {
        let object = self.public_info(bucket, name).await?;
        self.with_blob(object).await
    }

    /// The object of that id, for whom a signed URL names it.
    pub(super) async fn object_by_id(&self, id: &str) -> Result<Option<Object>> {
        let guarded = self.unasked();
        let found = guarded.query_as::<ObjectRecord>(sql::OBJECT_BY_ID.on(&guarded)).bind(id.to_owned());
        found.fetch_optional().await?.map(Object::try_from).transpose()
    }

    pub(super) async fn with_blob(&self, object: Object) -> Result<Download> {
        let blob = self.0.database.read().await?.blob(&object.version).await?;
        // A row that names another object's blob was not written by us.
        match blob.filter(|blob| blob.object == object.id) {
            Some(blob) => Ok(Download { files: self.clone(), object, blob }),
            None => Err(no_such_object().with_source("the object's row names no blob of its own")),
        }
    }

    /// The plain bytes in `range` of a blob.
    pub(super) async fn open_blob(
        &self,
        id: &BlobId,
        sealed: &SealedFor,
        size: u64,
        range: Range<u64>,
    ) -> Result<Content<'static>> {
        seal::open(&*self.0.blobs, &self.0.keyring, (id, sealed), size, range).await
    }
}

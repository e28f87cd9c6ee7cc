//! Blobs behind objects, what their owners hold, and uploads that go on.

use async_trait::async_trait;

use crate::types::{Result, Timestamp, UserId};

/// A sealed blob that a row of ours answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Its opaque name.
    pub id: String,
    /// The object, or the unfinished upload, that it was sealed for.
    pub object: String,
    /// The bucket that it was sealed for.
    pub bucket: String,
    /// The user whom it counts for and whose key it is sealed under; empty for the service.
    pub owner: String,
    /// Its place among the parts of an unfinished upload; 0 for an object's.
    pub part: i64,
    /// Bytes before sealing.
    pub size: i64,
    /// The data key that it is sealed under.
    pub key: i64,
    /// Noted.
    pub created_at: Timestamp,
    /// No row names it since then: it waits to be removed.
    pub doomed_at: Option<Timestamp>,
}

/// An upload that comes in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    /// Its opaque name.
    pub id: String,
    /// The user whom its parts count for; empty for the service.
    pub owner: String,
    /// Where the object will lie.
    pub bucket: String,
    /// What it will be called.
    pub name: String,
    /// Bytes in all.
    pub length: i64,
    /// Bytes that are here.
    pub position: i64,
    /// Parts that are here.
    pub parts: i64,
    /// What else its maker said, as JSON.
    pub details: String,
    /// Begun.
    pub created_at: Timestamp,
    /// Forgotten then.
    pub expires_at: Timestamp,
}

/// What an owner's files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileUsage {
    /// Bytes before sealing.
    pub bytes: i64,
    /// Files.
    pub files: i64,
}

/// Questions about blobs and uploads.
#[async_trait]
pub trait ReadFiles: Send {
    /// The blob of that name.
    async fn blob(&mut self, id: &str) -> Result<Option<BlobRow>>;

    /// The blobs of an object or an upload that are not doomed, by part.
    async fn blobs_of(&mut self, object: &str) -> Result<Vec<BlobRow>>;

    /// Blobs that were doomed before `horizon`, at most `limit`.
    async fn doomed_blobs(&mut self, horizon: Timestamp, limit: i64) -> Result<Vec<BlobRow>>;

    /// Blobs that are not doomed and were noted before `horizon`, by name, behind `after`, at most `limit`.
    async fn live_blobs(&mut self, after: &str, horizon: Timestamp, limit: i64) -> Result<Vec<BlobRow>>;

    /// How many blobs that are not doomed a data key has sealed.
    async fn count_blobs_of_key(&mut self, key: i64) -> Result<i64>;

    /// Those blobs behind the first `passed`, at most `limit`.
    async fn blobs_of_key(&mut self, key: i64, passed: i64, limit: i64) -> Result<Vec<BlobRow>>;

    /// What an owner's files take.
    async fn file_usage(&mut self, owner: &str) -> Result<FileUsage>;

    /// The upload of that name.
    async fn upload(&mut self, id: &str) -> Result<Option<UploadRow>>;

    /// Uploads that expired before `now`, at most `limit`.
    async fn expired_uploads(&mut self, now: Timestamp, limit: i64) -> Result<Vec<UploadRow>>;
}

/// Changes of blobs and uploads.
#[async_trait]
pub trait WriteFiles: Send {
    /// Notes a blob and answers what its owner's files take with it. Whoever notes one for the same owner waits until
    /// this transaction ends.
    async fn add_blob(&mut self, blob: &BlobRow) -> Result<FileUsage>;

    /// Dooms the blobs of an object or upload but `keep`, and answers their names.
    async fn doom_blobs_of(&mut self, object: &str, keep: &str, now: Timestamp) -> Result<Vec<String>>;

    /// Dooms all blobs that count for an owner.
    async fn doom_blobs_of_owner(&mut self, owner: &str, now: Timestamp) -> Result<()>;

    /// Dooms one blob. `false` if it was, or is gone.
    async fn doom_blob(&mut self, id: &str, now: Timestamp) -> Result<bool>;

    /// Forgets a doomed blob whose bytes are gone.
    async fn forget_blob(&mut self, id: &str) -> Result<()>;

    /// Begins an upload and answers how many of its owner's are not finished nor expired with it. Whoever begins one
    /// for the same owner waits until this transaction ends.
    async fn insert_upload(&mut self, upload: &UploadRow) -> Result<i64>;

    /// Counts one part more. `false` if the upload is gone or somebody else was first.
    async fn advance_upload(&mut self, id: &str, from: i64, to: i64, expires_at: Timestamp) -> Result<bool>;

    /// Forgets an upload. `false` if it was gone.
    async fn delete_upload(&mut self, id: &str) -> Result<bool>;

    /// Forgets an upload that expired before `now`. `false` if it did not, or was gone.
    async fn expire_upload(&mut self, id: &str, now: Timestamp) -> Result<bool>;

    /// Forgets all uploads of an owner's.
    async fn delete_uploads_of(&mut self, owner: &str) -> Result<()>;

    /// Whether there is such a user. Nobody deletes them until this transaction ends.
    async fn hold_user(&mut self, id: UserId) -> Result<bool>;

    /// The state of a data key, which nobody changes until this transaction ends; `None` where there is none.
    async fn hold_key(&mut self, id: i64) -> Result<Option<String>>;
}

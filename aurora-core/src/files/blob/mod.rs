//! Where sealed bytes lie.

mod local;
#[cfg(feature = "s3")]
mod object_store;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::env::{Entropy, random};
use crate::types::{Code, Error, Result, Timestamp};

pub use local::LocalBlobs;
#[cfg(feature = "s3")]
pub use object_store::{ObjectStoreBlobs, S3Bucket};

/// The name of a blob: 32 hexadecimal digits, drawn at random. Nothing that a caller wrote is ever in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlobId(String);

impl BlobId {
    /// A fresh one.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self> {
        let bytes = random::<16>(entropy)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first two digits: the folder that it lies in, so that none holds too many.
    pub fn folder(&self) -> &str {
        self.0.get(..2).unwrap_or_default()
    }
}

impl FromStr for BlobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::internal("not the name of a blob"))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A blob that lies in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its name.
    pub id: BlobId,
    /// Sealed bytes.
    pub size: u64,
    /// When it was written, by the store's own clock.
    pub modified: Timestamp,
}

/// Keeps sealed bytes under opaque names.
///
/// Implementations: [`LocalBlobs`], the default, and `ObjectStoreBlobs` (cargo feature `s3`). The contract, which
/// `testing::blobs` holds every one to:
///
/// 1. A blob is there whole or not at all: what a [`Draft`] was given shows when [`Draft::finish`] has answered `Ok`,
///    and is durable then. A draft that is dropped, fails or is killed shows nothing.
/// 2. A name is written once; a second draft of a name that is there fails.
/// 3. What is not there is [`Code::NotFound`]; removing what is not there is `Ok`.
/// 4. A range beyond the end of a blob is an error, not fewer bytes.
/// 5. Memory is bounded: no call holds a whole blob.
#[async_trait]
pub trait BlobStore: Send + Sync + fmt::Debug {
    /// Begins a blob.
    async fn draft(&self, id: &BlobId) -> Result<Box<dyn Draft>>;

    /// The bytes in `range`, piece by piece.
    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>>;

    /// Removes a blob.
    async fn remove(&self, id: &BlobId) -> Result<()>;

    /// Blobs in the order of their names, behind `after`, at most `limit`.
    async fn list(&self, after: Option<&BlobId>, limit: usize) -> Result<Vec<StoredBlob>>;

    /// Removes what drafts left behind that were last written before `horizon`, and answers how many.
    async fn remove_drafts(&self, horizon: Timestamp) -> Result<u64>;
}

/// A blob that is being written. Dropped before [`Draft::finish`], nothing of it stays.
#[async_trait]
pub trait Draft: Send {
    /// Writes the next bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Makes it whole, durable and visible.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// What a store says of a blob that it does not have.
pub fn no_such_blob() -> Error {
    Error::new(Code::NotFound, "no such blob")
}

/// A failure of a store's disk: nothing was written that shows, and it may pass.
pub(super) fn storage_failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::OverCapacity, "The file could not be stored, please try again")
        .with_retry_after(5)
        .with_source(error)
}

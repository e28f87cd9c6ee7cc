//! Objects under policy: files whose rows the host's policies decide about, and whose bytes are sealed.
//!
//! 1. Whatever a caller may know or change of buckets and objects is asked of the guard, as their principal, on
//!    `storage.buckets` and `storage.objects`: no policy, no access. What the room looks up for itself (a bucket's
//!    limits, the blob behind a row) it tells nobody.
//! 2. A file is whole or it is not there. Its bytes are written beside, synced and named by a random id; the row that
//!    names them, what its owner's files take, the end of the bytes before and the audit record commit together.
//!    Bytes are removed after that. [`Files::sweep`] makes both sides agree after a kill.
//! 3. No text of a caller's is part of a path ([`BlobId`]). Names are checked once, as they are parsed.
//! 4. Content is sealed chunk by chunk as it comes, for its owner, bucket, object and generation: bytes that are moved
//!    to another object do not open. Memory is bounded, however large the file.
//! 5. Sizes are counted as bytes come, whatever was said before; quotas with all that is on its way in this process, and
//!    by the transaction that shows the file.
//! 6. What a file begins with counts more than what its sender says of it.
//! 7. A signed URL is good for one use, one bucket and one name, until it expires or its object goes.
//!
//! The blob folder holds as much as its disk: quotas bound users, not what the service itself stores.

mod blob;
mod buckets;
mod content;
mod download;
mod list;
mod name;
mod options;
mod page;
mod person;
mod record;
mod remove;
mod resume;
mod rotate;
mod seal;
mod service;
mod show;
mod sign;
mod sql;
mod sweep;
mod underway;
mod upload;
mod write;

pub use blob::{BlobId, BlobStore, Draft, LocalBlobs, StoredBlob, no_such_blob};
#[cfg(feature = "s3")]
pub use blob::{ObjectStoreBlobs, S3Bucket};
pub use buckets::BucketRules;
pub use content::{is_passive, sent_as};
pub use download::Download;
pub use list::{Entry, Listing, Page};
pub use name::{BucketName, ObjectName};
pub use options::FileOptions;
pub use page::{Order, SortBy};
pub use record::{Bucket, Object};
pub use resume::{PartDigest, Resumable};
pub use service::{Asker, Files, FilesParts};
pub use sweep::SweepReport;
pub use upload::{Content, Existing, Upload, Uploaded};

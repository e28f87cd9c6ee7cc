use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig,
};

use super::{BlobId, BlobStore, Draft, StoredBlob, no_such_blob, storage_failed};
use crate::types::{Code, Error, Result, Secret, Timestamp};

/// Bytes that are sent at once; S3 wants 5 MiB or more of each part but the last.
const PART: usize = 8 * 1024 * 1024;
/// Bytes that are asked for at once, and held until whoever reads has taken them: a connection that waited for a slow
/// reader would be cut off by its time limit.
const PIECE: u64 = 2 * 1024 * 1024;
/// How often, and for how long, a request is made again: whoever waits for the answer is a person.
const TRIES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// Where an S3 bucket is, and who asks it.
#[derive(Clone, Debug)]
pub struct S3Bucket {
    /// The bucket.
    pub name: String,
    /// Its region, such as `eu-central-1`.
    pub region: String,
    /// Another server than Amazon's, such as `https://minio.example.com`. Plain HTTP is for this machine alone.
    pub endpoint: Option<String>,
    /// The id of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What every name begins with; nothing else is kept below it.
    pub prefix: String,
}

/// Blobs in an S3 bucket (cargo feature `s3`): `<prefix>/ab/abcd..`.
///
/// What is larger than 8 MiB goes in parts. A process that is killed leaves parts that no listing shows: give the
/// bucket the lifecycle rule `AbortIncompleteMultipartUpload`.
#[derive(Clone)]
pub struct ObjectStoreBlobs {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl fmt::Debug for ObjectStoreBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreBlobs").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl ObjectStoreBlobs {
    /// The store of that bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Code::Configuration`].
    pub fn s3(bucket: &S3Bucket) -> Result<Self> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(bucket.secret_access_key.expose())
            .with_retry(RetryConfig {
                max_retries: TRIES,
                retry_timeout: PATIENCE,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &bucket.endpoint {
            let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
            let near = local.iter().any(|start| {
                endpoint
                    .strip_prefix(start)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
            });
            if !near && !endpoint.starts_with("https://") {
                let text = format!("the S3 endpoint `{endpoint}` is not https://; use TLS");
                return Err(Error::new(Code::Configuration, text));
            }
            builder = builder.with_endpoint(endpoint).with_allow_http(near);
        }
        let store = builder.build().map_err(|error| {
            Error::new(Code::Configuration, format!("the S3 bucket `{}`: {error}", bucket.name))
        })?;
        Ok(Self { store: Arc::new(store), prefix: bucket.prefix.trim_matches('/').to_owned() })
    }

    fn path(&self, id: &BlobId) -> Path {
        Path::from(format!("{}/{}/{id}", self.prefix, id.folder()))
    }

    async fn exists(&self, path: &Path) -> Result<bool> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(storage_failed(error)),
        }
    }
}

fn failed(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => no_such_blob(),
        other => storage_failed(other),
    }
}

/// The first bytes of a range.
async fn piece(store: &dyn ObjectStore, path: &Path, range: &Range<u64>) -> Result<Bytes> {
    let wanted = range.start..range.end.min(range.start.saturating_add(PIECE));
    let options = GetOptions { range: Some(GetRange::Bounded(wanted.clone())), ..GetOptions::default() };
    let found = store.get_opts(path, options).await.map_err(failed)?;
    if found.range != wanted {
        return Err(Error::internal("a range beyond the end of a blob"));
    }
    let bytes = found.bytes().await.map_err(failed)?;
    // As many as were asked for: none would be asked for without an end.
    if bytes.len() as u64 == wanted.end - wanted.start {
        return Ok(bytes);
    }
    Err(Error::internal("a blob ended early"))
}

#[async_trait]
impl BlobStore for ObjectStoreBlobs {
    async fn draft(&self, id: &BlobId) -> Result<Box<dyn Draft>> {
        let path = self.path(id);
        if self.exists(&path).await? {
            return Err(Error::internal("a blob of that name exists"));
        }
        Ok(Box::new(ObjectDraft { store: Arc::clone(&self.store), path, waiting: Vec::new(), parts: None }))
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let path = self.path(id);
        if range.is_empty() {
            let found = self.exists(&path).await?;
            return if found { Ok(futures_util::stream::empty().boxed()) } else { Err(no_such_blob()) };
        }
        let store = Arc::clone(&self.store);
        let first = piece(&*store, &path, &range).await?;
        let pieces = async_stream::try_stream! {
            let mut at = range.start + first.len() as u64;
            yield first;
            while at < range.end {
                let next = piece(&*store, &path, &(at..range.end)).await?;
                at += next.len() as u64;
                yield next;
            }
        };
        Ok(pieces.boxed())
    }

    async fn remove(&self, id: &BlobId) -> Result<()> {
        match self.store.delete(&self.path(id)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map_err(storage_failed),
        }
    }

    async fn list(&self, after: Option<&BlobId>, limit: usize) -> Result<Vec<StoredBlob>> {
        let prefix = (!self.prefix.is_empty()).then(|| Path::from(self.prefix.as_str()));
        let mut listed = match after {
            Some(after) => self.store.list_with_offset(prefix.as_ref(), &self.path(after)),
            None => self.store.list(prefix.as_ref()),
        };
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(about) = listed.try_next().await.map_err(storage_failed)? else { break };
            let name = about.location.filename().and_then(|name| name.parse::<BlobId>().ok());
            // What is somebody else's is left alone.
            let Some(id) = name.filter(|id| self.path(id) == about.location) else { continue };
            let modified = Timestamp::from_micros(about.last_modified.timestamp_micros());
            found.push(StoredBlob { id, size: about.size, modified });
        }
        Ok(found)
    }

    /// Parts that nobody put together are the bucket's lifecycle rule's.
    async fn remove_drafts(&self, _horizon: Timestamp) -> Result<u64> {
        Ok(0)
    }
}

struct ObjectDraft {
    store: Arc<dyn ObjectStore>,
    path: Path,
    waiting: Vec<u8>,
    /// Once there is more than one part.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl ObjectDraft {
    async fn send(&mut self) -> Result<()> {
        if self.parts.is_none() {
            self.parts = Some(self.store.put_multipart(&self.path).await.map_err(storage_failed)?);
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let part = PutPayload::from(std::mem::take(&mut self.waiting));
        parts.put_part(part).await.map_err(storage_failed)
    }
}

#[async_trait]
impl Draft for ObjectDraft {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() >= PART { self.send().await } else { Ok(()) }
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        if self.parts.is_none() {
            let whole = PutPayload::from(std::mem::take(&mut self.waiting));
            return self.store.put(&self.path, whole).await.map(drop).map_err(storage_failed);
        }
        if !self.waiting.is_empty() {
            self.send().await?;
        }
        if let Some(parts) = &mut self.parts {
            parts.complete().await.map_err(storage_failed)?;
        }
        // Nothing is left to abort.
        self.parts = None;
        Ok(())
    }
}

impl Drop for ObjectDraft {
    fn drop(&mut self) {
        if let (Some(mut parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) {
            // Should this fail, the bucket's lifecycle rule removes the parts.
            runtime.spawn(async move { drop(parts.abort().await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract_of_a_blob_store() {
        for prefix in ["", "files/of/aurora"] {
            let store = Arc::new(object_store::memory::InMemory::new());
            let blobs = ObjectStoreBlobs { store, prefix: prefix.to_owned() };
            crate::testing::blobs::conforms(&blobs).await.unwrap();
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let bucket = |endpoint: &str| S3Bucket {
            name: "b".to_owned(),
            region: "r".to_owned(),
            endpoint: Some(endpoint.to_owned()),
            access_key_id: "id".to_owned(),
            secret_access_key: "a secret of the test".into(),
            prefix: String::new(),
        };
        for endpoint in ["https://s3.example.com", "http://127.0.0.1:9000", "http://localhost:9000"] {
            assert!(ObjectStoreBlobs::s3(&bucket(endpoint)).is_ok(), "{endpoint}");
        }
        for endpoint in [
            "http://s3.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "ftp://x",
        ] {
            assert_eq!(
                ObjectStoreBlobs::s3(&bucket(endpoint)).unwrap_err().code(),
                Code::Configuration,
                "{endpoint}"
            );
        }
        assert!(!format!("{:?}", bucket("https://x")).contains("a secret"));
    }
}

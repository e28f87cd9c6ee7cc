use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{BlobId, BlobStore, Draft, StoredBlob, no_such_blob, storage_failed};
use crate::types::{Code, Error, Result, Timestamp};

/// Bytes that a read asks the disk for at once.
const PIECE: usize = 256 * 1024;
const DRAFTS: &str = "drafts";

/// Blobs as files of one folder, which nobody else writes to: `ab/abcd..` by the first two digits of their names, and
/// `drafts/` for what is not whole yet.
///
/// A blob is written beside, synced, and renamed; then the folder that names it is synced. Files are their owner's
/// alone.
#[derive(Clone, Debug)]
pub struct LocalBlobs {
    root: Arc<Path>,
}

impl LocalBlobs {
    /// Opens the folder, and makes it if its parent is there.
    pub async fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root: Arc<Path> = Arc::from(root.as_ref());
        let named = |error: io::Error| {
            Error::new(Code::Configuration, format!("the folder for files `{}`: {error}", root.display()))
        };
        let mut made = make_folder(&root).await.map_err(named)?;
        made |= make_folder(&root.join(DRAFTS)).await.map_err(named)?;
        for folder in 0..=255_u8 {
            made |= make_folder(&root.join(format!("{folder:02x}"))).await.map_err(named)?;
        }
        if made {
            sync_folder(root.to_path_buf()).await.map_err(named)?;
        }
        Ok(Self { root })
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        self.root.join(id.folder()).join(id.as_str())
    }
}

/// Makes a folder where there is none, and answers whether it did.
async fn make_folder(path: &Path) -> io::Result<bool> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    match builder.create(path).await {
        // A link that somebody planted is not followed: what lies there must be a folder itself.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match fs::symlink_metadata(path).await?.is_dir() {
                true => Ok(false),
                false => Err(io::Error::new(io::ErrorKind::NotADirectory, "is not a folder")),
            }
        }
        made => made.map(|()| true),
    }
}

/// A rename is durable when its folder is.
async fn sync_folder(path: PathBuf) -> io::Result<()> {
    tokio::task::spawn_blocking(move || std::fs::File::open(path)?.sync_all()).await?
}

fn failed(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound { no_such_blob() } else { storage_failed(error) }
}

fn written(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[async_trait]
impl BlobStore for LocalBlobs {
    async fn draft(&self, id: &BlobId) -> Result<Box<dyn Draft>> {
        let target = self.path(id);
        if fs::try_exists(&target).await.map_err(storage_failed)? {
            return Err(Error::internal("a blob of that name exists"));
        }
        let path = self.root.join(DRAFTS).join(id.as_str());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(&path).await.map_err(storage_failed)?;
        Ok(Box::new(LocalDraft { file, place: Some(Place { path }), target }))
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut file = File::open(self.path(id)).await.map_err(failed)?;
        let length = file.metadata().await.map_err(failed)?.len();
        if range.end > length || range.start > range.end {
            return Err(Error::internal("a range beyond the end of a blob"));
        }
        file.seek(io::SeekFrom::Start(range.start)).await.map_err(failed)?;
        let mut left = range.end - range.start;
        let pieces = async_stream::try_stream! {
            while left > 0 {
                let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                let mut piece = bytes::BytesMut::with_capacity(wanted);
                while piece.len() < wanted {
                    let room = (wanted - piece.len()) as u64;
                    if (&mut file).take(room).read_buf(&mut piece).await.map_err(failed)? == 0 {
                        Err(Error::internal("a blob ended early"))?;
                    }
                }
                left -= wanted as u64;
                yield piece.freeze();
            }
        };
        Ok(pieces.boxed())
    }

    async fn remove(&self, id: &BlobId) -> Result<()> {
        match fs::remove_file(self.path(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(storage_failed(error)),
            _ => Ok(()),
        }
    }

    async fn list(&self, after: Option<&BlobId>, limit: usize) -> Result<Vec<StoredBlob>> {
        let mut found = Vec::new();
        for folder in 0..=255_u8 {
            let folder = format!("{folder:02x}");
            if after.is_some_and(|after| after.folder() > folder.as_str()) {
                continue;
            }
            let mut here = Vec::new();
            let mut entries = fs::read_dir(self.root.join(&folder)).await.map_err(storage_failed)?;
            while let Some(entry) = entries.next_entry().await.map_err(storage_failed)? {
                let name = entry.file_name();
                let Some(id) = name.to_str().and_then(|name| name.parse::<BlobId>().ok()) else { continue };
                // Removed meanwhile.
                let Ok(about) = entry.metadata().await else { continue };
                if after.is_none_or(|after| id > *after) && id.folder() == folder {
                    let modified = written(about.modified().map_err(storage_failed)?);
                    here.push(StoredBlob { id, size: about.len(), modified });
                }
            }
            here.sort_by(|a, b| a.id.cmp(&b.id));
            found.append(&mut here);
            if found.len() >= limit {
                found.truncate(limit);
                break;
            }
        }
        Ok(found)
    }

    async fn remove_drafts(&self, horizon: Timestamp) -> Result<u64> {
        let mut removed = 0;
        let mut entries = fs::read_dir(self.root.join(DRAFTS)).await.map_err(storage_failed)?;
        while let Some(entry) = entries.next_entry().await.map_err(storage_failed)? {
            let Ok(about) = entry.metadata().await else { continue };
            let old = about.modified().is_ok_and(|at| written(at) < horizon);
            if old && fs::remove_file(entry.path()).await.is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

struct LocalDraft {
    file: File,
    /// `None` once it was renamed.
    place: Option<Place>,
    target: PathBuf,
}

/// A file that goes when it is dropped.
struct Place {
    path: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Should this fail, the next sweep removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[async_trait]
impl Draft for LocalDraft {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.file.write_all(&bytes).await.map_err(storage_failed)
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        self.file.flush().await.map_err(storage_failed)?;
        self.file.sync_all().await.map_err(storage_failed)?;
        let Some(place) = &self.place else { return Ok(()) };
        fs::rename(&place.path, &self.target).await.map_err(storage_failed)?;
        // Nothing lies at its old place any more: its drop finds nothing.
        self.place = None;
        if let Some(folder) = self.target.parent()
            && let Err(error) = sync_folder(folder.to_path_buf()).await
        {
            // Whether it would outlive a power loss is unknown, so it is not there.
            let _ = fs::remove_file(&self.target).await;
            return Err(storage_failed(error));
        }
        Ok(())
    }
}

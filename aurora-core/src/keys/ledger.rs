use std::fmt::{self, Debug};
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::crypto::KeyOwner;
use crate::types::{BoxFuture, Code, Error, Result, Timestamp};

/// Who was erased: kept apart from the database, so that a backup that is read back does not bring them back.
///
/// Implementations: [`FileLedger`]. A host that keeps it elsewhere (an object store with a lock) brings its own.
pub trait ErasureLedger: Send + Sync + Debug {
    /// Adds an owner. What this answered for is there after whatever happens to the machine.
    fn append<'a>(&'a self, owner: &'a KeyOwner, at: Timestamp) -> BoxFuture<'a, Result<()>>;

    /// Everybody that was added.
    fn read(&self) -> BoxFuture<'_, Result<Vec<KeyOwner>>>;
}

/// The ledger in a file: a line for each, `<moment> <owner> .`, by opaque ids. The point ends it: a line without one was
/// cut off, and an id's beginning is another's id.
pub struct FileLedger(PathBuf);

impl FileLedger {
    /// In the file at `path`, which is made with the first erasure.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let sentence = format!("erasure ledger `{}`: {error}", self.0.display());
        Error::new(Code::Configuration, sentence).with_source(error)
    }

    fn add(&self, line: &str) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let is_new = !self.0.exists();
        let mut file = options.open(&self.0)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line that a crash cut off was never answered for; the next one does not become part of it.
        let cut = !text.is_empty() && !text.ends_with('\n');
        let line = format!("{}{line}\n", if cut { "\n" } else { "" });
        let whole = text.len() as u64;
        if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.sync_all()) {
            drop(file.set_len(whole));
            return Err(error);
        }
        #[cfg(unix)]
        if is_new {
            let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
            std::fs::File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())?;
        }
        #[cfg(not(unix))]
        let _ = is_new;
        Ok(())
    }
}

impl Debug for FileLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileLedger").field(&self.0).finish()
    }
}

impl ErasureLedger for FileLedger {
    fn append<'a>(&'a self, owner: &'a KeyOwner, at: Timestamp) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.add(&format!("{at} {owner} .")).map_err(|error| self.failed(error)) })
    }

    fn read(&self) -> BoxFuture<'_, Result<Vec<KeyOwner>>> {
        Box::pin(async move {
            let text = match std::fs::read_to_string(&self.0) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(self.failed(error)),
            };
            let mut owners = Vec::new();
            for line in text.split_inclusive('\n').filter(|line| line.trim() != "") {
                let owner = line.trim_end().strip_suffix(" .").and_then(|line| line.split_once(' '));
                let owner = owner.and_then(|(_, owner)| owner.parse::<KeyOwner>().ok());
                match owner {
                    Some(owner) => owners.push(owner),
                    // It was never answered for.
                    None => {
                        tracing::warn!(ledger = %self.0.display(), "a line of the erasure ledger was cut off")
                    }
                }
            }
            Ok(owners)
        })
    }
}

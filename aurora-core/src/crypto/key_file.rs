use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::{Code, Error, Result, Secret};

use super::provider::root_id;

const PREFIX: &str = "aurora-key-1";
/// A key file is one line of under a hundred bytes; whatever is larger is not one.
const MAX_BYTES: u64 = 4096;
/// Sealed with a passphrase they still fit.
const MOST_ROOTS: usize = 32;

/// Root keys in their text form, `aurora-key-1:<32 bytes, base64url>:<checksum>` each, a line apart. The first wraps;
/// the others open what they wrapped before it came.
///
/// The checksum (six bytes of SHA-256) tells a mistyped or cut key from a wrong one.
pub struct KeyFile(Vec<Zeroizing<[u8; 32]>>);

impl KeyFile {
    /// Makes a new root key in a new file at `path`, mode 0600, and waits until file and folder are on disk.
    ///
    /// [`Code::Configuration`] when the file exists: a root key is never overwritten.
    pub fn create_new(path: &Path, entropy: &dyn Entropy) -> Result<Self> {
        let key = Self::made(entropy)?;
        create_text(path, &key.to_text(), entropy)?;
        Ok(key)
    }

    /// Reads the root key at `path`. [`Code::Configuration`], with the mend, when the file is missing, readable by
    /// others, cut or mistyped.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text).map_err(|error| {
            Error::new(Code::Configuration, format!("key file `{}`: {}", path.display(), error.message()))
        })
    }

    /// A new root key, nowhere but here.
    pub(super) fn made(entropy: &dyn Entropy) -> Result<Self> {
        Ok(Self(vec![Zeroizing::new(random(entropy)?)]))
    }

    /// Reads the text form, as from an environment variable: keys with white space between.
    pub fn parse(text: &str) -> Result<Self> {
        let keys: Vec<_> = text.split_whitespace().map(parse_one).collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(wrong("no root key is in it"));
        }
        Ok(Self(keys))
    }

    /// The text form, for a secret store or an environment variable: a line for each key.
    pub fn to_text(&self) -> Secret {
        let line = |root: &Zeroizing<[u8; 32]>| {
            let key = Zeroizing::new(URL_SAFE_NO_PAD.encode(root.as_slice()));
            format!("{PREFIX}:{}:{}", key.as_str(), checksum(root))
        };
        Secret::new(self.0.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    /// The public names of the keys, the current one first.
    pub fn ids(&self) -> Result<Vec<String>> {
        self.0.iter().map(|root| root_id(root)).collect()
    }

    /// The same with a new key in front, which wraps from now on. [`Code::ValidationFailed`] where it holds 32.
    pub fn rotated(&self, entropy: &dyn Entropy) -> Result<Self> {
        if self.0.len() >= MOST_ROOTS {
            let sentence =
                format!("the key file holds {MOST_ROOTS} root keys: `keys destroy` takes former ones out");
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        let mut keys = vec![Zeroizing::new(random(entropy)?)];
        keys.extend(self.0.iter().cloned());
        Ok(Self(keys))
    }

    /// The same without the key of that name. [`Code::ValidationFailed`] if it is the current one or not there.
    pub fn without(&self, id: &str) -> Result<Self> {
        let at = self.ids()?.iter().position(|known| known == id);
        match at {
            None | Some(0) => {
                let sentence =
                    format!("root key `{id}` is not one that was replaced: `keys list` names them");
                Err(Error::new(Code::ValidationFailed, sentence))
            }
            Some(at) => {
                let others = self.0.iter().enumerate().filter(|(place, _)| *place != at);
                Ok(Self(others.map(|(_, root)| root.clone()).collect()))
            }
        }
    }

    pub(super) fn roots(&self) -> &[Zeroizing<[u8; 32]>] {
        &self.0
    }
}

fn parse_one(text: &str) -> Result<Zeroizing<[u8; 32]>> {
    let mut parts = text.split(':');
    if parts.next() != Some(PREFIX) {
        return Err(wrong("not a root key (it begins with `aurora-key-1:`)"));
    }
    let (Some(key), Some(sum), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("root key is cut or has parts too many"));
    };
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(key).unwrap_or_default());
    let Ok(bytes) = <[u8; 32]>::try_from(bytes.as_slice()) else {
        return Err(wrong("root key is cut or mistyped"));
    };
    let root = Zeroizing::new(bytes);
    if !bool::from(checksum(&root).as_bytes().ct_eq(sum.as_bytes())) {
        return Err(wrong("root key has a wrong checksum"));
    }
    Ok(root)
}

fn wrong(what: &str) -> Error {
    Error::new(Code::Configuration, format!("{what}: restore it from its backup"))
}

fn checksum(root: &[u8; 32]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(PREFIX.as_bytes());
    context.update(root);
    URL_SAFE_NO_PAD.encode(context.finish().as_ref().get(..6).unwrap_or_default())
}

/// The text of a file that nobody else may read.
pub(super) fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        let mend = "restore it from where you keep it apart from the database; a new one opens nothing old. Before the \
                    first start, `keys create` makes it";
        Error::new(Code::Configuration, format!("cannot read key file `{shown}` ({error}): {mend}"))
            .with_source(error)
    })?;
    refuse_others(&file, path)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| {
        let sentence = format!("key file `{shown}` is not text: restore it from its backup");
        Error::new(Code::Configuration, sentence).with_source(error)
    })?;
    Ok(text)
}

/// Writes a new file and waits until it and its folder are on disk. What is there is never overwritten.
pub(super) fn create_text(path: &Path, text: &Secret, entropy: &dyn Entropy) -> Result<()> {
    let failed = |error: std::io::Error| {
        let sentence = format!("cannot create key file `{}`: {error}", path.display());
        Error::new(Code::Configuration, sentence).with_source(error)
    };
    // Written beside it and then linked: a start that is killed half way leaves no key file, not a cut one.
    let draft = draft_beside(path, entropy)?;
    write_new(&draft, text).map_err(failed)?;
    let linked = std::fs::hard_link(&draft, path);
    let removed = std::fs::remove_file(&draft);
    match linked {
        Ok(()) => removed.map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
        // A file system without links.
        Err(_) => write_new(path, text).map_err(failed)?,
    }
    sync_folder(path).map_err(failed)
}

/// Writes over a file, whole or not at all.
pub(super) fn replace_text(path: &Path, text: &Secret, entropy: &dyn Entropy) -> Result<()> {
    let failed = |error: std::io::Error| {
        let sentence = format!("cannot write key file `{}`: {error}", path.display());
        Error::new(Code::Configuration, sentence).with_source(error)
    };
    let draft = draft_beside(path, entropy)?;
    write_new(&draft, text).map_err(failed)?;
    if let Err(error) = std::fs::rename(&draft, path) {
        drop(std::fs::remove_file(&draft));
        return Err(failed(error));
    }
    sync_folder(path).map_err(failed)
}

fn write_new(path: &Path, text: &Secret) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let line = Zeroizing::new(format!("{}\n", text.expose()));
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// A name beside the file, for what becomes the file once it is whole.
fn draft_beside(path: &Path, entropy: &dyn Entropy) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = u64::from_le_bytes(random(entropy)?);
    Ok(path.with_file_name(format!(".{name}.{number:016x}")))
}

/// Waits until the names in the file's folder are on disk.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    #[cfg(unix)]
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile(..)")
    }
}

#[cfg(unix)]
fn refuse_others(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(Error::internal)?.permissions().mode();
    if mode & 0o077 != 0 {
        let shown = path.display();
        let text =
            format!("key file `{shown}` is open to others (mode {:o}): chmod 600 {shown}", mode & 0o777);
        return Err(Error::new(Code::Configuration, text));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_others(_file: &File, _path: &Path) -> Result<()> {
    Ok(())
}

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::{Code, Error, Result, Secret, Timestamp};

use super::cipher::{AwsLc, Cipher};
use super::key_file::{create_text, read_text, replace_text};
use super::{KeyFile, Suite, chunked};

const PREFIX: &str = "aurora-sealed-key-1";
/// RFC 9106's second recommended option, with one lane: 64 MiB, three passes.
const COST: Cost = Cost { memory_kib: 65_536, passes: 3, lanes: 1 };
/// What a file may ask for; more is not ours and would be a way to stop a start.
const MOST: Cost = Cost { memory_kib: 1 << 18, passes: 8, lanes: 4 };
/// The shortest passphrase: a word falls to a dictionary whatever it costs to try one.
const SHORTEST: usize = 16;

/// Where root keys lie: a file, as it is or sealed with a passphrase.
///
/// Sealed it is one line, `aurora-sealed-key-1:<KiB>,<passes>,<lanes>:<salt>:<sealed>`: a Cobblestone-256 message of the
/// key file's text under Argon2id (RFC 9106) of the passphrase. Whoever has the file has to guess the passphrase, at
/// 64 MiB and a tenth of a second each.
#[derive(Clone)]
pub struct KeyPlace {
    path: PathBuf,
    passphrase: Option<Secret>,
}

/// A key file that is held: see [`KeyPlace::hold`]. Dropped, it is free.
#[derive(Debug)]
pub struct Held {
    _lock: std::fs::File,
}

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KeyPlace {
    /// The file at `path`, as it is.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), passphrase: None }
    }

    /// The file at `path`, sealed with a passphrase of at least sixteen characters.
    pub fn with_passphrase(path: impl AsRef<Path>, passphrase: Secret) -> Result<Self> {
        if passphrase.expose().chars().count() < SHORTEST {
            let sentence =
                format!("the key file's passphrase has fewer than {SHORTEST} characters: take several words");
            return Err(Error::new(Code::Configuration, sentence));
        }
        Ok(Self { path: path.as_ref().to_owned(), passphrase: Some(passphrase) })
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a new root key in a new file. What is there is never overwritten.
    pub fn create_new(&self, entropy: &dyn Entropy) -> Result<KeyFile> {
        let key = KeyFile::made(entropy)?;
        create_text(&self.path, &self.text(&key, entropy)?, entropy)?;
        Ok(key)
    }

    /// Reads the root keys. [`Code::Configuration`], with the mend, for what [`KeyFile::read`] refuses, a wrong
    /// passphrase, and a file that is sealed where none is given or the other way round.
    pub fn read(&self) -> Result<KeyFile> {
        let Some(passphrase) = &self.passphrase else {
            let text = read_text(&self.path)?;
            if text.starts_with(PREFIX) {
                return Err(self.wrong(
                    "is sealed with a passphrase: give it with .key_place(KeyPlace::with_passphrase(..))",
                ));
            }
            return KeyFile::read(&self.path);
        };
        let text = read_text(&self.path)?;
        if !text.starts_with(PREFIX) {
            return Err(self
                .wrong("is not sealed, and a passphrase was given: leave it out, or write the file with KeyPlace::replace"));
        }
        let opened = opened(text.trim(), passphrase).ok_or_else(|| {
            self.wrong("does not open: the passphrase is another, or the file is damaged; restore it from its backup")
        })?;
        KeyFile::parse(&opened).map_err(|error| self.wrong(error.message()))
    }

    /// Holds the file for one who changes it, in whatever process: read, replace and what follows from it are one step.
    /// [`Code::OverCapacity`] while another does.
    pub fn hold(&self) -> Result<Held> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".lock");
        let failed = |error: std::io::Error| {
            let sentence = format!("cannot lock key file `{}`: {error}", self.path.display());
            Error::new(Code::Configuration, sentence).with_source(error)
        };
        let mut options = std::fs::OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(PathBuf::from(name)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Held { _lock: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Error::overloaded(5).with_source("the key file is being changed by another process"))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// What tells whether the file was changed: length and moment.
    pub(super) fn mark(&self) -> Option<(u64, SystemTime)> {
        let about = std::fs::metadata(&self.path).ok()?;
        Some((about.len(), about.modified().ok()?))
    }

    /// When it was written last.
    pub(crate) fn changed_at(&self) -> Option<Timestamp> {
        let (_, at) = self.mark()?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok().map(Timestamp::from_seconds)
    }

    /// Writes over the file, whole or not at all.
    pub fn replace(&self, key: &KeyFile, entropy: &dyn Entropy) -> Result<()> {
        replace_text(&self.path, &self.text(key, entropy)?, entropy)
    }

    fn text(&self, key: &KeyFile, entropy: &dyn Entropy) -> Result<Secret> {
        match &self.passphrase {
            None => Ok(key.to_text()),
            Some(passphrase) => sealed(&key.to_text(), passphrase, entropy),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(Code::Configuration, format!("key file `{}` {what}", self.path.display()))
    }
}

impl fmt::Debug for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPlace").field("path", &self.path).finish_non_exhaustive()
    }
}

fn sealed(text: &Secret, passphrase: &Secret, entropy: &dyn Entropy) -> Result<Secret> {
    let salt: [u8; 16] = random(entropy)?;
    let key = derived(passphrase, &salt, COST).ok_or_else(|| Error::internal("key derivation failed"))?;
    let head = head(COST, &salt);
    let mut out = Vec::new();
    let (with, text) = ((Suite::Cobblestone256, &AwsLc as &dyn Cipher), text.expose().as_bytes());
    chunked::seal_into(&mut out, with, &key, &random(entropy)?, head.as_bytes(), text)?;
    Ok(Secret::new(format!("{head}:{}", URL_SAFE_NO_PAD.encode(out))))
}

fn opened(text: &str, passphrase: &Secret) -> Option<Zeroizing<String>> {
    let (head, sealed) = text.rsplit_once(':')?;
    let mut parts = head.split(':').skip(1);
    let (costs, salt) = (parts.next()?, parts.next()?);
    let mut costs = costs.split(',').map(|number| number.parse::<u32>().ok());
    let cost = Cost { memory_kib: costs.next()??, passes: costs.next()??, lanes: costs.next()?? };
    let within = cost.memory_kib <= MOST.memory_kib && cost.passes <= MOST.passes && cost.lanes <= MOST.lanes;
    let salt: [u8; 16] = URL_SAFE_NO_PAD.decode(salt).ok()?.try_into().ok()?;
    // What is derived has to be from exactly this head: it is the message's context.
    if !within || self::head(cost, &salt) != head {
        return None;
    }
    let key = derived(passphrase, &salt, cost)?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let opened = chunked::open((Suite::Cobblestone256, &AwsLc), &key, head.as_bytes(), &sealed).ok()?;
    Some(Zeroizing::new(String::from_utf8(opened.expose().to_vec()).ok()?))
}

fn head(cost: Cost, salt: &[u8; 16]) -> String {
    let Cost { memory_kib, passes, lanes } = cost;
    format!("{PREFIX}:{memory_kib},{passes},{lanes}:{}", URL_SAFE_NO_PAD.encode(salt))
}

fn derived(passphrase: &Secret, salt: &[u8; 16], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.expose().as_bytes(), salt, key.as_mut_slice()).ok()?;
    Some(key)
}

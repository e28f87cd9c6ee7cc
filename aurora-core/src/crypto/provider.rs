use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::{BoxFuture, Code, Error, Result, Secret};

use super::cipher::{AwsLc, does_not_open};
use super::{KeyFile, KeyPlace, SecretBytes, Suite, chunked, kdf};

/// Holds the root key, or talks to what holds it, and wraps data keys under it.
///
/// Root keys live outside the database. `context` names the data key (its id, purpose and owner) and must be bound to
/// the wrapped form: unwrapping with another context must fail.
///
/// Implementations: [`KeyFileProvider`], [`KeyTextProvider`], and `VaultProvider` over a network (cargo feature `vault`).
pub trait KeyProvider: Send + Sync + Debug {
    /// A short public name of the root key that wraps now, up to 64 bytes of ASCII. Another root has another name.
    fn current_id(&self) -> String;

    /// Reads the root keys again from where they are kept, if they changed there: another may be current by now.
    fn reload(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Encrypts `data_key` under the current root key.
    fn wrap<'a>(&'a self, data_key: &'a [u8; 32], context: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>>;

    /// Decrypts what [`KeyProvider::wrap`] gave while the root key of that name was current.
    ///
    /// # Errors
    /// [`Code::Configuration`] where no root key of that name is held; [`Code::UnexpectedFailure`] where what is wrapped
    /// does not open under it.
    fn unwrap<'a>(
        &'a self,
        root: &'a str,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<SecretBytes>>;
}

/// The root keys from a file outside the database: see [`KeyFile`]. The file is read again when the database names a
/// root key that it did not hold, so that a rotation reaches services that run.
#[derive(Debug)]
pub struct KeyFileProvider(Local);

impl KeyFileProvider {
    /// Reads the file at `path`; [`KeyFile::read`] says what it refuses.
    pub fn open(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Self::at(KeyPlace::new(path), entropy)
    }

    /// Reads the file of that place, sealed with a passphrase or not. Sealed it takes a tenth of a second: not on a thread
    /// that serves.
    pub fn at(place: KeyPlace, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let seen = place.mark();
        let mut local = Local::new(&place.read()?, "file", entropy)?;
        local.place = Some(place);
        local.seen = RwLock::new(seen);
        Ok(Self(local))
    }

    /// From a key that was just made.
    pub fn new(key: &KeyFile, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self(Local::new(key, "file", entropy)?))
    }
}

/// The root keys from a text that the environment supplies: an environment variable, a secret store.
///
/// The text is that of a key file. The same key in a file and in a text is the same root key.
#[derive(Debug)]
pub struct KeyTextProvider(Local);

impl KeyTextProvider {
    /// Reads the text; [`KeyFile::parse`] says what it refuses.
    pub fn new(text: &Secret, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self(Local::new(&KeyFile::parse(text.expose())?, "text", entropy)?))
    }
}

macro_rules! provides {
    ($($name:ident)+) => {$(
        impl KeyProvider for $name {
            fn current_id(&self) -> String {
                self.0.current_id()
            }

            fn reload(&self) -> BoxFuture<'_, Result<()>> {
                Box::pin(self.0.reload())
            }

            fn wrap<'a>(&'a self, data_key: &'a [u8; 32], context: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
                Box::pin(async move { self.0.wrap(data_key, context) })
            }

            fn unwrap<'a>(
                &'a self,
                root: &'a str,
                wrapped: &'a [u8],
                context: &'a [u8],
            ) -> BoxFuture<'a, Result<SecretBytes>> {
                Box::pin(self.0.unwrap(root, wrapped, context))
            }
        }
    )+};
}

provides! { KeyFileProvider KeyTextProvider }

/// Reads or writes a key file on a thread of its own: a passphrase costs 64 MiB and a tenth of a second.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// Root keys in this process's memory.
struct Local {
    /// The first is the current one.
    roots: RwLock<Vec<Root>>,
    source: &'static str,
    place: Option<KeyPlace>,
    /// The file as it was when it was read last: one that did not change is not read again.
    seen: RwLock<Option<(u64, SystemTime)>>,
    entropy: Arc<dyn Entropy>,
}

/// Derived from a root key; the root itself is not kept.
#[derive(Clone)]
struct Root {
    id: String,
    wrapping: Zeroizing<[u8; 32]>,
}

impl Root {
    fn all(key: &KeyFile) -> Result<Vec<Self>> {
        key.roots().iter().map(Self::of).collect()
    }

    fn of(root: &Zeroizing<[u8; 32]>) -> Result<Self> {
        Ok(Self { id: root_id(root)?, wrapping: kdf::derive(root, "wrap data keys")? })
    }
}

/// The public name of a root key.
pub(super) fn root_id(root: &[u8; 32]) -> Result<String> {
    let name = kdf::derive(root, "key id")?;
    let hash = digest::digest(&digest::SHA256, name.as_slice());
    Ok(hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

impl Local {
    fn new(key: &KeyFile, source: &'static str, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self {
            roots: RwLock::new(Root::all(key)?),
            source,
            place: None,
            seen: RwLock::new(None),
            entropy,
        })
    }

    fn roots(&self) -> Vec<Root> {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn current_id(&self) -> String {
        self.roots().first().map(|root| root.id.clone()).unwrap_or_default()
    }

    fn wrap(&self, data_key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let salt = random(&*self.entropy)?;
        let roots = self.roots();
        let root = roots.first().ok_or_else(does_not_open)?;
        chunked::seal_into(
            &mut out,
            (Suite::Cobblestone256, &AwsLc),
            &root.wrapping,
            &salt,
            context,
            data_key,
        )?;
        Ok(out)
    }

    async fn unwrap(&self, root: &str, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes> {
        let root = self.root(root).await?;
        let key = chunked::open((Suite::Cobblestone256, &AwsLc), &root.wrapping, context, wrapped)?;
        if key.expose().len() == 32 { Ok(key) } else { Err(does_not_open()) }
    }

    async fn reload(&self) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        // Before the reading: a change while it is read is seen the next time.
        let mark = place.mark();
        if mark.is_some() && mark == *self.seen.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        let place = place.clone();
        let read = beside(move || Root::all(&place.read()?)).await?;
        *self.roots.write().unwrap_or_else(PoisonError::into_inner) = read;
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = mark;
        Ok(())
    }

    async fn root(&self, id: &str) -> Result<Root> {
        let held = |roots: Vec<Root>| roots.into_iter().find(|root| root.id == id);
        if let Some(root) = held(self.roots()) {
            return Ok(root);
        }
        // A rotation elsewhere may have added it. A file that cannot be read now leaves what is held alone.
        self.reload().await?;
        if let Some(root) = held(self.roots()) {
            return Ok(root);
        }
        let theirs: String = id.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let text = format!(
            "the database's keys belong to root key `{theirs}`, but `{}` was given: supply the key file that this \
             database was made with",
            self.current_id()
        );
        Err(Error::new(Code::Configuration, text))
    }
}

impl Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey")
            .field("id", &self.current_id())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

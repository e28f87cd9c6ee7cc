use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::{BoxFuture, Result, Secret};

use super::cipher::{AwsLc, does_not_open};
use super::{KeyFile, SecretBytes, chunked, kdf};

/// Holds the root key, or talks to what holds it, and wraps data keys under it.
///
/// The root key lives outside the database. `context` names the data key (its id and purpose) and must be bound to
/// the wrapped form: unwrapping with another context must fail.
///
/// Implementations: [`KeyFileProvider`], [`KeyTextProvider`].
pub trait KeyProvider: Send + Sync + Debug {
    /// A short public name of the root key in use, up to 64 bytes of ASCII. Another root has another name.
    fn current_id(&self) -> &str;

    /// Encrypts `data_key` under the root key.
    fn wrap<'a>(&'a self, data_key: &'a [u8; 32], context: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>>;

    /// Decrypts what [`KeyProvider::wrap`] gave.
    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> BoxFuture<'a, Result<SecretBytes>>;
}

/// The root key from a file outside the database: see [`KeyFile`].
#[derive(Debug)]
pub struct KeyFileProvider(Local);

impl KeyFileProvider {
    /// Reads the file at `path`; [`KeyFile::read`] says what it refuses.
    pub fn open(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Self::new(&KeyFile::read(path)?, entropy)
    }

    /// From a key that was just made.
    pub fn new(key: &KeyFile, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self(Local::new(key, "file", entropy)?))
    }
}

/// The root key from a text that the environment supplies: an environment variable, a secret store.
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
            fn current_id(&self) -> &str {
                &self.0.id
            }

            fn wrap<'a>(&'a self, data_key: &'a [u8; 32], context: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
                Box::pin(async move { self.0.wrap(data_key, context) })
            }

            fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> BoxFuture<'a, Result<SecretBytes>> {
                Box::pin(async move { self.0.unwrap(wrapped, context) })
            }
        }
    )+};
}

provides! { KeyFileProvider KeyTextProvider }

/// A root key in this process's memory.
struct Local {
    id: String,
    source: &'static str,
    /// Derived from the root; the root itself is not kept.
    wrapping: Zeroizing<[u8; 32]>,
    entropy: Arc<dyn Entropy>,
}

impl Local {
    fn new(key: &KeyFile, source: &'static str, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let name = kdf::derive(key.root(), "key id")?;
        let hash = digest::digest(&digest::SHA256, name.as_slice());
        let id = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, source, wrapping: kdf::derive(key.root(), "wrap data keys")?, entropy })
    }

    fn wrap(&self, data_key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let salt = random(&*self.entropy)?;
        chunked::seal_into(&mut out, &AwsLc, &self.wrapping, &salt, context, data_key)?;
        Ok(out)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes> {
        let key = chunked::open(&AwsLc, &self.wrapping, context, wrapped)?;
        if key.expose().len() == 32 { Ok(key) } else { Err(does_not_open()) }
    }
}

impl Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey").field("id", &self.id).field("source", &self.source).finish_non_exhaustive()
    }
}

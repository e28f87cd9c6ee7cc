use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::env::{Clock, Entropy, random};
use crate::types::{Code, Error, Result};

use super::cipher::{AwsLc, Cipher, does_not_open};
use super::{KeyProvider, KeyStore, Purpose, SecretBytes, WrappedKey, chunked, kdf};

const MAGIC: &[u8; 2] = b"AU";
const FORMAT: u8 = 1;
/// Cobblestone-256 under a data key.
const SUITE: u8 = 1;
/// None is defined yet; a value with one set is from a newer Aurora.
const FLAGS: u8 = 0;
const HEADER: usize = 9;

/// The data keys, unwrapped: seals values, opens them, and hashes what must be looked up. Cheap to clone.
///
/// A sealed value: `"AU" | format u8 | suite u8 | data key u32 BE | flags u8 | Cobblestone-256 message`, with the
/// header, the purpose and the length-framed parts of the context as the message's context. It is 81 bytes longer
/// than its plaintext, and 16 more per 16 KiB.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    keys: HashMap<u32, DataKey>,
    /// Per purpose, in the order of [`Purpose::ALL`].
    current: [Current; Purpose::ALL.len()],
    cipher: Arc<dyn Cipher>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Clone)]
struct DataKey {
    purpose: Purpose,
    key: Zeroizing<[u8; 32]>,
}

/// The keys that new work of one purpose uses.
#[derive(Clone)]
struct Current {
    /// The newest key seals.
    seal_id: u32,
    seal: Zeroizing<[u8; 32]>,
    /// The oldest key's derivative hashes: what was hashed must be found again after a rotation.
    mac: Zeroizing<[u8; 32]>,
}

impl Current {
    fn of(purpose: Purpose, keys: &HashMap<u32, DataKey>) -> Result<Self> {
        let ids = || keys.iter().filter(|(_, key)| key.purpose == purpose);
        let missing = || Error::internal("a purpose has no data key");
        let (_, oldest) = ids().min_by_key(|(id, _)| **id).ok_or_else(missing)?;
        let (seal_id, newest) = ids().max_by_key(|(id, _)| **id).ok_or_else(missing)?;
        let mac = kdf::expand::<32>(&oldest.key, &[b"aurora keyed hash v1"])?;
        Ok(Self { seal_id: *seal_id, seal: newest.key.clone(), mac })
    }
}

impl Keyring {
    /// Unwraps every data key in `store` under the provider's root key, and makes the first key of each purpose
    /// where the store has none.
    ///
    /// [`Code::Configuration`] when the store holds keys of another root: a new key is never made in their place.
    pub async fn open(
        provider: &dyn KeyProvider,
        store: &dyn KeyStore,
        clock: &dyn Clock,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let mut keys = HashMap::new();
        for wrapped in store.load_all().await? {
            keys.insert(wrapped.id, unwrap(provider, &wrapped).await?);
        }
        for purpose in Purpose::ALL {
            if keys.values().any(|key: &DataKey| key.purpose == purpose) {
                continue;
            }
            let made = make(provider, purpose, clock, &*entropy).await?;
            let id = made.id;
            if let Err(error) = store.insert(made).await {
                // Another process may have been first; then its key is the key.
                let theirs = store.load_all().await?.into_iter().find(|key| key.id == id);
                keys.insert(id, unwrap(provider, &theirs.ok_or(error)?).await?);
                continue;
            }
            // Read back: a store that kept something else must fail now, not at the next start.
            let kept = store.load_all().await?.into_iter().find(|key| key.id == id);
            let kept = kept.ok_or_else(|| Error::internal("key store lost a key it accepted"))?;
            keys.insert(id, unwrap(provider, &kept).await?);
        }
        let [signing, session, password, audit, credential] =
            Purpose::ALL.map(|purpose| Current::of(purpose, &keys));
        let current = [signing?, session?, password?, audit?, credential?];
        Ok(Self(Arc::new(Inner { keys, current, cipher: Arc::new(AwsLc), entropy })))
    }

    /// The same keys with another implementation of the cipher.
    #[must_use]
    pub fn with_cipher(&self, cipher: Arc<dyn Cipher>) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            keys: inner.keys.clone(),
            current: inner.current.clone(),
            cipher,
            entropy: Arc::clone(&inner.entropy),
        }))
    }

    /// Seals `plaintext` for what `context` names: say `[b"auth_keys", b"private", kid]`.
    pub fn seal(&self, purpose: Purpose, context: &[&[u8]], plaintext: &[u8]) -> Result<Vec<u8>> {
        let Current { seal_id, seal, .. } = self.current(purpose);
        let salt = random(&*self.0.entropy)?;
        let mut out = Vec::with_capacity(HEADER + 72 + plaintext.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[FORMAT, SUITE]);
        out.extend_from_slice(&seal_id.to_be_bytes());
        out.push(FLAGS);
        let context = message_context(&out, purpose, context);
        chunked::seal_into(&mut out, &*self.0.cipher, seal, &salt, &context, plaintext)?;
        Ok(out)
    }

    /// Opens what [`Keyring::seal`] gave for the same purpose and context. One error, whatever is wrong.
    pub fn unseal(&self, purpose: Purpose, context: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes> {
        let (header, message) = sealed.split_first_chunk::<HEADER>().ok_or_else(does_not_open)?;
        let [a, u, format, suite, id @ .., flags] = header;
        let known = [*a, *u] == *MAGIC && (*format, *suite, *flags) == (FORMAT, SUITE, FLAGS);
        let key = self.0.keys.get(&u32::from_be_bytes(*id)).filter(|key| known && key.purpose == purpose);
        let key = key.ok_or_else(does_not_open)?;
        let context = message_context(header, purpose, context);
        chunked::open(&*self.0.cipher, &key.key, &context, message)
    }

    /// HMAC-SHA-256 of `data` for the use that `label` names, under a key that no copy of the database holds.
    ///
    /// Each part counts with its length. The same input gives the same hash for as long as the root key lives:
    /// rotation of data keys leaves hashes alone, and so does wrapping them under a new root.
    pub fn mac(&self, purpose: Purpose, label: &str, data: &[&[u8]]) -> [u8; 32] {
        let mut parts = Vec::with_capacity(data.len() + 1);
        parts.push(label.as_bytes());
        parts.extend_from_slice(data);
        kdf::mac(&self.current(purpose).mac, &parts)
    }

    fn current(&self, purpose: Purpose) -> &Current {
        let [signing, session, password, audit, credential] = &self.0.current;
        match purpose {
            Purpose::Signing => signing,
            Purpose::Session => session,
            Purpose::Password => password,
            Purpose::Audit => audit,
            Purpose::Credential => credential,
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.0.keys.len()).finish_non_exhaustive()
    }
}

fn message_context(header: &[u8], purpose: Purpose, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = header.to_vec();
    context.extend(kdf::framed(&[purpose.as_str().as_bytes()]));
    context.extend(kdf::framed(parts));
    context
}

fn wrap_context(root: &str, id: u32, purpose: Purpose) -> Vec<u8> {
    kdf::framed(&[b"aurora data key v1", root.as_bytes(), &id.to_be_bytes(), purpose.as_str().as_bytes()])
}

async fn make(
    provider: &dyn KeyProvider,
    purpose: Purpose,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<WrappedKey> {
    let key = Zeroizing::new(random::<32>(entropy)?);
    let (id, root) = (purpose.first_id(), provider.current_id());
    let length = u8::try_from(root.len()).map_err(|_| Error::internal("root key id too long"))?;
    let mut wrapped = vec![length];
    wrapped.extend_from_slice(root.as_bytes());
    wrapped.extend(provider.wrap(&key, &wrap_context(root, id, purpose)).await?);
    Ok(WrappedKey { id, purpose, wrapped, created: clock.now() })
}

async fn unwrap(provider: &dyn KeyProvider, key: &WrappedKey) -> Result<DataKey> {
    let damaged = || {
        let text =
            format!("data key {} ({}) is damaged: restore the database's keys table", key.id, key.purpose);
        Error::new(Code::Configuration, text)
    };
    let (length, rest) = key.wrapped.split_first().ok_or_else(damaged)?;
    let (root, wrapped) = rest.split_at_checked(usize::from(*length)).ok_or_else(damaged)?;
    let ours = provider.current_id();
    if root != ours.as_bytes() {
        let theirs = String::from_utf8_lossy(root);
        let theirs: String = theirs.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let text = format!(
            "the database's keys belong to root key `{theirs}`, but `{ours}` was given: supply the key file that \
             this database was made with"
        );
        return Err(Error::new(Code::Configuration, text));
    }
    let opened = provider.unwrap(wrapped, &wrap_context(ours, key.id, key.purpose)).await;
    let opened = opened.map_err(|error| damaged().with_source(error))?;
    let bytes = <[u8; 32]>::try_from(opened.expose()).map_err(|_| damaged())?;
    Ok(DataKey { purpose: key.purpose, key: Zeroizing::new(bytes) })
}

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use moka::sync::Cache;
use zeroize::Zeroizing;

use crate::env::{Clock, Entropy, random};
use crate::store::KeyRow;
use crate::types::{Code, Error, Result};

use super::cipher::{AwsLc, Cipher, does_not_open};
use super::data_key::{Header, Sealing};
use super::database_keys::row;
use super::{
    Context, DataKey, KeyOwner, KeyProvider, KeyState, KeyStore, Purpose, SecretBytes, Suite, WrappedKey, kdf,
};

/// How long a key of a tenant, a user or a purpose that not everybody needs is held after it was unwrapped.
const HELD: Duration = Duration::from_secs(300);
/// At most so many of them.
const MOST: u64 = 10_000;
/// Numbers below are for the first keys of our own purposes.
pub(crate) const FIRST_FREE: u32 = 16;
/// How often a number is drawn again when other processes were faster.
pub(crate) const TRIES: usize = 16;

/// The data keys, unwrapped: seals values, opens them, and hashes what must be looked up. Cheap to clone.
///
/// Keys of Aurora's own purposes are in memory as long as the ring is. Those of tenants and users, and those for a
/// host's cells and files, are unwrapped when they are asked for ([`Keyring::data_key`], [`Keyring::key_of`]) and held
/// for five minutes.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    provider: Arc<dyn KeyProvider>,
    store: RwLock<Arc<dyn KeyStore>>,
    own: RwLock<Arc<Own>>,
    /// The others, by their numbers, and the numbers of those that are active.
    lent: Cache<u32, DataKey>,
    active: Cache<(KeyOwner, Purpose), DataKey>,
    sealing: Sealing,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The keys of our own purposes.
struct Own {
    keys: HashMap<u32, DataKey>,
    /// Per purpose, in the order of [`Purpose::OWN`].
    current: [Current; Purpose::OWN.len()],
}

/// The keys that new work of one purpose uses.
#[derive(Clone)]
struct Current {
    /// The active one.
    seal: DataKey,
    /// The oldest key's derivative hashes: what was hashed must be found again after a rotation.
    mac: Zeroizing<[u8; 32]>,
}

impl Own {
    fn new(keys: HashMap<u32, DataKey>, wrapped: &[WrappedKey]) -> Result<Self> {
        let current = |purpose: Purpose| {
            let missing = || Error::internal("a purpose has no data key");
            let active = wrapped.iter().find(|key| key.purpose == purpose && key.state == KeyState::Active);
            let seal = active.and_then(|key| keys.get(&key.id)).ok_or_else(missing)?;
            let of_purpose = keys.values().filter(|key| key.purpose() == purpose);
            let oldest = of_purpose.min_by_key(|key| key.id()).ok_or_else(missing)?;
            Ok(Current { seal: seal.clone(), mac: oldest.hashing()? })
        };
        let [signing, session, password, audit, credential] = Purpose::OWN.map(current);
        let current = [signing?, session?, password?, audit?, credential?];
        Ok(Self { keys, current })
    }
}

impl Keyring {
    /// Unwraps the keys of our own purposes under the provider's root key, and makes the first key of each purpose where
    /// the store has none.
    ///
    /// [`Code::Configuration`] when the store holds keys of another root: a new key is never made in their place.
    pub async fn open(
        provider: Arc<dyn KeyProvider>,
        store: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let sealing = Sealing { suite: Suite::default(), cipher: Arc::new(AwsLc) };
        let forge = Forge { provider, sealing, clock, entropy };
        let mut wrapped = store.of_owner(&KeyOwner::Service).await?;
        for purpose in Purpose::OWN {
            let Some(id) = purpose.first_id() else { continue };
            if wrapped.iter().any(|key| key.purpose == purpose) {
                continue;
            }
            let made = forge.make(id, purpose, KeyOwner::Service, KeyState::Active).await?;
            // Another process may have been first; then its key is the key. And whatever the store kept is read back: one
            // that kept something else must fail now, not at the next start.
            store.insert(made).await?;
            let kept = store.find(id).await?;
            wrapped.push(kept.ok_or_else(|| Error::internal("key store lost a key it accepted"))?);
        }
        let own = forge.own(HashMap::new(), &wrapped).await?;
        let Forge { provider, sealing, clock, entropy } = forge;
        Ok(Self(Arc::new(Inner {
            provider,
            store: RwLock::new(store),
            own: RwLock::new(Arc::new(own)),
            lent: held(),
            active: held(),
            sealing,
            clock,
            entropy,
        })))
    }

    /// The same keys with another implementation of the cipher.
    #[must_use]
    pub fn with_cipher(&self, cipher: Arc<dyn Cipher>) -> Self {
        self.sealing(Sealing { suite: self.0.sealing.suite, cipher })
    }

    /// The same keys; new values are sealed by that suite. What another one sealed opens as before.
    #[must_use]
    pub fn with_suite(&self, suite: Suite) -> Self {
        self.sealing(Sealing { suite, cipher: Arc::clone(&self.0.sealing.cipher) })
    }

    fn sealing(&self, sealing: Sealing) -> Self {
        let (inner, own) = (&self.0, self.own());
        let keys = own.keys.iter().map(|(id, key)| (*id, key.sealing(sealing.clone()))).collect();
        let again = |current: &Current| Current {
            seal: current.seal.sealing(sealing.clone()),
            mac: current.mac.clone(),
        };
        let own = Own { keys, current: own.current.each_ref().map(again) };
        Self(Arc::new(Inner {
            provider: Arc::clone(&inner.provider),
            store: RwLock::new(self.store()),
            own: RwLock::new(Arc::new(own)),
            lent: held(),
            active: held(),
            clock: Arc::clone(&inner.clock),
            entropy: Arc::clone(&inner.entropy),
            sealing,
        }))
    }

    /// From now on the wrapped keys are asked of that store: where the one it was opened with served the start alone.
    pub fn move_to(&self, store: Arc<dyn KeyStore>) {
        *self.0.store.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// Reads what became of the keys of our own purposes meanwhile, in this process or another, and drops those of others
    /// that were held long enough.
    pub async fn reload(&self) -> Result<()> {
        let wrapped = self.store().of_owner(&KeyOwner::Service).await?;
        let known = self.own().keys.clone();
        let own = self.forge().own(known, &wrapped).await?;
        *self.0.own.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
        self.0.lent.run_pending_tasks();
        // Which key seals is asked anew: another may have taken over, or been destroyed.
        self.0.active.invalidate_all();
        Ok(())
    }

    /// Seals a secret of Aurora's own ([`Context::Own`]).
    pub fn seal(&self, context: &Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        self.with_current(context.purpose(), |current| current.seal.seal(context, plaintext))?
    }

    /// Opens what [`Keyring::seal`] gave for the same place. One error, whatever is wrong.
    pub fn unseal(&self, context: &Context<'_>, sealed: &[u8]) -> Result<SecretBytes> {
        let (header, _) = Header::split(sealed)?;
        let own = self.own();
        own.keys.get(&header.key()).ok_or_else(does_not_open)?.unseal(context, sealed)
    }

    /// HMAC-SHA-256 of `data` for the use that `label` names, under a key that no copy of the database holds.
    ///
    /// Each part counts with its length. The same input gives the same hash for as long as the root key lives:
    /// rotation of data keys leaves hashes alone, and so does wrapping them under a new root.
    pub fn mac(&self, purpose: Purpose, label: &str, data: &[&[u8]]) -> [u8; 32] {
        let mut parts = Vec::with_capacity(data.len() + 1);
        parts.push(label.as_bytes());
        parts.extend_from_slice(data);
        let own = self.own();
        let [signing, session, password, audit, credential] = &own.current;
        let current = match purpose {
            Purpose::Signing => signing,
            Purpose::Session => session,
            Purpose::Password => password,
            Purpose::Audit => audit,
            // The others have no key in memory; their labels keep them apart.
            Purpose::Credential | Purpose::Field | Purpose::File | Purpose::Index => credential,
        };
        kdf::mac(&current.mac, &parts)
    }

    /// The key that seals for that owner and purpose. It is made when there is none yet.
    pub async fn data_key(&self, owner: &KeyOwner, purpose: Purpose) -> Result<DataKey> {
        if *owner == KeyOwner::Service && Purpose::OWN.contains(&purpose) {
            return self.with_current(purpose, |current| current.seal.clone());
        }
        let wanted = (owner.clone(), purpose);
        if let Some(key) = self.0.active.get(&wanted) {
            return Ok(key);
        }
        let key = self.find_or_make(owner, purpose).await?;
        self.0.active.insert(wanted, key.clone());
        Ok(key)
    }

    /// The key that a sealed value names in its header: its first nine bytes suffice.
    ///
    /// # Errors
    /// [`Code::KeyDestroyed`] where it was destroyed; [`Code::KeyMissing`] where the database has no key of that number.
    pub async fn key_of(&self, sealed: &[u8]) -> Result<DataKey> {
        let (header, _) = Header::split(sealed)?;
        self.key(header.key()).await
    }

    /// The key of that number.
    pub(crate) async fn key(&self, id: u32) -> Result<DataKey> {
        let known = self.own().keys.get(&id).cloned().or_else(|| self.0.lent.get(&id));
        if let Some(key) = known {
            return Ok(key);
        }
        let Some(wrapped) = self.store().find(id).await? else {
            return Err(Error::new(Code::KeyMissing, format!("data key {id} is not in the database")));
        };
        if wrapped.state == KeyState::Destroyed {
            return Err(Error::new(Code::KeyDestroyed, "the key of this data was destroyed"));
        }
        let key = self.forge().unwrap(&wrapped).await?;
        self.0.lent.insert(id, key.clone());
        Ok(key)
    }

    /// Wipes what is held of others' keys: the next who asks reads the store.
    pub fn forget(&self) {
        self.0.lent.invalidate_all();
        self.0.active.invalidate_all();
        self.0.lent.run_pending_tasks();
        self.0.active.run_pending_tasks();
    }

    async fn find_or_make(&self, owner: &KeyOwner, purpose: Purpose) -> Result<DataKey> {
        let (store, forge) = (self.store(), self.forge());
        for _ in 0..TRIES {
            let known = store.of_owner(owner).await?;
            let of_purpose = |key: &&WrappedKey| key.purpose == purpose;
            if let Some(active) = known.iter().filter(of_purpose).find(|key| key.state == KeyState::Active) {
                if let Some(held) = self.0.lent.get(&active.id) {
                    return Ok(held);
                }
                let key = forge.unwrap(active).await?;
                self.0.lent.insert(key.id(), key.clone());
                return Ok(key);
            }
            // An owner whose keys were all destroyed is one who was erased: nothing new is sealed for them.
            if !known.is_empty() && known.iter().all(|key| key.state == KeyState::Destroyed) {
                return Err(Error::new(Code::KeyDestroyed, "the keys of this owner were destroyed"));
            }
            let newest = store.newest().await?.max(FIRST_FREE - 1);
            let id =
                newest.checked_add(1).ok_or_else(|| Error::internal("no number is left for a data key"))?;
            let made = forge.make(id, purpose, owner.clone(), KeyState::Active).await?;
            // Read back in the next round, whoever was first.
            store.insert(made).await?;
        }
        Err(Error::overloaded(1))
    }

    fn own(&self) -> Arc<Own> {
        Arc::clone(&self.0.own.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::clone(&self.0.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What holds the root key.
    pub(crate) fn provider(&self) -> &Arc<dyn KeyProvider> {
        &self.0.provider
    }

    /// The next key of that owner and purpose, pending, as it is stored.
    pub(crate) async fn make(&self, id: u32, purpose: Purpose, owner: KeyOwner) -> Result<KeyRow> {
        self.forge().make(id, purpose, owner, KeyState::Pending).await.map(row)
    }

    /// The same key under the root key that is current now; `None` if it is that already.
    pub(crate) async fn rewrapped(&self, key: &WrappedKey) -> Result<Option<Vec<u8>>> {
        self.forge().rewrap(key).await
    }

    fn forge(&self) -> Forge {
        let Inner { provider, sealing, clock, entropy, .. } = &*self.0;
        Forge {
            provider: Arc::clone(provider),
            sealing: sealing.clone(),
            clock: Arc::clone(clock),
            entropy: Arc::clone(entropy),
        }
    }

    fn with_current<T>(&self, purpose: Purpose, work: impl FnOnce(&Current) -> T) -> Result<T> {
        let own = self.own();
        let at = Purpose::OWN.iter().position(|own| *own == purpose).ok_or_else(does_not_open)?;
        own.current.get(at).map(work).ok_or_else(does_not_open)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.own().keys.len()).finish_non_exhaustive()
    }
}

fn held<K: std::hash::Hash + Eq + Send + Sync + 'static>() -> Cache<K, DataKey> {
    Cache::builder().max_capacity(MOST).time_to_live(HELD).build()
}

/// What keys are made and unwrapped with.
struct Forge {
    provider: Arc<dyn KeyProvider>,
    sealing: Sealing,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Forge {
    /// A new key, wrapped. It is nobody's yet.
    async fn make(&self, id: u32, purpose: Purpose, owner: KeyOwner, state: KeyState) -> Result<WrappedKey> {
        let key = Zeroizing::new(random::<32>(&*self.entropy)?);
        let wrapped = self.wrap(&key, (id, purpose, &owner)).await?;
        Ok(WrappedKey { id, purpose, owner, state, wrapped, created: self.clock.now(), changed: None })
    }

    async fn wrap(&self, key: &[u8; 32], what: (u32, Purpose, &KeyOwner)) -> Result<Vec<u8>> {
        let mut root = self.provider.current_id();
        let mut bound = self.provider.wrap(key, &wrap_context(&root, what)).await?;
        // The root may have been replaced in between: then it is not known which of them wrapped.
        for _ in 0..TRIES {
            let current = self.provider.current_id();
            if current == root {
                break;
            }
            root = current;
            bound = self.provider.wrap(key, &wrap_context(&root, what)).await?;
        }
        let length = u8::try_from(root.len()).map_err(|_| Error::internal("root key id too long"))?;
        let mut wrapped = vec![length];
        wrapped.extend_from_slice(root.as_bytes());
        wrapped.extend(bound);
        Ok(wrapped)
    }

    /// The same key under the root key that is current now; `None` if it is that already.
    async fn rewrap(&self, key: &WrappedKey) -> Result<Option<Vec<u8>>> {
        if root_of(key)?.0 == self.provider.current_id() {
            return Ok(None);
        }
        let opened = self.open(key).await?;
        self.wrap(&opened, (key.id, key.purpose, &key.owner)).await.map(Some)
    }

    async fn unwrap(&self, key: &WrappedKey) -> Result<DataKey> {
        let bytes = self.open(key).await?;
        let what = (key.id, key.purpose, key.owner.clone());
        Ok(DataKey::new(what, bytes, self.sealing.clone(), Arc::clone(&self.entropy)))
    }

    async fn open(&self, key: &WrappedKey) -> Result<Zeroizing<[u8; 32]>> {
        let (root, wrapped) = root_of(key)?;
        let context = wrap_context(root, (key.id, key.purpose, &key.owner));
        let opened = self.provider.unwrap(root, wrapped, &context).await;
        // What is wrong with the root, or with reaching it, says the provider.
        let opened = opened.map_err(|error| match error.code() {
            Code::UnexpectedFailure => damaged(key).with_source(error),
            _ => error,
        })?;
        let bytes = <[u8; 32]>::try_from(opened.expose()).map_err(|_| damaged(key))?;
        Ok(Zeroizing::new(bytes))
    }

    /// The keys of our own purposes: those that are known, and those that are new.
    async fn own(&self, known: HashMap<u32, DataKey>, wrapped: &[WrappedKey]) -> Result<Own> {
        let mut keys = HashMap::with_capacity(wrapped.len());
        for key in wrapped {
            if !Purpose::OWN.contains(&key.purpose) || key.state == KeyState::Destroyed {
                continue;
            }
            let unwrapped = match known.get(&key.id) {
                Some(known) => known.clone(),
                None => self.unwrap(key).await?,
            };
            keys.insert(key.id, unwrapped);
        }
        Own::new(keys, wrapped)
    }
}

/// The id of the root key that a key is wrapped under, and what its provider gave.
pub(crate) fn root_of(key: &WrappedKey) -> Result<(&str, &[u8])> {
    let (length, rest) = key.wrapped.split_first().ok_or_else(|| damaged(key))?;
    let (root, wrapped) = rest.split_at_checked(usize::from(*length)).ok_or_else(|| damaged(key))?;
    Ok((std::str::from_utf8(root).map_err(|_| damaged(key))?, wrapped))
}

fn damaged(key: &WrappedKey) -> Error {
    let text = format!("data key {} ({}) is damaged: restore the database's keys table", key.id, key.purpose);
    Error::new(Code::Configuration, text)
}

fn wrap_context(root: &str, (id, purpose, owner): (u32, Purpose, &KeyOwner)) -> Vec<u8> {
    let (id, purpose) = (id.to_be_bytes(), purpose.as_str().as_bytes());
    match owner {
        KeyOwner::Service => kdf::framed(&[b"aurora data key v1", root.as_bytes(), &id, purpose]),
        owner => {
            let owner = owner.to_string();
            kdf::framed(&[b"aurora data key v1", root.as_bytes(), &id, purpose, owner.as_bytes()])
        }
    }
}

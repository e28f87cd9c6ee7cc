//! A key ring that lives in memory, for the tests of everything that hangs from one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::sync::{Arc, Mutex};

use aurora_core::crypto::{KeyFile, KeyOwner, KeyState, KeyStore, KeyTextProvider, Keyring, WrappedKey};
use aurora_core::env::{Entropy, SystemClock, SystemEntropy};
use aurora_core::session::token::{SigningKeyRecord, SigningKeyStore};
use aurora_core::types::{BoxFuture, Code, Error, Result};

/// Wrapped keys in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub Arc<Mutex<Vec<WrappedKey>>>);

impl KeyStore for Memory {
    fn of_owner<'a>(&'a self, owner: &'a KeyOwner) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        let theirs = |key: &&WrappedKey| key.owner == *owner;
        Box::pin(async move { Ok(self.0.lock().unwrap().iter().filter(theirs).cloned().collect()) })
    }

    fn find(&self, id: u32) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().iter().find(|key| key.id == id).cloned()) })
    }

    fn newest(&self) -> BoxFuture<'_, Result<u32>> {
        Box::pin(async { Ok(self.0.lock().unwrap().iter().map(|key| key.id).max().unwrap_or(0)) })
    }

    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let mut keys = self.0.lock().unwrap();
            let same = |known: &WrappedKey| {
                let lives = matches!(key.state, KeyState::Active | KeyState::Pending);
                let both = (known.state, &known.owner, known.purpose) == (key.state, &key.owner, key.purpose);
                known.id == key.id || (lives && both)
            };
            if keys.iter().any(same) {
                return Ok(false);
            }
            keys.push(key);
            Ok(true)
        })
    }
}

pub fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

/// A ring under a fresh root.
pub async fn ring(name: &str) -> Keyring {
    let path = std::env::temp_dir().join(format!("aurora-{}-{name}.key", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    let provider = KeyTextProvider::new(&key.to_text(), entropy()).unwrap();
    let store = Arc::new(Memory::default());
    Keyring::open(Arc::new(provider), store, Arc::new(SystemClock), entropy()).await.unwrap()
}

/// Signing keys in memory.
#[derive(Debug, Default)]
pub struct Signing(pub Mutex<Vec<SigningKeyRecord>>);

impl SigningKeyStore for Signing {
    fn load_all(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>>> {
        Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
    }

    fn insert(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut keys = self.0.lock().unwrap();
            if keys.iter().any(|known| known.id == key.id) {
                return Err(Error::new(Code::UniqueViolation, "taken"));
            }
            keys.push(key);
            Ok(())
        })
    }
}

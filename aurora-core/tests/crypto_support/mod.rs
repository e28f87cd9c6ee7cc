//! A key ring that lives in memory, for the tests of everything that hangs from one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::sync::{Arc, Mutex};

use aurora_core::crypto::{KeyFile, KeyStore, KeyTextProvider, Keyring, WrappedKey};
use aurora_core::env::{Entropy, SystemClock, SystemEntropy};
use aurora_core::session::token::{SigningKeyRecord, SigningKeyStore};
use aurora_core::types::{BoxFuture, Code, Error, Result};

/// Wrapped keys in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub Arc<Mutex<Vec<WrappedKey>>>);

impl KeyStore for Memory {
    fn load_all(&self) -> BoxFuture<'_, Result<Vec<WrappedKey>>> {
        Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
    }

    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<()>> {
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

pub fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

/// A ring under a fresh root.
pub async fn ring(name: &str) -> Keyring {
    let path = std::env::temp_dir().join(format!("aurora-{}-{name}.key", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    let provider = KeyTextProvider::new(&key.to_text(), entropy()).unwrap();
    Keyring::open(&provider, &Memory::default(), &SystemClock, entropy()).await.unwrap()
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

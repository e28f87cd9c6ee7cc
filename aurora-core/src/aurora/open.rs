//! What is opened from what the builder was told.

use std::path::PathBuf;
use std::sync::Arc;

use super::Builder;
use super::builder::Key;
use crate::config::Settings;
use crate::crypto::{
    KeyFileProvider, KeyPlace, KeyProvider, KeyTextProvider, Keyring, PasswordHasher, PasswordParams,
    PasswordPool,
};
use crate::env::Entropy;
use crate::types::{Code, Error, Result};

/// `may_create` a missing file: never beside a database that has keys already, which a new root would not open and
/// which would hide that the old one has to be restored.
pub(super) fn open_key(
    key: Key,
    may_create: bool,
    entropy: &Arc<dyn Entropy>,
) -> Result<(Arc<dyn KeyProvider>, Option<KeyPlace>)> {
    match key {
        Key::Provider(provider) => Ok((provider, None)),
        Key::Text(text) => Ok((Arc::new(KeyTextProvider::new(&text, Arc::clone(entropy))?), None)),
        Key::File(place) => {
            let path = place.path();
            if may_create && !path.exists() {
                match place.create_new(&**entropy) {
                    Ok(_) => tracing::info!(
                        path = %path.display(),
                        "created the root key; keep a copy apart from the database"
                    ),
                    // Another process started at the same moment and was first.
                    Err(_) if path.exists() => {}
                    Err(error) => return Err(error),
                }
            }
            let provider = KeyFileProvider::at(place.clone(), Arc::clone(entropy))?;
            Ok((Arc::new(provider), Some(place)))
        }
    }
}

impl Builder {
    /// Makes the key file that was named, in the form in which it will be read. Nothing else is opened or made.
    ///
    /// # Errors
    /// [`Code::Configuration`] where no file is named, and where one is there.
    pub(crate) fn create_key_file(self) -> Result<PathBuf> {
        let Some(Key::File(place)) = self.key else {
            let sentence = "the program names no key file: add .key_file(path) or .key_place(place)";
            return Err(Error::new(Code::Configuration, sentence));
        };
        place.create_new(&*self.entropy)?;
        Ok(place.path().to_owned())
    }
}

pub(super) fn hasher(
    settings: &Settings,
    keyring: &Keyring,
    entropy: &Arc<dyn Entropy>,
) -> Result<PasswordHasher> {
    let chosen = &settings.passwords;
    let mut params = PasswordParams::new(chosen.memory_kib, chosen.passes, chosen.lanes)?;
    if let Some(target) = chosen.calibrate_to {
        params = params.calibrate(target, chosen.most_passes)?;
    }
    let threads = match chosen.permits {
        0 => PasswordPool::default().threads,
        permits => permits,
    };
    PasswordHasher::new(
        keyring,
        params,
        PasswordPool::new(threads, chosen.queue, chosen.deadline),
        Arc::clone(entropy),
    )
}

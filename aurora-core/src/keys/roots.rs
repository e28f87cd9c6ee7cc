//! Replacing the root key.

use std::sync::Arc;

use super::DataKeys;
use super::service::PUBLISHED;
use crate::audit::{Action, Actor, Record};
use crate::crypto::{KeyFile, KeyPlace, KeyState, beside, wrapped_key};
use crate::env::Entropy;
use crate::types::{Code, Error, Result};

impl DataKeys {
    /// Puts a new root key in front of those in the key file and wraps every data key under it. Answers the new key's
    /// name and how many keys were wrapped anew. Killed in between, it is called again and goes on: no second root key is
    /// made while data keys are left under a former one.
    ///
    /// Services that run look at the file each half a minute, and when they meet a key under a root that they do not
    /// hold. Where the file is
    /// copied to several machines, copy the new one before the next data key is made.
    pub async fn rotate_root(&self, place: &KeyPlace, entropy: &Arc<dyn Entropy>) -> Result<(String, u64)> {
        let _held = place.hold()?;
        let file = read(place).await?;
        let current = file.ids()?.first().cloned().unwrap_or_default();
        if self.roots().await?.keys().all(|root| *root == current) {
            replace(place, file.rotated(&**entropy)?, entropy).await?;
        }
        self.rewrap().await
    }

    /// Wraps every data key under the root key that the provider holds as its current one.
    pub async fn rewrap(&self) -> Result<(String, u64)> {
        let provider = self.0.keyring.provider();
        provider.reload().await?;
        let current = provider.current_id();
        let (mut done, mut after) = (0, 0);
        loop {
            let page = self.0.database.read().await?.keys_after(after).await?;
            let Some(last) = page.last().map(|row| row.id) else { break };
            after = last;
            // Asking the provider may take long; nobody waits for the writer meanwhile.
            let mut anew = Vec::new();
            for row in page.into_iter().filter(|row| row.state != KeyState::Destroyed.as_str()) {
                let key = wrapped_key(row)?;
                if let Some(wrapped) = self.0.keyring.rewrapped(&key).await? {
                    anew.push((key, wrapped));
                }
            }
            if anew.is_empty() {
                continue;
            }
            let mut transaction = self.0.database.begin().await?;
            for (key, wrapped) in &anew {
                done += u64::from(transaction.rewrap_key(key.id, &key.wrapped, wrapped).await?);
            }
            let record = Record::security(self.now(), Actor::Service, Action::ROOT_KEY_ROTATED)
                .target(&current)
                .with("keys", anew.len());
            self.0.audit.write(&mut *transaction, record).await?;
            transaction.commit().await?;
        }
        Ok((current, done))
    }

    /// Takes a root key that was replaced out of the key file. Backups that hold data keys under it cannot be read back
    /// without it.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] for the current one, one that is not there, one that still wraps a data key, and within
    /// ten minutes of a change of the file.
    pub async fn forget_root(&self, place: &KeyPlace, id: &str, entropy: &Arc<dyn Entropy>) -> Result<()> {
        let _held = place.hold()?;
        let left = read(place).await?.without(id)?;
        // Services look at the file each half a minute; until then one may still wrap a new key under the former root.
        if place.changed_at().is_none_or(|at| at.plus(PUBLISHED * 10) > self.now()) {
            let sentence = "the key file was changed a moment ago, and a service may not have read it: ask again in ten minutes";
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        if let Some(keys) = self.roots().await?.get(id) {
            let sentence =
                format!("root key `{id}` wraps {keys} data keys: `keys rotate --root` wraps them anew");
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        let mut transaction = self.0.database.begin().await?;
        let record = Record::security(self.now(), Actor::Service, Action::ROOT_KEY_FORGOTTEN).target(id);
        self.0.audit.write(&mut *transaction, record).await?;
        replace(place, left, entropy).await?;
        transaction.commit().await
    }
}

async fn read(place: &KeyPlace) -> Result<KeyFile> {
    let place = place.clone();
    beside(move || place.read()).await
}

async fn replace(place: &KeyPlace, file: KeyFile, entropy: &Arc<dyn Entropy>) -> Result<()> {
    let (place, entropy) = (place.clone(), Arc::clone(entropy));
    beside(move || place.replace(&file, &*entropy)).await
}

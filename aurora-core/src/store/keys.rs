//! Keys of applications, wrapped data keys, and what becomes of signing keys.

use std::fmt;

use async_trait::async_trait;

use super::KeyRow;
use crate::types::{ApiKeyId, Result, Timestamp};

/// A key that names an application, as stored.
#[derive(Clone)]
pub struct ApiKeyRow {
    /// Which.
    pub id: ApiKeyId,
    /// `publishable` or `secret`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The first characters after its prefix, to recognise it by.
    pub hint: String,
    /// The keyed hash of its text.
    pub hash: [u8; 32],
    /// What it may do: names with a space between.
    pub scopes: String,
    /// Made.
    pub created_at: Timestamp,
    /// Last used, to the hour.
    pub last_used_at: Option<Timestamp>,
    /// Worthless since then.
    pub revoked_at: Option<Timestamp>,
}

/// Prints no hash.
impl fmt::Debug for ApiKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRow").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Questions about keys of applications.
#[async_trait]
pub trait ReadKeys: Send {
    /// Every key, revoked ones too, oldest first.
    async fn api_keys(&mut self) -> Result<Vec<ApiKeyRow>>;

    /// Every wrapped data key of that owner, ascending.
    async fn keys_of(&mut self, owner: &str) -> Result<Vec<KeyRow>>;

    /// The wrapped data key of that number.
    async fn key(&mut self, id: u32) -> Result<Option<KeyRow>>;

    /// Wrapped data keys that are pending or only open, from the first after that number on, at most 1000.
    async fn keys_unsettled(&mut self, after: u32) -> Result<Vec<KeyRow>>;

    /// The highest number of a data key; 0 where there is none.
    async fn newest_key(&mut self) -> Result<u32>;

    /// Wrapped data keys with numbers above `after`, ascending, at most 1000.
    async fn keys_after(&mut self, after: u32) -> Result<Vec<KeyRow>>;
}

/// Changes of keys.
#[async_trait]
pub trait WriteKeys: Send {
    /// Adds a key of an application.
    async fn insert_api_key(&mut self, key: &ApiKeyRow) -> Result<()>;

    /// Revokes a key. `false` if it is gone or was revoked.
    async fn revoke_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<bool>;

    /// Notes that a key was used, unless it was noted after `before`. `false` if it was, or the key is gone.
    async fn note_api_key_use(&mut self, id: ApiKeyId, now: Timestamp, before: Timestamp) -> Result<bool>;

    /// Holds the data keys of that owner until the transaction ends: who would add or wipe one there waits.
    async fn lock_keys_of(&mut self, owner: &str) -> Result<()>;

    /// Adds a wrapped data key. `false` if the number is taken, or the owner has a key of that purpose that is pending or
    /// active as this one is.
    async fn insert_key(&mut self, key: &KeyRow) -> Result<bool>;

    /// Moves a data key from one state to another. `false` if it was not in `from`.
    async fn change_key(&mut self, id: u32, from: &str, to: &str, now: Timestamp) -> Result<bool>;

    /// Wipes a data key and notes that it is destroyed. `false` if it was not in `from`.
    async fn destroy_key(&mut self, id: u32, from: &str, now: Timestamp) -> Result<bool>;

    /// Wipes every data key of that owner, whatever its state, and answers how many.
    async fn destroy_keys_of(&mut self, owner: &str, now: Timestamp) -> Result<u64>;

    /// Puts another wrapping of a data key in the place of `former`. `false` if that is not what was there.
    async fn rewrap_key(&mut self, id: u32, former: &[u8], wrapped: &[u8]) -> Result<bool>;

    /// Moves a signing key from one state to another. `false` if it was not in `from`: somebody else was first.
    async fn change_signing_key(&mut self, id: u32, from: &str, to: &str, now: Timestamp) -> Result<bool>;

    /// Wipes the private half of a signing key.
    async fn wipe_signing_key(&mut self, id: u32) -> Result<()>;
}

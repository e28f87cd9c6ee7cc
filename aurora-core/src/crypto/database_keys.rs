use std::sync::Arc;

use super::{KeyOwner, KeyState, KeyStore, WrappedKey};
use crate::store::{Database, KeyRow};
use crate::types::{BoxFuture, Result};

/// The wrapped data keys in Aurora's own database.
#[derive(Clone, Debug)]
pub struct DatabaseKeys(Arc<dyn Database>);

impl DatabaseKeys {
    /// The keys of `database`.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self(database)
    }
}

/// A row as what it is.
pub(crate) fn wrapped_key(row: KeyRow) -> Result<WrappedKey> {
    Ok(WrappedKey {
        id: row.id,
        purpose: row.purpose.parse()?,
        owner: row.owner.parse()?,
        state: row.state.parse()?,
        wrapped: row.wrapped,
        created: row.created_at,
        changed: row.changed_at,
    })
}

pub(super) fn row(key: WrappedKey) -> KeyRow {
    KeyRow {
        id: key.id,
        purpose: key.purpose.as_str().to_owned(),
        owner: key.owner.to_string(),
        state: key.state.as_str().to_owned(),
        wrapped: key.wrapped,
        created_at: key.created,
        changed_at: key.changed,
    }
}

impl KeyStore for DatabaseKeys {
    fn of_owner<'a>(&'a self, owner: &'a KeyOwner) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let rows = self.0.read().await?.keys_of(&owner.to_string()).await?;
            rows.into_iter().map(wrapped_key).collect()
        })
    }

    fn find(&self, id: u32) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        Box::pin(async move { self.0.read().await?.key(id).await?.map(wrapped_key).transpose() })
    }

    fn newest(&self) -> BoxFuture<'_, Result<u32>> {
        Box::pin(async { self.0.read().await?.newest_key().await })
    }

    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let row = row(key);
            let mut transaction = self.0.begin().await?;
            // Who is being erased meanwhile gets no new key behind it.
            transaction.lock_keys_of(&row.owner).await?;
            let known = transaction.keys_of(&row.owner).await?;
            if !known.is_empty() && known.iter().all(|key| key.state == KeyState::Destroyed.as_str()) {
                return Ok(false);
            }
            let added = transaction.insert_key(&row).await?;
            if added {
                transaction.commit().await?;
            }
            Ok(added)
        })
    }
}

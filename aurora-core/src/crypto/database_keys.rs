use std::sync::Arc;

use super::{KeyChange, KeyOwner, KeyState, KeyStore, WrappedKey};
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

fn key(row: KeyRow) -> Result<WrappedKey> {
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

fn row(key: WrappedKey) -> KeyRow {
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
            rows.into_iter().map(key).collect()
        })
    }

    fn find(&self, id: u32) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        Box::pin(async move { self.0.read().await?.key(id).await?.map(key).transpose() })
    }

    fn newest(&self) -> BoxFuture<'_, Result<u32>> {
        Box::pin(async { self.0.read().await?.newest_key().await })
    }

    fn page(&self, after: u32) -> BoxFuture<'_, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let rows = self.0.read().await?.keys_after(after).await?;
            rows.into_iter().map(key).collect()
        })
    }

    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let row = row(key);
            let mut transaction = self.0.begin().await?;
            let added = transaction.insert_key(&row).await?;
            if added {
                transaction.commit().await?;
            }
            Ok(added)
        })
    }

    fn change(&self, change: KeyChange) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let mut transaction = self.0.begin().await?;
            let done = match change {
                KeyChange::Activate { id, former, now } => {
                    let (active, pending) = (KeyState::Active.as_str(), KeyState::Pending.as_str());
                    let retired = match former {
                        None => true,
                        Some(former) => {
                            let to = KeyState::DecryptOnly.as_str();
                            transaction.change_key(former, active, to, now).await?
                        }
                    };
                    retired && transaction.change_key(id, pending, active, now).await?
                }
                KeyChange::Destroy { id, from, now } => {
                    transaction.destroy_key(id, from.as_str(), now).await?
                }
            };
            if done {
                transaction.commit().await?;
            }
            Ok(done)
        })
    }

    fn rewrap<'a>(&'a self, id: u32, former: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let mut transaction = self.0.begin().await?;
            let done = transaction.rewrap_key(id, former, wrapped).await?;
            if done {
                transaction.commit().await?;
            }
            Ok(done)
        })
    }
}

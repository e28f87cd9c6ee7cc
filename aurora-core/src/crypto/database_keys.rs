use std::sync::Arc;

use super::{KeyStore, WrappedKey};
use crate::store::{Database, KeyRow};
use crate::types::{BoxFuture, Code, Error, Result};

/// The wrapped data keys in Aurora's own database.
#[derive(Clone, Debug)]
pub struct DatabaseKeys(Arc<dyn Database>);

impl DatabaseKeys {
    /// The keys of `database`.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self(database)
    }
}

impl KeyStore for DatabaseKeys {
    fn load_all(&self) -> BoxFuture<'_, Result<Vec<WrappedKey>>> {
        Box::pin(async {
            let rows = self.0.read().await?.keys().await?;
            rows.into_iter()
                .map(|row| {
                    let purpose = row.purpose.parse()?;
                    Ok(WrappedKey { id: row.id, purpose, wrapped: row.wrapped, created: row.created_at })
                })
                .collect()
        })
    }

    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let purpose = key.purpose.as_str().to_owned();
            let row = KeyRow { id: key.id, purpose, wrapped: key.wrapped, created_at: key.created };
            let mut transaction = self.0.begin().await?;
            if !transaction.insert_key(&row).await? {
                return Err(Error::new(Code::Configuration, format!("data key {} exists already", row.id)));
            }
            transaction.commit().await
        })
    }
}

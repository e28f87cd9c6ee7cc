use std::sync::Arc;

use super::Sessions;
use super::token::{SigningKeyRecord, SigningKeyState, SigningKeyStore};
use crate::store::{Database, SigningKeyRow, Transaction};
use crate::types::{BoxFuture, Code, Error, Result};

/// The signing keys in Aurora's own database.
#[derive(Clone, Debug)]
pub struct DatabaseSigningKeys(Arc<dyn Database>);

impl DatabaseSigningKeys {
    /// The keys of `database`.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self(database)
    }
}

impl SigningKeyStore for DatabaseSigningKeys {
    fn load_all(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>>> {
        Box::pin(async {
            let rows = self.0.read().await?.signing_keys().await?;
            rows.into_iter().map(record).collect()
        })
    }

    fn insert(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let row = row(key);
            let mut transaction = self.0.begin().await?;
            if !transaction.insert_signing_key(&row).await? {
                return Err(Error::new(
                    Code::Configuration,
                    format!("signing key {} exists already", row.id),
                ));
            }
            transaction.commit().await
        })
    }
}

impl Sessions {
    /// Adds a signing key within `transaction` and answers its name. It is known after [`Sessions::reload_keys`].
    pub(crate) async fn add_signing_key(
        &self,
        transaction: &mut dyn Transaction,
        state: SigningKeyState,
    ) -> Result<String> {
        let parts = self.parts();
        let key = parts.tokens.next_key(parts.clock.now()).await?;
        let row = row(SigningKeyRecord { state, ..key });
        if !transaction.insert_signing_key(&row).await? {
            return Err(Error::internal("a signing key of that number exists already"));
        }
        Ok(row.kid)
    }
}

fn row(key: SigningKeyRecord) -> SigningKeyRow {
    SigningKeyRow {
        id: key.id,
        kid: key.kid,
        algorithm: key.algorithm,
        sealed: key.sealed,
        public_jwk: key.public_jwk,
        state: key.state.as_str().to_owned(),
        created_at: key.created,
        changed_at: None,
    }
}

fn record(row: SigningKeyRow) -> Result<SigningKeyRecord> {
    let state = SigningKeyState::parse(&row.state).ok_or_else(|| {
        let sentence = format!("signing key {} has an unknown state; start the newer program again", row.id);
        Error::new(Code::Configuration, sentence)
    })?;
    Ok(SigningKeyRecord {
        id: row.id,
        kid: row.kid,
        algorithm: row.algorithm,
        sealed: row.sealed,
        public_jwk: row.public_jwk,
        state,
        created: row.created_at,
    })
}

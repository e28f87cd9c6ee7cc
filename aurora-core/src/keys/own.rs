//! Sealed values of Aurora's own tables.

use std::sync::Arc;

use crate::crypto::{Context, DataKey, Purpose, SealedPlace, SealedText};
use crate::store::{Database, SealedColumn};
use crate::types::{BoxFuture, Result};

/// A column of Aurora's own.
#[derive(Debug)]
pub(super) struct OwnColumn {
    pub(super) column: SealedColumn,
    pub(super) database: Arc<dyn Database>,
}

impl OwnColumn {
    pub(super) fn all(database: &Arc<dyn Database>) -> impl Iterator<Item = Arc<dyn SealedPlace>> {
        SealedColumn::ALL.into_iter().map(|column| {
            let place: Arc<dyn SealedPlace> = Arc::new(Self { column, database: Arc::clone(database) });
            place
        })
    }

    fn prefix(&self, key: u32) -> Vec<u8> {
        match self.column {
            SealedColumn::Passwords => SealedText::prefix(key).into_bytes(),
            _ => DataKey::prefix(key).to_vec(),
        }
    }

    /// The same value under another key.
    fn again(&self, row: &str, sealed: &[u8], from: &DataKey, to: &DataKey) -> Result<Vec<u8>> {
        let turn =
            |context: &Context<'_>, sealed: &[u8]| to.seal(context, from.unseal(context, sealed)?.expose());
        match self.column {
            SealedColumn::SigningKeys => turn(&Context::signing_key(row), sealed),
            SealedColumn::Factors => {
                turn(&Context::seed(row.parse::<crate::types::FactorId>()?.as_bytes()), sealed)
            }
            SealedColumn::OneTimeTokens => {
                turn(&Context::one_time(row.parse::<crate::types::UserId>()?.as_bytes()), sealed)
            }
            SealedColumn::Outbox => turn(&Context::mail(row), sealed),
            SealedColumn::Passwords => {
                let sealed = SealedText::parse(sealed)?;
                Ok(SealedText::of(&turn(&Context::IMPORTED_PASSWORD, &sealed)?).into_bytes())
            }
        }
    }
}

impl SealedPlace for OwnColumn {
    fn name(&self) -> &str {
        self.column.name()
    }

    fn purpose(&self) -> Purpose {
        match self.column {
            SealedColumn::SigningKeys => Purpose::Signing,
            SealedColumn::Passwords => Purpose::Password,
            SealedColumn::Factors | SealedColumn::OneTimeTokens | SealedColumn::Outbox => Purpose::Credential,
        }
    }

    fn count(&self, key: u32) -> BoxFuture<'_, Result<u64>> {
        Box::pin(
            async move { self.database.read().await?.count_sealed(self.column, &self.prefix(key)).await },
        )
    }

    fn reseal<'a>(&'a self, from: &'a DataKey, to: &'a DataKey, limit: u32) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let prefix = self.prefix(from.id());
            let rows = self.database.read().await?.sealed(self.column, &prefix, i64::from(limit)).await?;
            if rows.is_empty() {
                return Ok(0);
            }
            // Outside of the transaction: nobody waits for the writer while values are opened and sealed.
            let mut again = Vec::with_capacity(rows.len());
            for (row, sealed) in rows {
                match self.again(&row, &sealed, from, to) {
                    Ok(value) => again.push((row, sealed, value)),
                    // It is told and counted as left. A hundred of them would come first in every batch.
                    Err(error) => {
                        tracing::error!(place = self.name(), row, ?error, "a sealed value does not open");
                    }
                }
            }
            let mut transaction = self.database.begin().await?;
            let mut done = 0;
            for (row, former, sealed) in &again {
                done += u64::from(transaction.put_sealed(self.column, row, former, sealed).await?);
            }
            transaction.commit().await?;
            Ok(done)
        })
    }
}

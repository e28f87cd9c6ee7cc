//! Sealed values of Aurora's own tables.

use std::sync::Arc;

use crate::crypto::{Context, DataKey, Purpose, Resealed, SealedPlace, SealedText};
use crate::store::{Database, SealedColumn};
use crate::types::{BoxFuture, Error, Result};

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

    fn begin(&self, key: u32) -> [Vec<u8>; 2] {
        match self.column {
            SealedColumn::Passwords => SealedText::prefixes(key).map(String::into_bytes),
            _ => DataKey::prefixes(key).map(Vec::from),
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
        Box::pin(async move { self.database.read().await?.count_sealed(self.column, &self.begin(key)).await })
    }

    fn reseal<'a>(
        &'a self,
        from: &'a DataKey,
        to: &'a DataKey,
        passed: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Resealed>> {
        Box::pin(async move {
            let begin = self.begin(from.id());
            let (passed, limit) = (i64::try_from(passed).map_err(Error::internal)?, i64::from(limit));
            let rows = self.database.read().await?.sealed(self.column, &begin, passed, limit).await?;
            let mut turn = Resealed::default();
            // Outside of the transaction: nobody waits for the writer while values are opened and sealed.
            let mut again = Vec::with_capacity(rows.len());
            for (row, sealed) in rows {
                match self.again(&row, &sealed, from, to) {
                    Ok(value) => again.push((row, sealed, value)),
                    // It is told, counted as left, and passed over.
                    Err(error) => {
                        turn.passed += 1;
                        tracing::error!(place = self.name(), row, ?error, "a sealed value does not open");
                    }
                }
            }
            if again.is_empty() {
                return Ok(turn);
            }
            let mut transaction = self.database.begin().await?;
            for (row, former, sealed) in &again {
                turn.done += u64::from(transaction.put_sealed(self.column, row, former, sealed).await?);
            }
            transaction.commit().await?;
            Ok(turn)
        })
    }
}

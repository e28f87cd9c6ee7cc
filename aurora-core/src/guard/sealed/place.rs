use crate::crypto::{Context, DataKey, Purpose, Resealed, SealedPlace};
use crate::types::{BoxFuture, Error, Result, quote};

use super::value::Place;
use super::{Declared, RowKey, Sealed};
use crate::guard::Unguarded;

/// A sealed column, for those who seal its cells again.
#[derive(Debug)]
pub(crate) struct CellPlace {
    declared: Declared,
    name: String,
    everything: Unguarded,
    count: String,
    find: String,
    put: String,
}

impl CellPlace {
    pub(crate) fn new(declared: Declared, everything: Unguarded) -> Self {
        let (table, column, key) = (quote(declared.table), quote(declared.column), quote(declared.key));
        Self {
            name: format!("{}.{}", declared.table, declared.column),
            count: format!("SELECT count(*) FROM {table} WHERE substr({column}, 1, 9) IN ($1, $2)"),
            find: format!(
                "SELECT {key}, {column} FROM {table} WHERE substr({column}, 1, 9) IN ($1, $2) ORDER BY {key} \
                 LIMIT $3 OFFSET $4"
            ),
            put: format!("UPDATE {table} SET {column} = $1 WHERE {key} = $2 AND {column} = $3"),
            declared,
            everything,
        }
    }
}

impl SealedPlace for CellPlace {
    fn name(&self) -> &str {
        &self.name
    }

    fn purpose(&self) -> Purpose {
        Purpose::Field
    }

    fn count(&self, key: u32) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let [one, other] = DataKey::prefixes(key).map(Vec::from);
            let query = self.everything.query_as(&self.count).bind(one).bind(other);
            let (count,): (i64,) = query.fetch_one().await?;
            Ok(count.unsigned_abs())
        })
    }

    fn reseal<'a>(
        &'a self,
        from: &'a DataKey,
        to: &'a DataKey,
        passed: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Resealed>> {
        Box::pin(async move {
            let [one, other] = DataKey::prefixes(from.id()).map(Vec::from);
            let passed = i64::try_from(passed).map_err(Error::internal)?;
            let query = self.everything.query_as(&self.find).bind(one).bind(other);
            let cells: Vec<(RowKey, Sealed<()>)> =
                query.bind(i64::from(limit)).bind(passed).fetch_all().await?;
            let Declared { table, column, .. } = self.declared;
            let (mut anew, mut turn) = (Vec::with_capacity(cells.len()), Resealed::default());
            for (key, cell) in cells {
                let context = Context::Field { owner: from.owner(), table, column, row: key.as_bytes() };
                match from.unseal(&context, cell.bytes()) {
                    Ok(content) => {
                        let sealed = to.seal(&context, content.expose())?;
                        anew.push((key, cell, Sealed::<()>::new(sealed, Place { table, column, key })));
                    }
                    Err(error) => {
                        turn.passed += 1;
                        tracing::error!(place = self.name, %key, ?error, "a sealed cell does not open");
                    }
                }
            }
            if anew.is_empty() {
                return Ok(turn);
            }
            let mut transaction = self.everything.begin().await?;
            for (key, former, sealed) in anew {
                let query = transaction.query(&self.put).bind(sealed).bind(key).bind(former.bytes().to_vec());
                turn.done += query.execute().await?.rows_affected();
            }
            transaction.commit().await?;
            Ok(turn)
        })
    }
}

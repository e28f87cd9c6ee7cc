use std::time::Duration;

use uuid::Uuid;

use super::column::KeyOf;
use super::{Content, RowKey, Sealed, SealedColumn};
use crate::guard::Unguarded;
use crate::types::{Code, Error, Result, quote};

/// Rows of one transaction, and the pause after it: whoever serves requests goes first.
const BATCH: i64 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What a run of [`Unguarded::encrypt_column`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Encrypted {
    /// Cells that were sealed.
    pub sealed: u64,
    /// Rows that changed in between, and were left to the next run.
    pub passed: u64,
    /// Rows with a sealed cell whose plain one is not empty: what wrote the sealed one left it there, and nobody knows
    /// here which of the two is right.
    pub both: u64,
}

impl Unguarded {
    /// What a cell holds, as it is handed out to whom it is about.
    pub(crate) async fn shown<T: Content>(
        &self,
        column: &SealedColumn<T>,
        key: RowKey,
        cell: &Sealed<()>,
    ) -> Result<serde_json::Value> {
        let opened = self.as_guarded().opened(column.declared(), key, cell.bytes()).await?;
        Ok(T::from_bytes(opened.expose())?.to_json())
    }

    /// Seals what stands in the column `from` of the same table, as text, into a sealed column, and empties `from`: while
    /// the service runs, in batches, each row compared with what was read. Killed anywhere it is called again and goes on
    /// with the rows that are left. A row that has both is left as it is, and counted.
    ///
    /// A column that is sealed per tenant or per writer asks for `owner`, the column of the same table that names the
    /// tenant or the user of each row; one that the service's key seals takes none. Copies of the plain values stay in the
    /// database's free pages and in backups; see the guide for what to do about them.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] for an owner too many or too few, and for a row that does not fit the column's type; what [`Guarded::seal`](crate::guard::Guarded::seal) says
    /// of a row whose owner is none.
    pub async fn encrypt_column<T: Content>(
        &self,
        column: &SealedColumn<T>,
        from: &str,
        owner: Option<&str>,
    ) -> Result<Encrypted> {
        let declared = column.declared();
        if owner.is_some() == (declared.key_of == KeyOf::Service) {
            let sentence = match owner {
                Some(_) => "this column is sealed with the service's key, and rows have no owner",
                None => {
                    "this column is sealed with its owners' keys: name the column that names the owner of a row"
                }
            };
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        if from == declared.column || from == declared.key {
            let sentence = format!("{}.{from} is not a column of plain values", declared.table);
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        let (table, sealed, key, plain) =
            (quote(declared.table), quote(declared.column), quote(declared.key), quote(from));
        let whose = owner.map_or_else(|| "''".to_owned(), |owner| format!("CAST({} AS TEXT)", quote(owner)));
        let after = |condition: &str| {
            format!(
                "SELECT {key}, CAST({plain} AS TEXT), {whose} FROM {table} WHERE {plain} IS NOT NULL AND {sealed} IS NULL \
                 {condition} ORDER BY {key} LIMIT $1"
            )
        };
        let (first, next) = (after(""), after(&format!("AND {key} > $2")));
        let index = declared.index.map(quote);
        let set_index = index.as_ref().map(|index| format!(", {index} = $4")).unwrap_or_default();
        let put = format!(
            "UPDATE {table} SET {sealed} = $1, {plain} = NULL{set_index} WHERE {key} = $2 \
             AND CAST({plain} AS TEXT) = $3 AND {sealed} IS NULL"
        );
        let both = format!("SELECT count(*) FROM {table} WHERE {plain} IS NOT NULL AND {sealed} IS NOT NULL");
        let (mut done, mut last) = (Encrypted::default(), None::<RowKey>);
        loop {
            let query = match last {
                None => self.query_as(&first).bind(BATCH),
                Some(last) => self.query_as(&next).bind(BATCH).bind(last),
            };
            let rows: Vec<(RowKey, String, String)> = query.fetch_all().await?;
            last = rows.last().map(|(key, ..)| *key);
            if last.is_none() {
                let (both,): (i64,) = self.query_as(&both).fetch_one().await?;
                done.both = both.unsigned_abs();
                return Ok(done);
            }
            let mut anew = Vec::with_capacity(rows.len());
            for (key, text, whose) in rows {
                let owner = &declared.key_of.of(&whose)?;
                let value = T::from_text(&text).map_err(|_| {
                    let key = Uuid::from_bytes(*key.as_bytes());
                    let sentence = format!(
                        "what stands in {from} of the row {key} does not fit the sealed column's type"
                    );
                    Error::new(Code::ValidationFailed, sentence)
                })?;
                let cell = self.as_guarded().seal_for(declared, owner, key, &value).await?;
                let blind = match declared.index {
                    Some(_) => Some(self.as_guarded().blind_for(column, owner, &value).await?),
                    None => None,
                };
                anew.push((key, text, cell, blind));
            }
            let mut transaction = self.begin().await?;
            for (key, text, cell, blind) in anew {
                let query = transaction.query(&put).bind(cell).bind(key).bind(text);
                let query = match blind {
                    Some(blind) => query.bind(blind),
                    None => query,
                };
                let changed = query.execute().await?.rows_affected();
                done.sealed += changed;
                done.passed += 1 - changed.min(1);
            }
            transaction.commit().await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

//! Sealed columns: declared to the builder, encrypted where they were plain.

use std::fmt;
use std::sync::Arc;

use super::{Aurora, Builder};
use crate::crypto::SealedPlace;
use crate::files::Files;
use crate::guard::{CellPlace, Content, Declared, Encrypted, Guard, RowKey, Sealed, SealedColumn, Unguarded};
use crate::types::{BoxFuture, Code, Error, Result};

type Encrypt = Box<
    dyn for<'a> Fn(&'a Unguarded, &'a str, Option<&'a str>) -> BoxFuture<'a, Result<Encrypted>> + Send + Sync,
>;

type Show = Box<
    dyn for<'a> Fn(&'a Unguarded, RowKey, &'a Sealed<()>) -> BoxFuture<'a, Result<serde_json::Value>>
        + Send
        + Sync,
>;

/// A declared column, how its plain predecessor is read, and how its cells are handed out.
pub(super) struct Column {
    pub(super) declared: Declared,
    encrypt: Encrypt,
    show: Show,
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.declared.fmt(f)
    }
}

impl Column {
    /// What a cell holds, as it is handed out to whom it is about.
    pub(super) async fn shown(
        &self,
        everything: &Unguarded,
        key: RowKey,
        cell: &Sealed<()>,
    ) -> Result<serde_json::Value> {
        (self.show)(everything, key, cell).await
    }

    fn is(&self, name: &str) -> bool {
        let Declared { table, column, .. } = self.declared;
        name.split_once('.').is_some_and(|parts| parts == (table, column))
    }
}

impl Builder {
    /// A column whose cells are sealed before they reach the database; see [`SealedColumn`]. The start fails where the
    /// table, its key or the column's type do not fit.
    pub fn sealed<T: Content + Send + Sync + 'static>(mut self, column: &SealedColumn<T>) -> Self {
        let (declared, column) = (column.declared(), *column);
        let encrypt: Encrypt = Box::new(move |everything, from, owner| {
            Box::pin(async move { everything.encrypt_column(&column, from, owner).await })
        });
        let show: Show = Box::new(move |everything, key, cell| {
            Box::pin(async move { everything.shown(&column, key, cell).await })
        });
        self.sealed.push(Column { declared, encrypt, show });
        self
    }
}

impl Aurora {
    /// Seals what stands in the column `from` as text into the sealed column `table.column` and empties `from`, while the
    /// service runs; see [`Unguarded::encrypt_column`].
    ///
    /// # Errors
    /// [`Code::NotFound`] for a column that was not declared; [`Code::ValidationFailed`] for a `from` that does not exist
    /// or holds bytes, and for what [`Unguarded::encrypt_column`] says.
    pub async fn encrypt_column(&self, column: &str, from: &str, owner: Option<&str>) -> Result<Encrypted> {
        let missing = || Error::new(Code::NotFound, format!("no sealed column {column} is declared"));
        let found = self.0.sealed.iter().find(|declared| declared.is(column)).ok_or_else(missing)?;
        self.plain_source(found.declared.table, from)?;
        let everything = self.unguarded(&format!("encrypts {column}")).await?;
        (found.encrypt)(&everything, from, owner).await
    }

    /// What is sealed is read as text, which bytes are not.
    fn plain_source(&self, table: &str, from: &str) -> Result<()> {
        let refused = |what: &str| Error::new(Code::ValidationFailed, format!("{table}.{from} {what}"));
        let found = self.0.guard.schema().table(table);
        let source = found.and_then(|found| found.columns.iter().find(|known| known.name == from));
        let source = source.ok_or_else(|| refused("does not exist"))?;
        if ["BLOB", "bytea"].iter().any(|bytes| source.declared_type.eq_ignore_ascii_case(bytes)) {
            return Err(refused(
                "holds bytes, and what is sealed is read as text: seal them with `Guarded::seal`, row by row",
            ));
        }
        Ok(())
    }

    /// The sealed columns, as `table.column`.
    pub fn sealed_columns(&self) -> impl Iterator<Item = String> + '_ {
        self.0.sealed.iter().map(|Column { declared, .. }| format!("{}.{}", declared.table, declared.column))
    }
}

/// Where values are sealed again after a rotation.
pub(super) fn places(columns: &[Column], guard: &Guard, files: Option<&Files>) -> Vec<Arc<dyn SealedPlace>> {
    let files = files.map(|files| Arc::new(files.clone()) as Arc<dyn SealedPlace>);
    let place = |column: &Column| {
        let place: Arc<dyn SealedPlace> = Arc::new(CellPlace::new(column.declared, guard.unguarded()));
        place
    };
    columns.iter().map(place).chain(files).collect()
}

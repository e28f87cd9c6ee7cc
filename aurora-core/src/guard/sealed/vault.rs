use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;

use super::column::KeyOf;
use super::value::{Noted, Place};
use super::writes::{self, Write};
use super::{Blind, Content, Declared, RowKey, Sealed, SealedColumn};
use crate::crypto::{Context, KeyOwner, Keyring, Purpose, SecretBytes};
use crate::env::{Clock, Entropy};
use crate::policy::Schema;
use crate::types::{Code, Error, Principal, Result, Role};

use super::super::guarded::Guarded;

/// Statements whose writes were read.
const STATEMENTS: u64 = 2_048;

/// The sealed columns of a service, and the keys that they are sealed with.
pub(crate) struct Vault {
    pub(crate) columns: Vec<Declared>,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    read: Cache<String, Arc<Vec<Write>>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Vault {
    pub(crate) fn new(
        columns: Vec<Declared>,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { columns, keyring, clock, entropy, read: Cache::new(STATEMENTS) }
    }

    /// Whether the schema has every declared column, as bytes.
    pub(crate) fn check(&self, schema: &Schema, on_postgres: bool) -> Result<()> {
        for Declared { table, column, key, index, .. } in &self.columns {
            let wrong = |what: String| {
                Error::new(Code::Configuration, format!("sealed column {table}.{column}: {what}"))
            };
            let found = schema.table(table).ok_or_else(|| wrong("there is no such table".to_owned()))?;
            let of = |name: &str| found.columns.iter().find(|column| column.name == *name);
            let Some(declared) = of(key) else {
                return Err(wrong(format!(
                    "the table has no column `{key}`; name its key with keyed_by(..)"
                )));
            };
            let wanted = if on_postgres { "uuid" } else { "TEXT" };
            if !declared.declared_type.eq_ignore_ascii_case(wanted) {
                let have = &declared.declared_type;
                return Err(wrong(format!("its key `{key}` is {have}; a RowKey is {wanted} here")));
            }
            let unique = found.primary_key == [*key] || found.unique.iter().any(|columns| *columns == [*key]);
            if !unique {
                return Err(wrong(format!(
                    "`{key}` does not name one row: make it the primary key, or unique"
                )));
            }
            let wanted = if on_postgres { "bytea" } else { "BLOB" };
            for name in std::iter::once(column).chain(index) {
                let declared = of(name).ok_or_else(|| wrong(format!("there is no column `{name}`")))?;
                if !declared.declared_type.eq_ignore_ascii_case(wanted) {
                    let have = &declared.declared_type;
                    return Err(wrong(format!(
                        "`{name}` is {have}; sealed cells are bytes: declare it {wanted}"
                    )));
                }
            }
            if !on_postgres && !found.strict {
                return Err(wrong(
                    "the table is not STRICT, so that texts would be stored as they are".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Refuses a statement that would write something else than a sealed value into a sealed column. `noted` is what its
    /// bound values were.
    pub(in crate::guard) fn admit(
        &self,
        sql: &str,
        on_postgres: bool,
        noted: &[Option<Noted>],
    ) -> Result<()> {
        if !writes::concerns(sql, &self.columns) {
            return Ok(());
        }
        let read = match self.read.get(sql) {
            Some(read) => read,
            None => {
                let read = Arc::new(writes::read(sql, on_postgres, &self.columns)?);
                self.read.insert(sql.to_owned(), Arc::clone(&read));
                read
            }
        };
        read.iter().try_for_each(|write| write.check(noted))
    }

    fn declared(&self, column: Declared) -> Result<()> {
        if self.columns.contains(&column) {
            return Ok(());
        }
        let Declared { table, column, .. } = column;
        let sentence =
            format!("sealed column {table}.{column} is not declared: add it with Builder::sealed(..)");
        Err(Error::new(Code::Configuration, sentence))
    }
}

/// Whose key seals for that principal.
fn owner(declared: Declared, principal: &Principal) -> Result<KeyOwner> {
    let nobody = |what: &str| {
        let Declared { table, column, .. } = declared;
        let sentence =
            format!("{table}.{column} is sealed with the key of a {what}, and who writes has none");
        Error::new(Code::InsufficientPrivilege, sentence)
    };
    match declared.key_of {
        KeyOf::Service => Ok(KeyOwner::Service),
        KeyOf::Tenant => principal.tenant().cloned().map(KeyOwner::Tenant).ok_or_else(|| nobody("tenant")),
        KeyOf::Writer => principal.user_id().map(KeyOwner::User).ok_or_else(|| nobody("user")),
    }
}

/// Whether cells of that column may be sealed with a key of that owner, as far as the principal may know.
fn fits(declared: Declared, key: &KeyOwner, principal: &Principal) -> bool {
    match (declared.key_of, key) {
        (KeyOf::Service, KeyOwner::Service) | (KeyOf::Writer, KeyOwner::User(_)) => true,
        (KeyOf::Tenant, KeyOwner::Tenant(tenant)) => {
            principal.role() == Role::Service || principal.tenant() == Some(tenant)
        }
        _ => false,
    }
}

/// Sealed cells.
impl Guarded {
    /// Seals a value for a cell: bind it where the statement writes that column, and `key` where it names the row.
    ///
    /// # Errors
    /// [`Code::InsufficientPrivilege`] where the column wants a key of the writer's tenant, or the writer's own, and there
    /// is none; [`Code::Configuration`] for a column that was not declared.
    pub async fn seal<T: Content>(
        &self,
        column: &SealedColumn<T>,
        key: RowKey,
        value: &T,
    ) -> Result<Sealed<T>> {
        let declared = column.declared();
        let owner = owner(declared, self.principal())?;
        self.seal_for(declared, &owner, key, value).await
    }

    pub(super) async fn seal_for<T: Content>(
        &self,
        declared: Declared,
        owner: &KeyOwner,
        key: RowKey,
        value: &T,
    ) -> Result<Sealed<T>> {
        let vault = self.vault()?;
        vault.declared(declared)?;
        let data_key = vault.keyring.data_key(owner, Purpose::Field).await?;
        let Declared { table, column, .. } = declared;
        let context = Context::Field { owner, table, column, row: key.as_bytes() };
        Ok(Sealed::new(data_key.seal(&context, &value.to_bytes())?, Place { table, column, key }))
    }

    /// Opens a cell that was read, of the row with that key.
    ///
    /// # Errors
    /// [`Code::KeyDestroyed`] where its owner was erased; [`Code::KeyMissing`] where its key was lost; an internal error
    /// for what is not a sealed value of this cell, a plain one, too.
    pub async fn open<T: Content>(
        &self,
        column: &SealedColumn<T>,
        key: RowKey,
        cell: &Sealed<T>,
    ) -> Result<T> {
        T::from_bytes(self.opened(column.declared(), key, cell.bytes()).await?.expose())
    }

    /// What a cell holds, as bytes.
    pub(super) async fn opened(&self, declared: Declared, key: RowKey, cell: &[u8]) -> Result<SecretBytes> {
        let vault = self.vault()?;
        vault.declared(declared)?;
        let data_key = vault.keyring.key_of(cell).await?;
        if !fits(declared, data_key.owner(), self.principal()) {
            return Err(Error::internal("a sealed value of another owner"));
        }
        let Declared { table, column, .. } = declared;
        let context = Context::Field { owner: data_key.owner(), table, column, row: key.as_bytes() };
        data_key.unseal(&context, cell)
    }

    /// What a value is found by in the column's blind index: bind it beside the sealed value, and in a `WHERE`. Two
    /// values are equal when their bytes are; trim and fold them before, if that is what equal means.
    ///
    /// # Errors
    /// [`Code::Configuration`] for a column without an index.
    pub async fn blind<T: Content>(&self, column: &SealedColumn<T>, value: &T) -> Result<Blind> {
        let owner = owner(column.declared(), self.principal())?;
        self.blind_for(column, &owner, value).await
    }

    pub(super) async fn blind_for<T: Content>(
        &self,
        column: &SealedColumn<T>,
        owner: &KeyOwner,
        value: &T,
    ) -> Result<Blind> {
        let vault = self.vault()?;
        let declared = column.declared();
        vault.declared(declared)?;
        let Some(index) = declared.index else {
            let Declared { table, column, .. } = declared;
            let sentence = format!("{table}.{column} has no blind index: declare it with_index(..)");
            return Err(Error::new(Code::Configuration, sentence));
        };
        let parts: [&[u8]; 3] = [declared.table.as_bytes(), declared.column.as_bytes(), &value.to_bytes()];
        let data_key = vault.keyring.data_key(owner, Purpose::Index).await?;
        Ok(Blind::new(data_key.mac("blind index", &parts)?, declared.table, index))
    }

    /// The key of a row that is about to be made.
    pub fn row_key(&self) -> Result<RowKey> {
        let vault = self.vault()?;
        RowKey::new(&*vault.clock, &*vault.entropy)
    }

    pub(super) fn vault(&self) -> Result<&Arc<Vault>> {
        let none = || Error::new(Code::Configuration, "no column is declared as sealed: Builder::sealed(..)");
        self.options().sealed.as_ref().ok_or_else(none)
    }
}

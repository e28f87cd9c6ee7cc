use std::fmt;
use std::marker::PhantomData;

use super::Content;
use crate::crypto::KeyOwner;
use crate::types::Result;

/// A column whose cells are sealed: `BLOB` in a `STRICT` table of SQLite, `bytea` on PostgreSQL.
///
/// ```
/// use aurora_core::guard::SealedColumn;
///
/// const DIAGNOSIS: SealedColumn<String> = SealedColumn::new("patients", "diagnosis").with_index("diagnosis_index");
/// ```
pub struct SealedColumn<T> {
    declared: Declared,
    content: PhantomData<fn() -> T>,
}

/// Whose key seals the cells of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyOf {
    Service,
    Tenant,
    Writer,
}

impl KeyOf {
    /// The owner of a row, as a column of it names them.
    pub(crate) fn of(self, name: &str) -> Result<KeyOwner> {
        Ok(match self {
            Self::Service => KeyOwner::Service,
            Self::Tenant => KeyOwner::Tenant(name.parse()?),
            Self::Writer => KeyOwner::User(name.parse()?),
        })
    }
}

/// What a column is, whatever it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Declared {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) key: &'static str,
    pub(crate) key_of: KeyOf,
    pub(crate) index: Option<&'static str>,
}

impl<T: Content> SealedColumn<T> {
    /// The column of that table, whose rows' key is `id`. One key of the service's seals it.
    pub const fn new(table: &'static str, column: &'static str) -> Self {
        let declared = Declared { table, column, key: "id", key_of: KeyOf::Service, index: None };
        Self { declared, content: PhantomData }
    }

    /// The rows' key is another column.
    #[must_use]
    pub const fn keyed_by(mut self, column: &'static str) -> Self {
        self.declared.key = column;
        self
    }

    /// Sealed with a key of the writer's tenant, and opened for those of that tenant alone. Destroying the tenant's keys
    /// makes it unreadable.
    #[must_use]
    pub const fn per_tenant(mut self) -> Self {
        self.declared.key_of = KeyOf::Tenant;
        self
    }

    /// Sealed with a key of the person who writes it. Erasing the person makes it unreadable, for whomever they shared
    /// it with, too.
    #[must_use]
    pub const fn per_writer(mut self) -> Self {
        self.declared.key_of = KeyOf::Writer;
        self
    }

    /// Found by equality through `column`, of the same type, that the same statement writes. Whoever holds the database
    /// learns which rows are equal, and how often each value comes.
    #[must_use]
    pub const fn with_index(mut self, column: &'static str) -> Self {
        self.declared.index = Some(column);
        self
    }

    pub(crate) const fn declared(&self) -> Declared {
        self.declared
    }
}

impl<T> Clone for SealedColumn<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SealedColumn<T> {}

impl<T> fmt::Debug for SealedColumn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealedColumn").field(&self.declared.table).field(&self.declared.column).finish()
    }
}

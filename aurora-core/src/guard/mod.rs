//! The principal-scoped handle: host SQL runs as one principal, and the database engine keeps the rows apart.
//!
//! 1. A handler that holds only [`Guarded`] acts as one principal, whatever SQL it runs. What sees everything is
//!    another type, [`Unguarded`], and asks for a reason.
//! 2. Two walls. On SQLite host SQL is parsed, rewritten and printed again; only printed text runs. And SQLite itself
//!    asks, for every table and column, whether the access comes through one of our views, whose names are secret. On
//!    PostgreSQL host SQL is read and refused by what it says; and the database itself holds the policies, under an
//!    identity that no SQL can change.
//! 3. A table that the policy file does not name is invisible.
//! 4. An expression of the host's never runs on a row its principal may not see.
//! 5. An identity lives in the connection only while a statement or transaction of its principal runs. A cancelled future, a
//!    panic, a pooled connection never carries it, or an open transaction, over to anybody else.
//! 6. What a host's schema holds that cannot be guarded is refused by name at start.
//!
//! What stays visible, as in PostgreSQL: unique and foreign key violations tell that a hidden row exists, and time
//! tells how much was read. See `docs/threat-model.md`.

mod error;
mod facts;
mod guarded;
mod json_row;
mod names;
mod objects;
mod options;
mod owned;
mod postgres;
mod query;
mod rewrite;
mod schema;
mod sealed;
#[cfg(test)]
mod second_wall;
mod sqlite;
mod telling;
mod transaction;

pub(crate) use error::reads_only;
pub use guarded::{Guard, Guarded, Unguarded};
pub(crate) use json_row::{Asked, columns};
pub use options::GuardOptions;
pub use owned::Load;
pub(crate) use postgres::schema_on_postgres;
pub use postgres::{Applied, ForeignPolicies, Plan, PostgresExecutor, apply, plan};
pub use query::{Done, FromRecord, Query, QueryAs, RowStream};
pub(crate) use schema::schema_on_sqlite;
pub use sealed::{Blind, Content, Encrypted, RowKey, Sealed, SealedColumn};
pub(crate) use sealed::{CellPlace, Declared, Vault};
#[doc(hidden)]
pub use sqlite::Probe;
pub use sqlite::{GuardedExecutor, TransactionExecutor};
pub(crate) use telling::Telling;
pub use transaction::{Snapshot, Transaction};

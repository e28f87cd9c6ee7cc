//! PostgreSQL under the guard: the database enforces the policies, the guard says who asks.
//!
//! 1. Every statement runs in a transaction that is bound to its principal ([`PostgresDatabase::begin_as`]); policies
//!    ask `aurora.identity`, which verifies that. Settings and roles that SQL can change are worth nothing.
//! 2. Wall one reads host SQL as tokens and refuses what would change the session. Wall two does not need it.
//! 3. The database holds the policies of the file, or the guard does not open.
//! 4. A failure's text never holds a row: PostgreSQL's DETAIL is dropped, and what a value may stand in as well.
//!
//! [`PostgresDatabase::begin_as`]: crate::store::PostgresDatabase::begin_as

mod catalog;
mod engine;
mod error;
mod executor;
mod install;
mod run;
mod transaction;
mod wall;

pub(crate) use catalog::schema_on_postgres;
pub(in crate::guard) use engine::{Actor, Engine};
pub use executor::PostgresExecutor;
pub use install::{Applied, ForeignPolicies, Plan, apply, plan};
pub(in crate::guard) use transaction::{Slot, Snapshot, Transaction};

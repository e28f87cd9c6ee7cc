//! SQLite under the guard: connections that carry an identity, and the pool they stand in.

mod authorizer;
mod connection;
mod context;
mod engine;
mod error;
mod executor;
mod ffi;
mod lent;
mod pool;
mod probe;
mod run;
mod transaction;

pub(crate) use authorizer::TABLE_FUNCTIONS;
pub(in crate::guard) use authorizer::is_aurora_s;
#[cfg(test)]
pub(crate) use connection::Run;
pub(crate) use context::{Facts, Ticket};
pub(in crate::guard) use engine::Engine;
#[cfg(test)]
pub(in crate::guard) use error::engine as engine_error;
pub use executor::{GuardedExecutor, TransactionExecutor};
pub use probe::Probe;
pub(in crate::guard) use run::Actor;
pub(in crate::guard) use transaction::{Slot, Snapshot, Transaction};

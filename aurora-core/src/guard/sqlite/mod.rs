//! SQLite under the guard: connections that carry an identity, and the pool they stand in.

mod authorizer;
mod connection;
mod context;
mod ffi;
mod pool;
mod probe;

pub(crate) use authorizer::TABLE_FUNCTIONS;
pub(crate) use connection::{Connection, Run};
pub(crate) use context::{Caller, Facts, Ticket};
pub(crate) use ffi::engine_version;
pub(crate) use pool::{Lease, Pool};
pub use probe::Probe;

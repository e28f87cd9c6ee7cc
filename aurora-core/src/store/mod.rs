//! Records and the transactional stores that keep them.
//!
//! 1. A store never decides: it reads and writes what a flow tells it to, within the flow's transaction.
//! 2. One fair lock stands before SQLite's single writer, for the guard and the stores alike.

mod writer;

pub use writer::{WriterLock, WriterPermit};

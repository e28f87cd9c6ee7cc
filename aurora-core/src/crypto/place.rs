use std::fmt::Debug;

use crate::types::{BoxFuture, Result};

use super::{DataKey, Purpose};

/// A place where sealed values lie, for those who seal them again after a rotation.
///
/// Implementations: each column of Aurora's own that is sealed, each column that a host declared, the files.
pub trait SealedPlace: Send + Sync + Debug {
    /// What people call it: table and column.
    fn name(&self) -> &str;

    /// What its keys are for.
    fn purpose(&self) -> Purpose;

    /// How many values name that key.
    fn count(&self, key: u32) -> BoxFuture<'_, Result<u64>>;

    /// Seals at most `limit` values under `to` that `from` sealed, and answers how many; 0 when none is left that can be.
    /// Each is replaced only if it is still what was read, and committed before this answers.
    fn reseal<'a>(&'a self, from: &'a DataKey, to: &'a DataKey, limit: u32) -> BoxFuture<'a, Result<u64>>;
}

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

    /// Looks at the first `limit` values that `from` sealed, behind the `passed` that were found not to open, and seals
    /// them under `to`. Each is replaced only if it is still what was read, and committed before this answers.
    fn reseal<'a>(
        &'a self,
        from: &'a DataKey,
        to: &'a DataKey,
        passed: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Resealed>>;
}

/// What became of some values; nothing of either when there was none left to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resealed {
    /// Sealed again.
    pub done: u64,
    /// Left where they are, since they do not open.
    pub passed: u64,
}

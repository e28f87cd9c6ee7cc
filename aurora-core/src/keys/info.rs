use crate::crypto::{KeyOwner, KeyState, Purpose};
use crate::types::Timestamp;

/// What is known of a data key without opening it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DataKeyInfo {
    /// The number that sealed values name.
    pub id: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose data it protects.
    pub owner: KeyOwner,
    /// What may be done with it.
    pub state: KeyState,
    /// The root key that wraps it; empty once destroyed.
    pub root: String,
    /// Whether something that is looked up was hashed with it: then it is not destroyed.
    pub hashes: bool,
    /// Made.
    pub created_at: Timestamp,
    /// Last change of its state.
    pub changed_at: Option<Timestamp>,
}

/// How many values of one place a key still has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// The key.
    pub key: u32,
    /// Table and column, or what else holds sealed values.
    pub place: String,
    /// How many.
    pub values: u64,
}

/// What is known of backups when a key is destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backups {
    /// Some of the last thirty days may be read back.
    MayNeedIt,
    /// None that is kept holds a value that it sealed.
    NoneNeedsIt,
}

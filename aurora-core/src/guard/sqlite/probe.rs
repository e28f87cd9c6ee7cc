//! A recording function: what proves that a host expression never runs on a row its principal may not see.

use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::functions::Value;

/// For tests only: adds `probe(x)` and `probe_now(x)` to the functions that host SQL may call. Both answer `x` and
/// keep a record of it; the second is not deterministic, so SQLite places it by other rules.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
pub struct Probe(Arc<Mutex<Vec<Value>>>);

impl Probe {
    pub(super) const NAMES: [&'static str; 2] = ["probe", "probe_now"];

    /// Every value seen since the last call.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self, value: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    }
}

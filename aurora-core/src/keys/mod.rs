//! What becomes of data keys: another one takes over, what the former sealed is sealed again, and the former ends.
//!
//! 1. A new key is pending for a minute: by then every process has read it. Then it is active and the former one only
//!    opens. A read never waits for any of this, and finds every value under exactly one key.
//! 2. Values are sealed again in batches, each compared with what was read before it is replaced, so that a change
//!    that comes between wins. Nothing else says how far it is: a run that was killed goes on where values are left.
//! 3. A key is destroyed when no value names it, and not before it has only opened for thirty days: a backup of that
//!    time may be read back. Both are looked at within the transaction that wipes it.
//! 4. The oldest key of a purpose that hashes ([`DataKeyInfo::hashes`]) stays: what was hashed with it could not be
//!    found again.
//! 5. Replacing the root key wraps the data keys anew and touches no value. The old root stays in the key file, since
//!    backups hold keys under it.
//! 6. Each step has its audit record, in its transaction. Which of several processes does it is decided by comparing
//!    states in the database.
//!
//! A clock that is set back delays steps; one that is set forward shortens the minute and the thirty days.

mod info;
mod ledger;
mod own;
mod roots;
mod service;
mod work;

pub use info::{Backups, DataKeyInfo, Left};
pub use ledger::{ErasureLedger, FileLedger};
pub use service::{DataKeys, DataKeysParts};
pub use work::{PERIOD, Progress};

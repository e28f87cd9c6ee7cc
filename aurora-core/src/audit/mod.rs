//! What happened, written where it cannot be separated from its cause.
//!
//! 1. A record is written in the transaction of what it records: both commit, or neither.
//! 2. A denial changes nothing, so its record has a transaction of its own, committed although the request fails.
//! 3. If the record cannot be written the action does not happen.
//! 4. Actors and targets are identifiers, never names or addresses; no payload holds a secret.
//! 5. The payload is canonical JSON with a salted commitment, so that a later proof can name it and an erasure
//!    can remove it without breaking the proof. The sequence number stays empty until a record is sealed.
//!
//! ```
//! use aurora_core::audit::{Action, Actor, Record};
//! use aurora_core::types::Timestamp;
//! let record = Record::security(Timestamp::from_seconds(0), Actor::Anonymous, Action::LOGIN_FAILED)
//!     .with("reason", "wrong password")
//!     .with("agent", "curl\r\nlogin ok");
//! assert_eq!(record.payload(), r#"{"agent":"curl??login ok","reason":"wrong password"}"#);
//! ```

mod record;
mod sink;

pub use record::{Action, Actor, Kind, Record};
pub use sink::{AuditSink, DatabaseAudit, deny};

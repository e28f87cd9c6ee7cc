//! What comes from outside becomes a type that exists only when it is valid.
//!
//! 1. Nothing is repaired silently: a text that is not an e-mail address is refused, not trimmed into one.
//!    The one exception is case, which [`Email`] folds because mail systems do.
//! 2. JSON is read strictly ([`strict_json`]): no member twice, no value repeated in an error.
//! 3. Text that is only stored and shown ([`printable`]) loses what could break a log line or a terminal.
//! 4. A new password is judged by its length, by how soon it is guessed ([`PasswordJudge`]) and by known breaches
//!    ([`BreachedPasswords`]), never by the kinds of characters in it. Whoever is asked about breaches learns 20
//!    bits of its hash.

#[cfg(feature = "service")]
mod breached;
#[cfg(feature = "service")]
mod email;
#[cfg(feature = "service")]
mod judge;
#[cfg(feature = "service")]
mod password;
mod strict_json;
mod text;

#[cfg(feature = "service")]
pub use self::{
    breached::{BreachedPasswords, HashPrefix, HashSuffix, OfflineList, RangeApi, is_breached},
    email::Email,
    judge::PasswordJudge,
    password::NewPassword,
};
pub use strict_json::strict_json;
pub use text::printable;

pub(crate) use strict_json::{Names, NoDuplicates, Text};

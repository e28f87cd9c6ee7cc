//! What comes from outside becomes a type that exists only when it is valid.
//!
//! 1. Nothing is repaired silently: a text that is not an e-mail address is refused, not trimmed into one.
//!    The one exception is case, which [`Email`] folds because mail systems do.
//! 2. Text that is only stored and shown ([`printable`]) loses what could break a log line or a terminal.

mod email;
mod password;
mod text;

pub use email::Email;
pub use password::NewPassword;
pub use text::printable;

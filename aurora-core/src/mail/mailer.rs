use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::Kind;
use crate::types::{BoxFuture, Timestamp};
use crate::validate::{Email, printable};

/// How much of a reason is kept, in characters.
const LONGEST: usize = 200;
/// How long a mailer, or a hook that stands in for one, may take for one mail. The outbox cuts it off then.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What brings mails on their way.
///
/// Implementations: `Smtp` (cargo feature `smtp`), [`Mailbox`](super::Mailbox) for development and tests, and the
/// host's own, for the API of a mail service.
///
/// The contract: `Ok` means that somebody else is now responsible for the mail. It may be asked to send one mail
/// twice, under one [`Rendered::id`], after a crash between the sending and its record. What is not sent within 30 s is
/// cut off where it awaits, counts as a failed try and is tried again.
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Sends one mail.
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, Result<(), MailError>>;

    /// The server of another machine's that mails cross the network to in clear, if that is so and nobody said that
    /// it may: production does not start then.
    fn in_clear_to(&self) -> Option<&str> {
        None
    }
}

/// A mail in its words, ready to be sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct Rendered {
    /// The mail's own id, a UUID: the same at every try, and what the `Message-ID` is made of.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// Whom it goes to.
    pub to: Email,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The link in it, if there is one.
    pub link: Option<String>,
    /// The code in it, if there is one.
    pub code: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Names no one, prints no content.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why a mail was not sent.
#[derive(Clone, PartialEq, Eq)]
pub struct MailError {
    again: bool,
    reason: Cow<'static, str>,
}

impl MailError {
    /// It may go better later: no connection, a server that says "not now", a password that is wrong today.
    pub fn temporary(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { again: true, reason: reason.into() }
    }

    /// This mail will never be taken: another try is in vain.
    pub fn permanent(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { again: false, reason: reason.into() }
    }

    /// Whether another try makes sense.
    pub fn may_try_again(&self) -> bool {
        self.again
    }

    /// The reason, for logs and records, on one line and without the address: servers repeat it in their answers.
    pub(super) fn reason(&self, to: &Email) -> String {
        let lower = self.reason.to_ascii_lowercase();
        let (mut out, mut from) = (String::new(), 0);
        for (at, found) in lower.match_indices(to.as_str()) {
            out.push_str(self.reason.get(from..at).unwrap_or_default());
            out.push_str("..");
            from = at + found.len();
        }
        out.push_str(self.reason.get(from..).unwrap_or_default());
        printable(&out, LONGEST)
    }
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Debug for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.again { "temporary" } else { "permanent" };
        write!(f, "{kind}: {}", self.reason)
    }
}

impl std::error::Error for MailError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_no_one_and_is_one_line() {
        let to = "ann@example.com".parse().unwrap();
        let error = MailError::permanent("550 5.1.1 <Ann@Example.com>: unknown\r\nann@example.com");
        assert_eq!(error.reason(&to), "550 5.1.1 <..>: unknown??..");
        assert_eq!(MailError::temporary("x".repeat(900)).reason(&to).len(), LONGEST);
        assert!(!error.may_try_again() && MailError::temporary("busy").may_try_again());
    }
}

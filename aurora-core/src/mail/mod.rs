//! Mails: how they are worded, where they wait, and what sends them.
//!
//! 1. A flow puts its mail into its own transaction ([`Outbox::put`]): a mail is sent if and only if what it tells of
//!    was committed. No request waits for a mail server.
//! 2. What waits is sealed, address and content, for its row alone. A copy of the database tells how many mails wait
//!    and how big they are in steps of a kilobyte.
//! 3. Every mail is sent at least once. Between the sending and the record of it a process may die; the second copy
//!    has the first one's `Message-ID`.
//! 4. A failure that may pass is tried again after 30 s, then twice as long each time up to an hour, for three days.
//!    A refusal for good is not. What a mail carries may expire before that: then it is not sent any more.
//! 5. What became of a mail is an audit record (`mail_sent`, `mail_failed`) without the address. So are the logs.
//! 6. [`Outbox::put_nothing`] costs what a mail costs, for whoever must not learn whether an address is known.
//! 7. A template is read at start, and refused there with its place. Its values are escaped in HTML and end no line.
//! 8. No mail loads anything, and none tells that it was read.
//!
//! A clock that is set back delays retries; one that is set forward ends what expires.
//!
//! ```
//! use aurora_core::mail::{Kind, Template, Templates};
//! let shout = Template {
//!     subject: "NEW DEVICE".into(),
//!     text: "{{ device }}\n".into(),
//!     html: "<p>{{ device }}</p>".into(),
//! };
//! assert!(Templates::default().with(Kind::NewDevice, &shout).is_ok());
//! assert!(Templates::default().with(Kind::PasswordChanged, &shout).is_err(), "that mail names no device");
//! ```

mod letter;
mod mailbox;
mod mailer;
mod message;
mod outbox;
mod sending;
#[cfg(feature = "smtp")]
mod smtp;
mod template;
mod words;

pub use mailbox::Mailbox;
pub use mailer::{MailError, Mailer, Rendered};
pub use message::{Kind, Message};
pub use outbox::{Delivery, Outbox, OutboxParts};
#[cfg(feature = "smtp")]
pub use smtp::Smtp;
pub use template::{Template, Templates};

pub(crate) use template::escape;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::types::{Code, Error, Secret, UserId};
use crate::validate::{Email, printable};

/// How much of a device's own words a mail repeats, in characters.
const LONGEST_DEVICE: usize = 120;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal [$($value:ident)*];)+) => {
        /// What a mail is about.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $name,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)+];

            /// The kind's name in records, errors and the mailbox.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$name => $text,)+ }
            }

            /// What a template of this kind may name beside `email`, `site` and `time`.
            pub(super) fn own_values(self) -> &'static [Placeholder] {
                match self { $(Kind::$name => &[$(Placeholder::$value,)*],)+ }
            }
        }
    };
}

kinds! {
    /// Proves the address of a new account.
    Confirmation = "confirmation" [Link Code Lifetime];
    /// Leads to a new password.
    Recovery = "recovery" [Link Code Lifetime];
    /// Signs in without a password.
    MagicLink = "magic_link" [Link Code Lifetime];
    /// Asks the present address to let a new one in.
    EmailChangeCurrent = "email_change_current" [Link Code Lifetime NewEmail];
    /// Proves the new address of an account.
    EmailChangeNew = "email_change_new" [Link Code Lifetime NewEmail];
    /// A code before a sensitive change.
    Reauthentication = "reauthentication" [Code Lifetime];
    /// Invites someone who has no account yet.
    Invite = "invite" [Link Code Lifetime];
    /// Tells the owner of an account that someone tried to register its address.
    AlreadyRegistered = "already_registered" [];
    /// Tells of a new password.
    PasswordChanged = "password_changed" [];
    /// Tells the former address of a new one.
    EmailChanged = "email_changed" [NewEmail];
    /// Tells of a new factor.
    FactorEnrolled = "factor_enrolled" [];
    /// Tells that a factor is gone.
    FactorRemoved = "factor_removed" [];
    /// Tells that recovery codes were made, replaced or removed.
    RecoveryCodesChanged = "recovery_codes_changed" [];
    /// Tells that somebody who knows the password guesses at the second factor.
    FactorGuessed = "factor_guessed" [];
    /// Tells of a sign-in from a device that was not seen before.
    NewDevice = "new_device" [Device];
}

impl Kind {
    /// Whether its reader is to do something with what it carries. Such a mail is worthless once that has expired.
    pub fn carries_a_key(self) -> bool {
        self.own_values().contains(&Placeholder::Code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| Error::new(Code::ValidationFailed, "no such kind of mail"))
    }
}

/// What a template may name in `{{ braces }}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Placeholder {
    Link,
    Code,
    Email,
    NewEmail,
    Site,
    Lifetime,
    Device,
    Time,
}

impl Placeholder {
    const ALL: [Self; 8] = [
        Self::Link,
        Self::Code,
        Self::Email,
        Self::NewEmail,
        Self::Site,
        Self::Lifetime,
        Self::Device,
        Self::Time,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Code => "code",
            Self::Email => "email",
            Self::NewEmail => "new_email",
            Self::Site => "site",
            Self::Lifetime => "lifetime",
            Self::Device => "device",
            Self::Time => "time",
        }
    }

    /// Those that a mail of that kind has.
    pub(super) fn of(kind: Kind) -> impl Iterator<Item = Self> {
        let common = [Self::Email, Self::Site, Self::Time];
        let has = move |one: &Self| kind.own_values().contains(one) || common.contains(one);
        Self::ALL.into_iter().filter(has)
    }
}

/// A mail before it is worded.
///
/// What a kind carries has to be there: a [`Kind::Recovery`] without its link and code is not sent, but an error.
#[derive(Clone)]
pub struct Message {
    pub(super) kind: Kind,
    pub(super) to: Email,
    pub(super) user: Option<UserId>,
    pub(super) link: Option<Secret>,
    pub(super) code: Option<Secret>,
    pub(super) new_email: Option<Email>,
    pub(super) device: Option<String>,
    pub(super) lifetime: Option<Duration>,
}

impl Message {
    /// To that address and about that.
    pub fn new(kind: Kind, to: Email) -> Self {
        Self { kind, to, user: None, link: None, code: None, new_email: None, device: None, lifetime: None }
    }

    /// Whose account it is about, for the audit record.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// The link to follow: `https://` or `http://`, percent-encoded.
    #[must_use]
    pub fn link(mut self, link: impl Into<Secret>) -> Self {
        self.link = Some(link.into());
        self
    }

    /// The code to type.
    #[must_use]
    pub fn code(mut self, code: impl Into<Secret>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// How long link and code are good for. After that the mail is not sent any more.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The address that the account is to have, or has got.
    #[must_use]
    pub fn new_email(mut self, new_email: Email) -> Self {
        self.new_email = Some(new_email);
        self
    }

    /// What the device says it is. Nothing of it can break a line, and no more than 120 characters are kept.
    #[must_use]
    pub fn device(mut self, device: &str) -> Self {
        self.device = Some(printable(device, LONGEST_DEVICE));
        self
    }

    /// What it is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// Names no one, prints neither link nor code.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("kind", &self.kind).field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for &kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>().unwrap(), kind);
        }
        assert!("mail".parse::<Kind>().is_err());
        assert_eq!(Kind::ALL.iter().filter(|kind| kind.carries_a_key()).count(), 7);
    }

    #[test]
    fn debug_holds_no_secret() {
        let message = Message::new(Kind::Recovery, "ann@example.com".parse().unwrap())
            .link("https://app.example.com/verify?token=T0K3N")
            .code("493817");
        let printed = format!("{message:?}");
        for secret in ["ann", "T0K3N", "493817"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

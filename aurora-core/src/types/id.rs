use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, Error};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// From the sixteen bytes of a UUID (RFC 9562).
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes of the UUID.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// A version 4 identifier from sixteen random bytes.
            pub const fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| Error::new(Code::ValidationFailed, concat!($what, " must be a UUID")))
            }
        }
    )+};
}

ids! {
    /// A user: the `sub` of their tokens and what `auth.uid()` answers in a policy.
    UserId, "user id";
    /// A signed-in device: the `session_id` of its tokens.
    SessionId, "session id";
    /// The chain of refresh tokens that one sign-in started.
    FamilyId, "family id";
    /// A second factor of a user's.
    FactorId, "factor id";
    /// A question for a code of a second factor.
    ChallengeId, "challenge id";
    /// A key that names an application.
    ApiKeyId, "key id";
    /// One request, named in every 5xx answer, span and audit record.
    RequestId, "request id";
}

/// The tenant a principal belongs to: 1 to 64 of `A-Z a-z 0-9 _ - .`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct TenantId(String);

impl TenantId {
    /// The tenant's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(Error::new(Code::ValidationFailed, "tenant id must be 1 to 64 of A-Z a-z 0-9 _ - ."));
        }
        Ok(Self(text.to_owned()))
    }
}

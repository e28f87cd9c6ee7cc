use std::fmt::{self, Debug};

use crate::types::{BoxFuture, Code, Error, Result, Timestamp};

/// What a data key is for. A value sealed for one purpose does not open for another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Purpose {
    /// Private halves of the keys that sign access tokens.
    Signing,
    /// Refresh tokens: their lookup hashes and the derivation of successors.
    Session,
    /// The secret that Argon2 is keyed with.
    Password,
    /// Audit records: pseudonyms of actors, payloads.
    Audit,
    /// Other credentials: API keys, links, codes, one-time-password seeds.
    Credential,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 5] =
        [Purpose::Signing, Purpose::Session, Purpose::Password, Purpose::Audit, Purpose::Credential];

    /// The purpose's name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Signing => "signing",
            Purpose::Session => "session",
            Purpose::Password => "password",
            Purpose::Audit => "audit",
            Purpose::Credential => "credential",
        }
    }

    /// The id of the purpose's first key. Fixed, so that two processes starting on an empty database collide on
    /// the key's id instead of making two first keys.
    pub(super) fn first_id(self) -> u32 {
        match self {
            Purpose::Signing => 1,
            Purpose::Session => 2,
            Purpose::Password => 3,
            Purpose::Audit => 4,
            Purpose::Credential => 5,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Purpose {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or_else(|| {
            Error::new(
                Code::Configuration,
                format!("data key for unknown purpose `{text}`: run a newer Aurora"),
            )
        })
    }
}

/// A data key as it lies in the database: encrypted under the root key. Not secret, but precious.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// The key's number, which sealed values name. Unique over all purposes.
    pub id: u32,
    /// What the key is for.
    pub purpose: Purpose,
    /// The encrypted key, with the id of the root key in front; up to a few hundred bytes.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

/// Where the wrapped data keys lie.
///
/// Implementations: Aurora's SQLite store, and one in memory for tests.
pub trait KeyStore: Send + Sync + Debug {
    /// Every wrapped key, in any order.
    fn load_all(&self) -> BoxFuture<'_, Result<Vec<WrappedKey>>>;

    /// Adds a key durably. Fails, with whatever code, when the id is taken; never replaces.
    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<()>>;
}

use std::fmt::{self, Debug};

use crate::types::{BoxFuture, Code, Error, Result, Timestamp};

use super::KeyOwner;

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
    /// Cells of a host's tables.
    Field,
    /// What files hold.
    File,
    /// Blind indexes: what sealed cells are found by. Hashes, and seals nothing.
    Index,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 8] = [
        Purpose::Signing,
        Purpose::Session,
        Purpose::Password,
        Purpose::Audit,
        Purpose::Credential,
        Purpose::Field,
        Purpose::File,
        Purpose::Index,
    ];

    /// Those that Aurora itself cannot do without: their keys are made at the first start and held in memory. The
    /// others' are made for the owner who needs one.
    pub const OWN: [Purpose; 5] =
        [Purpose::Signing, Purpose::Session, Purpose::Password, Purpose::Audit, Purpose::Credential];

    /// Whether what is looked up is hashed with its oldest key.
    pub fn hashes(self) -> bool {
        match self {
            Self::Session | Self::Password | Self::Audit | Self::Credential | Self::Index => true,
            Self::Signing | Self::Field | Self::File => false,
        }
    }

    /// The purpose's name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Signing => "signing",
            Purpose::Session => "session",
            Purpose::Password => "password",
            Purpose::Audit => "audit",
            Purpose::Credential => "credential",
            Purpose::Field => "field",
            Purpose::File => "file",
            Purpose::Index => "index",
        }
    }

    /// The id of the purpose's first key, where it is [one of ours](Self::OWN). Fixed, so that two processes starting
    /// on an empty database collide on the key's id instead of making two first keys.
    pub(super) fn first_id(self) -> Option<u32> {
        Self::OWN.iter().position(|own| *own == self).and_then(|at| u32::try_from(at + 1).ok())
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

/// What may be done with a data key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyState {
    /// Known to every process soon, and seals nothing yet.
    Pending,
    /// Seals and opens. One of each owner and purpose.
    Active,
    /// Opens what it sealed.
    DecryptOnly,
    /// Gone: its row tells that there was one.
    Destroyed,
}

impl KeyState {
    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::DecryptOnly => "decrypt-only",
            Self::Destroyed => "destroyed",
        }
    }
}

impl std::str::FromStr for KeyState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Pending, Self::Active, Self::DecryptOnly, Self::Destroyed];
        all.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            Error::new(Code::Configuration, format!("data key in unknown state `{text}`: run a newer Aurora"))
        })
    }
}

/// A data key as it lies in the database: encrypted under the root key. Not secret, but precious.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// The key's number, which sealed values name. Unique over all purposes and owners.
    pub id: u32,
    /// What the key is for.
    pub purpose: Purpose,
    /// Whose data it protects.
    pub owner: KeyOwner,
    /// What may be done with it.
    pub state: KeyState,
    /// The encrypted key, with the id of the root key in front; up to a few hundred bytes. Empty once destroyed.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// When its state changed last.
    pub changed: Option<Timestamp>,
}

/// Where the wrapped data keys lie.
///
/// Implementations: Aurora's own database, and one in memory for tests.
pub trait KeyStore: Send + Sync + Debug {
    /// Every key of that owner, in any order.
    fn of_owner<'a>(&'a self, owner: &'a KeyOwner) -> BoxFuture<'a, Result<Vec<WrappedKey>>>;

    /// The key of that number.
    fn find(&self, id: u32) -> BoxFuture<'_, Result<Option<WrappedKey>>>;

    /// The highest number that was ever used; 0 where there is none.
    fn newest(&self) -> BoxFuture<'_, Result<u32>>;

    /// Adds a key durably. `false` when the number is taken, the owner has a key of that purpose in that state, be it
    /// pending or active, or had keys that were all destroyed; never replaces.
    fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<bool>>;
}

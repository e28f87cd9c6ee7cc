use std::fmt::Debug;

use crate::types::{BoxFuture, Result, Timestamp};

/// What a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningKeyState {
    /// Published and verifies, so that everybody knows it when it signs.
    Pending,
    /// May sign; of several the one with the highest id does.
    Active,
    /// Verifies what it signed before.
    VerifyOnly,
    /// Does nothing; its private half is gone.
    Retired,
}

impl SigningKeyState {
    /// The state's name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::VerifyOnly => "verify_only",
            Self::Retired => "retired",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Active, Self::VerifyOnly, Self::Retired];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// A key that signs access tokens, as it lies in the database.
#[derive(Clone, Debug)]
pub struct SigningKeyRecord {
    /// The key's number: 1, 2, 3, ...
    pub id: u32,
    /// The name that tokens carry: the key's RFC 7638 thumbprint.
    pub kid: String,
    /// The algorithm that the key is bound to: `ES256`.
    pub algorithm: String,
    /// The private half, sealed under the key ring for purpose `signing`, `algorithm` and `kid`.
    pub sealed: Vec<u8>,
    /// The public half as a JWK. For people to look at: verification derives its own from `sealed`.
    pub public_jwk: String,
    /// What it does.
    pub state: SigningKeyState,
    /// When it was made.
    pub created: Timestamp,
}

/// Where signing keys lie.
///
/// Implementations: Aurora's SQLite store, and one in memory for tests.
pub trait SigningKeyStore: Send + Sync + Debug {
    /// Every key, in any order.
    fn load_all(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>>>;

    /// Adds a key durably. Fails, with whatever code, when the id is taken; never replaces.
    fn insert(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<()>>;
}

use std::fmt;

use async_trait::async_trait;

use super::Session;
use crate::types::{ChallengeId, FactorId, Result, Timestamp, UserId};

/// A second factor as its user sees it: without its seed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Factor {
    /// Which.
    pub id: FactorId,
    /// What its user calls it; may be empty.
    pub name: String,
    /// `totp`.
    pub kind: String,
    /// When a code of it was shown for the first time, microseconds: from then on it counts.
    pub verified_at: Option<i64>,
    /// When it was enrolled, microseconds.
    pub created_at: i64,
    /// When it was last used or changed, microseconds.
    pub updated_at: i64,
}

impl Factor {
    /// Whether it counts.
    pub fn is_verified(&self) -> bool {
        self.verified_at.is_some()
    }
}

/// A second factor, with its seed sealed and what was tried at it.
#[derive(Clone)]
pub struct FactorRow {
    /// Which.
    pub id: FactorId,
    /// Whose.
    pub user: UserId,
    /// What its user calls it; may be empty. A user has no two of one name.
    pub name: String,
    /// `totp`.
    pub kind: String,
    /// The seed, sealed.
    pub sealed: Vec<u8>,
    /// The step of the last code that was used: none up to it is good any more.
    pub last_step: i64,
    /// Wrong codes since the last right one.
    pub failures: i64,
    /// When the last of them came.
    pub failed_at: Option<Timestamp>,
    /// When a code of it was shown for the first time.
    pub verified_at: Option<Timestamp>,
    /// Enrolled.
    pub created_at: Timestamp,
    /// Last used or changed.
    pub updated_at: Timestamp,
}

/// Prints no seed.
impl fmt::Debug for FactorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactorRow").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A question that waits for a code.
#[derive(Clone, Debug)]
pub struct FactorChallenge {
    /// Which.
    pub id: ChallengeId,
    /// Of which factor.
    pub factor: FactorId,
    /// From where it was asked for: answered from there.
    pub address: String,
    /// Asked for.
    pub created_at: Timestamp,
    /// Not answered after that.
    pub expires_at: Timestamp,
}

/// Questions about second factors. A user's own list comes with the [`User`](super::User).
#[async_trait]
pub trait ReadFactors: Send {
    /// The factor of that id. In a transaction its user is locked first.
    async fn factor(&mut self, id: FactorId) -> Result<Option<FactorRow>>;

    /// The challenge of that id. A transaction has read its user before.
    async fn challenge(&mut self, id: ChallengeId) -> Result<Option<FactorChallenge>>;

    /// How many recovery codes a user has left.
    async fn recovery_codes(&mut self, user: UserId) -> Result<i64>;
}

/// Changes of second factors. The caller has read the user in the same transaction before.
#[async_trait]
pub trait WriteFactors: Send {
    /// Adds a factor. `false` if the user has one of that name; nothing changed then.
    async fn insert_factor(&mut self, factor: &FactorRow) -> Result<bool>;

    /// Writes what was tried at a factor and when it was verified. `false` if it is gone, or if the code of that step
    /// or of a later one was used, where `factor` has no failures.
    async fn update_factor(&mut self, factor: &FactorRow) -> Result<bool>;

    /// Deletes a factor with its challenges. `false` if it was gone.
    async fn delete_factor(&mut self, id: FactorId) -> Result<bool>;

    /// Deletes a user's factors and recovery codes.
    async fn delete_factors_of(&mut self, user: UserId) -> Result<()>;

    /// Adds a challenge, and forgets those of any user that expired before `horizon`.
    async fn insert_challenge(&mut self, challenge: &FactorChallenge, horizon: Timestamp) -> Result<()>;

    /// Deletes a challenge. `false` if it was gone.
    async fn delete_challenge(&mut self, id: ChallengeId) -> Result<bool>;

    /// Makes these keyed hashes a user's recovery codes, instead of all they had.
    async fn put_recovery_codes(&mut self, user: UserId, hashes: &[[u8; 32]], now: Timestamp) -> Result<()>;

    /// Uses a user's recovery code up. `false` if it is none of theirs, or was used.
    async fn use_recovery_code(&mut self, user: UserId, hash: &[u8; 32]) -> Result<bool>;

    /// Writes how a session was authenticated; with a token, also its family, whose first token that is: every
    /// token of before is forgotten.
    async fn rewrite_session(&mut self, session: &Session, token: Option<&[u8; 32]>) -> Result<()>;
}

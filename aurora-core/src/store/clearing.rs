use async_trait::async_trait;

use crate::types::{Result, Timestamp, UserId};
use crate::validate::Email;

/// Questions about codes and users that are of no use any more.
#[async_trait]
pub trait ReadClearing: Send {
    /// When the newest token of either purpose was made that was sent to that address, whoever it is for.
    async fn newest_token_at(&mut self, address: &Email, purposes: [&str; 2]) -> Result<Option<Timestamp>>;

    /// Users who registered themselves and whose last mail went out before `horizon`, unconfirmed: oldest first, at
    /// most `limit`, each with the moment of that mail. `after` is the last one of the page before.
    async fn unconfirmed(
        &mut self,
        horizon: Timestamp,
        after: (Timestamp, UserId),
        limit: i64,
    ) -> Result<Vec<(Timestamp, UserId)>>;

    /// Users without an address who came before `horizon` and have no session: the same way, each with the moment
    /// they came.
    async fn anonymous(
        &mut self,
        horizon: Timestamp,
        after: (Timestamp, UserId),
        limit: i64,
    ) -> Result<Vec<(Timestamp, UserId)>>;
}

/// Changes of the same kind.
#[async_trait]
pub trait WriteClearing: Send {
    /// Deletes a user with all that is theirs. `false` if there is none, or a host's row or trigger holds on to
    /// them: the transaction goes on as if nothing had been asked.
    async fn clear_user(&mut self, id: UserId) -> Result<bool>;

    /// Deletes a user's tokens with what was counted on them, so that none of their addresses is left.
    async fn forget_tries_of(&mut self, user: UserId) -> Result<()>;
}

use super::{Auth, IssuedSession};
use crate::audit::{Action, Actor};
use crate::session::Client;
use crate::types::{Code, Error, Result, UserId};
use crate::validate::Email;

impl Auth {
    /// The user with this address, and whether its owner confirmed it.
    pub(crate) async fn user_id(&self, email: &Email) -> Result<Option<(UserId, bool)>> {
        let user = self.database().read().await?.user_by_email(email).await?;
        Ok(user.map(|user| (user.id, user.email_confirmed_at.is_some())))
    }

    /// Opens a session for a user without asking for a password: for the testing room.
    pub(crate) async fn open_session(&self, user: UserId, client: &Client) -> Result<IssuedSession> {
        let mut transaction = self.database().begin().await?;
        let found = transaction.user(user).await?;
        let user = found.ok_or_else(|| Error::new(Code::UserNotFound, "User not found"))?;
        let record = self.record(Actor::Service, Action::LOGIN, client).target(user.id).with("by", "testing");
        self.0.audit.write(&mut *transaction, record).await?;
        self.open(transaction, user, client).await
    }
}

use super::{Auth, user_of};
use crate::audit::{Action, Actor};
use crate::session::{Client, SessionInfo};
use crate::types::{Code, Error, Principal, Result, SessionId};

impl Auth {
    /// The sessions of the user behind `principal`, newest first.
    pub async fn list_sessions(&self, principal: &Principal) -> Result<Vec<SessionInfo>> {
        let lifetimes = &self.0.settings.tokens;
        let sessions = self.database().read().await?.sessions_of(user_of(principal)?).await?;
        let now = self.now();
        let live = sessions.into_iter().filter(|session| {
            now <= session.expires_at && now <= session.refreshed_at.plus(lifetimes.idle_lifetime)
        });
        Ok(live.map(|session| SessionInfo::new(session, principal.session_id())).collect())
    }

    /// Ends one of the user's own sessions. Someone else's is [`Code::NotFound`], as one that does not exist.
    pub async fn end_session(
        &self,
        principal: &Principal,
        session: SessionId,
        client: &Client,
    ) -> Result<()> {
        let user = user_of(principal)?;
        let mut transaction = self.database().begin().await?;
        let found = transaction.session(session).await?;
        let record = self.record(Actor::User(user), Action::SESSION_REVOKED, client).target(session);
        if found.is_none_or(|found| found.user != user) {
            drop(transaction);
            let denial = Error::new(Code::NotFound, "Session not found");
            return Err(self.deny(record.with("reason", "not theirs"), denial).await);
        }
        transaction.end_session(session, self.now()).await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&[session]);
        Ok(())
    }
}

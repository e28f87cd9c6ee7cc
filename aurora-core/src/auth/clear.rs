use std::sync::Arc;
use std::time::Duration;

use super::Auth;
use crate::audit::Action;
use crate::jobs::{Job, Slot, Task};
use crate::store::{Transaction, User};
use crate::types::{BoxFuture, Result, Timestamp, UserId};

/// How often it is looked for users to clear away.
const PERIOD: Duration = Duration::from_secs(3_600);
/// How long a process that died keeps the others from it, and the longest that a run may take.
const LEASE: Duration = Duration::from_secs(2 * 3_600);
/// Users that go in one transaction: others wait for the writer's turn no longer than that takes.
const BATCH: i64 = 50;

/// Whom a run clears away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whom {
    /// Who registered and never confirmed. Whom the service added or invited has no mail of a registration, and stays.
    Unconfirmed,
    /// Who came without an address and has no session any more.
    Anonymous,
}

/// The job.
#[derive(Debug)]
struct Clearing(Auth);

impl Job for Clearing {
    fn run(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.0.clear_away().await.map(drop) })
    }
}

impl Auth {
    /// The job that does [`Auth::clear_away`] once an hour, in one process at a time. `None` where the settings keep
    /// everybody.
    pub fn clearing(&self) -> Result<Option<Task>> {
        let sign_ups = &self.0.settings.sign_ups;
        if sign_ups.keep_unconfirmed.is_none() && sign_ups.keep_anonymous.is_none() {
            return Ok(None);
        }
        let parts = self.0.sessions.parts();
        let slot = Slot::new(Arc::clone(&parts.database), Arc::clone(&parts.clock), &*parts.entropy, LEASE)?;
        let job = Arc::new(Clearing(self.clone()));
        Ok(Some(Task::new("clearing", PERIOD, job).in_one_process(slot)))
    }

    /// Clears users away whom the settings keep no longer
    /// ([`SignUps::keep_unconfirmed`](crate::config::SignUps::keep_unconfirmed),
    /// [`SignUps::keep_anonymous`](crate::config::SignUps::keep_anonymous)), with what the host's foreign keys let go
    /// along, and answers how many. To whom a row of the host's holds on stays, as does who has a session or a link
    /// that is good.
    pub async fn clear_away(&self) -> Result<u64> {
        let sign_ups = &self.0.settings.sign_ups;
        let mut cleared = 0;
        for (whom, keep) in
            [(Whom::Unconfirmed, sign_ups.keep_unconfirmed), (Whom::Anonymous, sign_ups.keep_anonymous)]
        {
            let Some(keep) = keep else { continue };
            let horizon = self.now().minus(keep);
            let mut after = (Timestamp::from_micros(0), UserId::from_bytes([0; 16]));
            loop {
                let page = self.page(whom, horizon, after).await?;
                let Some(last) = page.last() else { break };
                after = *last;
                let mut users: Vec<UserId> = page.iter().map(|(_, user)| *user).collect();
                // Whoever locks several users does it in this order.
                users.sort_unstable_by_key(|user| *user.as_bytes());
                cleared += self.clear(whom, horizon, &users).await?;
            }
        }
        Ok(cleared)
    }

    async fn page(
        &self,
        whom: Whom,
        horizon: Timestamp,
        after: (Timestamp, UserId),
    ) -> Result<Vec<(Timestamp, UserId)>> {
        let mut reader = self.database().read().await?;
        match whom {
            Whom::Unconfirmed => reader.unconfirmed(horizon, after, BATCH).await,
            Whom::Anonymous => reader.anonymous(horizon, after, BATCH).await,
        }
    }

    /// Together; if that fails, for a deferred constraint of the host's for instance, one by one.
    async fn clear(&self, whom: Whom, horizon: Timestamp, users: &[UserId]) -> Result<u64> {
        if let Ok(cleared) = self.clear_together(whom, horizon, users).await {
            return Ok(cleared);
        }
        let mut cleared = 0;
        for user in users {
            match self.clear_together(whom, horizon, std::slice::from_ref(user)).await {
                Ok(one) => cleared += one,
                Err(error) => tracing::warn!(%user, ?error, "a user could not be cleared away"),
            }
        }
        Ok(cleared)
    }

    async fn clear_together(&self, whom: Whom, horizon: Timestamp, users: &[UserId]) -> Result<u64> {
        let mut transaction = self.database().begin().await?;
        let mut cleared = 0;
        for id in users {
            // Read again, locked: somebody may have come back since.
            let Some(user) = transaction.user(*id).await? else { continue };
            if self.may_go(&mut *transaction, whom, horizon, &user).await?
                && transaction.clear_user(*id).await?
            {
                cleared += 1;
            }
        }
        if cleared > 0 {
            let why = match whom {
                Whom::Unconfirmed => "never confirmed",
                Whom::Anonymous => "anonymous",
            };
            let record = self.of_service(Action::USER_DELETED).with("how", "cleared away").with("why", why);
            self.0.audit.write(&mut *transaction, record.with("users", cleared)).await?;
            transaction.commit().await?;
        }
        Ok(cleared)
    }

    async fn may_go(
        &self,
        transaction: &mut dyn Transaction,
        whom: Whom,
        horizon: Timestamp,
        user: &User,
    ) -> Result<bool> {
        let over = match whom {
            Whom::Unconfirmed => {
                let sent = user.confirmation_sent_at.is_some_and(|sent| sent < horizon);
                sent && user.email_confirmed_at.is_none()
                    && user.invited_at.is_none()
                    && user.last_sign_in_at.is_none()
            }
            Whom::Anonymous => user.is_anonymous && user.email.is_none() && user.created_at < horizon,
        };
        if !over || user.deleted_at.is_some() || !transaction.sessions_of(user.id).await?.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        Ok(transaction.tokens_of(user.id).await?.iter().all(|token| token.expires_at <= now))
    }
}

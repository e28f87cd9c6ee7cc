use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{HookError, PasswordDecision, PasswordVerification, UserCreation};
use crate::audit::{Action, Actor, Record, deny};
use crate::auth::{Account, Auth, metadata};
use crate::session::Client;
use crate::store::{Transaction, User};
use crate::types::{BoxFuture, Code, Error, Result};
use crate::validate::{Email, printable};

/// What Supabase says when a hook rejects a password without words of its own.
const REJECTED: &str = "Further password verification attempts will be rejected.";

/// Runs a hook within its time. A panic in it, also where its future is made, is a failure.
pub(super) async fn run<'a, T>(
    limit: Duration,
    hook: impl FnOnce() -> BoxFuture<'a, Result<T, HookError>>,
) -> Result<T> {
    let panicked = || Error::internal("a hook panicked");
    let work = catch_unwind(AssertUnwindSafe(hook)).map_err(|_panic| panicked())?;
    let mut work = pin!(work);
    let contained = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(outcome)) => Poll::Ready(outcome.map_err(HookError::into_error)),
        Err(_panic) => Poll::Ready(Err(panicked())),
    });
    in_time(limit, contained).await
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            let seconds = limit.as_secs_f64();
            let sentence = format!("Failed to reach hook within maximum time of {seconds:.6} seconds");
            Err(Error::new(Code::HookTimeout, sentence))
        }
    }
}

impl Auth {
    /// Asks the host whether this may become a user. Before any transaction; a refusal is recorded.
    pub(in crate::auth) async fn may_be_created(
        &self,
        user: &User,
        client: Option<&Client>,
        way: &'static str,
    ) -> Result<()> {
        let Err(error) = self.ask_of_creation(user, client, way).await else { return Ok(()) };
        let record = match client {
            Some(client) => self.record(Actor::Anonymous, Action::SIGN_UP_FAILED, client),
            None => Record::security(self.now(), Actor::Service, Action::SIGN_UP_FAILED),
        };
        Err(self.deny_by_hook(record.with("hook", "before_user_created").with("by", way), error).await)
    }

    /// The same without a record.
    pub(in crate::auth) async fn ask_of_creation(
        &self,
        user: &User,
        client: Option<&Client>,
        way: &'static str,
    ) -> Result<()> {
        let hooks = &self.0.hooks;
        let Some(hook) = &hooks.before_user_created else { return Ok(()) };
        let creation = UserCreation { account: Account::new(user.clone()), client: client.cloned(), way };
        run(hooks.time_limit, || hook.may_be_created(&creation)).await
    }

    /// Lets the host write beside a new user, in the same transaction. It has a hook's time: on SQLite nobody else
    /// writes meanwhile.
    pub(in crate::auth) async fn written_by_host(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
    ) -> Result<()> {
        let Some(hook) = &self.0.sign_up_hook else { return Ok(()) };
        let account = Account::new(user.clone());
        let lent = transaction.host().await?;
        let written = in_time(self.0.hooks.time_limit, hook.signed_up(lent, &account)).await;
        written.inspect_err(|error| tracing::warn!(?error, "a hook at a sign-up did not go on"))
    }

    /// Asks the host about somebody whom the service lets in, unless they are known already.
    pub(in crate::auth) async fn may_be_let_in(
        &self,
        email: &Email,
        data: Option<&str>,
        way: &'static str,
    ) -> Result<()> {
        if self.0.hooks.before_user_created.is_none()
            || self.database().read().await?.user_by_email(email).await?.is_some()
        {
            return Ok(());
        }
        let user = self.new_user(email.clone(), None, metadata::merge("{}", data)?, false)?;
        self.may_be_created(&user, None, way).await
    }

    /// Asks the host whether the owner of a right password may go on.
    pub(in crate::auth) async fn may_go_on(&self, user: &User, client: &Client) -> Result<()> {
        let hooks = &self.0.hooks;
        let Some(hook) = &hooks.password_verified else { return Ok(()) };
        let verification =
            PasswordVerification { account: Account::new(user.clone()), client: client.clone() };
        let asked = run(hooks.time_limit, || hook.password_verified(&verification)).await;
        let record = self.record(Actor::Anonymous, Action::LOGIN_FAILED, client).target(user.id);
        let record = record.with("hook", "password_verified");
        let (message, ends) = match asked {
            Ok(PasswordDecision::Continue) => return Ok(()),
            Ok(PasswordDecision::Reject(message)) => (message, false),
            Ok(PasswordDecision::RejectAndEndSessions(message)) => (message, true),
            Err(error) => return Err(self.deny_by_hook(record, error).await),
        };
        if ends {
            self.end_sessions_of(user.id).await?;
        }
        let message = message.filter(|message| !message.is_empty());
        let message = message.map(|message| printable(&message, 500));
        let denial = Error::new(Code::InvalidCredentials, message.unwrap_or_else(|| REJECTED.to_owned()));
        Err(self.deny(record.with("reason", "rejected"), denial).await)
    }

    /// Records that a hook refused or failed, without what it said: that may name anyone.
    async fn deny_by_hook(&self, record: Record, error: Error) -> Error {
        let reason = match error.code() {
            Code::RefusedByHook => "refused",
            Code::HookTimeout => "timeout",
            _ => "failed",
        };
        tracing::warn!(?error, "a hook did not go on");
        // Not `deny`: it would put the reason in the place of the cause, which development shows.
        let record = record.with("reason", reason).with("code", error.code());
        deny(self.database(), &*self.0.audit, record, error).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hook_is_bounded_in_time_and_in_its_damage() {
        let limit = Duration::from_secs(5);
        let done = run(limit, || Box::pin(async { Ok(7) })).await;
        assert_eq!(done.unwrap(), 7);
        let slow = run::<()>(limit, || Box::pin(std::future::pending())).await.unwrap_err();
        assert_eq!((slow.code(), slow.status().as_u16()), (Code::HookTimeout, 422));
        assert_eq!(slow.message(), "Failed to reach hook within maximum time of 5.000000 seconds");
        let late = run::<()>(limit, || {
            Box::pin(async {
                tokio::task::yield_now().await;
                panic!("a secret of the host's")
            })
        });
        let early = run::<()>(limit, || panic!("a secret of the host's"));
        for error in [late.await.unwrap_err(), early.await.unwrap_err()] {
            assert_eq!((error.status().as_u16(), error.message()), (500, "Internal server error"));
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
        let refused = run::<()>(limit, || Box::pin(async { Err(HookError::refuse(403, "not\r\nyou")) }));
        let refused = refused.await.unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.message()), (403, "not??you"));
        let other = run::<()>(limit, || Box::pin(async { Err(HookError::refuse(500, "x")) })).await;
        assert_eq!(other.unwrap_err().status(), 400);
        let failed = run::<()>(limit, || Box::pin(async { Err(std::io::Error::other("inner"))? })).await;
        assert_eq!(failed.unwrap_err().message(), "Internal server error");
    }
}

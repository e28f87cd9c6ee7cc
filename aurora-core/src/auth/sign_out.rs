use std::str::FromStr;

use super::one_time::Purpose;
use super::{Auth, session_of, user_of};
use crate::audit::{Action, Actor};
use crate::session::Client;
use crate::store::Transaction;
use crate::types::{Code, Error, Principal, Result, UserId};

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// All of the user's. What Supabase's client means when it says nothing.
    #[default]
    Global,
    /// The one that asks.
    Local,
    /// All but the one that asks.
    Others,
}

impl Scope {
    /// The scope's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Local => "local",
            Self::Others => "others",
        }
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let scopes = [Self::Global, Self::Local, Self::Others];
        scopes
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| Error::new(Code::ValidationFailed, "`scope` must be global, local or others"))
    }
}

impl Auth {
    /// Ends sessions of the user behind `principal`, and with them their access tokens, at once. Where more than its
    /// own end, so does what one of them may have asked for: codes to reauthenticate with, and a change of the address
    /// to which the new address alone would agree.
    pub async fn sign_out(&self, principal: &Principal, scope: Scope, client: &Client) -> Result<()> {
        let user = user_of(principal)?;
        let session = session_of(principal)?;
        let now = self.now();
        let mut transaction = self.database().begin().await?;
        let ended = match scope {
            Scope::Local => {
                transaction.end_session(session, now).await?;
                vec![session]
            }
            Scope::Others => transaction.end_sessions_of(user, Some(session), now).await?,
            Scope::Global => transaction.end_sessions_of(user, None, now).await?,
        };
        if scope != Scope::Local {
            self.end_what_was_asked(&mut *transaction, user).await?;
        }
        let record = self.record(Actor::User(user), Action::LOGOUT, client).target(session);
        let record = record.with("scope", scope.as_str()).with("sessions_ended", ended.len());
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        Ok(())
    }

    /// A change that both addresses agree to goes on: its owner has a say in it, and Supabase's client means every
    /// session when it says nothing.
    async fn end_what_was_asked(&self, transaction: &mut dyn Transaction, user: UserId) -> Result<()> {
        transaction.delete_tokens_of(user, Some(Purpose::Reauthentication.as_str())).await?;
        if self.0.settings.sign_ups.both_addresses_confirm {
            return Ok(());
        }
        for purpose in [Purpose::EmailChangeNew, Purpose::EmailChangeCurrent] {
            transaction.delete_tokens_of(user, Some(purpose.as_str())).await?;
        }
        if let Some(mut user) = transaction.user(user).await?.filter(|user| user.new_email.is_some()) {
            user.new_email = None;
            user.email_change_sent_at = None;
            transaction.update_user(&user).await?;
        }
        Ok(())
    }
}

use super::sign_up::APP_METADATA;
use super::{Auth, IssuedSession, metadata};
use crate::audit::{Action, Actor};
use crate::load::{Bucket, address_key};
use crate::session::Client;
use crate::store::{Identity, Transaction, User};
use crate::types::{Code, Error, Result, UserId};

impl Auth {
    /// Signs someone in whom nobody knows: a user without an address, as whom they may come back while their session
    /// lasts. A confirmed address makes them one that is known ([`Auth::update_user`]).
    ///
    /// [`Code::AnonymousProviderDisabled`] unless the settings allow it.
    pub async fn sign_in_anonymously(&self, data: Option<String>, client: &Client) -> Result<IssuedSession> {
        self.0.limiter.check(Bucket::SignUp, &address_key(client.address()))?;
        let sign_ups = &self.0.settings.sign_ups;
        let refused = if sign_ups.disabled {
            Some((Code::SignupDisabled, "Signups not allowed for this instance"))
        } else if !sign_ups.anonymous {
            Some((Code::AnonymousProviderDisabled, "Anonymous sign-ins are disabled"))
        } else {
            None
        };
        if let Some((code, sentence)) = refused {
            let record = self.record(Actor::Anonymous, Action::SIGN_UP_FAILED, client);
            return Err(self.deny(record.with("provider", "anonymous"), Error::new(code, sentence)).await);
        }
        let data = metadata::merge("{}", data.as_deref())?;
        let now = self.now();
        let mut user = self.nobody(UserId::from_random(self.random()?), data);
        self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)?;
        user.is_anonymous = true;
        user.last_sign_in_at = Some(now);
        self.may_be_created(&user, Some(client), "anonymous").await?;
        let mut transaction = self.database().begin().await?;
        if !self.insert(&mut *transaction, &user).await? {
            return Err(Error::internal("a user without an address has a taken one"));
        }
        let record = self.record(Actor::User(user.id), Action::USER_SIGNED_UP, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("provider", "anonymous")).await?;
        self.open_by(transaction, user, "anonymous", client).await
    }

    /// Gives a user an e-mail identity who has none yet.
    pub(super) async fn identify(&self, transaction: &mut dyn Transaction, user: &mut User) -> Result<()> {
        if user.identities.iter().any(|identity| identity.provider == "email") {
            return Ok(());
        }
        let identity = self.email_identity(user.id)?;
        transaction.put_identity(user.id, &identity).await?;
        user.identities.push(identity);
        user.app_metadata = metadata::merge(APP_METADATA, Some(&user.app_metadata))?;
        user.is_anonymous = false;
        Ok(())
    }

    pub(super) fn email_identity(&self, user: UserId) -> Result<Identity> {
        let now = self.now().as_micros();
        Ok(Identity {
            id: UserId::from_random(self.random()?),
            provider: "email".to_owned(),
            provider_id: user.to_string(),
            created_at: now,
            updated_at: now,
            last_sign_in_at: Some(now),
        })
    }
}

use super::one_time::{ComeBack, Purpose, TRIES};
use super::{Auth, user_gone, user_of};
use crate::audit::Action;
use crate::session::Client;
use crate::store::User;
use crate::types::{Code, Error, Principal, Result, Secret, UserId};

impl Auth {
    /// Sends a code to the user behind `principal`, who proves with it that they read their mail: it goes back as
    /// [`UserChange::nonce`](super::UserChange::nonce).
    pub async fn send_nonce(&self, principal: &Principal, client: &Client) -> Result<()> {
        let id = user_of(principal)?;
        let mut transaction = self.database().begin().await?;
        let mut user = transaction.user(id).await?.ok_or_else(user_gone)?;
        let Some(email) = user.email.clone().filter(|_| user.email_confirmed_at.is_some()) else {
            let sentence = "Reauthentication requires the user to have a confirmed email address";
            let denial = Error::new(Code::ValidationFailed, sentence);
            drop(transaction);
            return Err(self.refuse_change(&user, "no confirmed address", denial, client).await);
        };
        self.check_mail(&email, client)?;
        let purpose = Purpose::Reauthentication;
        self.send(&mut *transaction, &mut user, purpose, &email, &ComeBack::default(), None).await?;
        transaction.update_user(&user).await?;
        let record = self.mail_record(Action::USER_REAUTHENTICATE_REQUESTED, purpose, client).target(id);
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(())
    }

    /// The token of a nonce, which the change that it stands for uses up in its own transaction: one that is refused
    /// for something else, a weak password for instance, leaves it good. `None` if it is not one of this user's: that
    /// counts as a wrong code.
    pub(super) async fn nonce(&self, user: &User, nonce: &Secret) -> Result<Option<UserId>> {
        let Some(email) = &user.email else { return Ok(None) };
        // Under the user's own key: a stranger who guesses at the address uses up nothing of it.
        let mut key = b"nonce\0".to_vec();
        key.extend_from_slice(user.id.as_bytes());
        let guess = self.0.limiter.guess(&key)?;
        let hash = self.code_hash(email, Purpose::Reauthentication, nonce.expose());
        let mut transaction = self.database().begin().await?;
        let found = transaction.token_by_code(&hash).await?;
        let good = found
            .filter(|token| token.user == user.id && token.tries < TRIES && token.expires_at > self.now());
        let Some(token) = good else {
            transaction.count_try(email, true).await?;
            transaction.commit().await?;
            return Ok(None);
        };
        guess.succeeded();
        Ok(Some(token.id))
    }
}

/// What a wrong nonce is told.
pub(super) fn not_a_nonce() -> Error {
    Error::new(Code::ReauthenticationNotValid, "Nonce has expired or is invalid")
}

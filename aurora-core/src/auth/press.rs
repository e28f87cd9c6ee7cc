use super::one_time::{Pending, VerifyType, expired};
use super::verify::Verified;
use super::{Auth, banned};
use crate::audit::{Action, Actor};
use crate::load::{Bucket, address_key};
use crate::session::Client;
use crate::store::User;
use crate::types::{Result, Secret};

/// What the page of a link gave whose button was pressed.
#[derive(Clone, Debug)]
pub enum Pressed {
    /// The link was used up.
    Verified(Verified),
    /// The address is confirmed, and nobody is signed in: the link carries a challenge, and this is what whoever has
    /// its verifier exchanges.
    Exchange(Secret),
}

impl Auth {
    /// What pressing the button on a link's page does: [`Auth::verify_link`] for a link without a challenge.
    ///
    /// With one the reader may be on another device than whoever asked. They proved the mailbox, so that the address
    /// is confirmed and whatever strangers set on it is gone; a session is for the verifier alone, and where several
    /// people asked for the address, so is the password.
    pub async fn press_link(&self, token: &Secret, kind: VerifyType, client: &Client) -> Result<Pressed> {
        let hash = self.link_hash(token.expose());
        let found = self.database().read().await?.token_by_link(&hash).await?;
        if found.is_none_or(|row| row.challenge.is_none()) {
            return self.verify_link(token, kind, client).await.map(Pressed::Verified);
        }
        self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        let mut transaction = self.database().begin().await?;
        let found = transaction.token_by_link(&hash).await?;
        let Some((mut row, purpose)) = self.good(found, kind)? else {
            drop(transaction);
            return Err(self.refuse_token("link", None, expired(), client).await);
        };
        let user = transaction.user(row.user).await?.filter(|user| user.deleted_at.is_none());
        let Some(mut user) = user.filter(|user| user.email.as_ref() == Some(&row.address)) else {
            drop(transaction);
            return Err(self.refuse_token("another address", Some(&row), expired(), client).await);
        };
        if user.is_banned(self.now()) {
            drop(transaction);
            return Err(self.refuse_token("banned", Some(&row), banned(), client).await);
        }
        let code = self.exchange_code(token.expose());
        if user.email_confirmed_at.is_some() {
            return Ok(Pressed::Exchange(Secret::new(code)));
        }
        let wanted = self.unseal(&row)?;
        let (now, waiting) = if user.contested_at.is_some() {
            (Pending::default(), Pending { mailbox_proved: true, ..wanted })
        } else {
            (wanted, Pending::default())
        };
        // Off the list first: what was guessed at is kept with its link when its user's tokens go.
        transaction.delete_token(row.id).await?;
        let ended = self.confirmed(&mut *transaction, &mut user, purpose, now).await?;
        user.updated_at = self.now();
        transaction.update_user(&user).await?;
        row.sealed = Some(self.seal(row.id, &waiting)?);
        transaction.insert_token(&row).await?;
        let record = self.record(Actor::User(user.id), Action::USER_MODIFIED, client).target(user.id);
        let record = record.with("email", "confirmed").with("by", purpose.as_str());
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        Ok(Pressed::Exchange(Secret::new(code)))
    }
}

/// The verifier came after the mailbox was proved elsewhere: the registration is this one's, unless somebody came in
/// or chose a password meanwhile.
pub(super) fn late(user: &mut User, pending: &mut Pending) {
    if user.password.is_none() && user.last_sign_in_at.is_none() {
        user.password = pending.password.take();
        if let Some(metadata) = pending.user_metadata.take().filter(|_| user.user_metadata == "{}") {
            user.user_metadata = metadata;
        }
    }
}

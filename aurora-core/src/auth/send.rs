use std::time::Duration;

use super::one_time::{ComeBack, Minted, Pending, Purpose};
use super::{Auth, redirect};
use crate::audit::{Action, Actor, Record};
use crate::load::{Bucket, address_key};
use crate::mail::Message;
use crate::session::Client;
use crate::store::{Transaction, User};
use crate::types::{Code, Error, Result};
use crate::validate::Email;

/// Registrations of one address that may wait at the same time, each with a mail of its own.
const WAITING: usize = 5;

impl Auth {
    /// Counts a mail: by who asks for it, and by who gets it, whether or not they are known here.
    pub(super) fn check_mail(&self, to: &Email, client: &Client) -> Result<()> {
        // Before anything is looked at: without a mailer the answer is the same for everyone.
        if !self.0.outbox.delivers() {
            return Err(Error::new(Code::EmailProviderDisabled, "Email is not set up"));
        }
        let limiter = &self.0.limiter;
        let limited = |error: Error| {
            let wait = error.retry_after().unwrap_or(60);
            let sentence = format!("For security purposes, you can only request this after {wait} seconds.");
            Error::new(Code::OverEmailSendRateLimit, sentence).with_retry_after(wait)
        };
        limiter.check(Bucket::Mail, &address_key(client.address())).map_err(limited)?;
        limiter.check(Bucket::MailTo, to.as_str().as_bytes()).map_err(limited)
    }

    /// Whether the new address of somebody may get one more, for whom their present one asks. Counted apart from what
    /// is asked for with the new one: whoever asks there would learn whether a change to it waits.
    pub(super) fn may_mail_again(&self, new: &Email) -> bool {
        self.0.limiter.check(Bucket::MailTo, format!("change {new}").as_bytes()).is_ok()
    }

    /// Writes a token and its mail. The user's row is the caller's to write.
    pub(super) async fn send(
        &self,
        transaction: &mut dyn Transaction,
        user: &mut User,
        purpose: Purpose,
        to: &Email,
        back: &ComeBack,
        pending: Option<&Pending>,
    ) -> Result<()> {
        let minted = self.token(transaction, user, purpose, to, back, pending).await?;
        let message = self.message(user, purpose, to, &minted, back);
        self.0.outbox.put(transaction, &message).await?;
        let now = Some(self.now());
        match purpose {
            Purpose::Confirmation => user.confirmation_sent_at = now,
            Purpose::MagicLink | Purpose::Recovery => user.recovery_sent_at = now,
            Purpose::Invite => user.invited_at = now,
            Purpose::EmailChangeCurrent | Purpose::EmailChangeNew => user.email_change_sent_at = now,
            Purpose::Reauthentication => user.reauthentication_sent_at = now,
        }
        Ok(())
    }

    /// Writes a token without its mail.
    pub(super) async fn token(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        purpose: Purpose,
        to: &Email,
        back: &ComeBack,
        pending: Option<&Pending>,
    ) -> Result<Minted> {
        let now = self.now();
        // Another mail gives no new tries.
        let nonce = purpose == Purpose::Reauthentication;
        let tries = transaction.tries_at(to, nonce, now).await?;
        if purpose == Purpose::Confirmation {
            // Each registration keeps its own mail: whose comes back is the one that counts. Of too many, the oldest
            // goes.
            let tokens = transaction.tokens_of(user.id).await?;
            let waiting = tokens.iter().filter(|token| token.purpose == purpose.as_str());
            for old in waiting.skip(WAITING - 1) {
                transaction.delete_token(old.id).await?;
            }
        } else {
            transaction.delete_tokens_of(user.id, Some(purpose.as_str())).await?;
        }
        // What nobody can use any more, of anyone's.
        transaction.forget_tokens(now.minus(self.0.settings.mails.lifetime)).await?;
        // Two addresses agree to a change, maybe on two devices: neither has the other's verifier.
        let change = matches!(purpose, Purpose::EmailChangeCurrent | Purpose::EmailChangeNew);
        let challenge = back.challenge.as_ref().filter(|_| !change);
        let mut minted = self.mint(user, purpose, to, challenge, pending)?;
        minted.row.tries = tries;
        // Newer than whatever waits at the address, also where another process's clock is ahead or ours was set back.
        let newest = transaction.newest_token_at(to, purpose.sharing_a_code()).await?;
        if let Some(newest) = newest.filter(|newest| *newest >= now) {
            minted.row.created_at = newest.plus(Duration::from_micros(1));
        }
        transaction.insert_token(&minted.row).await?;
        Ok(minted)
    }

    /// The link of a token's mail.
    pub(super) fn link(&self, purpose: Purpose, token: &str, back: &ComeBack) -> String {
        let settings = &self.0.settings;
        let to = redirect::chosen(settings, back.redirect_to.as_deref());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("type", purpose.wire())
            .append_pair("redirect_to", &to)
            .finish();
        format!("{}/verify?{query}", settings.issuer())
    }

    fn message(
        &self,
        user: &User,
        purpose: Purpose,
        to: &Email,
        minted: &Minted,
        back: &ComeBack,
    ) -> Message {
        let lifetime = self.0.settings.mails.lifetime;
        let mut message = Message::new(purpose.kind(), to.clone())
            .user(user.id)
            .code(minted.code.clone())
            .lifetime(lifetime);
        if purpose != Purpose::Reauthentication {
            message = message.link(self.link(purpose, &minted.token, back));
        }
        match (purpose, &user.new_email) {
            (Purpose::EmailChangeCurrent | Purpose::EmailChangeNew, Some(new)) => {
                message.new_email(new.clone())
            }
            _ => message,
        }
    }

    /// A notice without a link: what happened to an account goes to whoever owns it.
    pub(super) async fn notify(
        &self,
        transaction: &mut dyn Transaction,
        message: Message,
        user: &User,
    ) -> Result<()> {
        self.0.outbox.put(transaction, &message.user(user.id)).await
    }

    /// Does for an address that nobody has here what is done for one that somebody has: a record, and a mail that
    /// nobody gets. The time of an answer says nothing then.
    pub(super) async fn send_nothing(
        &self,
        purpose: Purpose,
        to: &Email,
        back: &ComeBack,
        record: Record,
    ) -> Result<()> {
        let mut nobody = self.new_user(to.clone(), None, "{}".to_owned(), false)?;
        nobody.new_email = Some(to.clone());
        let minted = self.mint(&nobody, purpose, to, back.challenge.as_ref(), None)?;
        let message = self.message(&nobody, purpose, to, &minted, back);
        let mut transaction = self.database().begin().await?;
        self.0.outbox.put_nothing(&mut *transaction, &message).await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(())
    }

    /// The record of a mail that was asked for.
    pub(super) fn mail_record(&self, action: Action, purpose: Purpose, client: &Client) -> Record {
        self.record(Actor::Anonymous, action, client).with("mail", purpose.as_str())
    }
}

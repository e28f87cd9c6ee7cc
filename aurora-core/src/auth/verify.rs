use super::one_time::{Challenge, Pending, Purpose, SPENT, TRIES, VerifyType, expired};
use super::{Auth, IssuedSession, banned};
use crate::audit::{Action, Actor};
use crate::load::{Bucket, address_key};
use crate::mail::{Kind, Message};
use crate::session::Client;
use crate::store::{OneTimeToken, Transaction, User};
use crate::types::{Code, Error, Result, Secret, SessionId};
use crate::validate::Email;

/// What a link or a code gave.
#[derive(Clone, Debug)]
pub enum Verified {
    /// Signed in.
    Session(Box<IssuedSession>),
    /// The first of two addresses agreed to a change; the other one has to.
    HalfChanged,
}

impl Auth {
    /// Uses a link's token up.
    ///
    /// [`Code::OtpExpired`] for one that is unknown, used, expired or for something else, in one answer;
    /// [`Code::UserBanned`] only to whoever holds a good one.
    pub async fn verify_link(&self, token: &Secret, kind: VerifyType, client: &Client) -> Result<Verified> {
        self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        let mut transaction = self.database().begin().await?;
        let found = transaction.token_by_link(&self.link_hash(token.expose())).await?;
        match self.good(found, kind)? {
            Some((token, purpose)) => self.redeem(transaction, token, purpose, Proof::Mail, client).await,
            None => {
                drop(transaction);
                Err(self.refuse_token("link", None, expired(), client).await)
            }
        }
    }

    /// Uses a code up that was sent to `email`.
    ///
    /// At an address the code of the newest mail is good and no other, however many accounts asked for one. Five wrong
    /// ones and it is dead, also for whoever asked for another in the meantime; links go on. Guesses are limited
    /// beside that, as passwords are.
    pub async fn verify_code(
        &self,
        email: &str,
        code: &Secret,
        kind: VerifyType,
        client: &Client,
    ) -> Result<Verified> {
        self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        let email: Email = email.parse().map_err(|_| expired())?;
        let mut key = b"code\0".to_vec();
        key.extend_from_slice(email.as_str().as_bytes());
        let guess = self.0.limiter.guess(&key)?;
        let pace = self.pace();
        let mut transaction = self.database().begin().await?;
        for purpose in Purpose::ALL.into_iter().filter(|purpose| kind.takes(*purpose)) {
            let hash = self.code_hash(&email, purpose, code.expose());
            let found = transaction.token_by_code(&hash).await?.filter(|token| token.tries < TRIES);
            let Some((token, purpose)) = self.good(found, kind)? else { continue };
            let newest = transaction.newest_token_at(&email, purpose.sharing_a_code()).await?;
            if newest.is_none_or(|newest| token.created_at >= newest) {
                guess.succeeded();
                return self.redeem(transaction, token, purpose, Proof::Mail, client).await;
            }
        }
        transaction.count_try(&email, false).await?;
        transaction.commit().await?;
        // Where a code waits, there is more to write.
        let refused = self.refuse_token("code", None, expired(), client).await;
        Err(pace.kept(refused).await)
    }

    /// Whether a link would be good. With a challenge, and where there is nothing left to confirm: what its holder's
    /// client exchanges. `None`: its reader has to press a button. Nothing changes, so that a mail scanner that opens
    /// it first burns nothing.
    pub async fn look_at_link(
        &self,
        token: &Secret,
        kind: VerifyType,
        client: &Client,
    ) -> Result<Option<String>> {
        self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        let mut reader = self.database().read().await?;
        let found = reader.token_by_link(&self.link_hash(token.expose())).await?;
        let Some((row, _)) = self.good(found, kind)? else {
            drop(reader);
            return Err(self.refuse_token("link", None, expired(), client).await);
        };
        if row.challenge.is_none() {
            return Ok(None);
        }
        let user = reader.user(row.user).await?;
        let waits = user.is_some_and(|user| user.email_confirmed_at.is_none());
        Ok((!waits).then(|| self.exchange_code(token.expose())))
    }

    /// Exchanges what a link with a challenge led to, with the verifier that its challenge was made of.
    ///
    /// [`Code::FlowStateNotFound`], [`Code::BadCodeVerifier`]: a wrong verifier burns nothing.
    pub async fn exchange(&self, code: &Secret, verifier: &Secret, client: &Client) -> Result<Verified> {
        self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        let mut transaction = self.database().begin().await?;
        let found = transaction.token_by_exchange(&self.exchange_hash(code.expose())).await?;
        let Some(token) = found.filter(|token| token.expires_at > self.now()) else {
            drop(transaction);
            let denial = Error::new(Code::FlowStateNotFound, "invalid flow state, no valid flow state found");
            return Err(self.refuse_token("exchange", None, denial, client).await);
        };
        let challenge = token.challenge.as_ref().map(Challenge::restored).transpose()?;
        if !challenge.is_some_and(|challenge| challenge.is_met_by(verifier)) {
            drop(transaction);
            let denial = Error::new(
                Code::BadCodeVerifier,
                "code challenge does not match previously saved code verifier",
            );
            return Err(self.refuse_token("exchange", Some(&token), denial, client).await);
        }
        let purpose = Purpose::of(&token)?;
        self.redeem(transaction, token, purpose, Proof::MailAndVerifier, client).await
    }

    pub(super) fn good(
        &self,
        found: Option<OneTimeToken>,
        kind: VerifyType,
    ) -> Result<Option<(OneTimeToken, Purpose)>> {
        let Some(token) = found.filter(|token| token.expires_at > self.now()) else { return Ok(None) };
        // What is kept of a token that ended, for the tries that were counted on it.
        if token.purpose.starts_with(SPENT) {
            return Ok(None);
        }
        let purpose = Purpose::of(&token)?;
        Ok(kind.takes(purpose).then_some((token, purpose)))
    }

    /// What a proved address gives. The token is read under the user's lock: of fifty at once, one gets here with it.
    async fn redeem(
        &self,
        mut transaction: Box<dyn Transaction>,
        token: OneTimeToken,
        purpose: Purpose,
        proof: Proof,
        client: &Client,
    ) -> Result<Verified> {
        let found = transaction.user(token.user).await?.filter(|user| user.deleted_at.is_none());
        let (Some(mut user), true) = (found, transaction.delete_token(token.id).await?) else {
            drop(transaction);
            return Err(self.refuse_token("gone", Some(&token), expired(), client).await);
        };
        if user.is_banned(self.now()) {
            drop(transaction);
            return Err(self.refuse_token("banned", Some(&token), banned(), client).await);
        }
        let mut pending = self.unseal(&token)?;
        // An address that nobody confirmed before; somebody unknown who gets one had none to confirm.
        let first = user.email.is_some() && user.email_confirmed_at.is_none();
        if user.contested_at.is_some() && proof == Proof::Mail {
            // Several people asked for the address, and nobody can tell whose mail this is: the mailbox is proved,
            // the password is not.
            pending.password = None;
            pending.user_metadata = None;
        }
        if pending.mailbox_proved && proof == Proof::MailAndVerifier {
            super::press::late(&mut user, &mut pending);
        }
        let mut ended = Vec::new();
        let agreed = match purpose {
            Purpose::EmailChangeCurrent | Purpose::EmailChangeNew => {
                match self.agree(&mut *transaction, &mut user, &token, purpose, &pending).await? {
                    Agreed::Both(left) => {
                        ended = left;
                        true
                    }
                    Agreed::One => {
                        return self.half_changed(transaction, &user, purpose, client).await;
                    }
                    Agreed::No => false,
                }
            }
            // An address that was changed meanwhile is not the one that was proved.
            _ => user.email.as_ref() == Some(&token.address),
        };
        if !agreed {
            drop(transaction);
            return Err(self.refuse_token("another address", Some(&token), expired(), client).await);
        }
        self.enter_by_mail(transaction, user, (purpose, ended), first.then_some(pending), client).await
    }

    async fn enter_by_mail(
        &self,
        mut transaction: Box<dyn Transaction>,
        mut user: User,
        (purpose, mut ended): (Purpose, Vec<SessionId>),
        first: Option<Pending>,
        client: &Client,
    ) -> Result<Verified> {
        let now = self.now();
        let is_first = first.is_some();
        if let Some(pending) = first {
            ended = self.confirmed(&mut *transaction, &mut user, purpose, pending).await?;
        } else {
            transaction.delete_tokens_of(user.id, Some(purpose.as_str())).await?;
        }
        user.last_sign_in_at = Some(now);
        user.updated_at = now;
        if !transaction.update_user(&user).await? {
            drop(transaction);
            let denial =
                Error::new(Code::EmailExists, "A user with this email address has already been registered");
            let record =
                self.record(Actor::User(user.id), Action::USER_CHANGE_FAILED, client).target(user.id);
            return Err(self.deny(record.with("reason", "address taken"), denial).await);
        }
        for identity in user.identities.iter_mut().filter(|identity| identity.provider == "email") {
            identity.last_sign_in_at = Some(now.as_micros());
            identity.updated_at = now.as_micros();
            transaction.put_identity(user.id, identity).await?;
        }
        if matches!(purpose, Purpose::EmailChangeCurrent | Purpose::EmailChangeNew) {
            let record = self.record(Actor::User(user.id), Action::USER_MODIFIED, client).target(user.id);
            let record = record.with("email", "changed").with("by", purpose.as_str());
            self.0.audit.write(&mut *transaction, record).await?;
        }
        let record = self.record(Actor::User(user.id), Action::LOGIN, client).target(user.id);
        let record =
            record.with("provider", "email").with("by", purpose.as_str()).with("confirmed", is_first);
        self.0.audit.write(&mut *transaction, record).await?;
        let session = self.open_by(transaction, user, "otp", client).await?;
        self.0.sessions.ended(&ended);
        self.0.outbox.wake();
        Ok(Verified::Session(Box::new(session)))
    }

    /// The first who proves the mailbox has the account. Whatever a stranger set before is gone: what counts is what
    /// came with this mail. Answers which sessions ended.
    pub(super) async fn confirmed(
        &self,
        transaction: &mut dyn Transaction,
        user: &mut User,
        purpose: Purpose,
        pending: Pending,
    ) -> Result<Vec<SessionId>> {
        let now = self.now();
        let ended = transaction.end_sessions_of(user.id, None, now).await?;
        transaction.delete_tokens_of(user.id, None).await?;
        if purpose != Purpose::Invite {
            user.password = pending.password;
            // What an invitation says is the service's word, whichever mail its reader came by.
            if user.invited_at.is_none() {
                user.user_metadata = pending.user_metadata.unwrap_or_else(|| "{}".to_owned());
            }
        }
        user.email_confirmed_at = Some(now);
        user.confirmation_sent_at = None;
        user.contested_at = None;
        Ok(ended)
    }

    /// One of two addresses agrees to a change.
    async fn agree(
        &self,
        transaction: &mut dyn Transaction,
        user: &mut User,
        token: &OneTimeToken,
        purpose: Purpose,
        pending: &Pending,
    ) -> Result<Agreed> {
        let proved = match purpose {
            Purpose::EmailChangeNew => user.new_email.as_ref(),
            _ => user.email.as_ref(),
        };
        if proved != Some(&token.address) {
            return Ok(Agreed::No);
        }
        if !pending.other_agreed {
            let other = match purpose {
                Purpose::EmailChangeNew => Purpose::EmailChangeCurrent,
                _ => Purpose::EmailChangeNew,
            };
            let now = self.now();
            let tokens = transaction.tokens_of(user.id).await?;
            let waiting =
                tokens.into_iter().find(|token| token.purpose == other.as_str() && token.expires_at > now);
            let Some(mut waiting) = waiting else { return Ok(Agreed::No) };
            transaction.delete_token(waiting.id).await?;
            let agreed = Pending { other_agreed: true, ..Pending::default() };
            waiting.sealed = Some(self.seal(waiting.id, &agreed)?);
            transaction.insert_token(&waiting).await?;
            return Ok(Agreed::One);
        }
        let Some(new) = user.new_email.take() else { return Ok(Agreed::No) };
        transaction.delete_tokens_of(user.id, None).await?;
        if let Some(old) = user.email.replace(new.clone()) {
            let message = Message::new(Kind::EmailChanged, old).new_email(new);
            self.notify(transaction, message, user).await?;
        }
        user.email_change_sent_at = None;
        let mut ended = Vec::new();
        if user.is_anonymous {
            // Set and held by whoever asked for the address, who need not be who reads its mail.
            user.password = None;
            ended = transaction.end_sessions_of(user.id, None, self.now()).await?;
        }
        self.identify(transaction, user).await?;
        user.contested_at = None;
        user.email_confirmed_at = Some(self.now());
        Ok(Agreed::Both(ended))
    }

    async fn half_changed(
        &self,
        mut transaction: Box<dyn Transaction>,
        user: &User,
        purpose: Purpose,
        client: &Client,
    ) -> Result<Verified> {
        let record = self.record(Actor::User(user.id), Action::USER_MODIFIED, client).target(user.id);
        let record = record.with("email", "one of two agreed").with("by", purpose.as_str());
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        Ok(Verified::HalfChanged)
    }

    pub(super) async fn refuse_token(
        &self,
        reason: &'static str,
        token: Option<&OneTimeToken>,
        denial: Error,
        client: &Client,
    ) -> Error {
        let mut record = self.record(Actor::Anonymous, Action::LOGIN_FAILED, client).with("reason", reason);
        if let Some(token) = token {
            record = record.target(token.user).with("mail", &token.purpose);
        }
        self.deny(record, denial).await
    }
}

/// What whoever uses a token has shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// That they read the mail.
    Mail,
    /// That they also asked for it.
    MailAndVerifier,
}

enum Agreed {
    /// And these sessions ended.
    Both(Vec<SessionId>),
    One,
    No,
}

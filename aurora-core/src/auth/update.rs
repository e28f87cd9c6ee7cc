use super::factors::{asks_raised, is_raised};
use super::one_time::ComeBack;
use super::reauthenticate::not_a_nonce;
use super::{Account, Auth, invalid_credentials, metadata, user_gone, user_of};
use crate::audit::{Action, Actor};
use crate::crypto::Verdict;
use crate::load::{Bucket, address_key};
use crate::mail::{Kind, Message};
use crate::session::{Client, gone};
use crate::store::{Session, Transaction, User};
use crate::types::{Code, Error, Principal, Result, Secret, UserId};
use crate::validate::{Email, NewPassword};

/// What a user wants changed about their own account.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// A new address.
    pub email: Option<String>,
    /// A new password.
    pub password: Option<Secret>,
    /// The current password: wanted where the sign-in is not recent.
    pub current_password: Option<Secret>,
    /// The code of [`Auth::send_nonce`], instead of the current password.
    pub nonce: Option<Secret>,
    /// Members to lay over `user_metadata`: a JSON object; `null` removes one.
    pub data: Option<String>,
    /// How the reader of the mails comes back that a new address waits for.
    pub back: ComeBack,
}

impl Auth {
    /// The account behind `principal`.
    pub async fn user(&self, principal: &Principal) -> Result<Account> {
        let user = self.database().read().await?.user(user_of(principal)?).await?;
        user.map(Account::new).ok_or_else(user_gone)
    }

    /// Changes the account behind `principal`. A new password ends its other sessions.
    ///
    /// Address and password want a sign-in of the last ten minutes or the current password, else
    /// [`Code::ReauthenticationNeeded`]; of somebody with a second factor they want a session that one has raised, else
    /// [`Code::InsufficientAal`]. A new address waits for its confirmation, with autoconfirm too: that believes the
    /// address of a registration, and the first one of somebody unknown, who registers with it.
    /// [`Code::EmailExists`], [`Code::SamePassword`], [`Code::WeakPassword`], [`Code::ValidationFailed`]. What costs
    /// a hash counts as a sign-in from its address: [`Code::OverRequestRateLimit`].
    pub async fn update_user(
        &self,
        principal: &Principal,
        change: UserChange,
        client: &Client,
    ) -> Result<Account> {
        let id = user_of(principal)?;
        let before = self.database().read().await?.user(id).await?.ok_or_else(user_gone)?;
        let email = change.email.as_deref().map(str::parse::<Email>).transpose()?;
        // The present address takes a change back that waits.
        let cancels = email.is_some() && email == before.email && before.new_email.is_some();
        let email = email.filter(|email| before.email.as_ref() != Some(email));
        let user_metadata = metadata::merge(&before.user_metadata, change.data.as_deref())?;
        // A hash costs what a sign-in costs, and is counted as one; so is what only comes to a refusal.
        if change.password.is_some() || (email.is_some() && change.current_password.is_some()) {
            self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        }
        let mut nonce = None;
        if email.is_some() || change.password.is_some() {
            self.ask_factor(principal, &before, client).await?;
            let evidence = (change.current_password.as_ref(), change.nonce.as_ref());
            nonce = self.reauthenticate(principal, &before, evidence, client).await?;
        }
        if let Some(email) = email.as_ref().filter(|_| before.email.is_none()) {
            // Somebody unknown registers with it.
            let registered =
                User { email: Some(email.clone()), user_metadata: user_metadata.clone(), ..before.clone() };
            self.may_be_created(&registered, Some(client), "upgrade").await?;
        }
        let hash = match change.password {
            Some(password) => Some(self.new_hash(&before, password, email.as_ref(), client).await?),
            None => None,
        };
        let data = change.data.is_some().then_some(user_metadata);
        if let Some(email) = email.as_ref().filter(|_| !self.believes_at_once(&before)) {
            self.check_mail(email, client)?;
        }
        let changed = Changed { email, hash, data, back: change.back, cancels, nonce };
        self.apply(principal, &before, changed, client).await
    }

    /// Whether an address of theirs counts without a mail. A change never does, as in Supabase: whoever holds a
    /// session would take an account to an address of theirs, or prove one that is not.
    fn believes_at_once(&self, user: &User) -> bool {
        self.0.settings.sign_ups.autoconfirm.is_on() && user.email.is_none()
    }

    /// A recent sign-in, or the current password; or a nonce, which is used up with the change.
    pub(super) async fn reauthenticate(
        &self,
        principal: &Principal,
        user: &User,
        (current, nonce): (Option<&Secret>, Option<&Secret>),
        client: &Client,
    ) -> Result<Option<UserId>> {
        if let Some(nonce) = nonce.filter(|nonce| current.is_none() && !nonce.expose().is_empty()) {
            if let Some(token) = self.nonce(user, nonce).await? {
                return Ok(Some(token));
            }
            return Err(self.refuse_change(user, "wrong nonce", not_a_nonce(), client).await);
        }
        if let Some(current) = current {
            NewPassword::bounded(current)?;
            // Keyed by the session: whoever stole a token guesses at its own expense, not at the account's.
            let key = principal.session_id().map_or(*user.id.as_bytes(), |session| *session.as_bytes());
            let guess = self.0.limiter.guess(&key)?;
            let looked = self.0.passwords.verify(current, user.password.as_deref());
            let (guess, verdict) = self.checked(guess, looked).await?;
            if let Verdict::Match { .. } = verdict {
                guess.succeeded();
                return Ok(None);
            }
            return Err(self.refuse_change(user, "wrong password", invalid_credentials(), client).await);
        }
        let session = match principal.session_id() {
            Some(id) => match self.database().read().await?.session(id).await? {
                Some(session) => Some(session),
                // It ended since the request was let in.
                None => return Err(self.refuse_change(user, "session ended", gone(), client).await),
            },
            None => None,
        };
        let recent = self.0.settings.tokens.recent_sign_in;
        // A second factor made the session's sign-in recent for the tokens that came of it, and for none of before.
        let counts = |session: &Session| !is_raised(session) || asks_raised(principal, session);
        let is_recent = |session: &Session| self.now().since(session.authenticated_at) <= recent;
        if session.is_some_and(|session| counts(&session) && is_recent(&session)) {
            return Ok(None);
        }
        let denial = Error::new(
            Code::ReauthenticationNeeded,
            "This change wants a recent sign-in or the current password",
        );
        Err(self.refuse_change(user, "no recent sign-in", denial, client).await)
    }

    /// A second factor, where the user has one: a recovered mailbox or a known password is not enough then.
    async fn ask_factor(&self, principal: &Principal, user: &User, client: &Client) -> Result<()> {
        if !user.has_factor() {
            return Ok(());
        }
        let session = match principal.session_id() {
            Some(id) => self.database().read().await?.session(id).await?,
            None => None,
        };
        if needs_factor(principal, user, session.as_ref()) {
            return Err(self.refuse_change(user, "needs aal2", needs_aal2(), client).await);
        }
        Ok(())
    }

    async fn new_hash(
        &self,
        user: &User,
        password: Secret,
        new_email: Option<&Email>,
        client: &Client,
    ) -> Result<String> {
        let emails: Vec<&Email> = user.email.iter().chain(&user.new_email).chain(new_email).collect();
        let refusal = self.record(Actor::User(user.id), Action::USER_CHANGE_FAILED, client).target(user.id);
        let password = self.chosen_password(password, &emails, refusal).await?;
        let same = match user.password.as_deref() {
            Some(stored) => self.0.passwords.verify(password.secret(), Some(stored)).await?,
            None => Verdict::Mismatch,
        };
        if let Verdict::Match { .. } = same {
            let denial =
                Error::new(Code::SamePassword, "New password should be different from the old password.");
            return Err(self.refuse_change(user, "same password", denial, client).await);
        }
        self.0.passwords.hash(password.secret()).await
    }

    async fn apply(
        &self,
        principal: &Principal,
        before: &User,
        changed: Changed,
        client: &Client,
    ) -> Result<Account> {
        let mut transaction = self.database().begin().await?;
        let mut user = transaction.user(before.id).await?.ok_or_else(user_gone)?;
        // Someone changed the same account while we hashed: the evidence above is about another state.
        if user.password != before.password || user.email != before.email {
            return Err(Error::overloaded(1));
        }
        let now = self.now();
        if let Some((reason, denial)) = self.stopped(&mut *transaction, principal, &user, &changed).await? {
            drop(transaction);
            return Err(self.refuse_change(before, reason, denial, client).await);
        }
        if let Some(nonce) = changed.nonce
            && !transaction.delete_token(nonce).await?
        {
            drop(transaction);
            return Err(self.refuse_change(before, "wrong nonce", not_a_nonce(), client).await);
        }
        user.updated_at = now;
        if let Some(data) = changed.data {
            self.0.sessions.check_metadata(&user.app_metadata, &data)?;
            user.user_metadata = data;
        }
        let mut details = Vec::new();
        if changed.hash.is_some() || changed.cancels {
            // What an intruder had under way ends with the old password, a change of the address as well.
            transaction.delete_tokens_of(user.id, None).await?;
            user.new_email = None;
            user.email_change_sent_at = None;
        }
        if let Some(email) = changed.email {
            let former = user.email.clone();
            details.push(("email", self.change_email(&mut user, email.clone())));
            if user.new_email.is_none() {
                self.identify(&mut *transaction, &mut user).await?;
            }
            if user.new_email.is_some() {
                self.send_change(&mut *transaction, &mut user, &changed.back).await?;
            } else if let Some(former) = former {
                let message = Message::new(Kind::EmailChanged, former).new_email(email);
                self.notify(&mut *transaction, message, &user).await?;
            }
        }
        let new_password = changed.hash.is_some();
        if let Some(hash) = changed.hash {
            user.password = Some(hash);
        }
        if !transaction.update_user(&user).await? {
            drop(transaction);
            let denial =
                Error::new(Code::EmailExists, "A user with this email address has already been registered");
            return Err(self.refuse_change(before, "address taken", denial, client).await);
        }
        let mut ended = Vec::new();
        let action = if new_password {
            ended = transaction.end_sessions_of(user.id, principal.session_id(), now).await?;
            if let Some(email) = user.email.as_ref().filter(|_| user.email_confirmed_at.is_some()) {
                let message = Message::new(Kind::PasswordChanged, email.clone());
                self.notify(&mut *transaction, message, &user).await?;
            }
            details.push(("sessions_ended", ended.len().to_string()));
            Action::USER_UPDATED_PASSWORD
        } else {
            Action::USER_MODIFIED
        };
        let mut record = self.record(Actor::of(principal), action, client).target(user.id);
        for (name, value) in details {
            record = record.with(name, value);
        }
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        self.0.outbox.wake();
        Ok(Account::new(user))
    }

    /// What has come in between while we hashed: the session ended, or a second factor counts by now.
    async fn stopped(
        &self,
        transaction: &mut dyn Transaction,
        principal: &Principal,
        user: &User,
        changed: &Changed,
    ) -> Result<Option<(&'static str, Error)>> {
        let asks = match principal.session_id() {
            Some(id) => transaction.session(id).await?.filter(|session| session.user == user.id),
            None => None,
        };
        // Jobs of the host's own act without a session.
        if user.is_banned(self.now()) || (asks.is_none() && principal.session_id().is_some()) {
            return Ok(Some(("session ended", gone())));
        }
        if (changed.email.is_some() || changed.hash.is_some()) && needs_factor(principal, user, asks.as_ref())
        {
            return Ok(Some(("needs aal2", needs_aal2())));
        }
        Ok(None)
    }

    /// Changes the address at once, or notes it until it is confirmed. Answers what the record says about it.
    fn change_email(&self, user: &mut User, email: Email) -> String {
        let now = self.now();
        if self.believes_at_once(user) {
            user.email = Some(email);
            user.email_confirmed_at = Some(now);
            user.new_email = None;
            user.email_change_sent_at = None;
            return "changed".to_owned();
        }
        // Whether it is taken turns out at the confirmation: asking here would tell anyone who has an account.
        user.new_email = Some(email);
        "waits for confirmation".to_owned()
    }

    pub(super) async fn refuse_change(
        &self,
        user: &User,
        reason: &'static str,
        denial: Error,
        client: &Client,
    ) -> Error {
        let record = self.record(Actor::User(user.id), Action::USER_CHANGE_FAILED, client);
        self.deny(record.target(user.id).with("reason", reason), denial).await
    }
}

/// Whether the user has a second factor that the session which asks was not raised by.
fn needs_factor(principal: &Principal, user: &User, asks: Option<&Session>) -> bool {
    user.has_factor() && asks.is_some_and(|session| !asks_raised(principal, session))
}

fn needs_aal2() -> Error {
    let sentence = "AAL2 session is required to update email or password when MFA is enabled.";
    Error::new(Code::InsufficientAal, sentence).with_status(http::StatusCode::UNAUTHORIZED)
}

struct Changed {
    email: Option<Email>,
    hash: Option<String>,
    data: Option<String>,
    back: ComeBack,
    cancels: bool,
    /// What stood in for the current password.
    nonce: Option<UserId>,
}

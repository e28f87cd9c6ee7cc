use super::passwords::weakness;
use super::{Auth, IssuedSession, banned, invalid_credentials};
use crate::audit::{Action, Actor};
use crate::crypto::Verdict;
use crate::load::{Bucket, Guess, address_key};
use crate::session::Client;
use crate::store::User;
use crate::types::{Code, Error, Result, Secret, UserId};
use crate::validate::{Email, NewPassword};

/// An address and its password, as typed.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret,
}

impl Auth {
    /// Signs in with a password.
    ///
    /// [`Code::InvalidCredentials`] whether the address is unknown or the password wrong;
    /// [`Code::EmailNotConfirmed`] and [`Code::UserBanned`] only with the right password;
    /// [`Code::OverRequestRateLimit`] and [`Code::OverCapacity`] with the seconds to wait.
    pub async fn sign_in(&self, credentials: Credentials, client: &Client) -> Result<IssuedSession> {
        self.0.limiter.check(Bucket::SignIn, &address_key(client.address()))?;
        let Credentials { email, password } = credentials;
        NewPassword::bounded(&password)?;
        let email: Email = email.parse().map_err(|_| invalid_credentials())?;
        let found = self.database().read().await?.user_by_email(&email).await?;
        let guess = self.guess(&email, found.as_ref(), client).await?;
        let stored = found.as_ref().and_then(|user| user.password.as_deref());
        let judge = self.judgement(password.clone(), &[&email]);
        let looked = self.0.passwords.verify_and(&password, stored, move || judge.map(|judge| judge()));
        let (guess, (verdict, judged)) = self.checked(guess, looked).await?;
        let (mut user, mut rehashed) = self.judge(found, verdict, &password, client).await?;
        guess.succeeded();
        let weak_password = match judged {
            Some(judged) => weakness(judged).await,
            None => None,
        };
        // Another sign-in may have rehashed the password meanwhile, or its owner changed it: then what was proved
        // is about a hash that is gone, and is proved again.
        for _ in 0..3 {
            if let Some(session) = self.enter(&user, rehashed, client).await? {
                return Ok(IssuedSession { weak_password, ..session });
            }
            let current = self.database().read().await?.user_by_email(&email).await?;
            (user, rehashed) = self.prove(current, &password, client).await?;
        }
        Err(Error::overloaded(1))
    }

    /// The user, if the password is theirs and nothing keeps them out; with a new hash where the old one is weak.
    async fn prove(
        &self,
        found: Option<User>,
        password: &Secret,
        client: &Client,
    ) -> Result<(User, Option<String>)> {
        let stored = found.as_ref().and_then(|user| user.password.as_deref());
        let verdict = self.0.passwords.verify(password, stored).await?;
        self.judge(found, verdict, password, client).await
    }

    /// Looks at a password whose guess was paid for. Turned away by an overload, it was not looked at, and the guess
    /// is given back; any later failure leaves it paid.
    pub(super) async fn checked<T>(
        &self,
        guess: Guess,
        looked: impl Future<Output = Result<T>>,
    ) -> Result<(Guess, T)> {
        match looked.await {
            Ok(found) => Ok((guess, found)),
            Err(error) => {
                if error.code() == Code::OverCapacity {
                    guess.refund();
                }
                Err(error)
            }
        }
    }

    async fn judge(
        &self,
        found: Option<User>,
        verdict: Verdict,
        password: &Secret,
        client: &Client,
    ) -> Result<(User, Option<String>)> {
        match (found, verdict) {
            (Some(user), Verdict::Match { needs_rehash }) => {
                self.may_enter(&user, client).await?;
                self.may_go_on(&user, client).await?;
                // A rehash that fails does not fail the sign-in; the next one tries again.
                let hash = if needs_rehash { self.0.passwords.hash(password).await.ok() } else { None };
                Ok((user, hash))
            }
            (Some(user), _) => {
                Err(self.refuse(Some(&user), "wrong password", invalid_credentials(), client).await)
            }
            (None, _) => Err(self.refuse(None, "unknown address", invalid_credentials(), client).await),
        }
    }

    /// Pays for a guess at the account's password: under the account's own key, or, when that is used up, under a
    /// key for the account from here, if here is where one of its sessions lives.
    async fn guess(&self, email: &Email, found: Option<&User>, client: &Client) -> Result<Guess> {
        let account = email.as_str().as_bytes();
        let limited = match self.0.limiter.guess(account) {
            Ok(guess) => return Ok(guess),
            Err(limited) => limited,
        };
        // Asked for an unknown address, too: the limit does not disclose which addresses exist.
        let user = found.map_or(UserId::from_bytes([0; 16]), |user| user.id);
        let sessions = self.database().read().await?.sessions_of(user).await?;
        let here = address_key(client.address());
        let known = sessions
            .iter()
            .filter_map(|session| session.address.as_deref()?.parse().ok())
            .any(|address| address_key(address) == here);
        if !known {
            return Err(limited);
        }
        let mut key = account.to_vec();
        key.push(0);
        key.extend_from_slice(&here);
        self.0.limiter.guess(&key)
    }

    async fn may_enter(&self, user: &User, client: &Client) -> Result<()> {
        if user.is_banned(self.now()) {
            return Err(self.refuse(Some(user), "banned", banned(), client).await);
        }
        if user.email_confirmed_at.is_none() {
            let denial = Error::new(Code::EmailNotConfirmed, "Email not confirmed");
            return Err(self.refuse(Some(user), "unconfirmed", denial, client).await);
        }
        Ok(())
    }

    /// Opens the session. `None` if the user is not the one any more whose password was proved: hashing takes its
    /// time, in which the password may be changed, the user banned or deleted.
    async fn enter(
        &self,
        proved: &User,
        rehashed: Option<String>,
        client: &Client,
    ) -> Result<Option<IssuedSession>> {
        let mut transaction = self.database().begin().await?;
        let current = transaction.user(proved.id).await?;
        let unchanged =
            current.filter(|user| user.password == proved.password && !user.is_banned(self.now()));
        let Some(mut user) = unchanged else { return Ok(None) };
        let now = self.now();
        if rehashed.is_some() {
            user.password = rehashed;
        }
        user.last_sign_in_at = Some(now);
        user.updated_at = now;
        transaction.update_user(&user).await?;
        for identity in user.identities.iter_mut().filter(|identity| identity.provider == "email") {
            identity.last_sign_in_at = Some(now.as_micros());
            identity.updated_at = now.as_micros();
            transaction.put_identity(user.id, identity).await?;
        }
        let record = self.record(Actor::User(user.id), Action::LOGIN, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("provider", "email")).await?;
        self.open(transaction, user, client).await.map(Some)
    }

    async fn refuse(
        &self,
        user: Option<&User>,
        reason: &'static str,
        denial: Error,
        client: &Client,
    ) -> Error {
        let mut record = self.record(Actor::Anonymous, Action::LOGIN_FAILED, client).with("reason", reason);
        if let Some(user) = user {
            record = record.target(user.id);
        }
        self.deny(record, denial).await
    }
}

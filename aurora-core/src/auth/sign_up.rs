use super::{Account, Auth, IssuedSession, metadata};
use crate::audit::{Action, Actor};
use crate::load::{Bucket, address_key};
use crate::session::Client;
use crate::store::{Identity, Transaction, User};
use crate::types::{Code, Error, Result, Secret, Timestamp, UserId};
use crate::validate::Email;

/// What the service says about a new user.
const APP_METADATA: &str = r#"{"provider":"email","providers":["email"]}"#;

/// A wish to register.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: Secret,
    /// `user_metadata`: a JSON object of at most 4 KiB.
    pub data: Option<String>,
}

/// What a sign-up gave.
#[derive(Clone, Debug)]
pub enum SignedUp {
    /// With autoconfirm: signed in.
    Session(Box<IssuedSession>),
    /// Without: the account waits for its confirmation. Also what someone gets who registers a taken address; that
    /// account is made up.
    Pending(Box<Account>),
}

impl Auth {
    /// Registers an address.
    ///
    /// With autoconfirm a taken address is [`Code::UserAlreadyExists`]; without, it looks like success, and nothing
    /// changes. [`Code::WeakPassword`], [`Code::ValidationFailed`] and [`Code::SignupDisabled`] say what is wrong.
    pub async fn sign_up(&self, wish: SignUp, client: &Client) -> Result<SignedUp> {
        self.0.limiter.check(Bucket::SignUp, &address_key(client.address()))?;
        let settings = &self.0.settings;
        if settings.sign_ups.disabled {
            let record = self.record(Actor::Anonymous, Action::SIGN_UP_FAILED, client);
            let denial = Error::new(Code::SignupDisabled, "Signups not allowed for this instance");
            return Err(self.deny(record, denial).await);
        }
        let email: Email = wish.email.parse()?;
        let data = metadata::merge("{}", wish.data.as_deref())?;
        self.0.sessions.check_metadata(APP_METADATA, &data)?;
        let refusal = self.record(Actor::Anonymous, Action::SIGN_UP_FAILED, client);
        let password = self.chosen_password(wish.password, &[&email], refusal).await?;
        // Before it is known whether the address is taken: both ways cost one hash.
        let hash = self.0.passwords.hash(password.secret()).await?;
        let confirmed = settings.sign_ups.autoconfirm.is_on();
        let mut user = self.new_user(email, Some(hash), data, confirmed)?;
        if confirmed {
            user.last_sign_in_at = Some(user.created_at);
        } else {
            user.confirmation_sent_at = Some(user.created_at);
        }
        let mut transaction = self.database().begin().await?;
        if !self.insert(&mut *transaction, &user).await? {
            return self.taken(transaction, user, confirmed, client).await;
        }
        let record = self.record(Actor::User(user.id), Action::USER_SIGNED_UP, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("provider", "email")).await?;
        if !confirmed {
            transaction.commit().await?;
            return Ok(SignedUp::Pending(Box::new(Account::new(user))));
        }
        let session = self.open(transaction, user, client).await?;
        Ok(SignedUp::Session(Box::new(session)))
    }

    async fn taken(
        &self,
        mut transaction: Box<dyn Transaction>,
        mut user: User,
        autoconfirm: bool,
        client: &Client,
    ) -> Result<SignedUp> {
        let mut record = self.record(Actor::Anonymous, Action::USER_REPEATED_SIGN_UP, client);
        if let Some(email) = &user.email
            && let Some(owner) = transaction.user_by_email(email).await?
        {
            record = record.target(owner.id);
        }
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        if autoconfirm {
            return Err(Error::new(Code::UserAlreadyExists, "User already registered"));
        }
        user.identities.clear();
        Ok(SignedUp::Pending(Box::new(Account { user, made_up: true })))
    }

    /// A user who does not exist yet, with an e-mail identity.
    pub(super) fn new_user(
        &self,
        email: Email,
        password: Option<String>,
        user_metadata: String,
        confirmed: bool,
    ) -> Result<User> {
        let now = self.now();
        let id = UserId::from_random(self.random()?);
        let identity = Identity {
            id: UserId::from_random(self.random()?),
            provider: "email".to_owned(),
            provider_id: id.to_string(),
            created_at: now.as_micros(),
            updated_at: now.as_micros(),
            last_sign_in_at: Some(now.as_micros()),
        };
        Ok(User {
            id,
            email: Some(email),
            email_confirmed_at: confirmed.then_some(now),
            new_email: None,
            email_change_sent_at: None,
            confirmation_sent_at: None,
            password,
            app_metadata: APP_METADATA.to_owned(),
            user_metadata,
            banned_until: None,
            last_sign_in_at: None,
            created_at: now,
            updated_at: now,
            identities: vec![identity],
        })
    }

    /// Writes a new user with the host's own rows. `false` if the address is taken.
    pub(super) async fn insert(&self, transaction: &mut dyn Transaction, user: &User) -> Result<bool> {
        if !transaction.insert_user(user).await? {
            return Ok(false);
        }
        for identity in &user.identities {
            transaction.put_identity(user.id, identity).await?;
        }
        if let Some(hook) = &self.0.sign_up_hook {
            hook.signed_up(transaction.host().await?, &Account::new(user.clone())).await?;
        }
        Ok(true)
    }

    /// Opens a session, commits, and signs its access token.
    pub(super) async fn open(
        &self,
        mut transaction: Box<dyn Transaction>,
        user: User,
        client: &Client,
    ) -> Result<IssuedSession> {
        let sessions = &self.0.sessions;
        let opened = sessions.start(&mut *transaction, &user, "password", client).await?;
        transaction.commit().await?;
        sessions.ended(&opened.swept);
        self.issue(user, &opened.session, opened.secret.text(), self.now())
    }

    pub(super) fn issue(
        &self,
        user: User,
        session: &crate::store::Session,
        refresh_token: Secret,
        now: Timestamp,
    ) -> Result<IssuedSession> {
        let (access_token, expires_at) = self.0.sessions.issue(&user, session, now)?;
        let account = Account::new(user);
        Ok(IssuedSession { id: session.id, access_token, refresh_token, expires_at, issued_at: now, account })
    }
}

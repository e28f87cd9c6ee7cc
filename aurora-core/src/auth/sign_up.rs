use super::one_time::{ComeBack, Pending, Purpose};
use super::{Account, Auth, IssuedSession, metadata};
use crate::audit::{Action, Actor};
use crate::crypto::Verdict;
use crate::load::{Bucket, address_key};
use crate::mail::{Kind, Message};
use crate::session::{Client, MoreClaims};
use crate::store::{Transaction, User};
use crate::types::{Code, Error, Result, Secret, Timestamp, UserId};
use crate::validate::Email;

/// What the service says about a new user.
pub(super) const APP_METADATA: &str = r#"{"provider":"email","providers":["email"]}"#;

/// A wish to register.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: Secret,
    /// `user_metadata`: a JSON object of at most 4 KiB.
    pub data: Option<String>,
    /// How the reader of the confirmation mail comes back.
    pub back: ComeBack,
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
    /// changes: an address that waits for its confirmation is answered as a new one is, at the same time; a confirmed
    /// one with an account without identities, as Supabase has it. [`Code::WeakPassword`], [`Code::ValidationFailed`]
    /// and [`Code::SignupDisabled`] say what is wrong.
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
        if !confirmed {
            self.check_mail(&email, client)?;
        }
        let mut user = self.new_user(email, Some(hash), data, confirmed)?;
        self.may_be_created(&user, Some(client), "signup").await?;
        if !confirmed {
            let pace = self.pace();
            let done = self.register(user, password.secret(), &wish.back, client).await;
            return pace.kept(done).await;
        }
        user.last_sign_in_at = Some(user.created_at);
        let mut transaction = self.database().begin().await?;
        if !self.insert(&mut *transaction, &user).await? {
            drop(transaction);
            return self.taken(user, None, &wish.back, client).await;
        }
        let record = self.record(Actor::User(user.id), Action::USER_SIGNED_UP, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("provider", "email")).await?;
        let session = self.open(transaction, user, client).await?;
        Ok(SignedUp::Session(Box::new(session)))
    }

    /// A registration that waits for its mail.
    async fn register(
        &self,
        mut user: User,
        password: &Secret,
        back: &ComeBack,
        client: &Client,
    ) -> Result<SignedUp> {
        // Asked for every address, before it is known whether it is taken: all of them cost two hashes.
        let same = self.is_same_registration(&user, password).await?;
        let mut transaction = self.database().begin().await?;
        if !self.insert(&mut *transaction, &user).await? {
            drop(transaction);
            return self.taken(user, Some(same), back, client).await;
        }
        self.send_confirmation(&mut *transaction, &mut user, back).await?;
        transaction.update_user(&user).await?;
        let record = self.record(Actor::User(user.id), Action::USER_SIGNED_UP, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("provider", "email")).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(SignedUp::Pending(Box::new(Account::new(user))))
    }

    /// `same`: whether the one who waits for a mail is who registers here; `None` with autoconfirm.
    async fn taken(
        &self,
        mut user: User,
        same: Option<bool>,
        back: &ComeBack,
        client: &Client,
    ) -> Result<SignedUp> {
        let mut record = self.record(Actor::Anonymous, Action::USER_REPEATED_SIGN_UP, client);
        let mut transaction = self.database().begin().await?;
        let owner = match &user.email {
            Some(email) => transaction.user_by_email(email).await?,
            None => None,
        };
        let waits = owner.as_ref().filter(|owner| owner.email_confirmed_at.is_none()).map(|owner| owner.id);
        let gone = owner.is_none();
        if let Some(owner) = &owner {
            record = record.target(owner.id);
        }
        if let Some(same) = same {
            user.confirmation_sent_at = Some(self.now());
            self.again(&mut *transaction, owner, &user, same, back).await?;
        }
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        if same.is_none() {
            return Err(Error::new(Code::UserAlreadyExists, "User already registered"));
        }
        if gone {
            // Its owner left the address in this moment: it is free for whoever comes again.
            return Err(Error::overloaded(1));
        }
        self.0.outbox.wake();
        if let Some(id) = waits {
            // Nothing but the id is the waiting user's: all else is what was asked for here.
            user.id = id;
            user.identities = vec![self.email_identity(id)?];
            return Ok(SignedUp::Pending(Box::new(Account::new(user))));
        }
        user.identities.clear();
        Ok(SignedUp::Pending(Box::new(Account { user, made_up: true })))
    }

    /// Whether somebody who waits for their mail registers once more, with the same password.
    async fn is_same_registration(&self, wished: &User, password: &Secret) -> Result<bool> {
        let Some(email) = &wished.email else { return Ok(false) };
        let owner = self.database().read().await?.user_by_email(email).await?;
        let stored =
            owner.filter(|owner| owner.email_confirmed_at.is_none()).and_then(|owner| owner.password);
        // A confirmed one costs the same: how long it takes does not tell them apart.
        let verdict = self.0.passwords.verify(password, stored.as_deref()).await?;
        Ok(stored.is_some() && matches!(verdict, Verdict::Match { .. }))
    }

    /// Someone registers an address that is taken. Its owner is told; where nobody confirmed it yet, this
    /// registration gets a mail of its own, and whoever's mail comes back is the one that counts.
    async fn again(
        &self,
        transaction: &mut dyn Transaction,
        owner: Option<User>,
        wished: &User,
        same: bool,
        back: &ComeBack,
    ) -> Result<()> {
        let Some(mut owner) =
            owner.filter(|owner| owner.deleted_at.is_none() && !owner.is_banned(self.now()))
        else {
            return Ok(());
        };
        if owner.email_confirmed_at.is_some() {
            return match &owner.email {
                Some(email) => {
                    let message = Message::new(Kind::AlreadyRegistered, email.clone());
                    self.notify(transaction, message, &owner).await
                }
                None => Ok(()),
            };
        }
        let mut mailed = owner.clone();
        mailed.password = wished.password.clone();
        mailed.user_metadata = wished.user_metadata.clone();
        self.send_confirmation(transaction, &mut mailed, back).await?;
        // Whom the service added is not cleared away for what strangers ask for: see `clear`.
        owner.confirmation_sent_at = owner.confirmation_sent_at.and(mailed.confirmation_sent_at);
        if !same {
            owner.contested_at = owner.contested_at.or(Some(self.now()));
        }
        transaction.update_user(&owner).await?;
        Ok(())
    }

    /// The mail of a registration. What the user's row has by then takes effect with its use.
    async fn send_confirmation(
        &self,
        transaction: &mut dyn Transaction,
        user: &mut User,
        back: &ComeBack,
    ) -> Result<()> {
        let Some(email) = user.email.clone() else { return Err(Error::internal("no address to confirm")) };
        let pending = Pending {
            password: user.password.clone(),
            user_metadata: Some(user.user_metadata.clone()),
            ..Pending::default()
        };
        self.send(transaction, user, Purpose::Confirmation, &email, back, Some(&pending)).await
    }

    /// A user who does not exist yet, with an e-mail identity.
    pub(super) fn new_user(
        &self,
        email: Email,
        password: Option<String>,
        user_metadata: String,
        confirmed: bool,
    ) -> Result<User> {
        let mut user = self.nobody(UserId::from_random(self.random()?), user_metadata);
        user.email = Some(email);
        user.email_confirmed_at = confirmed.then_some(user.created_at);
        user.password = password;
        user.app_metadata = APP_METADATA.to_owned();
        user.identities.push(self.email_identity(user.id)?);
        Ok(user)
    }

    /// A user who does not exist yet, without a way to sign in.
    pub(super) fn nobody(&self, id: UserId, user_metadata: String) -> User {
        let now = self.now();
        User {
            id,
            email: None,
            email_confirmed_at: None,
            new_email: None,
            email_change_sent_at: None,
            confirmation_sent_at: None,
            recovery_sent_at: None,
            reauthentication_sent_at: None,
            invited_at: None,
            password: None,
            app_metadata: "{}".to_owned(),
            user_metadata,
            banned_until: None,
            last_sign_in_at: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            contested_at: None,
            is_anonymous: false,
            identities: Vec::new(),
            factors: Vec::new(),
        }
    }

    /// Writes a new user with the host's own rows. `false` if the address is taken.
    pub(super) async fn insert(&self, transaction: &mut dyn Transaction, user: &User) -> Result<bool> {
        if !transaction.insert_user(user).await? {
            return Ok(false);
        }
        for identity in &user.identities {
            transaction.put_identity(user.id, identity).await?;
        }
        self.written_by_host(transaction, user).await?;
        Ok(true)
    }

    /// Opens a session for whoever proved a password, commits, and signs its access token.
    pub(super) async fn open(
        &self,
        transaction: Box<dyn Transaction>,
        user: User,
        client: &Client,
    ) -> Result<IssuedSession> {
        self.open_by(transaction, user, "password", client).await
    }

    /// The same for another method: what `amr` says.
    pub(super) async fn open_by(
        &self,
        mut transaction: Box<dyn Transaction>,
        user: User,
        method: &'static str,
        client: &Client,
    ) -> Result<IssuedSession> {
        let sessions = &self.0.sessions;
        let opened = sessions.start(&mut *transaction, &user, method, client).await?;
        let roles = transaction.roles_of(user.id).await?;
        let more = self.more_claims(&user, &opened.session, &roles, method).await?;
        transaction.commit().await?;
        sessions.ended(&opened.swept);
        self.issue(user, &opened.session, opened.secret.text(), self.now(), &more)
    }

    pub(super) fn issue(
        &self,
        user: User,
        session: &crate::store::Session,
        refresh_token: Secret,
        now: Timestamp,
        more: &MoreClaims,
    ) -> Result<IssuedSession> {
        let (access_token, expires_at) = self.0.sessions.issue(&user, session, now, more)?;
        let account = Account::new(user);
        Ok(IssuedSession {
            id: session.id,
            access_token,
            refresh_token,
            expires_at,
            issued_at: now,
            account,
            weak_password: None,
        })
    }
}

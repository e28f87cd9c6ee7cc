use std::net::IpAddr;

use super::{Account, Auth, metadata};
use crate::audit::{Action, Actor, Kind, Record};
use crate::session::Client;
use crate::session::token::SigningKeyState;
use crate::store::User;
use crate::types::{Code, Error, Principal, RequestId, Result, Timestamp, UserId};
use crate::validate::Email;

/// A user whom the service adds itself: from another system, with the hash it had there.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// A PHC or bcrypt string. Stored sealed, verified as it is and rehashed at the next sign-in. `None`: no password.
    pub password_hash: Option<String>,
    /// Whether the address counts as confirmed.
    pub confirmed: bool,
    /// A JSON object of at most 4 KiB.
    pub user_metadata: Option<String>,
    /// Members to lay over `app_metadata`: a JSON object.
    pub app_metadata: Option<String>,
}

/// What the service does with accounts and keys. Nothing here asks who is calling: that is the host's own code.
impl Auth {
    /// Adds a user. [`Code::EmailExists`] if the address is taken.
    pub async fn create_user(&self, new: NewUser) -> Result<Account> {
        let data = metadata::merge("{}", new.user_metadata.as_deref())?;
        let imported = new.password_hash.map(|hash| self.0.passwords.seal_imported(&hash)).transpose()?;
        let mut user = self.new_user(new.email, imported, data, new.confirmed)?;
        user.app_metadata = metadata::merge(&user.app_metadata, new.app_metadata.as_deref())?;
        self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)?;
        let mut transaction = self.database().begin().await?;
        if !self.insert(&mut *transaction, &user).await? {
            drop(transaction);
            return self.refuse_taken(user.email.as_ref()).await;
        }
        let record = self.by_service(Action::USER_SIGNED_UP, user.id).with("provider", "email");
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        Ok(Account::new(user))
    }

    /// Bans a user until then: their sessions end now, with every link and code that waits, and they cannot sign in.
    pub async fn ban(&self, user: UserId, until: Timestamp) -> Result<()> {
        self.change(user, Action::USER_BANNED, Ends::Sessions, |user| {
            user.banned_until = Some(until);
            Ok(())
        })
        .await
    }

    /// Lifts a ban.
    pub async fn unban(&self, user: UserId) -> Result<()> {
        self.change(user, Action::USER_UNBANNED, Ends::Nothing, |user| {
            user.banned_until = None;
            Ok(())
        })
        .await
    }

    /// Confirms a user's current address. A new one that waits goes on waiting.
    pub async fn confirm_email(&self, user: UserId) -> Result<()> {
        let now = self.now();
        self.change(user, Action::USER_MODIFIED, Ends::Nothing, |user| {
            confirm(user, now);
            Ok(())
        })
        .await
    }

    /// Makes the new address that waits the user's own, confirmed; links and codes to the old one end.
    /// [`Code::NotFound`] if it is not `email` that waits: its owner confirmed that one and no other;
    /// [`Code::EmailExists`] if it is taken meanwhile.
    pub async fn confirm_new_email(&self, user: UserId, email: &Email) -> Result<()> {
        let now = self.now();
        let found = self.database().read().await?.user(user).await?;
        let ends = if found.is_some_and(|user| user.is_anonymous) { Ends::Sessions } else { Ends::Links };
        self.change(user, Action::USER_MODIFIED, ends, |user| {
            let waiting = user.new_email.take_if(|waiting| waiting == email);
            user.email = Some(waiting.ok_or_else(|| {
                Error::new(Code::NotFound, "This address does not wait for its confirmation")
            })?);
            user.email_confirmed_at = Some(now);
            user.contested_at = None;
            if user.is_anonymous {
                // Set by whoever asked for the address, who need not be whom the service knows it to be.
                user.password = None;
            }
            Ok(())
        })
        .await
    }

    /// Lays `change`, a JSON object, over a user's `app_metadata`. Their sessions go on; their access tokens say
    /// what they said until they are refreshed. [`Code::ValidationFailed`] if it is no object, longer than 4 KiB, or
    /// too long for a token beside the `user_metadata`.
    pub async fn update_app_metadata(&self, user: UserId, change: &str) -> Result<()> {
        self.change(user, Action::USER_MODIFIED, Ends::Nothing, |user| {
            user.app_metadata = metadata::merge(&user.app_metadata, Some(change))?;
            self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)
        })
        .await
    }

    /// Ends all of a user's sessions, and with them their access tokens, at once; and what was under way by mail, a
    /// change of the address as well.
    pub async fn end_sessions_of(&self, user: UserId) -> Result<()> {
        self.change(user, Action::SESSION_REVOKED, Ends::Sessions, |_| Ok(())).await
    }

    /// Deletes a user with all that is theirs in Aurora's tables, and in the host's where its foreign keys cascade.
    /// [`Code::ForeignKeyViolation`] where they do not: nothing changed then.
    pub async fn delete_user(&self, user: UserId) -> Result<()> {
        let mut transaction = self.database().begin().await?;
        let Some(ended) = transaction.delete_user(user, self.now()).await? else { return Err(unknown()) };
        let record = self.by_service(Action::USER_DELETED, user).with("sessions_ended", ended.len());
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        Ok(())
    }

    /// Makes a new key that signs access tokens from now on, and answers its name (`kid`): for the day on which the
    /// former was stolen. Nobody is signed out: the former keys verify, and stay in the JWKS, so that what they signed
    /// holds until it expires. A key that waits to sign is retired. On every other day
    /// [`prepare_signing_key`](Self::prepare_signing_key) spares verifiers that keep the JWKS for ten minutes the look
    /// at a name they do not know.
    ///
    /// Another process learns of the key by the first token of it. [`Code::Configuration`] where the signing key was
    /// given.
    pub async fn rotate_signing_key(&self) -> Result<String> {
        let sessions = &self.0.sessions;
        let mut transaction = self.database().begin().await?;
        let kid = sessions.add_signing_key(&mut *transaction, SigningKeyState::Active).await?;
        self.make_way(&mut *transaction, &kid).await?;
        let record = Record::security(self.now(), Actor::Service, Action::SIGNING_KEY_ROTATED).target(&kid);
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        sessions.reload_keys().await?;
        if !sessions.parts().tokens.knows(&kid) {
            return Err(Error::internal("the signing keys of these sessions lie in another database"));
        }
        Ok(kid)
    }

    async fn change(
        &self,
        id: UserId,
        action: Action,
        ends: Ends,
        edit: impl FnOnce(&mut User) -> Result<()> + Send,
    ) -> Result<()> {
        let now = self.now();
        let mut transaction = self.database().begin().await?;
        // Of one who was deleted but for the row, nothing comes back.
        let found = transaction.user(id).await?.filter(|user| user.deleted_at.is_none());
        let Some(mut user) = found else { return Err(unknown()) };
        let address = user.email.clone();
        edit(&mut user)?;
        user.updated_at = now;
        if user.email != address {
            self.identify(&mut *transaction, &mut user).await?;
        }
        let mut ended = Vec::new();
        if ends == Ends::Sessions {
            ended = transaction.end_sessions_of(id, None, now).await?;
        }
        if ends != Ends::Nothing {
            transaction.delete_tokens_of(id, None).await?;
            user.new_email = None;
            user.email_change_sent_at = None;
        }
        if !transaction.update_user(&user).await? {
            drop(transaction);
            return self.refuse_taken_by_change(id).await;
        }
        let mut record = self.by_service(action, id);
        if let Some(until) = user.banned_until {
            record = record.with("until", until);
        }
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        Ok(())
    }

    /// Records that a request came with a service key. `path` is without its query; the key is in no record.
    pub(crate) async fn record_service_key(
        &self,
        path: &str,
        address: IpAddr,
        request: RequestId,
    ) -> Result<()> {
        let record = Record::new(self.now(), Kind::Access, Actor::Service, Action::UNGUARDED)
            .request(request)
            .with("reason", "service key")
            .with("route", path)
            .with("address", address);
        self.record_alone(record).await
    }

    /// Writes a record of what changes nothing in the database, in a transaction of its own.
    pub(crate) async fn record_alone(&self, record: Record) -> Result<()> {
        let mut transaction = self.database().begin().await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await
    }

    /// Records that somebody else asked for what is the service's alone. `path` is without its query.
    pub(crate) async fn record_refused_admin(
        &self,
        principal: Option<&Principal>,
        path: &str,
        client: &Client,
    ) -> Result<()> {
        let actor = principal.map_or(Actor::Anonymous, Actor::of);
        let mut record = self.record(actor, Action::ADMIN_REFUSED, client).with("route", path);
        if let Some(session) = principal.and_then(Principal::session_id) {
            record = record.target(session);
        }
        let mut transaction = self.database().begin().await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await
    }

    /// The service would make somebody of an address that is somebody's: the record names its owner. To be asked when
    /// its transaction has ended.
    pub(super) async fn refuse_taken<T>(&self, email: Option<&Email>) -> Result<T> {
        let mut record = self.of_service(Action::SIGN_UP_FAILED).with("reason", "address taken");
        if let Some(email) = email
            && let Some(owner) = self.database().read().await?.user_by_email(email).await?
        {
            record = record.target(owner.id);
        }
        Err(self.deny(record, taken()).await)
    }

    /// The service would give somebody an address that is somebody else's.
    pub(super) async fn refuse_taken_by_change<T>(&self, user: UserId) -> Result<T> {
        let record = self.by_service(Action::USER_CHANGE_FAILED, user).with("reason", "address taken");
        Err(self.deny(record, taken()).await)
    }

    pub(super) fn by_service(&self, action: Action, user: UserId) -> Record {
        self.of_service(action).target(user)
    }

    /// What the service does, with the request by which it does it ([`Auth::within`]).
    pub(super) fn of_service(&self, action: Action) -> Record {
        match &self.1 {
            Some(client) => self.record(Actor::Service, action, client),
            None => Record::security(self.now(), Actor::Service, action),
        }
    }
}

/// What else a change by the service ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Nothing,
    /// Links and codes that wait, and a change of the address.
    Links,
    /// Those, and the sessions.
    Sessions,
}

/// Confirms the current address. Where several people asked for it, nobody knows whose password the row has.
pub(super) fn confirm(user: &mut User, now: Timestamp) {
    if user.email_confirmed_at.is_none() && user.contested_at.take().is_some() {
        user.password = None;
        user.user_metadata = "{}".to_owned();
    }
    user.email_confirmed_at = Some(now);
}

fn taken() -> Error {
    Error::new(Code::EmailExists, "A user with this email address has already been registered")
}

fn unknown() -> Error {
    Error::new(Code::UserNotFound, "User not found")
}

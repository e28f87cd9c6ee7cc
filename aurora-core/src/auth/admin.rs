use std::time::Duration;

use super::one_time::{ComeBack, Pending, Purpose};
use super::{Account, Auth, metadata};
use crate::audit::Action;
use crate::store::{Transaction, User};
use crate::types::{Code, Error, Result, Secret, UserId};
use crate::validate::Email;

/// The longest page of users.
const LONGEST_PAGE: i64 = 1000;

/// What the service wants of a user's row: all of it may be left out.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    /// The address.
    pub email: Option<String>,
    /// Whether the address counts as confirmed.
    pub email_confirm: bool,
    /// A new password: ends the user's sessions.
    pub password: Option<Secret>,
    /// A PHC or bcrypt string instead of a password.
    pub password_hash: Option<Secret>,
    /// Members to lay over `user_metadata`: a JSON object.
    pub user_metadata: Option<String>,
    /// Members to lay over `app_metadata`: a JSON object.
    pub app_metadata: Option<String>,
    /// Bans for so long, or lifts a ban.
    pub ban: Option<Ban>,
}

/// What becomes of a ban.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ban {
    /// It is lifted.
    Lift,
    /// It holds for so long from now.
    For(Duration),
}

/// What a link that is made without a mail is for.
#[derive(Clone, Debug)]
pub enum LinkWish {
    /// Registers and confirms.
    Signup {
        /// The password of the new user.
        password: Secret,
        /// `user_metadata`: a JSON object.
        data: Option<String>,
    },
    /// Invites.
    Invite {
        /// `user_metadata`: a JSON object.
        data: Option<String>,
    },
    /// Signs in; registers whoever is unknown.
    MagicLink {
        /// `user_metadata`: a JSON object.
        data: Option<String>,
    },
    /// Signs in to choose a new password.
    Recovery,
    /// Confirms a change at the old address.
    EmailChangeCurrent {
        /// The new address.
        new_email: String,
    },
    /// Confirms a change at the new address.
    EmailChangeNew {
        /// The new address.
        new_email: String,
    },
}

/// A link that was made without a mail. Whoever has it signs in: hand it to the user's own mailbox and nowhere else.
#[derive(Clone, Debug)]
pub struct GeneratedLink {
    /// Whose.
    pub account: Account,
    /// The link itself.
    pub link: Secret,
    /// Its code.
    pub code: Secret,
    /// Its token.
    pub token: Secret,
    /// Where it leads in the end.
    pub redirect_to: String,
    /// `type` on the wire.
    pub kind: &'static str,
}

/// What the service does with its users. Nothing here asks who is calling: that is the wire's, or the host's own code.
impl Auth {
    /// A page of users, oldest first, from 1; and how many there are in all.
    pub async fn list_users(&self, page: i64, per_page: i64) -> Result<(Vec<Account>, i64)> {
        let limit = per_page.clamp(1, LONGEST_PAGE);
        let offset = page.max(1).saturating_sub(1).saturating_mul(limit);
        let (users, count) = self.database().read().await?.users(offset, limit).await?;
        Ok((users.into_iter().map(Account::new).collect(), count))
    }

    /// A user. [`Code::UserNotFound`].
    pub async fn account(&self, user: UserId) -> Result<Account> {
        self.database().read().await?.user(user).await?.map(Account::new).ok_or_else(unknown)
    }

    /// Adds a user as a patch says. [`Code::EmailExists`].
    pub async fn add_user(&self, id: Option<UserId>, patch: UserPatch) -> Result<Account> {
        let email = patch.email.as_deref().filter(|email| !email.is_empty());
        let email: Email = email
            .ok_or_else(|| Error::new(Code::ValidationFailed, "Cannot create a user without an email"))?
            .parse()?;
        let hash = self.hash_of(&patch).await?;
        let data = metadata::merge("{}", patch.user_metadata.as_deref())?;
        let mut user = self.new_user(email, hash, data, patch.email_confirm)?;
        if let Some(id) = id {
            user.id = id;
            user.identities = vec![self.email_identity(id)?];
        }
        user.app_metadata = metadata::merge(&user.app_metadata, patch.app_metadata.as_deref())?;
        if let Some(Ban::For(length)) = patch.ban {
            user.banned_until = Some(self.now().plus(length));
        }
        self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)?;
        let mut transaction = self.database().begin().await?;
        if transaction.user(user.id).await?.is_some() || !self.insert(&mut *transaction, &user).await? {
            drop(transaction);
            return self.refuse_taken(user.email.as_ref()).await;
        }
        let record = self.by_service(Action::USER_SIGNED_UP, user.id).with("provider", "email");
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        Ok(Account::new(user))
    }

    /// Changes a user as a patch says. A new password or a ban ends their sessions, and links and codes that wait.
    /// [`Code::UserNotFound`] also for one who was deleted but for the row: nobody comes back from that.
    pub async fn change_user(&self, id: UserId, patch: UserPatch) -> Result<Account> {
        let email = patch.email.as_deref().filter(|email| !email.is_empty());
        let email = email.map(str::parse::<Email>).transpose()?;
        let hash = self.hash_of(&patch).await?;
        let now = self.now();
        let mut transaction = self.database().begin().await?;
        let found = transaction.user(id).await?.filter(|user| user.deleted_at.is_none());
        let mut user = found.ok_or_else(unknown)?;
        let mut changed = Vec::new();
        if let Some(email) = email.filter(|email| user.email.as_ref() != Some(email)) {
            if user.email_confirmed_at.is_none() && user.contested_at.take().is_some() {
                // Nobody knows whose it is.
                user.password = None;
            }
            user.email = Some(email);
            user.new_email = None;
            // As in Supabase: what the service writes is believed.
            user.email_confirmed_at = Some(now);
            self.identify(&mut *transaction, &mut user).await?;
            changed.push("email");
        }
        if patch.email_confirm && user.email.is_some() {
            super::service::confirm(&mut user, now);
            changed.push("confirmed");
        }
        let ends = hash.is_some() || matches!(patch.ban, Some(Ban::For(_)));
        if let Some(hash) = hash {
            user.password = Some(hash);
            changed.push("password");
        }
        user.user_metadata = metadata::merge(&user.user_metadata, patch.user_metadata.as_deref())?;
        user.app_metadata = metadata::merge(&user.app_metadata, patch.app_metadata.as_deref())?;
        self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)?;
        match patch.ban {
            Some(Ban::Lift) => user.banned_until = None,
            Some(Ban::For(length)) => user.banned_until = Some(now.plus(length)),
            None => {}
        }
        user.updated_at = now;
        let mut ended = Vec::new();
        if ends {
            ended = transaction.end_sessions_of(id, None, now).await?;
        }
        if ends || !changed.is_empty() {
            transaction.delete_tokens_of(id, None).await?;
            user.new_email = None;
            user.email_change_sent_at = None;
        }
        if !transaction.update_user(&user).await? {
            drop(transaction);
            return self.refuse_taken_by_change(id).await;
        }
        let action = match patch.ban {
            Some(Ban::For(_)) => Action::USER_BANNED,
            Some(Ban::Lift) => Action::USER_UNBANNED,
            None => Action::USER_MODIFIED,
        };
        let record = self.by_service(action, id).with("changed", changed.join(" "));
        self.0.audit.write(&mut *transaction, record.with("sessions_ended", ended.len())).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        Ok(Account::new(user))
    }

    /// Deletes a user but for the row: nothing of theirs is left in it but the id, so that rows of the host that
    /// refer to it stay.
    pub async fn retire_user(&self, id: UserId) -> Result<()> {
        let now = self.now();
        let mut transaction = self.database().begin().await?;
        let mut user = transaction.user(id).await?.ok_or_else(unknown)?;
        let ended = transaction.end_sessions_of(id, None, now).await?;
        transaction.forget_tries_of(id).await?;
        for role in transaction.roles_of(id).await? {
            transaction.revoke_role(id, &role).await?;
        }
        transaction.delete_factors_of(id).await?;
        let mut empty = self.nobody(id, "{}".to_owned());
        empty.created_at = user.created_at;
        empty.deleted_at = Some(now);
        std::mem::swap(&mut user, &mut empty);
        transaction.update_user(&user).await?;
        let record = self.by_service(Action::USER_DELETED, id).with("how", "soft");
        self.0.audit.write(&mut *transaction, record.with("sessions_ended", ended.len())).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        Ok(())
    }

    /// Sends an invitation. [`Code::EmailExists`] if the address is confirmed already.
    pub async fn invite(&self, email: &str, data: Option<String>, back: ComeBack) -> Result<Account> {
        let email: Email = email.parse()?;
        self.may_be_let_in(&email, data.as_deref(), "invite").await?;
        let mut transaction = self.database().begin().await?;
        let Some(mut user) = self.invited(&mut *transaction, &email, data.as_deref()).await? else {
            drop(transaction);
            return self.refuse_taken(Some(&email)).await;
        };
        self.send(&mut *transaction, &mut user, Purpose::Invite, &email, &back, None).await?;
        transaction.update_user(&user).await?;
        let record = self.by_service(Action::USER_INVITED, user.id);
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(Account::new(user))
    }

    /// Makes a link without a mail, for a host that sends mails itself.
    pub async fn generate_link(&self, email: &str, wish: LinkWish, back: ComeBack) -> Result<GeneratedLink> {
        let email: Email = email.parse()?;
        let hash = match &wish {
            LinkWish::Signup { password, .. } => {
                let record = self.of_service(Action::SIGN_UP_FAILED);
                let password = self.chosen_password(password.clone(), &[&email], record).await?;
                Some(self.0.passwords.hash(password.secret()).await?)
            }
            _ => None,
        };
        if let LinkWish::Signup { data, .. } | LinkWish::Invite { data } | LinkWish::MagicLink { data } =
            &wish
        {
            self.may_be_let_in(&email, data.as_deref(), "link").await?;
        }
        let mut transaction = self.database().begin().await?;
        let Some((purpose, to, mut user, pending)) =
            self.linked(&mut *transaction, email.clone(), hash, wish).await?
        else {
            drop(transaction);
            return self.refuse_taken(Some(&email)).await;
        };
        let minted = self.token(&mut *transaction, &user, purpose, &to, &back, pending.as_ref()).await?;
        user.updated_at = self.now();
        transaction.update_user(&user).await?;
        let record = self.by_service(Action::LINK_GENERATED, user.id).with("mail", purpose.as_str());
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        Ok(GeneratedLink {
            account: Account::new(user),
            link: self.link(purpose, &minted.token, &back).into(),
            code: minted.code.into(),
            token: minted.token.into(),
            redirect_to: self.redirect_target(back.redirect_to.as_deref()),
            kind: purpose.wire(),
        })
    }

    /// What a link is for, where it goes, whose it is and what waits with it. `None` if the address is somebody's.
    async fn linked(
        &self,
        transaction: &mut dyn Transaction,
        email: Email,
        hash: Option<String>,
        wish: LinkWish,
    ) -> Result<Option<(Purpose, Email, User, Option<Pending>)>> {
        let found = transaction.user_by_email(&email).await?;
        let mut pending = None;
        let (purpose, to, user) = match wish {
            LinkWish::Signup { data, .. } => {
                let user_metadata = metadata::merge("{}", data.as_deref())?;
                let user = match found {
                    Some(user) if user.email_confirmed_at.is_some() => return Ok(None),
                    Some(mut user) => {
                        user.contested_at = user.contested_at.or(Some(self.now()));
                        user
                    }
                    None => match self.registered(transaction, &email, hash.clone(), &user_metadata).await? {
                        Some(user) => user,
                        None => return Ok(None),
                    },
                };
                let user_metadata = Some(user_metadata);
                pending = Some(Pending { password: hash, user_metadata, ..Pending::default() });
                (Purpose::Confirmation, email, user)
            }
            LinkWish::Invite { data } => {
                let Some(user) = self.invited(transaction, &email, data.as_deref()).await? else {
                    return Ok(None);
                };
                (Purpose::Invite, email, user)
            }
            LinkWish::MagicLink { data } => {
                let user = match found {
                    Some(user) => user,
                    None => {
                        let user_metadata = metadata::merge("{}", data.as_deref())?;
                        match self.registered(transaction, &email, None, &user_metadata).await? {
                            Some(user) => user,
                            None => return Ok(None),
                        }
                    }
                };
                (Purpose::MagicLink, email, user)
            }
            LinkWish::Recovery => (Purpose::Recovery, email, found.ok_or_else(unknown)?),
            LinkWish::EmailChangeCurrent { new_email } => {
                let mut user = found.ok_or_else(unknown)?;
                let purpose = Purpose::EmailChangeCurrent;
                let new = new_email.parse()?;
                pending = Some(self.changing(transaction, &mut user, new, purpose).await?);
                (purpose, email, user)
            }
            LinkWish::EmailChangeNew { new_email } => {
                let mut user = found.ok_or_else(unknown)?;
                let purpose = Purpose::EmailChangeNew;
                let new: Email = new_email.parse()?;
                pending = Some(self.changing(transaction, &mut user, new.clone(), purpose).await?);
                (purpose, new, user)
            }
        };
        Ok(Some((purpose, to, user, pending)))
    }

    /// Where a link leads in the end: `wanted`, if the site or its list allows it.
    pub fn redirect_target(&self, wanted: Option<&str>) -> String {
        super::redirect::chosen(&self.0.settings, wanted)
    }

    /// A change to `new` under way, for which one address gets a link. What was agreed to another one is nothing to
    /// this one; what the other address agreed to stands.
    async fn changing(
        &self,
        transaction: &mut dyn Transaction,
        user: &mut User,
        new: Email,
        purpose: Purpose,
    ) -> Result<Pending> {
        if user.new_email.as_ref() != Some(&new) {
            for asked in [Purpose::EmailChangeCurrent, Purpose::EmailChangeNew] {
                transaction.delete_tokens_of(user.id, Some(asked.as_str())).await?;
            }
            user.new_email = Some(new);
        }
        let both = self.0.settings.sign_ups.both_addresses_confirm && user.email_confirmed_at.is_some();
        let other_agreed = !both || self.left_to_agree(transaction, user).await? == Some(purpose);
        Ok(Pending { other_agreed, ..Pending::default() })
    }

    /// `None` if the address is somebody's.
    async fn invited(
        &self,
        transaction: &mut dyn Transaction,
        email: &Email,
        data: Option<&str>,
    ) -> Result<Option<User>> {
        let user_metadata = metadata::merge("{}", data)?;
        let mut user = match transaction.user_by_email(email).await? {
            Some(user) if user.email_confirmed_at.is_some() => return Ok(None),
            Some(mut user) => {
                // Whoever registered the address before is not who was invited.
                user.password = None;
                user.user_metadata = user_metadata;
                transaction.delete_tokens_of(user.id, None).await?;
                user
            }
            None => match self.registered(transaction, email, None, &user_metadata).await? {
                Some(user) => user,
                None => return Ok(None),
            },
        };
        self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)?;
        user.invited_at = Some(self.now());
        Ok(Some(user))
    }

    /// `None` if the address is somebody's since a moment ago.
    async fn registered(
        &self,
        transaction: &mut dyn Transaction,
        email: &Email,
        password: Option<String>,
        user_metadata: &str,
    ) -> Result<Option<User>> {
        let user = self.new_user(email.clone(), password, user_metadata.to_owned(), false)?;
        self.0.sessions.check_metadata(&user.app_metadata, &user.user_metadata)?;
        Ok(self.insert(transaction, &user).await?.then_some(user))
    }

    async fn hash_of(&self, patch: &UserPatch) -> Result<Option<String>> {
        match (&patch.password, &patch.password_hash) {
            (Some(_), Some(_)) => {
                let sentence = "Only a password or a password hash should be provided";
                Err(Error::new(Code::ValidationFailed, sentence))
            }
            (Some(password), None) => {
                let record = self.of_service(Action::USER_CHANGE_FAILED);
                let email: Option<Email> = patch.email.as_deref().and_then(|email| email.parse().ok());
                let emails: Vec<&Email> = email.iter().collect();
                let password = self.chosen_password(password.clone(), &emails, record).await?;
                self.0.passwords.hash(password.secret()).await.map(Some)
            }
            (None, Some(hash)) => self.0.passwords.seal_imported(hash.expose()).map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl Ban {
    /// `none`, or a length as Go writes it: `24h`, `1h30m`, `90s`.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::Lift);
        }
        let refused = || {
            let sentence = "`ban_duration` must be none, or a duration such as 24h or 1h30m";
            Error::new(Code::ValidationFailed, sentence)
        };
        let mut seconds = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
            let (number, tail) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| refused())?;
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let each = match unit {
                "h" => 3600,
                "m" => 60,
                "s" => 1,
                _ => return Err(refused()),
            };
            seconds =
                number.checked_mul(each).and_then(|more| seconds.checked_add(more)).ok_or_else(refused)?;
            rest = tail;
        }
        // A thousand years are for ever, and later moments have no name.
        if seconds == 0 || seconds > 1_000 * 366 * 86_400 {
            return Err(refused());
        }
        Ok(Self::For(Duration::from_secs(seconds)))
    }
}

fn unknown() -> Error {
    Error::new(Code::UserNotFound, "User not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_are_read_as_go_writes_them() {
        let of = |seconds| Ban::For(Duration::from_secs(seconds));
        for (text, ban) in [("none", Ban::Lift), ("24h", of(86_400)), ("1h30m", of(5_400)), ("90s", of(90))] {
            assert_eq!(Ban::parse(text).unwrap(), ban, "{text}");
        }
        for text in ["", "h", "24", "-1h", "1d", "1h x", "99999999999999999999h", "9000000000h", "0s"] {
            assert_eq!(Ban::parse(text).unwrap_err().code(), Code::ValidationFailed, "{text}");
        }
    }
}

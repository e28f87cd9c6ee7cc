use super::one_time::{ComeBack, Pending, Purpose};
use super::{Auth, metadata};
use crate::audit::{Action, Actor};
use crate::session::Client;
use crate::types::{Code, Error, Result};
use crate::validate::Email;

/// A wish to sign in by a link or a code, without a password.
#[derive(Clone, Debug)]
pub struct OtpWish {
    /// The address, as typed.
    pub email: String,
    /// Whether someone unknown becomes a user.
    pub create_user: bool,
    /// `user_metadata` of whoever becomes one: a JSON object.
    pub data: Option<String>,
    /// How its reader comes back.
    pub back: ComeBack,
}

/// What a mail is asked for again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resend {
    /// A registration.
    Signup,
    /// A change of the address.
    EmailChange,
}

impl Auth {
    /// Sends a link and a code to sign in with.
    ///
    /// Somebody unknown becomes a user, unconfirmed until the mail comes back; with `create_user` off, or where
    /// registration is closed, nothing happens and the answer is the same: it does not tell who is registered.
    pub async fn send_otp(&self, wish: OtpWish, client: &Client) -> Result<()> {
        let email: Email = wish.email.parse()?;
        let data = metadata::merge("{}", wish.data.as_deref())?;
        self.check_mail(&email, client)?;
        let pace = self.pace();
        let done = self.otp_for(email, data, wish.create_user, wish.back, client).await;
        pace.kept(done).await
    }

    async fn otp_for(
        &self,
        email: Email,
        data: String,
        create_user: bool,
        back: ComeBack,
        client: &Client,
    ) -> Result<()> {
        let creates = create_user
            && !self.0.settings.sign_ups.disabled
            && self.would_be_created(&email, &data, client).await?;
        let found = self.database().read().await?.user_by_email(&email).await?;
        if found.is_none() && creates {
            return self.otp_for_stranger(email, data, &back, client).await;
        }
        // Someone who never confirmed keeps what their own registration wanted: this link is not its mail, and
        // clears what strangers set.
        let action = Action::MAGIC_LINK_REQUESTED;
        self.mail_if_known(&email, Purpose::MagicLink, action, back, client).await
    }

    /// Whether the host would let this address become a user. Asked of known ones, too: neither the answer nor its time
    /// tells who is registered.
    async fn would_be_created(&self, email: &Email, data: &str, client: &Client) -> Result<bool> {
        let user = self.new_user(email.clone(), None, data.to_owned(), false)?;
        self.0.sessions.check_metadata(&user.app_metadata, data)?;
        match self.ask_of_creation(&user, Some(client), "otp").await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Code::RefusedByHook => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn otp_for_stranger(
        &self,
        email: Email,
        data: String,
        back: &ComeBack,
        client: &Client,
    ) -> Result<()> {
        let mut user = self.new_user(email.clone(), None, data.clone(), false)?;
        let mut transaction = self.database().begin().await?;
        if !self.insert(&mut *transaction, &user).await? {
            // Registered in this moment by another request: that one's mail is on its way.
            return Ok(());
        }
        let pending = Pending { user_metadata: Some(data), ..Pending::default() };
        let purpose = Purpose::Confirmation;
        self.send(&mut *transaction, &mut user, purpose, &email, back, Some(&pending)).await?;
        transaction.update_user(&user).await?;
        let record = self.record(Actor::Anonymous, Action::USER_SIGNED_UP, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("provider", "email").with("by", "otp")).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(())
    }

    /// Sends a mail again that is still waited for. The same answer whether or not one is.
    pub async fn resend(&self, what: Resend, email: &str, back: ComeBack, client: &Client) -> Result<()> {
        let email: Email = email.parse()?;
        self.check_mail(&email, client)?;
        let pace = self.pace();
        let done = self.send_again(what, &email, back, client).await;
        pace.kept(done).await
    }

    async fn send_again(&self, what: Resend, email: &Email, back: ComeBack, client: &Client) -> Result<()> {
        let purpose = match what {
            Resend::Signup => Purpose::Confirmation,
            Resend::EmailChange => Purpose::EmailChangeNew,
        };
        let record = self.mail_record(Action::MAIL_RESENT, purpose, client);
        let mut transaction = self.database().begin().await?;
        let found = transaction.user_by_email(email).await?;
        let waits = |user: &crate::store::User| match what {
            Resend::Signup => user.email_confirmed_at.is_none(),
            Resend::EmailChange => user.new_email.is_some(),
        };
        let now = self.now();
        let found = found.filter(|user| waits(user) && !user.is_banned(now) && user.deleted_at.is_none());
        let Some(mut user) = found else {
            drop(transaction);
            let record = record.with("reason", "nothing is waited for");
            return self.send_nothing(purpose, email, &back, record).await;
        };
        match what {
            Resend::Signup => {
                // Where several people asked for the address, nobody knows whose password the row has.
                let pending = if user.contested_at.is_some() {
                    Pending::default()
                } else {
                    Pending {
                        password: user.password.clone(),
                        user_metadata: Some(user.user_metadata.clone()),
                        ..Pending::default()
                    }
                };
                let sent_at = user.confirmation_sent_at;
                self.send(&mut *transaction, &mut user, purpose, email, &back, Some(&pending)).await?;
                user.confirmation_sent_at = sent_at.and(user.confirmation_sent_at);
            }
            Resend::EmailChange => {
                let left = self.left_to_agree(&mut *transaction, &user).await?;
                let new = user.new_email.clone().filter(|_| left != Some(Purpose::EmailChangeCurrent));
                if new.is_some_and(|new| !self.may_mail_again(&new)) {
                    drop(transaction);
                    let record = record.with("reason", "the new address got enough mails");
                    return self.send_nothing(purpose, email, &back, record).await;
                }
                match left {
                    Some(left) => self.ask_the_other(&mut *transaction, &mut user, left, &back).await?,
                    None => self.send_change(&mut *transaction, &mut user, &back).await?,
                }
            }
        }
        transaction.update_user(&user).await?;
        self.0.audit.write(&mut *transaction, record.target(user.id)).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(())
    }

    /// Asks the new address of a user, and the old one where the settings want both, whether it shall be.
    pub(super) async fn send_change(
        &self,
        transaction: &mut dyn crate::store::Transaction,
        user: &mut crate::store::User,
        back: &ComeBack,
    ) -> Result<()> {
        let Some(new) = user.new_email.clone() else {
            return Err(Error::internal("no address waits"));
        };
        let old = user
            .email
            .clone()
            .filter(|_| self.0.settings.sign_ups.both_addresses_confirm && user.email_confirmed_at.is_some());
        let agreed = Pending { other_agreed: old.is_none(), ..Pending::default() };
        self.send(transaction, user, Purpose::EmailChangeNew, &new, back, Some(&agreed)).await?;
        match old {
            Some(old) => {
                let pending = Pending::default();
                self.send(transaction, user, Purpose::EmailChangeCurrent, &old, back, Some(&pending)).await?;
            }
            None => transaction.delete_tokens_of(user.id, Some(Purpose::EmailChangeCurrent.as_str())).await?,
        }
        Ok(())
    }

    /// Which address has not agreed yet to a change that the other one agreed to, or that it is asked alone. The half
    /// that was given holds for as long again as its mail was good.
    pub(super) async fn left_to_agree(
        &self,
        transaction: &mut dyn crate::store::Transaction,
        user: &crate::store::User,
    ) -> Result<Option<Purpose>> {
        let horizon = self.now().minus(self.0.settings.mails.lifetime);
        let mut left = None;
        for token in transaction.tokens_of(user.id).await? {
            let purpose = Purpose::of(&token)?;
            let asked = match purpose {
                Purpose::EmailChangeCurrent => &user.email,
                Purpose::EmailChangeNew => &user.new_email,
                _ => continue,
            };
            let holds = token.expires_at > horizon && asked.as_ref() == Some(&token.address);
            if holds && self.unseal(&token)?.other_agreed {
                left = Some(purpose);
            }
        }
        Ok(left)
    }

    /// Asks one address of two once more; the other one's word stands.
    async fn ask_the_other(
        &self,
        transaction: &mut dyn crate::store::Transaction,
        user: &mut crate::store::User,
        purpose: Purpose,
        back: &ComeBack,
    ) -> Result<()> {
        let asked = match purpose {
            Purpose::EmailChangeCurrent => user.email.clone(),
            _ => user.new_email.clone(),
        };
        let Some(asked) = asked else { return Err(Error::internal("no address waits")) };
        let agreed = Pending { other_agreed: true, ..Pending::default() };
        self.send(transaction, user, purpose, &asked, back, Some(&agreed)).await
    }
}

impl std::str::FromStr for Resend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "signup" => Ok(Self::Signup),
            "email_change" => Ok(Self::EmailChange),
            _ => Err(Error::new(Code::ValidationFailed, "`type` must be signup or email_change")),
        }
    }
}

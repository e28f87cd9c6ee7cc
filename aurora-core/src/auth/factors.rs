use http::StatusCode;
use serde_json::{Value, json};

use super::reauthenticate::not_a_nonce;
use super::{Auth, qr, session_of, user_gone, user_of};
use crate::audit::{Action, Actor, Record};
use crate::crypto::{Context, TotpSeed};
use crate::load::{Bucket, address_key};
use crate::mail::{Kind, Message};
use crate::session::{Client, Evidence, gone};
use crate::store::{Factor, FactorChallenge, FactorRow, Session, Transaction, User};
use crate::types::{
    Assurance, ChallengeId, Code, Error, FactorId, Principal, Result, Secret, SessionId, Timestamp, UserId,
};
use crate::validate::printable;

/// What names and issuers are at the most, in characters.
const LONGEST: usize = 100;
/// The one kind of factor there is.
const TOTP: &str = "totp";

/// A second factor that somebody wants to add.
#[derive(Clone, Debug, Default)]
pub struct FactorWish {
    /// What they call it, at most 100 characters.
    pub name: Option<String>,
    /// What the app shows as the service's name; the host of the site's address if nothing is said.
    pub issuer: Option<String>,
    /// The current password, where the sign-in is not recent.
    pub current_password: Option<Secret>,
    /// The code of [`Auth::send_nonce`], instead of the current password.
    pub nonce: Option<Secret>,
}

/// A factor that was enrolled. This is the one time that its seed is told.
#[derive(Clone, Debug)]
pub struct EnrolledFactor {
    /// Which.
    pub id: FactorId,
    /// What its user calls it; may be empty.
    pub name: String,
    /// The seed, as a person types it into an app.
    pub secret: Secret,
    /// The same with all that an app wants to know: `otpauth://totp/..`.
    pub uri: Secret,
    /// The same as the text of an SVG picture of a QR code.
    pub qr_code: Secret,
}

impl EnrolledFactor {
    /// The factor in Supabase's shape. Holds the seed.
    pub fn to_json(&self) -> String {
        json!({
            "id": self.id,
            "type": TOTP,
            "friendly_name": self.name,
            "totp": {
                "qr_code": self.qr_code.expose(),
                "secret": self.secret.expose(),
                "uri": self.uri.expose(),
            },
        })
        .to_string()
    }
}

/// A question for a code.
#[derive(Clone, Copy, Debug)]
pub struct ChallengedFactor {
    /// Which.
    pub id: ChallengeId,
    /// Answer it until then.
    pub expires_at: Timestamp,
}

impl ChallengedFactor {
    /// The challenge in Supabase's shape.
    pub fn to_json(&self) -> String {
        json!({ "id": self.id, "type": TOTP, "expires_at": self.expires_at.as_seconds() }).to_string()
    }
}

/// A factor that is gone.
#[derive(Clone, Debug)]
pub struct DeletedFactor(Factor);

impl DeletedFactor {
    /// Which it was.
    pub fn id(&self) -> FactorId {
        self.0.id
    }

    /// The factor in Supabase's shape.
    pub fn to_json(&self) -> String {
        shown(&self.0).to_string()
    }
}

/// What kept a flow from its end: a denial to record, with its reason, or a failure.
pub(super) enum Stopped {
    Denied(&'static str, Error),
    Failed(Error),
}

/// What an enrolment rests on.
enum Enrolment {
    /// The user had no factor: what a new password wants was asked for, and a nonce of it goes with the enrolment.
    First(Option<UserId>),
    /// They had one, whose session it has to be.
    Raised,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Second factors of the user behind a principal. Anonymous users have none.
impl Auth {
    /// Enrols an authenticator app. It counts from its first right code on ([`Auth::verify_factor`]).
    ///
    /// A first factor wants what a new password wants ([`Code::ReauthenticationNeeded`]), another one a session of
    /// level `aal2` ([`Code::InsufficientAal`]). [`Code::MfaFactorNameConflict`], [`Code::TooManyEnrolledMfaFactors`].
    /// One that was never verified gives way to another of its name.
    pub async fn enroll_factor(
        &self,
        principal: &Principal,
        wish: FactorWish,
        client: &Client,
    ) -> Result<EnrolledFactor> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let name = named("friendly_name", wish.name)?;
        let issuer = named("issuer", wish.issuer)?;
        let user = self.database().read().await?.user(user_of(principal)?).await?.ok_or_else(user_gone)?;
        let mut evidence = Enrolment::Raised;
        if !user.has_factor() {
            evidence = Enrolment::First(None);
            if !self.0.settings.factors.enroll_in_any_session {
                let given = (wish.current_password.as_ref(), wish.nonce.as_ref());
                evidence = Enrolment::First(self.reauthenticate(principal, &user, given, client).await?);
            }
        }
        let seed = TotpSeed::generate(&*self.0.sessions.parts().entropy)?;
        let id = FactorId::from_random(self.random()?);
        let enrolled = self.enrol(principal, (id, &name, &seed), evidence, client).await;
        let account = self.told(enrolled, principal, Some(id), client).await?;
        let issuer = if issuer.is_empty() { self.host() } else { issuer };
        let uri = seed.uri(&issuer, &account);
        Ok(EnrolledFactor { id, name, secret: seed.text(), qr_code: qr::svg(&uri)?, uri })
    }

    /// Answers how the app names the account.
    async fn enrol(
        &self,
        principal: &Principal,
        (id, name, seed): (FactorId, &str, &TotpSeed),
        evidence: Enrolment,
        client: &Client,
    ) -> Result<String, Stopped> {
        let (now, settings) = (self.now(), &self.0.settings.factors);
        let mut transaction = self.database().begin().await?;
        let (user, session) = self.present(&mut *transaction, principal).await?;
        match evidence {
            Enrolment::First(Some(nonce)) if !transaction.delete_token(nonce).await? => {
                return Err(Stopped::Denied("wrong nonce", not_a_nonce()));
            }
            // The factor that stood in for other evidence went meanwhile.
            Enrolment::Raised if !user.has_factor() => return Err(Error::overloaded(1).into()),
            _ => {}
        }
        if user.has_factor() && !asks_raised(principal, &session) {
            let denial = Error::new(Code::InsufficientAal, "AAL2 required to enroll a new factor");
            return Err(Stopped::Denied("needs aal2", denial));
        }
        let horizon = now.minus(settings.unverified_lifetime).as_micros();
        let mut left = Vec::new();
        for factor in &user.factors {
            if !factor.is_verified() && (factor.created_at < horizon || factor.name == name) {
                transaction.delete_factor(factor.id).await?;
            } else {
                left.push(factor);
            }
        }
        if left.iter().any(|factor| factor.name == name) {
            return Err(Stopped::Denied("name taken", name_conflict(name)));
        }
        if left.len() >= settings.most {
            let sentence = "Maximum number of verified factors reached, unenroll to continue";
            return Err(Stopped::Denied("too many", Error::new(Code::TooManyEnrolledMfaFactors, sentence)));
        }
        let row = FactorRow {
            id,
            user: user.id,
            name: name.to_owned(),
            kind: TOTP.to_owned(),
            sealed: self.seal_seed(id, seed)?,
            last_step: -1,
            failures: 0,
            failed_at: None,
            verified_at: None,
            created_at: now,
            updated_at: now,
        };
        if !transaction.insert_factor(&row).await? {
            return Err(Stopped::Denied("name taken", name_conflict(name)));
        }
        let record = self.record(Actor::User(user.id), Action::FACTOR_ENROLLED, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("factor", id).with("type", TOTP)).await?;
        transaction.commit().await?;
        Ok(user.email.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string))
    }

    /// Asks for a code of a factor. [`Code::MfaFactorNotFound`] for one that is not the user's own.
    pub async fn challenge_factor(
        &self,
        principal: &Principal,
        factor: FactorId,
        client: &Client,
    ) -> Result<ChallengedFactor> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let challenged = self.challenge(principal, factor, client).await;
        self.told(challenged, principal, Some(factor), client).await
    }

    async fn challenge(
        &self,
        principal: &Principal,
        factor: FactorId,
        client: &Client,
    ) -> Result<ChallengedFactor, Stopped> {
        let (now, lifetime) = (self.now(), self.0.settings.factors.challenge_lifetime);
        let mut transaction = self.database().begin().await?;
        let (user, _) = self.present(&mut *transaction, principal).await?;
        own(&user, factor)?;
        let challenge = FactorChallenge {
            id: ChallengeId::from_random(self.random()?),
            factor,
            address: client.address().to_string(),
            created_at: now,
            expires_at: now.plus(lifetime),
        };
        transaction.insert_challenge(&challenge, now.minus(lifetime)).await?;
        let record = self.record(Actor::User(user.id), Action::FACTOR_CHALLENGED, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("factor", factor)).await?;
        transaction.commit().await?;
        Ok(ChallengedFactor { id: challenge.id, expires_at: challenge.expires_at })
    }

    /// Removes a factor; a verified one only in a session of level `aal2` ([`Code::InsufficientAal`]).
    ///
    /// The session that asks falls to `aal1` if it owes its level to that factor, any other one that does ends. With
    /// the last verified factor the recovery codes go.
    pub async fn remove_factor(
        &self,
        principal: &Principal,
        factor: FactorId,
        client: &Client,
    ) -> Result<()> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let removed = self.remove(principal, factor, client).await;
        let ended = self.told(removed, principal, Some(factor), client).await?;
        self.0.sessions.ended(&ended);
        self.0.outbox.wake();
        Ok(())
    }

    async fn remove(
        &self,
        principal: &Principal,
        factor: FactorId,
        client: &Client,
    ) -> Result<Vec<SessionId>, Stopped> {
        let mut transaction = self.database().begin().await?;
        let (user, session) = self.present(&mut *transaction, principal).await?;
        let found = own(&user, factor)?;
        if found.is_verified() && !asks_raised(principal, &session) {
            let denial = Error::new(Code::InsufficientAal, "AAL2 required to unenroll verified factor")
                .with_status(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(Stopped::Denied("needs aal2", denial));
        }
        let record = self.record(Actor::User(user.id), Action::FACTOR_REMOVED, client).target(user.id);
        let ended = self.unenroll(&mut *transaction, &user, found, Some(&session), record).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Removes a user's factor, for the service, and answers what it was. Whatever it raised ends, and with the last
    /// one the recovery codes go. [`Code::UserNotFound`], [`Code::MfaFactorNotFound`].
    pub async fn delete_factor(&self, user: UserId, factor: FactorId) -> Result<DeletedFactor> {
        let mut transaction = self.database().begin().await?;
        let unknown = || Error::new(Code::UserNotFound, "User not found");
        let user = transaction.user(user).await?.ok_or_else(unknown)?;
        let found = user.factors.iter().find(|found| found.id == factor).ok_or_else(no_factor)?;
        let record = self.by_service(Action::FACTOR_DELETED, user.id);
        let ended = self.unenroll(&mut *transaction, &user, found, None, record).await?;
        transaction.commit().await?;
        self.0.sessions.ended(&ended);
        self.0.outbox.wake();
        Ok(DeletedFactor(found.clone()))
    }

    /// Answers which sessions ended.
    async fn unenroll(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        factor: &Factor,
        asks: Option<&Session>,
        record: Record,
    ) -> Result<Vec<SessionId>> {
        transaction.delete_factor(factor.id).await?;
        let mut ended = Vec::new();
        if factor.is_verified() {
            let is_last = !user.factors.iter().any(|other| other.id != factor.id && other.is_verified());
            if is_last {
                transaction.put_recovery_codes(user.id, &[], self.now()).await?;
            }
            loop {
                let before = ended.len();
                for mut session in transaction.sessions_of(user.id).await? {
                    if !is_raised(&session) || !(is_last || Evidence::of(&session)?.names(factor.id)) {
                        continue;
                    }
                    if asks.is_some_and(|asks| asks.id == session.id) {
                        let which = (!is_last).then_some(factor.id);
                        self.0.sessions.step_down(transaction, &mut session, which).await?;
                    } else if transaction.end_session(session.id, self.now()).await? {
                        ended.push(session.id);
                    }
                }
                // The newest are listed: behind those that ended there may be more.
                if ended.len() == before {
                    break;
                }
            }
            self.notify_of_factor(transaction, Kind::FactorRemoved, user).await?;
        }
        let record = record.with("factor", factor.id).with("verified", factor.is_verified());
        self.0.audit.write(transaction, record.with("sessions_ended", ended.len())).await?;
        Ok(ended)
    }

    /// Tells whoever owns the account.
    pub(super) async fn notify_of_factor(
        &self,
        transaction: &mut dyn Transaction,
        kind: Kind,
        user: &User,
    ) -> Result<()> {
        match user.email.clone().filter(|_| user.email_confirmed_at.is_some()) {
            Some(email) => self.notify(transaction, Message::new(kind, email), user).await,
            None => Ok(()),
        }
    }

    /// The user and the session behind a principal as they are now, the user locked.
    pub(super) async fn present(
        &self,
        transaction: &mut dyn Transaction,
        principal: &Principal,
    ) -> Result<(User, Session), Stopped> {
        let (id, session) = (user_of(principal)?, session_of(principal)?);
        let Some(user) = transaction.user(id).await? else {
            return Err(Stopped::Denied("user gone", user_gone()));
        };
        let session = transaction.session(session).await?.filter(|session| session.user == id);
        let Some(session) = session.filter(|_| !user.is_banned(self.now())) else {
            return Err(Stopped::Denied("session ended", gone()));
        };
        if user.is_anonymous {
            let sentence = "Anonymous user not allowed to perform these actions";
            let denial = Error::new(Code::NoAuthorization, sentence).with_status(StatusCode::FORBIDDEN);
            return Err(Stopped::Denied("anonymous", denial));
        }
        Ok((user, session))
    }

    /// Records a denial.
    pub(super) async fn told<T>(
        &self,
        outcome: Result<T, Stopped>,
        principal: &Principal,
        factor: Option<FactorId>,
        client: &Client,
    ) -> Result<T> {
        let (reason, denial) = match outcome {
            Ok(done) => return Ok(done),
            Err(Stopped::Failed(error)) => return Err(error),
            Err(Stopped::Denied(reason, denial)) => (reason, denial),
        };
        let mut record =
            self.record(Actor::of(principal), Action::FACTOR_REFUSED, client).with("reason", reason);
        if let Some(user) = principal.user_id() {
            record = record.target(user);
        }
        if let Some(factor) = factor {
            record = record.with("factor", factor);
        }
        Err(self.deny(record, denial).await)
    }

    fn seal_seed(&self, id: FactorId, seed: &TotpSeed) -> Result<Vec<u8>> {
        let keyring = &self.0.sessions.parts().keyring;
        keyring.seal(&Context::seed(id.as_bytes()), seed.expose())
    }

    pub(super) fn unseal_seed(&self, row: &FactorRow) -> Result<TotpSeed> {
        let keyring = &self.0.sessions.parts().keyring;
        let bytes = keyring.unseal(&Context::seed(row.id.as_bytes()), &row.sealed)?;
        TotpSeed::from_bytes(bytes.expose()).ok_or_else(|| Error::internal("a seed of another length"))
    }

    /// The host of the site's address.
    fn host(&self) -> String {
        let site = url::Url::parse(&self.0.settings.site_url).ok();
        site.and_then(|site| site.host_str().map(ToOwned::to_owned)).unwrap_or_else(|| "Aurora".to_owned())
    }
}

/// Whether a second factor raised the session.
pub(super) fn is_raised(session: &Session) -> bool {
    session.aal == Assurance::Aal2.as_str()
}

/// Whether a second factor raised the session, and who asks holds a token of after that: one that was stolen before
/// rises with nobody's code.
pub(super) fn asks_raised(principal: &Principal, session: &Session) -> bool {
    is_raised(session) && principal.assurance() == Assurance::Aal2
}

/// The user's own factor.
pub(super) fn own(user: &User, id: FactorId) -> Result<&Factor, Stopped> {
    let found = user.factors.iter().find(|factor| factor.id == id);
    found.ok_or_else(|| Stopped::Denied("not theirs", no_factor()))
}

/// A factor in Supabase's shape.
pub(super) fn shown(factor: &Factor) -> Value {
    let moment = |micros| Timestamp::from_micros(micros).to_string();
    let mut shown = json!({
        "id": factor.id,
        "factor_type": factor.kind,
        "status": if factor.is_verified() { "verified" } else { "unverified" },
        "created_at": moment(factor.created_at),
        "updated_at": moment(factor.updated_at),
    });
    if let (Value::Object(members), false) = (&mut shown, factor.name.is_empty()) {
        members.insert("friendly_name".to_owned(), json!(factor.name));
    }
    shown
}

fn named(what: &str, text: Option<String>) -> Result<String> {
    let text = text.unwrap_or_default();
    if text.chars().count() > LONGEST || printable(&text, LONGEST) != text {
        let sentence = format!("`{what}` must be at most {LONGEST} printable characters");
        return Err(Error::new(Code::ValidationFailed, sentence));
    }
    Ok(text)
}

fn name_conflict(name: &str) -> Error {
    let sentence = format!("A factor with the friendly name \"{name}\" for this user already exists");
    Error::new(Code::MfaFactorNameConflict, sentence)
}

pub(super) fn no_factor() -> Error {
    Error::new(Code::MfaFactorNotFound, "Factor not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_break_no_line() {
        assert_eq!(named("issuer", None).unwrap(), "");
        assert_eq!(named("issuer", Some("My phone \u{1f4f1}".into())).unwrap(), "My phone \u{1f4f1}");
        for text in ["a\nb".to_owned(), "\u{202e}x".to_owned(), "x".repeat(101)] {
            assert_eq!(named("issuer", Some(text)).unwrap_err().code(), Code::ValidationFailed);
        }
    }
}

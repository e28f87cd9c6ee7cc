use data_encoding::BASE32_NOPAD;
use http::StatusCode;
use serde_json::json;

use super::factors::{Stopped, asks_raised, no_factor};
use super::verify_factor::Raised;
use super::{Auth, IssuedSession, session_of, user_of};
use crate::audit::{Action, Actor};
use crate::crypto::Purpose as KeyPurpose;
use crate::env::random;
use crate::load::{Bucket, address_key};
use crate::mail::Kind;
use crate::session::{Client, Evidence};
use crate::store::User;
use crate::types::{Code, Error, FactorId, Principal, RECOVERY_CODE, Result, Secret, UserId};

/// What they are called among the kinds of factors.
const KIND: &str = "recovery_code";
/// How many there are at once.
const COUNT: usize = 10;
/// 80 random bits each: sixteen characters of base32.
const BYTES: usize = 10;

/// A user's recovery codes, without the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryCodes {
    /// The same for as long as the user is there.
    pub id: FactorId,
    /// How many there were when they were made.
    pub total: usize,
    /// How many were not used yet.
    pub remaining: usize,
}

impl RecoveryCodes {
    /// The codes' state in Supabase's shape.
    pub fn to_json(&self) -> String {
        json!({ "id": self.id, "type": KIND, "total": self.total, "remaining": self.remaining }).to_string()
    }
}

/// Recovery codes that were made. This is the one time that they are told.
#[derive(Clone, Debug)]
pub struct NewRecoveryCodes {
    /// The same as of those before.
    pub id: FactorId,
    /// As a person writes them down: `ABCD-EFGH-IJKL-MNOP`.
    pub codes: Vec<Secret>,
}

impl NewRecoveryCodes {
    /// The codes in Supabase's shape, without separators. Holds them.
    pub fn to_json(&self) -> String {
        let codes: Vec<String> = self.codes.iter().map(|code| code.expose().replace('-', "")).collect();
        json!({ "id": self.id, "type": KIND, "total": codes.len(), "codes": codes }).to_string()
    }
}

/// Whether there may be recovery codes, or have to be some.
#[derive(Clone, Copy)]
enum Making {
    First,
    Again,
}

impl Auth {
    /// How many recovery codes a user has left. [`Code::MfaFactorNotFound`] if there is none: none were made, or all
    /// were used.
    pub async fn recovery_codes(&self, principal: &Principal, client: &Client) -> Result<RecoveryCodes> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let user = user_of(principal)?;
        let left = self.database().read().await?.recovery_codes(user).await?;
        let remaining = usize::try_from(left).ok().filter(|left| *left > 0).ok_or_else(no_factor)?;
        Ok(RecoveryCodes { id: self.recovery_id(user), total: COUNT, remaining })
    }

    /// Makes ten recovery codes.
    ///
    /// They open what a second factor opens, so a first one alone does not make them: the session has to be of level
    /// `aal2`, by a factor that was used within [`config::Tokens::recent_sign_in`](crate::config::Tokens), else
    /// [`Code::InsufficientAal`]. [`Code::MfaVerifiedFactorExists`] if there are some.
    pub async fn generate_recovery_codes(
        &self,
        principal: &Principal,
        client: &Client,
    ) -> Result<NewRecoveryCodes> {
        self.make_recovery_codes(principal, Making::First, client).await
    }

    /// The same, instead of all that are left. [`Code::MfaFactorNotFound`] if none are.
    pub async fn regenerate_recovery_codes(
        &self,
        principal: &Principal,
        client: &Client,
    ) -> Result<NewRecoveryCodes> {
        self.make_recovery_codes(principal, Making::Again, client).await
    }

    async fn make_recovery_codes(
        &self,
        principal: &Principal,
        making: Making,
        client: &Client,
    ) -> Result<NewRecoveryCodes> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let generated = self.generate(principal, making, client).await;
        self.told(generated, principal, None, client).await
    }

    async fn generate(
        &self,
        principal: &Principal,
        making: Making,
        client: &Client,
    ) -> Result<NewRecoveryCodes, Stopped> {
        let now = self.now();
        let mut transaction = self.database().begin().await?;
        let (user, session) = self.present(&mut *transaction, principal).await?;
        let recent = self.0.settings.tokens.recent_sign_in;
        let used = Evidence::of(&session)?.factor_used_at().filter(|_| asks_raised(principal, &session));
        if !user.has_factor() || used.is_none_or(|used| now.since(used) > recent) {
            let sentence = "Recovery codes want a second factor that was verified just now";
            let denial = Error::new(Code::InsufficientAal, sentence).with_max_age(recent.as_secs());
            return Err(Stopped::Denied("needs a fresh factor", denial));
        }
        let left = transaction.recovery_codes(user.id).await?;
        match making {
            Making::First if left > 0 => {
                let sentence = "There are recovery codes already, regenerate them to replace them";
                let denial = Error::new(Code::MfaVerifiedFactorExists, sentence);
                return Err(Stopped::Denied("recovery codes exist", denial));
            }
            Making::Again if left == 0 => return Err(Stopped::Denied("no recovery codes", no_factor())),
            Making::First | Making::Again => {}
        }
        let mut codes = Vec::new();
        for _ in 0..COUNT {
            codes.push(written(&random::<BYTES>(&*self.0.sessions.parts().entropy)?));
        }
        let hashes: Option<Vec<[u8; 32]>> =
            codes.iter().map(|code| Some(self.recovery_hash(user.id, &read(code)?))).collect();
        let hashes = hashes.ok_or_else(|| Error::internal("a recovery code that does not read"))?;
        transaction.put_recovery_codes(user.id, &hashes, now).await?;
        let record =
            self.record(Actor::User(user.id), Action::RECOVERY_CODES_GENERATED, client).target(user.id);
        let record = record.with("count", COUNT).with("instead_of", left);
        self.0.audit.write(&mut *transaction, record).await?;
        self.notify_of_factor(&mut *transaction, Kind::RecoveryCodesChanged, &user).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(NewRecoveryCodes { id: self.recovery_id(user.id), codes })
    }

    /// Removes a user's recovery codes, in a session of level `aal2` ([`Code::InsufficientAal`]).
    /// [`Code::MfaFactorNotFound`] if there is none. Answers what they went by.
    pub async fn remove_recovery_codes(&self, principal: &Principal, client: &Client) -> Result<FactorId> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let removed = self.without_recovery_codes(principal, client).await;
        self.told(removed, principal, None, client).await
    }

    async fn without_recovery_codes(
        &self,
        principal: &Principal,
        client: &Client,
    ) -> Result<FactorId, Stopped> {
        let mut transaction = self.database().begin().await?;
        let (user, session) = self.present(&mut *transaction, principal).await?;
        if !asks_raised(principal, &session) {
            let denial = Error::new(Code::InsufficientAal, "AAL2 required to unenroll recovery codes")
                .with_status(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(Stopped::Denied("needs aal2", denial));
        }
        let left = transaction.recovery_codes(user.id).await?;
        if left == 0 {
            return Err(Stopped::Denied("no recovery codes", no_factor()));
        }
        transaction.put_recovery_codes(user.id, &[], self.now()).await?;
        let record =
            self.record(Actor::User(user.id), Action::RECOVERY_CODES_REMOVED, client).target(user.id);
        self.0.audit.write(&mut *transaction, record.with("left", left)).await?;
        self.notify_of_factor(&mut *transaction, Kind::RecoveryCodesChanged, &user).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(self.recovery_id(user.id))
    }

    /// Uses a recovery code up, instead of a code of a factor: the session behind `principal` rises to `aal2`, as by
    /// [`Auth::verify_factor`]. No factor goes.
    ///
    /// [`Code::MfaVerificationFailed`] for a code that is wrong or was used; guesses are limited as passwords are.
    pub async fn verify_recovery_code(
        &self,
        principal: &Principal,
        code: &Secret,
        client: &Client,
    ) -> Result<IssuedSession> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let mut key = b"recovery code\0".to_vec();
        // By session: 80 bits fall to nobody's guesses, and a stranger who has the password must not use up its
        // owner's.
        key.extend_from_slice(session_of(principal)?.as_bytes());
        let guess = self.0.limiter.guess(&key)?;
        let raised = self.recovered(principal, code, client).await;
        let raised = self.told(raised, principal, None, client).await?;
        guess.succeeded();
        self.issue_raised(raised)
    }

    async fn recovered(
        &self,
        principal: &Principal,
        code: &Secret,
        client: &Client,
    ) -> Result<Raised, Stopped> {
        let mut transaction = self.database().begin().await?;
        let (user, mut session) = self.present(&mut *transaction, principal).await?;
        if !self.use_up(&mut *transaction, &user, code).await? {
            let denial = Error::new(Code::MfaVerificationFailed, "Invalid recovery code entered");
            return Err(Stopped::Denied("wrong recovery code", denial));
        }
        session.authenticated_at = self.now();
        let (secret, ended) =
            self.raise(&mut *transaction, &user, &mut session, (RECOVERY_CODE, None)).await?;
        let left = transaction.recovery_codes(user.id).await?;
        let record = self.record(Actor::User(user.id), Action::RECOVERY_CODE_USED, client).target(user.id);
        let record = record.with("left", left).with("sessions_ended", ended.len());
        self.0.audit.write(&mut *transaction, record).await?;
        let more = self.claims_of_raised(&mut *transaction, &user, &session, RECOVERY_CODE).await?;
        transaction.commit().await?;
        Ok(Raised { user, session, secret, ended, more })
    }

    async fn use_up(
        &self,
        transaction: &mut dyn crate::store::Transaction,
        user: &User,
        code: &Secret,
    ) -> Result<bool> {
        match read(code) {
            Some(bytes) if user.has_factor() => {
                transaction.use_recovery_code(user.id, &self.recovery_hash(user.id, &bytes)).await
            }
            _ => Ok(false),
        }
    }

    /// What stands for all of a user's codes, where a factor has its id: nothing of it is stored.
    fn recovery_id(&self, user: UserId) -> FactorId {
        let keyring = &self.0.sessions.parts().keyring;
        let hash = keyring.mac(KeyPurpose::Credential, "recovery codes of", &[user.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash).for_each(|(byte, from)| *byte = from);
        FactorId::from_random(bytes)
    }

    /// Bound to the user: two users' codes have nothing equal.
    fn recovery_hash(&self, user: UserId, bytes: &[u8]) -> [u8; 32] {
        let keyring = &self.0.sessions.parts().keyring;
        keyring.mac(KeyPurpose::Credential, "recovery code", &[user.as_bytes(), bytes])
    }
}

/// As a person writes it down: `ABCD-EFGH-IJKL-MNOP`.
fn written(bytes: &[u8]) -> Secret {
    let text = Secret::new(BASE32_NOPAD.encode(bytes));
    let mut grouped = String::with_capacity(19);
    for (place, character) in text.expose().chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(character);
    }
    Secret::new(grouped)
}

/// As a person types it again: in any case, with any spaces and dashes, a nought for an O, a one for an I.
fn read(code: &Secret) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    if code.expose().len() > 64 {
        return None;
    }
    let meant = |character: char| match character.to_ascii_uppercase() {
        '0' => 'O',
        '1' => 'I',
        '8' => 'B',
        other => other,
    };
    let characters = code.expose().chars().filter(|character| !matches!(character, ' ' | '-'));
    let text = Secret::new(characters.map(meant).collect());
    let bytes = BASE32_NOPAD.decode(text.expose().as_bytes()).ok().map(zeroize::Zeroizing::new)?;
    (bytes.len() == BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// asvs(V6.5.3)
    #[test]
    fn a_code_is_read_as_people_type_it() {
        let bytes = [0xff, 0, 7, 99, 1, 2, 3, 4, 5, 0x80];
        let code = written(&bytes);
        assert_eq!(code.expose().len(), 19);
        assert!(code.expose().split('-').all(|group| group.len() == 4));
        let typed = [
            code.expose().to_lowercase(),
            code.expose().replace('-', " "),
            code.expose().replace('-', ""),
            code.expose().replace('O', "0").replace('I', "1").replace('B', "8"),
        ];
        for text in typed {
            assert_eq!(read(&text.as_str().into()).unwrap().as_slice(), bytes, "{text}");
        }
        for text in ["", "ABCD", "ABCD-EFGH-IJKL-MNO", "ABCD-EFGH-IJKL-MNOP-QRST", &"A".repeat(4_000), "?"] {
            assert!(read(&text.into()).is_none(), "{text}");
        }
    }
}

use std::time::Duration;

use http::StatusCode;

use super::factors::{Stopped, asks_raised, is_raised, own};
use super::one_time::Purpose;
use super::{Auth, IssuedSession, user_of};
use crate::audit::{Action, Actor};
use crate::crypto::TotpVerdict;
use crate::load::{Bucket, address_key};
use crate::mail::Kind;
use crate::session::{Client, MoreClaims, RefreshSecret};
use crate::store::{FactorChallenge, FactorRow, Session, Transaction, User};
use crate::types::{ChallengeId, Code, Error, FactorId, Principal, Result, Secret, SessionId, Timestamp};

/// Wrong codes of a factor that cost nothing but the limit's.
const FREE: i64 = 5;
/// How long the next one waits, and twice as long with each one more.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// 24 tries a day at three codes in a million: a year of them finds one in forty.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// A session that a second factor raised.
pub(super) struct Raised {
    pub(super) user: User,
    pub(super) session: Session,
    pub(super) secret: RefreshSecret,
    pub(super) ended: Vec<SessionId>,
    pub(super) more: MoreClaims,
}

/// What a code is shown for.
struct Asked {
    user: User,
    session: Session,
    factor: FactorRow,
    challenge: FactorChallenge,
}

impl Auth {
    /// Answers a challenge with a code: the session behind `principal` rises to `aal2` and gets new tokens, those of
    /// before are forgotten, and the user's sessions of `aal1` end. The first right code of a factor makes it count.
    ///
    /// [`Code::MfaVerificationFailed`] for a code that is wrong, too old or was used, in one answer;
    /// [`Code::MfaChallengeExpired`], [`Code::MfaIpAddressMismatch`], [`Code::MfaFactorNotFound`]. Wrong codes are
    /// limited as passwords are, and counted with the factor: after five in a row the next one waits a minute, then
    /// two, up to an hour ([`Code::OverRequestRateLimit`]).
    pub async fn verify_factor(
        &self,
        principal: &Principal,
        factor: FactorId,
        challenge: ChallengeId,
        code: &Secret,
        client: &Client,
    ) -> Result<IssuedSession> {
        self.0.limiter.check(Bucket::Factor, &address_key(client.address()))?;
        let mut key = b"factor\0".to_vec();
        key.extend_from_slice(user_of(principal)?.as_bytes());
        let guess = self.0.limiter.guess(&key)?;
        let mut transaction = self.database().begin().await?;
        let asked = self.asked(&mut *transaction, principal, (factor, challenge), client).await;
        let raised = match asked {
            Ok(asked) => self.answer(transaction, asked, code, client).await,
            Err(stopped) => {
                // No code was looked at.
                guess.refund();
                let told = self.forget_expired(transaction, challenge, stopped).await;
                return self.told(Err(told), principal, Some(factor), client).await;
            }
        };
        let raised = self.told(raised, principal, Some(factor), client).await?;
        guess.succeeded();
        self.issue_raised(raised)
    }

    /// What a code may be shown for: the user's own factor, and a challenge of it that is open and was asked for from
    /// here.
    async fn asked(
        &self,
        transaction: &mut dyn Transaction,
        principal: &Principal,
        (factor, challenge): (FactorId, ChallengeId),
        client: &Client,
    ) -> Result<Asked, Stopped> {
        let now = self.now();
        let (user, session) = self.present(transaction, principal).await?;
        let listed = own(&user, factor)?;
        if !listed.is_verified() && user.has_factor() && !asks_raised(principal, &session) {
            let denial = Error::new(Code::InsufficientAal, "AAL2 required to enroll a new factor");
            return Err(Stopped::Denied("needs aal2", denial));
        }
        let row =
            transaction.factor(factor).await?.ok_or_else(|| Error::internal("a factor without a row"))?;
        if let Some(wait) = held(&row, now) {
            let denial = Error::new(Code::OverRequestRateLimit, "Request rate limit reached");
            return Err(Stopped::Failed(denial.with_retry_after(wait)));
        }
        let found = transaction.challenge(challenge).await?.filter(|found| found.factor == factor);
        let Some(found) = found else {
            let sentence = "MFA factor with the provided challenge ID not found";
            let denial = Error::new(Code::MfaFactorNotFound, sentence);
            let denial = denial.with_status(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(Stopped::Denied("no such challenge", denial));
        };
        if found.address != client.address().to_string() {
            let sentence = "Challenge and verify IP addresses mismatch.";
            return Err(Stopped::Denied("another address", Error::new(Code::MfaIpAddressMismatch, sentence)));
        }
        if now > found.expires_at {
            let sentence = format!(
                "MFA challenge {challenge} has expired, verify against another challenge or create a new challenge."
            );
            return Err(Stopped::Denied(EXPIRED, Error::new(Code::MfaChallengeExpired, sentence)));
        }
        Ok(Asked { user, session, factor: row, challenge: found })
    }

    async fn forget_expired(
        &self,
        mut transaction: Box<dyn Transaction>,
        challenge: ChallengeId,
        stopped: Stopped,
    ) -> Stopped {
        if !matches!(stopped, Stopped::Denied(EXPIRED, _)) {
            return stopped;
        }
        let forgotten = async {
            transaction.delete_challenge(challenge).await?;
            transaction.commit().await
        };
        forgotten.await.map_or_else(Stopped::Failed, |()| stopped)
    }

    async fn answer(
        &self,
        mut transaction: Box<dyn Transaction>,
        asked: Asked,
        code: &Secret,
        client: &Client,
    ) -> Result<Raised, Stopped> {
        let Asked { user, mut session, mut factor, challenge } = asked;
        let now = self.now();
        let failed = || Error::new(Code::MfaVerificationFailed, "Invalid TOTP code entered");
        let verdict = self.unseal_seed(&factor)?.judge(code, now, factor.last_step);
        let TotpVerdict::Good(step) = verdict else {
            factor.failures += 1;
            factor.failed_at = Some(now);
            transaction.update_factor(&factor).await?;
            // Once per row of wrong codes: whoever sends them knows the password.
            if factor.failures == FREE && factor.verified_at.is_some() {
                self.notify_of_factor(&mut *transaction, Kind::FactorGuessed, &user).await?;
            }
            transaction.commit().await?;
            self.0.outbox.wake();
            let reason = if verdict == TotpVerdict::Used { "used code" } else { "wrong code" };
            return Err(Stopped::Denied(reason, failed()));
        };
        let is_first = factor.verified_at.is_none();
        factor.last_step = step;
        (factor.failures, factor.failed_at) = (0, None);
        factor.verified_at = factor.verified_at.or(Some(now));
        factor.updated_at = now;
        // Both say so again of what the user's lock has already made sure: used once.
        let answered = transaction.delete_challenge(challenge.id).await?;
        if !(answered && transaction.update_factor(&factor).await?) {
            return Err(Stopped::Denied("used code", failed()));
        }
        if is_first {
            self.count_factor(&mut *transaction, &user, factor.id).await?;
        } else {
            // A factor that was enrolled a moment ago proves nothing about whose session it is.
            session.authenticated_at = now;
        }
        let record = self.record(Actor::User(user.id), Action::FACTOR_VERIFIED, client).target(user.id);
        let record = record.with("factor", factor.id).with("type", "totp").with("first", is_first);
        let (secret, ended) =
            self.raise(&mut *transaction, &user, &mut session, ("totp", Some(factor.id))).await?;
        self.0.audit.write(&mut *transaction, record.with("sessions_ended", ended.len())).await?;
        let user = transaction.user(user.id).await?.ok_or_else(super::user_gone)?;
        let more = self.claims_of_raised(&mut *transaction, &user, &session, "totp").await?;
        transaction.commit().await?;
        Ok(Raised { user, session, secret, ended, more })
    }

    /// A factor begins to count: others that never did go, and so does whatever was under way without it.
    async fn count_factor(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        factor: FactorId,
    ) -> Result<()> {
        for other in user.factors.iter().filter(|other| other.id != factor && !other.is_verified()) {
            transaction.delete_factor(other.id).await?;
        }
        if !user.has_factor() && user.new_email.is_some() {
            // It was asked for without a second factor, and would take effect past it.
            for purpose in [Purpose::EmailChangeCurrent, Purpose::EmailChangeNew] {
                transaction.delete_tokens_of(user.id, Some(purpose.as_str())).await?;
            }
            let mut changed = user.clone();
            changed.new_email = None;
            changed.email_change_sent_at = None;
            transaction.update_user(&changed).await?;
        }
        self.notify_of_factor(transaction, Kind::FactorEnrolled, user).await
    }

    /// Raises a session, and ends the user's others that no second factor raised.
    pub(super) async fn raise(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        session: &mut Session,
        (method, factor): (&'static str, Option<FactorId>),
    ) -> Result<(RefreshSecret, Vec<SessionId>)> {
        let mut ended = Vec::new();
        loop {
            let before = ended.len();
            for other in transaction.sessions_of(user.id).await? {
                let goes = other.id != session.id && !is_raised(&other);
                if goes && transaction.end_session(other.id, self.now()).await? {
                    ended.push(other.id);
                }
            }
            // The newest are listed: behind those that ended there may be more.
            if ended.len() == before {
                break;
            }
        }
        let secret = self.0.sessions.step_up(transaction, session, method, factor).await?;
        Ok((secret, ended))
    }

    /// What the raised session's token says beside what every token says: asked before its transaction is committed.
    pub(super) async fn claims_of_raised(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        session: &Session,
        method: &'static str,
    ) -> Result<MoreClaims> {
        let roles = transaction.roles_of(user.id).await?;
        self.more_claims(user, session, &roles, method).await
    }

    /// The raised session's tokens, after its transaction was committed.
    pub(super) fn issue_raised(&self, raised: Raised) -> Result<IssuedSession> {
        self.0.sessions.ended(&raised.ended);
        self.0.outbox.wake();
        self.issue(raised.user, &raised.session, raised.secret.text(), self.now(), &raised.more)
    }
}

/// Why a challenge that is too old is refused.
const EXPIRED: &str = "challenge expired";

/// The seconds until the next code is looked at. A clock that was set back holds nobody.
fn held(factor: &FactorRow, now: Timestamp) -> Option<u32> {
    let failed_at = factor.failed_at.filter(|failed_at| *failed_at <= now)?;
    let more =
        u32::try_from(factor.failures.checked_sub(FREE).filter(|more| *more >= 0)?).unwrap_or(u32::MAX);
    let wait =
        FIRST_WAIT.saturating_mul(1_u32.checked_shl(more.min(16)).unwrap_or(u32::MAX)).min(LONGEST_WAIT);
    let left = wait.checked_sub(now.since(failed_at)).filter(|left| !left.is_zero())?;
    Some(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UserId;

    #[test]
    fn each_wrong_code_waits_twice_as_long_up_to_an_hour() {
        let at = |seconds: i64| Timestamp::from_seconds(1_000_000 + seconds);
        let factor = |failures: i64| FactorRow {
            id: FactorId::from_bytes([1; 16]),
            user: UserId::from_bytes([2; 16]),
            name: String::new(),
            kind: "totp".to_owned(),
            sealed: Vec::new(),
            last_step: 0,
            failures,
            failed_at: Some(at(0)),
            verified_at: None,
            created_at: at(0),
            updated_at: at(0),
        };
        for (failures, wait) in
            [(4, None), (5, Some(60)), (6, Some(120)), (7, Some(240)), (11, Some(3_600)), (900, Some(3_600))]
        {
            assert_eq!(held(&factor(failures), at(0)), wait, "{failures}");
        }
        assert_eq!(held(&factor(i64::MAX), at(3_599)), Some(1));
        assert_eq!(held(&factor(5), at(60)), None);
        assert_eq!(held(&factor(900), at(-1)), None, "a clock that was set back");
    }
}

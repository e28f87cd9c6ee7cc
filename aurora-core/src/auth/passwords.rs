use super::{Auth, WeakPassword};
use crate::audit::Record;
use crate::types::{Code, Error, PasswordFault, Result, Secret};
use crate::validate::{BreachedPasswords, Email, NewPassword, OfflineList, PasswordJudge, is_breached};

/// A password that is long enough, and what it is made of, if that is too easy to guess.
pub(super) type Judged = (Option<&'static str>, NewPassword);

const BREACHED: &str = "Password is known to be weak and easy to guess, please choose a different one.";

impl Auth {
    /// `password` as one that may become someone's: each flow that sets one comes through here, before it hashes.
    /// `emails` are the addresses of the account, old and new. What is refused ([`Code::WeakPassword`]) is written
    /// down as `refusal`, with what was wrong and never with the password.
    pub(super) async fn chosen_password(
        &self,
        password: Secret,
        emails: &[&Email],
        refusal: Record,
    ) -> Result<NewPassword> {
        match self.judged(password, emails).await {
            Err(error) if error.code() == Code::WeakPassword => {
                let faults: Vec<&str> = error.password_faults().iter().map(|fault| fault.as_str()).collect();
                let record = refusal.with("reason", "weak password").with("weak", faults.join(" "));
                Err(self.deny(record, error).await)
            }
            judged => judged,
        }
    }

    async fn judged(&self, password: Secret, emails: &[&Email]) -> Result<NewPassword> {
        let judge = self.judgement(password, emails)?;
        let password = accepted(self.0.passwords.run(judge).await?).await?;
        // Nobody else is asked about a password that is refused already.
        if self.is_breached_elsewhere(&password).await {
            return Err(Error::weak_password(vec![PasswordFault::Pwned], BREACHED));
        }
        Ok(password)
    }

    /// The work of judging a password that is long enough: for the pool of hashing.
    pub(super) fn judgement(
        &self,
        password: Secret,
        emails: &[&Email],
    ) -> Result<impl FnOnce() -> Judged + Send + use<>> {
        let password = NewPassword::parse(password, self.0.settings.passwords.shortest)?;
        let judge = self.password_judge(emails);
        Ok(move || (judge.fault(&password), password))
    }

    fn password_judge(&self, emails: &[&Email]) -> PasswordJudge {
        let settings = &self.0.settings;
        let site = settings.site_url.parse::<http::Uri>().ok();
        let mut judge = PasswordJudge::new(settings.passwords.weakest_score);
        if let Some(host) = site.as_ref().and_then(http::Uri::host) {
            judge = judge.word(host);
        }
        for word in &settings.passwords.context_words {
            judge = judge.word(word);
        }
        emails.iter().fold(judge, |judge, email| judge.email(email))
    }

    /// Asks the host's source. One that fails or is slow has nothing against the password, and that is logged: a
    /// service elsewhere that is down, or that an attacker keeps from us, must close neither registration nor the
    /// way to replace a stolen password. The commonest passwords are refused by the built-in list all the same.
    async fn is_breached_elsewhere(&self, password: &NewPassword) -> bool {
        let Some(source) = &self.0.breached_passwords else { return false };
        let source: &dyn BreachedPasswords = &**source;
        let deadline = self.0.settings.passwords.breached_deadline;
        match tokio::time::timeout(deadline, is_breached(password, source)).await {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => {
                tracing::warn!(
                    ?error,
                    "the source of breached passwords failed, a password passed without it"
                );
                false
            }
            Err(_) => {
                tracing::warn!(
                    ?deadline,
                    "the source of breached passwords was too slow and was passed over"
                );
                false
            }
        }
    }
}

/// What today's rules have against a password that is somebody's. The host's source is not asked: the sign-in would
/// wait for it, and be told to a service elsewhere.
pub(super) async fn weakness(judged: Result<Judged>) -> Option<WeakPassword> {
    let refused = match judged {
        Ok(judged) => accepted(judged).await.err()?,
        Err(error) => error,
    };
    let faults = refused.password_faults().to_vec();
    (!faults.is_empty()).then(|| WeakPassword { faults, message: refused.message().to_owned() })
}

/// The password, if nothing that is known here speaks against it.
async fn accepted((fault, password): Judged) -> Result<NewPassword> {
    let mut faults = Vec::new();
    let mut sentences = Vec::new();
    if let Some(sentence) = fault {
        faults.push(PasswordFault::Characters);
        sentences.push(sentence);
    }
    if is_breached(&password, &OfflineList).await? {
        faults.push(PasswordFault::Pwned);
        sentences.push(BREACHED);
    }
    if faults.is_empty() { Ok(password) } else { Err(Error::weak_password(faults, sentences.join(" "))) }
}

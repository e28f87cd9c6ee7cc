use crate::types::{Code, Error, PasswordFault, Result, Secret};

/// The longest password that is hashed, in bytes. Longer ones are refused before any hashing: a megabyte of
/// "password" must not buy a megabyte of work (CVE-2013-1443).
const LONGEST: usize = 1024;

/// A password that someone may choose: within the length bounds, taken exactly as it was typed.
///
/// No composition rules, no trimming, no truncation (ASVS 6.2.5, 6.2.8; NIST SP 800-63B-4 s3.1.1.2). Whether it is
/// easy to guess or known from a breach is asked after that: [`PasswordJudge`](super::PasswordJudge),
/// [`is_breached`](super::is_breached).
#[derive(Clone, Debug)]
pub struct NewPassword(Secret);

impl NewPassword {
    /// Takes `password` if it has at least `shortest` characters and at most 1024 bytes.
    pub fn parse(password: Secret, shortest: usize) -> Result<Self> {
        Self::bounded(&password)?;
        if password.expose().chars().count() < shortest {
            let sentence = format!("Password should be at least {shortest} characters.");
            return Err(Error::weak_password(vec![PasswordFault::Length], sentence));
        }
        Ok(Self(password))
    }

    /// Refuses a password that is too long to be anyone's, whether chosen or guessed:
    /// [`Code::ValidationFailed`], as Supabase says it. Too short is [`Code::WeakPassword`].
    pub fn bounded(password: &Secret) -> Result<()> {
        if password.expose().len() > LONGEST {
            return Err(Error::new(Code::ValidationFailed, "Password cannot be longer than 1024 bytes"));
        }
        Ok(())
    }

    /// The password itself.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack P07, asvs(V6.2.1, V6.2.9)
    #[test]
    fn counts_characters_below_and_bytes_above() {
        assert!(NewPassword::parse("pässwör".into(), 8).is_err());
        assert!(NewPassword::parse("pässwört".into(), 8).is_ok());
        assert!(NewPassword::parse("x".repeat(1024).into(), 8).is_ok());
        let refused = NewPassword::parse("x".repeat(1025).into(), 8).unwrap_err();
        assert_eq!(refused.code(), Code::ValidationFailed);
    }
}

use http::StatusCode;

use crate::types::{Code, Error, Result};

/// What a body with a phone number asks for: Supabase words its refusal for each.
#[derive(Clone, Copy)]
pub(super) enum Asks {
    SignUp,
    SignIn,
    Otp,
    Resend,
    Verify,
    Change,
}

/// The e-mail address of a body, if it names one. Phone numbers are not served: a body with one is answered as
/// Supabase answers where they are switched off.
pub(super) fn address(email: Option<String>, phone: Option<&str>, asks: Asks) -> Result<Option<String>> {
    let email = email.filter(|email| !email.is_empty());
    if named(phone)
        && email.is_some()
        && let Some(sentence) = asks.one_of_both()
    {
        return Err(Error::new(Code::ValidationFailed, sentence));
    }
    without_phone(phone, asks)?;
    Ok(email)
}

/// Refuses a body with a phone number.
pub(super) fn without_phone(phone: Option<&str>, asks: Asks) -> Result<()> {
    if named(phone) { Err(asks.refusal()) } else { Ok(()) }
}

fn named(phone: Option<&str>) -> bool {
    phone.is_some_and(|phone| !phone.is_empty())
}

impl Asks {
    fn refusal(self) -> Error {
        let disabled = |sentence| Error::new(Code::PhoneProviderDisabled, sentence);
        match self {
            Self::SignUp => disabled("Phone signups are disabled"),
            Self::SignIn => {
                disabled("Phone logins are disabled").with_status(StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::Resend => disabled("Phone logins are disabled"),
            // Supabase asks no switch here: no code was sent to any number.
            Self::Verify => Error::new(Code::OtpExpired, "Token has expired or is invalid"),
            Self::Otp | Self::Change => disabled("Unsupported phone provider"),
        }
    }

    fn one_of_both(self) -> Option<&'static str> {
        match self {
            Self::SignUp => Some("Only an email address or phone number should be provided on signup."),
            Self::SignIn => Some("Only an email address or phone number should be provided on login."),
            Self::Otp => Some("Only an email address or phone number should be provided"),
            Self::Resend => Some("Only an email address or phone number should be provided."),
            Self::Verify => Some("Only an email address or phone number should be provided on verify"),
            Self::Change => None,
        }
    }
}

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Auth;
use crate::crypto::{Context, Purpose as KeyPurpose};
use crate::env::random;
use crate::mail::Kind;
use crate::store::{OneTimeToken, User};
use crate::types::{Code, Error, Result, Secret, UserId};
use crate::validate::Email;

/// How a link's token begins whose use is worth nothing without a verifier. Supabase's clients look for it.
const WITH_CHALLENGE: &str = "pkce_";
/// Wrong codes after which a code is dead. Its link is not: nobody guesses 256 bits.
pub(super) const TRIES: i64 = 5;
/// How the purpose begins that a store gives to a token which ended with wrong codes counted on it.
pub(super) const SPENT: &str = "spent";

/// What a mail was sent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Confirmation,
    Invite,
    MagicLink,
    Recovery,
    EmailChangeCurrent,
    EmailChangeNew,
    Reauthentication,
}

impl Purpose {
    pub(super) const ALL: [Self; 7] = [
        Self::Confirmation,
        Self::Invite,
        Self::MagicLink,
        Self::Recovery,
        Self::EmailChangeCurrent,
        Self::EmailChangeNew,
        Self::Reauthentication,
    ];

    /// The purpose's name in the database.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::Invite => "invite",
            Self::MagicLink => "magic_link",
            Self::Recovery => "recovery",
            Self::EmailChangeCurrent => "email_change_current",
            Self::EmailChangeNew => "email_change_new",
            Self::Reauthentication => "reauthentication",
        }
    }

    /// The `type` of its link.
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Confirmation => "signup",
            Self::Invite => "invite",
            Self::MagicLink => "magiclink",
            Self::Recovery => "recovery",
            Self::EmailChangeCurrent | Self::EmailChangeNew => "email_change",
            Self::Reauthentication => "reauthentication",
        }
    }

    /// The purposes that share one code at an address, as they do in Supabase: the newest mail's. Links of the mails
    /// before it go on.
    pub(super) fn sharing_a_code(self) -> [&'static str; 2] {
        match self {
            Self::Confirmation | Self::Invite => [Self::Confirmation.as_str(), Self::Invite.as_str()],
            Self::MagicLink | Self::Recovery => [Self::MagicLink.as_str(), Self::Recovery.as_str()],
            Self::EmailChangeCurrent | Self::EmailChangeNew | Self::Reauthentication => [self.as_str(); 2],
        }
    }

    /// What its mail is about.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Confirmation => Kind::Confirmation,
            Self::Invite => Kind::Invite,
            Self::MagicLink => Kind::MagicLink,
            Self::Recovery => Kind::Recovery,
            Self::EmailChangeCurrent => Kind::EmailChangeCurrent,
            Self::EmailChangeNew => Kind::EmailChangeNew,
            Self::Reauthentication => Kind::Reauthentication,
        }
    }

    pub(super) fn of(token: &OneTimeToken) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.as_str() == token.purpose)
            .ok_or_else(|| Error::internal("a one-time token of an unknown purpose"))
    }
}

/// What someone says that their link or code is for: `type` on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VerifyType {
    /// Confirms a registration, or takes an invitation up.
    Signup,
    /// The same.
    Invite,
    /// Signs in, by a link or to choose a new password.
    MagicLink,
    /// The same.
    Recovery,
    /// Confirms an old or a new address.
    EmailChange,
    /// Whatever of these signs in, but no change of an address.
    Email,
}

impl VerifyType {
    /// Every type with its name on the wire.
    const ALL: [(Self, &'static str); 6] = [
        (Self::Signup, "signup"),
        (Self::Invite, "invite"),
        (Self::MagicLink, "magiclink"),
        (Self::Recovery, "recovery"),
        (Self::EmailChange, "email_change"),
        (Self::Email, "email"),
    ];

    /// The type's name on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// As in Supabase (`internal/api/verify.go`), which keeps a token to confirm with and one to recover with: whatever
    /// is taken alike gives the same, and only a change of an address is something else.
    pub(super) fn takes(self, purpose: Purpose) -> bool {
        let confirms = matches!(purpose, Purpose::Confirmation | Purpose::Invite);
        let recovers = matches!(purpose, Purpose::MagicLink | Purpose::Recovery);
        match self {
            Self::Signup | Self::Invite => confirms,
            Self::MagicLink | Self::Recovery => recovers,
            Self::EmailChange => matches!(purpose, Purpose::EmailChangeCurrent | Purpose::EmailChangeNew),
            Self::Email => confirms || recovers,
        }
    }
}

impl FromStr for VerifyType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(kind, _)| kind);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(|(_, name)| name).collect();
            Error::new(Code::ValidationFailed, format!("`type` must be one of {}", names.join(", ")))
        })
    }
}

/// What a client that asked for a mail will have to prove that it is the same one: PKCE (RFC 7636).
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    text: String,
    hashed: bool,
}

impl Challenge {
    /// `method` is `s256` or `plain`, in any case (RFC 7636 s4.2); the challenge is 43 to 128 unreserved
    /// characters.
    pub fn parse(text: &str, method: &str) -> Result<Self> {
        let hashed = match method.to_ascii_lowercase().as_str() {
            "s256" => true,
            "plain" => false,
            _ => {
                let sentence = "`code_challenge_method` must be s256 or plain";
                return Err(Error::new(Code::ValidationFailed, sentence));
            }
        };
        if !is_verifier(text) {
            let sentence =
                "`code_challenge` must be 43 to 128 letters, digits, dots, dashes, underlines or tildes";
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        Ok(Self { text: text.to_owned(), hashed })
    }

    pub(super) fn stored(&self) -> (String, String) {
        (self.text.clone(), if self.hashed { "s256" } else { "plain" }.to_owned())
    }

    pub(super) fn restored((text, method): &(String, String)) -> Result<Self> {
        Self::parse(text, method).map_err(Error::internal)
    }

    /// Whether `verifier` is what the challenge was made of.
    pub(super) fn is_met_by(&self, verifier: &Secret) -> bool {
        if !is_verifier(verifier.expose()) {
            return false;
        }
        let shown = if self.hashed {
            URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
        } else {
            verifier.expose().to_owned()
        };
        shown.as_bytes().ct_eq(self.text.trim_end_matches('=').as_bytes()).into()
    }
}

fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("hashed", &self.hashed).finish_non_exhaustive()
    }
}

/// How the reader of a mail comes back.
#[derive(Clone, Debug, Default)]
pub struct ComeBack {
    /// Where the link leads in the end. Somewhere that is not on the list leads to the site's own address.
    pub redirect_to: Option<String>,
    /// With one, a link is worth nothing without its verifier.
    pub challenge: Option<Challenge>,
}

/// What a registration becomes when its own mail comes back, sealed in its token: a stranger's wait in theirs.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) password: Option<String>,
    pub(super) user_metadata: Option<String>,
    /// The other one of two addresses agreed.
    #[serde(default)]
    pub(super) other_agreed: bool,
    /// The mailbox was proved on another device. What the registration wanted waits for the verifier.
    #[serde(default)]
    pub(super) mailbox_proved: bool,
}

/// A token with what its mail says.
pub(super) struct Minted {
    pub(super) row: OneTimeToken,
    pub(super) token: String,
    pub(super) code: String,
}

impl Auth {
    pub(super) fn mint(
        &self,
        user: &User,
        purpose: Purpose,
        address: &Email,
        challenge: Option<&Challenge>,
        pending: Option<&Pending>,
    ) -> Result<Minted> {
        let entropy = &*self.0.sessions.parts().entropy;
        let prefix = if challenge.is_some() { WITH_CHALLENGE } else { "" };
        let token = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>(entropy)?));
        let code = self.code_for(address)?;
        let id = UserId::from_random(self.random()?);
        let sealed = pending.map(|pending| self.seal(id, pending)).transpose()?;
        let now = self.now();
        let row = OneTimeToken {
            id,
            user: user.id,
            purpose: purpose.as_str().to_owned(),
            address: address.clone(),
            link: self.link_hash(&token),
            code: self.code_hash(address, purpose, &code),
            exchange: challenge.map(|_| self.exchange_hash(&self.exchange_code(&token))),
            challenge: challenge.map(Challenge::stored),
            sealed,
            tries: 0,
            created_at: now,
            expires_at: now.plus(self.0.settings.mails.lifetime),
        };
        Ok(Minted { row, token, code })
    }

    /// Digits, each as likely as the others; in development the one that the settings fix for the address.
    fn code_for(&self, address: &Email) -> Result<String> {
        let mails = &self.0.settings.mails;
        if let Some((_, code)) = mails.test_codes.iter().find(|(to, _)| to == address.as_str()) {
            return Ok(code.clone());
        }
        let digits = usize::from(mails.code_digits.clamp(6, 10));
        // 128 random bits modulo 10^10: no digit is likelier than another by more than 2^-94.
        let number =
            u128::from_be_bytes(self.random()?) % 10_u128.pow(u32::from(mails.code_digits.clamp(6, 10)));
        Ok(format!("{number:0digits$}"))
    }

    pub(super) fn link_hash(&self, token: &str) -> [u8; 32] {
        self.keyed("one-time link", &[token.as_bytes()])
    }

    /// Bound to the address and the purpose: a code is worth nothing elsewhere, and equal codes have nothing equal.
    pub(super) fn code_hash(&self, address: &Email, purpose: Purpose, code: &str) -> [u8; 32] {
        self.keyed(
            "one-time code",
            &[address.as_str().as_bytes(), purpose.as_str().as_bytes(), code.as_bytes()],
        )
    }

    /// What a link with a challenge is exchanged for. Derived, so that whoever opens it twice (a mail scanner, then
    /// its reader) gets the same.
    pub(super) fn exchange_code(&self, token: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.keyed("one-time exchange code", &[token.as_bytes()]))
    }

    pub(super) fn exchange_hash(&self, code: &str) -> [u8; 32] {
        self.keyed("one-time exchange", &[code.as_bytes()])
    }

    fn keyed(&self, label: &str, data: &[&[u8]]) -> [u8; 32] {
        self.0.sessions.parts().keyring.mac(KeyPurpose::Credential, label, data)
    }

    pub(super) fn seal(&self, id: UserId, pending: &Pending) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(pending).map_err(Error::internal)?;
        let keyring = &self.0.sessions.parts().keyring;
        keyring.seal(&Context::one_time(id.as_bytes()), &text)
    }

    pub(super) fn unseal(&self, token: &OneTimeToken) -> Result<Pending> {
        let Some(sealed) = &token.sealed else { return Ok(Pending::default()) };
        let keyring = &self.0.sessions.parts().keyring;
        let text = keyring.unseal(&Context::one_time(token.id.as_bytes()), sealed)?;
        serde_json::from_slice(text.expose()).map_err(Error::internal)
    }
}

/// One answer for unknown, wrong, used and expired.
pub(super) fn expired() -> Error {
    Error::new(Code::OtpExpired, "Token has expired or is invalid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_met_by_their_verifiers() {
        // RFC 7636, appendix B.
        let verifier = Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let hashed = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "S256").unwrap();
        assert!(hashed.is_met_by(&verifier));
        assert!(!hashed.is_met_by(&"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl".into()));
        let plain = Challenge::parse(verifier.expose(), "plain").unwrap();
        assert!(plain.is_met_by(&verifier) && !hashed.is_met_by(&"".into()));
        for (text, method) in [("short", "s256"), (verifier.expose(), "md5"), (&"x".repeat(129), "plain")] {
            assert_eq!(Challenge::parse(text, method).unwrap_err().code(), Code::ValidationFailed);
        }
    }

    #[test]
    fn a_type_takes_its_own_purposes() {
        let taken = |kind: VerifyType| {
            Purpose::ALL
                .into_iter()
                .filter(|purpose| kind.takes(*purpose))
                .map(Purpose::wire)
                .collect::<Vec<_>>()
        };
        assert_eq!(taken(VerifyType::Email), ["signup", "invite", "magiclink", "recovery"]);
        assert_eq!(taken(VerifyType::Signup), taken(VerifyType::Invite));
        assert_eq!(taken(VerifyType::MagicLink), ["magiclink", "recovery"]);
        assert_eq!(taken(VerifyType::MagicLink), taken(VerifyType::Recovery));
        assert_eq!(taken(VerifyType::EmailChange), ["email_change", "email_change"]);
        for (kind, name) in VerifyType::ALL {
            assert_eq!(name.parse::<VerifyType>().unwrap(), kind);
            assert!(!kind.takes(Purpose::Reauthentication), "a nonce signs nobody in");
        }
        assert!("sms".parse::<VerifyType>().is_err());
    }
}

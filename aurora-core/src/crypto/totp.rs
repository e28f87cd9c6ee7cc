//! Codes of authenticator apps: RFC 6238 as every app speaks it, HMAC-SHA-1, six digits, thirty seconds.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::{Result, Secret, Timestamp};

/// A code is good for so many seconds.
const STEP: i64 = 30;
/// How many steps a phone's clock may be off, either way (RFC 6238 s5.2 recommends at most one).
const SKEW: i64 = 1;
const DIGITS: usize = 6;

/// What an authenticator app and the service share: 160 random bits (RFC 4226 s4 recommends so many).
///
/// ```
/// use aurora_core::crypto::{TotpSeed, TotpVerdict};
/// use aurora_core::{env::SystemEntropy, types::Timestamp};
///
/// let seed = TotpSeed::generate(&SystemEntropy).unwrap();
/// let now = Timestamp::from_seconds(1_800_000_000);
/// let code = seed.code(now);
/// let TotpVerdict::Good(step) = seed.judge(&code, now, 0) else { panic!("refused") };
/// assert_eq!(seed.judge(&code, now, step), TotpVerdict::Used);
/// assert_eq!(seed.judge(&"12345".into(), now, step), TotpVerdict::Wrong);
/// ```
#[derive(Clone)]
pub struct TotpSeed(Zeroizing<[u8; 20]>);

/// What a code is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TotpVerdict {
    /// It is the code of this step, which is later than the last one used: remember it.
    Good(i64),
    /// It was the right one, and it or a later one was used (RFC 6238 s5.2).
    Used,
    /// It is not a code of this seed around that time.
    Wrong,
}

impl TotpSeed {
    /// A new one.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
        Ok(Self(Zeroizing::new(random(entropy)?)))
    }

    /// From its bytes. `None` if there are not twenty.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// From its text. `None` if it is not what [`text`](Self::text) writes.
    pub fn parse(text: &Secret) -> Option<Self> {
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(text.expose().as_bytes()).ok()?);
        Self::from_bytes(&bytes)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8; 20] {
        &self.0
    }

    /// As a person types it into an app: 32 characters of base32 (RFC 4648 s6).
    pub fn text(&self) -> Secret {
        Secret::new(BASE32_NOPAD.encode(&*self.0))
    }

    /// The seed as apps read it:
    /// <https://github.com/google/google-authenticator/wiki/Key-Uri-Format>.
    pub fn uri(&self, issuer: &str, account: &str) -> Secret {
        let (issuer, account, secret) = (escaped(issuer), escaped(account), self.text());
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits={DIGITS}&issuer={issuer}&period={STEP}&secret={}",
            secret.expose()
        ))
    }

    /// The code of that moment.
    pub fn code(&self, at: Timestamp) -> Secret {
        Secret::new(digits(self.number(step_of(at)), DIGITS))
    }

    /// What `code` is worth at `now`, after the code of step `last` was used. Takes the same time for every code of
    /// six characters.
    pub fn judge(&self, code: &Secret, now: Timestamp, last: i64) -> TotpVerdict {
        let shown = code.expose().as_bytes();
        let here = step_of(now);
        let (mut known, mut good, mut newest) = (Choice::from(0), Choice::from(0), 0_i64);
        // The earliest that is still unused counts: it leaves the later ones to use.
        for step in (here.saturating_sub(SKEW)..=here.saturating_add(SKEW)).rev() {
            let same = shown.ct_eq(digits(self.number(step), DIGITS).as_bytes());
            let unused = Choice::from(u8::from(step > last));
            known |= same;
            good |= same & unused;
            newest.conditional_assign(&step, same & unused);
        }
        match (bool::from(good), bool::from(known)) {
            (true, _) => TotpVerdict::Good(newest),
            (false, true) => TotpVerdict::Used,
            (false, false) => TotpVerdict::Wrong,
        }
    }

    /// RFC 4226 s5.3: 31 bits of the MAC of the step's number, from where its last four bits say.
    fn number(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &*self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
        let word = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>());
        u32::from_be_bytes(word.copied().unwrap_or_default()) & 0x7fff_ffff
    }
}

/// Prints no seed.
impl fmt::Debug for TotpSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSeed(..)")
    }
}

fn step_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(STEP)
}

/// The last decimal digits of a number.
fn digits(number: u32, count: usize) -> String {
    let all = format!("{number:010}");
    all.get(all.len().saturating_sub(count)..).unwrap_or_default().to_owned()
}

/// RFC 3986 s2.3: a plus for a space, as forms have it, is a plus to an app.
fn escaped(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = |byte: u8| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemEntropy;

    fn rfc() -> TotpSeed {
        TotpSeed::from_bytes(b"12345678901234567890").unwrap()
    }

    /// RFC 6238, appendix B, and RFC 4226, appendix D.
    #[test]
    fn the_vectors_of_the_rfcs() {
        let vectors = [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ];
        for (seconds, code) in vectors {
            let at = Timestamp::from_seconds(seconds);
            assert_eq!(digits(rfc().number(step_of(at)), 8), code, "{seconds}");
            assert_eq!(rfc().code(at).expose(), &code[2..], "{seconds}");
        }
        let counted = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583"];
        for (step, code) in (0..).zip(counted) {
            assert_eq!(digits(rfc().number(step), 6), code, "{step}");
        }
    }

    /// asvs(V6.5.1): the code of a step is good once, and none before it any more.
    #[test]
    fn a_code_is_good_once_and_one_step_around() {
        let (seed, now) = (rfc(), Timestamp::from_seconds(1_800_000_015));
        let step = step_of(now);
        let at = |seconds: i64| seed.code(Timestamp::from_seconds(1_800_000_015 + seconds));
        for (off, verdict) in [
            (-60, TotpVerdict::Wrong),
            (-30, TotpVerdict::Good(step - 1)),
            (0, TotpVerdict::Good(step)),
            (30, TotpVerdict::Good(step + 1)),
            (60, TotpVerdict::Wrong),
        ] {
            assert_eq!(seed.judge(&at(off), now, 0), verdict, "{off}");
        }
        for (off, verdict) in
            [(-30, TotpVerdict::Used), (0, TotpVerdict::Used), (30, TotpVerdict::Good(step + 1))]
        {
            assert_eq!(seed.judge(&at(off), now, step), verdict, "{off}");
        }
        assert_eq!(seed.judge(&at(30), now, step + 1), TotpVerdict::Used);
        for code in ["", "12345", "1234567", " 12345", "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}"] {
            assert_eq!(seed.judge(&code.into(), now, 0), TotpVerdict::Wrong, "{code}");
        }
    }

    #[test]
    fn a_seed_is_read_as_it_was_written_and_never_printed() {
        let seed = TotpSeed::generate(&SystemEntropy).unwrap();
        let text = seed.text();
        assert_eq!(text.expose().len(), 32);
        assert!(text.expose().bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)));
        assert_eq!(TotpSeed::parse(&text).unwrap().expose(), seed.expose());
        assert!(TotpSeed::parse(&"MZXW6===".into()).is_none() && TotpSeed::from_bytes(&[1; 19]).is_none());
        assert_eq!(format!("{seed:?}"), "TotpSeed(..)");
        assert_eq!(rfc().text().expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn the_address_of_a_seed_is_read_by_apps() {
        let uri = rfc().uri("Ann & Söhne: Shop", "ann+1@example.com");
        let url = url::Url::parse(uri.expose()).unwrap();
        assert_eq!((url.scheme(), url.host_str()), ("otpauth", Some("totp")));
        assert_eq!(url.path(), "/Ann%20%26%20S%C3%B6hne%3A%20Shop:ann%2B1%40example.com");
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let find =
            |name: &str| pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        assert_eq!(find("issuer"), Some("Ann & Söhne: Shop"));
        assert_eq!(find("secret"), Some("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
        assert_eq!(
            (find("algorithm"), find("digits"), find("period")),
            (Some("SHA1"), Some("6"), Some("30"))
        );
    }
}

//! Whether a password stood in a known breach, asked so that whoever answers does not learn it.

mod offline;
mod range_api;

use std::error::Error as _;
use std::fmt::{self, Debug, Write as _};
use std::str::FromStr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use zeroize::Zeroizing;

use super::NewPassword;
use crate::types::{BoxFuture, Code, Error, Result};

pub use offline::OfflineList;
pub use range_api::RangeApi;

/// Hexadecimal digits of a SHA-1.
const DIGITS: usize = 40;
/// How many of them are told to whoever is asked.
const TOLD: usize = 5;

/// Passwords that are known from breaches, asked for by k-anonymity: the question is the beginning of a hash, which
/// hundreds of them share, and the answer is how all of those go on.
///
/// Implementations: [`OfflineList`], which is built in; [`RangeApi`], over a service such as Have I Been Pwned; a
/// host's own, over its own copy.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> aurora_core::types::Result<()> {
/// use aurora_core::types::{BoxFuture, Result};
/// use aurora_core::validate::{BreachedPasswords, HashPrefix, HashSuffix, NewPassword, is_breached};
///
/// /// Knows the one that was on the sticker of every router we sold.
/// #[derive(Debug)]
/// struct Sticker;
///
/// impl BreachedPasswords for Sticker {
///     fn range(&self, prefix: HashPrefix) -> BoxFuture<'_, Result<Vec<HashSuffix>>> {
///         Box::pin(async move {
///             let (known, rest) = ("ABF7A", "AD6438836DBE526AA231ABDE2D0EEF74D42");
///             Ok(if prefix.as_str() == known { vec![rest.parse()?] } else { Vec::new() })
///         })
///     }
/// }
///
/// let sticker = NewPassword::parse("correct horse battery staple".into(), 8)?;
/// assert!(is_breached(&sticker, &Sticker).await?);
/// let other = NewPassword::parse("quiet harbour lamp 41".into(), 8)?;
/// assert!(!is_breached(&other, &Sticker).await?);
/// # Ok(())
/// # }
/// ```
pub trait BreachedPasswords: Send + Sync + Debug {
    /// How the SHA-1 hashes go on that begin with `prefix`. None if nothing is known under it.
    fn range(&self, prefix: HashPrefix) -> BoxFuture<'_, Result<Vec<HashSuffix>>>;
}

/// Whether `source` knows `password`, which is hashed as it is, byte by byte. Of the hash it is told 20 bits of 160.
///
/// # Errors
/// What the source says when it fails, without the digits that it was asked for: clients name the address that
/// they could not reach, and errors are logged.
pub async fn is_breached(password: &NewPassword, source: &dyn BreachedPasswords) -> Result<bool> {
    let digits = digits(password);
    let (prefix, rest) = digits.split_at_checked(TOLD).unwrap_or_default();
    let prefix = prefix.parse()?;
    let known = source.range(prefix).await.map_err(|error| without(prefix, &error))?;
    Ok(known.iter().any(|suffix| rest.starts_with(suffix.as_str())))
}

fn without(prefix: HashPrefix, error: &Error) -> Error {
    let asked = prefix.as_str();
    let causes = std::iter::successors(error.source(), |cause| (**cause).source());
    let mut said: Vec<String> = causes.map(ToString::to_string).collect();
    if said.is_empty() {
        said.push(error.to_string());
    }
    let said = said.join(": ").replace(asked, "*****").replace(&asked.to_ascii_lowercase(), "*****");
    Error::internal(said)
}

/// The SHA-1 of a password, in upper-case hexadecimal digits. Nothing is protected by it: it is the name by which
/// lists of breached passwords call their entries.
fn digits(password: &NewPassword) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(DIGITS));
    for byte in digest(&SHA1_FOR_LEGACY_USE_ONLY, password.secret().expose().as_bytes()).as_ref() {
        let _infallible = write!(digits, "{byte:02X}");
    }
    digits
}

/// The first five hexadecimal digits of a password's SHA-1, in upper case: 20 bits, which are still about someone's
/// password. `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashPrefix([u8; TOLD]);

impl HashPrefix {
    /// The five digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for HashPrefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits: [u8; TOLD] = text.as_bytes().try_into().map_err(|_| not_hexadecimal())?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(not_hexadecimal());
        }
        Ok(Self(digits.map(|digit| digit.to_ascii_uppercase())))
    }
}

impl fmt::Display for HashPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Debug for HashPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashPrefix(..)")
    }
}

/// How the SHA-1 of a breached password goes on behind its [`HashPrefix`]: 35 upper-case hexadecimal digits, or the
/// first few of them where a list keeps no more (at least four).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashSuffix(String);

impl HashSuffix {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HashSuffix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let length = 4..=DIGITS - TOLD;
        if !length.contains(&text.len()) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(not_hexadecimal());
        }
        Ok(Self(text.to_ascii_uppercase()))
    }
}

fn not_hexadecimal() -> Error {
    Error::new(Code::ValidationFailed, "not the hexadecimal digits of a hash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_and_a_suffix_are_digits_of_a_hash() {
        assert_eq!("5baa6".parse::<HashPrefix>().unwrap().as_str(), "5BAA6");
        assert_eq!(format!("{:?}", "5BAA6".parse::<HashPrefix>().unwrap()), "HashPrefix(..)");
        for text in ["", "5BAA", "5BAA61", "5BAAG", "5BA\u{e4}", "../.."] {
            assert!(text.parse::<HashPrefix>().is_err(), "{text}");
        }
        assert_eq!("1e4c".parse::<HashSuffix>().unwrap().as_str(), "1E4C");
        for text in ["", "1E4", &"0".repeat(36), "1E4C9B93F3F0682250B6CF8331B7EE68FD:"] {
            assert!(text.parse::<HashSuffix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_hashed_as_it_is() {
        let of = |text: &str| digits(&NewPassword::parse(text.into(), 1).unwrap()).to_string();
        assert_eq!(of("password"), "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
        assert_ne!(of("password "), of("password"));
        assert_ne!(of(&format!("{}1", "p".repeat(128))), of(&format!("{}2", "p".repeat(128))));
    }
}

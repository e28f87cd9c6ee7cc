use std::fmt;
use std::str::FromStr;

use crate::types::{Code, Error};

/// An e-mail address, lower-cased: two spellings of one address are one value.
///
/// The syntax is the one that browsers accept in `<input type=email>` and that Supabase accepts: ASCII only,
/// so look-alike letters of other scripts and CR LF never reach a store or a mail header.
///
/// ```
/// use aurora_core::validate::Email;
/// assert_eq!("Ann@Example.COM".parse::<Email>().unwrap().as_str(), "ann@example.com");
/// assert!("ann@example.com\r\nBcc: eve@evil.test".parse::<Email>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// The address, lower-case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused =
            || Error::new(Code::ValidationFailed, "Unable to validate email address: invalid format");
        // RFC 5321 s4.5.3.1: 64 octets before the @, 254 in all.
        if text.len() > 254 {
            return Err(refused());
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
        let local_ok = !local.is_empty() && local.len() <= 64 && local.bytes().all(is_local);
        if !local_ok || !domain.split('.').all(is_label) {
            return Err(refused());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Leaves the part before the @ out: logs name no one.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email(..@{})", self.0.rsplit_once('@').map_or("", |(_, domain)| domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_and_folds_case() {
        for text in ["a@b", "Ann.Lee+tag@Mail.Example.org", "o'neil@ex-ample.co"] {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), text.to_lowercase());
        }
    }

    /// asvs(V1.3.11, V2.2.1)
    #[test]
    fn refuses_what_is_none() {
        let long = format!("{}@example.com", "a".repeat(65));
        let texts = [
            "",
            "@",
            "ann",
            "ann@",
            "@example.com",
            "ann@@example.com",
            "ann@example..com",
            "ann@-example.com",
            "a b@c.de",
            " ann@example.com",
            "ann@example.com\n",
            "ann\0@example.com",
            "ａnn@example.com",
            "ann@exämple.com",
            "ann@example.com\r\nBcc: x@y.z",
            "\"a b\"@example.com",
            long.as_str(),
        ];
        for text in texts {
            assert!(text.parse::<Email>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn debug_names_no_one() {
        assert_eq!(format!("{:?}", "ann@example.com".parse::<Email>().unwrap()), "Email(..@example.com)");
    }
}

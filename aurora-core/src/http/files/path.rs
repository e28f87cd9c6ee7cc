use std::str::FromStr;

use crate::files::{BucketName, ObjectName};
use crate::types::{Code, Error, Result};

/// Decodes a path once. What is no UTF-8 then, overlong forms too, is no name.
pub(super) fn decode(text: &str) -> Result<String> {
    let wrong = || Error::new(Code::InvalidName, "Invalid key: the path is not UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else { return Err(wrong()) };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// A path that leads to an object, each of its segments encoded.
pub(super) fn encode(bucket: &BucketName, name: &ObjectName) -> String {
    let mut path = String::new();
    for byte in format!("{bucket}/{name}").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$'()*@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

pub(super) fn bucket(text: &str) -> Result<BucketName> {
    decode(text)?.parse()
}

pub(super) fn object(text: &str) -> Result<ObjectName> {
    ObjectName::from_str(&decode(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack F01, asvs(V5.3.2)
    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(object("a%20b/%C3%A4.txt").unwrap().as_str(), "a b/ä.txt");
        assert_eq!(object("%252e%252e/a").unwrap().as_str(), "%2e%2e/a");
        for path in [
            "..%2fa",
            "%2e%2e/a",
            "a/%2e%2e/b",
            "a%00",
            "%c0%ae%c0%ae/a",
            "%ff",
            "a%5c..%5cb",
            "%",
            "%4",
            "%zz",
            "a%0d%0ab",
            "%2fetc/passwd",
            "a//b",
        ] {
            assert_eq!(object(path).unwrap_err().code(), Code::InvalidName, "{path}");
        }
    }
}

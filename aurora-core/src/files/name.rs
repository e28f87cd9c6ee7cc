use std::fmt;
use std::str::FromStr;

use crate::types::{Code, Error, Result};

/// Longest name of an object, in bytes: S3's own bound.
const LONGEST: usize = 1024;
const LONGEST_BUCKET: usize = 100;

/// The name of a bucket: 1 to 100 of the characters that Supabase takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketName(String);

/// The name of an object: segments with `/` between, none of which means something to a file system or a header.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ObjectName(String);

impl BucketName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_!-.*'() &$@=;:+,?".contains(c);
        let held = !text.is_empty() && text.len() <= LONGEST_BUCKET && text.chars().all(plain);
        if held && text.trim() == text && text != "." && text != ".." {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(Code::InvalidName, "Bucket name invalid"))
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ObjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| Err(Error::new(Code::InvalidName, format!("Invalid key: {why}")));
        if text.is_empty() || text.len() > LONGEST {
            return refused("1 to 1024 bytes are wanted");
        }
        if text.chars().any(is_refused) {
            return refused("a control character, a backslash or a mark of direction is in it");
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return refused("an empty segment, `.` or `..` is in it");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What could break a header, end a path early, or show a name in another order than it is written.
pub(super) fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\\' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fffe}'..='\u{ffff}' | '\u{10fffe}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack F01, asvs(V5.3.2)
    #[test]
    fn names_mean_nothing_to_a_file_system_or_a_header() {
        for name in
            ["a", "a/b.txt", "ann/Bild 1 (neu).png", "日本/語.txt", "..a", "a..", "%2e%2e/x", "CON", "a%00"]
        {
            assert_eq!(name.parse::<ObjectName>().unwrap().as_str(), name);
        }
        let long = "x".repeat(1025);
        for name in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a\0",
            "a\r\nb",
            "a\\..\\b",
            "\u{202e}gpj.exe",
            "a\u{2028}b",
            "\u{7f}",
            "\u{10ffff}",
            long.as_str(),
        ] {
            assert_eq!(name.parse::<ObjectName>().unwrap_err().code(), Code::InvalidName, "{name:?}");
        }
        for name in ["avatars", "My files", "a.b-c_d"] {
            assert_eq!(name.parse::<BucketName>().unwrap().as_str(), name);
        }
        for name in ["", ".", "..", "a/b", "a\\b", " a", "ä", "a\n", "x%", &"x".repeat(101)] {
            assert_eq!(name.parse::<BucketName>().unwrap_err().code(), Code::InvalidName, "{name:?}");
        }
    }
}

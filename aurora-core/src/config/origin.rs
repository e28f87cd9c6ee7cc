use std::fmt;
use std::str::FromStr;

use crate::types::{Code, Error};

/// A web origin, exactly as a browser writes it: `https://app.example.com` or `http://localhost:5173`.
///
/// Compared whole: no wildcard, no suffix (`https://app.example.com.evil.test` is another origin), never `null`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin(String);

impl Origin {
    /// The origin as a browser writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || {
            let sentence =
                format!("`{text}` is not an origin; write it as https://app.example.com, without a path");
            Error::new(Code::Configuration, sentence)
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(refused)?;
        let authority: http::uri::Authority = rest.parse().map_err(|_| refused())?;
        let plain = !rest.contains(['/', '?', '#', '@', '*']) && !authority.host().is_empty();
        let scheme_ok = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !plain || !scheme_ok || text.ends_with(':') {
            return Err(refused());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole() {
        assert!("https://App.example.com".parse::<Origin>().is_ok());
        assert!("http://localhost:5173".parse::<Origin>().is_ok());
        assert!("capacitor://localhost".parse::<Origin>().is_ok());
        for text in [
            "null",
            "*",
            "https://*.example.com",
            "https://app.example.com/",
            "app.example.com",
            "https://",
            "https://a@b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}

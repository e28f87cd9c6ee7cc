use std::time::Duration;

use super::verify::MAX_TOKEN;
use crate::types::{Code, Error, Result};

/// How access tokens are issued and read.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TokenOptions {
    /// `iss` of every token, compared byte for byte: `https://app.example.com/auth/v1`.
    pub issuer: String,
    /// From `iat` to `exp` of the tokens issued. 15 minutes: what a stolen token is good for.
    pub lifetime: Duration,
    /// The longest `exp - iat` accepted, also of tokens that a configured key signed elsewhere. An hour.
    pub longest: Duration,
    /// The longest token, in bytes, that metadata may come to when it is written. 8 KiB, as long as one that is read;
    /// less where tokens travel in cookies.
    pub longest_written: usize,
    /// By how much clocks may differ, at most a minute. None: this process issues and reads by one clock.
    pub leeway: Duration,
}

impl TokenOptions {
    /// The defaults for `issuer`.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            lifetime: Duration::from_secs(15 * 60),
            longest: Duration::from_secs(60 * 60),
            longest_written: MAX_TOKEN,
            leeway: Duration::ZERO,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |text: &'static str| Err(Error::new(Code::Configuration, text));
        if self.issuer.is_empty() {
            return wrong("tokens need an issuer: set the site's address");
        }
        if self.leeway > Duration::from_secs(60) {
            return wrong("token leeway is over a minute: mend the clocks instead");
        }
        if self.lifetime < Duration::from_secs(1) || self.lifetime > self.longest {
            return wrong("token lifetime must be a second or more and not over the longest accepted");
        }
        Ok(())
    }
}

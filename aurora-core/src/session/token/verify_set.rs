use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

use super::VerifyKey;
use crate::types::{Code, Error, Result};

/// What verifies at one moment.
#[derive(Default)]
pub(super) struct VerifySet {
    pub(super) keys: HashMap<String, VerifyKey>,
    /// The first part of a key's tokens, as we write it, and the key's name.
    headers: HashMap<String, String>,
}

impl VerifySet {
    pub(super) fn new(all: Vec<VerifyKey>) -> Result<Self> {
        let mut set = Self::default();
        for key in all {
            // A name that JSON would have to escape is left to be read.
            if key.kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)) {
                set.headers.insert(header(key.algorithm, &key.kid), key.kid.clone());
            }
            if let Some(twice) = set.keys.insert(key.kid.clone(), key) {
                let text = format!("two verification keys are named `{}`: rename one", twice.kid);
                return Err(Error::new(Code::Configuration, text));
            }
        }
        Ok(set)
    }

    /// The key of a token whose header is, byte for byte, one that we would write.
    pub(super) fn by_header(&self, encoded: &str) -> Option<&VerifyKey> {
        self.keys.get(self.headers.get(encoded)?)
    }
}

/// The first part of a token.
pub(super) fn header(algorithm: Algorithm, kid: &str) -> String {
    let algorithm = super::verify::name(algorithm);
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"JWT"}}"#))
}

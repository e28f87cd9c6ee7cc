//! Every parser of what a stranger sends or a key file holds: no panic, and nothing unsigned is accepted.
#![no_main]

use std::sync::LazyLock;

use aurora_core::crypto::KeyFile;
use aurora_core::session::token::{ProjectKeys, TokenKeys, TokenOptions, VerifyKey};
use aurora_core::types::Timestamp;
use aurora_core::validate::{Email, strict_json};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<TokenKeys> = LazyLock::new(|| {
    let options = TokenOptions::new("https://app.example.com/auth/v1");
    TokenKeys::with_shared_secret(&"9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3yRe6".into(), Vec::new(), options).unwrap()
});

fuzz_target!(|text: &str| {
    assert!(KEYS.verify(text, Timestamp::default()).is_err());
    let _ = KeyFile::parse(text);
    let _ = VerifyKey::from_jwk(text);
    let _ = ProjectKeys::parse(&text.into());
    let _ = VerifyKey::from_pem("k", text);
    if let Ok(email) = text.parse::<Email>() {
        assert!(email.as_str().contains('@'));
    }
    if let Ok(strict) = strict_json::<serde_json::Value>(text.as_bytes()) {
        assert_eq!(strict, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }
});

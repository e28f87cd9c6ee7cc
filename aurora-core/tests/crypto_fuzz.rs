//! Arbitrary and mutated input to every parser of keys and tokens: no panic, no acceptance.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use aurora_core::crypto::KeyFile;
use aurora_core::session::token::{TokenKeys, TokenOptions, VerifyKey};
use aurora_core::types::Timestamp;
use aurora_core::validate::strict_json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

fn keys() -> TokenKeys {
    let options = TokenOptions::new("https://app.example.com/auth/v1");
    TokenKeys::with_shared_secret(&"9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3yRe6".into(), Vec::new(), options).unwrap()
}

/// JSON-like text, dense in what the reader decides on.
fn header() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"alg\"",
        "\"HS256\"",
        "\"none\"",
        "\"kid\"",
        "\"hs256\"",
        "\"typ\"",
        "\"JWT\"",
        "null",
        "1e309",
        "\"\\u0061lg\"",
        "-1",
        " ",
        "\u{feff}",
        "\"crit\"",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// attack V05
    #[test]
    fn no_text_is_a_token(text in ".{0,200}") {
        prop_assert!(keys().verify(&text, Timestamp::default()).is_err());
    }

    /// attack V05
    #[test]
    fn no_unsigned_header_is_accepted(header in header(), payload in header(), tag in any::<Vec<u8>>()) {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let token = format!("{}.{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()), encode(&tag));
        prop_assert!(keys().verify(&token, Timestamp::default()).is_err());
    }

    /// attack V05
    #[test]
    fn no_text_is_a_key(text in ".{0,200}", json in header()) {
        prop_assert!(KeyFile::parse(&text).is_err());
        let prefixed = format!("aurora-key-1:{text}");
        prop_assert!(KeyFile::parse(&prefixed).is_err());
        prop_assert!(VerifyKey::from_jwk(&json).is_err());
        prop_assert!(VerifyKey::from_pem("k", &text).is_err());
    }

    #[test]
    fn strict_json_takes_no_more_than_serde_json(bytes in any::<Vec<u8>>(), text in header()) {
        for input in [bytes.as_slice(), text.as_bytes()] {
            let strict = strict_json::<serde_json::Value>(input);
            let plain = serde_json::from_slice::<serde_json::Value>(input);
            prop_assert!(strict.is_err() || strict.unwrap() == plain.unwrap());
        }
    }
}

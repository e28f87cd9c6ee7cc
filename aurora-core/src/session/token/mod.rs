//! Access tokens: signed, short-lived, read strictly.
//!
//! 1. A key is bound to one algorithm. The token's `alg` must be that one; it never chooses (RFC 8725 s3.1).
//! 2. A key is found by `kid` in memory alone, among the keys that were configured or sealed. Nothing in a token
//!    leads to a file, a query or a request: a header with any other member than `alg`, `kid` and `typ` is refused.
//! 3. ES256 is the default; its private key lies in the database sealed under the key ring. The public half is
//!    derived from it at start, so that nobody who writes to the database can add a key. Another key signs where
//!    one was given ([`SigningKey`]); HS256 only so.
//! 4. A claim that is malformed is not taken as absent: `exp` and `iat` are integers or the token is refused.
//! 5. Size is checked before anything is parsed, the signature before the payload is. (A JWT that claims to name an
//!    application is told from a user's by its claims; what they say counts after the signature.)
//! 6. A token says who someone was when it was issued. Whether the session still lives is asked elsewhere
//!    (`session`), on every request.
//!
//! A clock that runs ahead of the issuer's by more than the leeway refuses fresh tokens (`iat` in the future).
//! Key generation and the nonces of ECDSA come from AWS-LC's own generator, not from
//! [`Entropy`](crate::env::Entropy).

#[cfg(feature = "service")]
mod claims;
#[cfg(feature = "service")]
mod client;
#[cfg_attr(
    not(feature = "service"),
    expect(dead_code, reason = "what only whoever issues tokens asks of a key")
)]
mod jwk;
#[cfg(feature = "service")]
mod keys;
mod options;
#[cfg(feature = "service")]
mod private;
#[cfg(feature = "service")]
mod store;
mod verified;
mod verifier;
mod verify;
mod verify_set;

#[cfg(feature = "service")]
pub use self::{
    claims::AccessClaims,
    keys::TokenKeys,
    private::{ProjectKeys, SigningKey},
    store::{SigningKeyRecord, SigningKeyState, SigningKeyStore},
};
pub use jwk::VerifyKey;
pub use options::TokenOptions;
pub use verified::VerifiedToken;
pub use verifier::Verifier;

#[cfg(feature = "service")]
pub(crate) use self::{claims::OWN_CLAIMS, client::ClientToken};
pub(crate) use verified::{USER_PERMISSIONS, USER_ROLES};

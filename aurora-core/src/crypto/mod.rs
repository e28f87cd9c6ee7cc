//! Turns secrets into what may be stored: sealed values, keyed hashes, password hashes.
//!
//! 1. One root key, held outside the database by a [`KeyProvider`]; everything else hangs from it. Data keys, one
//!    or more per [`Purpose`], lie wrapped in the database ([`KeyStore`]); a root that does not match the wrapped
//!    keys is an error, never the occasion for a new key.
//! 2. A sealed value is a nine-byte header and a message of C2SP chunked encryption, Cobblestone-256
//!    (<https://c2sp.org/chunked-encryption>): AES-256-GCM, key-committing, no nonce to keep books on. What the
//!    value belongs to (table, column, row) is part of its key derivation: moved elsewhere it does not open. A second
//!    [`Suite`] behind the same header is kept, since that specification is young.
//! 3. Everything that can fail in opening fails with one and the same error, and no plaintext leaves the buffer.
//! 4. A keyed hash ([`Keyring::mac`]) reads its parts with their lengths in front, so that `("ab","c")` is not
//!    `("a","bc")`. What is looked up is stored as such a hash, so a copy of the database opens no door.
//! 5. Passwords go through Argon2id keyed with a secret that is not in the database, in a pool of as many threads
//!    as were allowed; a stored hash that is missing, hostile or foreign costs the same work as a real one.
//! 6. Key bytes are wiped when dropped and never print.
//!
//! A lost key file cannot be replaced: without it no session, no password hash and no sealed value works again.
//! Back it up apart from the database.

mod chunked;
mod cipher;
mod context;
mod data_key;
mod database_keys;
mod kdf;
mod key_file;
mod key_place;
mod key_store;
mod keyring;
mod password;
mod place;
#[cfg(any(test, feature = "portable"))]
mod portable;
mod provider;
mod secret_bytes;
mod suite;
mod totp;
#[cfg(feature = "vault")]
mod vault;

pub use cipher::{AwsLc, Cipher, KeyedCipher};
pub use context::{Context, KeyOwner};
pub use data_key::{DataKey, Opener, Sealer, sealed_length};
pub use database_keys::DatabaseKeys;
pub(crate) use database_keys::wrapped_key;
pub use key_file::KeyFile;
pub use key_place::{Held, KeyPlace};
pub use key_store::{KeyState, KeyStore, Purpose, WrappedKey};
pub use keyring::Keyring;
pub(crate) use keyring::{FIRST_FREE, TRIES, root_of};
pub(crate) use password::SealedText;
pub use password::{PasswordHasher, PasswordParams, PasswordPool, Verdict};
pub use place::{Resealed, SealedPlace};
pub(crate) use provider::beside;
pub use provider::{KeyFileProvider, KeyProvider, KeyTextProvider};
pub use secret_bytes::SecretBytes;
pub use suite::Suite;
pub use totp::{TotpSeed, TotpVerdict};
#[cfg(feature = "vault")]
pub use vault::{VaultProvider, VaultToken, VaultTransit};

#[cfg(any(test, feature = "portable"))]
pub use portable::Portable;

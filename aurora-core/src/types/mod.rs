//! The vocabulary every room shares: identifiers, principals, errors, time.
//!
//! 1. A type exists only in a valid state: private fields, one fallible constructor.
//! 2. Nothing here does I/O, reads a clock or draws randomness.
//! 3. A secret never prints: [`Secret`] has no `Display` and a redacted `Debug`.

mod error;
mod id;
mod principal;
mod secret;
mod sql;
mod timestamp;

pub use error::{Code, Error, PasswordFault, Result};
pub use id::{ApiKeyId, FamilyId, RequestId, SessionId, TenantId, UserId};
pub use principal::{Principal, Role};
pub use secret::Secret;
pub use timestamp::Timestamp;

/// A boxed, sendable future: what a dyn-safe trait returns.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

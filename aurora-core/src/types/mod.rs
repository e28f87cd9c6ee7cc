//! The vocabulary every room shares: identifiers, principals, errors, time.
//!
//! 1. A type exists only in a valid state: private fields, one fallible constructor.
//! 2. Nothing here does I/O, reads a clock or draws randomness.
//! 3. A secret never prints: [`Secret`] has no `Display` and a redacted `Debug`.

mod assurance;
mod error;
mod id;
#[cfg_attr(not(feature = "service"), expect(dead_code, reason = "the service itself is nobody elsewhere"))]
mod principal;
mod role_name;
mod secret;
#[cfg(feature = "service")]
mod sql;
mod timestamp;

pub use assurance::{Assurance, AuthenticationMethod};
pub use error::{Code, Error, PasswordFault, Result};
pub use id::{ApiKeyId, ChallengeId, FactorId, FamilyId, RequestId, SessionId, TenantId, UserId};
pub use principal::{Claims, Principal, Role};
pub use role_name::{Permission, RoleName};
pub use secret::Secret;
pub use timestamp::Timestamp;

#[cfg(feature = "service")]
pub(crate) use assurance::{RECOVERY_CODE, is_second_factor};
#[cfg(feature = "service")]
pub(crate) use sql::quote;

/// A boxed, sendable future: what a dyn-safe trait returns.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

//! Keeps more work than the service can carry, or than one sender should ask for, outside.
//!
//! 1. Limits count per endpoint class ([`Bucket`]) and key; the way a path is spelled never makes a new bucket.
//! 2. GCRA (the crate `governor`) on a monotonic clock: no window to burst across, and a clock that is set back
//!    resets nothing.
//! 3. Memory is bounded: one table of 65,536 places. A newcomer takes the place of the bucket that is nearest to
//!    being full again; one that is being limited stays, however many others come.
//! 4. A guess at a password is paid for before it is checked ([`Limiter::guess`]), so a hundred at once are no more
//!    than the limit. Success gives it all back; a guess that no one looked at is refunded.
//! 5. The client's address is the socket's. Forwarded headers count only from declared proxies, and only what
//!    those wrote ([`client_address`]).
//!
//! Behind a proxy that was not declared everyone is the proxy and shares its buckets: declare it.
//!
//! ```
//! use std::sync::Arc;
//! use aurora_core::{env::SystemEntropy, load::{Bucket, Limiter, Limits, Quota}};
//!
//! let mut limits = Limits::default();
//! limits.sign_in = Quota::new(2, std::time::Duration::from_secs(60));
//! let limiter = Limiter::new(limits, &SystemEntropy).unwrap();
//! assert!(limiter.check(Bucket::SignIn, b"192.0.2.7").is_ok());
//! assert!(limiter.check(Bucket::SignIn, b"192.0.2.7").is_ok());
//! assert!(limiter.check(Bucket::SignIn, b"192.0.2.7").is_err());
//! assert!(limiter.check(Bucket::SignIn, b"192.0.2.8").is_ok());
//! ```

mod address;
mod limiter;
mod table;

pub use address::{address_key, client_address};
pub use limiter::{Bucket, Guess, Limiter, Limits, Quota};

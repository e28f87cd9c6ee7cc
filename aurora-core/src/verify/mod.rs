//! Another service than the one that signs people in: who calls, by the token alone, and how a failure is answered.
//!
//! 1. A token counts in one place only, the `Authorization` header, once. Without one that verifies nothing passes:
//!    401. No application's key and no service key is one; nobody is `service_role` here.
//! 2. Keys come from the issuer's key set alone. Without the set nobody passes, and nobody is told that their token is
//!    wrong: 503.
//! 3. What the issuer ended since (a sign-out, a ban, a deletion, a role that was taken away) is not seen before the
//!    token's `exp`: 15 minutes unless the issuer says otherwise, and half a minute for the clocks.
//! 4. Claims are read as the token says them, and what roles give is never a token's to say: `user_permissions` are
//!    empty.
//! 5. Failures have the issuer's own shape and codes; a 5xx names the request. No cause leaves the process.
//!
//! Nothing here needs a database, nor the feature `service`. Adapters make a lock and an extractor of it
//! (`aurora_axum::verify`, `aurora_actix::verify`).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # use aurora_core::{Aurora, Database, config::Profile, testing::TestClient};
//! # let dir = std::env::temp_dir().join(format!("aurora-doc-verify-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! # let url = format!("sqlite://{}", dir.join("app.db").display());
//! # let issuer = Aurora::builder().profile(Profile::Development).database(Database::url(&url)?).build().await?;
//! use std::sync::Arc;
//! use aurora_core::env::SystemClock;
//! use aurora_core::session::token::Verifier;
//! use aurora_core::verify::{Claims, Current, TokenLock};
//! # let (name, keys) = (issuer.auth().settings().issuer(), issuer.auth().jwks_json());
//! # let fetch = move || { let keys = keys.clone(); async move { Ok::<_, std::io::Error>(keys) } };
//! let lock = TokenLock::new(Verifier::new(&name, Arc::new(SystemClock), fetch)?);
//! # let ann = TestClient::new(&issuer).sign_in("ann@example.com").await?;
//! let mut headers = http::HeaderMap::new();
//! assert!(lock.admit(&headers).await.is_err());
//! headers.insert("authorization", ann.authorization().parse().unwrap());
//! let user: Current<Claims> = Current::of(&lock.admit(&headers).await?)?;
//! assert_eq!((user.id(), user.claims().email.as_str()), (ann.user(), "ann@example.com"));
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok(())
//! # }
//! ```

pub(crate) mod bearer;
mod contain;
mod current;
mod lock;
pub(crate) mod render;

pub use contain::contain;
pub use current::Current;
pub use lock::TokenLock;
pub use render::{ApiVersion, error_response};

pub use crate::types::Claims;

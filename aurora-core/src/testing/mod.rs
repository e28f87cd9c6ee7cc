//! For tests: the host's own, that are anyone without hashing a password, and a store's, that must keep a contract.
//!
//! 1. Nothing here is reachable from a request; it needs an [`Aurora`](crate::Aurora) value.
//! 2. What it gives is real: a user row, a session, a token that verifies, a handle under the policies.
//!
//! ```
//! use aurora_core::testing::TestClient;
//! use aurora_core::{Aurora, Database};
//! use aurora_core::config::Profile;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # let dir = std::env::temp_dir().join(format!("aurora-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! # let url = format!("sqlite://{}", dir.join("app.db").display());
//! let aurora = Aurora::builder().profile(Profile::Development).database(Database::url(&url)?).build().await?;
//! let client = TestClient::new(&aurora);
//! let ann = client.sign_in("ann@example.com").await?;
//! assert!(ann.guarded().query("SELECT 1").execute().await.is_ok());
//! assert!(ann.guarded().query("SELECT * FROM auth_users").execute().await.is_err());
//! assert_eq!(aurora.auth().sessions().admit(ann.token().expose()).await?.user_id(), Some(ann.user()));
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok(())
//! # }
//! ```

pub mod blobs;
mod client;
pub mod http;
pub mod store;

use std::sync::Arc;

use crate::types::{Principal, SessionId, UserId};

pub use client::{TestClient, TestUser};

/// A user whose verified access token carries these claims, a JSON object: for tests of policies that read
/// `auth.jwt()` or `auth.email()`.
pub fn principal(user: UserId, claims: &str) -> Principal {
    Principal::signed_in(user, SessionId::from_bytes([0; 16]), Arc::from(claims))
}

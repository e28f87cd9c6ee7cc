//! Who is signed in on which device, and whether that still holds.
//!
//! 1. A session lives in the database; an access token is a short-lived copy of what it said. Whether the session
//!    ended is asked on every request, in memory: [`Sessions::admit`] reads the database at most twice a second,
//!    however many requests come.
//! 2. Whatever ends a session (sign-out, ban, deletion, a password change, a host's own `DELETE`) ends its access
//!    tokens: at once where it went through this process, within a second where it did not.
//! 3. A refresh token is opaque and stored as a keyed hash. Its successor is derived from it under a key that is
//!    not in the database, so that the same token always yields the same successor and a copy of the database none.
//! 4. A refresh token that was used may come back until its successor was used and a grace of ten seconds is over
//!    (a lost answer, two tabs). After that it is a theft: the whole family ends (RFC 9700 s4.14.2).
//! 5. A second factor raises its own session to `aal2` and gives it a new chain of refresh tokens: whoever holds an
//!    old one holds nothing (ASVS 7.2.4). A refresh changes neither level nor methods.
//! 6. A token that was seen and verified is not verified again; the cache is keyed by its hash and asks rule 1
//!    every time.
//! 7. A token says which roles its user held when it was issued. What counts is what they hold now: changes are told
//!    apart by the same question as ended sessions, within the same second, and what the roles give is laid over the
//!    claims (`user_roles`, `user_permissions`). No token is believed about either.
//! 8. What names an application is an opaque key, kept as a keyed hash, or a JWT of the project's own keys; whether an
//!    opaque key was revoked is asked as rule 1 asks. It is never a token of a user, and no such token is one.
//!
//! A clock that steps back does not revive anything but tokens whose expiry it steps behind. A family forgets tokens
//! that were used longer ago than its idle lifetime: presented again they are unknown, not replayed.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # use aurora_core::{Aurora, Database, config::Profile, testing::TestClient};
//! # let dir = std::env::temp_dir().join(format!("aurora-doc-session-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! # let url = format!("sqlite://{}", dir.join("app.db").display());
//! # let aurora = Aurora::builder().profile(Profile::Development).database(Database::url(&url)?).build().await?;
//! let ann = TestClient::new(&aurora).sign_in("ann@example.com").await?;
//! let sessions = aurora.auth().sessions();
//! assert_eq!(sessions.admit(ann.token().expose()).await?.user_id(), Some(ann.user()));
//! aurora.auth().end_sessions_of(ann.user()).await?;
//! assert!(sessions.admit(ann.token().expose()).await.is_err());
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "service")]
mod api_keys;
#[cfg(feature = "service")]
mod client;
#[cfg(feature = "service")]
mod record;
#[cfg(feature = "service")]
mod refresh;
#[cfg(feature = "service")]
mod reload;
#[cfg(feature = "service")]
mod revoked;
#[cfg(feature = "service")]
mod roles;
#[cfg(feature = "service")]
mod sessions;
#[cfg(feature = "service")]
mod signing_keys;
#[cfg(feature = "service")]
mod step_up;
pub mod token;

#[cfg(feature = "service")]
pub use self::{
    api_keys::{ApiKeyInfo, ApiKeyKind, ApiScope},
    client::Client,
    record::SessionInfo,
    refresh::RefreshSecret,
    sessions::{Sessions, SessionsParts},
    signing_keys::DatabaseSigningKeys,
};

#[cfg(feature = "service")]
pub(crate) use self::{
    api_keys::{hash as api_key_hash, hint as api_key_hint, make as make_api_key},
    refresh::{Decision, decide},
    roles::{USER_PERMISSIONS, USER_ROLES},
    sessions::{Fingerprint, MOST_ROLES, MoreClaims, gone},
    step_up::Evidence,
};

//! Where the host's own code takes part in a flow.
//!
//! 1. A hook has a time limit, and a panic in it is a failure of one request: nothing of the flow was committed, the
//!    process goes on. `custom_claims` runs in the transaction of its sign-in, and the host's row of a sign-up in that
//!    one's, which on SQLite hold the writer: they are to be quick. The others run before one begins.
//! 2. What a hook says to the client it says by [`HookError::refuse`]; of any other failure the client learns that
//!    there was one.
//! 3. A hook that fails refuses. None is skipped because it is down.
//! 4. No hook sees a password, a token or a code.

mod claims;
mod error;
mod run;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

pub use error::HookError;

use super::Account;
use crate::session::Client;
use crate::types::{BoxFuture, SessionId};

/// The hooks of a service.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// Asked before someone becomes a user.
    pub before_user_created: Option<Arc<dyn BeforeUserCreated>>,
    /// What tokens say beside Aurora's own claims.
    pub custom_claims: Option<Arc<dyn CustomClaims>>,
    /// Asked after a password was right, before its owner is signed in.
    pub password_verified: Option<Arc<dyn PasswordVerified>>,
    /// How long each may take, and what the host writes beside a new user. 5 s, as in Supabase.
    pub time_limit: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before_user_created: None,
            custom_claims: None,
            password_verified: None,
            time_limit: Duration::from_secs(5),
        }
    }
}

/// Someone is about to become a user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserCreation {
    /// As they would be.
    pub account: Account,
    /// Who asks; `None` where the service itself does, by an invitation or a link.
    pub client: Option<Client>,
    /// By `signup`, `otp`, `anonymous`, `invite` or `link`; by `upgrade` where somebody anonymous gives an address.
    pub way: &'static str,
}

/// Decides whether someone may become a user. Implementations are the host's.
///
/// Asked before anything is written, without a transaction: it may take its time within the limit. A sign-up asks
/// before it is known whether the address is taken, so that a refusal does not tell. `/otp` asks about known
/// addresses, too, and answers a refusal as it answers where registration is closed: with nothing, and no mail.
/// [`Auth::create_user`](super::Auth::create_user) and `POST /admin/users` do not ask: those are the service's own
/// word.
///
/// ```
/// use aurora_core::auth::{BeforeUserCreated, HookError, UserCreation};
/// use aurora_core::types::BoxFuture;
///
/// #[derive(Debug)]
/// struct OwnPeople;
///
/// impl BeforeUserCreated for OwnPeople {
///     fn may_be_created<'a>(&'a self, creation: &'a UserCreation) -> BoxFuture<'a, Result<(), HookError>> {
///         Box::pin(async move {
///             let ours = creation.account.email().is_some_and(|email| email.as_str().ends_with("@example.com"));
///             if ours { Ok(()) } else { Err(HookError::refuse(403, "Only people of example.com may register")) }
///         })
///     }
/// }
/// ```
pub trait BeforeUserCreated: Send + Sync + Debug {
    /// `Ok` lets them.
    fn may_be_created<'a>(&'a self, creation: &'a UserCreation) -> BoxFuture<'a, Result<(), HookError>>;
}

/// An access token is about to be signed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenIssue {
    /// Whose.
    pub account: Account,
    /// Of which session.
    pub session: SessionId,
    /// `password`, `otp`, `anonymous`, ..; `token_refresh` for a refresh.
    pub method: String,
    /// The roles that they hold.
    pub roles: Vec<String>,
}

/// Adds claims to access tokens. Implementations are the host's.
///
/// At a sign-in it is asked within the transaction that opens the session, so that a failure leaves no account and no
/// session behind: what it reads must not wait for a writer, and it must write nothing. At a refresh it is asked
/// after the commit, and its failure is a 503: the official client tries again and keeps its session.
///
/// What it says holds until the next refresh. Roles are what counts at once
/// ([`Auth::grant_role`](super::Auth::grant_role)).
///
/// ```
/// use aurora_core::auth::{CustomClaims, HookError, TokenIssue};
/// use aurora_core::types::BoxFuture;
///
/// #[derive(Debug)]
/// struct Plan;
///
/// impl CustomClaims for Plan {
///     fn claims<'a>(&'a self, _issue: &'a TokenIssue) -> BoxFuture<'a, Result<String, HookError>> {
///         Box::pin(async { Ok(r#"{"plan":"free"}"#.to_owned()) })
///     }
/// }
/// ```
pub trait CustomClaims: Send + Sync + Debug {
    /// A JSON object of members to add. None may have the name of a claim that Aurora writes (`sub`, `role`, `aal`,
    /// `app_metadata`, `user_roles`, ..): that is a failure, and nobody signs in until it is mended.
    fn claims<'a>(&'a self, issue: &'a TokenIssue) -> BoxFuture<'a, Result<String, HookError>>;
}

/// A password was right, and its owner may enter as far as Aurora knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PasswordVerification {
    /// Whose.
    pub account: Account,
    /// Who typed it.
    pub client: Client,
}

/// What becomes of a sign-in whose password was right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PasswordDecision {
    /// It goes on.
    Continue,
    /// It ends: `invalid_credentials` with this message, or Supabase's own words.
    Reject(Option<String>),
    /// The same, and all of the user's sessions end.
    RejectAndEndSessions(Option<String>),
}

/// Decides about sign-ins by password. Implementations are the host's.
///
/// Asked only after the right password of someone who is confirmed and not banned: asked after wrong ones as well,
/// its time would tell which addresses are known. Aurora itself counts those.
pub trait PasswordVerified: Send + Sync + Debug {
    /// Goes on, or not.
    fn password_verified<'a>(
        &'a self,
        verification: &'a PasswordVerification,
    ) -> BoxFuture<'a, Result<PasswordDecision, HookError>>;
}

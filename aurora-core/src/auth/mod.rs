//! Sign-up, sign-in and what users do with their accounts: one file per flow.
//!
//! 1. A failed sign-in is one answer, whatever the cause, and costs the same work: unknown address, wrong password.
//!    That an account is banned or unconfirmed is told only to whoever knows its password.
//! 2. Every flow writes its audit record in the transaction of its change; a denial writes one of its own. What a
//!    limit or an overload turns away is not recorded: refusing must be cheaper than asking.
//! 3. No flow keeps the writer's turn, or a reader's connection, while a password is hashed.
//! 4. What was read before hashing is read again in the transaction that relies on it.
//! 5. The user writes `user_metadata`; only the service writes `app_metadata`, bans and confirmations.
//! 6. A person who knows an address can use up the guesses for it, and cannot thereby sign anyone out: sessions
//!    and refreshes do not depend on them, and an address with a live session of the account guesses under a key
//!    of its own.
//! 7. A second factor that was verified stands before a new address, a new password, another factor and new recovery
//!    codes, however somebody signed in; nothing that is done without one removes it. Its codes are good once.
//! 8. Nobody gives or takes a role that stands above them, or that lets its holder do what they may not.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # use aurora_core::{Aurora, Database, config::Profile, testing::TestClient};
//! # let dir = std::env::temp_dir().join(format!("aurora-doc-auth-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! # let url = format!("sqlite://{}", dir.join("app.db").display());
//! # let aurora = Aurora::builder().profile(Profile::Development).database(Database::url(&url)?).build().await?;
//! use aurora_core::auth::{ComeBack, Credentials, SignUp};
//! use aurora_core::session::Client;
//! use aurora_core::types::{Code, RequestId};
//! let client = Client::new([127, 0, 0, 1].into(), RequestId::from_bytes([7; 16]));
//! let (email, password) = ("ann@example.com".into(), "correct horse".into());
//! let wish = SignUp { email, password, data: None, back: ComeBack::default() };
//! aurora.auth().sign_up(wish, &client).await?;
//! let right = Credentials { email: "Ann@Example.com".into(), password: "correct horse".into() };
//! assert!(aurora.auth().sign_in(right, &client).await.is_ok());
//! let wrong = Credentials { email: "ann@example.com".into(), password: "correct house".into() };
//! assert_eq!(aurora.auth().sign_in(wrong, &client).await.unwrap_err().code(), Code::InvalidCredentials);
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok(())
//! # }
//! ```

mod account;
mod admin;
mod anonymous;
mod api_keys;
mod clear;
mod cookie_session;
mod describe;
mod devices;
mod factors;
mod hook;
mod hooks;
mod metadata;
mod one_time;
mod open_session;
mod otp;
mod pace;
mod passwords;
mod press;
mod qr;
mod reauthenticate;
mod recover;
mod recovery_codes;
mod redirect;
mod refresh;
mod roles;
mod send;
mod service;
mod sign_in;
mod sign_out;
mod sign_up;
mod signing_keys;
mod update;
mod verify;
mod verify_factor;

use std::fmt;
use std::sync::Arc;

pub use account::{Account, IssuedSession, WeakPassword};
pub use admin::{Ban, GeneratedLink, LinkWish, UserPatch};
pub use api_keys::NewApiKey;
pub(crate) use cookie_session::Forgery;
pub use factors::{ChallengedFactor, DeletedFactor, EnrolledFactor, FactorWish};
pub use hook::SignUpHook;
pub use hooks::{
    BeforeUserCreated, CustomClaims, HookError, Hooks, PasswordDecision, PasswordVerification,
    PasswordVerified, TokenIssue, UserCreation,
};
pub use one_time::{Challenge, ComeBack, VerifyType};
pub use otp::{OtpWish, Resend};
pub use press::Pressed;
pub use recovery_codes::{NewRecoveryCodes, RecoveryCodes};
pub use roles::{Granter, UserRole};
pub use service::NewUser;
pub use sign_in::Credentials;
pub use sign_out::Scope;
pub use sign_up::{SignUp, SignedUp};
pub use signing_keys::SigningKeyInfo;
pub use update::UserChange;
pub use verify::Verified;

pub(crate) use signing_keys::{JOB, LEASE, PERIOD, SigningKeyJob};

use crate::audit::{Action, Actor, AuditSink, Record, deny};
use crate::config::Settings;
use crate::crypto::PasswordHasher;
use crate::load::Limiter;
use crate::mail::Outbox;
use crate::session::{Client, Sessions};
use crate::store::Database;
use crate::types::{Code, Error, Principal, Result, SessionId, Timestamp, UserId};
use crate::validate::BreachedPasswords;

/// The flows. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<AuthParts>, Option<Client>);

/// What [`Auth`] is made of.
#[derive(Clone)]
pub struct AuthParts {
    /// What the service chose.
    pub settings: Arc<Settings>,
    /// Sessions; their database, key ring, clock and randomness are used here, too.
    pub sessions: Sessions,
    /// What hashes passwords.
    pub passwords: PasswordHasher,
    /// What counts requests and guesses.
    pub limiter: Limiter,
    /// Where mails wait to be sent.
    pub outbox: Outbox,
    /// Where records go.
    pub audit: Arc<dyn AuditSink>,
    /// Who is asked about breached passwords beside the list that is built in.
    pub breached_passwords: Option<Arc<dyn BreachedPasswords>>,
    /// What the host adds to a sign-up's transaction.
    pub sign_up_hook: Option<Arc<dyn SignUpHook>>,
    /// Where the host takes part in flows.
    pub hooks: Hooks,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

impl Auth {
    /// The flows over these parts.
    pub fn new(parts: AuthParts) -> Self {
        Self(Arc::new(parts), None)
    }

    /// The same flows for one request: what the service does by them is recorded with its address and its id.
    #[must_use]
    pub fn within(&self, client: &Client) -> Self {
        Self(Arc::clone(&self.0), Some(client.clone()))
    }

    /// What the service chose.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The sessions behind the flows.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What counts requests.
    pub fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// Where mails wait to be sent.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    fn database(&self) -> &dyn Database {
        &*self.0.sessions.parts().database
    }

    fn now(&self) -> Timestamp {
        self.0.sessions.parts().clock.now()
    }

    /// 128 random bits.
    fn random(&self) -> Result<[u8; 16]> {
        crate::env::random(&*self.0.sessions.parts().entropy)
    }

    fn record(&self, actor: Actor, action: Action, client: &Client) -> Record {
        Record::security(self.now(), actor, action)
            .request(client.request())
            .with("address", client.address())
    }

    /// Records a denial, committed on its own, and answers with it. The recorded reason is its cause, which no
    /// answer shows outside of development.
    async fn deny(&self, record: Record, denial: Error) -> Error {
        let denial = match record.detail("reason") {
            Some(reason) => denial.with_source(reason.to_owned()),
            None => denial,
        };
        let record = record.with("code", denial.code());
        deny(self.database(), &*self.0.audit, record, denial).await
    }
}

/// The user behind a principal, or [`Code::NoAuthorization`].
fn user_of(principal: &Principal) -> Result<UserId> {
    principal.user_id().ok_or_else(no_bearer)
}

/// The session behind a principal, or [`Code::NoAuthorization`].
fn session_of(principal: &Principal) -> Result<SessionId> {
    principal.session_id().ok_or_else(no_bearer)
}

fn no_bearer() -> Error {
    Error::new(Code::NoAuthorization, "This endpoint requires a valid Bearer token")
}

fn user_gone() -> Error {
    Error::new(Code::UserNotFound, "User from sub claim in JWT does not exist")
        .with_status(http::StatusCode::FORBIDDEN)
}

fn invalid_credentials() -> Error {
    Error::new(Code::InvalidCredentials, "Invalid login credentials")
}

fn banned() -> Error {
    Error::new(Code::UserBanned, "User is banned").with_status(http::StatusCode::BAD_REQUEST)
}

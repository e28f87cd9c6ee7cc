//! Aurora on actix: lock the routes, extract the user, serve.
//!
//! ```no_run
//! use actix_web::web::{self, Json};
//! use aurora_actix::{Aurora, CurrentUser, Database, Guarded, Profile, Result};
//!
//! #[derive(serde::Serialize, sqlx::FromRow)]
//! struct Note { id: i64, title: String }
//!
//! async fn list(db: Guarded) -> Result<Json<Vec<Note>>> {
//!     Ok(Json(db.query_as("SELECT id, title FROM notes").fetch_all().await?))
//! }
//! async fn me(user: CurrentUser) -> String { user.id().to_string() }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     let aurora = Aurora::builder()
//!         .profile(Profile::Development)
//!         .database(Database::url("sqlite://app.db")?)
//!         .policies("policies.sql", "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;")
//!         .build().await?;
//!     let private = |app: &mut web::ServiceConfig| {
//!         app.route("/notes", web::get().to(list)).route("/me", web::get().to(me));
//!     };
//!     let public = |app: &mut web::ServiceConfig| {
//!         app.route("/", web::get().to(|| async { "hello" }));
//!     };
//!     aurora_actix::serve(aurora_actix::secure(&aurora, private).public(public), "127.0.0.1:8080").await
//! }
//! ```
//!
//! 1. What is not declared public is behind the lock: routes, scopes, services, default services, every method, and
//!    paths that do not exist (401 without a token, so that nobody maps them). [`Secured`] has no `.route()`.
//! 2. Public routes are looked at first. What they take (a catch-all, a scope's whole prefix) no private route is
//!    asked for: such a private route is gone, never open. A public default service is never reached.
//! 3. Our own routes (`/auth/v1`) and CORS preflights are answered before any of the host's.
//! 4. In a public route [`Guarded`] and [`Caller`] are anonymous without a token; a token that is wrong is 401.
//! 5. Every [`Error`] of a handler, and a panic in one, is answered in core's shape with the request's id.
//!
//! Another service that only has to know who calls takes the feature `verify` alone, which brings no database:
//! [`verify`].
//!
//! [`Secured::configure`] has what every worker's application holds beside the routes: `app_data` above all. Let
//! Aurora answer CORS (`Settings::cors_origins`). Middleware belongs around a host's own scopes and resources, where
//! it stands inside of the lock.

mod convert;
#[cfg(feature = "service")]
mod door;
mod error;
#[cfg(feature = "service")]
mod extract;
#[cfg(feature = "service")]
mod line;
mod outcome;
#[cfg(feature = "service")]
mod secured;
#[cfg(feature = "service")]
mod serve;
#[cfg(feature = "service")]
mod streamed;
#[cfg(feature = "verify")]
pub mod verify;

#[cfg(feature = "service")]
pub use self::{
    extract::{Caller, CurrentUser, Fresh, Guarded, Owned, Valid},
    secured::{Secured, secure},
    serve::{serve, serve_on},
};
pub use error::{Error, Result};

#[cfg(feature = "vault")]
pub use aurora_core::crypto::{VaultProvider, VaultToken, VaultTransit};
#[cfg(feature = "acme")]
pub use aurora_core::http::Acme;
pub use aurora_core::types::{self, Code, Principal, Secret, SessionId, Timestamp, UserId};
pub use aurora_core::verify::Claims;
#[cfg(feature = "service")]
pub use aurora_core::{
    Aurora, Builder, Database, Migrations, cli,
    config::{self, Profile},
    files,
    guard::{self, Load},
    http::{HostRoutes, Peer, Tls},
    mail,
};

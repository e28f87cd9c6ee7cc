//! Aurora on axum: lock the router, extract the user, serve.
//!
//! ```no_run
//! use aurora_axum::{Aurora, CurrentUser, Database, Guarded, Json, Profile, Result};
//! use axum::{Router, routing::get};
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
//!     let private = Router::new().route("/notes", get(list)).route("/me", get(me));
//!     let public = Router::new().route("/", get(|| async { "hello" }));
//!     aurora_axum::serve(aurora_axum::secure(&aurora, private).public(public), "127.0.0.1:8080").await
//! }
//! ```
//!
//! 1. What is not declared public is behind the lock: routes, nested routers, services, fallbacks, every method, and
//!    paths that do not exist (401 without a token, so that nobody maps them). [`Secured`] has no `.route()`.
//! 2. A public route and a private one with the same path and method do not start. `any` names no method, it
//!    takes those that are left: of a private `any` beside a public `get` on one path, GET and HEAD are the public
//!    handler's. A public `/{*path}` takes only what no other route takes. A public fallback takes unknown paths
//!    out of the lock: it was declared public.
//! 3. Our own routes (`/auth/v1`) and CORS preflights are answered before any of the host's.
//! 4. In a public route [`Guarded`] and [`Caller`] are anonymous without a token; a token that is wrong is 401.
//! 5. Every error of a handler, and a panic in one, is answered in core's shape with the request's id.
//!
//! Another service that only has to know who calls takes the feature `verify` alone, which brings no database:
//! [`verify`].
//!
//! Layers: [`Secured::layer`] wraps everything, outermost last: compression, then trace. Let Aurora answer CORS
//! (`Settings::cors_origins`), or put another CORS layer outermost. Layers of one route stand inside the lock: add
//! them to the router before [`secure`]. A layer that rewrites paths belongs around the server, not in here: axum has
//! chosen the route before any layer runs.

mod error;
#[cfg(feature = "service")]
mod extract;
#[cfg(feature = "service")]
mod layer;
#[cfg(feature = "service")]
mod secured;
#[cfg(feature = "service")]
mod serve;
#[cfg(feature = "verify")]
pub mod verify;

#[cfg(feature = "service")]
pub use self::{
    extract::{Caller, CurrentUser, Fresh, Guarded, Owned, Valid},
    layer::{AuroraLayer, AuroraService},
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
pub use axum::Json;

/// The README's service compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// What a Supabase project brings along is taken as its guide page says.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/from-supabase.md")]
struct FromSupabase;

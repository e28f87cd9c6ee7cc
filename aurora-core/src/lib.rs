//! Supabase's security model inside any Rust service: sign-in, row policies, audit, on embedded SQLite or PostgreSQL.
//!
//! Start at [`Aurora::builder`]. Adapters (`aurora-axum`) put it on a web framework; every flow is also a plain
//! function of [`auth::Auth`], and host SQL runs as one principal through [`guard::Guarded`].
//!
//! The rooms, from the top: [`Aurora`] wires them; [`http`] is the wire; [`auth`] the flows; [`files`] objects under policy; [`verify`] the lock of
//! another service, that only has to know who calls; [`guard`] the handle
//! that acts as one principal; [`session`] tokens and who is signed in; [`mail`] what is sent to people; [`audit`] what
//! happened; [`load`] limits; [`jobs`] what is done in the background; [`crypto`] keys and hashes; [`store`] records; [`policy`] what `CREATE POLICY` means; [`config`], [`validate`],
//! [`observe`], [`env`](mod@env), [`types`]; [`cli`] is the command line of a host's own binary. `docs/architecture.md` draws them.
//!
//! Without the feature `service` (a default) there is no database, and nobody can sign in: what is left is [`verify`],
//! [`session::token::Verifier`] and the rooms below them.
#![forbid(clippy::todo)]

#[cfg(feature = "service")]
pub mod audit;
#[cfg(feature = "service")]
pub mod auth;
#[cfg(feature = "service")]
pub mod cli;
#[cfg(feature = "service")]
pub mod config;
#[cfg(feature = "service")]
pub mod crypto;
pub mod env;
#[cfg(feature = "service")]
pub mod files;
#[cfg(feature = "service")]
pub mod guard;
#[cfg(feature = "service")]
pub mod http;
#[cfg(feature = "service")]
pub mod jobs;
#[cfg(feature = "service")]
pub mod keys;
#[cfg(feature = "service")]
pub mod load;
#[cfg(feature = "service")]
pub mod mail;
pub mod observe;
#[cfg(feature = "service")]
pub mod policy;
pub mod session;
#[cfg(feature = "service")]
pub mod store;
#[cfg(feature = "service")]
pub mod testing;
pub mod types;
pub mod validate;
pub mod verify;

#[cfg(feature = "service")]
mod aurora;

#[cfg(feature = "service")]
pub use aurora::{Aurora, Builder, Database, Erased, HostMigrations, Migrations};

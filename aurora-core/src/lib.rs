//! Supabase's security model inside any Rust service: sign-in, row policies, audit, on embedded SQLite or PostgreSQL.
//!
//! Start at [`Aurora::builder`]. Adapters (`aurora-axum`) put it on a web framework; every flow is also a plain
//! function of [`auth::Auth`], and host SQL runs as one principal through [`guard::Guarded`].
//!
//! The rooms, from the top: [`Aurora`] wires them; [`http`] is the wire; [`auth`] the flows; [`guard`] the handle
//! that acts as one principal; [`session`] tokens and who is signed in; [`mail`] what is sent to people; [`audit`] what
//! happened; [`load`] limits; [`jobs`] what is done in the background; [`crypto`] keys and hashes; [`store`] records; [`policy`] what `CREATE POLICY` means; [`config`], [`validate`],
//! [`observe`], [`env`](mod@env), [`types`]; [`cli`] is the command line of a host's own binary. `docs/architecture.md` draws them.
#![forbid(clippy::todo)]

pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod env;
pub mod guard;
pub mod http;
pub mod jobs;
pub mod load;
pub mod mail;
pub mod observe;
pub mod policy;
pub mod session;
pub mod store;
pub mod testing;
pub mod types;
pub mod validate;

mod aurora;

pub use aurora::{Aurora, Builder, Database, HostMigrations, Migrations};

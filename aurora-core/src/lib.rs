//! Aurora
#![forbid(clippy::todo)]

pub mod audit;
pub mod auth;
pub mod config;
pub mod crypto;
pub mod env;
pub mod http;
pub mod load;
pub mod observe;
pub mod session;
pub mod store;
pub mod types;
pub mod validate;

//! Aurora
#![forbid(clippy::todo)]

pub mod config;
pub mod env;
pub mod store;
pub mod types;
pub mod validate;

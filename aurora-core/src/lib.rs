//! Aurora
#![forbid(clippy::todo)]

pub mod env;
pub mod guard;
pub mod policy;
pub mod store;
pub mod types;

//! Aurora
#![forbid(clippy::todo)]

pub mod env;
pub mod policy;
pub mod store;
pub mod types;

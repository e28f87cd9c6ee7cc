//! Aurora
#![forbid(clippy::todo)]

pub mod env;
pub mod store;
pub mod types;

//! The guard on SQLite: what a principal sees and may change, and what an attacker with SQL gets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod attacks;
mod attacks_errors;
mod attacks_grammar;
mod attacks_identity;
mod attacks_reach;
mod attacks_spoof;
mod basics;
mod claims;
mod fixture;
mod functions;
mod reading;
mod schema;
mod semantics;
mod streams;

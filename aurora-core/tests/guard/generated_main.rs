//! The guard on SQLite against statements that nobody thought of: generated, mutated and cancelled ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stdout, reason = "each suite prints what it ran")]

mod cancel;
mod cancel_transactions;
mod fuzz;
mod generated;
mod generated_writes;
mod generator;
mod readings;
mod recording;

//! What a hostile statement may take, in a process of its own: the bound on memory counts all of SQLite's in the
//! process, and would end the statements of other suites beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, reason = "the fixture serves other suites too")]

mod attacks_budget;
mod fixture;

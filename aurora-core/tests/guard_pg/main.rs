//! The guard on PostgreSQL: what a principal sees and may change, and what an attacker with SQL gets.
//!
//! Needs `AURORA_TEST_POSTGRES`, a superuser's URL of a server whose content may be lost; fails without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod attacks;
mod basics;
mod errors;
mod fixture;
mod forging;
mod install;
mod pooler;
#[path = "../common/postgres.rs"]
mod postgres;
#[path = "../guard/reading.rs"]
mod reading;
#[path = "../guard/semantics.rs"]
mod semantics;
mod service;
mod sessions;
mod settings;

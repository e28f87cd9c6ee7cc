//! The differential referee: generated schemas, policies, rows, principals and statements run on a real PostgreSQL
//! with bare row level security and on every engine of Aurora's, and the answers are compared: visible rows, affected
//! counts, error codes, final content.
//!
//! - `AURORA_TEST_POSTGRES`: URL of a throw-away server, as a superuser. `scripts/test` starts one.
//! - `AURORA_SEED`, `AURORA_CASES`: which cases and how many (1 and 5,000).
//! - `AURORA_WORLD`: that one world of the seed only.
//! - `AURORA_FAILURES`: how many differences to find before it stops (3).
//! - `AURORA_TRIES`: how many smaller cases a shrink may try (1,500).
//! - `AURORA_LONG=1`: 126,000 cases, and the counts that the histogram must reach. With `AURORA_PROGRESS=file` a run
//!   that was ended goes on where it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it ran"
)]

mod aimed;
mod answer;
mod arrays;
mod cells;
mod conditions;
mod corpus;
mod drive;
mod expr;
mod grants;
mod helpers;
mod illtyped;
mod installed;
mod judge;
mod learn;
mod matching;
mod policies;
mod postgres;
mod process;
mod reads;
#[path = "../common/rng.rs"]
mod rng;
mod run;
mod sqlite;
mod statements;
mod subqueries;
mod tree;
mod values;
mod world;
mod writes;

#[expect(clippy::disallowed_methods, reason = "the length of a test run is the environment's to say")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number(name: &str, otherwise: u64) -> u64 {
    setting(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn server() -> String {
    setting("AURORA_TEST_POSTGRES").unwrap_or_else(|| {
        panic!(
            "the differential suite needs a PostgreSQL to compare with: set AURORA_TEST_POSTGRES to the URL of a \
             throw-away server, as a superuser (scripts/test starts one)"
        )
    })
}

/// attack L08
#[test]
fn every_engine_answers_as_postgresql_does() {
    let long = setting("AURORA_LONG").is_some();
    let plan = run::Plan {
        seed: number("AURORA_SEED", 1),
        cases: number("AURORA_CASES", if long { 126_000 } else { 5_000 }),
        world: setting("AURORA_WORLD").map(|_| number("AURORA_WORLD", 0)),
        failures: number("AURORA_FAILURES", 3) as usize,
        tries: number("AURORA_TRIES", 1_500) as usize,
        progress: setting("AURORA_PROGRESS").map(Into::into),
        long,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run::run(&server(), &plan));
}

#[test]
fn policies_of_public_repositories_mean_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(corpus::run(&server()));
}

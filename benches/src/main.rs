//! `cargo run --release -p aurora-benches -- NAME`: one bench, side by side with its peer or limit in one run.
//!
//! Lines on standard output: `figure NAME VALUE UNIT`, `ratio NAME VALUE`, `control NAME VALUE`, `point SERIES X Y
//! UNIT`. A ratio is the median over interleaved rounds on one pinned core; a `control` is plain against plain of the
//! same rounds; a spread over 10% voids the ratio, and the line says so. `plot FILE..` draws what was printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench that fails should stop, and prints"
)]

mod adapters;
mod admit;
mod client;
mod data;
mod decision;
mod fields;
mod files;
mod flood;
mod footprint;
mod growth;
mod guarded;
mod measure;
mod plot;
mod refresh;
mod relational;
mod requests;
mod seal;
mod serve;
mod sign_in;
mod tls;

use std::process::ExitCode;

const BENCHES: &[(&str, fn())] = &[
    ("guarded-read", || measure::pinned(guarded::read())),
    ("guarded-write", || measure::pinned(guarded::write())),
    ("decision", || measure::pinned(decision::run())),
    ("policy-growth", || measure::pinned(growth::run())),
    ("admit", || measure::pinned(admit::run())),
    ("sign-in", || measure::free(sign_in::run())),
    ("refresh", refresh::run),
    ("adapters", || measure::pinned(adapters::run())),
    ("flood", || measure::free(flood::run())),
    ("relational", relational::run),
    ("postgres", relational::over_bare),
    ("requests", || measure::pinned(requests::run())),
    ("footprint", || measure::free(footprint::run())),
    ("seal", || measure::pinned(seal::stream())),
    ("seal-two-cores", || measure::free(seal::two_cores())),
    ("seal-files", || measure::pinned(seal::files())),
    ("fields", || measure::pinned(fields::run())),
    ("files", || measure::free(files::run())),
    ("tls", || measure::free(tls::run())),
    ("plot", plot::run),
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "serve" {
        serve::child();
        return ExitCode::SUCCESS;
    }
    match BENCHES.iter().find(|(known, _)| *known == name) {
        Some((_, bench)) => {
            bench();
            ExitCode::SUCCESS
        }
        None => {
            let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
            eprintln!("name a bench: {}", known.join(", "));
            ExitCode::FAILURE
        }
    }
}

//! Relational policies: beside PocketBase, and against the best condition written by hand.
//!
//! `relational`, or one part of it: `relational pocketbase [ROWS [SHAPE]]`, `relational lists`,
//! `relational best-sqlite [SHAPE]`, `relational best-postgres [SHAPE]`. `postgres`: what a guarded statement costs over bare row level security.

mod bare;
mod lists;
pub(crate) mod pocketbase;
mod postgres;
mod posts;
mod rows;
mod server;
mod shapes;
mod sqlite;
mod statement;
mod world;

pub(crate) use posts::server as serve;
pub(crate) use server::{Postgres, run as script};

use crate::measure;

pub(crate) fn run() {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let part = arguments.first().map_or("", String::as_str);
    let only = arguments.get(1).map(String::as_str);
    // First, while nothing is pinned: its servers and its load share every core.
    if matches!(part, "" | "pocketbase") {
        let shape = arguments.get(2).map(String::as_str);
        measure::free(pocketbase::run(only, shape));
    }
    if matches!(part, "" | "lists") {
        measure::pinned(lists::run());
    }
    if matches!(part, "" | "best-sqlite") {
        measure::pinned(sqlite::run(only));
    }
    if matches!(part, "" | "best-postgres") {
        measure::pinned(postgres::run(only));
    }
}

pub(crate) fn over_bare() {
    measure::pinned(bare::run());
}

//! Relational policies: against the best condition written by hand, and beside PocketBase.
//!
//! `relational`, or one part of it: `relational best-sqlite [SHAPE]`, `relational pocketbase [ROWS]`.

mod pocketbase;
mod posts;
mod shapes;
mod sqlite;
mod world;

pub(crate) use posts::server;

use crate::measure;

pub(crate) fn run() {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let part = arguments.first().map_or("", String::as_str);
    let shape = arguments.get(1).map(String::as_str);
    // First, while nothing is pinned: its servers and its load share every core.
    if matches!(part, "" | "pocketbase") {
        measure::free(pocketbase::run(shape));
    }
    if matches!(part, "" | "best-sqlite") {
        measure::pinned(sqlite::run(shape));
    }
}

//! Well-formed SQLite statements from a seed, over the tables of [`world`].
//!
//! What SQLite leaves open is not generated (bare columns beside aggregates, LIMIT without a total order, float sums),
//! so that a statement has exactly one right answer. On the visible rows nothing ever fails: JSON functions get
//! JSON, numbers stay small.

mod expr;
mod query;
#[path = "../../common/rng.rs"]
mod rng;
pub(crate) mod world;
mod write;

pub(crate) use rng::Rng;
pub(crate) use write::{Verb, Write};

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Int,
    Text,
    Json,
}

/// One item of a FROM clause, or a CTE that may become one.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, Kind)>,
    /// Columns that tell its rows apart; empty where none do.
    pub(crate) key: Vec<String>,
}

pub(crate) struct Gen {
    pub(crate) rng: Rng,
    /// Percent of expressions that stand inside a recording function.
    pub(crate) probe: u64,
    ctes: Vec<Source>,
    /// Sources in sight, innermost last.
    scopes: Vec<Vec<Source>>,
    /// Inside an aggregate: only columns of the innermost block, no subqueries.
    local: bool,
    names: usize,
}

/// A statement, and how its answer may be compared.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) sql: String,
    /// Ordered by every output column.
    pub(crate) ordered: bool,
}

impl Gen {
    pub(crate) fn new(seed: u64, probe: u64) -> Self {
        Self { rng: Rng::seeded(seed), probe, ctes: Vec::new(), scopes: Vec::new(), local: false, names: 0 }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// The expression, sometimes watched.
    fn watched(&mut self, expr: String) -> String {
        if self.probe > 0 && self.rng.chance(self.probe) {
            let name = if self.rng.chance(25) { "probe_now" } else { "probe" };
            return format!("{name}({expr})");
        }
        expr
    }
}

pub(crate) fn table(name: &str) -> Source {
    use Kind::{Int, Json, Text};
    let (columns, key): (&[(&str, Kind)], &[&str]) = match name {
        "teams" => (&[("id", Int), ("name", Text), ("owner", Text), ("size", Int)], &["id"]),
        "members" => {
            (&[("team_id", Int), ("user_id", Text), ("role", Text), ("points", Int)], &["team_id", "user_id"])
        }
        "tags" => (&[("note_id", Int), ("tag", Text), ("weight", Int), ("extra", Json)], &["note_id", "tag"]),
        _ => (
            &[
                ("id", Int),
                ("title", Text),
                ("body", Json),
                ("owner", Text),
                ("team_id", Int),
                ("public", Int),
                ("stars", Int),
                ("parent", Int),
            ],
            &["id"],
        ),
    };
    Source {
        name: name.to_owned(),
        columns: columns.iter().map(|(column, kind)| ((*column).to_owned(), *kind)).collect(),
        key: key.iter().map(|column| (*column).to_owned()).collect(),
    }
}

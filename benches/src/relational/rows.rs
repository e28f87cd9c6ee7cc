//! What both engines' comparisons share: the statements, and how often each is run.

use std::collections::BTreeMap;

use super::statement::Statement;
use crate::measure::{Side, median, rounds};

pub(super) type Row = (i64, String);

/// The twenty newest.
pub(super) const LIST: &str = "SELECT id, title FROM docs WHERE {} ORDER BY id DESC LIMIT 20";
/// One by its key.
pub(super) const KEY: &str = "SELECT id, title FROM docs WHERE ({}) AND id = {key}";

/// The same without the condition, for the guard.
pub(super) fn guarded_text(keyed: bool) -> &'static str {
    if keyed {
        "SELECT id, title FROM docs WHERE id = $1"
    } else {
        "SELECT id, title FROM docs ORDER BY id DESC LIMIT 20"
    }
}

/// How many rounds, and how many goes in each, so that a comparison takes seconds.
pub(super) struct Timed {
    pub(super) count: usize,
    pub(super) per_round: u32,
}

impl Timed {
    pub(super) async fn of(hand: Side<'_>, ours: Side<'_>) -> Self {
        let (_, each) = cost(hand).await;
        let each = each.max(cost(ours).await.1);
        let per_round = (1_500_000.0 / each).clamp(1.0, 60.0) as u32;
        Self { count: if each > 3_000_000.0 { 60 } else { 300 }, per_round }
    }
}

/// The fastest of the candidates.
pub(super) async fn pick<'c, 's>(
    label: &str,
    candidates: &'c [Statement],
    side: impl Fn(&Statement, &'static str) -> Side<'s>,
) -> &'c Statement {
    let mut costs = BTreeMap::new();
    for candidate in candidates {
        let (tried, once) = cost(side(candidate, "tried")).await;
        let per_round = (500_000.0 / once).clamp(1.0, 40.0) as u32;
        let count = if once > 3_000_000.0 { 5 } else { 31 };
        let taken = median(&rounds(&mut [tried], count, per_round).await[0]);
        println!("figure {label}.hand.{} {:.2} us", candidate.name, taken / 1_000.0);
        costs.insert(taken as u64, candidate);
    }
    let (_, winner) = costs.into_iter().next().unwrap();
    let text: Vec<&str> = winner.sql.split_whitespace().collect();
    println!("# {label}: by hand best as `{}`: {}", winner.name, text.join(" "));
    winner
}

/// The side back, and nanoseconds of one go, warm.
async fn cost(side: Side<'_>) -> (Side<'_>, f64) {
    let mut one = [side];
    let times = rounds(&mut one, 3, 1).await;
    let [side] = one;
    (side, median(&times[0]).max(1.0))
}

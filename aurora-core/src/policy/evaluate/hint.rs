//! What would have to differ for a condition to answer otherwise, and lines of at most 100 columns.

use std::fmt;

use super::cell::Cell;
use super::explain::{Asked, Join, Outcome, shown};

/// Columns of a line.
const WIDTH: usize = 100;
/// So many members of a set are named.
pub(super) const SAMPLE: usize = 5;

/// Adds what is missing for `asked` to be `wanted`, indented by twice `depth`.
pub(super) fn differences(label: &str, asked: &Asked, wanted: bool, depth: usize, lines: &mut Vec<String>) {
    let goal = if wanted { Outcome::True } else { Outcome::False };
    if asked.outcome == goal {
        return;
    }
    let indent = "  ".repeat(depth);
    match (asked.join, wanted) {
        (Join::Not, _) => {
            if let Some(inner) = asked.beneath.first() {
                differences(label, inner, !wanted, depth, lines);
            }
        }
        (Join::And, true) | (Join::Or, false) => {
            let open: Vec<&Asked> = asked.beneath.iter().filter(|one| one.outcome != goal).collect();
            let (label, depth) = headed(label, "all of these:", open.len(), depth, lines);
            open.into_iter().for_each(|one| differences(&label, one, wanted, depth, lines));
        }
        (Join::And, false) | (Join::Or, true) => {
            let (label, depth) = headed(label, "one of these:", asked.beneath.len(), depth, lines);
            asked.beneath.iter().for_each(|one| differences(&label, one, wanted, depth, lines));
        }
        (Join::Leaf, _) => lines.push(format!("{indent}{label}{}", leaf(asked, wanted))),
    }
}

/// A heading over several; a single one goes without.
fn headed(
    label: &str,
    heading: &str,
    count: usize,
    depth: usize,
    lines: &mut Vec<String>,
) -> (String, usize) {
    if count < 2 {
        return (label.to_owned(), depth);
    }
    lines.push(format!("{}{label}{heading}", "  ".repeat(depth)));
    (String::new(), depth + 1)
}

fn leaf(asked: &Asked, wanted: bool) -> String {
    let mut text = format!("{} would have to be {wanted}", asked.text);
    match &asked.outcome {
        Outcome::Error(error) => text.push_str(&format!("; it fails: {error}")),
        Outcome::Unknown(why) => text.push_str(&format!("; not known: {why}")),
        _ if asked.values.is_empty() => text.push_str(&format!("; it is {}", asked.outcome)),
        _ => text.push_str(&format!("; {}", asked.values.join(", "))),
    }
    if wanted && !asked.among.is_empty() {
        let names: Vec<String> =
            asked.among.iter().take(SAMPLE).map(|value| shown(&Cell::borrowed(value))).collect();
        let more = if asked.among.len() > SAMPLE { ", .." } else { "" };
        text.push_str(&format!("; among {}{more}", names.join(", ")));
    }
    text
}

/// Writes one line, broken at blanks where it is longer than [`WIDTH`]; the rest is indented by `hang` more.
pub(super) fn wrapped(f: &mut fmt::Formatter<'_>, indent: usize, hang: usize, text: &str) -> fmt::Result {
    // Deep trees keep some room for their text.
    let indent = indent.min(WIDTH / 2);
    let mut left = indent;
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let mut rest = word;
        loop {
            let room = WIDTH.saturating_sub(left + used + usize::from(used > 0));
            let length = rest.chars().count();
            if length <= room {
                line.push_str(if used > 0 { " " } else { "" });
                line.push_str(rest);
                used += length + usize::from(used > 0);
                break;
            }
            if used > 0 {
                writeln!(f, "{:left$}{}", "", line.trim_end())?;
                line.clear();
            } else {
                // A word longer than a whole line is cut.
                let cut = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
                writeln!(f, "{:left$}{}", "", rest.get(..cut).unwrap_or_default())?;
                rest = rest.get(cut..).unwrap_or_default();
            }
            used = 0;
            left = indent + hang;
        }
    }
    if line.is_empty() { Ok(()) } else { writeln!(f, "{:left$}{}", "", line.trim_end()) }
}

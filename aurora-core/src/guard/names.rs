use std::fmt::Write as _;

use crate::env::{Entropy, random};
use crate::policy::Known;
use crate::types::{Result, Role};

/// The secret names of one process: the schema the database is attached under, and every object the guard
/// creates in a connection's TEMP schema.
///
/// All of them share one 128-bit stem. Knowing a name opens nothing by itself (wall one refuses any identifier
/// of this form), so the secrecy is the second lock.
#[derive(Clone)]
pub(super) struct Names {
    stem: String,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(..)")
    }
}

/// Which rows an inner view shows, and which statement it therefore serves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum View {
    /// Rows the SELECT policies show.
    Select,
    /// Rows the UPDATE policies let through, for a statement that reads no column.
    Update,
    /// Rows both UPDATE and SELECT policies let through.
    UpdateReading,
    /// Rows the DELETE policies let through, for a statement that reads no column.
    Delete,
    /// Rows both DELETE and SELECT policies let through.
    DeleteReading,
    /// Every row: what a SECURITY DEFINER function reads. Only policies name it.
    Owner,
    /// Rows the SELECT policies show, for a statement that finds them one by one: by a key.
    SelectOne,
    /// Rows the SELECT policies show, for a statement that takes the first few in an order that an index has.
    SelectFew,
    /// The same in the order of the rowid.
    SelectByKey,
}

impl Names {
    pub(super) fn draw(entropy: &dyn Entropy) -> Result<Self> {
        let bytes: [u8; 16] = random(entropy)?;
        let mut stem = String::with_capacity(33);
        stem.push('z');
        for byte in bytes {
            // Writing into a String cannot fail.
            let _ = write!(stem, "{byte:02x}");
        }
        Ok(Self { stem })
    }

    /// The schema name the host's database is attached under.
    pub(super) fn schema(&self) -> String {
        format!("{}_s", self.stem)
    }

    /// The inner view: the table's columns, [`Names::visible`], and [`Names::row`] where there is a rowid.
    pub(super) fn inner(&self, table: usize, role: Role, view: View, known: Known) -> String {
        format!("{}_i{table}_{}_{}_{}", self.stem, role_digit(role), view as u8, known.number())
    }

    /// The outer view: exactly the table's columns, over the inner SELECT view.
    pub(super) fn outer(&self, table: usize, role: Role, known: Known) -> String {
        format!("{}_o{table}_{}_{}", self.stem, role_digit(role), known.number())
    }

    /// What the names of a view have in common, whatever is known of whom it is for.
    pub(super) fn for_all(view: &str) -> &str {
        view.rsplit_once('_').map_or(view, |(all, _)| all)
    }

    /// A trigger on a base table; `part` tells several apart.
    pub(super) fn trigger(&self, table: usize, role: Role, part: &str) -> String {
        format!("{}_t{table}_{}_{part}", self.stem, role_digit(role))
    }

    /// The inner view's column that is 1 on every row the view shows.
    pub(super) fn visible(&self) -> String {
        format!("{}_k", self.stem)
    }

    /// The inner view's column that holds the rowid.
    pub(super) fn row(&self) -> String {
        format!("{}_r", self.stem)
    }

    /// One of our SQL functions.
    pub(super) fn function(&self, name: &str) -> String {
        format!("{}_f_{name}", self.stem)
    }

    /// Whether `identifier` equals or resembles one of ours (any process's).
    pub(super) fn resembles(identifier: &str) -> bool {
        let bytes = identifier.as_bytes();
        bytes.windows(33).any(|window| match window {
            [first, rest @ ..] => first.eq_ignore_ascii_case(&b'z') && rest.iter().all(u8::is_ascii_hexdigit),
            [] => false,
        })
    }

    /// Whether any name of this process's stands in `text`.
    pub(super) fn within(&self, text: &str) -> bool {
        text.as_bytes()
            .windows(self.stem.len())
            .any(|window| window.eq_ignore_ascii_case(self.stem.as_bytes()))
    }

    /// Whether `name` is one of this process's.
    pub(super) fn owns(&self, name: &str) -> bool {
        name.get(..self.stem.len()).is_some_and(|head| head.eq_ignore_ascii_case(&self.stem))
    }

    /// `text` with every name of ours taken out: engine messages pass through here before anyone sees them.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(&self.stem) {
            let (before, from) = rest.split_at(at);
            clean.push_str(before);
            let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
            let (name, after) = from.split_at(end);
            if name.ends_with("_s") {
                rest = after.strip_prefix('.').unwrap_or(after);
            } else {
                clean.push_str("(guarded)");
                rest = after;
            }
        }
        clean.push_str(rest);
        clean
    }
}

fn role_digit(role: Role) -> u8 {
    match role {
        Role::Anon => 0,
        Role::Authenticated => 1,
        Role::Service => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemEntropy;

    #[test]
    fn names_are_recognised_and_scrubbed() {
        let names = Names::draw(&SystemEntropy).unwrap();
        assert!(Names::resembles(&names.schema()));
        assert!(Names::resembles(&names.outer(3, Role::Anon, Known::NOTHING).to_uppercase()));
        assert!(!Names::resembles("notes"));
        assert!(!Names::resembles("z0123456789abcdef"));
        let message = format!(
            "no such column: {}.notes.x in {}",
            names.schema(),
            names.outer(1, Role::Anon, Known::NOTHING)
        );
        assert_eq!(names.scrub(&message), "no such column: notes.x in (guarded)");
    }
}

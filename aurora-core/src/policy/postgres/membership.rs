//! Membership as an array that is built once: `EXISTS` and `IN` over the caller's own rows become
//! `= ANY (ARRAY(SELECT ..))`, which an index of the guarded table answers.
//!
//! The form differs only in that it gives NULL where the other gives false, so it is used where nothing but AND and
//! OR stands above; anything that is not plainly understood stays as it is written.

use super::super::schema::{Schema, Table};
use super::identity::{asks, equals_at, split, unwrapped, words_at_top};
use super::lexer::{Kind, Token, tokens};
use super::read::is_name;

/// Words of a condition that are neither columns nor functions.
const KEYWORDS: [&str; 13] =
    ["and", "not", "null", "true", "false", "is", "in", "like", "ilike", "any", "array", "now", "lower"];

/// What follows a select's condition, or makes it more than a select.
const MORE: [&str; 13] = [
    "or",
    "group",
    "order",
    "limit",
    "offset",
    "having",
    "window",
    "fetch",
    "for",
    "union",
    "except",
    "intersect",
    "join",
];

/// The condition on a row of `outer`, which it calls `called`, with its memberships as arrays.
pub(super) fn as_arrays(condition: &str, schema: &Schema, outer: &Table, called: &str) -> String {
    let mut condition = condition.to_owned();
    // Each pass rewrites one; the bound ends what cannot end otherwise.
    for _ in 0..64 {
        let Some(next) = pass(&condition, schema, outer, called) else { break };
        condition = next;
    }
    condition
}

fn pass(source: &str, schema: &Schema, outer: &Table, called: &str) -> Option<String> {
    let found = tokens(source).ok()?;
    if found.iter().any(|token| token.is_word(source, "between") || token.is_word(source, "case")) {
        return None;
    }
    for (at, token) in found.iter().enumerate() {
        let scope = Scope { source, schema, outer, called };
        let piece = if token.is_word(source, "exists") {
            scope.exists(&found, at)
        } else if token.is_word(source, "in") {
            scope.within(&found, at)
        } else {
            None
        };
        if let Some((from, to, text)) = piece {
            let (start, end) = (found.get(from)?.start, found.get(to)?.end);
            return Some(format!("{}{text}{}", source.get(..start)?, source.get(end..)?));
        }
    }
    None
}

struct Scope<'a> {
    source: &'a str,
    schema: &'a Schema,
    outer: &'a Table,
    called: &'a str,
}

/// A select of one table: what stands in each of its parts.
struct Inner<'a> {
    table: &'a Table,
    alias: String,
    list: &'a [Token],
    from: &'a [Token],
    conditions: Vec<&'a [Token]>,
}

#[derive(PartialEq, Eq)]
enum Side {
    Inner,
    Outer,
}

type Piece = (usize, usize, String);

impl<'a> Scope<'a> {
    fn text(&self, tokens: &[Token]) -> &'a str {
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => self.source.get(first.start..last.end).unwrap_or_default(),
            _ => "",
        }
    }

    /// Only AND, OR and parentheses above the tokens from `from` to `to`.
    fn is_plain(&self, all: &[Token], from: usize, to: usize) -> bool {
        let joins = |token: &Token| token.is_word(self.source, "and") || token.is_word(self.source, "or");
        let before = from.checked_sub(1).and_then(|before| all.get(before));
        let after = all.get(to + 1);
        if !before.is_none_or(|token| joins(token) || token.is(b'('))
            || !after.is_none_or(|token| joins(token) || token.is(b')'))
        {
            return false;
        }
        // Every parenthesis that is still open here must be one that only groups.
        let mut open = Vec::new();
        for (at, token) in all.iter().enumerate().take(from) {
            if token.is(b'(') {
                open.push(at);
            }
            if token.is(b')') {
                open.pop();
            }
        }
        open.into_iter().all(|at| {
            let before = at.checked_sub(1).and_then(|before| all.get(before));
            let closes = closing(all, at).and_then(|close| all.get(close + 1));
            before.is_none_or(|token| joins(token) || token.is(b'('))
                && closes.is_none_or(|token| joins(token) || token.is(b')'))
        })
    }

    fn exists(&self, all: &[Token], at: usize) -> Option<Piece> {
        let close = closing(all, at + 1)?;
        if !self.is_plain(all, at, close) {
            return None;
        }
        let inner = self.select(all.get(at + 2..close)?)?;
        let mut pair = None;
        let mut rest = Vec::new();
        for condition in &inner.conditions {
            match self.correlation(&inner, condition) {
                Some(found) if pair.is_none() => pair = Some(found),
                Some(_) => return None,
                None if self.is_inner(&inner, condition) => rest.push(self.text(condition)),
                None => return None,
            }
        }
        let (outer, column) = pair?;
        self.array(&inner, outer, self.text(column), &rest).map(|text| (at, close, text))
    }

    /// `column IN (SELECT column FROM ..)`.
    fn within(&self, all: &[Token], at: usize) -> Option<Piece> {
        let close = closing(all, at + 1)?;
        let start = match at.checked_sub(3).and_then(|start| all.get(start..at)) {
            Some([name, dot, _]) if dot.is(b'.') && is_name(name) => at - 3,
            _ => at.checked_sub(1)?,
        };
        let outer = all.get(start..at)?;
        if !self.is_plain(all, start, close) || !outer.first().is_some_and(is_name) {
            return None;
        }
        let inner = self.select(all.get(at + 2..close)?)?;
        let (outer_side, outer_type) = self.reference(None, outer)?;
        let (side, inner_type) = self.reference(Some(&inner), inner.list)?;
        if outer_side != Side::Outer || side != Side::Inner || !alike(&outer_type, &inner_type) {
            return None;
        }
        let all_inner = inner.conditions.iter().all(|condition| self.is_inner(&inner, condition));
        let rest: Vec<&str> = inner.conditions.iter().map(|condition| self.text(condition)).collect();
        if !all_inner {
            return None;
        }
        let column = self.text(inner.list);
        self.array(&inner, outer, column, &rest).map(|text| (start, close, text))
    }

    /// The array form, where the select is over the caller's own rows: another array might be large.
    fn array(&self, inner: &Inner<'_>, outer: &[Token], column: &str, rest: &[&str]) -> Option<String> {
        let condition = rest.join(" AND ");
        if !asks(&condition, &tokens(&condition).ok()?) {
            return None;
        }
        let (outer, from) = (self.text(outer), self.text(inner.from));
        Some(format!("{outer} = ANY (ARRAY(SELECT {column} FROM {from} WHERE {condition}))"))
    }

    fn select<'t>(&self, query: &'t [Token]) -> Option<Inner<'t>>
    where
        'a: 't,
    {
        let word = |word: &str| query.iter().position(|token| token.is_word(self.source, word));
        let (from, condition) = (word("from")?, word("where")?);
        let first = query.first()?.is_word(self.source, "select");
        let (list, tail) = (query.get(1..from)?, query.get(condition + 1..)?);
        let plain = |tokens: &[Token]| !tokens.iter().any(|token| token.is(b'(') || token.is(b','));
        if !first || !plain(list) || MORE.iter().any(|word| words_at_top(self.source, tail, word)) {
            return None;
        }
        let source = query.get(from + 1..condition)?;
        let (name, alias) = match source {
            [schema, dot, name, alias @ ..] if dot.is(b'.') => {
                let schema = schema.identifier(self.source)?;
                let name = name.identifier(self.source)?;
                (if schema == "public" { name.clone() } else { format!("{schema}_{name}") }, (name, alias))
            }
            [name, alias @ ..] => {
                let name = name.identifier(self.source)?;
                (name.clone(), (name, alias))
            }
            [] => return None,
        };
        let alias = match alias {
            (name, []) => name,
            (_, [keyword, alias]) if keyword.is_word(self.source, "as") => alias.identifier(self.source)?,
            (_, [alias]) => alias.identifier(self.source)?,
            _ => return None,
        };
        let table = self.schema.table(&name)?;
        let conditions = split(self.source, unwrapped(tail), "and").into_iter().map(unwrapped).collect();
        Some(Inner { table, alias, list, from: source, conditions })
    }

    /// A column of the inner table or of the guarded one, with its type.
    fn reference(&self, inner: Option<&Inner<'_>>, tokens: &[Token]) -> Option<(Side, String)> {
        let kind = |table: &Table, column: &str| {
            table.columns.iter().find(|known| known.name == column).map(|known| known.declared_type.clone())
        };
        match tokens {
            [name] if is_name(name) => {
                let column = name.identifier(self.source)?;
                if let Some(kind) = inner.and_then(|inner| kind(inner.table, &column)) {
                    return Some((Side::Inner, kind));
                }
                kind(self.outer, &column).map(|kind| (Side::Outer, kind))
            }
            [qualifier, dot, name] if dot.is(b'.') && is_name(qualifier) && is_name(name) => {
                let (qualifier, column) = (qualifier.identifier(self.source)?, name.identifier(self.source)?);
                match inner {
                    Some(inner) if inner.alias == qualifier => {
                        kind(inner.table, &column).map(|kind| (Side::Inner, kind))
                    }
                    _ if self.called == qualifier => {
                        kind(self.outer, &column).map(|kind| (Side::Outer, kind))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// `inner.a = outer.b`: the outer side, then the inner one.
    fn correlation<'t>(
        &self,
        inner: &Inner<'_>,
        condition: &'t [Token],
    ) -> Option<(&'t [Token], &'t [Token])> {
        let at = equals_at(condition)?;
        let (left, right) = (condition.get(..at)?, condition.get(at + 1..)?);
        let (left_side, left_type) = self.reference(Some(inner), left)?;
        let (right_side, right_type) = self.reference(Some(inner), right)?;
        if !alike(&left_type, &right_type) {
            return None;
        }
        match (left_side, right_side) {
            (Side::Inner, Side::Outer) => Some((right, left)),
            (Side::Outer, Side::Inner) => Some((left, right)),
            _ => None,
        }
    }

    /// Whether the condition speaks of the inner table, the caller and constants alone.
    fn is_inner(&self, inner: &Inner<'_>, condition: &[Token]) -> bool {
        let mut at = 0;
        while let Some(token) = condition.get(at) {
            let rest = condition.get(at..).unwrap_or_default();
            if let Some(taken) = of_identity(self.source, rest) {
                at += taken;
                continue;
            }
            at += match rest {
                [colon, again, kind, ..] if colon.is(b':') && again.is(b':') && is_name(kind) => 3,
                [_, dot, _, ..] if dot.is(b'.') => {
                    match self.reference(Some(inner), rest.get(..3).unwrap_or_default()) {
                        Some((Side::Inner, _)) => 3,
                        _ => return false,
                    }
                }
                _ if !is_name(token) => 1,
                _ if token.kind == Kind::Word
                    && KEYWORDS.iter().any(|word| token.is_word(self.source, word)) =>
                {
                    1
                }
                _ => match self.reference(Some(inner), std::slice::from_ref(token)) {
                    Some((Side::Inner, _)) => 1,
                    _ => return false,
                },
            };
        }
        true
    }
}

/// How many tokens `(SELECT .. FROM aurora.identity)` takes, if it begins here: the same for every row.
fn of_identity(source: &str, rest: &[Token]) -> Option<usize> {
    let close = closing(rest, 0)?;
    match rest.get(1..close)? {
        [select, list @ .., from, schema, dot, view]
            if select.is_word(source, "select")
                && !list.iter().any(|token| token.is(b'('))
                && from.is_word(source, "from")
                && schema.is_word(source, "aurora")
                && dot.is(b'.')
                && view.is_word(source, "identity") =>
        {
            Some(close + 1)
        }
        _ => None,
    }
}

/// The partner of the parenthesis at `open`.
fn closing(all: &[Token], open: usize) -> Option<usize> {
    all.get(open).filter(|token| token.is(b'('))?;
    let mut depth = 0_usize;
    for (at, token) in all.iter().enumerate().skip(open) {
        depth += usize::from(token.is(b'('));
        if token.is(b')') {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// Types between which `= ANY (array)` compares as `=` does.
fn alike(left: &str, right: &str) -> bool {
    let family = |kind: &str| match kind.to_ascii_lowercase().as_str() {
        "smallint" | "integer" | "bigint" => Some("integer".to_owned()),
        "text" | "character varying" => Some("text".to_owned()),
        "uuid" => Some("uuid".to_owned()),
        _ => None,
    };
    family(left).is_some() && family(left) == family(right)
}

#[cfg(test)]
mod tests {
    use super::super::super::schema::Column;
    use super::super::identity::verified;
    use super::*;

    fn schema() -> Schema {
        let column = |name: &str, kind: &str| Column::new(name, kind);
        Schema {
            tables: vec![
                Table::new(
                    "notes",
                    vec![
                        column("id", "bigint"),
                        column("team_id", "bigint"),
                        column("owner", "uuid"),
                        column("tags", "text[]"),
                    ],
                ),
                Table::new(
                    "members",
                    vec![
                        column("team_id", "integer"),
                        column("user_id", "uuid"),
                        column("role", "text"),
                        column("tags", "text[]"),
                    ],
                ),
            ],
        }
    }

    fn arrays(condition: &str) -> String {
        let schema = schema();
        as_arrays(&verified(condition), &schema, schema.table("notes").unwrap(), "notes")
    }

    #[test]
    fn membership_of_the_caller_becomes_an_array() {
        let array = "ANY (ARRAY(SELECT m.team_id FROM members m WHERE m.user_id = (SELECT uid FROM aurora.identity)))";
        for (source, printed) in [
            (
                "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
                format!("notes.team_id = {array}"),
            ),
            (
                "owner = auth.uid() OR (EXISTS (SELECT 1 FROM members m WHERE m.user_id = auth.uid() AND notes.team_id = m.team_id))",
                format!("owner = (SELECT uid FROM aurora.identity) OR (notes.team_id = {array})"),
            ),
            (
                "team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())",
                format!("team_id = {array}"),
            ),
        ] {
            assert_eq!(arrays(source), printed);
        }
    }

    #[test]
    fn what_is_not_plainly_the_same_stays() {
        for source in [
            "NOT EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
            "NOT (EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()))",
            "(EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())) IS FALSE",
            "coalesce(EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()), true)",
            "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id)",
            "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id OR m.user_id = auth.uid())",
            "EXISTS (SELECT count(*) FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = notes.owner AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM members m, members n WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM members m JOIN teams t ON true WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM members m WHERE m.tags = notes.tags AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM members m WHERE m.team_id = team_id AND m.user_id = auth.uid())",
            "team_id NOT IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())",
            "team_id + 1 IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())",
            "team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid() AND notes.id = 1)",
            "team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid() LIMIT 1)",
        ] {
            assert_eq!(arrays(source), verified(source));
        }
    }
}

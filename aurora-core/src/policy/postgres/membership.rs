//! Membership as an array that is built once: `EXISTS` and `IN` over the caller's own rows become
//! `= ANY (ARRAY(SELECT ..))`, which an index of the guarded table answers. A join of two tables becomes an array
//! within an array, and so does one `EXISTS` in another.
//!
//! The form differs only in that it gives NULL where the other gives false, so it is used where nothing but AND and
//! OR stands above; anything that is not plainly understood stays as it is written.
//!
//! Beside each array stands `>= (SELECT <the least value of the type>)`, which is true of every value. PostgreSQL
//! takes any array that it cannot see for ten values, which is more than most people are members of, and then walks
//! through everybody's rows in the order of the list; with the bound it counts on three. Where that is wrong, a list
//! costs what the caller may see, and not what there is.

use super::super::schema::{Schema, Table};
use super::identity::{asks, closing, equals_at, of_identity, split, unwrapped, words_at_top};
use super::joined::Joined;
use super::kinds::{alike, least};
use super::lexer::{Kind, Token, tokens};
use super::read::is_name;

/// Words of a condition that are neither columns nor functions.
const KEYWORDS: [&str; 13] =
    ["and", "not", "null", "true", "false", "is", "in", "like", "ilike", "any", "array", "now", "lower"];

/// Words between two tables that are no alias.
const JOINS: [&str; 8] = ["left", "right", "full", "cross", "natural", "inner", "lateral", "tablesample"];

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

pub(super) struct Scope<'a> {
    pub(super) source: &'a str,
    pub(super) schema: &'a Schema,
    pub(super) outer: &'a Table,
    pub(super) called: &'a str,
}

/// A select of one table: what stands in each of its parts.
pub(super) struct Inner<'a> {
    pub(super) table: &'a Table,
    pub(super) alias: String,
    pub(super) list: &'a [Token],
    pub(super) from: &'a [Token],
    pub(super) conditions: Vec<&'a [Token]>,
}

/// `inner.a = outer.b`: both sides, and the type of the outer one.
pub(super) struct Pair<'t> {
    pub(super) outer: &'t [Token],
    pub(super) inner: &'t [Token],
    pub(super) kind: String,
}

#[derive(PartialEq, Eq)]
pub(super) enum Side {
    Inner,
    Outer,
}

type Piece = (usize, usize, String);

impl<'a> Scope<'a> {
    pub(super) fn text(&self, tokens: &[Token]) -> &'a str {
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
        let query = all.get(at + 2..close)?;
        let text = match self.select(query) {
            Some(inner) => self.of_one(&inner)?,
            None => Joined::read(self, query)?.array(self)?,
        };
        Some((at, close, text))
    }

    fn of_one(&self, inner: &Inner<'_>) -> Option<String> {
        let mut pair = None;
        let mut rest = Vec::new();
        for condition in &inner.conditions {
            match self.correlation(inner, condition) {
                Some(found) if pair.is_none() => pair = Some(found),
                Some(_) => return None,
                None if self.is_inner(inner, condition) => rest.push(self.text(condition).to_owned()),
                None => rest.push(self.within_inner(inner, condition)?),
            }
        }
        self.array(inner, &pair?, &rest)
    }

    /// A condition that is a membership itself: of a row of the inner table.
    fn within_inner(&self, inner: &Inner<'_>, condition: &[Token]) -> Option<String> {
        let scope =
            Scope { source: self.source, schema: self.schema, outer: inner.table, called: &inner.alias };
        let first = condition.first()?;
        let (from, to, text) = if first.is_word(self.source, "exists") {
            scope.exists(condition, 0)?
        } else {
            let at = condition.iter().position(|token| token.is_word(self.source, "in"))?;
            scope.within(condition, at)?
        };
        (from == 0 && to + 1 == condition.len()).then_some(text)
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
        let mut rest = Vec::new();
        for condition in &inner.conditions {
            rest.push(if self.is_inner(&inner, condition) {
                self.text(condition).to_owned()
            } else {
                self.within_inner(&inner, condition)?
            });
        }
        let pair = Pair { outer, inner: inner.list, kind: outer_type };
        self.array(&inner, &pair, &rest).map(|text| (start, close, text))
    }

    /// The array form, where the select is over the caller's own rows: another array might be large.
    pub(super) fn array(&self, inner: &Inner<'_>, pair: &Pair<'_>, rest: &[String]) -> Option<String> {
        let condition = rest.join(" AND ");
        if !asks(&condition, &tokens(&condition).ok()?) {
            return None;
        }
        let least = least(&pair.kind)?;
        let (outer, column, from) = (self.text(pair.outer), self.text(pair.inner), self.text(inner.from));
        Some(format!(
            "({outer} = ANY (ARRAY(SELECT {column} FROM {from} WHERE {condition})) AND {outer} >= (SELECT {least}))"
        ))
    }

    fn select<'t>(&self, query: &'t [Token]) -> Option<Inner<'t>>
    where
        'a: 't,
    {
        let (list, source, tail) = self.parts(query)?;
        let (table, alias) = self.relation(source)?;
        let conditions = split(self.source, unwrapped(tail), "and").into_iter().map(unwrapped).collect();
        Some(Inner { table, alias, list, from: source, conditions })
    }

    /// What a select reads, from where, and on what condition.
    pub(super) fn parts<'t>(&self, query: &'t [Token]) -> Option<(&'t [Token], &'t [Token], &'t [Token])> {
        let word = |word: &str| query.iter().position(|token| token.is_word(self.source, word));
        let (from, condition) = (word("from")?, word("where")?);
        let first = query.first()?.is_word(self.source, "select");
        let (list, tail) = (query.get(1..from)?, query.get(condition + 1..)?);
        let plain = |tokens: &[Token]| !tokens.iter().any(|token| token.is(b'(') || token.is(b','));
        if !first || !plain(list) || MORE.iter().any(|word| words_at_top(self.source, tail, word)) {
            return None;
        }
        Some((list, query.get(from + 1..condition)?, tail))
    }

    /// A table by its name, and what it is called.
    pub(super) fn relation(&self, source: &[Token]) -> Option<(&'a Table, String)> {
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
            (_, [alias]) if !JOINS.iter().any(|word| alias.is_word(self.source, word)) => {
                alias.identifier(self.source)?
            }
            _ => return None,
        };
        Some((self.schema.table(&name)?, alias))
    }

    /// A column of the inner table or of the guarded one, with its type.
    pub(super) fn reference(&self, inner: Option<&Inner<'_>>, tokens: &[Token]) -> Option<(Side, String)> {
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

    /// `inner.a = outer.b`, either way round.
    pub(super) fn correlation<'t>(&self, inner: &Inner<'_>, condition: &'t [Token]) -> Option<Pair<'t>> {
        let at = equals_at(condition)?;
        let (left, right) = (condition.get(..at)?, condition.get(at + 1..)?);
        let (left_side, left_type) = self.reference(Some(inner), left)?;
        let (right_side, right_type) = self.reference(Some(inner), right)?;
        if !alike(&left_type, &right_type) {
            return None;
        }
        match (left_side, right_side) {
            (Side::Inner, Side::Outer) => Some(Pair { outer: right, inner: left, kind: right_type }),
            (Side::Outer, Side::Inner) => Some(Pair { outer: left, inner: right, kind: left_type }),
            _ => None,
        }
    }

    /// Whether the condition speaks of the inner table, the caller and constants alone.
    pub(super) fn is_inner(&self, inner: &Inner<'_>, condition: &[Token]) -> bool {
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
                Table::new(
                    "projects",
                    vec![column("note_id", "bigint"), column("team_id", "integer"), column("lead", "uuid")],
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
        let of = |column: &str, inner: &str, least: &str| {
            format!("({column} = ANY (ARRAY(SELECT {inner})) AND {column} >= (SELECT {least}))")
        };
        let mine = "m.team_id FROM members m WHERE m.user_id = (SELECT uid FROM aurora.identity)";
        let bigint = "'-9223372036854775808'::bigint";
        let array = |column: &str| of(column, mine, bigint);
        for (source, printed) in [
            (
                "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
                array("notes.team_id"),
            ),
            (
                "owner = auth.uid() OR (EXISTS (SELECT 1 FROM members m WHERE m.user_id = auth.uid() AND notes.team_id = m.team_id))",
                format!("owner = (SELECT uid FROM aurora.identity) OR ({})", array("notes.team_id")),
            ),
            ("team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())", array("team_id")),
        ] {
            assert_eq!(arrays(source), printed);
        }
        // One hop more: nested, and as a join with the tables in either order.
        let teams = of("p.team_id", mine, "'-2147483648'::integer");
        let two_hops = of("notes.id", &format!("p.note_id FROM projects p WHERE {teams}"), bigint);
        for source in [
            "EXISTS (SELECT 1 FROM projects p WHERE p.note_id = notes.id AND EXISTS
               (SELECT 1 FROM members m WHERE m.team_id = p.team_id AND m.user_id = auth.uid()))",
            "EXISTS (SELECT 1 FROM projects p JOIN members m ON m.team_id = p.team_id
               WHERE p.note_id = notes.id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM members m INNER JOIN projects p ON p.note_id = notes.id AND m.team_id = p.team_id
               WHERE m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM projects p, members m
               WHERE m.team_id = p.team_id AND p.note_id = notes.id AND m.user_id = auth.uid())",
        ] {
            assert_eq!(arrays(source), two_hops, "{source}");
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
            "EXISTS (SELECT 1 FROM projects p LEFT JOIN members m ON m.team_id = p.team_id WHERE p.note_id = notes.id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM projects p JOIN members m USING (team_id) WHERE p.note_id = notes.id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM projects p JOIN members m ON m.team_id = p.team_id WHERE p.note_id = notes.id AND p.lead = auth.uid())",
            "EXISTS (SELECT 1 FROM projects p JOIN members m ON m.team_id = p.team_id AND m.user_id = notes.owner WHERE p.note_id = notes.id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM projects p, members m, members n WHERE m.team_id = p.team_id AND p.note_id = notes.id AND m.user_id = auth.uid())",
            "EXISTS (SELECT 1 FROM projects p WHERE p.note_id = notes.id AND EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()))",
            "EXISTS (SELECT 1 FROM projects p WHERE p.note_id = notes.id AND NOT EXISTS (SELECT 1 FROM members m WHERE m.team_id = p.team_id AND m.user_id = auth.uid()))",
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

//! Sides of an OR that another makes superfluous, as PostgreSQL's planner leaves them out (prepqual.c,
//! `find_duplicate_ors`): of `(a AND b) OR a` it keeps `a`, and asks for no grant that only `b` would need.
//!
//! Two conditions are the same where PostgreSQL's `equal()` says so, after constants were folded and functions
//! inlined. The text alone cannot always tell: `a = 1` and `notes.a = 1` may be one condition. Whoever asks says
//! what to make of such a pair; where that would matter, the policies are refused (`Reach::doubted`).

use super::constant::decided;
use super::raw::{Comparison, Raw, RawKind, RawSelect, Relation};

/// What to make of two conditions that may be the same, and of what else PostgreSQL may leave out: `Same` leaves out
/// as much as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    Same,
    Different,
}

/// What PostgreSQL leaves of a `WHERE`, of a policy's clause, or of several ORed.
pub(super) fn reduced(raw: &Raw, doubt: Doubt) -> Raw {
    let mut raw = normal(raw, false);
    raw.unlined();
    without_repeats(raw, doubt)
}

/// NOT is pushed down as far as it goes; AND and OR hold none of their own kind and no constants.
fn normal(raw: &Raw, not: bool) -> Raw {
    let with = |kind| Raw { kind, line: raw.line };
    match (decided(raw), &raw.kind) {
        // NULL counts as false here, on which either way round nothing more depends.
        (Some(value), _) => with(RawKind::Bool(value.is_some_and(|value| value != not))),
        (None, RawKind::Not(one)) => normal(one, !not),
        (None, RawKind::And(many)) => joined(many.iter().map(|one| normal(one, not)), !not, raw.line),
        (None, RawKind::Or(many)) => joined(many.iter().map(|one| normal(one, not)), not, raw.line),
        (None, RawKind::Compare(op, left, right)) => match (op, decided(left), decided(right)) {
            (Comparison::Equal, None, Some(Some(value))) => normal(left, not == value),
            (Comparison::Equal, Some(Some(value)), None) => normal(right, not == value),
            (Comparison::NotEqual, None, Some(Some(value))) => normal(left, not != value),
            (Comparison::NotEqual, Some(Some(value)), None) => normal(right, not != value),
            _ => with(RawKind::Compare(if not { negated(*op) } else { *op }, left.clone(), right.clone())),
        },
        (None, RawKind::InList(left, list)) if list.len() == 1 => {
            let op = if not { Comparison::NotEqual } else { Comparison::Equal };
            match list.first() {
                Some(one) => with(RawKind::Compare(op, left.clone(), Box::new(one.clone()))),
                None => raw.clone(),
            }
        }
        _ if not => with(RawKind::Not(Box::new(raw.clone()))),
        _ => raw.clone(),
    }
}

fn negated(op: Comparison) -> Comparison {
    match op {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
        Comparison::Distinct => Comparison::NotDistinct,
        Comparison::NotDistinct => Comparison::Distinct,
    }
}

/// An AND, or an OR, of these.
fn joined(parts: impl Iterator<Item = Raw>, and: bool, line: u64) -> Raw {
    let mut all = Vec::new();
    for part in parts {
        match part.kind {
            RawKind::Bool(value) if value == and => {}
            RawKind::Bool(_) => return part,
            RawKind::And(inner) if and => all.extend(inner),
            RawKind::Or(inner) if !and => all.extend(inner),
            kind => all.push(Raw { kind, line: part.line }),
        }
    }
    match (all.len(), all.pop()) {
        (_, None) => Raw { kind: RawKind::Bool(and), line },
        (1, Some(one)) => one,
        (_, Some(last)) => {
            all.push(last);
            Raw { kind: if and { RawKind::And(all) } else { RawKind::Or(all) }, line }
        }
    }
}

/// `find_duplicate_ors`.
fn without_repeats(raw: Raw, doubt: Doubt) -> Raw {
    let line = raw.line;
    match raw.kind {
        RawKind::And(many) => joined(many.into_iter().map(|one| without_repeats(one, doubt)), true, line),
        RawKind::Or(many) => {
            let either = joined(many.into_iter().map(|one| without_repeats(one, doubt)), false, line);
            match either.kind {
                RawKind::Or(sides) => process(sides, doubt, line),
                kind => Raw { kind, line },
            }
        }
        kind => Raw { kind, line },
    }
}

fn conjuncts(side: &Raw) -> &[Raw] {
    match &side.kind {
        RawKind::And(many) => many,
        _ => std::slice::from_ref(side),
    }
}

/// `process_duplicate_ors`: what stands in every side stands before an OR of the rest, and alone where it is all that
/// one of them says.
fn process(sides: Vec<Raw>, doubt: Doubt, line: u64) -> Raw {
    let among = |one: &Raw, those: &[Raw]| {
        those.iter().any(|other| match alike(one, other) {
            Alike::Same => true,
            Alike::Perhaps => doubt == Doubt::Same,
            Alike::Never => false,
        })
    };
    let shortest = sides.iter().map(conjuncts).min_by_key(|those| those.len()).unwrap_or_default();
    let mut everywhere: Vec<Raw> = Vec::new();
    for one in shortest {
        if !among(one, &everywhere) && sides.iter().all(|side| among(one, conjuncts(side))) {
            everywhere.push(one.clone());
        }
    }
    if everywhere.is_empty() {
        return Raw { kind: RawKind::Or(sides), line };
    }
    let mut rest = Vec::new();
    for side in &sides {
        let own: Vec<Raw> = conjuncts(side).iter().filter(|one| !among(one, &everywhere)).cloned().collect();
        if own.is_empty() {
            return joined(everywhere.into_iter(), true, line);
        }
        rest.push(joined(own.into_iter(), true, line));
    }
    everywhere.push(joined(rest.into_iter(), false, line));
    joined(everywhere.into_iter(), true, line)
}

/// Whether PostgreSQL finds two expressions equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alike {
    Same,
    Perhaps,
    Never,
}

impl Alike {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Alike::Never, _) | (_, Alike::Never) => Alike::Never,
            (Alike::Same, Alike::Same) => Alike::Same,
            _ => Alike::Perhaps,
        }
    }

    fn possibly(possible: bool) -> Self {
        if possible { Alike::Perhaps } else { Alike::Never }
    }
}

/// Both without lines.
fn alike(one: &Raw, other: &Raw) -> Alike {
    if one == other {
        return Alike::possibly(true).unless(!vague(one));
    }
    match (&one.kind, &other.kind) {
        (RawKind::Cast(inner, _), _) => Alike::Perhaps.and(alike(inner, uncast(other))),
        (_, RawKind::Cast(inner, _)) => Alike::Perhaps.and(alike(one, inner)),
        (RawKind::Column { name, .. }, RawKind::Column { name: other, .. }) => Alike::possibly(name == other),
        (RawKind::Text(one), RawKind::Text(other)) => texts(one, other),
        (RawKind::Integer(_), RawKind::Integer(_)) | (RawKind::Bool(_), RawKind::Bool(_)) => Alike::Never,
        (RawKind::Identity(_), RawKind::Identity(_)) => Alike::Never,
        _ if is_constant(one) && is_constant(other) => Alike::Perhaps,
        _ if same_form(one, other) => {
            let (left, right) = (one.children(), other.children());
            let children = left.iter().zip(&right);
            let children = children.fold(Alike::Perhaps, |all, (left, right)| all.and(alike(left, right)));
            match (selected(one), selected(other)) {
                _ if folds(one) => Alike::possibly(columns_fit(one, other)),
                (Some(left), Some(right)) => children.and(selects(left, right)),
                _ => children,
            }
        }
        _ => Alike::possibly((folds(one) || folds(other)) && columns_fit(one, other)),
    }
}

impl Alike {
    fn unless(self, sure: bool) -> Self {
        if sure { Alike::Same } else { self }
    }
}

fn uncast(raw: &Raw) -> &Raw {
    match &raw.kind {
        RawKind::Cast(inner, _) => uncast(inner),
        _ => raw,
    }
}

/// It holds an EXISTS whose output was not kept: `SELECT 1` and `SELECT true` are not the same to PostgreSQL.
fn vague(raw: &Raw) -> bool {
    let mut found = false;
    raw.walk(
        &mut |part| {
            if let RawKind::Exists(select) = &part.kind {
                found |= select.output.is_none() && !select.star;
            }
        },
        &mut |_| {},
    );
    found
}

fn is_constant(raw: &Raw) -> bool {
    matches!(
        raw.kind,
        RawKind::Null | RawKind::Bool(_) | RawKind::Integer(_) | RawKind::Real(_) | RawKind::Text(_)
    )
}

/// Spelled differently, may two literals be one value of some type?
fn texts(one: &str, other: &str) -> Alike {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(|c: char| c.is_ascii_digit())
    };
    // `t`, `yes` and `on` are booleans.
    let truth = |text: &str| {
        let lower = text.to_ascii_lowercase();
        ["true", "false", "yes", "no", "on", "off"].iter().any(|word| word.starts_with(&lower))
    };
    let plain = |text: &str| word(text) && !truth(text);
    Alike::possibly(!(plain(one) && plain(other)) || one.eq_ignore_ascii_case(other))
}

/// The same operator or function over as many parts.
fn same_form(one: &Raw, other: &Raw) -> bool {
    let own = match (&one.kind, &other.kind) {
        (RawKind::Compare(one, ..), RawKind::Compare(other, ..)) => one == other,
        (RawKind::Operator(one, ..), RawKind::Operator(other, ..)) => one == other,
        (RawKind::Arithmetic(one, ..), RawKind::Arithmetic(other, ..)) => one == other,
        (RawKind::IsBool(_, one), RawKind::IsBool(_, other)) => one == other,
        (RawKind::Json { text: one, .. }, RawKind::Json { text: other, .. }) => one == other,
        (RawKind::Call(one), RawKind::Call(other)) => one.name == other.name,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    };
    own && one.children().len() == other.children().len()
}

/// Folding or inlining may make something else of it.
fn folds(raw: &Raw) -> bool {
    match &raw.kind {
        RawKind::Compare(_, left, right) => {
            [left, right].iter().any(|side| matches!(side.kind, RawKind::Bool(_) | RawKind::Null))
        }
        RawKind::Parameter(_)
        | RawKind::And(_)
        | RawKind::Or(_)
        | RawKind::Not(_)
        | RawKind::IsNull(_)
        | RawKind::IsBool(..)
        | RawKind::InList(..)
        | RawKind::Quantified { .. }
        | RawKind::Array(_)
        | RawKind::Coalesce(_)
        | RawKind::Case { .. }
        | RawKind::Arithmetic(..)
        | RawKind::Concat(..)
        | RawKind::Call(_) => true,
        // `auth.role()` is `auth.jwt() ->> 'role'` where it is a function in SQL.
        RawKind::Json { .. } | RawKind::Operator(..) | RawKind::Identity(_) => {
            let mut identity = false;
            raw.walk(&mut |part| identity |= matches!(part.kind, RawKind::Identity(_)), &mut |_| {});
            identity
        }
        _ => false,
    }
}

fn columns(raw: &Raw) -> Vec<&str> {
    let mut found = Vec::new();
    collect(raw, &mut found);
    found
}

fn collect<'a>(raw: &'a Raw, found: &mut Vec<&'a str>) {
    if let RawKind::Column { name, .. } = &raw.kind {
        found.push(name);
    }
    for child in raw.children() {
        collect(child, found);
    }
    if let Some(select) = selected(raw) {
        found.extend(select.sources.iter().filter_map(|source| source.table()));
    }
}

/// One speaks of nothing but what the other speaks of.
fn columns_fit(one: &Raw, other: &Raw) -> bool {
    let (one, other) = (columns(one), columns(other));
    one.iter().all(|name| other.contains(name)) || other.iter().all(|name| one.contains(name))
}

fn selected(raw: &Raw) -> Option<&RawSelect> {
    match &raw.kind {
        RawKind::InSelect(_, select)
        | RawKind::Exists(select)
        | RawKind::Scalar(select)
        | RawKind::ArraySelect(select) => Some(select),
        _ => None,
    }
}

/// Which tables and aliases stand in FROM tells most of them apart.
fn selects(one: &RawSelect, other: &RawSelect) -> Alike {
    let from = |select: &RawSelect| {
        let names =
            select.sources.iter().map(|source| (source.table().map(str::to_owned), source.alias.clone()));
        names.collect::<Vec<_>>()
    };
    Alike::possibly(from(one) == from(other) && one.conditions.len() == other.conditions.len())
}

impl Raw {
    /// Forgets where it stands.
    fn unlined(&mut self) {
        self.line = 0;
        self.children_mut().into_iter().for_each(Raw::unlined);
        if let RawKind::InSelect(_, select)
        | RawKind::Exists(select)
        | RawKind::Scalar(select)
        | RawKind::ArraySelect(select) = &mut self.kind
        {
            select.unlined();
        }
    }
}

impl RawSelect {
    fn unlined(&mut self) {
        self.line = 0;
        for source in &mut self.sources {
            source.line = 0;
            match &mut source.relation {
                Relation::Select(inner) => inner.unlined(),
                Relation::Call(call) => call.arguments.iter_mut().for_each(|(_, one)| one.unlined()),
                Relation::Table { .. } => {}
            }
            source.left.iter_mut().for_each(Raw::unlined);
        }
        self.conditions.iter_mut().for_each(|(_, one)| one.unlined());
        self.output.iter_mut().for_each(Raw::unlined);
        self.more.iter_mut().for_each(|(_, one)| one.unlined());
        self.order.iter_mut().for_each(|(one, ..)| one.unlined());
        self.union.iter_mut().for_each(RawSelect::unlined);
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Column, Command, Policies, Schema, Table};
    use crate::types::Role;

    /// Whether a signed-in user may read notes at all.
    fn lower(text: &str) -> Result<bool, String> {
        let text = format!(
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON members USING (true); {text}"
        );
        let column = |name: &str, of: &str| Column::new(name, of);
        let (id, owner) = (column("id", "INTEGER"), column("owner", "TEXT"));
        let (pinned, title) = (column("pinned", "INTEGER"), column("title", "TEXT"));
        let notes = Table::new("notes", vec![id, owner, pinned, title]);
        let members = Table::new("members", vec![column("team_id", "INTEGER")]);
        let schema = Schema { tables: vec![notes, members] };
        let lowered = Policies::parse(&text, "policies.sql").and_then(|policies| policies.lower(&schema));
        let lowered = lowered.map_err(|errors| errors.to_string())?;
        Ok(lowered.granted("notes", Role::Authenticated, Command::Select))
    }

    fn allowed(text: &str) -> bool {
        lower(text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// With a subquery that PostgreSQL drops goes the grant that it would ask for.
    #[test]
    fn a_repeated_side_of_an_or_asks_for_no_grant() {
        let held = |condition: &str| {
            let text = format!(
                "REVOKE SELECT ON members FROM authenticated;
                 CREATE POLICY p ON notes FOR SELECT USING ({condition});"
            );
            allowed(&text.replace("$", "id IN (SELECT team_id FROM members)"))
        };
        for dropped in [
            "(owner = auth.uid() AND $) OR owner = auth.uid()",
            "owner = auth.uid() OR ($ AND pinned = 1 AND owner = auth.uid())",
            "(id = 1 AND $) OR (id = 1 AND pinned = 2) OR id = 1",
            "NOT (id <> 1 AND NOT (id = 1 AND $))",
            "(title = 'a' OR (title = 'a' AND $)) AND id = 1",
            "id = 1 AND (id = 2 OR (id = 2 AND $)) OR (id = 2 AND id = 1)",
        ] {
            assert!(held(dropped), "{dropped}");
        }
        for asked in [
            "(owner = auth.uid() AND $) OR owner <> auth.uid()",
            "(id = 1 AND $) OR id = 1 OR pinned = 2",
            "(id = 1 AND $) OR (id = 1 AND pinned = 2)",
            "(id = 1 AND $) OR 1 = id",
            "(title = 'a' AND $) OR title = 'b'",
            "coalesce((id = 1 AND $) OR id = 1, false)",
        ] {
            assert!(!held(asked), "{asked}");
        }
        let two = "REVOKE SELECT ON members FROM authenticated;
            CREATE POLICY a ON notes FOR SELECT USING (owner = auth.uid());
            CREATE POLICY b ON notes FOR SELECT USING (owner = auth.uid()
                AND id IN (SELECT team_id FROM members));";
        assert!(allowed(two));
        // A condition that is never true spares the others nothing.
        let never = "REVOKE SELECT ON members FROM authenticated;
            CREATE POLICY a ON notes FOR SELECT USING (false);
            CREATE POLICY b ON notes AS RESTRICTIVE FOR SELECT USING (id IN (SELECT team_id FROM members));";
        assert!(!allowed(never));
        let doubt = "REVOKE SELECT ON members FROM authenticated;
            CREATE POLICY p ON notes FOR SELECT
                USING ((notes.id = 1 AND id IN (SELECT team_id FROM members)) OR id = 1);";
        let said = lower(doubt).map(|_| ()).unwrap_err();
        assert!(said.contains("planner may leave out what they read of members"), "{said}");
        // Who holds the grant need not care.
        let held = doubt.replace("REVOKE SELECT ON members FROM authenticated;", "");
        assert!(allowed(&held));
    }
}

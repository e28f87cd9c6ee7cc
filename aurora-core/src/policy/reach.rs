//! Which tables a policy leads to: for grants, and for PostgreSQL's 42P17.

use super::catalog::{Catalog, Guarded, Policy};
use super::constant;
use super::duplicate::{Doubt, reduced};
use super::error::PolicyError;
use super::raw::{Raw, RawKind, RawSelect, RawSource};
use super::schema::Command;
use crate::types::Role;

/// Of what policies read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    None,
    Some,
    All,
}

pub(super) struct Reach<'a> {
    catalog: &'a Catalog,
    role: Role,
    doubt: Doubt,
}

/// The tables of these expressions' subqueries. What a function reads is not among them: PostgreSQL's rewriter does
/// not look into functions, and asks for its grants when it runs.
fn inner_tables<'a>(expressions: impl Iterator<Item = &'a Raw>) -> Vec<String> {
    let mut found = Vec::new();
    for raw in expressions {
        raw.walk(&mut |_| {}, &mut |select| push_sources(select, &mut found));
    }
    found
}

fn push_sources(select: &RawSelect, found: &mut Vec<String>) {
    for table in select.sources.iter().filter_map(RawSource::table) {
        if !found.iter().any(|other| other == table) {
            found.push(table.to_owned());
        }
    }
}

fn has_subquery(policy: &Policy) -> bool {
    let mut found = false;
    for raw in policy.using.iter().chain(&policy.check) {
        raw.walk(&mut |_| {}, &mut |_| found = true);
    }
    found
}

/// The conditions that PostgreSQL gives a statement (rowsecurity.c, `add_security_quals` and
/// `add_with_check_options`): restrictive ones only beside a permissive one.
struct Conditions<'a> {
    permissive: Vec<(&'a Policy, &'a Raw)>,
    restrictive: Vec<(&'a Policy, &'a Raw)>,
}

impl<'a> Conditions<'a> {
    fn of(policies: &[&'a Policy], clause: impl Fn(&'a Policy) -> Option<&'a Raw>) -> Self {
        let all = |restrictive| {
            let those = policies.iter().filter(move |policy| policy.restrictive == restrictive);
            those.filter_map(|policy| Some((*policy, clause(policy)?))).collect::<Vec<_>>()
        };
        let permissive = all(false);
        let restrictive = if permissive.is_empty() { Vec::new() } else { all(true) };
        Self { permissive, restrictive }
    }

    fn iter(&self) -> impl Iterator<Item = (&'a Policy, &'a Raw)> {
        self.permissive.iter().chain(&self.restrictive).copied()
    }

    /// The tables whose grants PostgreSQL asks for: its planner drops a subquery that constants decide or that a
    /// repeated side of an OR makes superfluous, and the permission check with it. Each is planned by itself: one that
    /// is never true spares the others nothing.
    fn asked(&self, doubt: Doubt, select: &mut impl FnMut(&RawSelect)) {
        let open: Vec<Raw> = self.permissive.iter().map(|(_, raw)| (*raw).clone()).collect();
        // One without others, and none at all, are a junction too.
        let either = Raw { kind: RawKind::Or(open), line: 0 };
        for raw in std::iter::once(&either).chain(self.restrictive.iter().map(|(_, raw)| *raw)) {
            constant::live(raw, doubt, select);
        }
    }

    /// The permissive policies that another makes superfluous with all that they read, as `a` does with
    /// `a AND EXISTS (..)`: the planner leaves one side of an OR alone only where it says all that the OR comes to.
    fn absorbed(&self, doubt: Doubt) -> Vec<&'a str> {
        let reads = |raw: &Raw| {
            let mut any = false;
            constant::live(raw, doubt, &mut |_| any = true);
            any
        };
        if self.permissive.len() < 2 || !self.permissive.iter().any(|(_, raw)| reads(raw)) {
            return Vec::new();
        }
        let all = self.permissive.iter().map(|(_, raw)| (*raw).clone()).collect();
        let whole = reduced(&Raw { kind: RawKind::Or(all), line: 0 }, doubt);
        let Some(stays) = self.permissive.iter().position(|(_, raw)| reduced(raw, doubt) == whole) else {
            return Vec::new();
        };
        let others = self.permissive.iter().enumerate().filter(|(at, (_, raw))| *at != stays && reads(raw));
        others.map(|(_, (policy, _))| policy.name.as_str()).collect()
    }
}

impl<'a> Reach<'a> {
    pub(super) fn new(catalog: &'a Catalog, role: Role) -> Self {
        Self { catalog, role, doubt: Doubt::Different }
    }

    /// Refuses where it cannot be told whether PostgreSQL asks for a grant that the role does not hold. `hidden`: the
    /// tables of which columns are read that it was not granted.
    pub(super) fn doubted(
        &self,
        table: &'a Guarded,
        command: Command,
        hidden: &[String],
    ) -> Option<PolicyError> {
        let other = Self { doubt: Doubt::Same, ..*self };
        let inner = match (self.denied(table, command), other.denied(table, command)) {
            (Some(_), Some(_)) => return None,
            (None, None) => hidden
                .iter()
                .find(|name| {
                    self.partly(table, command, name) != other.partly(table, command, name)
                        || self.partly(table, command, name) == Part::Some
                })?
                .clone(),
            (one, two) => one.or(two)?,
        };
        let role = self.role.as_str();
        let construct = format!(
            "policies on {}: PostgreSQL's planner may leave out what they read of {inner} and {role} may not",
            table.name
        );
        let help = format!(
            "GRANT SELECT ON {inner} TO {role}, or spell alike what is the same in an OR and leave out what constants \
             decide"
        );
        let line = table.policies.first().map_or(table.line, |policy| policy.line);
        Some(PolicyError::new(&self.catalog.file, line, construct, help))
    }

    /// How much of what the statement's policies read of a table PostgreSQL asks for.
    fn partly(&self, table: &'a Guarded, command: Command, name: &str) -> Part {
        let (mut named, mut asked) = (0_usize, 0_usize);
        let count = |select: &RawSelect| {
            let tables = select.sources.iter().filter_map(RawSource::table);
            tables.filter(|other| other.eq_ignore_ascii_case(name)).count()
        };
        let [using, check] = self.conditions(table, command);
        for (_, raw) in using.iter().chain(check.iter()) {
            raw.walk(&mut |_| {}, &mut |select| named += count(select));
        }
        using.asked(self.doubt, &mut |select| asked += count(select));
        check.asked(self.doubt, &mut |select| asked += count(select));
        match asked {
            0 => Part::None,
            _ if asked < named => Part::Some,
            _ => Part::All,
        }
    }

    fn conditions(&self, table: &'a Guarded, command: Command) -> [Conditions<'a>; 2] {
        let policies: Vec<&Policy> =
            table.policies.iter().filter(|policy| policy.applies(self.role, command)).collect();
        let none: &[&Policy] = &[];
        let using = if command == Command::Insert { none } else { &policies };
        let check = if matches!(command, Command::Insert | Command::Update) { &policies } else { none };
        [Conditions::of(using, |policy| policy.using.as_ref()), Conditions::of(check, Policy::check)]
    }

    /// The policies that others make superfluous, in USING and in WITH CHECK.
    pub(super) fn absorbed(&self, table: &'a Guarded, command: Command) -> [Vec<&'a str>; 2] {
        self.conditions(table, command).map(|conditions| conditions.absorbed(self.doubt))
    }

    /// The tables that the statement's policies read; `None` if those hold no subquery at all, in either clause.
    fn read_by(&self, table: &'a Guarded, command: Command) -> Option<Vec<String>> {
        let conditions = self.conditions(table, command);
        let all = || conditions.iter().flat_map(Conditions::iter);
        all().any(|(policy, _)| has_subquery(policy)).then(|| inner_tables(all().map(|(_, raw)| raw)))
    }

    fn asked_by(&self, table: &'a Guarded, command: Command) -> Vec<String> {
        let mut found = Vec::new();
        let [using, check] = self.conditions(table, command);
        using.asked(self.doubt, &mut |select| push_sources(select, &mut found));
        check.asked(self.doubt, &mut |select| push_sources(select, &mut found));
        found
    }

    /// The tables that the statement's policies name in a subquery which constants decide: PostgreSQL's planner drops
    /// it, and asks for nothing in it.
    pub(super) fn left_out(&self, table: &'a Guarded, command: Command) -> Vec<String> {
        let asked = self.asked_by(table, command);
        let mut named = self.read_by(table, command).unwrap_or_default();
        named.retain(|name| !asked.iter().any(|other| other.eq_ignore_ascii_case(name)));
        named
    }

    /// The first table that the role may not use: this one, or one that its policies read, at any depth.
    pub(super) fn denied(&self, table: &'a Guarded, command: Command) -> Option<String> {
        let mut seen = Vec::new();
        self.denied_from(table, command, &mut seen)
    }

    fn denied_from(&self, table: &'a Guarded, command: Command, seen: &mut Vec<&'a str>) -> Option<String> {
        if !table.grants.holds_some(self.role, command) {
            return Some(table.name.clone());
        }
        for name in self.asked_by(table, command) {
            let Some(inner) = self.catalog.table(&name) else { return Some(name) };
            if !seen.contains(&inner.name.as_str()) {
                seen.push(&inner.name);
                if let Some(denied) = self.denied_from(inner, Command::Select, seen) {
                    return Some(denied);
                }
            }
        }
        None
    }

    /// Every policy whose own table is reached again, as rewriteHandler.c finds them: a table whose policies
    /// hold any subquery, even `(SELECT auth.uid())`, may not be entered twice on one way.
    pub(super) fn recursions(&self) -> Vec<PolicyError> {
        let mut errors = Vec::new();
        for table in self.catalog.tables.iter().filter(|table| table.enabled) {
            for command in Command::ALL {
                let mut way = Vec::new();
                if let Some(chain) = self.enter(table, command, &mut way) {
                    errors.push(self.recursion(table, command, &chain));
                }
            }
        }
        errors
    }

    fn enter(&self, table: &'a Guarded, command: Command, way: &mut Vec<&'a str>) -> Option<Vec<String>> {
        let inner = self.read_by(table, command)?;
        let again = way.contains(&table.name.as_str());
        way.push(&table.name);
        if again {
            return Some(way.iter().map(|name| (*name).to_owned()).collect());
        }
        for name in inner {
            if let Some(inner) = self.catalog.table(&name).filter(|inner| inner.enabled)
                && let Some(chain) = self.enter(inner, Command::Select, way)
            {
                return Some(chain);
            }
        }
        way.pop();
        None
    }

    fn recursion(&self, table: &Guarded, command: Command, chain: &[String]) -> PolicyError {
        let conditions = self.conditions(table, command);
        let policy = conditions
            .iter()
            .flat_map(Conditions::iter)
            .map(|(policy, _)| policy)
            .find(|policy| has_subquery(policy))
            .map_or((table.line, String::new()), |policy| {
                (policy.line, format!("policy \"{}\" on ", policy.name))
            });
        let relation = chain.last().map_or("", String::as_str);
        let construct = format!(
            "{}{}: infinite recursion detected in policy for relation \"{relation}\" (42P17): {}",
            policy.1,
            table.name,
            chain.join(" -> ")
        );
        let help = format!(
            "let the SELECT policies of \"{relation}\" do without a subquery, for example USING (user_id = \
             auth.uid()), with auth.uid() not wrapped in (SELECT ..): PostgreSQL counts that as one"
        );
        PolicyError::new(&self.catalog.file, policy.0, construct, help)
    }
}

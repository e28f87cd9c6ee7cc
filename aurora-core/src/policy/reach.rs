//! Which tables a policy leads to by its own text: PostgreSQL's 42P17.

use super::catalog::{Catalog, Guarded};
use super::error::PolicyError;
use super::raw::Raw;
use super::schema::Command;
use crate::types::Role;

pub(super) struct Reach<'a> {
    catalog: &'a Catalog,
    role: Role,
}

/// The tables of an expression's subqueries; `None` if it has no subquery at all. What a function reads is not seen
/// here, as PostgreSQL's rewriter does not see it.
fn inner_tables<'a>(expressions: impl Iterator<Item = &'a Raw>) -> Option<Vec<String>> {
    let mut found = None;
    for raw in expressions {
        raw.walk(&mut |_| {}, &mut |select| {
            let tables: &mut Vec<String> = found.get_or_insert_default();
            for table in select.sources.iter().filter_map(|source| source.table()) {
                if !tables.iter().any(|other| other == table) {
                    tables.push(table.to_owned());
                }
            }
        });
    }
    found
}

impl<'a> Reach<'a> {
    pub(super) fn new(catalog: &'a Catalog, role: Role) -> Self {
        Self { catalog, role }
    }

    fn read_by(&self, table: &'a Guarded, command: Command) -> Option<Vec<String>> {
        let policies = table.policies.iter().filter(|policy| policy.applies(self.role, command));
        inner_tables(policies.flat_map(|policy| policy.expressions(command)))
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
        let policy = table
            .policies
            .iter()
            .find(|policy| {
                policy.applies(self.role, command) && inner_tables(policy.expressions(command)).is_some()
            })
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

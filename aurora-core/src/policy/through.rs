//! What reaches a table through others: denials of functions, and circles that only running would find.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Catalog;
use super::error::PolicyError;
use super::evaluate::Claimed;
use super::expr::Expr;
use super::known;
use super::lower::AllVerdicts;
use super::predicate::Predicate;
use super::schema::{Command, Schema};
use crate::types::Role;

/// What a function or a column denies, it denies to every policy that leads to it; tables are asked for by
/// [`Reach`].
pub(super) fn deny_through(guarded: &mut AllVerdicts) {
    let mut through = Vec::new();
    for (table, verdicts) in &*guarded {
        for (role, asked) in verdicts.keys() {
            let mut open = vec![(table.as_str(), *asked)];
            let mut seen = BTreeSet::new();
            while let Some((name, command)) = open.pop() {
                if !seen.insert((name, command)) {
                    continue;
                }
                let verdict = guarded.get(name).and_then(|verdicts| verdicts.get(&(*role, command)));
                let denied = verdict.and_then(|verdict| verdict.called.clone());
                if let Some(denied) = denied {
                    through.push((table.clone(), *role, *asked, denied));
                    break;
                }
                let reads = verdict.into_iter().flat_map(|verdict| &verdict.reads);
                open.extend(reads.map(|read| (read.as_str(), Command::Select)));
            }
        }
    }
    for (table, role, command, denied) in through {
        if let Some(verdict) = guarded.get_mut(&table).and_then(|verdicts| verdicts.get_mut(&(role, command)))
        {
            verdict.denied.get_or_insert(denied);
        }
    }
}

/// Tables that lead back to themselves through what functions read, which PostgreSQL finds only when it runs.
pub(super) fn circles(catalog: &Catalog, guarded: &AllVerdicts, role: Role) -> Vec<PolicyError> {
    let reads = |name: &str| {
        let verdict = guarded.get(name).and_then(|verdicts| verdicts.get(&(role, Command::Select)));
        verdict.into_iter().flat_map(|verdict| &verdict.reads)
    };
    let mut errors = Vec::new();
    for table in guarded.keys() {
        let mut open: Vec<Vec<&str>> = vec![vec![table.as_str()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = open.pop() {
            let Some(last) = way.last() else { continue };
            for next in reads(last) {
                let mut further = way.clone();
                further.push(next);
                if next == table {
                    let line = catalog.table(table).map_or(1, |own| {
                        let lines =
                            own.policies.iter().filter(|policy| policy.applies(role, Command::Select));
                        lines.map(|policy| policy.line).min().unwrap_or(own.line)
                    });
                    let construct = format!(
                        "policies on {table} recurse through a function (54001): {}",
                        further.join(" -> ")
                    );
                    let help = "make the function SECURITY DEFINER, so that it reads its tables without their \
                                policies";
                    errors.push(PolicyError::new(&catalog.file, line, construct, help));
                    return errors;
                }
                if seen.insert(next.as_str()) {
                    open.push(further);
                }
            }
        }
    }
    errors
}

/// Every predicate with the table whose rows it guards.
pub(super) fn predicates(guarded: &AllVerdicts) -> impl Iterator<Item = (&str, &Expr)> {
    let conditions = guarded.iter().flat_map(|(table, verdicts)| {
        verdicts.values().flat_map(move |verdict| {
            let checks = verdict.checks.iter().map(|check| &check.predicate);
            checks.chain(std::iter::once(&verdict.using)).map(move |predicate| (table, predicate))
        })
    });
    conditions.filter_map(|(table, predicate)| match predicate {
        Predicate::Expr(lowering) => Some((table.as_str(), lowering.expr())),
        Predicate::True | Predicate::False => None,
    })
}

pub(super) fn claimed(guarded: &AllVerdicts, schema: &Schema) -> BTreeMap<Role, Vec<Claimed>> {
    let of = |role: Role| {
        let verdicts = guarded.values().flatten().filter(move |((own, _), _)| *own == role);
        let exprs = verdicts.filter_map(|(_, verdict)| match &verdict.using {
            Predicate::Expr(lowering) => Some(lowering.expr()),
            Predicate::True | Predicate::False => None,
        });
        known::conditions(exprs).into_iter().map(|expr| Claimed::new(schema, expr)).collect()
    };
    [Role::Anon, Role::Authenticated].into_iter().map(|role| (role, of(role))).collect()
}

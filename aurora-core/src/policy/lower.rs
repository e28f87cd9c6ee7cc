//! Policies combined per table, role and command, as PostgreSQL's rewriter does (rowsecurity.c).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::{Catalog, Guarded, Policy};
use super::check::Checker;
use super::error::{PolicyError, PolicyErrors, PolicyWarning};
use super::expr::{Expr, ROW};
use super::index::{self, WantedIndex};
use super::one_row;
use super::optimise::optimise;
use super::raw::Raw;
use super::reach::Reach;
use super::render::{self, ALIAS, Names};
use super::schema::{Command, Schema, Table};
use crate::types::Role;

/// Policies that fit a schema, ready to print. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lowered(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    guarded: BTreeMap<String, BTreeMap<(Role, Command), Verdict>>,
    service: BTreeMap<(String, Command), bool>,
    warnings: Vec<PolicyWarning>,
    indexes: Vec<WantedIndex>,
}

/// What one role may do to one table by one command.
#[derive(Debug)]
struct Verdict {
    /// The table to which PostgreSQL would deny permission: this one, or one that a policy reads.
    denied: Option<String>,
    using: Predicate,
    checks: Vec<Check>,
}

/// Which rows a statement may touch.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// None.
    False,
    /// All.
    True,
    /// Those for which it is true; false and NULL mean no.
    Expr(Lowering),
}

/// What every new row must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The condition; a row for which it is not true fails the statement. Never [`Predicate::True`].
    pub predicate: Predicate,
    /// PostgreSQL's error text, SQLSTATE 42501.
    pub message: String,
    /// The restrictive policy, or `None` for the permissive ones together.
    pub policy: Option<String>,
}

/// A condition on a row, printed anew for each place it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowering {
    expr: Arc<Expr>,
    tables: Arc<[String]>,
    columns: Arc<[String]>,
}

impl Lowering {
    fn new(expr: Expr) -> Self {
        let (mut tables, mut columns): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        expr.walk(&mut |part| {
            if let Expr::Column { source: ROW, name } = part
                && !columns.contains(name)
            {
                columns.push(name.clone());
            }
            for (_, table) in part.select().into_iter().flat_map(|select| &select.sources) {
                if !tables.contains(table) {
                    tables.push(table.clone());
                }
            }
        });
        Self { expr: Arc::new(expr), tables: tables.into(), columns: columns.into() }
    }

    /// The condition as SQLite text, in parentheses of its own.
    pub fn render(&self, names: &dyn Names) -> String {
        render::render(&self.expr, names)
    }

    /// The same condition for a row that is found otherwise, by its key: a membership is asked for that row alone
    /// instead of listed.
    pub fn render_for_one_row(&self, names: &dyn Names) -> String {
        render::render(&one_row::asked(&self.expr, &|_| false), names)
    }

    /// The same condition for the first few of many rows in an order of their own: what is not about who asks is
    /// asked row by row. `inner` is [`Lowering::personal`] of an inner table's policies.
    pub fn render_for_first_rows(&self, names: &dyn Names, inner: &dyn Fn(&str) -> bool) -> String {
        render::render(&one_row::first(&self.expr, inner), names)
    }

    /// Whether it holds for few rows because it is about who asks; `inner` says so of an inner table's policies.
    pub fn personal(&self, inner: &dyn Fn(&str) -> bool) -> bool {
        one_row::personal(&self.expr, inner)
    }

    /// The inner tables it reads, as spelled in the schema.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The columns of the guarded row that it reads, as spelled in the schema.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

impl Lowered {
    /// Whether the policy file speaks of the table; one that it does not name is invisible to users.
    pub fn names(&self, table: &str) -> bool {
        self.0.guarded.contains_key(&table.to_ascii_lowercase())
    }

    /// Whether the role may run the command on the table at all: `GRANT` and `REVOKE` over the default, also
    /// for every table that its policies read. A table that the file does not name is granted to the service
    /// alone.
    pub fn granted(&self, table: &str, role: Role, command: Command) -> bool {
        self.denied(table, role, command).is_none()
    }

    /// PostgreSQL's error text (42501) when the command is not granted.
    pub fn denied(&self, table: &str, role: Role, command: Command) -> Option<String> {
        let key = table.to_ascii_lowercase();
        let denied = match role {
            Role::Service => {
                let held = self.0.service.get(&(key, command)).copied().unwrap_or(true);
                (!held).then(|| table.to_owned())
            }
            _ => match self.verdict(table, role, command) {
                Some(verdict) => verdict.denied.clone(),
                None => Some(table.to_owned()),
            },
        };
        denied.map(|table| format!("permission denied for table {table}"))
    }

    /// Which rows the command may touch: permissive policies ORed, restrictive ones ANDed. An `INSERT` touches
    /// no row, so its answer is [`Predicate::False`]. Grants are asked separately.
    pub fn using(&self, table: &str, role: Role, command: Command) -> Predicate {
        if role == Role::Service {
            return if command == Command::Insert { Predicate::False } else { Predicate::True };
        }
        self.verdict(table, role, command).map_or(Predicate::False, |verdict| verdict.using.clone())
    }

    /// What a new row must satisfy, in PostgreSQL's order: the permissive policies together, then each
    /// restrictive one by name. Empty for `SELECT` and `DELETE`, and where everything is allowed.
    pub fn checks(&self, table: &str, role: Role, command: Command) -> Vec<Check> {
        let writes = matches!(command, Command::Insert | Command::Update);
        if role == Role::Service || !writes {
            return Vec::new();
        }
        match self.verdict(table, role, command) {
            Some(verdict) => verdict.checks.clone(),
            None => {
                vec![Check { predicate: Predicate::False, message: violation(table, None), policy: None }]
            }
        }
    }

    /// Where the file probably does not mean what it says.
    pub fn warnings(&self) -> &[PolicyWarning] {
        &self.0.warnings
    }

    /// Indexes that the policies would use and the schema lacks.
    pub fn wanted_indexes(&self) -> &[WantedIndex] {
        &self.0.indexes
    }

    fn verdict(&self, table: &str, role: Role, command: Command) -> Option<&Verdict> {
        self.0.guarded.get(&table.to_ascii_lowercase())?.get(&(role, command))
    }
}

fn violation(table: &str, policy: Option<&str>) -> String {
    match policy {
        None => format!("new row violates row-level security policy for table \"{table}\""),
        Some(policy) => {
            format!("new row violates row-level security policy \"{policy}\" for table \"{table}\"")
        }
    }
}

pub(super) fn lower(catalog: &Catalog, schema: &Schema) -> Result<Lowered, PolicyErrors> {
    let mut lowering = Lowerer { catalog, schema, errors: Vec::new(), warnings: Vec::new() };
    let mut guarded = BTreeMap::new();
    let mut service = BTreeMap::new();
    for table in &catalog.tables {
        for command in Command::ALL {
            service.insert((table.name.clone(), command), table.grants.holds(Role::Service, command));
        }
        if table.enabled
            && let Some(found) = lowering.find(table)
        {
            guarded.insert(table.name.clone(), lowering.table(table, found));
        }
    }
    lowering.names();
    for role in [Role::Anon, Role::Authenticated] {
        lowering.errors.extend(Reach::new(catalog, role).recursions());
    }
    let indexes = index::wanted(schema, predicates(&guarded));
    let mut warnings: Vec<PolicyWarning> = Vec::new();
    for warning in lowering.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings.sort_by_key(PolicyWarning::line);
    let inner = Inner { guarded, service, warnings, indexes };
    PolicyErrors::unless_empty(lowering.errors, Lowered(Arc::new(inner)))
}

/// Every predicate with the table whose rows it guards.
fn predicates(
    guarded: &BTreeMap<String, BTreeMap<(Role, Command), Verdict>>,
) -> impl Iterator<Item = (&str, &Expr)> {
    let conditions = guarded.iter().flat_map(|(table, verdicts)| {
        verdicts.values().flat_map(move |verdict| {
            let checks = verdict.checks.iter().map(|check| &check.predicate);
            checks.chain(std::iter::once(&verdict.using)).map(move |predicate| (table, predicate))
        })
    });
    conditions.filter_map(|(table, predicate)| match predicate {
        Predicate::Expr(lowering) => Some((table.as_str(), &*lowering.expr)),
        Predicate::True | Predicate::False => None,
    })
}

struct Lowerer<'a> {
    catalog: &'a Catalog,
    schema: &'a Schema,
    errors: Vec<PolicyError>,
    warnings: Vec<PolicyWarning>,
}

impl<'a> Lowerer<'a> {
    fn find(&mut self, table: &Guarded) -> Option<&'a Table> {
        let found = self.schema.table(&table.name);
        if found.is_none() {
            let construct = format!("table `{}` does not exist", table.name);
            let help = "correct the name (auth.users is auth_users here) or add a migration";
            self.errors.push(PolicyError::new(&self.catalog.file, table.line, construct, help));
        }
        if table.policies.is_empty() {
            let message = format!(
                "{}: row level security without a policy: nobody but service_role sees a row",
                table.name
            );
            self.warnings.push(PolicyWarning { file: self.catalog.file.clone(), line: table.line, message });
        }
        found
    }

    /// The aliases of inner tables must be nobody else's names.
    fn names(&mut self) {
        for table in &self.schema.tables {
            if table.name.to_ascii_lowercase().contains(ALIAS) {
                let construct = format!("table `{}` of the schema", table.name);
                let help = "rename it: Aurora keeps names with `aurora~` for itself";
                self.errors.push(PolicyError::new(&self.catalog.file, 1, construct, help));
            }
        }
    }

    fn table(&mut self, table: &Guarded, found: &'a Table) -> BTreeMap<(Role, Command), Verdict> {
        let mut verdicts = BTreeMap::new();
        for role in [Role::Anon, Role::Authenticated] {
            let reach = Reach::new(self.catalog, role);
            for command in Command::ALL {
                let applicable: Vec<&Policy> =
                    table.policies.iter().filter(|policy| policy.applies(role, command)).collect();
                let checks = match command {
                    Command::Insert | Command::Update => self.checks(found, role, &applicable),
                    Command::Select | Command::Delete => Vec::new(),
                };
                let using = match command {
                    Command::Insert => Predicate::False,
                    _ => self.using(found, role, &applicable),
                };
                let denied = reach.denied(table, command);
                verdicts.insert((role, command), Verdict { denied, using, checks });
            }
            // A policy that no role runs is checked too: `applies` covers all but those TO service_role.
            for policy in table.policies.iter().filter(|policy| policy.roles == [Role::Service]) {
                for raw in policy.using.iter().chain(&policy.check) {
                    self.condition(found, Role::Authenticated, policy, raw);
                }
            }
        }
        verdicts
    }

    fn using(&mut self, found: &'a Table, role: Role, applicable: &[&Policy]) -> Predicate {
        let mut permissive = Vec::new();
        let mut restrictive = Vec::new();
        for policy in applicable {
            let Some(raw) = &policy.using else { continue };
            let condition = self.condition(found, role, policy, raw);
            if policy.restrictive { restrictive.push(condition) } else { permissive.push(condition) }
        }
        let mut all = vec![Expr::Or(permissive)];
        all.append(&mut restrictive);
        predicate(Expr::And(all))
    }

    fn checks(&mut self, found: &'a Table, role: Role, applicable: &[&Policy]) -> Vec<Check> {
        let mut permissive = Vec::new();
        let mut restrictive = Vec::new();
        for policy in applicable {
            let Some(raw) = policy.check() else { continue };
            let condition = self.condition(found, role, policy, raw);
            if policy.restrictive {
                restrictive.push((policy.name.clone(), condition));
            } else {
                permissive.push(condition);
            }
        }
        let mut checks = vec![Check {
            predicate: predicate(Expr::Or(permissive)),
            message: violation(&found.name, None),
            policy: None,
        }];
        checks.extend(restrictive.into_iter().map(|(name, condition)| Check {
            predicate: predicate(condition),
            message: violation(&found.name, Some(&name)),
            policy: Some(name),
        }));
        checks.retain(|check| check.predicate != Predicate::True);
        checks
    }

    fn condition(&mut self, found: &'a Table, role: Role, policy: &Policy, raw: &Raw) -> Expr {
        let mut checker = Checker::new(self.catalog, self.schema, found, role, policy);
        let expr = checker.condition(raw, true);
        self.errors.append(&mut checker.errors);
        self.warnings.append(&mut checker.warnings);
        expr
    }
}

fn predicate(expr: Expr) -> Predicate {
    match optimise(expr, true) {
        Expr::Bool(true) => Predicate::True,
        Expr::Bool(false) | Expr::Null => Predicate::False,
        other => Predicate::Expr(Lowering::new(other)),
    }
}

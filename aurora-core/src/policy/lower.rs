//! Policies combined per table, role and command, as PostgreSQL's rewriter does (rowsecurity.c).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::catalog::{Catalog, Guarded, Policy};
use super::check::{Checker, Ground};
use super::error::{PolicyError, PolicyErrors, PolicyWarning};
use super::evaluate::Claimed;
use super::expr::Expr;
use super::functions::{Body, Function, FunctionName};
use super::grants::Columns;
use super::hidden;
use super::host::HostFunction;
use super::index::{self, WantedIndex};
use super::optimise::optimise;
use super::predicate::{Check, Predicate, predicate};
use super::raw::Raw;
use super::reach::Reach;
use super::render::ALIAS;
use super::schema::{Command, Schema, Table};
use super::through::{circles, claimed, deny_through, predicates};
use crate::types::Role;

/// Policies that fit a schema, ready to print. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lowered(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: Arc<str>,
    schema: Schema,
    /// The policies of each table one by one, for the evaluator; a policy for several commands stands once.
    parts: BTreeMap<(String, Role), Vec<Part>>,
    guarded: BTreeMap<String, BTreeMap<(Role, Command), Verdict>>,
    service: BTreeMap<(String, Command), bool>,
    columns: BTreeMap<(String, Role, Command), Columns>,
    functions: Vec<Function>,
    warnings: Vec<PolicyWarning>,
    indexes: Vec<WantedIndex>,
    /// The conditions that claims alone decide, by the role whose policies they stand in.
    claimed: BTreeMap<Role, Vec<Claimed>>,
}

/// What one role may do to one table by one command.
#[derive(Debug)]
pub(super) struct Verdict {
    /// What PostgreSQL would deny permission for: this table, one that a policy reads, a function it calls.
    pub(super) denied: Option<String>,
    /// Of that, what a function or a column in its own policies denies.
    pub(super) called: Option<String>,
    /// The tables that its policies read under their own.
    pub(super) reads: BTreeSet<String>,
    pub(super) using: Predicate,
    pub(super) checks: Vec<Check>,
}

/// One policy as one role runs it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) policy: String,
    pub(super) line: u64,
    pub(super) restrictive: bool,
    /// Absent: every command.
    pub(super) command: Option<Command>,
    using: Option<Expr>,
    /// Absent: `using` stands in for it.
    check: Option<Expr>,
    of_using: Used,
    of_check: Used,
    /// Where others make it superfluous, with all that it reads: for that command, and in WITH CHECK or not.
    absorbed: Vec<(Command, bool)>,
}

impl Part {
    /// What old rows, or with `check` new rows, must satisfy.
    pub(super) fn expr(&self, check: bool) -> Option<&Expr> {
        if check { self.check.as_ref().or(self.using.as_ref()) } else { self.using.as_ref() }
    }

    /// What that expression uses.
    fn used(&self, check: bool) -> &Used {
        if check && self.check.is_some() { &self.of_check } else { &self.of_using }
    }

    fn applies(&self, command: Command) -> bool {
        self.command.is_none_or(|own| own == command)
    }
}

impl Lowered {
    /// Whether the policy file speaks of the table; one that it does not name is invisible to users.
    pub fn names(&self, table: &str) -> bool {
        self.0.guarded.contains_key(&table.to_ascii_lowercase())
    }

    /// Whether the role may run the command on the table at all: `GRANT` and `REVOKE` over the default, also
    /// for every table that its policies read. A grant on some columns is enough here: [`Lowered::columns`] has
    /// which. A table that the file does not name is granted to the service alone.
    pub fn granted(&self, table: &str, role: Role, command: Command) -> bool {
        self.denied(table, role, command).is_none()
    }

    /// PostgreSQL's error text (42501) when the command is not granted.
    pub fn denied(&self, table: &str, role: Role, command: Command) -> Option<String> {
        let key = table.to_ascii_lowercase();
        let denied = match role {
            Role::Service => {
                let held = self.0.service.get(&(key, command)).copied().unwrap_or(true);
                (!held).then(|| format!("table {table}"))
            }
            _ => match self.verdict(table, role, command) {
                Some(verdict) => verdict.denied.clone(),
                None => Some(format!("table {table}")),
            },
        };
        denied.map(|what| format!("permission denied for {what}"))
    }

    /// Which columns the role may read, give on INSERT or change: `SELECT *` needs all, a `WHERE`, a `RETURNING`
    /// and the right side of a `SET` need SELECT on what they name. `DELETE` has no columns of its own.
    pub fn columns(&self, table: &str, role: Role, command: Command) -> Columns {
        let known = self.0.columns.get(&(table.to_ascii_lowercase(), role, command));
        known.cloned().unwrap_or(Columns::All)
    }

    /// The functions of the host's that lowered text calls, for the guard to register beside
    /// [`FUNCTIONS`](super::functions::FUNCTIONS).
    pub fn functions(&self) -> &[Function] {
        &self.0.functions
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

    pub(super) fn file(&self) -> &Arc<str> {
        &self.0.file
    }

    pub(super) fn claimed(&self, role: Role) -> &[Claimed] {
        self.0.claimed.get(&role).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.0.schema
    }

    /// The policies that apply, in the order of their names. What PostgreSQL does not look at is not among them, and
    /// is asked for no facts: those may be another's to read.
    pub(super) fn parts(
        &self,
        table: &str,
        role: Role,
        command: Command,
        check: bool,
    ) -> impl Iterator<Item = &Part> {
        let parts = self.0.parts.get(&(table.to_ascii_lowercase(), role));
        let stays = move |part: &&Part| !part.absorbed.contains(&(command, check));
        parts.into_iter().flatten().filter(move |part| part.applies(command)).filter(stays)
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

pub(super) fn lower(
    catalog: &Catalog,
    host: &[HostFunction],
    schema: &Schema,
) -> Result<Lowered, PolicyErrors> {
    let ground = Ground { catalog, host, schema };
    let mut lowering = Lowerer { ground, errors: Vec::new(), warnings: Vec::new() };
    let mut guarded = BTreeMap::new();
    let mut service = BTreeMap::new();
    let mut parts = BTreeMap::new();
    let mut columns = BTreeMap::new();
    for table in &catalog.tables {
        for command in Command::ALL {
            service.insert((table.name.clone(), command), table.grants.holds(Role::Service, command));
            for role in Role::ALL {
                columns.insert((table.name.clone(), role, command), table.grants.columns(role, command));
            }
        }
        if table.enabled
            && let Some(found) = lowering.find(table)
        {
            guarded.insert(table.name.clone(), lowering.table(table, found, &mut parts));
        }
    }
    lowering.names();
    lowering.routines();
    for role in [Role::Anon, Role::Authenticated] {
        let mut found = Reach::new(catalog, role).recursions();
        if found.is_empty() {
            found = circles(catalog, &guarded, role);
        }
        lowering.errors.append(&mut found);
    }
    deny_through(&mut guarded);
    let indexes = index::wanted(schema, predicates(&guarded));
    let mut warnings: Vec<PolicyWarning> = Vec::new();
    for warning in lowering.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings.sort_by_key(PolicyWarning::line);
    let functions = host.iter().enumerate().map(|(at, function)| Function {
        name: FunctionName::Host(at).as_str(),
        arity: u8::try_from(function.parameters.len()).ok(),
        deterministic: true,
        body: Body::Host(Arc::clone(&function.body)),
    });
    let functions = functions.collect();
    let (file, schema) = (Arc::clone(&catalog.file), schema.clone());
    let claimed = claimed(&guarded, &schema);
    let inner =
        Inner { file, schema, parts, guarded, service, columns, functions, warnings, indexes, claimed };
    PolicyErrors::unless_empty(lowering.errors, Lowered(Arc::new(inner)))
}

pub(super) type AllVerdicts = BTreeMap<String, BTreeMap<(Role, Command), Verdict>>;

pub(super) struct Lowerer<'a> {
    pub(super) ground: Ground<'a>,
    errors: Vec<PolicyError>,
    pub(super) warnings: Vec<PolicyWarning>,
}

impl<'a> Lowerer<'a> {
    fn find(&mut self, table: &Guarded) -> Option<&'a Table> {
        let found = self.ground.schema.table(&table.name);
        if found.is_none() {
            let construct = format!("table `{}` does not exist", table.name);
            let help = "correct the name (auth.users is auth_users here) or add a migration";
            self.errors.push(PolicyError::new(&self.ground.catalog.file, table.line, construct, help));
        }
        if table.policies.is_empty() {
            let message = format!(
                "{}: row level security without a policy: nobody but service_role sees a row",
                table.name
            );
            self.warnings.push(PolicyWarning {
                file: self.ground.catalog.file.clone(),
                line: table.line,
                message,
            });
        }
        found
    }

    /// The aliases of inner tables must be nobody else's names.
    fn names(&mut self) {
        for table in &self.ground.schema.tables {
            if table.name.to_ascii_lowercase().contains(ALIAS) {
                let construct = format!("table `{}` of the schema", table.name);
                let help = "rename it: Aurora keeps names with `aurora~` for itself";
                self.errors.push(PolicyError::new(&self.ground.catalog.file, 1, construct, help));
            }
        }
    }

    fn table(
        &mut self,
        table: &Guarded,
        found: &'a Table,
        parts: &mut BTreeMap<(String, Role), Vec<Part>>,
    ) -> BTreeMap<(Role, Command), Verdict> {
        let mut verdicts = BTreeMap::new();
        for role in [Role::Anon, Role::Authenticated] {
            let mut own: Vec<Part> = table
                .policies
                .iter()
                .filter(|policy| Command::ALL.iter().any(|command| policy.applies(role, *command)))
                .map(|policy| self.part(found, role, policy))
                .collect();
            for command in Command::ALL {
                let absorbed = Reach::new(self.ground.catalog, role).absorbed(table, command);
                for (names, check) in absorbed.iter().zip([false, true]) {
                    let there = own.iter_mut().filter(|part| names.contains(&part.policy.as_str()));
                    there.for_each(|part| part.absorbed.push((command, check)));
                }
            }
            for command in Command::ALL {
                let left = |check| {
                    let stays = |part: &&Part| !part.absorbed.contains(&(command, check));
                    own.iter().filter(|part| part.applies(command)).filter(stays).collect::<Vec<_>>()
                };
                let denied = Reach::new(self.ground.catalog, role).denied(table, command);
                let denied = denied.map(|table| format!("table {table}"));
                let mut used = Used::default();
                let checks = match command {
                    Command::Insert | Command::Update => checks(found, &left(true), &mut used),
                    Command::Select | Command::Delete => Vec::new(),
                };
                let using = match command {
                    Command::Insert => Predicate::False,
                    _ => using(&left(false), &mut used),
                };
                let Used { denied: called, hidden, reads } = used;
                let reach = Reach::new(self.ground.catalog, role);
                let doubted = reach.doubted(table, command, &hidden);
                self.errors.extend(doubted.filter(|one| !self.errors.contains(one)));
                let called = called.or_else(|| hidden::told(&hidden, &reach.left_out(table, command)));
                verdicts.insert((role, command), Verdict { denied, called, reads, using, checks });
            }
            if role == Role::Authenticated {
                for policy in &table.policies {
                    self.lint(found, policy);
                }
            }
            parts.insert((table.name.clone(), role), own);
            // A policy that no role runs is checked too: `applies` covers all but those TO service_role.
            for policy in table.policies.iter().filter(|policy| policy.roles == [Role::Service]) {
                self.part(found, Role::Authenticated, policy);
            }
        }
        verdicts
    }

    fn part(&mut self, found: &'a Table, role: Role, policy: &Policy) -> Part {
        let mut expr = |raw: &Option<Raw>, used: &mut Used| {
            let condition = raw.as_ref().map(|raw| self.condition(found, role, policy, raw, used));
            condition.map(|condition| optimise(condition, true))
        };
        let (mut of_using, mut of_check) = (Used::default(), Used::default());
        Part {
            policy: policy.name.clone(),
            line: policy.line,
            restrictive: policy.restrictive,
            command: policy.command,
            using: expr(&policy.using, &mut of_using),
            check: expr(&policy.check, &mut of_check),
            of_using,
            of_check,
            absorbed: Vec::new(),
        }
    }

    pub(super) fn condition(
        &mut self,
        found: &'a Table,
        role: Role,
        policy: &Policy,
        raw: &Raw,
        used: &mut Used,
    ) -> Expr {
        let mut checker = Checker::new(self.ground, found, role, policy);
        let expr = checker.condition(raw, true);
        self.errors.append(&mut checker.errors);
        self.warnings.append(&mut checker.warnings);
        used.reads.extend(checker.reads);
        used.denied = used.denied.take().or(checker.denied);
        used.hidden.extend(hidden::columns(self.ground, &expr, &checker.whole, role));
        expr
    }

    /// A body outside the subset that nobody registered is told even where nothing calls it: it was written to be
    /// called.
    fn routines(&mut self) {
        for routine in &self.ground.catalog.routines {
            let Err((line, construct, help)) = &routine.body else { continue };
            if self.ground.host.iter().any(|other| other.name == routine.name) {
                continue;
            }
            let construct = format!("function {}(): {construct}", routine.name);
            self.errors.push(PolicyError::new(&self.ground.catalog.file, *line, construct, help.as_str()));
        }
    }
}

/// What the policies of one verdict use.
#[derive(Debug, Default)]
pub(super) struct Used {
    denied: Option<String>,
    /// Inner tables of which it reads a column that is not granted.
    hidden: Vec<String>,
    reads: BTreeSet<String>,
}

impl Used {
    /// What a restrictive policy uses counts only beside a permissive one: PostgreSQL leaves it out otherwise.
    fn add_of(&mut self, part: &Part, check: bool, permits: bool) {
        if permits || !part.restrictive {
            self.add(part.used(check));
        }
    }

    fn add(&mut self, other: &Used) {
        self.denied = self.denied.take().or_else(|| other.denied.clone());
        self.hidden.extend(other.hidden.iter().cloned());
        self.reads.extend(other.reads.iter().cloned());
    }
}

/// A permissive policy has that clause.
fn permits(applicable: &[&Part], check: bool) -> bool {
    applicable.iter().any(|part| !part.restrictive && part.expr(check).is_some())
}

fn using(applicable: &[&Part], used: &mut Used) -> Predicate {
    let permits = permits(applicable, false);
    let mut permissive = Vec::new();
    let mut restrictive = Vec::new();
    for part in applicable {
        let Some(condition) = part.expr(false).cloned() else { continue };
        used.add_of(part, false, permits);
        if part.restrictive { restrictive.push(condition) } else { permissive.push(condition) }
    }
    let mut all = vec![Expr::Or(permissive)];
    all.append(&mut restrictive);
    predicate(Expr::And(all))
}

fn checks(found: &Table, applicable: &[&Part], used: &mut Used) -> Vec<Check> {
    let permits = permits(applicable, true);
    let mut permissive = Vec::new();
    let mut restrictive = Vec::new();
    for part in applicable {
        let Some(condition) = part.expr(true).cloned() else { continue };
        used.add_of(part, true, permits);
        if part.restrictive {
            restrictive.push((part.policy.clone(), condition));
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

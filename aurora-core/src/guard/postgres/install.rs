//! Installing a policy file: what differs from the database, and making it the same.

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::digest;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use crate::policy::Policies;
use crate::policy::postgres::{Grantee, Installation, Installed, Policy, TableName, quote_text};
use crate::store::PostgresOwner;
use crate::types::{Code, Error, Result, quote};

use super::catalog::{Live, LiveGrant, LivePolicy, Relation, take_turns};

/// What a comment of ours starts with.
const MARK: &str = "aurora policy";

/// What to do with policies on the file's tables that Aurora did not install.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignPolicies {
    /// Leave them. [`Guard::open_postgres`](crate::guard::Guard::open_postgres) refuses to start beside them: they
    /// might let through what the file does not.
    #[default]
    Keep,
    /// Remove them.
    Replace,
}

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Change,
    Remove,
    /// Somebody changed in the database what Aurora had installed.
    Drift,
}

#[derive(Clone, Debug)]
struct Change {
    kind: Kind,
    what: String,
    /// Each with when it runs: what is removed first, then types, functions, tables, policies, grants, unused
    /// functions.
    statements: Vec<(u8, String)>,
}

/// What differs between a policy file and a database. `Display` prints it line by line: `+` to add, `~` to change,
/// `-` to remove, `!` changed by somebody else, `?` not Aurora's.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Plan {
    changes: Vec<Change>,
    foreign: Vec<(TableName, String)>,
    /// What no statement of a policy file can mend.
    blocked: Vec<String>,
    warnings: Vec<String>,
}

/// What [`apply`] did.
#[derive(Clone, Debug)]
pub struct Applied {
    plan: Plan,
}

impl Applied {
    /// What was different before.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Plan {
    /// Nothing differs. Policies of others count as a difference.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.foreign.is_empty() && self.blocked.is_empty()
    }

    /// One line for each change that [`apply`] would make.
    pub fn changes(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|change| change.what.as_str())
    }

    /// What somebody changed in the database after Aurora had installed it; among the changes too.
    pub fn drift(&self) -> impl Iterator<Item = &str> {
        let drift = self.changes.iter().filter(|change| change.kind == Kind::Drift);
        drift.map(|change| change.what.as_str())
    }

    /// Policies on the file's tables that Aurora did not install, as `name on table`.
    pub fn foreign(&self) -> impl Iterator<Item = String> {
        self.foreign.iter().map(|(table, name)| format!("policy \"{name}\" on {}", shown(table)))
    }

    /// What of the schema is no difference, but probably not meant.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    /// The statements that [`apply`] would run, in order.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        let mut ordered: Vec<&(u8, String)> =
            self.changes.iter().flat_map(|change| &change.statements).collect();
        ordered.sort_by_key(|(step, _)| *step);
        ordered.into_iter().map(|(_, statement)| statement.as_str())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("the database has the policies of the file\n");
        }
        for change in &self.changes {
            let sign = match change.kind {
                Kind::Add => '+',
                Kind::Change => '~',
                Kind::Remove => '-',
                Kind::Drift => '!',
            };
            let why = if change.kind == Kind::Drift { ": changed by somebody else" } else { "" };
            writeln!(f, "{sign} {}{why}", change.what)?;
        }
        for foreign in self.foreign() {
            writeln!(f, "? {foreign}: not installed by Aurora")?;
        }
        for blocked in &self.blocked {
            writeln!(f, "! {blocked}")?;
        }
        Ok(())
    }
}

/// What differs between the file and the database of this connection, which is in a transaction or makes its own.
///
/// # Errors
/// [`Code::Configuration`] where the policies do not fit the tables.
pub async fn plan(connection: &mut PgConnection, policies: &Policies) -> Result<Plan> {
    let mut transaction = sqlx::Connection::begin(connection).await.map_err(Error::internal)?;
    let live = Live::read(&mut transaction).await?;
    transaction.rollback().await.map_err(Error::internal)?;
    Ok(difference(&policies.native().install(&live.schema), &live))
}

/// Makes the database's policies those of the file, in one transaction. Running it again changes nothing.
///
/// # Errors
/// [`Code::Configuration`] with PostgreSQL's sentence where a statement of the file fails, and for a policy of
/// somebody else's that has a name of the file's.
pub async fn apply(owner: &PostgresOwner, policies: &Policies, foreign: ForeignPolicies) -> Result<Applied> {
    let mut transaction = owner.begin().await?;
    let connection = transaction.connection()?;
    take_turns(connection).await?;
    let live = Live::read(connection).await?;
    if !policies.is_native_only() {
        policies.lower(&live.schema).map_err(|errors| Error::new(Code::Configuration, errors.to_string()))?;
    }
    let installation = policies.native().install(&live.schema);
    let mut plan = difference(&installation, &live);
    if let Some(blocked) = plan.blocked.first() {
        return Err(Error::new(Code::Configuration, blocked.clone()));
    }
    if foreign == ForeignPolicies::Replace {
        plan.replace_foreign();
    }
    run(connection, "SET LOCAL search_path = public, pg_temp").await?;
    for statement in plan.statements() {
        run(connection, statement).await?;
    }
    if !plan.changes.is_empty() {
        for statement in &installation.verbatim {
            run(connection, statement).await?;
        }
        mark(connection, &installation).await?;
    }
    transaction.commit().await?;
    Ok(Applied { plan })
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await;
    done.map(drop).map_err(|error| {
        let why = match error.as_database_error() {
            Some(database) => database.message().to_owned(),
            None => error.to_string(),
        };
        let start: String = statement.chars().take(120).collect();
        Error::new(Code::Configuration, format!("PostgreSQL refuses `{start}`: {why}"))
    })
}

/// Writes beside each policy and function what it was made from, and what it was when it was made.
async fn mark(connection: &mut PgConnection, installation: &Installation) -> Result<()> {
    let live = Live::read(connection).await?;
    for relation in &live.relations {
        let wanted = wanted(installation, relation);
        for policy in &relation.policies {
            let Some(ours) = wanted.iter().find(|ours| ours.name == policy.name) else { continue };
            let comment = comment(&ours.create, &policy.definition, &ours.source);
            if policy.comment.as_deref() != Some(comment.as_str()) {
                let (name, table) = (quote(&policy.name), relation.name.quoted());
                run(connection, &format!("COMMENT ON POLICY {name} ON {table} IS {}", quote_text(&comment)))
                    .await?;
            }
        }
    }
    for function in &live.functions {
        let made = installation.functions.iter().find(|made| made.name == function.name);
        if let Some(made) = made {
            let comment = quote_text(&comment(&made.create, &function.definition, &made.source));
            run(connection, &format!("COMMENT ON FUNCTION {} IS {comment}", function.signature)).await?;
        }
    }
    Ok(())
}

fn comment(created: &str, definition: &str, source: &str) -> String {
    format!("{MARK} {} {}\n{source}", hash(created), hash(definition))
}

/// The two hashes of a comment of ours: of the statement, and of what PostgreSQL made of it.
fn hashes(comment: Option<&str>) -> Option<(&str, &str)> {
    let line = comment?.strip_prefix(MARK)?.lines().next()?.trim();
    line.split_once(' ')
}

fn hash(text: &str) -> String {
    let sum = digest::digest(&digest::SHA256, text.as_bytes());
    sum.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn shown(table: &TableName) -> String {
    if table.schema == "public" { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

/// The policies of ours that a relation should have.
fn wanted(installation: &Installation, relation: &Relation) -> Vec<Policy> {
    if let Some(table) = installed(installation, &relation.name) {
        return table.policies.clone();
    }
    if !relation.carries_policies() {
        return Vec::new();
    }
    let others = Policy::others(&relation.name);
    // Where the host's own row security stands, its policies go on deciding for others.
    let ours = relation.policies.iter().any(|policy| policy.name == others.name);
    let mut wanted =
        vec![Policy::service(&relation.name), Policy::binds(&relation.name, "aurora_service", false)];
    if !relation.row_security || ours {
        wanted.push(others);
    }
    wanted
}

fn installed<'i>(installation: &'i Installation, name: &TableName) -> Option<&'i Installed> {
    installation.tables.iter().find(|table| table.table == *name)
}

pub(super) fn difference(installation: &Installation, live: &Live) -> Plan {
    let mut plan = Plan::default();
    for table in &installation.tables {
        if !live.relations.iter().any(|relation| relation.name == table.table) {
            plan.blocked.push(format!("table {} does not exist: add a migration", shown(&table.table)));
        }
    }
    let schemas: BTreeSet<&str> =
        installation.tables.iter().map(|table| table.table.schema.as_str()).chain(["public"]).collect();
    types(&mut plan, installation, live);
    functions(&mut plan, installation, live);
    for relation in live.relations.iter().filter(|relation| schemas.contains(relation.name.schema.as_str())) {
        let table = installed(installation, &relation.name);
        if relation.carries_policies() && !relation.row_security {
            let enable = format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", relation.name.quoted());
            plan.push(Kind::Add, 3, format!("row level security on {}", shown(&relation.name)), vec![enable]);
        }
        policies(&mut plan, &wanted(installation, relation), relation, table.is_some());
        grants(&mut plan, table, relation);
        sequences(&mut plan, table, relation);
        if relation.kind == "v" && !relation.security_invoker {
            plan.warnings.push(format!(
                "view {} runs as its owner, past every policy, so nobody may read it through the guard; \
                 ALTER VIEW {} SET (security_invoker = true)",
                shown(&relation.name),
                relation.name.quoted()
            ));
        }
    }
    for schema in live.schemas.iter().filter(|schema| schemas.contains(schema.name.as_str())) {
        let name = quote(&schema.name);
        if Grantee::ROLES.iter().any(|role| !schema.usage.contains(role.role())) {
            let grant = format!("GRANT USAGE ON SCHEMA {name} TO anon, authenticated, aurora_service");
            plan.push(Kind::Add, 5, format!("usage of schema {}", schema.name), vec![grant]);
        }
        if schema.create {
            let revoke =
                format!("REVOKE CREATE ON SCHEMA {name} FROM PUBLIC, anon, authenticated, aurora_service");
            plan.push(Kind::Remove, 5, format!("creating in schema {}", schema.name), vec![revoke]);
        }
    }
    plan
}

impl Plan {
    fn push(&mut self, kind: Kind, step: u8, what: String, statements: Vec<String>) {
        self.push_steps(kind, what, statements.into_iter().map(|statement| (step, statement)).collect());
    }

    fn push_steps(&mut self, kind: Kind, what: String, statements: Vec<(u8, String)>) {
        self.changes.push(Change { kind, what, statements });
    }

    /// Counts policies of others among what is removed.
    fn replace_foreign(&mut self) {
        for (table, name) in std::mem::take(&mut self.foreign) {
            let drop = format!("DROP POLICY {} ON {}", quote(&name), table.quoted());
            let what = format!("policy \"{name}\" on {}: not installed by Aurora", shown(&table));
            self.push(Kind::Remove, 0, what, vec![drop]);
        }
    }
}

fn types(plan: &mut Plan, installation: &Installation, live: &Live) {
    for kind in &installation.types {
        match live.types.iter().find(|(name, _)| *name == kind.name) {
            None => plan.push(Kind::Add, 1, format!("type {}", shown(&kind.name)), vec![kind.create.clone()]),
            Some((_, labels)) if *labels == kind.labels => {}
            Some(_) => plan.blocked.push(format!(
                "type {} has other labels in the database: ALTER TYPE belongs into a migration",
                shown(&kind.name)
            )),
        }
    }
}

fn functions(plan: &mut Plan, installation: &Installation, live: &Live) {
    for function in &installation.functions {
        let named = live.functions.iter().filter(|live| live.name == function.name);
        let found: Vec<_> =
            named.map(|live| (hashes(live.comment.as_deref()), hash(&live.definition))).collect();
        let made = hash(&function.create);
        let kind = match found.iter().find(|(marks, _)| marks.is_some_and(|(created, _)| created == made)) {
            Some((Some((_, was)), is)) if was == is => continue,
            Some(_) => Kind::Drift,
            None if found.is_empty() => Kind::Add,
            None => Kind::Change,
        };
        plan.push(kind, 2, format!("function {}", shown(&function.name)), vec![function.create.clone()]);
    }
    for function in &live.functions {
        let ours = hashes(function.comment.as_deref()).is_some();
        if ours && !installation.functions.iter().any(|made| made.name == function.name) {
            let drop = format!("DROP FUNCTION {}", function.signature);
            plan.push(Kind::Remove, 6, format!("function {}", shown(&function.name)), vec![drop]);
        }
    }
}

fn policies(plan: &mut Plan, wanted: &[Policy], relation: &Relation, named: bool) {
    let table = relation.name.quoted();
    let what = |name: &str| format!("policy \"{name}\" on {}", shown(&relation.name));
    let drop = |name: &str| format!("DROP POLICY {} ON {table}", quote(name));
    let find = |name: &str| relation.policies.iter().find(|live| live.name == name);
    for policy in wanted {
        let marks =
            |live: &LivePolicy| hashes(live.comment.as_deref()).map(|(a, b)| (a.to_owned(), b.to_owned()));
        match find(&policy.name).map(|live| (marks(live), hash(&live.definition))) {
            None => plan.push(Kind::Add, 4, what(&policy.name), vec![policy.create.clone()]),
            Some((Some((created, was)), is)) => {
                let kind = match (created == hash(&policy.create), was == is) {
                    (true, true) => continue,
                    (_, false) => Kind::Drift,
                    (false, true) => Kind::Change,
                };
                let anew = vec![(0, drop(&policy.name)), (4, policy.create.clone())];
                plan.push_steps(kind, what(&policy.name), anew);
            }
            Some((None, _)) => {
                plan.push(Kind::Change, 4, what(&policy.name), vec![policy.create.clone()]);
                plan.foreign.push((relation.name.clone(), policy.name.clone()));
            }
        }
    }
    for live in &relation.policies {
        if wanted.iter().any(|policy| policy.name == live.name) {
            continue;
        }
        if hashes(live.comment.as_deref()).is_some() {
            plan.push(Kind::Remove, 0, what(&live.name), vec![drop(&live.name)]);
        } else if named {
            plan.foreign.push((relation.name.clone(), live.name.clone()));
        }
    }
}

/// What the roles should hold on a relation.
fn expected(table: Option<&Installed>, relation: &Relation) -> BTreeSet<LiveGrant> {
    let one = |role: &str, privilege: &str| (role.to_owned(), privilege.to_owned(), None);
    if let Some(table) = table {
        let held = table.held.iter();
        return held
            .map(|held| (held.role.to_owned(), held.privilege.as_str().to_owned(), held.column.clone()))
            .collect();
    }
    let service = Grantee::Service.role();
    match relation.kind.as_str() {
        // It reads as whoever asks: the policies of its tables hold.
        "v" if relation.security_invoker => {
            Grantee::ROLES.iter().map(|role| one(role.role(), "SELECT")).collect()
        }
        // No policy can stand there, so a role that was switched to would read all of it.
        _ if !relation.carries_policies() => BTreeSet::new(),
        _ => {
            ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().map(|privilege| one(service, privilege)).collect()
        }
    }
}

fn grants(plan: &mut Plan, table: Option<&Installed>, relation: &Relation) {
    let expected = expected(table, relation);
    if expected == relation.held {
        return;
    }
    let name = relation.name.quoted();
    let mut statements = Vec::new();
    if relation.held.difference(&expected).next().is_some() {
        statements.push(format!("REVOKE ALL ON {name} FROM PUBLIC, anon, authenticated, aurora_service"));
    }
    for (role, privilege, column) in &expected {
        let columns = column.as_ref().map(|column| format!(" ({})", quote(column))).unwrap_or_default();
        statements.push(format!("GRANT {privilege}{columns} ON {name} TO {role}"));
    }
    plan.push(Kind::Change, 5, format!("grants on {}", shown(&relation.name)), statements);
}

fn sequences(plan: &mut Plan, table: Option<&Installed>, relation: &Relation) {
    let inserts: BTreeSet<String> = expected(table, relation)
        .into_iter()
        .filter(|(_, privilege, _)| privilege == "INSERT")
        .map(|(role, ..)| role)
        .collect();
    for (sequence, usage) in &relation.sequences {
        let lacking: Vec<&str> = inserts.difference(usage).map(String::as_str).collect();
        if !lacking.is_empty() {
            let grant = format!("GRANT USAGE ON SEQUENCE {sequence} TO {}", lacking.join(", "));
            plan.push(Kind::Change, 5, format!("usage of sequence {sequence}"), vec![grant]);
        }
    }
}

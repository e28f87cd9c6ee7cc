use std::sync::Arc;

use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreatePolicy, CreatePolicyCommand, CreatePolicyType, DropPolicy, Grant,
    Grantee, Ident, ObjectName, ObjectNamePart, Owner, Privileges, Revoke, Statement,
    UserDefinedTypeRepresentation,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::catalog::{Catalog, Enumeration, Policy};
use super::convert::Converter;
use super::error::{PolicyError, PolicyErrors};
use super::grants::{self, Refusal, To};
use super::held;
use super::host::HostFunction;
use super::lower::{self, Lowered};
use super::postgres::{self, Native};
use super::routine;
use super::schema::{Command, Schema};
use super::tokens::{longest_run, planner_hints_out, public_quoted};

/// A policy file that was read and found to lie within the subset. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policies(pub(super) Arc<Catalog>, pub(super) Arc<[HostFunction]>);

/// More tokens than any statement of a policy file needs. Chains of AND and OR nest as deep as they are long
/// in what the parser builds, so this bounds the stack that dropping it takes.
pub(super) const LONGEST_STATEMENT: usize = 12_000;

/// The same for every other operator: the tokens between two of AND, OR, comma and parenthesis.
pub(super) const LONGEST_RUN: usize = 300;

impl Policies {
    /// Reads the text of a policy file; `file` is its name in messages.
    ///
    /// # Errors
    /// Everything in it that Aurora does not accept, all at once.
    pub fn parse(text: &str, file: &str) -> Result<Self, PolicyErrors> {
        let mut reader = Reader::new(file);
        if let Some(at) = text.find('\0') {
            let before = text.get(..at).unwrap_or_default();
            let line = before.lines().count().max(1) as u64;
            reader.refuse(line, ("a NUL character".to_owned(), "leave it out".to_owned()));
            return reader.finish();
        }
        let mut tokens = Vec::new();
        if let Err(error) =
            Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens)
        {
            let problem = (format!("unreadable text: {}", error.message), "correct it".to_owned());
            reader.refuse(error.location.line, problem);
            tokens.clear();
        }
        for statement in tokens.split(|token| token.token == Token::SemiColon) {
            reader.read(statement);
        }
        reader.native(text);
        reader.finish()
    }

    /// Checks the policies against the tables as they are, and lowers each to SQLite.
    ///
    /// # Errors
    /// Names that do not exist, comparisons that PostgreSQL would refuse, and policies that reach their own
    /// table (42P17), all at once.
    pub fn lower(&self, schema: &Schema) -> Result<Lowered, PolicyErrors> {
        if self.0.native_only {
            let help = "SQLite needs a file that Policies::parse accepts".to_owned();
            let construct = "policies read for PostgreSQL only".to_owned();
            let error = PolicyError::new(&self.0.file, 1, construct, help);
            return PolicyErrors::unless_empty(vec![error], Lowered::default());
        }
        lower::lower(&self.0, &self.1, schema)
    }

    /// Reads a file that may hold what PostgreSQL carries and the subset does not. It can be installed on
    /// PostgreSQL, and nowhere else: the policies are not checked, and no other door enforces them.
    ///
    /// # Errors
    /// Statements that do not belong into a policy file.
    pub fn parse_for_postgres_only(text: &str, file: &str) -> Result<Self, PolicyErrors> {
        let mut reader = Reader::new(file);
        reader.native(text);
        reader.catalog.native_only = true;
        reader.finish()
    }

    /// As PostgreSQL reads it.
    pub(crate) fn native(&self) -> &Native {
        &self.0.native
    }

    /// Whether only PostgreSQL can enforce them.
    pub(crate) fn is_native_only(&self) -> bool {
        self.0.native_only
    }

    /// The tables under row level security, lower-case.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.0.tables.iter().filter(|table| table.enabled).map(|table| table.name.as_str())
    }
}

struct Reader {
    catalog: Catalog,
    errors: Vec<PolicyError>,
}

impl Reader {
    fn new(file: &str) -> Self {
        let catalog = Catalog { file: Arc::from(file), ..Catalog::default() };
        Self { catalog, errors: Vec::new() }
    }

    fn refuse(&mut self, line: u64, (construct, help): Refusal) {
        self.errors.push(PolicyError::new(&self.catalog.file, line, construct, help));
    }

    /// Keeps the text as PostgreSQL reads it, once everything in it was understood.
    fn native(&mut self, text: &str) {
        if self.errors.is_empty() {
            match postgres::read(text, &self.catalog.file) {
                Ok(native) => self.catalog.native = native,
                Err(errors) => self.errors.extend(errors.iter().cloned()),
            }
        }
    }

    fn read(&mut self, tokens: &[TokenWithSpan]) {
        let meant = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let Some(first) = tokens.iter().find(meant) else { return };
        let line = first.span.start.line;
        if tokens.len() > LONGEST_STATEMENT || longest_run(tokens) > LONGEST_RUN {
            let help = "split it into several policies or conditions joined by AND and OR".to_owned();
            self.refuse(line, ("a statement this long".to_owned(), help));
            return;
        }
        let dialect = PostgreSqlDialect {};
        let without_cost = public_quoted(planner_hints_out(tokens));
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(without_cost);
        let parsed = parser.parse_statement().and_then(|statement| {
            parser.expect_token(&Token::EOF)?;
            Ok(statement)
        });
        match parsed {
            Ok(statement) => {
                let words = tokens.iter().filter(meant).take(4).map(|token| token.token.to_string());
                let start = words.collect::<Vec<_>>().join(" ");
                let body = tokens.iter().find(|token| matches!(token.token, Token::DollarQuotedString(_)));
                let body_line = body.map_or(line, |token| token.span.start.line);
                self.statement(&statement, line, body_line, &start);
            }
            Err(error) => {
                let message = error.to_string();
                let at =
                    message.rsplit_once("Line: ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
                let message = message.trim_start_matches("sql parser error: ");
                let construct = format!("not understood: {message}");
                self.refuse(at.unwrap_or(line), (construct, hint(message).to_owned()));
            }
        }
    }

    fn statement(&mut self, statement: &Statement, line: u64, body_line: u64, start: &str) {
        let done = match statement {
            Statement::CreatePolicy(policy) => self.create_policy(policy, line),
            Statement::DropPolicy(policy) => self.drop_policy(policy),
            Statement::AlterTable(table) => self.alter_table(table, line),
            Statement::Grant(Grant { privileges, objects, grantees, with_grant_option, .. }) => {
                if *with_grant_option {
                    Err(("WITH GRANT OPTION".to_owned(), "leave it out: principals cannot grant".to_owned()))
                } else {
                    self.grant(privileges, objects.as_ref(), grantees, line, true)
                }
            }
            Statement::Revoke(Revoke { grant_option_for: true, .. }) => {
                Err(("GRANT OPTION FOR".to_owned(), "leave the line out: principals cannot grant".to_owned()))
            }
            Statement::Revoke(Revoke { privileges, objects, grantees, .. }) => {
                self.grant(privileges, objects.as_ref(), grantees, line, false)
            }
            Statement::CreateType { name, representation, .. } => match representation {
                Some(UserDefinedTypeRepresentation::Enum { labels }) => self.create_enum(name, labels),
                _ => Err((format!("type `{name}`"), "only CREATE TYPE .. AS ENUM is known here".to_owned())),
            },
            Statement::Comment { .. } => Ok(()),
            Statement::CreateRole(role) => held::declare(&mut self.catalog.held, role),
            Statement::AlterPolicy(policy) => Err((
                format!("ALTER POLICY {}", policy.name),
                "write the policy's final form in one CREATE POLICY".to_owned(),
            )),
            Statement::CreateFunction(function) => self.create_function(function, line, body_line),
            Statement::DropFunction(drop) => {
                for described in &drop.func_desc {
                    if let Ok(name) = table_name(&described.name) {
                        self.catalog.routines.retain(|other| other.name != name);
                    }
                }
                Ok(())
            }
            _ => Err((
                format!("statement `{start} ..`"),
                "a policy file holds CREATE POLICY, DROP POLICY, ALTER TABLE .. ENABLE ROW LEVEL SECURITY, GRANT, \
                 REVOKE, CREATE FUNCTION and CREATE TYPE .. AS ENUM; the rest belongs into migrations"
                    .to_owned(),
            )),
        };
        if let Err(refusal) = done {
            self.refuse(line, refusal);
        }
    }

    fn create_policy(&mut self, policy: &CreatePolicy, line: u64) -> Result<(), Refusal> {
        let name = fold(&policy.name);
        let table = table_name(&policy.table_name)?;
        let called = last_part(&policy.table_name).unwrap_or_else(|| table.clone());
        let command = command_of(policy, &name)?;
        let (mut roles, mut held) = (Vec::new(), Vec::new());
        let mut everyone = policy.to.is_none();
        for owner in policy.to.iter().flatten() {
            let Owner::Ident(ident) = owner else { return Err(grants::unknown_role(&owner.to_string())) };
            let name = fold(ident);
            if let Some(role) = self.catalog.held.iter().find(|held| held.as_str() == name) {
                held.push(role.clone());
                continue;
            }
            match grants::role(&name).ok_or_else(|| held::unknown(&ident.value))? {
                To::Public => everyone = true,
                To::Role(role) => roles.push(role),
            }
        }
        let held = held::Holders::of(held, everyone || !roles.is_empty(), policy)?;
        if held.is_some() {
            roles.push(crate::types::Role::Authenticated);
        }
        if everyone {
            roles.clear();
        }
        let mut converter = Converter::new(&self.catalog.file, line, format!("policy \"{name}\" on {table}"));
        let restrictive = policy.policy_type == Some(CreatePolicyType::Restrictive);
        let mut convert = |expr| {
            let condition = converter.condition(expr);
            match &held {
                Some(held) => held.of_condition(&mut converter, condition, restrictive),
                None => condition,
            }
        };
        let using = policy.using.as_ref().map(&mut convert);
        let check = policy.with_check.as_ref().map(&mut convert);
        self.errors.append(&mut converter.errors);
        let Some(entry) = self.catalog.entry(&table, line) else { return Ok(()) };
        if entry.policies.iter().any(|other| other.name == name) {
            let help = "PostgreSQL keeps one policy of a name per table: rename or remove one".to_owned();
            return Err((format!("policy \"{name}\" for table \"{table}\" already exists"), help));
        }
        let at = entry.policies.partition_point(|other| other.name < name);
        entry.policies.insert(at, Policy { name, line, called, restrictive, command, roles, using, check });
        Ok(())
    }

    fn drop_policy(&mut self, policy: &DropPolicy) -> Result<(), Refusal> {
        let (name, table) = (fold(&policy.name), table_name(&policy.table_name)?);
        let found = self.catalog.tables.iter_mut().find(|other| other.name == table);
        let before = found.as_ref().map_or(0, |entry| entry.policies.len());
        let after = found.map_or(0, |entry| {
            entry.policies.retain(|other| other.name != name);
            entry.policies.len()
        });
        if before == after && !policy.if_exists {
            let help = "remove the line, or write DROP POLICY IF EXISTS".to_owned();
            return Err((format!("policy \"{name}\" for table \"{table}\" does not exist"), help));
        }
        Ok(())
    }

    fn alter_table(&mut self, table: &AlterTable, line: u64) -> Result<(), Refusal> {
        let name = table_name(&table.name)?;
        for operation in &table.operations {
            match operation {
                AlterTableOperation::EnableRowLevelSecurity => {
                    if let Some(entry) = self.catalog.entry(&name, line) {
                        entry.enabled = true;
                    }
                }
                AlterTableOperation::ForceRowLevelSecurity | AlterTableOperation::NoForceRowLevelSecurity => {
                    let forced = matches!(operation, AlterTableOperation::ForceRowLevelSecurity);
                    if let Some(entry) = self.catalog.entry(&name, line) {
                        entry.forced = forced;
                    }
                }
                AlterTableOperation::DisableRowLevelSecurity => {
                    return Err((
                        format!("DISABLE ROW LEVEL SECURITY on {name}"),
                        "a table without it cannot be reached through the guard: leave the line out, and write a \
                         policy USING (true) if everyone may see it"
                            .to_owned(),
                    ));
                }
                _ => {
                    let help =
                        "only ENABLE ROW LEVEL SECURITY stands in a policy file: write it into a migration";
                    return Err((format!("ALTER TABLE {name}"), help.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn grant(
        &mut self,
        privileges: &Privileges,
        objects: Option<&sqlparser::ast::GrantObjects>,
        grantees: &[Grantee],
        line: u64,
        held: bool,
    ) -> Result<(), Refusal> {
        if let Some(functions) = grants::functions(privileges, objects)? {
            for grantee in grantees {
                let to = grants::grantee(grantee)?;
                for routine in &mut self.catalog.routines {
                    if functions.as_ref().is_none_or(|names| names.contains(&routine.name)) {
                        grants::set_execute(&mut routine.execute, to, held);
                    }
                }
            }
            return Ok(());
        }
        let privileges = grants::commands(privileges)?;
        for object in grants::objects(objects)? {
            let table = table_name(object)?;
            let Some(entry) = self.catalog.entry(&table, line) else { continue };
            for grantee in grantees {
                let to = grants::grantee(grantee)?;
                for (command, columns) in &privileges {
                    entry.grants.set(to, *command, columns.as_deref(), held);
                }
                if held && to != To::Role(crate::types::Role::Service) {
                    entry.grants.granted_at.get_or_insert(line);
                }
            }
        }
        Ok(())
    }

    fn create_function(
        &mut self,
        function: &sqlparser::ast::CreateFunction,
        line: u64,
        body_line: u64,
    ) -> Result<(), Refusal> {
        let (routine, mut errors) = routine::read(&self.catalog.file, function, line, body_line)?;
        self.errors.append(&mut errors);
        let same = |other: &super::catalog::Routine| {
            let kinds = |routine: &super::catalog::Routine| {
                routine.parameters.iter().map(|parameter| parameter.kind.clone()).collect::<Vec<_>>()
            };
            other.name == routine.name && kinds(other) == kinds(&routine)
        };
        match self.catalog.routines.iter_mut().find(|other| same(other)) {
            Some(other) if function.or_replace => *other = routine,
            Some(_) => {
                let help = "write CREATE OR REPLACE FUNCTION, or remove one".to_owned();
                return Err((format!("function {} already exists with these arguments", routine.name), help));
            }
            None => self.catalog.routines.push(routine),
        }
        Ok(())
    }

    fn create_enum(&mut self, name: &ObjectName, labels: &[Ident]) -> Result<(), Refusal> {
        let name = table_name(name)?;
        let labels = labels.iter().map(|label| label.value.clone()).collect();
        self.catalog.enums.push(Enumeration { name, labels });
        Ok(())
    }

    /// What can only be said once everything was read.
    fn finish(mut self) -> Result<Policies, PolicyErrors> {
        let mut missing = Vec::new();
        for table in self.catalog.tables.iter().filter(|table| !table.enabled) {
            let first = table.policies.iter().map(|policy| policy.line).min();
            let (line, construct) = match (first, table.grants.granted_at) {
                (Some(line), _) => (line, format!("a policy on {} without row level security", table.name)),
                (None, Some(line)) => (line, format!("a grant on {} without row level security", table.name)),
                (None, None) => continue,
            };
            let help = format!(
                "PostgreSQL would let every row through: add ALTER TABLE {} ENABLE ROW LEVEL SECURITY;",
                table.name
            );
            missing.push((line, (construct, help)));
        }
        for (line, refusal) in missing {
            self.refuse(line, refusal);
        }
        PolicyErrors::unless_empty(self.errors, Policies(Arc::new(self.catalog), Arc::from([])))
    }
}

/// The grammar of PostgreSQL's `CREATE POLICY`: INSERT has no USING, SELECT and DELETE no WITH CHECK (42601).
fn command_of(policy: &CreatePolicy, name: &str) -> Result<Option<Command>, Refusal> {
    let command = match policy.command {
        None | Some(CreatePolicyCommand::All) => None,
        Some(CreatePolicyCommand::Select) => Some(Command::Select),
        Some(CreatePolicyCommand::Insert) => Some(Command::Insert),
        Some(CreatePolicyCommand::Update) => Some(Command::Update),
        Some(CreatePolicyCommand::Delete) => Some(Command::Delete),
    };
    match command {
        Some(Command::Insert) if policy.using.is_some() => Err((
            format!("policy \"{name}\": USING on INSERT"),
            "only WITH CHECK expression allowed for INSERT: write WITH CHECK in place of USING".to_owned(),
        )),
        Some(Command::Select | Command::Delete) if policy.with_check.is_some() => Err((
            format!("policy \"{name}\": WITH CHECK on SELECT or DELETE"),
            "WITH CHECK cannot be applied to SELECT or DELETE: write USING in its place".to_owned(),
        )),
        _ => Ok(command),
    }
}

fn hint(message: &str) -> &'static str {
    if message.contains("recursion") {
        return "write it with fewer levels of parentheses";
    }
    if message.contains("ISNULL") || message.contains("NOTNULL") {
        return "write IS NULL or IS NOT NULL";
    }
    if message.contains("SYMMETRIC") {
        return "write BETWEEN with the lower bound first";
    }
    "write it as PostgreSQL's documentation of CREATE POLICY has it"
}

/// As PostgreSQL folds a name: lower-case unless quoted.
pub(super) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// SQLite has no schemas: `public.notes` is `notes`, `auth.users` is `auth_users`.
pub(super) fn table_name(name: &ObjectName) -> Result<String, Refusal> {
    let mut parts = Vec::new();
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(fold(ident)),
            ObjectNamePart::Function(_) => return Err((format!("name `{name}`"), "write table".to_owned())),
        }
    }
    join_schema(&parts).ok_or_else(|| (format!("name `{name}`"), "write schema.table or table".to_owned()))
}

/// `auth` of `auth.users`.
pub(super) fn schema_part(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(schema), _] => Some(fold(schema)),
        _ => None,
    }
}

/// The name by which a table without alias is called: `users` for `auth.users`.
pub(super) fn last_part(name: &ObjectName) -> Option<String> {
    match name.0.last()? {
        ObjectNamePart::Identifier(ident) => Some(fold(ident)),
        ObjectNamePart::Function(_) => None,
    }
}

pub(super) fn join_schema(parts: &[String]) -> Option<String> {
    match parts {
        [table] => Some(table.to_ascii_lowercase()),
        [schema, table] if schema == "public" => Some(table.to_ascii_lowercase()),
        [schema, table] => Some(format!("{schema}_{table}").to_ascii_lowercase()),
        _ => None,
    }
}

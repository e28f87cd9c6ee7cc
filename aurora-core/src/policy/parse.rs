use std::sync::Arc;

use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreatePolicy, CreatePolicyCommand, CreatePolicyType, DropPolicy, Grant,
    Grantee, Ident, ObjectName, ObjectNamePart, Owner, Privileges, Revoke, Spanned, Statement,
    UserDefinedTypeRepresentation,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::catalog::{Catalog, Enumeration, Policy};
use super::convert::Converter;
use super::error::{PolicyError, PolicyErrors};
use super::grants::{self, Refusal, To};
use super::lower::{self, Lowered};
use super::schema::{Command, Schema};

/// A policy file that was read and found to lie within the subset. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policies(Arc<Catalog>);

/// More tokens than any statement of a policy file needs; bounds the depth of what the parser builds.
const LONGEST_STATEMENT: usize = 20_000;

impl Policies {
    /// Reads the text of a policy file; `file` is its name in messages.
    ///
    /// # Errors
    /// Everything in it that Aurora does not accept, all at once.
    pub fn parse(text: &str, file: &str) -> Result<Self, PolicyErrors> {
        let mut reader = Reader::new(file);
        let mut tokens = Vec::new();
        if let Err(error) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens)
        {
            let problem = (format!("unreadable text: {}", error.message), "correct it".to_owned());
            reader.refuse(error.location.line, problem);
            tokens.clear();
        }
        for statement in tokens.split(|token| token.token == Token::SemiColon) {
            reader.read(statement);
        }
        reader.finish()
    }

    /// Checks the policies against the tables as they are, and lowers each to SQLite.
    ///
    /// # Errors
    /// Names that do not exist, comparisons that PostgreSQL would refuse, and policies that reach their own
    /// table (42P17), all at once.
    pub fn lower(&self, schema: &Schema) -> Result<Lowered, PolicyErrors> {
        lower::lower(&self.0, schema)
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
        let catalog = Catalog { file: Arc::from(file), tables: Vec::new(), enums: Vec::new() };
        Self { catalog, errors: Vec::new() }
    }

    fn refuse(&mut self, line: u64, (construct, help): Refusal) {
        self.errors.push(PolicyError::new(&self.catalog.file, line, construct, help));
    }

    fn read(&mut self, tokens: &[TokenWithSpan]) {
        let meant = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let Some(first) = tokens.iter().find(meant) else { return };
        let line = first.span.start.line;
        if tokens.len() > LONGEST_STATEMENT {
            self.refuse(line, ("a statement this long".to_owned(), "split it into several policies".to_owned()));
            return;
        }
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
        let parsed = parser.parse_statement().and_then(|statement| {
            parser.expect_token(&Token::EOF)?;
            Ok(statement)
        });
        match parsed {
            Ok(statement) => self.statement(&statement, line),
            Err(error) => {
                let message = error.to_string();
                let at = message.rsplit_once("Line: ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
                let message = message.trim_start_matches("sql parser error: ");
                let construct = format!("not understood: {message}");
                self.refuse(at.unwrap_or(line), (construct, hint(message).to_owned()));
            }
        }
    }

    fn statement(&mut self, statement: &Statement, line: u64) {
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
            Statement::Revoke(Revoke { privileges, objects, grantees, .. }) => {
                self.grant(privileges, objects.as_ref(), grantees, line, false)
            }
            Statement::CreateType { name, representation, .. } => match representation {
                Some(UserDefinedTypeRepresentation::Enum { labels }) => self.create_enum(name, labels),
                _ => Err((format!("type `{name}`"), "only CREATE TYPE .. AS ENUM is known here".to_owned())),
            },
            Statement::Comment { .. } => Ok(()),
            Statement::AlterPolicy(policy) => Err((
                format!("ALTER POLICY {}", policy.name),
                "write the policy's final form in one CREATE POLICY".to_owned(),
            )),
            Statement::CreateFunction(function) => Err((
                format!("CREATE FUNCTION {}", function.name),
                "policies cannot call functions of the host yet: write its query into the policy as EXISTS or IN"
                    .to_owned(),
            )),
            other => {
                let text: String = other.to_string().chars().take(60).collect();
                Err((
                    format!("statement `{text}`"),
                    "a policy file holds CREATE POLICY, DROP POLICY, ALTER TABLE .. ENABLE ROW LEVEL SECURITY, \
                     GRANT, REVOKE and CREATE TYPE .. AS ENUM; the rest belongs into migrations"
                        .to_owned(),
                ))
            }
        };
        if let Err(refusal) = done {
            self.refuse(line, refusal);
        }
    }

    fn create_policy(&mut self, policy: &CreatePolicy, line: u64) -> Result<(), Refusal> {
        let name = fold(&policy.name);
        let table = table_name(&policy.table_name)?;
        let command = command_of(policy, &name)?;
        let mut roles = Vec::new();
        let mut everyone = policy.to.is_none();
        for owner in policy.to.iter().flatten() {
            let Owner::Ident(ident) = owner else { return Err(grants::unknown_role(&owner.to_string())) };
            match grants::role(&fold(ident)).ok_or_else(|| grants::unknown_role(&ident.value))? {
                To::Public => everyone = true,
                To::Role(role) => roles.push(role),
            }
        }
        if everyone {
            roles.clear();
        }
        let mut converter = Converter::new(&self.catalog.file, line, format!("policy \"{name}\" on {table}"));
        let mut convert = |expr| converter.condition(expr);
        let using = policy.using.as_ref().map(&mut convert);
        let check = policy.with_check.as_ref().map(&mut convert);
        self.errors.append(&mut converter.errors);
        let restrictive = policy.policy_type == Some(CreatePolicyType::Restrictive);
        let Some(entry) = self.catalog.entry(&table, line) else { return Ok(()) };
        if entry.policies.iter().any(|other| other.name == name) {
            let help = "PostgreSQL keeps one policy of a name per table: rename or remove one".to_owned();
            return Err((format!("policy \"{name}\" for table \"{table}\" already exists"), help));
        }
        let at = entry.policies.partition_point(|other| other.name < name);
        entry.policies.insert(at, Policy { name, line, restrictive, command, roles, using, check });
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
                // Nobody is a table's owner here: every role but service_role is under its policies anyway.
                AlterTableOperation::ForceRowLevelSecurity | AlterTableOperation::NoForceRowLevelSecurity => {}
                AlterTableOperation::DisableRowLevelSecurity => {
                    return Err((
                        format!("DISABLE ROW LEVEL SECURITY on {name}"),
                        "a table without it cannot be reached through the guard: leave the line out, and write a \
                         policy USING (true) if everyone may see it"
                            .to_owned(),
                    ));
                }
                other => {
                    return Err((
                        format!("ALTER TABLE {name} {other}"),
                        "write it into a migration".to_owned(),
                    ));
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
        let commands = grants::commands(privileges)?;
        for object in grants::objects(objects)? {
            let table = table_name(object)?;
            let Some(entry) = self.catalog.entry(&table, line) else { continue };
            for grantee in grantees {
                let to = grants::grantee(grantee)?;
                entry.grants.set(to, &commands, held);
                if held && to != To::Role(crate::types::Role::Service) {
                    entry.grants.granted_at.get_or_insert(line);
                }
            }
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
        PolicyErrors::unless_empty(self.errors, Policies(Arc::new(self.catalog)))
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
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
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

pub(super) fn join_schema(parts: &[String]) -> Option<String> {
    match parts {
        [table] => Some(table.to_lowercase()),
        [schema, table] if schema == "public" => Some(table.to_lowercase()),
        [schema, table] => Some(format!("{schema}_{table}").to_lowercase()),
        _ => None,
    }
}

/// The line a piece of syntax starts on, as far as the parser kept it.
pub(super) fn line_of(spanned: &impl Spanned) -> Option<u64> {
    let line = spanned.span().start.line;
    (line > 0).then_some(line)
}

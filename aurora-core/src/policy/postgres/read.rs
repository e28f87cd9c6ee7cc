//! A policy file as PostgreSQL reads it, statement by statement.

use std::sync::Arc;

use super::super::error::{PolicyError, PolicyErrors};
use super::super::held::of_text;
use super::super::schema::Command;
use super::grants::{Grantee, Grants, Privilege};
use super::lexer::{self, Kind, Token};

/// What a policy file says to PostgreSQL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Native {
    pub(super) tables: Vec<NativeTable>,
    pub(super) types: Vec<NativeType>,
    pub(super) functions: Vec<NativeFunction>,
    /// Roles that the service gives to users.
    pub(super) held: Vec<String>,
    /// Grants on functions and schemas, as they are written.
    pub(super) verbatim: Vec<String>,
}

/// A table by its schema and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableName {
    pub(crate) schema: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(super) struct NativeTable {
    pub(super) table: TableName,
    pub(super) enabled: bool,
    pub(super) policies: Vec<NativePolicy>,
    pub(super) grants: Grants,
}

#[derive(Clone, Debug)]
pub(super) struct NativePolicy {
    pub(super) name: String,
    pub(super) restrictive: bool,
    /// Absent: every command.
    pub(super) command: Option<Command>,
    /// Empty: everyone.
    pub(super) roles: Vec<String>,
    pub(super) using: Option<String>,
    pub(super) check: Option<String>,
    /// The whole statement.
    pub(super) source: String,
}

#[derive(Clone, Debug)]
pub(super) struct NativeType {
    pub(super) name: TableName,
    pub(super) labels: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct NativeFunction {
    pub(super) name: TableName,
    /// What follows the name: arguments, result, body.
    pub(super) rest: String,
    pub(super) source: String,
}

/// A construct and what to write instead.
type Refusal = (String, String);

fn refusal<T>(construct: impl Into<String>, help: impl Into<String>) -> Result<T, Refusal> {
    Err((construct.into(), help.into()))
}

/// Reads a policy file; `file` is its name in messages.
pub(crate) fn read(text: &str, file: &Arc<str>) -> Result<Native, PolicyErrors> {
    let line = |at: usize| {
        let before = text.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1
    };
    let tokens = match lexer::tokens(text) {
        Ok(tokens) => tokens,
        Err(unreadable) => {
            let help = "write it in one plain piece".to_owned();
            let error = PolicyError::new(file, line(unreadable.at), unreadable.what.to_owned(), help);
            return PolicyErrors::unless_empty(vec![error], Native::default());
        }
    };
    let mut native = Native::default();
    let mut errors = Vec::new();
    for statement in tokens.split(|token| token.is(b';')) {
        let Some(first) = statement.first() else { continue };
        let mut cursor = Cursor { text, tokens: statement, at: 0 };
        if let Err((construct, help)) = native.statement(&mut cursor) {
            errors.push(PolicyError::new(file, line(first.start), construct, help));
        }
    }
    PolicyErrors::unless_empty(errors, native)
}

struct Cursor<'t> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes these words if all of them come next.
    fn words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| {
            self.tokens.get(self.at + ahead).is_some_and(|token| token.is_word(self.text, word))
        });
        self.at += if found { words.len() } else { 0 };
        found
    }

    fn symbol(&mut self, symbol: u8) -> bool {
        let found = self.peek().is_some_and(|token| token.is(symbol));
        self.at += usize::from(found);
        found
    }

    fn identifier(&mut self) -> Result<String, Refusal> {
        let found = self.next().and_then(|token| token.identifier(self.text));
        found.ok_or_else(|| ("a name is missing".to_owned(), "write it".to_owned()))
    }

    fn name(&mut self) -> Result<TableName, Refusal> {
        let first = self.identifier()?;
        if !self.symbol(b'.') {
            return Ok(TableName { schema: "public".to_owned(), name: first });
        }
        Ok(TableName { schema: first, name: self.identifier()? })
    }

    /// What stands between the parenthesis that comes next and its partner.
    fn parenthesised(&mut self) -> Result<&'t str, Refusal> {
        let missing = || ("a parenthesis is missing".to_owned(), "write the expression in ( )".to_owned());
        let open = self.peek().filter(|token| token.is(b'(')).ok_or_else(missing)?;
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            depth += usize::from(token.is(b'('));
            if token.is(b')') {
                depth -= 1;
                if depth == 0 {
                    return Ok(self.text.get(open.end..token.start).unwrap_or_default().trim());
                }
            }
        }
        Err(missing())
    }

    fn source(&self) -> &'t str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => self.text.get(first.start..last.end).unwrap_or_default(),
            _ => "",
        }
    }

    fn end(&self) -> Result<(), Refusal> {
        match self.peek() {
            None => Ok(()),
            Some(token) => refusal(format!("`{}` here", token.text(self.text)), "leave it out"),
        }
    }
}

impl Native {
    fn entry(&mut self, table: &TableName) -> Option<&mut NativeTable> {
        if !self.tables.iter().any(|known| known.table == *table) {
            let fresh = NativeTable {
                table: table.clone(),
                enabled: false,
                policies: Vec::new(),
                grants: Grants::default(),
            };
            self.tables.push(fresh);
        }
        self.tables.iter_mut().find(|known| known.table == *table)
    }

    fn statement(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        if cursor.words(&["create", "policy"]) {
            return self.create_policy(cursor);
        }
        if cursor.words(&["drop", "policy"]) {
            return self.drop_policy(cursor);
        }
        if cursor.words(&["alter", "table"]) {
            return self.alter_table(cursor);
        }
        if cursor.words(&["grant"]) {
            return self.grant(cursor, true);
        }
        if cursor.words(&["revoke"]) {
            return self.grant(cursor, false);
        }
        if cursor.words(&["create", "type"]) {
            return self.create_type(cursor);
        }
        if cursor.words(&["create", "or", "replace", "function"]) || cursor.words(&["create", "function"]) {
            return self.create_function(cursor);
        }
        if cursor.words(&["comment", "on"]) {
            return Ok(());
        }
        if cursor.words(&["create", "role"]) {
            let name = cursor.identifier()?;
            self.held.push(name);
            return cursor.end();
        }
        let start: String = cursor.source().chars().take(40).collect();
        refusal(format!("statement `{start} ..`"), "write it into a migration")
    }

    fn create_policy(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        let name = cursor.identifier()?;
        if !cursor.words(&["on"]) {
            return refusal(format!("policy \"{name}\" without a table"), "write ON table");
        }
        let table = cursor.name()?;
        let restrictive = cursor.words(&["as", "restrictive"]);
        if !restrictive {
            cursor.words(&["as", "permissive"]);
        }
        let mut command = None;
        if cursor.words(&["for"]) && !cursor.words(&["all"]) {
            let word = cursor.identifier()?;
            command = Command::ALL.into_iter().find(|command| command.as_str().eq_ignore_ascii_case(&word));
            if command.is_none() {
                return refusal(format!("FOR {word}"), "write ALL, SELECT, INSERT, UPDATE or DELETE");
            }
        }
        let mut roles = Vec::new();
        if cursor.words(&["to"]) {
            loop {
                roles.push(cursor.identifier()?.to_ascii_lowercase());
                if !cursor.symbol(b',') {
                    break;
                }
            }
        }
        if roles.iter().any(|role| role == "public") {
            roles.clear();
        }
        let held: Vec<String> = roles.iter().filter(|role| self.held.contains(role)).cloned().collect();
        let condition = |written: &str| {
            if held.is_empty() { written.to_owned() } else { of_text(&held, written, restrictive) }
        };
        let using = if cursor.words(&["using"]) { Some(condition(cursor.parenthesised()?)) } else { None };
        let check =
            if cursor.words(&["with", "check"]) { Some(condition(cursor.parenthesised()?)) } else { None };
        if !held.is_empty() {
            roles = vec!["authenticated".to_owned()];
        }
        cursor.end()?;
        let source = cursor.source().to_owned();
        let policy = NativePolicy { name, restrictive, command, roles, using, check, source };
        if let Some(entry) = self.entry(&table) {
            entry.policies.retain(|other| other.name != policy.name);
            entry.policies.push(policy);
        }
        Ok(())
    }

    fn drop_policy(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        cursor.words(&["if", "exists"]);
        let name = cursor.identifier()?;
        cursor.words(&["on"]);
        let table = cursor.name()?;
        for entry in self.tables.iter_mut().filter(|entry| entry.table == table) {
            entry.policies.retain(|policy| policy.name != name);
        }
        Ok(())
    }

    fn alter_table(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        cursor.words(&["if", "exists"]);
        cursor.words(&["only"]);
        let table = cursor.name()?;
        loop {
            if cursor.words(&["enable", "row", "level", "security"]) {
                if let Some(entry) = self.entry(&table) {
                    entry.enabled = true;
                }
            } else if !cursor.words(&["force", "row", "level", "security"])
                && !cursor.words(&["no", "force", "row", "level", "security"])
            {
                let help =
                    "only ENABLE ROW LEVEL SECURITY stands in a policy file: write it into a migration";
                return refusal(format!("ALTER TABLE {}", table.name), help);
            }
            if !cursor.symbol(b',') {
                return cursor.end();
            }
        }
    }

    fn grant(&mut self, cursor: &mut Cursor<'_>, held: bool) -> Result<(), Refusal> {
        let privileges = privileges(cursor)?;
        if !cursor.words(&["on"]) {
            return refusal("a grant without a table", "write GRANT .. ON table TO role");
        }
        let elsewhere = ["function", "schema", "sequence", "type", "routine", "procedure"];
        if elsewhere.iter().any(|word| cursor.words(&[word])) {
            self.verbatim.push(cursor.source().to_owned());
            return Ok(());
        }
        if cursor.words(&["all", "tables"]) {
            return refusal("a grant on all tables", "name the tables one by one");
        }
        cursor.words(&["table"]);
        let mut tables = Vec::new();
        loop {
            tables.push(cursor.name()?);
            if !cursor.symbol(b',') {
                break;
            }
        }
        if !cursor.words(&[if held { "to" } else { "from" }]) {
            return refusal("a grant without a role", "write GRANT .. ON table TO role");
        }
        let mut grantees = Vec::new();
        loop {
            cursor.words(&["group"]);
            let role = cursor.identifier()?;
            let grantee = Grantee::named(&role);
            let help = "a principal acts as anon, authenticated or service_role (or PUBLIC for all)";
            grantees.push(grantee.ok_or_else(|| (format!("role `{role}`"), help.to_owned()))?);
            if !cursor.symbol(b',') {
                break;
            }
        }
        if !cursor.words(&["cascade"]) {
            cursor.words(&["restrict"]);
        }
        cursor.end()?;
        for table in &tables {
            let Some(entry) = self.entry(table) else { continue };
            for grantee in &grantees {
                for (privilege, columns) in &privileges {
                    entry.grants.set(*grantee, *privilege, columns, held);
                }
            }
        }
        Ok(())
    }

    fn create_type(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        let name = cursor.name()?;
        if !cursor.words(&["as", "enum"]) || !cursor.symbol(b'(') {
            return refusal(format!("type `{}`", name.name), "only CREATE TYPE .. AS ENUM is known here");
        }
        let mut labels = Vec::new();
        while let Some(token) = cursor.next() {
            labels.extend(token.plain_text(cursor.text));
        }
        self.types.push(NativeType { name, labels });
        Ok(())
    }

    fn create_function(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        let name = cursor.name()?;
        let source = cursor.source();
        let start = cursor.peek().map_or(cursor.text.len(), |token| token.start);
        let end = cursor.tokens.last().map_or(start, |token| token.end);
        let rest = cursor.text.get(start..end).unwrap_or_default().to_owned();
        if rest.is_empty() {
            return refusal(format!("function `{}`", name.name), "write its arguments and its body");
        }
        self.functions.push(NativeFunction { name, rest, source: source.to_owned() });
        Ok(())
    }
}

/// The privileges named, each with its columns; none means the whole table.
fn privileges(cursor: &mut Cursor<'_>) -> Result<Vec<(Privilege, Vec<String>)>, Refusal> {
    if cursor.words(&["grant", "option", "for"]) {
        return refusal("GRANT OPTION FOR", "leave the line out: principals cannot grant");
    }
    let mut found = Vec::new();
    loop {
        let word = cursor.identifier()?;
        cursor.words(&["privileges"]);
        let mut columns = Vec::new();
        if cursor.symbol(b'(') {
            loop {
                columns.push(cursor.identifier()?);
                if !cursor.symbol(b',') {
                    break;
                }
            }
            if !cursor.symbol(b')') {
                return refusal("a parenthesis is missing", "write the columns in ( )");
            }
        }
        if word == "all" {
            found.extend(Privilege::ALL.map(|privilege| (privilege, columns.clone())));
        }
        // The others (TRUNCATE, REFERENCES, TRIGGER, EXECUTE ..) are never a principal's on a table.
        found.extend(Privilege::named(&word).map(|privilege| (privilege, columns.clone())));
        if !cursor.symbol(b',') {
            return Ok(found);
        }
    }
}

/// Whether a token can stand for a piece of an expression that was cut out of a file.
pub(super) fn is_name(token: &Token) -> bool {
    matches!(token.kind, Kind::Word | Kind::Quoted)
}

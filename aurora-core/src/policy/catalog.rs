//! What a policy file says, table by table.

use std::sync::Arc;

use super::grants::Grants;
use super::postgres::Native;
use super::raw::Raw;
use super::schema::Command;
use crate::types::Role;

#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) file: Arc<str>,
    pub(super) tables: Vec<Guarded>,
    pub(super) enums: Vec<Enumeration>,
    /// The same text as PostgreSQL reads it.
    pub(super) native: Native,
    /// Nothing else was read.
    pub(super) native_only: bool,
}

/// A table that the file names.
#[derive(Debug)]
pub(super) struct Guarded {
    /// Lower-case, a schema other than `public` joined to it by `_`.
    pub(super) name: String,
    /// The first line that names it.
    pub(super) line: u64,
    pub(super) enabled: bool,
    /// In the order of their names, as PostgreSQL checks restrictive ones.
    pub(super) policies: Vec<Policy>,
    pub(super) grants: Grants,
}

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) line: u64,
    /// What its expressions may call the guarded table: `users` in a policy on `auth.users`.
    pub(super) called: String,
    pub(super) restrictive: bool,
    /// Absent: every command.
    pub(super) command: Option<Command>,
    /// Empty: everyone.
    pub(super) roles: Vec<Role>,
    pub(super) using: Option<Raw>,
    pub(super) check: Option<Raw>,
}

impl Policy {
    pub(super) fn applies(&self, role: Role, command: Command) -> bool {
        self.command.is_none_or(|own| own == command) && (self.roles.is_empty() || self.roles.contains(&role))
    }

    /// What a new row must satisfy: `WITH CHECK`, or `USING` in its place.
    pub(super) fn check(&self) -> Option<&Raw> {
        self.check.as_ref().or(self.using.as_ref())
    }

    /// The expressions that a statement of that command runs through.
    pub(super) fn expressions(&self, command: Command) -> impl Iterator<Item = &Raw> {
        let using = if command == Command::Insert { None } else { self.using.as_ref() };
        let check = match command {
            Command::Insert | Command::Update => self.check(),
            Command::Select | Command::Delete => None,
        };
        using.into_iter().chain(check)
    }
}

/// `CREATE TYPE name AS ENUM (..)`.
#[derive(Debug)]
pub(super) struct Enumeration {
    pub(super) name: String,
    pub(super) labels: Vec<String>,
}

impl Catalog {
    pub(super) fn table(&self, name: &str) -> Option<&Guarded> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The entry of a table, made if this is its first mention.
    pub(super) fn entry(&mut self, name: &str, line: u64) -> Option<&mut Guarded> {
        if self.table(name).is_none() {
            self.tables.push(Guarded {
                name: name.to_owned(),
                line,
                enabled: false,
                policies: Vec::new(),
                grants: Grants::default(),
            });
        }
        self.tables.iter_mut().find(|table| table.name.eq_ignore_ascii_case(name))
    }
}

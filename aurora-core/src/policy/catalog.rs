//! What a policy file says, table by table.

use std::sync::Arc;

use super::grants::Grants;
use super::postgres::Native;
use super::raw::{Cast, Raw, RawSelect};
use super::schema::Command;
use crate::types::{Role, RoleName};

#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) file: Arc<str>,
    pub(super) tables: Vec<Guarded>,
    pub(super) enums: Vec<Enumeration>,
    /// The same text as PostgreSQL reads it.
    pub(super) native: Native,
    /// Nothing else was read.
    pub(super) native_only: bool,
    pub(super) routines: Vec<Routine>,
    /// Roles that the service gives to users: `CREATE ROLE editor`.
    pub(super) held: Vec<RoleName>,
}

/// A table that the file names.
#[derive(Debug)]
pub(super) struct Guarded {
    /// Lower-case, a schema other than `public` joined to it by `_`.
    pub(super) name: String,
    /// The first line that names it.
    pub(super) line: u64,
    pub(super) enabled: bool,
    /// FORCE ROW LEVEL SECURITY: the owner is under the policies too.
    pub(super) forced: bool,
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
}

/// `CREATE TYPE name AS ENUM (..)`.
#[derive(Debug)]
pub(super) struct Enumeration {
    pub(super) name: String,
    pub(super) labels: Vec<String>,
}

/// `CREATE FUNCTION`.
#[derive(Debug)]
pub(super) struct Routine {
    /// Lower-case, a schema other than `public` joined to it by `_`.
    pub(super) name: String,
    /// Without its schema: what its body may call its parameters' table.
    pub(super) last: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) result: Answers,
    /// NULL for a NULL argument, without a look at the body.
    pub(super) strict: bool,
    /// SECURITY DEFINER.
    pub(super) owner: bool,
    /// LANGUAGE plpgsql: a name that is a parameter and a column is an error.
    pub(super) plpgsql: bool,
    /// `SET search_path`: the schemas that names without one are looked up in.
    pub(super) path: Vec<String>,
    /// Or the construct outside the subset and what to write instead.
    pub(super) body: Result<RawSelect, (u64, String, String)>,
    /// Whether anon, authenticated, service_role and PUBLIC may run it.
    pub(super) execute: [bool; 4],
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: Option<String>,
    pub(super) kind: Cast,
    pub(super) default: Option<Raw>,
}

/// `RETURNS`.
#[derive(Debug)]
pub(super) enum Answers {
    One(Cast),
    /// SETOF a type.
    Many(Cast),
    /// `TABLE (name type, ..)`.
    Table(Vec<(String, Cast)>),
    /// Nothing a policy could use, such as `trigger`.
    Nothing(String),
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
                forced: false,
                policies: Vec::new(),
                grants: Grants::default(),
            });
        }
        self.tables.iter_mut().find(|table| table.name.eq_ignore_ascii_case(name))
    }
}

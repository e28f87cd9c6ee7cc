//! `GRANT` and `REVOKE` in the order they are written, over Supabase's default: all to every role.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Action, GrantObjects, Grantee, GranteeName, GranteesType, ObjectName, Privileges};

use super::parse::table_name;
use super::schema::Command;
use crate::types::Role;

/// What each grantee holds on one table. `PUBLIC` is a grantee of its own, as in PostgreSQL: revoking from it
/// takes nothing from a role.
#[derive(Clone, Debug)]
pub(super) struct Grants {
    /// anon, authenticated, service_role, PUBLIC; in each the commands of [`Command::ALL`].
    held: [[bool; 4]; 4],
    /// Beside what is held on the whole table: the columns by grantee and command, lower-case.
    columns: BTreeMap<(usize, usize), BTreeSet<String>>,
    /// The line of a `GRANT` to somebody other than the service.
    pub(super) granted_at: Option<u64>,
}

impl Default for Grants {
    fn default() -> Self {
        let held = [[true; 4], [true; 4], [true; 4], [false; 4]];
        Self { held, columns: BTreeMap::new(), granted_at: None }
    }
}

/// Which of a table's columns a role may use in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// All, those of later migrations among them.
    All,
    /// These, lower-case; perhaps none.
    Only(BTreeSet<String>),
}

impl Columns {
    /// Whether the column is among them.
    pub fn contains(&self, column: &str) -> bool {
        match self {
            Columns::All => true,
            Columns::Only(columns) => columns.contains(&column.to_ascii_lowercase()),
        }
    }
}

/// Who receives or loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Role(Role),
    Public,
}

impl To {
    fn position(self) -> usize {
        match self {
            To::Role(Role::Anon) => 0,
            To::Role(Role::Authenticated) => 1,
            To::Role(Role::Service) => 2,
            To::Public => 3,
        }
    }
}

fn position(command: Command) -> usize {
    Command::ALL.iter().position(|other| *other == command).unwrap_or(usize::MAX)
}

impl Grants {
    /// On the whole table, or on some columns. As in PostgreSQL, taking the table's privilege takes those of all
    /// columns with it, and taking a column's takes nothing from who holds the table's.
    pub(super) fn set(&mut self, to: To, command: Command, columns: Option<&[String]>, held: bool) {
        let (grantee, command) = (to.position(), position(command));
        let Some(columns) = columns else {
            if let Some(cell) = self.held.get_mut(grantee).and_then(|row| row.get_mut(command)) {
                *cell = held;
            }
            if !held {
                self.columns.remove(&(grantee, command));
            }
            return;
        };
        let own = self.columns.entry((grantee, command)).or_default();
        for column in columns {
            if held {
                own.insert(column.to_ascii_lowercase());
            } else {
                own.remove(&column.to_ascii_lowercase());
            }
        }
    }

    /// On the whole table.
    pub(super) fn holds(&self, role: Role, command: Command) -> bool {
        let position = position(command);
        let cell = |to: To| self.held.get(to.position()).and_then(|row| row.get(position)).copied();
        cell(To::Role(role)) == Some(true) || cell(To::Public) == Some(true)
    }

    pub(super) fn columns(&self, role: Role, command: Command) -> Columns {
        if self.holds(role, command) {
            return Columns::All;
        }
        let position = position(command);
        let own = |to: To| self.columns.get(&(to.position(), position)).into_iter().flatten().cloned();
        Columns::Only(own(To::Role(role)).chain(own(To::Public)).collect())
    }

    /// On the whole table or some column of it.
    pub(super) fn holds_some(&self, role: Role, command: Command) -> bool {
        self.columns(role, command) != Columns::Only(BTreeSet::new())
    }
}

/// A construct and what to write instead.
pub(super) type Refusal = (String, String);

/// A command with the columns it is granted on; none named: all.
type Granted = (Command, Option<Vec<String>>);

/// Each privilege with its columns, or none for the whole table.
pub(super) fn commands(privileges: &Privileges) -> Result<Vec<Granted>, Refusal> {
    let actions = match privileges {
        Privileges::All { .. } => return Ok(Command::ALL.map(|command| (command, None)).to_vec()),
        Privileges::Actions(actions) => actions,
    };
    let mut commands = Vec::new();
    for action in actions {
        let (command, columns) = match action {
            Action::Select { columns } => (Command::Select, columns),
            Action::Insert { columns } => (Command::Insert, columns),
            Action::Update { columns } => (Command::Update, columns),
            Action::Delete => (Command::Delete, &None),
            // No host SQL reaches these through the guard.
            Action::Truncate | Action::Trigger => continue,
            Action::References { .. } => continue,
            other => {
                return Err((
                    format!("privilege `{other}`"),
                    "grant or revoke SELECT, INSERT, UPDATE, DELETE or ALL".to_owned(),
                ));
            }
        };
        let names = columns.as_ref().map(|columns| columns.iter().map(super::parse::fold).collect());
        commands.push((command, names));
    }
    Ok(commands)
}

pub(super) fn objects(objects: Option<&GrantObjects>) -> Result<&[ObjectName], Refusal> {
    match objects {
        Some(GrantObjects::Tables(tables)) => Ok(tables),
        Some(other) => Err((
            format!("grant on `{other}`"),
            "name the tables one by one; schemas and sequences have no grants here".to_owned(),
        )),
        None => Err(("a grant without a table".to_owned(), "write GRANT .. ON table TO role".to_owned())),
    }
}

/// The functions that EXECUTE is granted on; `None` inside for all of them, outside for a grant on tables.
pub(super) fn functions(
    privileges: &Privileges,
    objects: Option<&GrantObjects>,
) -> Result<Option<Option<Vec<String>>>, Refusal> {
    let names = match objects {
        Some(GrantObjects::Function { name, .. }) => Some(vec![table_name(name)?]),
        Some(GrantObjects::AllFunctionsInSchema { .. }) => None,
        _ => return Ok(None),
    };
    let executes = match privileges {
        Privileges::All { .. } => true,
        Privileges::Actions(actions) => actions.iter().all(|action| matches!(action, Action::Execute { .. })),
    };
    if executes {
        return Ok(Some(names));
    }
    let help = "functions have the privilege EXECUTE only".to_owned();
    Err(("this privilege on a function".to_owned(), help))
}

pub(super) fn set_execute(execute: &mut [bool; 4], to: To, held: bool) {
    if let Some(cell) = execute.get_mut(to.position()) {
        *cell = held;
    }
}

pub(super) fn may_execute(execute: &[bool; 4], role: Role) -> bool {
    let cell = |to: To| execute.get(to.position()) == Some(&true);
    cell(To::Role(role)) || cell(To::Public)
}

pub(super) fn grantee(grantee: &Grantee) -> Result<To, Refusal> {
    if grantee.grantee_type == GranteesType::Public {
        return Ok(To::Public);
    }
    let name = match &grantee.name {
        Some(GranteeName::ObjectName(name)) => name.to_string(),
        _ => grantee.to_string(),
    };
    role(name.trim_matches('"')).ok_or_else(|| unknown_role(&name))
}

/// A role by name; `public` among them.
pub(super) fn role(name: &str) -> Option<To> {
    match name.to_ascii_lowercase().as_str() {
        "public" => Some(To::Public),
        "anon" => Some(To::Role(Role::Anon)),
        "authenticated" => Some(To::Role(Role::Authenticated)),
        "service_role" => Some(To::Role(Role::Service)),
        _ => None,
    }
}

pub(super) fn unknown_role(name: &str) -> Refusal {
    (
        format!("role `{name}`"),
        "a principal acts as `anon`, `authenticated` or `service_role` (or PUBLIC for all); write other \
         distinctions as a claim, for example `auth.jwt() -> 'app_metadata' ->> 'role'`"
            .to_owned(),
    )
}

//! `GRANT` and `REVOKE` in the order they are written, over Supabase's default: all to every role.

use sqlparser::ast::{Action, GrantObjects, Grantee, GranteeName, GranteesType, ObjectName, Privileges};

use super::schema::Command;
use crate::types::Role;

/// What each grantee holds on one table. `PUBLIC` is a grantee of its own, as in PostgreSQL: revoking from it
/// takes nothing from a role.
#[derive(Clone, Debug)]
pub(super) struct Grants {
    /// anon, authenticated, service_role, PUBLIC; in each the commands of [`Command::ALL`].
    held: [[bool; 4]; 4],
    /// The line of a `GRANT` to somebody other than the service.
    pub(super) granted_at: Option<u64>,
}

impl Default for Grants {
    fn default() -> Self {
        Self { held: [[true; 4], [true; 4], [true; 4], [false; 4]], granted_at: None }
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

impl Grants {
    pub(super) fn set(&mut self, to: To, commands: &[Command], held: bool) {
        for command in commands {
            let position = Command::ALL.iter().position(|other| other == command);
            let row = self.held.get_mut(to.position());
            if let (Some(row), Some(position)) = (row, position)
                && let Some(cell) = row.get_mut(position)
            {
                *cell = held;
            }
        }
    }

    pub(super) fn holds(&self, role: Role, command: Command) -> bool {
        let position = Command::ALL.iter().position(|other| *other == command).unwrap_or(usize::MAX);
        let cell = |to: To| self.held.get(to.position()).and_then(|row| row.get(position)).copied();
        cell(To::Role(role)) == Some(true) || cell(To::Public) == Some(true)
    }
}

/// A construct and what to write instead.
pub(super) type Refusal = (String, String);

pub(super) fn commands(privileges: &Privileges) -> Result<Vec<Command>, Refusal> {
    let actions = match privileges {
        Privileges::All { .. } => return Ok(Command::ALL.to_vec()),
        Privileges::Actions(actions) => actions,
    };
    let mut commands = Vec::new();
    for action in actions {
        let (command, columns) = match action {
            Action::Select { columns } => (Command::Select, columns.is_some()),
            Action::Insert { columns } => (Command::Insert, columns.is_some()),
            Action::Update { columns } => (Command::Update, columns.is_some()),
            Action::Delete => (Command::Delete, false),
            // No host SQL reaches these through the guard.
            Action::Truncate | Action::Trigger => continue,
            Action::References { columns: None } => continue,
            other => {
                return Err((
                    format!("privilege `{other}`"),
                    "grant or revoke SELECT, INSERT, UPDATE, DELETE or ALL".to_owned(),
                ));
            }
        };
        if columns {
            return Err((
                format!("column privilege `{action}`"),
                "grants on single columns are not enforced yet: grant the whole table and move the hidden columns \
                 to a table of their own"
                    .to_owned(),
            ));
        }
        commands.push(command);
    }
    Ok(commands)
}

pub(super) fn objects(objects: Option<&GrantObjects>) -> Result<&[ObjectName], Refusal> {
    match objects {
        Some(GrantObjects::Tables(tables)) => Ok(tables),
        Some(other) => Err((
            format!("grant on `{other}`"),
            "name the tables one by one; SQLite has no schemas, sequences or functions to grant".to_owned(),
        )),
        None => Err(("a grant without a table".to_owned(), "write GRANT .. ON table TO role".to_owned())),
    }
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

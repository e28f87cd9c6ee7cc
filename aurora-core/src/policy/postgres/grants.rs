//! `GRANT` and `REVOKE` in the order they are written, with columns, over Supabase's default.

use std::collections::BTreeSet;

/// What can be granted on a table or its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Privilege {
    /// `SELECT`.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
}

impl Privilege {
    pub(crate) const ALL: [Privilege; 4] = [Self::Select, Self::Insert, Self::Update, Self::Delete];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|privilege| privilege.as_str().eq_ignore_ascii_case(word))
    }
}

/// Who receives or loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grantee {
    Anon,
    Authenticated,
    Service,
    Public,
}

impl Grantee {
    /// The roles that statements run as.
    pub(crate) const ROLES: [Grantee; 3] = [Self::Anon, Self::Authenticated, Self::Service];

    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "anon" => Some(Self::Anon),
            "authenticated" => Some(Self::Authenticated),
            "service_role" => Some(Self::Service),
            "public" => Some(Self::Public),
            _ => None,
        }
    }

    /// The role in the database.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Anon => "anon",
            Self::Authenticated => "authenticated",
            Self::Service => "aurora_service",
            Self::Public => "public",
        }
    }
}

/// A privilege on a table, or on one of its columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) role: &'static str,
    pub(crate) privilege: Privilege,
    pub(crate) column: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Grants(BTreeSet<(Grantee, Privilege, Option<String>)>);

impl Default for Grants {
    fn default() -> Self {
        let all = Grantee::ROLES.into_iter();
        Self(all.flat_map(|role| Privilege::ALL.map(|privilege| (role, privilege, None))).collect())
    }
}

impl Grants {
    /// As PostgreSQL keeps them: revoking a table takes its columns along, revoking a column takes nothing from who
    /// holds the table.
    pub(super) fn set(&mut self, grantee: Grantee, privilege: Privilege, columns: &[String], held: bool) {
        let named = |column: &String| (grantee, privilege, Some(column.clone()));
        match (held, columns.is_empty()) {
            (true, true) => self.0.extend([(grantee, privilege, None)]),
            (true, false) => self.0.extend(columns.iter().map(named)),
            (false, true) => self.0.retain(|(other, kept, _)| (*other, *kept) != (grantee, privilege)),
            (false, false) => self.0.retain(|held| !columns.iter().any(|column| named(column) == *held)),
        }
    }

    /// What each role holds, what everyone holds included.
    pub(super) fn held(&self) -> BTreeSet<Held> {
        let mut all = BTreeSet::new();
        for (grantee, privilege, column) in &self.0 {
            for role in Grantee::ROLES {
                let whole = self.0.contains(&(role, *privilege, None))
                    || self.0.contains(&(Grantee::Public, *privilege, None));
                if (*grantee == role || *grantee == Grantee::Public) && (column.is_none() || !whole) {
                    all.insert(Held { role: role.role(), privilege: *privilege, column: column.clone() });
                }
            }
        }
        all
    }
}

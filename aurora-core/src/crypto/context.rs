use std::fmt;
use std::str::FromStr;

use crate::types::{Code, Error, Result, TenantId, UserId};

use super::{Purpose, kdf};

/// Whose data a key protects. A key of one owner opens nothing of another's, and destroying all keys of an owner
/// makes what they sealed unreadable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyOwner {
    /// Nobody's in particular: the service's.
    Service,
    /// A tenant's.
    Tenant(TenantId),
    /// One person's.
    User(UserId),
}

impl fmt::Display for KeyOwner {
    /// As in the database: empty, `tenant:<id>` or `user:<id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => Ok(()),
            Self::Tenant(id) => write!(f, "tenant:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

impl FromStr for KeyOwner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text.is_empty() => Ok(Self::Service),
            Some(("tenant", id)) => Ok(Self::Tenant(id.parse()?)),
            Some(("user", id)) => Ok(Self::User(id.parse()?)),
            _ => Err(Error::new(Code::ValidationFailed, "an owner of keys is `tenant:<id>` or `user:<id>`")),
        }
    }
}

/// Where a sealed value belongs. It is part of the key derivation: moved to another place, the value does not open.
#[derive(Clone, Copy, Debug)]
pub enum Context<'a> {
    /// A secret of Aurora's own, by table, column and row.
    Own {
        /// What the key is for.
        purpose: Purpose,
        /// The table.
        table: &'a str,
        /// The column; may be empty.
        column: &'a str,
        /// The row's key; may be empty.
        row: &'a [u8],
    },
    /// A cell of a host's table.
    Field {
        /// Whose key seals it.
        owner: &'a KeyOwner,
        /// The table.
        table: &'a str,
        /// The column.
        column: &'a str,
        /// The row's key.
        row: &'a [u8],
    },
    /// The content of a file.
    File {
        /// Whose key seals it.
        owner: &'a KeyOwner,
        /// The bucket's id.
        bucket: &'a str,
        /// The object's id.
        object: &'a [u8],
        /// Which content of that object it is: another one for each upload.
        generation: &'a [u8],
    },
}

impl Context<'_> {
    /// What the key is for.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Own { purpose, .. } => *purpose,
            Self::Field { .. } => Purpose::Field,
            Self::File { .. } => Purpose::File,
        }
    }

    /// Whose key seals it.
    pub fn owner(&self) -> &KeyOwner {
        match self {
            Self::Own { .. } => &KeyOwner::Service,
            Self::Field { owner, .. } | Self::File { owner, .. } => owner,
        }
    }

    /// The message's context: the header, then the purpose, then the parts, each with its length in front.
    pub(super) fn framed(&self, header: &[u8]) -> Vec<u8> {
        let mut context = header.to_vec();
        context.extend(kdf::framed(&[self.purpose().as_str().as_bytes()]));
        context.extend(match self {
            Self::Own { table, column: "", row: [], .. } => kdf::framed(&[table.as_bytes()]),
            Self::Own { table, column, row: [], .. } => kdf::framed(&[table.as_bytes(), column.as_bytes()]),
            Self::Own { table, column, row, .. } => kdf::framed(&[table.as_bytes(), column.as_bytes(), row]),
            Self::Field { owner, table, column, row } => {
                let owner = owner.to_string();
                kdf::framed(&[owner.as_bytes(), table.as_bytes(), column.as_bytes(), row])
            }
            Self::File { owner, bucket, object, generation } => {
                let owner = owner.to_string();
                kdf::framed(&[owner.as_bytes(), bucket.as_bytes(), object, generation])
            }
        });
        context
    }
}

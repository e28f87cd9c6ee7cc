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

/// Where Aurora's own secrets belong.
impl<'a> Context<'a> {
    /// A hash of a password that was imported. It moves with its user, whose row it stands in.
    pub(crate) const IMPORTED_PASSWORD: Context<'static> =
        Context::Own { purpose: Purpose::Password, table: "imported password hash", column: "", row: &[] };

    /// The private half of an ES256 key that signs tokens.
    pub(crate) fn signing_key(kid: &'a str) -> Self {
        let purpose = Purpose::Signing;
        Self::Own { purpose, table: "signing key", column: "ES256", row: kid.as_bytes() }
    }

    /// The seed of a second factor.
    pub(crate) fn seed(factor: &'a [u8; 16]) -> Self {
        Self::Own { purpose: Purpose::Credential, table: "auth_mfa_factors", column: "sealed", row: factor }
    }

    /// What a link or a code carries.
    pub(crate) fn one_time(id: &'a [u8; 16]) -> Self {
        Self::Own { purpose: Purpose::Credential, table: "auth_one_time_tokens", column: "sealed", row: id }
    }

    /// A mail that waits.
    pub(crate) fn mail(id: &'a str) -> Self {
        let purpose = Purpose::Credential;
        Self::Own { purpose, table: "aurora_outbox", column: "sealed", row: id.as_bytes() }
    }
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

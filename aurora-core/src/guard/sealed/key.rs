use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Type};
use uuid::Uuid;

use super::value::Noted;
use crate::env::{Clock, Entropy, random};
use crate::types::{Code, Error, Result, UserId};

/// The key of a row with sealed cells: a UUID, made before the row is. Hyphenated TEXT on SQLite (sixteen bytes are read
/// too), `uuid` on PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey([u8; 16]);

impl RowKey {
    /// A new one, of version 7 (RFC 9562): later keys sort later, to the millisecond.
    pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Self> {
        let millis = u64::try_from(clock.now().as_micros() / 1_000).map_err(Error::internal)?;
        Ok(Self(
            uuid::Builder::from_unix_timestamp_millis(millis, &random(entropy)?).into_uuid().into_bytes(),
        ))
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowKey({self})")
    }
}

impl FromStr for RowKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let key =
            Uuid::try_parse(text).map_err(|_| Error::new(Code::ValidationFailed, "a row's key is a UUID"))?;
        Ok(Self(key.into_bytes()))
    }
}

impl Serialize for RowKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

// As a user's id stands in a host's tables, so do these.
impl Type<Sqlite> for RowKey {
    fn type_info() -> SqliteTypeInfo {
        <UserId as Type<Sqlite>>::type_info()
    }

    fn compatible(found: &SqliteTypeInfo) -> bool {
        <UserId as Type<Sqlite>>::compatible(found)
    }
}

impl Encode<'_, Sqlite> for RowKey {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Noted::key(*self);
        Encode::<Sqlite>::encode(UserId::from_bytes(self.0), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for RowKey {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(*<UserId as Decode<'r, Sqlite>>::decode(value)?.as_bytes()))
    }
}

impl Type<Postgres> for RowKey {
    fn type_info() -> PgTypeInfo {
        <UserId as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for RowKey {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Noted::key(*self);
        Encode::<Postgres>::encode(UserId::from_bytes(self.0), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for RowKey {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(*<UserId as Decode<'r, Postgres>>::decode(value)?.as_bytes()))
    }
}

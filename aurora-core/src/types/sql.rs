//! How identifiers and times stand in a host's tables, so that one statement and one record serve both engines.
//!
//! | type | SQLite | PostgreSQL |
//! | --- | --- | --- |
//! | [`UserId`] | hyphenated lower-case TEXT; 16 bytes are read too | `uuid` |
//! | [`Timestamp`] | `YYYY-MM-DD HH:MM:SS.ffffff` in UTC as TEXT, sorted as `CURRENT_TIMESTAMP` is; seconds since 1970 are read too | `timestamptz`; `timestamp` is read as UTC |

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Type, TypeInfo as _, ValueRef as _};

use super::{Timestamp, UserId};

// https://www.postgresql.org/docs/current/catalog-pg-type.html: built-in types have fixed numbers.
const UUID: Oid = Oid(2950);
const TIMESTAMP: Oid = Oid(1114);
const TIMESTAMPTZ: Oid = Oid(1184);
/// PostgreSQL counts from 2000-01-01T00:00:00Z.
const EPOCH: i64 = 946_684_800_000_000;

impl Type<Sqlite> for UserId {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(found: &SqliteTypeInfo) -> bool {
        matches!(found.name(), "TEXT" | "BLOB")
    }
}

impl Encode<'_, Sqlite> for UserId {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.to_string(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for UserId {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.type_info().name() == "BLOB" {
            let bytes = <&[u8] as Decode<'r, Sqlite>>::decode(value)?;
            return Ok(Self::from_bytes(bytes.try_into()?));
        }
        Ok(<&str as Decode<'r, Sqlite>>::decode(value)?.parse::<Self>()?)
    }
}

impl Type<Postgres> for UserId {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID)
    }
}

impl Encode<'_, Postgres> for UserId {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.as_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for UserId {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Ok(Self::from_bytes(value.as_bytes()?.try_into()?)),
            PgValueFormat::Text => Ok(value.as_str()?.parse::<Self>()?),
        }
    }
}

impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(found: &SqliteTypeInfo) -> bool {
        matches!(found.name(), "TEXT" | "DATETIME" | "DATE" | "INTEGER")
    }
}

impl Encode<'_, Sqlite> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let text = self.to_string().replace('T', " ").replace('Z', "");
        Encode::<Sqlite>::encode(text, buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.type_info().name() == "INTEGER" {
            return Ok(Self::from_seconds(<i64 as Decode<'r, Sqlite>>::decode(value)?));
        }
        Ok(<&str as Decode<'r, Sqlite>>::decode(value)?.parse::<Self>()?)
    }
}

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }

    fn compatible(found: &PgTypeInfo) -> bool {
        matches!(found.oid(), Some(TIMESTAMPTZ | TIMESTAMP))
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.as_micros().checked_sub(EPOCH).ok_or("a time outside PostgreSQL's range")?;
        buffer.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
                // The two ends of the range stand for `infinity`.
                Ok(Self::from_micros(micros.saturating_add(EPOCH)))
            }
            PgValueFormat::Text => Ok(value.as_str()?.parse::<Self>()?),
        }
    }
}

/// `name` as a quoted SQL identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

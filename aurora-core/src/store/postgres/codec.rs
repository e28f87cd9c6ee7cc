//! Moments and identifiers exactly as PostgreSQL keeps them, without a detour over text or floating point.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};

use crate::types::Timestamp;

/// `uuid` and `timestamptz` in pg_type: fixed numbers.
const UUID: Oid = Oid(2950);
const TIMESTAMPTZ: Oid = Oid(1184);
/// From 1970 to 2000, where PostgreSQL counts from, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;
/// 4713 BC and 294276 AD: beyond lies infinity.
const FIRST: i64 = -211_813_488_000_000_000;
const LAST: i64 = 9_223_371_331_199_999_999;

/// A `timestamptz`. Moments that PostgreSQL cannot name are its infinities, and the ends of time for us.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let since = self.0.as_micros().saturating_sub(EPOCH);
        let since = match since {
            since if since < FIRST => i64::MIN,
            since if since > LAST => i64::MAX,
            since => since,
        };
        buffer.extend_from_slice(&since.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let since = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let micros = match since {
            i64::MIN => i64::MIN,
            since => since.saturating_add(EPOCH),
        };
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

/// A `uuid`, sixteen bytes.
#[derive(Clone, Copy)]
pub(super) struct Id(pub(super) [u8; 16]);

impl Type<Postgres> for Id {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID)
    }
}

impl Encode<'_, Postgres> for Id {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Id {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_bytes()?.try_into()?))
    }
}

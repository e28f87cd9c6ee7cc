use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, rows, statements};
use crate::store::{ReadSealed, SealedColumn, WriteSealed};
use crate::types::{Error, Result};

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn counts(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::SigningKeys => statements::COUNT_SIGNING_KEYS,
        SealedColumn::Factors => statements::COUNT_FACTORS,
        SealedColumn::OneTimeTokens => statements::COUNT_ONE_TIME_TOKENS,
        SealedColumn::Outbox => statements::COUNT_OUTBOX,
        SealedColumn::Passwords => statements::COUNT_PASSWORDS,
    }
}

fn finds(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::SigningKeys => statements::SEALED_SIGNING_KEYS,
        SealedColumn::Factors => statements::SEALED_FACTORS,
        SealedColumn::OneTimeTokens => statements::SEALED_ONE_TIME_TOKENS,
        SealedColumn::Outbox => statements::SEALED_OUTBOX,
        SealedColumn::Passwords => statements::SEALED_PASSWORDS,
    }
}

fn puts(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::SigningKeys => statements::PUT_SIGNING_KEYS,
        SealedColumn::Factors => statements::PUT_FACTORS,
        SealedColumn::OneTimeTokens => statements::PUT_ONE_TIME_TOKENS,
        SealedColumn::Outbox => statements::PUT_OUTBOX,
        SealedColumn::Passwords => statements::PUT_PASSWORDS,
    }
}

/// A sealed value, or the beginning of one, in the column's own type.
fn bound(column: SealedColumn, query: Query, value: &[u8]) -> Result<Query> {
    Ok(match column {
        SealedColumn::Passwords => query.bind(String::from_utf8(value.to_vec()).map_err(Error::internal)?),
        _ => query.bind(value.to_vec()),
    })
}

fn either(column: SealedColumn, query: Query, [one, other]: &[Vec<u8>; 2]) -> Result<Query> {
    bound(column, bound(column, query, one)?, other)
}

fn sealed(column: SealedColumn, row: &SqliteRow) -> Result<(String, Vec<u8>)> {
    let value = match column {
        SealedColumn::Passwords => rows::text(row, "sealed")?.into_bytes(),
        _ => row.try_get("sealed").map_err(failure)?,
    };
    Ok((rows::text(row, "id")?, value))
}

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl ReadSealed for $type {
            async fn count_sealed(&mut self, column: SealedColumn, begin: &[Vec<u8>; 2]) -> Result<u64> {
                let query = either(column, sqlx::query(counts(column)), begin)?;
                let found = query.fetch_one(self.connection()).await.map_err(failure)?;
                u64::try_from(found.try_get::<i64, _>("id").map_err(failure)?).map_err(Error::internal)
            }

            async fn sealed(
                &mut self,
                column: SealedColumn,
                begin: &[Vec<u8>; 2],
                passed: i64,
                limit: i64,
            ) -> Result<Vec<(String, Vec<u8>)>> {
                let query = either(column, sqlx::query(finds(column)), begin)?.bind(limit).bind(passed);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(|row| sealed(column, row)).collect()
            }
        }
    };
}

reader!(SqliteReader);
reader!(SqliteWrite);

#[async_trait]
impl WriteSealed for SqliteWrite {
    async fn put_sealed(
        &mut self,
        column: SealedColumn,
        row: &str,
        former: &[u8],
        sealed: &[u8],
    ) -> Result<bool> {
        let query = sqlx::query(puts(column)).bind(row.to_owned());
        let query = bound(column, bound(column, query, former)?, sealed)?;
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }
}

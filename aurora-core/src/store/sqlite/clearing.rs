use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, statements};
use crate::store::{ReadClearing, WriteClearing};
use crate::types::{Error, Result, Timestamp, UserId};
use crate::validate::Email;

/// What foreign keys, checks and a trigger's RAISE(ABORT) answer: the statement is undone, the transaction is not.
const CONSTRAINT: u32 = 19;

fn found(row: &SqliteRow) -> Result<(Timestamp, UserId)> {
    let since: i64 = row.try_get("since").map_err(failure)?;
    let id: String = row.try_get("id").map_err(failure)?;
    Ok((Timestamp::from_micros(since), id.parse().map_err(|error: Error| Error::internal(error))?))
}

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl ReadClearing for $type {
            async fn newest_token_at(
                &mut self,
                address: &Email,
                purposes: [&str; 2],
            ) -> Result<Option<Timestamp>> {
                let [one, other] = purposes;
                let query = sqlx::query_scalar(statements::NEWEST_TOKEN_AT)
                    .bind(address.as_str().to_owned())
                    .bind(one.to_owned())
                    .bind(other.to_owned());
                let newest: Option<i64> = query.fetch_one(self.connection()).await.map_err(failure)?;
                Ok(newest.map(Timestamp::from_micros))
            }

            async fn unconfirmed(
                &mut self,
                horizon: Timestamp,
                (since, id): (Timestamp, UserId),
                limit: i64,
            ) -> Result<Vec<(Timestamp, UserId)>> {
                let query = sqlx::query(statements::UNCONFIRMED)
                    .bind(horizon.as_micros())
                    .bind(since.as_micros())
                    .bind(id.to_string())
                    .bind(limit);
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(found).collect()
            }

            async fn anonymous(
                &mut self,
                horizon: Timestamp,
                (since, id): (Timestamp, UserId),
                limit: i64,
            ) -> Result<Vec<(Timestamp, UserId)>> {
                let query = sqlx::query(statements::ANONYMOUS)
                    .bind(horizon.as_micros())
                    .bind(since.as_micros())
                    .bind(id.to_string())
                    .bind(limit);
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(found).collect()
            }
        }
    };
}

reader!(SqliteReader);
reader!(SqliteWrite);

#[async_trait]
impl WriteClearing for SqliteWrite {
    async fn forget_tries_of(&mut self, user: UserId) -> Result<()> {
        let query = sqlx::query(statements::FORGET_TRIES_OF).bind(user.to_string());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn clear_user(&mut self, id: UserId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_USER).bind(id.to_string());
        match query.execute(self.connection()).await {
            Ok(done) => Ok(done.rows_affected() == 1),
            Err(error) => {
                let code =
                    error.as_database_error().and_then(|database| database.code()?.parse::<u32>().ok());
                if code.is_some_and(|code| code & 0xff == CONSTRAINT) {
                    Ok(false)
                } else {
                    Err(failure(error))
                }
            }
        }
    }
}

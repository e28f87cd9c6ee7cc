use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::bind::within;
use super::codec::{Id, Moment};
use super::database::STATEMENT;
use super::transaction::{PostgresReader, PostgresWrite, all, one, run, user_bytes};
use super::{failure, statements};
use crate::store::{ReadClearing, WriteClearing};
use crate::types::{Result, Timestamp, UserId};
use crate::validate::Email;

/// A host's deferred constraints answer here, too, and not at the commit.
const ALONE: &str = "SAVEPOINT aurora_clearing; SET CONSTRAINTS ALL IMMEDIATE";
const TOGETHER: &str = "RELEASE SAVEPOINT aurora_clearing";
const BACK: &str = "ROLLBACK TO SAVEPOINT aurora_clearing; RELEASE SAVEPOINT aurora_clearing";

fn found(row: &PgRow) -> Result<(Timestamp, UserId)> {
    let Moment(since) = row.try_get("since").map_err(failure)?;
    let Id(id) = row.try_get("id").map_err(failure)?;
    Ok((since, UserId::from_bytes(id)))
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
                let [this, other] = purposes;
                let query = sqlx::query(statements::NEWEST_TOKEN_AT)
                    .bind(address.as_str().to_owned())
                    .bind(this.to_owned())
                    .bind(other.to_owned());
                let row = one(self.connection().await?, query).await?;
                let newest: Option<Moment> =
                    row.map_or(Ok(None), |row| row.try_get("newest").map_err(failure))?;
                Ok(newest.map(|Moment(at)| at))
            }

            async fn unconfirmed(
                &mut self,
                horizon: Timestamp,
                (since, id): (Timestamp, UserId),
                limit: i64,
            ) -> Result<Vec<(Timestamp, UserId)>> {
                let query = sqlx::query(statements::UNCONFIRMED)
                    .bind(Moment(horizon))
                    .bind(Moment(since))
                    .bind(user_bytes(id))
                    .bind(limit);
                all(self.connection().await?, query).await?.iter().map(found).collect()
            }

            async fn anonymous(
                &mut self,
                horizon: Timestamp,
                (since, id): (Timestamp, UserId),
                limit: i64,
            ) -> Result<Vec<(Timestamp, UserId)>> {
                let query = sqlx::query(statements::ANONYMOUS)
                    .bind(Moment(horizon))
                    .bind(Moment(since))
                    .bind(user_bytes(id))
                    .bind(limit);
                all(self.connection().await?, query).await?.iter().map(found).collect()
            }
        }
    };
}

reader!(PostgresReader);
reader!(PostgresWrite);

#[async_trait]
impl WriteClearing for PostgresWrite {
    async fn forget_tries_of(&mut self, user: UserId) -> Result<()> {
        let query = sqlx::query(statements::FORGET_TRIES_OF).bind(user_bytes(user));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn clear_user(&mut self, id: UserId) -> Result<bool> {
        let connection = self.connection().await?;
        sqlx::raw_sql(ALONE).execute(&mut *connection).await.map_err(failure)?;
        let query = sqlx::query(statements::DELETE_USER).bind(user_bytes(id));
        match within(STATEMENT, query.execute(&mut *connection)).await {
            Ok(done) => {
                sqlx::raw_sql(TOGETHER).execute(&mut *connection).await.map_err(failure)?;
                Ok(done.rows_affected() == 1)
            }
            Err(error) if error.as_database_error().is_some() => {
                sqlx::raw_sql(BACK).execute(&mut *connection).await.map_err(failure)?;
                Ok(false)
            }
            Err(error) => Err(failure(error)),
        }
    }
}

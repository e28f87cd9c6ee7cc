use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::codec::{Id, Moment};
use super::transaction::{PostgresReader, PostgresWrite, all, run};
use super::{rows, statements};
use crate::store::{ApiKeyRow, KeyRow, ReadKeys, WriteKeys};
use crate::types::{ApiKeyId, Error, Result, Timestamp};

fn api_key(row: &PgRow) -> Result<ApiKeyRow> {
    Ok(ApiKeyRow {
        id: ApiKeyId::from_bytes(rows::id(row, "id")?),
        kind: rows::text(row, "kind")?,
        name: rows::text(row, "name")?,
        hint: rows::text(row, "hint")?,
        hash: rows::hash(row, "hash")?,
        scopes: rows::text(row, "scopes")?,
        created_at: rows::time(row, "created_at")?,
        last_used_at: rows::optional_time(row, "last_used_at")?,
        revoked_at: rows::optional_time(row, "revoked_at")?,
    })
}

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl ReadKeys for $type {
            async fn api_keys(&mut self) -> Result<Vec<ApiKeyRow>> {
                let query = sqlx::query(statements::API_KEYS);
                all(self.connection().await?, query).await?.iter().map(api_key).collect()
            }

            async fn keys_of(&mut self, owner: &str) -> Result<Vec<KeyRow>> {
                let query = sqlx::query(statements::KEYS_OF).bind(owner.to_owned());
                all(self.connection().await?, query).await?.iter().map(rows::key).collect()
            }

            async fn key(&mut self, id: u32) -> Result<Option<KeyRow>> {
                let query = sqlx::query(statements::KEY).bind(i64::from(id));
                all(self.connection().await?, query).await?.first().map(rows::key).transpose()
            }

            async fn keys_unsettled(&mut self, after: u32) -> Result<Vec<KeyRow>> {
                let query = sqlx::query(statements::KEYS_UNSETTLED).bind(i64::from(after));
                all(self.connection().await?, query).await?.iter().map(rows::key).collect()
            }

            async fn newest_key(&mut self) -> Result<u32> {
                let query = sqlx::query(statements::NEWEST_KEY);
                let found = all(self.connection().await?, query).await?;
                let id = found.first().map(|row| rows::number(row, "id")).transpose()?;
                u32::try_from(id.unwrap_or_default()).map_err(Error::internal)
            }

            async fn keys_after(&mut self, after: u32) -> Result<Vec<KeyRow>> {
                let query = sqlx::query(statements::KEYS_AFTER).bind(i64::from(after));
                all(self.connection().await?, query).await?.iter().map(rows::key).collect()
            }
        }
    };
}

reader!(PostgresReader);
reader!(PostgresWrite);

#[async_trait]
impl WriteKeys for PostgresWrite {
    async fn insert_api_key(&mut self, key: &ApiKeyRow) -> Result<()> {
        let query = sqlx::query(statements::INSERT_API_KEY)
            .bind(Id(*key.id.as_bytes()))
            .bind(key.kind.clone())
            .bind(key.name.clone())
            .bind(key.hint.clone())
            .bind(key.hash.to_vec())
            .bind(key.scopes.clone())
            .bind(Moment(key.created_at));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn revoke_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::REVOKE_API_KEY).bind(Id(*id.as_bytes())).bind(Moment(now));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn note_api_key_use(&mut self, id: ApiKeyId, now: Timestamp, before: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::USE_API_KEY)
            .bind(Id(*id.as_bytes()))
            .bind(Moment(now))
            .bind(Moment(before));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn lock_keys_of(&mut self, owner: &str) -> Result<()> {
        run(self.connection().await?, sqlx::query(statements::LOCK_KEYS_OF).bind(owner.to_owned())).await?;
        Ok(())
    }

    async fn insert_key(&mut self, key: &KeyRow) -> Result<bool> {
        let query = sqlx::query(statements::INSERT_KEY)
            .bind(i64::from(key.id))
            .bind(key.purpose.clone())
            .bind(key.owner.clone())
            .bind(key.state.clone())
            .bind(key.wrapped.clone())
            .bind(Moment(key.created_at));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn change_key(&mut self, id: u32, from: &str, to: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::CHANGE_KEY)
            .bind(i64::from(id))
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(Moment(now));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn destroy_key(&mut self, id: u32, from: &str, now: Timestamp) -> Result<bool> {
        let query =
            sqlx::query(statements::DESTROY_KEY).bind(i64::from(id)).bind(from.to_owned()).bind(Moment(now));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn destroy_keys_of(&mut self, owner: &str, now: Timestamp) -> Result<u64> {
        let query = sqlx::query(statements::DESTROY_KEYS_OF).bind(owner.to_owned()).bind(Moment(now));
        run(self.connection().await?, query).await
    }

    async fn rewrap_key(&mut self, id: u32, former: &[u8], wrapped: &[u8]) -> Result<bool> {
        let query = sqlx::query(statements::REWRAP_KEY)
            .bind(i64::from(id))
            .bind(former.to_vec())
            .bind(wrapped.to_vec());
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn change_signing_key(&mut self, id: u32, from: &str, to: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::CHANGE_SIGNING_KEY)
            .bind(i64::from(id))
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(Moment(now));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn wipe_signing_key(&mut self, id: u32) -> Result<()> {
        let query = sqlx::query(statements::WIPE_SIGNING_KEY).bind(i64::from(id));
        run(self.connection().await?, query).await?;
        Ok(())
    }
}

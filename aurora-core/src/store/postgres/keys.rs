use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::codec::{Id, Moment};
use super::transaction::{PostgresReader, PostgresWrite, all, run};
use super::{rows, statements};
use crate::store::{ApiKeyRow, ReadKeys, WriteKeys};
use crate::types::{ApiKeyId, Result, Timestamp};

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

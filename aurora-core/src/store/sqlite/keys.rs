use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, rows, statements};
use crate::store::{ApiKeyRow, ReadKeys, WriteKeys};
use crate::types::{ApiKeyId, Result, Timestamp};

fn api_key(row: &SqliteRow) -> Result<ApiKeyRow> {
    Ok(ApiKeyRow {
        id: rows::parsed(rows::text(row, "id")?)?,
        kind: rows::text(row, "kind")?,
        name: rows::text(row, "name")?,
        hint: rows::text(row, "hint")?,
        hash: rows::hash(row, "hash")?,
        scopes: row.try_get("scopes").map_err(failure)?,
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
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(api_key).collect()
            }
        }
    };
}

reader!(SqliteReader);
reader!(SqliteWrite);

#[async_trait]
impl WriteKeys for SqliteWrite {
    async fn insert_api_key(&mut self, key: &ApiKeyRow) -> Result<()> {
        let query = sqlx::query(statements::INSERT_API_KEY)
            .bind(key.id.to_string())
            .bind(key.kind.clone())
            .bind(key.name.clone())
            .bind(key.hint.clone())
            .bind(key.hash.to_vec())
            .bind(key.scopes.clone())
            .bind(key.created_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn revoke_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::REVOKE_API_KEY).bind(id.to_string()).bind(now.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn note_api_key_use(&mut self, id: ApiKeyId, now: Timestamp, before: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::USE_API_KEY)
            .bind(id.to_string())
            .bind(now.as_micros())
            .bind(before.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn change_signing_key(&mut self, id: u32, from: &str, to: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::CHANGE_SIGNING_KEY)
            .bind(i64::from(id))
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(now.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn wipe_signing_key(&mut self, id: u32) -> Result<()> {
        let query = sqlx::query(statements::WIPE_SIGNING_KEY).bind(i64::from(id));
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }
}

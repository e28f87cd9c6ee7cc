use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, rows, statements};
use crate::store::{ApiKeyRow, KeyRow, ReadKeys, WriteKeys};
use crate::types::{ApiKeyId, Error, Result, Timestamp};

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

            async fn keys_of(&mut self, owner: &str) -> Result<Vec<KeyRow>> {
                let query = sqlx::query(statements::KEYS_OF).bind(owner.to_owned());
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::key).collect()
            }

            async fn key(&mut self, id: u32) -> Result<Option<KeyRow>> {
                let query = sqlx::query(statements::KEY).bind(i64::from(id));
                let found = query.fetch_optional(self.connection()).await.map_err(failure)?;
                found.as_ref().map(rows::key).transpose()
            }

            async fn keys_unsettled(&mut self, after: u32) -> Result<Vec<KeyRow>> {
                let query = sqlx::query(statements::KEYS_UNSETTLED).bind(i64::from(after));
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::key).collect()
            }

            async fn newest_key(&mut self) -> Result<u32> {
                let query = sqlx::query(statements::NEWEST_KEY);
                let found = query.fetch_one(self.connection()).await.map_err(failure)?;
                u32::try_from(found.try_get::<i64, _>("id").map_err(failure)?).map_err(Error::internal)
            }

            async fn keys_after(&mut self, after: u32) -> Result<Vec<KeyRow>> {
                let query = sqlx::query(statements::KEYS_AFTER).bind(i64::from(after));
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::key).collect()
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

    async fn lock_keys_of(&mut self, _owner: &str) -> Result<()> {
        // A transaction that writes is alone here.
        Ok(())
    }

    async fn insert_key(&mut self, key: &KeyRow) -> Result<bool> {
        let query = sqlx::query(statements::INSERT_KEY)
            .bind(i64::from(key.id))
            .bind(key.purpose.clone())
            .bind(key.owner.clone())
            .bind(key.state.clone())
            .bind(key.wrapped.clone())
            .bind(key.created_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn change_key(&mut self, id: u32, from: &str, to: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::CHANGE_KEY)
            .bind(i64::from(id))
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(now.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn destroy_key(&mut self, id: u32, from: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::DESTROY_KEY)
            .bind(i64::from(id))
            .bind(from.to_owned())
            .bind(now.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn destroy_keys_of(&mut self, owner: &str, now: Timestamp) -> Result<u64> {
        let query = sqlx::query(statements::DESTROY_KEYS_OF).bind(owner.to_owned()).bind(now.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected())
    }

    async fn rewrap_key(&mut self, id: u32, former: &[u8], wrapped: &[u8]) -> Result<bool> {
        let query = sqlx::query(statements::REWRAP_KEY)
            .bind(i64::from(id))
            .bind(former.to_vec())
            .bind(wrapped.to_vec());
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

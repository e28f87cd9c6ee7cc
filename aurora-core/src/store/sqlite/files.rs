use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, rows, statements};
use crate::store::{BlobRow, FileUsage, ReadFiles, UploadRow, WriteFiles};
use crate::types::{Error, Result, Timestamp, UserId};

fn blob(row: &SqliteRow) -> Result<BlobRow> {
    Ok(BlobRow {
        id: rows::text(row, "id")?,
        object: rows::text(row, "object")?,
        bucket: rows::text(row, "bucket")?,
        owner: rows::text(row, "owner")?,
        part: rows::number(row, "part")?,
        size: rows::number(row, "size")?,
        key: rows::number(row, "key")?,
        created_at: rows::time(row, "created_at")?,
        doomed_at: rows::optional_time(row, "doomed_at")?,
    })
}

fn upload(row: &SqliteRow) -> Result<UploadRow> {
    Ok(UploadRow {
        id: rows::text(row, "id")?,
        owner: rows::text(row, "owner")?,
        bucket: rows::text(row, "bucket")?,
        name: rows::text(row, "name")?,
        length: rows::number(row, "length")?,
        position: rows::number(row, "position")?,
        parts: rows::number(row, "parts")?,
        details: rows::text(row, "details")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
    })
}

fn usage(row: &SqliteRow) -> Result<FileUsage> {
    Ok(FileUsage { bytes: rows::number(row, "bytes")?, files: rows::number(row, "files")? })
}

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl ReadFiles for $type {
            async fn blob(&mut self, id: &str) -> Result<Option<BlobRow>> {
                let query = sqlx::query(statements::BLOB).bind(id.to_owned());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(blob).transpose()
            }

            async fn blobs_of(&mut self, object: &str) -> Result<Vec<BlobRow>> {
                let query = sqlx::query(statements::BLOBS_OF).bind(object.to_owned());
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(blob).collect()
            }

            async fn doomed_blobs(&mut self, horizon: Timestamp, limit: i64) -> Result<Vec<BlobRow>> {
                let query = sqlx::query(statements::DOOMED_BLOBS).bind(horizon.as_micros()).bind(limit);
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(blob).collect()
            }

            async fn live_blobs(
                &mut self,
                after: &str,
                horizon: Timestamp,
                limit: i64,
            ) -> Result<Vec<BlobRow>> {
                let query = sqlx::query(statements::LIVE_BLOBS)
                    .bind(after.to_owned())
                    .bind(horizon.as_micros())
                    .bind(limit);
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(blob).collect()
            }

            async fn count_blobs_of_key(&mut self, key: i64) -> Result<i64> {
                let query = sqlx::query_scalar(statements::COUNT_BLOBS_OF_KEY).bind(key);
                query.fetch_one(self.connection()).await.map_err(failure)
            }

            async fn blobs_of_key(&mut self, key: i64, passed: i64, limit: i64) -> Result<Vec<BlobRow>> {
                let query = sqlx::query(statements::BLOBS_OF_KEY).bind(key).bind(limit).bind(passed);
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(blob).collect()
            }

            async fn file_usage(&mut self, owner: &str) -> Result<FileUsage> {
                let query = sqlx::query(statements::FILE_USAGE).bind(owner.to_owned());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map_or(Ok(FileUsage::default()), usage)
            }

            async fn upload(&mut self, id: &str) -> Result<Option<UploadRow>> {
                let query = sqlx::query(statements::UPLOAD).bind(id.to_owned());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(upload).transpose()
            }

            async fn expired_uploads(&mut self, now: Timestamp, limit: i64) -> Result<Vec<UploadRow>> {
                let query = sqlx::query(statements::EXPIRED_UPLOADS).bind(now.as_micros()).bind(limit);
                query.fetch_all(self.connection()).await.map_err(failure)?.iter().map(upload).collect()
            }
        }
    };
}

reader!(SqliteReader);
reader!(SqliteWrite);

impl SqliteWrite {
    /// Takes what was doomed out of what its owner's files take.
    async fn uncount(&mut self, doomed: &[SqliteRow]) -> Result<Vec<String>> {
        let mut ids = Vec::with_capacity(doomed.len());
        for row in doomed {
            let query = sqlx::query(statements::UNCOUNT_BLOB)
                .bind(rows::text(row, "owner")?)
                .bind(rows::number(row, "size")?);
            query.execute(self.connection()).await.map_err(failure)?;
            ids.push(rows::text(row, "id")?);
        }
        Ok(ids)
    }
}

#[async_trait]
impl WriteFiles for SqliteWrite {
    async fn add_blob(&mut self, blob: &BlobRow) -> Result<FileUsage> {
        let query = sqlx::query(statements::COUNT_BLOB).bind(blob.owner.clone()).bind(blob.size);
        let counted = query.fetch_all(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::INSERT_BLOB)
            .bind(blob.id.clone())
            .bind(blob.object.clone())
            .bind(blob.bucket.clone())
            .bind(blob.owner.clone())
            .bind(blob.part)
            .bind(blob.size)
            .bind(blob.key)
            .bind(blob.created_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        counted.first().map_or_else(|| Err(Error::internal("a blob was not counted")), usage)
    }

    async fn doom_blobs_of(&mut self, object: &str, keep: &str, now: Timestamp) -> Result<Vec<String>> {
        let query = sqlx::query(statements::DOOM_BLOBS_OF)
            .bind(object.to_owned())
            .bind(keep.to_owned())
            .bind(now.as_micros());
        let doomed = query.fetch_all(self.connection()).await.map_err(failure)?;
        self.uncount(&doomed).await
    }

    async fn doom_blobs_of_owner(&mut self, owner: &str, now: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::DOOM_BLOBS_OF_OWNER).bind(owner.to_owned()).bind(now.as_micros());
        let doomed = query.fetch_all(self.connection()).await.map_err(failure)?;
        self.uncount(&doomed).await.map(drop)
    }

    async fn doom_blob(&mut self, id: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::DOOM_BLOB).bind(id.to_owned()).bind(now.as_micros());
        let doomed = query.fetch_all(self.connection()).await.map_err(failure)?;
        Ok(!self.uncount(&doomed).await?.is_empty())
    }

    async fn forget_blob(&mut self, id: &str) -> Result<()> {
        let query = sqlx::query(statements::FORGET_BLOB).bind(id.to_owned());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn insert_upload(&mut self, upload: &UploadRow) -> Result<i64> {
        let query = sqlx::query(statements::INSERT_UPLOAD)
            .bind(upload.id.clone())
            .bind(upload.owner.clone())
            .bind(upload.bucket.clone())
            .bind(upload.name.clone())
            .bind(upload.length)
            .bind(upload.position)
            .bind(upload.parts)
            .bind(upload.details.clone())
            .bind(upload.created_at.as_micros())
            .bind(upload.expires_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        let count = sqlx::query_scalar(statements::COUNT_UPLOADS)
            .bind(upload.owner.clone())
            .bind(upload.created_at.as_micros());
        count.fetch_one(self.connection()).await.map_err(failure)
    }

    async fn advance_upload(&mut self, id: &str, from: i64, to: i64, expires_at: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::ADVANCE_UPLOAD)
            .bind(id.to_owned())
            .bind(from)
            .bind(to)
            .bind(expires_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn delete_upload(&mut self, id: &str) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_UPLOAD).bind(id.to_owned());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn expire_upload(&mut self, id: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::EXPIRE_UPLOAD).bind(id.to_owned()).bind(now.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn delete_uploads_of(&mut self, owner: &str) -> Result<()> {
        let query = sqlx::query(statements::DELETE_UPLOADS_OF).bind(owner.to_owned());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn hold_user(&mut self, id: UserId) -> Result<bool> {
        let query = sqlx::query(statements::HOLD_USER).bind(id.to_string());
        Ok(query.fetch_optional(self.connection()).await.map_err(failure)?.is_some())
    }

    async fn hold_key(&mut self, id: i64) -> Result<Option<String>> {
        let query = sqlx::query(statements::HOLD_KEY).bind(id);
        let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
        row.as_ref().map(|row| rows::text(row, "state")).transpose()
    }
}

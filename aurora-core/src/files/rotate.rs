use futures_util::StreamExt as _;

use super::seal::SealedFor;
use super::underway::Unnamed;
use super::{Files, sql};
use crate::crypto::{DataKey, Purpose, Resealed, SealedPlace};
use crate::store::BlobRow;
use crate::types::{BoxFuture, Code, Error, Result};

/// Plain bytes after which a turn ends: whoever leads the job is heard of again before others think it died.
const MOST: u64 = 64 * 1024 * 1024;

/// Files, as a place where values are sealed again after a rotation.
impl SealedPlace for Files {
    fn name(&self) -> &str {
        "files"
    }

    fn purpose(&self) -> Purpose {
        Purpose::File
    }

    fn count(&self, key: u32) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let count = self.0.database.read().await?.count_blobs_of_key(i64::from(key)).await?;
            u64::try_from(count).map_err(Error::internal)
        })
    }

    fn reseal<'a>(
        &'a self,
        from: &'a DataKey,
        to: &'a DataKey,
        passed: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Resealed>> {
        Box::pin(async move {
            let (key, passed) = (i64::from(from.id()), i64::try_from(passed).map_err(Error::internal)?);
            let rows = self.0.database.read().await?.blobs_of_key(key, passed, i64::from(limit)).await?;
            let (mut turn, mut bytes) = (Resealed::default(), 0_u64);
            for row in rows {
                match self.seal_under(&row, to).await {
                    Ok(swapped) => turn.done += u64::from(swapped),
                    // It is told, counted as left, and passed over; storage that cannot be reached ends the turn.
                    Err(error) if matches!(error.code(), Code::NotFound | Code::UnexpectedFailure) => {
                        turn.passed += 1;
                        tracing::error!(blob = row.id, ?error, "a file does not open");
                    }
                    Err(error) => return Err(error),
                }
                bytes = bytes.saturating_add(u64::try_from(row.size).unwrap_or(0));
                if bytes > MOST {
                    break;
                }
            }
            Ok(turn)
        })
    }
}

impl Files {
    /// Seals one blob again, under another key and another name. `false` if its object is another one by now.
    async fn seal_under(&self, row: &BlobRow, to: &DataKey) -> Result<bool> {
        let (old, id) = (row.id.parse()?, self.fresh_blob()?);
        let size = u64::try_from(row.size).map_err(Error::internal)?;
        let sealed = SealedFor { generation: id.as_str().to_owned(), ..SealedFor::of(row) };
        let plain = self.open_blob(&old, &SealedFor::of(row), size, 0..size).await?;
        let sealer = sealed.sealer_of(to)?;
        let mut unnamed = self.write_sealed(&id, sealer, plain.boxed()).await?;
        let anew = BlobRow {
            id: id.as_str().to_owned(),
            key: i64::from(to.id()),
            created_at: self.now(),
            ..row.clone()
        };
        if self.swap(row, &anew, &mut unnamed).await? {
            self.remove_bytes(std::slice::from_ref(&row.id)).await;
            return Ok(true);
        }
        unnamed.remove().await;
        Ok(false)
    }

    /// Puts one blob in the place of another, if that is still where it was: of an object, or of an upload.
    async fn swap(&self, old: &BlobRow, new: &BlobRow, unnamed: &mut Unnamed) -> Result<bool> {
        let is_part = self.0.database.read().await?.upload(&old.object).await?.is_some();
        let mut writing = if is_part {
            self.0.database.begin().await?
        } else {
            let guarded = self.unasked();
            let mut writing = guarded.begin().await?;
            let update = writing
                .query(sql::SWAP_VERSION.on(&guarded))
                .bind(old.object.clone())
                .bind(old.id.clone())
                .bind(new.id.clone());
            if update.execute().await?.rows_affected() != 1 {
                writing.rollback().await?;
                return Ok(false);
            }
            writing.into_store().await?
        };
        if !writing.doom_blob(&old.id, self.now()).await? {
            return Ok(false);
        }
        writing.add_blob(new).await?;
        unnamed.keep();
        writing.commit().await?;
        Ok(true)
    }
}

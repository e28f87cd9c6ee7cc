//! A blob gets its row: only then is there a file.

use serde_json::json;

use super::record::{Object, ObjectRecord};
use super::service::{Owner, exists};
use super::upload::{Existing, Target, Upload, Uploaded};
use super::write::Whole;
use super::{Asker, Files, sql};
use crate::audit::{Action, Record};
use crate::crypto::KeyState;
use crate::guard::{Guarded, Transaction as Guarding};
use crate::store::{BlobRow, Transaction};
use crate::types::{Code, Error, Result};

/// How often a blob is sealed again for the row that took its place meanwhile.
const TRIES: usize = 3;

impl Files {
    /// Names the blob: the object's row, what its owner's files take, the former blob's end and the record of it
    /// become true together.
    pub(super) async fn show(&self, asker: &Asker, upload: &Upload, mut whole: Whole) -> Result<Uploaded> {
        for _ in 0..TRIES {
            match self.try_to_show(asker, upload, &mut whole).await {
                Ok(None) => return Ok(Uploaded { key: upload.key(), id: whole.sealed.object }),
                // Another row has the name, or the one that had it is gone: the content is sealed again, for that one.
                Ok(Some(target)) => whole = self.seal_again(whole, target).await?,
                Err(error) => {
                    whole.unnamed.remove().await;
                    return Err(error);
                }
            }
        }
        whole.unnamed.remove().await;
        Err(Error::overloaded(1))
    }

    /// `Some` with the object for which the content has to be sealed instead.
    async fn try_to_show(&self, asker: &Asker, upload: &Upload, whole: &mut Whole) -> Result<Option<Target>> {
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await?;
        if upload.existing == Existing::Replace
            && asker.is_bound()
            && let Some(there) = held(&mut writing, &guarded, upload).await?
            && !asker.may_replace(&there)
        {
            return Err(exists());
        }
        let metadata = json!({
            "eTag": format!("\"{}\"", whole.id),
            "size": whole.size,
            "mimetype": whole.kind,
            "cacheControl": upload.cache_control.as_deref().unwrap_or("no-cache"),
            "lastModified": self.now().to_string(),
            "contentLength": whole.size,
            "httpStatusCode": 200,
        });
        let (object, version) = (&whole.sealed.object, whole.id.as_str());
        // A row that was there and is gone is not made again: URLs that were signed for it would open another file.
        let row = if whole.is_there { self.fresh_id()? } else { object.clone() };
        let named = self.put_row(&mut writing, &guarded, asker, upload, &row, version, &metadata).await?;
        if named != *object {
            writing.rollback().await?;
            return Ok(Some(Target { is_there: named != row, object: named }));
        }
        let mut writing = writing.into_store().await?;
        self.still_there(&mut *writing, asker.owner(), i64::from(whole.key)).await?;
        writing.add_blob(&self.row_of(whole)?).await?;
        let mut doomed = writing.doom_blobs_of(object, version, self.now()).await?;
        if let Some(parts_of) = &upload.parts_of {
            doomed.extend(writing.doom_blobs_of(parts_of, "", self.now()).await?);
            if !writing.delete_upload(parts_of).await? {
                return Err(Error::new(Code::UploadConflict, "The upload was cancelled, or is finished"));
            }
        }
        if !asker.is_service() {
            // Without what was replaced.
            let usage = writing.file_usage(&whole.sealed.owner).await?;
            self.within_quota(usage.bytes, usage.files)?;
        }
        let (size, kind) = (whole.size, &whole.kind);
        let details = |record: Record| record.with("size", size).with("type", kind);
        self.record(&mut *writing, asker, Action::OBJECT_UPLOADED, &upload.key(), details).await?;
        // From here on nobody knows but the database: what no row names then is swept.
        whole.unnamed.keep();
        writing.commit().await?;
        self.remove_bytes(&doomed).await;
        Ok(None)
    }

    /// Nothing becomes true for somebody who was erased while it came: their row and the key are held until the
    /// transaction ends.
    pub(super) async fn still_there(
        &self,
        writing: &mut dyn Transaction,
        owner: Owner,
        key: i64,
    ) -> Result<()> {
        if let Owner::User(user) = owner
            && !writing.hold_user(user).await?
        {
            return Err(Error::new(Code::UserNotFound, "The account is gone"));
        }
        match writing.hold_key(key).await? {
            Some(state) if state != KeyState::Destroyed.as_str() => Ok(()),
            _ => Err(Error::new(Code::KeyDestroyed, "the key of this data was destroyed")),
        }
    }

    fn row_of(&self, whole: &Whole) -> Result<BlobRow> {
        Ok(BlobRow {
            id: whole.id.as_str().to_owned(),
            object: whole.sealed.object.clone(),
            bucket: whole.sealed.bucket.clone(),
            owner: whole.sealed.owner.clone(),
            part: 0,
            size: i64::try_from(whole.size).map_err(Error::internal)?,
            key: i64::from(whole.key),
            created_at: self.now(),
            doomed_at: None,
        })
    }
}

/// The object of that name, which stays as it is until the transaction ends.
async fn held(writing: &mut Guarding, guarded: &Guarded, upload: &Upload) -> Result<Option<Object>> {
    let found = writing
        .query_as::<ObjectRecord>(sql::HOLD_OBJECT.on(guarded))
        .bind(upload.bucket.as_str().to_owned())
        .bind(upload.name.as_str().to_owned());
    found.fetch_optional().await?.map(Object::try_from).transpose()
}

use futures_util::StreamExt as _;

use super::record::{Object, ObjectRecord};
use super::service::{no_such_object, refused};
use super::upload::{Content, Existing, Upload, Uploaded, not_supported, too_large};
use super::{Asker, BucketName, Files, ObjectName, content, sql};
use crate::audit::{Action, Record};
use crate::types::{Code, Error, Result};

/// Most names that one call removes.
const MOST: usize = 1000;
/// How often an object is looked at again that became another one meanwhile.
const TRIES: usize = 3;

impl Files {
    /// Removes the objects of these names that `asker` may see and remove, and answers which.
    pub async fn remove(
        &self,
        asker: &Asker,
        bucket: &BucketName,
        names: &[ObjectName],
    ) -> Result<Vec<Object>> {
        if names.len() > MOST {
            let sentence = format!("at most {MOST} objects are removed at once");
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        // Whoever removes several does it in this order.
        let mut names: Vec<&ObjectName> = names.iter().collect();
        names.sort();
        names.dedup();
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await?;
        let mut removed = Vec::new();
        for name in names {
            // What the deletion itself saw: a row that was read before may be another's by now.
            let delete = writing
                .query_as::<ObjectRecord>(sql::DELETE_OBJECT.on(&guarded))
                .bind(bucket.as_str().to_owned())
                .bind(name.as_str().to_owned());
            if let Some(deleted) = delete.fetch_optional().await.map_err(refused)? {
                removed.push(Object::try_from(deleted)?);
            }
        }
        if removed.is_empty() {
            writing.rollback().await?;
            return Ok(removed);
        }
        let mut writing = writing.into_store().await?;
        let mut doomed = Vec::new();
        for object in &removed {
            doomed.extend(writing.doom_blobs_of(&object.id, "", self.now()).await?);
            let target = format!("{bucket}/{}", object.name);
            self.record(&mut *writing, asker, Action::OBJECT_REMOVED, &target, |record| record).await?;
        }
        writing.commit().await?;
        self.remove_bytes(&doomed).await;
        Ok(removed)
    }

    /// Gives an object another name, or another bucket whose limits it keeps to and where `asker` may insert it: a policy
    /// on updates says nothing of where they may put files.
    ///
    /// # Errors
    /// [`Code::NoSuchObject`] where `asker` may not move it, too; [`Code::AlreadyExists`].
    pub async fn rename(
        &self,
        asker: &Asker,
        from: (&BucketName, &ObjectName),
        to: (&BucketName, &ObjectName),
    ) -> Result<()> {
        let guarded = self.of(asker);
        let mut object = self.look(&guarded, from.0, from.1).await?.ok_or_else(no_such_object)?;
        if from.0 != to.0 {
            self.may_insert(asker, to).await?;
        }
        for _ in 0..TRIES {
            if from.0 != to.0 {
                self.fits(&object, to.0).await?;
            }
            let mut writing = guarded.begin().await?;
            let update = writing
                .query_as::<(String,)>(sql::MOVE_OBJECT.on(&guarded))
                .bind(from.0.as_str().to_owned())
                .bind(from.1.as_str().to_owned())
                .bind(to.0.as_str().to_owned())
                .bind(to.1.as_str().to_owned())
                .bind(self.now().to_string())
                .bind(object.version.clone());
            if update.fetch_optional().await.map_err(refused)?.is_some() {
                let mut writing = writing.into_store().await?;
                let (target, now) = (format!("{}/{}", from.0, from.1), format!("{}/{}", to.0, to.1));
                let details = |record: Record| record.with("to", now);
                self.record(&mut *writing, asker, Action::OBJECT_MOVED, &target, details).await?;
                return writing.commit().await;
            }
            writing.rollback().await?;
            // It is another one since it was looked at; or it is not theirs to move.
            let anew = self.look(&guarded, from.0, from.1).await?.ok_or_else(no_such_object)?;
            if anew.version == object.version {
                return Err(no_such_object());
            }
            object = anew;
        }
        Err(Error::overloaded(1))
    }

    /// Whether `asker` may put a new file there: asked by doing it, and undone.
    async fn may_insert(&self, asker: &Asker, (bucket, name): (&BucketName, &ObjectName)) -> Result<()> {
        let (guarded, fresh) = (self.of(asker), self.fresh_id()?);
        let mut writing = guarded.begin().await?;
        let upload = Upload::new(bucket.clone(), name.clone());
        self.put_row(&mut writing, &guarded, asker, &upload, &fresh, "", &serde_json::json!({})).await?;
        writing.rollback().await
    }

    /// Whether a bucket takes an object that lies in another: by its bytes, as if it came anew.
    async fn fits(&self, object: &Object, bucket: &BucketName) -> Result<()> {
        let bucket = self.limits_of(bucket).await?;
        let download = self.with_blob(object.clone()).await?;
        let size = download.size();
        if size > self.largest(&bucket) {
            return Err(too_large());
        }
        let Some(allowed) = &bucket.allowed_mime_types else { return Ok(()) };
        let mut head = Vec::new();
        let mut pieces = download.content(0..size.min(content::LOOKED_AT as u64)).await?;
        while let Some(piece) = pieces.next().await {
            head.extend_from_slice(&piece?);
        }
        match content::is_allowed(allowed, object.content_type(), content::sniff(&head)) {
            true => Ok(()),
            false => Err(not_supported(object.content_type())),
        }
    }

    /// Copies an object that `asker` may see to where they may write. The copy is theirs.
    ///
    /// # Errors
    /// As [`Files::info`] and [`Files::upload`].
    pub async fn copy(
        &self,
        asker: &Asker,
        from: (&BucketName, &ObjectName),
        to: (&BucketName, &ObjectName),
        existing: Existing,
    ) -> Result<Uploaded> {
        let source = self.download(asker, from.0, from.1).await?;
        let object = source.object();
        let mut upload = Upload::new(to.0.clone(), to.1.clone());
        upload.content_type = Some(object.content_type().to_owned());
        upload.cache_control = Some(object.cache_control().to_owned());
        upload.user_metadata.clone_from(&object.user_metadata);
        upload.existing = existing;
        upload.length = Some(source.size());
        let content: Content<'static> = source.content(0..source.size()).await?;
        self.upload(asker, &upload, content).await
    }
}

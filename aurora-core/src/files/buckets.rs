use super::record::{Bucket, BucketRecord, ObjectRecord};
use super::service::{exists, no_such_bucket, refused};
use super::{Asker, BucketName, Files, ObjectName, content, sql};
use crate::audit::Action;
use crate::types::{Code, Error, Principal, Result};

/// What a bucket takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketRules {
    /// Whether anyone may read its objects by their public URLs.
    pub public: bool,
    /// The largest file, in bytes; `None` for the service's own limit.
    pub file_size_limit: Option<u64>,
    /// The types, as `image/png` or `image/*`; `None` for all.
    pub allowed_mime_types: Option<Vec<String>>,
}

/// A bucket's rules as its columns hold them.
type Columns = (bool, Option<i64>, Option<String>);

impl BucketRules {
    fn columns(&self) -> Result<Columns> {
        let wrong = |what: &str| Error::new(Code::ValidationFailed, what.to_owned());
        let limit = self.file_size_limit.map(i64::try_from).transpose();
        let limit = limit.map_err(|_| wrong("file_size_limit is too large"))?;
        let types = self.allowed_mime_types.as_deref().unwrap_or_default();
        if types.len() > 100 || types.iter().any(|kind| !is_pattern(kind)) {
            return Err(wrong("allowed_mime_types holds what is no media type"));
        }
        let listed = self.allowed_mime_types.as_ref().map(serde_json::to_string).transpose();
        Ok((self.public, limit, listed.map_err(Error::internal)?))
    }
}

fn is_pattern(kind: &str) -> bool {
    kind == "*" || content::media_type(&kind.replace('*', "x")).is_some() && !kind.contains(';')
}

impl Files {
    /// The buckets that `asker` may see, by name.
    pub async fn buckets(&self, asker: &Asker) -> Result<Vec<Bucket>> {
        let guarded = self.of(asker);
        let found = guarded.query_as::<BucketRecord>(sql::BUCKETS.on(&guarded)).fetch_all().await?;
        found.into_iter().map(Bucket::try_from).collect()
    }

    /// A bucket that `asker` may see.
    ///
    /// # Errors
    /// [`Code::NoSuchBucket`].
    pub async fn bucket(&self, asker: &Asker, name: &BucketName) -> Result<Bucket> {
        let guarded = self.of(asker);
        let found = guarded.query_as::<BucketRecord>(sql::BUCKET.on(&guarded)).bind(name.as_str().to_owned());
        found.fetch_optional().await?.ok_or_else(no_such_bucket)?.try_into()
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// [`Code::AlreadyExists`]; [`Code::InsufficientPrivilege`] where no policy lets `asker`.
    pub async fn create_bucket(&self, asker: &Asker, name: &BucketName, rules: &BucketRules) -> Result<()> {
        let (public, limit, types) = rules.columns()?;
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await?;
        let insert = writing
            .query(sql::INSERT_BUCKET.on(&guarded))
            .bind(name.as_str().to_owned())
            .bind(asker.owner_id())
            .bind(public)
            .bind(limit)
            .bind(types)
            .bind(self.now().to_string());
        insert
            .execute()
            .await
            .map_err(|error| if error.code() == Code::UniqueViolation { exists() } else { refused(error) })?;
        let mut writing = writing.into_store().await?;
        let (kept, target) = (public, name.as_str());
        self.record(&mut *writing, asker, Action::BUCKET_CREATED, target, |record| {
            record.with("public", kept)
        })
        .await?;
        writing.commit().await
    }

    /// Makes a bucket as the service, if there is none of that name, and answers whether it did: for a start.
    pub async fn ensure_bucket(&self, name: &BucketName, rules: &BucketRules) -> Result<bool> {
        match self.limits_of(name).await {
            Ok(_) => return Ok(false),
            Err(error) if error.code() == Code::NoSuchBucket => {}
            Err(error) => return Err(error),
        }
        match self.create_bucket(&Asker::new(Principal::service()), name, rules).await {
            // Another process was first.
            Err(error) if error.code() == Code::AlreadyExists => Ok(false),
            made => made.map(|()| true),
        }
    }

    /// Changes what a bucket takes.
    ///
    /// # Errors
    /// [`Code::NoSuchBucket`], where `asker` may not change it, too.
    pub async fn update_bucket(&self, asker: &Asker, name: &BucketName, rules: &BucketRules) -> Result<()> {
        let (public, limit, types) = rules.columns()?;
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await?;
        let update = writing
            .query(sql::UPDATE_BUCKET.on(&guarded))
            .bind(name.as_str().to_owned())
            .bind(public)
            .bind(limit)
            .bind(types)
            .bind(self.now().to_string());
        if update.execute().await.map_err(refused)?.rows_affected() != 1 {
            return Err(no_such_bucket());
        }
        let mut writing = writing.into_store().await?;
        let target = name.as_str();
        self.record(&mut *writing, asker, Action::BUCKET_UPDATED, target, |record| {
            record.with("public", public)
        })
        .await?;
        writing.commit().await
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// [`Code::NoSuchBucket`]; [`Code::BucketNotEmpty`].
    pub async fn delete_bucket(&self, asker: &Asker, name: &BucketName) -> Result<()> {
        let guarded = self.of(asker);
        let mut writing = guarded.begin().await?;
        let delete = writing.query(sql::DELETE_BUCKET.on(&guarded)).bind(name.as_str().to_owned());
        let done = delete.execute().await.map_err(|error| match error.code() {
            Code::ForeignKeyViolation => {
                Error::new(Code::BucketNotEmpty, "The bucket you tried to delete is not empty")
            }
            _ => refused(error),
        })?;
        if done.rows_affected() != 1 {
            return Err(no_such_bucket());
        }
        let mut writing = writing.into_store().await?;
        self.record(&mut *writing, asker, Action::BUCKET_DELETED, name.as_str(), |record| record).await?;
        writing.commit().await
    }

    /// Removes every object of a bucket that `asker` may remove, and answers how many. Those that they may not stay.
    pub async fn empty_bucket(&self, asker: &Asker, name: &BucketName) -> Result<u64> {
        self.bucket(asker, name).await?;
        let (mut removed, mut from) = (0, String::new());
        loop {
            let guarded = self.of(asker);
            let page = guarded
                .query_as::<ObjectRecord>(sql::OBJECTS_FROM.on(&guarded))
                .bind(name.as_str().to_owned())
                .bind(from.clone())
                .bind("\u{10ffff}".to_owned())
                .bind(100_i64);
            let page: Vec<super::Object> =
                page.fetch_all().await?.into_iter().map(super::Object::try_from).collect::<Result<_>>()?;
            let Some(last) = page.last() else { break };
            // The first name behind the last one.
            from = format!("{}\u{1}", last.name);
            let names: Vec<ObjectName> = page.iter().filter_map(|object| object.name.parse().ok()).collect();
            removed += self.remove(asker, name, &names).await?.len() as u64;
        }
        Ok(removed)
    }
}

//! Buckets and objects as they come out of their tables.

use serde_json::{Map, Value, json};

use crate::types::{Error, Result};

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// Its name.
    pub id: String,
    /// Who made it, where it was a user.
    pub owner: Option<String>,
    /// Whether anyone may read its objects by their public URLs.
    pub public: bool,
    /// The largest file that it takes.
    pub file_size_limit: Option<u64>,
    /// The types that it takes; `None` for all of them.
    pub allowed_mime_types: Option<Vec<String>>,
    /// Made.
    pub created_at: String,
    /// Last changed.
    pub updated_at: String,
}

/// An object, without its content.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Object {
    /// Which.
    pub id: String,
    /// Its bucket.
    pub bucket: String,
    /// Its name.
    pub name: String,
    /// Whose it is, where it is a user's.
    pub owner: Option<String>,
    /// What the service noted: `eTag`, `size`, `mimetype`, `cacheControl`, `lastModified`, ..
    pub metadata: Map<String, Value>,
    /// What its maker noted; `None` in a list, too.
    pub user_metadata: Option<Map<String, Value>>,
    /// The blob that holds its content.
    pub version: String,
    /// Made.
    pub created_at: String,
    /// Last changed.
    pub updated_at: String,
    /// Last read, where that is noted.
    pub last_accessed_at: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct BucketRecord {
    id: String,
    owner_id: Option<String>,
    public: bool,
    file_size_limit: Option<i64>,
    allowed_mime_types: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct ObjectRecord {
    id: String,
    bucket_id: String,
    name: String,
    owner_id: Option<String>,
    metadata: String,
    user_metadata: Option<String>,
    version: String,
    created_at: String,
    updated_at: String,
    last_accessed_at: String,
}

impl TryFrom<BucketRecord> for Bucket {
    type Error = Error;

    fn try_from(row: BucketRecord) -> Result<Self> {
        let types = row.allowed_mime_types.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            id: row.id,
            owner: row.owner_id,
            public: row.public,
            file_size_limit: row.file_size_limit.and_then(|limit| u64::try_from(limit).ok()),
            allowed_mime_types: types.map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl TryFrom<ObjectRecord> for Object {
    type Error = Error;

    fn try_from(row: ObjectRecord) -> Result<Self> {
        let user_metadata = row.user_metadata.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            id: row.id,
            bucket: row.bucket_id,
            name: row.name,
            owner: row.owner_id,
            metadata: serde_json::from_str(&row.metadata).map_err(Error::internal)?,
            user_metadata: user_metadata.map_err(Error::internal)?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_accessed_at: row.last_accessed_at,
        })
    }
}

impl Bucket {
    /// As Supabase writes it.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.id,
            "owner": self.owner.as_deref().unwrap_or_default(),
            "public": self.public,
            "type": "STANDARD",
            "file_size_limit": self.file_size_limit,
            "allowed_mime_types": self.allowed_mime_types,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}

impl Object {
    /// The type of its content.
    pub fn content_type(&self) -> &str {
        self.metadata.get("mimetype").and_then(Value::as_str).unwrap_or("application/octet-stream")
    }

    /// How long others may keep it, as its maker said.
    pub fn cache_control(&self) -> &str {
        self.metadata.get("cacheControl").and_then(Value::as_str).unwrap_or("no-cache")
    }

    /// What tells one content from another. Of this version alone.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// As a list has it, with the name as it is called there.
    pub fn to_list_json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "id": self.id,
            "updated_at": self.updated_at,
            "created_at": self.created_at,
            "last_accessed_at": self.last_accessed_at,
            "metadata": self.metadata,
        })
    }

    /// As `info` has it.
    pub fn to_info_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "bucket_id": self.bucket,
            "size": self.metadata.get("size"),
            "content_type": self.content_type(),
            "cache_control": self.cache_control(),
            "etag": self.etag(),
            "metadata": self.user_metadata,
            "last_modified": self.updated_at,
            "created_at": self.created_at,
        })
    }

    /// As what was removed is told.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "bucket_id": self.bucket,
            "owner": self.owner,
            "owner_id": self.owner,
            "version": self.version,
            "metadata": self.metadata,
            "user_metadata": self.user_metadata,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "last_accessed_at": self.last_accessed_at,
        })
    }
}

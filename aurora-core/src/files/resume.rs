//! Uploads that go on after a break: each part that came is a sealed blob of its own, and the last one makes them a
//! file.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::seal::SealedFor;
use super::service::no_such_object;
use super::underway::Unnamed;
use super::upload::{Content, Existing, Upload, Uploaded, too_large};
use super::{Asker, BucketName, Files, ObjectName};
use crate::store::{BlobRow, UploadRow};
use crate::types::{Code, Error, RequestId, Result, Role, Timestamp};

/// Most parts of one upload: a part is a blob, and the last one reads them all.
const MOST_PARTS: i64 = 10_000;
/// Most bytes of what is said of an upload, as its row holds it.
const MOST_SAID: usize = 16 * 1024;

/// An upload that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumable {
    /// Its opaque name.
    pub id: String,
    /// Bytes in all.
    pub length: u64,
    /// Bytes that are here.
    pub position: u64,
    /// Forgotten then, unless another part comes.
    pub expires_at: Timestamp,
    /// The file, once all of it is there.
    pub finished: Option<Uploaded>,
}

/// What a part's digest is said to be.
#[derive(Clone, Debug)]
pub struct PartDigest {
    algorithm: &'static Algorithm,
    value: Vec<u8>,
}

impl PartDigest {
    /// By the name that TUS gives the algorithm: `sha256`, or `sha1`, which tells damage and stops no forger.
    pub fn new(algorithm: &str, value: Vec<u8>) -> Option<Self> {
        let algorithm = match algorithm {
            "sha256" => &SHA256,
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            _ => return None,
        };
        Some(Self { algorithm, value })
    }
}

#[derive(Serialize, Deserialize)]
struct Details {
    content_type: Option<String>,
    cache_control: Option<String>,
    user_metadata: Option<Map<String, Value>>,
    replaces: bool,
    /// As whom it began: nobody else goes on with it.
    maker: String,
}

fn maker(asker: &Asker) -> String {
    match asker.principal().role() {
        Role::Service if !asker.is_service() => "signed".to_owned(),
        role => role.as_str().to_owned(),
    }
}

impl Files {
    /// Begins an upload of a length that is known, if the policies let `asker`.
    ///
    /// # Errors
    /// As [`Files::upload`], before there is any content; [`Code::QuotaExceeded`] where too many are not finished.
    pub async fn begin_upload(&self, asker: &Asker, upload: &Upload) -> Result<Resumable> {
        let missing = || Error::new(Code::ValidationFailed, "the length of the upload has to be said");
        let length = upload.length.ok_or_else(missing)?;
        let asked = self.ask_first(asker, upload).await?;
        Self::takes(&asked.bucket, upload)?;
        let details = Details {
            content_type: upload.content_type.clone(),
            cache_control: upload.cache_control.clone(),
            user_metadata: upload.user_metadata.clone(),
            replaces: upload.existing == Existing::Replace,
            maker: maker(asker),
        };
        let details = serde_json::to_string(&details).map_err(Error::internal)?;
        if details.len() > MOST_SAID {
            return Err(Error::new(Code::ValidationFailed, "too much is said of the upload"));
        }
        let row = UploadRow {
            id: self.fresh_blob()?.as_str().to_owned(),
            owner: asker.owner().key(),
            bucket: upload.bucket.as_str().to_owned(),
            name: upload.name.as_str().to_owned(),
            length: i64::try_from(length).map_err(|_| too_large())?,
            position: 0,
            parts: 0,
            details,
            created_at: self.now(),
            expires_at: self.now().plus(self.0.options.upload_lifetime),
        };
        let mut writing = self.0.database.begin().await?;
        let unfinished = writing.insert_upload(&row).await?;
        if !asker.is_service() && u64::try_from(unfinished).unwrap_or(0) > self.0.options.unfinished_uploads {
            let sentence = "Too many of your uploads are not finished";
            return Err(Error::new(Code::QuotaExceeded, sentence));
        }
        writing.commit().await?;
        if length == 0 {
            return self.finish_upload(asker, &row).await;
        }
        Ok(standing(&row))
    }

    /// Where an upload of `asker`'s stands. One whose last part came, and which did not become a file then, is finished
    /// first: whoever hears of all its bytes takes it for a file.
    ///
    /// # Errors
    /// [`Code::NoSuchObject`] where it is another's, finished or expired, too; as [`Files::upload`] where all of it is
    /// here.
    pub async fn upload_standing(&self, asker: &Asker, id: &str) -> Result<Resumable> {
        let row = self.upload_of(asker, id).await?;
        if row.position == row.length {
            return self.finish_upload(asker, &row).await;
        }
        Ok(standing(&row))
    }

    /// Takes the next part of an upload, as much of it as comes; with the last one the file is there.
    ///
    /// # Errors
    /// [`Code::UploadConflict`] where another part is expected; [`Code::DigestMismatch`] where the part is not what its
    /// digest says, and nothing of it is kept; as [`Files::upload`].
    pub async fn continue_upload(
        &self,
        asker: &Asker,
        id: &str,
        position: u64,
        digest: Option<&PartDigest>,
        mut content: Content<'_>,
    ) -> Result<Resumable> {
        let row = self.upload_of(asker, id).await?;
        let here = u64::try_from(row.position).map_err(Error::internal)?;
        if position != here {
            return Err(conflict());
        }
        if row.parts >= MOST_PARTS {
            return Err(Error::new(
                Code::ValidationFailed,
                format!("an upload has at most {MOST_PARTS} parts"),
            ));
        }
        let row = match row.position == row.length {
            true => row,
            false => self.take_part(asker, row, digest, &mut content).await?,
        };
        if row.position == row.length {
            return self.finish_upload(asker, &row).await;
        }
        Ok(standing(&row))
    }

    /// The upload with what came of `content`.
    async fn take_part(
        &self,
        asker: &Asker,
        row: UploadRow,
        digest: Option<&PartDigest>,
        content: &mut Content<'_>,
    ) -> Result<UploadRow> {
        let mut turn = self.turn(asker)?;
        let taken = match asker.is_service() {
            true => None,
            false => Some(self.0.database.read().await?.file_usage(&row.owner).await?.bytes),
        };
        let left = u64::try_from(row.length - row.position).map_err(Error::internal)?;
        let blob = self.fresh_blob()?;
        let sealed = SealedFor {
            owner: row.owner.clone(),
            bucket: row.bucket.clone(),
            object: row.id.clone(),
            generation: blob.as_str().to_owned(),
        };
        let mut sum = digest.map(|digest| Context::new(digest.algorithm));
        let seen = |piece: &[u8]| {
            if let Some(sum) = &mut sum {
                sum.update(piece);
            }
            self.count_coming(&mut turn, taken, piece.len())
        };
        let part = self.write_part(&sealed, &blob, content, left, seen).await?;
        if let (Some(sum), Some(digest)) = (sum.map(Context::finish), digest)
            && !bool::from(sum.as_ref().ct_eq(&digest.value))
        {
            part.unnamed.remove().await;
            return Err(Error::new(Code::DigestMismatch, "The part is not what its digest says"));
        }
        if part.size == 0 {
            part.unnamed.remove().await;
            return Ok(row);
        }
        let blob = BlobRow {
            id: blob.as_str().to_owned(),
            object: row.id.clone(),
            bucket: row.bucket.clone(),
            owner: row.owner.clone(),
            part: row.parts,
            size: i64::try_from(part.size).map_err(Error::internal)?,
            key: i64::from(part.key),
            created_at: self.now(),
            doomed_at: None,
        };
        let mut unnamed = part.unnamed;
        match self.count_part(asker, &row, &blob, &mut unnamed).await {
            Ok(row) => Ok(row),
            Err(error) => {
                unnamed.remove().await;
                Err(error)
            }
        }
    }

    /// Gives an upload up, with what came of it.
    ///
    /// # Errors
    /// As [`Files::upload_standing`].
    pub async fn cancel_upload(&self, asker: &Asker, id: &str) -> Result<()> {
        let row = self.upload_of(asker, id).await?;
        self.forget_upload(&row.id).await
    }

    /// For whom a token uploads in parts.
    ///
    /// # Errors
    /// [`Code::SignatureInvalid`].
    pub async fn signed_uploader(
        &self,
        token: &str,
        bucket: &BucketName,
        name: &ObjectName,
        request: RequestId,
    ) -> Result<(Asker, Existing)> {
        self.signed_asker(token, bucket, name, Some(request)).await
    }

    /// Where an upload will lie, for whoever has to show a token for it.
    ///
    /// # Errors
    /// [`Code::NoSuchObject`].
    pub async fn upload_target(&self, id: &str) -> Result<(BucketName, ObjectName)> {
        let row = self.0.database.read().await?.upload(id).await?.ok_or_else(no_such_object)?;
        Ok((row.bucket.parse()?, row.name.parse()?))
    }

    async fn upload_of(&self, asker: &Asker, id: &str) -> Result<UploadRow> {
        let row = self.0.database.read().await?.upload(id).await?.ok_or_else(no_such_object)?;
        let details: Details = serde_json::from_str(&row.details).map_err(Error::internal)?;
        if row.owner != asker.owner().key() || details.maker != maker(asker) || row.expires_at <= self.now() {
            return Err(no_such_object());
        }
        Ok(row)
    }

    /// The upload with one part more.
    async fn count_part(
        &self,
        asker: &Asker,
        row: &UploadRow,
        part: &BlobRow,
        unnamed: &mut Unnamed,
    ) -> Result<UploadRow> {
        let to = row.position.saturating_add(part.size);
        let expires_at = self.now().plus(self.0.options.upload_lifetime);
        let mut writing = self.0.database.begin().await?;
        self.still_there(&mut *writing, asker.owner(), part.key).await?;
        let usage = writing.add_blob(part).await?;
        if !asker.is_service() {
            self.within_quota(usage.bytes, usage.files)?;
        }
        if !writing.advance_upload(&row.id, row.position, to, expires_at).await? {
            return Err(conflict());
        }
        // What no row names then is swept.
        unnamed.keep();
        writing.commit().await?;
        Ok(UploadRow { position: to, parts: row.parts + 1, expires_at, ..row.clone() })
    }

    /// Makes the parts one file. What is refused for good ends the upload.
    async fn finish_upload(&self, asker: &Asker, row: &UploadRow) -> Result<Resumable> {
        let details: Details = serde_json::from_str(&row.details).map_err(Error::internal)?;
        let mut upload = Upload::new(row.bucket.parse()?, row.name.parse()?);
        upload.content_type = details.content_type;
        upload.cache_control = details.cache_control;
        upload.user_metadata = details.user_metadata;
        upload.existing = if details.replaces { Existing::Replace } else { Existing::Refuse };
        upload.length = u64::try_from(row.length).ok();
        upload.parts_of = Some(row.id.clone());
        for last in [false, true] {
            let parts = self.0.database.read().await?.blobs_of(&row.id).await?;
            if parts.iter().fold(0_i64, |sum, part| sum.saturating_add(part.size)) != row.length {
                // Somebody else finished it, or gave it up.
                return Err(conflict());
            }
            match self.upload(asker, &upload, self.joined(parts)).await {
                Ok(uploaded) => return Ok(Resumable { finished: Some(uploaded), ..standing(row) }),
                // A part that was sealed again meanwhile lies elsewhere.
                Err(error) if error.code() == Code::NotFound && !last => {}
                Err(error) if error.code() == Code::NotFound => {
                    return Err(Error::overloaded(1).with_source(error));
                }
                Err(error) => {
                    if is_for_good(error.code()) {
                        self.forget_upload(&row.id).await?;
                    }
                    return Err(error);
                }
            }
        }
        Err(Error::internal("an upload is finished in two tries at the most"))
    }

    /// The plain bytes of these blobs, one after the other.
    fn joined(&self, parts: Vec<BlobRow>) -> Content<'static> {
        let files = self.clone();
        async_stream::try_stream! {
            for part in parts {
                let size = u64::try_from(part.size).map_err(Error::internal)?;
                let mut plain = files.open_blob(&part.id.parse()?, &SealedFor::of(&part), size, 0..size).await?;
                while let Some(piece) = plain.next().await {
                    yield piece?;
                }
            }
        }
        .boxed()
    }

    async fn forget_upload(&self, id: &str) -> Result<()> {
        let mut writing = self.0.database.begin().await?;
        let doomed = writing.doom_blobs_of(id, "", self.now()).await?;
        writing.delete_upload(id).await?;
        writing.commit().await?;
        self.remove_bytes(&doomed).await;
        Ok(())
    }
}

fn standing(row: &UploadRow) -> Resumable {
    Resumable {
        id: row.id.clone(),
        length: u64::try_from(row.length).unwrap_or(0),
        position: u64::try_from(row.position).unwrap_or(0),
        expires_at: row.expires_at,
        finished: None,
    }
}

/// Whether an upload that was refused so will be refused again, whoever tries and whenever.
fn is_for_good(code: Code) -> bool {
    matches!(
        code,
        Code::AlreadyExists
            | Code::InsufficientPrivilege
            | Code::InvalidMimeType
            | Code::PayloadTooLarge
            | Code::QuotaExceeded
    )
}

fn conflict() -> Error {
    Error::new(Code::UploadConflict, "Another part of the upload is expected")
}

//! Signed URLs: what one of them allows stands in its token, under a MAC of the key ring's.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::download::Download;
use super::service::{Owner, no_such_object};
use super::upload::{Content, Existing, Upload, Uploaded};
use super::{Asker, BucketName, Files, ObjectName};
use crate::audit::{Action, Record};
use crate::crypto::Purpose;
use crate::types::{Code, Error, RequestId, Result, Timestamp};

const LABEL: &str = "aurora signed url v1";
/// Longer is no token of ours: names have bounds.
const LONGEST: usize = 4096;

/// What a token is good for. It is part of what is signed: a URL to download with uploads nothing, and the other way
/// round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Use {
    #[serde(rename = "d")]
    Download,
    #[serde(rename = "u")]
    Upload,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Claims {
    /// What for.
    u: Use,
    /// The bucket.
    b: String,
    /// The name.
    n: String,
    /// The object that it was signed for; a new one of the name is another. To upload, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<String>,
    /// Good until then, seconds since 1970.
    e: i64,
    /// Whose an upload becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<String>,
    /// Whether it may take the place of what is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    x: bool,
}

impl Files {
    /// A token with which anyone downloads this object for `lifetime`, if `asker` may see it.
    ///
    /// # Errors
    /// As [`Files::info`]; [`Code::ValidationFailed`] for a lifetime of nothing or more than
    /// [`FileOptions::longest_signature`](super::FileOptions).
    pub async fn sign_download(
        &self,
        asker: &Asker,
        bucket: &BucketName,
        name: &ObjectName,
        lifetime: Duration,
    ) -> Result<String> {
        let names = std::slice::from_ref(name);
        self.sign_downloads(asker, bucket, names, lifetime).await?.pop().flatten().ok_or_else(no_such_object)
    }

    /// A token for each of these, as [`Files::sign_download`]; `None` for what `asker` may not see, or is not there.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] for the lifetime.
    pub async fn sign_downloads(
        &self,
        asker: &Asker,
        bucket: &BucketName,
        names: &[ObjectName],
        lifetime: Duration,
    ) -> Result<Vec<Option<String>>> {
        let until = self.until(lifetime)?;
        let guarded = self.of(asker);
        let (mut tokens, mut signed) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            let Some(object) = self.look(&guarded, bucket, name).await? else {
                tokens.push(None);
                continue;
            };
            signed.push(format!("{}/{}", object.bucket, object.name));
            tokens.push(Some(self.token(&Claims {
                u: Use::Download,
                b: object.bucket,
                n: object.name,
                i: Some(object.id),
                e: until,
                o: None,
                x: false,
            })?));
        }
        self.record_signed(asker, &signed, "download", until).await?;
        Ok(tokens)
    }

    /// Whether a token is one to download this object with.
    pub fn is_signed_for(&self, token: &str, bucket: &BucketName, name: &ObjectName) -> bool {
        self.claims(token, Use::Download, bucket, name).is_ok()
    }

    /// Whoever has such a URL needs no account: who gave it out is kept.
    async fn record_signed(
        &self,
        asker: &Asker,
        signed: &[String],
        what: &'static str,
        until: i64,
    ) -> Result<()> {
        if signed.is_empty() {
            return Ok(());
        }
        let mut writing = self.0.database.begin().await?;
        for target in signed {
            let details =
                |record: Record| record.with("for", what).with("until", Timestamp::from_seconds(until));
            self.record(&mut *writing, asker, Action::OBJECT_SIGNED, target, details).await?;
        }
        writing.commit().await
    }

    /// A token with which anyone uploads to this name, as `asker` may now. It is good for two hours, as Supabase has
    /// it. Without `Replace` it takes no file's place; with it, that of the object which is there now, and of what
    /// became `asker`'s own since.
    ///
    /// # Errors
    /// As [`Files::upload`], before there is any content.
    pub async fn sign_upload(
        &self,
        asker: &Asker,
        bucket: &BucketName,
        name: &ObjectName,
        existing: Existing,
    ) -> Result<String> {
        let mut upload = Upload::new(bucket.clone(), name.clone());
        upload.existing = existing;
        let target = self.ask_first(asker, &upload).await?.target;
        let until = self.until(Duration::from_secs(2 * 3600))?;
        let token = self.token(&Claims {
            u: Use::Upload,
            b: bucket.as_str().to_owned(),
            n: name.as_str().to_owned(),
            i: target.is_there.then_some(target.object),
            e: until,
            o: Some(asker.owner().key()),
            x: existing == Existing::Replace,
        })?;
        self.record_signed(asker, &[upload.key()], "upload", until).await?;
        Ok(token)
    }

    /// The object that a token was signed for.
    ///
    /// # Errors
    /// [`Code::SignatureInvalid`], whatever is wrong; [`Code::NoSuchObject`] if it was removed since.
    pub async fn signed_download(
        &self,
        token: &str,
        bucket: &BucketName,
        name: &ObjectName,
    ) -> Result<Download> {
        let claims = self.claims(token, Use::Download, bucket, name)?;
        let id = claims.i.ok_or_else(invalid)?;
        let object = self.object_by_id(&id).await?.ok_or_else(no_such_object)?;
        // It lies elsewhere now.
        if object.bucket != bucket.as_str() || object.name != name.as_str() {
            return Err(no_such_object());
        }
        self.with_blob(object).await
    }

    /// An upload that a token allows.
    ///
    /// # Errors
    /// [`Code::SignatureInvalid`], whatever is wrong; as [`Files::upload`].
    pub async fn signed_upload(
        &self,
        token: &str,
        mut upload: Upload,
        content: Content<'_>,
        request: Option<RequestId>,
    ) -> Result<Uploaded> {
        let asker = self.signed_asker(token, &upload.bucket, &upload.name, request).await?;
        let replaces = asker.1 == Existing::Replace;
        upload.existing = if replaces { Existing::Replace } else { Existing::Refuse };
        self.upload(&asker.0, &upload, content).await
    }

    /// For whom a token uploads, and what becomes of what is there. Of a user who was deleted or banned since, nothing:
    /// whoever has the link is not better off than they are.
    pub(super) async fn signed_asker(
        &self,
        token: &str,
        bucket: &BucketName,
        name: &ObjectName,
        request: Option<RequestId>,
    ) -> Result<(Asker, Existing)> {
        let claims = self.claims(token, Use::Upload, bucket, name)?;
        let owner = Owner::of_key(&claims.o.ok_or_else(invalid)?).map_err(|_| invalid())?;
        let existing = if claims.x { Existing::Replace } else { Existing::Refuse };
        if let Owner::User(id) = owner {
            let user = self.0.database.read().await?.user(id).await?.ok_or_else(invalid)?;
            if user.deleted_at.is_some() || user.banned_until.is_some_and(|until| until > self.now()) {
                return Err(invalid());
            }
        }
        Ok((Asker::signed(owner, claims.i, request), existing))
    }

    fn until(&self, lifetime: Duration) -> Result<i64> {
        let wrong =
            || Error::new(Code::ValidationFailed, "expiresIn must be a second or more, and within a year");
        if lifetime.as_secs() == 0 || lifetime > self.0.options.longest_signature {
            return Err(wrong());
        }
        let seconds = i64::try_from(lifetime.as_secs()).map_err(|_| wrong())?;
        self.now().as_seconds().checked_add(seconds).ok_or_else(wrong)
    }

    fn token(&self, claims: &Claims) -> Result<String> {
        let claims = serde_json::to_vec(claims).map_err(Error::internal)?;
        let mac = self.0.keyring.mac(Purpose::Session, LABEL, &[&claims]);
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(&claims), URL_SAFE_NO_PAD.encode(mac)))
    }

    fn claims(&self, token: &str, wanted: Use, bucket: &BucketName, name: &ObjectName) -> Result<Claims> {
        if token.len() > LONGEST {
            return Err(invalid());
        }
        let (claims, mac) = token.split_once('.').ok_or_else(invalid)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid());
        let (claims, mac) = (decode(claims)?, decode(mac)?);
        let ours = self.0.keyring.mac(Purpose::Session, LABEL, &[&claims]);
        if !bool::from(ours.as_slice().ct_eq(&mac)) {
            return Err(invalid());
        }
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| invalid())?;
        let alive = Timestamp::from_seconds(claims.e) > self.now();
        if claims.u != wanted || claims.b != bucket.as_str() || claims.n != name.as_str() || !alive {
            return Err(invalid());
        }
        Ok(claims)
    }
}

fn invalid() -> Error {
    Error::new(Code::SignatureInvalid, "The signed URL is invalid or has expired")
}

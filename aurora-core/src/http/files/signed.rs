use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::FileOperation as Do;
use super::{Asked, FileAnswer, ok, path, receive};
use crate::files::{Asker, BucketName, Content, ObjectName};
use crate::http::Http;
use crate::http::body::parameter;
use crate::types::{Code, Error, Result};

/// Most paths that are signed at once.
const MOST: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignBody {
    expires_in: u64,
    paths: Option<Vec<String>>,
}

impl Http {
    pub(super) async fn signed(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        let files = asked.files;
        if asked.found.route.operation == Do::SignedUpload {
            self.count_change(asked, None)?;
            let token = token(asked)?;
            // Before a byte of it: whoever has no token sends for nothing.
            let (bucket, name) = (path::bucket(asked.found.bucket)?, path::object(asked.found.name)?);
            files.signed_uploader(token, &bucket, &name, asked.id).await?;
            let (upload, content) = receive::read(asked, body).await?;
            return receive::uploaded(&files.signed_upload(token, upload, content, Some(asked.id)).await?);
        }
        let asker = self.asker(asked).await?;
        let bucket = path::bucket(asked.found.bucket)?;
        if asked.found.route.operation == Do::SignUpload {
            let name = path::object(asked.found.name)?;
            let token =
                files.sign_upload(&asker, &bucket, &name, receive::existing(&asked.head.headers)).await?;
            return ok(
                &json!({ "url": format!("/object/upload/sign/{}?token={token}", path::encode(&bucket, &name)), "token": token }),
            );
        }
        let body: SignBody = self.small(&asked.head.headers, body).await?;
        let lifetime = Duration::from_secs(body.expires_in);
        if asked.found.route.operation == Do::SignDownload {
            let name = path::object(asked.found.name)?;
            let token = files.sign_download(&asker, &bucket, &name, lifetime).await?;
            return ok(&json!({ "signedURL": to_download(&bucket, &name, &token) }));
        }
        let paths = body.paths.unwrap_or_default();
        if paths.len() > MOST {
            return Err(Error::new(
                Code::ValidationFailed,
                format!("at most {MOST} paths are signed at once"),
            ));
        }
        sign_many(asked, &asker, &bucket, &paths, lifetime).await
    }
}

/// Several at once: what is not there is told in its place.
async fn sign_many(
    asked: &Asked<'_>,
    asker: &Asker,
    bucket: &BucketName,
    paths: &[String],
    lifetime: Duration,
) -> FileAnswer {
    let names: Vec<Option<ObjectName>> = paths.iter().map(|path| path.parse().ok()).collect();
    let wanted: Vec<ObjectName> = names.iter().flatten().cloned().collect();
    let mut tokens = asked.files.sign_downloads(asker, bucket, &wanted, lifetime).await?.into_iter();
    let mut signed = Vec::with_capacity(paths.len());
    for (path, name) in paths.iter().zip(&names) {
        let token = name.as_ref().and_then(|name| Some((name, tokens.next()??)));
        signed.push(match token {
            Some((name, token)) => json!({
                "error": null, "path": path, "signedURL": to_download(bucket, name, &token),
            }),
            None => json!({
                "error": "Either the object does not exist or you do not have access to it", "path": path,
                "signedURL": null,
            }),
        });
    }
    ok(&Value::Array(signed))
}

fn to_download(bucket: &BucketName, name: &ObjectName, token: &str) -> String {
    format!("/object/sign/{}?token={token}", path::encode(bucket, name))
}

/// The object that a signed URL means: the official client encodes the URL that it is given once more. The token says
/// which of the two it was signed for.
pub(super) fn meant(
    asked: &Asked<'_>,
    bucket: BucketName,
    name: ObjectName,
) -> Result<(BucketName, ObjectName)> {
    let twice = || -> Result<(BucketName, ObjectName)> {
        Ok((path::bucket(bucket.as_str())?, path::object(name.as_str())?))
    };
    match twice() {
        Ok((other, once_more)) if asked.files.is_signed_for(token(asked)?, &other, &once_more) => {
            Ok((other, once_more))
        }
        _ => Ok((bucket, name)),
    }
}

pub(super) fn token<'a>(asked: &Asked<'a>) -> Result<&'a str> {
    let missing = || Error::new(Code::SignatureInvalid, "The signed URL is invalid or has expired");
    parameter(asked.head.uri.query(), "token")?.ok_or_else(missing)
}

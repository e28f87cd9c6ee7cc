use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::FileOperation as Do;
use super::{Asked, FileAnswer, ok, path, receive};
use crate::files::{Asker, BucketName, Content};
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
                &json!({ "url": format!("/object/upload/sign/{bucket}/{name}?token={token}"), "token": token }),
            );
        }
        let body: SignBody = self.small(&asked.head.headers, body).await?;
        let lifetime = Duration::from_secs(body.expires_in);
        if asked.found.route.operation == Do::SignDownload {
            let name = path::object(asked.found.name)?;
            let token = files.sign_download(&asker, &bucket, &name, lifetime).await?;
            return ok(&json!({ "signedURL": format!("/object/sign/{bucket}/{name}?token={token}") }));
        }
        let paths = body.paths.unwrap_or_default();
        if paths.len() > MOST {
            return Err(Error::new(
                Code::ValidationFailed,
                format!("at most {MOST} paths are signed at once"),
            ));
        }
        let mut signed = Vec::with_capacity(paths.len());
        for path in &paths {
            signed.push(sign_one(asked, &asker, &bucket, path, lifetime).await?);
        }
        ok(&Value::Array(signed))
    }
}

/// One of several: what is not there is told in its place.
async fn sign_one(
    asked: &Asked<'_>,
    asker: &Asker,
    bucket: &BucketName,
    path: &str,
    lifetime: Duration,
) -> Result<Value> {
    let token = match path.parse() {
        Ok(name) => asked.files.sign_download(asker, bucket, &name, lifetime).await,
        Err(error) => Err(error),
    };
    match token {
        Ok(token) => Ok(json!({
            "error": null, "path": path, "signedURL": format!("/object/sign/{bucket}/{path}?token={token}"),
        })),
        Err(error) if [Code::NoSuchObject, Code::InvalidName].contains(&error.code()) => Ok(json!({
            "error": "Either the object does not exist or you do not have access to it", "path": path,
            "signedURL": null,
        })),
        Err(error) => Err(error),
    }
}

pub(super) fn token<'a>(asked: &Asked<'a>) -> Result<&'a str> {
    let missing = || Error::new(Code::SignatureInvalid, "The signed URL is invalid or has expired");
    parameter(asked.head.uri.query(), "token")?.ok_or_else(missing)
}

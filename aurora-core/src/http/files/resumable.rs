//! TUS 1.0.0: creation, creation with content, termination, expiration, checksum.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};

use super::receive::{cache_control_of, existing, metadata};
use super::routes::FileOperation as Do;
use super::{Asked, FILE_PREFIX, FileAnswer, FileBody};
use crate::files::{Asker, Content, Files, PartDigest, Resumable, Upload};
use crate::http::Http;
use crate::http::render::empty_response;
use crate::types::{Code, Error, Result};

const VERSION: &str = "1.0.0";
const PART: &str = "application/offset+octet-stream";
const SIGNATURE: &str = "x-signature";

impl Http {
    pub(super) async fn resumable(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        let (files, headers) = (asked.files, &asked.head.headers);
        let operation = asked.found.route.operation;
        if operation == Do::UploadOptions {
            return Ok(options(files));
        }
        if text(headers, "tus-resumable") != Some(VERSION) {
            let error = Error::new(Code::ValidationFailed, "Tus-Resumable: 1.0.0 is wanted");
            return Err(error.with_status(StatusCode::PRECONDITION_FAILED));
        }
        if operation == Do::BeginUpload {
            return self.begin(asked, body).await;
        }
        let (asker, id) = (self.uploader(asked).await?, asked.found.bucket);
        match operation {
            Do::UploadStanding => {
                let standing = files.upload_standing(&asker, id).await?;
                let mut response = told(StatusCode::OK, &standing)?;
                put(&mut response, "upload-length", &standing.length.to_string())?;
                Ok(response)
            }
            Do::ContinueUpload => {
                if text(headers, CONTENT_TYPE.as_str()) != Some(PART) {
                    return Err(Error::new(
                        Code::UnsupportedMediaType,
                        format!("Content-Type must be {PART}"),
                    ));
                }
                let position = number(headers, "upload-offset")?.ok_or_else(|| missing("Upload-Offset"))?;
                let digest = digest(headers)?;
                let standing = files.continue_upload(&asker, id, position, digest.as_ref(), body).await?;
                told(StatusCode::NO_CONTENT, &standing)
            }
            _ => {
                files.cancel_upload(&asker, id).await?;
                let mut response = empty_response(StatusCode::NO_CONTENT).map(FileBody::Whole);
                put(&mut response, "tus-resumable", VERSION)?;
                Ok(response)
            }
        }
    }

    async fn begin(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        let (files, headers) = (asked.files, &asked.head.headers);
        let said = said(headers)?;
        let find = |name: &str| said.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let bucket = find("bucketName").ok_or_else(|| missing("bucketName"))?.parse()?;
        let name = find("objectName").ok_or_else(|| missing("objectName"))?.parse()?;
        let mut upload = Upload::new(bucket, name);
        upload.content_type = find("contentType").filter(|kind| !kind.is_empty()).map(str::to_owned);
        upload.cache_control = find("cacheControl").and_then(cache_control_of);
        upload.user_metadata = find("metadata").map(|text| metadata(text.as_bytes())).transpose()?;
        upload.existing = existing(headers);
        upload.length = Some(number(headers, "upload-length")?.ok_or_else(|| missing("Upload-Length"))?);
        let asker = match text(headers, SIGNATURE).filter(|_| asked.found.route.is_signed()) {
            Some(token) => {
                self.count_change(asked, None)?;
                let (asker, existing) =
                    files.signed_uploader(token, &upload.bucket, &upload.name, asked.id).await?;
                upload.existing = existing;
                asker
            }
            None => self.asker(asked).await?,
        };
        let mut standing = files.begin_upload(&asker, &upload).await?;
        let has_content = text(headers, CONTENT_TYPE.as_str()) == Some(PART);
        if has_content && standing.finished.is_none() {
            let digest = digest(headers)?;
            standing = files.continue_upload(&asker, &standing.id, 0, digest.as_ref(), body).await?;
        }
        let mut response = told(StatusCode::CREATED, &standing)?;
        let signed = if asked.found.route.is_signed() { "/sign" } else { "" };
        let location = format!("{FILE_PREFIX}/upload/resumable{signed}/{}", standing.id);
        put(&mut response, LOCATION.as_str(), &location)?;
        Ok(response)
    }

    /// Who goes on with an upload: by the door, or by the token that it began with.
    async fn uploader(&self, asked: &Asked<'_>) -> Result<Asker> {
        match text(&asked.head.headers, SIGNATURE).filter(|_| asked.found.route.is_signed()) {
            Some(token) => {
                self.count_change(asked, None)?;
                let (bucket, name) = asked.files.upload_target(asked.found.bucket).await?;
                Ok(asked.files.signed_uploader(token, &bucket, &name, asked.id).await?.0)
            }
            None => self.asker(asked).await,
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn missing(what: &str) -> Error {
    Error::new(Code::ValidationFailed, format!("{what} is missing"))
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>> {
    let wrong = || Error::new(Code::ValidationFailed, format!("{name} is not a number"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parse = |text: &str| if digits(text) { text.parse().map_err(|_| wrong()) } else { Err(wrong()) };
    text(headers, name).map(parse).transpose()
}

/// `Upload-Metadata: name base64, name base64`.
fn said(headers: &HeaderMap) -> Result<Vec<(String, String)>> {
    let wrong = || Error::new(Code::ValidationFailed, "Upload-Metadata could not be read");
    let mut pairs = Vec::new();
    for pair in
        text(headers, "upload-metadata").unwrap_or_default().split(',').filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = STANDARD.decode(value.trim()).map_err(|_| wrong())?;
        pairs.push((name.to_owned(), String::from_utf8(value).map_err(|_| wrong())?));
    }
    Ok(pairs)
}

/// `Upload-Checksum: sha256 base64`.
fn digest(headers: &HeaderMap) -> Result<Option<PartDigest>> {
    let Some(said) = text(headers, "upload-checksum") else { return Ok(None) };
    let wrong = || Error::new(Code::ValidationFailed, "Upload-Checksum is sha256 or sha1, and base64");
    let (algorithm, value) = said.split_once(' ').ok_or_else(wrong)?;
    let value = STANDARD.decode(value.trim()).map_err(|_| wrong())?;
    PartDigest::new(algorithm, value).ok_or_else(wrong).map(Some)
}

fn told(status: StatusCode, standing: &Resumable) -> FileAnswer {
    let mut response = empty_response(status).map(FileBody::Whole);
    put(&mut response, "tus-resumable", VERSION)?;
    put(&mut response, "upload-offset", &standing.position.to_string())?;
    if standing.finished.is_none() {
        put(
            &mut response,
            "upload-expires",
            &super::send::http_date(&standing.expires_at.to_string()).unwrap_or_default(),
        )?;
    }
    Ok(response)
}

fn options(files: &Files) -> Response<FileBody> {
    let mut response = empty_response(StatusCode::NO_CONTENT).map(FileBody::Whole);
    let headers = response.headers_mut();
    for (name, value) in [
        ("tus-resumable", VERSION),
        ("tus-version", VERSION),
        ("tus-extension", "creation,creation-with-upload,termination,expiration,checksum"),
        ("tus-checksum-algorithm", "sha256,sha1"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static("tus-max-size"), HeaderValue::from(files.options().largest));
    response
}

fn put(response: &mut Response<FileBody>, name: &'static str, value: &str) -> Result<()> {
    let value = HeaderValue::from_str(value).map_err(Error::internal)?;
    response.headers_mut().insert(HeaderName::from_static(name), value);
    Ok(())
}

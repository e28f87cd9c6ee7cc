use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderMap};
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Map, Value, json};

use super::around::Around;
use super::routes::FileOperation as Do;
use super::{Asked, FileAnswer, content_type, ok, path};
use crate::files::{Content, Existing, Upload, Uploaded};
use crate::http::Http;
use crate::types::{Code, Error, Result};

/// Most bytes of what a form says beside its file.
const WORDS: u64 = 64 * 1024;
/// Most fields of a form.
const FIELDS: usize = 16;

impl Http {
    pub(super) async fn receive(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        let asker = self.asker(asked).await?;
        let (mut upload, content) = read(asked, body).await?;
        if asked.found.route.operation == Do::Replace {
            upload.existing = Existing::Replace;
        }
        uploaded(&asked.files.upload(&asker, &upload, content).await?)
    }
}

pub(super) fn uploaded(uploaded: &Uploaded) -> FileAnswer {
    ok(&json!({ "Key": uploaded.key, "Id": uploaded.id }))
}

/// What becomes of what is there, as the request says.
pub(super) fn existing(headers: &HeaderMap) -> Existing {
    match text(headers, "x-upsert") {
        Some("true") => Existing::Replace,
        _ => Existing::Refuse,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What a request says of its file, and the file: raw, or as a part of a form.
pub(super) async fn read(asked: &Asked<'_>, body: Content<'static>) -> Result<(Upload, Content<'static>)> {
    let headers = &asked.head.headers;
    let mut upload = Upload::new(path::bucket(asked.found.bucket)?, path::object(asked.found.name)?);
    upload.existing = existing(headers);
    let said = content_type(headers);
    if let Some(boundary) = said.and_then(|said| multer::parse_boundary(said).ok()) {
        let content = form(&mut upload, boundary, body).await?;
        return Ok((upload, content));
    }
    upload.content_type = said.map(str::to_owned);
    upload.cache_control =
        headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).and_then(cache_control);
    upload.length = text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    upload.user_metadata = match text(headers, "x-metadata") {
        Some(encoded) => Some(metadata(&STANDARD.decode(encoded).map_err(|_| no_metadata())?)?),
        None => None,
    };
    Ok((upload, body))
}

/// The words of a form come before its file.
async fn form(upload: &mut Upload, boundary: String, body: Content<'static>) -> Result<Content<'static>> {
    // A file has its own limits; what comes before it is counted as it is handed on.
    let constraints =
        Constraints::new().size_limit(SizeLimit::new().whole_stream(u64::MAX).per_field(u64::MAX));
    let (body, around) = Around::of(body);
    let mut form = Multipart::with_constraints(body, boundary, constraints);
    for _ in 0..FIELDS {
        let Some(mut field) = form.next_field().await.map_err(broken)? else { break };
        if field.file_name().is_some() || field.content_type().is_some() {
            upload.content_type = field.content_type().map(ToString::to_string);
            around.found();
            // The form is kept as long as its file is read. What follows it is not read.
            let content = async_stream::try_stream! {
                let form = form;
                while let Some(piece) = field.chunk().await.map_err(broken)? {
                    yield piece;
                }
                drop(form);
            };
            return Ok(content.boxed());
        }
        let name = field.name().unwrap_or_default().to_owned();
        let mut value: Vec<u8> = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            let piece: Bytes = piece;
            if (value.len() + piece.len()) as u64 > WORDS {
                return Err(Error::new(Code::PayloadTooLarge, "A field of the form is too large"));
            }
            value.extend_from_slice(&piece);
        }
        match name.as_str() {
            "cacheControl" => {
                upload.cache_control =
                    String::from_utf8(value).ok().and_then(|value| cache_control_of(&value));
            }
            "metadata" => upload.user_metadata = Some(metadata(&value)?),
            _ => {}
        }
    }
    Err(Error::new(Code::ValidationFailed, "The form holds no file"))
}

/// What a read of a form failed with: what its stream failed with, where it did.
fn broken(error: multer::Error) -> Error {
    if let multer::Error::StreamReadFailed(inner) = error {
        let inner = match inner.downcast::<std::io::Error>() {
            Ok(io) => io.into_inner().map(|inner| inner.downcast::<Error>()),
            Err(other) => {
                return Error::new(Code::ValidationFailed, "The form could not be read").with_source(other);
            }
        };
        return match inner {
            Some(Ok(error)) => *error,
            _ => Error::new(Code::ValidationFailed, "The form could not be read"),
        };
    }
    Error::new(Code::ValidationFailed, "The form could not be read").with_source(error)
}

pub(super) fn metadata(text: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(text).map_err(|_| no_metadata())
}

fn no_metadata() -> Error {
    Error::new(Code::ValidationFailed, "metadata is not a JSON object")
}

/// `3600`, as a form has it.
pub(super) fn cache_control_of(value: &str) -> Option<String> {
    match value.trim().parse::<u32>() {
        Ok(seconds) => Some(format!("max-age={seconds}")),
        Err(_) => cache_control(value),
    }
}

/// A value that a header may carry.
fn cache_control(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ,=-\"".contains(c);
    (!value.is_empty() && value.len() <= 200 && value.chars().all(plain)).then(|| value.to_owned())
}

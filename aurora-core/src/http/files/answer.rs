use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::http::render::{ERROR_CODE, json_response};
use crate::types::{Code, Error, RequestId};

/// A failure in Supabase Storage's shape: its own status as `statusCode`, and 400 on the wire but for what a client or
/// a proxy acts on by itself.
pub(super) fn failed(error: &Error, told: Option<String>, id: RequestId) -> Response<Vec<u8>> {
    let (status, code, name) = (error.status(), code_of(error.code()), name_of(error));
    // A token that does not verify is 403 to Supabase's clients of files.
    let told_status = if status == StatusCode::UNAUTHORIZED { StatusCode::FORBIDDEN } else { status };
    let mut body = json!({
        "statusCode": told_status.as_u16().to_string(),
        "error": name,
        "code": code,
        "message": error.message(),
    });
    if let Value::Object(body) = &mut body {
        if status.is_server_error() {
            body.insert("error_id".to_owned(), json!(id));
        }
        if let Some(told) = told {
            body.insert("reason".to_owned(), json!(told));
        }
    }
    let kept = status.is_server_error() || [405, 416, 429, 460].contains(&status.as_u16());
    let mut response = json_response(if kept { status } else { StatusCode::BAD_REQUEST }, body.to_string());
    let headers = response.headers_mut();
    headers.insert(ERROR_CODE, HeaderValue::from_static(error.code().as_str()));
    if let Some(seconds) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The same with its own status, for a protocol that has statuses of its own.
pub(super) fn failed_as_it_is(error: &Error, told: Option<String>, id: RequestId) -> Response<Vec<u8>> {
    let mut response = failed(error, told, id);
    *response.status_mut() = error.status();
    response
}

/// The code as Supabase Storage spells it, where it has one.
fn code_of(code: Code) -> &'static str {
    match code {
        Code::NoSuchBucket => "NoSuchBucket",
        Code::NoSuchObject => "NoSuchKey",
        Code::AlreadyExists => "KeyAlreadyExists",
        Code::InvalidName => "InvalidKey",
        Code::InvalidMimeType => "InvalidMimeType",
        Code::PayloadTooLarge => "EntityTooLarge",
        Code::SignatureInvalid => "InvalidSignature",
        Code::InsufficientPrivilege | Code::ReadOnlyTransaction => "AccessDenied",
        Code::RangeNotSatisfiable => "InvalidRange",
        Code::NoAuthorization | Code::BadJwt | Code::SessionNotFound => "InvalidJWT",
        Code::ValidationFailed | Code::BadJson => "InvalidRequest",
        Code::OverCapacity => "SlowDown",
        Code::UnexpectedFailure => "InternalError",
        other => other.as_str(),
    }
}

/// What older clients read in `error`.
fn name_of(error: &Error) -> &'static str {
    match error.code() {
        Code::NoSuchObject => "not_found",
        Code::NoSuchBucket => "Bucket not found",
        Code::AlreadyExists => "Duplicate",
        Code::InvalidName => "InvalidKey",
        Code::PayloadTooLarge => "Payload too large",
        Code::InvalidMimeType => "invalid_mime_type",
        Code::SignatureInvalid => "InvalidSignature",
        code if code.status() == StatusCode::UNAUTHORIZED || code.status() == StatusCode::FORBIDDEN => {
            "Unauthorized"
        }
        other => other.as_str(),
    }
}

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::observe::REQUEST_ID;
use crate::types::{Code, Error, RequestId};

const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
pub(crate) const ERROR_CODE: HeaderName = HeaderName::from_static("x-sb-error-code");
const REASON: HeaderName = HeaderName::from_static("x-aurora-reason");
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
/// The version whose error shape we speak.
const NEWEST: HeaderValue = HeaderValue::from_static("2024-01-01");

/// Which error shape a client understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiVersion {
    /// `{"code": 400, "error_code": "..", "msg": ".."}`: no version was asked for.
    Initial,
    /// `{"code": "..", "message": ".."}`: `X-Supabase-Api-Version: 2024-01-01` or later.
    V20240101,
}

impl ApiVersion {
    /// The version that a request asks for.
    pub fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(API_VERSION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_date = asked.len() == 10
            && asked
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
        if is_date && asked >= "2024-01-01" { Self::V20240101 } else { Self::Initial }
    }
}

/// The response to a failure: what [`Http::call`](crate::http::Http::call) gives, for the host's own routes.
///
/// The body holds the code and the safe sentence, never the cause. A 5xx names the request as `error_id`. In
/// development [`Http::error_response`](crate::http::Http::error_response) tells the cause, too.
pub fn error_response(error: &Error, version: ApiVersion, request: RequestId) -> Response<Vec<u8>> {
    render(error, version, request, None)
}

/// The same with what else is told to a developer.
pub(crate) fn render(
    error: &Error,
    version: ApiVersion,
    request: RequestId,
    told: Option<String>,
) -> Response<Vec<u8>> {
    let status = error.status();
    let code = error.code();
    let mut body = match version {
        ApiVersion::V20240101 => json!({ "code": code.as_str(), "message": error.message() }),
        ApiVersion::Initial => {
            json!({ "code": status.as_u16(), "error_code": code.as_str(), "msg": error.message() })
        }
    };
    if let Value::Object(body) = &mut body {
        if status.is_server_error() {
            body.insert("error_id".to_owned(), json!(request));
        }
        if code == Code::WeakPassword {
            let reasons: Vec<&str> = error.password_faults().iter().map(|fault| fault.as_str()).collect();
            body.insert("weak_password".to_owned(), json!({ "reasons": reasons }));
        }
    }
    if let (Value::Object(body), Code::InsufficientAal) = (&mut body, code) {
        let mut wanted = json!({ "aal": "aal2" });
        if let (Value::Object(wanted), Some(seconds)) = (&mut wanted, error.max_age()) {
            wanted.insert("max_age".to_owned(), json!(seconds));
        }
        body.insert("step_up".to_owned(), wanted);
    }
    if let (Value::Object(body), Some(told)) = (&mut body, &told) {
        body.insert("reason".to_owned(), json!(told));
    }
    let mut response = json_response(status, body.to_string());
    let headers = response.headers_mut();
    if let Some(told) = told {
        let plain = told.replace(|c: char| !c.is_ascii(), "?");
        headers.extend(HeaderValue::try_from(plain).ok().map(|told| (REASON, told)));
    }
    headers.insert(ERROR_CODE, HeaderValue::from_static(code.as_str()));
    if let Some(seconds) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 s11.6.1, RFC 6750 s3.
        let challenge = match code {
            Code::NoAuthorization => "Bearer",
            // RFC 9470 s3.
            Code::InsufficientAal => "Bearer error=\"insufficient_user_authentication\", acr_values=\"aal2\"",
            _ => "Bearer error=\"invalid_token\"",
        };
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    finish(headers, version, request);
    response
}

/// A JSON answer.
pub(crate) fn json_response(status: StatusCode, body: String) -> Response<Vec<u8>> {
    let mut response = empty_response(status).map(|_nothing| body.into_bytes());
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// An answer without a body.
pub(crate) fn empty_response(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

/// What every answer of ours carries.
pub(crate) fn finish(headers: &mut HeaderMap, version: ApiVersion, request: RequestId) {
    if let Ok(id) = HeaderValue::from_str(&request.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    if version == ApiVersion::V20240101 {
        headers.insert(API_VERSION, NEWEST);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    headers.entry(http::header::VARY).or_insert(HeaderValue::from_name(AUTHORIZATION));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PasswordFault;

    fn text(response: &Response<Vec<u8>>) -> &str {
        std::str::from_utf8(response.body()).unwrap()
    }

    #[test]
    fn both_shapes() {
        let faults = vec![PasswordFault::Length, PasswordFault::Pwned];
        let error = Error::weak_password(faults, "Password should be at least 8 characters.");
        let request = RequestId::from_bytes([0; 16]);
        let new = error_response(&error, ApiVersion::V20240101, request);
        assert_eq!(new.status(), 422);
        assert_eq!(new.headers()["x-sb-error-code"], "weak_password");
        assert_eq!(new.headers()["x-supabase-api-version"], "2024-01-01");
        let body = r#"{"code":"weak_password","message":"Password should be at least 8 characters.","weak_password":{"reasons":["length","pwned"]}}"#;
        assert_eq!(text(&new), body);
        let old = error_response(&Error::internal("the disk is on fire"), ApiVersion::Initial, request);
        assert!(!old.headers().contains_key("x-supabase-api-version"));
        let body = r#"{"code":500,"error_code":"unexpected_failure","error_id":"00000000-0000-0000-0000-000000000000","msg":"Internal server error"}"#;
        assert_eq!(text(&old), body);
    }

    #[test]
    fn versions() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(API_VERSION, value.parse().unwrap());
            ApiVersion::of(&headers)
        };
        assert_eq!(of("2024-01-01"), ApiVersion::V20240101);
        assert_eq!(of("2025-06-30"), ApiVersion::V20240101);
        for value in ["2023-12-31", "9", "newest!!!!", ""] {
            assert_eq!(of(value), ApiVersion::Initial);
        }
    }
}

use http::StatusCode;
use http::header::{HeaderMap, HeaderName};

use crate::types::{Code, Error, Result};

/// The header's value, if it is there once; a second one is refused, not chosen from.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| no_bearer()),
        (Some(_), Some(_)) => Err(Error::new(Code::ValidationFailed, format!("`{name}` was sent twice"))),
    }
}

/// The token in an `Authorization` header's value.
pub(crate) fn bearer(authorization: &str) -> Result<&str> {
    // RFC 9110 s11.1: the scheme is case-insensitive.
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        _ => Err(no_bearer()),
    }
}

/// The official client knows these as 403; a host's own route answers as HTTP has it.
pub(crate) fn unauthorized(error: Error) -> Error {
    match error.code() {
        Code::BadJwt | Code::SessionNotFound => error.with_status(StatusCode::UNAUTHORIZED),
        _ => error,
    }
}

pub(crate) fn no_bearer() -> Error {
    Error::new(Code::NoAuthorization, "This endpoint requires a valid Bearer token")
}

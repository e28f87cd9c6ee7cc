//! actix speaks an older `http`. Nothing else in this crate knows.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::RequestHead;
use actix_web::http::header as theirs;
use aurora_core::types::{Code, Error};
use http::header::{HeaderName, HeaderValue, SET_COOKIE, VARY};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Uri};

/// A request's head. An error if it holds what today's `http` does not take.
pub(crate) fn head(head: &RequestHead) -> Result<Parts, Error> {
    let broken = || Error::new(Code::ValidationFailed, "the request's head cannot be read");
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(head.method.as_str().as_bytes()).map_err(|_| broken())?;
    parts.uri = Uri::try_from(head.uri.to_string()).map_err(|_| broken())?;
    for (name, value) in head.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| broken())?;
        parts.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| broken())?);
    }
    Ok(parts)
}

/// A response of core's.
pub(crate) fn response(response: Response<Vec<u8>>) -> HttpResponse {
    let (head, body) = response.into_parts();
    let mut answer = HttpResponse::new(status(head.status)).set_body(BoxBody::new(body));
    merge(&head.headers, answer.headers_mut());
    answer
}

pub(crate) fn status(status: http::StatusCode) -> actix_web::http::StatusCode {
    let ours = actix_web::http::StatusCode::from_u16(status.as_u16());
    ours.unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn their_status(status: actix_web::http::StatusCode) -> http::StatusCode {
    http::StatusCode::from_u16(status.as_u16()).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
}

/// Lays headers of core's over others; `Vary` and cookies are added to.
pub(crate) fn merge(ours: &HeaderMap, others: &mut theirs::HeaderMap) {
    for (name, value) in ours {
        let name = theirs::HeaderName::from_bytes(name.as_str().as_bytes());
        let (Ok(name), Ok(value)) = (name, theirs::HeaderValue::from_bytes(value.as_bytes())) else {
            continue;
        };
        if name == VARY.as_str() || name == SET_COOKIE.as_str() {
            others.append(name, value);
        } else {
            drop(others.insert(name, value));
        }
    }
}

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tracing::Span;

use crate::env::{Entropy, random};
use crate::types::{Error, Principal, RequestId, Result};

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id: the one in its headers when that is a single UUID, a fresh one otherwise.
pub fn request_id(headers: &HeaderMap, entropy: &dyn Entropy) -> Result<RequestId> {
    let mut sent = headers.get_all(REQUEST_ID).iter();
    let only = match (sent.next(), sent.next()) {
        (Some(only), None) => only.to_str().ok().filter(|text| text.len() == 36),
        _ => None,
    };
    match only.and_then(|text| text.parse().ok()) {
        Some(id) => Ok(id),
        None => Ok(RequestId::from_random(random(entropy)?)),
    }
}

/// Writes the id into a request's or an answer's headers. What it wrote serves for others, too.
pub fn write_request_id(headers: &mut HeaderMap, id: RequestId) -> Option<HeaderValue> {
    let value = HeaderValue::try_from(id.to_string()).ok()?;
    headers.insert(REQUEST_ID, value.clone());
    Some(value)
}

/// The span of one request. `route` is the template (`/notes/{id}`), never the path.
///
/// `status`, `user` and `error` are filled in by [`record_outcome`].
pub fn request_span(id: RequestId, method: &Method, route: &str) -> Span {
    tracing::info_span!(
        "request",
        request_id = %id,
        method = method.as_str(),
        route,
        user = tracing::field::Empty,
        status = tracing::field::Empty,
        error = tracing::field::Empty,
    )
}

/// Fills in how the request ended. A failure of our own (5xx) is logged with its cause; what is the client's
/// affair leaves its code in the span and no line.
pub fn record_outcome(span: &Span, status: StatusCode, principal: Option<&Principal>, error: Option<&Error>) {
    span.record("status", status.as_u16());
    if let Some(user) = principal.and_then(Principal::user_id) {
        span.record("user", tracing::field::display(user));
    }
    if let Some(error) = error {
        span.record("error", error.code().as_str());
        if status.is_server_error() {
            span.in_scope(|| tracing::error!(cause = ?error, "request failed"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemEntropy;

    #[test]
    fn an_id_is_taken_over_only_when_it_is_one_uuid() {
        let sent = "7b1d2f0a-9d5e-4c53-8f0e-0d6f6b6f2a11";
        let id = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, value.parse().expect("header"));
            }
            request_id(&headers, &SystemEntropy).expect("id").to_string()
        };
        assert_eq!(id(&[sent]), sent);
        for values in [&[][..], &["'; DROP TABLE"], &[sent, sent], &["7b1d2f0a9d5e4c538f0e0d6f6b6f2a11"]] {
            assert_ne!(id(values), sent);
            assert_eq!(id(values).len(), 36);
        }
    }
}

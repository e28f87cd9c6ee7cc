//! Answers of core's that are sent as they are read.

use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody, SizedStream};
use aurora_core::http::FileBody;
use http::Response;
use http::header::CONTENT_LENGTH;

use crate::convert::{merge, response, status};

/// A response of core's whose body may be sent as it is read.
pub(crate) fn streamed(answer: Response<FileBody>) -> HttpResponse {
    let (mut head, body) = answer.into_parts();
    let pieces = match body {
        FileBody::Whole(body) => return response(Response::from_parts(head, body)),
        FileBody::Stream(pieces) => pieces,
    };
    // actix writes the length itself, by the body's kind.
    let length = head.headers.remove(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let body = match length {
        Some(length) => BoxBody::new(SizedStream::new(length, pieces)),
        None => BoxBody::new(BodyStream::new(pieces)),
    };
    let mut answer = HttpResponse::new(status(head.status)).set_body(body);
    merge(&head.headers, answer.headers_mut());
    answer
}

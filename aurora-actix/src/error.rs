use std::ops::Deref;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use aurora_core::types::{self, Code, RequestId};
use aurora_core::verify::{ApiVersion, error_response};

use crate::convert;

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Core's error as actix's response. The cause never leaves the process.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] types::Error);

impl Error {
    /// A failure with its code and a sentence for the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(types::Error::new(code, message.into()))
    }
}

impl Deref for Error {
    type Target = types::Error;

    fn deref(&self) -> &types::Error {
        &self.0
    }
}

/// The door, which knows the request, says it again in the shape that its client asked for.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        convert::status(self.0.status())
    }

    fn error_response(&self) -> HttpResponse {
        let nobody = RequestId::from_bytes([0; 16]);
        convert::response(error_response(&self.0, ApiVersion::V20240101, nobody))
    }
}

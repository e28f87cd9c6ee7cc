use std::ops::Deref;
use std::sync::Arc;

use aurora_core::types::{self, Code, RequestId};
use aurora_core::verify::{ApiVersion, error_response};
use axum::body::Body;
use axum::response::{IntoResponse, Response};

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Core's error as axum's response. The cause never leaves the process.
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

/// The error beside the response made of it, for the layer, which knows the request and says it again in the shape
/// that its client asked for.
#[derive(Clone)]
struct Carried(Arc<types::Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let nobody = RequestId::from_bytes([0; 16]);
        let mut response = error_response(&self.0, ApiVersion::V20240101, nobody).map(Body::from);
        response.extensions_mut().insert(Carried(Arc::new(self.0)));
        response
    }
}

/// An answer that was given before the host's routes were asked.
#[derive(Clone, Copy)]
pub(crate) struct Outside;

pub(crate) fn outside(mut response: Response) -> Response {
    response.extensions_mut().insert(Outside);
    response
}

/// Says a failure that a handler returned again, in the shape that its client asked for.
pub(crate) fn say_again(
    response: &mut Response,
    say: impl FnOnce(&types::Error) -> axum::http::Response<Vec<u8>>,
) -> Option<Arc<types::Error>> {
    let Carried(error) = response.extensions_mut().remove::<Carried>()?;
    let mut told = say(&error).map(Body::from);
    *told.extensions_mut() = std::mem::take(response.extensions_mut());
    *response = told;
    Some(error)
}

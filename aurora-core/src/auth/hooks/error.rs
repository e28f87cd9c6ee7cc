use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::types::{Code, Error};
use crate::validate::printable;

/// How much of a hook's message reaches the client, in characters.
const LONGEST: usize = 500;

/// Why a hook did not go on. Made of any error by `?`, of which the client learns nothing.
pub struct HookError(Kind);

enum Kind {
    Refused(StatusCode, String),
    Failed(Box<dyn StdError + Send + Sync>),
}

impl HookError {
    /// Refuses, and says so to the client: `message` on one line, under a status of 400 to 499. Any other status is
    /// 400: a hook speaks of the request, not of the server.
    pub fn refuse(status: u16, message: impl AsRef<str>) -> Self {
        let status = StatusCode::from_u16(status).ok().filter(StatusCode::is_client_error);
        Self(Kind::Refused(status.unwrap_or(StatusCode::BAD_REQUEST), printable(message.as_ref(), LONGEST)))
    }

    /// Fails: 500 to the client, `cause` to the log.
    pub fn failed(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Kind::Failed(cause.into()))
    }

    pub(super) fn into_error(self) -> Error {
        match self.0 {
            Kind::Refused(status, message) => Error::new(Code::RefusedByHook, message).with_status(status),
            Kind::Failed(cause) => Error::internal(cause),
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for HookError {
    fn from(cause: E) -> Self {
        Self::failed(cause)
    }
}

impl fmt::Debug for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Refused(status, message) => write!(f, "refused with {status}: {message}"),
            Kind::Failed(cause) => write!(f, "failed: {cause}"),
        }
    }
}

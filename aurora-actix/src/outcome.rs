use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::error::InternalError;
use aurora_core::observe::record_outcome;
use aurora_core::types;
use http::{HeaderMap, Response};
use tracing::Span;

use crate::convert;
use crate::error::Error;

type Outcome = Result<ServiceResponse<BoxBody>, actix_web::Error>;

/// What the host's routes gave, as it is answered: a failure of ours said again by `say`, in the shape that its client
/// asked for, and the headers in `added` on everything. The span learns how it ended.
pub(crate) fn say_again(
    span: &Span,
    outcome: Outcome,
    say: impl FnOnce(&types::Error) -> Response<Vec<u8>>,
    added: &HeaderMap,
) -> Outcome {
    let told = match &outcome {
        Ok(response) => response.response().error().and_then(actix_web::Error::as_error::<Error>),
        Err(error) => error.as_error::<Error>(),
    };
    let said = told.map(|error| convert::response(say(error)));
    let status = match (&said, &outcome) {
        (Some(said), _) => said.status(),
        (None, Ok(response)) => response.status(),
        (None, Err(error)) => error.as_response_error().status_code(),
    };
    record_outcome(span, convert::their_status(status), None, told.map(|error| &**error));
    let mut response = match (said, outcome) {
        (Some(said), Ok(response)) => response.into_response(said),
        (None, Ok(response)) => response,
        (said, Err(error)) => {
            let mut answer = said.unwrap_or_else(|| error.error_response());
            convert::merge(added, answer.headers_mut());
            return Err(InternalError::from_response("told already", answer).into());
        }
    };
    convert::merge(added, response.headers_mut());
    Ok(response)
}

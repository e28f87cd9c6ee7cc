use std::cell::OnceCell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::rc::Rc;

use actix_web::body::{BodyStream, BoxBody, MessageBody as _, to_bytes_limited};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use aurora_core::Aurora;
use aurora_core::http::{Admitted, Http, Limits, Peer, Pieces, Unread, contain};
use aurora_core::observe::{REQUEST_ID, request_span, write_request_id};
use aurora_core::types;
use http::request::Parts;
use http::{HeaderMap, Request};
use tracing::Instrument;

use crate::convert;
use crate::error::Error;
use crate::line::Turn;
use crate::outcome::say_again;
use crate::streamed::streamed;

/// What the door leaves for the lock and the extractors.
pub(crate) struct Carried {
    pub(crate) aurora: Aurora,
    pub(crate) head: Parts,
    peer: Peer,
    admitted: OnceCell<Admitted>,
}

impl Carried {
    pub(crate) fn of(request: &HttpRequest) -> Result<Rc<Self>, Error> {
        let missing = || types::Error::internal("this route is served outside of aurora_actix::secure");
        Ok(request.extensions().get::<Rc<Self>>().cloned().ok_or_else(missing)?)
    }

    /// Core's answer to who asks, given once a request.
    pub(crate) async fn admitted(&self) -> Result<&Admitted, Error> {
        if let Some(admitted) = self.admitted.get() {
            return Ok(admitted);
        }
        let admitted = self.aurora.http().admit(&self.head, self.peer).await;
        let admitted = admitted.map_err(|rejection| Error::from(rejection.into_error()))?;
        Ok(self.admitted.get_or_init(|| admitted))
    }
}

/// A request's whole way, within its turn on the connection.
pub(crate) async fn door(
    aurora: Aurora,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (turn, http) = (Turn::begin(&request), aurora.http().clone());
    match pass(aurora, request, next).await {
        Ok(mut response) => {
            harden(&http, response.headers_mut());
            Ok(response.map_body(|_, body| turn.until_the_end_of(body)))
        }
        Err(error) => {
            let mut answer = error.error_response().map_body(|_, body| turn.until_the_end_of(body));
            harden(&http, answer.headers_mut());
            Err(InternalError::from_response("told already", answer).into())
        }
    }
}

/// Adds what core says that an answer lacks.
fn harden(http: &Http, answer: &mut actix_web::http::header::HeaderMap) {
    let lacking = http.hardening(|name| answer.contains_key(name.as_str()));
    convert::merge(&lacking, answer);
}

/// Our routes and preflights first, then the host's.
async fn pass(
    aurora: Aurora,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let http = aurora.http().clone();
    let mut head = match convert::head(request.head()) {
        Ok(head) => head,
        Err(broken) => {
            let answer = convert::response(http.error_response(&broken, &HeaderMap::new()));
            return Ok(request.into_response(answer));
        }
    };
    let peer = peer(&request);
    let id = http.request_id(&head.headers, peer);
    let written = write_request_id(&mut head.headers, id);
    let mut added: HeaderMap = written.map(|id| (REQUEST_ID, id)).into_iter().collect();
    // Over what the client sent, for the host's handlers.
    convert::merge(&added, request.headers_mut());
    head.extensions.insert(id);
    if http.streams(head.uri.path()) {
        let answer = Box::pin(files(&aurora, head, peer, &mut request)).await;
        return Ok(request.into_response(answer));
    }
    if http.owns(head.uri.path()) {
        // Large, and moved with every request if it stood in place.
        let answer = Box::pin(ours(&aurora, head, peer, &mut request)).await;
        return Ok(request.into_response(answer));
    }
    if let Some(answer) = http.preflight(&head.method, &head.headers) {
        return Ok(request.into_response(convert::response(answer)));
    }
    if let Err(foreign) = http.check_host(&head.uri, &head.headers) {
        let answer = convert::response(http.error_response(&foreign, &head.headers));
        return Ok(request.into_response(answer));
    }
    let span = request_span(id, &head.method, &request.match_pattern().unwrap_or_default());
    let carried = Rc::new(Carried { aurora, head, peer, admitted: OnceCell::new() });
    request.extensions_mut().insert(Rc::clone(&carried));
    let outcome = contain(async { Ok(next.call(request).await) }.instrument(span.clone())).await;
    let outcome = outcome.unwrap_or_else(|panicked| Err(Error::from(panicked).into()));
    http.decorate(&carried.head.headers, &mut added);
    say_again(&span, outcome, |error| http.error_response(error, &carried.head.headers), &added)
}

/// Nobody passes without a token that verifies.
pub(crate) async fn lock(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let carried = Carried::of(request.request())?;
    let locked = carried.admitted().await.and_then(|admitted| {
        admitted.clone().locked().map(drop).map_err(|rejection| Error::from(rejection.into_error()))
    });
    match locked {
        Ok(()) => next.call(request).await,
        Err(refused) => Ok(request.error_response(refused)),
    }
}

/// A request of the sign-in protocol, read up to its limits.
async fn ours(aurora: &Aurora, head: Parts, peer: Peer, request: &mut ServiceRequest) -> HttpResponse {
    let http = aurora.http();
    let body = BodyStream::new(request.take_payload());
    let body = to_bytes_limited(body, http.body_limit());
    convert::response(match tokio::time::timeout(Limits::WRITTEN.body, body).await {
        Ok(Ok(Ok(body))) => http.call(Request::from_parts(head, body.into()), peer).await,
        Ok(Ok(Err(_))) => http.unread(&head, Unread::BrokenOff),
        Ok(Err(_)) => http.unread(&head, Unread::TooLarge),
        Err(_elapsed) => http.unread(&head, Unread::TooSlow),
    })
}

/// A request for files. Its body stays on this thread: whoever reads it here sends its pieces on.
async fn files(aurora: &Aurora, head: Parts, peer: Peer, request: &mut ServiceRequest) -> HttpResponse {
    let (pieces, arriving) = Pieces::arriving();
    let body = BodyStream::new(request.take_payload());
    let reading = actix_web::rt::spawn(async move {
        let mut body = pin!(body);
        loop {
            let piece = poll_fn(|context| body.as_mut().poll_next(context)).await;
            let ended = !matches!(piece, Some(Ok(_)));
            let piece = piece.map(|piece| piece.map_err(|_| Unread::BrokenOff));
            if !pieces.send(piece).await || ended {
                break;
            }
        }
    });
    let answer = aurora.http().stream(Request::from_parts(head, arriving), peer).await;
    reading.abort();
    streamed(answer)
}

/// The other end of the socket. Without it every client is one, which limits more and not less.
fn peer(request: &ServiceRequest) -> Peer {
    request.peer_addr().map_or_else(|| Peer::from(IpAddr::from(Ipv4Addr::UNSPECIFIED)), Peer::from)
}

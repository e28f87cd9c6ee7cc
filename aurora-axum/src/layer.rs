use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use aurora_core::Aurora;
use aurora_core::http::{Admitted, FileBody, Http, Limits, Peer, Unread, arriving, contain};
use aurora_core::observe::{REQUEST_ID, record_outcome, request_span, write_request_id};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath};
use axum::http::header::ALLOW;
use axum::http::{Extensions, Request, Response, request::Parts};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::{BoxError, Layer, Service};
use tracing::Instrument;

use crate::error::{Outside, outside, say_again};

/// The whole door as a plain layer, for those who compose themselves (hyper, tonic, a part of a router): answers
/// our routes and preflights, locks everything else, and leaves [`Admitted`] and [`Aurora`] in the request's
/// extensions, where the extractors of this crate look.
///
/// Its limits: it locks only what it wraps, so whatever is added outside is open ([`secure`](crate::secure) has no
/// outside); there are no public routes in it; the client's address comes from a `ConnectInfo<SocketAddr>` or a
/// [`Peer`] in the extensions, and without either every client is one; errors of gRPC come as HTTP status codes.
#[derive(Clone, Debug)]
pub struct AuroraLayer {
    pub(crate) aurora: Aurora,
    /// Public routes have all of the door but the lock.
    pub(crate) locked: bool,
}

impl AuroraLayer {
    /// The door of `aurora`.
    pub fn new(aurora: &Aurora) -> Self {
        Self { aurora: aurora.clone(), locked: true }
    }
}

impl<S> Layer<S> for AuroraLayer {
    type Service = AuroraService<S>;

    fn layer(&self, inner: S) -> AuroraService<S> {
        AuroraService { layer: self.clone(), inner }
    }
}

/// What [`AuroraLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct AuroraService<S> {
    layer: AuroraLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for AuroraService<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Clone + Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    R: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The ready one goes with the request; its clone may not be ready yet.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move { pass(layer, inner, request).await })
    }
}

/// A request's whole way.
async fn pass<S, B, R>(
    layer: AuroraLayer,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    R: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let AuroraLayer { aurora, locked } = layer;
    let http = aurora.http();
    let (mut head, body) = request.into_parts();
    let id = http.request_id(&head.headers, peer(&head.extensions));
    let written = write_request_id(&mut head.headers, id);
    head.extensions.insert(id);
    if http.streams(head.uri.path()) {
        return Ok(Box::pin(files(http, head, body)).await);
    }
    if http.owns(head.uri.path()) {
        // Large, and moved with every request if it stood in place.
        return Ok(Box::pin(ours(http, head, body)).await);
    }
    if let Some(response) = http.preflight(&head.method, &head.headers) {
        return Ok(outside(response.map(Body::from)));
    }
    if let Err(foreign) = http.check_host(&head.uri, &head.headers) {
        return Ok(outside(http.error_response(&foreign, &head.headers).map(Body::from)));
    }
    head.extensions.insert(aurora.clone());
    let route = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = request_span(id, &head.method, route);
    let headers = head.headers.clone();
    let answer = async {
        if locked && let Err(refused) = admit(http, &mut head).await {
            return Ok(Ok(outside(refused.into_response())));
        }
        Ok(inner.call(Request::from_parts(head, body)).await.map(|response| response.map(Body::new)))
    };
    let mut response = match contain(answer.instrument(span.clone())).await {
        Ok(response) => response?,
        Err(panicked) => crate::Error::from(panicked).into_response(),
    };
    let error = say_again(&mut response, |error| http.error_response(error, &headers));
    record_outcome(&span, response.status(), None, error.as_deref());
    if let Some(id) = written {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    http.decorate(&headers, response.headers_mut());
    let hardening = http.hardening(|name| response.headers().contains_key(name));
    response.headers_mut().extend(hardening);
    Ok(response)
}

/// axum names a route's methods (`Allow`) around every layer, in answers of the lock's, too: whoever is outside would
/// learn which routes there are.
pub(crate) fn conceal(mut response: Response<Body>) -> Response<Body> {
    if response.extensions_mut().remove::<Outside>().is_some() {
        response.headers_mut().remove(ALLOW);
    }
    response
}

/// Nobody passes without a token that verifies.
async fn admit(http: &Http, head: &mut Parts) -> Result<(), crate::Error> {
    let admitted = http.admit(head, peer(&head.extensions)).await.and_then(Admitted::locked);
    head.extensions.insert(admitted.map_err(|refused| refused.into_error())?);
    Ok(())
}

/// A request of the sign-in protocol, read up to its limits.
async fn ours<B>(http: &Http, head: Parts, body: B) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let peer = peer(&head.extensions);
    let body = Limited::new(body, http.body_limit()).collect();
    let response = match tokio::time::timeout(Limits::WRITTEN.body, body).await {
        Ok(Ok(body)) => http.call(Request::from_parts(head, body.to_bytes().into()), peer).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => http.unread(&head, Unread::TooLarge),
        Ok(Err(_)) => http.unread(&head, Unread::BrokenOff),
        Err(_elapsed) => http.unread(&head, Unread::TooSlow),
    };
    response.map(Body::from)
}

/// A request for files, whose body is read as it arrives and whose answer is sent as it is read.
async fn files<B>(http: &Http, head: Parts, body: B) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let peer = peer(&head.extensions);
    let body = arriving(Body::new(body).into_data_stream());
    http.stream(Request::from_parts(head, body), peer).await.map(|body| match body {
        FileBody::Whole(body) => Body::from(body),
        FileBody::Stream(pieces) => Body::from_stream(pieces),
    })
}

/// The other end of the socket. Without it every client is one, which limits more and not less.
pub(crate) fn peer(extensions: &Extensions) -> Peer {
    let socket = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| Peer::from(info.0));
    let nobody = || Peer::from(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED));
    socket.or_else(|| extensions.get::<Peer>().copied()).unwrap_or_else(nobody)
}

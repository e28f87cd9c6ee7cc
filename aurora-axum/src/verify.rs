//! The lock of another service than the one that signs people in: who calls, by their token alone. No database.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use aurora_axum::verify::{Lock, SystemClock, Verified, Verifier};
//! use axum::{Router, routing::get};
//!
//! async fn me(user: Verified) -> String { format!("{} {}", user.id(), user.claims().email) }
//!
//! /// The text of the issuer's key set, by an HTTP client of your choice, within a time limit.
//! async fn key_set() -> Result<String, std::io::Error> {
//!     // GET https://app.example.com/auth/v1/.well-known/jwks.json
//! #   Err(std::io::Error::other("no client here"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let verifier = Verifier::new("https://app.example.com/auth/v1", Arc::new(SystemClock), key_set)?;
//!     let app = Router::new().route("/me", get(me)).layer(Lock::new(verifier));
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8081").await?, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! 1. Everything that the lock wraps wants a token that verifies, in one `Authorization` header: else 401. Without a
//!    key set 503. It locks only what it wraps: routes that are added after `.layer(..)` are open.
//! 2. A token is good until its `exp`: a sign-out, a ban, a deletion or a lost role is not seen before. That is 15
//!    minutes unless the issuer says otherwise; whoever cannot wait asks the issuer (`GET /user`).
//! 3. Failures, those of handlers and panics in them included, have the issuer's shape and codes.
//! 4. Nobody is the service itself here: an application's key opens nothing.
//! 5. CORS is a layer of your own, around the lock: a preflight carries no token.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aurora_core::observe::{record_outcome, request_span, write_request_id};
use aurora_core::types::{self, Principal};
use aurora_core::verify::{ApiVersion, Claims, Current, TokenLock, contain, error_response};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::ALLOW;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use tower::{BoxError, Layer, Service};
use tracing::Instrument;

use crate::error::{Error, Outside, outside, say_again};

pub use aurora_core::env::SystemClock;
pub use aurora_core::session::token::Verifier;

/// The lock as a layer: `router.layer(Lock::new(verifier))`. It leaves the user's [`Principal`] and the request's id
/// in the extensions. Cheap to clone; clones share the key set.
#[derive(Clone, Debug)]
pub struct Lock(TokenLock);

impl Lock {
    /// For tokens that `verifier` verifies.
    pub fn new(verifier: impl Into<Arc<Verifier>>) -> Self {
        Self(TokenLock::new(verifier))
    }
}

impl<S> Layer<S> for Lock {
    type Service = Locked<S>;

    fn layer(&self, inner: S) -> Locked<S> {
        Locked { lock: self.0.clone(), inner }
    }
}

/// What [`Lock`] makes of a service.
#[derive(Clone, Debug)]
pub struct Locked<S> {
    lock: TokenLock,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Locked<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send> + Clone + Send + 'static,
    B: Send + 'static,
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
        let lock = self.lock.clone();
        Box::pin(async move { pass(lock, inner, request).await })
    }
}

/// A request's whole way.
async fn pass<S, B, R>(lock: TokenLock, mut inner: S, request: Request<B>) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (mut head, body) = request.into_parts();
    let (id, version) = (lock.request_id(), ApiVersion::of(&head.headers));
    write_request_id(&mut head.headers, id);
    head.extensions.insert(id);
    let route = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = request_span(id, &head.method, route);
    let answer = async {
        match lock.admit(&head.headers).await {
            Ok(principal) => head.extensions.insert(principal),
            Err(refused) => return Ok(Ok(outside(Error::from(refused).into_response()))),
        };
        Ok(inner.call(Request::from_parts(head, body)).await.map(|response| response.map(Body::new)))
    };
    let mut response = match contain(answer.instrument(span.clone())).await {
        Ok(response) => response?,
        Err(panicked) => Error::from(panicked).into_response(),
    };
    let error = say_again(&mut response, |error| error_response(error, version, id));
    if response.extensions_mut().remove::<Outside>().is_some() {
        // axum would name the route's methods here: whoever is outside would learn which routes there are.
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(""));
    }
    record_outcome(&span, response.status(), None, error.as_deref());
    write_request_id(response.headers_mut(), id);
    Ok(response)
}

/// The user whose token the [`Lock`] let in, with its claims read as `C`.
///
/// What it says of roles ([`Principal::has_role`]) and second factors is of when it was issued. Permissions are asked
/// of the issuer alone: here nobody has any.
#[derive(Clone, Debug)]
pub struct Verified<C = Claims>(Current<C>);

impl<C> Deref for Verified<C> {
    type Target = Current<C>;

    fn deref(&self) -> &Current<C> {
        &self.0
    }
}

impl<S: Sync, C: DeserializeOwned + 'static> FromRequestParts<S> for Verified<C> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let missing = || types::Error::internal("this route is served outside of aurora_axum::verify::Lock");
        let principal = parts.extensions.get::<Principal>().ok_or_else(missing)?;
        Ok(Self(Current::of(principal)?))
    }
}

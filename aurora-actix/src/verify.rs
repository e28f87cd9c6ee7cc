//! The lock of another service than the one that signs people in: who calls, by their token alone. No database.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use actix_web::{App, HttpServer, web};
//! use aurora_actix::verify::{Lock, SystemClock, Verified, Verifier};
//!
//! async fn me(user: Verified) -> String { format!("{} {}", user.id(), user.claims().email) }
//!
//! /// The text of the issuer's key set, by an HTTP client of your choice, within a time limit.
//! async fn key_set() -> Result<String, std::io::Error> {
//!     // GET https://app.example.com/auth/v1/.well-known/jwks.json
//! #   Err(std::io::Error::other("no client here"))
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let verifier = Verifier::new("https://app.example.com/auth/v1", Arc::new(SystemClock), key_set)?;
//!     // One key set for every worker.
//!     let lock = Lock::new(verifier);
//!     let app = move || App::new().route("/me", web::get().to(me)).wrap(lock.clone());
//!     HttpServer::new(app).bind("127.0.0.1:8081")?.run().await?;
//!     Ok(())
//! }
//! ```
//!
//! 1. Everything that the lock wraps wants a token that verifies, in one `Authorization` header: else 401. Without a
//!    key set 503. It locks only what it wraps: around an `App` that is all of it, around a `Scope` that scope.
//! 2. A token is good until its `exp`: a sign-out, a ban, a deletion or a lost role is not seen before. That is 15
//!    minutes unless the issuer says otherwise; whoever cannot wait asks the issuer (`GET /user`).
//! 3. Failures, those of handlers and panics in them included, have the issuer's shape and codes.
//! 4. Nobody is the service itself here: an application's key opens nothing.
//! 5. CORS is a middleware of your own, wrapped after the lock and so around it: a preflight carries no token.

use std::future::{Future, Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aurora_core::observe::{request_span, write_request_id};
use aurora_core::types::{self, Principal};
use aurora_core::verify::{ApiVersion, Claims, Current, TokenLock, contain, error_response};
use http::HeaderMap;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use crate::convert;
use crate::error::Error;
use crate::outcome::say_again;

pub use aurora_core::env::SystemClock;
pub use aurora_core::session::token::Verifier;

/// The lock as a middleware: `app.wrap(Lock::new(verifier))`. It leaves the user's [`Principal`] in the request's
/// extensions. Cheap to clone; clones share the key set.
#[derive(Clone, Debug)]
pub struct Lock(TokenLock);

impl Lock {
    /// For tokens that `verifier` verifies.
    pub fn new(verifier: impl Into<Arc<Verifier>>) -> Self {
        Self(TokenLock::new(verifier))
    }
}

impl<S, B> Transform<S, ServiceRequest> for Lock
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type Transform = Locked<S>;
    type InitError = ();
    type Future = Ready<Result<Locked<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Locked { lock: self.0.clone(), service: Rc::new(service) }))
    }
}

/// What [`Lock`] makes of a service.
#[derive(Debug)]
pub struct Locked<S> {
    lock: TokenLock,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for Locked<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (lock, service) = (self.lock.clone(), Rc::clone(&self.service));
        Box::pin(async move { pass(&lock, &*service, request).await })
    }
}

/// A request's whole way.
async fn pass<S, B>(
    lock: &TokenLock,
    service: &S,
    mut request: ServiceRequest,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let id = lock.request_id();
    let mut added = HeaderMap::new();
    write_request_id(&mut added, id);
    // Over what the client sent, for the host's handlers.
    convert::merge(&added, request.headers_mut());
    let head = match convert::head(request.head()) {
        Ok(head) => head,
        Err(broken) => {
            let answer = convert::response(error_response(&broken, ApiVersion::Initial, id));
            return Ok(request.into_response(answer));
        }
    };
    let version = ApiVersion::of(&head.headers);
    let span = request_span(id, &head.method, &request.match_pattern().unwrap_or_default());
    let answer = async {
        Ok(match lock.admit(&head.headers).await {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
                service.call(request).await.map(ServiceResponse::map_into_boxed_body)
            }
            Err(refused) => Ok(request.error_response(Error::from(refused))),
        })
    };
    let outcome = contain(answer.instrument(span.clone())).await;
    let outcome = outcome.unwrap_or_else(|panicked| Err(Error::from(panicked).into()));
    say_again(&span, outcome, |error| error_response(error, version, id), &added)
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

impl<C: DeserializeOwned + 'static> FromRequest for Verified<C> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let missing = || types::Error::internal("this route is served outside of aurora_actix::verify::Lock");
        let extensions = request.extensions();
        let principal = extensions.get::<Principal>().ok_or_else(missing);
        ready(principal.and_then(Current::of).map(Self).map_err(Error::from))
    }
}

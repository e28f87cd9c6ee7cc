use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ALLOW, HeaderMap, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};

use super::cors::Cors;
use super::csrf::Forgeries;
use super::hardening::Hardening;
use super::keys::Keys;
use super::reason::Reasons;
use super::render::{ApiVersion, empty_response, finish, render};
use super::request_ids::RequestIds;
use super::routes::{Match, ROUTES, find};
use super::service_use::ServiceUses;
use super::{Peer, Route, Tls, contain};
use crate::auth::Auth;
use crate::config::Profile;
use crate::files::Files;
use crate::observe::{record_outcome, request_span};
use crate::session::Client;
use crate::types::{Code, Error, RequestId, Result};

/// Aurora's wire. Cheap to clone.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    auth: Auth,
    keys: Keys,
    cors: Cors,
    reasons: Reasons,
    service_uses: ServiceUses,
    refusals: ServiceUses,
    forgeries: Forgeries,
    request_ids: RequestIds,
    files: Option<Files>,
    tls: Option<Tls>,
    headers: Hardening,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("prefix", &self.prefix()).finish_non_exhaustive()
    }
}

impl Http {
    /// Every route below the prefix, for adapters and for tests that cover them.
    pub const ROUTES: &'static [Route] = ROUTES;

    /// The wire of these flows, in clear unless there is a certificate.
    pub fn new(auth: Auth, tls: Option<Tls>) -> Self {
        Self::with_files(auth, tls, None)
    }

    /// The same with files, where they are switched on.
    pub fn with_files(auth: Auth, tls: Option<Tls>, files: Option<Files>) -> Self {
        let (keys, cors) = (Keys::new(&auth.settings().api_keys), Cors::new(auth.settings()));
        let headers = Hardening::new(auth.settings(), tls.as_ref());
        let reasons = Reasons::of(auth.settings().profile);
        let (service_uses, refusals) = (ServiceUses::default(), ServiceUses::default());
        let (forgeries, request_ids) = (Forgeries::default(), RequestIds::default());
        Self(Arc::new(Inner {
            auth,
            keys,
            cors,
            reasons,
            service_uses,
            refusals,
            forgeries,
            request_ids,
            files,
            tls,
            headers,
        }))
    }

    /// Where our routes are mounted.
    pub fn prefix(&self) -> &str {
        &self.0.auth.settings().prefix
    }

    /// Whether a path is ours to answer, known or not.
    pub fn owns(&self, path: &str) -> bool {
        let ours =
            path.strip_prefix(self.prefix()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        ours || self.streams(path)
    }

    /// A path of ours without the prefix.
    pub(super) fn relative<'a>(&self, uri: &'a Uri) -> Option<&'a str> {
        uri.path().strip_prefix(self.prefix())
    }

    /// The largest body of our routes, in bytes. An adapter stops reading there and answers
    /// [`super::Unread::TooLarge`].
    pub fn body_limit(&self) -> usize {
        self.0.auth.settings().body_limit
    }

    /// What encrypts it, if it is not in clear.
    pub fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    /// The flows behind the wire.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(super) fn files(&self) -> Option<&Files> {
        self.0.files.as_ref()
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(super) fn service_uses(&self) -> &ServiceUses {
        &self.0.service_uses
    }

    pub(super) fn refusals(&self) -> &ServiceUses {
        &self.0.refusals
    }

    pub(super) fn cors(&self) -> &Cors {
        &self.0.cors
    }

    pub(super) fn headers(&self) -> &Hardening {
        &self.0.headers
    }

    pub(super) fn request_ids(&self) -> &RequestIds {
        &self.0.request_ids
    }

    pub(super) fn forgeries(&self) -> &Forgeries {
        &self.0.forgeries
    }

    /// Answers a request of ours, prefix included. Total: every failure is a response.
    pub async fn call(&self, request: Request<Vec<u8>>, peer: Peer) -> Response<Vec<u8>> {
        let (head, body) = request.into_parts();
        let id = self.id_of(&head, peer);
        if let Some(mut response) = self.preflight(&head.method, &head.headers) {
            finish(response.headers_mut(), ApiVersion::of(&head.headers), id);
            return response;
        }
        let version = ApiVersion::of(&head.headers);
        let found = self.relative(&head.uri).map_or(Match::Nothing, |path| find(&head.method, path));
        let mut response = match found {
            Match::Nothing => self.render(&Error::new(Code::NotFound, "No such route"), version, id),
            Match::Method(allow) => self.other_method(&head.method, &allow, version, id),
            Match::Route(route, segment) => {
                let span = request_span(id, &head.method, route.path());
                let mut client = Client::new(self.client_address(peer, &head.headers), id);
                if let Some(agent) = head.headers.get(USER_AGENT) {
                    client = client.with_user_agent(&String::from_utf8_lossy(agent.as_bytes()));
                }
                let handled = {
                    let handled = self.handle(route, segment, &head, &body, &client);
                    contain(tracing::Instrument::instrument(handled, span.clone())).await
                };
                let (handled, cookies) = self.refuse_cookie(route, &head, &body, &client, handled).await;
                let mut response = match &handled {
                    Ok(response) => response.clone(),
                    Err(error) => self.render(error, version, id),
                };
                response.headers_mut().extend(cookies);
                record_outcome(&span, response.status(), None, handled.as_ref().err());
                response
            }
        };
        finish(response.headers_mut(), version, id);
        if head.method == Method::HEAD {
            response.body_mut().clear();
        }
        self.decorate(&head.headers, response.headers_mut());
        self.harden(response.headers_mut());
        response
    }

    /// The answer to a CORS preflight, for our routes and the host's; `None` for any other request. Answer it before
    /// [`Http::admit`]: a browser sends no token with it.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Vec<u8>>> {
        let mut response = self.0.cors.preflight(method, headers)?;
        self.harden(response.headers_mut());
        Some(response)
    }

    /// Adds to a response what lets an allowed origin's page read it.
    pub fn decorate(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.0.cors.decorate(request, response);
    }

    /// The response to a failure of the host's own routes, for a request of these headers, into which the adapter
    /// wrote the request's id. Tells why in development.
    pub fn error_response(&self, error: &Error, request: &HeaderMap) -> Response<Vec<u8>> {
        let mut response = self.render(error, ApiVersion::of(request), self.written_id(request));
        self.harden(response.headers_mut());
        response
    }

    fn render(&self, error: &Error, version: ApiVersion, id: RequestId) -> Response<Vec<u8>> {
        render(error, version, id, self.0.reasons.tell(error))
    }

    pub(super) fn reasons(&self) -> Reasons {
        self.0.reasons
    }

    /// Whether a server may listen on `address`: development is for this machine alone, and production speaks to the
    /// network by TLS, its own or that of a declared proxy.
    pub fn check_address(&self, address: SocketAddr) -> Result<()> {
        let settings = self.0.auth.settings();
        let is_in_clear = self.0.tls.is_none() && settings.trusted_proxies.is_empty();
        let mend = match settings.profile {
            _ if address.ip().is_loopback() => return Ok(()),
            Profile::Development => {
                "development does not listen on ADDRESS: bind to 127.0.0.1, or set up production"
            }
            Profile::Production if is_in_clear => {
                "production does not listen on ADDRESS in clear: give it a certificate (`.tls(Tls::files(..))`), or \
                 declare the proxy that speaks TLS (`trusted_proxies`)"
            }
            Profile::Production => return Ok(()),
        };
        Err(Error::new(Code::Configuration, mend.replace("ADDRESS", &address.to_string())))
    }

    /// In development, refuses a request for another host than this machine (DNS rebinding). [`Http::call`] and
    /// [`Http::admit`] ask it; an adapter asks it for routes that ask neither.
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        self.0.cors.check_host(uri, headers)
    }

    pub(super) fn check_origin(&self, head: &Parts) -> Result<()> {
        self.0.cors.check(&head.method, &head.uri, &head.headers)
    }

    fn other_method(
        &self,
        method: &Method,
        allow: &str,
        version: ApiVersion,
        id: RequestId,
    ) -> Response<Vec<u8>> {
        let mut response = if *method == Method::OPTIONS {
            empty_response(StatusCode::NO_CONTENT)
        } else {
            self.render(&Error::new(Code::MethodNotAllowed, "Method not allowed"), version, id)
        };
        if let Ok(allow) = HeaderValue::from_str(allow) {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}

use std::net::IpAddr;
use std::time::Duration;

use http::Response;
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::client_keys::APIKEY;
use super::csrf::Effect;
use super::reason::Reasons;
use super::render::{ApiVersion, render};
use super::{Current, Http, Peer};
use crate::load::client_address;
use crate::observe::request_id;
use crate::session::{ApiScope, Fingerprint};
use crate::types::{Code, Error, Principal, RequestId, Result, Role, SessionId, Timestamp, UserId};
use crate::verify::bearer::{bearer, unauthorized};

pub(super) use crate::verify::bearer::{no_bearer, single};

/// A request of the host's own routes that may go on, as this principal.
#[derive(Clone, Debug)]
pub struct Admitted {
    principal: Principal,
    request: RequestId,
    address: IpAddr,
    at: Timestamp,
    version: ApiVersion,
    reasons: Reasons,
}

impl Admitted {
    /// Who asks. Whoever sent no token and no cookie is anonymous; by GET a cookie only reads
    /// ([`Principal::reads_only`]).
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The request's id, for spans, records and 5xx answers.
    pub fn request_id(&self) -> RequestId {
        self.request
    }

    /// The client's address, behind declared proxies.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The lock of a private route: whoever is neither a signed-in user nor the service itself is refused.
    pub fn locked(self) -> Result<Self, Rejection> {
        match self.principal.role() {
            Role::Authenticated | Role::Service => Ok(self),
            Role::Anon => Err(self.rejection(no_bearer())),
        }
    }

    /// The signed-in user and their session. The service itself is no user.
    pub fn user(&self) -> Result<(UserId, SessionId), Rejection> {
        let user = self.principal.user_id().zip(self.principal.session_id());
        user.ok_or_else(|| self.rejection(no_bearer()))
    }

    /// The signed-in user and their session, with the claims of their token read as `C`.
    pub fn current<C: DeserializeOwned + 'static>(&self) -> Result<Current<C>> {
        Current::of(&self.principal)
    }

    /// As [`current`](Self::current), if a second factor was used within `max_age`; else
    /// [`Code::InsufficientAal`], whose `step_up` tells a front end what to ask for. By the token alone: after a new
    /// verification the new token says so.
    pub fn fresh<C: DeserializeOwned + 'static>(&self, max_age: Duration) -> Result<Current<C>> {
        let current = self.current()?;
        match self.principal.factor_used_at() {
            Some(used) if self.at.since(used) <= max_age => Ok(current),
            _ => {
                let sentence = "This wants a second factor that was verified lately";
                Err(Error::new(Code::InsufficientAal, sentence).with_max_age(max_age.as_secs()))
            }
        }
    }

    fn rejection(&self, error: Error) -> Rejection {
        Rejection { error, request: self.request, version: self.version, reasons: self.reasons }
    }

    /// The response to an error of the host's own handler. Tells why in development.
    pub fn error_response(&self, error: &Error) -> Response<Vec<u8>> {
        render(error, self.version, self.request, self.reasons.tell(error))
    }
}

/// A request of the host's own routes that may not go on.
#[derive(Debug)]
pub struct Rejection {
    error: Error,
    request: RequestId,
    version: ApiVersion,
    reasons: Reasons,
}

impl Rejection {
    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Why, for an adapter whose own errors carry it.
    pub fn into_error(self) -> Error {
        self.error
    }

    /// The request's id.
    pub fn request_id(&self) -> RequestId {
        self.request
    }

    /// What to answer.
    pub fn into_response(self) -> Response<Vec<u8>> {
        render(&self.error, self.version, self.request, self.reasons.tell(&self.error))
    }
}

/// What a request brings to say who it is.
pub(super) enum Presented<'a> {
    Nothing,
    /// An application key that is ours: its role and its text.
    Key(Role, &'a str),
    /// A bearer token that is no key.
    Token(&'a str, Fingerprint),
}

impl Http {
    /// Asks who sends a request of the host's own routes.
    ///
    /// No token and no cookie: anonymous. One that does not verify, has expired or whose session ended: 401, never
    /// anonymous. A change by cookie that the site's own page did not ask for, or without its session's token: 403.
    /// Two `Authorization` headers: 400. A service key is recorded, once per key, address and minute,
    /// before it opens anything.
    pub async fn admit(&self, head: &Parts, peer: Peer) -> Result<Admitted, Rejection> {
        // What few requests need stands in boxes, so that all others do not carry it.
        let (version, reasons) = (ApiVersion::of(&head.headers), self.reasons());
        let address = self.client_address(peer, &head.headers);
        let request = self.id_of(head, peer);
        let admitted = async {
            self.check_host(&head.uri, &head.headers)?;
            if self.shows_keys(&head.headers) {
                Box::pin(self.look_at_keys(head, address, request)).await?;
            }
            // The origin is asked for where a cookie says who asks: on anything else a foreign page cannot ride.
            match self.presented(&head.headers)? {
                Presented::Nothing | Presented::Key(Role::Anon | Role::Authenticated, _) => {
                    let found = Box::pin(self.by_cookie(head, Effect::of(&head.method))).await;
                    Ok(found.map_err(unauthorized)?.unwrap_or_else(Principal::anonymous))
                }
                Presented::Key(Role::Service, key) => {
                    let path = head.uri.path();
                    Box::pin(self.record_service(key, ApiScope::Data, path, address, request)).await?;
                    Ok(Principal::service())
                }
                Presented::Token(token, fingerprint) => {
                    self.auth().sessions().admit_as(token, &fingerprint).await.map_err(unauthorized)
                }
            }
        };
        match admitted.await {
            Ok(principal) => {
                let at = self.auth().sessions().parts().clock.now();
                Ok(Admitted { principal, request, address, at, version, reasons })
            }
            Err(error) => {
                let error = Box::pin(self.refuse_host_cookie(head, address, request, error)).await;
                Err(Rejection { error, request, version, reasons })
            }
        }
    }

    /// The request's id: the one its headers carry, if a declared proxy sent them, or a fresh one. An adapter asks
    /// once and puts it into the request's extensions, so that everything after it speaks of the same request.
    pub fn request_id(&self, headers: &HeaderMap, peer: Peer) -> RequestId {
        let proxies = &self.auth().settings().trusted_proxies;
        if proxies.iter().any(|proxy| proxy.contains(peer.address())) {
            return self.written_id(headers);
        }
        self.written_id(&HeaderMap::new())
    }

    /// The id that an adapter gave the request, or [`Http::request_id`].
    pub(super) fn id_of(&self, head: &Parts, peer: Peer) -> RequestId {
        let given = head.extensions.get::<RequestId>().copied();
        given.unwrap_or_else(|| self.request_id(&head.headers, peer))
    }

    /// The id in these headers, or a fresh one.
    pub(super) fn written_id(&self, headers: &HeaderMap) -> RequestId {
        let entropy = &self.auth().sessions().parts().entropy;
        request_id(headers, &self.request_ids().drawn(&**entropy)).unwrap_or(RequestId::from_bytes([0; 16]))
    }

    pub(super) fn client_address(&self, peer: Peer, headers: &HeaderMap) -> IpAddr {
        client_address(peer.address(), headers, &self.auth().settings().trusted_proxies)
    }

    /// Reads `Authorization` and `apikey`. Where both are there, the former says who asks.
    pub(super) fn presented<'a>(&self, headers: &'a HeaderMap) -> Result<Presented<'a>> {
        let key = match single(headers, &APIKEY)? {
            Some(text) if self.has_keys() => {
                let role = self.key_role(text, &Fingerprint::of(text), headers)?;
                Some((role.ok_or_else(unknown_key)?, text))
            }
            _ => None,
        };
        let Some(authorization) = single(headers, &AUTHORIZATION)? else {
            return Ok(key.map_or(Presented::Nothing, |(role, text)| Presented::Key(role, text)));
        };
        let token = bearer(authorization)?;
        let fingerprint = Fingerprint::of(token);
        if let Some(role) = self.key_role(token, &fingerprint, headers)? {
            return Ok(Presented::Key(role, token));
        }
        if token.starts_with("sb_") {
            // The official client sends its application key as a bearer token, too. Without configured keys it
            // means as little as it does in `apikey`.
            return if self.has_keys() { Err(unknown_key()) } else { Ok(Presented::Nothing) };
        }
        Ok(Presented::Token(token, fingerprint))
    }
}

pub(super) fn unknown_key() -> Error {
    Error::new(Code::NoAuthorization, "Invalid API key")
}

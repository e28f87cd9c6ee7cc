use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};

use super::bearer::{bearer, no_bearer, single, unauthorized};
use crate::env::SystemEntropy;
use crate::observe::request_id;
use crate::session::token::Verifier;
use crate::types::{Principal, RequestId, Result};

/// The lock before the routes of a service that verifies tokens and issues none. Cheap to clone; clones share the key
/// set.
#[derive(Clone, Debug)]
pub struct TokenLock(Arc<Verifier>);

impl TokenLock {
    /// For tokens that `verifier` verifies.
    pub fn new(verifier: impl Into<Arc<Verifier>>) -> Self {
        Self(verifier.into())
    }

    /// A request's id, a fresh one: there are no declared proxies whose ids would be taken over.
    pub fn request_id(&self) -> RequestId {
        request_id(&HeaderMap::new(), &SystemEntropy).unwrap_or(RequestId::from_bytes([0; 16]))
    }

    /// The user whose token a request of these headers carries.
    ///
    /// Without a token, or with two `Authorization` headers:
    /// [`Code::NoAuthorization`](crate::types::Code::NoAuthorization). One that does not verify or has expired:
    /// [`Code::BadJwt`](crate::types::Code::BadJwt). Both are 401. No key set:
    /// [`Code::OverCapacity`](crate::types::Code::OverCapacity), 503.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Principal> {
        let sent = single(headers, &AUTHORIZATION).map_err(|twice| no_bearer().with_source(twice))?;
        let token = bearer(sent.ok_or_else(no_bearer)?)?;
        self.0.verify(token).await.map_err(unauthorized)
    }
}

use std::time::Duration;

use http::{HeaderMap, Response};

use super::Http;
use crate::types::{Code, Error};

/// What strangers may take of a server before anything of theirs has been read. An adapter that serves keeps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at once; whoever comes after waits to be accepted. 10,000.
    pub connections: usize,
    /// From a connection's opening, or the end of its last response, to the end of the next request's head. 10 s.
    pub head: Duration,
    /// For the whole body of a request of ours; then [`Http::too_slow`] is the answer. 10 s.
    pub body: Duration,
    /// For open requests after the signal to end. 25 s: orchestrators kill after 30 s.
    pub drain: Duration,
}

impl Limits {
    /// The limits that stand unless a test says otherwise.
    pub const WRITTEN: Self = Self {
        connections: 10_000,
        head: Duration::from_secs(10),
        body: Duration::from_secs(10),
        drain: Duration::from_secs(25),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::WRITTEN
    }
}

impl Http {
    /// What to answer to a body over [`Http::body_limit`].
    pub fn too_large(&self, request: &HeaderMap) -> Response<Vec<u8>> {
        self.unread(Code::PayloadTooLarge, "Request body is too large", request)
    }

    /// What to answer to a body that is not there after [`Limits::body`].
    pub fn too_slow(&self, request: &HeaderMap) -> Response<Vec<u8>> {
        self.unread(Code::RequestTimeout, "Request body did not arrive in time", request)
    }

    /// What to answer to a body that broke off.
    pub fn unreadable(&self, request: &HeaderMap) -> Response<Vec<u8>> {
        self.unread(Code::BadJson, "Could not read the request body", request)
    }

    fn unread(&self, code: Code, sentence: &'static str, request: &HeaderMap) -> Response<Vec<u8>> {
        let mut response = self.error_response(&Error::new(code, sentence), request);
        self.decorate(request, response.headers_mut());
        response
    }
}

use std::time::Duration;

use http::Response;
use http::request::Parts;

use super::Http;
use crate::types::{Code, Error};

/// What strangers may take of a server before anything of theirs has been read. An adapter that serves keeps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at once; whoever comes after waits to be accepted. 10,000.
    pub connections: usize,
    /// For a TLS handshake; then the connection is closed. 10 s: what a phone on a bad line needs.
    pub handshake: Duration,
    /// From a connection's opening, or the end of its last response, to the end of the next request's head. 10 s.
    pub head: Duration,
    /// For the whole body of a request of ours; then [`Unread::TooSlow`] is the answer. 10 s.
    pub body: Duration,
    /// The largest body that `Valid` reads of a host's route, unless the host's framework was told another. 2 MiB.
    pub host_body: usize,
    /// For open requests after the signal to end. 25 s: orchestrators kill after 30 s.
    pub drain: Duration,
}

impl Limits {
    /// The limits that stand unless a test says otherwise.
    pub const WRITTEN: Self = Self {
        connections: 10_000,
        handshake: Duration::from_secs(10),
        head: Duration::from_secs(10),
        body: Duration::from_secs(10),
        host_body: 2 * 1024 * 1024,
        drain: Duration::from_secs(25),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::WRITTEN
    }
}

/// Why the body of a request of ours was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unread {
    /// It is over [`Http::body_limit`].
    TooLarge,
    /// It was not there after [`Limits::body`].
    TooSlow,
    /// It broke off.
    BrokenOff,
}

impl Unread {
    /// What it is to a client.
    pub fn error(self) -> Error {
        match self {
            Self::TooLarge => Error::new(Code::PayloadTooLarge, "Request body is too large"),
            Self::TooSlow => Error::new(Code::RequestTimeout, "Request body did not arrive in time"),
            Self::BrokenOff => Error::new(Code::BadJson, "Could not read the request body"),
        }
    }
}

impl Http {
    /// What to answer to a request whose body was not read to its end.
    pub fn unread(&self, head: &Parts, why: Unread) -> Response<Vec<u8>> {
        let refresh = self.relative(&head.uri) == Some("/token");
        let error = match why {
            // The official client takes a 4xx on a refresh for the end of its session.
            Unread::TooSlow if refresh => {
                Error::new(Code::OverCapacity, "Request body did not arrive in time").with_retry_after(1)
            }
            other => other.error(),
        };
        let mut response = self.error_response(&error, &head.headers);
        self.decorate(&head.headers, response.headers_mut());
        response
    }
}

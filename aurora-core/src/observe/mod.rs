//! What a running service tells about itself: request ids and spans.
//!
//! 1. Every request has an id; every span, 5xx answer and audit record carries it.
//! 2. A span holds ids, the route's template, the method and the status. No path and no query (links carry
//!    secrets), no header, no body, no address of mail.
//! 3. An id that a declared proxy sent (`Settings::trusted_proxies`) is taken over when it is a single UUID, so
//!    that one request can be followed through several services; anybody else's is replaced. It proves nothing.

mod request;

pub use request::{REQUEST_ID, record_outcome, request_id, request_span, write_request_id};

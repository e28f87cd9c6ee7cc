//! How long a connection may keep its seat. actix bounds the first head of a connection alone, and reads on a chunked
//! body that no handler asked for until its sender tires.

use std::cell::Cell;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::web::Bytes;
use aurora_core::http;
use socket2::{SockRef, Socket};
use tokio::time::Instant;

/// A connection, which is cut when no request came for a while after its last response.
struct Line {
    socket: Socket,
    requests: Cell<usize>,
    since: Cell<Instant>,
}

/// Watches a connection from its opening.
pub(crate) fn watch(socket: &http::Socket, extensions: &mut Extensions, longest: Duration) {
    // Without a second handle the connection is as actix has it.
    let Ok(socket) = SockRef::from(socket.tcp()).try_clone() else { return };
    let line = Rc::new(Line { socket, requests: Cell::new(0), since: Cell::new(Instant::now()) });
    let watched = Rc::downgrade(&line);
    extensions.insert(line);
    actix_web::rt::spawn(async move {
        while let Some(line) = watched.upgrade() {
            let ends =
                if line.requests.get() > 0 { Instant::now() + longest } else { line.since.get() + longest };
            if ends <= Instant::now() {
                // It may be gone already.
                drop(line.socket.shutdown(Shutdown::Both));
                return;
            }
            drop(line);
            tokio::time::sleep_until(ends).await;
        }
    });
}

/// A request on its line, until its response was written.
pub(crate) struct Turn(Option<Rc<Line>>);

impl Turn {
    pub(crate) fn begin(request: &ServiceRequest) -> Self {
        let line = request.conn_data::<Rc<Line>>().cloned();
        if let Some(line) = &line {
            line.requests.set(line.requests.get() + 1);
        }
        Self(line)
    }

    /// The response's body, with whose end the turn ends.
    pub(crate) fn until_the_end_of(self, response: BoxBody) -> BoxBody {
        BoxBody::new(Held { response, _turn: self })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(line) = &self.0 {
            line.requests.set(line.requests.get().saturating_sub(1));
            line.since.set(Instant::now());
        }
    }
}

struct Held {
    response: BoxBody,
    _turn: Turn,
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.response.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.response).poll_next(context)
    }
}

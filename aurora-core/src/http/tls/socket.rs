use std::fmt;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection that HTTP is spoken on, encrypted or not.
pub struct Socket(Kind);

enum Kind {
    Plain(TcpStream),
    // Ten times the other.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub(super) fn plain(socket: TcpStream) -> Self {
        Self(Kind::Plain(socket))
    }

    pub(super) fn tls(socket: TlsStream<TcpStream>) -> Self {
        Self(Kind::Tls(Box::new(socket)))
    }

    /// The TCP connection below.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Kind::Plain(socket) => socket,
            Kind::Tls(socket) => socket.get_ref().0,
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Plain(_) => "plain",
            Kind::Tls(_) => "TLS",
        };
        f.debug_tuple("Socket").field(&kind).finish()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Kind::Tls(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Kind::Tls(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Kind::Tls(socket) => Pin::new(socket).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Plain(socket) => socket.is_write_vectored(),
            Kind::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_flush(context),
            Kind::Tls(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Kind::Tls(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

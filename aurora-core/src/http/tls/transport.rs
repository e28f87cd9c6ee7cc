use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::order::{Challenges, Renewal};
use super::socket::Socket;
use super::watch::{Files, Shown, Watch};
use super::{Source, Tls, Versions, development};
use crate::auth::Auth;
use crate::http::Http;
use crate::types::{Error, Result};

/// How a server takes sockets: with TLS, or as they are. Cheap to clone; the certificate's files are looked at while
/// one of the clones lives.
#[derive(Clone)]
pub struct Transport(Option<Arc<Terminal>>);

struct Terminal {
    acceptor: TlsAcceptor,
    _watch: Watch,
    _renewal: Option<Renewal>,
}

impl Http {
    /// How sockets are taken: with the certificate of [`Tls`], which is read and checked now, or in clear where there
    /// is none. Within a tokio runtime.
    ///
    /// # Errors
    /// [`Code::Configuration`](crate::types::Code::Configuration) names the file and the mend.
    pub async fn transport(&self) -> Result<Transport> {
        let Some(tls) = self.tls() else { return Ok(Transport(None)) };
        Ok(Transport(Some(Arc::new(Terminal::open(tls, self.auth()).await?))))
    }
}

impl Terminal {
    async fn open(tls: &Tls, auth: &Auth) -> Result<Self> {
        let clock = Arc::clone(&auth.sessions().parts().clock);
        let (now, challenges) = (clock.now(), Arc::new(Challenges::default()));
        if let Source::Development { file } = &tls.source {
            development::prepare(file, now).await?;
        }
        let (certificate, key) = (tls.certificate().to_owned(), tls.key().to_owned());
        let (files, pair) = match (Files::open(certificate.clone(), key.clone(), now).await, &tls.source) {
            (Ok((files, pair)), _) => (files, Some(pair)),
            // Not there yet, or expired: another one is ordered.
            (Err(_), Source::Ordered { .. }) => (Files::awaited(certificate, key), None),
            (Err(error), _) => return Err(error),
        };
        let renewal = match &tls.source {
            Source::Ordered { orders, .. } => {
                Some(Renewal::start(Arc::clone(orders), Arc::clone(&challenges), Arc::clone(&clock)))
            }
            Source::Files { .. } | Source::Development { .. } => None,
        };
        let shown = Arc::new(Shown::new(pair.as_ref(), challenges));
        let mut config = config(tls.versions, Arc::clone(&shown))?;
        if renewal.is_some() {
            config.alpn_protocols.push(Challenges::PROTOCOL.to_vec());
        }
        let watch = Watch::start(files, shown, (tls.look_every, tls.hangups()), auth.clone());
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), _watch: watch, _renewal: renewal })
    }
}

fn config(versions: Versions, shown: Arc<Shown>) -> Result<ServerConfig> {
    let versions: &[&SupportedProtocolVersion] = match versions {
        Versions::Tls13 => &[&TLS13],
        Versions::Tls12And13 => &[&TLS13, &TLS12],
    };
    // By name: what the process has chosen for others is not ours to use.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Transport {
    /// Whether connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.is_some()
    }

    /// Takes a socket: a handshake of at most `limit`, or nothing where it is plain.
    ///
    /// # Errors
    /// What the handshake failed on, or [`io::ErrorKind::TimedOut`]; the socket is closed then.
    pub async fn accept(&self, socket: TcpStream, limit: Duration) -> io::Result<Socket> {
        // Answers are written whole; waiting to join them with later ones only adds 40 ms.
        drop(socket.set_nodelay(true));
        let Some(terminal) = &self.0 else { return Ok(Socket::plain(socket)) };
        let taken = tokio::time::timeout(limit, terminal.acceptor.accept(socket)).await;
        let taken = taken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if taken.get_ref().1.alpn_protocol() == Some(Challenges::PROTOCOL) {
            // RFC 8737 s3: it has seen what it came for, and nothing is said on this connection.
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        Ok(Socket::tls(taken))
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("is_encrypted", &self.is_encrypted()).finish()
    }
}

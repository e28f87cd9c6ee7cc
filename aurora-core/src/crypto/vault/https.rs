//! HTTP/1.1 to one host whose certificate is verified. Nothing is followed, and nothing goes through a proxy.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::types::{Code, Error, Result};

/// For a connection, its handshake, the question and the answer.
const LONGEST: Duration = Duration::from_secs(10);
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
/// An answer is a few hundred bytes; a key with ten thousand versions is less than this.
const LARGEST: usize = 1 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Sender = SendRequest<Full<Bytes>>;

/// A client of one host, with a connection that waits for the next question.
pub(super) struct Client {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Option<Sender>>,
}

impl Client {
    /// `roots` is a file of certificates that vouch for the host; without it the system's do.
    pub(super) fn new(address: &str, roots: Option<&Path>) -> Result<Self> {
        let wrong = |what: &str| Error::new(Code::Configuration, format!("Vault's address {what}"));
        let url = Url::parse(address).map_err(|_| wrong("is no URL: https://vault.example.com:8200"))?;
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("is scheme, host and port alone"));
        }
        let host = url.host().ok_or_else(|| wrong("has no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| wrong("has no port"))?;
        let tls = match url.scheme() {
            "https" => Some((connector(roots)?, name(&host)?)),
            "http" if is_loopback(&host) => None,
            "http" => {
                return Err(wrong(
                    "is in clear: keys and the token would be read on the way. Use https, or an agent on this machine",
                ));
            }
            _ => return Err(wrong("begins with https://")),
        };
        let host = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port, tls, idle: Mutex::new(None) })
    }

    /// What stands in the `Host` header.
    pub(super) fn authority(&self) -> String {
        let host = &self.host;
        if host.contains(':') { format!("[{host}]:{}", self.port) } else { format!("{host}:{}", self.port) }
    }

    /// Asks, and reads the whole answer. A question that a kept connection lost is asked once more on a new one: none of
    /// those that are asked here changes anything.
    ///
    /// # Errors
    /// [`Code::OverCapacity`] when nobody answers in time; [`Code::Configuration`] for a certificate that nobody vouches for.
    pub(super) async fn send(&self, ask: impl Fn() -> Result<Request<Full<Bytes>>>) -> Result<Answer> {
        let asked = tokio::time::timeout(LONGEST, async {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(sender) = kept
                && let Ok(answer) = self.exchange(sender, ask()?).await
            {
                return Ok(answer);
            }
            let sender = self.connect().await.map_err(unreachable)?;
            self.exchange(sender, ask()?).await.map_err(unreachable)
        });
        asked.await.map_err(unreachable)?
    }

    async fn exchange(
        &self,
        mut sender: Sender,
        request: Request<Full<Bytes>>,
    ) -> std::result::Result<Answer, Failure> {
        sender.ready().await?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let mut body = Limited::new(body, LARGEST);
        let mut read = Zeroizing::new(Vec::with_capacity(1024));
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                read.extend_from_slice(&data);
            }
        }
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Ok(Answer { status: head.status, body: read })
    }

    async fn connect(&self) -> std::result::Result<Sender, Failure> {
        tokio::time::timeout(LONGEST_CONNECT, async {
            let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
            socket.set_nodelay(true)?;
            match &self.tls {
                None => begin(socket).await,
                Some((connector, name)) => begin(connector.connect(name.clone(), socket).await?).await,
            }
        })
        .await?
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
}

async fn begin<S>(stream: S) -> std::result::Result<Sender, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with the last of its sender, or with the line; who waits for an answer is told.
    tokio::spawn(connection);
    Ok(sender)
}

fn unreachable(error: impl Into<Failure>) -> Error {
    let error = error.into();
    let of_tls = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()?.downcast_ref());
    if let Some(rustls::Error::InvalidCertificate(_)) = of_tls {
        let text = "Vault's certificate is not to be trusted: name what vouches for it (`.roots(path)`), and the host \
                    as it does";
        return Error::new(Code::Configuration, text).with_source(error);
    }
    Error::overloaded(5).with_source(error)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn name(host: &Host<&str>) -> Result<ServerName<'static>> {
    Ok(match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(Error::internal)?,
        Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
        Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
    })
}

fn connector(roots: Option<&Path>) -> Result<TlsConnector> {
    let mut trusted = RootCertStore::empty();
    match roots {
        Some(path) => {
            let wrong = |what: String| {
                Error::new(Code::Configuration, format!("Vault's roots `{}` {what}", path.display()))
            };
            let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
            for certificate in read {
                let added = trusted.add(certificate.map_err(|error| wrong(error.to_string()))?);
                added.map_err(|error| wrong(error.to_string()))?;
            }
            if trusted.is_empty() {
                return Err(wrong("hold no certificate".to_owned()));
            }
        }
        None => {
            // Those that cannot be read are left out, as elsewhere; a host that none vouches for is refused.
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(Error::internal)?.with_root_certificates(trusted).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

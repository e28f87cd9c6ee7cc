//! A client that sends what it is told to, well formed or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::Tls;
use crate::types::{Error, Result};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where to, and what is trusted there.
#[derive(Clone)]
pub(super) struct Line {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Line {
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Trusts the service's own certificate and no other.
    pub(super) fn to(address: SocketAddr, tls: Option<&Tls>) -> Result<Self> {
        let Some(tls) = tls else { return Ok(Self::plain(address)) };
        let bytes = std::fs::read(tls.certificate()).map_err(Error::internal)?;
        let mut trusted = RootCertStore::empty();
        trusted
            .add(CertificateDer::from_pem_slice(&bytes).map_err(Error::internal)?)
            .map_err(Error::internal)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(Error::internal)?.with_root_certificates(trusted).with_no_client_auth();
        Ok(Self { address, tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    async fn open(&self) -> std::io::Result<Box<dyn Stream>> {
        let socket = TcpStream::connect(self.address).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let socket = tls.connect(ServerName::IpAddress(self.address.ip().into()), socket).await?;
        Ok(Box::new(socket))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(super) fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path).json(body)
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.with("content-type", "application/json").text(&body.to_string())
    }

    pub(super) fn text(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The error shape of today's official client.
    pub(super) fn dated(self) -> Self {
        self.with("x-supabase-api-version", "2024-01-01")
    }

    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    pub(super) async fn send(self, line: &Line) -> Result<Answer> {
        let exchange = async {
            let (mut socket, address) = (line.open().await?, line.address);
            let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.path);
            if !self.headers.iter().any(|(name, _)| name == "host") {
                text.push_str(&format!("host: {address}\r\n"));
            }
            for (name, value) in &self.headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            if !self.body.is_empty() || self.method == "POST" {
                text.push_str(&format!("content-length: {}\r\n", self.body.len()));
            }
            text.push_str("\r\n");
            socket.write_all(text.as_bytes()).await?;
            // A server may answer and close before it has read a body that is too large.
            let _unread = socket.write_all(&self.body).await;
            socket.flush().await?;
            let mut raw = Vec::new();
            let mut part = [0; 4096];
            loop {
                match socket.read(&mut part).await {
                    Ok(0) => break,
                    Ok(read) => raw.extend(part.iter().take(read)),
                    // What came before the reset was the answer.
                    Err(_) if !raw.is_empty() => break,
                    Err(error) => return Err(error),
                }
            }
            Ok::<_, std::io::Error>(raw)
        };
        let raw = tokio::time::timeout(PATIENCE, exchange).await.map_err(Error::internal)?;
        let raw = raw.map_err(Error::internal)?;
        parse(&raw).ok_or_else(|| {
            Error::internal(format!("no answer of HTTP to {} {}: {:?}", self.method, self.path, raw))
        })
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).map_err(Error::internal)
    }

    /// A string member of the body.
    pub(super) fn member(&self, pointer: &str) -> Result<String> {
        let body = self.json()?;
        let found = body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| Error::internal(format!("{pointer} is not in {body}")))
    }
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = raw.split_at_checked(end)?;
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = body.get(4..)?;
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunk(body)? } else { body.to_vec() };
    Some(Answer { status, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..end)?).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}

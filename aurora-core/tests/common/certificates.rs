//! An authority of a test's own, and whoever trusts it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing fixture fails the test")]
#![allow(unreachable_pub, reason = "a module of several test programs")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// In PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut asked = CertificateParams::new(Vec::new()).unwrap();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("an authority of a test, {}", NEXT.fetch_add(1, Ordering::SeqCst));
        asked.distinguished_name.push(DnType::CommonName, name);
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(asked, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_for(names, 1_600_000_000, 4_000_000_000)
    }

    /// Valid between two Unix times.
    pub fn issue_for(&self, names: &[&str], from: u64, until: u64) -> Issued {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut asked = CertificateParams::new(names).unwrap();
        let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        (asked.not_before, asked.not_after) = (at(from), at(until));
        let key = KeyPair::generate().unwrap();
        let certificate = asked.signed_by(&key, &self.0).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// Whoever trusts this authority alone.
    pub fn trusted(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        trusting(self.der(), versions)
    }
}

impl Issued {
    /// Puts both into a folder; the key for its owner alone.
    pub fn put(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
        replace(&certificate, &self.certificate);
        replace(&key, &self.key);
        (certificate, key)
    }
}

/// As certbot does it: beside, then renamed.
pub fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    open_to(&beside, 0o600);
    std::fs::rename(beside, path).unwrap();
}

pub fn open_to(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub fn trusting(
    root: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // Who resumes a session is shown no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    config
}

pub async fn connect(
    address: std::net::SocketAddr,
    name: &'static str,
    config: &ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config.clone()));
    connector.connect(ServerName::try_from(name).unwrap(), socket).await
}

/// What the other side showed.
pub fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

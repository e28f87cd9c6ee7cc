//! TLS: how an accepted socket becomes one that nobody in between can read or change.
//!
//! 1. TLS 1.3 alone. Whoever has clients that cannot asks for 1.2 by name ([`Tls::also_tls_1_2`]), and gets its
//!    forward-secret AEAD suites, nothing older.
//! 2. A certificate is checked before anything listens: it is there, it is of its key, it is valid today, and nobody
//!    else may read the key. What is wrong is said with the file's name and the mend.
//! 3. Files are looked at again and again. New ones are checked like the first, then shown in every handshake that
//!    follows; connections that are open go on. Ones that are broken are told, and the old certificate stays. Both are
//!    recorded; SIGHUP asks for a look at once.
//! 4. A handshake has its time ([`Limits::handshake`](super::Limits)), and its connection has its seat: whoever stalls
//!    keeps one seat for ten seconds.
//! 5. No data before the handshake's end (0-RTT): it can be sent twice.
//! 6. HTTP/1.1 alone is agreed on, as on a plain socket: what the adapters bound was proven for that.
//! 7. The development certificate names this machine and nothing else, and production refuses it.
//!
//! A clock that is wrong by days makes a good certificate look expired, here and in browsers.
//!
//! ```
//! use aurora_core::http::Tls;
//! let tls = Tls::files("/etc/notes/fullchain.pem", "/etc/notes/privkey.pem");
//! assert!(!tls.is_for_development());
//! assert!(Tls::development("data/tls.pem").is_for_development());
//! ```

#[cfg(feature = "acme")]
mod acme;
mod development;
mod files;
mod hangup;
mod order;
mod pair;
mod socket;
mod transport;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hangup::Hangups;
use order::Orders;

#[cfg(feature = "acme")]
pub use acme::Acme;
pub use socket::Socket;
pub use transport::Transport;

/// How often files are looked at unless it is said: soon enough for whoever just put them there.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What a service shows of itself, and which versions it speaks; given to
/// [`Builder::tls`](crate::Builder::tls), and used by both adapters' `serve`.
#[derive(Clone, Debug)]
pub struct Tls {
    source: Source,
    versions: Versions,
    look_every: Duration,
}

#[derive(Clone, Debug)]
enum Source {
    Files { certificate: PathBuf, key: PathBuf },
    Development { file: PathBuf },
    Ordered { orders: Arc<dyn Orders>, file: PathBuf },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Versions {
    Tls13,
    Tls12And13,
}

impl Tls {
    /// The certificate with those between it and its root (`fullchain.pem`), and its private key; both in PEM.
    pub fn files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        let (certificate, key) = (certificate.as_ref().to_owned(), key.as_ref().to_owned());
        Self::of(Source::Files { certificate, key })
    }

    /// A certificate for `localhost`, `127.0.0.1` and `::1` that nobody vouches for, made on the first start and kept
    /// with its key in `file` (mode 0600), so that a browser is told to trust it once. For development alone.
    pub fn development(file: impl AsRef<Path>) -> Self {
        Self::of(Source::Development { file: file.as_ref().to_owned() })
    }

    #[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "whoever orders is behind a feature"))]
    fn ordered(orders: Arc<dyn Orders>) -> Self {
        let file = orders.certificate();
        Self::of(Source::Ordered { orders, file })
    }

    fn of(source: Source) -> Self {
        Self { source, versions: Versions::Tls13, look_every: LOOK_EVERY }
    }

    /// Speaks TLS 1.2 as well, for clients that are older than 2018. Without it they are refused.
    #[must_use]
    pub fn also_tls_1_2(mut self) -> Self {
        self.versions = Versions::Tls12And13;
        self
    }

    /// How often the files are looked at. Every 10 seconds unless it is said.
    #[must_use]
    pub fn look_every(mut self, every: Duration) -> Self {
        self.look_every = every.max(Duration::from_millis(10));
        self
    }

    /// What asks for a look at once. A development certificate changes by itself, and in a terminal that is closed its
    /// service should end.
    fn hangups(&self) -> Hangups {
        if self.is_for_development() { Hangups::none() } else { Hangups::of_this_process() }
    }

    /// Whether the certificate is the one that nobody vouches for.
    pub fn is_for_development(&self) -> bool {
        matches!(self.source, Source::Development { .. })
    }

    /// Where the certificate lies.
    pub fn certificate(&self) -> &Path {
        match &self.source {
            Source::Files { certificate, .. } => certificate,
            Source::Development { file } | Source::Ordered { file, .. } => file,
        }
    }

    /// Where its key lies.
    pub fn key(&self) -> &Path {
        match &self.source {
            Source::Files { key, .. } => key,
            Source::Development { file } | Source::Ordered { file, .. } => file,
        }
    }
}

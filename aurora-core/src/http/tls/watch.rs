use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::task::AbortHandle;

use super::order::Challenges;
use super::pair::{Content, Pair};
use crate::env::Clock;
use crate::types::{Error, Result, Timestamp};

/// From here on a certificate that was not renewed is told about, once a day.
const SOON: Duration = Duration::from_secs(14 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// The certificate that handshakes show.
#[derive(Debug)]
pub(super) struct Shown {
    /// None until the first one was ordered.
    current: RwLock<Option<Arc<CertifiedKey>>>,
    challenges: Arc<Challenges>,
}

impl Shown {
    pub(super) fn new(pair: Option<&Pair>, challenges: Arc<Challenges>) -> Self {
        Self { current: RwLock::new(pair.map(|pair| Arc::clone(&pair.shown))), challenges }
    }

    fn become_that_of(&self, pair: &Pair) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&pair.shown));
    }
}

impl ResolvesServerCert for Shown {
    /// The same for every name: a service has one. An authority that looks sees what it looks for.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_challenge = |mut protocols: Box<dyn Iterator<Item = &[u8]> + '_>| {
            protocols.next() == Some(Challenges::PROTOCOL) && protocols.next().is_none()
        };
        if hello.alpn().is_some_and(|protocols| is_challenge(Box::new(protocols))) {
            return self.challenges.of(hello.server_name()?);
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Two files, and what was last seen of them.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// None while the first one is awaited.
    seen: Option<[u8; 32]>,
    until: Timestamp,
    told: Option<Timestamp>,
    /// What could not be taken at the last look, and whether it was told.
    broken: Option<(Broken, bool)>,
}

/// What stands in the files, or why they cannot be read.
#[derive(PartialEq, Eq, Debug)]
enum Broken {
    Content([u8; 32]),
    Unreadable(String),
}

impl Files {
    pub(super) async fn open(certificate: PathBuf, key: PathBuf, now: Timestamp) -> Result<(Self, Pair)> {
        let content = Content::read(&certificate, &key).await?;
        let pair = content.checked((&certificate, &key), now)?;
        let files = Self {
            seen: Some(content.fingerprint()),
            certificate,
            key,
            until: pair.until,
            told: None,
            broken: None,
        };
        Ok((files, pair))
    }

    /// Files that somebody is about to make.
    pub(super) fn awaited(certificate: PathBuf, key: PathBuf) -> Self {
        let until = Timestamp::from_seconds(0);
        Self { certificate, key, seen: None, until, told: None, broken: None }
    }

    /// A new pair, if there is one. One that cannot be used is told at its second look: between the two files of a
    /// renewal there is a moment in which they do not belong together.
    async fn look(&mut self, now: Timestamp) -> Option<Pair> {
        if self.seen.is_none() && !self.certificate.exists() {
            return None;
        }
        let content = match Content::read(&self.certificate, &self.key).await {
            Ok(content) => content,
            Err(error) => {
                self.refuse(Broken::Unreadable(error.message().to_owned()), &error);
                return None;
            }
        };
        let fingerprint = content.fingerprint();
        if self.seen == Some(fingerprint) {
            self.broken = None;
            self.warn(now);
            return None;
        }
        match content.checked((&self.certificate, &self.key), now) {
            Ok(pair) => {
                (self.seen, self.until, self.broken, self.told) = (Some(fingerprint), pair.until, None, None);
                Some(pair)
            }
            Err(error) => {
                self.refuse(Broken::Content(fingerprint), &error);
                None
            }
        }
    }

    fn refuse(&mut self, broken: Broken, error: &Error) {
        match &mut self.broken {
            Some((before, told)) if *before == broken => {
                if !std::mem::replace(told, true) {
                    tracing::error!(%error, "the new TLS certificate is not taken; the old one is shown on");
                }
            }
            _ => self.broken = Some((broken, false)),
        }
    }

    fn warn(&mut self, now: Timestamp) {
        let is_soon = now.plus(SOON) >= self.until;
        if is_soon && self.told.is_none_or(|told| now.since(told) >= DAY) {
            self.told = Some(now);
            tracing::warn!(until = %self.until, file = %self.certificate.display(), "the TLS certificate ends soon: renew it");
        }
    }
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Watch(AbortHandle);

impl Watch {
    pub(super) fn start(mut files: Files, shown: Arc<Shown>, every: Duration, clock: Arc<dyn Clock>) -> Self {
        let looking = async move {
            loop {
                if let Some(pair) = files.look(clock.now()).await {
                    shown.become_that_of(&pair);
                    tracing::info!(until = %pair.until, "a new TLS certificate is shown");
                }
                tokio::time::sleep(every).await;
            }
        };
        Self(tokio::spawn(looking).abort_handle())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

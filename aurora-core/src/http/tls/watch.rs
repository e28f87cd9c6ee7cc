use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::task::AbortHandle;

use super::hangup::Hangups;
use super::order::Challenges;
use super::pair::{Content, Pair};
use crate::audit::{Action, Actor, Record};
use crate::auth::Auth;
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

    /// What is new. A pair that cannot be used is told at its second look, unless somebody `asked` for this one: between
    /// the two files of a renewal there is a moment in which they do not belong together.
    async fn look(&mut self, now: Timestamp, asked: bool) -> Seen {
        if self.seen.is_none() && !self.certificate.exists() {
            return Seen::Nothing;
        }
        let content = match Content::read(&self.certificate, &self.key).await {
            Ok(content) => content,
            Err(error) => return self.refuse(Broken::Unreadable(error.message().to_owned()), error, asked),
        };
        let fingerprint = content.fingerprint();
        if self.seen == Some(fingerprint) {
            self.broken = None;
            self.warn(now);
            return Seen::Nothing;
        }
        match content.checked((&self.certificate, &self.key), now) {
            Ok(pair) => Seen::New(pair, fingerprint),
            Err(error) => self.refuse(Broken::Content(fingerprint), error, asked),
        }
    }

    fn take(&mut self, pair: &Pair, fingerprint: [u8; 32]) {
        (self.seen, self.until, self.broken, self.told) = (Some(fingerprint), pair.until, None, None);
    }

    fn refuse(&mut self, broken: Broken, error: Error, asked: bool) -> Seen {
        let again = self.broken.as_ref().filter(|(before, _)| *before == broken);
        let (is_due, was_told) = (again.is_some() || asked, again.is_some_and(|(_, told)| *told));
        self.broken = Some((broken, is_due || was_told));
        if is_due && !was_told { Seen::Refused(error) } else { Seen::Nothing }
    }

    fn warn(&mut self, now: Timestamp) {
        let is_soon = now.plus(SOON) >= self.until;
        if is_soon && self.told.is_none_or(|told| now.since(told) >= DAY) {
            self.told = Some(now);
            tracing::warn!(until = %self.until, file = %self.certificate.display(), "the TLS certificate ends soon: renew it");
        }
    }
}

/// What a look at the files found.
enum Seen {
    Nothing,
    New(Pair, [u8; 32]),
    Refused(Error),
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Watch(AbortHandle);

impl Watch {
    pub(super) fn start(
        mut files: Files,
        shown: Arc<Shown>,
        (every, mut hangups): (Duration, Hangups),
        auth: Auth,
    ) -> Self {
        let clock = Arc::clone(&auth.sessions().parts().clock);
        let looking = async move {
            let mut asked = false;
            loop {
                look(&mut files, &shown, clock.now(), asked, &auth).await;
                asked = tokio::select! {
                    () = tokio::time::sleep(every) => false,
                    () = hangups.next() => true,
                };
            }
        };
        Self(tokio::spawn(looking).abort_handle())
    }
}

/// One look. A new certificate is recorded before it is shown; one that cannot be recorded is looked at again.
async fn look(files: &mut Files, shown: &Shown, now: Timestamp, asked: bool, auth: &Auth) {
    let record = |action| {
        Record::security(now, Actor::Service, action).target(files.certificate.display().to_string())
    };
    let (taken, refused) = (record(Action::CERTIFICATE_TAKEN), record(Action::CERTIFICATE_REFUSED));
    match files.look(now, asked).await {
        Seen::Nothing => {}
        Seen::New(pair, fingerprint) => {
            let record = taken.with("sha256", pair.name()).with("until", pair.until);
            if let Err(error) = auth.record_alone(record).await {
                tracing::error!(%error, "the new TLS certificate could not be recorded; the old one is shown on");
                return;
            }
            files.take(&pair, fingerprint);
            shown.become_that_of(&pair);
            tracing::info!(until = %pair.until, "a new TLS certificate is shown");
        }
        Seen::Refused(error) => {
            tracing::error!(%error, "the new TLS certificate is not taken; the old one is shown on");
            if let Err(error) = auth.record_alone(refused.with("reason", error.message())).await {
                tracing::error!(%error, "the refusal of a TLS certificate could not be recorded");
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

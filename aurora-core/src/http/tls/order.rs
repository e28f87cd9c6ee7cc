use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio::task::AbortHandle;

use crate::env::Clock;
use crate::types::{BoxFuture, Result, Timestamp};

/// How often it is asked whether a certificate is due.
const EVERY: Duration = Duration::from_secs(3600);
/// After a first failure, and then twice as long each time: authorities count failures by the hour.
const AGAIN: Duration = Duration::from_secs(300);
const AGAIN_AT_MOST: Duration = Duration::from_secs(12 * 3600);

/// Who brings certificates by itself. Implementations: `Acme` (cargo feature `acme`), and a test's.
pub(super) trait Orders: Send + Sync + Debug {
    /// Where certificate and key are put, in one file: they change together.
    fn certificate(&self) -> PathBuf;

    /// Puts a new one there, if it is due.
    fn renew<'a>(&'a self, challenges: &'a Challenges, now: Timestamp) -> BoxFuture<'a, Result<()>>;
}

/// What is shown to an authority that looks whether a name leads here (RFC 8737).
#[derive(Default, Debug)]
pub(super) struct Challenges(RwLock<HashMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    /// What such a handshake agrees on, and no other.
    pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

    #[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "who orders puts them there"))]
    pub(super) fn put(&self, name: &str, shown: Arc<CertifiedKey>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), shown);
    }

    #[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "who orders takes them away"))]
    pub(super) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Renews until it is dropped.
#[derive(Debug)]
pub(super) struct Renewal(AbortHandle);

impl Renewal {
    pub(super) fn start(orders: Arc<dyn Orders>, challenges: Arc<Challenges>, clock: Arc<dyn Clock>) -> Self {
        let renewing = async move {
            let mut again = AGAIN;
            loop {
                match orders.renew(&challenges, clock.now()).await {
                    Ok(()) => {
                        again = AGAIN;
                        tokio::time::sleep(EVERY).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, again_in = ?again, "no certificate was got");
                        tokio::time::sleep(again).await;
                        again = (again * 2).min(AGAIN_AT_MOST);
                    }
                }
            }
        };
        Self(tokio::spawn(renewing).abort_handle())
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

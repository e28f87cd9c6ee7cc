//! Signing keys that another process made.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Sessions;
use crate::types::Result;

/// The store is asked about unknown keys this often at the most, whoever sends tokens that name some.
const APART: Duration = Duration::from_millis(250);

/// When the keys were last read because of a token.
#[derive(Debug, Default)]
pub(super) struct Reloads(Mutex<Option<Instant>>);

impl Sessions {
    /// Reads the signing keys because a token names one that is not known: another process may have made it, and
    /// whoever holds its token must not be signed out. Whoever waits meanwhile has their answer with it.
    pub(super) async fn look_for_key(&self) -> Result<()> {
        let arrived = Instant::now();
        let mut last = self.reloads().0.lock().await;
        if let Some(last) = *last {
            if last >= arrived {
                return Ok(());
            }
            tokio::time::sleep_until(last + APART).await;
        }
        *last = Some(Instant::now());
        self.refresh_keys().await
    }

    /// Reads the signing keys again. Tokens that were verified stay so, unless a key is gone.
    pub(crate) async fn refresh_keys(&self) -> Result<()> {
        if self.parts().tokens.reload_anew().await? {
            self.forget_seen();
        }
        Ok(())
    }
}

//! Signing keys that another process made.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Sessions;
use crate::types::{Error, Result};

/// The store is asked about unknown keys this often at the most, whoever sends tokens that name some.
const APART: Duration = Duration::from_millis(250);

/// When the keys were last read because of a token.
#[derive(Debug, Default)]
pub(super) struct Reloads(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    /// When the store was last asked, with or without an answer.
    asked: Option<Instant>,
    /// When the last look began that came to its end, and whether it was answered.
    ended: Option<(Instant, bool)>,
}

impl Sessions {
    /// Reads the signing keys because a token names one that is not known: another process may have made it, and
    /// whoever holds its token must not be signed out. Whoever waits meanwhile has their answer with it, or the same
    /// 503: a token that could not be looked at is not a bad one.
    pub(super) async fn look_for_key(&self) -> Result<()> {
        let arrived = Instant::now();
        let mut last = self.reloads().0.lock().await;
        if let Some((_, answered)) = last.ended.filter(|(began, _)| *began >= arrived) {
            return if answered { Ok(()) } else { Err(Error::overloaded(1)) };
        }
        if let Some(asked) = last.asked {
            tokio::time::sleep_until(asked + APART).await;
        }
        let began = Instant::now();
        last.asked = Some(began);
        let done = self.refresh_keys().await;
        last.ended = Some((began, done.is_ok()));
        done.map_err(|error| Error::overloaded(1).with_source(error))
    }

    /// Reads the signing keys again. Tokens that were verified stay so, unless a key is gone.
    pub(crate) async fn refresh_keys(&self) -> Result<()> {
        if self.parts().tokens.reload_anew().await? {
            self.forget_seen();
        }
        Ok(())
    }
}

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Http;
use crate::load::address_key;
use crate::session::{ApiScope, Fingerprint};
use crate::types::{RequestId, Result, Timestamp};

/// How long one record speaks for its key and address.
const EACH: Duration = Duration::from_secs(60);
/// More callers than any service has; beyond, records are written that would not be needed.
const MOST: usize = 4_096;

/// A key's hash and the sender it came from: whose /64 is one.
type Caller = ([u8; 32], [u8; 9]);

/// When a service key was last recorded.
#[derive(Debug, Default)]
pub(super) struct ServiceUses(std::sync::Mutex<HashMap<Caller, Last>>);

/// Locked while the record is written: only those who wait for the same one wait.
type Last = Arc<Mutex<Option<Timestamp>>>;

impl Http {
    /// Records that a service key is used, before it is, and for what it may be used. Those who come at the same
    /// time wait for the record: nobody is let in on one that is not committed.
    pub(super) async fn record_service(
        &self,
        key: &str,
        scope: ApiScope,
        path: &str,
        address: IpAddr,
        request: RequestId,
    ) -> Result<()> {
        self.check_scope(key, scope, (path, address, request)).await?;
        let key = (*Fingerprint::of(key).as_bytes(), address);
        let now = self.auth().sessions().parts().clock.now();
        self.service_uses().once(key, now, self.auth().record_service_key(path, address, request)).await
    }
}

impl ServiceUses {
    /// Writes a record unless there was one lately.
    pub(super) async fn once(
        &self,
        (hash, address): ([u8; 32], IpAddr),
        now: Timestamp,
        write: impl Future<Output = Result<()>> + Send,
    ) -> Result<()> {
        let last = self.last((hash, address_key(address)), now);
        let mut last = last.lock().await;
        if last.is_some_and(|at| is_recent(at, now)) {
            return Ok(());
        }
        write.await?;
        *last = Some(now);
        Ok(())
    }

    fn last(&self, key: Caller, now: Timestamp) -> Last {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = uses.get(&key) {
            return Arc::clone(last);
        }
        if uses.len() >= MOST {
            // One that is locked is being written.
            uses.retain(|_, last| last.try_lock().map_or(true, |at| at.is_some_and(|at| is_recent(at, now))));
        }
        if uses.len() >= MOST {
            uses.clear();
        }
        Arc::clone(uses.entry(key).or_default())
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.since(at) < EACH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_record_speaks_for_a_key_and_a_sender() {
        let (uses, start) = (ServiceUses::default(), Timestamp::from_seconds(1_800_000_000));
        let written = std::sync::atomic::AtomicUsize::new(0);
        let write = async || {
            written.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        };
        let count = || written.swap(0, std::sync::atomic::Ordering::SeqCst);
        for host in 0..50_u128 {
            let address = IpAddr::from((0x2001_0db8_u128 << 96 | host).to_be_bytes());
            uses.once(([1; 32], address), start, write()).await.expect("written");
        }
        assert_eq!(count(), 1, "a /64 is one sender");
        let other = "192.0.2.1".parse().expect("an address");
        // What could not be written lets nobody in, and is tried again.
        let failed = async { Err(crate::types::Error::internal("away")) };
        assert!(uses.once(([1; 32], other), start, failed).await.is_err());
        uses.once(([1; 32], other), start, write()).await.expect("written");
        uses.once(([2; 32], other), start, write()).await.expect("written");
        assert_eq!(count(), 2);
        let later = start.plus(EACH);
        uses.once(([2; 32], other), later, write()).await.expect("written");
        assert_eq!(count(), 1);
        // A record that is being written keeps nobody else waiting.
        let slow = uses.last(([3; 32], address_key(other)), later);
        let held = slow.lock().await;
        uses.once(([4; 32], other), later, write()).await.expect("written");
        drop(held);
        assert_eq!(count(), 1);
    }
}

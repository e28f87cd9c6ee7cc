use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::Mutex;

use super::Http;
use crate::session::ApiScope;
use crate::types::{RequestId, Result, Timestamp};

/// How long one record speaks for its key and address.
const EACH: Duration = Duration::from_secs(60);
/// More callers than any service has; beyond, records are written that would not be needed.
const MOST: usize = 4_096;

/// When a service key was last recorded, by its hash and the address it came from.
#[derive(Debug, Default)]
pub(super) struct ServiceUses(Mutex<HashMap<([u8; 32], IpAddr), Timestamp>>);

impl Http {
    /// Records that a service key is used, before it is, and for what it may be used. Those who come at the same time wait for the record: nobody
    /// is let in on one that is not committed.
    pub(super) async fn record_service(
        &self,
        key: &str,
        scope: ApiScope,
        path: &str,
        address: IpAddr,
        request: RequestId,
    ) -> Result<()> {
        self.check_scope(key, scope, (path, address, request)).await?;
        let hash = digest(&SHA256, key.as_bytes());
        let key = (hash.as_ref().try_into().map_err(crate::types::Error::internal)?, address);
        let now = self.auth().sessions().parts().clock.now();
        self.service_uses().once(key, now, self.auth().record_service_key(path, address, request)).await
    }
}

impl ServiceUses {
    /// Writes a record unless there was one lately.
    pub(super) async fn once(
        &self,
        key: ([u8; 32], IpAddr),
        now: Timestamp,
        write: impl Future<Output = Result<()>> + Send,
    ) -> Result<()> {
        let recent = |at: &Timestamp| *at <= now && now.since(*at) < EACH;
        let mut uses = self.0.lock().await;
        if uses.get(&key).is_some_and(recent) {
            return Ok(());
        }
        write.await?;
        if uses.len() >= MOST {
            uses.retain(|_, at| recent(at));
        }
        if uses.len() >= MOST {
            uses.clear();
        }
        uses.insert(key, now);
        Ok(())
    }
}

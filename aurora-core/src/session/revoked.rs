use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::roles::RolePicture;
use crate::store::Database;
use crate::types::{Error, Result, RoleName, SessionId, Timestamp, UserId};

/// How old the picture of ended sessions may be before a request looks for what other processes ended.
const FRESH: Duration = Duration::from_millis(500);
/// How old it may get while the database does not answer. Then nobody is let in on a token alone.
const STALE: Duration = Duration::from_secs(10);
/// The rows of one answer.
const PAGE: usize = 10_000;

/// The sessions that ended lately: no longer than an access token can live, so that the set stays small.
#[derive(Debug)]
pub(super) struct Revoked {
    database: Arc<dyn Database>,
    ended: RwLock<HashMap<SessionId, Timestamp>>,
    keep: Duration,
    origin: Instant,
    /// Milliseconds after `origin` at which the database was last asked.
    asked: AtomicU64,
    /// The last sequence number seen.
    sequence: Mutex<i64>,
    /// What changed of roles, asked for on the same occasions.
    pub(super) roles: RolePicture,
}

impl Revoked {
    /// Loads what ended before this process started.
    pub(super) async fn load(database: Arc<dyn Database>, keep: Duration, now: Timestamp) -> Result<Self> {
        let revoked = Self {
            database,
            ended: RwLock::default(),
            keep,
            origin: Instant::now(),
            asked: AtomicU64::new(0),
            sequence: Mutex::new(0),
            roles: RolePicture::default(),
        };
        let mut sequence = revoked.sequence.lock().await;
        revoked.fetch(&mut sequence, now).await?;
        drop(sequence);
        Ok(revoked)
    }

    /// Notes sessions that this process ended.
    pub(super) fn insert(&self, sessions: &[SessionId], now: Timestamp) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.extend(sessions.iter().map(|session| (*session, now)));
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.asked.load(Ordering::Acquire)))
    }

    /// Makes sure that the picture is fresh. One request asks, those that come meanwhile wait for its answer.
    pub(super) async fn freshen(&self, now: Timestamp) -> Result<()> {
        if self.age() < FRESH {
            return Ok(());
        }
        let mut sequence = self.sequence.lock().await;
        if self.age() < FRESH {
            return Ok(());
        }
        match self.fetch(&mut sequence, now).await {
            Ok(()) => Ok(()),
            Err(error) if self.age() < STALE => {
                tracing::warn!(error = ?error, "ended sessions could not be read; going on with what is known");
                Ok(())
            }
            Err(error) => Err(Error::overloaded(1).with_source(error)),
        }
    }

    /// Looks at once, for what this process changed itself. What does not answer is looked for by the next request.
    pub(super) async fn look(&self, now: Timestamp) {
        let mut sequence = self.sequence.lock().await;
        if let Err(error) = self.fetch(&mut sequence, now).await {
            tracing::warn!(error = ?error, "changes could not be read at once; they are within a second");
        }
    }

    /// The roles that a user holds, as the database has them.
    pub(super) async fn roles_of(&self, user: UserId) -> Result<Vec<RoleName>> {
        self.database.read().await?.roles_of(user).await
    }

    async fn fetch(&self, sequence: &mut i64, now: Timestamp) -> Result<()> {
        let started = self.origin.elapsed();
        let mut reader = self.database.read().await?;
        loop {
            let rows = reader.revocations(*sequence).await?;
            let sessions: Vec<SessionId> = rows.iter().map(|row| row.session).collect();
            self.insert(&sessions, now);
            if let Some(last) = rows.last() {
                *sequence = last.sequence;
            }
            if rows.len() < PAGE {
                break;
            }
        }
        self.roles.fetch(&mut *reader, now, self.keep).await?;
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, at| now.since(*at) <= self.keep);
        let millis = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
        self.asked.store(millis, Ordering::Release);
        Ok(())
    }
}

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout_at};

use super::roles::RolePicture;
use crate::store::Database;
use crate::types::{Error, Result, RoleName, SessionId, Timestamp, UserId};

/// How old the picture of ended sessions may be before a request looks for what other processes ended.
const FRESH: Duration = Duration::from_millis(500);
/// How long requests wait for that answer, from when it was asked for. It is read on behind them.
const PATIENCE: Duration = Duration::from_millis(500);
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
    /// The last look that a request asked for.
    look: std::sync::Mutex<Option<Look>>,
    /// What changed of roles, asked for on the same occasions.
    pub(super) roles: RolePicture,
}

/// A look at the database that requests wait for together.
#[derive(Clone, Debug)]
struct Look {
    /// Until when requests wait for it, while the picture is not stale.
    patience: Instant,
    answer: watch::Receiver<Option<std::result::Result<(), Arc<Error>>>>,
}

impl Look {
    /// Whether it ended without an answer of the database's.
    fn failed(&self) -> bool {
        !matches!(*self.answer.borrow(), Some(Ok(())))
    }

    /// Whether it answered, or ended with the runtime that it ran on.
    fn is_over(&self) -> bool {
        self.answer.borrow().is_some() || self.answer.has_changed().is_err()
    }

    async fn answer(&mut self) -> Result<()> {
        match self.answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Err(error))) => Err(Error::overloaded(1).with_source(Arc::clone(error))),
            Ok(_) => Ok(()),
            Err(ended) => Err(Error::overloaded(1).with_source(ended.clone())),
        }
    }
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
            look: std::sync::Mutex::default(),
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

    /// Whether what is known needs no look.
    pub(super) fn is_fresh(&self) -> bool {
        self.age() < FRESH
    }

    fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.asked.load(Ordering::Acquire)))
    }

    /// Makes sure that the picture is fresh. One look serves all who come meanwhile. Of a database that is slow nobody
    /// waits for more than a moment while the picture is not stale.
    pub(super) async fn freshen(self: &Arc<Self>, now: Timestamp) -> Result<()> {
        if self.is_fresh() {
            return Ok(());
        }
        let mut look = self.looking(now);
        let error = match timeout_at(look.patience, look.answer()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Some(error),
            Err(_elapsed) => None,
        };
        if self.age() < STALE {
            tracing::warn!(error = ?error, "ended sessions could not be read yet; going on with what is known");
            return Ok(());
        }
        error.map_or(Ok(()), Err)?;
        look.answer().await
    }

    /// The look that is under way, or a new one: in a task of its own, so that no request takes it along when it ends.
    fn looking(self: &Arc<Self>, now: Timestamp) -> Look {
        let mut last = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = last.as_ref().filter(|look| !look.is_over()) {
            return look.clone();
        }
        // After one that failed, nobody waits for the next.
        let failed = last.as_ref().is_some_and(Look::failed);
        let patience = Instant::now() + if failed { Duration::ZERO } else { PATIENCE };
        let (told, answer) = watch::channel(None);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let mut sequence = this.sequence.lock().await;
            let read = this.fetch(&mut sequence, now).await.map_err(Arc::new);
            drop(sequence);
            told.send_replace(Some(read));
        });
        let look = Look { patience, answer };
        *last = Some(look.clone());
        look
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

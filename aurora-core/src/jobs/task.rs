use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Slot;
use crate::types::{BoxFuture, Error, Result};

/// What is done at each turn.
///
/// Implementations: the outbox of `mail`, and whatever a host runs beside its requests.
pub trait Job: Send + Sync + Debug + 'static {
    /// One run. It may be cut off at any await.
    fn run(&self) -> BoxFuture<'_, Result<()>>;
}

/// Wakes a job before its turn. Cheap to clone; calls while it runs bring one more run, not one each.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There is something to do. Never waits.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    pub(super) async fn called(&self) {
        self.0.notified().await;
    }
}

/// A job with its name and its turns.
#[derive(Clone, Debug)]
pub struct Task {
    name: &'static str,
    period: Duration,
    job: Arc<dyn Job>,
    wake: Wake,
    slot: Option<Slot>,
}

impl Task {
    /// Runs `job` soon after its start and then once in `period`, give or take a tenth.
    pub fn new(name: &'static str, period: Duration, job: Arc<dyn Job>) -> Self {
        Self { name, period, job, wake: Wake::default(), slot: None }
    }

    /// Runs it also whenever `wake` says so.
    #[must_use]
    pub fn woken_by(mut self, wake: &Wake) -> Self {
        self.wake = wake.clone();
        self
    }

    /// Runs it in one process at a time: in the one that holds the slot. The slot's lease has to be longer than the
    /// period, so that its holder renews it in time; a run that outlasts the lease is cut off.
    #[must_use]
    pub fn in_one_process(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn period(&self) -> Duration {
        self.period
    }

    pub(super) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// One run, whatever comes of it.
    pub(super) async fn turn(&self) {
        if let Err(error) = self.run().await {
            tracing::warn!(job = self.name, ?error, "a job failed; it comes again at its next turn");
        }
    }

    async fn run(&self) -> Result<()> {
        let Some(slot) = &self.slot else { return self.contained().await };
        if !slot.take(self.name).await? {
            return Ok(());
        }
        tokio::time::timeout(slot.lease(), self.contained())
            .await
            .map_err(|_| Error::internal("it ran for longer than its lease and was cut off"))?
    }

    /// A task of the runtime's of its own, for the sake of panics; it ends when the set is dropped.
    async fn contained(&self) -> Result<()> {
        let mut set = JoinSet::new();
        let job = Arc::clone(&self.job);
        set.spawn(async move { job.run().await });
        match set.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Error::internal("it panicked")),
            None => Ok(()),
        }
    }

    /// Lets another process take over at once.
    pub(super) async fn leave(&self) {
        if let Some(slot) = &self.slot
            && let Err(error) = slot.free(self.name).await
        {
            tracing::warn!(
                job = self.name,
                ?error,
                "the slot of a job was not given back; its lease ends by itself"
            );
        }
    }
}

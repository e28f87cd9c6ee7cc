use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::types::{Error, Result};

/// The fair in-process lock before SQLite's single writer.
///
/// Whoever writes holds it for the length of one transaction. Waiters are served in the order of their arrival
/// (tokio's semaphore is FIFO); who waits longer than the deadline is told to come back.
#[derive(Clone, Debug)]
pub struct WriterLock {
    semaphore: Arc<Semaphore>,
    deadline: Duration,
}

/// The right to write, until dropped.
#[derive(Debug)]
pub struct WriterPermit(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

impl WriterLock {
    /// A free lock whose waiters give up after `deadline`.
    pub fn new(deadline: Duration) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(1)), deadline }
    }

    /// Waits for the turn. [`Code::OverCapacity`](crate::types::Code::OverCapacity) after the deadline.
    pub async fn acquire(&self) -> Result<WriterPermit> {
        let turn = Arc::clone(&self.semaphore).acquire_owned();
        match tokio::time::timeout(self.deadline, turn).await {
            Ok(Ok(permit)) => Ok(WriterPermit(permit)),
            Ok(Err(closed)) => Err(Error::internal(closed)),
            Err(_elapsed) => Err(Error::overloaded(1)),
        }
    }
}

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Block;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::types::{Code, Error, Result};

/// How much password hashing runs and waits at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PasswordPool {
    /// Hashes at a time, each on its own thread with its own memory.
    pub threads: usize,
    /// How many may wait beside those that run; more are turned away at once.
    pub queue: usize,
    /// How long one may wait for its turn.
    pub deadline: Duration,
}

/// A thread per core; 128 in the queue and 5 s of waiting, which two cores work off at 50 hashes per second and
/// core. A client that gave up should not be hashed for, and clients give up after some seconds.
impl Default for PasswordPool {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, queue: 128, deadline: Duration::from_secs(5) }
    }
}

impl PasswordPool {
    /// The three figures.
    pub fn new(threads: usize, queue: usize, deadline: Duration) -> Self {
        Self { threads, queue, deadline }
    }
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

/// Threads that hash, at the lowest priority, each with memory that it keeps.
///
/// Memory that is allocated for every hash stays with the allocator: 572 MiB with two threads were measured, 21
/// MiB a thread when it is reused. At the ordinary priority a flood of sign-ins made other requests wait 14 times
/// their quiet p99, at nice 19 twice.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Mutex<Sender<Job>>,
    /// Of those that run or wait.
    places: Arc<Semaphore>,
    /// Of those that run.
    permits: Arc<Semaphore>,
    deadline: Duration,
}

impl Pool {
    pub(super) fn start(options: PasswordPool, blocks: usize) -> Result<Self> {
        if options.threads == 0 || options.threads > 1024 || options.queue > 1_000_000 {
            let text = "password pool: set threads to 1 to 1024 and queue to at most 1000000";
            return Err(Error::new(Code::Configuration, text));
        }
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..options.threads {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name("aurora-hash".to_owned())
                .spawn(move || work(&receiver, blocks))
                .map_err(Error::internal)?;
        }
        Ok(Self {
            jobs: Mutex::new(sender),
            places: Arc::new(Semaphore::new(options.threads + options.queue)),
            permits: Arc::new(Semaphore::new(options.threads)),
            deadline: options.deadline,
        })
    }

    /// Runs `job` when its turn comes.
    ///
    /// The permit travels with the job and is given back by the thread: a caller that goes away frees nothing
    /// that is still in use (Keycloak #28477 and kin).
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T> {
        let deadline = Instant::now() + self.deadline;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| self.busy())?;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| self.busy())?.map_err(Error::internal)?;
        let (answer, result) = oneshot::channel();
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, permit);
        let job: Job = Box::new(move |memory| {
            if !answer.is_closed() {
                let outcome = job(memory);
                // Before the answer: whoever has it may count on the place.
                drop(held);
                let _gone = answer.send(outcome);
            }
        });
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job).map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())
    }

    fn busy(&self) -> Error {
        Error::overloaded(u32::try_from(self.deadline.as_secs()).unwrap_or(u32::MAX).clamp(1, 60))
    }
}

fn stopped() -> Error {
    Error::internal("a hashing thread failed")
}

/// Ends when the pool is dropped.
fn work(jobs: &Mutex<Receiver<Job>>, blocks: usize) {
    // On Linux the nice value belongs to the thread. A sandbox may refuse; then hashing competes as equal.
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::nice(19);
    let mut memory = Vec::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic in the arithmetic costs one request, not the thread.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory))).is_err() {
            memory = Vec::new();
        }
        // A stored hash may have wanted more than today's parameters do.
        if memory.len() > blocks {
            memory.truncate(blocks);
            memory.shrink_to_fit();
        }
    }
}

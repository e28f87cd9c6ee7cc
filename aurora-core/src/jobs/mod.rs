//! Work that no request asked for, done in the background of the host's own process.
//!
//! 1. A job sleeps until its turn comes or someone wakes it ([`Wake`]). Nothing loops without sleeping.
//! 2. Turns are spread by a tenth: processes that started together do not knock together.
//! 3. A job that fails or panics is logged by its name and comes again at its next turn. No other job notices.
//! 4. A run of a job never meets another run of it in the same process; behind a [`Slot`], in no process at all.
//! 5. A job that finds nothing to do writes nothing: it looks with a reader before it asks for the writer's turn.
//! 6. Jobs end with their owner. [`Jobs::close`] waits for runs to end, for five seconds; a drop cuts them off. A job
//!    is written so that it may be cut off anywhere, as a kill does it.
//! 7. When a job sleeps is the runtime's clock; what is due is decided by [`Clock`](crate::env::Clock).
//!
//! Jobs live on the runtime that started them: build in the one that serves.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::time::Duration;
//! use aurora_core::env::SystemEntropy;
//! use aurora_core::jobs::{Job, Jobs, Task, Wake};
//! use aurora_core::types::{BoxFuture, Error, Result};
//!
//! #[derive(Debug, Default)]
//! struct Count(AtomicU32);
//! impl Job for Count {
//!     fn run(&self) -> BoxFuture<'_, Result<()>> {
//!         let turn = self.0.fetch_add(1, Ordering::SeqCst);
//!         Box::pin(async move { if turn == 0 { Err(Error::internal("once")) } else { Ok(()) } })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (jobs, wake, count) = (Jobs::new(Arc::new(SystemEntropy)), Wake::default(), Arc::new(Count::default()));
//! jobs.start(Task::new("count", Duration::from_millis(20), count.clone()).woken_by(&wake));
//! wake.wake();
//! tokio::time::sleep(Duration::from_millis(200)).await;
//! assert!(count.0.load(Ordering::SeqCst) >= 2, "a failed run is not the last");
//! jobs.close().await;
//! let after = count.0.load(Ordering::SeqCst);
//! tokio::time::sleep(Duration::from_millis(100)).await;
//! assert_eq!(count.0.load(Ordering::SeqCst), after, "none comes after the end");
//! # }
//! ```

mod runner;
mod slot;
mod task;

pub use runner::Jobs;
pub use slot::Slot;
pub use task::{Job, Task, Wake};

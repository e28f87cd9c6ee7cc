use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use crate::types::{Error, Result};

/// Runs `work` and turns a panic in it (a handler's, a hook's) into an error: its transaction was dropped and rolled
/// back.
pub async fn contain<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or_else(|_panic| std::task::Poll::Ready(Err(Error::internal("a handler panicked"))))
    })
    .await
}

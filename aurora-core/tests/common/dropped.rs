//! Clients that go away in the middle.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

/// Polls `work` so many times, a moment apart, and drops it. Whether it was still unfinished.
pub(crate) async fn dropped_at<T>(polls: u32, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    for _ in 0..polls {
        let polled = tokio::task::block_in_place(|| {
            let mut context = Context::from_waker(Waker::noop());
            let polled = work.as_mut().poll(&mut context);
            std::thread::sleep(Duration::from_micros(200));
            polled
        });
        if polled.is_ready() {
            return false;
        }
    }
    true
}

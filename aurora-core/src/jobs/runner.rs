use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Task;
use crate::env::{Entropy, random};

/// How long [`Jobs::close`] waits for runs that are under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// The jobs of a process. They end when it is closed or dropped.
pub struct Jobs {
    stop: watch::Sender<bool>,
    running: Mutex<JoinSet<()>>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

impl Jobs {
    /// None yet. Randomness spreads their turns.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { stop: watch::Sender::new(false), running: Mutex::default(), entropy }
    }

    /// Runs `task` from now on, on the caller's tokio runtime. After [`close`](Self::close) it never runs.
    pub fn start(&self, task: Task) {
        let (stop, entropy) = (self.stop.subscribe(), Arc::clone(&self.entropy));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.spawn(turns(task, stop, entropy));
    }

    /// Ends them: waits for runs that are under way, for five seconds at most, and cuts off what is left.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let mut running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::warn!("jobs that ran for too long were cut off");
        }
    }
}

async fn turns(task: Task, mut stop: watch::Receiver<bool>, entropy: Arc<dyn Entropy>) {
    // What a former process left lying need not wait for a whole period.
    let mut pause = spread(task.period() / 10, &*entropy);
    while !*stop.borrow_and_update() {
        tokio::select! {
            biased;
            // The only change is the end; so is the loss of whoever could tell it.
            _ = stop.changed() => break,
            () = task.wake().called() => {}
            () = tokio::time::sleep(pause) => {}
        }
        task.turn().await;
        pause = spread(task.period(), &*entropy);
    }
    task.leave().await;
    tracing::debug!(job = task.name(), "ended");
}

/// `period`, give or take a tenth.
fn spread(period: Duration, entropy: &dyn Entropy) -> Duration {
    let drawn = random::<2>(entropy).map_or(u16::MAX / 2, u16::from_be_bytes);
    period.mul_f64(0.9 + 0.2 * f64::from(drawn) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::env::SystemEntropy;
    use crate::jobs::{Job, Wake};
    use crate::types::{BoxFuture, Error, Result};

    /// Counts its runs, and does something else at each.
    #[derive(Debug, Default)]
    struct Probe {
        begun: AtomicU32,
        ended: AtomicU32,
        takes: Duration,
    }

    impl Job for Probe {
        fn run(&self) -> BoxFuture<'_, Result<()>> {
            let turn = self.begun.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                tokio::time::sleep(self.takes).await;
                assert_ne!(turn, 1, "a bug");
                self.ended.fetch_add(1, Ordering::SeqCst);
                if turn == 2 { Err(Error::internal("a failure")) } else { Ok(()) }
            })
        }
    }

    fn jobs() -> Jobs {
        Jobs::new(Arc::new(SystemEntropy))
    }

    fn seen(counter: &AtomicU32) -> u32 {
        counter.load(Ordering::SeqCst)
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_and_a_panic_are_one_turn_each() {
        let (jobs, probe) = (jobs(), Arc::new(Probe::default()));
        jobs.start(Task::new("probe", Duration::from_secs(10), probe.clone()));
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(seen(&probe.begun), 1, "the first comes soon");
        tokio::time::sleep(Duration::from_secs(100)).await;
        let begun = seen(&probe.begun);
        assert!((9..=13).contains(&begun), "{begun} turns in 100 s");
        assert_eq!(seen(&probe.ended), begun - 1, "all but the one that panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_brings_one_more_run_however_often_it_came() {
        let probe = Arc::new(Probe { takes: Duration::from_secs(1), ..Probe::default() });
        let (jobs, wake) = (jobs(), Wake::default());
        jobs.start(Task::new("probe", Duration::from_secs(86_400), probe.clone()).woken_by(&wake));
        wake.wake();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!((seen(&probe.begun), seen(&probe.ended)), (1, 0));
        for _ in 0..100 {
            wake.wake();
        }
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(seen(&probe.begun), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_a_run_and_cuts_off_an_endless_one() {
        for (takes, ended) in [(Duration::from_secs(3), 1), (Duration::from_secs(86_400), 0)] {
            let (jobs, probe) = (jobs(), Arc::new(Probe { takes, ..Probe::default() }));
            jobs.start(Task::new("probe", Duration::from_secs(1), probe.clone()));
            tokio::time::sleep(Duration::from_secs(1)).await;
            let began = tokio::time::Instant::now();
            jobs.close().await;
            assert!(began.elapsed() <= PATIENCE + Duration::from_millis(10), "{takes:?}");
            assert_eq!((seen(&probe.begun), seen(&probe.ended)), (1, ended), "{takes:?}");
            jobs.start(Task::new("late", Duration::from_secs(1), probe.clone()));
            tokio::time::sleep(Duration::from_secs(100)).await;
            assert_eq!(seen(&probe.begun), 1, "none comes after the end");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drop_ends_them() {
        let (jobs, probe) = (jobs(), Arc::new(Probe { takes: Duration::from_secs(2), ..Probe::default() }));
        jobs.start(Task::new("probe", Duration::from_secs(1), probe.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(jobs);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!((seen(&probe.begun), seen(&probe.ended)), (1, 0), "cut off in its run");
        assert_eq!(Arc::strong_count(&probe), 1, "nobody holds it");
    }

    #[test]
    fn turns_are_spread() {
        let period = Duration::from_secs(100);
        let drawn: Vec<Duration> = (0..200).map(|_| spread(period, &SystemEntropy)).collect();
        assert!(drawn.iter().all(|one| (Duration::from_secs(90)..=Duration::from_secs(110)).contains(one)));
        assert!(drawn.iter().max() > Some(&Duration::from_secs(105)));
        assert!(drawn.iter().min() < Some(&Duration::from_secs(95)));
    }
}

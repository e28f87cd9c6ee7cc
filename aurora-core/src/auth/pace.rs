use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Auth;

/// When an answer comes that must not tell whether somebody has an address: at a full multiple of a step after the
/// question. The work for one who is known and for one who is not differs by a few statements; both are done within
/// the step, and what takes longer is off by whole steps only.
pub(super) struct Pace {
    began: Instant,
    step: Duration,
}

impl Auth {
    /// Begins now: after limits, which count everybody alike, and before the first look at who it is.
    pub(super) fn pace(&self) -> Pace {
        Pace { began: Instant::now(), step: self.0.settings.mails.answer_step }
    }
}

impl Pace {
    /// Hands `answer` on at the next step. No transaction is open meanwhile, and no connection is kept.
    pub(super) async fn kept<T>(self, answer: T) -> T {
        let done = self.began.elapsed().as_nanos().checked_div(self.step.as_nanos());
        let next = done.map(|steps| u32::try_from(steps.saturating_add(1)).unwrap_or(u32::MAX));
        let after = next.map(|steps| self.step.saturating_mul(steps));
        if let Some(at) = after.and_then(|after| self.began.checked_add(after)) {
            sleep_until(at).await;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_come_at_full_steps() {
        let step = Duration::from_millis(200);
        for (takes, comes) in [(0, 200), (3, 200), (199, 200), (201, 400), (950, 1_000)] {
            let began = Instant::now();
            let pace = Pace { began, step };
            advance(Duration::from_millis(takes)).await;
            assert_eq!(pace.kept(7).await, 7);
            assert_eq!(began.elapsed(), Duration::from_millis(comes), "{takes}");
        }
        let began = Instant::now();
        Pace { began, step: Duration::ZERO }.kept(()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

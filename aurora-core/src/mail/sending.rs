//! What takes mails out of the outbox.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Outbox;
use super::letter::{Letter, Mail};
use super::mailer::{MailError, Mailer, Rendered, TIME_LIMIT};
use crate::audit::{Action, Actor, Record};
use crate::env::random;
use crate::jobs::Job;
use crate::store::OutboxRow;
use crate::types::{BoxFuture, Error, Result, Timestamp};

/// Mails that are taken at once.
const BATCH: usize = 8;
/// Mails that are sent at once.
const AT_ONCE: usize = 4;
/// For how long those are ours: after a crash they are due again then. Twice what a batch may take.
const LEASE: Duration = Duration::from_secs(4 * TIME_LIMIT.as_secs());
/// The first pause after a failure; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// After that long nobody waits for the mail any more. RFC 5321 s4.5.4.1 has four to five days for a relay; what our
/// mails say is older news by then.
const GIVE_UP: Duration = Duration::from_secs(3 * 86_400);

/// What became of a mail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Sent,
    /// Not now: the server cannot be reached, or does not want it yet.
    PutOff,
    /// Dropped, or given up.
    Gone,
}

impl Job for Outbox {
    fn run(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.send_due().await.map(drop) })
    }
}

impl Outbox {
    /// Sends what is due and answers how many mails were sent. The job does it; a test may.
    ///
    /// Several processes may do it at once: no mail is taken by two.
    pub async fn send_due(&self) -> Result<usize> {
        let mut sent = 0;
        if !self.delivers() {
            return Ok(sent);
        }
        loop {
            // Nobody takes the writer's turn to find that there is nothing to do.
            if self.0.database.read().await?.outbox().await?.0 == 0 {
                return Ok(sent);
            }
            let now = self.0.clock.now();
            let mut transaction = self.0.database.begin().await?;
            let limit = i64::try_from(BATCH).map_err(Error::internal)?;
            let rows = transaction.take_mails(now, now.plus(LEASE), limit).await?;
            if rows.is_empty() {
                return Ok(sent);
            }
            transaction.commit().await?;
            let more = rows.len() == BATCH;
            let outcomes = self.send_all(rows).await;
            sent += outcomes.iter().filter(|outcome| **outcome == Outcome::Sent).count();
            // A server that is down is not asked for every mail that waits.
            if !more || outcomes.iter().all(|outcome| *outcome == Outcome::PutOff) {
                return Ok(sent);
            }
        }
    }

    async fn send_all(&self, rows: Vec<OutboxRow>) -> Vec<Outcome> {
        let (mut rows, mut outcomes) = (rows.into_iter(), Vec::new());
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some(row) = rows.next()
            {
                let outbox = self.clone();
                under_way.spawn(async move { outbox.send_one(row).await });
            }
            match under_way.join_next().await {
                None => return outcomes,
                Some(Ok(Ok(outcome))) => outcomes.push(outcome),
                // The row is ours until the lease ends; then it is due again.
                Some(Ok(Err(error))) => {
                    tracing::warn!(?error, "a mail could not be dealt with; it is due again in two minutes");
                    outcomes.push(Outcome::PutOff);
                }
                Some(Err(_)) => {
                    tracing::warn!("the mailer panicked; its mail is due again in two minutes");
                    outcomes.push(Outcome::PutOff);
                }
            }
        }
    }

    async fn send_one(&self, row: OutboxRow) -> Result<Outcome> {
        let now = self.0.clock.now();
        let is_old = now.since(row.created_at) >= GIVE_UP;
        let mail = match self.open(&row) {
            Ok(Letter::Nothing) => return self.forget(&row, None).await,
            Ok(Letter::Mail(mail)) => mail,
            // Sealed under a key that another process made meanwhile, or damaged: that process can read it, or time
            // will tell.
            Err(_) if !is_old => return self.put_off(&row, now, None, "it does not open here").await,
            Err(_) => {
                let record = self.record(Action::MAIL_FAILED, &row).with("reason", "it does not open");
                return self.forget(&row, Some(record)).await;
            }
        };
        let record = |action| of(&mail, self.record(action, &row));
        let (sent, failed) = (record(Action::MAIL_SENT), record(Action::MAIL_FAILED));
        let expires_at = mail.expires_at();
        if expires_at.is_some_and(|at| at <= now) {
            return self.forget(&row, Some(failed.with("reason", "what it carries has expired"))).await;
        }
        if is_old {
            return self
                .forget(&row, Some(failed.with("reason", "it could not be sent for three days")))
                .await;
        }
        let rendered = mail.rendered(&row)?;
        let Some(mailer) = self.mailer(rendered.kind) else { return Ok(Outcome::PutOff) };
        match hand_over(mailer, &rendered).await {
            Ok(()) => {
                self.forget(&row, Some(sent)).await?;
                Ok(Outcome::Sent)
            }
            Err(error) if error.may_try_again() => {
                self.put_off(&row, self.0.clock.now(), expires_at, &error.reason(&rendered.to)).await
            }
            Err(error) => {
                let reason = error.reason(&rendered.to);
                tracing::warn!(mail = row.id, kind = %rendered.kind, reason, "a mail was refused for good");
                self.forget(&row, Some(failed.with("reason", reason))).await
            }
        }
    }

    fn record(&self, action: Action, row: &OutboxRow) -> Record {
        Record::security(self.0.clock.now(), Actor::Service, action)
            .with("mail", &row.id)
            .with("tries", row.tries)
    }

    /// Deletes the row, together with the record. Whoever comes second, after a lease that ran out, records nothing.
    async fn forget(&self, row: &OutboxRow, record: Option<Record>) -> Result<Outcome> {
        let mut transaction = self.0.database.begin().await?;
        let was_there = transaction.delete_mail(&row.id).await?;
        if let Some(record) = record.filter(|_| was_there) {
            self.0.audit.write(&mut *transaction, record).await?;
        }
        transaction.commit().await?;
        Ok(Outcome::Gone)
    }

    async fn put_off(
        &self,
        row: &OutboxRow,
        now: Timestamp,
        expires_at: Option<Timestamp>,
        reason: &str,
    ) -> Result<Outcome> {
        let pause = pause(row.tries, expires_at.map(|at| at.since(now)), random(&*self.0.entropy)?);
        let mut transaction = self.0.database.begin().await?;
        transaction.put_off_mail(&row.id, now.plus(pause)).await?;
        transaction.commit().await?;
        let seconds = pause.as_secs();
        tracing::warn!(
            mail = row.id,
            tries = row.tries,
            seconds,
            reason,
            "a mail was not sent; it is tried again"
        );
        Ok(Outcome::PutOff)
    }
}

/// Whoever hangs keeps no other mail back: a batch waits for its last one.
async fn hand_over(mailer: &dyn Mailer, mail: &Rendered) -> Result<(), MailError> {
    let sent = tokio::time::timeout(TIME_LIMIT, mailer.send(mail)).await;
    let seconds = TIME_LIMIT.as_secs();
    sent.unwrap_or_else(|_elapsed| {
        Err(MailError::temporary(format!("the mailer took more than {seconds} seconds")))
    })
}

fn of(mail: &Mail, record: Record) -> Record {
    let record = record.with("kind", &mail.kind);
    match mail.user {
        Some(user) => record.target(user),
        None => record,
    }
}

/// How long to wait after so many tries: twice as long each time, within a fifth; for what expires, a quarter of what
/// is left at most, so that it still has a chance when the server is back.
fn pause(tries: i64, left: Option<Duration>, drawn: [u8; 2]) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1).clamp(0, 16)).unwrap_or_default();
    let mut pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    if let Some(left) = left {
        pause = pause.min(left / 4).max(FIRST_PAUSE);
    }
    let drawn = f64::from(u16::from_be_bytes(drawn)) / f64::from(u16::MAX);
    pause.mul_f64(0.8 + 0.4 * drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let seconds = |tries, left| pause(tries, left, [0x7f, 0xff]).as_secs_f64().round() as u64;
        let pauses: Vec<u64> = (0..=9).map(|tries| seconds(tries, None)).collect();
        assert_eq!(pauses, [30, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(seconds(i64::MAX, None), 3_600);
        let left = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(seconds(9, left(3_600)), 900, "a quarter of what is left");
        assert_eq!(seconds(9, left(10)), 30);
        assert_eq!(pause(1, None, [0, 0]), Duration::from_secs(24));
        assert_eq!(pause(1, None, [0xff, 0xff]), Duration::from_secs(36));
    }
}

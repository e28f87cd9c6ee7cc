//! The life of Aurora's own signing keys: published, signing, verifying, gone.

use std::time::Duration;

use super::Auth;
use crate::audit::{Action, Actor, Record};
use crate::jobs::{Job, Slot};
use crate::session::token::SigningKeyState;
use crate::store::{SigningKeyRow, Transaction};
use crate::types::{BoxFuture, Code, Error, Result, Timestamp};

/// A key is published for so long before it signs: readers keep a JWKS for ten minutes (its `max-age`), and another
/// process of ours looks for new keys every half a minute.
const PUBLISHED: Duration = Duration::from_secs(15 * 60);
/// The name of the job, and of its slot.
pub(crate) const JOB: &str = "signing keys";
/// How often each process looks.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);
/// How long one process keeps the others from moving keys.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// One of Aurora's own signing keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKeyInfo {
    /// Its name in tokens and in the JWKS.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: String,
    /// What it does.
    pub state: SigningKeyState,
    /// Made.
    pub created_at: Timestamp,
    /// In its state since then.
    pub since: Timestamp,
    /// When a pending key will sign, or a verifying one will be retired, by itself.
    pub until: Option<Timestamp>,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Make,
    Promote(u32),
    Demote(u32),
    Retire(u32),
}

/// How long a key stays in its states.
#[derive(Clone, Copy, Debug)]
struct Times {
    every: Option<Duration>,
    kept: Duration,
}

fn since(row: &SigningKeyRow) -> Timestamp {
    row.changed_at.unwrap_or(row.created_at)
}

fn state(row: &SigningKeyRow) -> Option<SigningKeyState> {
    SigningKeyState::parse(&row.state)
}

/// The keys that will sign one day. One that was made before the key that signs never does.
fn waiting(rows: &[SigningKeyRow]) -> impl Iterator<Item = &SigningKeyRow> {
    let of = move |wanted: SigningKeyState| rows.iter().filter(move |row| state(row) == Some(wanted));
    let signing = of(SigningKeyState::Active).map(|row| row.id).max();
    of(SigningKeyState::Pending).filter(move |row| signing.is_none_or(|signing| signing < row.id))
}

/// What is due at `now`. A clock that stepped back makes nothing due.
fn plan(rows: &[SigningKeyRow], times: Times, now: Timestamp) -> Vec<Step> {
    use SigningKeyState::{Active, Pending, VerifyOnly};
    let of = |wanted: SigningKeyState| rows.iter().filter(move |row| state(row) == Some(wanted));
    let old = |row: &SigningKeyRow, age: Duration| since(row).plus(age) <= now;
    let signing = of(Active).max_by_key(|row| row.id);
    let mut steps = Vec::new();
    let next = waiting(rows).filter(|row| old(row, PUBLISHED)).max_by_key(|row| row.id);
    steps.extend(next.map(|row| Step::Promote(row.id)));
    let newest = next.or(signing).map(|row| row.id);
    steps.extend(of(Active).filter(|row| Some(row.id) != newest).map(|row| Step::Demote(row.id)));
    let passed = of(Pending).filter(|row| newest.is_some_and(|newest| row.id < newest));
    steps.extend(passed.map(|row| Step::Retire(row.id)));
    steps.extend(of(VerifyOnly).filter(|row| old(row, times.kept)).map(|row| Step::Retire(row.id)));
    let tired = signing.zip(times.every).is_some_and(|(row, every)| old(row, every));
    if tired && waiting(rows).next().is_none() {
        steps.push(Step::Make);
    }
    steps
}

impl Auth {
    /// Aurora's own signing keys, oldest first, retired ones too.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyInfo>> {
        let times = self.times();
        let rows = self.database().read().await?.signing_keys().await?;
        let described = rows.into_iter().map(|row| {
            let state = state(&row).ok_or_else(|| Error::internal("a signing key of an unknown state"))?;
            let since = since(&row);
            let until = match state {
                SigningKeyState::Pending => Some(since.plus(PUBLISHED)),
                SigningKeyState::Active => times.every.map(|every| since.plus(every)),
                SigningKeyState::VerifyOnly => Some(since.plus(times.kept)),
                SigningKeyState::Retired => None,
            };
            let SigningKeyRow { kid, algorithm, created_at, .. } = row;
            Ok(SigningKeyInfo { kid, algorithm, state, created_at, since, until })
        });
        described.collect()
    }

    /// Makes a new key and publishes it. It signs a quarter of an hour later, when everybody who keeps a JWKS knows
    /// it; the former key verifies until no token of its can be left. Answers its name. A key that waits already is
    /// answered instead. [`Code::Configuration`] where the signing key was given.
    pub async fn prepare_signing_key(&self) -> Result<String> {
        let mut transaction = self.database().begin().await?;
        let rows = transaction.signing_keys().await?;
        if let Some(row) = waiting(&rows).max_by_key(|row| row.id) {
            return Ok(row.kid.clone());
        }
        let kid = self.publish(&mut *transaction).await?;
        transaction.commit().await?;
        self.0.sessions.refresh_keys().await?;
        Ok(kid)
    }

    /// Ends a key that verifies or waits, at once: its tokens are refused here from now on, in other processes within
    /// a minute, and its private half is wiped. [`Code::ValidationFailed`] for the key that signs: rotate first.
    /// [`Code::NotFound`] for a name that is none of ours.
    pub async fn retire_signing_key(&self, kid: &str) -> Result<()> {
        let missing = || Error::new(Code::NotFound, "There is no such signing key");
        let mut transaction = self.database().begin().await?;
        let rows = transaction.signing_keys().await?;
        let row = rows.iter().find(|row| row.kid == kid).ok_or_else(missing)?;
        match state(row) {
            Some(SigningKeyState::Active) => {
                let text = "this key signs; let another take over first";
                return Err(Error::new(Code::ValidationFailed, text));
            }
            Some(SigningKeyState::Retired) => return Ok(()),
            _ => {}
        }
        if self.retire(&mut *transaction, row).await? {
            transaction.commit().await?;
        }
        self.0.sessions.reload_keys().await
    }

    /// Does what is due: lets a published key sign, retires one whose tokens have expired, and makes the next one when
    /// `tokens.rotate_every` has passed. Answers how many keys changed. The job `signing keys` does it every half a
    /// minute; safe in several processes at once.
    pub async fn advance_signing_keys(&self) -> Result<usize> {
        if !self.0.sessions.parts().tokens.is_sealed() {
            return Ok(0);
        }
        let (now, times) = (self.now(), self.times());
        if plan(&self.database().read().await?.signing_keys().await?, times, now).is_empty() {
            return Ok(0);
        }
        let mut transaction = self.database().begin().await?;
        let rows = transaction.signing_keys().await?;
        let mut done = 0;
        for step in plan(&rows, times, now) {
            let taken = self.take(&mut *transaction, &rows, step).await?;
            if !taken && matches!(step, Step::Promote(_)) {
                // Another process was first. What was planned beside it would leave no key that signs.
                drop(transaction);
                self.0.sessions.refresh_keys().await?;
                return Ok(0);
            }
            done += usize::from(taken);
        }
        transaction.commit().await?;
        self.0.sessions.refresh_keys().await?;
        Ok(done)
    }

    /// One step. `false` if another process was first.
    async fn take(
        &self,
        transaction: &mut dyn Transaction,
        rows: &[SigningKeyRow],
        step: Step,
    ) -> Result<bool> {
        let now = self.now();
        let row = |id: u32| {
            rows.iter().find(|row| row.id == id).ok_or_else(|| Error::internal("a key that was planned"))
        };
        match step {
            Step::Make => self.publish(transaction).await.map(|_| true),
            Step::Demote(id) => self.demote(transaction, row(id)?).await,
            Step::Retire(id) => self.retire(transaction, row(id)?).await,
            Step::Promote(id) => {
                let (pending, active) = (SigningKeyState::Pending.as_str(), SigningKeyState::Active.as_str());
                if !transaction.change_signing_key(id, pending, active, now).await? {
                    return Ok(false);
                }
                let record = Record::security(now, Actor::Service, Action::SIGNING_KEY_ROTATED);
                self.0.audit.write(transaction, record.target(&row(id)?.kid)).await?;
                Ok(true)
            }
        }
    }

    async fn publish(&self, transaction: &mut dyn Transaction) -> Result<String> {
        let kid = self.0.sessions.add_signing_key(transaction, SigningKeyState::Pending).await?;
        let record = Record::security(self.now(), Actor::Service, Action::SIGNING_KEY_PUBLISHED);
        self.0.audit.write(transaction, record.target(&kid)).await?;
        Ok(kid)
    }

    async fn retire(&self, transaction: &mut dyn Transaction, row: &SigningKeyRow) -> Result<bool> {
        let (now, retired) = (self.now(), SigningKeyState::Retired.as_str());
        if !transaction.change_signing_key(row.id, &row.state, retired, now).await? {
            return Ok(false);
        }
        transaction.wipe_signing_key(row.id).await?;
        let record = Record::security(now, Actor::Service, Action::SIGNING_KEY_RETIRED).target(&row.kid);
        self.0.audit.write(transaction, record).await?;
        Ok(true)
    }

    async fn demote(&self, transaction: &mut dyn Transaction, row: &SigningKeyRow) -> Result<bool> {
        let verifies = SigningKeyState::VerifyOnly.as_str();
        transaction.change_signing_key(row.id, &row.state, verifies, self.now()).await
    }

    /// Every key that signed but `kid` verifies from now on, and one that waited to sign is retired: it was made
    /// before, perhaps where the former was stolen.
    pub(super) async fn make_way(&self, transaction: &mut dyn Transaction, kid: &str) -> Result<()> {
        let rows = transaction.signing_keys().await?;
        for row in rows.iter().filter(|row| state(row) == Some(SigningKeyState::Pending)) {
            self.retire(transaction, row).await?;
        }
        // Again: one of them may have come to sign meanwhile.
        let rows = transaction.signing_keys().await?;
        for row in rows.iter().filter(|row| state(row) == Some(SigningKeyState::Active) && row.kid != kid) {
            self.demote(transaction, row).await?;
        }
        Ok(())
    }

    /// A token that the key signed at its last moment, in a process that had not heard of the next one yet, has
    /// expired when the key is retired.
    fn times(&self) -> Times {
        let kept = self.0.sessions.parts().tokens.longest() + PUBLISHED;
        Times { every: self.0.settings.tokens.rotate_every, kept }
    }
}

/// Looks for keys that other processes made, and does what is due.
#[derive(Debug)]
pub(crate) struct SigningKeyJob {
    pub(crate) auth: Auth,
    pub(crate) slot: Slot,
}

impl Job for SigningKeyJob {
    fn run(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.auth.sessions().refresh_keys().await?;
            let rows = self.auth.database().read().await?.signing_keys().await?;
            if plan(&rows, self.auth.times(), self.auth.now()).is_empty() || !self.slot.take(JOB).await? {
                return Ok(());
            }
            let done = self.auth.advance_signing_keys().await;
            self.slot.free(JOB).await?;
            done.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn row(id: u32, state: SigningKeyState, since: u64) -> SigningKeyRow {
        let at = |seconds: u64| Timestamp::from_seconds(i64::try_from(seconds).expect("small"));
        SigningKeyRow {
            id,
            kid: id.to_string(),
            algorithm: "ES256".to_owned(),
            sealed: Vec::new(),
            public_jwk: String::new(),
            state: state.as_str().to_owned(),
            created_at: at(0),
            changed_at: Some(at(since)),
        }
    }

    #[test]
    fn what_is_due() {
        use SigningKeyState::{Active, Pending, Retired, VerifyOnly};
        let times = Times { every: Some(Duration::from_secs(90 * DAY)), kept: Duration::from_secs(4500) };
        let at = |rows: &[SigningKeyRow], now: u64| {
            plan(rows, times, Timestamp::from_seconds(i64::try_from(now).expect("small")))
        };
        let first = row(1, Active, 0);
        assert_eq!(at(std::slice::from_ref(&first), 90 * DAY - 1), []);
        assert_eq!(at(std::slice::from_ref(&first), 90 * DAY), [Step::Make]);
        let pending = row(2, Pending, 90 * DAY);
        assert_eq!(at(&[first.clone(), pending.clone()], 90 * DAY + 899), []);
        let both = [first, pending];
        assert_eq!(at(&both, 90 * DAY + 900), [Step::Promote(2), Step::Demote(1)]);
        let after = [row(1, VerifyOnly, 1000), row(2, Active, 1000), row(3, Retired, 0)];
        assert_eq!(at(&after, 1000 + 4499), []);
        assert_eq!(at(&after, 1000 + 4500), [Step::Retire(1)]);
        // Of several that sign, as an older release left them, the newest does.
        assert_eq!(at(&[row(1, Active, 0), row(2, Active, 0)], 10), [Step::Demote(1)]);
        // One that was made before the one that signs never takes over, and keeps no later one from being made.
        let passed = [row(1, Pending, 0), row(2, Active, 0)];
        assert_eq!(at(&passed, 10), [Step::Retire(1)]);
        assert_eq!(at(&passed, 90 * DAY), [Step::Retire(1), Step::Make]);
        let two = [row(1, Active, 0), row(2, Pending, 0), row(3, Pending, 0)];
        assert_eq!(at(&two, 900), [Step::Promote(3), Step::Demote(1), Step::Retire(2)]);
        let off = Times { every: None, ..times };
        assert_eq!(plan(&[row(1, Active, 0)], off, Timestamp::from_seconds(4_000_000_000)), []);
    }
}

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::own::OwnColumn;
use super::{Backups, DataKeyInfo, Left};
use crate::audit::{Action, Actor, AuditSink, Record};
use crate::crypto::{FIRST_FREE, KeyOwner, KeyState, Keyring, Purpose, SealedPlace, root_of, wrapped_key};
use crate::env::Clock;
use crate::store::{Database, KeyRow, Transaction};
use crate::types::{Code, Error, Result, Timestamp};

/// How long a new key waits until every process knows it: they look twice in that time.
pub(super) const PUBLISHED: Duration = Duration::from_secs(60);
/// How long a key that only opens is kept for the sake of backups: as long as the last of them.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// What [`DataKeys`] works with.
pub struct DataKeysParts {
    /// The keys.
    pub keyring: Keyring,
    /// Where they lie, wrapped.
    pub database: Arc<dyn Database>,
    /// What holds sealed values beside Aurora's own tables.
    pub places: Vec<Arc<dyn SealedPlace>>,
    /// Where each step is recorded.
    pub audit: Arc<dyn AuditSink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The data keys of a service. Cheap to clone.
#[derive(Clone)]
pub struct DataKeys(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) keyring: Keyring,
    pub(super) database: Arc<dyn Database>,
    pub(super) places: Vec<Arc<dyn SealedPlace>>,
    pub(super) audit: Arc<dyn AuditSink>,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys").finish_non_exhaustive()
    }
}

impl DataKeys {
    /// Over these parts.
    pub fn new(parts: DataKeysParts) -> Self {
        let DataKeysParts { keyring, database, places, audit, clock } = parts;
        let places = OwnColumn::all(&database).chain(places).collect();
        Self(Arc::new(Inner { keyring, database, places, audit, clock }))
    }

    /// Keys with numbers above `after`, ascending, at most a thousand; destroyed ones too.
    pub async fn list(&self, after: u32) -> Result<Vec<DataKeyInfo>> {
        let rows = self.0.database.read().await?.keys_after(after).await?;
        rows.into_iter().map(|row| self.info(row)).collect()
    }

    /// How many values each key that only opens still has, by place. A place without any is left out.
    pub async fn left(&self) -> Result<Vec<Left>> {
        let rows = self.unsettled().await?;
        let mut left = Vec::new();
        for row in rows.iter().filter(|row| row.state == KeyState::DecryptOnly.as_str()) {
            for (place, values) in self.counts(row).await? {
                left.push(Left { key: row.id, place, values });
            }
        }
        Ok(left)
    }

    /// How many data keys each root key wraps.
    pub async fn roots(&self) -> Result<BTreeMap<String, u64>> {
        let (mut roots, mut after) = (BTreeMap::new(), 0);
        loop {
            let page = self.list(after).await?;
            let Some(last) = page.last() else { return Ok(roots) };
            after = last.id;
            for key in page.into_iter().filter(|key| !key.root.is_empty()) {
                *roots.entry(key.root).or_default() += 1;
            }
        }
    }

    /// Makes the next key of that owner and purpose. It seals after a minute, when every process has read it; then what
    /// the former sealed is sealed again in the background. Answers its number, or that of one which waits already.
    ///
    /// # Errors
    /// [`Code::NotFound`] where that owner has no key of that purpose; [`Code::ValidationFailed`] for the key of a blind
    /// index, by which what was written is found.
    pub async fn rotate(&self, owner: &KeyOwner, purpose: Purpose) -> Result<u32> {
        if purpose == Purpose::Index {
            let sentence =
                "what is looked up was hashed with the index's key: another would find nothing of it";
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        let mut transaction = self.0.database.begin().await?;
        transaction.lock_keys_of(&owner.to_string()).await?;
        let rows = of_purpose(&mut *transaction, owner, purpose).await?;
        let state = |row: &KeyRow| row.state.parse::<KeyState>();
        for row in &rows {
            if state(row)? == KeyState::Pending {
                return Ok(row.id);
            }
        }
        if !rows.iter().any(|row| row.state == KeyState::Active.as_str()) {
            return Err(no_such("key of that owner and purpose"));
        }
        let id = transaction.newest_key().await?.max(FIRST_FREE - 1).checked_add(1).ok_or_else(no_number)?;
        let made = self.0.keyring.make(id, purpose, owner.clone()).await?;
        if !transaction.insert_key(&made).await? {
            // Another process was first; which of them is read at the next try.
            return Err(Error::overloaded(1));
        }
        self.record(&mut *transaction, Action::DATA_KEY_PUBLISHED, &made).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Lets a pending key take over before its minute is over: when the former one is not safe any more. Other processes
    /// read what it seals half a minute later at most.
    pub async fn activate(&self, id: u32) -> Result<()> {
        let missing = || no_such("pending key of that number");
        let row = self.0.database.read().await?.key(id).await?.ok_or_else(missing)?;
        if self.take_over(&row).await? { Ok(()) } else { Err(missing()) }
    }

    /// Wipes a key that only opens, when nothing needs it any more.
    ///
    /// # Errors
    /// [`Code::NotFound`] for a number that no key has; [`Code::ValidationFailed`], with the reason, for one that is
    /// needed: it seals or waits to, hashes, has values left, or backups may need it.
    pub async fn destroy(&self, id: u32, backups: Backups) -> Result<()> {
        let (row, info) = self.destroyable(id, backups).await?;
        let mut transaction = self.0.database.begin().await?;
        let former = info.state.as_str();
        if !transaction.destroy_key(id, former, self.0.clock.now()).await? {
            return Err(Error::overloaded(1));
        }
        // Once more, behind the change: on SQLite nobody else writes now. On PostgreSQL the ten minutes have to do, in
        // which every process has heard of the next key: a lock would have to be held by whoever sealed a cell until it
        // is written, and that is the host's to say.
        if let Some((place, values)) = self.counts(&row).await?.into_iter().next() {
            return Err(needed(id, &format!("{place} has {values} of its values")));
        }
        self.record(&mut *transaction, Action::DATA_KEY_DESTROYED, &row).await?;
        transaction.commit().await?;
        self.0.keyring.forget();
        self.0.keyring.reload().await
    }

    async fn destroyable(&self, id: u32, backups: Backups) -> Result<(KeyRow, DataKeyInfo)> {
        let row = self.0.database.read().await?.key(id).await?;
        let row = row.ok_or_else(|| no_such("key of that number"))?;
        let info = self.info(row.clone())?;
        let oldest = self.0.database.read().await?.keys_of(&row.owner).await?;
        let oldest = oldest.iter().filter(|other| other.purpose == row.purpose).map(|other| other.id).min();
        let since = info.changed_at.unwrap_or(info.created_at);
        let reason = match info.state {
            KeyState::Destroyed => Some("it is destroyed already".to_owned()),
            KeyState::Pending | KeyState::Active => {
                Some(format!("it is {}: `keys rotate` lets another take over", info.state.as_str()))
            }
            KeyState::DecryptOnly if info.hashes && oldest == Some(id) => {
                Some(format!("what is looked up was hashed with it ({})", info.purpose))
            }
            KeyState::DecryptOnly if since.plus(PUBLISHED * 10) > self.0.clock.now() => Some(
                "it sealed until a moment ago, and a process may still hold it: ask again in ten minutes"
                    .to_owned(),
            ),
            KeyState::DecryptOnly
                if backups == Backups::MayNeedIt && since.plus(KEPT) > self.0.clock.now() =>
            {
                let when = since.plus(KEPT);
                Some(format!("a backup may need it until {when}; say so (--no-backup-needs-it) if none does"))
            }
            KeyState::DecryptOnly => None,
        };
        match reason {
            Some(reason) => Err(needed(id, &reason)),
            None => Ok((row, info)),
        }
    }

    /// A pending key becomes active, its predecessor decrypt-only. `false` if somebody else was first.
    pub(super) async fn take_over(&self, row: &KeyRow) -> Result<bool> {
        let now = self.0.clock.now();
        let mut transaction = self.0.database.begin().await?;
        let (pending, active) = (KeyState::Pending.as_str(), KeyState::Active.as_str());
        let former = transaction.keys_of(&row.owner).await?;
        let former = former.iter().find(|other| other.purpose == row.purpose && other.state == active);
        if let Some(former) = former {
            let opens = KeyState::DecryptOnly.as_str();
            if !transaction.change_key(former.id, active, opens, now).await? {
                return Ok(false);
            }
        }
        if !transaction.change_key(row.id, pending, active, now).await? {
            return Ok(false);
        }
        self.record(&mut *transaction, Action::DATA_KEY_ROTATED, row).await?;
        transaction.commit().await?;
        self.0.keyring.forget();
        self.0.keyring.reload().await?;
        Ok(true)
    }

    /// What a key has left, where it has something.
    pub(super) async fn counts(&self, row: &KeyRow) -> Result<Vec<(String, u64)>> {
        let purpose: Purpose = row.purpose.parse()?;
        let mut counts = Vec::new();
        for place in self.0.places.iter().filter(|place| place.purpose() == purpose) {
            let values = place.count(row.id).await?;
            if values > 0 {
                counts.push((place.name().to_owned(), values));
            }
        }
        Ok(counts)
    }

    pub(super) async fn record(
        &self,
        transaction: &mut dyn Transaction,
        action: Action,
        row: &KeyRow,
    ) -> Result<()> {
        let record = Record::security(self.now(), Actor::Service, action)
            .target(row.id)
            .with("purpose", row.purpose.as_str());
        let record = if row.owner.is_empty() { record } else { record.with("owner", row.owner.as_str()) };
        self.0.audit.write(transaction, record).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn info(&self, row: KeyRow) -> Result<DataKeyInfo> {
        let key = wrapped_key(row)?;
        let root = match key.state {
            KeyState::Destroyed => String::new(),
            _ => root_of(&key)?.0.to_owned(),
        };
        Ok(DataKeyInfo {
            hashes: key.purpose.hashes(),
            id: key.id,
            purpose: key.purpose,
            owner: key.owner,
            state: key.state,
            root,
            created_at: key.created,
            changed_at: key.changed,
        })
    }
}

async fn of_purpose(
    transaction: &mut dyn Transaction,
    owner: &KeyOwner,
    purpose: Purpose,
) -> Result<Vec<KeyRow>> {
    let mut rows = transaction.keys_of(&owner.to_string()).await?;
    rows.retain(|row| row.purpose == purpose.as_str());
    Ok(rows)
}

fn no_such(what: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no {what}"))
}

fn no_number() -> Error {
    Error::internal("no number is left for a data key")
}

fn needed(id: u32, reason: &str) -> Error {
    Error::new(Code::ValidationFailed, format!("key {id} is not destroyed: {reason}"))
}

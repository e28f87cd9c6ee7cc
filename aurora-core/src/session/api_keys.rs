use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::crypto::{Keyring, Purpose};
use crate::env::{Entropy, random};
use crate::store::{ApiKeyRow, Database};
use crate::types::{ApiKeyId, Code, Error, Result, Role, Secret, Timestamp};

/// How old the picture of keys may be before a request looks for what other processes made and revoked.
const FRESH: Duration = Duration::from_millis(500);
/// How old it may get while the database does not answer. Then no key of it opens anything.
const STALE: Duration = Duration::from_secs(10);
/// A use is noted once in so long: `last_used_at` is for people who wonder whether a key is still needed.
const NOTED: Duration = Duration::from_secs(3600);
/// Characters after the prefix: 16 random bytes in base64url.
const RANDOM: usize = 22;
/// Characters of the checksum, 48 bits.
const CHECKSUM: usize = 8;

/// Which of the two kinds of an application's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiKeyKind {
    /// For browsers and apps: it names the application and acts as `anon`. Everyone may know it.
    Publishable,
    /// For services: it acts as `service_role` within its scopes.
    Secret,
}

impl ApiKeyKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
        }
    }

    /// What every key of the kind begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Publishable => "sb_publishable_",
            Self::Secret => "sb_secret_",
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::Publishable => Role::Anon,
            Self::Secret => Role::Service,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Publishable, Self::Secret].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a secret key may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ApiScope {
    /// The admin API of sign-in: `/admin/*` and `/invite`.
    Auth,
    /// The host's own routes, as `service_role`: every row.
    Data,
}

impl ApiScope {
    /// Every scope.
    pub const ALL: [Self; 2] = [Self::Auth, Self::Data];

    /// The scope's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Data => "data",
        }
    }
}

impl FromStr for ApiScope {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        known.ok_or_else(|| Error::new(Code::ValidationFailed, "a scope is `auth` or `data`"))
    }
}

/// A key of an application, without its text: that is shown once, when it is made.
#[derive(Clone, Debug)]
pub struct ApiKeyInfo {
    /// Which.
    pub id: ApiKeyId,
    /// Publishable or secret.
    pub kind: ApiKeyKind,
    /// What people call it.
    pub name: String,
    /// The first four characters after the prefix.
    pub hint: String,
    /// What a secret key may do; empty for a publishable one.
    pub scopes: Vec<ApiScope>,
    /// Made.
    pub created_at: Timestamp,
    /// Last used, to the hour.
    pub last_used_at: Option<Timestamp>,
    /// Worthless since then.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKeyInfo {
    pub(crate) fn of(row: ApiKeyRow) -> Result<Self> {
        let unknown = || Error::internal(format!("key {} is of an unknown kind", row.id));
        let known = |name: &str| ApiScope::ALL.into_iter().find(|scope| scope.as_str() == name);
        Ok(Self {
            id: row.id,
            kind: ApiKeyKind::parse(&row.kind).ok_or_else(unknown)?,
            // A scope of a later release is none here.
            scopes: row.scopes.split(' ').filter_map(known).collect(),
            name: row.name,
            hint: row.hint,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        })
    }
}

/// A new text: prefix, 22 random characters, `_`, and eight of a checksum, which tells a typing error from a key that
/// is unknown, and a scanner a key from a text that looks like one.
pub(crate) fn make(kind: ApiKeyKind, entropy: &dyn Entropy) -> Result<Secret> {
    let bytes: zeroize::Zeroizing<[u8; 16]> = zeroize::Zeroizing::new(random(entropy)?);
    let text = zeroize::Zeroizing::new(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(*bytes)));
    Ok(Secret::new(format!("{}_{}", *text, checksum(&text))))
}

/// The characters that a key is recognised by.
pub(crate) fn hint(kind: ApiKeyKind, text: &Secret) -> String {
    text.expose().chars().skip(kind.prefix().len()).take(4).collect()
}

pub(crate) fn hash(keyring: &Keyring, text: &str) -> [u8; 32] {
    keyring.mac(Purpose::Credential, "api key hash", &[text.as_bytes()])
}

fn checksum(text: &str) -> String {
    let hash = digest(&SHA256, format!("aurora|{text}").as_bytes());
    URL_SAFE_NO_PAD.encode(hash).chars().take(CHECKSUM).collect()
}

/// Whether a text can be a key that was made here: nothing is looked up for any other.
fn is_well_formed(text: &str) -> bool {
    let kinds = [ApiKeyKind::Publishable, ApiKeyKind::Secret];
    let Some(rest) = kinds.iter().find_map(|kind| text.strip_prefix(kind.prefix())) else { return false };
    if !rest.is_ascii() || rest.len() != RANDOM + 1 + CHECKSUM {
        return false;
    }
    let Some((body, sum)) = text.split_at_checked(text.len() - CHECKSUM - 1) else { return false };
    sum.strip_prefix('_').is_some_and(|sum| sum == checksum(body))
}

/// What is known of a key that a request brings.
#[derive(Clone, Debug)]
pub(crate) struct KnownKey {
    pub(crate) id: ApiKeyId,
    pub(crate) kind: ApiKeyKind,
    pub(crate) scopes: Vec<ApiScope>,
    pub(crate) revoked: bool,
    last_used_at: Option<Timestamp>,
}

/// The keys in the database, by their keyed hashes.
pub(crate) struct ApiKeys {
    database: Arc<dyn Database>,
    keyring: Keyring,
    picture: RwLock<Picture>,
    turn: Mutex<()>,
    /// When this process last noted a use.
    noted: Mutex<HashMap<ApiKeyId, Timestamp>>,
}

#[derive(Default)]
struct Picture {
    keys: Arc<HashMap<[u8; 32], KnownKey>>,
    taken: Option<Instant>,
    /// Counts the changes that were made here.
    changes: u64,
}

impl Picture {
    /// One that was asked for before a change is not fresh, however new it is.
    fn put(&mut self, keys: HashMap<[u8; 32], KnownKey>, taken: Instant, changes: u64) {
        self.keys = Arc::new(keys);
        self.taken = (self.changes == changes).then_some(taken);
    }

    fn forget(&mut self) {
        self.taken = None;
        self.changes = self.changes.wrapping_add(1);
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").finish_non_exhaustive()
    }
}

impl ApiKeys {
    pub(super) fn new(database: Arc<dyn Database>, keyring: Keyring) -> Self {
        let (picture, turn, noted) = (RwLock::default(), Mutex::default(), Mutex::default());
        Self { database, keyring, picture, turn, noted }
    }

    /// Whether there is any, revoked or not, as far as was looked.
    pub(crate) fn any(&self) -> bool {
        !self.keys().is_empty()
    }

    /// What is known of that text. Look after [`freshen`](Self::freshen).
    pub(crate) fn find(&self, text: &str) -> Option<KnownKey> {
        if !is_well_formed(text) {
            return None;
        }
        self.keys().get(&hash(&self.keyring, text)).cloned()
    }

    fn keys(&self) -> Arc<HashMap<[u8; 32], KnownKey>> {
        Arc::clone(&self.picture.read().unwrap_or_else(PoisonError::into_inner).keys)
    }

    fn age(&self) -> Option<Duration> {
        self.picture.read().unwrap_or_else(PoisonError::into_inner).taken.map(|taken| taken.elapsed())
    }

    /// Makes sure that the picture is fresh. One request asks, those that come meanwhile wait for its answer.
    pub(crate) async fn freshen(&self) -> Result<()> {
        let is_fresh = || self.age().is_some_and(|age| age < FRESH);
        if is_fresh() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if is_fresh() {
            return Ok(());
        }
        match self.fetch().await {
            Ok(()) => Ok(()),
            Err(error) if self.age().is_some_and(|age| age < STALE) => {
                tracing::warn!(error = ?error, "keys could not be read; going on with what is known");
                Ok(())
            }
            Err(error) => Err(Error::overloaded(1).with_source(error)),
        }
    }

    /// What was changed here is seen here at once.
    pub(crate) fn forget(&self) {
        self.picture.write().unwrap_or_else(PoisonError::into_inner).forget();
    }

    async fn fetch(&self) -> Result<()> {
        let taken = Instant::now();
        let changes = self.picture.read().unwrap_or_else(PoisonError::into_inner).changes;
        let rows = self.database.read().await?.api_keys().await?;
        let known = rows.into_iter().map(|row| {
            let hash = row.hash;
            let ApiKeyInfo { id, kind, scopes, last_used_at, revoked_at, .. } = ApiKeyInfo::of(row)?;
            Ok((hash, KnownKey { id, kind, scopes, revoked: revoked_at.is_some(), last_used_at }))
        });
        let keys = known.collect::<Result<HashMap<_, _>>>()?;
        self.picture.write().unwrap_or_else(PoisonError::into_inner).put(keys, taken, changes);
        Ok(())
    }

    /// Notes the use of a key, once an hour. Whether it can be written decides nothing.
    pub(crate) async fn note(&self, key: &KnownKey, now: Timestamp) {
        let recent = |at: Timestamp| at <= now && now.since(at) < NOTED;
        if key.last_used_at.is_some_and(recent) {
            return;
        }
        {
            let mut noted = self.noted.lock().await;
            if noted.get(&key.id).copied().is_some_and(recent) {
                return;
            }
            noted.insert(key.id, now);
        }
        if let Err(error) = self.write_use(key.id, now).await {
            tracing::warn!(key = %key.id, error = ?error, "the use of a key was not noted");
        }
    }

    async fn write_use(&self, id: ApiKeyId, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        if transaction.note_api_key_use(id, now, now.minus(NOTED)).await? {
            transaction.commit().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemEntropy;

    #[test]
    fn an_answer_from_before_a_change_is_not_fresh() {
        let mut picture = Picture::default();
        picture.put(HashMap::new(), Instant::now(), picture.changes);
        assert!(picture.taken.is_some());
        let asked = picture.changes;
        picture.forget();
        picture.put(HashMap::new(), Instant::now(), asked);
        assert!(picture.taken.is_none());
        picture.put(HashMap::new(), Instant::now(), picture.changes);
        assert!(picture.taken.is_some());
    }

    #[test]
    fn a_key_has_its_form_and_a_typing_error_has_not() {
        for kind in [ApiKeyKind::Publishable, ApiKeyKind::Secret] {
            let key = make(kind, &SystemEntropy).expect("entropy");
            let text = key.expose();
            assert!(text.starts_with(kind.prefix()));
            assert_eq!(text.len(), kind.prefix().len() + 31);
            assert!(is_well_formed(text));
            assert_eq!(hint(kind, &key).len(), 4);
            for at in kind.prefix().len()..text.len() {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
                assert!(!is_well_formed(std::str::from_utf8(&bytes).expect("ascii")), "{at}");
            }
        }
        for text in ["", "sb_", "sb_secret_", "sb_secret_é", "sb_other_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"] {
            assert!(!is_well_formed(text), "{text}");
        }
        // Another's checksum is over something that only they know.
        assert!(!is_well_formed("sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"));
    }
}

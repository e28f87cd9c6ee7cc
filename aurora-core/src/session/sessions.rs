use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use moka::sync::Cache;

use super::api_keys::ApiKeys;
use super::reload::Reloads;
use super::revoked::Revoked;
use super::roles::{Seen, USER_ROLES};
use super::token::{AccessClaims, ClientToken, TokenKeys, VerifiedToken};
use super::{Client, RefreshSecret};
use crate::config;
use crate::crypto::Keyring;
use crate::env::{Clock, Entropy, random};
use crate::store::{Database, Session, Transaction, User};
use crate::types::{
    AuthenticationMethod, Code, Error, FamilyId, Principal, RECOVERY_CODE, Result, Role, RoleName, Secret,
    SessionId, Timestamp, UserId,
};

/// How many bytes of verified claims are remembered.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// What an entry costs beside its claims, with what is read of them later: an address, roles.
const ENTRY_BYTES: usize = 1024;
/// What an address is at the most, in bytes.
const LONGEST_EMAIL: usize = 254;
/// How many JWTs that name an application are remembered: a project has two.
const CLIENTS: u64 = 64;
/// How often a sign-in also clears away what expired.
const SWEEP: Duration = Duration::from_secs(3600);

/// Sessions and their tokens. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

/// What [`Sessions`] is made of.
#[derive(Clone, Debug)]
pub struct SessionsParts {
    /// Lifetimes.
    pub lifetimes: config::Tokens,
    /// Where sessions live.
    pub database: Arc<dyn Database>,
    /// What refresh tokens are hashed and derived with.
    pub keyring: Keyring,
    /// What signs and verifies access tokens.
    pub tokens: TokenKeys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

struct Inner {
    parts: SessionsParts,
    revoked: Arc<Revoked>,
    /// Tokens that verified, by their hash, and [`TokenKeys::losses`] before they did.
    seen: Cache<Fingerprint, (u64, Arc<Seen>)>,
    /// JWTs that name an application and verified, likewise.
    clients: Cache<Fingerprint, (u64, ClientToken)>,
    api_keys: ApiKeys,
    reloads: Reloads,
    swept: AtomicI64,
}

/// A session that was opened in a transaction, with its first refresh token.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) secret: RefreshSecret,
    /// Sessions that had expired and were cleared away on the occasion.
    pub(crate) swept: Vec<SessionId>,
}

/// How many roles a user may hold: what a token has room for.
pub(crate) const MOST_ROLES: usize = 16;

/// What a token says beside what every token says: roles, and the claims of the host's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct MoreClaims(pub(crate) serde_json::Map<String, serde_json::Value>);

impl MoreClaims {
    /// These roles.
    pub(crate) fn of_roles<T: ToString>(roles: &[T]) -> Self {
        let mut more = Self::default();
        if !roles.is_empty() {
            let roles = roles.iter().map(|role| serde_json::Value::String(role.to_string())).collect();
            more.0.insert(USER_ROLES.to_owned(), roles);
        }
        more
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("lifetimes", &self.0.parts.lifetimes).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Loads what ended lately, so that no token outlives a restart.
    pub async fn open(parts: SessionsParts) -> Result<Self> {
        // Twice the lifetime and an hour: longer than any token that verifies.
        let keep = parts.lifetimes.access_lifetime.saturating_mul(2) + Duration::from_secs(3600);
        let revoked = Arc::new(Revoked::load(Arc::clone(&parts.database), keep, parts.clock.now()).await?);
        let seen = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, (_, seen): &(u64, Arc<Seen>)| {
                u32::try_from(seen.weight() + ENTRY_BYTES).unwrap_or(u32::MAX)
            })
            .time_to_live(parts.lifetimes.access_lifetime)
            .build();
        let api_keys = ApiKeys::new(Arc::clone(&parts.database), parts.keyring.clone());
        let (clients, reloads, swept) = (Cache::new(CLIENTS), Reloads::default(), AtomicI64::new(0));
        Ok(Self(Arc::new(Inner { parts, revoked, seen, clients, api_keys, reloads, swept })))
    }

    /// Who an access token stands for, at this moment.
    ///
    /// [`Code::BadJwt`] for a token that does not verify or has expired, [`Code::SessionNotFound`] for one whose
    /// session ended, [`Code::OverCapacity`] when the database has not answered for ten seconds.
    pub async fn admit(&self, token: &str) -> Result<Principal> {
        self.admit_as(token, &Fingerprint::of(token)).await
    }

    /// [`admit`](Self::admit) with the token's fingerprint. What few requests need stands in boxes, so that all others
    /// do not carry it.
    pub(crate) async fn admit_as(&self, token: &str, key: &Fingerprint) -> Result<Principal> {
        let inner = &*self.0;
        let now = inner.parts.clock.now();
        if !inner.revoked.is_fresh() {
            Box::pin(inner.revoked.freshen(now)).await?;
        }
        // Before the token is verified: if a key goes meanwhile, what is kept of it here is not used again.
        let losses = inner.parts.tokens.losses();
        let known = inner.seen.get(key).filter(|(as_of, seen)| *as_of == losses && now < seen.expires_at);
        let seen = match known {
            Some((_, seen)) => seen,
            None => {
                let seen = Arc::new(Box::pin(self.first_look(token, now)).await?);
                inner.seen.insert(*key, (losses, Arc::clone(&seen)));
                seen
            }
        };
        if inner.revoked.contains(seen.session) {
            inner.seen.invalidate(key);
            return Err(gone());
        }
        if inner.revoked.roles.is_current(&seen) {
            return Ok(seen.principal.clone());
        }
        let seen = Arc::new(Box::pin(self.corrected(&seen, false)).await?);
        inner.seen.insert(*key, (losses, Arc::clone(&seen)));
        Ok(seen.principal.clone())
    }

    /// What a token says that was not seen before. Whoever signed it: the table says who holds what, and no claim.
    async fn first_look(&self, token: &str, now: Timestamp) -> Result<Seen> {
        let verified = self.verify(token, now).await?;
        let seen = self.0.revoked.roles.first_look(&verified)?;
        if seen.claims_roles() { self.corrected(&seen, true).await } else { Ok(seen) }
    }

    /// Whom a token stands for, with the roles that they hold now.
    async fn corrected(&self, seen: &Seen, ask: bool) -> Result<Seen> {
        let revoked = &self.0.revoked;
        // Before the roles are read: a change that comes meanwhile is looked at again.
        let as_of = revoked.roles.sequence();
        let read = if ask || revoked.roles.has_to_ask(seen) {
            // Roles that cannot be read are not guessed.
            let read = revoked.roles_of(seen.user()).await;
            Some(read.map_err(|error| Error::overloaded(1).with_source(error))?)
        } else {
            None
        };
        revoked.roles.corrected(seen, read, as_of)
    }

    /// Makes a committed change of roles count in this process at once.
    pub(crate) async fn roles_changed(&self) {
        self.0.revoked.look(self.0.parts.clock.now()).await;
    }

    async fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken> {
        let tokens = &self.0.parts.tokens;
        match tokens.verify(token, now) {
            Err(_) if tokens.is_of_unknown_key(token) => {
                self.look_for_key().await?;
                tokens.verify(token, now)
            }
            verified => verified,
        }
    }

    /// The role of the application that a JWT of the project's names; `None` for every other text.
    pub(crate) fn client(&self, token: &str, key: &Fingerprint) -> Result<Option<Role>> {
        let inner = &*self.0;
        if !inner.parts.tokens.names_clients() {
            return Ok(None);
        }
        let now = inner.parts.clock.now();
        let losses = inner.parts.tokens.losses();
        let known =
            inner.clients.get(key).filter(|(as_of, client)| *as_of == losses && now < client.expires_at);
        if known.is_none()
            && let Some(client) = inner.parts.tokens.verify_client(token, now)
        {
            inner.clients.insert(*key, (losses, client));
            return Ok(Some(client.role));
        }
        Ok(known.map(|(_, client)| client.role))
    }

    /// Keys of applications.
    pub(crate) fn api_keys(&self) -> &ApiKeys {
        &self.0.api_keys
    }

    pub(super) fn reloads(&self) -> &Reloads {
        &self.0.reloads
    }

    pub(super) fn forget_seen(&self) {
        self.0.seen.invalidate_all();
        self.0.clients.invalidate_all();
    }

    /// Who an access token stood for when it was valid, for signing out with one that has expired meanwhile.
    pub(crate) async fn admit_expired(&self, token: &str) -> Result<Principal> {
        let inner = &*self.0;
        let now = inner.parts.clock.now();
        let just_valid = claimed_expiry(token).map_or(now, |exp| exp.minus(Duration::from_secs(1)).min(now));
        let verified = self.verify(token, just_valid).await?;
        inner.revoked.freshen(now).await?;
        if inner.revoked.contains(verified.session()) {
            return Err(gone());
        }
        // To sign out with: who they are, and nothing that they hold.
        Ok(Principal::user_of_session(verified.user(), verified.session()))
    }

    /// Reads the signing keys again, and verifies every token again: what a removed key signed ends now.
    pub async fn reload_keys(&self) -> Result<()> {
        self.0.parts.tokens.reload().await?;
        self.forget_seen();
        Ok(())
    }

    /// Ends the access tokens of sessions that a committed transaction ended.
    pub(crate) fn ended(&self, sessions: &[SessionId]) {
        if !sessions.is_empty() {
            self.0.revoked.insert(sessions, self.0.parts.clock.now());
        }
    }

    /// Opens a session for `user` within `transaction`.
    pub(crate) async fn start(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        method: &'static str,
        client: &Client,
    ) -> Result<Opened> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let swept = self.sweep(transaction, user, now).await?;
        let secret = RefreshSecret::first(&*parts.entropy)?;
        let session = Session {
            id: SessionId::from_random(random(&*parts.entropy)?),
            user: user.id,
            family: FamilyId::from_random(random(&*parts.entropy)?),
            generation: 0,
            aal: "aal1".to_owned(),
            amr: format!(r#"[{{"method":"{method}","timestamp":{}}}]"#, now.as_seconds()),
            user_agent: client.user_agent().map(ToOwned::to_owned),
            address: Some(client.address().to_string()),
            created_at: now,
            authenticated_at: now,
            refreshed_at: now,
            expires_at: now.plus(parts.lifetimes.absolute_lifetime),
        };
        transaction.insert_session(&session, &secret.hash(&parts.keyring)).await?;
        Ok(Opened { session, secret, swept })
    }

    async fn sweep(
        &self,
        transaction: &mut dyn Transaction,
        user: &User,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        let inner = &*self.0;
        let lifetimes = &inner.parts.lifetimes;
        let last = Timestamp::from_micros(inner.swept.load(Ordering::Relaxed));
        let everyone = now.since(last) >= SWEEP || last > now;
        if everyone {
            inner.swept.store(now.as_micros(), Ordering::Relaxed);
        }
        let whose = (!everyone).then_some(user.id);
        let idle = now.minus(lifetimes.idle_lifetime);
        let horizon = now.minus(lifetimes.access_lifetime.saturating_mul(2) + SWEEP);
        if everyone {
            transaction.forget_role_changes(now, horizon).await?;
        }
        transaction.sweep(whose, now, idle, horizon).await
    }

    /// An access token for `session`, and when it expires.
    pub(crate) fn issue(
        &self,
        user: &User,
        session: &Session,
        now: Timestamp,
        more: &MoreClaims,
    ) -> Result<(Secret, Timestamp)> {
        let parts = &self.0.parts;
        let methods: Vec<Amr> = serde_json::from_str(&session.amr).map_err(Error::internal)?;
        let claims = AccessClaims {
            user: user.id,
            session: session.id,
            email: user.email.as_ref().map(ToString::to_string).unwrap_or_default(),
            phone: String::new(),
            app_metadata: user.app_metadata.clone(),
            user_metadata: user.user_metadata.clone(),
            assurance: if session.aal == "aal2" { "aal2" } else { "aal1" },
            methods: methods.into_iter().map(Amr::into_method).collect(),
            is_anonymous: user.is_anonymous,
            issued_at: now,
        };
        let issued = Timestamp::from_seconds(now.as_seconds());
        Ok((parts.tokens.issue_with(&claims, &more.0)?, issued.plus(parts.tokens.lifetime())))
    }

    /// Whether a token can carry both, whatever else may come to stand in it: the longest address, a second factor.
    /// Asked where they are written, so that no sign-in and no refresh fails of it.
    pub(crate) fn check_metadata(&self, app: &str, user: &str) -> Result<()> {
        let longest = "x".repeat(RoleName::LONGEST);
        self.check_claims(app, user, &MoreClaims::of_roles(&vec![longest; MOST_ROLES]))
    }

    /// The same beside these claims.
    pub(crate) fn check_claims(&self, app: &str, user: &str, more: &MoreClaims) -> Result<()> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let method = AuthenticationMethod { method: RECOVERY_CODE.to_owned(), at: now };
        let claims = AccessClaims {
            user: UserId::from_bytes([0; 16]),
            session: SessionId::from_bytes([0; 16]),
            email: "x".repeat(LONGEST_EMAIL),
            phone: String::new(),
            app_metadata: app.to_owned(),
            user_metadata: user.to_owned(),
            assurance: "aal2",
            methods: vec![method; 3],
            is_anonymous: false,
            issued_at: now,
        };
        if parts.tokens.issue_with(&claims, &more.0)?.expose().len() > parts.tokens.longest_written() {
            let text = "`user_metadata` and `app_metadata` are too large for a token";
            return Err(Error::new(Code::ValidationFailed, text));
        }
        Ok(())
    }

    pub(crate) fn parts(&self) -> &SessionsParts {
        &self.0.parts
    }
}

#[derive(serde::Deserialize)]
struct Amr {
    method: String,
    timestamp: i64,
}

impl Amr {
    fn into_method(self) -> AuthenticationMethod {
        AuthenticationMethod { method: self.method, at: Timestamp::from_seconds(self.timestamp) }
    }
}

/// A token's SHA-256. What remembers tokens holds this of them: a core dump of it signs no one in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

impl Fingerprint {
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; SHA256_OUTPUT_LEN] {
        &self.0
    }
}

pub(crate) fn gone() -> Error {
    Error::new(Code::SessionNotFound, "Session from session_id claim in JWT does not exist")
}

/// What the token claims as its expiry, before anything about it is verified: only ever used to choose the moment
/// at which it is verified.
fn claimed_expiry(token: &str) -> Option<Timestamp> {
    use base64::Engine;
    #[derive(serde::Deserialize)]
    struct Expiry {
        exp: i64,
    }
    if token.len() > 16 * 1024 {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Expiry = serde_json::from_slice(&json).ok()?;
    Some(Timestamp::from_seconds(claims.exp))
}

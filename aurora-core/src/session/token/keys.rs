use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use tokio::sync::Mutex;

use super::jwk::Jwk;
use super::verify::MAX_TOKEN;
use super::verify_set::{VerifySet, header};
use super::{
    AccessClaims, ClientToken, SigningKey, SigningKeyRecord, SigningKeyState, SigningKeyStore, TokenOptions,
    VerifiedToken, VerifyKey, client,
};
use crate::crypto::{Context, Keyring};
use crate::env::Clock;
use crate::types::{Code, Error, Result, Secret, Timestamp};

/// The keys of access tokens: one signs, all verify. Cheap to clone; clones see a rotation.
#[derive(Clone)]
pub struct TokenKeys(Arc<Inner>);

struct Inner {
    options: TokenOptions,
    source: Source,
    /// Keys that were configured beside our own.
    configured: Vec<VerifyKey>,
    set: RwLock<Arc<KeySet>>,
    /// Held from reading the store to replacing the set: an older answer never replaces a newer one.
    turn: Mutex<()>,
    /// Counts the sets that lacked a key of the one before.
    losses: AtomicU64,
}

enum Source {
    Sealed { keyring: Keyring, store: Arc<dyn SigningKeyStore> },
    Given,
}

/// The keys at one moment.
pub(super) struct KeySet {
    signing_kid: String,
    algorithm: Algorithm,
    signing: EncodingKey,
    verify: VerifySet,
    jwks: String,
}

impl TokenKeys {
    /// Opens the sealed ES256 keys in `store`, making the first if there is none, and accepts `configured` keys too.
    ///
    /// [`Code::Configuration`] when a sealed key does not open or two keys have one name.
    pub async fn open(
        keyring: &Keyring,
        store: Arc<dyn SigningKeyStore>,
        configured: Vec<VerifyKey>,
        options: TokenOptions,
        clock: &dyn Clock,
    ) -> Result<Self> {
        options.check()?;
        let mut records = store.load_all().await?;
        if !records.iter().any(|record| record.state == SigningKeyState::Active) {
            records = add_key(keyring, &*store, &records, clock.now()).await?;
        }
        let set = KeySet::sealed(keyring, &records, &configured)?;
        let source = Source::Sealed { keyring: keyring.clone(), store };
        Ok(Self::of(options, source, configured, set))
    }

    /// HS256 with a secret that whoever verifies must hold too, and whoever holds it can sign: for Supabase
    /// services that know nothing else. The official client asks the server about every such token, and
    /// [`TokenKeys::jwks`] does not list it.
    ///
    /// [`Code::Configuration`] for a secret under 32 bytes, or one that is an example or repeats itself.
    pub fn with_shared_secret(
        secret: &Secret,
        configured: Vec<VerifyKey>,
        options: TokenOptions,
    ) -> Result<Self> {
        Self::with_signing_key(SigningKey::shared_secret(secret)?, configured, options)
    }

    /// Signs with a key that was given, and keeps none of its own.
    pub fn with_signing_key(
        key: SigningKey,
        configured: Vec<VerifyKey>,
        options: TokenOptions,
    ) -> Result<Self> {
        options.check()?;
        let (kid, algorithm) = (key.verify.kid.clone(), key.verify.algorithm);
        let set = KeySet::build(kid, algorithm, key.private, vec![key.verify], &configured)?;
        Ok(Self::of(options, Source::Given, configured, set))
    }

    fn of(options: TokenOptions, source: Source, configured: Vec<VerifyKey>, set: KeySet) -> Self {
        let (set, turn, losses) = (RwLock::new(Arc::new(set)), Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { options, source, configured, set, turn, losses }))
    }

    /// A new token for `claims`. [`Code::ValidationFailed`] when the claims make it longer than the 8 KiB that
    /// [`TokenKeys::verify`] reads.
    pub fn issue(&self, claims: &AccessClaims) -> Result<Secret> {
        self.issue_with(claims, &serde_json::Map::new())
    }

    /// The same with further members.
    pub(crate) fn issue_with(
        &self,
        claims: &AccessClaims,
        more: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Secret> {
        let set = self.set();
        let payload = claims.to_json(&self.0.options.issuer, self.0.options.lifetime, more)?;
        let header = header(set.algorithm, &set.signing_kid);
        let mut token = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &set.signing, set.algorithm);
        token.push('.');
        token.push_str(&signature.map_err(|_| Error::internal("signing failed"))?);
        if token.len() > MAX_TOKEN {
            let text = "`user_metadata` and `app_metadata` are too large for a token";
            return Err(Error::new(Code::ValidationFailed, text));
        }
        Ok(Secret::new(token))
    }

    /// Reads a token. [`Code::BadJwt`] for everything that is wrong with it; the cause is in the error's source,
    /// for the log.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken> {
        super::verify::verify(token, &self.set().verify, &self.0.options, now)
    }

    /// The application that a JWT of the project's names; `None` for every other text.
    pub(crate) fn verify_client(&self, token: &str, now: Timestamp) -> Option<ClientToken> {
        client::verify(token, &self.set().verify, now)
    }

    /// Whether there is a key whose JWTs may name an application.
    pub(crate) fn names_clients(&self) -> bool {
        self.set().verify.keys.values().any(|key| key.clients)
    }

    /// Whether the token names a key that could be ours, and that is not known here.
    pub(crate) fn is_of_unknown_key(&self, token: &str) -> bool {
        if token.len() > MAX_TOKEN || !self.is_sealed() {
            return false;
        }
        let header = token.split('.').next().and_then(|part| super::verify::read(part).ok());
        let kid = header.filter(|header| header.alg == "ES256").and_then(|header| header.kid);
        // Ours are thumbprints: 32 bytes in base64url.
        kid.is_some_and(|kid| kid.len() == 43 && !self.knows(&kid))
    }

    /// Whether the keys lie in the database, and not in the configuration.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.0.source, Source::Sealed { .. })
    }

    /// The longest that a token lives which verifies here.
    pub(crate) fn longest(&self) -> Duration {
        self.0.options.longest
    }

    /// The public keys as a JWK set (RFC 7517): what `/.well-known/jwks.json` answers. Never a shared secret.
    pub fn jwks(&self) -> String {
        self.set().jwks.clone()
    }

    /// The lifetime of the tokens issued.
    pub fn lifetime(&self) -> Duration {
        self.0.options.lifetime
    }

    /// Makes a new key that signs from now on; the former ones verify until they are removed from the store.
    /// [`Code::Configuration`] with a shared secret.
    pub async fn rotate(&self, clock: &dyn Clock) -> Result<()> {
        let Source::Sealed { keyring, store } = &self.0.source else { return Err(given()) };
        let _turn = self.0.turn.lock().await;
        let records = add_key(keyring, &**store, &store.load_all().await?, clock.now()).await?;
        self.replace(KeySet::sealed(keyring, &records, &self.0.configured)?);
        Ok(())
    }

    /// The key that would sign next, for whoever stores it in a transaction of their own and reloads.
    pub(crate) async fn next_key(&self, now: Timestamp) -> Result<SigningKeyRecord> {
        let Source::Sealed { keyring, store } = &self.0.source else { return Err(given()) };
        new_key(keyring, &store.load_all().await?, now)
    }

    /// The longest token that metadata may come to.
    pub(crate) fn longest_written(&self) -> usize {
        self.0.options.longest_written
    }

    /// Whether tokens of the key `kid` verify.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.set().verify.keys.contains_key(kid)
    }

    /// Reads the store again: keys that another process added are known from now on, removed ones no longer.
    pub async fn reload(&self) -> Result<()> {
        self.reload_anew().await.map(drop)
    }

    /// The same; answers whether a key that verified is gone.
    pub(crate) async fn reload_anew(&self) -> Result<bool> {
        let Source::Sealed { keyring, store } = &self.0.source else { return Ok(false) };
        let _turn = self.0.turn.lock().await;
        let records = store.load_all().await?;
        Ok(self.replace(KeySet::sealed(keyring, &records, &self.0.configured)?))
    }

    /// A number that grows when a key is gone: what verified before is to be verified again. Asked before verifying,
    /// and whenever the answer is used again.
    pub(crate) fn losses(&self) -> u64 {
        self.0.losses.load(Ordering::Acquire)
    }

    fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers whether a key that verified is gone.
    fn replace(&self, set: KeySet) -> bool {
        let lost = self.set().verify.keys.keys().any(|kid| !set.verify.keys.contains_key(kid));
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        if lost {
            // After the set: whoever reads the new number verifies by the new set.
            self.0.losses.fetch_add(1, Ordering::AcqRel);
        }
        lost
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.set();
        f.debug_struct("TokenKeys")
            .field("signing", &set.signing_kid)
            .field("keys", &set.verify.keys.len())
            .finish()
    }
}

impl KeySet {
    fn sealed(keyring: &Keyring, records: &[SigningKeyRecord], configured: &[VerifyKey]) -> Result<Self> {
        let active = records.iter().filter(|record| record.state == SigningKeyState::Active);
        let signing =
            active.max_by_key(|record| record.id).ok_or_else(|| Error::internal("no signing key"))?;
        let mut ours = Vec::with_capacity(records.len());
        let mut private = None;
        for record in records.iter().filter(|record| record.state != SigningKeyState::Retired) {
            let (pkcs8, verify) = unseal(keyring, record)?;
            if record.id == signing.id {
                private = Some(EncodingKey::from_ec_der(pkcs8.expose()));
            }
            ours.push(verify);
        }
        let private = private.ok_or_else(|| Error::internal("no signing key"))?;
        Self::build(signing.kid.clone(), Algorithm::ES256, private, ours, configured)
    }

    fn build(
        signing_kid: String,
        algorithm: Algorithm,
        signing: EncodingKey,
        ours: Vec<VerifyKey>,
        configured: &[VerifyKey],
    ) -> Result<Self> {
        let all: Vec<VerifyKey> = ours.into_iter().chain(configured.iter().cloned()).collect();
        let public = all.iter().filter_map(|key| key.public.as_ref()).map(Jwk::to_json);
        let jwks = format!(r#"{{"keys":[{}]}}"#, public.collect::<Result<Vec<_>>>()?.join(","));
        Ok(Self { signing_kid, algorithm, signing, verify: VerifySet::new(all)?, jwks })
    }
}

fn given() -> Error {
    Error::new(Code::Configuration, "a signing key that was given is rotated where it is configured")
}

/// Makes a key beside those that are known, seals it, stores it, and reads the store again.
async fn add_key(
    keyring: &Keyring,
    store: &dyn SigningKeyStore,
    known: &[SigningKeyRecord],
    now: Timestamp,
) -> Result<Vec<SigningKeyRecord>> {
    // Its number follows from what its caller decided by: a process that was faster has that number.
    let record = new_key(keyring, known, now)?;
    let id = record.id;
    let inserted = store.insert(record).await;
    let records = store.load_all().await?;
    // Another process may have been first; then its key is the key.
    if let (Err(error), false) = (inserted, records.iter().any(|record| record.id == id)) {
        return Err(error);
    }
    Ok(records)
}

/// A key beside those that are known, sealed.
fn new_key(keyring: &Keyring, known: &[SigningKeyRecord], now: Timestamp) -> Result<SigningKeyRecord> {
    let id = known.iter().map(|record| record.id).max().unwrap_or(0).saturating_add(1);
    let failed = |_| Error::internal("key generation failed");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let public = VerifyKey::from_members(Jwk::p256(pair.public_key().as_ref())?)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
    let kid = public.kid;
    let sealed = keyring.seal(&Context::signing_key(&kid), pkcs8.as_ref())?;
    let public_jwk = public.public.as_ref().map(Jwk::to_json).transpose()?.unwrap_or_default();
    let (algorithm, state) = ("ES256".to_owned(), SigningKeyState::Active);
    Ok(SigningKeyRecord { id, kid, algorithm, sealed, public_jwk, state, created: now })
}

fn unseal(keyring: &Keyring, record: &SigningKeyRecord) -> Result<(crate::crypto::SecretBytes, VerifyKey)> {
    let damaged = || {
        let text = format!(
            "signing key `{}` does not open: restore the database and its key file together",
            record.kid
        );
        Error::new(Code::Configuration, text)
    };
    if record.algorithm != "ES256" {
        return Err(damaged());
    }
    let opened = keyring.unseal(&Context::signing_key(&record.kid), &record.sealed);
    let pkcs8 = opened.map_err(|error| damaged().with_source(error))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose());
    let pair = pair.map_err(|_| damaged())?;
    let verify = VerifyKey::from_members(Jwk::p256(pair.public_key().as_ref())?)?;
    if verify.kid != record.kid {
        return Err(damaged());
    }
    Ok((pkcs8, verify))
}

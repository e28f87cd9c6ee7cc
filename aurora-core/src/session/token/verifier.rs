use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::verify::{read, verify};
use super::verify_set::VerifySet;
use super::{TokenOptions, USER_PERMISSIONS, VerifyKey};
use crate::env::Clock;
use crate::types::{BoxFuture, Code, Error, Principal, Result};
use crate::validate::strict_json;

/// How long a key set is kept, as its `max-age` says.
const KEPT: Duration = Duration::from_secs(600);
/// How long it serves while it cannot be fetched again.
const STALE: Duration = Duration::from_secs(3600);
/// A key that is unknown is looked for this often at the most, whoever sends tokens that name one.
const APART: Duration = Duration::from_secs(30);
/// Where there is no set at all, it is asked for this often at the most.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer, or more keys, and it is no key set of a service like ours.
const LONGEST: usize = 64 * 1024;
const MOST: usize = 32;

type Fetch = dyn Fn() -> BoxFuture<'static, Result<String>> + Send + Sync;

/// Verifies access tokens in another service than the one that issues them: by its published keys, without a
/// database.
///
/// A token that verifies here was good when it was issued, and is good until its `exp`: a sign-out, a ban or a
/// deletion in between is not seen. That is fifteen minutes unless the issuer says otherwise; whoever cannot wait so
/// long asks the issuer (`GET /user`).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> aurora_core::types::Result<()> {
/// use std::sync::Arc;
/// use aurora_core::env::SystemClock;
/// use aurora_core::session::token::Verifier;
/// // With an HTTP client: GET https://app.example.com/auth/v1/.well-known/jwks.json, and the body's text.
/// async fn fetch() -> Result<String, std::io::Error> {
///     Ok(r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#.to_owned())
/// }
/// let verifier = Verifier::new("https://app.example.com/auth/v1", Arc::new(SystemClock), fetch)?;
/// assert!(verifier.verify("not.a.token").await.is_err());
/// # Ok(())
/// # }
/// ```
pub struct Verifier {
    options: TokenOptions,
    clock: Arc<dyn Clock>,
    fetch: Arc<Fetch>,
    kept: Arc<RwLock<Kept>>,
    /// When it was last asked for, with or without an answer.
    asked: Arc<Mutex<Option<Instant>>>,
}

type Kept = Option<(Arc<VerifySet>, Instant)>;

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Verifier {
    /// For tokens of `issuer`, compared byte for byte (`https://app.example.com/auth/v1`). `fetch` answers the text of
    /// its key set, or fails; ten seconds are waited for it. Clocks may differ by half a minute.
    pub fn new<A, E>(
        issuer: &str,
        clock: Arc<dyn Clock>,
        fetch: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<Self>
    where
        A: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut options = TokenOptions::new(issuer);
        options.leeway = Duration::from_secs(30);
        options.check()?;
        let fetch: Arc<Fetch> = Arc::new(move || {
            let answer = fetch();
            Box::pin(async move { answer.await.map_err(Error::internal) })
        });
        Ok(Self { options, clock, fetch, kept: Arc::default(), asked: Arc::default() })
    }

    /// Another longest lifetime than an hour, for an issuer whose tokens live longer.
    #[must_use]
    pub fn accept_lifetimes_to(mut self, longest: Duration) -> Self {
        self.options.longest = longest;
        self
    }

    /// Whom the token names: a user with its claims, but for `user_permissions`: no token says them.
    ///
    /// [`Code::BadJwt`] for everything that is wrong with it; [`Code::OverCapacity`] when the key set cannot be had and
    /// the last one is an hour old.
    pub async fn verify(&self, token: &str) -> Result<Principal> {
        let now = self.clock.now();
        let check = |set: &VerifySet| verify(token, set, &self.options, now);
        let verified = match self.set().filter(|(_, taken)| taken.elapsed() < KEPT) {
            Some((set, _)) => match check(&set) {
                Err(_) if !knows(&set, token) => check(&*self.renew(token).await?),
                checked => checked,
            },
            None => check(&*self.renew(token).await?),
        }?;
        let claims = match verified.roles() {
            None => Arc::clone(verified.claims()),
            Some(_) => without_permissions(verified.claims())?,
        };
        Ok(Principal::signed_in(verified.user(), verified.session(), claims))
    }

    /// Fetches the set, unless that was tried lately. Those who come meanwhile wait for its answer.
    async fn renew(&self, token: &str) -> Result<Arc<VerifySet>> {
        let mut asked = Arc::clone(&self.asked).lock_owned().await;
        let kept = self.set().filter(|(_, taken)| taken.elapsed() < STALE);
        let lately = asked.is_some_and(|asked| asked.elapsed() < APART);
        match &kept {
            // Somebody else fetched it meanwhile, or nobody can.
            Some((set, taken)) if lately || (taken.elapsed() < KEPT && knows(set, token)) => {
                return Ok(Arc::clone(set));
            }
            None if asked.is_some_and(|asked| asked.elapsed() < AGAIN) => return Err(Error::overloaded(5)),
            _ => {}
        }
        *asked = Some(Instant::now());
        let (fetch, place) = (Arc::clone(&self.fetch), Arc::clone(&self.kept));
        // In a task of its own, which no client that hangs up takes along.
        let fetched = tokio::spawn(async move {
            let text = tokio::time::timeout(PATIENCE, fetch()).await;
            let set = Arc::new(parse(&text.map_err(Error::internal)??)?);
            let kept = Some((Arc::clone(&set), Instant::now()));
            *place.write().unwrap_or_else(PoisonError::into_inner) = kept;
            drop(asked);
            Ok(set)
        });
        match fetched.await.map_err(Error::internal).and_then(|fetched| fetched) {
            Ok(set) => Ok(set),
            Err(error) => match kept {
                Some((set, _)) => {
                    tracing::warn!(error = ?error, "the key set could not be fetched; going on with the last");
                    Ok(set)
                }
                None => Err(Error::overloaded(5).with_source(error)),
            },
        }
    }

    fn set(&self) -> Option<(Arc<VerifySet>, Instant)> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What roles give is never a token's to say, whoever signed it.
fn without_permissions(claims: &Arc<str>) -> Result<Arc<str>> {
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(claims).map_err(Error::internal)?;
    if members.remove(USER_PERMISSIONS).is_none() {
        return Ok(Arc::clone(claims));
    }
    Ok(Arc::from(serde_json::Value::Object(members).to_string()))
}

/// Whether the token names a key of the set, or none at all: then another set would not help.
fn knows(set: &VerifySet, token: &str) -> bool {
    let header = token.split('.').next().filter(|part| part.len() < 1_024).and_then(|part| read(part).ok());
    header.and_then(|header| header.kid).is_none_or(|kid| set.keys.contains_key(&kid))
}

/// Public keys of kinds that are known; others are passed over (RFC 7517 s5), symmetric ones among them.
fn parse(text: &str) -> Result<VerifySet> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let unusable =
        |why: &'static str| Error::new(Code::Configuration, "the key set is not usable").with_source(why);
    if text.len() > LONGEST {
        return Err(unusable("longer than 64 KiB"));
    }
    let Set { keys } = strict_json(text.as_bytes()).map_err(|_| unusable("not a JWK set"))?;
    if keys.len() > MOST {
        return Err(unusable("more than 32 keys"));
    }
    let keys: Vec<VerifyKey> =
        keys.iter().filter_map(|key| VerifyKey::from_jwk(&key.to_string()).ok()).collect();
    if keys.is_empty() { Err(unusable("no key of a kind that is known")) } else { VerifySet::new(keys) }
}

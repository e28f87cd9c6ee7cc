//! Password hashes: Argon2id keyed with a secret, in a bounded pool of threads.

mod params;
mod pool;
mod stored;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use argon2::Block;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::{Error, Result, Secret};
use crate::validate::NewPassword;

use super::cipher::does_not_open;
use super::{Context, DataKey, Keyring, Purpose};
use pool::Pool;
use stored::Stored;

pub use params::PasswordParams;
pub use pool::PasswordPool;

/// What stands in front of an imported hash that was sealed.
const SEALED: &str = "$aurora-sealed-1$";

/// What checking a password came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The password is the one.
    Match {
        /// The stored hash has less memory, fewer passes, no secret or another algorithm than a new one would. One
        /// that has more stays, so that a machine that calibrates lower does not undo what another raised.
        needs_rehash: bool,
    },
    /// It is not, or there was no hash to compare with.
    Mismatch,
}

/// Hashes passwords and checks them. Cheap to clone.
///
/// Argon2id version 19, with a secret from the [`Keyring`] as Argon2's own secret input, so that a copy of the
/// database alone is no use to a dictionary. The hash is a PHC string whose `keyid` tells that it is keyed.
/// bcrypt hashes of imported users verify and ask to be rehashed; until then they lie sealed.
#[derive(Clone, Debug)]
pub struct PasswordHasher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    pool: Pool,
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
}

impl PasswordHasher {
    /// Starts the pool's threads. `Code::Configuration` when a parameter is out of bounds.
    pub fn new(
        keyring: &Keyring,
        params: PasswordParams,
        pool: PasswordPool,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        params.check()?;
        let secret = Zeroizing::new(keyring.mac(Purpose::Password, "argon2 secret", &[]));
        let name = keyring.mac(Purpose::Password, "argon2 secret's id", &[]);
        let key_id = *name.first_chunk().ok_or_else(|| Error::internal("hash too short"))?;
        let engine = Arc::new(Engine { params, secret, key_id });
        let pool = Pool::start(pool, params.blocks())?;
        Ok(Self(Arc::new(Inner { engine, pool, keyring: keyring.clone(), entropy })))
    }

    /// The parameters that new hashes get.
    pub fn params(&self) -> PasswordParams {
        self.0.engine.params
    }

    /// A new hash, as a PHC string of under 160 bytes.
    ///
    /// `Code::OverCapacity` when the queue is full or the deadline over; `Code::ValidationFailed` over 1024
    /// bytes ([`NewPassword::bounded`]).
    pub async fn hash(&self, password: &Secret) -> Result<String> {
        NewPassword::bounded(password)?;
        let password = password.clone();
        let salt = random::<16>(&*self.0.entropy)?;
        let engine = Arc::clone(&self.0.engine);
        self.0.pool.run(move |memory| engine.hash(password.expose().as_bytes(), &salt, memory)).await?
    }

    /// Whether `password` is the one that `stored` was made from. `None`, for an unknown user, and a hash that
    /// cannot be used cost the same work and are a [`Verdict::Mismatch`].
    ///
    /// `Code::OverCapacity` when the queue is full or the deadline over; `Code::ValidationFailed` over 1024
    /// bytes ([`NewPassword::bounded`]).
    pub async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<Verdict> {
        Ok(self.verify_and(password, stored, || ()).await?.0)
    }

    /// The same, with `more` work about the password in the same turn, if it is the right one. A panic in it leaves
    /// the verdict as it is, and no result.
    pub async fn verify_and<T: Send + 'static>(
        &self,
        password: &Secret,
        stored: Option<&str>,
        more: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(Verdict, Option<T>)> {
        NewPassword::bounded(password)?;
        let password = password.clone();
        let stored = self.unsealed(stored.unwrap_or_default());
        let stored = Stored::parse(&stored, &self.0.engine.params);
        let engine = Arc::clone(&self.0.engine);
        let look = move |memory: &mut Vec<_>| {
            let verdict = engine.verify(password.expose().as_bytes(), &stored, memory);
            let right = matches!(verdict, Verdict::Match { .. });
            let more = right.then(|| catch_unwind(AssertUnwindSafe(more)).ok()).flatten();
            (verdict, more)
        };
        self.0.pool.run(look).await
    }

    /// Runs other work about a password within the pool's bounds: at its priority, no more of it at a time than
    /// hashes. `Code::OverCapacity` as for a hash; a panic in it is an error of this call alone.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.0.pool.run(move |_| work()).await
    }
}

impl PasswordHasher {
    /// An imported hash in the form in which it may be stored: sealed, since it is not keyed and would fall to any
    /// dictionary. One of this service's own is kept as it is.
    ///
    /// # Errors
    /// When no randomness can be drawn.
    pub fn seal_imported(&self, hash: &str) -> Result<String> {
        if Stored::parse(hash, &self.0.engine.params).is_keyed() {
            return Ok(hash.to_owned());
        }
        let sealed = self.0.keyring.seal(&Context::IMPORTED_PASSWORD, hash.as_bytes())?;
        Ok(SealedText::of(&sealed))
    }

    /// What does not open is unusable, as any hash that is not understood.
    fn unsealed(&self, stored: &str) -> Zeroizing<String> {
        if !stored.starts_with(SEALED) {
            return Zeroizing::new(stored.to_owned());
        }
        let sealed = SealedText::parse(stored.as_bytes());
        let opened = sealed.and_then(|sealed| self.0.keyring.unseal(&Context::IMPORTED_PASSWORD, &sealed));
        let text = opened.ok().and_then(|opened| String::from_utf8(opened.expose().to_vec()).ok());
        Zeroizing::new(text.unwrap_or_default())
    }
}

/// A sealed hash as it stands in a column of texts.
pub(crate) struct SealedText;

impl SealedText {
    pub(crate) fn of(sealed: &[u8]) -> String {
        format!("{SEALED}{}", STANDARD_NO_PAD.encode(sealed))
    }

    /// What it is of; an error says nothing more than that.
    pub(crate) fn parse(text: &[u8]) -> Result<Vec<u8>> {
        let sealed = text.strip_prefix(SEALED.as_bytes()).and_then(|text| STANDARD_NO_PAD.decode(text).ok());
        sealed.ok_or_else(does_not_open)
    }

    /// What such texts begin with that the key of that number sealed: nine bytes are twelve characters.
    pub(crate) fn prefixes(key: u32) -> [String; 2] {
        DataKey::prefixes(key).map(|prefix| Self::of(&prefix))
    }
}

/// The work itself, on a thread of the pool.
struct Engine {
    params: PasswordParams,
    secret: Zeroizing<[u8; 32]>,
    key_id: [u8; 6],
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Engine {
    fn hash(&self, password: &[u8], salt: &[u8; 16], memory: &mut Vec<Block>) -> Result<String> {
        let mut out = Zeroizing::new([0; 32]);
        self.params.run(Some(&*self.secret), password, salt, out.as_mut_slice(), memory)?;
        Ok(stored::phc(&self.params, &self.key_id, salt, &*out))
    }

    fn verify(&self, password: &[u8], stored: &Stored, memory: &mut Vec<Block>) -> Verdict {
        use subtle::ConstantTimeEq;
        match stored {
            Stored::Argon2id(hash) => {
                let secret = match hash.key_id {
                    None => None,
                    Some(id) if id == self.key_id => Some(&*self.secret),
                    Some(_) => return self.dummy(password, memory),
                };
                let mut out = Zeroizing::new(vec![0; hash.output.len()]);
                if hash.params.run(secret, password, &hash.salt, &mut out, memory).is_err() {
                    return self.dummy(password, memory);
                }
                if !bool::from(out.ct_eq(&hash.output)) {
                    // A hash from before the parameters were raised must not tell by its speed that it is there.
                    if let Some(missing) = hash.params.missing_to(&self.params) {
                        self.burn(&missing, password, memory);
                    }
                    return Verdict::Mismatch;
                }
                let weak =
                    hash.params.is_weaker_than(&self.params) || secret.is_none() || hash.output.len() < 32;
                Verdict::Match { needs_rehash: weak }
            }
            // bcrypt reads no further than 72 bytes: a longer password could match by its beginning.
            Stored::Bcrypt(hash) if password.len() <= 72 => match bcrypt::verify(password, hash) {
                Ok(true) => Verdict::Match { needs_rehash: true },
                Ok(false) => Verdict::Mismatch,
                Err(_) => self.dummy(password, memory),
            },
            Stored::Bcrypt(_) | Stored::Unusable => self.dummy(password, memory),
        }
    }

    /// The work of a real check, for nothing.
    fn dummy(&self, password: &[u8], memory: &mut Vec<Block>) -> Verdict {
        self.burn(&self.params, password, memory);
        Verdict::Mismatch
    }

    fn burn(&self, params: &PasswordParams, password: &[u8], memory: &mut Vec<Block>) {
        let mut out = [0; 32];
        let worked = params.run(Some(&*self.secret), password, &[0; 16], &mut out, memory);
        std::hint::black_box((worked.is_ok(), out));
    }
}

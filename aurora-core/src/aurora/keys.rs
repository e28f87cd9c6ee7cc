//! Keys that are given: what signs, what verifies besides, and the API's address, as a Supabase project has them.

use std::sync::Arc;

use super::{Aurora, Builder};
use crate::auth::{Auth, JOB, LEASE, PERIOD, SigningKeyJob};
use crate::config::Profile;
use crate::crypto::{Keyring, Suite};
use crate::env::{Clock, Entropy, SystemEntropy};
use crate::jobs::{Jobs, Slot, Task};
use crate::session::DatabaseSigningKeys;
use crate::session::token::{ProjectKeys, SigningKey, TokenKeys, TokenOptions, VerifyKey};
use crate::store;
use crate::types::{Result, Secret};

/// The HS256 secret of every `supabase start`. Whoever read Supabase's documentation can sign with it.
const SUPABASE_START: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// What the builder was given.
#[derive(Default)]
pub(super) struct Given {
    verify: Vec<VerifyKey>,
    jwt_keys: Vec<Secret>,
    shared_secret: Option<Secret>,
    pub(super) suite: Suite,
}

impl Builder {
    /// The public address of the API where it is not the site's: `http://127.0.0.1:54321` beside a site at
    /// `http://localhost:3000`. Tokens name it as their issuer, links in mails begin with it, and pages of the site may
    /// call it.
    pub fn api_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.configure(move |settings| settings.api_url = Some(url))
    }

    /// What new values and files are sealed by; Cobblestone-256 unless this says otherwise. What another suite sealed opens
    /// as before, and is sealed anew when its data key is rotated.
    pub fn suite(mut self, suite: Suite) -> Self {
        self.given.suite = suite;
        self
    }

    /// Accepts access tokens of this key too, beside our own. They name our issuer, as our own do, and who holds the
    /// key signs for every user. It never names an application: a `service_role` that it signs opens nothing.
    pub fn verify_key(mut self, key: VerifyKey) -> Self {
        self.given.verify.push(key);
        self
    }

    /// The project's own keys, as Supabase Auth takes them in `GOTRUE_JWT_KEYS`: a JSON array of JWKs, a JWK set, or
    /// one JWK. The private one (RS256, ES256, EdDSA; HS256 as `oct`) signs instead of a key that Aurora makes, under
    /// its own `kid`; the others verify. A JWT of theirs with the role `anon` or `service_role` and no user is a key
    /// of an application.
    pub fn jwt_keys(mut self, json: Secret) -> Self {
        self.given.jwt_keys.push(json);
        self
    }

    /// The project's HS256 secret: signs with it instead of ES256, for services that know nothing else. Whoever can
    /// verify can then sign, and clients cannot verify by themselves. Beside [`jwt_keys`](Self::jwt_keys) of which one
    /// signs, it only verifies. `anon` and `service_role` keys that it signed are keys of applications.
    pub fn shared_secret(mut self, secret: Secret) -> Self {
        self.given.shared_secret = Some(secret);
        self
    }
}

impl Aurora {
    /// Replaces the root key: puts a new one in front of the key file and wraps every data key under it. Answers the new
    /// one's name and how many data keys were wrapped anew. Where the keys come from a text or a provider of the host's,
    /// the new one is put there first, and this wraps under it.
    ///
    /// # Errors
    /// [`Code::Configuration`](crate::types::Code::Configuration) when the file cannot be read or replaced; the former
    /// one is whole then.
    pub async fn rotate_root_key(&self) -> Result<(String, u64)> {
        match &self.0.key_file {
            Some(place) => self.keys().rotate_root(place, &system()).await,
            None => self.keys().rewrap().await,
        }
    }

    /// Takes a root key that was replaced out of the key file, when no backup needs it any more.
    pub async fn forget_root_key(&self, id: &str) -> Result<()> {
        match &self.0.key_file {
            Some(place) => self.keys().forget_root(place, id, &system()).await,
            None => Err(crate::types::Error::new(
                crate::types::Code::Configuration,
                "the root keys are not in a file: take it out where they are kept",
            )),
        }
    }
}

fn system() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

impl Given {
    /// What signs and verifies access tokens.
    pub(super) async fn tokens(
        self,
        keyring: &Keyring,
        shared: &Arc<dyn store::Database>,
        (options, profile): (TokenOptions, Profile),
        clock: &dyn Clock,
    ) -> Result<TokenKeys> {
        let (mut signing, mut verify) = (None, self.verify);
        for text in &self.jwt_keys {
            let (key, others) = ProjectKeys::parse(text)?.into_parts();
            verify.extend(others);
            match key {
                Some(key) if signing.is_none() => signing = Some(key),
                Some(_) => return Err(several()),
                None => {}
            }
        }
        if let Some(secret) = &self.shared_secret {
            // Development listens on loopback alone: there a project's front end works with what it has.
            let known = profile == Profile::Development && secret.expose() == SUPABASE_START;
            let key =
                if known { SigningKey::unchecked_secret(secret) } else { SigningKey::shared_secret(secret)? };
            match signing {
                None => signing = Some(key),
                Some(_) => verify.push(key.into_verify_key()),
            }
        }
        match signing {
            Some(key) => TokenKeys::with_signing_key(key, verify, options),
            None => {
                let store = Arc::new(DatabaseSigningKeys::new(Arc::clone(shared)));
                TokenKeys::open(keyring, store, verify, options, clock).await
            }
        }
    }
}

fn several() -> crate::types::Error {
    crate::types::Error::new(
        crate::types::Code::Configuration,
        "several of the keys sign: leave `sign` in the `key_ops` of one",
    )
}

/// Aurora's own keys are moved by a job; those that were given are not.
pub(super) fn start(
    jobs: &Jobs,
    auth: &Auth,
    shared: &Arc<dyn store::Database>,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<()> {
    if !auth.sessions().parts().tokens.is_sealed() {
        return Ok(());
    }
    let slot = Slot::new(Arc::clone(shared), Arc::clone(clock), entropy, LEASE)?;
    jobs.start(Task::new(JOB, PERIOD, Arc::new(SigningKeyJob { auth: auth.clone(), slot })));
    Ok(())
}

//! Keys of applications: made, listed, revoked.

use std::net::IpAddr;

use super::Auth;
use crate::audit::{Action, Actor, Record};
use crate::session::{ApiKeyInfo, ApiKeyKind, ApiScope, api_key_hash, api_key_hint, make_api_key};
use crate::store::ApiKeyRow;
use crate::types::{ApiKeyId, Code, Error, RequestId, Result, Secret};
use crate::validate::printable;

/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 64;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Publishable or secret.
    pub kind: ApiKeyKind,
    /// What people call it: 1 to 64 characters.
    pub name: String,
    /// What a secret key may do: at least one scope. A publishable key has none.
    pub scopes: Vec<ApiScope>,
}

impl Auth {
    /// Makes a key of an application and answers its text, which is nowhere but in this answer. Every process takes it
    /// within a second. [`Code::ValidationFailed`] for a name or scopes that are not as [`NewApiKey`] says.
    pub async fn create_api_key(&self, new: NewApiKey) -> Result<(ApiKeyInfo, Secret)> {
        let invalid = |text: &'static str| Err(Error::new(Code::ValidationFailed, text));
        let name = printable(new.name.trim(), LONGEST_NAME);
        if name.is_empty() || name != new.name.trim() {
            return invalid("a key's name has 1 to 64 printable characters");
        }
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        match new.kind {
            ApiKeyKind::Secret if scopes.is_empty() => {
                return invalid("a secret key needs a scope: auth, data, or both");
            }
            ApiKeyKind::Publishable if !scopes.is_empty() => {
                return invalid("a publishable key has no scopes: it acts as anon");
            }
            _ => {}
        }
        let parts = self.0.sessions.parts();
        let text = make_api_key(new.kind, &*parts.entropy)?;
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let row = ApiKeyRow {
            id: ApiKeyId::from_random(self.random()?),
            kind: new.kind.as_str().to_owned(),
            name,
            hint: api_key_hint(new.kind, &text),
            hash: api_key_hash(&parts.keyring, text.expose()),
            scopes: names.join(" "),
            created_at: self.now(),
            last_used_at: None,
            revoked_at: None,
        };
        let record = Record::security(row.created_at, Actor::Service, Action::API_KEY_CREATED)
            .target(row.id)
            .with("kind", &row.kind)
            .with("name", &row.name)
            .with("scopes", &row.scopes);
        let mut transaction = self.database().begin().await?;
        transaction.insert_api_key(&row).await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.api_keys().forget();
        Ok((ApiKeyInfo::of(row)?, text))
    }

    /// Every key that was made, oldest first, revoked ones too. Those of the settings are not among them.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyInfo>> {
        let rows = self.database().read().await?.api_keys().await?;
        rows.into_iter().map(ApiKeyInfo::of).collect()
    }

    /// Revokes a key: refused here from now on, in other processes within a second. Again it changes nothing.
    /// [`Code::NotFound`] if there is no such key.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<()> {
        let now = self.now();
        let mut transaction = self.database().begin().await?;
        if !transaction.revoke_api_key(id, now).await? {
            let known = transaction.api_keys().await?.iter().any(|row| row.id == id);
            let missing = || Error::new(Code::NotFound, "There is no such key");
            return if known { Ok(()) } else { Err(missing()) };
        }
        let record = Record::security(now, Actor::Service, Action::API_KEY_REVOKED).target(id);
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.api_keys().forget();
        Ok(())
    }

    /// Records that a key which is known was refused. `path` is without its query; the key is in no record.
    pub(crate) async fn record_refused_key(
        &self,
        key: Option<ApiKeyId>,
        reason: &'static str,
        path: &str,
        address: IpAddr,
        request: RequestId,
    ) -> Result<()> {
        let mut record = Record::security(self.now(), Actor::Anonymous, Action::API_KEY_REFUSED)
            .request(request)
            .with("reason", reason)
            .with("route", path)
            .with("address", address);
        if let Some(key) = key {
            record = record.target(key);
        }
        let mut transaction = self.database().begin().await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await
    }
}

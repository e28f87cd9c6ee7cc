//! Keys of applications, and the states of signing keys.

use std::time::Duration;

use super::samples::{NOW, fresh, hash};
use super::{Handles, is, same, there};
use crate::store::{ApiKeyRow, SigningKeyRow};
use crate::types::{ApiKeyId, Result};

fn key() -> ApiKeyRow {
    ApiKeyRow {
        id: ApiKeyId::from_random(fresh()),
        kind: "secret".to_owned(),
        name: "nightly, é".to_owned(),
        hint: "N7UN".to_owned(),
        hash: hash(),
        scopes: "auth data".to_owned(),
        created_at: NOW,
        last_used_at: None,
        revoked_at: None,
    }
}

async fn api_key(handles: &Handles, id: ApiKeyId) -> Result<ApiKeyRow> {
    let all = handles.second.read().await?.api_keys().await?;
    there("the key", all.into_iter().find(|found| found.id == id))
}

async fn signing_key(handles: &Handles, id: u32) -> Result<SigningKeyRow> {
    let all = handles.first.read().await?.signing_keys().await?;
    there("the key", all.into_iter().find(|found| found.id == id))
}

pub(super) async fn an_api_key_is_noted_and_revoked_once(handles: &Handles) -> Result<()> {
    let row = key();
    let mut transaction = handles.first.begin().await?;
    transaction.insert_api_key(&row).await?;
    transaction.commit().await?;
    let mut transaction = handles.first.begin().await?;
    let twin = ApiKeyRow { id: ApiKeyId::from_random(fresh()), ..row.clone() };
    is("one hash is one key", transaction.insert_api_key(&twin).await.is_err())?;
    drop(transaction);
    let read = api_key(handles, row.id).await?;
    let members = (read.kind, read.name, read.hint, read.hash, read.scopes, read.created_at);
    let wanted = (row.kind.clone(), row.name.clone(), row.hint.clone(), row.hash, row.scopes.clone(), NOW);
    same("as written", &members, &wanted)?;
    same("neither used nor revoked", &(read.last_used_at, read.revoked_at), &(None, None))?;
    let (hour, later) = (Duration::from_secs(3600), NOW.plus(Duration::from_secs(1800)));
    let mut transaction = handles.second.begin().await?;
    is("first use", transaction.note_api_key_use(row.id, NOW, NOW.minus(hour)).await?)?;
    is("too soon", !transaction.note_api_key_use(row.id, later, later.minus(hour)).await?)?;
    is("revoked", transaction.revoke_api_key(row.id, later).await?)?;
    is("once", !transaction.revoke_api_key(row.id, NOW).await?)?;
    is("one that is not there", !transaction.revoke_api_key(ApiKeyId::from_random(fresh()), NOW).await?)?;
    transaction.commit().await?;
    let read = api_key(handles, row.id).await?;
    same("used and revoked", &(read.last_used_at, read.revoked_at), &(Some(NOW), Some(later)))
}

pub(super) async fn a_signing_key_changes_its_state_once(handles: &Handles) -> Result<()> {
    let row = SigningKeyRow {
        id: 4_000_000_001,
        kid: "conformance states".to_owned(),
        algorithm: "ES256".to_owned(),
        sealed: vec![1, 0, 2],
        public_jwk: "{}".to_owned(),
        state: "pending".to_owned(),
        created_at: NOW,
        changed_at: None,
    };
    let mut transaction = handles.first.begin().await?;
    is("added", transaction.insert_signing_key(&row).await?)?;
    transaction.commit().await?;
    let later = NOW.plus(Duration::from_secs(900));
    let mut transaction = handles.second.begin().await?;
    is("to active", transaction.change_signing_key(row.id, "pending", "active", later).await?)?;
    is("once", !transaction.change_signing_key(row.id, "pending", "active", later).await?)?;
    transaction.commit().await?;
    let read = signing_key(handles, row.id).await?;
    let members = (read.state.as_str(), read.changed_at, read.sealed);
    same("active since then", &members, &("active", Some(later), vec![1, 0, 2]))?;
    let mut transaction = handles.first.begin().await?;
    is("retired", transaction.change_signing_key(row.id, "active", "retired", later).await?)?;
    transaction.wipe_signing_key(row.id).await?;
    transaction.commit().await?;
    is("its private half is gone", signing_key(handles, row.id).await?.sealed.is_empty())
}

//! Second factors: what is written comes back, and what is good once is used once.

use std::sync::Arc;
use std::time::Duration;

use super::records::add_user;
use super::samples::{self, NOW};
use super::{Handles, is, same, there};
use crate::store::{Database, Factor, FactorChallenge, FactorRow};
use crate::types::{ChallengeId, Error, FactorId, FamilyId, Result, UserId};

/// How many do the same at once.
const CROWD: usize = 12;

fn factor(user: UserId, name: &str) -> FactorRow {
    FactorRow {
        id: FactorId::from_bytes(*samples::user_id().as_bytes()),
        user,
        name: name.to_owned(),
        kind: "totp".to_owned(),
        sealed: (0..=u8::MAX).collect(),
        last_step: -1,
        failures: 0,
        failed_at: None,
        verified_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn add(database: &dyn Database, row: &FactorRow) -> Result<bool> {
    let mut transaction = database.begin().await?;
    there("the user", transaction.user(row.user).await?)?;
    let added = transaction.insert_factor(row).await?;
    transaction.commit().await?;
    Ok(added)
}

fn columns(row: &FactorRow) -> String {
    let FactorRow { id, user, name, kind, sealed, last_step, failures, .. } = row;
    let times = (row.failed_at, row.verified_at, row.created_at, row.updated_at);
    format!("{id} {user} {name} {kind} {sealed:?} {last_step} {failures} {times:?}")
}

pub(super) async fn a_factor_comes_back_as_written(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let (mut one, mut two) = (factor(user.id, "phone \u{1f4f1}"), factor(user.id, ""));
    two.created_at = NOW.plus(Duration::from_micros(1));
    is("added", add(&*handles.first, &one).await? && add(&*handles.second, &two).await?)?;
    is("a name stands once", !add(&*handles.second, &factor(user.id, "")).await?)?;
    one.last_step = 60_000_000;
    one.verified_at = Some(NOW.plus(Duration::from_micros(7)));
    one.updated_at = NOW.plus(Duration::from_micros(8));
    let mut transaction = handles.first.begin().await?;
    there("the factor", transaction.factor(one.id).await?)?;
    is("updated", transaction.update_factor(&one).await?)?;
    is("one that is not there", !transaction.update_factor(&factor(user.id, "x")).await?)?;
    transaction.commit().await?;
    let found = there("the factor", handles.second.read().await?.factor(one.id).await?)?;
    same("columns", &columns(&found), &columns(&one))?;
    let listed = there("the user", handles.second.read().await?.user(user.id).await?)?.factors;
    let shown = |row: &FactorRow| Factor {
        id: row.id,
        name: row.name.clone(),
        kind: row.kind.clone(),
        verified_at: row.verified_at.map(|at| at.as_micros()),
        created_at: row.created_at.as_micros(),
        updated_at: row.updated_at.as_micros(),
    };
    same("the user's", &listed, &vec![shown(&one), shown(&two)])?;
    let mut transaction = handles.second.begin().await?;
    there("the user", transaction.user(user.id).await?)?;
    is("deleted", transaction.delete_factor(two.id).await?)?;
    is("deleted once", !transaction.delete_factor(two.id).await?)?;
    transaction.put_recovery_codes(user.id, &[samples::hash()], NOW).await?;
    transaction.delete_factors_of(user.id).await?;
    same("recovery codes", &transaction.recovery_codes(user.id).await?, &0)?;
    is("none is left", transaction.factor(one.id).await?.is_none())?;
    transaction.commit().await
}

pub(super) async fn a_challenge_goes_once_and_with_its_factor(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let row = factor(user.id, "phone");
    add(&*handles.first, &row).await?;
    let challenge = |seconds: u64| FactorChallenge {
        id: ChallengeId::from_bytes(*samples::user_id().as_bytes()),
        factor: row.id,
        address: "2001:db8::1".to_owned(),
        created_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(seconds)),
    };
    let (old, one, two) = (challenge(1), challenge(300), challenge(301));
    let mut transaction = handles.first.begin().await?;
    there("the user", transaction.user(user.id).await?)?;
    transaction.insert_challenge(&old, NOW).await?;
    transaction.insert_challenge(&one, NOW).await?;
    transaction.insert_challenge(&two, NOW.plus(Duration::from_secs(2))).await?;
    is("what ran out is forgotten", transaction.challenge(old.id).await?.is_none())?;
    let found = there("the challenge", transaction.challenge(one.id).await?)?;
    let of = |one: &FactorChallenge| (one.factor, one.address.clone(), one.created_at, one.expires_at);
    same("columns", &of(&found), &of(&one))?;
    is("deleted", transaction.delete_challenge(one.id).await?)?;
    is("deleted once", !transaction.delete_challenge(one.id).await?)?;
    transaction.delete_factor(row.id).await?;
    is("gone with its factor", transaction.challenge(two.id).await?.is_none())?;
    transaction.commit().await
}

/// Everybody has the same right code: one of them uses its step.
pub(super) async fn a_step_is_used_once(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let row = factor(user.id, "phone");
    add(&*handles.first, &row).await?;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let (database, id) = (handle(handles, number), row.id);
        crowd.spawn(async move {
            let mut transaction = database.begin().await?;
            let mut found = there("the factor", transaction.factor(id).await?)?;
            found.last_step = 7;
            let used = transaction.update_factor(&found).await?;
            transaction.commit().await?;
            Result::Ok(used)
        });
    }
    let mut used = 0;
    while let Some(done) = crowd.join_next().await {
        used += usize::from(done.map_err(Error::internal)??);
    }
    same("used", &used, &1)?;
    let mut failed = there("the factor", handles.first.read().await?.factor(row.id).await?)?;
    failed.failures = 3;
    let mut transaction = handles.second.begin().await?;
    is("a failure is written all the same", transaction.update_factor(&failed).await?)?;
    transaction.commit().await
}

pub(super) async fn a_recovery_code_is_used_once(handles: &Handles) -> Result<()> {
    let (user, other) = (add_user(&*handles.first).await?, add_user(&*handles.first).await?);
    let hashes = [samples::hash(), samples::hash(), samples::hash()];
    let [code, ..] = hashes;
    let mut transaction = handles.first.begin().await?;
    there("the user", transaction.user(user.id).await?)?;
    transaction.put_recovery_codes(user.id, &[samples::hash()], NOW).await?;
    transaction.put_recovery_codes(user.id, &hashes, NOW).await?;
    transaction.commit().await?;
    let mut transaction = handles.first.begin().await?;
    is("another's is none", !transaction.use_recovery_code(other.id, &code).await?)?;
    transaction.commit().await?;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let (database, id) = (handle(handles, number), user.id);
        crowd.spawn(async move {
            let mut transaction = database.begin().await?;
            there("the user", transaction.user(id).await?)?;
            let used = transaction.use_recovery_code(id, &code).await?;
            transaction.commit().await?;
            Result::Ok(used)
        });
    }
    let mut used = 0;
    while let Some(done) = crowd.join_next().await {
        used += usize::from(done.map_err(Error::internal)??);
    }
    same("used", &used, &1)?;
    same("left", &handles.second.read().await?.recovery_codes(user.id).await?, &2)
}

/// A session with a new chain: one token, and none of before is found.
pub(super) async fn a_rewritten_session_has_one_token(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let (mut session, old, new) = (samples::session(user.id), samples::hash(), samples::hash());
    let mut transaction = handles.first.begin().await?;
    transaction.insert_session(&session, &old).await?;
    transaction.commit().await?;
    let mut transaction = handles.second.begin().await?;
    there("the session", transaction.session(session.id).await?)?;
    session.family = FamilyId::from_bytes(*samples::user_id().as_bytes());
    session.aal = "aal2".to_owned();
    session.amr = r#"[{"method":"totp","timestamp":1900000001}]"#.to_owned();
    session.refreshed_at = NOW.plus(Duration::from_secs(9));
    session.authenticated_at = NOW.plus(Duration::from_secs(8));
    transaction.rewrite_session(&session, Some(&new)).await?;
    transaction.commit().await?;
    let mut reader = handles.first.read().await?;
    is("the old token is gone", reader.refresh_token(&old).await?.is_none())?;
    let found = there("the new token", reader.refresh_token(&new).await?)?;
    same("its place", &(found.generation, found.successor_used_at), &(0, None))?;
    let of = |one: &crate::store::Session| {
        (one.family, one.aal.clone(), one.amr.clone(), one.refreshed_at, one.authenticated_at)
    };
    same("the session", &of(&found.session), &of(&session))?;
    drop(reader);
    session.aal = "aal1".to_owned();
    let mut transaction = handles.first.begin().await?;
    there("the session", transaction.session(session.id).await?)?;
    transaction.rewrite_session(&session, None).await?;
    transaction.commit().await?;
    let found = there("the same token", handles.second.read().await?.refresh_token(&new).await?)?;
    same("its level", &found.session.aal, &session.aal)
}

fn handle(handles: &Handles, number: usize) -> Arc<dyn Database> {
    Arc::clone(if number.is_multiple_of(2) { &handles.first } else { &handles.second })
}

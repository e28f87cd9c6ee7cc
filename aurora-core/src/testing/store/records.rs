//! What is written comes back, and what ends is told.

use std::time::Duration;

use super::samples::{self, NOW};
use super::{Handles, is, same, there};
use crate::store::{AuditRow, Database, KeyRow, SigningKeyRow, User};
use crate::types::{Code, Error, Result, SessionId, Timestamp};

/// A user who is committed.
pub(super) async fn add_user(database: &dyn Database) -> Result<User> {
    let user = samples::user()?;
    let mut transaction = database.begin().await?;
    is("a new address is free", transaction.insert_user(&user).await?)?;
    transaction.commit().await?;
    Ok(user)
}

/// The last number that is taken.
pub(super) async fn newest(database: &dyn Database) -> Result<i64> {
    let (mut last, mut reader) = (0, database.read().await?);
    loop {
        match reader.revocations(last).await?.last() {
            Some(row) => last = row.sequence,
            None => return Ok(last),
        }
    }
}

async fn ended_after(database: &dyn Database, sequence: i64) -> Result<Vec<SessionId>> {
    let rows = database.read().await?.revocations(sequence).await?;
    let ascending = rows.windows(2).all(|pair| pair.iter().map(|row| row.sequence).is_sorted());
    is("revocations ascend", ascending)?;
    Ok(rows.into_iter().map(|row| row.session).collect())
}

pub(super) async fn what_is_not_there_is_none(handles: &Handles) -> Result<()> {
    let mut reader = handles.first.read().await?;
    let (id, session) = (samples::user_id(), samples::session(samples::user_id()).id);
    is("no user", reader.user(id).await?.is_none())?;
    is("no address", reader.user_by_email(&"nobody@example.com".parse()?).await?.is_none())?;
    is("no session", reader.session(session).await?.is_none())?;
    is("no sessions", reader.sessions_of(id).await?.is_empty())?;
    is("no token", reader.refresh_token(&samples::hash()).await?.is_none())?;
    drop(reader);
    let mut transaction = handles.first.begin().await?;
    is("no user to lock", transaction.user(id).await?.is_none())?;
    is("no user to change", !transaction.update_user(&samples::user()?).await?)?;
    is("no user to delete", transaction.delete_user(id, NOW).await?.is_none())?;
    is("no session to end", !transaction.end_session(session, NOW).await?)?;
    transaction.commit().await
}

pub(super) async fn a_user_comes_back_as_written(handles: &Handles) -> Result<()> {
    let mut user = add_user(&*handles.first).await?;
    compare(&there("by id", handles.second.read().await?.user(user.id).await?)?, &user)?;
    let email = there("an address", user.email.clone())?;
    compare(&there("by address", handles.second.read().await?.user_by_email(&email).await?)?, &user)?;
    // A ban for ever, and nothing else.
    (user.email_confirmed_at, user.new_email, user.email_change_sent_at) = (None, None, None);
    (user.confirmation_sent_at, user.password, user.last_sign_in_at) = (None, None, None);
    user.banned_until = Some(Timestamp::from_micros(i64::MAX));
    (user.app_metadata, user.user_metadata) = ("{}".to_owned(), "{}".to_owned());
    user.updated_at = NOW.plus(Duration::from_micros(1));
    let mut transaction = handles.first.begin().await?;
    is("changed", transaction.update_user(&user).await?)?;
    compare(&there("its own write", transaction.user(user.id).await?)?, &user)?;
    transaction.commit().await?;
    compare(&there("committed", handles.second.read().await?.user(user.id).await?)?, &user)
}

fn compare(found: &User, wanted: &User) -> Result<()> {
    let moments = |user: &User| {
        [
            user.email_confirmed_at,
            user.email_change_sent_at,
            user.confirmation_sent_at,
            user.banned_until,
            user.last_sign_in_at,
            Some(user.created_at),
            Some(user.updated_at),
        ]
    };
    same("id", &found.id, &wanted.id)?;
    same("addresses", &(&found.email, &found.new_email), &(&wanted.email, &wanted.new_email))?;
    same("moments", &moments(found), &moments(wanted))?;
    same("password", &found.password, &wanted.password)?;
    same("app_metadata", &found.app_metadata, &wanted.app_metadata)?;
    same("user_metadata", &found.user_metadata, &wanted.user_metadata)
}

pub(super) async fn a_taken_address_is_false_and_the_transaction_goes_on(handles: &Handles) -> Result<()> {
    let first = add_user(&*handles.first).await?;
    let mut second = add_user(&*handles.first).await?;
    let mut transaction = handles.second.begin().await?;
    let mut third = samples::user()?;
    third.email.clone_from(&first.email);
    is("taken at insert", !transaction.insert_user(&third).await?)?;
    let former = std::mem::replace(&mut second.email, first.email.clone());
    is("taken at update", !transaction.update_user(&second).await?)?;
    second.email = former;
    second.user_metadata = r#"{"went":"on"}"#.to_owned();
    is("the transaction goes on", transaction.update_user(&second).await?)?;
    second.email = Some(format!("moved-{}@example.com", second.id).parse()?);
    is("a free address", transaction.update_user(&second).await?)?;
    transaction.commit().await?;
    compare(&there("the second", handles.first.read().await?.user(second.id).await?)?, &second)?;
    is("the third is not there", handles.first.read().await?.user(third.id).await?.is_none())
}

pub(super) async fn an_identity_is_renewed(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let mut identity = samples::identity(user.id);
    for last in [None, Some(NOW.as_micros() + 5)] {
        identity.last_sign_in_at = last;
        let mut transaction = handles.first.begin().await?;
        transaction.put_identity(user.id, &identity).await?;
        transaction.commit().await?;
        let found = there("the user", handles.second.read().await?.user(user.id).await?)?.identities;
        let found: Vec<_> =
            found.iter().map(|one| (one.id, one.created_at, one.updated_at, one.last_sign_in_at)).collect();
        same("identities", &found, &vec![(identity.id, identity.created_at, identity.updated_at, last)])?;
    }
    Ok(())
}

pub(super) async fn a_deleted_user_takes_all_along(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let (session, token) = (samples::session(user.id), samples::hash());
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    transaction.put_identity(user.id, &samples::identity(user.id)).await?;
    transaction.insert_session(&session, &token).await?;
    transaction.commit().await?;
    let mut transaction = handles.first.begin().await?;
    same("ended", &transaction.delete_user(user.id, NOW).await?, &Some(vec![session.id]))?;
    transaction.commit().await?;
    let mut reader = handles.second.read().await?;
    is("no user", reader.user(user.id).await?.is_none())?;
    is("no session", reader.session(session.id).await?.is_none())?;
    is("no token", reader.refresh_token(&token).await?.is_none())?;
    drop(reader);
    same("revoked", &ended_after(&*handles.second, before).await?, &vec![session.id])
}

pub(super) async fn sessions_are_listed_newest_first(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let mut wanted = Vec::new();
    for age in [30, 10, 20] {
        let mut session = samples::session(user.id);
        session.created_at = NOW.minus(Duration::from_secs(age));
        (session.user_agent, session.address) = (None, None);
        let mut transaction = handles.first.begin().await?;
        transaction.insert_session(&session, &samples::hash()).await?;
        transaction.commit().await?;
        wanted.push((age, session.id));
    }
    wanted.sort();
    let found = handles.second.read().await?.sessions_of(user.id).await?;
    let found: Vec<SessionId> = found.iter().map(|session| session.id).collect();
    same("order", &found, &wanted.into_iter().map(|(_, id)| id).collect())
}

pub(super) async fn a_rotation_is_a_chain(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let mut session = samples::session(user.id);
    let tokens = [samples::hash(), samples::hash(), samples::hash()];
    let [first, second, third] = &tokens;
    let mut transaction = handles.first.begin().await?;
    transaction.insert_session(&session, first).await?;
    transaction.commit().await?;
    for (token, at) in [(second, 10), (third, 20)] {
        let mut transaction = handles.first.begin().await?;
        session.generation += 1;
        session.refreshed_at = NOW.plus(Duration::from_secs(at));
        session.address = Some(format!("192.0.2.{at}"));
        transaction.rotate(&session, token, NOW).await?;
        transaction.commit().await?;
    }
    let mut reader = handles.second.read().await?;
    for (token, place, used) in
        [(first, 0, Some(NOW.plus(Duration::from_secs(20)))), (second, 1, None), (third, 2, None)]
    {
        let found = there("the token", reader.refresh_token(token).await?)?;
        same("place", &(found.generation, found.successor_used_at), &(place, used))?;
        let session =
            (session.generation, session.refreshed_at, session.address.clone(), session.amr.clone());
        let found = found.session;
        same("session", &(found.generation, found.refreshed_at, found.address, found.amr), &session)?;
    }
    drop(reader);
    // What was used before the horizon is forgotten; the newest was never used.
    let mut transaction = handles.first.begin().await?;
    session.generation += 1;
    session.refreshed_at = NOW.plus(Duration::from_secs(60));
    transaction.rotate(&session, &samples::hash(), NOW.plus(Duration::from_secs(40))).await?;
    transaction.commit().await?;
    let mut reader = handles.second.read().await?;
    is("the oldest is forgotten", reader.refresh_token(first).await?.is_none())?;
    is("so is the next", reader.refresh_token(second).await?.is_none())?;
    is("the one just used is not", reader.refresh_token(third).await?.is_some())
}

pub(super) async fn a_rotation_of_another_generation_is_refused(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let mut session = samples::session(user.id);
    let mut transaction = handles.first.begin().await?;
    transaction.insert_session(&session, &samples::hash()).await?;
    session.generation = 2;
    let refused = transaction.rotate(&session, &samples::hash(), NOW).await;
    same("code", &refused.map_err(|error| error.code()), &Err(Code::OverCapacity))
}

pub(super) async fn whatever_ends_a_session_leaves_a_revocation(handles: &Handles) -> Result<()> {
    let mut user = add_user(&*handles.first).await?;
    let sessions: Vec<_> = (0..5).map(|_| samples::session(user.id)).collect();
    let mut transaction = handles.first.begin().await?;
    for session in &sessions {
        transaction.insert_session(session, &samples::hash()).await?;
    }
    transaction.commit().await?;
    let [one, two, three, four, five] = sessions.as_slice() else { return Err(Error::internal("five")) };
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    is("ended", transaction.end_session(one.id, NOW).await?)?;
    is("had ended", !transaction.end_session(one.id, NOW).await?)?;
    is("nobody sees it yet", ended_after(&*handles.second, before).await?.is_empty())?;
    transaction.commit().await?;
    same("one", &ended_after(&*handles.second, before).await?, &vec![one.id])?;
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    let mut ended = transaction.end_sessions_of(user.id, Some(two.id), NOW).await?;
    transaction.commit().await?;
    ended.sort();
    let mut wanted = vec![three.id, four.id, five.id];
    wanted.sort();
    same("all but one", &ended, &wanted)?;
    let mut told = ended_after(&*handles.second, before).await?;
    told.sort();
    same("told", &told, &wanted)?;
    // A ban ends what is left, whoever writes it.
    let before = newest(&*handles.second).await?;
    user.banned_until = Some(NOW.plus(Duration::from_secs(60)));
    let mut transaction = handles.first.begin().await?;
    is("banned", transaction.update_user(&user).await?)?;
    transaction.commit().await?;
    same("the ban", &ended_after(&*handles.second, before).await?, &vec![two.id])
}

pub(super) async fn a_sweep_ends_what_expired(handles: &Handles) -> Result<()> {
    let (ann, ben) = (add_user(&*handles.first).await?, add_user(&*handles.first).await?);
    let (mut expired, mut idle, live) =
        (samples::session(ann.id), samples::session(ann.id), samples::session(ann.id));
    let mut other = samples::session(ben.id);
    // Older than what the other checks leave behind.
    let old = NOW.minus(Duration::from_secs(1_000));
    expired.expires_at = old.minus(Duration::from_micros(1));
    idle.refreshed_at = old.minus(Duration::from_micros(1));
    other.refreshed_at = old.minus(Duration::from_micros(1));
    let mut transaction = handles.first.begin().await?;
    for session in [&expired, &idle, &live, &other] {
        transaction.insert_session(session, &samples::hash()).await?;
    }
    transaction.commit().await?;
    let mut transaction = handles.first.begin().await?;
    let mut ended = transaction.sweep(Some(ann.id), old, old, NOW.minus(Duration::from_secs(86_400))).await?;
    transaction.commit().await?;
    ended.sort();
    let mut wanted = vec![expired.id, idle.id];
    wanted.sort();
    same("hers", &ended, &wanted)?;
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    let ended = transaction.sweep(None, old, old, old.minus(Duration::from_secs(86_400))).await?;
    transaction.commit().await?;
    same("everybody's", &ended, &vec![other.id])?;
    same("told", &ended_after(&*handles.second, before).await?, &vec![other.id])?;
    // Forgotten once they are older than the horizon: all were noted at `old` or NOW.
    let mut transaction = handles.first.begin().await?;
    transaction.sweep(None, old, old, NOW.plus(Duration::from_micros(1))).await?;
    transaction.commit().await?;
    is("forgotten", handles.second.read().await?.revocations(0).await?.is_empty())?;
    is("the live one lives", handles.second.read().await?.session(live.id).await?.is_some())
}

pub(super) async fn keys_are_added_once(handles: &Handles) -> Result<()> {
    let wrapped = KeyRow {
        id: 4_000_000_000,
        purpose: "test".to_owned(),
        owner: "tenant:conformance".to_owned(),
        state: "active".to_owned(),
        wrapped: vec![0, 255, 7],
        created_at: NOW,
        changed_at: None,
    };
    let pending = KeyRow { id: 4_000_000_001, state: "pending".to_owned(), ..wrapped.clone() };
    let signing = SigningKeyRow {
        id: 4_000_000_000,
        kid: "conformance".to_owned(),
        algorithm: "ES256".to_owned(),
        sealed: vec![1, 0, 2],
        public_jwk: r#"{"kty":"EC", "b":1,"a":2}"#.to_owned(),
        state: "active".to_owned(),
        created_at: NOW,
        changed_at: None,
    };
    let mut transaction = handles.first.begin().await?;
    is("a key", transaction.insert_key(&wrapped).await?)?;
    is("the same number", !transaction.insert_key(&wrapped).await?)?;
    let second = KeyRow { id: 4_000_000_002, ..wrapped.clone() };
    is("a second active one of an owner and purpose", !transaction.insert_key(&second).await?)?;
    is("one that waits", transaction.insert_key(&pending).await?)?;
    is("a signing key", transaction.insert_signing_key(&signing).await?)?;
    is("the same number", !transaction.insert_signing_key(&signing).await?)?;
    transaction.commit().await?;
    let mut reader = handles.second.read().await?;
    let key = there("the key", reader.key(wrapped.id).await?)?;
    same("key", &(&key.purpose, &key.wrapped, key.created_at), &(&wrapped.purpose, &wrapped.wrapped, NOW))?;
    same(
        "its owner and state",
        &(key.owner, key.state, key.changed_at),
        &(wrapped.owner, wrapped.state, None),
    )?;
    let key = there("the key", reader.signing_keys().await?.into_iter().find(|key| key.id == signing.id))?;
    let found = (key.kid, key.algorithm, key.sealed, key.public_jwk, key.state, key.created_at);
    same(
        "signing key",
        &found,
        &(signing.kid, signing.algorithm, signing.sealed, signing.public_jwk, signing.state, NOW),
    )
}

pub(super) async fn a_record_is_appended(handles: &Handles) -> Result<()> {
    let row = AuditRow {
        id: samples::user_id().to_string(),
        at: NOW,
        tenant: None,
        actor: "service".to_owned(),
        kind: "security".to_owned(),
        action: "conformance".to_owned(),
        target: Some("x".to_owned()),
        request: None,
        payload: r#"{"b":1,"a":"é"}"#.to_owned(),
        salt: [1; 32],
        commitment: [2; 32],
    };
    let mut transaction = handles.first.begin().await?;
    transaction.append_audit(&row).await?;
    transaction.commit().await?;
    let mut transaction = handles.second.begin().await?;
    is("a record is written once", transaction.append_audit(&row).await.is_err())
}

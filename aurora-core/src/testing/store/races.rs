//! What flows rely on when others are at work.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::records::{add_user, newest};
use super::samples::{self, NOW};
use super::{Handles, is, same, there};
use crate::store::Database;
use crate::types::{Code, Error, Result, SessionId};

/// How many do the same at once.
const CROWD: usize = 12;

pub(super) async fn a_dropped_transaction_leaves_nothing(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    for polls in 0..12_u32 {
        let mut changed = user.clone();
        changed.user_metadata = format!(r#"{{"dropped":{polls}}}"#);
        let database = Arc::clone(&handles.first);
        let mut work = Box::pin(async move {
            let mut transaction = database.begin().await?;
            transaction.update_user(&changed).await?;
            std::future::pending::<()>().await;
            transaction.commit().await
        });
        for _ in 0..polls {
            let _ = tokio::time::timeout(Duration::from_micros(500), &mut work).await;
        }
        drop(work);
        let mut transaction = handles.second.begin().await?;
        let found = there("the user", transaction.user(user.id).await?)?;
        same("metadata", &found.user_metadata, &user.user_metadata)?;
        transaction.commit().await?;
    }
    Ok(())
}

pub(super) async fn a_reader_waits_for_no_writer(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let mut transaction = handles.first.begin().await?;
    let mut changed = there("the user", transaction.user(user.id).await?)?;
    changed.user_metadata = r#"{"not":"yet"}"#.to_owned();
    transaction.update_user(&changed).await?;
    for handle in [&handles.first, &handles.second] {
        let read = async { handle.read().await?.user(user.id).await };
        let found = tokio::time::timeout(Duration::from_secs(2), read).await;
        let found = there("an answer", found.map_err(|_| Error::internal("a reader waited"))??)?;
        same("what is committed", &found.user_metadata, &user.user_metadata)?;
    }
    transaction.commit().await
}

/// Everybody reads a number, adds one and writes it: none is lost.
pub(super) async fn what_a_transaction_read_stays(handles: &Handles) -> Result<()> {
    let mut user = add_user(&*handles.first).await?;
    user.user_metadata = r#"{"n":0}"#.to_owned();
    let mut transaction = handles.first.begin().await?;
    transaction.update_user(&user).await?;
    transaction.commit().await?;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let database = handle(handles, number);
        let id = user.id;
        crowd.spawn(async move {
            let mut transaction = database.begin().await?;
            let mut user = there("the user", transaction.user(id).await?)?;
            let held: serde_json::Value =
                serde_json::from_str(&user.user_metadata).map_err(Error::internal)?;
            let next = held.get("n").and_then(serde_json::Value::as_i64).unwrap_or_default() + 1;
            tokio::time::sleep(Duration::from_millis(3)).await;
            user.user_metadata = format!(r#"{{"n":{next}}}"#);
            is("written", transaction.update_user(&user).await?)?;
            transaction.commit().await
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.map_err(Error::internal)??;
    }
    let found = there("the user", handles.first.read().await?.user(user.id).await?)?;
    same("the sum", &found.user_metadata, &format!(r#"{{"n":{CROWD}}}"#))
}

pub(super) async fn one_address_has_one_user(handles: &Handles) -> Result<()> {
    let email = format!("crowd-{}@example.com", samples::user_id());
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let database = handle(handles, number);
        let mut user = samples::user()?;
        user.email = Some(email.parse()?);
        crowd.spawn(async move {
            let mut transaction = database.begin().await?;
            let added = transaction.insert_user(&user).await?;
            transaction.commit().await?;
            Result::Ok(added)
        });
    }
    let mut added = 0;
    while let Some(done) = crowd.join_next().await {
        added += usize::from(done.map_err(Error::internal)??);
    }
    same("added", &added, &1)
}

/// Whoever finds the newest token rotates it, everybody else finds it rotated: one chain comes of it.
pub(super) async fn a_token_is_rotated_once(handles: &Handles) -> Result<()> {
    let user = add_user(&*handles.first).await?;
    let (session, token) = (samples::session(user.id), samples::hash());
    let mut transaction = handles.first.begin().await?;
    transaction.insert_session(&session, &token).await?;
    transaction.commit().await?;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let database = handle(handles, number);
        crowd.spawn(async move {
            let mut transaction = database.begin().await?;
            let found = there("the token", transaction.refresh_token(&token).await?)?;
            let mut session = found.session;
            if session.generation != found.generation {
                return Result::Ok(false);
            }
            session.generation += 1;
            transaction.rotate(&session, &samples::hash(), NOW).await?;
            transaction.commit().await?;
            Ok(true)
        });
    }
    let mut rotated = 0;
    while let Some(done) = crowd.join_next().await {
        rotated += usize::from(done.map_err(Error::internal)??);
    }
    same("rotated", &rotated, &1)?;
    let found = there("the session", handles.second.read().await?.session(session.id).await?)?;
    same("generation", &found.generation, &1)
}

/// Sessions end in transactions that take their time, in any order, while somebody reads from where they left off:
/// in the end they have seen every one.
pub(super) async fn no_revocation_is_missed(handles: &Handles) -> Result<()> {
    let start = newest(&*handles.second).await?;
    let (mut crowd, mut wanted) = (tokio::task::JoinSet::new(), HashSet::new());
    for number in 0..CROWD * 4 {
        let user = add_user(&*handles.first).await?;
        let session = samples::session(user.id);
        wanted.insert(session.id);
        let database = handle(handles, number);
        crowd.spawn(async move { end_slowly(&*database, session, number).await });
    }
    let (mut cursor, mut seen) = (start, HashSet::new());
    let mut last = false;
    loop {
        let rows = handles.second.read().await?.revocations(cursor).await?;
        seen.extend(rows.iter().map(|row| row.session));
        cursor = rows.last().map_or(cursor, |row| row.sequence);
        if last {
            break;
        }
        match tokio::time::timeout(Duration::from_millis(1), crowd.join_next()).await {
            Ok(Some(done)) => done.map_err(Error::internal)??,
            Ok(None) => last = true,
            Err(_elapsed) => {}
        }
    }
    let missed: Vec<&SessionId> = wanted.difference(&seen).collect();
    same("missed", &missed.len(), &0)
}

async fn end_slowly(database: &dyn Database, session: crate::store::Session, number: usize) -> Result<()> {
    let mut transaction = database.begin().await?;
    transaction.insert_session(&session, &samples::hash()).await?;
    transaction.commit().await?;
    // The writer's turn may be long in coming where there is one.
    for _ in 0..20 {
        let mut transaction = match database.begin().await {
            Err(error) if error.code() == Code::OverCapacity => continue,
            begun => begun?,
        };
        is("ended", transaction.end_session(session.id, NOW).await?)?;
        tokio::time::sleep(Duration::from_millis(u64::try_from(number % 7).unwrap_or_default())).await;
        return transaction.commit().await;
    }
    Err(Error::overloaded(1))
}

fn handle(handles: &Handles, number: usize) -> Arc<dyn Database> {
    Arc::clone(if number.is_multiple_of(2) { &handles.first } else { &handles.second })
}

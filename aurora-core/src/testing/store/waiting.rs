//! What waits for a job: mails, and who may do it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::samples::{self, NOW};
use super::{Handles, is, same};
use crate::store::{Database, OutboxRow};
use crate::types::{Result, Timestamp};

/// So many mails, each a second younger than the one before.
async fn put(database: &dyn Database, count: u64) -> Result<Vec<OutboxRow>> {
    let mut rows = Vec::new();
    let mut transaction = database.begin().await?;
    for number in 0..count {
        let at = NOW.plus(Duration::from_secs(number));
        let id = samples::user_id().to_string();
        let sealed = (0..=u8::MAX).collect();
        let row = OutboxRow { id, sealed, tries: 0, next_at: at, created_at: at };
        transaction.insert_mail(&row).await?;
        rows.push(row);
    }
    transaction.commit().await?;
    Ok(rows)
}

async fn take(database: &dyn Database, now: Timestamp, limit: i64) -> Result<Vec<OutboxRow>> {
    let mut transaction = database.begin().await?;
    let taken = transaction.take_mails(now, now.plus(Duration::from_secs(60)), limit).await?;
    transaction.commit().await?;
    Ok(taken)
}

fn ids(rows: &[OutboxRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

async fn waiting(database: &dyn Database) -> Result<(i64, Option<Timestamp>)> {
    database.read().await?.outbox().await
}

pub(super) async fn a_mail_is_taken_when_due_and_comes_back(handles: &Handles) -> Result<()> {
    let (first, second) = (&*handles.first, &*handles.second);
    same("an empty outbox", &waiting(first).await?, &(0, None))?;
    let rows = put(first, 4).await?;
    same("waiting", &waiting(second).await?, &(4, Some(NOW)))?;
    is("none before its time", take(second, NOW.minus(Duration::from_secs(1)), 9).await?.is_empty())?;
    let now = NOW.plus(Duration::from_secs(2));
    let taken = take(second, now, 2).await?;
    same("the oldest, in order", &ids(&taken), &ids(rows.get(..2).unwrap_or_default()))?;
    for (found, wanted) in taken.iter().zip(&rows) {
        same("content", &(&found.sealed, found.created_at), &(&wanted.sealed, wanted.created_at))?;
        same("counted", &(found.tries, found.next_at), &(1, now.plus(Duration::from_secs(60))))?;
    }
    same("what is left", &ids(&take(first, now, 9).await?), &ids(rows.get(2..3).unwrap_or_default()))?;
    let mut transaction = first.begin().await?;
    for row in rows.iter().take(2) {
        is("deleted", transaction.delete_mail(&row.id).await?)?;
        is("deleted once", !transaction.delete_mail(&row.id).await?)?;
        is("gone", !transaction.put_off_mail(&row.id, now).await?)?;
    }
    let third = rows.get(2).map_or("", |row| row.id.as_str());
    is("put off", transaction.put_off_mail(third, now.plus(Duration::from_secs(5))).await?)?;
    transaction.commit().await?;
    let later = now.plus(Duration::from_secs(5));
    let again = take(second, later, 9).await?;
    same("both are due", &ids(&again).len(), &2)?;
    same("tries", &again.iter().map(|row| row.tries).max(), &Some(2))?;
    empty(second, &rows).await
}

pub(super) async fn no_mail_is_taken_twice(handles: &Handles) -> Result<()> {
    let rows = put(&*handles.first, 30).await?;
    let now = NOW.plus(Duration::from_secs(3_600));
    let (one, two) = tokio::join!(
        async {
            let mut taken = Vec::new();
            for _ in 0..5 {
                taken.extend(take(&*handles.first, now, 3).await?);
            }
            Ok::<_, crate::types::Error>(taken)
        },
        async {
            let mut taken = Vec::new();
            for _ in 0..5 {
                taken.extend(take(&*handles.second, now, 3).await?);
            }
            Ok::<_, crate::types::Error>(taken)
        }
    );
    let (one, two) = (one?, two?);
    let all: BTreeSet<&str> = ids(&one).into_iter().chain(ids(&two)).collect();
    same("taken", &(one.len() + two.len()), &30)?;
    same("different ones", &all.len(), &30)?;
    empty(&*handles.first, &rows).await
}

/// Leaves nothing to those who come after.
async fn empty(database: &dyn Database, rows: &[OutboxRow]) -> Result<()> {
    let mut transaction = database.begin().await?;
    for row in rows {
        transaction.delete_mail(&row.id).await?;
    }
    transaction.commit().await?;
    same("emptied", &waiting(database).await?, &(0, None))
}

pub(super) async fn a_slot_is_leased(handles: &Handles) -> Result<()> {
    let name = samples::user_id().to_string();
    let take = async |database: &dyn Database, holder: &str, seconds: u64| -> Result<bool> {
        let now = NOW.plus(Duration::from_secs(seconds));
        let mut transaction = database.begin().await?;
        let taken = transaction.take_slot(&name, holder, now, now.plus(Duration::from_secs(10))).await?;
        transaction.commit().await?;
        Ok(taken)
    };
    let (first, second) = (&*handles.first, &*handles.second);
    is("free", take(first, "ann", 0).await?)?;
    is("held", !take(second, "bob", 9).await?)?;
    is("renewed", take(first, "ann", 9).await?)?;
    is("held on", !take(second, "bob", 18).await?)?;
    is("over", take(second, "bob", 19).await?)?;
    is("lost", !take(first, "ann", 20).await?)?;
    for (holder, is_free) in [("ann", false), ("bob", true)] {
        let mut transaction = first.begin().await?;
        transaction.free_slot(&name, holder).await?;
        transaction.commit().await?;
        same(holder, &take(first, "eve", 21).await?, &is_free)?;
    }
    let mut transaction = second.begin().await?;
    transaction.free_slot(&name, "eve").await?;
    transaction.commit().await
}

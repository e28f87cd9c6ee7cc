//! Roles, who holds them, and that a change of either is told.

use std::time::Duration;

use super::records::add_user;
use super::samples::{self, NOW};
use super::{Handles, is, same};
use crate::store::{Database, RoleChange, RoleRow};
use crate::types::{Result, RoleName};

/// A role of a name that no other check has.
fn role(permissions: &[&str]) -> Result<RoleRow> {
    let id = samples::user_id().to_string().replace('-', "");
    let name = format!("r{}", id.get(..30).unwrap_or_default());
    let permissions: Result<Vec<_>> = permissions.iter().map(|permission| permission.parse()).collect();
    Ok(RoleRow { name: name.parse()?, rank: 7, permissions: permissions?, created_at: NOW })
}

async fn find(database: &dyn Database, name: &RoleName) -> Result<Option<RoleRow>> {
    Ok(database.read().await?.roles().await?.into_iter().find(|row| row.name == *name))
}

/// The last number that is taken.
async fn newest(database: &dyn Database) -> Result<i64> {
    let (mut last, mut reader) = (0, database.read().await?);
    loop {
        match reader.role_changes(last).await?.last() {
            Some(row) => last = row.sequence,
            None => return Ok(last),
        }
    }
}

/// Whether changes after `sequence` are of that user, or, for none, of a role itself; they ascend.
async fn told(database: &dyn Database, sequence: i64, user: Option<crate::types::UserId>) -> Result<bool> {
    let changes: Vec<RoleChange> = database.read().await?.role_changes(sequence).await?;
    is("changes ascend", changes.iter().map(|row| row.sequence).is_sorted())?;
    is("and come after", changes.iter().all(|row| row.sequence > sequence))?;
    Ok(changes.iter().any(|row| row.user == user))
}

pub(super) async fn a_role_comes_back_as_written(handles: &Handles) -> Result<()> {
    let mut row = role(&["notes.delete", "notes.edit"])?;
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    transaction.take_roles_turn().await?;
    is("a new name is free", transaction.insert_role(&row).await?)?;
    is("a taken one is not", !transaction.insert_role(&row).await?)?;
    transaction.commit().await?;
    same("as written", &find(&*handles.second, &row.name).await?, &Some(row.clone()))?;
    is("told", told(&*handles.second, before, None).await?)?;
    let before = newest(&*handles.second).await?;
    (row.rank, row.permissions) = (1000, vec!["a.b".parse()?]);
    let mut transaction = handles.first.begin().await?;
    is("there to change", transaction.update_role(&row).await?)?;
    is("another is not", !transaction.update_role(&role(&[])?).await?)?;
    transaction.commit().await?;
    same("as changed", &find(&*handles.second, &row.name).await?, &Some(row.clone()))?;
    is("told again", told(&*handles.second, before, None).await?)?;
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    is("there to delete", transaction.delete_role(&row.name).await?)?;
    is("gone", !transaction.delete_role(&row.name).await?)?;
    transaction.commit().await?;
    is("told of its end", told(&*handles.second, before, None).await?)?;
    same("gone for good", &find(&*handles.second, &row.name).await?, &None)
}

pub(super) async fn whoever_gets_or_loses_a_role_is_told_of(handles: &Handles) -> Result<()> {
    let (row, user) = (role(&[])?, add_user(&*handles.first).await?.id);
    let mut transaction = handles.first.begin().await?;
    transaction.insert_role(&row).await?;
    transaction.commit().await?;
    let held = async || handles.second.read().await?.roles_of(user).await;
    for round in ["revoked", "role deleted", "user deleted"] {
        let before = newest(&*handles.second).await?;
        let mut transaction = handles.first.begin().await?;
        transaction.insert_role(&row).await?;
        is("granted", transaction.grant_role(user, &row.name, "service", NOW).await?)?;
        is("once", !transaction.grant_role(user, &row.name, "service", NOW).await?)?;
        same("within the transaction", &transaction.roles_of(user).await?, &vec![row.name.clone()])?;
        transaction.commit().await?;
        same("held", &held().await?, &vec![row.name.clone()])?;
        same("by whom", &handles.second.read().await?.holders(&row.name, None).await?, &vec![user])?;
        let after = handles.second.read().await?.holders(&row.name, Some(user)).await?;
        is("nobody after the last", after.is_empty())?;
        is("told", told(&*handles.second, before, Some(user)).await?)?;
        let before = newest(&*handles.second).await?;
        let mut transaction = handles.first.begin().await?;
        match round {
            "revoked" => is(round, transaction.revoke_role(user, &row.name).await?)?,
            "role deleted" => is(round, transaction.delete_role(&row.name).await?)?,
            _ => is(round, transaction.delete_user(user, NOW).await?.is_some())?,
        }
        is("not twice", !transaction.revoke_role(user, &row.name).await?)?;
        transaction.commit().await?;
        is("held no longer", held().await?.is_empty())?;
        is(round, told(&*handles.second, before, Some(user)).await?)?;
    }
    Ok(())
}

pub(super) async fn a_change_that_was_rolled_back_is_not_told(handles: &Handles) -> Result<()> {
    let (row, user) = (role(&[])?, add_user(&*handles.first).await?.id);
    let before = newest(&*handles.second).await?;
    let mut transaction = handles.first.begin().await?;
    transaction.insert_role(&row).await?;
    transaction.grant_role(user, &row.name, "service", NOW).await?;
    drop(transaction);
    is("nothing of it", !told(&*handles.second, before, Some(user)).await?)?;
    same("no role", &find(&*handles.second, &row.name).await?, &None)
}

pub(super) async fn changes_are_forgotten_when_they_are_old(handles: &Handles) -> Result<()> {
    let row = role(&[])?;
    let mut transaction = handles.first.begin().await?;
    transaction.insert_role(&row).await?;
    transaction.commit().await?;
    let last = newest(&*handles.second).await?;
    let day = Duration::from_secs(86_400);
    let mut transaction = handles.first.begin().await?;
    transaction.forget_role_changes(NOW, NOW.minus(day)).await?;
    transaction.commit().await?;
    same("dated, not forgotten", &newest(&*handles.second).await?, &last)?;
    let mut transaction = handles.first.begin().await?;
    transaction.forget_role_changes(NOW.plus(day), NOW.plus(Duration::from_secs(1))).await?;
    transaction.commit().await?;
    is("forgotten", handles.second.read().await?.role_changes(last - 1).await?.is_empty())
}

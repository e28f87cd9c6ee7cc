//! What is of no use any more: codes that a newer one replaced, users who never came.

use std::time::Duration;

use super::samples::{self, NOW};
use super::{Handles, is, same};
use crate::store::{OneTimeToken, User};
use crate::types::{Result, Timestamp, UserId};
use crate::validate::Email;

/// Before every other moment.
const START: (Timestamp, UserId) = (Timestamp::from_micros(0), UserId::from_bytes([0; 16]));

fn seconds_ago(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

fn token(user: UserId, address: &Email, purpose: &str, at: Timestamp) -> OneTimeToken {
    OneTimeToken {
        id: samples::user_id(),
        user,
        purpose: purpose.to_owned(),
        address: address.clone(),
        link: samples::hash(),
        code: samples::hash(),
        exchange: None,
        challenge: None,
        sealed: None,
        tries: 0,
        created_at: at,
        expires_at: at.plus(Duration::from_secs(3_600)),
    }
}

/// Registered then, and waiting.
fn waiting(sent: u64) -> Result<User> {
    Ok(User {
        email_confirmed_at: None,
        confirmation_sent_at: Some(seconds_ago(sent)),
        last_sign_in_at: None,
        invited_at: None,
        deleted_at: None,
        is_anonymous: false,
        ..samples::user()?
    })
}

pub(super) async fn the_newest_token_at_an_address_is_anybody_s(handles: &Handles) -> Result<()> {
    let users = [samples::user()?, samples::user()?];
    let [one, other] = &users;
    let address: Email = format!("at-{}@example.com", one.id).parse()?;
    let mut transaction = handles.first.begin().await?;
    for user in &users {
        is("inserted", transaction.insert_user(user).await?)?;
    }
    for (user, purpose, ago) in [(one, "invite", 30), (other, "confirmation", 20), (one, "recovery", 10)] {
        transaction.insert_token(&token(user.id, &address, purpose, seconds_ago(ago))).await?;
    }
    let newest = transaction.newest_token_at(&address, ["confirmation", "invite"]).await?;
    same("of two purposes", &newest, &Some(seconds_ago(20)))?;
    transaction.commit().await?;
    let mut reader = handles.second.read().await?;
    same("of one", &reader.newest_token_at(&address, ["invite"; 2]).await?, &Some(seconds_ago(30)))?;
    same("of none", &reader.newest_token_at(&address, ["magic_link"; 2]).await?, &None)?;
    let elsewhere = format!("other-{}@example.com", one.id).parse()?;
    same("elsewhere", &reader.newest_token_at(&elsewhere, ["invite"; 2]).await?, &None)
}

pub(super) async fn who_never_confirmed_is_found_page_by_page(handles: &Handles) -> Result<()> {
    let found = [waiting(900)?, waiting(800)?, waiting(700)?];
    let others = [
        waiting(100)?,
        User { confirmation_sent_at: None, ..waiting(900)? },
        User { email_confirmed_at: Some(NOW), ..waiting(900)? },
        User { invited_at: Some(NOW), ..waiting(900)? },
        User { last_sign_in_at: Some(NOW), ..waiting(900)? },
        User { deleted_at: Some(NOW), ..waiting(900)? },
    ];
    let mut transaction = handles.first.begin().await?;
    for user in found.iter().chain(&others) {
        is("inserted", transaction.insert_user(user).await?)?;
    }
    transaction.commit().await?;
    let horizon = seconds_ago(500);
    let wanted: Vec<UserId> = found.iter().map(|user| user.id).collect();
    let ids = |page: &[(Timestamp, UserId)]| page.iter().map(|(_, id)| *id).collect::<Vec<UserId>>();
    let mut reader = handles.second.read().await?;
    let first = reader.unconfirmed(horizon, START, 2).await?;
    same("the oldest", &Some(ids(&first).as_slice()), &wanted.get(..2))?;
    let last = first.last().copied().unwrap_or(START);
    same("its moment", &last.0, &seconds_ago(800))?;
    same("the rest", &Some(ids(&reader.unconfirmed(horizon, last, 2).await?).as_slice()), &wanted.get(2..))?;
    drop(reader);
    let mut transaction = handles.first.begin().await?;
    for id in &wanted {
        is("cleared", transaction.clear_user(*id).await?)?;
        is("cleared once", !transaction.clear_user(*id).await?)?;
    }
    transaction.commit().await?;
    let mut reader = handles.second.read().await?;
    is("nobody is left", reader.unconfirmed(horizon, START, 9).await?.is_empty())
}

pub(super) async fn who_is_anonymous_is_found_without_a_session(handles: &Handles) -> Result<()> {
    let nobody = |ago: u64| -> Result<User> {
        let user = samples::user()?;
        Ok(User { email: None, new_email: None, deleted_at: None, created_at: seconds_ago(ago), ..user })
    };
    let (gone, here, young) = (nobody(900)?, nobody(900)?, nobody(100)?);
    let known = User { email: samples::user()?.email, ..nobody(900)? };
    let mut transaction = handles.first.begin().await?;
    for user in [&gone, &here, &young, &known] {
        is("inserted", transaction.insert_user(user).await?)?;
    }
    transaction.insert_session(&samples::session(here.id), &samples::hash()).await?;
    transaction.commit().await?;
    let found = handles.second.read().await?.anonymous(seconds_ago(500), START, 9).await?;
    same("without a session", &found, &vec![(seconds_ago(900), gone.id)])?;
    let mut transaction = handles.first.begin().await?;
    is("cleared", transaction.clear_user(gone.id).await?)?;
    drop(transaction);
    is("rolled back", handles.second.read().await?.user(gone.id).await?.is_some())
}

//! Mails of tests: what they say, how they come into the outbox, and what is recorded of them.

use std::sync::Arc;
use std::time::Duration;

use aurora_core::mail::{Delivery, Kind, Mailer, Message};
use aurora_core::types::UserId;

use super::{Fixture, Options};

pub const LINK: &str = "https://app.example.com/auth/v1/verify?token=pkce_T0K3N-0f-1tself&type=signup&redirect_to=\
                    https%3A%2F%2Fapp.example.com%2Fa%2Fpage%2Fthat%2Fhas%2Fa%2Flong%2Fname%2Findeed";
pub const CODE: &str = "493817";
pub const USER: UserId = UserId::from_bytes([7; 16]);

pub fn to(mailer: impl Mailer + 'static) -> Options {
    Options { delivery: Some(Delivery::Mailer(Arc::new(mailer))), ..Options::default() }
}

pub fn confirmation(address: &str) -> Message {
    Message::new(Kind::Confirmation, address.parse().unwrap())
        .user(USER)
        .link(LINK)
        .code(CODE)
        .lifetime(Duration::from_secs(3_600))
}

pub fn notice(address: &str) -> Message {
    Message::new(Kind::PasswordChanged, address.parse().unwrap()).user(USER)
}

pub async fn put(fixture: &Fixture, message: &Message) {
    let database = fixture.database.shared();
    let mut transaction = database.begin().await.unwrap();
    fixture.auth.outbox().put(&mut *transaction, message).await.unwrap();
    transaction.commit().await.unwrap();
    fixture.auth.outbox().wake();
}

pub async fn waiting(fixture: &Fixture) -> i64 {
    fixture.count("SELECT count(*) FROM aurora_outbox").await
}

/// What was recorded of mails: the action and its details.
pub async fn records(fixture: &Fixture) -> Vec<(String, serde_json::Value)> {
    let all = fixture.audit().await;
    let mails = all.into_iter().filter(|row| row.action.starts_with("mail_"));
    mails
        .map(|row| {
            assert_eq!(
                (row.actor.as_str(), row.target.as_deref()),
                ("service", Some(USER.to_string().as_str()))
            );
            assert!(!row.payload.to_string().contains('@'), "{}", row.payload);
            (row.action, row.payload)
        })
        .collect()
}

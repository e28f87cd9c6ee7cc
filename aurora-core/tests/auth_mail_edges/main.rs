//! Where sign-in by mail could be taken at its word: other devices, several askers, half agreements, what ends what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod codes;
mod links;
mod service;

use aurora_core::types::UserId;
use serde_json::json;

use common::mailed::options;
use common::{Fixture, Reply};

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

/// With changes to which the new address alone agrees.
async fn lone() -> Fixture {
    let mut options = options();
    options.settings.sign_ups.both_addresses_confirm = false;
    Fixture::with(options).await
}

async fn asks_for(fixture: &Fixture, session: &Reply, email: &str) -> Reply {
    let asked = fixture.call("PUT", "/user", Some(&session.access()), json!({ "email": email })).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    asked
}

fn id(reply: &Reply) -> UserId {
    reply.user_id().parse().unwrap()
}

//! Sign-in by mail: what is sent, what comes back of it, and what does not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod changing;
mod confirming;
mod forging;
mod recovering;
mod service;

use serde_json::Value;

use common::mailed::options;
use common::{Fixture, Reply};

async fn fixture() -> Fixture {
    Fixture::with(options()).await
}

/// What was recorded of their address, oldest first.
async fn changes(fixture: &Fixture, whose: &Reply) -> Vec<Value> {
    let rows = fixture.audit().await.into_iter().filter(|row| row.action == "user_modified");
    let of_address = rows.filter(|row| row.payload.get("email").is_some()).inspect(|row| {
        assert_eq!((&row.actor, row.target.as_deref()), (&whose.user_id(), Some(whose.user_id().as_str())));
        assert!(row.kind == "security" && row.request.is_some() && !row.payload.to_string().contains('@'));
    });
    of_address.map(|row| row.payload["email"].clone()).collect()
}

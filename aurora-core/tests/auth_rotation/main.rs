//! Aurora's own signing keys, from their publication to their end, in several processes; and who verifies elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/project.rs"]
mod project;

mod calendar;
mod elsewhere;
mod verifier;

use std::sync::Arc;

use aurora_core::env::ManualClock;
use aurora_core::session::token::SigningKeyState;
use serde_json::Value;

use common::{Fixture, Options, Reply};
use project::part;

const PUBLISHED: u64 = 900;

const DAY: u64 = 86_400;

/// Two processes on one database and one clock. No job runs.
async fn two() -> (Fixture, Fixture) {
    let options = Options::default();
    let (path, start_key, now) = (options.path.clone(), options.start_key.clone(), options.now);
    let clock = Arc::new(ManualClock::new(now));
    let first = Fixture::on(options, Arc::clone(&clock)).await;
    (first, Fixture::on(Options { path, start_key, ..Options::default() }, clock).await)
}

fn kid(reply: &Reply) -> String {
    part(&reply.access(), 0)["kid"].as_str().unwrap().to_owned()
}

async fn published(fixture: &Fixture) -> Vec<String> {
    let jwks = fixture.call("GET", "/.well-known/jwks.json", None, Value::Null).await.json;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn states(fixture: &Fixture) -> Vec<SigningKeyState> {
    fixture.auth.signing_keys().await.unwrap().iter().map(|key| key.state).collect()
}

async fn actions(fixture: &Fixture) -> Vec<String> {
    let rows = fixture.audit().await.into_iter().map(|row| row.action);
    rows.filter(|action| action.starts_with("signing_key")).collect()
}

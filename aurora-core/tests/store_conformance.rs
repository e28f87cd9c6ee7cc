//! Both stores keep the contract of `store::Database`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "common/postgres.rs"]
mod postgres;

use std::sync::Arc;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::store::{PostgresDatabase, PostgresOptions, PostgresOwner, SqliteDatabase};
use aurora_core::testing::store::{Handles, conforms};

async fn passes(handles: Handles) {
    let passed = conforms(&handles).await.unwrap();
    println!("{passed:#?}");
    assert!(passed.len() >= 18);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("app.db").display().to_string();
    let first = Arc::new(SqliteDatabase::open(&path, &SystemClock).await.unwrap());
    let second = Arc::new(SqliteDatabase::open(&path, &SystemClock).await.unwrap());
    passes(Handles { first, second }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql() {
    let place = postgres::Place::new().await;
    let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
    owner.migrate(SystemClock.now()).await.unwrap();
    let (role, url) = place.role("run", "NOINHERIT").await;
    owner.admit_run_role(&role).await.unwrap();
    let open = async || {
        let database = PostgresDatabase::open(&url, &PostgresOptions::default()).await.unwrap();
        database.bind_identity(&|_| [3; 32]).await.unwrap();
        Arc::new(database)
    };
    passes(Handles { first: open().await, second: open().await }).await;
}

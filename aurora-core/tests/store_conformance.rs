//! Both stores keep the contract of `store::Database`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "common/postgres.rs"]
mod postgres;

use std::sync::Arc;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::store::{
    IdentityBy, PostgresDatabase, PostgresOptions, PostgresOwner, SqliteDatabase, identity_sql,
};
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
    conforms_at(&place, &owner).await;
}

/// Where a superuser revoked `set_config`, and identities come from settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_with_identities_by_settings() {
    let place = postgres::Place::new().await;
    let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
    owner.migrate(SystemClock.now()).await.unwrap();
    let mut superuser = place.superuser().await;
    sqlx::raw_sql(identity_sql(IdentityBy::Settings)).execute(&mut superuser).await.unwrap();
    conforms_at(&place, &owner).await;
}

async fn conforms_at(place: &postgres::Place, owner: &PostgresOwner) {
    let (role, url) = place.role("run", "NOINHERIT").await;
    owner.admit_run_role(&role).await.unwrap();
    let open = async || {
        let database = PostgresDatabase::open(&url, &PostgresOptions::default()).await.unwrap();
        database.bind_identity(&|_| [3; 32]).await.unwrap();
        Arc::new(database)
    };
    passes(Handles { first: open().await, second: open().await }).await;
}

//! Set-up on a real PostgreSQL: two processes at once, a kill in the middle, upgrades, what a DBA runs, who is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::store::{PostgresDatabase, PostgresOptions, PostgresOwner, setup_sql};
use aurora_core::types::Code;
use common::postgres::{OWNER, Place, run};
use common::{Fixture, Options, PASSWORD};
use sqlx::Row as _;

const TABLES: &str =
    "SELECT count(*) FROM information_schema.tables WHERE table_schema IN ('auth', 'aurora')";

async fn count(place: &Place, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&mut place.superuser().await).await.unwrap()
}

/// Aurora's own migrations so far.
const STEPS: i64 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_take_turns() {
    let place = Place::new().await;
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = place.owner_url();
        starting.spawn(async move {
            let owner = PostgresOwner::open(&url).await.unwrap();
            owner.migrate(SystemClock.now()).await
        });
    }
    while let Some(done) = starting.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(count(&place, "SELECT count(*) FROM aurora.migrations").await, STEPS);
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn child() {
    let Ok(url) = std::env::var("AURORA_CHILD") else { return };
    println!("\nREADY");
    PostgresOwner::open(&url).await.unwrap().migrate(SystemClock.now()).await.unwrap();
    println!("\nDONE");
}

/// faults K06: killed at any moment of a migration, the schema is the old one or the new one, and the next start goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_migration_leaves_all_or_nothing() {
    let rounds: u64 = if std::env::var_os("AURORA_LONG").is_some() { 100 } else { 16 };
    let (mut nothing, mut all) = (0, 0);
    let mut whole = 0;
    for round in 0..rounds {
        let place = Place::new().await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
            .env("AURORA_CHILD", place.owner_url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Kept open: a child that cannot print dies of that and not of the kill.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line == "READY"));
        std::thread::sleep(Duration::from_micros(round * 60_000 / rounds));
        child.kill().unwrap();
        child.wait().unwrap();
        // The server notices a client that is gone when it next speaks to it; nothing waits for that here.
        let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
        match count(&place, TABLES).await {
            0 => nothing += 1,
            tables => {
                whole = tables;
                assert_eq!(count(&place, "SELECT count(*) FROM aurora.migrations").await, STEPS);
                all += 1;
            }
        }
        owner.migrate(SystemClock.now()).await.unwrap();
        let now = count(&place, TABLES).await;
        assert!(whole == 0 || whole == now, "{whole} of {now} tables");
        owner.close().await;
    }
    println!("{rounds} kills: {nothing} before, {all} after");
    assert!(nothing > 0, "no kill was early enough to mean anything");
}

/// faults K38: during a rolling upgrade the release before serves on a schema that is newer in the same epoch, and
/// is refused across one.
#[tokio::test]
async fn a_newer_schema_is_served_within_its_epoch_and_refused_across_it() {
    let options = Options::default();
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let first = Fixture::with(options).await;
    let session = first.sign_up("ann@example.com").await;
    first
        .execute(
            "ALTER TABLE auth.users ADD COLUMN phone text; ALTER TABLE auth.sessions ADD COLUMN tag text DEFAULT 'x'; \
             CREATE TABLE auth.factors (id uuid PRIMARY KEY); \
             INSERT INTO aurora.migrations (version, epoch) VALUES (98, 1)",
        )
        .await;
    assert_eq!(first.refresh(&session.refresh()).await.status, 200, "it goes on");
    let again = Options { path: path.clone(), start_key: start_key.clone(), ..Options::default() };
    let second = Fixture::with(again).await;
    assert_eq!(second.sign_in("ann@example.com", PASSWORD).await.status, 200, "it starts");
    second.execute("INSERT INTO aurora.migrations (version, epoch) VALUES (99, 2)").await;
    let refused = tokio::spawn(Fixture::with(Options { path, start_key, ..Options::default() })).await;
    assert!(refused.is_err());
}

/// What `setup --print-sql` prints is all that a DBA has to run: the service starts with the run URL alone.
#[tokio::test]
async fn what_a_dba_runs_is_enough() {
    let place = Place::new().await;
    let role = format!("{}_dba", place.name);
    let mut connection = place.superuser().await;
    run(&mut connection, &format!("DROP ROLE IF EXISTS {role}")).await;
    // As the owner, who is no superuser.
    run(&mut connection, &format!("SET ROLE {OWNER}")).await;
    run(&mut connection, &setup_sql(&role)).await;
    run(&mut connection, &format!("ALTER ROLE {role} PASSWORD 'run'")).await;
    let database =
        PostgresDatabase::open(&place.url(&role, "run"), &PostgresOptions::default()).await.unwrap();
    database.bind_identity(&|_| [5; 32]).await.unwrap();
    // A second process finds the same key there; one with another root key does not start.
    let other = PostgresDatabase::open(&place.url(&role, "run"), &PostgresOptions::default()).await.unwrap();
    other.bind_identity(&|_| [5; 32]).await.unwrap();
    assert_eq!(other.bind_identity(&|_| [6; 32]).await.unwrap_err().code(), Code::Configuration);
    // The printed text and the migration make the same.
    let migrated = Place::new().await;
    PostgresOwner::open(&migrated.owner_url()).await.unwrap().migrate(SystemClock.now()).await.unwrap();
    assert_eq!(count(&place, TABLES).await, count(&migrated, TABLES).await);
    let again = sqlx::raw_sql(sqlx::AssertSqlSafe(setup_sql(&role))).execute(&mut connection).await;
    assert!(again.is_err(), "twice is once");
}

#[tokio::test]
async fn a_supabase_database_is_refused_with_a_sentence() {
    let place = Place::new().await;
    let mut connection = place.superuser().await;
    run(&mut connection, "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email text)")
        .await;
    let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
    let refused = owner.migrate(SystemClock.now()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Configuration);
    assert!(refused.message().contains("looks like a Supabase database"), "{}", refused.message());
    assert_eq!(
        count(&place, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'aurora'").await,
        0
    );
}

#[tokio::test]
async fn an_owner_who_may_not_set_up_hears_what_to_do() {
    let place = Place::new().await;
    let (_, url) = place.role("weak", "").await;
    let owner = PostgresOwner::open(&url).await.unwrap();
    assert!(!owner.is_owner().await.unwrap());
    let refused = owner.migrate(SystemClock.now()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Configuration, "{refused:?}");
    assert!(refused.message().contains("setup --print-sql"), "{}", refused.message());
    let missing = PostgresDatabase::open(&place.owner_url(), &PostgresOptions::default()).await.unwrap_err();
    assert_eq!(missing.code(), Code::Configuration);
    println!("{}\n{}", refused.message(), missing.message());
}

const DUMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dumps/postgres_0001.sql");

/// The dump of each released schema is kept; this release upgrades it, and who was in it signs in.
#[tokio::test]
async fn a_dump_of_the_released_schema_is_upgraded_and_serves() {
    let text = std::fs::read_to_string(DUMP).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("-- root key: ")).unwrap().to_owned();
    let token = text.lines().find_map(|line| line.strip_prefix("-- refresh token: ")).unwrap().to_owned();
    let path = common::scratch();
    let place = common::engine::place_of(&path).await;
    let mut roles = place.superuser().await;
    let made = Place::new().await;
    PostgresOwner::open(&made.owner_url()).await.unwrap().migrate(SystemClock.now()).await.unwrap();
    let plain: String = text.lines().filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n");
    run(&mut roles, &format!("SET ROLE {OWNER}; {plain}")).await;
    let options = Options { path, start_key: key, ..Options::default() };
    let fixture = Fixture::with(options).await;
    assert_eq!(fixture.refresh(&token).await.status, 200);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    assert_eq!(fixture.sign_in("ben@example.com", PASSWORD).await.code(), "user_banned");
    let actions: Vec<String> = fixture.audit().await.into_iter().map(|row| row.action).collect();
    assert!(actions.contains(&"user_banned".to_owned()), "{actions:?}");
}

/// Writes the dump above, once per release: `AURORA_WRITE_DUMP=1 cargo test .. write_dump -- --ignored`.
#[tokio::test]
#[ignore = "writes a released schema's dump"]
async fn write_dump() {
    if std::env::var_os("AURORA_WRITE_DUMP").is_none() {
        return;
    }
    let options = Options::default();
    let key = options.start_key.clone();
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await;
    let ben = fixture.sign_up("ben@example.com").await;
    let until = aurora_core::types::Timestamp::from_seconds(4_000_000_000);
    fixture.auth.ban(ben.user_id().parse().unwrap(), until).await.unwrap();
    let token = fixture.refresh(&ann.refresh()).await.refresh();
    let common::Engine::Postgres(_, place) = &fixture.database else { panic!("on PostgreSQL") };
    let server = place.superuser_url();
    let dumped =
        Command::new("pg_dump").args(["--no-owner", "--inserts", "--dbname", &server]).output().unwrap();
    assert!(dumped.status.success());
    let text = format!(
        "-- A database of Aurora's schema 1 with two users, for tests: its key is no secret.\n\
         -- root key: {key}\n-- refresh token: {token}\n{}",
        String::from_utf8(dumped.stdout).unwrap()
    );
    std::fs::write(DUMP, text).unwrap();
}

/// What a statement may wait for, and what the server keeps of ours.
#[tokio::test]
async fn no_transaction_is_left_open() {
    let fixture = Fixture::new().await;
    let common::Engine::Postgres(database, place) = &fixture.database else { panic!("on PostgreSQL") };
    let ann = fixture.sign_up("ann@example.com").await;
    for _ in 0..5 {
        fixture.user(&ann.access()).await;
        fixture.sign_in("ann@example.com", "wrong password").await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let rows = sqlx::query(
        "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .fetch_all(&mut place.superuser().await)
    .await
    .unwrap();
    for row in &rows {
        let (state, query): (String, String) = (row.get(0), row.get(1));
        println!("{state}: {query}");
        assert_eq!(state, "idle", "{query}");
    }
    assert!(!rows.is_empty());
    database.close().await;
}

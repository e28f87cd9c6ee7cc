//! The whole of Aurora on a real PostgreSQL, chosen by the URL alone: one URL in development, two in production, a run
//! URL after a DBA's set-up, behind a pooler.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_core::config::Profile;
use aurora_core::crypto::KeyFile;
use aurora_core::env::SystemEntropy;
use aurora_core::testing::TestClient;
use aurora_core::types::Code;
use aurora_core::{Aurora, Builder, Database, Migrations};
use common::postgres::{OWNER, Place, run};
use sqlx::migrate::Migrator;

const POLICIES: &str = "
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes TO authenticated USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;";

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("aurora-pg-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("postgres")).unwrap();
    std::fs::create_dir_all(folder.join("sqlite")).unwrap();
    std::fs::write(
        folder.join("postgres/0001_notes.sql"),
        "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         owner uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id) ON DELETE CASCADE, title text NOT NULL)",
    )
    .unwrap();
    std::fs::write(
        folder.join("sqlite/0001_notes.sql"),
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, \
         owner TEXT NOT NULL DEFAULT (auth_uid()) REFERENCES auth_users (id) ON DELETE CASCADE, title TEXT NOT NULL)",
    )
    .unwrap();
    folder
}

async fn builder(folder: &std::path::Path, database: Database) -> Builder {
    let migrations = Migrations {
        sqlite: Migrator::new(folder.join("sqlite")).await.unwrap(),
        postgres: Migrator::new(folder.join("postgres")).await.unwrap(),
    };
    Aurora::builder()
        .database(database)
        .key_file(folder.join("aurora.key"))
        .migrations(migrations)
        .policies("policies.sql", POLICIES)
}

fn production(builder: Builder) -> Builder {
    let builder = builder.mailer(std::sync::Arc::new(aurora_core::mail::Mailbox::default()));
    builder.profile(Profile::Production).site_url("https://app.example.com").configure(|settings| {
        settings.passwords.calibrate_to = None;
        settings.disk = aurora_core::config::Disk::Encrypted;
    })
}

/// Two users write and read their own.
async fn works(aurora: &Aurora) {
    let client = TestClient::new(aurora);
    let (ann, ben) =
        (client.sign_in("ann@example.com").await.unwrap(), client.sign_in("ben@example.com").await.unwrap());
    for (who, title) in [(&ann, "ann's"), (&ben, "ben's")] {
        who.guarded().query("DELETE FROM notes").execute().await.unwrap();
        who.guarded()
            .query("INSERT INTO notes (title) VALUES ($1)")
            .bind(title.to_owned())
            .execute()
            .await
            .unwrap();
    }
    for (who, title) in [(&ann, "ann's"), (&ben, "ben's")] {
        let titles: Vec<(String,)> =
            who.guarded().query_as("SELECT title FROM notes").fetch_all().await.unwrap();
        assert_eq!(titles, [(title.to_owned(),)]);
    }
    let forged = ann.guarded().query("SELECT set_config('role', 'aurora_service', true)").execute().await;
    assert!(forged.is_err());
    let all = aurora.unguarded("a test counts").await.unwrap();
    let all: Vec<(i64,)> = all.query_as("SELECT count(*) FROM notes").fetch_all().await.unwrap();
    assert_eq!(all, [(2,)]);
}

async fn refused(builder: Builder) -> String {
    let error = builder.build().await.expect_err("it must not start");
    assert_eq!(error.code(), Code::Configuration, "{error:?}");
    println!("{}\n", error.message());
    error.message().to_owned()
}

/// `NOSUPERUSER CREATEROLE`, owner of the database, one URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_url_is_enough_in_development() {
    let (place, folder) = (Place::new().await, folder());
    let database = Database::url(&place.owner_url()).unwrap();
    assert!(!format!("{database:?}").contains("owner-of"), "no password is printed");
    for start in 0..2 {
        let aurora =
            builder(&folder, database.clone()).await.profile(Profile::Development).build().await.unwrap();
        works(&aurora).await;
        println!("start {start} works");
        aurora.close().await;
    }
    // In production the same URL is refused.
    let text = refused(production(builder(&folder, database).await)).await;
    assert!(text.contains("makes roles") && text.contains("owns the database"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_urls_in_production() {
    let (place, folder) = (Place::new().await, folder());
    KeyFile::create_new(&folder.join("aurora.key"), &SystemEntropy).unwrap();
    let (role, url) = place.role("app", "NOINHERIT").await;
    let database = || {
        let database = Database::url(&url).unwrap().migrate_url(&place.owner_url()).unwrap();
        // The throw-away server may be an older minor; that production refuses it is tested below.
        database.insecure_accept_cve_2026_14666().unwrap()
    };
    let aurora = production(builder(&folder, database()).await).build().await.unwrap();
    works(&aurora).await;
    // Another process with the run URL alone, on what the first one set up.
    let alone = Database::url(&url).unwrap().insecure_accept_cve_2026_14666().unwrap();
    let other = production(builder(&folder, alone).await).build().await.unwrap();
    works(&other).await;
    // Another root key is refused.
    let elsewhere = self::folder();
    KeyFile::create_new(&elsewhere.join("aurora.key"), &SystemEntropy).unwrap();
    let text = refused(production(builder(&elsewhere, database()).await)).await;
    assert!(text.contains("root key"), "{text}");
    // A role that was given more since then is refused.
    run(&mut place.superuser().await, &format!("GRANT service_role TO {role}")).await;
    let text = refused(production(builder(&folder, database()).await)).await;
    assert!(text.contains("service_role"), "{text}");
    let wrong = Database::url("sqlite://x.db").unwrap().migrate_url(&place.owner_url()).unwrap_err();
    assert_eq!(wrong.code(), Code::Configuration);
    aurora.close().await;
    other.close().await;
}

/// attack G01: CVE-2026-14666 is refused in production unless it is accepted by name; told in development.
#[tokio::test]
async fn a_server_with_the_plan_cache_hole_is_refused_in_production() {
    let (place, folder) = (Place::new().await, folder());
    KeyFile::create_new(&folder.join("aurora.key"), &SystemEntropy).unwrap();
    let (_, url) = place.role("app", "NOINHERIT").await;
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::integer")
        .fetch_one(&mut place.superuser().await)
        .await
        .unwrap();
    let hole =
        matches!((version / 10_000, version % 10_000), (15, ..19) | (16, ..15) | (17, ..11) | (18, ..6));
    let database = Database::url(&url).unwrap().migrate_url(&place.owner_url()).unwrap();
    let built = production(builder(&folder, database).await).build().await;
    println!("server {version}: {built:?}");
    assert_eq!(built.is_err(), hole);
    if let Err(error) = built {
        assert!(error.message().contains("CVE-2026-14666"), "{}", error.message());
    }
}

/// Three processes start on an empty database at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_agree() {
    let (place, folder) = (Place::new().await, folder());
    KeyFile::create_new(&folder.join("aurora.key"), &SystemEntropy).unwrap();
    let database = || Database::url(&place.owner_url()).unwrap();
    let [one, two, three] = [
        builder(&folder, database()).await.profile(Profile::Development),
        builder(&folder, database()).await.profile(Profile::Development),
        builder(&folder, database()).await.profile(Profile::Development),
    ];
    let (one, two, three) = tokio::join!(one.build(), two.build(), three.build());
    for aurora in [one, two, three] {
        works(&aurora.unwrap()).await;
    }
}

/// pgbouncer hands each transaction to whichever server connection is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_pgbouncer_in_transaction_mode() {
    let pooler = std::env::var("AURORA_TEST_PGBOUNCER")
        .expect("AURORA_TEST_PGBOUNCER is not set: run scripts/test, or name host:port of a pgbouncer in it");
    let (place, folder) = (Place::new().await, folder());
    let (_, direct) = place.role("app", "NOINHERIT").await;
    let (before, _) = direct.split_once('@').unwrap();
    let url = format!("{before}@{pooler}/{}?sslmode=disable&pgbouncer=true", place.name);
    let database = Database::url(&url).unwrap().migrate_url(&place.owner_url()).unwrap();
    let builder = builder(&folder, database).await.profile(Profile::Development);
    let aurora = builder.build().await.unwrap();
    works(&aurora).await;
    let client = TestClient::new(&aurora);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..8 {
        let user = client.sign_in(&format!("user{number}@example.com")).await.unwrap();
        crowd.spawn(async move {
            let title = format!("of {number}");
            let insert = user.guarded().query("INSERT INTO notes (title) VALUES ($1)").bind(title.clone());
            insert.execute().await.unwrap();
            for _ in 0..20 {
                let seen: Vec<(String,)> =
                    user.guarded().query_as("SELECT title FROM notes").fetch_all().await.unwrap();
                assert_eq!(seen, [(title.clone(),)]);
            }
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }
    let mut connection = place.superuser().await;
    let owner: String =
        sqlx::query_scalar("SELECT tableowner::text FROM pg_tables WHERE tablename = 'notes'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(owner, OWNER);
    aurora.close().await;
}

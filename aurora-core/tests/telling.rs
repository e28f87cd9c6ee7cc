//! Development's log says which clause hid or refused a row; production is silent. Both engines.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "common/postgres.rs"]
mod postgres;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aurora_core::config::Profile;
use aurora_core::mail::Mailbox;
use aurora_core::testing::TestClient;
use aurora_core::types::UserId;
use aurora_core::{Aurora, Database, Migrations};
use postgres::Place;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const POLICIES: &str = include_str!("../../examples/quickstart/policies.sql");

static LINES: Mutex<String> = Mutex::new(String::new());

/// Hears what is told of rows.
struct Ears;

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" || field.name() == "error" {
            writeln!(self.0, "{value:?}").unwrap();
        }
    }
}

impl Subscriber for Ears {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("aurora_core::guard")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Text(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What was said since the last time.
fn said() -> String {
    std::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn start(url: &str, key: PathBuf, profile: Profile) -> Aurora {
    let builder = Aurora::builder()
        .profile(profile)
        .database(Database::url(url).unwrap())
        .key_file(key)
        .migrations(Migrations {
            sqlite: sqlx::migrate!("../examples/quickstart/migrations/sqlite"),
            postgres: sqlx::migrate!("../examples/quickstart/migrations/postgres"),
        })
        .policies("policies.sql", POLICIES);
    let builder = builder.mailer(Arc::new(Mailbox::default()));
    let builder = builder.site_url("https://notes.example").configure(|settings| {
        settings.passwords.calibrate_to = None;
        settings.disk = aurora_core::config::Disk::Encrypted;
    });
    builder.build().await.unwrap()
}

async fn tells(aurora: &Aurora) {
    let client = TestClient::new(aurora);
    let ann = client.sign_in("ann@example.com").await.unwrap();
    let bob = client.sign_in("bob@example.com").await.unwrap();
    let (db, other) = (ann.guarded(), bob.guarded());
    let ann: UserId = db.principal().user_id().unwrap();
    let bob: UserId = other.principal().user_id().unwrap();
    db.query("INSERT INTO notes (title, owner) VALUES ($1, $2)")
        .bind("mine")
        .bind(ann)
        .execute()
        .await
        .unwrap();
    let (id,): (i64,) = db.query_as("SELECT id FROM notes").fetch_one().await.unwrap();
    assert_eq!(said(), "", "nothing was hidden");

    let found =
        other.query_as::<(i64,)>("SELECT id FROM notes WHERE id = $1").bind(id).fetch_all().await.unwrap();
    assert!(found.is_empty());
    let text = said();
    println!("{text}");
    for part in [
        "a row of notes is hidden by its policies",
        "SELECT on notes as authenticated, USING: deny",
        "policy \"own notes\" (policies.sql:15), permissive: false",
        "false   owner = auth.uid()",
        &format!("owner is '{ann}'"),
        "policy \"public notes\"",
    ] {
        assert!(text.contains(part), "no `{part}`");
    }

    let updated = other.query("UPDATE notes AS n SET title = $1 WHERE n.id = $2").bind("theirs").bind(id);
    assert_eq!(updated.execute().await.unwrap().rows_affected(), 0);
    assert!(said().contains("UPDATE on notes as authenticated, USING: deny"));
    let deleted = other.query("DELETE FROM notes WHERE id = $1").bind(id).execute().await.unwrap();
    assert_eq!(deleted.rows_affected(), 0);
    assert!(said().contains("DELETE on notes as authenticated, USING: deny"));

    let refused =
        other.query("INSERT INTO notes (title, owner) VALUES ($1, $2)").bind("x").bind(ann).execute().await;
    refused.unwrap_err();
    let text = said();
    println!("{text}");
    assert!(text.contains("a row of notes is refused by its policies"), "{text}");
    assert!(text.contains("INSERT on notes as authenticated, WITH CHECK: deny"), "{text}");
    let given = db.query("UPDATE notes SET owner = $1 WHERE id = $2").bind(bob).bind(id).execute().await;
    given.unwrap_err();
    let text = said();
    assert!(text.contains("UPDATE on notes as authenticated, WITH CHECK: deny"), "{text}");
    assert!(text.contains(&format!("owner is '{bob}'")), "{text}");

    // What is not there is not explained, and what cannot be explained is left out.
    for sql in [
        "SELECT id FROM notes WHERE id = 999999",
        "SELECT n.id FROM notes n JOIN teams t ON t.id = n.team_id",
        "SELECT id FROM notes WHERE id IN (SELECT id FROM teams)",
    ] {
        assert!(other.query_as::<(i64,)>(sql).fetch_all().await.unwrap().is_empty());
        assert_eq!(said(), "", "{sql}");
    }
}

async fn is_silent(aurora: &Aurora) {
    let client = TestClient::new(aurora);
    let bob = client.sign_in("carl@example.com").await.unwrap();
    let other = bob.guarded();
    let found = other.query_as::<(i64,)>("SELECT id FROM notes").fetch_all().await.unwrap();
    assert!(found.is_empty());
    let insert = other
        .query("INSERT INTO notes (title, owner) VALUES ($1, $2)")
        .bind("x")
        .bind(UserId::from_bytes([7; 16]));
    insert.execute().await.unwrap_err();
    assert_eq!(said(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn development_says_which_clause_removed_a_row_and_production_does_not() {
    tracing::subscriber::set_global_default(Ears).unwrap();
    let folder = std::env::temp_dir().join(format!("aurora-telling-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let place = Place::new().await;
    let sqlite = format!("sqlite://{}", folder.join("notes.db").display());
    for (engine, url) in [("sqlite", sqlite), ("postgres", place.owner_url())] {
        let key = folder.join(format!("{engine}.key"));
        let aurora = start(&url, key.clone(), Profile::Development).await;
        said();
        tells(&aurora).await;
        aurora.close().await;
        println!("{engine}: told");
        if engine == "sqlite" {
            let aurora = start(&url, key, Profile::Production).await;
            said();
            is_silent(&aurora).await;
            aurora.close().await;
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

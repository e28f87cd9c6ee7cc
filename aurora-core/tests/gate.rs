//! The production gate, the key file, handles with a reason, and living beside a host's own migrations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail; clippy exempts the test functions, not what they call"
)]

mod faults;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use aurora_core::audit::{AuditSink, Record};
use aurora_core::config::{Autoconfirm, Disk, Profile, Settings};
use aurora_core::crypto::KeyFile;
use aurora_core::env::SystemEntropy;
use aurora_core::mail::Mailbox;
use aurora_core::store::Transaction;
use aurora_core::testing::TestClient;
use aurora_core::types::{BoxFuture, Code, Error, Principal, Result};
use aurora_core::{Aurora, Builder, Database};
use faults::{Place, Profiles, count, migrations, run, secret};

const STRONG: &str = "9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3y";

/// A production service that starts: each test takes one thing away.
fn production(place: &Place) -> Builder {
    if !place.key().exists() {
        KeyFile::create_new(&place.key(), &SystemEntropy).unwrap();
    }
    on_luks(bare(place).key_file(place.key()).site_url("https://app.example.com"))
        .mailer(Arc::new(Mailbox::default()))
}

fn on_luks(builder: Builder) -> Builder {
    builder.configure(|settings| settings.disk = Disk::Encrypted)
}

fn bare(place: &Place) -> Builder {
    Aurora::builder().database(Database::url(&format!("sqlite://{}", place.database().display())).unwrap())
}

async fn refused(builder: Builder) -> String {
    let error = builder.build().await.expect_err("must not start");
    assert_eq!(error.code(), Code::Configuration, "{error}");
    let text = error.to_string();
    println!("{text}\n");
    text
}

async fn refused_with(place: &Place, change: impl FnOnce(&mut Settings) + Send + 'static, wanted: &str) {
    let text = refused(production(place).configure(change)).await;
    assert_eq!(text, format!("Aurora does not start:\n  - {wanted}"));
    assert!(!place.database().exists(), "nothing was opened");
}

/// asvs(V13.2.3)
#[tokio::test]
async fn production_says_what_is_weak_and_how_to_mend_it() {
    let place = Place::new("gate");
    let everything = refused(bare(&place).configure(|settings| {
        settings.sign_ups.autoconfirm = Autoconfirm::On;
        settings.passwords.memory_kib = 64;
        settings.api_keys.service.push("secret".into());
    }))
    .await;
    assert_eq!(
        everything,
        "Aurora does not start:\n  \
         - the site's address is not set; set `site_url` to its public https:// address\n  \
         - autoconfirm believes every address; set `sign_ups.autoconfirm` to Autoconfirm::Off\n  \
         - Argon2id is set below OWASP's floor; use memory_kib 19456 with passes 2, or 8192 with passes 5\n  \
         - it is not said whether the disk is encrypted, which keeps what Aurora does not seal; \
         set `disk` to Disk::Encrypted, or to Disk::InsecurePlain if it is not\n  \
         - a service key has fewer than 32 characters; make one with `openssl rand -base64 32`\n  \
         - no root key is set; add .key_file(path) or .key(text); make one with KeyFile::create_new"
    );
    refused_with(
        &place,
        |settings| settings.site_url = "http://app.example.com".to_owned(),
        "the site's address `http://app.example.com` is not https; set `site_url` to the public https:// address",
    )
    .await;
    refused_with(
        &place,
        |settings| settings.sign_ups.autoconfirm = Autoconfirm::On,
        "autoconfirm believes every address; set `sign_ups.autoconfirm` to Autoconfirm::Off",
    )
    .await;
    for (key, why) in [
        ("short", "has fewer than 32 characters"),
        ("super-secret-service-key-of-the-documentation", "is an example from documentation"),
        ("abababababababababababababababababab", "repeats itself"),
    ] {
        let wanted = format!("a service key {why}; make one with `openssl rand -base64 32`");
        refused_with(&place, move |settings| settings.api_keys.service.push(key.into()), &wanted).await;
    }
    refused_with(
        &place,
        |settings| {
            settings.api_keys.service.push(STRONG.into());
            settings.api_keys.anon.push(STRONG.into());
        },
        "one key is both publishable and secret; make two different keys",
    )
    .await;
    refused_with(
        &place,
        |settings| settings.tokens.access_lifetime = std::time::Duration::from_secs(7 * 86_400),
        "access tokens live for less than 10 seconds or more than a day; set `tokens.access_lifetime` to 15 minutes",
    )
    .await;
    let no_mailer = refused(bare(&place).key_file(place.key()).site_url("https://app.example.com")).await;
    assert!(
        no_mailer.contains("addresses have to be confirmed, and no mailer is set; add .mailer("),
        "{no_mailer}"
    );
    let none = refused(Aurora::builder().site_url("https://app.example.com")).await;
    assert_eq!(none, "no database is set; add .database(Database::url(\"sqlite://app.db\")?)");
    production(&place).build().await.expect("the sound one starts");
}

/// attack J15, asvs(V13.2.3)
#[tokio::test]
async fn a_weak_hs256_secret_starts_in_no_profile() {
    let place = Place::new("gate-hs256");
    for weak in ["secret", "your-super-secret-jwt-token-with-at-least-32-characters-long"] {
        for profile in [Profile::Production, Profile::Development] {
            let text = refused(production(&place).profile(profile).shared_secret(secret(weak))).await;
            assert!(text.starts_with("HS256 secret "), "{text}");
            assert!(text.ends_with(": make one with `openssl rand -base64 48`"), "{text}");
        }
    }
    production(&place).shared_secret(secret(STRONG)).build().await.expect("a strong one starts");
}

/// attack J15: what every `supabase start` has signs in development, on loopback, and nowhere else.
#[tokio::test]
async fn the_secret_that_everybody_knows_is_for_development_alone() {
    const KNOWN: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
    let place = Place::new("gate-known-secret");
    let text = refused(production(&place).shared_secret(secret(KNOWN))).await;
    assert!(text.starts_with("HS256 secret "), "{text}");
    let jwk =
        r#"{"kty":"oct","k":"c3VwZXItc2VjcmV0LWp3dC10b2tlbi13aXRoLWF0LWxlYXN0LTMyLWNoYXJhY3RlcnMtbG9uZw"}"#;
    refused(production(&place).jwt_keys(secret(jwk))).await;
    let development = Place::new("gate-known-secret-dev");
    let builder = bare(&development).profile(Profile::Development).shared_secret(secret(KNOWN));
    builder.build().await.expect("development starts").close().await;
}

/// asvs(V13.2.3)
#[tokio::test]
async fn the_api_s_address_is_as_public_as_the_site_s() {
    let place = Place::new("gate-api");
    refused_with(
        &place,
        |settings| settings.api_url = Some("http://api.example.com".to_owned()),
        "the API's address `http://api.example.com` is not https; set `api_url` to its public https:// address, or \
         leave it out",
    )
    .await;
    refused_with(
        &place,
        |settings| settings.tokens.rotate_every = Some(Duration::from_secs(3600)),
        "`tokens.rotate_every` is less than a day; set it to 90 days, or to None: a key is published for a quarter of \
         an hour before it signs",
    )
    .await;
    production(&place).api_url("https://api.example.com").build().await.expect("it starts").close().await;
}

#[test]
fn only_files_and_postgresql_are_databases() {
    for (url, wanted) in [
        ("app.db", "`app.db` is not a database URL; write sqlite://path/to/app.db"),
        ("sqlite::memory:", "a database in memory cannot be guarded; name a file"),
        (
            "mysql://localhost/app",
            "`mysql:` is not supported; write sqlite://path/to/app.db or postgres://role@host/database",
        ),
    ] {
        let error = Database::url(url).unwrap_err();
        println!("{error}");
        assert_eq!((error.code(), error.message()), (Code::Configuration, wanted));
    }
}

#[tokio::test]
async fn development_makes_the_key_file_for_its_owner_alone() {
    let place = Place::new("gate-key");
    let aurora = place.builder().build().await.unwrap();
    let mode = std::fs::metadata(place.key()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(aurora.key_file(), Some(place.key().as_path()));
    let text = std::fs::read_to_string(place.key()).unwrap();
    aurora.close().await;
    place.builder().build().await.unwrap();
    assert_eq!(std::fs::read_to_string(place.key()).unwrap(), text, "the second start keeps it");
}

#[tokio::test]
async fn production_makes_no_key_file() {
    let place = Place::new("gate-no-key");
    let text = refused(
        on_luks(bare(&place))
            .key_file(place.key())
            .site_url("https://app.example.com")
            .mailer(Arc::new(Mailbox::default())),
    )
    .await;
    assert!(text.starts_with(&format!("cannot read key file `{}`", place.key().display())), "{text}");
    assert!(!place.key().exists());
}

/// attack C07
#[tokio::test]
async fn a_key_file_that_is_missing_cut_open_or_another_is_refused() {
    let place = Place::new("gate-keys");
    place.builder().build().await.unwrap().close().await;
    let (path, shown) = (place.key(), place.key().display().to_string());
    let text = std::fs::read_to_string(&path).unwrap();
    for profile in [Profile::Production, Profile::Development] {
        let start = || production_of(&place, profile);
        std::fs::remove_file(&path).unwrap();
        let missing = refused(start()).await;
        assert!(missing.starts_with(&format!("cannot read key file `{shown}` (No such file")), "{missing}");
        assert!(missing.ends_with(
            ": restore it from where you keep it apart from the database; a new one opens nothing old. Before the first \
             start, `keys create` makes it"
        ));
        assert!(!path.exists(), "{profile:?}: a lost key is never silently replaced");

        for (cut, wanted) in [
            ("", "no root key is in it: restore it from its backup"),
            (&text[..20], "root key is cut or has parts too many: restore it from its backup"),
            (&text[..text.len() - 3], "root key has a wrong checksum: restore it from its backup"),
        ] {
            write_key(&path, cut);
            assert_eq!(refused(start()).await, format!("key file `{shown}`: {wanted}"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), cut, "left as it is");
        }

        write_key(&path, &text);
        for mode in [0o640, 0o604, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let open = refused(start()).await;
            assert_eq!(
                open,
                format!("key file `{shown}` is open to others (mode {mode:o}): chmod 600 {shown}")
            );
        }

        std::fs::remove_file(&path).unwrap();
        KeyFile::create_new(&path, &SystemEntropy).unwrap();
        let other = refused(start()).await;
        assert!(other.starts_with("the database's keys belong to root key `"), "{other}");
        assert!(other.ends_with("supply the key file that this database was made with"), "{other}");

        write_key(&path, &text);
        start().build().await.expect("with the right one it starts").close().await;
    }
}

fn production_of(place: &Place, profile: Profile) -> Builder {
    on_luks(bare(place))
        .profile(profile)
        .key_file(place.key())
        .site_url("https://app.example.com")
        .mailer(Arc::new(Mailbox::default()))
}

fn write_key(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Refuses to write anything.
#[derive(Debug)]
struct NoAudit;

impl AuditSink for NoAudit {
    fn write<'a>(&'a self, _: &'a mut dyn Transaction, _: Record) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(Error::overloaded(1)) })
    }
}

/// attack U05
#[tokio::test]
async fn a_handle_outside_requests_leaves_its_reason_first() {
    let place = Place::new("gate-reason");
    let aurora = place.builder().build().await.unwrap();
    let ann = TestClient::new(&aurora).sign_in("ann@example.test").await.unwrap();
    let mut connection = place.plain().await;
    for reason in ["", "  \t\n"] {
        assert_eq!(aurora.unguarded(reason).await.unwrap_err().code(), Code::ValidationFailed);
        let acting = aurora.acting_as(Principal::user(ann.user()), reason).await;
        assert_eq!(acting.unwrap_err().code(), Code::ValidationFailed);
    }
    let records = "SELECT count(*) FROM aurora_audit WHERE action IN ('unguarded_access', 'acting_as')";
    assert_eq!(count(&mut connection, records).await, 0);
    aurora.unguarded("monthly invoices").await.unwrap();
    aurora.acting_as(Principal::user(ann.user()), "weekly digest").await.unwrap();
    let rows: Vec<(String, String, String, Option<String>, String)> = sqlx::query_as(
        "SELECT kind, actor, action, target, payload FROM aurora_audit WHERE actor = 'service' AND action <> 'login'
         AND action <> 'user_signedup' ORDER BY action",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let row = |kind: &str, action: &str, target: Option<String>, payload: &str| {
        (kind.to_owned(), "service".to_owned(), action.to_owned(), target, payload.to_owned())
    };
    assert_eq!(
        rows,
        [
            row("security", "acting_as", Some(ann.user().to_string()), r#"{"reason":"weekly digest"}"#),
            row("access", "unguarded_access", None, r#"{"reason":"monthly invoices"}"#),
        ]
    );
    aurora.close().await;
    let silent = place.builder().audit(Arc::new(NoAudit)).build().await.unwrap();
    assert_eq!(
        silent.unguarded("a reason").await.unwrap_err().code(),
        Code::OverCapacity,
        "no record, no handle"
    );
    assert!(silent.acting_as(Principal::anonymous(), "a reason").await.is_err());
}

const HOST: [(&str, &str); 2] = [
    ("0001_notes.sql", "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL);"),
    ("0002_title.sql", "INSERT INTO notes (title) VALUES ('from before');"),
];
const REFERENCES: (&str, &str) = (
    "0003_owners.sql",
    "CREATE TABLE by_text (id INTEGER PRIMARY KEY, owner TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE);
     CREATE TABLE by_uid (id INTEGER PRIMARY KEY, owner BLOB NOT NULL REFERENCES auth_users (uid) ON DELETE CASCADE);",
);

#[tokio::test]
async fn a_service_that_ran_its_migrations_adopts_aurora() {
    let place = Place::new("gate-adopt");
    let mut connection = place.plain().await;
    let before = migrations(&place.path("migrations"), &HOST).await;
    before.run(&mut connection).await.unwrap();
    let stamp =
        "SELECT group_concat(version || ':' || hex(checksum) || ':' || installed_on) FROM _sqlx_migrations
                 WHERE version < 3";
    let was: String = sqlx::query_scalar(stamp).fetch_one(&mut connection).await.unwrap();
    let after = || async { migrations(&place.path("migrations"), &[HOST[0], HOST[1], REFERENCES]).await };
    for _ in 0..2 {
        place.builder().migrations(after().await).build().await.unwrap().close().await;
    }
    let is: String = sqlx::query_scalar(stamp).fetch_one(&mut connection).await.unwrap();
    assert_eq!(is, was, "the steps that were there stayed");
    assert_eq!(count(&mut connection, "SELECT count(*) FROM _sqlx_migrations").await, 3);
    assert_eq!(count(&mut connection, "SELECT count(*) FROM aurora_migrations").await, 8);
    assert_eq!(count(&mut connection, "SELECT count(*) FROM notes").await, 1, "the host's rows stayed");
    after().await.run(&mut connection).await.expect("and `sqlx migrate run` still works beside it");
}

#[tokio::test]
async fn a_failing_migration_of_the_host_names_itself_and_stops_the_start() {
    let place = Place::new("gate-broken");
    let broken =
        migrations(&place.path("migrations"), &[HOST[0], ("0002_broken.sql", "CREATE TABLE (")]).await;
    let text = refused(place.builder().migrations(broken)).await;
    assert!(text.starts_with("the host's migrations failed: while executing migration 2"), "{text}");
}

#[tokio::test]
async fn a_table_of_the_host_with_a_name_of_ours_is_named() {
    let place = Place::new("gate-taken");
    run(&mut place.plain().await, "CREATE TABLE auth_users (id INTEGER PRIMARY KEY)").await;
    let text = refused(place.builder()).await;
    assert!(text.contains("auth_users"), "{text}");
}

#[tokio::test]
async fn host_tables_reference_users_by_text_and_by_blob() {
    let place = Place::new("gate-foreign");
    let steps = migrations(&place.path("migrations"), &[REFERENCES, faults::PROFILES_LATER]).await;
    let aurora = place.builder().migrations(steps).on_sign_up(Arc::new(Profiles)).build().await.unwrap();
    let ann = TestClient::new(&aurora).sign_in("ann@example.test").await.unwrap();
    let mut connection = place.plain().await;
    let (text, blob) = (ann.user().to_string(), ann.user().as_bytes().to_vec());
    let by_text = "INSERT INTO by_text (owner) VALUES ($1)";
    let by_uid = "INSERT INTO by_uid (owner) VALUES ($1)";
    sqlx::query(by_text).bind(&text).execute(&mut connection).await.unwrap();
    sqlx::query(by_uid).bind(&blob).execute(&mut connection).await.unwrap();
    let stranger = sqlx::query(by_text).bind(text.replace('-', "")).execute(&mut connection).await;
    assert!(stranger.unwrap_err().to_string().contains("FOREIGN KEY"), "another spelling is another user");
    let stranger = sqlx::query(by_uid).bind(vec![9_u8; 16]).execute(&mut connection).await;
    assert!(stranger.unwrap_err().to_string().contains("FOREIGN KEY"));
    assert_eq!(count(&mut connection, "SELECT count(*) FROM profiles").await, 1);
    aurora.auth().delete_user(ann.user()).await.unwrap();
    for table in ["by_text", "by_uid", "profiles"] {
        assert_eq!(
            count(&mut connection, &format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table} went with her"
        );
    }
}

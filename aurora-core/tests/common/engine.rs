//! The two engines under one fixture: SQLite, or PostgreSQL where `AURORA_TEST_ENGINE=postgres` asks for it.
//!
//! The tests write their own looks into the tables in SQLite's names; [`spell`] turns them into PostgreSQL's.

use std::path::Path;
use std::sync::Arc;

use aurora_core::crypto::{Keyring, Purpose};
use aurora_core::env::Clock;
use aurora_core::store::{
    Database, HostTransaction, PostgresDatabase, PostgresOptions, PostgresOwner, SqliteDatabase,
};
use aurora_core::types::{Error, Result};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, ValueRef};

use super::postgres::{self, Place};

#[derive(Clone)]
pub enum Engine {
    Sqlite(SqliteDatabase),
    Postgres(PostgresDatabase, Place),
}

/// Whether the suites run on PostgreSQL. Those whose name starts with `postgres_` always do.
pub fn on_postgres() -> bool {
    let program = std::env::current_exe().unwrap();
    if program.file_name().unwrap().to_str().unwrap().starts_with("postgres_") {
        return true;
    }
    #[expect(clippy::disallowed_methods, reason = "`scripts/test` names the engine so")]
    let asked = std::env::var("AURORA_TEST_ENGINE");
    match asked.as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("AURORA_TEST_ENGINE is sqlite or postgres, not `{other}`"),
    }
}

/// What an engine needs before there is a key ring.
pub struct Opening {
    pub engine: Engine,
    pub keys: Arc<dyn Database>,
}

impl Engine {
    /// Opens the database that `path` stands for: the file, or a database named as its folder.
    pub async fn open(path: &Path, clock: &dyn Clock) -> Opening {
        if !on_postgres() {
            let database = SqliteDatabase::open(path.to_str().unwrap(), clock).await.unwrap();
            return Opening { keys: Arc::new(database.clone()), engine: Self::Sqlite(database) };
        }
        let restart = path.with_extension("run").exists();
        let place = place_of(path).await;
        let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
        owner.migrate(clock.now()).await.unwrap();
        let (role, url) = if restart {
            let role = format!("{}_run", place.name);
            (role.clone(), place.url(&role, "run"))
        } else {
            place.role("run", "NOINHERIT").await
        };
        owner.admit_run_role(&role).await.unwrap();
        std::fs::write(path.with_extension("run"), "").unwrap();
        let keys = owner.store();
        let database = PostgresDatabase::open(&url, &PostgresOptions::default()).await.unwrap();
        Opening { keys, engine: Self::Postgres(database, place) }
    }

    /// Binds what could not be bound before there was a key.
    pub async fn bind(&self, keyring: &Keyring) {
        if let Self::Postgres(database, _) = self {
            let keyring = keyring.clone();
            let derive = move |generation: u32| {
                keyring.mac(Purpose::Session, "test identity", &[&generation.to_be_bytes()])
            };
            database.bind_identity(&derive).await.unwrap();
        }
    }

    pub fn shared(&self) -> Arc<dyn Database> {
        match self {
            Self::Sqlite(database) => Arc::new(database.clone()),
            Self::Postgres(database, _) => Arc::new(database.clone()),
        }
    }

    pub fn sqlite(&self) -> &SqliteDatabase {
        match self {
            Self::Sqlite(database) => database,
            Self::Postgres(..) => panic!("this test is about the SQLite file"),
        }
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(database, _) => database.close().await,
        }
    }

    /// The host's own statements, past Aurora: on SQLite's file, or as a superuser.
    pub async fn execute(&self, statement: &str) {
        match self {
            Self::Sqlite(database) => {
                let text = AssertSqlSafe(statement.to_owned());
                sqlx::raw_sql(text).execute(&mut connect(database).await).await.unwrap();
            }
            Self::Postgres(_, place) => {
                let mut connection = place.superuser().await;
                postgres::run(&mut connection, &spell(statement)).await;
                connection.close().await.unwrap();
            }
        }
    }

    /// The rows of a question, each value as text.
    pub async fn rows(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Sqlite(database) => {
                let text = AssertSqlSafe(statement.to_owned());
                let rows = sqlx::query(text).fetch_all(&mut connect(database).await).await.unwrap();
                let value = |row: &sqlx::sqlite::SqliteRow, index: usize| {
                    row.try_get::<Option<String>, _>(index)
                        .or_else(|_| row.try_get::<Option<i64>, _>(index).map(|n| n.map(|n| n.to_string())))
                        .unwrap()
                };
                rows.iter().map(|row| (0..row.len()).map(|index| value(row, index)).collect()).collect()
            }
            Self::Postgres(_, place) => {
                let mut connection = place.superuser().await;
                // Unprepared, so that every value comes as text.
                let text = AssertSqlSafe(spell(statement));
                let rows = sqlx::raw_sql(text).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                let value = |row: &sqlx::postgres::PgRow, index: usize| {
                    let raw = row.try_get_raw(index).unwrap();
                    (!raw.is_null()).then(|| raw.as_str().unwrap().to_owned())
                };
                rows.iter().map(|row| (0..row.len()).map(|index| value(row, index)).collect()).collect()
            }
        }
    }
}

/// What the engine says when its audit table was renamed.
pub fn missing_audit() -> &'static str {
    if on_postgres() { "relation \"aurora.audit\" does not exist" } else { "no such table: aurora_audit" }
}

/// The database that `path` stands for, made on the first call.
pub async fn place_of(path: &Path) -> Place {
    let folder = path.parent().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
    let made = path.with_extension("made");
    if made.exists() {
        return Place { name };
    }
    let place = Place::named(name).await;
    std::fs::write(&made, "").unwrap();
    place
}

pub async fn connect(database: &SqliteDatabase) -> SqliteConnection {
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{}", database.path().display())).await.unwrap();
    sqlx::query("PRAGMA busy_timeout = 5000").execute(&mut connection).await.unwrap();
    connection
}

/// A statement of a test's, in PostgreSQL's names.
fn spell(statement: &str) -> String {
    const NAMES: [(&str, &str); 26] = [
        ("PRAGMA foreign_keys = ON; ", ""),
        ("DROP TRIGGER auth_users_banned;", "DROP TRIGGER users_banned ON auth.users;"),
        ("ALTER TABLE gone RENAME TO aurora_audit", "ALTER TABLE aurora.gone RENAME TO audit"),
        ("banned_until = 9e15", "banned_until = 'infinity'"),
        ("banned_until = 9000000000000000", "banned_until = 'infinity'"),
        ("json_extract(payload, '$.reissued')", "payload ->> 'reissued'"),
        ("user_metadata, password FROM", "raw_user_meta_data, encrypted_password FROM"),
        ("SELECT password", "SELECT encrypted_password"),
        ("SET password", "SET encrypted_password"),
        ("WHERE password", "WHERE encrypted_password"),
        ("auth_users", "auth.users"),
        ("auth_identities", "auth.identities"),
        ("auth_sessions", "auth.sessions"),
        ("auth_mfa_", "auth.mfa_"),
        ("auth_refresh_tokens", "auth.refresh_tokens"),
        ("aurora_audit", "aurora.audit"),
        ("aurora_outbox", "aurora.outbox"),
        ("aurora_slots", "aurora.slots"),
        ("aurora_user_roles", "aurora.user_roles"),
        ("aurora_role_permissions", "aurora.role_permissions"),
        ("aurora_roles", "aurora.roles"),
        ("aurora_role_changes", "aurora.role_changes"),
        ("aurora_signing_keys", "aurora.signing_keys"),
        ("aurora_api_keys", "aurora.api_keys"),
        ("aurora_keys", "aurora.keys"),
        ("ORDER BY rowid", "ORDER BY xmin::text::bigint, cmin::text::bigint, ctid"),
    ];
    NAMES.iter().fold(statement.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A host's statement with the user's id in `$1` and a text in `$2`, on either engine.
pub async fn host_writes(
    transaction: &mut HostTransaction<'_>,
    statement: &'static str,
    user: aurora_core::types::UserId,
    text: Option<&str>,
) -> Result<()> {
    match transaction {
        HostTransaction::Sqlite(connection) => {
            let mut query = sqlx::query(statement).bind(user.to_string());
            if let Some(text) = text {
                query = query.bind(text.to_owned());
            }
            query.execute(&mut **connection).await.map_err(Error::internal)?;
        }
        HostTransaction::Postgres(connection) => {
            let spelled = AssertSqlSafe(statement.replace("$1", "$1::text::uuid"));
            let mut query = sqlx::query(spelled).bind(user.to_string());
            if let Some(text) = text {
                query = query.bind(text.to_owned());
            }
            query.execute(&mut **connection).await.map_err(Error::internal)?;
        }
        _ => panic!("an engine that this test does not know"),
    }
    Ok(())
}

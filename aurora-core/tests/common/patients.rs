//! A table of patients with sealed cells, on either engine.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a failing fixture fails the test")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

#[path = "postgres.rs"]
pub mod postgres;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_core::config::Profile;
use aurora_core::guard::{Guarded, RowKey, Sealed, SealedColumn};
use aurora_core::testing::{TestClient, TestUser};
use aurora_core::types::Result;
use aurora_core::{Aurora, Builder, Database, Migrations};
use postgres::Place;
use sqlx::migrate::Migrator;

pub const DIAGNOSIS: SealedColumn<String> =
    SealedColumn::new("patients", "diagnosis").with_index("diagnosis_index");
pub const WEIGHT: SealedColumn<i64> = SealedColumn::new("patients", "weight");
pub const DIARY: SealedColumn<String> = SealedColumn::new("patients", "diary").per_writer();
pub const CONTRACT: SealedColumn<serde_json::Value> = SealedColumn::new("patients", "contract").per_tenant();

pub const POLICIES: &str = "
    ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON patients TO authenticated
        USING (owner = auth.uid() OR shared) WITH CHECK (owner = auth.uid());
    GRANT SELECT, INSERT, UPDATE, DELETE ON patients TO authenticated;";

pub const SQLITE: &str = "CREATE TABLE patients (id TEXT NOT NULL PRIMARY KEY, \
    owner TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE, \
    shared INTEGER NOT NULL DEFAULT 0, plain TEXT, diagnosis BLOB, diagnosis_index BLOB, weight BLOB, diary BLOB, \
    contract BLOB) STRICT;";
pub const POSTGRES: &str = "CREATE TABLE patients (id uuid PRIMARY KEY, \
    owner uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id) ON DELETE CASCADE, \
    shared boolean NOT NULL DEFAULT false, plain text, diagnosis bytea, diagnosis_index bytea, weight bytea, diary bytea, \
    contract bytea);";

/// A service's folder and database.
pub struct Host {
    pub folder: PathBuf,
    pub url: String,
    pub place: Option<Place>,
}

impl Host {
    pub async fn new(on_postgres: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sealed-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        for (engine, text) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            std::fs::create_dir_all(folder.join(engine)).unwrap();
            std::fs::write(folder.join(engine).join("0001_patients.sql"), text).unwrap();
        }
        if !on_postgres {
            let url = format!("sqlite://{}", folder.join("app.db").display());
            return Self { folder, url, place: None };
        }
        let place = Place::new().await;
        Self { folder, url: place.owner_url(), place: Some(place) }
    }

    pub async fn both() -> [Self; 2] {
        [Self::new(false).await, Self::new(true).await]
    }

    pub async fn builder(&self) -> Builder {
        builder(&self.folder, &self.url).await
    }

    pub async fn aurora(&self) -> Aurora {
        self.builder().await.build().await.unwrap()
    }

    /// Past everything.
    pub async fn execute(&self, sqlite: &str) {
        match &self.place {
            None => {
                use sqlx::Connection as _;
                let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sqlite.to_owned())).execute(&mut connection).await.unwrap();
            }
            Some(place) => postgres::run(&mut postgres::superuser(&place.name).await, sqlite).await,
        }
    }
}

pub async fn builder(folder: &std::path::Path, url: &str) -> Builder {
    let migrations = Migrations {
        sqlite: Migrator::new(folder.join("sqlite")).await.unwrap(),
        postgres: Migrator::new(folder.join("postgres")).await.unwrap(),
    };
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(url).unwrap())
        .key_file(folder.join("aurora.key"))
        .migrations(migrations)
        .policies("policies.sql", POLICIES)
        .sealed(&DIAGNOSIS)
        .sealed(&WEIGHT)
        .sealed(&DIARY)
        .sealed(&CONTRACT)
}

pub async fn add(db: &Guarded, text: &str) -> RowKey {
    let key = db.row_key().unwrap();
    let insert = "INSERT INTO patients (id, diagnosis, diagnosis_index, weight, owner, shared) \
        VALUES ($1, $2, $3, $4, $5, true)";
    db.query(insert)
        .bind(key)
        .bind(db.seal(&DIAGNOSIS, key, &text.to_owned()).await.unwrap())
        .bind(db.blind(&DIAGNOSIS, &text.to_owned()).await.unwrap())
        .bind(db.seal(&WEIGHT, key, &71).await.unwrap())
        .bind(db.principal().user_id().unwrap())
        .execute()
        .await
        .unwrap();
    key
}

pub async fn read(db: &Guarded, key: RowKey) -> Result<Option<String>> {
    let query = db.query_as("SELECT id, diagnosis FROM patients WHERE id = $1").bind(key);
    let Some((id, cell)): Option<(RowKey, Sealed<String>)> = query.fetch_optional().await? else {
        return Ok(None);
    };
    db.open(&DIAGNOSIS, id, &cell).await.map(Some)
}

pub async fn user(aurora: &Aurora, email: &str) -> TestUser {
    TestClient::new(aurora).sign_in(email).await.unwrap()
}

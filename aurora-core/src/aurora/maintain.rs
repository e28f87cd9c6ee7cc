//! What the command line asks of a builder, short of building.

use std::path::PathBuf;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::database::{Database, HostMigrations, Place, Postgres, Run};
use super::{Builder, PolicyFunction, read_policies, sqlite};
use crate::env::{Clock, Entropy, random};
use crate::guard::{self, Applied, ForeignPolicies, Plan};
use crate::policy::{Policies, Schema};
use crate::store::{self, PostgresOwner, SqliteDatabase};
use crate::types::{Code, Error, Result};

impl Builder {
    /// The policy file: its name, its text, and the functions that the host brings. What was taken is gone.
    pub(crate) fn take_policies(&mut self) -> (String, String, Vec<PolicyFunction>) {
        let (file, text) = self.files.with_lines(self.policies.take()).unwrap_or_default();
        (file, text, std::mem::take(&mut self.functions))
    }

    /// The tables that the policies speak of: on SQLite as the migrations make them in a scratch file, on
    /// PostgreSQL as they are.
    pub(crate) async fn schema(self) -> Result<Schema> {
        match named(self.database)?.0 {
            Place::Sqlite { .. } => scratch_schema(self.migrations, &*self.clock, &*self.entropy).await,
            Place::Postgres(place) => {
                let mut connection = options(&place)?.connect().await.map_err(unreachable)?;
                guard::schema_on_postgres(&mut connection).await
            }
        }
    }

    /// What `apply` would change.
    pub(crate) async fn plan_policies(self) -> Result<Plan> {
        let place = postgres(self.database)?;
        let policies = read(self.files.with_lines(self.policies), self.functions)?;
        let mut connection = options(&place)?.connect().await.map_err(unreachable)?;
        guard::plan(&mut connection, &policies).await
    }

    /// Installs the policies as the owner.
    pub(crate) async fn apply_policies(self, foreign: ForeignPolicies) -> Result<Applied> {
        let place = postgres(self.database)?;
        let policies = read(self.files.with_lines(self.policies), self.functions)?;
        let owner = PostgresOwner::open(&owner_url(place)?).await?;
        let applied = guard::apply(&owner, &policies, foreign).await;
        owner.close().await;
        applied
    }

    /// What a database administrator runs before the first start.
    pub(crate) fn setup_sql(self) -> Result<String> {
        let place = postgres(self.database)?;
        Ok(match &place.run {
            Run::Url(url) => store::setup_sql(&store::run_role_of(url)?),
            Run::Pool(pool) => store::setup_sql(pool.connect_options().get_username()),
        })
    }
}

fn named(database: Option<Database>) -> Result<Database> {
    database.ok_or_else(|| Error::new(Code::Configuration, "no database is set; add .database(..)"))
}

fn postgres(database: Option<Database>) -> Result<Postgres> {
    match named(database)?.0 {
        Place::Postgres(place) => Ok(*place),
        Place::Sqlite { .. } => Err(Error::new(
            Code::Configuration,
            "on SQLite the guard enforces the policies from the file at each start; there is nothing to install",
        )),
    }
}

fn read(policies: Option<(String, String)>, functions: Vec<PolicyFunction>) -> Result<Policies> {
    let (file, text) = policies.unwrap_or_default();
    read_policies(&file, &text, functions)
        .map_err(|errors| Error::new(Code::Configuration, errors.to_string()))
}

/// As the owner where one is named, else as the run role: the catalog is open to both.
fn options(place: &Postgres) -> Result<PgConnectOptions> {
    let url = match (&place.migrate, &place.run) {
        (Some(url), _) | (None, Run::Url(url)) => url,
        (None, Run::Pool(pool)) => return Ok((*pool.connect_options()).clone().disable_statement_logging()),
    };
    store::connect_options_of(url)
}

fn owner_url(place: Postgres) -> Result<String> {
    match (place.migrate, place.run) {
        (Some(url), _) | (None, Run::Url(url)) => Ok(url),
        (None, Run::Pool(_)) => {
            Err(Error::new(Code::Configuration, "only the owner installs policies; add .migrate_url(..)"))
        }
    }
}

fn unreachable(error: sqlx::Error) -> Error {
    Error::new(Code::Configuration, format!("cannot connect to the database: {error}"))
}

async fn scratch_schema(
    migrations: Option<HostMigrations>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Schema> {
    let bytes: [u8; 16] = random(entropy)?;
    let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = Scratch(std::env::temp_dir().join(format!("aurora-check-{name}")));
    std::fs::create_dir(&folder.0).map_err(Error::internal)?;
    let path = folder.0.join("app.db");
    let store = SqliteDatabase::open(&format!("sqlite:{}", path.display()), clock).await?;
    if let Some(migrations) = migrations {
        sqlite::migrate(&store, &migrations.sqlite()).await?;
    }
    store.close().await;
    let options = SqliteConnectOptions::new().filename(&path).disable_statement_logging();
    let mut connection = options.connect().await.map_err(Error::internal)?;
    let schema = guard::schema_on_sqlite(&mut connection).await?;
    sqlx::Connection::close(connection).await.map_err(Error::internal)?;
    Ok(schema)
}

/// A folder that goes with its holder.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

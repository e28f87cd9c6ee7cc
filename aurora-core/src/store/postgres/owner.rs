use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnectOptions;

use super::bind::{BoundTransaction, Mode};
use super::check::{self, Vulnerable};
use super::connections::Connections;
use super::database::{IdentityBlocks, connect_options, unreachable};
use super::transaction::{PostgresReader, PostgresWrite};
use super::{failure, setup};
use crate::store::{Database, Reader, Transaction};
use crate::types::{Code, Error, Result, Secret, Timestamp, quote};

/// How long the owner waits for a connection.
const DEADLINE: Duration = Duration::from_secs(10);

/// The database's owner, for set-up: schema, roles, policies, the identity key. Not for requests.
#[derive(Clone, Debug)]
pub struct PostgresOwner {
    connections: Connections,
}

impl PostgresOwner {
    /// Connects as the owner: the migrate URL's role.
    pub async fn open(url: &str) -> Result<Self> {
        let (options, pooled) = connect_options(url)?;
        let this = Self { connections: Connections::new(options, 2, DEADLINE, pooled) };
        let mut transaction = this.begin().await.map_err(unreachable)?;
        check::server(check::version(transaction.connection()?).await?, Vulnerable::Warn)?;
        transaction.commit().await?;
        Ok(this)
    }

    /// Whether this role can set up: a superuser, or one that makes roles and owns, or may create in, the database.
    pub async fn is_owner(&self) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar(
            "SELECT rolsuper OR (rolcreaterole AND \
             pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')) \
             FROM pg_catalog.pg_roles WHERE rolname = session_user",
        );
        let owner = query.fetch_one(transaction.connection()?).await.map_err(failure)?;
        transaction.rollback().await?;
        Ok(owner)
    }

    /// Brings Aurora's roles and schema up to date. Two processes that start at once take turns.
    pub async fn migrate(&self, now: Timestamp) -> Result<()> {
        let mut transaction = self.begin().await?;
        setup::migrate(transaction.connection()?, now).await?;
        transaction.commit().await
    }

    /// Lets `role`, which exists, act as whom Aurora's transactions act as.
    pub async fn admit_run_role(&self, role: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        setup::grant(transaction.connection()?, role).await?;
        transaction.commit().await
    }

    /// In development, where the owner's URL is the only one: makes the run role `aurora_run_<database>` with
    /// `password` and answers the URL's options with it.
    pub async fn make_run_role(&self, password: &Secret) -> Result<PgConnectOptions> {
        let options = self.connections.options();
        let database = options.get_database().unwrap_or(options.get_username());
        // PostgreSQL cuts names at 63 bytes.
        let role: String =
            format!("aurora_run_{database}").chars().filter(|c| c.is_ascii()).take(63).collect();
        if password.expose().contains(['\'', '\\']) {
            return Err(Error::internal("a run role's password is hexadecimal"));
        }
        let text = format!(
            "DO $aurora$ BEGIN CREATE ROLE {name} LOGIN NOINHERIT; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $aurora$; \
             ALTER ROLE {name} LOGIN NOINHERIT PASSWORD '{password}'",
            name = quote(&role),
            password = password.expose()
        );
        let mut transaction = self.begin().await?;
        setup::take_turn(transaction.connection()?).await?;
        // Neither a role's name nor its password can be bound; the server logs no statement of an owner's unless
        // it was told to.
        sqlx::raw_sql(AssertSqlSafe(text)).execute(transaction.connection()?).await.map_err(|error| {
            Error::new(Code::Configuration, format!("the run role `{role}` cannot be made: {error}"))
        })?;
        setup::grant(transaction.connection()?, &role).await?;
        transaction.commit().await?;
        Ok(options.clone().username(&role).password(password.expose()))
    }

    /// The generation of the identity key that is in use; 1 before the first.
    pub async fn identity_generation(&self) -> Result<u32> {
        let mut transaction = self.begin().await?;
        let generation: i32 = sqlx::query_scalar("SELECT aurora.identity_generation()")
            .fetch_one(transaction.connection()?)
            .await
            .map_err(failure)?;
        u32::try_from(generation).map_err(Error::internal)
    }

    /// Stores the identity key of `generation`, and forgets those before the last two: a process that started with
    /// the former key serves on until it starts again.
    pub async fn install_identity(&self, generation: u32, key: &[u8; 32]) -> Result<()> {
        let blocks = IdentityBlocks::new(key);
        let generation = i32::try_from(generation).map_err(Error::internal)?;
        let mut transaction = self.begin().await?;
        let query = sqlx::query(
            "INSERT INTO aurora.identity_keys (generation, inner_block, outer_block) VALUES ($1, $2, $3) \
             ON CONFLICT (generation) DO UPDATE SET inner_block = excluded.inner_block, \
             outer_block = excluded.outer_block",
        );
        let query = query.bind(generation).bind(blocks.inner.to_vec()).bind(blocks.outer.to_vec());
        query.execute(transaction.connection()?).await.map_err(failure)?;
        let forget =
            sqlx::query("DELETE FROM aurora.identity_keys WHERE generation < $1 - 1").bind(generation);
        forget.execute(transaction.connection()?).await.map_err(failure)?;
        transaction.commit().await
    }

    /// The store as the owner, for the tables of keys: they are read and filled before the run role can be bound.
    pub fn store(&self) -> Arc<dyn Database> {
        Arc::new(OwnerStore(self.clone()))
    }

    /// A transaction as the owner, past every policy: for set-up alone.
    pub async fn begin(&self) -> Result<BoundTransaction> {
        BoundTransaction::begin_plain(self.connections.clone(), Mode::ReadWrite).await
    }

    /// What the owner connects with.
    pub fn options(&self) -> &PgConnectOptions {
        self.connections.options()
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.connections.close().await;
    }
}

#[derive(Debug)]
struct OwnerStore(PostgresOwner);

#[async_trait]
impl Database for OwnerStore {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        Ok(Box::new(PostgresReader::new(self.0.begin().await?)))
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(PostgresWrite::new(self.0.begin().await?, "public, pg_temp")))
    }

    fn has_one_writer(&self) -> bool {
        false
    }
}

use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool};
use zeroize::Zeroizing;

use super::bind::{Bind, BoundTransaction, Mode};
use super::check::{self, Vulnerable};
use super::connections::Connections;
use super::proof::{Identity, Proof};
use super::transaction::{PostgresReader, PostgresWrite};
use super::transit::verified_by_default;
use super::{failure, setup, transit};
use crate::store::{Database, Reader, Transaction};
use crate::types::{Code, Error, Result, quote};

/// The role that the stores' own transactions run as, and its claims.
pub(super) const STORE_ROLE: &str = "aurora_store";
pub(super) const STORE_CLAIMS: &str = r#"{"aurora":"store"}"#;
/// Every name in a store's statement has its schema.
pub(super) const STORE_PATH: &str = "pg_catalog, pg_temp";
/// Whom the host's own statements run as in a store's transaction: they see every row of the host's tables.
pub(super) const HOST_ROLE: &str = "aurora_service";
pub(super) const HOST_CLAIMS: &str = r#"{"role":"service_role"}"#;
/// How long a store's statement may take, and wait for a lock.
const STORE_STATEMENT: Duration = Duration::from_secs(10);
const STORE_LOCK: Duration = Duration::from_secs(5);
/// After so long nobody waits for a store's statement: the server had its time to say that it was too slow.
pub(super) const STATEMENT: Duration = Duration::from_secs(12);

/// How a [`PostgresDatabase`] is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Connections for the host's guarded statements. 10.
    pub connections: u32,
    /// Connections for sign-in and the like, apart, so that neither waits for the other. 5.
    pub store_connections: u32,
    /// How long to wait for a connection before the caller is told to come back. 5 seconds.
    pub deadline: Duration,
    /// The schemas in which a name without one is looked up, in order. `public`.
    pub schemas: Vec<String>,
    /// A pooler in transaction mode stands before the server, as `?pgbouncer=true` in the URL says too. `false`.
    pub pgbouncer: bool,
    /// Refuse a server with CVE-2026-14666 instead of warning.
    pub refuse_vulnerable_server: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 10,
            store_connections: 5,
            deadline: Duration::from_secs(5),
            schemas: vec!["public".to_owned()],
            pgbouncer: false,
            refuse_vulnerable_server: false,
        }
    }
}

/// One PostgreSQL database with the host's tables and Aurora's, as the run role. Cheap to clone.
///
/// Every transaction acts as somebody ([`begin_as`](Self::begin_as)); the run role by itself may do nothing.
#[derive(Clone)]
pub struct PostgresDatabase(Arc<Inner>);

struct Inner {
    guarded: Connections,
    stores: Connections,
    proof: RwLock<Proof>,
    search_path: String,
}

impl PostgresDatabase {
    /// Connects as the run role that `url` names: `postgres://run@host/app`, with a certificate of the
    /// server's name unless its `sslmode` says otherwise or it is this machine, and
    /// `pgbouncer=true` behind a pooler in transaction mode. The schema is there already.
    ///
    /// # Errors
    /// [`Code::Configuration`] with the fix, for a server before 15, a role that could do more than act as somebody,
    /// a schema that is missing or of a later epoch.
    pub async fn open(url: &str, options: &PostgresOptions) -> Result<Self> {
        let (connect, pooled) = connect_options(url)?;
        let options = PostgresOptions { pgbouncer: options.pgbouncer || pooled, ..options.clone() };
        Self::connect(connect, &options).await
    }

    /// The same database and role as a pool of the host's, under connections of Aurora's own.
    pub async fn of_pool(pool: &PgPool, options: &PostgresOptions) -> Result<Self> {
        let connect = (*pool.connect_options()).clone().disable_statement_logging();
        Self::connect(connect, options).await
    }

    /// As [`open`](Self::open), with sqlx's options.
    pub async fn connect(connect: PgConnectOptions, options: &PostgresOptions) -> Result<Self> {
        let schemas: Vec<String> = options.schemas.iter().map(|schema| quote(schema)).collect();
        let database = Self(Arc::new(Inner {
            guarded: Connections::new(
                connect.clone(),
                options.connections,
                options.deadline,
                options.pgbouncer,
            ),
            stores: Connections::new(connect, options.store_connections, options.deadline, options.pgbouncer),
            proof: RwLock::new(Proof::None),
            // Temporary tables come last: they are looked up first where the path does not name them.
            search_path: format!("{}, pg_temp", schemas.join(", ")),
        }));
        database.check(options).await?;
        Ok(database)
    }

    async fn check(&self, options: &PostgresOptions) -> Result<()> {
        let begun = BoundTransaction::begin_plain(self.0.stores.clone(), Mode::ReadOnly).await;
        let mut transaction = begun.map_err(unreachable)?;
        let connection = transaction.connection()?;
        let vulnerable = if options.refuse_vulnerable_server { Vulnerable::Refuse } else { Vulnerable::Warn };
        check::server(check::version(connection).await?, vulnerable)?;
        check::run_role(connection, self.0.stores.options(), &options.schemas).await?;
        if check::settings_are_believed(connection).await? {
            self.believe(Proof::Settings);
        }
        transaction.rollback().await?;
        let mut transaction = self.begin_store(Mode::ReadOnly).await?;
        let version = setup::version(transaction.connection()?).await?;
        transaction.rollback().await?;
        if !setup::is_complete(version) {
            let text = format!(
                "the database has Aurora's schema {version}, this program needs a later one; start once with \
                 `migrate_url`, or let a DBA run what `setup --print-sql` prints"
            );
            return Err(Error::new(Code::Configuration, text));
        }
        Ok(())
    }

    /// Derives the key that binds claims to transactions, and proves that the database holds the same. The first
    /// process that starts on a new database leaves its own there.
    ///
    /// `derive` answers the key of a generation: a keyed hash under the root key, which lies outside the database.
    pub async fn bind_identity(&self, derive: &(dyn Fn(u32) -> [u8; 32] + Send + Sync)) -> Result<()> {
        let mut transaction = self.begin_store(Mode::ReadWrite).await?;
        let generation: i32 = sqlx::query_scalar("SELECT aurora.identity_generation()")
            .fetch_one(transaction.connection()?)
            .await
            .map_err(failure)?;
        let number = u32::try_from(generation).map_err(Error::internal)?;
        let key = Zeroizing::new(derive(number));
        let blocks = IdentityBlocks::new(&key);
        let admitted: bool = sqlx::query_scalar("SELECT aurora.admit_identity($1, $2, $3)")
            .bind(generation)
            .bind(blocks.inner.to_vec())
            .bind(blocks.outer.to_vec())
            .fetch_one(transaction.connection()?)
            .await
            .map_err(failure)?;
        transaction.commit().await?;
        if !admitted {
            return Err(Error::new(
                Code::Configuration,
                "the database binds identities with the key of another root key; supply the key file that it was \
                 made with, or start once with `migrate_url` to renew it",
            ));
        }
        if !matches!(self.proof(), Proof::Settings) {
            self.believe(Proof::Mac(Arc::new(Identity::new(number, &key))));
        }
        let mut transaction = self.begin_store(Mode::ReadOnly).await?;
        let bound = sqlx::query("SELECT aurora.bound()").fetch_one(transaction.connection()?).await;
        bound.map_err(failure)?;
        transaction.rollback().await
    }

    /// A transaction as somebody. Two round trips, or one where `set_config` is revoked
    /// ([`identity_sql`](super::identity_sql)).
    ///
    /// # Errors
    /// [`Code::OverCapacity`] if no connection is free in time, or the server is away; [`Code::Configuration`]
    /// before [`bind_identity`](Self::bind_identity).
    pub async fn begin_as(&self, who: Bind<'_>) -> Result<BoundTransaction> {
        let proof = self.proof();
        if matches!(proof, Proof::None) {
            return Err(Error::new(Code::Configuration, "the database's identity key is not bound yet"));
        }
        BoundTransaction::begin(self.0.guarded.clone(), proof, who, &self.0.search_path).await
    }

    /// A transaction of the stores. Before there is an identity key it reaches the tables of keys only.
    pub(super) async fn begin_store(&self, mode: Mode) -> Result<BoundTransaction> {
        let mut bind = Bind::new(STORE_ROLE, STORE_CLAIMS, mode);
        bind.statement_timeout = Some(STORE_STATEMENT);
        bind.lock_timeout = Some(STORE_LOCK);
        BoundTransaction::begin(self.0.stores.clone(), self.proof(), bind, STORE_PATH).await
    }

    /// A transaction that began as somebody goes on as the store's: what both do commits together.
    pub(crate) fn go_on(&self, transaction: BoundTransaction) -> Box<dyn Transaction> {
        Box::new(PostgresWrite::go_on(transaction, &self.0.search_path))
    }

    async fn write(&self) -> Result<PostgresWrite> {
        let transaction = self.begin_store(Mode::ReadWrite).await?;
        Ok(PostgresWrite::new(transaction, &self.0.search_path))
    }

    /// The role and database that it connects as and to.
    pub fn options(&self) -> &PgConnectOptions {
        self.0.stores.options()
    }

    /// Closes the connections, after what is lent out has come back.
    pub async fn close(&self) {
        self.0.guarded.close().await;
        self.0.stores.close().await;
    }

    fn proof(&self) -> Proof {
        self.0.proof.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn believe(&self, proof: Proof) {
        *self.0.proof.write().unwrap_or_else(PoisonError::into_inner) = proof;
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn read(&self) -> Result<Box<dyn Reader>> {
        Ok(Box::new(PostgresReader::new(self.begin_store(Mode::ReadOnly).await?)))
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(self.write().await?))
    }

    fn has_one_writer(&self) -> bool {
        false
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        f.debug_struct("PostgresDatabase")
            .field("host", &options.get_host())
            .field("database", &options.get_database())
            .field("role", &options.get_username())
            .finish_non_exhaustive()
    }
}

/// HMAC's two padded blocks, which the database keeps: it hashes, and has no HMAC of its own.
pub(super) struct IdentityBlocks {
    pub(super) inner: Zeroizing<[u8; 64]>,
    pub(super) outer: Zeroizing<[u8; 64]>,
}

impl IdentityBlocks {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let padded = |pad: u8| {
            let mut block = Zeroizing::new([pad; 64]);
            for (to, from) in block.iter_mut().zip(key) {
                *to ^= from;
            }
            block
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }
}

/// The role that a URL connects as.
pub fn run_role_of(url: &str) -> Result<String> {
    Ok(connect_options(url)?.0.get_username().to_owned())
}

/// sqlx's options of a URL, for one connection.
pub(crate) fn connect_options_of(url: &str) -> Result<PgConnectOptions> {
    connect_options(url).map(|(options, _)| options)
}

/// sqlx's options of a URL, and whether a pooler in transaction mode stands before the server.
pub(super) fn connect_options(url: &str) -> Result<(PgConnectOptions, bool)> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (ours, theirs): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|part| !part.is_empty()).partition(|part| part.starts_with("pgbouncer="));
    let pooled = ours.contains(&"pgbouncer=true");
    let mut plain = address.to_owned();
    if !theirs.is_empty() {
        plain.push('?');
        plain.push_str(&theirs.join("&"));
    }
    // The URL holds a password: an error never repeats it.
    let options = PgConnectOptions::from_str(&plain).map_err(|_| {
        let text = "the database URL does not parse; write postgres://role:password@host/database";
        Error::new(Code::Configuration, text)
    })?;
    let options = verified_by_default(options, query);
    // sqlx logs statements, and a slow one with its text.
    let options = options.application_name("aurora").disable_statement_logging();
    if pooled {
        // A prepared statement belongs to one server connection, and the next transaction may get another one.
        return Ok((options.statement_cache_capacity(0).extra_float_digits(None), true));
    }
    Ok((options, false))
}

/// At start, a server that is away is a wrong configuration: say which.
pub(super) fn unreachable(error: Error) -> Error {
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let mend = transit::mend(&cause);
    Error::new(Code::Configuration, format!("cannot connect to the database: {cause}{mend}"))
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _};

    use super::*;
    use crate::env::{Clock as _, SystemClock};
    use crate::store::postgres::{PostgresOwner, statements};

    #[test]
    fn a_url_s_password_is_in_no_error_and_in_no_debug() {
        let error = connect_options("postgres://u:geheim@host:notaport/x").unwrap_err();
        assert!(!format!("{error:?}").contains("geheim"));
        let (options, pooled) = connect_options("postgres://u:p@h/d?pgbouncer=true&sslmode=disable").unwrap();
        assert!(pooled && options.get_username() == "u");
    }

    /// On the server that `AURORA_TEST_POSTGRES` names, as the role that runs them.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    async fn every_statement_prepares() {
        let server = std::env::var("AURORA_TEST_POSTGRES").expect("AURORA_TEST_POSTGRES: run scripts/test");
        let name = format!("aurora_prepare_{}", std::process::id());
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        let make = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE); CREATE DATABASE {name}");
        for statement in make.split("; ") {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        }
        let (address, _) = server.rsplit_once('/').unwrap();
        let owner = PostgresOwner::open(&format!("{address}/{name}")).await.unwrap();
        owner.migrate(SystemClock.now()).await.unwrap();
        let mut transaction = owner.begin().await.unwrap();
        let connection = transaction.connection().unwrap();
        sqlx::raw_sql("SET LOCAL ROLE aurora_store").execute(&mut *connection).await.unwrap();
        for (name, text) in statements::ALL {
            let prepared = sqlx::Executor::prepare(&mut *connection, sqlx::SqlStr::from_static(text)).await;
            assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
        }
        assert!(statements::ALL.len() > 30);
    }
}

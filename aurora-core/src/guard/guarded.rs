use std::path::Path;
use std::sync::Arc;

use crate::env::{Clock, Entropy};
use crate::policy::{Lowered, Policies, Schema};
use crate::store::{PostgresDatabase, PostgresOwner, WriterLock};
use crate::types::{Code, Error, Principal, Result};

use super::options::GuardOptions;
use super::postgres::{self, PostgresExecutor};
use super::query::{FromRecord, Query, QueryAs, Runner};
use super::sqlite::{self, GuardedExecutor};
use super::transaction::{Snapshot, Transaction};

/// The guard over one database: its policies and its connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(Arc<sqlite::Engine>),
    Postgres(Arc<postgres::Engine>),
}

/// A guard and who acts through it.
#[derive(Clone, Debug)]
pub(super) enum Actor {
    Sqlite(sqlite::Actor),
    Postgres(postgres::Actor),
}

impl Guard {
    /// Opens the guard over the SQLite file at `path`, whose migrations have run.
    ///
    /// # Errors
    /// [`Code::Configuration`] names the policy (file, line, construct) or the part of the
    /// schema that cannot be carried, and what to write instead.
    pub async fn open(
        path: &Path,
        policies: &Policies,
        writer: WriterLock,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        options: GuardOptions,
    ) -> Result<Self> {
        let engine = sqlite::Engine::open(path, policies, writer, clock, entropy, options).await?;
        Ok(Self(Engine::Sqlite(Arc::new(engine))))
    }

    /// Opens the guard over a PostgreSQL database, whose identity key is bound.
    ///
    /// With an `owner`, as in development, the policies are installed first. Without one the database must have the
    /// file's policies already, to the letter: [`apply`](super::apply) installs them.
    ///
    /// # Errors
    /// [`Code::Configuration`] names the policy that does not fit (file, line, construct), or what differs between
    /// the file and the database.
    pub async fn open_postgres(
        database: PostgresDatabase,
        owner: Option<&PostgresOwner>,
        policies: &Policies,
        options: GuardOptions,
    ) -> Result<Self> {
        let engine = postgres::Engine::open(database, owner, policies, options).await?;
        Ok(Self(Engine::Postgres(Arc::new(engine))))
    }

    /// A handle that acts as `principal`. No connection is taken before its first statement.
    pub fn guarded(&self, principal: Principal) -> Guarded {
        Guarded(match &self.0 {
            Engine::Sqlite(engine) => Actor::Sqlite(sqlite::Actor::new(Arc::clone(engine), principal)),
            Engine::Postgres(engine) => Actor::Postgres(postgres::Actor::new(Arc::clone(engine), principal)),
        })
    }

    /// A handle that sees every row. The caller writes the reason into the audit log first.
    pub(crate) fn unguarded(&self) -> Unguarded {
        Unguarded(self.guarded(Principal::service()))
    }

    /// What the policies were lowered to: grants, warnings and the indexes they want.
    pub fn policies(&self) -> &Lowered {
        match &self.0 {
            Engine::Sqlite(engine) => engine.lowered(),
            Engine::Postgres(engine) => engine.lowered(),
        }
    }

    /// The tables as policies see them.
    pub(crate) fn schema(&self) -> &Schema {
        self.policies().schema()
    }

    /// The database file; `None` on PostgreSQL.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Engine::Sqlite(engine) => Some(engine.path()),
            Engine::Postgres(_) => None,
        }
    }

    /// The names that this process keeps secret, for tests that give them to the attacker.
    #[doc(hidden)]
    pub fn secret_names_for_tests(&self) -> Vec<String> {
        match &self.0 {
            Engine::Sqlite(engine) => engine.secret_names_for_tests(),
            Engine::Postgres(_) => Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn sqlite_engine(&self) -> &sqlite::Engine {
        match &self.0 {
            Engine::Sqlite(engine) => engine,
            Engine::Postgres(_) => panic!("a test of SQLite"),
        }
    }
}

/// A principal and a pool: host SQL that runs through it sees and changes that principal's rows only.
///
/// No connection is taken before the first statement, and single statements autocommit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guarded(Actor);

impl Guarded {
    /// Who acts.
    pub fn principal(&self) -> &Principal {
        match &self.0 {
            Actor::Sqlite(actor) => actor.principal(),
            Actor::Postgres(actor) => actor.principal(),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.0, Actor::Postgres(_))
    }

    pub(super) fn of(actor: Actor) -> Self {
        Self(actor)
    }

    pub(super) fn lowered(&self) -> &Lowered {
        match &self.0 {
            Actor::Sqlite(actor) => actor.engine().lowered(),
            Actor::Postgres(actor) => actor.engine().lowered(),
        }
    }

    pub(super) fn options(&self) -> &GuardOptions {
        match &self.0 {
            Actor::Sqlite(actor) => &actor.engine().options,
            Actor::Postgres(actor) => &actor.engine().options,
        }
    }

    /// The same guard for the service, which sees every row: for what development's log tells.
    pub(super) fn as_service(&self) -> Self {
        Self(match &self.0 {
            Actor::Sqlite(actor) => Actor::Sqlite(actor.as_service()),
            Actor::Postgres(actor) => Actor::Postgres(actor.as_service()),
        })
    }

    fn runner(&self) -> Runner<'_> {
        match &self.0 {
            Actor::Sqlite(actor) => Runner::Sqlite(actor, None),
            Actor::Postgres(actor) => Runner::Postgres(actor, None),
        }
    }

    /// A statement whose rows are not read.
    pub fn query<'a>(&'a self, sql: &'a str) -> Query<'a> {
        Query::new(self.runner(), sql)
    }

    /// A statement whose rows become `T`, which derives `sqlx::FromRow`.
    pub fn query_as<'a, T: FromRecord>(&'a self, sql: &'a str) -> QueryAs<'a, T> {
        QueryAs::new(self.runner(), sql)
    }

    /// A write transaction: on SQLite it holds the only writer until it is committed or dropped, at most
    /// [`GuardOptions::longest_transaction`]. Dropped without [`Transaction::commit`] it is rolled back.
    pub async fn begin(&self) -> Result<Transaction> {
        Transaction::begin(&self.0).await
    }

    /// A read transaction: every statement sees the database as it was at the first.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::begin(&self.0).await
    }

    /// As an executor for the host's own `query!`, `query_as` and `QueryBuilder` on SQLite.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn sqlite(&self) -> Result<GuardedExecutor<'_>> {
        match &self.0 {
            Actor::Sqlite(actor) => Ok(GuardedExecutor::new(actor)),
            Actor::Postgres(_) => Err(another_engine("PostgreSQL")),
        }
    }

    /// As an executor for the host's own `query_as` and `QueryBuilder` on PostgreSQL.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn postgres(&self) -> Result<PostgresExecutor<'_>> {
        match &self.0 {
            Actor::Sqlite(_) => Err(another_engine("SQLite")),
            Actor::Postgres(actor) => Ok(PostgresExecutor::new(actor, None)),
        }
    }

    /// The same without wall one, for tests that prove the second by itself.
    #[doc(hidden)]
    #[must_use]
    pub fn without_wall_one_for_tests(&self) -> Self {
        Self(match &self.0 {
            Actor::Sqlite(actor) => Actor::Sqlite(actor.clone()),
            Actor::Postgres(actor) => Actor::Postgres(actor.clone().without_wall()),
        })
    }

    /// The base tables the parser saw and those SQLite asked about, for the test that compares the two.
    #[doc(hidden)]
    pub async fn compare_readings(&self, sql: &str) -> Result<(Vec<String>, Vec<String>)> {
        match &self.0 {
            Actor::Sqlite(actor) => actor.compare_readings(sql).await,
            Actor::Postgres(_) => Err(another_engine("PostgreSQL")),
        }
    }

    #[cfg(test)]
    pub(super) fn sqlite_actor(&self) -> &sqlite::Actor {
        match &self.0 {
            Actor::Sqlite(actor) => actor,
            Actor::Postgres(_) => panic!("a test of SQLite"),
        }
    }
}

/// A handle that sees and changes every row of the host's tables. Whoever makes one gives a reason, and the reason
/// stands in the audit log.
#[derive(Clone, Debug)]
pub struct Unguarded(Guarded);

impl Unguarded {
    pub(super) fn as_guarded(&self) -> &Guarded {
        &self.0
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.0.is_postgres()
    }

    /// A statement whose rows are not read.
    pub fn query<'a>(&'a self, sql: &'a str) -> Query<'a> {
        self.0.query(sql)
    }

    /// A statement whose rows become `T`.
    pub fn query_as<'a, T: FromRecord>(&'a self, sql: &'a str) -> QueryAs<'a, T> {
        self.0.query_as(sql)
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Transaction> {
        self.0.begin().await
    }

    /// A read transaction.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        self.0.snapshot().await
    }

    /// As an executor for the host's own sqlx queries on SQLite.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn sqlite(&self) -> Result<GuardedExecutor<'_>> {
        self.0.sqlite()
    }

    /// As an executor for the host's own sqlx queries on PostgreSQL.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn postgres(&self) -> Result<PostgresExecutor<'_>> {
        self.0.postgres()
    }
}

/// Asked for another engine's executor.
pub(super) fn another_engine(runs: &str) -> Error {
    Error::new(Code::Configuration, format!("the database is {runs}: ask for its own executor"))
}

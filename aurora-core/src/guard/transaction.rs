use crate::store;
use crate::types::{Code, Error, Result};

use super::guarded::Actor;
use super::guarded::another_engine;
use super::postgres::{self, PostgresExecutor};
use super::query::{FromRecord, Query, QueryAs, Runner};
use super::sqlite::{self, TransactionExecutor};

/// A write transaction of one principal.
///
/// Any error poisons it: further statements fail with `25P02` and [`Transaction::commit`] rolls back, as in
/// PostgreSQL. Dropped without a commit (an early return, a panic, a cancelled request) it is rolled back.
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Transaction(Writing);

/// A read transaction of one principal: every statement sees the same state of the database.
#[derive(Debug)]
pub struct Snapshot(Reading);

#[derive(Debug)]
enum Writing {
    Sqlite(sqlite::Transaction),
    Postgres(postgres::Transaction),
}

#[derive(Debug)]
enum Reading {
    Sqlite(sqlite::Snapshot),
    Postgres(postgres::Snapshot),
}

impl Transaction {
    pub(super) async fn begin(actor: &Actor) -> Result<Self> {
        Ok(Self(match actor {
            Actor::Sqlite(actor) => Writing::Sqlite(sqlite::Transaction::begin(actor).await?),
            Actor::Postgres(actor) => Writing::Postgres(postgres::Transaction::begin(actor).await?),
        }))
    }

    fn runner(&mut self) -> Runner<'_> {
        match &self.0 {
            Writing::Sqlite(inner) => Runner::Sqlite(&inner.actor, Some(&inner.slot)),
            Writing::Postgres(inner) => Runner::Postgres(&inner.actor, Some(&inner.slot)),
        }
    }

    /// A statement whose rows are not read.
    pub fn query<'a>(&'a mut self, sql: &'a str) -> Query<'a> {
        Query::new(self.runner(), sql)
    }

    /// A statement whose rows become `T`.
    pub fn query_as<'a, T: FromRecord>(&'a mut self, sql: &'a str) -> QueryAs<'a, T> {
        QueryAs::new(self.runner(), sql)
    }

    /// As an executor for the host's own sqlx queries on SQLite.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn sqlite(&mut self) -> Result<TransactionExecutor<'_>> {
        match &self.0 {
            Writing::Sqlite(inner) => Ok(TransactionExecutor::new(&inner.actor, &inner.slot)),
            Writing::Postgres(_) => Err(another_engine("PostgreSQL")),
        }
    }

    /// As an executor for the host's own sqlx queries on PostgreSQL.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn postgres(&mut self) -> Result<PostgresExecutor<'_>> {
        match &self.0 {
            Writing::Sqlite(_) => Err(another_engine("SQLite")),
            Writing::Postgres(inner) => Ok(PostgresExecutor::new(&inner.actor, Some(&inner.slot))),
        }
    }

    /// Makes the changes last. A poisoned transaction is rolled back, and that is an error.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Writing::Sqlite(inner) => inner.commit().await,
            Writing::Postgres(inner) => inner.commit().await,
        }
    }

    /// The same transaction, for Aurora's own tables: what was done as the principal commits with what the store does
    /// now, or not at all. It is the principal's no more.
    pub(crate) async fn into_store(self) -> Result<Box<dyn store::Transaction>> {
        match self.0 {
            Writing::Sqlite(inner) => inner.into_store().await,
            Writing::Postgres(inner) => inner.into_store().await,
        }
    }

    /// Takes the changes back.
    pub async fn rollback(self) -> Result<()> {
        match self.0 {
            Writing::Sqlite(inner) => inner.rollback().await,
            Writing::Postgres(inner) => inner.rollback().await,
        }
    }
}

impl Snapshot {
    pub(super) async fn begin(actor: &Actor) -> Result<Self> {
        Ok(Self(match actor {
            Actor::Sqlite(actor) => Reading::Sqlite(sqlite::Snapshot::begin(actor).await?),
            Actor::Postgres(actor) => Reading::Postgres(postgres::Snapshot::begin(actor).await?),
        }))
    }

    /// A statement whose rows become `T`.
    pub fn query_as<'a, T: FromRecord>(&'a mut self, sql: &'a str) -> QueryAs<'a, T> {
        let runner = match &self.0 {
            Reading::Sqlite(inner) => Runner::Sqlite(&inner.actor, Some(&inner.slot)),
            Reading::Postgres(inner) => Runner::Postgres(&inner.actor, Some(&inner.slot)),
        };
        QueryAs::new(runner, sql)
    }

    /// As an executor for the host's own sqlx queries on SQLite.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn sqlite(&mut self) -> Result<TransactionExecutor<'_>> {
        match &self.0 {
            Reading::Sqlite(inner) => Ok(TransactionExecutor::new(&inner.actor, &inner.slot)),
            Reading::Postgres(_) => Err(another_engine("PostgreSQL")),
        }
    }

    /// As an executor for the host's own sqlx queries on PostgreSQL.
    ///
    /// # Errors
    /// [`Code::Configuration`] on another engine.
    pub fn postgres(&mut self) -> Result<PostgresExecutor<'_>> {
        match &self.0 {
            Reading::Sqlite(_) => Err(another_engine("SQLite")),
            Reading::Postgres(inner) => Ok(PostgresExecutor::new(&inner.actor, Some(&inner.slot))),
        }
    }
}

pub(super) fn ended() -> Error {
    Error::new(Code::StatementTooLong, "the transaction took too long and was rolled back")
        .with_retry_after(1)
}

pub(super) fn aborted() -> Error {
    Error::new(
        Code::TransactionPoisoned,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

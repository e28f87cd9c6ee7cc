use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, FromRow};

use crate::types::{Code, Error, Result, Role};

use super::guarded::{Actor, Guarded};
use super::sealed::Noted;
use super::telling::{Ended, Kept};
use super::{postgres, sqlite};

/// A record that rows of either engine become: derive `sqlx::FromRow`, or use a tuple.
pub trait FromRecord: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> FromRecord for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// What a statement without rows did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    rows_affected: u64,
}

impl Done {
    pub(super) fn new(rows_affected: u64) -> Self {
        Self { rows_affected }
    }

    /// Rows inserted, updated or deleted.
    pub fn rows_affected(self) -> u64 {
        self.rows_affected
    }
}

/// Where a statement runs: by itself, or in a transaction's slot.
pub(super) enum Runner<'a> {
    Sqlite(&'a sqlite::Actor, Option<&'a sqlite::Slot>),
    Postgres(&'a postgres::Actor, Option<&'a postgres::Slot>),
}

/// A statement's place and what is bound to it, in the types of one engine.
enum Bound<'a> {
    Sqlite(&'a sqlite::Actor, Option<&'a sqlite::Slot>, SqliteArguments),
    Postgres(&'a postgres::Actor, Option<&'a postgres::Slot>, PgArguments),
}

/// What is bound, in the types of one engine.
#[derive(Clone)]
pub(super) enum Arguments {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

enum Rows {
    Sqlite(Vec<SqliteRow>),
    Postgres(Vec<PgRow>),
}

/// A statement whose rows are not read. Parameters are `$1, $2, ..`, bound in order; on SQLite also `?`.
///
/// A bound value is one that sqlx encodes for both engines, so that a service can change its database.
#[must_use = "a query does nothing until it is executed"]
pub struct Query<'a> {
    bound: Bound<'a>,
    sql: &'a str,
    failed: Option<Error>,
    /// What the bound values were, for statements that write sealed cells.
    noted: Vec<Option<Noted>>,
}

/// A statement whose rows become `T`.
#[must_use = "a query does nothing until it is fetched"]
pub struct QueryAs<'a, T> {
    query: Query<'a>,
    record: PhantomData<fn() -> T>,
}

impl<'a> Query<'a> {
    pub(super) fn new(runner: Runner<'a>, sql: &'a str) -> Self {
        let bound = match runner {
            Runner::Sqlite(actor, slot) => Bound::Sqlite(actor, slot, SqliteArguments::default()),
            Runner::Postgres(actor, slot) => Bound::Postgres(actor, slot, PgArguments::default()),
        };
        Self { bound, sql, failed: None, noted: Vec::new() }
    }

    /// Binds the next parameter.
    pub fn bind<'v, V>(mut self, value: V) -> Self
    where
        V: sqlx::Encode<'v, Sqlite>
            + sqlx::Type<Sqlite>
            + sqlx::Encode<'v, Postgres>
            + sqlx::Type<Postgres>
            + 'v,
    {
        let (added, noted) = Noted::while_binding(|| match &mut self.bound {
            Bound::Sqlite(_, _, arguments) => arguments.add(value),
            Bound::Postgres(_, _, arguments) => arguments.add(value),
        });
        self.noted.push(noted);
        if let Err(error) = added {
            let error =
                Error::new(Code::ValidationFailed, "a bound value cannot be encoded").with_source(error);
            self.failed.get_or_insert(error);
        }
        self
    }

    pub(super) fn with(mut self, arguments: Arguments) -> Self {
        match (&mut self.bound, arguments) {
            (Bound::Sqlite(_, _, to), Arguments::Sqlite(from)) => *to = from,
            (Bound::Postgres(_, _, to), Arguments::Postgres(from)) => *to = from,
            _ => {}
        }
        self
    }

    /// What development's log needs, should nothing come of the statement. A transaction's is not looked at.
    fn kept(&self) -> Option<Kept> {
        let (telling, actor, arguments) = match &self.bound {
            Bound::Sqlite(actor, None, arguments) => {
                let telling = actor.engine().options.telling.clone()?;
                (telling, Actor::Sqlite((*actor).clone()), Arguments::Sqlite(arguments.clone()))
            }
            Bound::Postgres(actor, None, arguments) => {
                let telling = actor.engine().options.telling.clone()?;
                (telling, Actor::Postgres((*actor).clone()), Arguments::Postgres(arguments.clone()))
            }
            _ => return None,
        };
        let actor = Guarded::of(actor);
        (actor.principal().role() != Role::Service).then(|| Kept {
            telling,
            actor,
            arguments,
            sql: self.sql.to_owned(),
        })
    }

    /// Runs the statement.
    pub async fn execute(self) -> Result<Done> {
        let (_, done) = self.run(false).await?;
        Ok(done)
    }

    /// What makes the statement fail before it runs.
    fn admit(&mut self) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (options, on_postgres) = match &self.bound {
            Bound::Sqlite(actor, ..) => (&actor.engine().options, false),
            Bound::Postgres(actor, ..) => (&actor.engine().options, true),
        };
        match &options.sealed {
            Some(vault) => vault.admit(self.sql, on_postgres, &self.noted),
            None => Ok(()),
        }
    }

    async fn run(mut self, one: bool) -> Result<(Rows, Done)> {
        self.admit()?;
        let kept = self.kept();
        let outcome = match self.bound {
            Bound::Sqlite(actor, slot, arguments) => {
                let ran = actor.run(slot, self.sql, arguments, one).await;
                ran.map(|(rows, done)| (Rows::Sqlite(rows), done))
            }
            Bound::Postgres(actor, slot, arguments) => {
                let ran = actor.run(slot, self.sql, arguments, one).await;
                ran.map(|(rows, done)| (Rows::Postgres(rows), done))
            }
        };
        if let Some((kept, ended)) = kept.zip(ended(&outcome)) {
            // Boxed: it asks through queries of its own.
            Box::pin(kept.tell(ended)).await;
        }
        outcome
    }
}

/// How a statement ended that nothing came of.
fn ended(outcome: &Result<(Rows, Done)>) -> Option<Ended> {
    match outcome {
        Ok((Rows::Sqlite(rows), done)) if rows.is_empty() && done.rows_affected() == 0 => Some(Ended::Empty),
        Ok((Rows::Postgres(rows), done)) if rows.is_empty() && done.rows_affected() == 0 => {
            Some(Ended::Empty)
        }
        Err(error) if error.code() == Code::InsufficientPrivilege => Some(Ended::Refused),
        _ => None,
    }
}

impl<'a, T: FromRecord> QueryAs<'a, T> {
    pub(super) fn new(runner: Runner<'a>, sql: &'a str) -> Self {
        Self { query: Query::new(runner, sql), record: PhantomData }
    }

    /// Binds the next parameter.
    pub fn bind<'v, V>(mut self, value: V) -> Self
    where
        V: sqlx::Encode<'v, Sqlite>
            + sqlx::Type<Sqlite>
            + sqlx::Encode<'v, Postgres>
            + sqlx::Type<Postgres>
            + 'v,
    {
        self.query = self.query.bind(value);
        self
    }

    pub(super) fn with(mut self, arguments: Arguments) -> Self {
        self.query = self.query.with(arguments);
        self
    }

    /// Every row.
    pub async fn fetch_all(self) -> Result<Vec<T>> {
        match self.query.run(false).await?.0 {
            Rows::Sqlite(rows) => rows.iter().map(decode).collect(),
            Rows::Postgres(rows) => rows.iter().map(decode).collect(),
        }
    }

    /// The only or first row; [`Code::NotFound`] without one: a row that is not yours does not exist.
    pub async fn fetch_one(self) -> Result<T> {
        self.fetch_optional().await?.ok_or_else(|| Error::new(Code::NotFound, "no such row"))
    }

    /// The first row, if any.
    pub async fn fetch_optional(self) -> Result<Option<T>> {
        match self.query.run(true).await?.0 {
            Rows::Sqlite(rows) => rows.first().map(decode).transpose(),
            Rows::Postgres(rows) => rows.first().map(decode).transpose(),
        }
    }

    /// The rows one by one. A read that is dropped early is ended, and one that is not read to its end within
    /// [`GuardOptions::longest_stream`](super::GuardOptions) ends with [`Code::StatementTooLong`]. A write has run
    /// to its end before its first row is here.
    pub fn fetch(mut self) -> RowStream<'a, T>
    where
        T: 'a,
    {
        let failed = self.query.admit().err();
        let Query { bound, sql, .. } = self.query;
        RowStream(match (failed, bound) {
            (Some(error), _) => futures_util::stream::once(async { Err(error) }).boxed(),
            (None, Bound::Sqlite(actor, slot, arguments)) => {
                let rows = actor.rows(slot, sql, arguments);
                rows.map(|row| row.and_then(|row| decode(&row))).boxed()
            }
            (None, Bound::Postgres(actor, slot, arguments)) => {
                let rows = actor.rows(slot, sql, arguments);
                rows.map(|row| row.and_then(|row| decode(&row))).boxed()
            }
        })
    }
}

fn decode<'r, R: sqlx::Row, T: FromRow<'r, R>>(row: &'r R) -> Result<T> {
    T::from_row(row).map_err(|error| Error::internal(error.to_string()))
}

/// Rows as they arrive.
pub struct RowStream<'a, T>(BoxStream<'a, Result<T>>);

impl<T> Stream for RowStream<'_, T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

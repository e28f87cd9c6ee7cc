use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, FromRow};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::types::{Code, Error, Result};

use super::guarded::Guarded;
use super::rewrite::Rewritten;
use super::sqlite::{Caller, Lease, Run};
use super::transaction::{Held, Slot};

/// Steps of a stream that are read ahead of who asks for them.
const ROWS_AHEAD: usize = 16;

/// A record that rows become: derive `sqlx::FromRow`, or use a tuple.
pub trait FromRecord: for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

impl<T> FromRecord for T where T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

/// What a statement without rows did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    rows_affected: u64,
}

impl Done {
    /// Rows inserted, updated or deleted.
    pub fn rows_affected(self) -> u64 {
        self.rows_affected
    }
}

/// Where a statement runs.
pub(super) enum Runner<'a> {
    Guarded(&'a Guarded),
    Slot(&'a Guarded, &'a Slot),
}

/// A statement whose rows are not read. Parameters are `$1, $2, ..` or `?`, bound in order.
#[must_use = "a query does nothing until it is executed"]
pub struct Query<'a> {
    runner: Runner<'a>,
    sql: &'a str,
    arguments: SqliteArguments,
    failed: Option<Error>,
}

/// A statement whose rows become `T`.
#[must_use = "a query does nothing until it is fetched"]
pub struct QueryAs<'a, T> {
    query: Query<'a>,
    record: PhantomData<fn() -> T>,
}

impl<'a> Query<'a> {
    pub(super) fn new(runner: Runner<'a>, sql: &'a str) -> Self {
        Self { runner, sql, arguments: SqliteArguments::default(), failed: None }
    }

    /// Binds the next parameter.
    pub fn bind<'v, V>(mut self, value: V) -> Self
    where
        V: sqlx::Encode<'v, Sqlite> + sqlx::Type<Sqlite> + 'v,
    {
        if let Err(error) = self.arguments.add(value) {
            let error =
                Error::new(Code::ValidationFailed, "a bound value cannot be encoded").with_source(error);
            self.failed.get_or_insert(error);
        }
        self
    }

    /// Runs the statement.
    pub async fn execute(self) -> Result<Done> {
        let (_, done) = self.run(false).await?;
        Ok(done)
    }

    async fn run(self, one: bool) -> Result<(Vec<SqliteRow>, Done)> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.runner {
            Runner::Guarded(guarded) => run_once(guarded, self.sql, self.arguments, one).await,
            Runner::Slot(guarded, slot) => run_in(guarded, slot, self.sql, self.arguments, one).await,
        }
    }
}

impl<'a, T: FromRecord> QueryAs<'a, T> {
    pub(super) fn new(runner: Runner<'a>, sql: &'a str) -> Self {
        Self { query: Query::new(runner, sql), record: PhantomData }
    }

    /// Binds the next parameter.
    pub fn bind<'v, V>(mut self, value: V) -> Self
    where
        V: sqlx::Encode<'v, Sqlite> + sqlx::Type<Sqlite> + 'v,
    {
        self.query = self.query.bind(value);
        self
    }

    /// Every row.
    pub async fn fetch_all(self) -> Result<Vec<T>> {
        let (rows, _) = self.query.run(false).await?;
        rows.iter().map(decode).collect()
    }

    /// The only or first row; [`Code::NotFound`] without one: a row that is not yours does not exist.
    pub async fn fetch_one(self) -> Result<T> {
        self.fetch_optional().await?.ok_or_else(|| Error::new(Code::NotFound, "no such row"))
    }

    /// The first row, if any.
    pub async fn fetch_optional(self) -> Result<Option<T>> {
        let (rows, _) = self.query.run(true).await?;
        rows.first().map(decode).transpose()
    }

    /// The rows one by one. A read that is dropped early is ended, and one that is not read to its end within
    /// [`GuardOptions::longest_stream`](super::GuardOptions) ends with [`Code::StatementTooLong`]. A write has run
    /// to its end before its first row is here.
    pub fn fetch(self) -> RowStream<'a, T>
    where
        T: 'a,
    {
        let Query { runner, sql, arguments, failed } = self.query;
        let rows = match (failed, runner) {
            (Some(error), _) => futures_util::stream::once(async { Err(error) }).boxed(),
            (None, Runner::Guarded(guarded)) => rows(guarded, None, sql, arguments),
            (None, Runner::Slot(guarded, slot)) => rows(guarded, Some(slot), sql, arguments),
        };
        RowStream(rows.map(|row| row.and_then(|row| decode(&row))).boxed())
    }
}

fn decode<T: FromRecord>(row: &SqliteRow) -> Result<T> {
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

async fn run_once(
    guarded: &Guarded,
    sql: &str,
    arguments: SqliteArguments,
    one: bool,
) -> Result<(Vec<SqliteRow>, Done)> {
    let guard = guarded.guard();
    let caller = guarded.caller();
    let rewritten = guard.rewrite(caller.role, sql)?;
    let mut lease = guard.lease(&rewritten).await?;
    run_on(guarded, &mut lease, &caller, &rewritten, arguments, one).await
}

async fn run_in(
    guarded: &Guarded,
    slot: &Slot,
    sql: &str,
    arguments: SqliteArguments,
    one: bool,
) -> Result<(Vec<SqliteRow>, Done)> {
    let caller = guarded.caller();
    let mut held = slot.hold().await?;
    let outcome = async {
        let rewritten = guarded.guard().rewrite(caller.role, sql)?;
        let lease = held.lease(&rewritten)?;
        run_on(guarded, lease, &caller, &rewritten, arguments, one).await
    }
    .await;
    held.done(outcome.is_ok());
    outcome
}

async fn run_on(
    guarded: &Guarded,
    lease: &mut Lease,
    caller: &Caller,
    rewritten: &Rewritten,
    arguments: SqliteArguments,
    one: bool,
) -> Result<(Vec<SqliteRow>, Done)> {
    let guard = guarded.guard();
    let connection = lease.connection()?;
    guard.prepare(connection, caller.role, rewritten).await?;
    let run =
        Run { caller, ticket: &rewritten.ticket, now: guard.now(), budget: guard.options.statement_budget };
    let mut rows = Vec::new();
    // A write runs to its end: what RETURNING shows first is not all of it.
    let outcome = connection.run(run, &rewritten.sql, arguments, one && !rewritten.writes, &mut rows).await;
    let done = outcome.map_err(|error| super::error::engine(guard.names(), error))?;
    Ok((rows, Done { rows_affected: done.rows_affected() }))
}

/// Either kind of step a statement takes, as sqlx has it.
pub(super) type Step = sqlx::Either<sqlx::sqlite::SqliteQueryResult, SqliteRow>;

fn rows<'a>(
    guarded: &'a Guarded,
    slot: Option<&'a Slot>,
    sql: &'a str,
    arguments: SqliteArguments,
) -> BoxStream<'a, Result<SqliteRow>> {
    steps(guarded, slot, Arc::from(sql), arguments)
        .filter_map(|step| async move {
            match step {
                Ok(sqlx::Either::Right(row)) => Some(Ok(row)),
                Ok(sqlx::Either::Left(_)) => None,
                Err(error) => Some(Err(error)),
            }
        })
        .boxed()
}

/// A statement's steps: a write's when it has ended, a read's as they arrive.
///
/// The statement runs in a task of its own, so that who stops asking for rows keeps a connection for
/// [`GuardOptions::longest_stream`](super::GuardOptions) and no longer. The connection stays marked busy until the
/// end: dropping the stream early ends the task and sends the connection through recovery.
pub(super) fn steps<'a>(
    guarded: &'a Guarded,
    slot: Option<&'a Slot>,
    sql: Arc<str>,
    arguments: SqliteArguments,
) -> BoxStream<'a, Result<Step>> {
    async_stream::try_stream! {
        let guard = guarded.guard();
        let rewritten = guard.rewrite(guarded.caller().role, &sql)?;
        let held = match slot {
            Some(slot) => slot.hold().await?,
            None => Held::own(guard.lease(&rewritten).await?),
        };
        let (to, mut read) = mpsc::channel(ROWS_AHEAD);
        let mut task = JoinSet::new();
        task.spawn(run_to_end(guarded.clone(), held, rewritten, arguments, to));
        while let Some(step) = read.recv().await {
            yield step;
        }
        let written = match task.join_next().await {
            Some(Ok(ended)) => ended?,
            Some(Err(error)) => Err(Error::internal(error))?,
            None => Vec::new(),
        };
        if let Some(slot) = slot {
            slot.read_to_end().await;
        }
        for step in written {
            yield step;
        }
    }
    .boxed()
}

/// Runs a statement within the time of a stream. A read's steps go to `to`; a write's come back at its end, when
/// nothing is held any more.
async fn run_to_end(
    guarded: Guarded,
    mut held: Held,
    rewritten: Arc<Rewritten>,
    arguments: SqliteArguments,
    to: mpsc::Sender<Step>,
) -> Result<Vec<Step>> {
    let (guard, caller) = (guarded.guard(), guarded.caller());
    let ends = held.ends(guard.options.longest_stream);
    let run = async {
        let connection = held.lease(&rewritten)?.connection()?;
        guard.prepare(connection, caller.role, &rewritten).await?;
        let (ticket, budget) = (&rewritten.ticket, guard.options.statement_budget);
        connection.arm(&Run { caller: &caller, ticket, now: guard.now(), budget });
        let query = sqlx::query_with(sqlx::AssertSqlSafe(Arc::clone(&rewritten.sql)), arguments);
        let mut kept = Vec::new();
        let outcome = {
            let mut stream = sqlx::Executor::fetch_many(connection.inner(), query);
            loop {
                match stream.next().await {
                    Some(Ok(step)) if rewritten.writes => kept.push(step),
                    // Nobody reads any more when this fails, and the task is about to be ended.
                    Some(Ok(step)) => drop(to.send(step).await),
                    Some(Err(error)) => break Err(super::error::engine(guard.names(), error)),
                    None => break Ok(kept),
                }
            }
        };
        connection.settle();
        outcome
    };
    match tokio::time::timeout_at(ends, run).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            held.give_up();
            Err(Error::new(Code::StatementTooLong, "the rows were not read in time").with_retry_after(1))
        }
    }
}

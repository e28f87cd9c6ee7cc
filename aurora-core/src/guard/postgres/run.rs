//! How a guarded statement runs on PostgreSQL: at once, in a transaction, or as a stream.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Either, Executor as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::store::{Mode, within};
use crate::types::{Code, Error, Result};

use super::super::query::Done;
use super::engine::Actor;
use super::error;
use super::transaction::{Held, Slot};
use super::wall::Admitted;

/// Steps of a stream that are read ahead of who asks for them.
const ROWS_AHEAD: usize = 16;
/// How long after its budget nobody waits for a statement any more.
const UNHEARD: Duration = Duration::from_secs(2);

/// Either kind of step a statement takes, as sqlx has it.
pub(super) type Step = Either<PgQueryResult, PgRow>;

impl Actor {
    /// Runs one statement and collects its rows; `one` reads only the first of a read.
    pub(in crate::guard) async fn run(
        &self,
        slot: Option<&Slot>,
        sql: &str,
        arguments: PgArguments,
        one: bool,
    ) -> Result<(Vec<PgRow>, Done)> {
        let Some(slot) = slot else {
            let admitted = self.admit(sql)?;
            let budget = self.engine().options.statement_budget;
            let mut transaction = self.begin(mode_of(&admitted), budget).await?;
            // Left by an error or dropped, it is rolled back before anybody else gets the connection.
            let ran = self.run_on(transaction.connection()?, admitted, arguments, one).await?;
            transaction.commit().await?;
            return Ok(ran);
        };
        let mut held = slot.hold().await?;
        let outcome = async {
            let admitted = self.admit(sql)?;
            self.run_on(held.connection()?, admitted, arguments, one).await
        }
        .await;
        held.done(outcome.is_ok());
        outcome
    }

    async fn run_on(
        &self,
        connection: &mut PgConnection,
        admitted: Admitted,
        arguments: PgArguments,
        one: bool,
    ) -> Result<(Vec<PgRow>, Done)> {
        let query = sqlx::query_with(AssertSqlSafe(admitted.sql), arguments);
        let (mut rows, mut affected) = (Vec::new(), 0);
        // The server ends it after its budget; a server that is not heard any more ends nothing.
        let limit = self.engine().options.statement_budget + UNHEARD;
        let outcome = within(limit, async {
            if one && !admitted.writes {
                rows.extend(connection.fetch_optional(query).await?);
                return Ok(());
            }
            let mut stream = connection.fetch_many(query);
            while let Some(step) = stream.try_next().await? {
                match step {
                    Either::Left(done) => affected += done.rows_affected(),
                    Either::Right(row) => rows.push(row),
                }
            }
            Ok(())
        })
        .await;
        match outcome {
            // PostgreSQL counts the rows of a SELECT as well.
            Ok(()) => Ok((rows, Done::new(if admitted.writes { affected } else { 0 }))),
            Err(failure) => Err(self.failed(connection, failure).await),
        }
    }

    /// The failure as Aurora's. A plan that no longer fits its table goes, so that the next try makes another.
    async fn failed(&self, connection: &mut PgConnection, failure: sqlx::Error) -> Error {
        if error::is_stale_plan(&failure) {
            // Should this fail, the next try meets the stale plan again.
            let _ = within(UNHEARD, connection.clear_cached_statements()).await;
        }
        error::engine(self.engine(), failure)
    }

    /// A statement's rows, one by one.
    pub(in crate::guard) fn rows<'a>(
        &'a self,
        slot: Option<&'a Slot>,
        sql: &str,
        arguments: PgArguments,
    ) -> BoxStream<'a, Result<PgRow>> {
        self.steps(slot, sql.to_owned(), arguments)
            .filter_map(|step| async move {
                match step {
                    Ok(Either::Right(row)) => Some(Ok(row)),
                    Ok(Either::Left(_)) => None,
                    Err(error) => Some(Err(error)),
                }
            })
            .boxed()
    }

    /// A statement's steps: a write's when it has ended and lasts, a read's as they arrive.
    ///
    /// The statement runs in a task of its own, so that who stops asking for rows keeps a connection for
    /// [`GuardOptions::longest_stream`](super::super::GuardOptions) and no longer. Dropping the stream early ends the
    /// task, and the transaction is rolled back.
    pub(super) fn steps<'a>(
        &'a self,
        slot: Option<&'a Slot>,
        sql: String,
        arguments: PgArguments,
    ) -> BoxStream<'a, Result<Step>> {
        async_stream::try_stream! {
            let admitted = self.admit(&sql)?;
            let held = match slot {
                Some(slot) => slot.hold().await?,
                None => {
                    let options = &self.engine().options;
                    // A write's rows are read when it has ended; a read's while it runs.
                    let limit = if admitted.writes { options.statement_budget } else { options.longest_stream };
                    Held::own(self.begin(mode_of(&admitted), limit).await?)
                }
            };
            let (to, mut read) = mpsc::channel(ROWS_AHEAD);
            let mut task = JoinSet::new();
            task.spawn(run_to_end(self.clone(), held, admitted, arguments, to));
            while let Some(step) = read.recv().await {
                yield step;
            }
            let written = match task.join_next().await {
                Some(Ok(ended)) => ended?,
                Some(Err(failure)) => Err(Error::internal(failure))?,
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
}

/// A read's functions may write, too, unless the server is a standby.
fn mode_of(admitted: &Admitted) -> Mode {
    if admitted.writes { Mode::ReadWrite } else { Mode::AsItMay }
}

/// Runs a statement within the time of a stream. A read's steps go to `to`; a write's come back at its end, when it
/// lasts.
async fn run_to_end(
    actor: Actor,
    mut held: Held,
    admitted: Admitted,
    arguments: PgArguments,
    to: mpsc::Sender<Step>,
) -> Result<Vec<Step>> {
    let longest = actor.engine().options.longest_stream;
    let ends = held.ends(longest);
    let run = async {
        held.allow(longest).await?;
        let connection = held.connection()?;
        let query = sqlx::query_with(AssertSqlSafe(admitted.sql), arguments);
        let mut kept = Vec::new();
        let outcome = async {
            let mut stream = connection.fetch_many(query);
            while let Some(step) = stream.try_next().await? {
                if admitted.writes {
                    kept.push(step);
                } else if to.send(step).await.is_err() {
                    // Nobody reads any more, and the task is about to be ended.
                    break;
                }
            }
            Ok(())
        }
        .await;
        match outcome {
            Ok(()) => Ok(kept),
            Err(failure) => Err(actor.failed(connection, failure).await),
        }
    };
    match tokio::time::timeout_at(ends, run).await {
        Ok(Ok(kept)) => {
            held.finish().await?;
            Ok(kept)
        }
        Ok(Err(failure)) => Err(failure),
        Err(_elapsed) => {
            held.give_up();
            Err(Error::new(Code::StatementTooLong, "the rows were not read in time").with_retry_after(1))
        }
    }
}

//! How a guarded statement runs on SQLite: at once, in a transaction, or as a stream.

use std::sync::{Arc, OnceLock};

use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::policy::Known;
use crate::policy::functions::Claims;
use crate::types::{Code, Error, Principal, Result};

use super::super::query::Done;
use super::super::rewrite::Rewritten;
use super::connection::Run;
use super::context::Caller;
use super::engine::Engine;
use super::error;
use super::pool::Lease;
use super::transaction::{Held, Slot};

/// Steps of a stream that are read ahead of who asks for them.
const ROWS_AHEAD: usize = 16;

/// A guard and who acts through it.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Actor {
    engine: Arc<Engine>,
    principal: Principal,
    /// The principal's claims, and what they decide.
    claims: Arc<OnceLock<(Arc<Claims>, Known)>>,
}

impl Actor {
    pub(in crate::guard) fn new(engine: Arc<Engine>, principal: Principal) -> Self {
        Self { engine, principal, claims: Arc::new(OnceLock::new()) }
    }

    pub(in crate::guard) fn as_service(&self) -> Self {
        Self::new(Arc::clone(&self.engine), Principal::service())
    }

    pub(in crate::guard) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(in crate::guard) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(in crate::guard) fn caller(&self) -> Caller {
        let role = self.principal.role();
        let (claims, known) = self.claims.get_or_init(|| {
            let claims = Claims::of(&self.principal);
            let known = self.engine.lowered().known(role, &claims);
            (Arc::new(claims), known)
        });
        Caller { role, claims: Arc::clone(claims), known: *known }
    }

    /// The text that runs, if it may.
    fn rewrite(&self, caller: &Caller, sql: &str) -> Result<Arc<Rewritten>> {
        let rewritten = self.engine.rewrite(caller.role, caller.known, sql)?;
        if rewritten.writes && self.principal.reads_only() {
            return Err(crate::guard::reads_only());
        }
        Ok(rewritten)
    }

    /// The base tables the parser saw and those SQLite asked about, for the test that compares the two.
    pub(in crate::guard) async fn compare_readings(&self, sql: &str) -> Result<(Vec<String>, Vec<String>)> {
        let engine = self.engine();
        let caller = self.caller();
        let rewritten = engine.rewrite(caller.role, caller.known, sql)?;
        let mut lease = engine.lease(&rewritten).await?;
        let connection = lease.connection()?;
        engine.prepare(connection, caller.role, &rewritten).await?;
        // A statement that sqlx prepared before is not asked about again.
        connection.forget().await?;
        connection.record(true);
        let explained: Arc<str> = Arc::clone(&rewritten.sql);
        let budget = engine.options.statement_budget;
        let run = Run { caller: &caller, ticket: &rewritten.ticket, now: engine.now(), budget };
        let outcome = connection.run(run, &explained, Default::default(), false, &mut Vec::new()).await;
        let seen = connection.record(false);
        outcome.map_err(|failed| error::engine(engine.names(), failed))?;
        Ok((rewritten.tables.iter().cloned().collect(), seen))
    }

    /// Runs one statement and collects its rows; `one` reads only the first of a read.
    pub(in crate::guard) async fn run(
        &self,
        slot: Option<&Slot>,
        sql: &str,
        arguments: SqliteArguments,
        one: bool,
    ) -> Result<(Vec<SqliteRow>, Done)> {
        match slot {
            Some(slot) => run_in(self, slot, sql, arguments, one).await,
            None => run_once(self, sql, arguments, one).await,
        }
    }

    /// A statement's rows, one by one.
    pub(in crate::guard) fn rows<'a>(
        &'a self,
        slot: Option<&'a Slot>,
        sql: &str,
        arguments: SqliteArguments,
    ) -> BoxStream<'a, Result<SqliteRow>> {
        steps(self, slot, Arc::from(sql), arguments)
            .filter_map(|step| async move {
                match step {
                    Ok(sqlx::Either::Right(row)) => Some(Ok(row)),
                    Ok(sqlx::Either::Left(_)) => None,
                    Err(error) => Some(Err(error)),
                }
            })
            .boxed()
    }
}

async fn run_once(
    actor: &Actor,
    sql: &str,
    arguments: SqliteArguments,
    one: bool,
) -> Result<(Vec<SqliteRow>, Done)> {
    let engine = actor.engine();
    let caller = actor.caller();
    let rewritten = actor.rewrite(&caller, sql)?;
    let mut lease = engine.lease(&rewritten).await?;
    run_on(actor, &mut lease, &caller, &rewritten, arguments, one).await
}

async fn run_in(
    actor: &Actor,
    slot: &Slot,
    sql: &str,
    arguments: SqliteArguments,
    one: bool,
) -> Result<(Vec<SqliteRow>, Done)> {
    let caller = actor.caller();
    let mut held = slot.hold().await?;
    let outcome = async {
        let rewritten = actor.rewrite(&caller, sql)?;
        let lease = held.lease(&rewritten)?;
        run_on(actor, lease, &caller, &rewritten, arguments, one).await
    }
    .await;
    held.done(outcome.is_ok());
    outcome
}

async fn run_on(
    actor: &Actor,
    lease: &mut Lease,
    caller: &Caller,
    rewritten: &Rewritten,
    arguments: SqliteArguments,
    one: bool,
) -> Result<(Vec<SqliteRow>, Done)> {
    let engine = actor.engine();
    let connection = lease.connection()?;
    engine.prepare(connection, caller.role, rewritten).await?;
    let run =
        Run { caller, ticket: &rewritten.ticket, now: engine.now(), budget: engine.options.statement_budget };
    let mut rows = Vec::new();
    // A write runs to its end: what RETURNING shows first is not all of it.
    let outcome = connection.run(run, &rewritten.sql, arguments, one && !rewritten.writes, &mut rows).await;
    let done = outcome.map_err(|failed| error::engine(engine.names(), failed))?;
    Ok((rows, Done::new(done.rows_affected())))
}

/// Either kind of step a statement takes, as sqlx has it.
pub(in crate::guard) type Step = sqlx::Either<sqlx::sqlite::SqliteQueryResult, SqliteRow>;

/// A statement's steps: a write's when it has ended, a read's as they arrive.
///
/// The statement runs in a task of its own, so that who stops asking for rows keeps a connection for
/// [`GuardOptions::longest_stream`](super::super::GuardOptions) and no longer. The connection stays marked busy until the
/// end: dropping the stream early ends the task and sends the connection through recovery.
pub(in crate::guard) fn steps<'a>(
    actor: &'a Actor,
    slot: Option<&'a Slot>,
    sql: Arc<str>,
    arguments: SqliteArguments,
) -> BoxStream<'a, Result<Step>> {
    async_stream::try_stream! {
        let engine = actor.engine();
        let rewritten = actor.rewrite(&actor.caller(), &sql)?;
        let held = match slot {
            Some(slot) => slot.hold().await?,
            None => Held::own(engine.lease(&rewritten).await?),
        };
        let (to, mut read) = mpsc::channel(ROWS_AHEAD);
        let mut task = JoinSet::new();
        task.spawn(run_to_end(actor.clone(), held, rewritten, arguments, to));
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
    actor: Actor,
    mut held: Held,
    rewritten: Arc<Rewritten>,
    arguments: SqliteArguments,
    to: mpsc::Sender<Step>,
) -> Result<Vec<Step>> {
    let (engine, caller) = (actor.engine(), actor.caller());
    let ends = held.ends(engine.options.longest_stream);
    let run = async {
        let connection = held.lease(&rewritten)?.connection()?;
        engine.prepare(connection, caller.role, &rewritten).await?;
        let (ticket, budget) = (&rewritten.ticket, engine.options.statement_budget);
        connection.arm(&Run { caller: &caller, ticket, now: engine.now(), budget });
        let query = sqlx::query_with(sqlx::AssertSqlSafe(Arc::clone(&rewritten.sql)), arguments);
        let mut kept = Vec::new();
        let outcome = {
            let mut stream = sqlx::Executor::fetch_many(connection.inner(), query);
            loop {
                match stream.next().await {
                    Some(Ok(step)) if rewritten.writes => kept.push(step),
                    // Nobody reads any more when this fails, and the task is about to be ended.
                    Some(Ok(step)) => drop(to.send(step).await),
                    Some(Err(failed)) => break Err(error::engine(engine.names(), failed)),
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

use std::fmt;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{AssertSqlSafe, Either, Error, Execute, Executor, SqlSafeStr as _, SqlStr};

use crate::store::Mode;
use crate::types;

use super::super::error::as_sqlx;
use super::engine::Actor;
use super::error::engine;
use super::transaction::{Held, Slot};

/// [`Guarded`](super::super::Guarded), or a transaction of it, as a [`sqlx::Executor`] on PostgreSQL.
#[derive(Clone, Copy)]
pub struct PostgresExecutor<'a> {
    actor: &'a Actor,
    slot: Option<&'a Slot>,
}

impl<'a> PostgresExecutor<'a> {
    pub(in crate::guard) fn new(actor: &'a Actor, slot: Option<&'a Slot>) -> Self {
        Self { actor, slot }
    }

    /// The transaction in which a statement is looked at and not run.
    async fn look(&self) -> types::Result<Held> {
        match self.slot {
            Some(slot) => slot.hold().await,
            None => {
                let budget = self.actor.engine().options.statement_budget;
                Ok(Held::own(self.actor.begin(Mode::ReadOnly, budget).await?))
            }
        }
    }

    async fn prepared(self, sql: SqlStr, parameters: Vec<PgTypeInfo>) -> types::Result<PgStatement> {
        let admitted = self.actor.admit(sql.as_str())?;
        let mut held = self.look().await?;
        let text = AssertSqlSafe(admitted.sql).into_sql_str();
        let outcome = held.connection()?.prepare_with(text, &parameters).await;
        held.done(outcome.is_ok());
        outcome.map_err(|failure| engine(self.actor.engine(), failure))
    }

    async fn described(self, sql: SqlStr) -> types::Result<sqlx::Describe<Postgres>> {
        let admitted = self.actor.admit(sql.as_str())?;
        let mut held = self.look().await?;
        let text = AssertSqlSafe(admitted.sql).into_sql_str();
        let outcome = held.connection()?.describe(text).await;
        held.done(outcome.is_ok());
        outcome.map_err(|failure| engine(self.actor.engine(), failure))
    }
}

impl fmt::Debug for PostgresExecutor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresExecutor").field("actor", self.actor).finish_non_exhaustive()
    }
}

impl<'c> Executor<'c> for PostgresExecutor<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let arguments = match query.take_arguments() {
            Ok(arguments) => arguments.unwrap_or_default(),
            Err(error) => return futures_util::stream::once(async { Err(Error::Encode(error)) }).boxed(),
        };
        let sql = query.sql().as_str().to_owned();
        // What was bound is not known here: a sealed cell is written with the guard's own queries.
        let sealed = &self.actor.engine().options.sealed;
        if let Some(Err(error)) = sealed.as_ref().map(|vault| vault.admit(&sql, true, &[])) {
            return futures_util::stream::once(async { Err(as_sqlx(error)) }).boxed();
        }
        self.actor.steps(self.slot, sql, arguments).map_err(as_sqlx).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let mut stream = self.fetch_many(query);
        Box::pin(async move {
            let mut first = None;
            // To the end: a write is not done at its first row, and a stream dropped early costs more.
            while let Some(step) = stream.try_next().await? {
                if let (Either::Right(row), None) = (step, &first) {
                    first = Some(row);
                }
            }
            Ok(first)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        let parameters = parameters.to_vec();
        Box::pin(async move { self.prepared(sql, parameters).await.map_err(as_sqlx) })
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        Box::pin(async move { self.described(sql).await.map_err(as_sqlx) })
    }
}

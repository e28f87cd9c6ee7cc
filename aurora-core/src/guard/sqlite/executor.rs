use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::{Sqlite, SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTypeInfo};
use sqlx::{Either, Error, Execute, Executor, SqlStr};

use super::super::error::as_sqlx;
use super::run::{Actor, steps};
use super::transaction::Slot;

/// [`Guarded`](super::super::Guarded) as a [`sqlx::Executor`]: each statement is guarded and autocommits.
#[derive(Clone, Copy)]
pub struct GuardedExecutor<'a> {
    actor: &'a Actor,
}

/// A guarded transaction or snapshot as a [`sqlx::Executor`].
#[derive(Clone, Copy)]
pub struct TransactionExecutor<'a> {
    actor: &'a Actor,
    slot: &'a Slot,
}

impl<'a> GuardedExecutor<'a> {
    pub(in crate::guard) fn new(actor: &'a Actor) -> Self {
        Self { actor }
    }
}

impl<'a> TransactionExecutor<'a> {
    pub(in crate::guard) fn new(actor: &'a Actor, slot: &'a Slot) -> Self {
        Self { actor, slot }
    }
}

macro_rules! executor {
    ($name:ident, $slot:expr) => {
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("actor", self.actor).finish_non_exhaustive()
            }
        }

        impl<'c> Executor<'c> for $name<'c> {
            type Database = Sqlite;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Sqlite>,
            {
                let slot: fn(&$name<'c>) -> Option<&'c Slot> = $slot;
                fetch(self.actor, slot(&self), query)
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<SqliteRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Sqlite>,
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
                _sql: SqlStr,
                _parameters: &[SqliteTypeInfo],
            ) -> BoxFuture<'e, Result<SqliteStatement, Error>>
            where
                'c: 'e,
            {
                Box::pin(async {
                    Err(Error::Protocol("a guarded statement cannot be prepared apart".into()))
                })
            }

            #[doc(hidden)]
            fn describe<'e>(self, _sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Sqlite>, Error>>
            where
                'c: 'e,
            {
                Box::pin(async { Err(Error::Protocol("a guarded statement cannot be described".into())) })
            }
        }
    };
}

executor!(GuardedExecutor, |_| None);
executor!(TransactionExecutor, |executor| Some(executor.slot));

fn fetch<'e, 'q: 'e, E>(
    actor: &'e Actor,
    slot: Option<&'e Slot>,
    mut query: E,
) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, Error>>
where
    E: 'q + Execute<'q, Sqlite>,
{
    let arguments = match query.take_arguments() {
        Ok(arguments) => arguments.unwrap_or_default(),
        Err(error) => return futures_util::stream::once(async { Err(Error::Encode(error)) }).boxed(),
    };
    let sql: Arc<str> = Arc::from(query.sql().as_str());
    // What was bound is not known here: a sealed cell is written with the guard's own queries.
    if let Some(Err(error)) =
        actor.engine().options.sealed.as_ref().map(|vault| vault.admit(&sql, false, &[]))
    {
        return futures_util::stream::once(async { Err(as_sqlx(error)) }).boxed();
    }
    steps(actor, slot, sql, arguments).map_err(as_sqlx).boxed()
}

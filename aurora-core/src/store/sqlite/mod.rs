mod clearing;
mod database;
mod factors;
mod files;
mod keys;
mod lent;
mod migrate;
mod roles;
mod rows;
mod sealed;
mod statements;
mod transaction;

pub use database::SqliteDatabase;
pub(crate) use database::file as sqlite_file;
pub(crate) use lent::{LentTransaction, go_on as go_on_sqlite};

use crate::types::{Code, Error};

/// What a database failure means to a flow: contention is "come back", everything else is ours.
pub(crate) fn failure(error: sqlx::Error) -> Error {
    if let sqlx::Error::PoolTimedOut = error {
        return Error::overloaded(1).with_source(error);
    }
    let code = error.as_database_error().and_then(|database| database.code());
    match code.as_deref().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_READONLY, SQLITE_IOERR: nothing was written, and
        // a client must not take it for a refusal (a 4xx on refresh signs people out).
        Some(5 | 6) => Error::overloaded(1).with_source(error),
        Some(8 | 10 | 13) => Error::new(Code::OverCapacity, "Service is busy, please try again")
            .with_retry_after(5)
            .with_source(error),
        _ => Error::internal(error),
    }
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|database| database.is_unique_violation())
}

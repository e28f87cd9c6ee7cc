//! PostgreSQL 15 or newer: the run role owns nothing, and every transaction is bound to whom it acts as.

mod bind;
mod check;
mod clearing;
mod codec;
mod connections;
mod database;
mod factors;
mod files;
mod keys;
mod owner;
mod proof;
mod reader;
mod roles;
mod rows;
mod sealed;
mod setup;
mod statements;
mod transaction;
mod transit;

pub(crate) use bind::within;
pub use bind::{Bind, BoundTransaction, Mode};
pub(crate) use database::connect_options_of;
pub use database::{PostgresDatabase, PostgresOptions, run_role_of};
pub use owner::PostgresOwner;
pub use setup::{IdentityBy, identity_sql, setup_sql};
pub(crate) use transit::exposure;

use crate::types::{Code, Error};

/// What a database failure means to a flow: contention is "come back", so is a server that is away, and everything
/// else is ours. A client must not take either for a refusal: a 4xx on refresh signs people out.
pub(crate) fn failure(error: sqlx::Error) -> Error {
    let later = |seconds: u32, error: sqlx::Error| {
        Error::new(Code::OverCapacity, "Service is busy, please try again")
            .with_retry_after(seconds)
            .with_source(error)
    };
    let code = match &error {
        sqlx::Error::PoolTimedOut => return later(1, error),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => return later(5, error),
        sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
        _ => return Error::internal(error),
    };
    match code.as_str() {
        // Serialisation, deadlock, a lock that was not free in time, a statement that was too slow.
        "40001" | "40P01" | "55P03" | "57014" => later(1, error),
        // A NUL character, which PostgreSQL's text does not hold.
        "22P05" | "22021" => Error::new(Code::ValidationFailed, "text must not contain the character U+0000")
            .with_source(error),
        "25P02" => {
            Error::new(Code::TransactionPoisoned, "a statement of this transaction failed").with_source(error)
        }
        // Read-only (a standby took over), out of room or connections, shutting down, starting, gone.
        "25006" | "25P03" => later(5, error),
        // BEGIN .. READ WRITE on a standby: nothing else of ours asks for what a server has not.
        "0A000" => later(5, error),
        code if code.starts_with("53") || code.starts_with("57P") || code.starts_with("08") => {
            later(5, error)
        }
        _ => Error::internal(error),
    }
}

//! What PostgreSQL says, as an error of ours: the codes of the SQLite guard, and no value of any row.

use crate::types::{Code, Error};

use super::engine::Engine;

/// PostgreSQL's failure as Aurora's. Its DETAIL and HINT are dropped: they print rows.
pub(super) fn engine(engine: &Engine, error: sqlx::Error) -> Error {
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::RowNotFound => return Error::new(Code::NotFound, "no such row"),
        sqlx::Error::PoolTimedOut => return Error::overloaded(1),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            return Error::overloaded(5).with_source(error.to_string());
        }
        sqlx::Error::Encode(_) => {
            return Error::new(Code::ValidationFailed, "a bound value cannot be encoded")
                .with_source(error.to_string());
        }
        other => return Error::internal(other.to_string()),
    };
    let code = database.code().unwrap_or_default().into_owned();
    let message = database.message().to_owned();
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match code.as_str() {
        "42501" => privilege(engine, message),
        "23505" | "23P01" => Error::new(Code::UniqueViolation, message),
        "23503" | "23001" => Error::new(Code::ForeignKeyViolation, message),
        "23502" => Error::new(Code::NotNullViolation, message),
        // P0001: a trigger of the host's, as SQLite's RAISE(ABORT).
        "23514" | "P0001" => Error::new(Code::CheckViolation, message),
        "25P02" => Error::new(Code::TransactionPoisoned, message),
        "25006" => Error::new(Code::StatementNotSupported, "a snapshot only reads; use begin()"),
        "57014" => Error::new(
            Code::StatementTooLong,
            "the statement took too long, or too much memory, and was ended",
        )
        .with_retry_after(1),
        "40001" | "40P01" | "55P03" => Error::overloaded(1).with_source(message),
        "0A000" if message.starts_with("cached plan") => Error::overloaded(1).with_source(message),
        "0A000" => Error::new(Code::StatementNotSupported, message),
        "22021" | "22P05" => Error::new(Code::ValidationFailed, "text must not hold the character U+0000"),
        _ => by_class(&code, message),
    }
}

fn by_class(code: &str, message: String) -> Error {
    match code.get(..2) {
        // 21000, with its code as on SQLite: the sentence holds no value.
        Some("21") => Error::new(Code::BadStatement, format!("{code} {message}")),
        Some("22") => Error::new(Code::BadStatement, format!("{code} {}", without_values(code))),
        Some("53") => Error::overloaded(5).with_source(message),
        Some("57" | "08") => Error::overloaded(5).with_source(message),
        Some("54") => Error::new(Code::ValidationFailed, "a value or the statement is too large"),
        Some("XX" | "58") => Error::internal(message),
        _ => Error::new(Code::BadStatement, message),
    }
}

/// A data error's sentence. PostgreSQL's own prints the value, which may be a hidden row's.
fn without_values(code: &str) -> &'static str {
    match code {
        "22P02" => "invalid input syntax",
        "22003" => "value out of range",
        "22007" | "22008" => "invalid date or time",
        "22012" => "division by zero",
        "22001" => "value too long",
        "22025" => "invalid escape in a pattern",
        "2201B" => "invalid regular expression",
        _ => "a value cannot be used here",
    }
}

fn privilege(engine: &Engine, message: String) -> Error {
    // A table that the file does not name does not exist, as on SQLite.
    if let Some(table) = message.strip_prefix("permission denied for table ")
        && engine.leaves_out(table)
    {
        return Error::new(Code::BadStatement, format!("no such table: {table}"));
    }
    Error::new(Code::InsufficientPrivilege, message)
}

/// A table changed under a statement that was prepared before.
pub(super) fn is_stale_plan(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|database| match database.code().as_deref() {
        Some("0A000") => database.message().starts_with("cached plan"),
        // Somebody's SQL deallocated it.
        Some("26000") => true,
        _ => false,
    })
}

/// A failure of a statement of ours: the server is away, or it is our mistake.
pub(super) fn statement_of_ours(error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => Error::overloaded(5).with_source(error.to_string()),
        other => Error::internal(other.to_string()),
    }
}

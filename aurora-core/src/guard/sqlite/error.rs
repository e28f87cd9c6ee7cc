//! What SQLite says, as an error of ours: a stable code, and no name that only we know.

use crate::types::{Code, Error};

use super::super::names::Names;

/// An engine error as Aurora's.
pub(in crate::guard) fn engine(names: &Names, error: sqlx::Error) -> Error {
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::RowNotFound => return Error::new(Code::NotFound, "no such row"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            return Error::internal(names.scrub(&error.to_string()));
        }
        other => return Error::internal(names.scrub(&other.to_string())),
    };
    let message = names.scrub(database.message());
    let code: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or(1);
    // https://www.sqlite.org/rescode.html; the low byte is the primary code.
    if let Some(rest) = message.strip_prefix("42501 ") {
        return Error::new(Code::InsufficientPrivilege, rest.to_owned());
    }
    match (code & 0xff, code) {
        (_, 2067 | 1555 | 2579) => Error::new(Code::UniqueViolation, message),
        (_, 787 | 1811) if message.contains("FOREIGN KEY") => Error::new(Code::ForeignKeyViolation, message),
        (_, 1299) => Error::new(Code::NotNullViolation, message),
        (_, 275 | 3091) => Error::new(Code::CheckViolation, message),
        (23, _) => Error::new(Code::InsufficientPrivilege, "permission denied"),
        (9, _) => Error::new(
            Code::StatementTooLong,
            "the statement took too long, or too much memory, and was ended",
        )
        .with_retry_after(1),
        (5 | 6, _) => Error::overloaded(1),
        (13 | 10, _) => Error::overloaded(5).with_source(message),
        (18, _) => Error::new(Code::ValidationFailed, "a value or the statement is too large"),
        (19, _) => Error::new(Code::CheckViolation, message),
        (20, _) => Error::new(Code::ValidationFailed, message),
        (1, _) if message.starts_with("not authorized") || message.contains("prohibited") => {
            Error::new(Code::InsufficientPrivilege, "permission denied")
        }
        _ => Error::new(Code::BadStatement, message),
    }
}

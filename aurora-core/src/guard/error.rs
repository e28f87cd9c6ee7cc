//! An error of ours for who asked through sqlx.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

use crate::types::{Code, Error};

/// What a principal that is here to read hears when it writes.
pub(crate) fn reads_only() -> Error {
    Error::new(Code::ReadOnlyTransaction, "A GET by cookie only reads; ask with another method")
}

/// The same failure for who asked through sqlx.
pub(super) fn as_sqlx(error: Error) -> sqlx::Error {
    if error.code() == Code::NotFound {
        return sqlx::Error::RowNotFound;
    }
    sqlx::Error::Database(Box::new(Guarded(error)))
}

/// Aurora's error as sqlx's [`DatabaseError`]: `code()` is the stable code.
struct Guarded(Error);

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Guarded {}

impl DatabaseError for Guarded {
    fn message(&self) -> &str {
        self.0.message()
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.0.code().as_str()))
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &self.0
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        &mut self.0
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        Box::new(self.0)
    }

    fn kind(&self) -> ErrorKind {
        match self.0.code() {
            Code::UniqueViolation => ErrorKind::UniqueViolation,
            Code::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            Code::NotNullViolation => ErrorKind::NotNullViolation,
            Code::CheckViolation => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}

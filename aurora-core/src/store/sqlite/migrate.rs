use sqlx::SqliteConnection;

use super::{failure, statements};
use crate::types::{Code, Error, Result, Timestamp};

/// Aurora's own schema, in its own table: a host's `_sqlx_migrations` never sees it. A shipped step is never edited.
const STEPS: &[&str] = &[
    include_str!("schema_0001.sql"),
    include_str!("schema_0002.sql"),
    include_str!("schema_0003.sql"),
    include_str!("schema_0004.sql"),
    include_str!("schema_0005.sql"),
    include_str!("schema_0006.sql"),
    include_str!("schema_0007.sql"),
    include_str!("schema_0008.sql"),
];

/// Brings the schema up to date within the caller's write transaction, so that two processes that start at once
/// take turns and a kill leaves the old schema or the new one.
pub(super) async fn migrate(connection: &mut SqliteConnection, now: Timestamp) -> Result<()> {
    sqlx::query(statements::CREATE_MIGRATIONS).execute(&mut *connection).await.map_err(failure)?;
    let done: i64 = sqlx::query_scalar(statements::NEWEST_MIGRATION)
        .fetch_one(&mut *connection)
        .await
        .map_err(failure)?;
    let known = i64::try_from(STEPS.len()).map_err(Error::internal)?;
    if done > known {
        let sentence = format!(
            "the database has Aurora's schema {done}, this program knows {known}; start the newer program again"
        );
        return Err(Error::new(Code::Configuration, sentence));
    }
    for (version, step) in (1_i64..).zip(STEPS) {
        if version > done {
            sqlx::raw_sql(*step).execute(&mut *connection).await.map_err(taken)?;
            sqlx::query(statements::RECORD_MIGRATION)
                .bind(version)
                .bind(now.as_micros())
                .execute(&mut *connection)
                .await
                .map_err(failure)?;
        }
    }
    Ok(())
}

/// A host's table with a name of ours is the host's to rename; what else fails is what it always is.
fn taken(error: sqlx::Error) -> Error {
    let message = error.as_database_error().map(|error| error.message().to_owned()).unwrap_or_default();
    if !message.contains("already exists") {
        return failure(error);
    }
    let sentence = format!(
        "Aurora's tables cannot be made: {message}; rename it, names with auth_, aurora_ and storage_ are ours"
    );
    Error::new(Code::Configuration, sentence).with_source(error)
}

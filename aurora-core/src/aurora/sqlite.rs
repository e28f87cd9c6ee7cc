use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;

use crate::store::SqliteDatabase;
use crate::types::{Code, Error, Result};

/// The host's migrations on a connection of their own, while nobody else writes.
pub(super) async fn migrate(store: &SqliteDatabase, migrations: &Migrator) -> Result<()> {
    let _turn = store.writer().acquire().await?;
    let options =
        SqliteConnectOptions::new().filename(store.path()).foreign_keys(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(Error::internal)?;
    // sqlx takes no lock on SQLite: another process that starts now may be applying the same step, and ours fails on
    // it, rolled back. As long as steps get done the next run begins behind them.
    let mut applied = applied_steps(&mut connection).await?;
    let mut outcome = migrations.run(&mut connection).await;
    while outcome.is_err() {
        let now = applied_steps(&mut connection).await?;
        if now == applied {
            break;
        }
        applied = now;
        outcome = migrations.run(&mut connection).await;
    }
    let closed = sqlx::Connection::close(connection).await;
    outcome
        .map_err(|error| Error::new(Code::Configuration, format!("the host's migrations failed: {error}")))?;
    closed.map_err(Error::internal)
}

async fn applied_steps(connection: &mut sqlx::SqliteConnection) -> Result<i64> {
    let table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'";
    let known: i64 = sqlx::query_scalar(table).fetch_one(&mut *connection).await.map_err(Error::internal)?;
    if known == 0 {
        return Ok(0);
    }
    let steps = "SELECT count(*) FROM _sqlx_migrations";
    sqlx::query_scalar(steps).fetch_one(connection).await.map_err(Error::internal)
}

//! Roles and schema: made by the owner in one transaction, or printed for a DBA.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::failure;
use crate::types::{Code, Error, Result, Timestamp, quote};

/// The roles, made where they are missing.
const ROLES: &str = include_str!("roles.sql");

/// Aurora's own schema. A shipped step is never edited.
///
/// Expand, then contract: a step only adds what the release before can ignore, so that both serve during a rolling
/// upgrade. A step that takes something away comes a release later and raises [`EPOCH`].
const STEPS: &[Step] = &[
    Step { epoch: 1, text: include_str!("schema_0001.sql") },
    Step { epoch: 1, text: include_str!("schema_0002.sql") },
    Step { epoch: 1, text: include_str!("schema_0003.sql") },
    Step { epoch: 1, text: include_str!("schema_0004.sql") },
    Step { epoch: 1, text: include_str!("schema_0005.sql") },
    Step { epoch: 1, text: include_str!("schema_0006.sql") },
    Step { epoch: 1, text: include_str!("schema_0007.sql") },
    Step { epoch: 1, text: include_str!("schema_0008.sql") },
    Step { epoch: 1, text: include_str!("schema_0009.sql") },
];

struct Step {
    epoch: i32,
    text: &'static str,
}

/// The newest epoch that this program works with. A database of a later one is refused; one that has steps which
/// this program does not know, in an epoch that it does, is served.
const EPOCH: i32 = 1;

/// PUBLIC may make temporary tables by default, and those outlive a transaction and come before all others.
const NO_TEMP: &str = "DO $aurora$ BEGIN EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', \
    pg_catalog.current_database()); END $aurora$;";

/// Two processes that start at once take turns. The number is `aurora` in bytes.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(107114611208801)";
const CREATE: &str = "CREATE SCHEMA IF NOT EXISTS aurora; \
    CREATE TABLE IF NOT EXISTS aurora.migrations (version integer NOT NULL PRIMARY KEY, epoch integer NOT NULL, \
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.now());";
const KNOWN: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
    ON n.oid = c.relnamespace WHERE n.nspname = 'aurora' AND c.relname = 'migrations'), \
    EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'auth')";
const NEWEST: &str = "SELECT coalesce(max(version), 0), coalesce(max(epoch), 0) FROM aurora.migrations";
const RECORD: &str = "INSERT INTO aurora.migrations (version, epoch, applied_at) \
    VALUES ($1, $2, $3::text::timestamptz)";

/// Brings roles and schema up to date within the caller's transaction: a kill leaves the old schema or the new one.
pub(super) async fn migrate(connection: &mut PgConnection, now: Timestamp) -> Result<()> {
    take_turn(connection).await?;
    let row = sqlx::query(KNOWN).fetch_one(&mut *connection).await.map_err(failure)?;
    let (ours, auth): (bool, bool) = (row.try_get(0).map_err(failure)?, row.try_get(1).map_err(failure)?);
    if !ours && auth {
        return Err(Error::new(
            Code::Configuration,
            "the schema `auth` exists and is not Aurora's: this looks like a Supabase database, whose users Aurora \
             does not take over yet; give it a database of its own",
        ));
    }
    sqlx::raw_sql(ROLES).execute(&mut *connection).await.map_err(|error| denied("make its roles", error))?;
    if !ours {
        sqlx::raw_sql(CREATE)
            .execute(&mut *connection)
            .await
            .map_err(|error| denied("make its schemas", error))?;
    }
    sqlx::raw_sql(NO_TEMP)
        .execute(&mut *connection)
        .await
        .map_err(|error| denied("revoke TEMPORARY", error))?;
    let done = version(connection).await?;
    for (number, step) in (1_i32..).zip(STEPS) {
        if number > done {
            sqlx::raw_sql(step.text)
                .execute(&mut *connection)
                .await
                .map_err(|error| denied("make its tables", error))?;
            let record = sqlx::query(RECORD).bind(number).bind(step.epoch).bind(now.to_string());
            record.execute(&mut *connection).await.map_err(failure)?;
        }
    }
    Ok(())
}

/// The schema's version. Refuses one across an epoch, and the lack of one.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i32> {
    let row = sqlx::query(NEWEST).fetch_one(connection).await.map_err(|error| {
        let code = error.as_database_error().and_then(|database| database.code());
        match code.as_deref() {
            // The table or its schema does not exist, or the role may not look.
            Some("42P01" | "3F000" | "42501") => Error::new(
                Code::Configuration,
                "the database has no schema of Aurora's; start once with `migrate_url`, or let a DBA run what \
                 `setup --print-sql` prints",
            )
            .with_source(error),
            _ => failure(error),
        }
    })?;
    let (version, epoch): (i32, i32) = (row.try_get(0).map_err(failure)?, row.try_get(1).map_err(failure)?);
    if epoch > EPOCH {
        let text = format!(
            "the database has Aurora's schema {version} of epoch {epoch}, this program knows epoch {EPOCH}; start \
             the newer program again"
        );
        return Err(Error::new(Code::Configuration, text));
    }
    Ok(version)
}

/// Whether every step of this program's was applied.
pub(super) fn is_complete(version: i32) -> bool {
    usize::try_from(version).is_ok_and(|version| version >= STEPS.len())
}

/// What the run role needs: to become whom a transaction acts as, and nothing of its own.
pub(super) fn grants(run_role: &str) -> String {
    let role = quote(run_role);
    format!("GRANT anon, authenticated, aurora_store, aurora_service TO {role};\n")
}

/// Waits until no other process sets up: roles that two change at once fail one of them.
pub(super) async fn take_turn(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(LOCK).execute(connection).await.map(drop).map_err(failure)
}

pub(super) async fn grant(connection: &mut PgConnection, run_role: &str) -> Result<()> {
    take_turn(connection).await?;
    // A role's name is no value that could be bound.
    let text = AssertSqlSafe(grants(run_role));
    sqlx::raw_sql(text).execute(connection).await.map_err(|error| denied("admit the run role", error))?;
    Ok(())
}

/// Everything that a DBA must run once, as the owner of the database, before a service starts that has a run URL
/// only: roles, schema, grants. `run_role` is the role of that URL; its password is the DBA's to set.
///
/// Running it again on the same database fails at the first statement and changes nothing.
pub fn setup_sql(run_role: &str) -> String {
    let role = quote(run_role);
    let mut text = String::from(
        "-- Aurora on PostgreSQL: run as the owner of the database (CREATEROLE is enough), in this database.\n\
         BEGIN;\n",
    );
    text.push_str("-- The role that the service connects as; it owns nothing, so it is not the owner.\n");
    text.push_str(&format!("CREATE ROLE {role} LOGIN NOINHERIT; -- then: \\password {run_role}\n"));
    text.push_str(ROLES);
    text.push_str("CREATE SCHEMA aurora;\n");
    text.push_str(&CREATE.replace("CREATE SCHEMA IF NOT EXISTS aurora; ", "").replace(" IF NOT EXISTS", ""));
    text.push('\n');
    for (number, step) in (1..).zip(STEPS) {
        text.push_str(step.text);
        text.push_str(&format!(
            "INSERT INTO aurora.migrations (version, epoch) VALUES ({number}, {});\n",
            step.epoch
        ));
    }
    text.push_str(&grants(run_role));
    text.push_str(NO_TEMP);
    text.push_str("\nCOMMIT;\n");
    text
}

/// Where the identity of a transaction comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityBy {
    /// A MAC that each statement verifies. Asks for nothing of the server.
    Mac,
    /// Settings, as in Supabase, after `set_config` was revoked: cheaper, for who is a superuser of the server.
    Settings,
}

/// What a superuser runs in a database with Aurora's schema to change where identities come from. Services start
/// again afterwards.
pub fn identity_sql(by: IdentityBy) -> &'static str {
    match by {
        IdentityBy::Mac => include_str!("identity_by_mac.sql"),
        IdentityBy::Settings => include_str!("identity_by_settings.sql"),
    }
}

fn denied(what: &str, error: sqlx::Error) -> Error {
    let Some(database) = error.as_database_error() else { return failure(error) };
    let text = format!("Aurora cannot {what}: {}", database.message());
    let fix = match database.code().as_deref() {
        Some("42501") => {
            "; use the database's owner with CREATEROLE, or let a DBA run what `setup --print-sql` prints"
        }
        Some("42704" | "42P04") => "; make the role first: CREATE ROLE .. LOGIN NOINHERIT PASSWORD ..",
        Some("42P07" | "42P06") => "; rename it, the schemas `auth`, `aurora` and `storage` are ours",
        _ => return failure(error),
    };
    Error::new(Code::Configuration, format!("{text}{fix}")).with_source(error)
}

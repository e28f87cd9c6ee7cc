//! A transaction as somebody: role and claims, bound by a MAC to this backend and this transaction.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::connections::{Connections, Lease};
use super::failure;
use crate::types::{Code, Error, Result};

/// Role and claims for the length of one transaction. The claims go into the statement as a value.
const BIND: &str = "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
    set_config('aurora.mac', $3, true), set_config('search_path', $4, true), \
    set_config('statement_timeout', $5, true), set_config('lock_timeout', $6, true)";

/// What a connection of our own has from its start, for one that a pooler lends.
const BIND_POOLED: &str = "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
    set_config('aurora.mac', $3, true), set_config('search_path', $4, true), \
    set_config('statement_timeout', $5, true), set_config('lock_timeout', $6, true), \
    set_config('idle_in_transaction_session_timeout', '60000', true), \
    set_config('TimeZone', 'UTC', true), set_config('client_encoding', 'UTF8', true)";

/// The role and claims alone, within a transaction that is bound already.
const REBIND: &str = "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
    set_config('aurora.mac', $3, true), set_config('search_path', $4, true)";

/// A connection of our own was cleaned when it came back. What a pooler lends is cleaned here, since whoever had it
/// before may be anybody: what cannot be ended so is told, and such a connection is given up.
macro_rules! begin {
    ($mode:literal) => {
        concat!(
            "BEGIN ISOLATION LEVEL ",
            $mode,
            "; SELECT pg_catalog.pg_backend_pid(), \
             pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), true"
        )
    };
    ($mode:literal, pooled) => {
        concat!(
            "BEGIN ISOLATION LEVEL ",
            $mode,
            "; RESET ALL; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; DEALLOCATE ALL; SELECT pg_catalog.pg_backend_pid(), \
             pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), \
             NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql) \
             AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0, \
             pg_catalog.pg_advisory_unlock_all()"
        )
    };
}

/// What a transaction may do, and what it sees of those beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Reads and writes; each statement sees what was committed before it (READ COMMITTED).
    ReadWrite,
    /// Reads; each statement sees what was committed before it.
    ReadOnly,
    /// Reads; all statements see the same moment (REPEATABLE READ).
    Snapshot,
}

impl Mode {
    fn begin(self, pooled: bool) -> &'static str {
        match (self, pooled) {
            (Self::ReadWrite, false) => begin!("READ COMMITTED READ WRITE"),
            (Self::ReadOnly, false) => begin!("READ COMMITTED READ ONLY"),
            (Self::Snapshot, false) => begin!("REPEATABLE READ READ ONLY"),
            // sqlx names its statements by a number of its own connection, also where it keeps none, and another
            // client may have left that name on this server connection.
            (Self::ReadWrite, true) => begin!("READ COMMITTED READ WRITE", pooled),
            (Self::ReadOnly, true) => begin!("READ COMMITTED READ ONLY", pooled),
            (Self::Snapshot, true) => begin!("REPEATABLE READ READ ONLY", pooled),
        }
    }
}

/// Who a transaction acts as.
#[derive(Clone, Copy, Debug)]
pub struct Bind<'a> {
    /// The database role: `anon`, `authenticated`, `aurora_service`.
    pub role: &'a str,
    /// The claims, a JSON object: what `auth.jwt()` answers.
    pub claims: &'a str,
    /// Reading or writing.
    pub mode: Mode,
    /// How long one statement may take. `None`: as long as it likes.
    pub statement_timeout: Option<Duration>,
    /// How long one statement may wait for a lock. `None`: as long as it likes.
    pub lock_timeout: Option<Duration>,
}

impl<'a> Bind<'a> {
    /// As `role` with `claims`, without time limits.
    pub fn new(role: &'a str, claims: &'a str, mode: Mode) -> Self {
        Self { role, claims, mode, statement_timeout: None, lock_timeout: None }
    }
}

/// The key that binds claims to transactions, with its generation.
#[derive(Clone)]
pub(super) struct Identity {
    generation: u32,
    key: hmac::Key,
}

impl Identity {
    pub(super) fn new(generation: u32, key: &[u8; 32]) -> Self {
        Self { generation, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// In hexadecimal, over the transaction's start and the backend as the server sends them, the role and the
    /// claims. The first two have one length, a role cannot hold the separator, and the claims come last.
    fn mac(&self, backend: i32, start: &[u8], role: &str, claims: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(start);
        context.update(&backend.to_be_bytes());
        context.update(role.as_bytes());
        context.update(b"|");
        context.update(claims.as_bytes());
        let mut text = String::with_capacity(64);
        for byte in context.sign().as_ref() {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A transaction as somebody. Dropped, it is rolled back before anybody else gets its connection.
pub struct BoundTransaction {
    lease: Option<Lease>,
    identity: Option<Identity>,
    backend: i32,
    start: Vec<u8>,
}

impl BoundTransaction {
    /// Two round trips. Runs in a task of its own, so that it is whole or not at all when its caller is cancelled.
    pub(super) async fn begin(
        connections: Connections,
        identity: Option<Identity>,
        bind: Bind<'_>,
        search_path: &str,
    ) -> Result<Self> {
        let (role, claims) = (bind.role.to_owned(), bind.claims.to_owned());
        if role.contains('|') {
            return Err(Error::internal("a role's name with a `|` cannot be bound"));
        }
        let (mode, search_path) = (bind.mode, search_path.to_owned());
        let limits = [bind.statement_timeout, bind.lock_timeout].map(millis);
        let begun = tokio::spawn(async move {
            let mut this = Self::open(&connections, identity, mode).await?;
            let mac = this.mac(&role, &claims);
            let [statement_timeout, lock_timeout] = limits;
            let query = sqlx::query(if connections.are_pooled() { BIND_POOLED } else { BIND })
                .bind(role)
                .bind(claims)
                .bind(mac)
                .bind(search_path)
                .bind(statement_timeout)
                .bind(lock_timeout);
            if let Err(error) = query.execute(this.connection()?).await {
                // Nobody knows why it failed here, where nothing of the caller's ran: the next one gets another.
                if let Some(lease) = this.lease.take() {
                    lease.discard();
                }
                return Err(failure(error));
            }
            Ok(this)
        });
        begun.await.map_err(Error::internal)?
    }

    /// As the role that is connected, with no claims: for the owner's own work.
    pub(super) async fn begin_plain(connections: Connections, mode: Mode) -> Result<Self> {
        let begun = tokio::spawn(async move {
            let mut this = Self::open(&connections, None, mode).await?;
            let path = sqlx::raw_sql("SET LOCAL search_path = pg_catalog, pg_temp");
            path.execute(this.connection()?).await.map_err(failure)?;
            Ok(this)
        });
        begun.await.map_err(Error::internal)?
    }

    async fn open(connections: &Connections, identity: Option<Identity>, mode: Mode) -> Result<Self> {
        let mut lease = connections.lease().await?;
        let pooled = connections.are_pooled();
        let row = match start(lease.connection()?, mode, pooled).await {
            Ok(row) => row,
            // The server restarted, or something between closed an idle connection. Nothing was done yet.
            Err(error) if is_gone(&error) && lease.renew().await? => {
                start(lease.connection()?, mode, pooled).await.map_err(failure)?
            }
            Err(error) => {
                lease.discard();
                return Err(failure(error));
            }
        };
        let row = if row.2 {
            row
        } else {
            lease.replace().await?;
            start(lease.connection()?, mode, pooled).await.map_err(failure)?
        };
        let (backend, start, clean) = row;
        if !clean {
            lease.discard();
            return Err(Error::internal("a new connection holds what only SQL leaves behind"));
        }
        Ok(Self { lease: Some(lease), identity, backend, start })
    }

    /// The connection, inside of the transaction. Do not end the transaction on it; a `begin` on it is a savepoint.
    pub fn connection(&mut self) -> Result<&mut PgConnection> {
        match &mut self.lease {
            Some(lease) => lease.connection(),
            None => Err(Error::internal("the transaction has ended")),
        }
    }

    /// Goes on as somebody else within the same transaction, with names looked up elsewhere. One round trip.
    pub(super) async fn rebind(&mut self, role: &str, claims: &str, search_path: &str) -> Result<()> {
        let mac = self.mac(role, claims);
        let query = sqlx::query(REBIND)
            .bind(role.to_owned())
            .bind(claims.to_owned())
            .bind(mac)
            .bind(search_path.to_owned());
        query.execute(self.connection()?).await.map_err(failure)?;
        Ok(())
    }

    /// Makes it durable.
    ///
    /// [`Code::TransactionPoisoned`] if a statement failed in it: PostgreSQL would answer such a COMMIT with a
    /// rollback that reads as a success. A constraint that was deferred fails here.
    pub async fn commit(mut self) -> Result<()> {
        // The empty statement fails in a failed transaction, and the COMMIT behind it is not run.
        let done = sqlx::raw_sql("SELECT; COMMIT").execute(self.connection()?).await;
        match done {
            Ok(_) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                Ok(())
            }
            Err(error) => Err(unfinished(error)),
        }
    }

    /// Takes it back, and waits for that. Dropping it does the same without waiting.
    pub async fn rollback(mut self) -> Result<()> {
        sqlx::raw_sql("ROLLBACK").execute(self.connection()?).await.map_err(failure)?;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        Ok(())
    }

    fn mac(&self, role: &str, claims: &str) -> String {
        self.identity
            .as_ref()
            .map(|identity| identity.mac(self.backend, &self.start, role, claims))
            .unwrap_or_default()
    }
}

impl fmt::Debug for BoundTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundTransaction").field("open", &self.lease.is_some()).finish_non_exhaustive()
    }
}

async fn start(
    connection: &mut PgConnection,
    mode: Mode,
    pooled: bool,
) -> sqlx::Result<(i32, Vec<u8>, bool)> {
    let row = sqlx::raw_sql(mode.begin(pooled)).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

fn unfinished(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|database| database.code());
    match code.as_deref() {
        Some("25P02") => Error::new(
            Code::TransactionPoisoned,
            "a statement of this transaction failed; nothing was written",
        )
        .with_source(error),
        Some("23503") => {
            Error::new(Code::ForeignKeyViolation, "Rows of other tables still refer to this row")
                .with_source(error)
        }
        _ => failure(error),
    }
}

fn millis(limit: Option<Duration>) -> String {
    // 0 switches a limit off, so the shortest one is a millisecond. The server's own limit is an i32.
    let limit = limit.map_or(0, |limit| limit.as_millis().clamp(1, 2_147_483_647));
    limit.to_string()
}

/// Whether the connection is lost, so that another one may do.
fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

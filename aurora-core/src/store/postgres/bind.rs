//! A transaction as somebody: role and claims, which its [`Proof`] keeps from being forged.

use std::fmt;
use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::connections::{Connections, Lease};
use super::failure;
use super::proof::{Begun, Proof, is_gone};
use crate::types::{Code, Error, Result};

/// How long the messages that begin a transaction may take: they wait for no lock.
const BEGINNING: Duration = Duration::from_secs(5);
/// How long a commit may take: a disk that is slow, and a deferred constraint.
const ENDING: Duration = Duration::from_secs(15);

/// A line that was cut without a word is not waited for: the server's own limits do not reach who cannot hear it.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_elapsed) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

/// What a transaction may do, and what it sees of those beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Reads and writes; each statement sees what was committed before it (READ COMMITTED).
    ReadWrite,
    /// The same where the server writes; reads alone where it is a standby.
    AsItMay,
    /// Reads; each statement sees what was committed before it.
    ReadOnly,
    /// Reads; all statements see the same moment (REPEATABLE READ).
    Snapshot,
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

impl Mode {
    pub(super) fn level(self) -> &'static str {
        match self {
            Self::ReadWrite => "READ COMMITTED READ WRITE",
            Self::AsItMay => "READ COMMITTED",
            Self::ReadOnly => "READ COMMITTED READ ONLY",
            Self::Snapshot => "REPEATABLE READ READ ONLY",
        }
    }
}

impl<'a> Bind<'a> {
    /// As `role` with `claims`, without time limits.
    pub fn new(role: &'a str, claims: &'a str, mode: Mode) -> Self {
        Self { role, claims, mode, statement_timeout: None, lock_timeout: None }
    }
}

/// A transaction as somebody. Dropped, it is rolled back before anybody else gets its connection.
pub struct BoundTransaction {
    lease: Option<Lease>,
    proof: Proof,
    begun: Begun,
}

impl BoundTransaction {
    /// Two round trips, one where settings are believed. Runs in a task of its own, so that it is whole or not at
    /// all when its caller is cancelled.
    pub(super) async fn begin(
        connections: Connections,
        proof: Proof,
        who: Bind<'_>,
        search_path: &str,
    ) -> Result<Self> {
        let (role, claims) = (who.role.to_owned(), who.claims.to_owned());
        if role.contains('|') {
            return Err(Error::internal("a role's name with a `|` cannot be bound"));
        }
        let Bind { mode, statement_timeout, lock_timeout, .. } = who;
        let search_path = search_path.to_owned();
        let begun = tokio::spawn(async move {
            let who = Bind { role: &role, claims: &claims, mode, statement_timeout, lock_timeout };
            let mut this = Self::open(&connections, proof, Some((&who, &search_path)), mode).await?;
            let Some(lease) = &mut this.lease else { return Err(ended()) };
            let connection = lease.connection()?;
            let bound =
                this.proof.bind(connection, &this.begun, &who, &search_path, connections.are_pooled());
            if let Err(error) = within(BEGINNING, bound).await {
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
            let mut this = Self::open(&connections, Proof::None, None, mode).await?;
            let path = sqlx::raw_sql("SET LOCAL search_path = pg_catalog, pg_temp");
            within(BEGINNING, path.execute(this.connection()?)).await.map_err(failure)?;
            Ok(this)
        });
        begun.await.map_err(Error::internal)?
    }

    async fn open(
        connections: &Connections,
        proof: Proof,
        who: Option<(&Bind<'_>, &str)>,
        mode: Mode,
    ) -> Result<Self> {
        let mut lease = connections.lease(proof.cleaning()).await?;
        let pooled = connections.are_pooled();
        let begun = match within(BEGINNING, proof.begin(lease.connection()?, who, mode, pooled)).await {
            Ok(begun) => begun,
            // The server restarted, or something between closed an idle connection. Nothing was done yet.
            Err(error) if is_gone(&error) && lease.renew().await? => {
                let again = proof.begin(lease.connection()?, who, mode, pooled);
                within(BEGINNING, again).await.map_err(failure)?
            }
            Err(error) => {
                lease.discard();
                return Err(failure(error));
            }
        };
        let begun = if begun.clean {
            begun
        } else {
            lease.replace().await?;
            let again = proof.begin(lease.connection()?, who, mode, pooled);
            within(BEGINNING, again).await.map_err(failure)?
        };
        if !begun.clean {
            lease.discard();
            return Err(Error::internal("a new connection holds what only SQL leaves behind"));
        }
        Ok(Self { lease: Some(lease), proof, begun })
    }

    /// The connection, inside of the transaction. Do not end the transaction on it; a `begin` on it is a savepoint.
    pub fn connection(&mut self) -> Result<&mut PgConnection> {
        match &mut self.lease {
            Some(lease) => lease.connection(),
            None => Err(ended()),
        }
    }

    /// Goes on as somebody else within the same transaction, with names looked up elsewhere. One round trip.
    pub(super) async fn rebind(&mut self, role: &str, claims: &str, search_path: &str) -> Result<()> {
        let Some(lease) = &mut self.lease else { return Err(ended()) };
        let rebound = self.proof.rebind(lease.connection()?, &self.begun, (role, claims), search_path);
        within(BEGINNING, rebound).await.map_err(failure)
    }

    /// Makes it durable.
    ///
    /// [`Code::TransactionPoisoned`] if a statement failed in it: PostgreSQL would answer such a COMMIT with a
    /// rollback that reads as a success. A constraint that was deferred fails here.
    pub async fn commit(mut self) -> Result<()> {
        // The empty statement fails in a failed transaction, and the COMMIT behind it is not run.
        self.end("SELECT; COMMIT", 2).await.map_err(unfinished)
    }

    /// Takes it back, and waits for that. Dropping it does the same without waiting.
    pub async fn rollback(mut self) -> Result<()> {
        self.end("ROLLBACK", 1).await.map_err(failure)
    }

    /// Runs the `steps` statements of `sql`, which end the transaction, and cleans the connection with the same
    /// message.
    async fn end(&mut self, sql: &'static str, steps: usize) -> sqlx::Result<()> {
        let Some(mut lease) = self.lease.take() else { return Err(sqlx::Error::WorkerCrashed) };
        match within(ENDING, lease.end(sql, steps)).await {
            Ok(true) => lease.give_back(),
            // It ended; what it left in its session did not.
            Ok(false) => lease.discard(),
            Err(error) => {
                // Rolled back by its drop, or closed.
                drop(lease);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for BoundTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundTransaction").field("open", &self.lease.is_some()).finish_non_exhaustive()
    }
}

fn ended() -> Error {
    Error::internal("the transaction has ended")
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

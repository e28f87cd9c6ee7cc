//! Records and the transactional stores that keep them.
//!
//! 1. A store never decides: it reads and writes what a flow tells it to, within the flow's transaction.
//! 2. Whoever holds a [`Reader`] cannot write; whoever holds a [`Transaction`] has the single writer's turn.
//! 3. A [`Transaction`] that is dropped is rolled back, also when its future was cancelled or panicked.
//! 4. One fair lock stands before SQLite's single writer, for the guard and the stores alike.
//! 5. No bearer secret is stored: a refresh token by its keyed hash, a key wrapped under one outside the database.
//! 6. Whatever ends a session (a sign-out, a ban, a deletion, a host's own `DELETE`) leaves a [`Revocation`],
//!    which triggers of the database write.

mod clearing;
mod database;
mod factors;
mod files;
mod keys;
mod postgres;
mod records;
mod roles;
mod sealed;
mod sqlite;
mod writer;

pub use clearing::{ReadClearing, WriteClearing};
pub use database::{Database, HostTransaction, Reader, Transaction};
pub use factors::{Factor, FactorChallenge, FactorRow, ReadFactors, WriteFactors};
pub use files::{BlobRow, FileUsage, ReadFiles, UploadRow, WriteFiles};
pub use keys::{ApiKeyRow, ReadKeys, WriteKeys};
pub use postgres::{
    Bind, BoundTransaction, IdentityBy, Mode, PostgresDatabase, PostgresOptions, PostgresOwner, identity_sql,
    run_role_of, setup_sql,
};
pub(crate) use postgres::{connect_options_of, exposure, within};
pub use records::{
    AuditRow, Identity, KeyRow, OneTimeToken, OutboxRow, RefreshToken, Revocation, Session, SigningKeyRow,
    User,
};
pub use roles::{ReadRoles, RoleChange, RoleRow, WriteRoles};
pub use sealed::{ReadSealed, SealedColumn, WriteSealed};
pub use sqlite::SqliteDatabase;
pub(crate) use sqlite::{LentTransaction, go_on_sqlite, sqlite_file};
pub use writer::{WriterLock, WriterPermit};

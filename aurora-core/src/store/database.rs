use std::fmt::Debug;

use async_trait::async_trait;

use super::{
    AuditRow, Identity, OneTimeToken, OutboxRow, ReadClearing, ReadFactors, ReadFiles, ReadKeys, ReadRoles,
    ReadSealed, RefreshToken, Revocation, Session, SigningKeyRow, User, WriteClearing, WriteFactors,
    WriteFiles, WriteKeys, WriteRoles, WriteSealed,
};
use crate::types::{Code, Error, Result, SessionId, Timestamp, UserId};
use crate::validate::Email;

/// Where users, sessions, keys and audit records live.
///
/// Implementations: [`SqliteDatabase`](super::SqliteDatabase) and [`PostgresDatabase`](super::PostgresDatabase).
/// `testing::store` is this contract as a suite.
#[async_trait]
pub trait Database: Send + Sync + Debug {
    /// A reader that sees what was committed before each of its questions. Never waits for a writer.
    async fn read(&self) -> Result<Box<dyn Reader>>;

    /// The turn to write. [`Code::OverCapacity`] if it does not come within the deadline.
    ///
    /// What a transaction reads of a user, their sessions and their refresh tokens stays as it was read until it
    /// ends: nobody else changes it meanwhile.
    async fn begin(&self) -> Result<Box<dyn Transaction>>;

    /// Whether transactions wait for one another whatever they are about: then what can be refused by reading is
    /// refused before there is one.
    fn has_one_writer(&self) -> bool;
}

/// Questions. "Not there" is `Ok(None)`.
#[async_trait]
pub trait Reader: ReadClearing + ReadFactors + ReadFiles + ReadKeys + ReadRoles + ReadSealed + Send {
    /// The user of that id, with identities and factors.
    async fn user(&mut self, id: UserId) -> Result<Option<User>>;

    /// The user who signs in with that address, with identities.
    ///
    /// A reader does the same work whether or not there is one: for an unknown address it reads some other user and
    /// drops the row. The time of one row more or less was seen through the hashing of a password in 2,000 sign-ins.
    async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>>;

    /// The session of that id.
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>>;

    /// A user's sessions, newest first, at most 1000.
    async fn sessions_of(&mut self, user: UserId) -> Result<Vec<Session>>;

    /// The refresh token whose keyed hash is exactly `hash`. One statement.
    async fn refresh_token(&mut self, hash: &[u8; 32]) -> Result<Option<RefreshToken>>;

    /// A page of users, oldest first, `offset` of them left out, at most `limit`; and how many there are.
    async fn users(&mut self, offset: i64, limit: i64) -> Result<(Vec<User>, i64)>;

    /// The token whose link has exactly that keyed hash. In a transaction its user is locked first.
    async fn token_by_link(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>>;

    /// The token whose link was exchanged for what has exactly that keyed hash.
    async fn token_by_exchange(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>>;

    /// The token, of those that were sent to an address, whose code has exactly that keyed hash.
    async fn token_by_code(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>>;

    /// A user's tokens, newest first.
    async fn tokens_of(&mut self, user: UserId) -> Result<Vec<OneTimeToken>>;

    /// The most wrong codes that were counted on a token to that address which is good at `now`.
    async fn tries_at(&mut self, address: &Email, nonces: bool, now: Timestamp) -> Result<i64>;

    /// How many mails wait, and since when the oldest.
    async fn outbox(&mut self) -> Result<(i64, Option<Timestamp>)>;

    /// Sessions that ended after `sequence`, ascending, at most 10000.
    async fn revocations(&mut self, after: i64) -> Result<Vec<Revocation>>;

    /// Every signing key, ascending.
    async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRow>>;
}

/// Questions and changes that commit together or not at all.
///
/// Dropped without [`commit`](Self::commit) it is rolled back, before anyone else's turn.
#[async_trait]
pub trait Transaction:
    Reader + WriteClearing + WriteFactors + WriteFiles + WriteKeys + WriteRoles + WriteSealed
{
    /// Adds a user without identities. `false` if the address is taken; nothing changed then.
    async fn insert_user(&mut self, user: &User) -> Result<bool>;

    /// Writes every column of a user but the identities. `false` if the address is taken or the user is gone.
    async fn update_user(&mut self, user: &User) -> Result<bool>;

    /// Adds an identity, or renews its last sign-in and change.
    async fn put_identity(&mut self, user: UserId, identity: &Identity) -> Result<()>;

    /// Deletes a user with all that is theirs and answers which sessions ended. `None` if there is no such user;
    /// [`Code::ForeignKeyViolation`] if a host's rows refer to them and do not go with them.
    async fn delete_user(&mut self, id: UserId, now: Timestamp) -> Result<Option<Vec<SessionId>>>;

    /// Adds a session with its first refresh token.
    async fn insert_session(&mut self, session: &Session, token: &[u8; 32]) -> Result<()>;

    /// Adds the next refresh token of a session, marks the one before as used, and forgets those that were used
    /// before `horizon`. The session's generation, address and refresh time become those of `session`.
    async fn rotate(&mut self, session: &Session, token: &[u8; 32], horizon: Timestamp) -> Result<()>;

    /// Ends a session. `false` if it had ended.
    async fn end_session(&mut self, id: SessionId, now: Timestamp) -> Result<bool>;

    /// Ends a user's sessions but `keep`, and answers which.
    async fn end_sessions_of(
        &mut self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>>;

    /// Ends a user's sessions that expired before `now` or were not refreshed since `idle`; forgets revocations
    /// noted before `horizon`. Answers which sessions ended.
    async fn sweep(
        &mut self,
        user: Option<UserId>,
        now: Timestamp,
        idle: Timestamp,
        horizon: Timestamp,
    ) -> Result<Vec<SessionId>>;

    /// Adds a token.
    async fn insert_token(&mut self, token: &OneTimeToken) -> Result<()>;

    /// Deletes a user's tokens of that purpose, or all of them. Wrong codes that were counted on them stay counted at
    /// their addresses until the tokens would have expired: asking for another address, and for the first one again,
    /// gives no new tries.
    async fn delete_tokens_of(&mut self, user: UserId, purpose: Option<&str>) -> Result<()>;

    /// Deletes one token. `false` if it was gone.
    async fn delete_token(&mut self, id: UserId) -> Result<bool>;

    /// Counts a wrong code on each token that was sent to that address: of nonces to reauthenticate with, or of all
    /// the others.
    async fn count_try(&mut self, address: &Email, nonces: bool) -> Result<()>;

    /// Forgets tokens that expired before `horizon`.
    async fn forget_tokens(&mut self, horizon: Timestamp) -> Result<()>;

    /// Puts a mail into the outbox.
    async fn insert_mail(&mut self, row: &OutboxRow) -> Result<()>;

    /// Takes mails that are due at `now`, oldest first, at most `limit`, for whoever sends them until `until`: they
    /// count one try more and are not due before then. No two processes take the same.
    async fn take_mails(&mut self, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<OutboxRow>>;

    /// Sent, or given up. `false` if it was gone.
    async fn delete_mail(&mut self, id: &str) -> Result<bool>;

    /// Tries again then. `false` if it was gone.
    async fn put_off_mail(&mut self, id: &str, next_at: Timestamp) -> Result<bool>;

    /// Takes or renews the lease of a slot until `until`, if it is free, over, or `holder`'s already.
    async fn take_slot(&mut self, name: &str, holder: &str, now: Timestamp, until: Timestamp)
    -> Result<bool>;

    /// Gives the lease of a slot back.
    async fn free_slot(&mut self, name: &str, holder: &str) -> Result<()>;

    /// Appends an audit record.
    async fn append_audit(&mut self, row: &AuditRow) -> Result<()>;

    /// Adds a signing key. `false` if the number is taken.
    async fn insert_signing_key(&mut self, key: &SigningKeyRow) -> Result<bool>;

    /// The same transaction, for the host's own statements.
    async fn host(&mut self) -> Result<HostTransaction<'_>>;

    /// Makes it all durable.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// The open transaction, lent to the host for its own statements. Sees everything; commits with Aurora's own.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostTransaction<'a> {
    /// On SQLite.
    Sqlite(&'a mut sqlx::SqliteConnection),
    /// On PostgreSQL, as the role `aurora_service`. A `begin` on it is a savepoint.
    Postgres(&'a mut sqlx::PgConnection),
}

impl HostTransaction<'_> {
    /// The connection, where the database is SQLite. Do not end the transaction on it.
    pub fn sqlite(&mut self) -> Result<&mut sqlx::SqliteConnection> {
        match self {
            Self::Sqlite(connection) => Ok(connection),
            Self::Postgres(_) => Err(Error::new(Code::Configuration, "this database is not SQLite")),
        }
    }

    /// The connection, where the database is PostgreSQL. Do not end the transaction on it.
    pub fn postgres(&mut self) -> Result<&mut sqlx::PgConnection> {
        match self {
            Self::Postgres(connection) => Ok(connection),
            Self::Sqlite(_) => Err(Error::new(Code::Configuration, "this database is not PostgreSQL")),
        }
    }
}

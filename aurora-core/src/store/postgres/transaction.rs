use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::Query;

use super::bind::{BoundTransaction, within};
use super::codec::{Id, Moment};
use super::database::{HOST_CLAIMS, HOST_ROLE, STATEMENT, STORE_CLAIMS, STORE_PATH, STORE_ROLE};
use super::{failure, rows, statements};
use crate::store::{
    AuditRow, HostTransaction, Identity, OneTimeToken, OutboxRow, Session, SigningKeyRow, Transaction, User,
};
use crate::types::{Code, Error, Result, SessionId, Timestamp, UserId};
use crate::validate::Email;

/// Whoever the transaction belongs to, its statements run one after the other.
pub(super) struct PostgresReader(BoundTransaction);

/// Reads as the reader does, after it has locked the user whom an answer is about.
///
/// SQLite has one writer; here the flows of one user take turns at that user's row, and the flows of different
/// users have nothing to take turns for: what they share (an address) a unique index decides. Whatever a
/// transaction reads of a user, of one of their sessions or of a refresh token, it has locked the user first, so
/// that nobody changes it between the reading and the commit. One order of locks, user before session, so that two
/// flows never wait for each other.
pub(super) struct PostgresWrite {
    transaction: BoundTransaction,
    /// Where the host's statements look names up.
    host_path: String,
    /// Whether the host had the connection last, under its own role.
    lent: bool,
    /// Whose turn it has already.
    locked: Option<UserId>,
}

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

pub(super) async fn one(connection: &mut PgConnection, query: Statement<'_>) -> Result<Option<PgRow>> {
    within(STATEMENT, query.fetch_optional(connection)).await.map_err(failure)
}

pub(super) async fn all(connection: &mut PgConnection, query: Statement<'_>) -> Result<Vec<PgRow>> {
    within(STATEMENT, query.fetch_all(connection)).await.map_err(failure)
}

pub(super) async fn run(connection: &mut PgConnection, query: Statement<'_>) -> Result<u64> {
    Ok(within(STATEMENT, query.execute(connection)).await.map_err(failure)?.rows_affected())
}

pub(super) async fn user(connection: &mut PgConnection, query: Statement<'_>) -> Result<Option<User>> {
    let Some(row) = one(connection, query).await? else { return Ok(None) };
    let identities = sqlx::query(statements::IDENTITIES).bind(user_bytes(rows::user_id(&row)?));
    let identities = all(connection, identities).await?;
    let identities: Result<Vec<Identity>> = identities.iter().map(rows::identity).collect();
    Ok(Some(rows::user(&row, identities?)?))
}

pub(super) fn user_bytes(id: UserId) -> Id {
    Id(*id.as_bytes())
}

pub(super) fn session_bytes(id: SessionId) -> Id {
    Id(*id.as_bytes())
}

impl PostgresReader {
    pub(super) fn new(transaction: BoundTransaction) -> Self {
        Self(transaction)
    }

    pub(super) async fn connection(&mut self) -> Result<&mut PgConnection> {
        self.0.connection()
    }

    pub(super) async fn lock(&mut self, _query: Statement<'_>) -> Result<bool> {
        Ok(true)
    }

    pub(super) async fn lock_user(&mut self, _id: UserId) -> Result<bool> {
        Ok(true)
    }
}

impl PostgresWrite {
    pub(super) fn new(transaction: BoundTransaction, host_path: &str) -> Self {
        Self { transaction, host_path: host_path.to_owned(), lent: false, locked: None }
    }

    /// A transaction that began as somebody goes on as the store.
    pub(super) fn go_on(transaction: BoundTransaction, host_path: &str) -> Self {
        Self { lent: true, ..Self::new(transaction, host_path) }
    }

    pub(super) async fn connection(&mut self) -> Result<&mut PgConnection> {
        if std::mem::take(&mut self.lent) {
            self.transaction.rebind(STORE_ROLE, STORE_CLAIMS, STORE_PATH).await?;
        }
        self.transaction.connection()
    }

    /// Waits for the turn at a user's row. `false` if there is none.
    pub(super) async fn lock(&mut self, query: Statement<'_>) -> Result<bool> {
        let Some(row) = one(self.connection().await?, query).await? else { return Ok(false) };
        self.locked = Some(rows::user_id(&row)?);
        Ok(true)
    }

    pub(super) async fn lock_user(&mut self, id: UserId) -> Result<bool> {
        if self.locked == Some(id) {
            return Ok(true);
        }
        self.lock(sqlx::query(statements::LOCK_USER).bind(user_bytes(id))).await
    }

    async fn ended(&mut self, query: Statement<'_>) -> Result<Vec<SessionId>> {
        let found = all(self.connection().await?, query).await?;
        found.iter().map(rows::session_id).collect()
    }
}

fn email(email: Option<&Email>) -> Option<String> {
    email.map(|email| email.as_str().to_owned())
}

fn moment(time: Option<Timestamp>) -> Option<Moment> {
    time.map(Moment)
}

/// The columns that an update writes, in order, from `$1`.
fn update<'q>(statement: &'static str, user: &User) -> Statement<'q> {
    sqlx::query(statement)
        .bind(user_bytes(user.id))
        .bind(email(user.email.as_ref()))
        .bind(moment(user.email_confirmed_at))
        .bind(email(user.new_email.as_ref()))
        .bind(moment(user.email_change_sent_at))
        .bind(moment(user.confirmation_sent_at))
        .bind(user.password.clone())
        .bind(user.app_metadata.clone())
        .bind(user.user_metadata.clone())
        .bind(moment(user.banned_until))
        .bind(moment(user.last_sign_in_at))
        .bind(moment(user.recovery_sent_at))
        .bind(moment(user.reauthentication_sent_at))
        .bind(moment(user.invited_at))
        .bind(moment(user.deleted_at))
        .bind(moment(user.contested_at))
        .bind(user.is_anonymous)
        .bind(Moment(user.updated_at))
}

#[async_trait]
impl Transaction for PostgresWrite {
    async fn insert_user(&mut self, user: &User) -> Result<bool> {
        let query = update(statements::INSERT_USER, user).bind(Moment(user.created_at));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn update_user(&mut self, user: &User) -> Result<bool> {
        let query = update(statements::UPDATE_USER_SAME_EMAIL, user);
        if run(self.connection().await?, query).await? == 1 {
            return Ok(true);
        }
        // Another address may be taken, which fails a PostgreSQL transaction unless a savepoint catches it.
        let connection = self.connection().await?;
        sqlx::raw_sql("SAVEPOINT aurora_address").execute(&mut *connection).await.map_err(failure)?;
        let query = update(statements::UPDATE_USER, user);
        match query.execute(&mut *connection).await {
            Ok(done) => {
                let release = sqlx::raw_sql("RELEASE SAVEPOINT aurora_address");
                release.execute(&mut *connection).await.map_err(failure)?;
                Ok(done.rows_affected() == 1)
            }
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                let back = "ROLLBACK TO SAVEPOINT aurora_address; RELEASE SAVEPOINT aurora_address";
                sqlx::raw_sql(back).execute(&mut *connection).await.map_err(failure)?;
                Ok(false)
            }
            Err(error) => Err(failure(error)),
        }
    }

    async fn put_identity(&mut self, user: UserId, identity: &Identity) -> Result<()> {
        let at = |micros: i64| Moment(Timestamp::from_micros(micros));
        let query = sqlx::query(statements::PUT_IDENTITY)
            .bind(user_bytes(identity.id))
            .bind(user_bytes(user))
            .bind(identity.provider.clone())
            .bind(identity.provider_id.clone())
            .bind(at(identity.created_at))
            .bind(at(identity.updated_at))
            .bind(identity.last_sign_in_at.map(at));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn delete_user(&mut self, id: UserId, now: Timestamp) -> Result<Option<Vec<SessionId>>> {
        let ended = self.end_sessions_of(id, None, now).await?;
        let query = sqlx::query(statements::DELETE_USER).bind(user_bytes(id));
        match query.execute(self.connection().await?).await {
            Ok(done) => Ok((done.rows_affected() == 1).then_some(ended)),
            Err(error) if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) => {
                let sentence = "Rows of other tables still refer to this user";
                Err(Error::new(Code::ForeignKeyViolation, sentence).with_source(error))
            }
            Err(error) => Err(failure(error)),
        }
    }

    async fn insert_session(&mut self, session: &Session, token: &[u8; 32]) -> Result<()> {
        let query = sqlx::query(statements::INSERT_SESSION)
            .bind(session_bytes(session.id))
            .bind(user_bytes(session.user))
            .bind(Id(*session.family.as_bytes()))
            .bind(session.generation)
            .bind(session.aal.clone())
            .bind(session.amr.clone())
            .bind(session.user_agent.clone())
            .bind(session.address.clone())
            .bind(Moment(session.created_at))
            .bind(Moment(session.authenticated_at))
            .bind(Moment(session.refreshed_at))
            .bind(Moment(session.expires_at));
        run(self.connection().await?, query).await?;
        let query = sqlx::query(statements::INSERT_TOKEN)
            .bind(token.to_vec())
            .bind(session_bytes(session.id))
            .bind(session.generation)
            .bind(Moment(session.created_at));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn rotate(&mut self, session: &Session, token: &[u8; 32], horizon: Timestamp) -> Result<()> {
        let (id, now) = (session_bytes(session.id), Moment(session.refreshed_at));
        let query = sqlx::query(statements::ROTATE)
            .bind(id)
            .bind(session.generation)
            .bind(session.user_agent.clone())
            .bind(session.address.clone())
            .bind(now)
            .bind(token.to_vec())
            .bind(Moment(horizon));
        match one(self.connection().await?, query).await? {
            Some(_) => Ok(()),
            None => Err(Error::overloaded(1)),
        }
    }

    async fn end_session(&mut self, id: SessionId, now: Timestamp) -> Result<bool> {
        self.lock(sqlx::query(statements::LOCK_USER_OF_SESSION).bind(session_bytes(id))).await?;
        let query = sqlx::query(statements::END_SESSION).bind(session_bytes(id)).bind(now.to_string());
        Ok(!self.ended(query).await?.is_empty())
    }

    async fn end_sessions_of(
        &mut self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        self.lock_user(user).await?;
        let query = sqlx::query(statements::END_SESSIONS_OF)
            .bind(user_bytes(user))
            .bind(keep.map(session_bytes))
            .bind(now.to_string());
        self.ended(query).await
    }

    async fn sweep(
        &mut self,
        user: Option<UserId>,
        now: Timestamp,
        idle: Timestamp,
        horizon: Timestamp,
    ) -> Result<Vec<SessionId>> {
        let (statement, owner) = match user {
            Some(user) => {
                self.lock_user(user).await?;
                (statements::END_EXPIRED_OF, Some(user_bytes(user)))
            }
            None => (statements::END_EXPIRED, None),
        };
        let query = sqlx::query(statement).bind(Moment(now)).bind(Moment(idle)).bind(now.to_string());
        let query = match owner {
            Some(owner) => query.bind(owner),
            None => query,
        };
        let ended = self.ended(query).await?;
        if user.is_none() {
            let query = sqlx::query(statements::FORGET_REVOCATIONS).bind(Moment(horizon));
            run(self.connection().await?, query).await?;
            // What a host's own DELETE ended has no date yet: it gets the one of its first sweep.
            let query = sqlx::query(statements::NOTE_REVOCATIONS).bind(Moment(now));
            run(self.connection().await?, query).await?;
        }
        Ok(ended)
    }

    async fn insert_token(&mut self, token: &OneTimeToken) -> Result<()> {
        let (challenge, method) = token.challenge.clone().unzip();
        let query = sqlx::query(statements::INSERT_ONE_TIME_TOKEN)
            .bind(Id(*token.id.as_bytes()))
            .bind(user_bytes(token.user))
            .bind(token.purpose.clone())
            .bind(token.address.as_str().to_owned())
            .bind(token.link.to_vec())
            .bind(token.code.to_vec())
            .bind(token.exchange.map(|hash| hash.to_vec()))
            .bind(challenge)
            .bind(method)
            .bind(token.sealed.clone())
            .bind(token.tries)
            .bind(Moment(token.created_at))
            .bind(Moment(token.expires_at));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn delete_tokens_of(&mut self, user: UserId, purpose: Option<&str>) -> Result<()> {
        for statement in [statements::SPEND_TOKENS_OF, statements::DELETE_TOKENS_OF] {
            let query = sqlx::query(statement).bind(user_bytes(user)).bind(purpose.map(ToOwned::to_owned));
            run(self.connection().await?, query).await?;
        }
        Ok(())
    }

    async fn delete_token(&mut self, id: UserId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_ONE_TIME_TOKEN).bind(user_bytes(id));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn count_try(&mut self, address: &Email, nonces: bool) -> Result<()> {
        // Owners before tokens, as everywhere; a statement of its own, so that all of them are locked.
        let owners = sqlx::query(statements::LOCK_USERS_AT).bind(address.as_str().to_owned());
        all(self.connection().await?, owners).await?;
        let query = sqlx::query(statements::COUNT_TRY).bind(address.as_str().to_owned()).bind(nonces);
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn forget_tokens(&mut self, horizon: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::FORGET_ONE_TIME_TOKENS).bind(Moment(horizon));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn insert_mail(&mut self, row: &OutboxRow) -> Result<()> {
        let query = sqlx::query(statements::INSERT_MAIL)
            .bind(row.id.clone())
            .bind(row.sealed.clone())
            .bind(row.tries)
            .bind(Moment(row.next_at))
            .bind(Moment(row.created_at));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn take_mails(&mut self, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<OutboxRow>> {
        let query = sqlx::query(statements::TAKE_MAILS).bind(Moment(now)).bind(Moment(until)).bind(limit);
        let found = all(self.connection().await?, query).await?;
        let mut mails: Vec<OutboxRow> = found.iter().map(rows::mail).collect::<Result<_>>()?;
        mails.sort_by_key(|mail| mail.created_at);
        Ok(mails)
    }

    async fn delete_mail(&mut self, id: &str) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_MAIL).bind(id.to_owned());
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn put_off_mail(&mut self, id: &str, next_at: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::PUT_OFF_MAIL).bind(id.to_owned()).bind(Moment(next_at));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn take_slot(
        &mut self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let query = sqlx::query(statements::TAKE_SLOT)
            .bind(name.to_owned())
            .bind(holder.to_owned())
            .bind(Moment(now))
            .bind(Moment(until));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn free_slot(&mut self, name: &str, holder: &str) -> Result<()> {
        let query = sqlx::query(statements::FREE_SLOT).bind(name.to_owned()).bind(holder.to_owned());
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn append_audit(&mut self, row: &AuditRow) -> Result<()> {
        let query = sqlx::query(statements::APPEND_AUDIT)
            .bind(row.id.clone())
            .bind(Moment(row.at))
            .bind(row.tenant.clone())
            .bind(row.actor.clone())
            .bind(row.kind.clone())
            .bind(row.action.clone())
            .bind(row.target.clone())
            .bind(row.request.clone())
            .bind(row.payload.clone())
            .bind(row.salt.to_vec())
            .bind(row.commitment.to_vec());
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn insert_signing_key(&mut self, key: &SigningKeyRow) -> Result<bool> {
        let query = sqlx::query(statements::INSERT_SIGNING_KEY)
            .bind(i64::from(key.id))
            .bind(key.kid.clone())
            .bind(key.algorithm.clone())
            .bind(key.sealed.clone())
            .bind(key.public_jwk.clone())
            .bind(key.state.clone())
            .bind(Moment(key.created_at));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn host(&mut self) -> Result<HostTransaction<'_>> {
        self.transaction.rebind(HOST_ROLE, HOST_CLAIMS, &self.host_path).await?;
        self.lent = true;
        // The host may go back to a savepoint from before.
        self.locked = None;
        Ok(HostTransaction::Postgres(self.transaction.connection()?))
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.transaction.commit().await
    }
}

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::lent::LentTransaction;
use super::{failure, is_unique_violation, rows, statements};
use crate::store::{
    AuditRow, HostTransaction, Identity, OneTimeToken, OutboxRow, Reader, RefreshToken, Revocation, Session,
    SigningKeyRow, Transaction, User, WriterPermit,
};
use crate::types::{Code, Error, Result, SessionId, Timestamp, UserId};
use crate::validate::Email;

pub(super) struct SqliteReader(PoolConnection<Sqlite>);

impl SqliteReader {
    pub(super) fn new(connection: PoolConnection<Sqlite>) -> Self {
        Self(connection)
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

#[derive(Debug)]
pub(super) enum SqliteWrite {
    /// Field order matters: the transaction queues its rollback before the permit frees the turn.
    Own {
        transaction: sqlx::Transaction<'static, Sqlite>,
        permit: WriterPermit,
    },
    Lent(Box<dyn LentTransaction>),
}

impl SqliteWrite {
    pub(super) fn new(transaction: sqlx::Transaction<'static, Sqlite>, permit: WriterPermit) -> Self {
        Self::Own { transaction, permit }
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Own { transaction, .. } => transaction,
            Self::Lent(lent) => lent.connection(),
        }
    }
}

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl Reader for $type {
            async fn user(&mut self, id: UserId) -> Result<Option<User>> {
                let query = sqlx::query(statements::USER).bind(id.to_string());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::user).transpose()
            }

            async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>> {
                let query = sqlx::query(statements::USER_BY_EMAIL).bind(email.as_str().to_owned());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                let found = row.as_ref().map(rows::user).transpose()?;
                Ok(found.filter(|user| user.email.as_ref() == Some(email)))
            }

            async fn session(&mut self, id: SessionId) -> Result<Option<Session>> {
                let query = sqlx::query(statements::SESSION).bind(id.to_string());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::session).transpose()
            }

            async fn sessions_of(&mut self, user: UserId) -> Result<Vec<Session>> {
                let query = sqlx::query(statements::SESSIONS_OF).bind(user.to_string());
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::session).collect()
            }

            async fn refresh_token(&mut self, hash: &[u8; 32]) -> Result<Option<RefreshToken>> {
                let query = sqlx::query(statements::REFRESH_TOKEN).bind(hash.to_vec());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::refresh_token).transpose()
            }

            async fn users(&mut self, offset: i64, limit: i64) -> Result<(Vec<User>, i64)> {
                let query = sqlx::query_scalar(statements::COUNT_USERS);
                let count: i64 = query.fetch_one(self.connection()).await.map_err(failure)?;
                let query = sqlx::query(statements::USERS).bind(limit).bind(offset);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                let users: Result<Vec<User>> = found.iter().map(rows::user).collect();
                Ok((users?, count))
            }

            async fn token_by_link(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>> {
                let query = sqlx::query(statements::TOKEN_BY_LINK).bind(hash.to_vec());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::one_time_token).transpose()
            }

            async fn token_by_exchange(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>> {
                let query = sqlx::query(statements::TOKEN_BY_EXCHANGE).bind(hash.to_vec());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::one_time_token).transpose()
            }

            async fn token_by_code(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>> {
                let query = sqlx::query(statements::TOKEN_BY_CODE).bind(hash.to_vec());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::one_time_token).transpose()
            }

            async fn tokens_of(&mut self, user: UserId) -> Result<Vec<OneTimeToken>> {
                let query = sqlx::query(statements::TOKENS_OF).bind(user.to_string());
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::one_time_token).collect()
            }

            async fn tries_at(&mut self, address: &Email, nonces: bool, now: Timestamp) -> Result<i64> {
                let query = sqlx::query_scalar(statements::TRIES_AT)
                    .bind(address.as_str().to_owned())
                    .bind(nonces)
                    .bind(now.as_micros());
                query.fetch_one(self.connection()).await.map_err(failure)
            }

            async fn outbox(&mut self) -> Result<(i64, Option<Timestamp>)> {
                let query = sqlx::query(statements::OUTBOX);
                let row = query.fetch_one(self.connection()).await.map_err(failure)?;
                rows::outbox(&row)
            }

            async fn revocations(&mut self, after: i64) -> Result<Vec<Revocation>> {
                let query = sqlx::query(statements::REVOCATIONS).bind(after);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::revocation).collect()
            }

            async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRow>> {
                let query = sqlx::query(statements::SIGNING_KEYS);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(rows::signing_key).collect()
            }
        }
    };
}

reader!(SqliteReader);
reader!(SqliteWrite);

fn email(email: Option<&Email>) -> Option<String> {
    email.map(|email| email.as_str().to_owned())
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

/// The columns that inserting and updating write, in order, from `$1`.
fn written<'q>(statement: &'static str, user: &User) -> Query<'q, Sqlite, SqliteArguments> {
    sqlx::query(statement)
        .bind(user.id.to_string())
        .bind(email(user.email.as_ref()))
        .bind(micros(user.email_confirmed_at))
        .bind(email(user.new_email.as_ref()))
        .bind(micros(user.email_change_sent_at))
        .bind(micros(user.confirmation_sent_at))
        .bind(user.password.clone())
        .bind(user.app_metadata.clone())
        .bind(user.user_metadata.clone())
        .bind(micros(user.banned_until))
        .bind(micros(user.last_sign_in_at))
        .bind(micros(user.recovery_sent_at))
        .bind(micros(user.reauthentication_sent_at))
        .bind(micros(user.invited_at))
        .bind(micros(user.deleted_at))
        .bind(micros(user.contested_at))
        .bind(user.is_anonymous)
        .bind(user.updated_at.as_micros())
}

impl SqliteWrite {
    async fn ended(&mut self, ids: Vec<String>, now: Option<Timestamp>) -> Result<Vec<SessionId>> {
        if let Some(now) = now {
            let query = sqlx::query(statements::NOTE_REVOCATIONS).bind(now.as_micros());
            query.execute(self.connection()).await.map_err(failure)?;
        }
        ids.into_iter().map(|id| id.parse().map_err(|error: Error| Error::internal(error))).collect()
    }
}

#[async_trait]
impl Transaction for SqliteWrite {
    async fn insert_user(&mut self, user: &User) -> Result<bool> {
        let query = written(statements::INSERT_USER, user).bind(user.created_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn update_user(&mut self, user: &User) -> Result<bool> {
        let query = written(statements::UPDATE_USER, user);
        match query.execute(self.connection()).await {
            Ok(done) => Ok(done.rows_affected() == 1),
            Err(error) if is_unique_violation(&error) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }

    async fn put_identity(&mut self, user: UserId, identity: &Identity) -> Result<()> {
        let query = sqlx::query(statements::PUT_IDENTITY)
            .bind(identity.id.to_string())
            .bind(user.to_string())
            .bind(identity.provider.clone())
            .bind(identity.provider_id.clone())
            .bind(identity.created_at)
            .bind(identity.updated_at)
            .bind(identity.last_sign_in_at);
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn delete_user(&mut self, id: UserId, now: Timestamp) -> Result<Option<Vec<SessionId>>> {
        let ended = self.end_sessions_of(id, None, now).await?;
        let query = sqlx::query(statements::DELETE_USER).bind(id.to_string());
        match query.execute(self.connection()).await {
            Ok(done) => Ok((done.rows_affected() == 1).then_some(ended)),
            Err(error)
                if error.as_database_error().is_some_and(|database| database.is_foreign_key_violation()) =>
            {
                let sentence = "Rows of other tables still refer to this user";
                Err(Error::new(Code::ForeignKeyViolation, sentence).with_source(error))
            }
            Err(error) => Err(failure(error)),
        }
    }

    async fn insert_session(&mut self, session: &Session, token: &[u8; 32]) -> Result<()> {
        let query = sqlx::query(statements::INSERT_SESSION)
            .bind(session.id.to_string())
            .bind(session.user.to_string())
            .bind(session.family.to_string())
            .bind(session.generation)
            .bind(session.aal.clone())
            .bind(session.amr.clone())
            .bind(session.user_agent.clone())
            .bind(session.address.clone())
            .bind(session.created_at.as_micros())
            .bind(session.authenticated_at.as_micros())
            .bind(session.refreshed_at.as_micros())
            .bind(session.expires_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::INSERT_TOKEN)
            .bind(token.to_vec())
            .bind(session.id.to_string())
            .bind(session.generation)
            .bind(session.created_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn rotate(&mut self, session: &Session, token: &[u8; 32], horizon: Timestamp) -> Result<()> {
        let id = session.id.to_string();
        let now = session.refreshed_at.as_micros();
        let query = sqlx::query(statements::ADVANCE_SESSION)
            .bind(id.clone())
            .bind(session.generation)
            .bind(session.user_agent.clone())
            .bind(session.address.clone())
            .bind(now);
        let done = query.execute(self.connection()).await.map_err(failure)?;
        if done.rows_affected() != 1 {
            return Err(Error::overloaded(1));
        }
        let query =
            sqlx::query(statements::USE_TOKEN).bind(id.clone()).bind(session.generation - 1).bind(now);
        query.execute(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::INSERT_TOKEN)
            .bind(token.to_vec())
            .bind(id.clone())
            .bind(session.generation)
            .bind(now);
        query.execute(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::FORGET_TOKENS).bind(id).bind(horizon.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn end_session(&mut self, id: SessionId, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::END_SESSION).bind(id.to_string());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        self.ended(Vec::new(), Some(now)).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn end_sessions_of(
        &mut self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        let query = sqlx::query_scalar(statements::END_SESSIONS_OF)
            .bind(user.to_string())
            .bind(keep.map(|keep| keep.to_string()));
        let ids: Vec<String> = query.fetch_all(self.connection()).await.map_err(failure)?;
        let now = (!ids.is_empty()).then_some(now);
        self.ended(ids, now).await
    }

    async fn sweep(
        &mut self,
        user: Option<UserId>,
        now: Timestamp,
        idle: Timestamp,
        horizon: Timestamp,
    ) -> Result<Vec<SessionId>> {
        let ids: Vec<String> = match user {
            Some(user) => sqlx::query_scalar(statements::END_EXPIRED_OF).bind(user.to_string()),
            None => sqlx::query_scalar(statements::END_EXPIRED),
        }
        .bind(now.as_micros())
        .bind(idle.as_micros())
        .fetch_all(self.connection())
        .await
        .map_err(failure)?;
        if user.is_none() {
            let query = sqlx::query(statements::FORGET_REVOCATIONS).bind(horizon.as_micros());
            query.execute(self.connection()).await.map_err(failure)?;
        }
        let note = (user.is_none() || !ids.is_empty()).then_some(now);
        self.ended(ids, note).await
    }

    async fn insert_token(&mut self, token: &OneTimeToken) -> Result<()> {
        let (challenge, method) = token.challenge.clone().unzip();
        let query = sqlx::query(statements::INSERT_ONE_TIME_TOKEN)
            .bind(token.id.to_string())
            .bind(token.user.to_string())
            .bind(token.purpose.clone())
            .bind(token.address.as_str().to_owned())
            .bind(token.link.to_vec())
            .bind(token.code.to_vec())
            .bind(token.exchange.map(|hash| hash.to_vec()))
            .bind(challenge)
            .bind(method)
            .bind(token.sealed.clone())
            .bind(token.tries)
            .bind(token.created_at.as_micros())
            .bind(token.expires_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn delete_tokens_of(&mut self, user: UserId, purpose: Option<&str>) -> Result<()> {
        for statement in [statements::SPEND_TOKENS_OF, statements::DELETE_TOKENS_OF] {
            let query = sqlx::query(statement).bind(user.to_string()).bind(purpose.map(ToOwned::to_owned));
            query.execute(self.connection()).await.map_err(failure)?;
        }
        Ok(())
    }

    async fn delete_token(&mut self, id: UserId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_ONE_TIME_TOKEN).bind(id.to_string());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn count_try(&mut self, address: &Email, nonces: bool) -> Result<()> {
        let query = sqlx::query(statements::COUNT_TRY).bind(address.as_str().to_owned()).bind(nonces);
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn forget_tokens(&mut self, horizon: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::FORGET_ONE_TIME_TOKENS).bind(horizon.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn insert_mail(&mut self, row: &OutboxRow) -> Result<()> {
        let query = sqlx::query(statements::INSERT_MAIL)
            .bind(row.id.clone())
            .bind(row.sealed.clone())
            .bind(row.tries)
            .bind(row.next_at.as_micros())
            .bind(row.created_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn take_mails(&mut self, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<OutboxRow>> {
        let query =
            sqlx::query(statements::TAKE_MAILS).bind(now.as_micros()).bind(until.as_micros()).bind(limit);
        let found = query.fetch_all(self.connection()).await.map_err(failure)?;
        let mut mails: Vec<OutboxRow> = found.iter().map(rows::mail).collect::<Result<_>>()?;
        mails.sort_by_key(|mail| mail.created_at);
        Ok(mails)
    }

    async fn delete_mail(&mut self, id: &str) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_MAIL).bind(id.to_owned());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn put_off_mail(&mut self, id: &str, next_at: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::PUT_OFF_MAIL).bind(id.to_owned()).bind(next_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
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
            .bind(now.as_micros())
            .bind(until.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn free_slot(&mut self, name: &str, holder: &str) -> Result<()> {
        let query = sqlx::query(statements::FREE_SLOT).bind(name.to_owned()).bind(holder.to_owned());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn append_audit(&mut self, row: &AuditRow) -> Result<()> {
        let query = sqlx::query(statements::APPEND_AUDIT)
            .bind(row.id.clone())
            .bind(row.at.as_micros())
            .bind(row.tenant.clone())
            .bind(row.actor.clone())
            .bind(row.kind.clone())
            .bind(row.action.clone())
            .bind(row.target.clone())
            .bind(row.request.clone())
            .bind(row.payload.clone())
            .bind(row.salt.to_vec())
            .bind(row.commitment.to_vec());
        query.execute(self.connection()).await.map_err(failure)?;
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
            .bind(key.created_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn host(&mut self) -> Result<HostTransaction<'_>> {
        match self {
            Self::Own { transaction, .. } => Ok(HostTransaction::Sqlite(transaction)),
            // The host's tables are behind views there, which nobody's identity looks through.
            Self::Lent(_) => Err(Error::new(
                Code::Configuration,
                "a transaction that began under the guard lends itself to nobody: write to the host's tables through \
                 `Guarded`",
            )),
        }
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        match *self {
            Self::Own { transaction, permit } => {
                let done = transaction.commit().await.map_err(failure);
                drop(permit);
                done
            }
            Self::Lent(lent) => lent.commit().await,
        }
    }
}

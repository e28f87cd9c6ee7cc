//! What both kinds of transaction are asked.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::Row;

use super::codec::Moment;
use super::transaction::{PostgresReader, PostgresWrite, all, one, session_bytes, user, user_bytes};
use super::{failure, rows, statements};
use crate::store::{Identity, OneTimeToken, Reader, RefreshToken, Revocation, Session, SigningKeyRow, User};
use crate::types::{Result, SessionId, Timestamp, UserId};
use crate::validate::Email;

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl Reader for $type {
            async fn user(&mut self, id: UserId) -> Result<Option<User>> {
                if !self.lock_user(id).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::USER).bind(user_bytes(id));
                user(self.connection().await?, query).await
            }

            async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>> {
                let lock = sqlx::query(statements::LOCK_USER_BY_EMAIL).bind(email.as_str().to_owned());
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::USER_BY_EMAIL).bind(email.as_str().to_owned());
                let found = user(self.connection().await?, query).await?;
                Ok(found.filter(|user| user.email.as_ref() == Some(email)))
            }

            async fn session(&mut self, id: SessionId) -> Result<Option<Session>> {
                let lock = sqlx::query(statements::LOCK_USER_OF_SESSION).bind(session_bytes(id));
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::SESSION).bind(session_bytes(id));
                one(self.connection().await?, query).await?.as_ref().map(rows::session).transpose()
            }

            async fn sessions_of(&mut self, user: UserId) -> Result<Vec<Session>> {
                if !self.lock_user(user).await? {
                    return Ok(Vec::new());
                }
                let query = sqlx::query(statements::SESSIONS_OF).bind(user_bytes(user));
                all(self.connection().await?, query).await?.iter().map(rows::session).collect()
            }

            async fn refresh_token(&mut self, hash: &[u8; 32]) -> Result<Option<RefreshToken>> {
                let lock = sqlx::query(statements::LOCK_USER_OF_TOKEN).bind(hash.to_vec());
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                // A statement of its own: it sees what was committed while the one before it waited.
                let query = sqlx::query(statements::REFRESH_TOKEN).bind(hash.to_vec());
                let row = one(self.connection().await?, query).await?;
                row.as_ref().map(rows::refresh_token).transpose()
            }

            async fn users(&mut self, offset: i64, limit: i64) -> Result<(Vec<User>, i64)> {
                let count = one(self.connection().await?, sqlx::query(statements::COUNT_USERS)).await?;
                let count = count.as_ref().map_or(Ok(0), |row| row.try_get(0).map_err(failure))?;
                let query = sqlx::query(statements::USERS).bind(limit).bind(offset);
                let found = all(self.connection().await?, query).await?;
                let ids: Result<Vec<String>> =
                    found.iter().map(|row| Ok(rows::user_id(row)?.to_string())).collect();
                let query = sqlx::query(statements::IDENTITIES_OF).bind(format!("{{{}}}", ids?.join(",")));
                let mut owned: HashMap<UserId, Vec<Identity>> = HashMap::new();
                for row in all(self.connection().await?, query).await? {
                    owned.entry(rows::owner(&row)?).or_default().push(rows::identity(&row)?);
                }
                let users: Result<Vec<User>> = found
                    .iter()
                    .map(|row| rows::user(row, owned.remove(&rows::user_id(row)?).unwrap_or_default()))
                    .collect();
                Ok((users?, count))
            }

            async fn token_by_link(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>> {
                let lock = sqlx::query(statements::LOCK_USER_OF_LINK).bind(hash.to_vec());
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::TOKEN_BY_LINK).bind(hash.to_vec());
                let row = one(self.connection().await?, query).await?;
                row.as_ref().map(rows::one_time_token).transpose()
            }

            async fn token_by_exchange(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>> {
                let lock = sqlx::query(statements::LOCK_USER_OF_EXCHANGE).bind(hash.to_vec());
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::TOKEN_BY_EXCHANGE).bind(hash.to_vec());
                let row = one(self.connection().await?, query).await?;
                row.as_ref().map(rows::one_time_token).transpose()
            }

            async fn token_by_code(&mut self, hash: &[u8; 32]) -> Result<Option<OneTimeToken>> {
                let lock = sqlx::query(statements::LOCK_USER_OF_CODE).bind(hash.to_vec());
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::TOKEN_BY_CODE).bind(hash.to_vec());
                let row = one(self.connection().await?, query).await?;
                row.as_ref().map(rows::one_time_token).transpose()
            }

            async fn tokens_of(&mut self, user: UserId) -> Result<Vec<OneTimeToken>> {
                if !self.lock_user(user).await? {
                    return Ok(Vec::new());
                }
                let query = sqlx::query(statements::TOKENS_OF).bind(user_bytes(user));
                all(self.connection().await?, query).await?.iter().map(rows::one_time_token).collect()
            }

            async fn tries_at(&mut self, address: &Email, nonces: bool, now: Timestamp) -> Result<i64> {
                let query = sqlx::query(statements::TRIES_AT)
                    .bind(address.as_str().to_owned())
                    .bind(nonces)
                    .bind(Moment(now));
                let row = one(self.connection().await?, query).await?;
                row.as_ref().map_or(Ok(0), |row| row.try_get("tries").map_err(failure))
            }

            async fn outbox(&mut self) -> Result<(i64, Option<Timestamp>)> {
                let row = one(self.connection().await?, sqlx::query(statements::OUTBOX)).await?;
                row.as_ref().map_or(Ok((0, None)), rows::outbox)
            }

            async fn revocations(&mut self, after: i64) -> Result<Vec<Revocation>> {
                let query = sqlx::query(statements::REVOCATIONS).bind(after);
                all(self.connection().await?, query).await?.iter().map(rows::revocation).collect()
            }

            async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRow>> {
                let query = sqlx::query(statements::SIGNING_KEYS);
                all(self.connection().await?, query).await?.iter().map(rows::signing_key).collect()
            }
        }
    };
}

reader!(PostgresReader);
reader!(PostgresWrite);

use async_trait::async_trait;
use sqlx::Row;

use super::codec::{Id, Moment};
use super::transaction::{PostgresReader, PostgresWrite, one, run, session_bytes, user_bytes};
use super::{failure, rows, statements};
use crate::store::{FactorChallenge, FactorRow, ReadFactors, Session, WriteFactors};
use crate::types::{ChallengeId, Error, FactorId, Result, Timestamp, UserId};

fn factor_bytes(id: FactorId) -> Id {
    Id(*id.as_bytes())
}

fn challenge_bytes(id: ChallengeId) -> Id {
    Id(*id.as_bytes())
}

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl ReadFactors for $type {
            async fn factor(&mut self, id: FactorId) -> Result<Option<FactorRow>> {
                let lock = sqlx::query(statements::LOCK_USER_OF_FACTOR).bind(factor_bytes(id));
                if !self.lock(lock).await? {
                    return Ok(None);
                }
                let query = sqlx::query(statements::FACTOR).bind(factor_bytes(id));
                one(self.connection().await?, query).await?.as_ref().map(rows::factor).transpose()
            }

            async fn challenge(&mut self, id: ChallengeId) -> Result<Option<FactorChallenge>> {
                let query = sqlx::query(statements::FACTOR_CHALLENGE).bind(challenge_bytes(id));
                one(self.connection().await?, query).await?.as_ref().map(rows::factor_challenge).transpose()
            }

            async fn recovery_codes(&mut self, user: UserId) -> Result<i64> {
                let query = sqlx::query(statements::RECOVERY_CODES).bind(user_bytes(user));
                let row = one(self.connection().await?, query).await?;
                row.as_ref().map_or(Ok(0), |row| row.try_get(0).map_err(failure))
            }
        }
    };
}

reader!(PostgresReader);
reader!(PostgresWrite);

#[async_trait]
impl WriteFactors for PostgresWrite {
    async fn insert_factor(&mut self, factor: &FactorRow) -> Result<bool> {
        let query = sqlx::query(statements::INSERT_FACTOR)
            .bind(factor_bytes(factor.id))
            .bind(user_bytes(factor.user))
            .bind(factor.name.clone())
            .bind(factor.kind.clone())
            .bind(factor.sealed.clone())
            .bind(factor.last_step)
            .bind(factor.failures)
            .bind(factor.failed_at.map(Moment))
            .bind(factor.verified_at.map(Moment))
            .bind(Moment(factor.created_at))
            .bind(Moment(factor.updated_at));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn update_factor(&mut self, factor: &FactorRow) -> Result<bool> {
        let query = sqlx::query(statements::UPDATE_FACTOR)
            .bind(factor_bytes(factor.id))
            .bind(factor.last_step)
            .bind(factor.failures)
            .bind(factor.failed_at.map(Moment))
            .bind(factor.verified_at.map(Moment))
            .bind(Moment(factor.updated_at));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn delete_factor(&mut self, id: FactorId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_FACTOR).bind(factor_bytes(id));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn delete_factors_of(&mut self, user: UserId) -> Result<()> {
        for statement in [statements::DELETE_FACTORS_OF, statements::DELETE_RECOVERY_CODES_OF] {
            run(self.connection().await?, sqlx::query(statement).bind(user_bytes(user))).await?;
        }
        Ok(())
    }

    async fn insert_challenge(&mut self, challenge: &FactorChallenge, horizon: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::FORGET_CHALLENGES).bind(Moment(horizon));
        run(self.connection().await?, query).await?;
        let query = sqlx::query(statements::INSERT_CHALLENGE)
            .bind(challenge_bytes(challenge.id))
            .bind(factor_bytes(challenge.factor))
            .bind(challenge.address.clone())
            .bind(Moment(challenge.created_at))
            .bind(Moment(challenge.expires_at));
        run(self.connection().await?, query).await?;
        Ok(())
    }

    async fn delete_challenge(&mut self, id: ChallengeId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_CHALLENGE).bind(challenge_bytes(id));
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn put_recovery_codes(&mut self, user: UserId, hashes: &[[u8; 32]], now: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::DELETE_RECOVERY_CODES_OF).bind(user_bytes(user));
        run(self.connection().await?, query).await?;
        for hash in hashes {
            let query = sqlx::query(statements::INSERT_RECOVERY_CODE)
                .bind(user_bytes(user))
                .bind(hash.to_vec())
                .bind(Moment(now));
            run(self.connection().await?, query).await?;
        }
        Ok(())
    }

    async fn use_recovery_code(&mut self, user: UserId, hash: &[u8; 32]) -> Result<bool> {
        let query = sqlx::query(statements::USE_RECOVERY_CODE).bind(user_bytes(user)).bind(hash.to_vec());
        Ok(run(self.connection().await?, query).await? == 1)
    }

    async fn rewrite_session(&mut self, session: &Session, token: Option<&[u8; 32]>) -> Result<()> {
        let query = sqlx::query(statements::REWRITE_SESSION)
            .bind(session_bytes(session.id))
            .bind(Id(*session.family.as_bytes()))
            .bind(session.generation)
            .bind(session.aal.clone())
            .bind(session.amr.clone())
            .bind(Moment(session.authenticated_at))
            .bind(Moment(session.refreshed_at));
        if run(self.connection().await?, query).await? != 1 {
            return Err(Error::overloaded(1));
        }
        let Some(token) = token else { return Ok(()) };
        let query = sqlx::query(statements::FORGET_TOKENS_OF_SESSION).bind(session_bytes(session.id));
        run(self.connection().await?, query).await?;
        let query = sqlx::query(statements::INSERT_TOKEN)
            .bind(token.to_vec())
            .bind(session_bytes(session.id))
            .bind(session.generation)
            .bind(Moment(session.refreshed_at));
        run(self.connection().await?, query).await?;
        Ok(())
    }
}

use async_trait::async_trait;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, rows, statements};
use crate::store::{FactorChallenge, FactorRow, ReadFactors, Session, WriteFactors};
use crate::types::{ChallengeId, Error, FactorId, Result, Timestamp, UserId};

macro_rules! reader {
    ($type:ty) => {
        #[async_trait]
        impl ReadFactors for $type {
            async fn factor(&mut self, id: FactorId) -> Result<Option<FactorRow>> {
                let query = sqlx::query(statements::FACTOR).bind(id.to_string());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::factor).transpose()
            }

            async fn challenge(&mut self, id: ChallengeId) -> Result<Option<FactorChallenge>> {
                let query = sqlx::query(statements::FACTOR_CHALLENGE).bind(id.to_string());
                let row = query.fetch_optional(self.connection()).await.map_err(failure)?;
                row.as_ref().map(rows::factor_challenge).transpose()
            }

            async fn recovery_codes(&mut self, user: UserId) -> Result<i64> {
                let query = sqlx::query_scalar(statements::RECOVERY_CODES).bind(user.to_string());
                query.fetch_one(self.connection()).await.map_err(failure)
            }
        }
    };
}

reader!(SqliteReader);
reader!(SqliteWrite);

#[async_trait]
impl WriteFactors for SqliteWrite {
    async fn insert_factor(&mut self, factor: &FactorRow) -> Result<bool> {
        let query = sqlx::query(statements::INSERT_FACTOR)
            .bind(factor.id.to_string())
            .bind(factor.user.to_string())
            .bind(factor.name.clone())
            .bind(factor.kind.clone())
            .bind(factor.sealed.clone())
            .bind(factor.last_step)
            .bind(factor.failures)
            .bind(factor.failed_at.map(Timestamp::as_micros))
            .bind(factor.verified_at.map(Timestamp::as_micros))
            .bind(factor.created_at.as_micros())
            .bind(factor.updated_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn update_factor(&mut self, factor: &FactorRow) -> Result<bool> {
        let query = sqlx::query(statements::UPDATE_FACTOR)
            .bind(factor.id.to_string())
            .bind(factor.last_step)
            .bind(factor.failures)
            .bind(factor.failed_at.map(Timestamp::as_micros))
            .bind(factor.verified_at.map(Timestamp::as_micros))
            .bind(factor.updated_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn delete_factor(&mut self, id: FactorId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_FACTOR).bind(id.to_string());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn delete_factors_of(&mut self, user: UserId) -> Result<()> {
        for statement in [statements::DELETE_FACTORS_OF, statements::DELETE_RECOVERY_CODES_OF] {
            let query = sqlx::query(statement).bind(user.to_string());
            query.execute(self.connection()).await.map_err(failure)?;
        }
        Ok(())
    }

    async fn insert_challenge(&mut self, challenge: &FactorChallenge, horizon: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::FORGET_CHALLENGES).bind(horizon.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::INSERT_CHALLENGE)
            .bind(challenge.id.to_string())
            .bind(challenge.factor.to_string())
            .bind(challenge.address.clone())
            .bind(challenge.created_at.as_micros())
            .bind(challenge.expires_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }

    async fn delete_challenge(&mut self, id: ChallengeId) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_CHALLENGE).bind(id.to_string());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn put_recovery_codes(&mut self, user: UserId, hashes: &[[u8; 32]], now: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::DELETE_RECOVERY_CODES_OF).bind(user.to_string());
        query.execute(self.connection()).await.map_err(failure)?;
        for hash in hashes {
            let query = sqlx::query(statements::INSERT_RECOVERY_CODE)
                .bind(user.to_string())
                .bind(hash.to_vec())
                .bind(now.as_micros());
            query.execute(self.connection()).await.map_err(failure)?;
        }
        Ok(())
    }

    async fn use_recovery_code(&mut self, user: UserId, hash: &[u8; 32]) -> Result<bool> {
        let query = sqlx::query(statements::USE_RECOVERY_CODE).bind(user.to_string()).bind(hash.to_vec());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        Ok(done.rows_affected() == 1)
    }

    async fn rewrite_session(&mut self, session: &Session, token: Option<&[u8; 32]>) -> Result<()> {
        let query = sqlx::query(statements::REWRITE_SESSION)
            .bind(session.id.to_string())
            .bind(session.family.to_string())
            .bind(session.generation)
            .bind(session.aal.clone())
            .bind(session.amr.clone())
            .bind(session.authenticated_at.as_micros())
            .bind(session.refreshed_at.as_micros());
        let done = query.execute(self.connection()).await.map_err(failure)?;
        if done.rows_affected() != 1 {
            return Err(Error::overloaded(1));
        }
        let Some(token) = token else { return Ok(()) };
        let query = sqlx::query(statements::FORGET_TOKENS_OF_SESSION).bind(session.id.to_string());
        query.execute(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::INSERT_TOKEN)
            .bind(token.to_vec())
            .bind(session.id.to_string())
            .bind(session.generation)
            .bind(session.refreshed_at.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }
}

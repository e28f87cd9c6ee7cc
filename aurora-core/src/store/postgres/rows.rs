use sqlx::Row;
use sqlx::postgres::PgRow;

use super::codec::{Id, Moment};
use super::failure;
use crate::store::{
    Factor, FactorChallenge, FactorRow, Identity, KeyRow, OneTimeToken, OutboxRow, RefreshToken, Revocation,
    Session, SigningKeyRow, User,
};
use crate::types::{ChallengeId, Error, FactorId, FamilyId, Result, SessionId, Timestamp, UserId};

pub(super) fn text(row: &PgRow, name: &str) -> Result<String> {
    row.try_get(name).map_err(failure)
}

fn optional_text(row: &PgRow, name: &str) -> Result<Option<String>> {
    row.try_get(name).map_err(failure)
}

pub(super) fn number(row: &PgRow, name: &str) -> Result<i64> {
    row.try_get(name).map_err(failure)
}

pub(super) fn time(row: &PgRow, name: &str) -> Result<Timestamp> {
    row.try_get(name).map(|Moment(at)| at).map_err(failure)
}

pub(super) fn optional_time(row: &PgRow, name: &str) -> Result<Option<Timestamp>> {
    let at: Option<Moment> = row.try_get(name).map_err(failure)?;
    Ok(at.map(|Moment(at)| at))
}

pub(super) fn id(row: &PgRow, name: &str) -> Result<[u8; 16]> {
    row.try_get(name).map(|Id(bytes)| bytes).map_err(failure)
}

/// jsonb orders members and writes numbers its own way; what the flows compare and measure is our spelling.
fn json(row: &PgRow, name: &str) -> Result<String> {
    let value: serde_json::Value = serde_json::from_str(&text(row, name)?).map_err(Error::internal)?;
    Ok(value.to_string())
}

pub(super) fn parsed<T: std::str::FromStr<Err = Error>>(text: String) -> Result<T> {
    // A row that we did not write: our failure, not the client's.
    text.parse().map_err(|error: Error| Error::internal(error))
}

pub(super) fn user(row: &PgRow, identities: Vec<Identity>) -> Result<User> {
    Ok(User {
        id: UserId::from_bytes(id(row, "id")?),
        email: optional_text(row, "email")?.map(parsed).transpose()?,
        email_confirmed_at: optional_time(row, "email_confirmed_at")?,
        new_email: optional_text(row, "email_change")?.map(parsed).transpose()?,
        email_change_sent_at: optional_time(row, "email_change_sent_at")?,
        confirmation_sent_at: optional_time(row, "confirmation_sent_at")?,
        recovery_sent_at: optional_time(row, "recovery_sent_at")?,
        reauthentication_sent_at: optional_time(row, "reauthentication_sent_at")?,
        invited_at: optional_time(row, "invited_at")?,
        password: optional_text(row, "encrypted_password")?,
        app_metadata: json(row, "app_metadata")?,
        user_metadata: json(row, "user_metadata")?,
        banned_until: optional_time(row, "banned_until")?,
        last_sign_in_at: optional_time(row, "last_sign_in_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        deleted_at: optional_time(row, "deleted_at")?,
        contested_at: optional_time(row, "contested_at")?,
        is_anonymous: row.try_get("is_anonymous").map_err(failure)?,
        identities,
        factors: factors(row)?,
    })
}

/// An aggregate of nothing is NULL.
fn factors(row: &PgRow) -> Result<Vec<Factor>> {
    let text = optional_text(row, "factors")?;
    text.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text).map_err(Error::internal))
}

pub(super) fn factor(row: &PgRow) -> Result<FactorRow> {
    Ok(FactorRow {
        id: FactorId::from_bytes(id(row, "id")?),
        user: UserId::from_bytes(id(row, "user_id")?),
        name: text(row, "friendly_name")?,
        kind: text(row, "factor_type")?,
        sealed: row.try_get("sealed").map_err(failure)?,
        last_step: number(row, "last_step")?,
        failures: number(row, "failures")?,
        failed_at: optional_time(row, "failed_at")?,
        verified_at: optional_time(row, "verified_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn factor_challenge(row: &PgRow) -> Result<FactorChallenge> {
    Ok(FactorChallenge {
        id: ChallengeId::from_bytes(id(row, "id")?),
        factor: FactorId::from_bytes(id(row, "factor_id")?),
        address: text(row, "address")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn user_id(row: &PgRow) -> Result<UserId> {
    id(row, "id").map(UserId::from_bytes)
}

pub(super) fn identity(row: &PgRow) -> Result<Identity> {
    Ok(Identity {
        id: UserId::from_bytes(id(row, "id")?),
        provider: text(row, "provider")?,
        provider_id: text(row, "provider_id")?,
        created_at: time(row, "created_at")?.as_micros(),
        updated_at: time(row, "updated_at")?.as_micros(),
        last_sign_in_at: optional_time(row, "last_sign_in_at")?.map(Timestamp::as_micros),
    })
}

pub(super) fn session(row: &PgRow) -> Result<Session> {
    Ok(Session {
        id: session_id(row)?,
        user: UserId::from_bytes(id(row, "user_id")?),
        family: FamilyId::from_bytes(id(row, "family")?),
        generation: number(row, "generation")?,
        aal: text(row, "aal")?,
        amr: json(row, "amr")?,
        user_agent: optional_text(row, "user_agent")?,
        address: optional_text(row, "ip")?,
        created_at: time(row, "created_at")?,
        authenticated_at: time(row, "authenticated_at")?,
        refreshed_at: time(row, "refreshed_at")?,
        expires_at: time(row, "not_after")?,
    })
}

/// Whose identity a row is.
pub(super) fn owner(row: &PgRow) -> Result<UserId> {
    id(row, "user_id").map(UserId::from_bytes)
}

pub(super) fn hash(row: &PgRow, name: &str) -> Result<[u8; 32]> {
    let bytes: Vec<u8> = row.try_get(name).map_err(failure)?;
    bytes.try_into().map_err(|_| Error::internal("a hash of another length"))
}

pub(super) fn one_time_token(row: &PgRow) -> Result<OneTimeToken> {
    let exchange: Option<Vec<u8>> = row.try_get("exchange_hash").map_err(failure)?;
    Ok(OneTimeToken {
        id: UserId::from_bytes(id(row, "id")?),
        user: UserId::from_bytes(id(row, "user_id")?),
        purpose: text(row, "purpose")?,
        address: parsed(text(row, "address")?)?,
        link: hash(row, "link_hash")?,
        code: hash(row, "code_hash")?,
        exchange: exchange.map(|_| hash(row, "exchange_hash")).transpose()?,
        challenge: optional_text(row, "challenge")?.zip(optional_text(row, "challenge_method")?),
        sealed: row.try_get("sealed").map_err(failure)?,
        tries: number(row, "tries")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn mail(row: &PgRow) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: text(row, "id")?,
        sealed: row.try_get("sealed").map_err(failure)?,
        tries: number(row, "tries")?,
        next_at: time(row, "next_at")?,
        created_at: time(row, "created_at")?,
    })
}

pub(super) fn outbox(row: &PgRow) -> Result<(i64, Option<Timestamp>)> {
    Ok((number(row, "waiting")?, optional_time(row, "oldest")?))
}

pub(super) fn session_id(row: &PgRow) -> Result<SessionId> {
    id(row, "id").map(SessionId::from_bytes)
}

pub(super) fn refresh_token(row: &PgRow) -> Result<RefreshToken> {
    Ok(RefreshToken {
        generation: number(row, "token_generation")?,
        successor_used_at: optional_time(row, "successor_used_at")?,
        session: session(row)?,
    })
}

pub(super) fn revocation(row: &PgRow) -> Result<Revocation> {
    let session = SessionId::from_bytes(id(row, "session_id")?);
    Ok(Revocation { sequence: number(row, "sequence")?, session })
}

pub(super) fn signing_key(row: &PgRow) -> Result<SigningKeyRow> {
    Ok(SigningKeyRow {
        id: u32::try_from(number(row, "id")?).map_err(Error::internal)?,
        kid: text(row, "kid")?,
        algorithm: text(row, "algorithm")?,
        sealed: row.try_get("sealed").map_err(failure)?,
        public_jwk: text(row, "public_jwk")?,
        state: text(row, "state")?,
        created_at: time(row, "created_at")?,
        changed_at: optional_time(row, "changed_at")?,
    })
}

pub(super) fn key(row: &PgRow) -> Result<KeyRow> {
    Ok(KeyRow {
        id: u32::try_from(number(row, "id")?).map_err(Error::internal)?,
        purpose: text(row, "purpose")?,
        owner: text(row, "owner")?,
        state: text(row, "state")?,
        wrapped: row.try_get("wrapped").map_err(failure)?,
        created_at: time(row, "created_at")?,
        changed_at: optional_time(row, "changed_at")?,
    })
}

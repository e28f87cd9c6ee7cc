use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::failure;
use crate::store::{
    FactorChallenge, FactorRow, KeyRow, OneTimeToken, OutboxRow, RefreshToken, Revocation, Session,
    SigningKeyRow, User,
};
use crate::types::{Error, Result, Timestamp};

type Column<T> = Result<T>;

pub(super) fn text(row: &SqliteRow, name: &str) -> Column<String> {
    row.try_get(name).map_err(failure)
}

fn optional_text(row: &SqliteRow, name: &str) -> Column<Option<String>> {
    row.try_get(name).map_err(failure)
}

pub(super) fn number(row: &SqliteRow, name: &str) -> Column<i64> {
    row.try_get(name).map_err(failure)
}

pub(super) fn time(row: &SqliteRow, name: &str) -> Column<Timestamp> {
    number(row, name).map(Timestamp::from_micros)
}

pub(super) fn optional_time(row: &SqliteRow, name: &str) -> Column<Option<Timestamp>> {
    let micros: Option<i64> = row.try_get(name).map_err(failure)?;
    Ok(micros.map(Timestamp::from_micros))
}

pub(super) fn parsed<T: std::str::FromStr<Err = Error>>(text: String) -> Result<T> {
    // A row that we did not write: our failure, not the client's.
    text.parse().map_err(|error: Error| Error::internal(error))
}

pub(super) fn user(row: &SqliteRow) -> Result<User> {
    let identities = text(row, "identities")?;
    let factors = text(row, "factors")?;
    Ok(User {
        id: parsed(text(row, "id")?)?,
        email: optional_text(row, "email")?.map(parsed).transpose()?,
        email_confirmed_at: optional_time(row, "email_confirmed_at")?,
        new_email: optional_text(row, "new_email")?.map(parsed).transpose()?,
        email_change_sent_at: optional_time(row, "email_change_sent_at")?,
        confirmation_sent_at: optional_time(row, "confirmation_sent_at")?,
        recovery_sent_at: optional_time(row, "recovery_sent_at")?,
        reauthentication_sent_at: optional_time(row, "reauthentication_sent_at")?,
        invited_at: optional_time(row, "invited_at")?,
        password: optional_text(row, "password")?,
        app_metadata: text(row, "app_metadata")?,
        user_metadata: text(row, "user_metadata")?,
        banned_until: optional_time(row, "banned_until")?,
        last_sign_in_at: optional_time(row, "last_sign_in_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        deleted_at: optional_time(row, "deleted_at")?,
        contested_at: optional_time(row, "contested_at")?,
        is_anonymous: row.try_get("is_anonymous").map_err(failure)?,
        identities: serde_json::from_str(&identities).map_err(Error::internal)?,
        factors: serde_json::from_str(&factors).map_err(Error::internal)?,
    })
}

pub(super) fn session(row: &SqliteRow) -> Result<Session> {
    Ok(Session {
        id: parsed(text(row, "id")?)?,
        user: parsed(text(row, "user_id")?)?,
        family: parsed(text(row, "family")?)?,
        generation: number(row, "generation")?,
        aal: text(row, "aal")?,
        amr: text(row, "amr")?,
        user_agent: optional_text(row, "user_agent")?,
        address: optional_text(row, "address")?,
        created_at: time(row, "created_at")?,
        authenticated_at: time(row, "authenticated_at")?,
        refreshed_at: time(row, "refreshed_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn refresh_token(row: &SqliteRow) -> Result<RefreshToken> {
    Ok(RefreshToken {
        generation: number(row, "token_generation")?,
        successor_used_at: optional_time(row, "successor_used_at")?,
        session: session(row)?,
    })
}

pub(super) fn hash(row: &SqliteRow, name: &str) -> Result<[u8; 32]> {
    let bytes: Vec<u8> = row.try_get(name).map_err(failure)?;
    bytes.try_into().map_err(|_| Error::internal("a hash of another length"))
}

pub(super) fn one_time_token(row: &SqliteRow) -> Result<OneTimeToken> {
    let exchange: Option<Vec<u8>> = row.try_get("exchange_hash").map_err(failure)?;
    Ok(OneTimeToken {
        id: parsed(text(row, "id")?)?,
        user: parsed(text(row, "user_id")?)?,
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

pub(super) fn factor(row: &SqliteRow) -> Result<FactorRow> {
    Ok(FactorRow {
        id: parsed(text(row, "id")?)?,
        user: parsed(text(row, "user_id")?)?,
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

pub(super) fn factor_challenge(row: &SqliteRow) -> Result<FactorChallenge> {
    Ok(FactorChallenge {
        id: parsed(text(row, "id")?)?,
        factor: parsed(text(row, "factor_id")?)?,
        address: text(row, "address")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn mail(row: &SqliteRow) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: text(row, "id")?,
        sealed: row.try_get("sealed").map_err(failure)?,
        tries: number(row, "tries")?,
        next_at: time(row, "next_at")?,
        created_at: time(row, "created_at")?,
    })
}

pub(super) fn outbox(row: &SqliteRow) -> Result<(i64, Option<Timestamp>)> {
    Ok((number(row, "waiting")?, optional_time(row, "oldest")?))
}

pub(super) fn revocation(row: &SqliteRow) -> Result<Revocation> {
    Ok(Revocation { sequence: number(row, "sequence")?, session: parsed(text(row, "session_id")?)? })
}

pub(super) fn signing_key(row: &SqliteRow) -> Result<SigningKeyRow> {
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

pub(super) fn key(row: &SqliteRow) -> Result<KeyRow> {
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

//! JWTs that name an application: Supabase's `anon` and `service_role` keys.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::VerifyKey;
use super::verify::{MAX_TOKEN, decode, name, present, read};
use super::verify_set::VerifySet;
use crate::types::{Role, Timestamp};
use crate::validate::strict_json;

/// Whom it names, and until when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClientToken {
    pub(crate) role: Role,
    pub(crate) expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    role: String,
    exp: i64,
    #[serde(default, deserialize_with = "present")]
    iat: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    session_id: Option<IgnoredAny>,
}

/// What the token names, if it names an application and a key of the project signed it.
///
/// The claims are looked at first, for what kind of token it is: a user's is not verified here.
pub(super) fn verify(token: &str, keys: &VerifySet, now: Timestamp) -> Option<ClientToken> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let text = decode(payload).ok()?;
    if text.first() != Some(&b'{') {
        return None;
    }
    let claims: Claims = strict_json(&text).ok()?;
    // A token of a person is never one of an application, whatever its role says.
    let role = match claims.role.as_str() {
        "anon" => Role::Anon,
        "service_role" => Role::Service,
        _ => return None,
    };
    if claims.sub.is_some() || claims.session_id.is_some() {
        return None;
    }
    let header = read(header).ok().filter(|header| header.typ.as_deref() == Some("JWT"))?;
    let key = find(keys, header.kid.as_deref())?;
    let signed = token.get(..token.len().checked_sub(signature.len() + 1)?)?;
    if header.alg != name(key.algorithm)
        || signature.is_empty()
        || !key.verifies(signed.as_bytes(), signature)
    {
        return None;
    }
    let seconds = now.as_seconds();
    let early = |at: Option<i64>| at.is_some_and(|at| at < 0 || at > seconds);
    // Supabase's own keys live for ten years, and some have no `iat`.
    if claims.exp <= seconds || early(claims.iat) || early(claims.nbf) {
        return None;
    }
    Some(ClientToken { role, expires_at: Timestamp::from_seconds(claims.exp) })
}

/// By its name; without one only where there is nothing to choose: Supabase's HS256 keys have none.
fn find<'a>(keys: &'a VerifySet, kid: Option<&str>) -> Option<&'a VerifyKey> {
    match kid {
        Some(kid) => keys.keys.get(kid).filter(|key| key.clients),
        None => {
            let mut secrets =
                keys.keys.values().filter(|key| key.clients && key.algorithm == Algorithm::HS256);
            secrets.next().filter(|_| secrets.next().is_none())
        }
    }
}

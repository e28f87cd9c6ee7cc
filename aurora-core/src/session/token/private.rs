use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::VerifyKey;
use super::jwk::{Jwk, for_signatures};
use crate::config::weak_secret;
use crate::types::{Code, Error, Result, Secret};
use crate::validate::strict_json;

/// The name of a shared secret that was given without one.
const SHARED: &str = "hs256";

/// A key that signs access tokens and was given, not made: a private JWK (ES256, RS256 or EdDSA) or a secret (HS256).
/// It is bound to its one algorithm.
#[derive(Clone)]
pub struct SigningKey {
    pub(super) verify: VerifyKey,
    pub(super) private: EncodingKey,
}

/// What is read of a JWK, private members included.
#[derive(Deserialize)]
struct Members {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<Secret>,
    p: Option<Secret>,
    q: Option<Secret>,
    dp: Option<Secret>,
    dq: Option<Secret>,
    qi: Option<Secret>,
    k: Option<Secret>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    key_ops: Vec<String>,
}

impl Members {
    fn is_private(&self) -> bool {
        self.d.is_some() || self.k.is_some()
    }

    /// A private key signs unless it says that it does something else (RFC 7517 s4.3).
    fn signs(&self) -> bool {
        self.is_private() && (self.key_ops.is_empty() || self.key_ops.iter().any(|one| one == "sign"))
    }

    /// Its public half.
    fn public(&self) -> Result<VerifyKey> {
        let text = serde_json::json!({
            "kty": self.kty, "crv": self.crv, "x": self.x, "y": self.y, "n": self.n, "e": self.e,
            "kid": self.kid, "alg": self.alg, "use": self.usage, "key_ops": self.key_ops,
        });
        VerifyKey::from_members(serde_json::from_value::<Jwk>(text).map_err(|_| wrong("is no key"))?)
    }

    fn secret(&self) -> Result<SigningKey> {
        if self.alg.as_deref().is_some_and(|alg| alg != "HS256")
            || self.usage.as_deref().is_some_and(|usage| usage != "sig")
        {
            return Err(wrong("has an `alg` or `use` that is not HS256's"));
        }
        if !for_signatures(&self.key_ops) {
            return Err(wrong("has `key_ops` that leave signatures out"));
        }
        let bytes = bytes(self.k.as_ref())?;
        let weak = match std::str::from_utf8(&bytes) {
            Ok(text) => weak_secret(text),
            Err(_) => (bytes.len() < 32).then_some("has fewer than 32 bytes"),
        };
        if let Some(why) = weak {
            return Err(wrong(why));
        }
        let kid = self.kid.clone().unwrap_or_else(|| SHARED.to_owned());
        if kid.is_empty() || kid.len() > 128 {
            return Err(wrong("must have a `kid` of 1 to 128 bytes"));
        }
        Ok(SigningKey::symmetric(kid, &bytes))
    }

    fn signing(&self) -> Result<SigningKey> {
        if self.kty == "oct" {
            return self.secret();
        }
        let verify = self.public()?;
        let inconsistent = || wrong("has halves that do not belong together");
        let d = bytes(self.d.as_ref())?;
        let private = match verify.algorithm {
            Algorithm::ES256 => {
                let point = verify.key.try_get_as_bytes().map_err(|_| inconsistent())?;
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &d,
                    point,
                )
                .map_err(|_| inconsistent())?;
                let pkcs8 = pair.to_pkcs8v1().map_err(|_| inconsistent())?;
                EncodingKey::from_ec_der(pkcs8.as_ref())
            }
            Algorithm::EdDSA => {
                let point = verify.key.try_get_as_bytes().map_err(|_| inconsistent())?;
                let pair = Ed25519KeyPair::from_seed_and_public_key(&d, point).map_err(|_| inconsistent())?;
                let pkcs8 = pair.to_pkcs8v1().map_err(|_| inconsistent())?;
                EncodingKey::from_ed_der(pkcs8.as_ref())
            }
            _ => EncodingKey::from_rsa_der(&self.rsa(&d)?),
        };
        let key = SigningKey { verify, private };
        // The numbers of an RSA key are many, and any of them may be another key's.
        let proof = jsonwebtoken::crypto::sign(b"aurora", &key.private, key.verify.algorithm);
        let proof = proof.map_err(|_| inconsistent())?;
        if key.verify.verifies(b"aurora", &proof) { Ok(key) } else { Err(inconsistent()) }
    }

    /// RFC 8017 appendix A.1.2, after AWS-LC has looked at it.
    fn rsa(&self, d: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let public = |member: &Option<String>| bytes(member.clone().map(Secret::new).as_ref());
        let (n, e) = (public(&self.n)?, public(&self.e)?);
        let mut body = Zeroizing::new(Vec::new());
        integer(&mut body, &[0]);
        integer(&mut body, &n);
        integer(&mut body, &e);
        integer(&mut body, d);
        for member in [&self.p, &self.q, &self.dp, &self.dq, &self.qi] {
            integer(&mut body, &bytes(member.as_ref())?);
        }
        let mut der = Zeroizing::new(Vec::with_capacity(body.len() + 8));
        element(&mut der, 0x30, &body);
        RsaKeyPair::from_der(&der).map_err(|_| wrong("has numbers that are no RSA key"))?;
        Ok(der)
    }
}

/// A DER element.
fn element(to: &mut Vec<u8>, tag: u8, body: &[u8]) {
    to.push(tag);
    let length = body.len().to_be_bytes();
    let length = length.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>();
    match length.as_slice() {
        [] => to.push(0),
        [short @ 0..=0x7f] => to.push(*short),
        // At most eight bytes: it was a `usize`.
        long => {
            to.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            to.extend_from_slice(long);
        }
    }
    to.extend_from_slice(body);
}

/// A DER INTEGER that is not negative.
fn integer(to: &mut Vec<u8>, number: &[u8]) {
    let digits: &[u8] = match number.iter().position(|byte| *byte != 0) {
        Some(first) => number.get(first..).unwrap_or_default(),
        None => &[0],
    };
    let mut body = Zeroizing::new(Vec::with_capacity(digits.len() + 1));
    if digits.first().is_some_and(|byte| *byte >= 0x80) {
        body.push(0);
    }
    body.extend_from_slice(digits);
    element(to, 2, &body);
}

fn bytes(member: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>> {
    let text = member.ok_or_else(|| wrong("lacks a member of its kind"))?;
    let decoded =
        URL_SAFE_NO_PAD.decode(text.expose()).map_err(|_| wrong("has a member that is not base64url"))?;
    Ok(Zeroizing::new(decoded))
}

impl SigningKey {
    /// Reads a private JWK (RFC 7517): EC P-256, OKP Ed25519, RSA with 2048 bits or more and its prime factors, or
    /// `oct`. Its `kid` is kept; without one it is named by its thumbprint. [`Code::Configuration`] for every other
    /// kind, for a public key, and for halves that do not belong together.
    pub fn from_jwk(json: &Secret) -> Result<Self> {
        let members: Members = read(json)?;
        if members.is_private() { members.signing() } else { Err(wrong("is a public key: it cannot sign")) }
    }

    /// HS256 with a secret that whoever verifies must hold too, and whoever holds it can sign.
    /// [`Code::Configuration`] for a secret under 32 bytes, or one that is an example or repeats itself.
    pub fn shared_secret(secret: &Secret) -> Result<Self> {
        if let Some(why) = weak_secret(secret.expose()) {
            let text = format!("HS256 secret {why}: make one with `openssl rand -base64 48`");
            return Err(Error::new(Code::Configuration, text));
        }
        Ok(Self::unchecked_secret(secret))
    }

    /// What it verifies with, without what it signs with.
    pub(crate) fn into_verify_key(self) -> VerifyKey {
        self.verify
    }

    /// The same for a secret that everybody knows.
    pub(crate) fn unchecked_secret(secret: &Secret) -> Self {
        Self::symmetric(SHARED.to_owned(), secret.expose().as_bytes())
    }

    pub(super) fn symmetric(kid: String, bytes: &[u8]) -> Self {
        let key = DecodingKey::from_secret(bytes);
        let verify =
            VerifyKey { kid, algorithm: Algorithm::HS256, key, point: None, public: None, clients: true };
        Self { verify, private: EncodingKey::from_secret(bytes) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verify", &self.verify).finish_non_exhaustive()
    }
}

/// The keys of a project as Supabase Auth takes them in `GOTRUE_JWT_KEYS`: at most one signs, the others verify.
///
/// They verify what names an application, too: a JWT with the role `anon` or `service_role` and no user.
#[derive(Clone, Debug, Default)]
pub struct ProjectKeys {
    pub(super) signing: Option<SigningKey>,
    pub(super) verify: Vec<VerifyKey>,
}

impl ProjectKeys {
    /// Reads a JSON array of JWKs, a JWK set (`{"keys": [..]}`), or one JWK.
    ///
    /// A private key or a secret signs, unless its `key_ops` leave `sign` out; every other key verifies alone.
    /// [`Code::Configuration`] for a key of another kind, and when several would sign.
    pub fn parse(json: &Secret) -> Result<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Members>,
        }
        let all = if json.expose().trim_start().starts_with('[') {
            read::<Vec<Members>>(json)?
        } else if let Ok(Set { keys }) = read(json) {
            keys
        } else {
            vec![read(json)?]
        };
        let mut found = Self::default();
        for members in &all {
            if members.signs() {
                if found.signing.is_some() {
                    let text = "several of the keys sign: leave `sign` in the `key_ops` of one";
                    return Err(Error::new(Code::Configuration, text));
                }
                found.signing = Some(members.signing()?);
            } else if members.kty == "oct" {
                found.verify.push(members.secret()?.verify);
            } else {
                found.verify.push(members.public()?);
            }
        }
        let signing = found.signing.iter_mut().map(|key| &mut key.verify);
        signing.chain(&mut found.verify).for_each(|key| key.clients = true);
        Ok(found)
    }

    /// The key that signs, if there is one, and those that verify alone.
    pub fn into_parts(self) -> (Option<SigningKey>, Vec<VerifyKey>) {
        (self.signing, self.verify)
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &Secret) -> Result<T> {
    strict_json(json.expose().as_bytes())
        .map_err(|error| wrong(&format!("cannot be read: {}", error.message())))
}

fn wrong(why: &str) -> Error {
    Error::new(Code::Configuration, format!("signing key {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_is_as_others_write_it() {
        let mut out = Vec::new();
        integer(&mut out, &[0, 0, 0x80]);
        integer(&mut out, &[0x7f]);
        integer(&mut out, &[]);
        assert_eq!(out, [2, 2, 0, 0x80, 2, 1, 0x7f, 2, 1, 0]);
        let mut long = Vec::new();
        element(&mut long, 0x30, &[7; 300]);
        assert_eq!(long[..5], [0x30, 0x82, 0x01, 0x2c, 7]);
        let mut middle = Vec::new();
        element(&mut middle, 0x30, &[7; 200]);
        assert_eq!(middle[..4], [0x30, 0x81, 200, 7]);
    }
}

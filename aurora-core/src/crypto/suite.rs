use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::types::{Error, Result};

use super::cipher::{Cipher, KeyedCipher, does_not_open};
use super::kdf;

pub(super) const SALT: usize = 24;
pub(super) const COMMITMENT: usize = 32;
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const STREAM_INFO: &[u8] = b"aurora stream v1+HKDF_SHA_512+AES_256_GCM\0";

/// How a sealed value is made of AES-256-GCM. Its header says which, and each opens always.
///
/// Both derive a key for the message from the data key, 24 random bytes and the context, commit to it, and have chunks
/// of 16 KiB and a tag each: the same bytes lie at the same places.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Suite {
    /// C2SP chunked encryption, instance Cobblestone-256: <https://c2sp.org/chunked-encryption>.
    #[default]
    Cobblestone256,
    /// STREAM ("Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015) under a key that HKDF with
    /// SHA-512 derives, extracting and expanding: as Tink's AES-GCM-HKDF streaming, with a commitment besides. Kept for
    /// the day on which nobody should seal with the other.
    Stream256,
}

impl Suite {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Cobblestone256, Self::Stream256];

    /// As in a header.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Cobblestone256 => 1,
            Self::Stream256 => 2,
        }
    }

    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.byte() == byte)
    }

    fn most_chunks(self) -> u64 {
        match self {
            // "If the chunk counter reaches or exceeds 2^38, implementations MUST abort."
            Self::Cobblestone256 => 1 << 38,
            Self::Stream256 => 1 << 32,
        }
    }
}

/// What one message is sealed and opened with.
pub(super) struct MessageKey {
    suite: Suite,
    cipher: Box<dyn KeyedCipher>,
    base_nonce: [u8; 12],
    commitment: [u8; COMMITMENT],
}

impl MessageKey {
    pub(super) fn derive(
        (suite, cipher): (Suite, &dyn Cipher),
        key: &[u8; 32],
        salt: &[u8; SALT],
        context: &[u8],
    ) -> Result<Self> {
        let (keyed, base_nonce, commitment) = match suite {
            Suite::Cobblestone256 => {
                let okm: Zeroizing<[u8; 76]> = kdf::expand(key, &[INFO, salt, context])?;
                let (key, rest) = okm.split_first_chunk::<32>().ok_or_else(does_not_open)?;
                let (base_nonce, rest) = rest.split_first_chunk::<12>().ok_or_else(does_not_open)?;
                let commitment = rest.first_chunk().ok_or_else(does_not_open)?;
                (cipher.keyed(key)?, *base_nonce, *commitment)
            }
            Suite::Stream256 => {
                let mut okm = Zeroizing::new([0; 71]);
                kdf::extract_and_expand(salt, key, &[STREAM_INFO, context], okm.as_mut_slice())?;
                let (key, rest) = okm.split_first_chunk::<32>().ok_or_else(does_not_open)?;
                let (commitment, prefix) = rest.split_first_chunk().ok_or_else(does_not_open)?;
                let mut base_nonce = [0; 12];
                for (to, from) in base_nonce.iter_mut().zip(prefix) {
                    *to = *from;
                }
                (cipher.keyed(key)?, base_nonce, *commitment)
            }
        };
        Ok(Self { suite, cipher: keyed, base_nonce, commitment })
    }

    /// Refuses a message that was not sealed with this key, before anything of it is opened.
    pub(super) fn expect(&self, commitment: &[u8; COMMITMENT]) -> Result<()> {
        let same = bool::from(self.commitment.ct_eq(commitment));
        if same { Ok(()) } else { Err(does_not_open()) }
    }

    pub(super) fn commitment(&self) -> &[u8; COMMITMENT] {
        &self.commitment
    }

    /// Seals the chunk of that number in place and answers its tag.
    pub(super) fn seal(&self, chunk: u64, is_last: bool, text: &mut [u8]) -> Result<[u8; 16]> {
        self.cipher.seal(self.nonce(chunk, is_last)?, text)
    }

    /// Opens the chunk of that number, tag and all, in place. On an error the data holds no plaintext.
    pub(super) fn open(&self, chunk: u64, is_last: bool, data: &mut [u8]) -> Result<()> {
        self.cipher.open(self.nonce(chunk, is_last)?, data)
    }

    fn nonce(&self, chunk: u64, is_last: bool) -> Result<[u8; 12]> {
        if chunk >= self.suite.most_chunks() {
            return Err(Error::internal("message too long to seal"));
        }
        let mut nonce = self.base_nonce;
        match self.suite {
            // The base nonce XOR the chunk's number, big-endian. The last chunk is told by being short.
            Suite::Cobblestone256 => {
                for (byte, number) in nonce.iter_mut().skip(4).zip(chunk.to_be_bytes()) {
                    *byte ^= number;
                }
            }
            // Seven bytes of the message's, the chunk's number in four, and one that tells the last chunk.
            Suite::Stream256 => {
                let number = u32::try_from(chunk).map_err(Error::internal)?.to_be_bytes();
                for (byte, new) in nonce.iter_mut().skip(7).zip(number.into_iter().chain([u8::from(is_last)]))
                {
                    *byte = new;
                }
            }
        }
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cipher::AwsLc;
    use super::*;

    fn key(suite: Suite) -> MessageKey {
        MessageKey::derive((suite, &AwsLc), &[1; 32], &[0; SALT], b"").expect("derives")
    }

    /// asvs(V1.4.2, V11.3.4)
    #[test]
    fn the_chunk_counter_ends_with_an_error() {
        for suite in Suite::ALL {
            let key = key(suite);
            assert!(key.nonce(suite.most_chunks() - 1, false).is_ok());
            assert!(key.nonce(suite.most_chunks(), false).is_err());
            assert!(key.nonce(u64::MAX, true).is_err());
        }
    }

    #[test]
    fn no_two_chunks_of_a_message_have_a_nonce() {
        let first = key(Suite::Cobblestone256);
        let (a, b) = (first.nonce(0, false).expect("nonce"), first.nonce(0x01_02_03, true).expect("nonce"));
        assert_eq!(a[..9], b[..9]);
        assert_eq!([a[9] ^ b[9], a[10] ^ b[10], a[11] ^ b[11]], [1, 2, 3]);
        let second = key(Suite::Stream256);
        let (a, b) = (second.nonce(0, false).expect("nonce"), second.nonce(0x01_02_03, true).expect("nonce"));
        assert_eq!(a[..7], b[..7]);
        assert_eq!((&a[7..], &b[7..]), (&[0, 0, 0, 0, 0][..], &[0, 1, 2, 3, 1][..]));
        assert_ne!(second.nonce(7, false).expect("nonce"), second.nonce(7, true).expect("nonce"));
        assert_ne!(first.commitment, second.commitment);
    }
}

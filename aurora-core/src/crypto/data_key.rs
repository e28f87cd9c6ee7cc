use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::env::{Entropy, random};
use crate::types::Result;

use super::chunked::{self, ChunkOpener, ChunkSealer};
use super::cipher::{Cipher, does_not_open};
use super::{Context, KeyOwner, Purpose, SecretBytes, Suite, kdf};

const MAGIC: [u8; 2] = *b"AU";
const FORMAT: u8 = 1;
/// None is defined yet; a value with one set is from a newer Aurora.
const FLAGS: u8 = 0;

/// What stands before every sealed value: `"AU" | format u8 | suite u8 | data key u32 BE | flags u8`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header([u8; Header::LENGTH]);

impl Header {
    pub(super) const LENGTH: usize = 9;

    fn of(suite: Suite, key: u32) -> Self {
        let [a, u] = MAGIC;
        let [i, d, k, y] = key.to_be_bytes();
        Self([a, u, FORMAT, suite.byte(), i, d, k, y, FLAGS])
    }

    /// The header of `sealed`, and what follows it. One error, whatever is wrong.
    pub(super) fn split(sealed: &[u8]) -> Result<(Self, &[u8])> {
        let (header, message) = sealed.split_first_chunk::<{ Self::LENGTH }>().ok_or_else(does_not_open)?;
        let [a, u, format, suite, .., flags] = header;
        let known = ([*a, *u], *format, *flags) == (MAGIC, FORMAT, FLAGS) && Suite::of(*suite).is_some();
        if known { Ok((Self(*header), message)) } else { Err(does_not_open()) }
    }

    fn suite(self) -> Result<Suite> {
        let [_, _, _, suite, ..] = self.0;
        Suite::of(suite).ok_or_else(does_not_open)
    }

    pub(super) fn key(self) -> u32 {
        let [_, _, _, _, i, d, k, y, _] = self.0;
        u32::from_be_bytes([i, d, k, y])
    }
}

/// One data key, unwrapped. Cheap to clone; wiped when the last clone is dropped.
#[derive(Clone)]
pub struct DataKey(Arc<Inner>);

struct Inner {
    id: u32,
    purpose: Purpose,
    owner: KeyOwner,
    key: Zeroizing<[u8; 32]>,
    sealing: Sealing,
    entropy: Arc<dyn Entropy>,
}

/// What new values are sealed with. The cipher opens, too; the suite to open with stands in each value's header.
#[derive(Clone, Debug)]
pub(super) struct Sealing {
    pub(super) suite: Suite,
    pub(super) cipher: Arc<dyn Cipher>,
}

impl DataKey {
    pub(super) fn new(
        (id, purpose, owner): (u32, Purpose, KeyOwner),
        key: Zeroizing<[u8; 32]>,
        sealing: Sealing,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self(Arc::new(Inner { id, purpose, owner, key, sealing, entropy }))
    }

    /// The number that sealed values name.
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// What values begin with that the key of that number sealed: by each suite.
    pub fn prefixes(id: u32) -> [[u8; 9]; 2] {
        Suite::ALL.map(|suite| Header::of(suite, id).0)
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    /// Whose data it protects.
    pub fn owner(&self) -> &KeyOwner {
        &self.0.owner
    }

    /// Seals `plaintext` for the place that `context` names, which has to be of this key's purpose and owner.
    ///
    /// The result is a nine-byte header and a message of its [suite](Suite), Cobblestone-256 by default: 81 bytes longer
    /// than its plaintext, and 16 more per 16 KiB.
    pub fn seal(&self, context: &Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        self.belongs(context)?;
        let (sealing, header) = self.begins();
        let mut out = Vec::with_capacity(Header::LENGTH + 72 + plaintext.len());
        out.extend_from_slice(&header.0);
        let salt = random(&*self.0.entropy)?;
        let context = context.framed(&header.0);
        chunked::seal_into(&mut out, sealing, &self.0.key, &salt, &context, plaintext)?;
        Ok(out)
    }

    /// Opens what [`DataKey::seal`] gave for the same place. One error, whatever is wrong.
    pub fn unseal(&self, context: &Context<'_>, sealed: &[u8]) -> Result<SecretBytes> {
        let (header, message) = self.header(context, sealed)?;
        chunked::open(self.opens(header)?, &self.0.key, &context.framed(&header.0), message)
    }

    /// Begins to seal a stream, in the same format.
    pub fn sealer(&self, context: &Context<'_>) -> Result<Sealer> {
        self.belongs(context)?;
        let (sealing, header) = self.begins();
        let salt = random(&*self.0.entropy)?;
        let context = context.framed(&header.0);
        let chunks = ChunkSealer::new(sealing, &self.0.key, &salt, &context)?;
        Ok(Sealer { header: Some(header), chunks })
    }

    /// Begins to open a sealed stream of `length` bytes, of which `prefix` is the first [`Opener::PREFIX`].
    pub fn opener(&self, context: &Context<'_>, prefix: &[u8], length: u64) -> Result<Opener> {
        let (header, prefix) = self.header(context, prefix)?;
        let length = length.checked_sub(Header::LENGTH as u64).ok_or_else(does_not_open)?;
        let context = context.framed(&header.0);
        let chunks = ChunkOpener::new(self.opens(header)?, &self.0.key, &context, prefix, length)?;
        Ok(Opener(chunks))
    }

    fn header<'a>(&self, context: &Context<'_>, sealed: &'a [u8]) -> Result<(Header, &'a [u8])> {
        let (header, rest) = Header::split(sealed)?;
        self.belongs(context)?;
        if header.key() == self.0.id { Ok((header, rest)) } else { Err(does_not_open()) }
    }

    fn begins(&self) -> ((Suite, &dyn Cipher), Header) {
        let Sealing { suite, cipher } = &self.0.sealing;
        ((*suite, &**cipher), Header::of(*suite, self.0.id))
    }

    fn opens(&self, header: Header) -> Result<(Suite, &dyn Cipher)> {
        Ok((header.suite()?, &*self.0.sealing.cipher))
    }

    fn belongs(&self, context: &Context<'_>) -> Result<()> {
        let right = context.purpose() == self.0.purpose && *context.owner() == self.0.owner;
        if right { Ok(()) } else { Err(does_not_open()) }
    }

    /// A keyed hash of what `label` names, each part with its length.
    pub fn mac(&self, label: &str, data: &[&[u8]]) -> Result<[u8; 32]> {
        let mut parts = vec![label.as_bytes()];
        parts.extend_from_slice(data);
        Ok(kdf::mac(&*self.hashing()?, &parts))
    }

    /// The derivative that hashes: it cannot be taken for the key.
    pub(super) fn hashing(&self) -> Result<Zeroizing<[u8; 32]>> {
        kdf::expand::<32>(&self.0.key, &[b"aurora keyed hash v1"])
    }

    pub(super) fn sealing(&self, sealing: Sealing) -> Self {
        let inner = &self.0;
        let what = (inner.id, inner.purpose, inner.owner.clone());
        Self::new(what, inner.key.clone(), sealing, Arc::clone(&inner.entropy))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { id, purpose, owner, .. } = &*self.0;
        f.debug_struct("DataKey")
            .field("id", id)
            .field("purpose", purpose)
            .field("owner", owner)
            .finish_non_exhaustive()
    }
}

/// How many bytes `plain` bytes are when sealed; `None` where that is more than a message holds.
pub fn sealed_length(plain: u64) -> Option<u64> {
    chunked::sealed_length(plain)?.checked_add(Header::LENGTH as u64)
}

/// Seals a stream piece by piece, in bounded memory: no more than a chunk of it is held.
#[derive(Debug)]
pub struct Sealer {
    /// Until it was written.
    header: Option<Header>,
    chunks: ChunkSealer,
}

impl Sealer {
    /// Takes the next piece, of any length, and appends what is sealed by now to `out`.
    pub fn push(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        self.chunks.push(plaintext, out)
    }

    /// Appends the end. Without it the message does not open.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        self.chunks.finish(out)
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(header) = self.header.take() {
            out.extend_from_slice(&header.0);
            self.chunks.begin(out);
        }
    }
}

/// Opens a sealed stream chunk by chunk, in any order: so a range is read without what stands before it.
#[derive(Debug)]
pub struct Opener(ChunkOpener);

impl Opener {
    /// How much of the beginning [`DataKey::opener`] asks for.
    pub const PREFIX: usize = Header::LENGTH + chunked::PREFIX;
    /// How much plaintext a chunk holds, but for the last.
    pub const CHUNK: usize = chunked::CHUNK;

    /// How long the plaintext is.
    pub fn plain_length(&self) -> u64 {
        self.0.plain_length()
    }

    /// How many chunks there are; at least one.
    pub fn chunks(&self) -> u64 {
        self.0.chunks()
    }

    /// Where a chunk lies among the sealed bytes: offset and length. `None` behind the end.
    pub fn place(&self, chunk: u64) -> Option<(u64, usize)> {
        let (at, length) = self.0.place(chunk)?;
        Some((at + Header::LENGTH as u64, length))
    }

    /// Opens the chunk of that number, in place: `data` is what lies at its [place](Self::place), and then its
    /// plaintext. On an error it holds none. A stream is whole when its last chunk opened.
    pub fn open(&self, chunk: u64, data: &mut Vec<u8>) -> Result<()> {
        self.0.open(chunk, data)
    }
}

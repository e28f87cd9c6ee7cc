//! Files sealed chunk by chunk: what is written streams through, and what is read opens the chunks it needs.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;

use super::blob::{BlobId, BlobStore};
use super::service::Owner;
use crate::crypto::{Context, DataKey, KeyOwner, Keyring, Opener, Purpose, Sealer, sealed_length};
use crate::store::BlobRow;
use crate::types::{Error, Result};

const CHUNK: u64 = Opener::CHUNK as u64;

/// What a file is sealed for.
#[derive(Clone, Debug)]
pub(super) struct SealedFor {
    /// As beside a blob.
    pub(super) owner: String,
    pub(super) bucket: String,
    pub(super) object: String,
    pub(super) generation: String,
}

impl SealedFor {
    pub(super) fn of(blob: &BlobRow) -> Self {
        Self {
            owner: blob.owner.clone(),
            bucket: blob.bucket.clone(),
            object: blob.object.clone(),
            generation: blob.id.clone(),
        }
    }

    fn key_owner(&self) -> Result<KeyOwner> {
        Ok(match Owner::of_key(&self.owner).map_err(Error::internal)? {
            Owner::User(id) => KeyOwner::User(id),
            Owner::Service | Owner::Anonymous => KeyOwner::Service,
        })
    }

    fn context<'a>(&'a self, owner: &'a KeyOwner) -> Context<'a> {
        let (object, generation) = (self.object.as_bytes(), self.generation.as_bytes());
        Context::File { owner, bucket: &self.bucket, object, generation }
    }

    /// What seals under the key of its owner, and the key's number.
    pub(super) async fn sealer(&self, keyring: &Keyring) -> Result<(Sealer, u32)> {
        let key = keyring.data_key(&self.key_owner()?, Purpose::File).await?;
        Ok((self.sealer_of(&key)?, key.id()))
    }

    pub(super) fn sealer_of(&self, key: &DataKey) -> Result<Sealer> {
        key.sealer(&self.context(&self.key_owner()?))
    }

    async fn opener(&self, keyring: &Keyring, prefix: &[u8], length: u64) -> Result<Opener> {
        let owner = self.key_owner()?;
        keyring.key_of(prefix).await?.opener(&self.context(&owner), prefix, length)
    }
}

/// The plain bytes in `range` of a blob of `size` plain bytes. Reads the head, and the chunks that the range touches.
pub(super) async fn open(
    blobs: &dyn BlobStore,
    keyring: &Keyring,
    (id, sealed_for): (&BlobId, &SealedFor),
    size: u64,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let length = sealed_length(size).ok_or_else(damaged)?;
    let mut head = BytesMut::with_capacity(Opener::PREFIX);
    let mut pieces = blobs.read(id, 0..Opener::PREFIX as u64).await?;
    while let Some(piece) = pieces.next().await {
        head.extend_from_slice(&piece?);
    }
    let opener = sealed_for.opener(keyring, &head, length).await?;
    let first = range.start / CHUNK;
    // An empty range still opens the chunk that it would begin in.
    let last = if range.end > range.start { (range.end - 1) / CHUNK } else { first };
    let (begins, _) = opener.place(first).ok_or_else(damaged)?;
    let (at, behind) = opener.place(last).ok_or_else(damaged)?;
    let mut sealed = blobs.read(id, begins..at + behind as u64).await?;
    let opened = async_stream::try_stream! {
        let (mut buffer, mut number) = (BytesMut::new(), first);
        while let Some(piece) = sealed.next().await {
            buffer.extend_from_slice(&piece?);
            let mut plain = Vec::with_capacity(buffer.len());
            while number <= last {
                let (_, length) = opener.place(number).ok_or_else(damaged)?;
                if buffer.len() < length {
                    break;
                }
                let mut chunk = buffer.split_to(length).to_vec();
                opener.open(number, &mut chunk)?;
                plain.extend_from_slice(part(&chunk, number * CHUNK, &range));
                number += 1;
            }
            if !plain.is_empty() {
                yield Bytes::from(plain);
            }
        }
        if number <= last {
            Err(damaged())?;
        }
    };
    Ok(opened.boxed())
}

/// What of a chunk that begins at `begins` lies in the range.
fn part<'a>(chunk: &'a [u8], begins: u64, range: &Range<u64>) -> &'a [u8] {
    let at =
        |place: u64| usize::try_from(place.saturating_sub(begins)).unwrap_or(usize::MAX).min(chunk.len());
    chunk.get(at(range.start)..at(range.end)).unwrap_or_default()
}

fn damaged() -> Error {
    Error::internal("a blob is not as long as its row says")
}

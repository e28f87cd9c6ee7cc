//! Files sealed chunk by chunk: what is written streams through, and what is read opens the chunks it needs.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;

use super::blob::{BlobId, BlobStore};
use super::interim::{CHUNK, Context, HEAD, Opener, SEALED_CHUNK};
use crate::types::{Error, Result};

/// The plain bytes in `range` of a blob of `size` plain bytes. Reads the head, and the chunks that the range touches.
pub(super) async fn open(
    blobs: &dyn BlobStore,
    id: &BlobId,
    opener: impl AsyncFnOnce(&[u8]) -> Result<Opener>,
    size: u64,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let (first, last) = (range.start / CHUNK, size / CHUNK);
    // An empty range still authenticates the chunk that it would begin in.
    let until = if range.end > range.start { (range.end - 1) / CHUNK } else { first };
    let sealed_end = move |chunk: u64| {
        if chunk == last { super::interim::sealed_length(size) } else { HEAD + (chunk + 1) * SEALED_CHUNK }
    };
    let mut head = BytesMut::with_capacity(usize::try_from(HEAD).unwrap_or(0));
    let mut pieces = blobs.read(id, 0..HEAD).await?;
    while let Some(piece) = pieces.next().await {
        head.extend_from_slice(&piece?);
    }
    let opener = opener(&head).await?;
    let mut sealed = blobs.read(id, HEAD + first * SEALED_CHUNK..sealed_end(until)).await?;
    let opened = async_stream::try_stream! {
        let (mut opener, mut buffer, mut number) = (opener, BytesMut::new(), first);
        let mut ended = false;
        while !ended {
            match sealed.next().await {
                Some(piece) => buffer.extend_from_slice(&piece?),
                None => ended = true,
            }
            let mut plain = Vec::with_capacity(buffer.len());
            loop {
                let length = usize::try_from(sealed_end(number) - HEAD - number * SEALED_CHUNK).unwrap_or(usize::MAX);
                if number > until || buffer.len() < length {
                    break;
                }
                let mut chunk = buffer.split_to(length).to_vec();
                opener.chunk(number, number == last, &mut chunk)?;
                // Only what was asked for of the first and the last one.
                let begins = number * CHUNK;
                let from = usize::try_from(range.start.saturating_sub(begins)).unwrap_or(usize::MAX).min(chunk.len());
                let to = usize::try_from(range.end.saturating_sub(begins)).unwrap_or(usize::MAX).min(chunk.len());
                plain.extend_from_slice(chunk.get(from..to).unwrap_or_default());
                number += 1;
            }
            if !plain.is_empty() {
                yield Bytes::from(plain);
            }
        }
        if number <= until {
            Err(Error::internal("a blob is shorter than its row says"))?;
        }
    };
    Ok(opened.boxed())
}

/// What a file is sealed for.
#[derive(Clone, Debug)]
pub(super) struct SealedFor {
    pub(super) owner: String,
    pub(super) bucket: String,
    pub(super) object: String,
    pub(super) generation: String,
}

impl SealedFor {
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            owner: &self.owner,
            bucket: &self.bucket,
            object: &self.object,
            generation: &self.generation,
        }
    }
}

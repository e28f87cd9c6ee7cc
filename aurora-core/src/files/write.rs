//! Content on its way to a blob: looked at, counted, sealed.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::blob::{BlobId, Draft};
use super::seal::SealedFor;
use super::underway::{Turn, Unnamed};
use super::upload::{Asked, Content, Target, Upload, not_supported, too_large};
use super::{Asker, Files, content};
use crate::crypto::Sealer;
use crate::types::{Code, Error, Result};

/// Sealed bytes that are handed to a store at once.
const PIECE: usize = 256 * 1024;

/// A blob that is whole, before a row names it.
pub(super) struct Whole {
    pub(super) id: BlobId,
    pub(super) sealed: SealedFor,
    /// The object that it is sealed for had a row.
    pub(super) is_there: bool,
    pub(super) size: u64,
    pub(super) kind: String,
    pub(super) key: u32,
    pub(super) unnamed: Unnamed,
}

/// A part of an upload, before a row names it.
pub(super) struct Part {
    pub(super) size: u64,
    pub(super) key: u32,
    pub(super) unnamed: Unnamed,
}

impl Files {
    /// Reads, looks at, counts, seals and stores the content. What is left early leaves nothing.
    pub(super) async fn write(
        &self,
        asker: &Asker,
        upload: &Upload,
        asked: Asked,
        content: &mut Content<'_>,
        turn: &mut Turn,
    ) -> Result<Whole> {
        Self::takes(&asked.bucket, upload)?;
        let (mut kind, largest) = (upload.declared()?, self.largest(&asked.bucket));
        let mut head = Vec::new();
        let mut waiting: Vec<Bytes> = Vec::new();
        let mut ended = false;
        while head.len() < content::LOOKED_AT && !ended {
            match content.next().await {
                Some(piece) => {
                    let piece = piece?;
                    let room = content::LOOKED_AT.saturating_sub(head.len());
                    head.extend(piece.iter().take(room));
                    waiting.push(piece);
                }
                None => ended = true,
            }
        }
        let found = content::sniff(&head);
        if let Some(allowed) = &asked.bucket.allowed_mime_types
            && !content::is_allowed(allowed, &kind, found)
        {
            return Err(not_supported(found.filter(|found| *found != kind).unwrap_or(&kind)));
        }
        if let (true, Some(found)) = (kind == "application/octet-stream", found) {
            kind = found.to_owned();
        }
        let id = self.fresh_blob()?;
        let sealed = SealedFor {
            owner: asker.owner().key(),
            bucket: upload.bucket.as_str().to_owned(),
            object: asked.target.object,
            generation: id.as_str().to_owned(),
        };
        let (sealer, key) = sealed.sealer(&self.0.keyring).await?;
        let mut writing = self.writing(&id, sealer).await?;
        for piece in waiting {
            self.count_coming(turn, asked.room, piece.len())?;
            writing.push(&piece, largest).await?;
        }
        while !ended {
            match content.next().await {
                Some(piece) => {
                    let piece = piece?;
                    self.count_coming(turn, asked.room, piece.len())?;
                    writing.push(&piece, largest).await?;
                }
                None => ended = true,
            }
        }
        let (size, unnamed) = self.finish(&id, writing).await?;
        if upload.length.is_some_and(|length| length != size) {
            unnamed.remove().await;
            return Err(Error::new(Code::ValidationFailed, "The content is not as long as was said"));
        }
        Ok(Whole { id, sealed, is_there: asked.target.is_there, size, kind, key, unnamed })
    }

    /// The same content, sealed for another object.
    pub(super) async fn seal_again(&self, whole: Whole, target: Target) -> Result<Whole> {
        let id = self.fresh_blob()?;
        let sealed =
            SealedFor { object: target.object, generation: id.as_str().to_owned(), ..whole.sealed.clone() };
        let (sealer, key) = sealed.sealer(&self.0.keyring).await?;
        let plain = self.open_blob(&whole.id, &whole.sealed, whole.size, 0..whole.size).await?;
        let unnamed = self.write_sealed(&id, sealer, plain).await?;
        whole.unnamed.remove().await;
        Ok(Whole { id, sealed, is_there: target.is_there, size: whole.size, kind: whole.kind, key, unnamed })
    }

    /// Writes what was taken in before.
    pub(super) async fn write_sealed(
        &self,
        id: &BlobId,
        sealer: Sealer,
        mut plain: Content<'_>,
    ) -> Result<Unnamed> {
        let mut writing = self.writing(id, sealer).await?;
        while let Some(piece) = plain.next().await {
            writing.push(&piece?, u64::MAX).await?;
        }
        Ok(self.finish(id, writing).await?.1)
    }

    /// A part of an upload that goes on, as a blob of its own: what came of `content`, up to `limit` bytes. Whoever
    /// sends less than they said has sent a part all the same. `seen` is asked of every piece.
    pub(super) async fn write_part(
        &self,
        sealed: &SealedFor,
        id: &BlobId,
        content: &mut Content<'_>,
        limit: u64,
        mut seen: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Part> {
        let (sealer, key) = sealed.sealer(&self.0.keyring).await?;
        let mut writing = self.writing(id, sealer).await?;
        while let Some(piece) = content.next().await {
            // A line that breaks off leaves what came before it.
            let Ok(piece) = piece else { break };
            seen(&piece)?;
            writing.push(&piece, limit).await?;
        }
        let (size, unnamed) = self.finish(id, writing).await?;
        Ok(Part { size, key, unnamed })
    }

    async fn writing(&self, id: &BlobId, sealer: Sealer) -> Result<Writing> {
        Ok(Writing { draft: self.0.blobs.draft(id).await?, sealer, out: Vec::new(), size: 0 })
    }

    /// Makes a blob whole. It is somebody's from before it can be there.
    async fn finish(&self, id: &BlobId, writing: Writing) -> Result<(u64, Unnamed)> {
        let unnamed = self.unnamed(id);
        match writing.finish().await {
            Ok(size) => Ok((size, unnamed)),
            Err(error) => {
                unnamed.remove().await;
                Err(error)
            }
        }
    }
}

/// Content on its way into a draft.
struct Writing {
    draft: Box<dyn Draft>,
    sealer: Sealer,
    out: Vec<u8>,
    size: u64,
}

impl Writing {
    async fn push(&mut self, plain: &[u8], largest: u64) -> Result<()> {
        self.size = self.size.saturating_add(plain.len() as u64);
        if self.size > largest {
            return Err(too_large());
        }
        self.sealer.push(plain, &mut self.out)?;
        if self.out.len() >= PIECE {
            self.draft.write(Bytes::from(std::mem::take(&mut self.out))).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64> {
        self.sealer.finish(&mut self.out)?;
        self.draft.write(Bytes::from(self.out)).await?;
        self.draft.finish().await?;
        Ok(self.size)
    }
}

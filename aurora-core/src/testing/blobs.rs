//! The contract of [`BlobStore`] as a suite that every store runs.
//!
//! ```
//! use aurora_core::files::LocalBlobs;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("aurora-doc-blobs-{}", std::process::id()));
//! let store = LocalBlobs::open(&folder).await?;
//! let passed = aurora_core::testing::blobs::conforms(&store).await?;
//! assert!(passed.len() >= 7);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok(())
//! # }
//! ```

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::env::SystemEntropy;
use crate::files::{BlobId, BlobStore};
use crate::types::{BoxFuture, Code, Error, Result, Timestamp};

type Check = for<'a> fn(&'a dyn BlobStore) -> BoxFuture<'a, Result<()>>;

/// More than a store hands on, or sends, at once.
const LARGE: usize = 9_000_001;

macro_rules! checks {
    ($($name:ident,)+) => {
        const CHECKS: &[(&str, Check)] = &[$((stringify!($name), |store| Box::pin($name(store))),)+];
    };
}

checks! {
    a_blob_comes_back_as_written,
    a_range_is_that_range,
    what_is_not_finished_is_not_there,
    what_is_not_there_is_told,
    what_is_removed_is_gone,
    a_name_is_written_once,
    blobs_are_listed_page_by_page,
    old_drafts_are_removed,
}

/// Runs every check on a store that nobody else uses, and answers their names.
///
/// # Errors
/// [`Code::UnexpectedFailure`], whose cause names the check and what it found.
pub async fn conforms(store: &dyn BlobStore) -> Result<Vec<&'static str>> {
    let mut passed = Vec::new();
    for (name, check) in CHECKS {
        check(store).await.map_err(|error| Error::internal(format!("{name}: {error:?}")))?;
        passed.push(*name);
    }
    Ok(passed)
}

fn is(what: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::internal(format!("not so: {what}"))) }
}

fn pattern(length: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(length).collect()
}

async fn write(store: &dyn BlobStore, content: &[u8]) -> Result<BlobId> {
    let id = BlobId::draw(&SystemEntropy)?;
    let mut draft = store.draft(&id).await?;
    for piece in content.chunks(262_144) {
        draft.write(Bytes::copy_from_slice(piece)).await?;
    }
    draft.finish().await?;
    Ok(id)
}

async fn read(store: &dyn BlobStore, id: &BlobId, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let mut pieces = store.read(id, range).await?;
    let mut read = Vec::new();
    while let Some(piece) = pieces.next().await {
        read.extend_from_slice(&piece?);
    }
    Ok(read)
}

async fn a_blob_comes_back_as_written(store: &dyn BlobStore) -> Result<()> {
    for length in [0, 1, 262_144, LARGE] {
        let content = pattern(length);
        let id = write(store, &content).await?;
        is("the same bytes", read(store, &id, 0..length as u64).await? == content)?;
        store.remove(&id).await?;
    }
    Ok(())
}

async fn a_range_is_that_range(store: &dyn BlobStore) -> Result<()> {
    let content = pattern(700_000);
    let id = write(store, &content).await?;
    for range in [0..0_usize, 0..1, 262_143..262_145, 699_999..700_000, 5..700_000] {
        let found = read(store, &id, range.start as u64..range.end as u64).await?;
        is("those bytes", Some(found.as_slice()) == content.get(range))?;
    }
    is("a range beyond the end is an error", read(store, &id, 0..700_001).await.is_err())?;
    store.remove(&id).await
}

async fn what_is_not_finished_is_not_there(store: &dyn BlobStore) -> Result<()> {
    let id = BlobId::draw(&SystemEntropy)?;
    let mut draft = store.draft(&id).await?;
    draft.write(Bytes::from(pattern(300_000))).await?;
    is("a draft is not read", is_gone(store, &id).await?)?;
    drop(draft);
    is("nor one that was dropped", is_gone(store, &id).await?)?;
    is("nor listed", store.list(None, 1000).await?.iter().all(|stored| stored.id != id))
}

async fn is_gone(store: &dyn BlobStore, id: &BlobId) -> Result<bool> {
    match read(store, id, 0..1).await {
        Err(error) if error.code() == Code::NotFound => Ok(true),
        Err(error) => Err(error),
        Ok(_) => Ok(false),
    }
}

async fn what_is_not_there_is_told(store: &dyn BlobStore) -> Result<()> {
    let id = BlobId::draw(&SystemEntropy)?;
    is("it is not found", is_gone(store, &id).await?)?;
    store.remove(&id).await
}

async fn what_is_removed_is_gone(store: &dyn BlobStore) -> Result<()> {
    let id = write(store, b"gone soon").await?;
    store.remove(&id).await?;
    is("it is not found", is_gone(store, &id).await?)?;
    store.remove(&id).await
}

async fn a_name_is_written_once(store: &dyn BlobStore) -> Result<()> {
    let id = write(store, b"first").await?;
    let second = async {
        let mut draft = store.draft(&id).await?;
        draft.write(Bytes::from_static(b"second")).await?;
        draft.finish().await
    };
    is("a second draft fails", second.await.is_err())?;
    is("the first stays", read(store, &id, 0..5).await? == b"first")?;
    store.remove(&id).await
}

async fn blobs_are_listed_page_by_page(store: &dyn BlobStore) -> Result<()> {
    let mut ids = Vec::new();
    for length in 0..7 {
        ids.push((write(store, &pattern(length)).await?, length as u64));
    }
    ids.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(after.as_ref(), 3).await?;
        is("no page is too long", page.len() <= 3)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        is("its time is told", page.iter().all(|stored| stored.modified > Timestamp::from_seconds(0)))?;
        found.extend(page.into_iter().map(|stored| (stored.id, stored.size)));
    }
    is("all, by name, with their sizes", found == ids)?;
    for (id, _) in ids {
        store.remove(&id).await?;
    }
    Ok(())
}

async fn old_drafts_are_removed(store: &dyn BlobStore) -> Result<()> {
    let id = BlobId::draw(&SystemEntropy)?;
    let mut draft = store.draft(&id).await?;
    draft.write(Bytes::from(pattern(10))).await?;
    let young = store.remove_drafts(Timestamp::from_seconds(1)).await?;
    is("young ones are left alone", young == 0)?;
    draft.finish().await?;
    store.remove(&id).await
}

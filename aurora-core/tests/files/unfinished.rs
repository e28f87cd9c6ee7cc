//! Uploads that stop, are stopped, or meet something else on their way.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aurora_core::crypto::{KeyOwner, Purpose};
use aurora_core::env::{ManualClock, SystemEntropy};
use aurora_core::files::{
    Asker, BlobId, BlobStore, Content, Draft, Existing, FileOptions, LocalBlobs, Resumable, StoredBlob,
    Upload, Uploaded, no_such_blob,
};
use aurora_core::types::{Code, Error, Principal, Result, Timestamp, UserId};
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::store::{OWN_FOLDER, Store, builder, pattern, scratch, url_of};

/// A store that a test holds up, or that fails.
#[derive(Clone, Debug)]
struct Tricky {
    inner: LocalBlobs,
    /// How many drafts work until they fail.
    drafts: Arc<AtomicU64>,
    /// How many reads find nothing.
    lost: Arc<AtomicU64>,
    /// Blobs that cannot be removed.
    stuck: Arc<Mutex<Vec<BlobId>>>,
    /// Whoever has finished a blob waits here.
    gate: Arc<Mutex<Option<Gate>>>,
}

#[derive(Clone, Debug)]
struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// Waits until somebody is at it.
    async fn reached(&self) {
        let passed = tokio::time::timeout(Duration::from_secs(20), self.reached.acquire()).await;
        passed.unwrap().unwrap().forget();
    }

    fn open(&self) {
        self.open.add_permits(1);
    }
}

impl Tricky {
    /// Holds up whoever finishes a blob next.
    fn gate(&self) -> Gate {
        let gate = Gate { reached: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) };
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }
}

fn full() -> Error {
    Error::overloaded(5).with_source("no space left on device")
}

/// Takes one of what is left of a number.
fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl BlobStore for Tricky {
    async fn draft(&self, id: &BlobId) -> Result<Box<dyn Draft>> {
        if !take(&self.drafts) {
            return Err(full());
        }
        Ok(Box::new(TrickyDraft { inner: self.inner.draft(id).await?, gate: Arc::clone(&self.gate) }))
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        if take(&self.lost) {
            return Err(no_such_blob());
        }
        self.inner.read(id, range).await
    }

    async fn remove(&self, id: &BlobId) -> Result<()> {
        if self.stuck.lock().unwrap().contains(id) {
            return Err(full());
        }
        self.inner.remove(id).await
    }

    async fn list(&self, after: Option<&BlobId>, limit: usize) -> Result<Vec<StoredBlob>> {
        self.inner.list(after, limit).await
    }

    async fn remove_drafts(&self, horizon: Timestamp) -> Result<u64> {
        self.inner.remove_drafts(horizon).await
    }
}

struct TrickyDraft {
    inner: Box<dyn Draft>,
    gate: Arc<Mutex<Option<Gate>>>,
}

#[async_trait]
impl Draft for TrickyDraft {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.inner.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        self.inner.finish().await?;
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.reached.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        Ok(())
    }
}

/// A store that can be held up, and a user.
struct Held {
    store: Store,
    blobs: Tricky,
    ann: Asker,
    id: String,
}

impl Held {
    async fn set(options: impl FnOnce(&mut FileOptions)) -> Self {
        let folder = scratch();
        let url = url_of(&folder).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let blobs = Tricky {
            inner: LocalBlobs::open(folder.join("files")).await.unwrap(),
            drafts: Arc::new(AtomicU64::new(u64::MAX)),
            lost: Arc::default(),
            stuck: Arc::default(),
            gate: Arc::default(),
        };
        let builder = builder(&folder, &url, OWN_FOLDER, &clock).blobs(Arc::new(blobs.clone()));
        let aurora = builder.file_options(options).build().await.unwrap();
        let store = Store { aurora, clock, folder, url, policies: OWN_FOLDER.to_owned() };
        store.bucket("notes", &json!({})).await;
        let id = store.user("ann@example.com").await.id;
        let ann = Asker::new(Principal::user(id.parse::<UserId>().unwrap()));
        Self { store, blobs, ann, id }
    }

    fn upload_of(&self, name: &str, existing: Existing) -> Upload {
        let mut upload =
            Upload::new("notes".parse().unwrap(), format!("{}/{name}", self.id).parse().unwrap());
        upload.existing = existing;
        upload
    }

    async fn put(&self, name: &str, content: &[u8]) -> Result<Uploaded> {
        let upload = self.upload_of(name, Existing::Replace);
        self.store.files().upload(&self.ann, &upload, pieces(content)).await
    }

    /// The same on its own, so that it can be held up and dropped.
    fn putting(&self, name: &str, content: &[u8]) -> tokio::task::JoinHandle<Result<Uploaded>> {
        let (files, ann) = (self.store.files().clone(), self.ann.clone());
        let (upload, content) = (self.upload_of(name, Existing::Replace), pieces(content));
        tokio::spawn(async move { files.upload(&ann, &upload, content).await })
    }

    async fn begin(&self, name: &str, length: u64) -> Result<Resumable> {
        let mut upload = self.upload_of(name, Existing::Refuse);
        upload.length = Some(length);
        self.store.files().begin_upload(&self.ann, &upload).await
    }

    async fn go_on(&self, id: &str, position: u64, content: &[u8]) -> Result<Resumable> {
        self.store.files().continue_upload(&self.ann, id, position, None, pieces(content)).await
    }

    async fn read(&self, name: &str) -> Option<Vec<u8>> {
        let name = format!("{}/{name}", self.id).parse().unwrap();
        let download = self.store.files().download(&self.ann, &"notes".parse().unwrap(), &name).await.ok()?;
        let mut pieces = download.content(0..download.size()).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        Some(bytes)
    }

    /// Waits until that many blobs lie on the disk.
    async fn settles_at(&self, blobs: usize) {
        for _ in 0..200 {
            if (self.store.blobs_on_disk(), self.store.drafts_on_disk()) == (blobs, 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} blobs, {} drafts", self.store.blobs_on_disk(), self.store.drafts_on_disk());
    }
}

fn pieces(content: &[u8]) -> Content<'static> {
    let pieces: Vec<_> = content.chunks(10_000).map(Bytes::copy_from_slice).map(Ok).collect();
    futures_util::stream::iter(pieces).boxed()
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

/// Whoever hears that all of it is there has a file: what failed at the end is done again when it is asked for.
#[tokio::test]
async fn a_full_upload_is_a_file_or_an_error() {
    let held = Held::set(|_| {}).await;
    let begun = held.begin("a", 30_000).await.unwrap();
    held.blobs.drafts.store(1, Ordering::SeqCst);
    assert_eq!(code(held.go_on(&begun.id, 0, &pattern(30_000)).await), Code::OverCapacity);
    for _ in 0..2 {
        let standing = held.store.files().upload_standing(&held.ann, &begun.id).await;
        assert_eq!(code(standing), Code::OverCapacity, "its parts are all there, and no file is");
    }
    held.blobs.drafts.store(u64::MAX, Ordering::SeqCst);
    let standing = held.store.files().upload_standing(&held.ann, &begun.id).await.unwrap();
    assert!(standing.finished.is_some() && standing.position == 30_000);
    assert!(held.read("a").await == Some(pattern(30_000)));
    assert_eq!((held.store.blobs_on_disk(), held.store.drafts_on_disk()), (1, 0));
}

/// attack F05: a client that goes away at the end leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_dropped_leaves_no_bytes() {
    let held = Held::set(|_| {}).await;
    let gate = held.blobs.gate();
    let putting = held.putting("a", &pattern(50_000));
    gate.reached().await;
    assert_eq!(held.store.blobs_on_disk(), 1, "it is whole, and no row names it");
    putting.abort();
    held.settles_at(0).await;
    // A part, the same way.
    let begun = held.begin("b", 30_000).await.unwrap();
    let gate = held.blobs.gate();
    let (files, ann, id) = (held.store.files().clone(), held.ann.clone(), begun.id.clone());
    let part =
        tokio::spawn(
            async move { files.continue_upload(&ann, &id, 0, None, pieces(&pattern(20_000))).await },
        );
    gate.reached().await;
    part.abort();
    held.settles_at(0).await;
    assert!(held.store.rows("SELECT id FROM aurora_blobs").await.is_empty());
}

/// attack F05: what is on its way counts, before any row does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_counted() {
    let held = Held::set(|options| {
        options.quota = Some(100_000);
        options.uploads_at_once = 2;
    })
    .await;
    let gate = held.blobs.gate();
    let first = held.putting("a", &pattern(60_000));
    gate.reached().await;
    assert_eq!(code(held.put("b", &pattern(50_000)).await), Code::QuotaExceeded);
    let begun = held.begin("c", 35_000).await.unwrap();
    held.go_on(&begun.id, 0, &pattern(30_000)).await.unwrap();
    assert_eq!(code(held.begin("d", 35_000).await), Code::QuotaExceeded, "said before it comes");
    assert_eq!(held.store.blobs_on_disk(), 2);
    held.store.files().cancel_upload(&held.ann, &begun.id).await.unwrap();
    let other = held.blobs.gate();
    let second = held.putting("b", &pattern(10_000));
    other.reached().await;
    assert_eq!(code(held.put("c", b"x").await), Code::OverRequestRateLimit, "two at once");
    for gate in [gate, other] {
        gate.open();
    }
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    // What ended is counted no more, and what is replaced leaves its room.
    held.put("a", &pattern(85_000)).await.unwrap();
    assert_eq!(code(held.put("c", &pattern(6_000)).await), Code::QuotaExceeded);
    held.put("c", &pattern(5_000)).await.unwrap();
}

/// A rotation that takes a part's bytes away under the last step costs a try, never the upload.
#[tokio::test]
async fn parts_that_lie_elsewhere_are_looked_for_again() {
    let held = Held::set(|_| {}).await;
    let begun = held.begin("a", 30_000).await.unwrap();
    held.go_on(&begun.id, 0, &pattern(30_000)[..20_000]).await.unwrap();
    held.blobs.lost.store(1, Ordering::SeqCst);
    let done = held.go_on(&begun.id, 20_000, &pattern(30_000)[20_000..]).await.unwrap();
    assert!(done.finished.is_some());
    assert!(held.read("a").await == Some(pattern(30_000)));
    // Gone for longer: an error that passes, and the upload is there yet.
    let begun = held.begin("b", 10_000).await.unwrap();
    held.blobs.lost.store(2, Ordering::SeqCst);
    assert_eq!(code(held.go_on(&begun.id, 0, &pattern(10_000)).await), Code::OverCapacity);
    assert!(held.store.files().upload_standing(&held.ann, &begun.id).await.unwrap().finished.is_some());
    assert!(held.read("b").await == Some(pattern(10_000)));
    // The rotation itself, between two parts.
    let begun = held.begin("c", 30_000).await.unwrap();
    held.go_on(&begun.id, 0, &pattern(30_000)[..20_000]).await.unwrap();
    let keys = held.store.aurora.keys();
    let next = keys.rotate(&KeyOwner::User(held.id.parse().unwrap()), Purpose::File).await.unwrap();
    keys.activate(next).await.unwrap();
    keys.advance().await.unwrap();
    held.go_on(&begun.id, 20_000, &pattern(30_000)[20_000..]).await.unwrap();
    assert!(held.read("c").await == Some(pattern(30_000)));
}

/// attack F05: uploads that nobody finishes are rows, and have a bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_uploads_stay_unfinished() {
    let held = Held::set(|options| options.unfinished_uploads = 3).await;
    let begun = (0..12).map(|number| {
        let held = &held;
        async move { held.begin(&format!("{number}"), 10).await }
    });
    let begun = futures_util::future::join_all(begun).await;
    let (begun, refused): (Vec<_>, Vec<_>) = begun.into_iter().partition(|begun| begun.is_ok());
    assert_eq!(begun.len(), 3, "{refused:?}");
    assert!(refused.into_iter().all(|refused| code(refused) == Code::QuotaExceeded));
    assert_eq!(held.store.rows("SELECT id FROM aurora_uploads").await.len(), 3);
    let first = begun[0].as_ref().unwrap().id.clone();
    held.store.files().cancel_upload(&held.ann, &first).await.unwrap();
    held.begin("next", 10).await.unwrap();
    assert_eq!(code(held.begin("over", 10).await), Code::QuotaExceeded);
    held.store.clock.advance(Duration::from_secs(90_000));
    held.begin("later", 10).await.unwrap();
}

/// What was given up while its last step ran shows no file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_upload_never_shows() {
    let held = Held::set(|_| {}).await;
    let begun = held.begin("a", 20_000).await.unwrap();
    held.go_on(&begun.id, 0, &pattern(20_000)[..10_000]).await.unwrap();
    held.blobs.drafts.store(1, Ordering::SeqCst);
    // The last part is there, its file is not.
    assert_eq!(code(held.go_on(&begun.id, 10_000, &pattern(20_000)[10_000..]).await), Code::OverCapacity);
    held.blobs.drafts.store(u64::MAX, Ordering::SeqCst);
    let gate = held.blobs.gate();
    let (files, ann, id) = (held.store.files().clone(), held.ann.clone(), begun.id.clone());
    let finishing = tokio::spawn(async move { files.upload_standing(&ann, &id).await });
    gate.reached().await;
    held.store.files().cancel_upload(&held.ann, &begun.id).await.unwrap();
    gate.open();
    assert_eq!(code(finishing.await.unwrap()), Code::UploadConflict);
    assert_eq!(held.read("a").await, None);
    held.settles_at(0).await;
    assert_eq!(held.store.rows("SELECT bytes FROM aurora_file_usage").await[0][0].as_deref(), Some("0"));
}

/// A URL that was signed for a file opens that file alone, whatever became of its name under an upload's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_went_is_not_made_again() {
    let held = Held::set(|_| {}).await;
    let (bucket, name) = ("notes".parse().unwrap(), format!("{}/a", held.id).parse().unwrap());
    let former = held.put("a", b"former").await.unwrap();
    let files = held.store.files();
    let token = files.sign_download(&held.ann, &bucket, &name, Duration::from_secs(60)).await.unwrap();
    let gate = held.blobs.gate();
    let putting = held.putting("a", b"another");
    gate.reached().await;
    files.remove(&held.ann, &bucket, std::slice::from_ref(&name)).await.unwrap();
    gate.open();
    let another = putting.await.unwrap().unwrap();
    assert_ne!(former.id, another.id);
    assert_eq!(code(files.signed_download(&token, &bucket, &name).await), Code::NoSuchObject);
    assert_eq!(held.read("a").await.as_deref(), Some(&b"another"[..]));
    // Moved meanwhile: both are there.
    let gate = held.blobs.gate();
    let putting = held.putting("a", b"the third");
    gate.reached().await;
    let elsewhere = format!("{}/b", held.id).parse().unwrap();
    files.rename(&held.ann, (&bucket, &name), (&bucket, &elsewhere)).await.unwrap();
    gate.open();
    putting.await.unwrap().unwrap();
    assert_eq!(held.read("a").await.as_deref(), Some(&b"the third"[..]));
    assert_eq!(held.read("b").await.as_deref(), Some(&b"another"[..]));
    held.settles_at(2).await;
}

/// Nothing shows of a person who was erased while it came, and nothing of theirs waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_s_uploads_end() {
    let held = Held::set(|_| {}).await;
    let begun = held.begin("part", 20_000).await.unwrap();
    held.go_on(&begun.id, 0, &pattern(10_000)).await.unwrap();
    let gate = held.blobs.gate();
    let putting = held.putting("a", &pattern(10_000));
    gate.reached().await;
    let other = held.blobs.gate();
    let (files, ann, id) = (held.store.files().clone(), held.ann.clone(), begun.id.clone());
    let part =
        tokio::spawn(
            async move { files.continue_upload(&ann, &id, 10_000, None, pieces(&pattern(5_000))).await },
        );
    other.reached().await;
    held.store.aurora.erase(held.id.parse().unwrap(), "she asked").await.unwrap();
    for gate in [gate, other] {
        gate.open();
    }
    assert_eq!(code(putting.await.unwrap()), Code::UserNotFound);
    assert_eq!(code(part.await.unwrap()), Code::UserNotFound);
    for table in ["storage_objects", "aurora_uploads"] {
        assert!(held.store.rows(&format!("SELECT id FROM {table}")).await.is_empty(), "{table}");
    }
    held.store.files().sweep().await.unwrap();
    held.settles_at(0).await;
}

/// The same where a key alone was destroyed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_shows_under_a_destroyed_key() {
    let held = Held::set(|_| {}).await;
    let gate = held.blobs.gate();
    let putting = held.putting("a", &pattern(10_000));
    gate.reached().await;
    held.store.execute("UPDATE aurora_keys SET state = 'destroyed' WHERE purpose = 'file'").await;
    gate.open();
    assert_eq!(code(putting.await.unwrap()), Code::KeyDestroyed);
    assert!(held.store.rows("SELECT id FROM storage_objects").await.is_empty());
    held.settles_at(0).await;
}

/// One blob that cannot be removed keeps no other from it.
#[tokio::test]
async fn a_stuck_blob_does_not_end_the_sweep() {
    let held = Held::set(|_| {}).await;
    for name in ["a", "b", "c"] {
        held.put(name, &pattern(1_000)).await.unwrap();
    }
    let versions = held.store.rows("SELECT version FROM storage_objects ORDER BY version").await;
    let stuck: BlobId = versions[0][0].clone().unwrap().parse().unwrap();
    let orphan = BlobId::draw(&SystemEntropy).unwrap();
    for id in [&orphan, &BlobId::draw(&SystemEntropy).unwrap()] {
        let mut draft = held.blobs.draft(id).await.unwrap();
        draft.write(Bytes::from_static(b"orphan")).await.unwrap();
        draft.finish().await.unwrap();
    }
    *held.blobs.stuck.lock().unwrap() = vec![stuck, orphan];
    held.store.execute("DELETE FROM storage_objects").await;
    held.store.clock.advance(Duration::from_secs(2 * 86_400));
    held.store.files().sweep().await.unwrap();
    let report = held.store.files().sweep().await.unwrap();
    assert_eq!(held.store.blobs_on_disk(), 2, "{report:?}");
    held.blobs.stuck.lock().unwrap().clear();
    let report = held.store.files().sweep().await.unwrap();
    assert_eq!((report.doomed, report.orphans, held.store.blobs_on_disk()), (1, 1, 0), "{report:?}");
}

//! Disks that fail and fill up (faults K16, K17).

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aurora_core::env::ManualClock;
use aurora_core::files::{Asker, BlobId, BlobStore, Draft, Existing, LocalBlobs, StoredBlob, Upload};
use aurora_core::types::{Code, Error, Principal, Result, Timestamp, UserId};
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::store::{OWN_FOLDER, Store, builder, pattern, scratch, url_of};

const ANN: &str = "6f1c5d0e-7a55-4f0f-9c11-2d5a3b9e4f01";

fn ann() -> Asker {
    Asker::new(Principal::user(ANN.parse::<UserId>().unwrap()))
}

async fn put(store: &Store, content: &[u8]) -> Result<()> {
    let mut upload = Upload::new("notes".parse().unwrap(), format!("{ANN}/f.bin").parse().unwrap());
    upload.existing = Existing::Replace;
    let pieces: Vec<_> = content.chunks(100_000).map(Bytes::copy_from_slice).map(Ok).collect();
    store.files().upload(&ann(), &upload, futures_util::stream::iter(pieces).boxed()).await.map(drop)
}

async fn get(store: &Store) -> Option<Vec<u8>> {
    let name = format!("{ANN}/f.bin").parse().unwrap();
    let download = store.files().download(&ann(), &"notes".parse().unwrap(), &name).await.ok()?;
    let mut pieces = download.content(0..download.size()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    Some(bytes)
}

/// A store whose nth step fails.
#[derive(Clone, Debug)]
struct Failing {
    inner: LocalBlobs,
    left: Arc<AtomicU64>,
}

impl Failing {
    fn step(&self) -> Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1 => Err(Error::overloaded(5).with_source("no space left on device")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl BlobStore for Failing {
    async fn draft(&self, id: &BlobId) -> Result<Box<dyn Draft>> {
        self.step()?;
        Ok(Box::new(FailingDraft { inner: self.inner.draft(id).await?, store: self.clone() }))
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.inner.read(id, range).await
    }

    async fn remove(&self, id: &BlobId) -> Result<()> {
        self.step()?;
        self.inner.remove(id).await
    }

    async fn list(&self, after: Option<&BlobId>, limit: usize) -> Result<Vec<StoredBlob>> {
        self.inner.list(after, limit).await
    }

    async fn remove_drafts(&self, horizon: Timestamp) -> Result<u64> {
        self.inner.remove_drafts(horizon).await
    }
}

struct FailingDraft {
    inner: Box<dyn Draft>,
    store: Failing,
}

#[async_trait]
impl Draft for FailingDraft {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.store.step()?;
        self.inner.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        self.store.step()?;
        self.inner.finish().await
    }
}

/// faults K17: whichever step of a replacement fails, the file is the old one or the new one, whole.
#[tokio::test]
async fn whichever_step_fails_the_file_is_whole() {
    let folder = scratch();
    let url = url_of(&folder).await;
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let inner = LocalBlobs::open(folder.join("files")).await.unwrap();
    let failing = Failing { inner, left: Arc::new(AtomicU64::new(0)) };
    let aurora =
        builder(&folder, &url, OWN_FOLDER, &clock).blobs(Arc::new(failing.clone())).build().await.unwrap();
    let store = Store { aurora, clock, folder, url, policies: OWN_FOLDER.to_owned() };
    store.bucket("notes", &json!({})).await;
    store.adopt(ANN).await;
    let (mut was, mut failed) = (pattern(300_000), 0);
    put(&store, &was).await.unwrap();
    for step in 1.. {
        failing.left.store(step, Ordering::SeqCst);
        let is = pattern(600_000 + usize::try_from(step).unwrap());
        let outcome = put(&store, &is).await;
        let untouched = failing.left.swap(0, Ordering::SeqCst) <= step && outcome.is_ok();
        match &outcome {
            // The last step is the removal of the former bytes, which the next sweep does again.
            Ok(()) => was = is,
            Err(error) => {
                failed += 1;
                assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
            }
        }
        assert!(get(&store).await == Some(was.clone()), "step {step}: {outcome:?}");
        assert_eq!(store.drafts_on_disk(), 0, "step {step}");
        store.files().sweep().await.unwrap();
        assert_eq!(store.blobs_on_disk(), 1, "step {step}");
        if untouched && step > 8 {
            break;
        }
    }
    println!("{failed} steps failed");
    assert!(failed >= 4);
}

#[expect(clippy::disallowed_methods, reason = "what the parent says")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The other process: uploads until it is told to stop, and says what became of it.
#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn child() {
    let (Some(folder), Some(url)) = (variable("AURORA_FILES"), variable("AURORA_URL")) else { return };
    let folder = PathBuf::from(folder);
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_300_000)));
    let aurora = match builder(&folder, &url, OWN_FOLDER, &clock).build().await {
        Ok(aurora) => aurora,
        Err(error) => return println!("\nOUTCOME start {}", error.code()),
    };
    let store = Store { aurora, clock, folder, url, policies: OWN_FOLDER.to_owned() };
    let lengths: Vec<usize> =
        variable("AURORA_LENGTHS").unwrap().split(',').map(|one| one.parse().unwrap()).collect();
    for length in lengths {
        let outcome = put(&store, &pattern(length)).await;
        println!(
            "\nOUTCOME {length} {}",
            outcome.map_or_else(|error| error.code().as_str().to_owned(), |()| "ok".to_owned())
        );
    }
    println!("LENGTH {:?}", get(&store).await.map(|bytes| (bytes.len(), bytes == pattern(bytes.len()))));
    println!("LEFT {} {}", store.blobs_on_disk(), store.drafts_on_disk());
}

fn run(mut command: Command, folder: &Path, url: &str, lengths: &str) -> Vec<String> {
    let output = command
        .env("AURORA_FILES", folder)
        .env("AURORA_URL", url)
        .env("AURORA_LENGTHS", lengths)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said =
        text.lines().filter(|line| ["OUTCOME", "LENGTH", "LEFT"].iter().any(|word| line.starts_with(word)));
    let said: Vec<String> = said.map(str::to_owned).collect();
    assert!(!said.is_empty(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

const CHILD: [&str; 5] = ["--ignored", "--exact", "faults::child", "--nocapture", "--test-threads=1"];

/// faults K16: a disk for files that is full is "come back later"; nothing shows, and it goes on when there is room.
/// Where this machine lets nobody mount a small disk, it says so.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_a_clean_error() {
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
        println!("unshare -rm is not allowed here: no disk was filled");
        return;
    }
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    store.adopt(ANN).await;
    put(&store, b"before").await.unwrap();
    let program = std::env::current_exe().unwrap();
    // A disk of 2 MiB in the folder's place, seen by the child alone.
    let script = format!(
        "mount -t tmpfs -o size=2m,nr_inodes=1000 tmpfs '{}' && exec '{}' {}",
        store.folder.join("files").display(),
        program.display(),
        CHILD.join(" ")
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]);
    let said = run(command, &store.folder, &store.url, "100000,5000000,200000,3000000,300000");
    assert_eq!(
        said,
        [
            "OUTCOME 100000 ok",
            "OUTCOME 5000000 over_capacity",
            "OUTCOME 200000 ok",
            "OUTCOME 3000000 over_capacity",
            "OUTCOME 300000 ok",
            "LENGTH Some((300000, true))",
            "LEFT 1 0",
        ]
    );
}

/// faults K17: a sync that fails is an error, and no file shows that it did not make durable.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_sync_that_fails_shows_nothing() {
    if !Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("strace is not here: no sync was made to fail");
        return;
    }
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    store.adopt(ANN).await;
    put(&store, &pattern(50_000)).await.unwrap();
    let (mut clean, mut failed) = (0, 0);
    for nth in 1..40 {
        let mut command = Command::new("strace");
        let inject = format!("inject=fsync:error=EIO:when={nth}");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", &inject]);
        command.arg(std::env::current_exe().unwrap()).args(CHILD);
        let said = run(command, &store.folder, &store.url, "70000");
        if said[0].starts_with("OUTCOME start") {
            // It did not start, and touched nothing.
            continue;
        }
        let ok = said[0] == "OUTCOME 70000 ok";
        assert!(ok || said[0] == "OUTCOME 70000 over_capacity", "fsync {nth}: {said:?}");
        assert!(
            said[1] == "LENGTH Some((70000, true))" || (!ok && said[1] == "LENGTH Some((50000, true))"),
            "fsync {nth}: {said:?}"
        );
        failed += u32::from(!ok);
        clean = if ok { clean + 1 } else { 0 };
        store.clock.advance(std::time::Duration::from_secs(400_000));
        store.files().sweep().await.unwrap();
        assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (1, 0), "fsync {nth}: {said:?}");
        put(&store, &pattern(50_000)).await.unwrap();
        if failed > 0 && clean > 3 {
            break;
        }
    }
    println!("{failed} failed syncs of an upload");
    assert!(failed > 0);
}

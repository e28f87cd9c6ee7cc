//! kill -9 in the middle of uploads, replacements and deletions (faults K08). `AURORA_ROUNDS` says how often.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use aurora_core::files::{Asker, Existing, Upload};
use aurora_core::types::{Principal, UserId};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::store::{OWN_FOLDER, Store, pattern};

/// Whose files they are.
const ANN: &str = "6f1c5d0e-7a55-4f0f-9c11-2d5a3b9e4f01";
/// Seconds between rounds: what a round left is old in the next.
const ROUND: i64 = 200_000;

#[expect(clippy::disallowed_methods, reason = "`scripts/test --long` says how often")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn ann() -> Asker {
    Asker::new(Principal::user(ANN.parse::<UserId>().unwrap()))
}

/// What is done in a step: a name, and the length of its new content, or its end.
fn step(number: u64) -> (String, Option<usize>) {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let name = format!("{ANN}/{}", mixed % 4);
    (name, (!mixed.is_multiple_of(5)).then_some((mixed % 200_000) as usize))
}

/// The content of a step, recognised by its first bytes.
fn content(number: u64, length: usize) -> Vec<u8> {
    [number.to_be_bytes().to_vec(), pattern(length)].concat()
}

async fn apply(store: &Store, number: u64) {
    let (name, length) = step(number);
    let (bucket, name) = ("notes".parse().unwrap(), name.parse().unwrap());
    let Some(length) = length else {
        store.files().remove(&ann(), &bucket, &[name]).await.unwrap();
        return;
    };
    let mut upload = Upload::new(bucket, name);
    upload.existing = Existing::Replace;
    let pieces: Vec<_> = content(number, length).chunks(30_000).map(Bytes::copy_from_slice).map(Ok).collect();
    store.files().upload(&ann(), &upload, futures_util::stream::iter(pieces).boxed()).await.unwrap();
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn child() {
    let Some(folder) = variable("AURORA_FILES") else { return };
    let (url, clock) = (variable("AURORA_URL").unwrap(), variable("AURORA_NOW").unwrap().parse().unwrap());
    let store = Store::again(&PathBuf::from(folder), &url, OWN_FOLDER, clock).await;
    let first: u64 = variable("AURORA_STEP").unwrap().parse().unwrap();
    for number in first.. {
        say(&format!("TRY {number}"));
        apply(&store, number).await;
        say(&format!("DONE {number}"));
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what}").unwrap();
    out.flush().unwrap();
}

/// Lets another process work and kills it: the last step that it tried and the last that it did.
fn run_and_kill(store: &Store, first: u64, now: i64, after: Duration) -> (u64, Option<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env("AURORA_FILES", &store.folder)
        .env("AURORA_URL", &store.url)
        .env("AURORA_NOW", now.to_string())
        .env("AURORA_STEP", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    let _began = lines.by_ref().find(|line| line.starts_with("TRY "));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let (mut tried, mut done) = (first, None);
    for line in lines {
        if let Some(number) = line.strip_prefix("TRY ") {
            tried = number.parse().unwrap();
        } else if let Some(number) = line.strip_prefix("DONE ") {
            done = Some(number.parse().unwrap());
        }
    }
    killer.join().unwrap();
    (tried, done)
}

/// attack F06, faults K08: what was acknowledged is there whole, what was under way is there whole or not at all, and
/// after a sweep rows and bytes agree both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_whole_files_and_nothing_else() {
    let rounds: u64 = variable("AURORA_ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(12);
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    store.adopt(ANN).await;
    let mut known: BTreeMap<String, Option<u64>> = BTreeMap::new();
    let (mut next, mut steps, mut landed, mut swept) = (0, 0, 0, 0);
    let mut now = 1_800_000_000;
    for round in 0..rounds {
        now += ROUND;
        let after = Duration::from_micros(2_000 + round * 7_919 % 150_000);
        let (tried, done) = run_and_kill(&store, next, now, after);
        for number in next..=tried {
            let (name, length) = step(number);
            let was = known.get(&name).copied().flatten();
            let is = length.map(|_| number);
            if done.is_some_and(|done| number <= done) {
                known.insert(name, is);
                steps += 1;
                continue;
            }
            // Under way: before or after, nothing between.
            let here = read(&store, &name).await;
            assert!(
                here == was || here == is,
                "round {round}, step {number}: {here:?}, not {was:?} or {is:?}"
            );
            landed += u64::from(here == is && here != was);
            known.insert(name, here);
        }
        next = tried + 1;
        for (name, content) in &known {
            assert_eq!(read(&store, name).await, *content, "round {round}: {name}");
        }
        store.clock.set(aurora_core::types::Timestamp::from_seconds(now + ROUND - 1));
        let report = store.files().sweep().await.unwrap();
        swept += report.orphans + report.doomed + report.drafts + report.unnamed;
        assert_eq!(report.missing, 0, "round {round}: {report:?}");
        // What the first sweep doomed, the second removes.
        store.files().sweep().await.unwrap();
        let alive = known.values().flatten().count();
        assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (alive, 0), "round {round}: {report:?}");
        assert_eq!(store.rows("SELECT id FROM storage_objects").await.len(), alive);
        assert_eq!(store.rows("SELECT id FROM aurora_blobs").await.len(), alive);
        let usage = store.rows("SELECT files FROM aurora_file_usage").await;
        assert_eq!(usage.first().map_or(0, |row| row[0].clone().unwrap().parse::<usize>().unwrap()), alive);
    }
    println!(
        "{rounds} kills, {steps} acknowledged steps, {landed} that landed unheard, {swept} leftovers swept"
    );
}

/// Which step's content a name has, all of it.
async fn read(store: &Store, name: &str) -> Option<u64> {
    let found = store.files().download(&ann(), &"notes".parse().unwrap(), &name.parse().unwrap()).await;
    let download = found.ok()?;
    let mut pieces = download.content(0..download.size()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    assert!(bytes == content(number, bytes.len() - 8), "{name} is whole");
    assert_eq!(step(number).1, Some(bytes.len() - 8), "{name} is whole");
    Some(number)
}

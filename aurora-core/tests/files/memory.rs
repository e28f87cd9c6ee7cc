//! How much memory a large file takes.

use std::path::PathBuf;
use std::process::Command;

use aurora_core::files::Upload;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::store::{OWN_FOLDER, Store};

/// The file: larger than any buffer by far.
const LENGTH: u64 = 256 * 1024 * 1024;
/// What it may take above an idle process.
const MOST_KIB: u64 = 64 * 1024;

#[expect(clippy::disallowed_methods, reason = "what the parent says")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The most that this process ever held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn child() {
    let (Some(folder), Some(url)) = (variable("AURORA_FILES"), variable("AURORA_URL")) else { return };
    let store = Store::again(&PathBuf::from(folder), &url, OWN_FOLDER, 1_800_300_000).await;
    let service = store.aurora.files_of_all("a test").await.unwrap();
    let name = |name: &str| Upload::new("notes".parse().unwrap(), name.parse().unwrap());
    let of = |length: u64| {
        let piece = Bytes::from(vec![7; 65_536]);
        futures_util::stream::iter(0..length / 65_536).map(move |_| Ok(piece.clone())).boxed()
    };
    store.files().upload(&service, &name("small"), of(65_536)).await.unwrap();
    let idle = peak_kib();
    store.files().upload(&service, &name("large"), of(LENGTH)).await.unwrap();
    let uploaded = peak_kib();
    let download =
        store.files().download(&service, &"notes".parse().unwrap(), &"large".parse().unwrap()).await.unwrap();
    let mut pieces = download.content(0..download.size()).await.unwrap();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        length += piece.unwrap().len() as u64;
    }
    println!("\nPEAK {length} {idle} {uploaded} {}", peak_kib());
}

/// A file streams through, both ways, whatever its length.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_file_takes_little_memory() {
    let store = Store::set(OWN_FOLDER, |_| {}).await;
    store.bucket("notes", &json!({})).await;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "memory::child", "--nocapture", "--test-threads=1"])
        .env("AURORA_FILES", &store.folder)
        .env("AURORA_URL", &store.url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("PEAK "));
    let line = line.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    let figures: Vec<u64> = line.split_whitespace().skip(1).map(|one| one.parse().unwrap()).collect();
    println!("KiB: idle {}, after the upload {}, after the download {}", figures[1], figures[2], figures[3]);
    assert_eq!(figures[0], LENGTH);
    assert!(figures[3] < figures[1] + MOST_KIB, "{figures:?}");
}

//! Bytes and rows agree again, whatever happened.

use std::time::Duration;

use aurora_core::crypto::{KeyOwner, Purpose, Suite};
use aurora_core::env::SystemEntropy;
use aurora_core::files::{BlobId, BlobStore as _, LocalBlobs};
use bytes::Bytes;
use serde_json::json;

use crate::store::{OWN_FOLDER, Store, pattern};

#[tokio::test]
async fn what_nothing_names_is_swept_and_what_is_missing_is_told() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for name in ["kept", "lost", "deleted"] {
        let ask = store.post(&format!("/object/notes/{}/{name}", ann.id)).bearer(&ann.token);
        assert_eq!(ask.body(pattern(20_000)).send().await.status, 200);
    }
    let blobs = LocalBlobs::open(store.folder.join("files")).await.unwrap();
    // Bytes that no row names, and a draft that nobody finished.
    let orphan = BlobId::draw(&SystemEntropy).unwrap();
    let mut draft = blobs.draft(&orphan).await.unwrap();
    draft.write(Bytes::from_static(b"orphan")).await.unwrap();
    draft.finish().await.unwrap();
    std::fs::write(store.folder.join("files/drafts/abandoned"), b"x").unwrap();
    // A row that a host's own SQL deleted, and bytes that a disk lost.
    store.execute(&format!("DELETE FROM storage_objects WHERE name = '{}/deleted'", ann.id)).await;
    let version = store.rows("SELECT version FROM storage_objects WHERE name LIKE '%/lost'").await[0][0]
        .clone()
        .unwrap();
    std::fs::remove_file(store.folder.join("files").join(&version[..2]).join(&version)).unwrap();
    let young = store.files().sweep().await.unwrap();
    println!("{young:?}");
    // The test's clock is far ahead of the disk's, so that only rows are young.
    assert_eq!((young.unnamed, young.missing), (0, 0), "what is young may be on its way");
    store.clock.advance(Duration::from_secs(2 * 86_400));
    let report = store.files().sweep().await.unwrap();
    assert_eq!((report.unnamed, report.missing), (1, 1), "{report:?}");
    assert_eq!(young.orphans + report.orphans, 1);
    assert_eq!(young.drafts + report.drafts, 1);
    let quiet = store.files().sweep().await.unwrap();
    assert_eq!((quiet.unnamed, quiet.orphans, quiet.drafts, quiet.doomed), (0, 0, 0, 0), "{quiet:?}");
    assert_eq!(store.blobs_on_disk(), 1);
    let ann = store.user("ann@example.com").await;
    assert_eq!(
        store.get(&format!("/object/notes/{}/kept", ann.id)).bearer(&ann.token).send().await.body,
        pattern(20_000)
    );
    let lost = store.get(&format!("/object/notes/{}/lost", ann.id)).bearer(&ann.token).send().await;
    assert_eq!(lost.told().1, "NoSuchKey");
    assert_eq!(store.rows("SELECT files FROM aurora_file_usage").await[0][0].as_deref(), Some("2"));
}

/// Without its record nothing happens: neither the row nor the bytes stay.
#[tokio::test]
async fn without_its_record_no_file_shows() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let path = format!("/object/notes/{}/a", ann.id);
    store.post(&path).bearer(&ann.token).body(b"one".to_vec()).send().await;
    store.execute(crate::store::no_audit()).await;
    let refused = store.ask("PUT", &path).bearer(&ann.token).body(b"two".to_vec()).send().await;
    assert_eq!(refused.status, 500, "{}", refused.text());
    let refused = store.ask("DELETE", &path).bearer(&ann.token).send().await;
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert_eq!(store.get(&path).bearer(&ann.token).send().await.body, b"one");
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (1, 0));
}

/// A key that rotated leaves its files, one after the other, and they stay readable all the while.
#[tokio::test]
async fn a_rotated_key_seals_files_again() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let path = |number: usize| format!("/object/notes/{}/{number}", ann.id);
    for number in 0..3 {
        store.post(&path(number)).bearer(&ann.token).body(pattern(20_000 + number)).send().await;
    }
    store.post("/object/notes/service.bin").service().body(pattern(5)).send().await;
    let keys = store.aurora.keys();
    let owner = KeyOwner::User(ann.id.parse().unwrap());
    let next = keys.rotate(&owner, Purpose::File).await.unwrap();
    keys.activate(next).await.unwrap();
    let progress = keys.advance().await.unwrap();
    assert_eq!((progress.resealed, progress.left), (3, 0), "{progress:?}");
    let mut used = store.rows("SELECT key FROM aurora_blobs WHERE owner <> '' AND doomed_at IS NULL").await;
    used.dedup();
    assert_eq!(used, [[Some(next.to_string())]]);
    for number in 0..3 {
        let got = store.get(&path(number)).bearer(&ann.token).send().await;
        assert_eq!(got.body, pattern(20_000 + number));
    }
    assert_eq!((store.blobs_on_disk(), keys.advance().await.unwrap().resealed), (4, 0));
    let usage = store.rows("SELECT bytes, files FROM aurora_file_usage WHERE owner <> ''").await;
    assert_eq!(usage[0], [Some("60003".to_owned()), Some("3".to_owned())]);
}

/// Files of the other suite are read from the middle, by a service that seals by the default one; a rotation leaves none.
#[tokio::test]
async fn files_of_another_suite_are_read_and_sealed_again() {
    let store = Store::sealing(OWN_FOLDER, Suite::Stream256).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let path = format!("/object/notes/{}/one", ann.id);
    store.post(&path).bearer(&ann.token).body(pattern(50_000)).send().await;
    store.aurora.close().await;
    let store = Store::again(&store.folder, &store.url, OWN_FOLDER, 1_800_000_000).await;
    let read = async || {
        assert_eq!(store.get(&path).bearer(&ann.token).send().await.body, pattern(50_000));
        let part = store.get(&path).bearer(&ann.token).with("range", "bytes=16380-33000").send().await;
        assert_eq!(part.body, pattern(50_000)[16_380..=33_000]);
    };
    let suites = || -> Vec<u8> {
        let folders = std::fs::read_dir(store.folder.join("files")).unwrap().map(Result::unwrap);
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap));
        files.map(|file| std::fs::read(file.path()).unwrap()[3]).collect()
    };
    read().await;
    assert_eq!(suites(), [2]);
    let keys = store.aurora.keys();
    let owner = KeyOwner::User(ann.id.parse().unwrap());
    let next = keys.rotate(&owner, Purpose::File).await.unwrap();
    keys.activate(next).await.unwrap();
    assert_eq!(keys.advance().await.unwrap().resealed, 1);
    read().await;
    assert_eq!(suites(), [1]);
}

/// Files that do not open hold up nobody's: they are told, and stay as they are.
#[tokio::test]
async fn a_lost_file_does_not_keep_others_from_their_turn() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for number in 0..4 {
        let path = format!("/object/notes/{}/{number}", ann.id);
        store.post(&path).bearer(&ann.token).body(pattern(100)).send().await;
    }
    let rows = store.rows("SELECT id FROM aurora_blobs ORDER BY id").await;
    let name = |at: usize| rows[at][0].clone().unwrap();
    let file = |name: &str| store.folder.join("files").join(&name[..2]).join(name);
    std::fs::remove_file(file(&name(0))).unwrap();
    std::fs::write(file(&name(1)), [0; 181]).unwrap();
    let keys = store.aurora.keys();
    let next = keys.rotate(&KeyOwner::User(ann.id.parse().unwrap()), Purpose::File).await.unwrap();
    keys.activate(next).await.unwrap();
    let progress = keys.advance().await.unwrap();
    assert_eq!((progress.resealed, progress.left), (2, 2), "{progress:?}");
}

/// Whoever is erased leaves no file: no row, and bytes that no key opens until they are swept.
#[tokio::test]
async fn who_is_erased_leaves_no_file() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    for user in [&ann, &bob] {
        let ask = store.post(&format!("/object/notes/{}/f", user.id)).bearer(&user.token);
        assert_eq!(ask.body(pattern(100)).send().await.status, 200);
    }
    let told = store.aurora.export(ann.id.parse().unwrap(), "she asked").await.unwrap();
    assert_eq!(told["files"][0]["name"], format!("{}/f", ann.id));
    store.aurora.erase(ann.id.parse().unwrap(), "she asked").await.unwrap();
    let rows = store.rows("SELECT owner_id FROM storage_objects").await;
    assert_eq!(rows, [[Some(bob.id.clone())]]);
    let report = store.files().sweep().await.unwrap();
    assert_eq!((report.doomed, store.blobs_on_disk()), (1, 1), "{report:?}");
    let got = store.get(&format!("/object/notes/{}/f", bob.id)).bearer(&bob.token).send().await;
    assert_eq!(got.body, pattern(100));
}

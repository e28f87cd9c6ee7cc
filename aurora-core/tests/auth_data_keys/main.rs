//! Data keys: rotated while the service runs, sealed again, destroyed; and the root key replaced (faults K07, K22, K23).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and prints what it ran"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/rng.rs"]
mod rng;
#[path = "../common/totp.rs"]
mod totp;

mod suites;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aurora_core::audit::DatabaseAudit;
use aurora_core::crypto::{
    Context, DatabaseKeys, KeyFile, KeyFileProvider, KeyOwner, KeyPlace, KeyState, Keyring, Opener, Purpose,
};
use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::keys::{Backups, DataKeyInfo, DataKeys, DataKeysParts};
use aurora_core::types::Code;
use common::{Fixture, Options};
use serde_json::{Value, json};
use totp::code_at;

const DAY: u64 = 86_400;

/// Two processes on one database.
async fn two() -> (Fixture, Fixture) {
    let first = Options::default();
    let (path, start_key) = (first.path.clone(), first.start_key.clone());
    let here = Fixture::with(first).await;
    (here, Fixture::with(Options { path, start_key, ..Options::default() }).await)
}

fn tenant(name: &str) -> KeyOwner {
    KeyOwner::Tenant(name.parse().unwrap())
}

fn cell<'a>(owner: &'a KeyOwner, row: &'a [u8]) -> Context<'a> {
    Context::Field { owner, table: "patients", column: "diagnosis", row }
}

async fn all(keys: &DataKeys) -> Vec<DataKeyInfo> {
    keys.list(0).await.unwrap()
}

async fn state(keys: &DataKeys, id: u32) -> KeyState {
    all(keys).await.into_iter().find(|key| key.id == id).unwrap().state
}

/// asvs(V11.2.2)
#[tokio::test]
async fn what_a_former_key_sealed_is_sealed_again_while_the_service_runs() {
    let (here, there) = two().await;
    let ann = here.sign_up("ann@example.com").await.access();
    let factor = here
        .call("POST", "/factors", Some(&ann), json!({ "factor_type": "totp", "friendly_name": "phone" }))
        .await;
    let (id, secret) = (
        factor.json["id"].as_str().unwrap().to_owned(),
        factor.json["totp"]["secret"].as_str().unwrap().to_owned(),
    );
    // A mail waits, and a link to choose a new password with.
    here.call("POST", "/recover", None, json!({ "email": "ann@example.com" })).await;
    let (keys, theirs) = (here.data_keys(), there.data_keys());
    let sealed = "SELECT count(*) FROM aurora_outbox";
    assert!(here.count(sealed).await > 0);

    let next = keys.rotate(&KeyOwner::Service, Purpose::Credential).await.unwrap();
    assert_eq!(theirs.rotate(&KeyOwner::Service, Purpose::Credential).await.unwrap(), next, "one at a time");
    assert_eq!(state(&keys, next).await, KeyState::Pending);
    assert_eq!(keys.advance().await.unwrap().activated, 0, "not before every process knows it");
    // Its minute is over: the other process has read it by then, before it is used.
    here.advance(60);
    there.advance(60);
    there.keyring.reload().await.unwrap();
    let progress = keys.advance().await.unwrap();
    assert_eq!((progress.activated, progress.left), (1, 0));
    assert!(progress.resealed >= 2, "{progress:?}");
    assert_eq!(
        theirs.advance().await.unwrap(),
        aurora_core::keys::Progress::default(),
        "nothing is left to do"
    );
    assert_eq!((state(&keys, 5).await, state(&keys, next).await), (KeyState::DecryptOnly, KeyState::Active));
    assert!(keys.left().await.unwrap().is_empty());

    // Both processes read what is sealed under the new key, and what was hashed is found.
    let code = code_at(&secret, there.now().as_seconds());
    let challenge = there.call("POST", &format!("/factors/{id}/challenge"), Some(&ann), json!({})).await;
    let body = json!({ "challenge_id": challenge.json["id"], "code": code });
    let verified = there.call("POST", &format!("/factors/{id}/verify"), Some(&ann), body).await;
    assert_eq!(verified.status, 200, "{}", verified.text);
    assert!(here.send_mails().await > 0, "the mail opens");
    let actions: Vec<String> = here.actions_since(0).await;
    for action in ["data_key_published", "data_key_rotated"] {
        assert_eq!(actions.iter().filter(|known| *known == action).count(), 1, "{action}");
    }
    // It hashed what is looked up: it stays.
    here.advance(31 * DAY);
    let error = keys.destroy(5, Backups::NoneNeedsIt).await.unwrap_err();
    assert!(error.message().contains("hashed with it"), "{error}");
    println!("{} values sealed again", progress.resealed);
}

#[tokio::test]
async fn an_imported_hash_and_the_signing_key_are_sealed_again() {
    let (here, there) = two().await;
    let new = aurora_core::auth::NewUser {
        email: "old@example.com".parse().unwrap(),
        password_hash: Some(bcrypt::hash(common::PASSWORD, 4).unwrap()),
        confirmed: true,
        user_metadata: None,
        app_metadata: None,
    };
    here.auth.create_user(new).await.unwrap();
    let keys = here.data_keys();
    let stored = "SELECT password FROM auth_users";
    let before = here.database.rows(stored).await[0][0].clone().unwrap();
    for purpose in [Purpose::Password, Purpose::Signing] {
        let id = keys.rotate(&KeyOwner::Service, purpose).await.unwrap();
        keys.activate(id).await.unwrap();
    }
    let progress = keys.advance().await.unwrap();
    assert_eq!((progress.resealed, progress.left), (2, 0));
    let after = here.database.rows(stored).await[0][0].clone().unwrap();
    assert!(after.starts_with("$aurora-sealed-1$") && after != before);
    // Nobody waits for the other process to look: what it does not know yet does not open there, and then it does.
    there.keyring.reload().await.unwrap();
    there.auth.sessions().reload_keys().await.unwrap();
    assert_eq!(there.sign_in("old@example.com", common::PASSWORD).await.status, 200);
}

/// attack C03, fault K23
#[tokio::test]
async fn keys_of_tenants_are_apart_and_a_lost_one_harms_nobody_else() {
    let (here, there) = two().await;
    let (acme, other) = (tenant("acme"), tenant("other"));
    let key = here.keyring.data_key(&acme, Purpose::Field).await.unwrap();
    let same = there.keyring.data_key(&acme, Purpose::Field).await.unwrap();
    assert_eq!(key.id(), same.id(), "two processes make one key");
    let sealed = key.seal(&cell(&acme, b"1"), b"flu").unwrap();
    let named = there.keyring.key_of(&sealed).await.unwrap();
    assert_eq!(named.unseal(&cell(&acme, b"1"), &sealed).unwrap().expose(), b"flu");
    // Moved to another row, column, table, owner or kind of place it does not open.
    let foreign = here.keyring.data_key(&other, Purpose::Field).await.unwrap();
    let elsewhere = [
        cell(&acme, b"2"),
        Context::Field { owner: &acme, table: "patients", column: "name", row: b"1" },
        Context::Field { owner: &acme, table: "people", column: "diagnosis", row: b"1" },
        cell(&other, b"1"),
        Context::File { owner: &acme, bucket: "patients", object: b"diagnosis", generation: b"1" },
        Context::Own { purpose: Purpose::Field, table: "patients", column: "diagnosis", row: b"1" },
    ];
    for context in elsewhere {
        assert!(key.unseal(&context, &sealed).is_err(), "{context:?}");
        assert!(foreign.unseal(&context, &sealed).is_err(), "{context:?}");
    }
    assert!(key.seal(&cell(&other, b"1"), b"flu").is_err(), "another tenant's value is not sealed with it");
    let theirs = foreign.seal(&cell(&other, b"1"), b"cold").unwrap();

    // Its row is gone, and nothing is held in memory any more.
    here.execute(&format!("DELETE FROM aurora_keys WHERE id = {}", key.id())).await;
    here.keyring.forget();
    assert_eq!(here.keyring.key_of(&sealed).await.unwrap_err().code(), Code::KeyMissing);
    let again = here.keyring.key_of(&theirs).await.unwrap();
    assert_eq!(again.unseal(&cell(&other, b"1"), &theirs).unwrap().expose(), b"cold");
    assert_eq!(here.sign_up("ann@example.com").await.status, 200);
}

#[tokio::test]
async fn a_key_is_destroyed_when_nothing_needs_it() {
    let (here, there) = two().await;
    let owner = KeyOwner::User("531d8831-8dd2-4b11-88f3-6f4626667cf0".parse().unwrap());
    let key = here.keyring.data_key(&owner, Purpose::File).await.unwrap();
    let context = Context::File { owner: &owner, bucket: "b", object: b"o", generation: b"1" };
    let sealed = key.seal(&context, &[7; 40_000]).unwrap();
    there.keyring.key_of(&sealed).await.unwrap();
    let keys = here.data_keys();
    let refused = async |keys: &DataKeys, backups, why: &str| {
        let error = keys.destroy(key.id(), backups).await.unwrap_err();
        assert_eq!(error.code(), Code::ValidationFailed);
        assert!(error.message().contains(why), "{error}");
    };
    refused(&keys, Backups::NoneNeedsIt, "it is active").await;
    let next = keys.rotate(&owner, Purpose::File).await.unwrap();
    keys.activate(next).await.unwrap();
    refused(&keys, Backups::NoneNeedsIt, "a process may still hold it").await;
    here.advance(3_600);
    refused(&keys, Backups::MayNeedIt, "a backup may need it until").await;
    here.advance(29 * DAY);
    refused(&keys, Backups::MayNeedIt, "a backup may need it until").await;
    here.advance(DAY);
    keys.destroy(key.id(), Backups::MayNeedIt).await.unwrap();
    let wrapped = format!("SELECT length(wrapped) FROM aurora_keys WHERE id = {}", key.id());
    assert_eq!(here.count(&wrapped).await, 0);
    there.keyring.forget();
    for ring in [&here.keyring, &there.keyring] {
        assert_eq!(ring.key_of(&sealed).await.unwrap_err().code(), Code::KeyDestroyed);
    }
    refused(&keys, Backups::NoneNeedsIt, "it is destroyed already").await;
    // What is found by a blind index is found by its key.
    here.keyring.data_key(&owner, Purpose::Index).await.unwrap();
    let error = keys.rotate(&owner, Purpose::Index).await.unwrap_err();
    assert_eq!(error.code(), Code::ValidationFailed, "{error}");
    assert_eq!(keys.destroy(999_999, Backups::NoneNeedsIt).await.unwrap_err().code(), Code::NotFound);
    let destroyed = here.audit().await.into_iter().filter(|row| row.action == "data_key_destroyed").count();
    assert_eq!(destroyed, 1);
}

/// A stream is opened by the process that did not seal it, from the middle, without what stands before.
#[tokio::test]
async fn a_range_of_a_stream_opens_by_itself() {
    let (here, there) = two().await;
    let owner = tenant("acme");
    let context = Context::File { owner: &owner, bucket: "b", object: b"o", generation: b"1" };
    let text: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let mut sealer = here.keyring.data_key(&owner, Purpose::File).await.unwrap().sealer(&context).unwrap();
    let mut sealed = Vec::new();
    for piece in text.chunks(7_000) {
        sealer.push(piece, &mut sealed).unwrap();
    }
    sealer.finish(&mut sealed).unwrap();
    assert_eq!(aurora_core::crypto::sealed_length(text.len() as u64), Some(sealed.len() as u64));
    let key = there.keyring.key_of(&sealed).await.unwrap();
    assert_eq!(key.unseal(&context, &sealed).unwrap().expose(), text, "the same format as a value");
    let opener = key.opener(&context, &sealed[..Opener::PREFIX], sealed.len() as u64).unwrap();
    assert_eq!(opener.plain_length(), text.len() as u64);
    let (at, length) = opener.place(3).unwrap();
    let mut chunk = sealed[at as usize..at as usize + length].to_vec();
    opener.open(3, &mut chunk).unwrap();
    assert_eq!(chunk, text[3 * Opener::CHUNK..4 * Opener::CHUNK]);
}

/// A service whose root key is in a file, on the database at `path`.
async fn by_file(fixture: &Fixture, file: &Path) -> (Keyring, DataKeys) {
    let provider = Arc::new(KeyFileProvider::open(file, Arc::new(SystemEntropy)).unwrap());
    let database = fixture.database.shared();
    let store = Arc::new(DatabaseKeys::new(Arc::clone(&database)));
    let keyring =
        Keyring::open(provider, store, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.unwrap();
    let keys = DataKeys::new(DataKeysParts {
        keyring: keyring.clone(),
        database,
        places: Vec::new(),
        audit: Arc::new(DatabaseAudit::new(Arc::new(SystemEntropy))),
        clock: Arc::new(SystemClock),
    });
    (keyring, keys)
}

fn system() -> Arc<dyn aurora_core::env::Entropy> {
    Arc::new(SystemEntropy)
}

/// The key of `options` in a file beside its database.
fn file_of(options: &Options) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = options.path.with_file_name("root.key");
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, format!("{}\n", options.start_key).as_bytes()).unwrap();
    path
}

/// As if the file had been changed an hour ago.
fn an_hour_ago(file: &Path) {
    let at = std::fs::metadata(file).unwrap().modified().unwrap() - Duration::from_secs(3_600);
    std::fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

/// Somebody is erased while another process makes the first key of another purpose for them: it waits, and there is none.
#[tokio::test]
async fn who_is_being_erased_gets_no_new_key() {
    let (here, there) = two().await;
    let owner = tenant("acme");
    here.keyring.data_key(&owner, Purpose::Field).await.unwrap();
    let mut erasing = here.database.shared().begin().await.unwrap();
    erasing.lock_keys_of(&owner.to_string()).await.unwrap();
    assert_eq!(erasing.destroy_keys_of(&owner.to_string(), here.now()).await.unwrap(), 1);
    let (keyring, wanted) = (there.keyring.clone(), owner.clone());
    let late = tokio::spawn(async move { keyring.data_key(&wanted, Purpose::File).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!late.is_finished(), "it waits for the erasure");
    erasing.commit().await.unwrap();
    assert_eq!(late.await.unwrap().unwrap_err().code(), Code::KeyDestroyed);
    let keys = all(&here.data_keys()).await;
    let theirs: Vec<_> = keys.iter().filter(|key| key.owner == owner).map(|key| key.state).collect();
    assert_eq!(theirs, [KeyState::Destroyed]);
}

/// asvs(V11.2.2), fault K22
#[tokio::test]
async fn the_root_key_is_replaced_under_services_that_run() {
    let options = Options::default();
    let file = file_of(&options);
    let fixture = Fixture::with(options).await;
    let (ring, keys) = by_file(&fixture, &file).await;
    let (running, _) = by_file(&fixture, &file).await;
    let owner = tenant("acme");
    let sealed =
        ring.data_key(&owner, Purpose::Field).await.unwrap().seal(&cell(&owner, b"1"), b"flu").unwrap();
    let before = KeyFile::read(&file).unwrap().ids().unwrap();
    let (root, wrapped) = keys.rotate_root(&KeyPlace::new(&file), &system()).await.unwrap();
    assert_eq!(wrapped, 6);
    let after = KeyFile::read(&file).unwrap().ids().unwrap();
    assert_eq!(after, [root.clone(), before[0].clone()]);
    assert_eq!(keys.roots().await.unwrap().into_iter().collect::<Vec<_>>(), [(root.clone(), 6)]);
    // A service that was running reads the file again when it meets the new root.
    let opened = running.key_of(&sealed).await.unwrap().unseal(&cell(&owner, b"1"), &sealed).unwrap();
    assert_eq!(opened.expose(), b"flu");
    // Broken files are refused, and what is held goes on: nothing is made in their place.
    let whole = std::fs::read_to_string(&file).unwrap();
    let (second, _) = keys.rotate_root(&KeyPlace::new(&file), &system()).await.unwrap();
    let newest = std::fs::read_to_string(&file).unwrap();
    let broken = ["", "aurora-key-1:short", &newest[..newest.len() / 3 - 10], "\u{fffd}"];
    for text in broken {
        std::fs::write(&file, text).unwrap();
        running.forget();
        assert_eq!(running.key_of(&sealed).await.unwrap_err().code(), Code::Configuration, "{text:?}");
        assert_eq!(
            keys.rotate_root(&KeyPlace::new(&file), &system()).await.unwrap_err().code(),
            Code::Configuration
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "left as it was");
        running
            .seal(&Context::Own { purpose: Purpose::Audit, table: "t", column: "", row: b"" }, b"x")
            .unwrap();
    }
    std::fs::write(&file, &whole).unwrap();
    let error = running.key_of(&sealed).await.unwrap_err();
    assert!(error.message().contains("supply the key file"), "an old file does not open new keys: {error}");
    std::fs::write(&file, &newest).unwrap();
    assert!(running.key_of(&sealed).await.is_ok());
    let error = keys.forget_root(&KeyPlace::new(&file), &second, &system()).await.unwrap_err();
    assert!(error.message().contains("not one that was replaced"), "{error}");
    let error = keys.forget_root(&KeyPlace::new(&file), &root, &system()).await.unwrap_err();
    assert!(error.message().contains("ask again in ten minutes"), "{error}");
    // Who changes the file holds it.
    let held = KeyPlace::new(&file).hold().unwrap();
    let busy = keys.rotate_root(&KeyPlace::new(&file), &system()).await.unwrap_err();
    assert_eq!(busy.code(), Code::OverCapacity);
    let busy = keys.forget_root(&KeyPlace::new(&file), &root, &system()).await.unwrap_err();
    assert_eq!(busy.code(), Code::OverCapacity);
    drop(held);
    an_hour_ago(&file);
    keys.forget_root(&KeyPlace::new(&file), &root, &system()).await.unwrap();
    an_hour_ago(&file);
    keys.forget_root(&KeyPlace::new(&file), &before[0], &system()).await.unwrap();
    assert_eq!(KeyFile::read(&file).unwrap().ids().unwrap(), [second]);
    let (fresh, _) = by_file(&fixture, &file).await;
    assert!(fresh.key_of(&sealed).await.is_ok());
    let actions = fixture.actions_since(0).await;
    let count = |action: &str| actions.iter().filter(|known| *known == action).count();
    assert_eq!((count("root_key_rotated"), count("root_key_forgotten")), (2, 2));
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn rotates_for_ever() {
    let Ok(path) = std::env::var("AURORA_PATH") else { return };
    let options = Options {
        path: path.into(),
        start_key: std::env::var("AURORA_KEY").unwrap(),
        now: aurora_core::types::Timestamp::from_seconds(
            std::env::var("AURORA_NOW").unwrap().parse().unwrap(),
        ),
        ..Options::default()
    };
    let file = options.path.with_file_name("root.key");
    let fixture = Fixture::with(options).await;
    let (_, roots) = by_file(&fixture, &file).await;
    let keys = fixture.data_keys();
    println!("\nSTEP begun");
    loop {
        let id = keys.rotate(&KeyOwner::Service, Purpose::Credential).await.unwrap();
        fixture.advance(60);
        keys.advance().await.unwrap();
        println!("STEP data {id}");
        let (root, _) = roots.rotate_root(&KeyPlace::new(&file), &system()).await.unwrap();
        println!("STEP root {root}");
    }
}

/// attack C06, fault K07
#[tokio::test]
async fn killed_in_the_middle_of_rotations() {
    let rounds: u64 = match std::env::var("AURORA_ROUNDS") {
        Ok(rounds) => rounds.parse().unwrap(),
        Err(_) => 6,
    };
    let options = Options::default();
    let (path, mut key, file) = (options.path.clone(), options.start_key.clone(), file_of(&options));
    let mut now = 1_800_000_000;
    let first = Fixture::with(options).await;
    let ann = first.sign_up("ann@example.com").await.access();
    let body = |name: String| json!({ "factor_type": "totp", "friendly_name": name });
    for at in 0..8 {
        assert_eq!(first.call("POST", "/factors", Some(&ann), body(format!("f{at}"))).await.status, 200);
    }
    let factors = first.count("SELECT count(*) FROM auth_mfa_factors").await;
    drop(first);
    let mut rng = rng::Rng::seeded(5_007);
    let (mut rotations, mut roots) = (0, 0);
    let mut killed = 0;
    // On a machine that is busy none may be finished in a few rounds.
    for round in 0..rounds + 60 {
        if round >= rounds && rotations > 0 && roots > 0 {
            break;
        }
        killed += 1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "rotates_for_ever", "--nocapture", "--test-threads=1"])
            .env("AURORA_PATH", &path)
            .env("AURORA_KEY", &key)
            .env("AURORA_NOW", now.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut steps = lines.filter(|line| line.starts_with("STEP "));
        assert_eq!(steps.next().as_deref(), Some("STEP begun"));
        let after = Duration::from_micros(rng.below(120_000) as u64);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for step in steps {
            rotations += u64::from(step.starts_with("STEP data"));
            roots += u64::from(step.starts_with("STEP root"));
        }
        killer.join().unwrap();
        // The key file is whole, and opens all there is.
        key = KeyFile::read(&file).unwrap().to_text().expose().to_owned();
        now += 7_200;
        let clock = aurora_core::types::Timestamp::from_seconds(now);
        let options =
            Options { path: path.clone(), start_key: key.clone(), now: clock, ..Options::default() };
        let after = Fixture::with(options).await;
        let keys = after.data_keys();
        let infos = all(&keys).await;
        let credential: Vec<_> = infos.iter().filter(|key| key.purpose == Purpose::Credential).collect();
        let of = |state: KeyState| credential.iter().filter(|key| key.state == state).count();
        assert_eq!(of(KeyState::Active), 1, "round {round}: {credential:?}");
        assert!(of(KeyState::Pending) <= 1, "round {round}");
        // Every value names exactly one key that is there, and goes on to the newest.
        let ids: Vec<String> = credential.iter().map(|key| format!("{:08X}", key.id)).collect();
        let hex = if common::engine::on_postgres() { "encode(sealed, 'hex')" } else { "hex(sealed)" };
        let hex = after.database.rows(&format!("SELECT {hex} FROM auth_mfa_factors")).await;
        assert_eq!(hex.len() as i64, factors, "round {round}: nothing is lost");
        for value in &hex {
            let value = value[0].as_ref().unwrap().to_uppercase();
            assert!(ids.iter().any(|id| value[8..16] == **id), "round {round}: {value}");
        }
        keys.advance().await.unwrap();
        assert!(keys.left().await.unwrap().is_empty(), "round {round}");
        let listed = after.call("GET", "/user", Some(&ann), Value::Null).await;
        assert!(listed.status == 200 || listed.status == 403, "{}", listed.text);
    }
    assert!(rotations > 0 && roots > 0, "no rotation was finished before a kill");
    println!(
        "{killed} kills, {rotations} rotations of a data key and {roots} of the root finished between them"
    );
}

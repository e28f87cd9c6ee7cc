//! What is left of keys in a process that dropped them: its whole memory is read from outside, and searched.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and prints what it ran"
)]

mod crypto_support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use aurora_core::config::Profile;
use aurora_core::crypto::{
    Context, KeyFileProvider, KeyOwner, KeyPlace, KeyProvider, Keyring, Purpose, SecretBytes, Suite,
};
use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::types::{BoxFuture, Result, Secret};
use aurora_core::{Aurora, Database};
use crypto_support::{Memory, entropy};

const FOLDER: &str = "AURORA_MEMORY_FOLDER";

fn owner() -> KeyOwner {
    KeyOwner::Tenant("acme".parse().unwrap())
}

fn cell(owner: &KeyOwner) -> Context<'_> {
    Context::Field { owner, table: "t", column: "c", row: b"1" }
}

/// Notes what it wraps.
#[derive(Debug)]
struct Noting(KeyFileProvider, Mutex<Vec<[u8; 32]>>);

impl KeyProvider for Noting {
    fn current_id(&self) -> String {
        self.0.current_id()
    }

    fn wrap<'a>(&'a self, data_key: &'a [u8; 32], context: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        self.1.lock().unwrap().push(*data_key);
        self.0.wrap(data_key, context)
    }

    fn unwrap<'a>(
        &'a self,
        root: &'a str,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<SecretBytes>> {
        self.0.unwrap(root, wrapped, context)
    }
}

fn place(folder: &Path) -> KeyPlace {
    // Read from a file: a passphrase of the program's own would be found in the program.
    let passphrase = std::fs::read_to_string(folder.join("passphrase")).unwrap();
    KeyPlace::with_passphrase(folder.join("root.key"), Secret::new(passphrase)).unwrap()
}

fn builder(folder: &Path) -> aurora_core::Builder {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap())
}

/// The process that is looked into.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let told = |what: &str| {
        println!("\n{what}");
        std::io::stdout().flush().unwrap();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let aurora = builder(&folder).key_place(place(&folder)).build().await.unwrap();
        let provider = Arc::new(KeyFileProvider::at(place(&folder), entropy()).unwrap());
        let sealed = std::fs::read(folder.join("sealed")).unwrap();
        let store = Memory::default();
        *store.0.lock().unwrap() = stored(&folder);
        let keys = Keyring::open(provider, Arc::new(store), Arc::new(SystemClock), entropy()).await.unwrap();
        let owner = owner();
        keys.key_of(&sealed).await.unwrap();
        for suite in Suite::ALL {
            let keys = keys.with_suite(suite);
            let key = keys.key_of(&sealed).await.unwrap();
            let opened = key.unseal(&cell(&owner), &sealed).unwrap();
            let again = key.seal(&cell(&owner), opened.expose()).unwrap();
            key.unseal(&cell(&owner), &again).unwrap();
            let own = Context::Own { purpose: Purpose::Credential, table: "t", column: "c", row: b"1" };
            let value = keys.seal(&own, opened.expose()).unwrap();
            keys.unseal(&own, &value).unwrap();
            keys.mac(Purpose::Session, "x", &[b"y"]);
        }
        told("held");
        keys.forget();
        drop(keys);
        aurora.close().await;
        drop(aurora);
    });
    drop(runtime);
    told("dropped");
}

/// Wrapped keys, as the parent left them.
fn stored(folder: &Path) -> Vec<aurora_core::crypto::WrappedKey> {
    let text = std::fs::read_to_string(folder.join("keys")).unwrap();
    let key = |line: &str| {
        let [id, purpose, owner, state, wrapped] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        aurora_core::crypto::WrappedKey {
            id: id.parse().unwrap(),
            purpose: purpose.parse().unwrap(),
            owner: owner.parse().unwrap(),
            state: state.parse().unwrap(),
            wrapped: data_encoding::HEXLOWER.decode(wrapped.as_bytes()).unwrap(),
            created: aurora_core::types::Timestamp::from_seconds(1_800_000_000),
            changed: None,
        }
    };
    text.lines().map(key).collect()
}

/// How often each needle lies in the writable memory of a process.
fn hits(process: &Child, needles: &[(String, Vec<u8>)]) -> Vec<(String, usize)> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.id())).unwrap();
    let mut memory = File::open(format!("/proc/{}/mem", process.id())).unwrap();
    let mut found: Vec<(String, usize)> = needles.iter().map(|(name, _)| (name.clone(), 0)).collect();
    let mut read = 0;
    for line in maps.lines() {
        let mut parts = line.split_whitespace();
        let (range, rights) = (parts.next().unwrap(), parts.next().unwrap());
        if !rights.starts_with("rw") || line.contains("[vvar") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(number(to) - number(from)).unwrap()];
        memory.seek(SeekFrom::Start(number(from))).unwrap();
        if memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        read += bytes.len();
        for ((_, needle), (_, count)) in needles.iter().zip(&mut found) {
            // Rust's own search is quick: a needle's first bytes are rare.
            let mut at = 0;
            while let Some(next) = bytes[at..].iter().position(|byte| *byte == needle[0]) {
                at += next;
                *count += usize::from(bytes[at..].starts_with(needle));
                at += 1;
            }
        }
    }
    println!("{} MiB looked through", read >> 20);
    assert!(read > 1 << 20, "almost nothing was read");
    found
}

/// attack C10
#[tokio::test]
async fn a_process_that_dropped_its_keys_holds_none() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("memory-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let passphrase = format!("canary of {} {:?}", std::process::id(), std::time::SystemTime::now());
    std::fs::write(folder.join("passphrase"), &passphrase).unwrap();
    let root = place(&folder).create_new(&SystemEntropy).unwrap();
    let line = root.to_text();
    let noting = |place| Arc::new(Noting(KeyFileProvider::at(place, entropy()).unwrap(), Mutex::default()));
    let (ours, theirs, store) = (noting(place(&folder)), noting(place(&folder)), Memory::default());
    let opened = Keyring::open(ours.clone(), Arc::new(store.clone()), Arc::new(SystemClock), entropy());
    let key = opened.await.unwrap().data_key(&owner(), Purpose::Field).await.unwrap();
    let plain = format!("canary of a cell {passphrase:?}");
    std::fs::write(folder.join("sealed"), key.seal(&cell(&owner()), plain.as_bytes()).unwrap()).unwrap();
    let keys: Vec<String> = store
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|key| {
            let (purpose, wrapped) = (key.purpose, data_encoding::HEXLOWER.encode(&key.wrapped));
            format!("{} {purpose} {} {} {wrapped}", key.id, key.owner, key.state.as_str())
        })
        .collect();
    std::fs::write(folder.join("keys"), keys.join("\n")).unwrap();
    // The service's own keys are made here, and only opened there.
    builder(&folder).key_provider(theirs.clone()).build().await.unwrap().close().await;

    let mut needles = vec![
        ("the passphrase".to_owned(), passphrase.into_bytes()),
        ("the key file's text".to_owned(), line.expose().as_bytes().to_vec()),
        ("an opened cell".to_owned(), plain.into_bytes()),
    ];
    let encoded = line.expose().split(':').nth(1).unwrap();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap();
    needles.push(("the root key".to_owned(), bytes));
    let data_keys = [ours.1.lock().unwrap().clone(), theirs.1.lock().unwrap().clone()].concat();
    assert_eq!(data_keys.len(), 2 * Purpose::OWN.len() + 1);
    needles.extend(data_keys.iter().enumerate().map(|(at, key)| (format!("data key {at}"), key.to_vec())));

    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, &folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut wait = |word: &str| assert!(lines.any(|line| line.unwrap() == word), "the child ended early");
    wait("held");
    let held = hits(&child, &needles);
    let open = held.iter().filter(|(name, count)| name.starts_with("data key") && *count > 0).count();
    assert_eq!(open, data_keys.len(), "what is held is found: {held:?}");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    wait("dropped");
    let left: Vec<(String, usize)> =
        hits(&child, &needles).into_iter().filter(|(_, count)| *count > 0).collect();
    stdin.write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    println!("{} secrets looked for: {open} data keys were held, {} are left", needles.len(), left.len());
    assert!(left.is_empty(), "{left:?}; while held: {held:?}");
}

//! Root key, data keys and sealed values, through the public surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod crypto_support;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aurora_core::crypto::{
    Context, KeyFile, KeyFileProvider, KeyOwner, KeyPlace, KeyProvider, KeyStore, KeyTextProvider, Keyring,
    Opener, Purpose, Suite, WrappedKey, sealed_length,
};
use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::types::{BoxFuture, Code, Result, Secret};
use crypto_support::{Memory, entropy};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("aurora-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn root(name: &str) -> Arc<KeyFileProvider> {
    let path = folder(name).join("root.key");
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    Arc::new(KeyFileProvider::new(&key, entropy()).unwrap())
}

/// A place in a table, of that purpose.
fn at<'a>(purpose: Purpose, column: &'a str, row: &'a [u8]) -> Context<'a> {
    Context::Own { purpose, table: "t", column, row }
}

async fn ring(provider: &Arc<impl KeyProvider + 'static>, store: &Memory) -> Result<Keyring> {
    Keyring::open(provider.clone(), Arc::new(store.clone()), Arc::new(SystemClock), entropy()).await
}

#[tokio::test]
async fn the_first_start_makes_keys_and_the_next_one_finds_them() {
    let (provider, store) = (root("first"), Memory::default());
    let first = ring(&provider, &store).await.unwrap();
    assert_eq!(store.0.lock().unwrap().len(), Purpose::OWN.len());
    let sealed = first.seal(&at(Purpose::Signing, "c", b"row 1"), b"private").unwrap();
    let again = ring(&provider, &store).await.unwrap();
    assert_eq!(store.0.lock().unwrap().len(), Purpose::OWN.len());
    assert_eq!(again.unseal(&at(Purpose::Signing, "c", b"row 1"), &sealed).unwrap().expose(), b"private");
    assert_eq!(&sealed[..4], b"AU\x01\x01");
    assert_eq!(sealed.len(), b"private".len() + 81);
}

#[tokio::test]
async fn two_processes_on_an_empty_database_end_with_the_same_keys() {
    /// Shows nothing on the first look, so that this process believes it is the first.
    #[derive(Debug)]
    struct Late(Memory, Mutex<bool>);
    impl KeyStore for Late {
        fn of_owner<'a>(&'a self, owner: &'a KeyOwner) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
            if std::mem::replace(&mut *self.1.lock().unwrap(), false) {
                return Box::pin(async { Ok(Vec::new()) });
            }
            self.0.of_owner(owner)
        }
        fn find(&self, id: u32) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
            self.0.find(id)
        }
        fn newest(&self) -> BoxFuture<'_, Result<u32>> {
            self.0.newest()
        }
        fn insert(&self, key: WrappedKey) -> BoxFuture<'_, Result<bool>> {
            self.0.insert(key)
        }
    }
    let (provider, store) = (root("race"), Memory::default());
    let winner = ring(&provider, &store).await.unwrap();
    let late = Arc::new(Late(store.clone(), Mutex::new(true)));
    let loser = Keyring::open(provider, late, Arc::new(SystemClock), entropy()).await.unwrap();
    assert_eq!(store.0.lock().unwrap().len(), Purpose::OWN.len());
    assert_eq!(winner.mac(Purpose::Session, "x", &[b"a"]), loser.mac(Purpose::Session, "x", &[b"a"]));
}

/// attack C02, asvs(V11.2.5, V11.3.3)
#[tokio::test]
async fn every_flipped_or_missing_byte_is_the_same_error() {
    let ring = ring(&root("flip"), &Memory::default()).await.unwrap();
    let context = at(Purpose::Credential, "column", b"7");
    let mut tried = 0;
    for (suite, plaintext) in Suite::ALL
        .into_iter()
        .flat_map(|suite| [&b""[..], b"attack at dawn", &[7; 16 * 1024]].map(|plaintext| (suite, plaintext)))
    {
        let sealed = ring.with_suite(suite).seal(&context, plaintext).unwrap();
        let mut same_error = |bytes: &[u8]| {
            let error = ring.unseal(&context, bytes).unwrap_err();
            assert_eq!(
                format!("{error:?}"),
                "unexpected_failure: Internal server error: sealed value does not open"
            );
            tried += 1;
        };
        let step = if sealed.len() > 1_000 { 97 } else { 1 };
        for at in (0..sealed.len()).step_by(step) {
            for bit in [1, 0x80] {
                let mut changed = sealed.clone();
                changed[at] ^= bit;
                same_error(&changed);
            }
            same_error(&sealed[..at]);
        }
        let mut longer = sealed.clone();
        longer.push(0);
        same_error(&longer);
        same_error(&[sealed.as_slice(), sealed.as_slice()].concat());
    }
    println!("sealed values: {tried} damaged forms, one error");
}

/// A ring opens what either suite sealed, whichever it seals by itself; and a value's suite cannot be changed.
///
/// attack C02
#[tokio::test]
async fn a_second_suite_stands_behind_the_same_header() {
    let cobblestone = ring(&root("suites"), &Memory::default()).await.unwrap();
    let stream = cobblestone.with_suite(Suite::Stream256);
    let (context, text) = (at(Purpose::Credential, "column", b"7"), vec![7; 40_000]);
    let owner = KeyOwner::Tenant("acme".parse().unwrap());
    let file = Context::File { owner: &owner, bucket: "b", object: b"o", generation: b"1" };
    for (byte, seals, opens) in [(1, &cobblestone, &stream), (2, &stream, &cobblestone)] {
        let sealed = seals.seal(&context, &text).unwrap();
        assert_eq!(&sealed[..4], [b'A', b'U', 1, byte]);
        assert_eq!(opens.unseal(&context, &sealed).unwrap().expose(), text);
        for other in (0..=255).filter(|other| *other != byte) {
            let mut swapped = sealed.clone();
            swapped[3] = other;
            for ring in [seals, opens] {
                let error = ring.unseal(&context, &swapped).unwrap_err();
                assert!(format!("{error:?}").ends_with("sealed value does not open"), "{error:?}");
            }
        }
        // A file of it: any chunk by itself, from the last to the first.
        let mut sealer = seals.data_key(&owner, Purpose::File).await.unwrap().sealer(&file).unwrap();
        let mut sealed = Vec::new();
        text.chunks(7_000).for_each(|piece| sealer.push(piece, &mut sealed).unwrap());
        sealer.finish(&mut sealed).unwrap();
        assert_eq!(sealed[3], byte);
        assert_eq!(sealed_length(text.len() as u64), Some(sealed.len() as u64), "both are as long");
        let key = opens.key_of(&sealed).await.unwrap();
        let opener = |sealed: &[u8]| key.opener(&file, &sealed[..Opener::PREFIX], sealed.len() as u64);
        let whole = opener(&sealed).unwrap();
        for number in (0..whole.chunks()).rev() {
            let (at, length) = whole.place(number).unwrap();
            let mut chunk = sealed[at as usize..at as usize + length].to_vec();
            whole.open(number, &mut chunk).unwrap();
            assert!(text.chunks(Opener::CHUNK).nth(number as usize) == Some(&chunk));
        }
        let mut swapped = sealed.clone();
        swapped[3] = 3 - byte;
        assert!(opener(&swapped).is_err());
    }
}

/// attack C03, asvs(V11.3.3)
#[tokio::test]
async fn a_value_opens_only_where_it_belongs() {
    let ring = ring(&root("moved"), &Memory::default()).await.unwrap();
    for suite in Suite::ALL {
        opens_only_where_it_belongs(&ring.with_suite(suite));
    }
}

fn opens_only_where_it_belongs(ring: &Keyring) {
    let own = |purpose, table, column, row| Context::Own { purpose, table, column, row };
    let here = own(Purpose::Signing, "ab", "c", b"d");
    let sealed = ring.seal(&here, b"x").unwrap();
    assert!(ring.unseal(&here, &sealed).is_ok());
    let elsewhere: [(&str, &str, &[u8]); 6] = [
        ("a", "bc", b"d"),
        ("ab", "cd", b""),
        ("abcd", "", b""),
        ("ab", "", b"d"),
        ("", "", b""),
        ("ab", "c", b"e"),
    ];
    for (table, column, row) in elsewhere {
        assert!(ring.unseal(&own(Purpose::Signing, table, column, row), &sealed).is_err());
    }
    for purpose in Purpose::ALL.into_iter().filter(|purpose| *purpose != Purpose::Signing) {
        assert!(ring.unseal(&own(purpose, "ab", "c", b"d"), &sealed).is_err());
    }
}

/// attack C05, asvs(V11.3.4, V11.5.2)
#[tokio::test]
async fn no_salt_comes_twice_from_clones_in_eight_threads() {
    let ring = ring(&root("salts"), &Memory::default()).await.unwrap();
    let seen = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let ring = ring.clone();
            let seen = &seen;
            scope.spawn(move || {
                let prefixes: Vec<Vec<u8>> = (0..4_096)
                    .map(|_| ring.seal(&at(Purpose::Audit, "", b""), b"x").unwrap()[9..33].to_vec())
                    .collect();
                seen.lock().unwrap().extend(prefixes);
            });
        }
    });
    assert_eq!(seen.lock().unwrap().len(), 8 * 4_096);
    println!("32768 messages, 8 threads: no salt twice");
}

/// attack C07
#[tokio::test]
async fn another_root_is_an_error_and_never_a_new_key() {
    let store = Memory::default();
    ring(&root("ours"), &store).await.unwrap();
    let before = format!("{:?}", store.0.lock().unwrap());
    let error = ring(&root("theirs"), &store).await.unwrap_err();
    assert_eq!(error.code(), Code::Configuration);
    assert!(error.message().contains("supply the key file"), "{error}");
    assert_eq!(format!("{:?}", store.0.lock().unwrap()), before);
}

#[tokio::test]
async fn damaged_swapped_and_unknown_keys_are_errors() {
    let (provider, store) = (root("damage"), Memory::default());
    let ours = ring(&provider, &store).await.unwrap();
    let sealed = ours.seal(&at(Purpose::Signing, "", b""), b"x").unwrap();
    let whole = store.0.lock().unwrap().clone();
    for at in 0..whole[0].wrapped.len() {
        store.0.lock().unwrap()[0].wrapped[at] ^= 1;
        assert_eq!(ring(&provider, &store).await.unwrap_err().code(), Code::Configuration, "byte {at}");
        *store.0.lock().unwrap() = whole.clone();
    }
    {
        let mut keys = store.0.lock().unwrap();
        let (a, b) = (keys[0].wrapped.clone(), keys[1].wrapped.clone());
        (keys[0].wrapped, keys[1].wrapped) = (b, a);
    }
    assert!(ring(&provider, &store).await.is_err(), "swapped");
    // The key is gone: a new one is made for the purpose, but the old value never opens, nor passes as it is.
    let other = ring(&root("other"), &Memory::default()).await.unwrap();
    assert!(other.unseal(&at(Purpose::Signing, "", b""), &sealed).is_err());
    assert!(ours.unseal(&at(Purpose::Signing, "", b""), b"plaintext in an encrypted column").is_err());
}

#[tokio::test]
async fn keyed_hashes_are_stable_framed_and_apart() {
    let (provider, store) = (root("mac"), Memory::default());
    let ring_a = ring(&provider, &store).await.unwrap();
    let hash = ring_a.mac(Purpose::Session, "refresh", &[b"ab", b"c"]);
    assert_eq!(ring(&provider, &store).await.unwrap().mac(Purpose::Session, "refresh", &[b"ab", b"c"]), hash);
    for other in [
        ring_a.mac(Purpose::Session, "refresh", &[b"a", b"bc"]),
        ring_a.mac(Purpose::Session, "refresh", &[b"abc"]),
        ring_a.mac(Purpose::Session, "refreshab", &[b"c"]),
        ring_a.mac(Purpose::Session, "lookup", &[b"ab", b"c"]),
        ring_a.mac(Purpose::Credential, "refresh", &[b"ab", b"c"]),
        ring(&root("mac2"), &Memory::default()).await.unwrap().mac(
            Purpose::Session,
            "refresh",
            &[b"ab", b"c"],
        ),
    ] {
        assert_ne!(other, hash);
    }
}

#[test]
fn a_key_file_is_made_once_and_read_strictly() {
    let path = folder("file").join("root.key");
    let missing = KeyFile::read(&path).unwrap_err();
    assert!(missing.message().contains("restore it"), "{missing}");
    let made = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    assert_eq!(KeyFile::create_new(&path, &SystemEntropy).unwrap_err().code(), Code::Configuration);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.trim_end(), made.to_text().expose());
    assert!(text.starts_with("aurora-key-1:") && text.trim_end().split(':').count() == 3);
    KeyFile::read(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o610] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = KeyFile::read(&path).unwrap_err();
            assert!(error.message().contains("chmod 600"), "{error}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let line = text.trim_end();
    let mut refused = 0;
    for at in 0..line.len() {
        assert!(KeyFile::parse(&line[..at]).is_err());
        let mut changed = line.to_owned().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(KeyFile::parse(&String::from_utf8(changed).unwrap()).is_err(), "byte {at}");
        refused += 2;
    }
    assert!(KeyFile::parse(&format!("{line}:more")).is_err());
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert_eq!(KeyFile::read(&path).unwrap_err().code(), Code::Configuration);
    println!("key file: {refused} cut or mistyped forms refused");
}

#[tokio::test]
async fn file_and_text_are_the_same_root() {
    let path = folder("text").join("root.key");
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    let file = Arc::new(KeyFileProvider::open(&path, entropy()).unwrap());
    let text = Arc::new(KeyTextProvider::new(&key.to_text(), entropy()).unwrap());
    assert_eq!(file.current_id(), text.current_id());
    let store = Memory::default();
    let by_file = ring(&file, &store).await.unwrap();
    let by_text = ring(&text, &store).await.unwrap();
    assert_eq!(by_file.mac(Purpose::Audit, "x", &[]), by_text.mac(Purpose::Audit, "x", &[]));
}

/// attack C08
#[tokio::test]
async fn nothing_secret_prints() {
    let path = folder("debug").join("root.key");
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    let text = key.to_text();
    let provider = Arc::new(KeyTextProvider::new(&text, entropy()).unwrap());
    let ring = ring(&provider, &Memory::default()).await.unwrap();
    let sealed = ring.seal(&at(Purpose::Audit, "", b""), b"canary").unwrap();
    let opened = ring.unseal(&at(Purpose::Audit, "", b""), &sealed).unwrap();
    let shown = format!("{key:?} {text:?} {provider:?} {ring:?} {opened:?}");
    let secret = text.expose().split(':').nth(1).unwrap();
    assert!(
        !shown.contains(secret) && !shown.contains("canary") && !shown.contains("99, 97, 110"),
        "{shown}"
    );
}

/// asvs(V11.4.4)
#[tokio::test]
async fn a_key_file_is_sealed_with_a_passphrase() {
    let path = folder("sealed").join("root.key");
    let word = |text: &str| Secret::new(text.to_owned());
    assert!(KeyPlace::with_passphrase(&path, word("fifteen letters")).is_err());
    let place = KeyPlace::with_passphrase(&path, word("correct horse battery staple")).unwrap();
    let key = place.create_new(&SystemEntropy).unwrap();
    assert!(place.create_new(&SystemEntropy).is_err(), "never overwritten");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("aurora-sealed-key-1:65536,3,1:"), "{text}");
    assert!(!text.contains(key.to_text().expose().split(':').nth(1).unwrap()));
    assert_eq!(place.read().unwrap().ids().unwrap(), key.ids().unwrap());
    let store = Memory::default();
    let provider = Arc::new(KeyFileProvider::at(place.clone(), entropy()).unwrap());
    let sealed = ring(&provider, &store).await.unwrap().seal(&at(Purpose::Audit, "", b""), b"x").unwrap();
    // Rotated under a service that runs, and by its own text elsewhere: the same keys.
    place.replace(&key.rotated(&SystemEntropy).unwrap(), &SystemEntropy).unwrap();
    provider.reload().await.unwrap();
    assert!(ring(&provider, &store).await.unwrap().unseal(&at(Purpose::Audit, "", b""), &sealed).is_ok());
    let same = Arc::new(KeyTextProvider::new(&place.read().unwrap().to_text(), entropy()).unwrap());
    assert!(ring(&same, &store).await.is_ok());

    let wrong = KeyPlace::with_passphrase(&path, word("correct horse battery stable")).unwrap();
    let errors = [
        (wrong.read().err(), "the passphrase is another"),
        (KeyPlace::new(&path).read().err(), "is sealed with a passphrase: give it"),
    ];
    for (error, why) in errors {
        let error = error.unwrap();
        assert!(error.code() == Code::Configuration && error.message().contains(why), "{error}");
        assert!(!format!("{error:?} {wrong:?}").contains("horse"));
    }
    // Damaged, of another cost, or asking for more than a start should pay: nothing is derived, or nothing opens.
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.trim_end();
    let mut refused = 0;
    let head = line.rfind(':').unwrap();
    let changes = [
        line.replace(":65536,3,1:", ":65536,2,1:"),
        line.replace(":65536,3,1:", ":065536,3,1:"),
        line.replace(":65536,3,1:", ":4294967295,3,1:"),
        line.replace(":65536,3,1:", ":65536,3:"),
        line[..head].to_owned(),
        line[..line.len() - 1].to_owned(),
        format!("{line}AAAA"),
    ];
    for text in changes {
        std::fs::write(&path, text).unwrap();
        assert_eq!(place.read().unwrap_err().code(), Code::Configuration);
        refused += 1;
    }
    let plain = folder("plain").join("root.key");
    KeyFile::create_new(&plain, &SystemEntropy).unwrap();
    let sealed = KeyPlace::with_passphrase(&plain, word("correct horse battery staple")).unwrap();
    assert!(sealed.read().unwrap_err().message().contains("is not sealed"));
    println!("a sealed key file: {refused} changed forms refused");
}

//! What Aurora seals, opened by another language from the page alone; and AES-256-GCM by NIST's vectors.
//!
//! `scripts/test` installs Python's `cryptography` and its vectors, and says where in `AURORA_TEST_PYTHON`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and prints what it ran"
)]

mod crypto_support;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aurora_core::crypto::{
    AwsLc, Cipher, Context, KeyFile, KeyOwner, KeyTextProvider, Keyring, Purpose, Suite,
};
use aurora_core::env::{SystemClock, SystemEntropy};
use crypto_support::{Memory, entropy};
use data_encoding::HEXLOWER;
use serde_json::json;

/// Where Python finds what the test needs. A missing folder is a failure, never a skip.
fn python() -> PathBuf {
    let folder = std::env::var("AURORA_TEST_PYTHON");
    folder.map(PathBuf::from).unwrap_or_else(|_| {
        panic!(
            "AURORA_TEST_PYTHON is not set: run scripts/test, or name a folder with PyPI's cryptography and \
                cryptography-vectors in it"
        )
    })
}

/// asvs(V11.3.2)
#[tokio::test]
async fn another_language_opens_what_is_sealed() {
    let root = std::env::temp_dir().join(format!("aurora-reader-{}.key", std::process::id()));
    let _ = std::fs::remove_file(&root);
    let file = KeyFile::create_new(&root, &SystemEntropy).unwrap();
    std::fs::remove_file(&root).unwrap();
    let (provider, store) = (KeyTextProvider::new(&file.to_text(), entropy()).unwrap(), Memory::default());
    let keys = Arc::new(store.clone());
    let ring = Keyring::open(Arc::new(provider), keys, Arc::new(SystemClock), entropy()).await.unwrap();
    let wrapped = |id: u32| {
        let keys = store.0.lock().unwrap();
        HEXLOWER.encode(&keys.iter().find(|key| key.id == id).unwrap().wrapped)
    };
    let hex = |parts: &[&[u8]]| parts.iter().map(|part| HEXLOWER.encode(part)).collect::<Vec<_>>();
    let (mut cases, mut held) = (Vec::new(), Vec::new());
    let owners = [
        KeyOwner::Service,
        KeyOwner::Tenant("acme".parse().unwrap()),
        KeyOwner::User("531d8831-8dd2-4b11-88f3-6f4626667cf0".parse().unwrap()),
    ];
    for (owner, suite) in owners.iter().flat_map(|owner| Suite::ALL.map(|suite| (owner, suite))) {
        let ring = ring.with_suite(suite);
        for length in [0, 1, 256, 16_383, 16_384, 16_385, 50_000] {
            let text: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            let (name, row) = (owner.to_string(), [7; 16]);
            let field = ring.data_key(owner, Purpose::Field).await.unwrap();
            let context = Context::Field { owner, table: "patients", column: "diagnosis", row: &row };
            cases.push(json!({
                "purpose": "field", "owner": name, "wrapped": wrapped(field.id()),
                "sealed": HEXLOWER.encode(&field.seal(&context, &text).unwrap()),
                "parts": hex(&[name.as_bytes(), b"patients", b"diagnosis", &row]),
            }));
            let key = ring.data_key(owner, Purpose::File).await.unwrap();
            let context = Context::File { owner, bucket: "avatars", object: b"one", generation: b"two" };
            let (mut sealer, mut sealed) = (key.sealer(&context).unwrap(), Vec::new());
            text.chunks(1_000).for_each(|piece| sealer.push(piece, &mut sealed).unwrap());
            sealer.finish(&mut sealed).unwrap();
            cases.push(json!({
                "purpose": "file", "owner": name, "wrapped": wrapped(key.id()), "sealed": HEXLOWER.encode(&sealed),
                "parts": hex(&[name.as_bytes(), b"avatars", b"one", b"two"]),
            }));
            held.extend([text.clone(), text]);
        }
    }
    let own = Context::Own {
        purpose: Purpose::Credential,
        table: "auth_mfa_factors",
        column: "sealed",
        row: b"id",
    };
    cases.push(json!({
        "purpose": "credential", "owner": "", "wrapped": wrapped(5),
        "sealed": HEXLOWER.encode(&ring.seal(&own, b"seed").unwrap()),
        "parts": hex(&[b"auth_mfa_factors", b"sealed", b"id"]),
    }));
    held.push(b"seed".to_vec());

    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crypto_reader.py");
    let mut child = Command::new("python3")
        .arg(reader)
        .env("PYTHONPATH", python())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({ "root": file.to_text().expose(), "cases": cases }).to_string();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let read: Vec<Vec<u8>> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| HEXLOWER.decode(line.as_bytes()).unwrap())
        .collect();
    assert!(read == held, "what was read is what was sealed");
    println!("{} sealed values and files opened by Python", read.len());
}

/// The vectors of NIST's CAVP (SP 800-38D) of the sizes that are used here, and without associated data: what belongs to a
/// message is in its key.
///
/// attack C01, asvs(V11.3.1)
#[test]
fn passes_nists_vectors_of_aes_256_gcm() {
    let folder = python().join("cryptography_vectors/ciphers/AES/GCM");
    let (mut sealed, mut opened, mut refused, mut passed_over) = (0, 0, 0, 0);
    for name in ["gcmEncryptExtIV256.rsp", "gcmDecrypt256.rsp"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        for group in text.split("\n[Keylen = ").skip(1) {
            let header: String = group.lines().take_while(|line| !line.is_empty()).collect();
            let ours =
                ["IVlen = 96]", "AADlen = 0]", "Taglen = 128]"].iter().all(|size| header.contains(size));
            for case in group.replace('\r', "").split("\nCount = ").skip(1) {
                if !ours {
                    passed_over += 1;
                    continue;
                }
                let value = |name: &str| {
                    let line = case.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" ="));
                    line.map(|value| HEXLOWER.decode(value.trim().as_bytes()).unwrap())
                };
                let key: [u8; 32] = value("Key").unwrap().try_into().unwrap();
                let nonce: [u8; 12] = value("IV").unwrap().try_into().unwrap();
                let (text, tag) = (value("PT"), value("Tag").unwrap());
                let cipher = AwsLc.keyed(&key).unwrap();
                let mut data = [value("CT").unwrap(), tag.clone()].concat();
                match (cipher.open(nonce, &mut data), &text) {
                    (Ok(()), Some(text)) => {
                        assert!(data.starts_with(text));
                        opened += 1;
                    }
                    (Err(_), None) => refused += 1,
                    (outcome, _) => panic!("{name} {case}: {outcome:?}"),
                }
                if let (Some(mut text), true) = (text, name.contains("Encrypt")) {
                    assert_eq!(cipher.seal(nonce, &mut text).unwrap().as_slice(), tag);
                    assert_eq!(text, value("CT").unwrap());
                    sealed += 1;
                }
            }
        }
    }
    println!(
        "NIST CAVP AES-256-GCM: {sealed} sealed, {opened} opened, {refused} refused; {passed_over} of other sizes"
    );
    assert!(sealed >= 75 && opened >= 75 && refused > 0);
}

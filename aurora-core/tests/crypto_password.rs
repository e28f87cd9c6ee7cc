//! Password hashes, through the public surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod crypto_support;

use std::time::{Duration, Instant};

use aurora_core::crypto::{Keyring, PasswordHasher, PasswordParams, PasswordPool, Verdict};
use aurora_core::types::{Code, Secret};
use crypto_support::{entropy, ring};

fn hasher(ring: &Keyring, params: PasswordParams, pool: PasswordPool) -> PasswordHasher {
    PasswordHasher::new(ring, params, pool, entropy()).unwrap()
}

async fn default_hasher(name: &str) -> PasswordHasher {
    hasher(&ring(name).await, PasswordParams::default(), PasswordPool::default())
}

const CURRENT: Verdict = Verdict::Match { needs_rehash: false };
const OLD: Verdict = Verdict::Match { needs_rehash: true };

/// asvs(V11.4.2)
#[tokio::test]
async fn a_hash_is_keyed_salted_and_verifies() {
    let hasher = default_hasher("basic").await;
    let password = Secret::from("correct horse battery staple");
    let (a, b) = (hasher.hash(&password).await.unwrap(), hasher.hash(&password).await.unwrap());
    assert_ne!(a, b);
    assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1,keyid="), "{a}");
    assert_eq!(hasher.verify(&password, Some(&a)).await.unwrap(), CURRENT);
    assert_eq!(hasher.verify(&Secret::from("wrong"), Some(&a)).await.unwrap(), Verdict::Mismatch);
    assert_eq!(hasher.verify(&password, None).await.unwrap(), Verdict::Mismatch);
    // The database alone is no use: under another root the right password does not match.
    let other = default_hasher("basic2").await;
    assert_eq!(other.verify(&password, Some(&a)).await.unwrap(), Verdict::Mismatch);
    let unmarked = a.split(",keyid=").next().unwrap().to_owned()
        + a.find("$").map_or("", |_| {
            let tail = a.split(",keyid=").nth(1).unwrap();
            &tail[tail.find('$').unwrap()..]
        });
    assert_eq!(hasher.verify(&password, Some(&unmarked)).await.unwrap(), Verdict::Mismatch, "keyed for real");
}

/// attack P06, asvs(V6.2.8)
#[tokio::test]
async fn only_the_exact_password_matches() {
    let hasher = default_hasher("exact").await;
    let long: String = "x".repeat(72);
    let cases = ["  spaces at the ends  ", "nul\0byte", "emoji \u{1f511}", "pa\u{df}w\u{f6}rt", &long];
    for text in cases {
        let hash = hasher.hash(&text.into()).await.unwrap();
        assert_eq!(hasher.verify(&text.into(), Some(&hash)).await.unwrap(), CURRENT);
        for near in [format!("{text}y"), text.trim().to_owned() + "\0", text.to_uppercase() + "!"] {
            assert_eq!(hasher.verify(&near.into(), Some(&hash)).await.unwrap(), Verdict::Mismatch);
        }
    }
    let hash = hasher.hash(&"nul\0byte".into()).await.unwrap();
    assert_eq!(hasher.verify(&"nul".into(), Some(&hash)).await.unwrap(), Verdict::Mismatch);
}

/// attack P02
#[tokio::test]
async fn a_huge_password_is_refused_before_any_work() {
    let hasher = default_hasher("huge").await;
    let huge = Secret::new("a".repeat(1_000_000));
    let start = Instant::now();
    for error in [hasher.hash(&huge).await.unwrap_err(), hasher.verify(&huge, None).await.unwrap_err()] {
        assert_eq!((error.code(), error.status().as_u16()), (Code::ValidationFailed, 400));
    }
    assert!(start.elapsed() < Duration::from_millis(10));
}

/// attack P05
#[tokio::test]
async fn hostile_stored_hashes_are_a_mismatch_at_the_same_price() {
    let hasher = hasher(
        &ring("hostile").await,
        PasswordParams::default(),
        PasswordPool::new(1, 10, Duration::from_secs(9)),
    );
    let password = Secret::from("password");
    let good = hasher.hash(&password).await.unwrap();
    let tail = "$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let mut hostile: Vec<String> = [
        "$argon2id$v=19$m=4194304,t=2,p=1",
        "$argon2id$v=19$m=19456,t=2147483648,p=1",
        "$argon2id$v=19$m=4294967295,t=4294967295,p=16777215",
        "$argon2id$v=19$m=65536,t=1000,p=1",
        "$argon2d$v=19$m=19456,t=2,p=1",
        "$argon2i$v=19$m=19456,t=2,p=1",
        "$argon2id$v=16$m=19456,t=2,p=1",
        "$argon2id$m=19456,t=2,p=1",
        "$argon2id$v=19$m=0,t=0,p=0",
        "$argon2id$v=19$m=8,t=0,p=1",
        "$argon2id$v=19$m=8,t=1,p=16",
        "$argon2id$v=19$t=2,m=19456,p=1",
        "$argon2id$v=19$m=+19456,t=2,p=1",
        "$argon2id$v=19$m=019456,t=2,p=1",
        "$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAAAAAA",
        "$argon2id$v=19$m=19456,t=2,p=1,keyid=",
        "$argon2id$v=19$m=19456,t=2,p=1,data=AAAA",
    ]
    .iter()
    .map(|head| format!("{head}{tail}"))
    .collect();
    hostile.extend((0..good.len()).step_by(3).map(|at| good[..at].to_owned()));
    hostile.extend(
        [
            "",
            "$",
            "$$$$$$$",
            "plaintext",
            "passw\u{f6}rd",
            "$argon2id$v=19$m=19456,t=2,p=1$\u{e9}$\u{e9}",
            "$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$2b$99$x",
            "$2x$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$2b$10$!!!aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "{SHA}x",
        ]
        .map(str::to_owned),
    );
    hostile.push(format!("{good}{}", "A".repeat(100_000)));
    let mut real = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        assert_eq!(hasher.verify(&Secret::from("wrong"), Some(&good)).await.unwrap(), Verdict::Mismatch);
        real.push(start.elapsed());
    }
    real.sort();
    for stored in &hostile {
        let start = Instant::now();
        let shown = &stored.get(..stored.len().min(60)).unwrap_or("non-ASCII");
        assert_eq!(hasher.verify(&password, Some(stored)).await.unwrap(), Verdict::Mismatch, "{shown}");
        // Skipping the work takes microseconds, so a tenth tells it on a busy machine too. That no hostile parameter
        // costs more shows in the test ending at all.
        let (took, least) = (start.elapsed(), real[0] / 10);
        assert!(took >= least, "{shown}: {took:?} of at least {least:?}");
    }
    println!("{} hostile hashes: mismatch, at the price of a real check ({:?})", hostile.len(), real[4]);
}

/// attack P08
#[tokio::test]
async fn imported_hashes_match_and_ask_for_a_rehash() {
    let hasher = default_hasher("import").await;
    let bcrypted = bcrypt::hash_with_salt("imported", 5, [7; 16]).unwrap();
    for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
        let stored = bcrypted.format_for_version(version);
        assert_eq!(hasher.verify(&"imported".into(), Some(&stored)).await.unwrap(), OLD);
        assert_eq!(hasher.verify(&"importe".into(), Some(&stored)).await.unwrap(), Verdict::Mismatch);
    }
    // bcrypt reads 72 bytes: the 73rd must not be free to choose.
    let (full, over) = ("y".repeat(72), "y".repeat(73));
    let stored = bcrypt::hash_with_salt(&full, 5, [7; 16]).unwrap().to_string();
    assert_eq!(hasher.verify(&full.into(), Some(&stored)).await.unwrap(), OLD);
    assert_eq!(hasher.verify(&over.into(), Some(&stored)).await.unwrap(), Verdict::Mismatch);
    // An unkeyed Argon2id hash made by the reference implementation's rules.
    let params = argon2::Params::new(65_536, 2, 1, Some(32)).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut out = [0; 32];
    argon2.hash_password_into(b"imported", b"saltsaltsaltsalt", &mut out).unwrap();
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    let stored = format!("$argon2id$v=19$m=65536,t=2,p=1${}${}", encode(b"saltsaltsaltsalt"), encode(&out));
    assert_eq!(hasher.verify(&"imported".into(), Some(&stored)).await.unwrap(), OLD);
}

/// attack P08
#[tokio::test]
async fn raised_parameters_ask_for_a_rehash() {
    let ring = ring("raised").await;
    let before = hasher(&ring, PasswordParams::default(), PasswordPool::default());
    let after = hasher(&ring, PasswordParams::new(19_456, 3, 1).unwrap(), PasswordPool::default());
    let password = Secret::from("hunter22");
    let old = before.hash(&password).await.unwrap();
    assert_eq!(after.verify(&password, Some(&old)).await.unwrap(), OLD);
    let new = after.hash(&password).await.unwrap();
    assert_eq!(after.verify(&password, Some(&new)).await.unwrap(), CURRENT);
    // A start that calibrates lower leaves the better hash alone: hashes go one way.
    assert_eq!(before.verify(&password, Some(&new)).await.unwrap(), CURRENT);
    let larger = hasher(&ring, PasswordParams::new(24_576, 2, 1).unwrap(), PasswordPool::default());
    assert_eq!(larger.verify(&password, Some(&new)).await.unwrap(), OLD, "passes do not make up for memory");
}

/// asvs(V11.4.2)
#[tokio::test]
async fn parameters_have_bounds_and_calibration_keeps_them() {
    for (memory, passes, lanes) in
        [(8, 2, 1), (19_456, 0, 1), (19_456, 17, 1), (1 << 21, 2, 1), (19_456, 2, 0), (8_192, 1, 1)]
    {
        assert_eq!(PasswordParams::new(memory, passes, lanes).unwrap_err().code(), Code::Configuration);
    }
    let default = PasswordParams::default();
    assert_eq!(default.calibrate(Duration::ZERO, 10).unwrap(), default);
    assert_eq!(default.calibrate(Duration::from_secs(3_600), 5).unwrap().iterations, 5);
    let fitted = default.calibrate(Duration::from_millis(60), 16).unwrap();
    assert!((2..=16).contains(&fitted.iterations) && fitted.memory_kib == default.memory_kib);
}

/// attack P03, asvs(V15.2.2)
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_turned_away_and_bounded() {
    let pool = PasswordPool::new(2, 10, Duration::from_secs(30));
    let hasher = hasher(&ring("flood").await, PasswordParams::default(), pool);
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.verify(&"x".into(), None).await })
        })
        .collect();
    let (mut done, mut busy) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(verdict) => {
                assert_eq!(verdict, Verdict::Mismatch);
                done += 1;
            }
            Err(error) => {
                assert_eq!((error.code(), error.status().as_u16()), (Code::OverCapacity, 503));
                assert!(error.retry_after().is_some());
                busy += 1;
            }
        }
    }
    assert_eq!(done + busy, 200);
    assert!(done >= 12 && busy > 0, "{done} done, {busy} turned away");
    println!("200 at once, 2 threads, queue 10: {done} checked, {busy} turned away with 503");
    assert_eq!(hasher.verify(&"x".into(), None).await.unwrap(), Verdict::Mismatch, "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_frees_nothing_that_is_in_use() {
    let pool = PasswordPool::new(1, 4, Duration::from_millis(5));
    let hasher = hasher(&ring("gone").await, PasswordParams::new(131_072, 8, 1).unwrap(), pool);
    let running = tokio::spawn({
        let hasher = hasher.clone();
        async move { hasher.verify(&"x".into(), None).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    running.abort();
    // The one thread is still at work for the caller that left: the next one must wait, and its deadline ends.
    let error = hasher.verify(&"x".into(), None).await.unwrap_err();
    assert_eq!(error.code(), Code::OverCapacity);
}

//! Comparison of what is secret takes the same time wherever it differs: by the source, and measured as dudect does
//! (Reparaz, Balasch, Verbauwhede 2017: two classes of inputs in random order, Welch's t of their times).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and prints what it ran"
)]

mod crypto_support;
#[path = "common/rng.rs"]
mod rng;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aurora_core::crypto::{Context, KeyFile, Purpose, Suite, TotpSeed, TotpVerdict};
use aurora_core::env::SystemEntropy;
use aurora_core::types::{Secret, Timestamp};
use regex::Regex;
use subtle::ConstantTimeEq as _;

/// Every call of `subtle`'s comparison in the library.
const COMPARED: [(&str, usize); 9] = [
    ("auth/one_time.rs", 1),
    ("crypto/key_file.rs", 1),
    ("crypto/password/mod.rs", 1),
    ("crypto/suite.rs", 1),
    ("crypto/totp.rs", 1),
    ("files/resume.rs", 1),
    ("files/sign.rs", 1),
    ("http/csrf.rs", 1),
    ("http/keys.rs", 1),
];

/// Lines that read like a comparison of secrets and are none.
const OTHERWISE: [(&str, &str); 7] = [
    // Stored hashes, both from the database: whether a row changed meanwhile.
    ("auth/sign_in.rs", "user.password == proved.password"),
    ("auth/update.rs", "user.password != before.password"),
    // A checksum against slips of the pen, of the very text that was shown.
    ("session/api_keys.rs", "sum == checksum(body)"),
    // Whether the host configured the secret that everybody knows.
    ("aurora/keys.rs", "secret.expose() == SUPABASE_START"),
    // What a policy was installed as.
    ("guard/postgres/install.rs", "created == hash(&policy.create)"),
    // Names of what is to be proved, no proofs.
    ("auth/verify.rs", "proof == Proof::Mail"),
    ("auth/verify.rs", "proof == Proof::MailAndVerifier"),
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut open) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.insert(name, lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    found
}

/// Tokens, MACs, codes and passwords are compared by `subtle`, and by nothing that stops where they differ.
///
/// attack C09, asvs(V11.2.4)
#[test]
fn secrets_are_compared_in_constant_time() {
    let word =
        r"\w*(?:mac|signature|secret|commitment|checksum|csrf|digest|hash|password|passphrase|proof)\w*";
    let side =
        format!(r"{word}(?:\(\w*\)|\(&[\w.]+\))?(?:\.(?:expose|as_bytes|as_str|as_slice|as_ref)\(\))*");
    let compares = Regex::new(&format!(
        r"(?:[\w.]*{side}\s*[!=]=\s*[&*]*[\w.:()]+|[\w.()]+\s*[!=]=\s*[&*]*[\w.]*{side})"
    ))
    .unwrap();
    let (mut compared, mut otherwise, mut unknown) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (file, code) in sources() {
        let calls = code.matches(".ct_eq(").count();
        if calls > 0 {
            compared.insert(file.clone(), calls);
        }
        for line in code.lines() {
            let Some(shown) = compares.find(line) else { continue };
            let known = OTHERWISE.iter().find(|(at, text)| *at == file && line.contains(text));
            match known {
                Some(known) => otherwise.push(known),
                None if shown.as_str().contains("len()") => {}
                None => unknown.push(format!("{file}: {}", line.trim())),
            }
        }
    }
    let listed: BTreeMap<String, usize> =
        COMPARED.iter().map(|(at, calls)| ((*at).to_owned(), *calls)).collect();
    assert_eq!(compared, listed, "a comparison came or went: look at it, then list it");
    assert!(unknown.is_empty(), "compared byte by byte:\n{}", unknown.join("\n"));
    assert!(otherwise.len() >= OTHERWISE.len(), "a line is gone: take it out of the list");
}

/// A shorter or longer one is another, not a match of what is there (RUSTSEC-2024-0010).
///
/// attack C09
#[tokio::test]
async fn another_length_is_another() {
    assert!(!bool::from([1_u8; 32].as_slice().ct_eq(&[1; 31])));
    assert!(!bool::from([0_u8; 0].as_slice().ct_eq(&[0; 1])));
    let ring = crypto_support::ring("lengths").await;
    let context = Context::Own { purpose: Purpose::Audit, table: "t", column: "", row: b"" };
    for suite in Suite::ALL {
        let sealed = ring.with_suite(suite).seal(&context, b"x").unwrap();
        // The commitment is bytes 33 to 65 of a value.
        for length in 33..sealed.len() {
            assert!(ring.unseal(&context, &sealed[..length]).is_err());
        }
    }
    let (seed, now) = (TotpSeed::generate(&SystemEntropy).unwrap(), Timestamp::from_seconds(1_800_000_000));
    let code = seed.code(now);
    for shown in [&code.expose()[..5], "", &format!("{}0", code.expose())] {
        assert_eq!(seed.judge(&shown.into(), now, 0), TotpVerdict::Wrong);
    }
}

/// Welch's t of two classes of inputs, whose order is drawn. The slowest tenth is left out, as dudect does: what the
/// machine did besides.
fn t_of(samples: usize, seed: u64, mut first: impl FnMut(), mut second: impl FnMut()) -> f64 {
    let mut rng = rng::Rng::seeded(seed);
    let mut times: Vec<(bool, u64)> = Vec::with_capacity(2 * samples);
    for _ in 0..2 * samples {
        let class = rng.below(2) == 0;
        let began = Instant::now();
        if class {
            first()
        } else {
            second()
        }
        times.push((class, u64::try_from(began.elapsed().as_nanos()).unwrap()));
    }
    let mut all: Vec<u64> = times.iter().map(|(_, time)| *time).collect();
    all.sort_unstable();
    let most = all[all.len() * 9 / 10];
    let moments = |class: bool| {
        let kept =
            times.iter().filter(|(of, time)| *of == class && *time <= most).map(|(_, time)| *time as f64);
        let kept: Vec<f64> = kept.collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (count, mean, variance)
    };
    let ((n, a, v), (m, b, w)) = (moments(true), moments(false));
    (a - b) / (v / n + w / m).sqrt()
}

/// As a comparison must not be: that the measurement finds it is what makes its silence worth something.
#[inline(never)]
fn until_they_differ(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| black_box(a) == black_box(b))
}

/// attack C09
#[tokio::test]
#[ignore = "minutes; on a machine that is busy the times say less"]
async fn no_comparison_tells_where_it_differs() {
    let samples: usize =
        std::env::var("AURORA_SAMPLES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let seed = 20_261_123;
    let right = [0x5a_u8; 32];
    let (mut early, mut late) = (right, right);
    (early[0], late[31]) = (0, 0);
    let naive = t_of(
        samples / 10,
        seed,
        || {
            for _ in 0..8 {
                black_box(until_they_differ(black_box(&right), black_box(&early)));
            }
        },
        || {
            for _ in 0..8 {
                black_box(until_they_differ(black_box(&right), black_box(&late)));
            }
        },
    );
    println!("control, stopping where they differ: t = {naive:.1} at {} samples each", samples / 10);
    assert!(naive.abs() > 4.5, "the measurement would not see it");

    let mut told = Vec::new();
    let mut measured = |name: &'static str, t: f64| {
        println!("{name}: t = {t:.2} at {samples} samples each");
        told.push((name, t));
    };
    measured(
        "subtle, 32 bytes",
        t_of(
            samples,
            seed,
            || {
                for _ in 0..8 {
                    black_box(bool::from(black_box(&right[..]).ct_eq(black_box(&early))));
                }
            },
            || {
                for _ in 0..8 {
                    black_box(bool::from(black_box(&right[..]).ct_eq(black_box(&late))));
                }
            },
        ),
    );
    // A code whose first digit is wrong, and one whose last is.
    let (totp, now) = (TotpSeed::generate(&SystemEntropy).unwrap(), Timestamp::from_seconds(1_800_000_000));
    let code = totp.code(now);
    let other = |at: usize| {
        let mut digits = code.expose().as_bytes().to_vec();
        digits[at] = if digits[at] == b'0' { b'1' } else { b'0' };
        Secret::new(String::from_utf8(digits).unwrap())
    };
    let (early, late) = (other(0), other(5));
    measured(
        "a code of six digits",
        t_of(
            samples,
            seed,
            || {
                black_box(totp.judge(black_box(&early), now, 0));
            },
            || {
                black_box(totp.judge(black_box(&late), now, 0));
            },
        ),
    );
    // A sealed value whose commitment is wrong at its first byte, and at its last.
    let ring = crypto_support::ring("timing").await;
    let context = Context::Own { purpose: Purpose::Audit, table: "t", column: "", row: b"" };
    let sealed = ring.seal(&context, b"x").unwrap();
    let (mut early, mut late) = (sealed.clone(), sealed.clone());
    (early[33], late[64]) = (early[33] ^ 1, late[64] ^ 1);
    measured(
        "a commitment",
        t_of(
            samples,
            seed,
            || drop(black_box(ring.unseal(&context, black_box(&early)))),
            || drop(black_box(ring.unseal(&context, black_box(&late)))),
        ),
    );
    // The checksum of a key file.
    let path = std::env::temp_dir().join(format!("aurora-timing-{}.key", std::process::id()));
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap().to_text();
    std::fs::remove_file(&path).unwrap();
    let other = |back: usize| {
        let mut text = key.expose().as_bytes().to_vec();
        let at = text.len() - back;
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    let (early, late) = (other(8), other(2));
    measured(
        "a checksum",
        t_of(
            samples,
            seed,
            || drop(black_box(KeyFile::parse(black_box(&early)))),
            || drop(black_box(KeyFile::parse(black_box(&late)))),
        ),
    );
    for (name, t) in told {
        assert!(t.abs() < 4.5, "{name}: t = {t:.2}");
    }
}

//! Requirements of OWASP ASVS 5.0 that are about the sources, the settings and the policies by themselves. Those of
//! the flows stand in `auth_asvs`, those that another test proves stand there; `scripts/asvs` counts all of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aurora_core::config::Settings;
use aurora_core::policy::{
    Clause, Column, Command, Decision, Facts, Policies, RowLayout, Schema, Table, ValueRef,
};
use aurora_core::types::{Principal, Role, Timestamp, UserId};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The code of every library file, by its path: no comments, no unit tests.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> =
        ["aurora-core", "aurora-axum", "aurora-actix"].map(|name| root().join(name).join("src")).into();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.insert(name, lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    assert!(found.len() > 150, "the test read almost nothing");
    found
}

/// Whether `name` stands in `code` as the first part of a path.
fn uses(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// asvs(V1.2.5): nothing can be injected into a command of the system where none is ever run.
#[test]
fn no_library_code_starts_a_program() {
    for (file, code) in sources() {
        for line in code.lines() {
            let starts = line.contains("process::") && line.contains("Command");
            let foreign = ["posix_spawn", "execve", "libc::system", "tokio::process"];
            assert!(!starts && !foreign.iter().any(|name| line.contains(name)), "{file}: {line}");
        }
    }
}

/// Where cryptography is called, and whose. A new line here is a new line of the inventory.
const CRYPTOGRAPHY: &[(&str, &[&str])] = &[
    ("audit/sink.rs", &["aws_lc_rs"]),
    ("auth/one_time.rs", &["aws_lc_rs", "subtle"]),
    ("crypto/cipher.rs", &["aws_lc_rs"]),
    ("crypto/kdf.rs", &["aws_lc_rs"]),
    ("crypto/key_file.rs", &["aws_lc_rs", "subtle"]),
    ("crypto/key_place.rs", &["argon2"]),
    ("crypto/password/mod.rs", &["argon2", "bcrypt", "subtle"]),
    ("crypto/password/params.rs", &["argon2"]),
    ("crypto/password/pool.rs", &["argon2"]),
    ("crypto/portable.rs", &["aes_gcm"]),
    ("crypto/provider.rs", &["aws_lc_rs"]),
    ("crypto/suite.rs", &["subtle"]),
    ("crypto/totp.rs", &["aws_lc_rs", "subtle"]),
    ("env/mod.rs", &["getrandom"]),
    ("files/resume.rs", &["aws_lc_rs", "subtle"]),
    ("files/sign.rs", &["subtle"]),
    ("guard/postgres/install.rs", &["aws_lc_rs"]),
    ("http/csrf.rs", &["subtle"]),
    ("http/keys.rs", &["subtle"]),
    ("http/mailbox.rs", &["aws_lc_rs"]),
    ("http/tls/acme.rs", &["aws_lc_rs"]),
    ("http/tls/pair.rs", &["aws_lc_rs"]),
    ("http/verify_page.rs", &["aws_lc_rs"]),
    ("load/limiter.rs", &["aws_lc_rs"]),
    ("session/api_keys.rs", &["aws_lc_rs"]),
    ("session/sessions.rs", &["aws_lc_rs"]),
    ("session/token/client.rs", &["jsonwebtoken"]),
    ("session/token/jwk.rs", &["aws_lc_rs", "jsonwebtoken"]),
    ("session/token/keys.rs", &["aws_lc_rs", "jsonwebtoken"]),
    ("session/token/private.rs", &["aws_lc_rs", "jsonwebtoken"]),
    ("session/token/verify.rs", &["jsonwebtoken"]),
    ("session/token/verify_set.rs", &["jsonwebtoken"]),
    ("store/postgres/proof.rs", &["aws_lc_rs"]),
    ("testing/http/attacks.rs", &["aws_lc_rs"]),
    ("validate/breached/mod.rs", &["aws_lc_rs"]),
];

/// The libraries above: each is one that others examined. Nobody else's cryptography is called.
const TAKEN: [&str; 7] = ["aes_gcm", "argon2", "aws_lc_rs", "bcrypt", "getrandom", "jsonwebtoken", "subtle"];
const OTHERS: [&str; 26] = [
    "aes",
    "blake2",
    "blake3",
    "blowfish",
    "chacha20",
    "chacha20poly1305",
    "crypto_box",
    "ed25519_dalek",
    "fastrand",
    "hkdf",
    "hmac",
    "md5",
    "md_5",
    "openssl",
    "orion",
    "p256",
    "pbkdf2",
    "rand",
    "ring",
    "rsa",
    "scrypt",
    "sha1",
    "sha2",
    "sha3",
    "sodiumoxide",
    "x25519_dalek",
];

/// asvs(V11.1.3, V11.2.1): every call of cryptography is found by this, and goes to a library of the list.
#[test]
fn cryptography_is_called_where_the_inventory_says() {
    let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (file, code) in sources() {
        for name in TAKEN.into_iter().filter(|name| uses(&code, name)) {
            found.entry(file.clone()).or_default().insert(name);
        }
    }
    let listed: BTreeMap<String, BTreeSet<&str>> = CRYPTOGRAPHY
        .iter()
        .map(|(file, names)| (format!("aurora-core/src/{file}"), names.iter().copied().collect()))
        .collect();
    assert_eq!(found, listed, "the inventory is not what the sources call");
    for library in ["aurora-core", "aurora-axum", "aurora-actix"] {
        let manifest = std::fs::read_to_string(root().join(library).join("Cargo.toml")).unwrap();
        let own = manifest.split("[dev-dependencies]").next().unwrap();
        for line in own.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap().replace('-', "_");
            assert!(!OTHERS.contains(&name.as_str()), "{library} calls {name}");
        }
    }
    println!("{} files call cryptography, of {} libraries", listed.len(), TAKEN.len());
}

/// asvs(V11.4.1): no hash function that is broken is named anywhere but in the format of breached passwords' lists,
/// where it hides nothing and proves nothing, and within HMAC in the codes of authenticator apps, which it does not
/// break (RFC 6194 s3.3). And by its name in the protocol of resumable uploads, where a client may send it to have damage
/// on the way found; what keeps forgers out there is the sealing.
#[test]
fn no_broken_hash_function_is_named() {
    for (file, code) in sources() {
        let allowed = ["validate/breached/mod.rs", "crypto/totp.rs", "files/resume.rs", "files/resumable.rs"];
        if allowed.iter().any(|known| file.ends_with(known)) {
            continue;
        }
        let code = code.to_ascii_lowercase();
        for broken in ["sha1", "sha_1", "md5", "md4", "ripemd", "crc32"] {
            assert!(!code.contains(broken), "{file} names {broken}");
        }
    }
}

/// asvs(V15.1.2, V15.2.4): what is built is written down with its hash, and comes from one registry.
#[test]
fn every_dependency_is_pinned_and_from_the_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let own = ["actix-notes", "aurora-actix", "aurora-axum", "aurora-benches", "aurora-core", "quickstart"];
    let mut pinned = 0;
    for package in lock.split("[[package]]\n").skip(1) {
        let value = |name: &str| {
            let start = format!("{name} = \"");
            package.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'))
        };
        let name = value("name").unwrap();
        let Some(source) = value("source") else {
            assert!(own.contains(&name), "{name} comes from nowhere");
            continue;
        };
        assert!(!own.contains(&name), "{name} is ours, and {source} has one of that name");
        assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "{name}");
        assert_eq!(value("checksum").map(str::len), Some(64), "{name}");
        pinned += 1;
    }
    assert!(pinned > 200, "{pinned}");
    let lock = std::fs::read_to_string(root().join("tests/client/package-lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")), "{name}");
        let from = package["resolved"].as_str().unwrap_or("https://registry.npmjs.org/");
        assert!(from.starts_with("https://registry.npmjs.org/"), "{name}: {from}");
    }
    println!("{pinned} crates and {} packages of the client suites", packages.len() - 1);
}

/// asvs(V2.2.3): settings that are sound one by one and contradict each other.
#[test]
fn settings_that_contradict_each_other_are_named() {
    type Change = fn(&mut Settings);
    const KEY: &str = "9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3y";
    let changes: [(&str, Change); 4] = [
        ("session lifetimes", |settings| settings.tokens.idle_lifetime = settings.tokens.access_lifetime),
        ("session lifetimes", |settings| {
            settings.tokens.absolute_lifetime = settings.tokens.idle_lifetime - Duration::from_secs(1);
        }),
        ("one key is both", |settings| {
            settings.api_keys.anon.push(KEY.into());
            settings.api_keys.service.push(KEY.into());
        }),
        ("reuse_grace", |settings| settings.tokens.reuse_grace = Duration::from_secs(61)),
    ];
    let mut production = Settings::production("https://app.example.com");
    production.disk = aurora_core::config::Disk::Encrypted;
    for sound in [production, Settings::development()] {
        assert_eq!(sound.weaknesses(), []);
        for (named, change) in changes {
            let mut settings = sound.clone();
            change(&mut settings);
            let found = settings.weaknesses();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].what().contains(named), "{found:?}");
        }
    }
}

/// asvs(V1.3.12): patterns on which a matcher that goes back takes for ever, on a text that almost fits.
#[test]
fn no_pattern_of_a_policy_takes_for_ever() {
    let schema = Schema { tables: vec![Table::new("notes", vec![Column::new("title", "TEXT")])] };
    let layout = RowLayout::new(["title"]);
    let ann = Facts::of(&Principal::user(UserId::from_bytes([1; 16])));
    let long = format!("{}!", "a".repeat(50_000));
    for condition in [
        "title ~ '^(a+)+$'",
        "title ~ '^(a|a)*$'",
        "title ~ '^(a|aa)+$'",
        "title ~* '^(a*)*b$'",
        "title ~ '(.*)(.*)(.*)(.*)(.*)b'",
        "title LIKE '%a%a%a%a%a%a%a%a%a%b'",
    ] {
        let text = format!(
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes FOR SELECT USING ({condition});"
        );
        let compiled = Policies::parse(&text, "p.sql")
            .and_then(|policies| policies.lower(&schema))
            .and_then(|lowered| {
                lowered.compile("notes", Role::Authenticated, Command::Select, Clause::Using, &layout)
            })
            .unwrap_or_else(|errors| panic!("{errors}"));
        let begun = Instant::now();
        let row = [ValueRef::Text(&long)];
        let decision = compiled.decide(&row[..], &ann, Timestamp::from_seconds(0)).unwrap();
        let took = begun.elapsed();
        assert!(matches!(decision, Decision::Deny), "{condition}");
        assert!(took < Duration::from_secs(2), "{condition}: {took:?}");
        println!("{condition}: {took:?}");
    }
}

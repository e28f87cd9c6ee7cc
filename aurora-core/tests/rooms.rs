//! The rooms of aurora-core and who may import whom. Rust does not check it; this table does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rank by rank, the lowest first. A room imports lower ranks only, never a sibling; the second list names the
/// siblings it may use all the same.
const ROOMS: &[(u8, &str, &[&str])] = &[
    (1, "types", &[]),
    (1, "env", &["types"]),
    (1, "observe", &["env", "types"]),
    (1, "validate", &["types"]),
    (1, "config", &["types", "validate"]),
    (1, "policy", &["types"]),
    (2, "store", &["validate"]),
    (2, "crypto", &["store"]),
    (3, "jobs", &[]),
    (5, "load", &[]),
    (6, "audit", &[]),
    (7, "session", &[]),
    (7, "guard", &[]),
    (7, "keys", &[]),
    (7, "mail", &[]),
    (8, "auth", &[]),
    (8, "files", &[]),
    (8, "verify", &[]),
    (10, "http", &[]),
    (11, "aurora", &[]),
    (12, "cli", &["aurora"]),
    (12, "testing", &["aurora"]),
];

/// Free-standing words of the crate root that are not rooms.
const ROOT: &[(&str, &str)] = &[
    ("Aurora", "aurora"),
    ("Builder", "aurora"),
    ("Database", "aurora"),
    ("Migrations", "aurora"),
    ("row", "policy"),
];

#[test]
fn rooms_import_only_lower_ranks() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    let mut imports = 0;
    for (rank, room, siblings) in ROOMS {
        for file in files(&source, room) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (number, other) in used(&text) {
                if other == *room {
                    continue;
                }
                let Some((other_rank, _, _)) = ROOMS.iter().find(|(_, name, _)| *name == other) else {
                    broken.push(format!("{}:{number}: `{other}` is no room of the table", file.display()));
                    continue;
                };
                imports += 1;
                if other_rank >= rank && !siblings.contains(&other.as_str()) {
                    broken.push(format!(
                        "{}:{number}: room `{room}` (rank {rank}) may not use `{other}` (rank {other_rank}): a room \
                         uses lower ranks only, never a sibling. Move the piece down, or hand it in as an argument.",
                        file.display()
                    ));
                }
            }
        }
    }
    println!("{} rooms, {imports} imports looked at", ROOMS.len());
    assert!(imports > 100, "the test read almost nothing");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_room_is_in_the_table_and_opens_with_its_charter() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known: BTreeSet<&str> = ROOMS.iter().map(|(_, room, _)| *room).collect();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "lib" {
            continue;
        }
        assert!(known.contains(name.as_str()), "`{name}` is missing in the table of rooms");
        let first = if path.is_dir() { path.join("mod.rs") } else { path.clone() };
        let text = std::fs::read_to_string(&first).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with its charter", first.display());
    }
}

/// asvs(V1.4.1): `unsafe` stands in the FFI file alone.
#[test]
fn unsafe_code_stands_in_one_file() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (_, room, _) in ROOMS {
        for file in files(&source, room) {
            let text = std::fs::read_to_string(&file).unwrap();
            let words = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let found = words.into_iter().any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
            assert!(!found || file.ends_with("guard/sqlite/ffi.rs"), "unsafe in {}", file.display());
        }
    }
}

fn files(source: &Path, room: &str) -> Vec<PathBuf> {
    let single = source.join(format!("{room}.rs"));
    if single.exists() {
        return vec![single];
    }
    let mut found = Vec::new();
    let mut open = vec![source.join(room)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "room `{room}` holds nothing");
    found
}

/// Every `crate::room` in code, with its line; doc comments and unit tests may look anywhere.
fn used(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for piece in line.split("crate::").skip(1) {
            let names: Vec<&str> = match piece.strip_prefix('{') {
                Some(list) => list.split(',').collect(),
                None => vec![piece],
            };
            for name in names {
                let word: String =
                    name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let room =
                    ROOT.iter().find(|(root, _)| *root == word).map_or(word.as_str(), |(_, room)| room);
                if !room.is_empty() {
                    found.push((number + 1, room.to_owned()));
                }
            }
        }
    }
    found
}

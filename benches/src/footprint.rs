//! What Aurora costs before it does anything: memory, build, size, and a guarded connection's set-up.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::data::Folder;
use crate::measure::{middle, verdict};
use crate::serve::{self, memory};

pub(crate) async fn run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let folder = Folder::new("footprint");
    idle(&root, &folder).await;
    for tables in [20, 200] {
        connection(tables).await;
    }
    let tree = Command::new("cargo")
        .args(["tree", "-p", "quickstart", "-e", "normal", "--prefix", "none", "--no-dedupe"])
        .current_dir(&root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&tree.stdout).replace(" (*)", "");
    let crates: std::collections::BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    println!("figure footprint.crates {} crates", crates.len());
    let start = Instant::now();
    let built = Command::new("cargo")
        .args(["build", "-p", "quickstart", "--target-dir"])
        .arg(folder.0.join("target"))
        .current_dir(&root)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(built.success());
    println!("figure footprint.cold-build {:.0} s", start.elapsed().as_secs_f64());
}

async fn idle(root: &Path, folder: &Folder) {
    let binary: PathBuf = root.join("target/release/quickstart");
    assert!(binary.exists(), "build it first: cargo build --release -p quickstart");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new(&binary)
        .env("PORT", port.to_string())
        .env("DATA_DIR", folder.0.join("data"))
        .env_remove("DATABASE_URL")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    serve::ready(port).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let resident = memory(child.id()) as f64 / 1024.0 / 1024.0;
    child.kill().unwrap();
    child.wait().unwrap();
    println!("figure footprint.idle-memory {resident:.1} MiB (at most 40)");
    verdict("footprint.idle-memory", resident / 40.0, 1.0, false, 0.0);
    let size = std::fs::metadata(&binary).unwrap().len() as f64 / 1024.0 / 1024.0;
    println!("figure footprint.binary {size:.1} MiB");
}

/// A guarded connection that has touched every one of `tables` tables.
async fn connection(tables: usize) {
    let folder = Folder::new(&format!("tables-{tables}"));
    let path = folder.0.join("app.db");
    let mut policies = String::new();
    let mut plain = crate::data::plain(&path, false).await;
    for i in 0..tables {
        let sql = format!("CREATE TABLE t{i} (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, body TEXT)");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut plain).await.unwrap();
        policies.push_str(&format!(
            "ALTER TABLE t{i} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON t{i} FOR ALL TO authenticated USING (owner = auth.uid()::text);\n"
        ));
    }
    let (mut first, mut all, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    // Each connection stays open: what one gives back, the next would take without the process growing.
    let mut open = Vec::new();
    for _ in 0..7 {
        let db = crate::data::guarded(&path, &policies).await;
        let before = memory(std::process::id());
        let start = Instant::now();
        db.query("SELECT id FROM t0").execute().await.unwrap();
        first.push(start.elapsed().as_secs_f64() * 1e3);
        for i in 1..tables {
            db.query(&format!("SELECT id FROM t{i}")).execute().await.unwrap();
        }
        all.push(start.elapsed().as_secs_f64() * 1e3);
        bytes.push(memory(std::process::id()).saturating_sub(before) as f64 / 1024.0 / 1024.0);
        open.push(db);
    }
    println!("figure footprint.connection-{tables}.first-statement {:.1} ms", middle(&first).0);
    println!("figure footprint.connection-{tables}.every-table-read {:.1} ms", middle(&all).0);
    println!("figure footprint.connection-{tables}.memory {:.1} MiB", middle(&bytes).0);
}

//! A database of 100,000 notes (or as many as are asked for), 1,000 users and 500 teams, plain and under the guard.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::{Principal, UserId};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

const SCHEMA: &str = "
CREATE TABLE members (team_id INTEGER NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (team_id, user_id)) WITHOUT ROWID;
CREATE INDEX members_user ON members(user_id, team_id);
CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL,
  team_id INTEGER);
CREATE INDEX notes_owner ON notes(owner, id);
CREATE INDEX notes_team ON notes(team_id, id);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO members SELECT i % 500, printf('00000000-0000-4000-8000-%012d', i) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO notes SELECT i, 'note ' || i, printf('%.200c', 'x'),
  printf('00000000-0000-4000-8000-%012d', (i * 7919) % 1000), CASE WHEN i % 4 = 0 THEN (i / 4) % 500 END FROM n;
";

pub(crate) const OWNER: &str = "
ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text);
CREATE POLICY mine ON members FOR SELECT TO authenticated USING (user_id = auth.uid()::text);
";

pub(crate) const MEMBER: &str = "
ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON notes FOR SELECT TO authenticated USING (owner = auth.uid()::text OR EXISTS
  (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()::text));
CREATE POLICY made ON notes FOR INSERT TO authenticated WITH CHECK (owner = auth.uid()::text AND
  (team_id IS NULL OR EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()::text)));
CREATE POLICY changed ON notes FOR UPDATE TO authenticated USING (owner = auth.uid()::text);
CREATE POLICY gone ON notes FOR DELETE TO authenticated USING (owner = auth.uid()::text);
CREATE POLICY mine ON members FOR SELECT TO authenticated USING (user_id = auth.uid()::text);
";

pub(crate) const USER: &str = "00000000-0000-4000-8000-000000000042";

/// A folder that goes when the bench ends.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aurora-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) async fn fill(path: &Path) {
    fill_rows(path, 100_000).await;
}

pub(crate) async fn fill_rows(path: &Path, rows: u32) {
    let mut connection = plain(path, false).await;
    let script = SCHEMA.replace("{rows}", &rows.to_string());
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
}

/// A connection set up as the guard's own are, without the guard.
pub(crate) async fn plain(path: &Path, read_only: bool) -> SqliteConnection {
    let mut options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(!read_only)
        .read_only(read_only)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(256)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    if !read_only {
        options = options.journal_mode(SqliteJournalMode::Wal);
    }
    options.connect().await.unwrap()
}

pub(crate) async fn guarded(path: &Path, policies: &str) -> Guarded {
    let policies = Policies::parse(policies, "bench.sql").unwrap();
    let guard = Guard::open(
        path,
        &policies,
        WriterLock::new(Duration::from_secs(5)),
        Arc::new(SystemClock),
        &SystemEntropy,
        GuardOptions::default(),
    )
    .await
    .unwrap();
    guard.guarded(Principal::user(USER.parse::<UserId>().unwrap()))
}

//! A database with notes, teams and members, two users, and a guard over it.

use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::{Principal, UserId};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};

pub(crate) const ANN: &str = "00000000-0000-4000-8000-00000000000a";
pub(crate) const BOB: &str = "00000000-0000-4000-8000-00000000000b";
pub(crate) const EVE: &str = "00000000-0000-4000-8000-00000000000e";

/// What the shared suite says of this engine.
pub(crate) const SQLITE: bool = true;

/// The tables of the shared suite.
pub(crate) const T: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, n INTEGER DEFAULT 0, tag TEXT UNIQUE);
CREATE TABLE u (id INTEGER PRIMARY KEY, owner TEXT);
CREATE TABLE quiet (id INTEGER PRIMARY KEY, owner TEXT);";

pub(crate) const SCHEMA: &str = "
CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL);
CREATE TABLE members (team_id INTEGER NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
  user_id TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'member', PRIMARY KEY (team_id, user_id)) WITHOUT ROWID;
CREATE INDEX members_user ON members(user_id, team_id);
CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, body TEXT NOT NULL DEFAULT '',
  owner TEXT NOT NULL, team_id INTEGER REFERENCES teams(id) ON DELETE SET NULL, public INTEGER NOT NULL DEFAULT 0,
  stars INTEGER NOT NULL DEFAULT 0);
CREATE INDEX notes_owner ON notes(owner);
CREATE INDEX notes_team ON notes(team_id);
CREATE TABLE drops (note TEXT);
CREATE TABLE secrets (id INTEGER PRIMARY KEY, word TEXT);
";

pub(crate) const POLICIES: &str = "
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE drops ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text) WITH CHECK (owner = auth.uid()::text);
CREATE POLICY team ON notes FOR SELECT TO authenticated
  USING (EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()::text));
CREATE POLICY members_read ON members FOR SELECT TO authenticated USING (user_id = auth.uid()::text);
CREATE POLICY teams_read ON teams FOR SELECT TO authenticated
  USING (owner = auth.uid()::text OR id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()::text));
CREATE POLICY teams_own ON teams FOR ALL TO authenticated USING (owner = auth.uid()::text);
CREATE POLICY drops_in ON drops FOR INSERT TO anon, authenticated WITH CHECK (true);
";

/// Two of Ann's notes, three of Bob's (one in Ann's team), one of them with JSON that is none.
pub(crate) const ROWS: &str = "
INSERT INTO teams VALUES (1, 'red', '00000000-0000-4000-8000-00000000000b'), (2, 'blue', '00000000-0000-4000-8000-00000000000b');
INSERT INTO members VALUES (1, '00000000-0000-4000-8000-00000000000a', 'member'), (2, '00000000-0000-4000-8000-00000000000b', 'admin');
INSERT INTO notes (id, title, body, owner, team_id) VALUES
  (1, 'ann one', '{\"a\":1}', '00000000-0000-4000-8000-00000000000a', NULL),
  (2, 'ann two', '{\"a\":2}', '00000000-0000-4000-8000-00000000000a', NULL),
  (3, 'bob red', '{\"a\":3}', '00000000-0000-4000-8000-00000000000b', 1),
  (4, 'HIDDEN-four', 'HIDDEN not json', '00000000-0000-4000-8000-00000000000b', NULL),
  (5, 'HIDDEN-five', '{\"a\":5,\"k\":\"HIDDEN\"}', '00000000-0000-4000-8000-00000000000b', 2);
INSERT INTO secrets VALUES (1, 'HIDDEN');
";

pub(crate) struct Fixture {
    pub(crate) guard: Guard,
    pub(crate) path: std::path::PathBuf,
    _dir: Dir,
}

struct Dir(std::path::PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) async fn plain(path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(5)).connect().await.unwrap()
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(SCHEMA, ROWS, POLICIES, GuardOptions::default()).await.unwrap()
    }

    pub(crate) async fn with(
        schema: &str,
        rows: &str,
        policies: &str,
        options: GuardOptions,
    ) -> aurora_core::types::Result<Self> {
        let policies = Policies::parse(policies, "policies.sql").map_err(|errors| {
            aurora_core::types::Error::new(aurora_core::types::Code::Configuration, errors.to_string())
        })?;
        Self::over(schema, rows, &policies, options).await
    }

    pub(crate) async fn over(
        schema: &str,
        rows: &str,
        policies: &Policies,
        options: GuardOptions,
    ) -> aurora_core::types::Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("aurora-guard-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("app.db");
        let mut conn = plain(&path).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{schema};{rows}"))).execute(&mut conn).await.unwrap();
        sqlx::Connection::close(conn).await.unwrap();
        let guard = Guard::open(
            &path,
            policies,
            WriterLock::new(Duration::from_secs(5)),
            Arc::new(SystemClock),
            &SystemEntropy,
            options,
        )
        .await?;
        Ok(Self { guard, path, _dir: Dir(dir) })
    }

    pub(crate) fn ann(&self) -> Guarded {
        self.as_user(ANN)
    }

    pub(crate) fn bob(&self) -> Guarded {
        self.as_user(BOB)
    }

    pub(crate) fn anon(&self) -> Guarded {
        self.guard.guarded(Principal::anonymous())
    }

    pub(crate) fn as_user(&self, id: &str) -> Guarded {
        self.guard.guarded(Principal::user(id.parse::<UserId>().unwrap()))
    }

    /// What stands in the file, past the guard.
    pub(crate) async fn titles(&self) -> Vec<String> {
        let mut conn = plain(&self.path).await;
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT title FROM notes ORDER BY id").fetch_all(&mut conn).await.unwrap();
        rows.into_iter().map(|(title,)| title).collect()
    }
}

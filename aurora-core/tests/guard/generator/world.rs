//! Five policies over one schema, and beside each what it means as plain SQL written by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded, Probe};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::{Principal, UserId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Decode, Row as _, Sqlite, TypeInfo as _, ValueRef as _,
};

pub(crate) const ANN: &str = "00000000-0000-4000-8000-00000000000a";
pub(crate) const BOB: &str = "00000000-0000-4000-8000-00000000000b";
/// Whose rows nobody who asks may see.
pub(crate) const ZED: &str = "00000000-0000-4000-8000-00000000000f";
pub(crate) const TABLES: [&str; 4] = ["teams", "members", "notes", "tags"];

pub(crate) const SCHEMA: &str = "
CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, size INTEGER NOT NULL DEFAULT 1);
CREATE TABLE members (team_id INTEGER NOT NULL, user_id TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'member',
  points INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (team_id, user_id)) WITHOUT ROWID;
CREATE INDEX members_user ON members(user_id, team_id);
CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, body TEXT NOT NULL DEFAULT '{\"a\":0,\"k\":\"d\",\"l\":[3]}',
  owner TEXT NOT NULL, team_id INTEGER, public INTEGER NOT NULL DEFAULT 0, stars INTEGER NOT NULL DEFAULT 0, parent INTEGER);
CREATE INDEX notes_cover ON notes(owner, title, body, stars);
CREATE INDEX notes_team ON notes(team_id, title);
CREATE INDEX notes_stars ON notes(stars, body);
CREATE INDEX notes_length ON notes(length(title));
CREATE INDEX notes_public ON notes(title) WHERE public = 1;
CREATE TABLE tags (note_id INTEGER NOT NULL, tag TEXT NOT NULL, weight INTEGER, extra TEXT, UNIQUE (note_id, tag));
CREATE INDEX tags_weight ON tags(weight, extra);
CREATE TABLE secrets (id INTEGER PRIMARY KEY, word TEXT);
";

/// Rows of Ann's and Bob's, and Zed's: marked, no JSON, and with the one number that `abs` fails on.
fn rows() -> String {
    let mut sql = format!(
        "INSERT INTO teams VALUES (1, 'red', '{ANN}', 3), (2, 'blue', '{BOB}', 2), (3, 'HIDDEN team', '{ZED}', -9223372036854775808);
         INSERT INTO members VALUES (1, '{ANN}', 'admin', 4), (2, '{ANN}', 'member', 1), (2, '{BOB}', 'admin', 5),
           (3, '{ZED}', 'HIDDEN role', -9223372036854775808);
         INSERT INTO secrets VALUES (1, 'HIDDEN secret');"
    );
    for id in 1..=15_u32 {
        let (owner, name) = match id {
            1..=5 => (ANN, "ann"),
            6..=10 => (BOB, "bob"),
            _ => (ZED, "HIDDEN"),
        };
        let team = match id {
            1 | 6 => "1",
            2 | 7 | 8 => "2",
            13 | 14 => "3",
            _ => "NULL",
        };
        let public = u32::from(matches!(id, 3 | 7 | 9));
        let parent = if id % 5 == 1 { "NULL".to_owned() } else { (id - 1).to_string() };
        let (body, stars) = match (id, owner == ZED) {
            (15, _) => ("{\"a\":7770000,\"k\":\"HIDDEN\",\"l\":[7770001]}".to_owned(), "7770002".to_owned()),
            (_, true) => ("HIDDEN no json {".to_owned(), "-9223372036854775808".to_owned()),
            _ => (format!("{{\"a\":{},\"k\":\"k{id}\",\"l\":[{},2]}}", id % 4, id), (id % 5).to_string()),
        };
        sql.push_str(&format!(
            "INSERT INTO notes VALUES ({id}, '{name} note {id}', '{body}', '{owner}', {team}, {public}, {stars}, {parent});"
        ));
        let (weight, extra) = if owner == ZED {
            ("-9223372036854775808".to_owned(), "'HIDDEN ['".to_owned())
        } else if id % 3 == 0 {
            ("NULL".to_owned(), "NULL".to_owned())
        } else {
            (id.to_string(), format!("'{{\"a\":{id},\"k\":\"e\",\"l\":[]}}'"))
        };
        sql.push_str(&format!("INSERT INTO tags VALUES ({id}, 't{}', {weight}, {extra});", id % 3));
        if id % 4 == 0 {
            let tag = if owner == ZED { "HIDDEN tag" } else { "more" };
            sql.push_str(&format!("INSERT INTO tags VALUES ({id}, '{tag}', {weight}, {extra});"));
        }
    }
    sql
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Select,
    Update,
    Delete,
    CheckInsert,
    CheckUpdate,
}

/// One set of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Owner,
    Member,
    Public,
    Restrictive,
    Exists,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] =
        [Self::Owner, Self::Member, Self::Public, Self::Restrictive, Self::Exists];

    pub(crate) fn policies(self) -> String {
        let mut text: String =
            TABLES.iter().map(|table| format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n")).collect();
        text.push_str(
            "CREATE POLICY own ON members FOR ALL TO authenticated USING (user_id = auth.uid()::text);
             CREATE POLICY own ON teams FOR ALL TO authenticated USING (owner = auth.uid()::text);
             CREATE POLICY mine ON teams FOR SELECT TO authenticated
               USING (id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()::text));
             CREATE POLICY seen ON tags FOR SELECT USING (EXISTS (SELECT 1 FROM notes n WHERE n.id = tags.note_id));
             CREATE POLICY own ON tags FOR ALL TO authenticated
               USING (EXISTS (SELECT 1 FROM notes n WHERE n.id = tags.note_id AND n.owner = auth.uid()::text));\n",
        );
        let own = "CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text);\n";
        text.push_str(match self {
            Self::Owner | Self::Member | Self::Public => own,
            _ => "",
        });
        text.push_str(match self {
            Self::Owner => "",
            Self::Member => {
                "CREATE POLICY team ON notes FOR SELECT TO authenticated USING (EXISTS
                   (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()::text));"
            }
            Self::Public => {
                "CREATE POLICY open ON notes FOR SELECT USING (public = 1);
                 CREATE POLICY wiki ON notes FOR UPDATE TO authenticated USING (public = 1) WITH CHECK (public = 1);"
            }
            Self::Restrictive => {
                "CREATE POLICY every ON notes FOR ALL TO authenticated USING (true);
                 CREATE POLICY sane ON notes AS RESTRICTIVE FOR SELECT USING (stars >= 0 AND stars < 1000000);
                 CREATE POLICY keep ON notes AS RESTRICTIVE FOR UPDATE USING (owner = auth.uid()::text);
                 CREATE POLICY few ON notes AS RESTRICTIVE FOR DELETE USING (owner = auth.uid()::text AND stars < 3);
                 CREATE POLICY mine ON notes AS RESTRICTIVE FOR INSERT WITH CHECK (owner = auth.uid()::text);"
            }
            Self::Exists => {
                "CREATE POLICY team ON notes FOR ALL TO authenticated USING (EXISTS (SELECT 1 FROM members m
                   JOIN teams t ON t.id = m.team_id WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()::text));"
            }
        });
        text
    }

    /// The condition on row `r` of a table, over the whole database that is attached as `f`.
    pub(crate) fn means(self, table: &str, does: Does, user: Option<&str>) -> String {
        let notes = |does| self.means("notes", does, user);
        if table == "tags" {
            let own = if does == Does::Select {
                "1".to_owned()
            } else {
                format!("r.owner = '{}'", user.unwrap_or("-"))
            };
            let seen = notes(Does::Select);
            return format!(
                "EXISTS (SELECT 1 FROM f.notes AS r WHERE r.id = t.note_id AND ({seen}) AND ({own}))"
            );
        }
        let Some(user) = user else {
            let open = table == "notes" && self == Self::Public && does == Does::Select;
            return if open { "r.public = 1" } else { "0" }.to_owned();
        };
        let member = format!("r.team_id IN (SELECT team_id FROM f.members WHERE user_id = '{user}')");
        let own = format!("r.owner = '{user}'");
        match (table, does) {
            ("members", _) => format!("r.user_id = '{user}'"),
            ("teams", Does::Select) => {
                format!("{own} OR r.id IN (SELECT team_id FROM f.members WHERE user_id = '{user}')")
            }
            ("teams", _) => own,
            (_, does) => match (self, does) {
                (Self::Member, Does::Select) => format!("{own} OR {member}"),
                (Self::Public, Does::Select | Does::Update | Does::CheckUpdate) => {
                    format!("{own} OR r.public = 1")
                }
                (Self::Restrictive, Does::Select) => "r.stars >= 0 AND r.stars < 1000000".to_owned(),
                (Self::Restrictive, Does::Delete) => format!("{own} AND r.stars < 3"),
                (Self::Exists, _) => format!(
                    "r.team_id IN (SELECT m.team_id FROM f.members m JOIN f.teams x ON x.id = m.team_id WHERE m.user_id = '{user}')"
                ),
                _ => own,
            },
        }
    }

    /// Tables that a policy of `table` may lead to.
    pub(crate) fn reaches(self, table: &str) -> &'static [&'static str] {
        match (self, table) {
            (Self::Member, "notes") => &["members"],
            (Self::Exists, "notes") => &["members", "teams"],
            (_, "teams") => &["members"],
            (Self::Member | Self::Exists, "tags") => &["notes", "members", "teams"],
            (_, "tags") => &["notes"],
            _ => &[],
        }
    }
}

/// A database file under one scenario, and its guard.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) guard: Guard,
    pub(crate) probe: Probe,
    pub(crate) path: PathBuf,
    dir: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl World {
    pub(crate) async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, |_| {}).await
    }

    pub(crate) async fn with(scenario: Scenario, change: impl FnOnce(&mut GuardOptions)) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let shared = Path::new("/dev/shm");
        let base = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let dir = base.join(format!(
            "aurora-world-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("app.db");
        let mut conn = plain(&path).await;
        run(&mut conn, format!("{SCHEMA};{}", rows())).await.unwrap();
        sqlx::Connection::close(conn).await.unwrap();
        let (guard, probe) = open(&path, scenario, change).await;
        Self { scenario, guard, probe, path, dir }
    }

    pub(crate) fn as_user(&self, user: Option<&str>) -> Guarded {
        self.guard.guarded(match user {
            Some(id) => Principal::user(id.parse::<UserId>().unwrap()),
            None => Principal::anonymous(),
        })
    }

    /// A plain database that holds only what the user may see; the whole one is attached as `f`.
    pub(crate) async fn reduced(&self, user: Option<&str>) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(":memory:").foreign_keys(false);
        let mut conn = options.connect().await.unwrap();
        run(&mut conn, format!("{SCHEMA}; ATTACH '{}' AS f", self.path.display())).await.unwrap();
        self.refill(&mut conn, user).await;
        conn
    }

    /// Makes the reduced database hold again what the user may see in the whole one.
    pub(crate) async fn refill(&self, conn: &mut SqliteConnection, user: Option<&str>) {
        let mut sql = String::from("BEGIN;");
        for table in TABLES {
            let seen = self.scenario.means(table, Does::Select, user);
            let alias = alias(table);
            sql.push_str(&format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT {alias}.* FROM f.{table} AS {alias} WHERE {seen};"
            ));
        }
        sql.push_str("COMMIT;");
        run(conn, sql).await.unwrap();
    }
}

/// A guard over a file that is there.
pub(crate) async fn open(
    path: &Path,
    scenario: Scenario,
    change: impl FnOnce(&mut GuardOptions),
) -> (Guard, Probe) {
    let policies = Policies::parse(&scenario.policies(), "policies.sql").unwrap();
    let probe = Probe::default();
    let mut options = GuardOptions::default();
    options.probe = Some(probe.clone());
    change(&mut options);
    let lock = WriterLock::new(Duration::from_secs(5));
    let guard =
        Guard::open(path, &policies, lock, Arc::new(SystemClock), &SystemEntropy, options).await.unwrap();
    (guard, probe)
}

/// What [`Scenario::means`] calls the row.
pub(crate) fn alias(table: &str) -> &'static str {
    if table == "tags" { "t" } else { "r" }
}

pub(crate) async fn plain(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
    options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(5)).connect().await.unwrap()
}

pub(crate) async fn run(conn: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(|_| ())
}

/// Any value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    /// As it prints.
    Real(String),
    Text(String),
    Blob(Vec<u8>),
}

/// Any row: its cells and its columns' names.
#[derive(Clone, Debug)]
pub(crate) struct AnyRow {
    pub(crate) cells: Vec<Cell>,
    pub(crate) names: Vec<String>,
}

impl<'r> sqlx::FromRow<'r, SqliteRow> for AnyRow {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        let mut cells = Vec::new();
        for at in 0..row.columns().len() {
            let value = row.try_get_raw(at)?;
            let decoded = if value.is_null() {
                Cell::Null
            } else {
                let kind = value.type_info().name().to_owned();
                match kind.as_str() {
                    "INTEGER" | "BOOLEAN" => {
                        Cell::Int(<i64 as Decode<Sqlite>>::decode(value).map_err(sqlx::Error::Decode)?)
                    }
                    "REAL" => Cell::Real(
                        <f64 as Decode<Sqlite>>::decode(value).map_err(sqlx::Error::Decode)?.to_string(),
                    ),
                    "TEXT" => Cell::Text(
                        String::from_utf8_lossy(
                            <&[u8] as Decode<Sqlite>>::decode(value).map_err(sqlx::Error::Decode)?,
                        )
                        .into_owned(),
                    ),
                    _ => Cell::Blob(<Vec<u8> as Decode<Sqlite>>::decode(value).map_err(sqlx::Error::Decode)?),
                }
            };
            cells.push(decoded);
        }
        let names = row.columns().iter().map(|column| column.name().to_owned()).collect();
        Ok(Self { cells, names })
    }
}

impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for AnyRow {
    fn from_row(_: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        Err(sqlx::Error::Protocol("a test of SQLite".into()))
    }
}

pub(crate) async fn rows_of(conn: &mut SqliteConnection, sql: &str) -> Result<Vec<AnyRow>, sqlx::Error> {
    sqlx::query_as(AssertSqlSafe(sql.to_owned())).persistent(false).fetch_all(conn).await
}

/// Whether text or a number marks a row that nobody may see.
pub(crate) fn marked(cell: &Cell) -> bool {
    match cell {
        Cell::Int(number) => *number == i64::MIN || (7_770_000..7_770_010).contains(number),
        Cell::Text(text) => text.contains("HIDDEN") || text.contains(ZED),
        Cell::Real(text) => text.starts_with("-9223372036854775"),
        Cell::Blob(bytes) => bytes.windows(6).any(|window| window == b"HIDDEN"),
        Cell::Null => false,
    }
}

/// How many cases a suite runs: `normal`, or as many as `AURORA_CASES` says.
#[expect(clippy::disallowed_methods, reason = "the length of a test run is the environment's to say")]
pub(crate) fn cases(normal: u64) -> u64 {
    std::env::var("AURORA_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(normal)
}

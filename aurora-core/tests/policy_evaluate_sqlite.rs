//! The same lowered policies in process and in SQLite, through the guard: generated policies over every kind of
//! row, NULLs and errors among them, give one decision in both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

#[path = "common/rng.rs"]
mod rng;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{ManualClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded};
use aurora_core::policy::functions::Value;
use aurora_core::policy::{
    Bound, Clause, Column, Command, Decision, Fact, Facts, Lowered, Names, Policies, RowLayout, Schema, Table,
};
use aurora_core::store::WriterLock;
use aurora_core::types::{Principal, Role, Timestamp, UserId};
use rng::Rng;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

const ANN: &str = "0d6a1e5c-1111-4111-8111-00000000000a";
const BOB: &str = "0d6a1e5c-2222-4222-8222-00000000000b";
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const TABLES: usize = 40;
const BATCHES: u64 = 60;
const ROWS: usize = 48;

const COLUMNS: &[(&str, &str)] = &[
    ("id", "INTEGER"),
    ("owner", "TEXT"),
    ("team", "INTEGER"),
    ("public", "BOOLEAN"),
    ("title", "TEXT"),
    ("score", "INTEGER"),
    ("uid", "BLOB"),
    ("at", "TIMESTAMP"),
    ("extra", "JSON"),
    ("price", "REAL"),
];
const MEMBERS: &[(&str, &str)] =
    &[("team_id", "INTEGER"), ("user_id", "TEXT"), ("role", "TEXT"), ("level", "INTEGER")];
const TEAMS: &[(&str, &str)] =
    &[("id", "INTEGER"), ("parent", "INTEGER"), ("open", "BOOLEAN"), ("name", "TEXT")];

/// Conditions in PostgreSQL's text.
struct Generator<'a> {
    rng: &'a mut Rng,
    table: String,
    used: BTreeMap<&'static str, usize>,
}

impl Generator<'_> {
    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.chance(30) {
            return self.leaf();
        }
        let d = depth - 1;
        match self.rng.below(10) {
            0..=2 => format!("({} AND {})", self.condition(d), self.condition(d)),
            3..=5 => format!("({} OR {})", self.condition(d), self.condition(d)),
            6 => format!("NOT ({})", self.condition(d)),
            7 => format!(
                "({}) IS {}",
                self.condition(d),
                self.rng.pick(&["TRUE", "FALSE", "NOT TRUE", "NULL"])
            ),
            8 => format!("coalesce({}, {})", self.condition(d), self.rng.pick(&["true", "false", "public"])),
            _ => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.condition(d),
                self.condition(d),
                self.condition(d)
            ),
        }
    }

    fn leaf(&mut self) -> String {
        let table = self.table.clone();
        let text = *self.rng.pick(LEAVES);
        *self.used.entry(text).or_default() += 1;
        let (number, word) =
            (self.rng.below(5).to_string(), *self.rng.pick(&["a", "A", "admin", "", "1", "x%"]));
        let op =
            *self.rng.pick(&["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
        let same = *self.rng.pick(&["=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
        let not = *self.rng.pick(&["", "NOT "]);
        text.replace("{t}", &table)
            .replace("{n}", &number)
            .replace("{w}", word)
            .replace("{op}", op)
            .replace("{eq}", same)
            .replace("{not}", not)
    }
}

const LEAVES: &[&str] = &[
    "owner {eq} auth.uid()",
    "owner {eq} auth.uid()::text",
    "uid {eq} auth.uid()",
    "auth.uid() IS {not}NULL",
    "auth.role() {eq} 'authenticated'",
    "auth.jwt() ->> 'role' {eq} 'authenticated'",
    "auth.jwt() ->> 'sub' = owner",
    "auth.jwt() -> 'app_metadata' ->> 'role' = 'admin'",
    "public",
    "NOT public",
    "public IS {not}TRUE",
    "public {eq} true",
    "title {eq} '{w}'",
    "title IN ('{w}', 'a', 'b')",
    "title NOT IN ('{w}', 'b')",
    "title {not}LIKE '{w}%'",
    "title ILIKE 'A_%'",
    "lower(title) {eq} '{w}'",
    "length(title) {op} {n}",
    "title || '{w}' = 'a{w}'",
    "title IS {not}NULL",
    "title::int {op} {n}",
    "title {eq} owner",
    "team {op} {n}",
    "team IN (1, {n}, 3)",
    "team NOT IN ({n}, NULL)",
    "team BETWEEN 1 AND {n}",
    "score {op} team",
    "score / team {op} {n}",
    "score % {n} = 1",
    "score + {n} {op} team * 2",
    "team::text {eq} '{n}'",
    "(team = {n})::int = 1",
    "at {op} now()",
    "at {op} '2023-11-14 22:13:20'",
    "at IS {not}NULL",
    "extra ->> 'k' {eq} '{w}'",
    "(extra ->> 'n')::int {op} {n}",
    "extra -> 'l' ->> 0 = '{w}'",
    "price {op} 1.5",
    "price {eq} {n}",
    "price < score",
    "coalesce(title, '{w}') = 'a'",
    "nullif(title, '{w}') IS NULL",
    "uid {eq} '0d6a1e5c-2222-4222-8222-00000000000b'",
    "owner IN ('0d6a1e5c-2222-4222-8222-00000000000b', '{w}')",
    "{not}EXISTS (SELECT 1 FROM members m WHERE m.team_id = {t}.team AND m.user_id = auth.uid())",
    "{not}EXISTS (SELECT 1 FROM members m WHERE m.team_id = {t}.team AND m.role = {t}.title)",
    "{not}EXISTS (SELECT 1 FROM members m WHERE m.user_id = {t}.owner AND {t}.public AND m.level > {n})",
    "{not}EXISTS (SELECT 1 FROM members m JOIN teams x ON x.id = m.team_id WHERE x.id = {t}.team AND x.open)",
    "{not}EXISTS (SELECT 1 FROM members m WHERE m.level = {t}.score + {n} AND m.user_id = auth.uid())",
    "{not}EXISTS (SELECT 1 FROM members m WHERE m.user_id = auth.uid() AND m.level > {n})",
    "{not}EXISTS (SELECT 1 FROM teams x WHERE x.id = {t}.team AND (x.open OR x.parent IN
       (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())))",
    "team {not}IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())",
    "title {not}IN (SELECT m.role FROM members m WHERE m.team_id = {t}.team)",
    "auth.uid() {not}IN (SELECT m.user_id FROM members m WHERE m.team_id = {t}.team)",
    "owner {not}IN (SELECT m.user_id FROM members m WHERE m.level = {n})",
    "(SELECT x.open FROM teams x WHERE x.id = {t}.team)",
    "(SELECT x.name FROM teams x WHERE x.id = {t}.team) {eq} title",
    "(SELECT m.role FROM members m WHERE m.team_id = {t}.team) = 'admin'",
    "(SELECT m.level FROM members m WHERE m.user_id = {t}.owner AND m.role = 'admin') {op} {n}",
];

fn rows(rng: &mut Rng) -> String {
    let mut text = Vec::new();
    for id in 1..=ROWS {
        let owner = *rng.pick(&["NULL", "'{a}'", "'{b}'", "upper('{a}')", "''"]);
        let title = *rng.pick(&["NULL", "'a'", "'A'", "'admin'", "'1'", "'member'", "''"]);
        let uid = *rng.pick(&["NULL", "x'{A}'", "x'{B}'", "x'00'"]);
        let at = *rng.pick(&[
            "NULL",
            "'2023-11-14T22:13:20Z'",
            "'2023-11-14 22:13:19.5'",
            "1700000001",
            "'2030-01-01'",
        ]);
        let extra = *rng.pick(&[
            "NULL",
            "'{\"k\":\"a\",\"n\":2,\"l\":[\"a\"]}'",
            "'{\"k\":null,\"n\":\"x\"}'",
            "'[1]'",
            "'{'",
        ]);
        let number = |rng: &mut Rng| *rng.pick(&["NULL", "0", "1", "2", "3", "-1"]);
        let public = if rng.chance(4) { "'true'" } else { *rng.pick(&["NULL", "0", "1"]) };
        let price = *rng.pick(&["NULL", "1", "1.5", "2.0", "-0.0"]);
        let (team, score) = (number(rng), number(rng));
        text.push(format!(
            "({id}, {owner}, {team}, {public}, {title}, {score}, {uid}, {at}, {extra}, {price})"
        ));
    }
    let plain = |user: &str| user.replace('-', "");
    text.join(", ")
        .replace("{a}", ANN)
        .replace("{b}", BOB)
        .replace("{A}", &plain(ANN))
        .replace("{B}", &plain(BOB))
}

fn declared(columns: &[(&str, &str)]) -> String {
    columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
}

fn table(name: &str, columns: &[(&str, &str)]) -> Table {
    Table::new(name, columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect())
}

fn schema() -> Schema {
    let mut teams = table("teams", TEAMS);
    teams.primary_key = vec!["id".into()];
    let mut tables: Vec<Table> = (0..TABLES).map(|i| table(&format!("t{i}"), COLUMNS)).collect();
    tables.extend([table("members", MEMBERS), teams]);
    Schema { tables }
}

const INNER: &str = "ALTER TABLE members ENABLE ROW LEVEL SECURITY; ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY m ON members FOR SELECT USING (level IS DISTINCT FROM 4); CREATE POLICY t ON teams FOR SELECT USING (true);\n";

/// Inner tables under their own policies, identity as literals: what a connection of the principal's answers.
struct Inlined;

impl Names for Inlined {
    fn row(&self, column: &str) -> String {
        panic!("a fact reads the row's {column}")
    }
    fn owner_table(&self, table: &str) -> String {
        format!("\"{table}\"")
    }

    fn table(&self, table: &str) -> String {
        match table {
            "members" => "(SELECT * FROM members WHERE level IS NOT 4)".to_owned(),
            other => other.to_owned(),
        }
    }
    fn function(&self, name: &str) -> String {
        name.to_owned()
    }
}

struct World {
    folder: PathBuf,
    path: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    async fn new(seed: u64, rng: &mut Rng) -> (Self, SqliteConnection) {
        let folder = std::env::temp_dir().join(format!("aurora-evaluate-{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("app.db");
        let mut plain = connect(&path).await;
        let (members, teams) =
            (declared(MEMBERS), declared(TEAMS).replace("id INTEGER,", "id INTEGER PRIMARY KEY,"));
        let mut script = format!("BEGIN; CREATE TABLE members ({members}); CREATE TABLE teams ({teams});");
        script.push_str("INSERT INTO teams VALUES (0, NULL, 1, 'a'), (1, 0, 0, 'admin'), (2, 1, NULL, NULL), (3, 2, 1, '');");
        for (user, role, level) in
            [(ANN, "admin", 1), (ANN, "member", 2), (BOB, "admin", 3), (BOB, "a", 4), (ANN, "a", 4)]
        {
            let team = *rng.pick(&["NULL", "0", "1", "2", "3"]);
            script.push_str(&format!("INSERT INTO members VALUES ({team}, '{user}', '{role}', {level});"));
        }
        script.push_str(rng.pick::<&str>(&["", "INSERT INTO members VALUES (NULL, NULL, NULL, NULL);"]));
        for i in 0..TABLES {
            let columns = declared(COLUMNS).replace("id INTEGER,", "id INTEGER PRIMARY KEY,");
            script
                .push_str(&format!("CREATE TABLE t{i} ({columns}); INSERT INTO t{i} VALUES {};", rows(rng)));
        }
        script.push_str("COMMIT");
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut plain).await.unwrap();
        (Self { folder, path }, plain)
    }

    async fn guarded(&self, policies: &Policies) -> Guard {
        Guard::open(
            &self.path,
            policies,
            WriterLock::new(Duration::from_secs(5)),
            Arc::new(ManualClock::new(NOW)),
            &SystemEntropy,
            GuardOptions::default(),
        )
        .await
        .unwrap_or_else(|error| panic!("{error:?}"))
    }
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn values(db: &mut SqliteConnection, sql: &str, width: usize) -> Vec<Vec<Value>> {
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(db).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let value = |row: &sqlx::sqlite::SqliteRow, i: usize| match row.get_unchecked::<String, _>(2 * i).as_str()
    {
        "null" => Value::Null,
        "integer" => Value::Integer(row.get_unchecked(2 * i + 1)),
        "real" => Value::Real(row.get_unchecked(2 * i + 1)),
        "text" => Value::Text(row.get_unchecked(2 * i + 1)),
        _ => Value::Blob(row.get_unchecked(2 * i + 1)),
    };
    rows.iter().map(|row| (0..width).map(|i| value(row, i)).collect()).collect()
}

/// The answer to a fact, as a connection of ann's would give it.
async fn load(db: &mut SqliteConnection, fact: &Fact) -> Vec<Vec<Value>> {
    let blob = ANN.replace('-', "");
    let sql = fact
        .render(&Inlined)
        .replace("auth_uid_text()", &format!("'{ANN}'"))
        .replace("auth_uid_blob()", &format!("x'{blob}'"))
        // Every user id in the inner tables is spelled in lower case.
        .replace("aurora_uuid(", "lower(");
    let typed: Vec<String> = (1..=fact.width()).map(|i| format!("typeof(c{i}), c{i}")).collect();
    let names: Vec<String> = (1..=fact.width()).map(|i| format!("c{i}")).collect();
    let sql = format!("WITH f({}) AS ({sql}) SELECT {} FROM f", names.join(", "), typed.join(", "));
    values(db, &sql, fact.width()).await
}

#[derive(Debug, Default)]
struct Counts {
    policies: usize,
    facts: usize,
    allow: usize,
    deny: usize,
    error: usize,
    /// An error here alone: SQLite orders the sides of AND and OR by their cost and did not come to it. The
    /// second count is of rows that it shows: the first error from the left is PostgreSQL's answer.
    error_here: usize,
    error_here_shown: usize,
    /// An error in SQLite alone: where an OR stands as a value it computes both sides, which PostgreSQL and the
    /// evaluator do not. The statement fails; the second count is of rows that are allowed here.
    error_there: usize,
    error_there_allowed: usize,
    refused: BTreeMap<String, usize>,
}

async fn visible(db: &Guarded, table: &str, id: Option<i64>) -> Result<BTreeSet<i64>, String> {
    let found = match id {
        None => db.query_as::<(i64,)>(&format!("SELECT id FROM {table}")).fetch_all().await,
        Some(id) => {
            db.query_as::<(i64,)>(&format!("SELECT id FROM {table} WHERE id = ?1")).bind(id).fetch_all().await
        }
    };
    found.map(|rows| rows.into_iter().map(|(id,)| id).collect()).map_err(|error| format!("{error:?}"))
}

async fn compare(
    table: &str,
    policy: &str,
    bound: &Bound,
    rows: &[Vec<Value>],
    db: &Guarded,
    counts: &mut Counts,
) {
    let all = visible(db, table, None).await;
    for row in rows {
        let Value::Integer(id) = row[0] else { panic!("{row:?}") };
        let ours = bound.decide(&row[..], NOW);
        let theirs = match &all {
            Ok(seen) => Ok(seen.contains(&id)),
            Err(_) => visible(db, table, Some(id)).await.map(|seen| seen.contains(&id)),
        };
        match (&ours, &theirs) {
            (Decision::Allow, Ok(true)) => counts.allow += 1,
            (Decision::Deny, Ok(false)) => counts.deny += 1,
            (Decision::Error(_), Err(_)) => counts.error += 1,
            (Decision::Error(_), Ok(false)) => counts.error_here += 1,
            (Decision::Error(_), Ok(true)) => counts.error_here_shown += 1,
            (Decision::Deny, Err(_)) => counts.error_there += 1,
            (Decision::Allow, Err(_)) => counts.error_there_allowed += 1,
            _ => panic!("{policy}\nin process {ours:?}, SQLite {theirs:?}\n{row:?}"),
        }
    }
}

fn generate(
    rng: &mut Rng,
    counts: &mut Counts,
    used: &mut BTreeMap<&'static str, usize>,
) -> (String, Vec<String>) {
    let (mut text, mut each) = (INNER.to_owned(), Vec::new());
    for i in 0..TABLES {
        let table = format!("t{i}");
        let accepted = loop {
            let depth = 1 + rng.below(3);
            let mut generator = Generator { rng, table: table.clone(), used: BTreeMap::new() };
            let (one, other) = (generator.condition(depth), generator.condition(depth - 1));
            let found = generator.used;
            let mut policies = format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\nCREATE POLICY p ON {table} FOR SELECT USING ({one});\n"
            );
            if rng.chance(30) {
                let kind = *rng.pick(&["", "AS RESTRICTIVE "]);
                policies.push_str(&format!("CREATE POLICY q ON {table} {kind}USING ({other});\n"));
            }
            match Policies::parse(&format!("{INNER}{policies}"), "p.sql")
                .and_then(|read| read.lower(&schema()))
            {
                Ok(lowered) => match compiled(&lowered, &table) {
                    Ok(_) => {
                        found.into_iter().for_each(|(leaf, count)| *used.entry(leaf).or_default() += count);
                        break policies;
                    }
                    Err(error) => *counts.refused.entry(error).or_default() += 1,
                },
                Err(errors) => {
                    let first = errors.iter().next().map(|error| error.construct().to_owned());
                    *counts.refused.entry(first.unwrap_or_default()).or_default() += 1;
                }
            }
        };
        text.push_str(&accepted);
        each.push(accepted);
    }
    (text, each)
}

fn compiled(lowered: &Lowered, table: &str) -> Result<aurora_core::policy::Compiled, String> {
    let layout = RowLayout::new(COLUMNS.iter().map(|(name, _)| *name));
    let compiled = lowered.compile(table, Role::Authenticated, Command::Select, Clause::Using, &layout);
    compiled
        .map_err(|errors| errors.iter().next().map(|error| error.construct().to_owned()).unwrap_or_default())
}

#[tokio::test]
async fn in_process_and_in_sqlite_the_decisions_are_the_same() {
    let (mut counts, mut used) = (Counts::default(), BTreeMap::new());
    for seed in 0..BATCHES {
        let mut rng = Rng::seeded(seed);
        let (world, mut plain) = World::new(seed, &mut rng).await;
        let (text, each) = generate(&mut rng, &mut counts, &mut used);
        let policies = Policies::parse(&text, "p.sql").unwrap_or_else(|errors| panic!("{errors}"));
        let lowered = policies.lower(&schema()).unwrap_or_else(|errors| panic!("{errors}"));
        let guard = world.guarded(&policies).await;
        let ann = Principal::user(ANN.parse::<UserId>().unwrap());
        let db = guard.guarded(ann.clone());
        for (i, policy) in each.iter().enumerate() {
            let table = format!("t{i}");
            let compiled = compiled(&lowered, &table).unwrap_or_else(|error| panic!("{error}"));
            let mut facts = Facts::of(&ann);
            for fact in compiled.needs() {
                facts.insert(fact, load(&mut plain, fact).await);
                counts.facts += 1;
            }
            let bound = compiled.bind(&facts).unwrap();
            let typed: Vec<String> =
                COLUMNS.iter().map(|(name, _)| format!("typeof({name}), {name}")).collect();
            let rows =
                values(&mut plain, &format!("SELECT {} FROM {table}", typed.join(", ")), COLUMNS.len()).await;
            assert_eq!(rows.len(), ROWS);
            compare(&table, &format!("seed {seed}\n{policy}"), &bound, &rows, &db, &mut counts).await;
            counts.policies += 1;
        }
    }
    println!("{counts:#?}");
    let rare = used.iter().min_by_key(|(_, count)| **count);
    println!("{} of {} shapes used, the rarest {rare:?}", used.len(), LEAVES.len());
    assert_eq!(used.len(), LEAVES.len());
    assert!(counts.allow > 20_000 && counts.deny > 20_000 && counts.error > 500, "{counts:?}");
    let apart = [counts.error_here, counts.error_here_shown, counts.error_there, counts.error_there_allowed];
    assert!(apart.iter().sum::<usize>() < counts.error, "{counts:?}");
}

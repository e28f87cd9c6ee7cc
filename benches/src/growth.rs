//! What grows with the number of policies: loading, deciding, a connection's first use, memory.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use aurora_core::guard::Guarded;
use aurora_core::policy::{
    Clause, Column, Command, Decision, Facts, Lowered, Policies, RowLayout, Schema, Table, ValueRef,
};
use aurora_core::types::{Principal, Role, Timestamp, UserId};

use crate::data::{Folder, USER, guarded, plain};
use crate::measure::{median, point};
use crate::serve;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const RUNS: usize = 7;
/// Memory that was freed before is resident still, and filled again first: until this much was added, nothing counts.
const FILLS: u64 = 2 << 20;
/// What has to be added so that the process's resident memory resolves one of many.
const RESOLVES: u64 = 16 << 20;

/// Each step is a process of its own: what an earlier one freed would take in what a later one adds.
pub(crate) async fn run() {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["one-table", policies] => on_one_table(policies.parse().unwrap()).await,
        ["many-tables", tables] => on_many_tables(tables.parse().unwrap()).await,
        _ => {
            for (series, steps) in [("one-table", [1, 10, 100, 1_000]), ("many-tables", [1, 10, 100, 500])] {
                for step in steps {
                    let program = std::env::current_exe().unwrap();
                    let mut child = std::process::Command::new(program);
                    let status = child.args(["policy-growth", series, &step.to_string()]).status().unwrap();
                    assert!(status.success());
                }
            }
        }
    }
}

fn schema(tables: usize) -> Schema {
    let columns = || {
        vec![
            Column::new("id", "INTEGER"),
            Column::new("owner", "TEXT"),
            Column::new("kind", "TEXT"),
            Column::new("n", "INTEGER"),
        ]
    };
    Schema { tables: (0..tables).map(|i| Table::new(format!("t{i}"), columns())).collect() }
}

fn lower(text: &str, schema: &Schema) -> Lowered {
    Policies::parse(black_box(text), "growth.sql").unwrap().lower(schema).unwrap()
}

/// What grows, as the pictures have it: the series it belongs to, and how many policies there are.
#[derive(Clone, Copy)]
struct Step {
    series: &'static str,
    policies: usize,
}

impl Step {
    fn figure(self, what: &str, value: f64, unit: &str) {
        point(&format!("{}/{what}", self.series), self.policies, value, unit);
    }
}

/// Parsing and lowering.
fn load(step: Step, text: &str, schema: &Schema) -> Lowered {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(lower(text, schema));
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    step.figure("load", median(&times), "ms");
    lower(text, schema)
}

/// What loaded policies keep, and what a guard keeps whose connection has read every table. First of all, while nothing
/// was freed.
async fn memory(step: Step, text: &str, tables: usize, path: &Path) {
    let schema = schema(tables);
    let mut resident = Resident::new();
    let mut held = Vec::new();
    while resident.more(5_000) {
        held.push(lower(text, &schema));
    }
    step.figure("memory", resident.each(), "KiB");
    // The policies stay held, so that what they were made with is all that guards could find freed.
    let mut resident = Resident::new();
    let mut guards = Vec::new();
    while resident.more(200) {
        let db = guarded(path, text).await;
        read(&db, 0, tables).await;
        guards.push(db);
    }
    step.figure("guard-memory", resident.each(), "KiB");
}

/// How much each of many that are held adds to the process's resident memory.
struct Resident {
    start: u64,
    /// From here on it counts: how many there were, and the memory then.
    from: Option<(usize, u64)>,
    count: usize,
    now: u64,
}

impl Resident {
    fn new() -> Self {
        let now = serve::memory(std::process::id());
        Self { start: now, from: None, count: 0, now }
    }

    /// Whether another has to be made; `most` ends what resolves nothing.
    fn more(&mut self, most: usize) -> bool {
        self.now = serve::memory(std::process::id());
        let many = self.count >= 5;
        let wanted = match self.from {
            None => {
                if many && (self.now >= self.start + FILLS || self.count >= most / 2) {
                    self.from = Some((self.count, self.now));
                }
                true
            }
            Some((count, memory)) => {
                self.count < count + 5 || (self.now < memory + RESOLVES && self.count < most)
            }
        };
        self.count += usize::from(wanted);
        wanted
    }

    fn each(&self) -> f64 {
        let (count, memory) = self.from.unwrap();
        self.now.saturating_sub(memory) as f64 / (self.count - count) as f64 / 1024.0
    }
}

/// Nanoseconds of one decision for the first policy's row, the last one's, and one that all policies deny.
fn decide(step: Step, lowered: &Lowered, last: usize) {
    let layout = RowLayout::new(["id", "owner", "kind", "n"]);
    let compile =
        || lowered.compile("t0", Role::Authenticated, Command::Select, Clause::Using, &layout).unwrap();
    let mut compiles = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(compile());
        compiles.push(start.elapsed().as_secs_f64() * 1e6);
    }
    step.figure("compile", median(&compiles), "us");
    let compiled = compile();
    let facts = Facts::of(&Principal::user(USER.parse::<UserId>().unwrap()));
    let mut binds = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(compiled.bind(&facts).unwrap());
        binds.push(start.elapsed().as_secs_f64() * 1e6);
    }
    step.figure("bind", median(&binds), "us");
    let bound = compiled.bind(&facts).unwrap();
    let policies = last + 1;
    let last = format!("kind-{last}");
    for (row, kind, allowed) in
        [("first", "kind-0", true), ("last", last.as_str(), true), ("none", "kind", false)]
    {
        let row_values =
            [ValueRef::Integer(1), ValueRef::Text(USER), ValueRef::Text(kind), ValueRef::Integer(0)];
        let count = (2_000_000 / (policies + 10)).max(200);
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            for _ in 0..count {
                let decision = bound.decide(black_box(&row_values[..]), NOW);
                assert_eq!(decision == Decision::Allow, allowed);
            }
            times.push(start.elapsed().as_nanos() as f64 / count as f64);
        }
        step.figure(&format!("decide-{row}"), median(&times), "ns");
    }
}

const COLUMNS: &str = "(id INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT, n INTEGER)";

async fn on_one_table(policies: usize) {
    let step = Step { series: "one-table", policies };
    let mut text = "ALTER TABLE t0 ENABLE ROW LEVEL SECURITY;\n".to_owned();
    for i in 0..policies {
        text.push_str(&format!(
            "CREATE POLICY p{i} ON t0 FOR SELECT TO authenticated USING (owner = auth.uid() AND kind = 'kind-{i}');\n"
        ));
    }
    measured(step, &text, 1, policies - 1).await;
}

async fn on_many_tables(tables: usize) {
    let step = Step { series: "many-tables", policies: tables };
    let mut text = String::new();
    for i in 0..tables {
        text.push_str(&format!(
            "ALTER TABLE t{i} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON t{i} FOR ALL TO authenticated USING (owner = auth.uid() AND kind = 'kind-0');\n"
        ));
    }
    measured(step, &text, tables, 0).await;
}

async fn measured(step: Step, text: &str, tables: usize, last: usize) {
    let folder = Folder::new(&format!("growth-{}-{}", step.series, step.policies));
    let path = folder.0.join("app.db");
    let mut database = plain(&path, false).await;
    for i in 0..tables {
        let sql = format!("CREATE TABLE t{i} {COLUMNS}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
    memory(step, text, tables, &path).await;
    let lowered = load(step, text, &schema(tables));
    decide(step, &lowered, last);
    connection(step, text, tables, &path).await;
}

/// A guard's opening, the first statement of its first connection, the same statement again, and every other table.
async fn connection(step: Step, policies: &str, tables: usize, path: &Path) {
    let (mut open, mut first, mut second, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let start = Instant::now();
        let db = guarded(path, policies).await;
        open.push(start.elapsed().as_secs_f64() * 1e3);
        for times in [&mut first, &mut second] {
            let start = Instant::now();
            db.query("SELECT id FROM t0").execute().await.unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let start = Instant::now();
        read(&db, 1, tables).await;
        all.push(start.elapsed().as_secs_f64() * 1e3);
    }
    step.figure("open", median(&open), "ms");
    step.figure("first-statement", median(&first), "ms");
    step.figure("second-statement", median(&second), "ms");
    step.figure("every-other-table", median(&all), "ms");
}

async fn read(db: &Guarded, from: usize, to: usize) {
    for i in from..to {
        db.query(&format!("SELECT id FROM t{i}")).execute().await.unwrap();
    }
}

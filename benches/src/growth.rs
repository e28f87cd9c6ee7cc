//! What grows with the number of policies: loading, deciding, a connection's first use, memory.

use std::hint::black_box;
use std::time::Instant;

use aurora_core::policy::{
    Clause, Column, Command, Decision, Facts, Lowered, Policies, RowLayout, Schema, Table, ValueRef,
};
use aurora_core::types::{Principal, Role, Timestamp, UserId};

use crate::data::{Folder, USER, guarded, plain};
use crate::measure::median;
use crate::serve::memory;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const RUNS: usize = 7;
/// So many are held at once, so that the process's resident memory resolves one.
const HELD: usize = 20;

pub(crate) async fn run() {
    for policies in [1, 10, 100, 1_000] {
        on_one_table(policies).await;
    }
    for tables in [1, 10, 100, 500] {
        on_many_tables(tables).await;
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

/// Milliseconds of parsing and lowering, and MiB of what is kept.
fn load(name: &str, text: &str, schema: &Schema) -> Lowered {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(lower(text, schema));
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("figure policy-growth.{name}.load {:.2} ms", median(&times));
    let before = memory(std::process::id());
    let held: Vec<Lowered> = (0..HELD).map(|_| lower(text, schema)).collect();
    let grown = memory(std::process::id()).saturating_sub(before) as f64 / HELD as f64;
    println!("figure policy-growth.{name}.memory {:.0} KiB", grown / 1024.0);
    held.into_iter().next().unwrap()
}

/// Nanoseconds of one decision for the first policy's row, the last one's, and one that all policies deny.
fn decide(name: &str, lowered: &Lowered, policies: usize) {
    let layout = RowLayout::new(["id", "owner", "kind", "n"]);
    let start = Instant::now();
    let compiled =
        lowered.compile("t0", Role::Authenticated, Command::Select, Clause::Using, &layout).unwrap();
    println!("figure policy-growth.{name}.compile {:.1} us", start.elapsed().as_secs_f64() * 1e6);
    let facts = Facts::of(&Principal::user(USER.parse::<UserId>().unwrap()));
    let mut binds = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(compiled.bind(&facts).unwrap());
        binds.push(start.elapsed().as_secs_f64() * 1e6);
    }
    println!("figure policy-growth.{name}.bind {:.1} us", median(&binds));
    let bound = compiled.bind(&facts).unwrap();
    let last = format!("kind-{}", policies - 1);
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
        println!("figure policy-growth.{name}.decision-{row} {:.1} ns", median(&times));
    }
}

const COLUMNS: &str = "(id INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT, n INTEGER)";

async fn on_one_table(policies: usize) {
    let name = format!("policies-{policies}");
    let mut text = "ALTER TABLE t0 ENABLE ROW LEVEL SECURITY;\n".to_owned();
    for i in 0..policies {
        text.push_str(&format!(
            "CREATE POLICY p{i} ON t0 FOR SELECT TO authenticated USING (owner = auth.uid() AND kind = 'kind-{i}');\n"
        ));
    }
    let lowered = load(&name, &text, &schema(1));
    decide(&name, &lowered, policies);
    connection(&name, &text, 1).await;
}

async fn on_many_tables(tables: usize) {
    let name = format!("tables-{tables}");
    let mut text = String::new();
    for i in 0..tables {
        text.push_str(&format!(
            "ALTER TABLE t{i} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON t{i} FOR ALL TO authenticated USING (owner = auth.uid() AND kind = 'kind-0');\n"
        ));
    }
    let lowered = load(&name, &text, &schema(tables));
    decide(&name, &lowered, 1);
    connection(&name, &text, tables).await;
}

/// A guard's opening, the first statement of its first connection, and the same statement again.
async fn connection(name: &str, policies: &str, tables: usize) {
    let folder = Folder::new(&format!("growth-{name}"));
    let path = folder.0.join("app.db");
    let mut database = plain(&path, false).await;
    for i in 0..tables {
        let sql = format!("CREATE TABLE t{i} {COLUMNS}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
    let (mut open, mut first, mut second, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut held = Vec::new();
    let before = memory(std::process::id());
    for _ in 0..RUNS {
        let start = Instant::now();
        let db = guarded(&path, policies).await;
        open.push(start.elapsed().as_secs_f64() * 1e3);
        for times in [&mut first, &mut second] {
            let start = Instant::now();
            db.query("SELECT id FROM t0").execute().await.unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let start = Instant::now();
        for i in 1..tables {
            db.query(&format!("SELECT id FROM t{i}")).execute().await.unwrap();
        }
        all.push(start.elapsed().as_secs_f64() * 1e3);
        held.push(db);
    }
    let grown = memory(std::process::id()).saturating_sub(before) as f64 / RUNS as f64 / 1024.0;
    println!("figure policy-growth.{name}.open {:.1} ms", median(&open));
    println!("figure policy-growth.{name}.first-statement {:.2} ms", median(&first));
    println!("figure policy-growth.{name}.second-statement {:.3} ms", median(&second));
    println!("figure policy-growth.{name}.every-other-table {:.1} ms", median(&all));
    println!("figure policy-growth.{name}.guard-memory {grown:.0} KiB");
}

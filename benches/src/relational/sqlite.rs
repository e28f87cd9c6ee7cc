//! `best/<shape>/sqlite`: the guarded query against the best condition that we found by hand, each inside an open
//! read transaction.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{Clock as _, SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded, Snapshot};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::{Principal, TenantId, UserId};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Mutex;

use super::shapes::{On, SHAPES, Shape};
use super::world;
use crate::data::{self, Folder};
use crate::measure::{Side, compare, median, rounds};

type Row = (i64, String);
type Plain = Rc<Mutex<SqliteConnection>>;

const LIST: &str = "SELECT id, title FROM docs WHERE {} ORDER BY id DESC LIMIT 20";
const KEY: &str = "SELECT id, title FROM docs WHERE ({}) AND id = {key}";

/// A bound value.
#[derive(Clone, Debug)]
enum Value {
    Bytes(Vec<u8>),
    Text(String),
    Key,
}

/// A hand-written statement with its parameters in order.
struct Statement {
    name: String,
    sql: Arc<str>,
    values: Rc<Vec<Value>>,
}

pub(super) async fn run(only: Option<&str>) {
    for analyze in [false, true] {
        let folder = Folder::new(if analyze { "shapes-analyzed" } else { "shapes" });
        let path = folder.0.join("app.db");
        world::sqlite(&path, analyze).await;
        println!("# sqlite, statistics of ANALYZE: {}", if analyze { "yes" } else { "no" });
        for shape in SHAPES.iter().filter(|shape| only.is_none_or(|only| shape.name == only)) {
            if let Some(feature) = shape.waits_for {
                println!("# best/{}/sqlite: not run, {feature} not in the subset yet", shape.name);
                continue;
            }
            let db = guarded(&path, shape).await;
            let suffix = if analyze { ".analyzed" } else { "" };
            measure(&path, &db, shape, LIST, suffix).await;
            measure(&path, &db, shape, KEY, &format!("-key{suffix}")).await;
        }
    }
}

async fn measure(path: &Path, db: &Guarded, shape: &Shape, form: &str, suffix: &str) {
    let plain = open(path).await;
    let snapshot = Rc::new(Mutex::new(db.snapshot().await.unwrap()));
    let keyed = form == KEY;
    let guarded = if keyed {
        "SELECT id, title FROM docs WHERE id = ?1"
    } else {
        "SELECT id, title FROM docs ORDER BY id DESC LIMIT 20"
    };
    let candidates: Vec<Statement> = shape
        .candidates(On::Sqlite)
        .into_iter()
        .map(|(name, condition)| statement(name, &form.replace("{}", &condition)))
        .collect();
    let keys = Rc::new(keys(&plain, &candidates[0]).await);
    assert!(!keys.is_empty(), "{}: no row is seen", shape.name);
    for candidate in &candidates {
        let keys = if keyed { &keys[..] } else { &[0] };
        for key in keys.iter().take(20).chain([&3, &5, &11]) {
            let expected = fetch(&plain, candidate, *key).await;
            let mut snapshot = snapshot.lock().await;
            let mut query = snapshot.query_as::<Row>(guarded);
            if keyed {
                query = query.bind(*key);
            }
            assert_eq!(query.fetch_all().await.unwrap(), expected, "{} {}", shape.name, candidate.name);
        }
    }
    let label = format!("best/{}{}/sqlite", shape.name, suffix);
    let winner = best(&label, &plain, &candidates, &keys).await;
    let once = cost(&mut hand(&plain, winner, &keys, "warm")).await;
    let mut ours = ours(&snapshot, guarded, keyed, &keys);
    let each = once.max(cost(&mut ours).await);
    let per_round = (1_500_000.0 / each).clamp(1.0, 60.0) as u32;
    let count = if each > 3_000_000.0 { 60 } else { 300 };
    let mut sides =
        vec![hand(&plain, winner, &keys, &winner.name), hand(&plain, winner, &keys, "again"), ours];
    compare(&label, 1.10, &mut sides, count, per_round).await;
}

/// The fastest of the candidates, each timed in turn.
async fn best<'c>(
    label: &str,
    plain: &Plain,
    candidates: &'c [Statement],
    keys: &Rc<Vec<i64>>,
) -> &'c Statement {
    let mut costs = BTreeMap::new();
    for candidate in candidates {
        let mut side = [hand(plain, candidate, keys, &candidate.name)];
        let once = cost(&mut side[0]).await;
        let per_round = (500_000.0 / once).clamp(1.0, 40.0) as u32;
        let count = if once > 3_000_000.0 { 5 } else { 31 };
        let taken = median(&rounds(&mut side, count, per_round).await[0]);
        println!("figure {label}.hand.{} {:.2} us", candidate.name, taken / 1_000.0);
        costs.insert(taken as u64, candidate);
    }
    let (_, winner) = costs.into_iter().next().unwrap();
    println!("# {label}: by hand best as `{}`: {}", winner.name, winner.sql);
    winner
}

/// Nanoseconds of one go, warm.
async fn cost(side: &mut Side<'_>) -> f64 {
    let mut one = [(side.0, std::mem::replace(&mut side.1, Box::new(|_| Box::pin(async {}))))];
    let times = rounds(&mut one, 3, 1).await;
    side.1 = std::mem::replace(&mut one[0].1, Box::new(|_| Box::pin(async {})));
    median(&times[0]).max(1.0)
}

/// `{uid}` and the others as numbered parameters, equal ones once.
fn statement(name: &str, text: &str) -> Statement {
    let now = SystemClock.now().to_string();
    let known = [
        ("{uid}", Value::Bytes(uid_bytes())),
        ("{uid-text}", Value::Text(world::USER.to_owned())),
        ("{tenant}", Value::Text(world::TENANT.to_owned())),
        ("{now}", Value::Text(now)),
        ("{key}", Value::Key),
    ];
    let mut sql = text.replace("{true}", "1");
    let mut values = Vec::new();
    for (placeholder, value) in known {
        if sql.contains(placeholder) {
            values.push(value);
            sql = sql.replace(placeholder, &format!("?{}", values.len()));
        }
    }
    Statement { name: name.to_owned(), sql: Arc::from(sql), values: Rc::new(values) }
}

pub(super) fn uid_bytes() -> Vec<u8> {
    let digits: String = world::USER.chars().filter(char::is_ascii_hexdigit).collect();
    (0..16).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

async fn open(path: &Path) -> Plain {
    let mut connection = data::plain(path, true).await;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    Rc::new(Mutex::new(connection))
}

/// Keys of rows that the shape shows, spread over the table.
async fn keys(plain: &Plain, candidate: &Statement) -> Vec<i64> {
    let condition = candidate.sql.split(" WHERE ").skip(1).collect::<Vec<_>>().join(" WHERE ");
    let condition = condition.trim_end_matches(" ORDER BY id DESC LIMIT 20");
    let condition = condition.split(" AND id = ?").next().unwrap();
    let sql: Arc<str> =
        Arc::from(format!("SELECT id FROM docs WHERE {condition} ORDER BY id * 7919 % 100003 LIMIT 200"));
    let mut query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
    for value in candidate.values.iter() {
        query = match value {
            Value::Bytes(bytes) => query.bind(bytes.clone()),
            Value::Text(text) => query.bind(text.clone()),
            Value::Key => query,
        };
    }
    query.fetch_all(&mut *plain.lock().await).await.unwrap()
}

async fn fetch(plain: &Plain, statement: &Statement, key: i64) -> Vec<Row> {
    run_plain(&mut *plain.lock().await, &statement.sql, &statement.values, key).await
}

async fn run_plain(
    connection: &mut SqliteConnection,
    sql: &Arc<str>,
    values: &[Value],
    key: i64,
) -> Vec<Row> {
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(Arc::clone(sql)));
    for value in values {
        query = match value {
            Value::Bytes(bytes) => query.bind(bytes.as_slice()),
            Value::Text(text) => query.bind(text.as_str()),
            Value::Key => query.bind(key),
        };
    }
    query.fetch_all(connection).await.unwrap()
}

fn hand<'a>(plain: &Plain, statement: &Statement, keys: &Rc<Vec<i64>>, name: &'a str) -> Side<'a> {
    let (plain, sql, values, keys) =
        (Rc::clone(plain), Arc::clone(&statement.sql), Rc::clone(&statement.values), Rc::clone(keys));
    (
        name,
        Box::new(move |n| {
            let (plain, sql, values, keys) =
                (Rc::clone(&plain), Arc::clone(&sql), Rc::clone(&values), Rc::clone(&keys));
            Box::pin(async move {
                let mut connection = plain.lock().await;
                for i in 0..n as usize {
                    let rows = run_plain(&mut connection, &sql, &values, keys[i % keys.len()]).await;
                    assert!(!rows.is_empty());
                }
            })
        }),
    )
}

fn ours<'a>(snapshot: &Rc<Mutex<Snapshot>>, sql: &'static str, keyed: bool, keys: &Rc<Vec<i64>>) -> Side<'a> {
    let (snapshot, keys) = (Rc::clone(snapshot), Rc::clone(keys));
    (
        "guarded",
        Box::new(move |n| {
            let (snapshot, keys) = (Rc::clone(&snapshot), Rc::clone(&keys));
            Box::pin(async move {
                let mut snapshot = snapshot.lock().await;
                for i in 0..n as usize {
                    let mut query = snapshot.query_as::<Row>(sql);
                    if keyed {
                        query = query.bind(keys[i % keys.len()]);
                    }
                    let rows = query.fetch_all().await.unwrap();
                    assert!(!rows.is_empty());
                }
            })
        }),
    )
}

async fn guarded(path: &Path, shape: &Shape) -> Guarded {
    let policies = Policies::parse(&shape.policies(), "shape.sql").unwrap();
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
    let user = Principal::user(world::USER.parse::<UserId>().unwrap());
    guard.guarded(user.in_tenant(world::TENANT.parse::<TenantId>().unwrap()))
}

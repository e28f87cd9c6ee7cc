//! `best/<shape>/sqlite`: the guarded query against the best condition that we found by hand, each inside an open
//! read transaction.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions, Guarded, Snapshot};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::{Principal, TenantId, UserId};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Mutex;

use super::rows::{KEY, LIST, Row, Timed, guarded_text, pick};
use super::shapes::{On, SHAPES, Shape};
use super::statement::{Statement, Value, uid_bytes};
use super::world;
use crate::data::{self, Folder};
use crate::measure::{Side, compare};

type Plain = Rc<Mutex<SqliteConnection>>;

pub(super) async fn run(only: Option<&str>) {
    for analyze in [false, true] {
        let folder = Folder::new(if analyze { "shapes-analyzed" } else { "shapes" });
        let path = folder.0.join("app.db");
        world::sqlite(&path, analyze).await;
        println!("# sqlite, statistics of ANALYZE: {}", if analyze { "yes" } else { "no" });
        for shape in SHAPES.iter().filter(|shape| only.is_none_or(|only| shape.name == only)) {
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
    let guarded = guarded_text(keyed);
    let candidates: Vec<Statement> = shape
        .candidates(On::Sqlite)
        .into_iter()
        .map(|(name, condition)| Statement::new(On::Sqlite, name, &form.replace("{}", &condition)))
        .collect();
    let keys = Rc::new(keys(&plain, shape).await);
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
    let winner = pick(&label, &candidates, |candidate, name| hand(&plain, candidate, &keys, name)).await;
    // SQLite's pages are one list for the whole process here: what the candidates that scan have read goes first, on
    // both sides.
    close(plain).await;
    drop(snapshot);
    let plain = open(path).await;
    let snapshot = Rc::new(Mutex::new(db.snapshot().await.unwrap()));
    let side = |candidate: &Statement, name| hand(&plain, candidate, &keys, name);
    let timed = Timed::of(side(winner, "by hand"), ours(&snapshot, guarded, keyed, &keys)).await;
    let mut sides =
        vec![side(winner, "by hand"), side(winner, "again"), ours(&snapshot, guarded, keyed, &keys)];
    compare(&label, 1.10, &mut sides, timed.count, timed.per_round).await;
    drop(sides);
    close(plain).await;
}

async fn open(path: &Path) -> Plain {
    let mut connection = data::plain(path, true).await;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    Rc::new(Mutex::new(connection))
}

async fn close(plain: Plain) {
    let connection = Rc::into_inner(plain).unwrap().into_inner();
    sqlx::Connection::close(connection).await.unwrap();
}

/// Keys of rows that the shape shows, spread over the table.
async fn keys(plain: &Plain, shape: &Shape) -> Vec<i64> {
    let (_, condition) = &shape.candidates(On::Sqlite)[0];
    let statement = Statement::spread(condition, On::Sqlite);
    let mut query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(Arc::clone(&statement.sql)));
    for value in statement.values.iter() {
        query = match value {
            Value::Uuid => query.bind(uid_bytes().to_vec()),
            Value::Text(text) | Value::Time(text) => query.bind(text.clone()),
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
    let uid = uid_bytes();
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(Arc::clone(sql)));
    for value in values {
        query = match value {
            Value::Uuid => query.bind(uid.as_slice()),
            Value::Text(text) | Value::Time(text) => query.bind(text.as_str()),
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

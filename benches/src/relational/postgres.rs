//! `best/<shape>/postgres`: the guarded query against the best condition that we found by hand, on the same server:
//! tables without policies, each side inside an open transaction.

use std::rc::Rc;
use std::sync::Arc;

use aurora_core::guard::{Guard, GuardOptions, Guarded, Snapshot};
use aurora_core::policy::Policies;
use aurora_core::store::{IdentityBy, PostgresDatabase, PostgresOwner};
use aurora_core::types::{Principal, TenantId, UserId};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnection, PgTypeInfo, Postgres as Engine};
use sqlx::{AssertSqlSafe, Encode, Type};
use tokio::sync::Mutex;

use super::rows::{KEY, LIST, Row, Timed, guarded_text, pick};
use super::server::{Postgres, run as script};
use super::shapes::{On, SHAPES, Shape};
use super::statement::{Statement, Value, uid_bytes};
use super::world;
use crate::measure::{Side, compare};

type Plain = Rc<Mutex<PgConnection>>;

/// The user's id as PostgreSQL's uuid.
struct Uuid;

impl Type<Engine> for Uuid {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(2950))
    }
}

impl Encode<'_, Engine> for Uuid {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&uid_bytes());
        Ok(IsNull::No)
    }
}

pub(super) async fn run(only: Option<&str>) {
    let server = Postgres::start();
    server.database("bench_plain", "postgres").await;
    let mut plain = server.superuser("bench_plain").await;
    world::postgres(&mut plain).await;
    script(&mut plain, "VACUUM ANALYZE").await;
    let (owner, database) = server.aurora("bench_guarded", IdentityBy::Mac).await;
    let mut transaction = owner.begin().await.unwrap();
    script(transaction.connection().unwrap(), "SET LOCAL search_path = public, pg_temp").await;
    world::postgres(transaction.connection().unwrap()).await;
    transaction.commit().await.unwrap();
    script(&mut server.superuser("bench_guarded").await, "VACUUM ANALYZE").await;
    for shape in SHAPES.iter().filter(|shape| only.is_none_or(|only| shape.name == only)) {
        let db = guarded(&owner, &database, shape).await;
        let plain = Rc::new(Mutex::new(server.superuser("bench_plain").await));
        script(&mut *plain.lock().await, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        measure(&plain, &db, shape, LIST, "").await;
        measure(&plain, &db, shape, KEY, "-key").await;
    }
    database.close().await;
}

async fn measure(plain: &Plain, db: &Guarded, shape: &Shape, form: &str, suffix: &str) {
    let snapshot = Rc::new(Mutex::new(db.snapshot().await.unwrap()));
    let keyed = form == KEY;
    let candidates: Vec<Statement> = shape
        .candidates(On::Postgres)
        .into_iter()
        .map(|(name, condition)| Statement::new(On::Postgres, name, &form.replace("{}", &condition)))
        .collect();
    let (_, condition) = &shape.candidates(On::Postgres)[0];
    let spread = Statement::spread(condition, On::Postgres);
    let found = scalars(&mut *plain.lock().await, &spread).await;
    assert!(!found.is_empty(), "{}: no row is seen", shape.name);
    let keys = Rc::new(found);
    for candidate in &candidates {
        let asked = if keyed { &keys[..] } else { &[0] };
        for key in asked.iter().take(20).chain([&3, &5, &11]) {
            let expected = fetch(&mut *plain.lock().await, &candidate.sql, &candidate.values, *key).await;
            let mut snapshot = snapshot.lock().await;
            let mut query = snapshot.query_as::<Row>(guarded_text(keyed));
            if keyed {
                query = query.bind(*key);
            }
            assert_eq!(query.fetch_all().await.unwrap(), expected, "{} {}", shape.name, candidate.name);
        }
    }
    let label = format!("best/{}{suffix}/postgres", shape.name);
    let side = |candidate: &Statement, name| hand(plain, candidate, &keys, name);
    let winner = pick(&label, &candidates, side).await;
    let timed = Timed::of(side(winner, "by hand"), ours(&snapshot, keyed, &keys)).await;
    let mut sides = vec![side(winner, "by hand"), side(winner, "again"), ours(&snapshot, keyed, &keys)];
    compare(&label, 1.10, &mut sides, timed.count, timed.per_round).await;
}

async fn scalars(connection: &mut PgConnection, statement: &Statement) -> Vec<i64> {
    let mut query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(Arc::clone(&statement.sql)));
    for value in statement.values.iter() {
        query = match value {
            Value::Uuid => query.bind(Uuid),
            Value::Text(text) | Value::Time(text) => query.bind(text.clone()),
            Value::Key => query,
        };
    }
    query.fetch_all(connection).await.unwrap()
}

async fn fetch(connection: &mut PgConnection, sql: &Arc<str>, values: &[Value], key: i64) -> Vec<Row> {
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(Arc::clone(sql)));
    for value in values {
        query = match value {
            Value::Uuid => query.bind(Uuid),
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
                    let rows = fetch(&mut connection, &sql, &values, keys[i % keys.len()]).await;
                    assert!(!rows.is_empty());
                }
            })
        }),
    )
}

fn ours<'a>(snapshot: &Rc<Mutex<Snapshot>>, keyed: bool, keys: &Rc<Vec<i64>>) -> Side<'a> {
    let (snapshot, keys) = (Rc::clone(snapshot), Rc::clone(keys));
    (
        "guarded",
        Box::new(move |n| {
            let (snapshot, keys) = (Rc::clone(&snapshot), Rc::clone(&keys));
            Box::pin(async move {
                let mut snapshot = snapshot.lock().await;
                for i in 0..n as usize {
                    let mut query = snapshot.query_as::<Row>(guarded_text(keyed));
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

async fn guarded(owner: &PostgresOwner, database: &PostgresDatabase, shape: &Shape) -> Guarded {
    let policies = Policies::parse(&shape.policies(), "shape.sql").unwrap();
    let options = GuardOptions::default();
    let guard = Guard::open_postgres(database.clone(), Some(owner), &policies, options).await.unwrap();
    let user = Principal::user(world::USER.parse::<UserId>().unwrap());
    guard.guarded(user.in_tenant(world::TENANT.parse::<TenantId>().unwrap()))
}

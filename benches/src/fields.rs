//! Sealed cells: one of 256 bytes, and a list of 1,000 rows with two of them beside the same list in plain.

use std::hint::black_box;
use std::rc::Rc;

use aurora_core::config::Profile;
use aurora_core::crypto::{Context, KeyOwner};
use aurora_core::guard::{Guarded, RowKey, Sealed, SealedColumn};
use aurora_core::types::{Principal, UserId};
use aurora_core::{Aurora, Database};

use crate::data::{self, Folder, USER};
use crate::measure::{Side, median, quotient, rounds};
use crate::seal::{Work, keys};

const CELL: Context<'static> =
    Context::Field { owner: &KeyOwner::Service, table: "patients", column: "diagnosis", row: &[7; 16] };
/// What a cell may take, in microseconds.
const LIMIT: f64 = 3.0;
const ROWS: usize = 1_000;

const NAME: SealedColumn<String> = SealedColumn::new("patients", "name");
const DIAGNOSIS: SealedColumn<String> = SealedColumn::new("patients", "diagnosis");

const SCHEMA: &str = "
CREATE TABLE patients (id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, name BLOB, diagnosis BLOB) STRICT;
CREATE TABLE plain_patients (id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, name TEXT, diagnosis TEXT) STRICT;";
const POLICIES: &str = "
ALTER TABLE patients ENABLE ROW LEVEL SECURITY; ALTER TABLE plain_patients ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON patients FOR ALL TO authenticated USING (owner = auth.uid()::text);
CREATE POLICY own ON plain_patients FOR ALL TO authenticated USING (owner = auth.uid()::text);
GRANT SELECT, INSERT ON patients, plain_patients TO authenticated;";

/// A cell of 256 bytes: sealed and opened, at most 3 us each.
pub(crate) async fn run() {
    let (_, key) = keys().await;
    let text = [5; 256];
    let sealed = key.seal(&CELL, &text).unwrap();
    let (key, sealed) = (&key, &sealed);
    let seal = |times| {
        for _ in 0..times {
            black_box(key.seal(&CELL, &text).unwrap());
        }
    };
    let open = |times| {
        for _ in 0..times {
            black_box(key.unseal(&CELL, sealed).unwrap());
        }
    };
    let mut sides: Vec<Side<'_>> = vec![("seal", side(seal)), ("open", side(open))];
    let times = rounds(&mut sides, 90, 2_000).await;
    for ((name, _), times) in sides.iter().zip(&times) {
        let each = median(times) / 1_000.0;
        let word = if each <= LIMIT { "met" } else { "NOT met" };
        println!("figure fields.{name} {each:.2} us (at most {LIMIT}, {word})");
    }
    list().await;
}

fn side<'a>(mut work: impl FnMut(u32) + 'a) -> Work<'a> {
    Box::new(move |times| {
        work(times);
        Box::pin(async {})
    })
}

/// What a person sees: their 1,000 rows, two cells of each opened.
async fn list() {
    let folder = Folder::new("fields");
    let path = folder.0.join("app.db");
    let mut connection = data::plain(&path, false).await;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
    drop(connection);
    let aurora = Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&format!("sqlite://{}", path.display())).unwrap())
        .policies("bench.sql", POLICIES)
        .sealed(&NAME)
        .sealed(&DIAGNOSIS)
        .build()
        .await
        .unwrap();
    let user = USER.parse::<UserId>().unwrap();
    let db = Rc::new(aurora.guarded(Principal::user(user)));
    fill(&db, user).await;
    let mut sides: Vec<Side<'_>> =
        vec![("plain", in_plain(&db)), ("plain again", in_plain(&db)), ("sealed", opened(&db))];
    let times = rounds(&mut sides, 90, 3).await;
    for ((name, _), times) in sides.iter().zip(&times) {
        println!("figure fields-list.{} {:.2} ms", name.replace(' ', "-"), median(times) / 1_000_000.0);
    }
    println!("control fields-list {:.3}", quotient(&times[1], &times[0]).0);
    let (ratio, spread) = quotient(&times[2], &times[0]);
    println!("ratio fields-list {ratio:.2} (reported, spread {:.0}%)", spread * 100.0);
    drop(sides);
    aurora.close().await;
}

async fn fill(db: &Guarded, user: UserId) {
    let mut tx = db.begin().await.unwrap();
    for number in 0..ROWS {
        if number % 100 == 0 {
            tx.commit().await.unwrap();
            tx = db.begin().await.unwrap();
        }
        let key = db.row_key().unwrap();
        let (name, diagnosis) = (format!("person {number}"), format!("{number:0200}"));
        tx.query("INSERT INTO plain_patients (id, owner, name, diagnosis) VALUES ($1, $2, $3, $4)")
            .bind(key)
            .bind(user)
            .bind(name.clone())
            .bind(diagnosis.clone())
            .execute()
            .await
            .unwrap();
        tx.query("INSERT INTO patients (id, owner, name, diagnosis) VALUES ($1, $2, $3, $4)")
            .bind(key)
            .bind(user)
            .bind(db.seal(&NAME, key, &name).await.unwrap())
            .bind(db.seal(&DIAGNOSIS, key, &diagnosis).await.unwrap())
            .execute()
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

fn in_plain(db: &Rc<Guarded>) -> Work<'static> {
    let db = Rc::clone(db);
    Box::new(move |times| {
        let db = Rc::clone(&db);
        Box::pin(async move {
            for _ in 0..times {
                let rows: Vec<(RowKey, String, String)> =
                    db.query_as("SELECT id, name, diagnosis FROM plain_patients").fetch_all().await.unwrap();
                assert_eq!(black_box(rows).len(), ROWS);
            }
        })
    })
}

fn opened(db: &Rc<Guarded>) -> Work<'static> {
    let db = Rc::clone(db);
    Box::new(move |times| {
        let db = Rc::clone(&db);
        Box::pin(async move {
            for _ in 0..times {
                let rows: Vec<(RowKey, Sealed<String>, Sealed<String>)> =
                    db.query_as("SELECT id, name, diagnosis FROM patients").fetch_all().await.unwrap();
                let mut people = Vec::with_capacity(rows.len());
                for (key, name, diagnosis) in rows {
                    let name = db.open(&NAME, key, &name).await.unwrap();
                    people.push((key, name, db.open(&DIAGNOSIS, key, &diagnosis).await.unwrap()));
                }
                assert_eq!(black_box(people).len(), ROWS);
            }
        })
    })
}

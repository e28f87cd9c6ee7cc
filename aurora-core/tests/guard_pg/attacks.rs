//! What every attack is judged by: nothing hidden comes out, and nothing hidden changes.

use aurora_core::guard::Guarded;
use aurora_core::types::Error;
use sqlx::postgres::{PgRow, PgValueFormat};
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, FromRow, Row as _, ValueRef as _};

use crate::fixture::Fixture;

/// A row as text, with the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raw(pub(crate) Vec<String>);

impl FromRow<'_, PgRow> for Raw {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let mut cells = Vec::new();
        for (index, column) in row.columns().iter().enumerate() {
            let value = row.try_get_raw(index)?;
            let text = if value.is_null() {
                "NULL".to_owned()
            } else if value.format() == PgValueFormat::Text {
                value.as_str().unwrap_or("?").to_owned()
            } else {
                match row.try_get_unchecked::<&[u8], _>(index) {
                    Ok([a, b, c, d, e, f, g, h]) if row.try_get::<i64, _>(index).is_ok() => {
                        i64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]).to_string()
                    }
                    Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Err(_) => "?".to_owned(),
                }
            };
            cells.push(format!("{}={text}", column.name()));
        }
        Ok(Self(cells))
    }
}

impl FromRow<'_, SqliteRow> for Raw {
    fn from_row(_: &SqliteRow) -> Result<Self, sqlx::Error> {
        Err(sqlx::Error::Protocol("a test of PostgreSQL".into()))
    }
}

pub(crate) async fn rows(db: &Guarded, sql: &str) -> Result<Vec<Raw>, Error> {
    let mut rows = db.query_as::<Raw>(sql).fetch_all().await?;
    rows.sort();
    Ok(rows)
}

/// Everything that Ann may not change, past the guard.
pub(crate) async fn hidden(fixture: &Fixture) -> Vec<String> {
    let mut connection = fixture.superuser().await;
    let mut all = Vec::new();
    for sql in [
        "SELECT t::text FROM notes t WHERE owner NOT LIKE '%a' ORDER BY 1",
        "SELECT t::text FROM teams t ORDER BY 1",
        "SELECT t::text FROM members t ORDER BY 1",
        "SELECT t::text FROM secrets t ORDER BY 1",
        "SELECT c.oid::regclass::text || coalesce(relacl::text, '') FROM pg_class c
           WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT polname || pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polqual IS NOT NULL ORDER BY 1",
        "SELECT id::text FROM auth.users ORDER BY 1",
    ] {
        let found: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        all.extend(found.into_iter().map(|(row,)| row));
    }
    all
}

/// Runs a statement as Ann with wall one or without. Whatever it answers, it shows and changes nothing that is
/// hidden from her.
pub(crate) async fn attempt(fixture: &Fixture, db: &Guarded, sql: &str) -> Result<Vec<Raw>, Error> {
    let before = hidden(fixture).await;
    let outcome = rows(db, sql).await;
    let shown = match &outcome {
        Ok(rows) => format!("{rows:?}"),
        Err(error) => {
            format!("{error} {error:?} {:?}", std::error::Error::source(error).map(ToString::to_string))
        }
    };
    for word in ["HIDDEN", "blue", "admin"] {
        // What the statement says itself is not a leak.
        assert!(!shown.contains(word) || sql.contains(word), "{sql}: {shown}");
    }
    assert_eq!(hidden(fixture).await, before, "{sql}: {shown}");
    outcome
}

#[tokio::test]
async fn the_judge_can_fail() {
    let fixture = Fixture::new().await;
    let service = fixture.as_user(crate::fixture::BOB);
    let judged = tokio::spawn(async move {
        let _ = attempt(&fixture, &service, "SELECT title FROM notes").await;
    });
    assert!(judged.await.unwrap_err().is_panic(), "Bob's own rows are what Ann must not see");
}

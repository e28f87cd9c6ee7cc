//! What every attack is judged by: nothing hidden comes out, no secret name does, and nothing hidden changes.

use aurora_core::guard::Guarded;
use aurora_core::types::{Code, Error};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, FromRow, Row as _};

use crate::fixture::{Fixture, plain};

/// A row as text, with the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raw(pub(crate) Vec<String>);

impl FromRow<'_, SqliteRow> for Raw {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let mut cells = Vec::new();
        for (index, column) in row.columns().iter().enumerate() {
            let value = match row.try_get_unchecked::<Option<String>, _>(index) {
                Ok(value) => value.unwrap_or_else(|| "NULL".to_owned()),
                Err(_) => format!("{:?}", row.try_get_unchecked::<Vec<u8>, _>(index)?),
            };
            cells.push(format!("{}={value}", column.name()));
        }
        Ok(Self(cells))
    }
}

impl FromRow<'_, PgRow> for Raw {
    fn from_row(_: &PgRow) -> Result<Self, sqlx::Error> {
        Err(sqlx::Error::Protocol("a test of SQLite".into()))
    }
}

pub(crate) async fn rows(db: &Guarded, sql: &str) -> Result<Vec<Raw>, Error> {
    let mut rows = db.query_as::<Raw>(sql).fetch_all().await?;
    rows.sort();
    Ok(rows)
}

/// Everything that Ann may not change, past the guard.
pub(crate) async fn hidden(fixture: &Fixture) -> Vec<Raw> {
    let mut conn = plain(&fixture.path).await;
    let mut all = Vec::new();
    for sql in [
        "SELECT * FROM notes WHERE owner NOT LIKE '%a'",
        "SELECT * FROM teams",
        "SELECT * FROM members",
        "SELECT * FROM secrets",
        "SELECT type, name, sql FROM sqlite_schema",
    ] {
        let found: Vec<Raw> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        all.extend(found);
    }
    all
}

/// Runs a statement as Ann. Whatever it answers, it shows and changes nothing that is hidden from her.
pub(crate) async fn attempt(fixture: &Fixture, sql: &str) -> Result<Vec<Raw>, Error> {
    let before = hidden(fixture).await;
    let outcome = rows(&fixture.ann(), sql).await;
    let shown = match &outcome {
        Ok(rows) => format!("{rows:?}"),
        Err(error) => {
            format!("{error} {error:?} {:?}", std::error::Error::source(error).map(ToString::to_string))
        }
    };
    assert!(!shown.contains("HIDDEN") || sql.contains("HIDDEN"), "shown by {sql}\n{shown}");
    for secret in fixture.guard.secret_names_for_tests() {
        let stem = &secret[..33];
        assert!(!shown.contains(stem), "a secret name is shown by {sql}\n{shown}");
    }
    assert_eq!(hidden(fixture).await, before, "changed by {sql}");
    outcome
}

/// The statement is refused, with one of these codes.
pub(crate) async fn refused(fixture: &Fixture, sql: &str, codes: &[Code]) {
    match attempt(fixture, sql).await {
        Ok(rows) => panic!("ran: {sql}\n{rows:?}"),
        Err(error) => assert!(codes.contains(&error.code()), "{sql}\n{error:?}"),
    }
}

#[tokio::test]
async fn the_judge_can_fail() {
    // Bob sees what is hidden from Ann: the same judge over his rows must cry out.
    let fixture = Fixture::new().await;
    let shown = format!("{:?}", rows(&fixture.bob(), "SELECT * FROM notes").await.unwrap());
    assert!(shown.contains("HIDDEN-four"));
    let before = hidden(&fixture).await;
    fixture.bob().query("UPDATE notes SET stars = 7 WHERE id = 4").execute().await.unwrap();
    assert_ne!(hidden(&fixture).await, before);
}

/// attack C08
#[tokio::test]
async fn nothing_that_prints_itself_prints_a_secret() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let tx = ann.begin().await.unwrap();
    let printed = format!("{:?} {ann:?} {tx:?} {:?}", fixture.guard, ann.sqlite().unwrap());
    for secret in fixture.guard.secret_names_for_tests() {
        assert!(!printed.contains(&secret[..33]), "{printed}");
    }
}

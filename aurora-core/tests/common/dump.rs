//! What a thief of the database holds.

use std::collections::BTreeSet;

use sqlx::Row;

use super::common::{Engine, Fixture, connect};

/// Every distinct value, as bytes.
pub(crate) async fn values(fixture: &Fixture) -> BTreeSet<Vec<u8>> {
    if let Engine::Postgres(_, place) = &fixture.database {
        return postgres_values(place).await;
    }
    let mut connection = connect(fixture.database.sqlite()).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name LIKE 'auth\\_%' ESCAPE '\\' OR name LIKE 'aurora\\_%' ESCAPE '\\')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    let mut found = BTreeSet::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_xinfo($1)")
            .bind(&table)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for column in columns {
            let statement = format!("SELECT CAST(\"{column}\" AS BLOB) FROM \"{table}\"");
            let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut connection).await.unwrap();
            found.extend(rows.iter().filter_map(|row| row.get::<Option<Vec<u8>>, _>(0)));
        }
    }
    found
}

/// The same of PostgreSQL's tables; of a binary value its bytes.
async fn postgres_values(place: &super::common::postgres::Place) -> BTreeSet<Vec<u8>> {
    let mut connection = place.superuser().await;
    let columns: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT table_schema::text, table_name::text, column_name::text, data_type::text \
         FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) \
         WHERE table_schema IN ('auth', 'aurora') AND table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(columns.len() >= 60, "{}", columns.len());
    let mut found = BTreeSet::new();
    for (schema, table, column, kind) in columns {
        let value = match kind.as_str() {
            "bytea" => format!("\"{column}\""),
            _ => format!("convert_to(\"{column}\"::text, 'UTF8')"),
        };
        let statement = format!("SELECT {value} FROM {schema}.{table}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut connection).await.unwrap();
        found.extend(rows.iter().filter_map(|row| row.get::<Option<Vec<u8>>, _>(0)));
    }
    found
}

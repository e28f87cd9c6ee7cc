//! A principal that is here to read: what a cookie stands for in a GET.

use aurora_core::guard::Guarded;
use aurora_core::types::Code;
use futures_util::StreamExt as _;

use crate::fixture::{ANN, Fixture, SQLITE};

/// How many notes, and their stars.
async fn state(db: &Guarded) -> (i64, i64) {
    let rows: Vec<(i64,)> = db.query_as("SELECT stars FROM notes").fetch_all().await.unwrap();
    (i64::try_from(rows.len()).unwrap(), rows.into_iter().map(|(stars,)| stars).sum())
}

/// attack S05, asvs(V3.5.3): whatever a handler does with it, and however it is asked.
#[tokio::test]
async fn who_is_here_to_read_writes_nothing() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let before = state(&ann).await;
    let reader = fixture.guard.guarded(ann.principal().to_read());
    assert!(reader.principal().reads_only() && !ann.principal().reads_only());
    assert_eq!(reader.principal().user_id(), ann.principal().user_id());
    assert!(reader.principal().with_claims(r#"{"a":1}"#).unwrap().reads_only(), "with other claims, too");
    assert_eq!(state(&reader).await, before, "it reads what its user reads");
    let insert = format!("INSERT INTO notes (title, owner) VALUES ('by GET', '{ANN}')");
    let writes = [
        insert.as_str(),
        "UPDATE notes SET stars = 9",
        "UPDATE notes SET stars = 9 WHERE id = 1 RETURNING id",
        "DELETE FROM notes",
        "INSERT INTO drops VALUES ('x')",
    ];
    let mut refused = 0;
    for sql in writes {
        let mut codes = vec![
            reader.query(sql).execute().await.unwrap_err().code(),
            reader.query_as::<(i64,)>(sql).fetch_all().await.unwrap_err().code(),
            reader.query_as::<(i64,)>(sql).fetch_optional().await.unwrap_err().code(),
            reader.query_as::<(i64,)>(sql).fetch().next().await.unwrap().unwrap_err().code(),
        ];
        let mut transaction = reader.begin().await.unwrap();
        transaction.query("SELECT 1").execute().await.unwrap();
        codes.push(transaction.query(sql).execute().await.unwrap_err().code());
        assert!(transaction.commit().await.is_err());
        let text = sqlx::AssertSqlSafe(sql.to_owned());
        let failure = if SQLITE {
            sqlx::query(text).execute(reader.sqlite().unwrap()).await.unwrap_err()
        } else {
            sqlx::query(text).execute(reader.postgres().unwrap()).await.unwrap_err()
        };
        assert_eq!(failure.as_database_error().unwrap().code().unwrap(), "25006", "{sql}");
        refused += codes.len() + 1;
        assert!(codes.iter().all(|code| *code == Code::ReadOnlyTransaction), "{sql}: {codes:?}");
    }
    assert_eq!(Code::ReadOnlyTransaction.status(), 403);
    assert_eq!(state(&ann).await, before);
    let mut snapshot = reader.snapshot().await.unwrap();
    let count = snapshot.query_as::<(i64,)>("SELECT count(*) FROM notes").fetch_one().await.unwrap();
    assert_eq!(count.0, before.0);
    drop(snapshot);
    ann.query("UPDATE notes SET stars = 2 WHERE id = 1").execute().await.unwrap();
    assert_eq!(state(&reader).await, (before.0, before.1 + 2), "its user goes on writing elsewhere");
    assert_eq!(refused, 30);
}

use aurora_core::guard::{GuardOptions, Guarded};
use aurora_core::types::Code;
use futures_util::StreamExt as _;
use sqlx::{Executor as _, Row as _, SqlSafeStr as _};

use crate::fixture::{ANN, BOB, Fixture, POLICIES, ROWS, SCHEMA};

async fn ids(db: &Guarded, sql: &str) -> Vec<i64> {
    db.query_as::<(i64,)>(sql).fetch_all().await.unwrap().into_iter().map(|(id,)| id).collect()
}

/// attack A02, asvs(V8.2.2)
#[tokio::test]
async fn each_sees_their_own_and_their_teams() {
    let fixture = Fixture::new().await;
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM notes ORDER BY id").await, [1, 2, 3]);
    assert_eq!(ids(&fixture.bob(), "SELECT id FROM notes ORDER BY id").await, [3, 4, 5]);
    assert_eq!(ids(&fixture.anon(), "SELECT id FROM notes").await, [0_i64; 0]);
    assert_eq!(ids(&fixture.ann(), "SELECT n.id FROM notes n JOIN teams t ON t.id = n.team_id").await, [3]);
    assert_eq!(ids(&fixture.ann(), "SELECT count(*) FROM notes").await, [3]);
    assert_eq!(
        ids(&fixture.ann(), "WITH x AS (SELECT * FROM notes) SELECT id FROM x WHERE id > 1 ORDER BY 1").await,
        [2, 3]
    );
}

/// attack A03, asvs(V8.2.2)
#[tokio::test]
async fn writes_go_to_ones_own_rows_only() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    assert_eq!(ann.query("UPDATE notes SET stars = 9").execute().await.unwrap().rows_affected(), 2);
    let done = ann.query("UPDATE notes SET stars = stars + 1 WHERE id IN (1, 3, 4)").execute().await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    let done = ann.query("DELETE FROM notes WHERE id = $1").bind(4_i64).execute().await.unwrap();
    assert_eq!(done.rows_affected(), 0);
    let (id, title): (i64, String) = ann
        .query_as("INSERT INTO notes (title, owner) VALUES ($1, $2) RETURNING id, title")
        .bind("third")
        .bind(ANN)
        .fetch_one()
        .await
        .unwrap();
    assert_eq!((id, title.as_str()), (6, "third"));
    let denied = ann.query("INSERT INTO notes (title, owner) VALUES ('x', $1)").bind(BOB).execute().await;
    let denied = denied.unwrap_err();
    assert_eq!(denied.code(), Code::InsufficientPrivilege, "{denied:?}");
    assert_eq!(denied.message(), "new row violates row-level security policy for table \"notes\"");
    let taken = ann.query("INSERT INTO notes (title, owner) VALUES ('HIDDEN-four', $1)").bind(ANN);
    let taken = taken.execute().await.unwrap_err();
    assert_eq!(taken.code(), Code::UniqueViolation);
    assert_eq!(taken.message(), "duplicate key value violates unique constraint \"notes_title_key\"");
    let missing = ann.query_as::<(i64,)>("SELECT id FROM notes WHERE id = 4").fetch_one().await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn a_transaction_is_whole_or_not_at_all() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 5 WHERE id = 1").execute().await.unwrap();
    assert_eq!(
        tx.query_as::<(i64,)>("SELECT stars FROM notes WHERE id = 1").fetch_one().await.unwrap(),
        (5,)
    );
    tx.commit().await.unwrap();
    assert_eq!(ids(&ann, "SELECT stars FROM notes WHERE id = 1").await, [5]);
    // An error poisons it.
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 6 WHERE id = 1").execute().await.unwrap();
    assert_eq!(tx.query("SELECT 1/0").execute().await.unwrap_err().code(), Code::BadStatement);
    let poisoned = tx.query("SELECT 1").execute().await.unwrap_err();
    assert_eq!(poisoned.code(), Code::TransactionPoisoned);
    assert_eq!(tx.commit().await.unwrap_err().code(), Code::TransactionPoisoned);
    assert_eq!(ids(&ann, "SELECT stars FROM notes WHERE id = 1").await, [5]);
    // So does a statement that wall one refuses.
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 7 WHERE id = 1").execute().await.unwrap();
    let refused = tx.query("COMMIT").execute().await.unwrap_err();
    assert_eq!(refused.code(), Code::StatementNotSupported);
    assert_eq!(tx.commit().await.unwrap_err().code(), Code::TransactionPoisoned);
    // Dropped, it is rolled back.
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 8 WHERE id = 1").execute().await.unwrap();
    drop(tx);
    assert_eq!(ids(&ann, "SELECT stars FROM notes WHERE id = 1").await, [5]);
}

#[tokio::test]
async fn a_snapshot_sees_one_state_and_only_reads() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let mut snapshot = ann.snapshot().await.unwrap();
    let count = "SELECT count(*) FROM notes";
    assert_eq!(snapshot.query_as::<(i64,)>(count).fetch_one().await.unwrap(), (3,));
    ann.query("DELETE FROM notes WHERE id = 1").execute().await.unwrap();
    assert_eq!(snapshot.query_as::<(i64,)>(count).fetch_one().await.unwrap(), (3,));
    let refused =
        snapshot.query_as::<(i64,)>("DELETE FROM notes WHERE id = 2 RETURNING id").fetch_all().await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::StatementNotSupported, "a snapshot only reads; use begin()")
    );
    assert_eq!(ids(&ann, count).await, [2]);
}

#[tokio::test]
async fn rows_come_one_by_one_and_a_dropped_stream_leaves_nothing() {
    let fixture = Fixture::one_connection().await;
    let ann = fixture.ann();
    let mut stream = ann.query_as::<(i64,)>("SELECT id FROM notes ORDER BY id").fetch();
    let mut found = Vec::new();
    while let Some(row) = stream.next().await {
        found.push(row.unwrap().0);
    }
    drop(stream);
    assert_eq!(found, [1, 2, 3]);
    let mut stream = ann.query_as::<(i64,)>("SELECT generate_series(1::bigint, 1000000)").fetch();
    assert_eq!(stream.next().await.unwrap().unwrap(), (1,));
    drop(stream);
    assert_eq!(ids(&fixture.bob(), "SELECT id FROM notes ORDER BY id").await, [3, 4, 5]);
    // In a transaction, a stream that was dropped early fails it.
    let mut tx = ann.begin().await.unwrap();
    let mut stream = tx.query_as::<(i64,)>("SELECT generate_series(1::bigint, 1000000)").fetch();
    assert_eq!(stream.next().await.unwrap().unwrap(), (1,));
    drop(stream);
    assert!(tx.query("SELECT 1").execute().await.is_err());
}

#[tokio::test]
async fn a_host_uses_its_own_sqlx() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let found: Vec<(i64,)> = sqlx::query_as("SELECT id FROM notes WHERE id > $1 ORDER BY id")
        .bind(1_i64)
        .fetch_all(ann.postgres().unwrap())
        .await
        .unwrap();
    assert_eq!(found, [(2,), (3,)]);
    let mut builder = sqlx::QueryBuilder::<sqlx::Postgres>::new("UPDATE notes SET stars = ");
    builder.push_bind(4_i64);
    let done = builder.build().execute(ann.postgres().unwrap()).await.unwrap();
    assert_eq!(done.rows_affected(), 2);
    let denied =
        sqlx::query("UPDATE notes SET owner = 'x'").execute(ann.postgres().unwrap()).await.unwrap_err();
    assert_eq!(denied.as_database_error().unwrap().code().unwrap(), "42501");
    let mut tx = ann.begin().await.unwrap();
    sqlx::query("DELETE FROM notes").execute(tx.postgres().unwrap()).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(ids(&ann, "SELECT count(*) FROM notes").await, [3]);
    // Preparing and describing run nothing, and pass wall one like everything else.
    let described =
        ann.postgres().unwrap().describe("SELECT id, title FROM notes".into_sql_str()).await.unwrap();
    assert_eq!(described.columns().len(), 2);
    assert!(ann.postgres().unwrap().describe("SET ROLE postgres".into_sql_str()).await.is_err());
    let statement =
        ann.postgres().unwrap().prepare("SELECT count(*) FROM notes".into_sql_str()).await.unwrap();
    let row = sqlx::Statement::query(&statement).fetch_one(ann.postgres().unwrap()).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 3);
    // Another engine's executor is refused by name.
    assert_eq!(ann.sqlite().unwrap_err().code(), Code::Configuration);
    assert_eq!(ann.begin().await.unwrap().sqlite().unwrap_err().code(), Code::Configuration);
}

#[tokio::test]
async fn time_ends_statements_transactions_and_streams() {
    let mut options = GuardOptions::default();
    options.statement_budget = std::time::Duration::from_millis(300);
    options.longest_transaction = std::time::Duration::from_millis(500);
    options.longest_stream = std::time::Duration::from_millis(600);
    let fixture = Fixture::with(SCHEMA, ROWS, POLICIES, options).await.unwrap();
    let ann = fixture.ann();
    let endless = "WITH RECURSIVE r(i) AS (SELECT 1::bigint UNION ALL SELECT i + 1 FROM r) SELECT sum(i)::bigint FROM r";
    let ended = ann.query_as::<(i64,)>(endless).fetch_all().await.unwrap_err();
    assert_eq!(ended.code(), Code::StatementTooLong, "{ended:?}");
    let ended = ann.query_as::<(i64,)>(endless).fetch().next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::StatementTooLong, "{ended:?}");
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 5").execute().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(tx.query("SELECT 1").execute().await.unwrap_err().code(), Code::StatementTooLong);
    assert_eq!(tx.commit().await.unwrap_err().code(), Code::StatementTooLong);
    assert_eq!(ids(&ann, "SELECT stars FROM notes WHERE id = 1").await, [0]);
    // A reader that does not read is left after the stream's time.
    let mut stream = ann.query_as::<(i64,)>("SELECT generate_series(1::bigint, 3000000)").fetch();
    assert_eq!(stream.next().await.unwrap().unwrap(), (1,));
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    let mut last = None;
    while let Some(row) = stream.next().await {
        last = Some(row);
    }
    assert_eq!(last.unwrap().unwrap_err().code(), Code::StatementTooLong);
}

#[tokio::test]
async fn who_serves_sees_all_and_only_what_is_granted() {
    let fixture = Fixture::new().await;
    let secrets = fixture.ann().query("SELECT * FROM secrets").execute().await.unwrap_err();
    assert_eq!((secrets.code(), secrets.message()), (Code::BadStatement, "no such table: secrets"));
    let keys = fixture.ann().query("SELECT * FROM aurora.identity_keys").execute().await.unwrap_err();
    assert_eq!(keys.code(), Code::BadStatement, "{keys:?}");
    let users = fixture.ann().query("SELECT * FROM auth.users").execute().await.unwrap_err();
    assert!(matches!(users.code(), Code::BadStatement | Code::InsufficientPrivilege), "{users:?}");
    fixture.anon().query("INSERT INTO drops VALUES ('x')").execute().await.unwrap();
    assert_eq!(ids(&fixture.ann(), "SELECT count(*) FROM drops").await, [0]);
}

/// asvs(V3.5.3): a function that a SELECT calls writes nothing either where its caller is here to read.
#[tokio::test]
async fn a_function_writes_nothing_for_who_is_here_to_read() {
    let schema = format!(
        "{SCHEMA} CREATE FUNCTION drop_it() RETURNS bigint LANGUAGE plpgsql AS
           'BEGIN INSERT INTO public.drops VALUES (''x''); RETURN 1; END';"
    );
    let fixture = Fixture::build(&schema, ROWS, POLICIES, Default::default(), 1).await.unwrap();
    let ann = fixture.ann();
    let reader = fixture.guard.guarded(ann.principal().to_read());
    let refused = reader.query_as::<(i64,)>("SELECT drop_it()").fetch_one().await.unwrap_err();
    assert_eq!(refused.code(), Code::ReadOnlyTransaction, "{refused:?}");
    let refused = reader.query_as::<(i64,)>("SELECT drop_it()").fetch().next().await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ReadOnlyTransaction, "{refused:?}");
    assert_eq!(ids(&ann, "SELECT drop_it()").await, [1]);
}

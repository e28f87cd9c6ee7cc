use aurora_core::types::Code;

use crate::fixture::{ANN, BOB, Fixture, ROWS, SCHEMA};

async fn ids(db: &aurora_core::guard::Guarded, sql: &str) -> Vec<i64> {
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
        ids(&fixture.ann(), "WITH x AS (SELECT * FROM notes) SELECT id FROM x WHERE id > 1").await,
        [2, 3]
    );
    assert_eq!(
        ids(&fixture.ann(), "SELECT id FROM notes WHERE json_extract(body, '$.a') > 1 ORDER BY 1").await,
        [2, 3]
    );
    assert_eq!(ids(&fixture.ann(), "SELECT row_number() OVER (ORDER BY id) FROM notes").await, [1, 2, 3]);
}

/// attack A02
#[tokio::test]
async fn a_read_by_key_shows_what_the_list_shows() {
    let fixture = Fixture::new().await;
    let mut seen = 0;
    for user in [fixture.ann(), fixture.bob(), fixture.anon()] {
        let listed = ids(&user, "SELECT id FROM notes").await;
        for id in 0..8_i64 {
            let expected: Vec<i64> = listed.iter().copied().filter(|one| *one == id).collect();
            seen += expected.len();
            for sql in [
                "SELECT id FROM notes WHERE id = $1",
                "SELECT n.id FROM notes AS n WHERE $1 = n.id AND (n.stars IS NULL OR n.stars IS NOT NULL)",
                "SELECT max(id) FROM notes WHERE (\"ID\" = $1) HAVING count(*) > 0",
                "SELECT rowid FROM notes WHERE id = $1",
                "SELECT id FROM notes WHERE id = $1 AND json_valid(body) IS NOT 7",
                "SELECT t.id FROM (SELECT 1) x JOIN (SELECT * FROM notes WHERE id = $1) t",
            ] {
                let rows: Vec<(i64,)> = user.query_as(sql).bind(id).fetch_all().await.unwrap();
                assert_eq!(rows.into_iter().map(|(id,)| id).collect::<Vec<_>>(), expected, "{sql}");
            }
            let all = sqlx::query("SELECT * FROM notes WHERE id = ?").bind(id);
            for row in all.fetch_all(user.sqlite().unwrap()).await.unwrap() {
                assert_eq!(sqlx::Row::len(&row), 7, "`*` is the table's columns alone");
            }
        }
    }
    println!("{seen} rows found by key");
    assert_eq!(seen, 6);
}

#[tokio::test]
async fn the_first_rows_are_those_of_the_whole_list() {
    // Teams of everybody's: what a policy asks of them is not about who asks, so the first rows ask row by row.
    let open = "CREATE POLICY known ON teams FOR SELECT TO authenticated USING (name <> 'green');
        ALTER TABLE teams ENABLE ROW LEVEL SECURITY; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        ALTER TABLE members ENABLE ROW LEVEL SECURITY;
        CREATE POLICY mine ON members FOR SELECT TO authenticated USING (user_id = auth.uid()::text);
        CREATE POLICY p ON notes FOR SELECT TO authenticated USING";
    let mut seen = 0;
    for condition in [
        "EXISTS (SELECT 1 FROM teams t WHERE t.id = notes.team_id AND t.name <> 'blue')",
        "team_id IN (SELECT id FROM teams WHERE name <> 'red') OR owner = auth.uid()::text",
        "team_id IN (SELECT t.id FROM teams t JOIN members m ON m.team_id = t.id WHERE m.user_id = auth.uid()::text)",
        "NOT EXISTS (SELECT 1 FROM teams t WHERE t.id = notes.team_id) AND stars < 7",
        "(public = 1 OR owner = auth.uid()::text OR team_id IN (SELECT id FROM teams WHERE name <> 'red')) AND stars < 7",
        "EXISTS (SELECT 1 FROM teams t WHERE t.id = notes.team_id AND EXISTS (SELECT 1 FROM members m WHERE m.team_id = t.id))",
    ] {
        let policies = format!("{open} ({condition});");
        let options = aurora_core::guard::GuardOptions::default();
        let fixture = Fixture::with(SCHEMA, ROWS, &policies, options).await.unwrap();
        for user in [fixture.ann(), fixture.bob()] {
            let mut listed = ids(&user, "SELECT id FROM notes").await;
            listed.sort_unstable();
            let newest: Vec<i64> = listed.iter().rev().take(2).copied().collect();
            seen += newest.len();
            for sql in [
                "SELECT id FROM notes ORDER BY id DESC LIMIT 2",
                "SELECT n.id FROM notes n ORDER BY n.id DESC LIMIT $1",
                "SELECT id FROM notes WHERE stars < 9 AND json_valid(body) IS NOT 7 ORDER BY id DESC LIMIT 2",
                "SELECT id FROM (SELECT * FROM notes ORDER BY notes.id DESC LIMIT 2)",
                "SELECT id FROM notes AS n ORDER BY rowid DESC LIMIT 2",
                "SELECT id FROM notes GROUP BY id ORDER BY id DESC LIMIT 2",
                "SELECT min(id) FROM notes GROUP BY id ORDER BY id DESC LIMIT 2",
            ] {
                let rows: Vec<(i64,)> = user.query_as(sql).bind(2_i64).fetch_all().await.unwrap();
                let rows: Vec<i64> = rows.into_iter().map(|(id,)| id).collect();
                assert_eq!(rows, newest, "{condition}: {sql}");
            }
            let counted = ids(&user, "SELECT count(*) FROM notes LIMIT 1").await;
            assert_eq!(counted, [i64::try_from(listed.len()).unwrap()], "{condition}");
        }
    }
    println!("{seen} newest rows");
    assert!(seen > 10, "{seen}");
}

/// attack A03, asvs(V8.2.2)
#[tokio::test]
async fn writes_go_to_ones_own_rows_only() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let done = ann.query("UPDATE notes SET stars = 9").execute().await.unwrap();
    assert_eq!(done.rows_affected(), 2);
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
    let denied = ann.query("UPDATE notes SET owner = $1 WHERE id = 1").bind(BOB).execute().await.unwrap_err();
    assert_eq!(denied.code(), Code::InsufficientPrivilege, "{denied:?}");
    let hidden = ann
        .query("INSERT INTO notes (id, title, owner) VALUES (4, 'mine', $1) ON CONFLICT (id) DO UPDATE SET title = 'taken'")
        .bind(ANN)
        .execute()
        .await
        .unwrap_err();
    assert_eq!(hidden.code(), Code::InsufficientPrivilege, "{hidden:?}");
    let own = ann
        .query("INSERT INTO notes (id, title, owner) VALUES (1, 'again', $1) ON CONFLICT (id) DO UPDATE SET title = excluded.title")
        .bind(ANN)
        .execute()
        .await
        .unwrap();
    assert_eq!(own.rows_affected(), 1);
    assert_eq!(
        fixture.titles().await,
        ["again", "ann two", "bob red", "HIDDEN-four", "HIDDEN-five", "third"]
    );
    // Insert without the right to see: PostgreSQL needs no SELECT policy for that.
    fixture.anon().query("INSERT INTO drops (note) VALUES ('psst')").execute().await.unwrap();
    let denied =
        fixture.anon().query("INSERT INTO drops (note) VALUES ('psst') RETURNING note").execute().await;
    assert_eq!(denied.unwrap_err().code(), Code::InsufficientPrivilege);
}

#[tokio::test]
async fn a_transaction_commits_rolls_back_and_is_poisoned() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET title = 'kept' WHERE id = 1").execute().await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET title = 'lost' WHERE id = 1").execute().await.unwrap();
    drop(tx);
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET title = 'lost' WHERE id = 1").execute().await.unwrap();
    tx.query("INSERT INTO notes (title, owner) VALUES ('x', 'eve')").execute().await.unwrap_err();
    let poisoned = tx.query("SELECT 1").execute().await.unwrap_err();
    assert_eq!(poisoned.code(), Code::TransactionPoisoned);
    assert_eq!(tx.commit().await.unwrap_err().code(), Code::TransactionPoisoned);
    assert_eq!(fixture.titles().await[0], "kept");
    let mut snapshot = ann.snapshot().await.unwrap();
    let (before,): (i64,) = snapshot.query_as("SELECT count(*) FROM notes").fetch_one().await.unwrap();
    ann.query("DELETE FROM notes WHERE id = 1").execute().await.unwrap();
    let (after,): (i64,) = snapshot.query_as("SELECT count(*) FROM notes").fetch_one().await.unwrap();
    assert_eq!((before, after), (3, 3));
    let refused =
        snapshot.query_as::<(i64,)>("DELETE FROM notes RETURNING id").fetch_all().await.unwrap_err();
    assert_eq!(refused.code(), Code::StatementNotSupported);
}

#[tokio::test]
async fn the_hosts_own_sqlx_queries_run_guarded() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    let rows: Vec<(i64,)> = sqlx::query_as("SELECT id FROM notes WHERE id > ? ORDER BY id")
        .bind(1_i64)
        .fetch_all(ann.sqlite().unwrap())
        .await
        .unwrap();
    assert_eq!(rows, [(2,), (3,)]);
    let mut builder = sqlx::QueryBuilder::new("INSERT INTO notes (title, owner) ");
    builder.push_values(["a", "b"], |mut row, title| {
        row.push_bind(title).push_bind(ANN);
    });
    let done = builder.build().execute(ann.sqlite().unwrap()).await.unwrap();
    assert_eq!(done.rows_affected(), 2);
    let error = sqlx::query("INSERT INTO notes (title, owner) VALUES ('a', ?)")
        .bind(ANN)
        .execute(ann.sqlite().unwrap())
        .await
        .unwrap_err();
    assert!(error.as_database_error().unwrap().is_unique_violation(), "{error}");
    let mut tx = ann.begin().await.unwrap();
    sqlx::query("DELETE FROM notes").execute(tx.sqlite().unwrap()).await.unwrap();
    drop(tx);
    assert_eq!(fixture.titles().await.len(), 7);
}

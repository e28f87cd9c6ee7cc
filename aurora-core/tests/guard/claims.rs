//! What claims decide is decided for one principal: nobody else on the same connection is shown it.

use aurora_core::guard::{GuardOptions, Guarded};
use aurora_core::types::{Code, Principal, UserId};

use crate::fixture::{ANN, BOB, Fixture, ROWS, SCHEMA};

const TABLES: &str =
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
    ALTER TABLE members ENABLE ROW LEVEL SECURITY; ALTER TABLE drops ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON members FOR SELECT TO authenticated USING (user_id = auth.uid()::text);
    CREATE POLICY seen ON teams FOR SELECT TO authenticated USING
      (auth.jwt() ->> 'kind' = 'staff' OR owner = auth.uid()::text);";

const STAFF: &str = "CREATE POLICY p ON notes FOR ALL TO authenticated USING
      (owner = auth.uid()::text OR (auth.jwt() ->> 'kind') = 'staff');";

/// One connection for everybody.
async fn fixture(policies: &str) -> Fixture {
    let mut options = GuardOptions::default();
    options.readers = 1;
    Fixture::with(SCHEMA, ROWS, &format!("{TABLES}{policies}"), options).await.unwrap()
}

fn with(fixture: &Fixture, user: &str, claims: &str) -> Guarded {
    let principal = Principal::user(user.parse::<UserId>().unwrap());
    fixture.guard.guarded(principal.with_claims(claims).unwrap())
}

async fn ids(db: &Guarded, sql: &str) -> Result<Vec<i64>, Code> {
    let rows: Result<Vec<(i64,)>, _> = db.query_as(sql).fetch_all().await;
    rows.map(|rows| rows.into_iter().map(|(id,)| id).collect()).map_err(|error| error.code())
}

const READS: [&str; 6] = [
    "SELECT id FROM notes ORDER BY id",
    "SELECT id FROM notes ORDER BY id LIMIT 9",
    "SELECT n.id FROM notes n ORDER BY n.title LIMIT 9",
    "SELECT id FROM notes WHERE json_valid(body) IS NOT 7 ORDER BY id",
    "SELECT a.id FROM notes a JOIN notes b ON b.id = a.id ORDER BY a.id",
    "WITH x AS (SELECT * FROM notes) SELECT id FROM x WHERE id IN (SELECT id FROM notes) ORDER BY id",
];

/// asvs(V10.3.2)
#[tokio::test]
async fn each_is_shown_what_their_own_claims_decide() {
    let fixture = fixture(STAFF).await;
    let (staff, other) = (r#"{"kind":"staff"}"#, r#"{"kind":"guest"}"#);
    let people = [
        (with(&fixture, ANN, other), vec![1, 2]),
        (with(&fixture, ANN, staff), vec![1, 2, 3, 4, 5]),
        (with(&fixture, BOB, "{}"), vec![3, 4, 5]),
        (with(&fixture, BOB, r#"{"kind":null}"#), vec![3, 4, 5]),
        (with(&fixture, BOB, staff), vec![1, 2, 3, 4, 5]),
        (fixture.anon(), vec![]),
    ];
    // In turns, so that each finds what the one before has left on the connection.
    for _ in 0..3 {
        for (db, expected) in &people {
            for sql in READS {
                let mut seen = ids(db, sql).await.unwrap();
                seen.sort_unstable();
                assert_eq!(seen, *expected, "{sql}");
            }
            let one = ids(db, "SELECT id FROM notes WHERE id = 4").await.unwrap();
            assert_eq!(one.len(), usize::from(expected.contains(&4)));
            let counted = ids(db, "SELECT count(*) FROM notes").await.unwrap();
            assert_eq!(counted, [i64::try_from(expected.len()).unwrap()]);
        }
    }
}

/// asvs(V10.3.2)
#[tokio::test]
async fn writes_ask_the_claims_of_who_writes() {
    let fixture = fixture(STAFF).await;
    let ann = with(&fixture, ANN, r#"{"kind":"guest"}"#);
    let staff = with(&fixture, ANN, r#"{"kind":"staff"}"#);
    for _ in 0..2 {
        for (db, touched) in [(&staff, 5), (&ann, 2)] {
            let done = db.query("UPDATE notes SET stars = stars + 1").execute().await.unwrap();
            assert_eq!(done.rows_affected(), touched);
            let done = db.query("UPDATE notes SET stars = 1 WHERE id = 4").execute().await.unwrap();
            assert_eq!(done.rows_affected(), u64::from(touched == 5));
        }
        let sql = format!("INSERT INTO notes (title, owner) VALUES ('given', '{BOB}')");
        assert_eq!(ann.query(&sql).execute().await.unwrap_err().code(), Code::InsufficientPrivilege);
        assert_eq!(staff.query(&sql).execute().await.unwrap().rows_affected(), 1);
        let gone = "DELETE FROM notes WHERE title = 'given'";
        assert_eq!(ann.query(gone).execute().await.unwrap().rows_affected(), 0);
        assert_eq!(staff.query(gone).execute().await.unwrap().rows_affected(), 1);
        let sql = format!("UPDATE notes SET owner = '{BOB}' WHERE id = 1");
        assert_eq!(ann.query(&sql).execute().await.unwrap_err().code(), Code::InsufficientPrivilege);
    }
}

#[tokio::test]
async fn a_condition_that_fails_fails_where_it_is_asked() {
    // A claim that is no number, and a row that no condition before it lets off.
    let fixture = fixture(
        "CREATE POLICY p ON notes FOR SELECT TO authenticated USING
           (stars = 7 OR (auth.jwt() ->> 'level')::int > 3);",
    )
    .await;
    let (bad, low, high) = (
        with(&fixture, ANN, r#"{"level":"x"}"#),
        with(&fixture, ANN, r#"{"level":3}"#),
        with(&fixture, ANN, r#"{"level":"4"}"#),
    );
    for _ in 0..2 {
        assert!(ids(&bad, "SELECT id FROM notes").await.is_err());
        assert_eq!(ids(&low, "SELECT id FROM notes").await.unwrap(), [0_i64; 0]);
        assert_eq!(ids(&high, "SELECT id FROM notes").await.unwrap().len(), 5);
        assert_eq!(ids(&bad, "SELECT id FROM notes WHERE id = 99").await.unwrap(), [0_i64; 0]);
    }
}

#[tokio::test]
async fn what_may_fail_before_it_is_asked_all_the_same() {
    // Every row has no stars: PostgreSQL divides before it looks at the claim.
    for condition in [
        "10 / stars > 1 OR auth.jwt() ->> 'kind' = 'staff'",
        "10 / stars > 1 AND auth.jwt() ->> 'kind' = 'staff'",
    ] {
        let policy = format!("CREATE POLICY p ON notes FOR SELECT TO authenticated USING ({condition});");
        let fixture = fixture(&policy).await;
        for claims in [r#"{"kind":"staff"}"#, "{}"] {
            assert!(
                ids(&with(&fixture, ANN, claims), "SELECT id FROM notes").await.is_err(),
                "{condition} {claims}"
            );
        }
    }
    for (condition, claims, expected) in [
        ("auth.jwt() ->> 'kind' = 'staff' OR 10 / stars > 1", r#"{"kind":"staff"}"#, Some(5)),
        ("auth.jwt() ->> 'kind' = 'staff' OR 10 / stars > 1", "{}", None),
        ("auth.jwt() ->> 'kind' = 'staff' AND 10 / stars > 1", r#"{"kind":"staff"}"#, None),
        ("auth.jwt() ->> 'kind' = 'staff' AND 10 / stars > 1", "{}", Some(0)),
    ] {
        let policy = format!("CREATE POLICY p ON notes FOR SELECT TO authenticated USING ({condition});");
        let fixture = fixture(&policy).await;
        let seen = ids(&with(&fixture, ANN, claims), "SELECT id FROM notes").await;
        assert_eq!(seen.ok().map(|ids| ids.len()), expected, "{condition} {claims}");
    }
}

#[tokio::test]
async fn inner_tables_and_not_are_decided_alike() {
    let fixture = fixture(
        "CREATE POLICY p ON notes FOR SELECT TO authenticated USING
           (team_id IN (SELECT id FROM teams) AND NOT (auth.jwt() ->> 'kind' = 'guest'));",
    )
    .await;
    for (user, claims, expected) in [
        (ANN, r#"{"kind":"staff"}"#, vec![3, 5]),
        (ANN, r#"{"kind":"other"}"#, vec![]),
        (BOB, r#"{"kind":"other"}"#, vec![3, 5]),
        (BOB, r#"{"kind":"guest"}"#, vec![]),
        // NULL is not false.
        (BOB, "{}", vec![]),
    ] {
        let db = with(&fixture, user, claims);
        for sql in READS {
            let mut seen = ids(&db, sql).await.unwrap();
            seen.sort_unstable();
            assert_eq!(seen, expected, "{user} {claims} {sql}");
        }
    }
}

#[tokio::test]
async fn own_folders_are_ranges() {
    let policy = "CREATE POLICY p ON notes FOR SELECT TO authenticated USING
        ((storage.foldername(title))[1] = auth.uid()::text);";
    let rows = format!(
        "INSERT INTO notes (id, title, owner) VALUES (1, '{ANN}/a.png', 'x'), (2, '{ANN}/b/c', 'x'), (3, '{ANN}', 'x'),
         (4, '{ANN}0', 'x'), (5, '{ANN}./x', 'x'), (6, '/{ANN}/x', 'x'), (7, '{ANN}/', 'x'), (8, '', 'x'),
         (9, '{BOB}/a', 'x'), (10, '{}/a', 'x'), (11, '{ANN}//', 'x');",
        ANN.to_uppercase()
    );
    let policies = format!("{TABLES}{policy}");
    let fixture = Fixture::with(SCHEMA, &rows, &policies, GuardOptions::default()).await.unwrap();
    for (db, expected) in
        [(fixture.ann(), vec![1, 2, 7, 11]), (fixture.bob(), vec![9]), (fixture.anon(), vec![])]
    {
        for sql in READS {
            let mut seen = ids(&db, sql).await.unwrap();
            seen.sort_unstable();
            assert_eq!(seen, expected, "{sql}");
        }
    }
}

//! One connection, several principals: what one leaves behind, the next does not find. Rows G02, G04, G11 of the
//! attacks, and what is known of sqlx and of PostgreSQL's cache of plans.

use std::time::Duration;

use aurora_core::guard::Guarded;
use aurora_core::types::{Code, Principal};

use crate::attacks::{Raw, hidden, rows};
use crate::fixture::{ANN, EVE, Fixture, POLICIES, ROWS, SCHEMA};

async fn each_is_who_they_are(fixture: &Fixture, why: &str) {
    for (db, count) in
        [(fixture.bob(), 3), (fixture.anon(), 0), (fixture.ann(), 3), (fixture.as_user(EVE), 0)]
    {
        let found =
            rows(&db, "SELECT id FROM notes").await.unwrap_or_else(|error| panic!("{why}: {error:?}"));
        assert_eq!(found.len(), count, "{why}");
    }
}

/// attack G02: after an error, a panic, a rollback or a cancelled future.
#[tokio::test]
async fn g02_a_connection_changes_hands_clean() {
    let fixture = Fixture::one_connection().await;
    let ann = fixture.ann();
    assert!(ann.query("SELECT 1/0").execute().await.is_err());
    each_is_who_they_are(&fixture, "an error").await;
    let mut tx = ann.begin().await.unwrap();
    tx.query("UPDATE notes SET stars = 1").execute().await.unwrap();
    drop(tx);
    each_is_who_they_are(&fixture, "a dropped transaction").await;
    let panicking = ann.clone();
    let task = tokio::spawn(async move {
        let mut tx = panicking.begin().await.unwrap();
        tx.query("UPDATE notes SET stars = 1").execute().await.unwrap();
        panic!("in a handler");
    });
    assert!(task.await.unwrap_err().is_panic());
    each_is_who_they_are(&fixture, "a panic").await;
    let tx = ann.begin().await.unwrap();
    tx.rollback().await.unwrap();
    each_is_who_they_are(&fixture, "a rollback").await;
    let (stars,): (i64,) = ann.query_as("SELECT sum(stars)::bigint FROM notes").fetch_one().await.unwrap();
    assert_eq!(stars, 0);
}

/// attack G02:
/// sqlx #4385 and its kin: futures dropped at every moment leave no identity and no open transaction behind.
#[tokio::test]
async fn a_future_dropped_at_any_moment_leaves_nothing() {
    let fixture = Fixture::one_connection().await;
    let ann = fixture.ann();
    let mut cancelled = 0;
    for step in 0..60_u64 {
        let limit = Duration::from_micros(step * 100);
        let db = ann.clone();
        let work = async move {
            match step % 5 {
                0 => drop(db.query("UPDATE notes SET stars = stars + 1 WHERE id = 1").execute().await),
                1 => drop(db.query_as::<(i64,)>("SELECT id FROM notes").fetch_all().await),
                2 => {
                    let mut tx = db.begin().await.unwrap();
                    tx.query("UPDATE notes SET stars = stars + 100").execute().await.unwrap();
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                3 => drop(db.snapshot().await),
                _ => {
                    let slow = "SELECT count(*) FROM generate_series(1, 300000)";
                    drop(db.query(slow).execute().await);
                }
            }
        };
        cancelled += usize::from(tokio::time::timeout(limit, work).await.is_err());
        each_is_who_they_are(&fixture, &format!("cancelled after {limit:?}")).await;
    }
    println!("{cancelled} of 60 cancelled");
    assert!(cancelled > 10);
    let (stars,): (i64,) = ann.query_as("SELECT max(stars) FROM notes").fetch_one().await.unwrap();
    assert!(stars < 100, "a cancelled transaction left its rows: {stars}");
}

/// What a statement sets for the session ends with the transaction that comes next.
#[tokio::test]
async fn what_is_set_for_the_session_does_not_outlive_its_transaction() {
    let fixture = Fixture::one_connection().await;
    let unread = fixture.ann().without_wall_one_for_tests();
    for sql in [
        "SELECT set_config('role', 'aurora_service', false)",
        "SELECT set_config('request.jwt.claims', '{\"sub\":\"00000000-0000-4000-8000-00000000000b\"}', false)",
        "SELECT set_config('aurora.mac', 'x', false)",
        "SELECT set_config('search_path', 'pg_temp', false)",
        "SELECT set_config('row_security', 'off', false)",
        "SELECT set_config('statement_timeout', '1', false)",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SELECT set_config('default_transaction_read_only', 'on', false)",
        "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
        "SET SESSION ROLE anon",
        "LISTEN aurora_revocations",
        "PREPARE p AS SELECT 1",
        "SELECT pg_advisory_lock(1)",
    ] {
        let _ = unread.query(sql).execute().await;
        each_is_who_they_are(&fixture, sql).await;
        fixture.ann().query("UPDATE notes SET stars = 0").execute().await.unwrap();
        assert!(fixture.ann().query("SELECT '\\' ; 1").execute().await.is_err(), "{sql}");
        let zone: (String,) =
            fixture.bob().query_as("SELECT current_setting('TimeZone')").fetch_one().await.unwrap();
        assert_eq!(zone.0, "UTC", "{sql}");
    }
}

/// A table, view or function in the session's own schema stands for nobody's.
#[tokio::test]
async fn a_temporary_object_shadows_nothing() {
    let fixture = Fixture::one_connection().await;
    let unread = fixture.ann().without_wall_one_for_tests();
    for sql in [
        "CREATE TEMP TABLE notes (id bigint, title text, owner text)",
        "CREATE TEMP TABLE members (team_id bigint, user_id text)",
        "CREATE TEMP VIEW teams AS SELECT 1 AS id",
        "CREATE FUNCTION pg_temp.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
        "CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$",
        "INSERT INTO pg_temp.members SELECT 2, '00000000-0000-4000-8000-00000000000a'",
    ] {
        let _ = unread.query(sql).execute().await;
        each_is_who_they_are(&fixture, sql).await;
        let (lower,): (String,) = fixture.bob().query_as("SELECT lower('A')").fetch_one().await.unwrap();
        assert_eq!(lower, "a");
        assert_eq!(rows(&fixture.ann(), "SELECT id FROM teams").await.unwrap().len(), 1, "{sql}");
    }
}

/// attack G04: one text, prepared once, answers each principal anew, whatever cached plan it has.
#[tokio::test]
async fn g04_a_prepared_statement_answers_each_principal_anew() {
    let schema = format!(
        "{SCHEMA} CREATE VIEW seen WITH (security_invoker = true) AS SELECT id FROM notes;
         CREATE FUNCTION all_notes() RETURNS SETOF bigint LANGUAGE sql STABLE AS 'SELECT id FROM public.notes';
         CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql STABLE AS
           'DECLARE c bigint; BEGIN SELECT count(*) INTO c FROM public.notes; RETURN c; END';"
    );
    let policies = format!(
        "{POLICIES} CREATE POLICY open ON notes FOR SELECT TO anon USING (id = 5);
         CREATE POLICY open_teams ON teams FOR SELECT TO anon USING (true);"
    );
    let fixture = Fixture::build(&schema, ROWS, &policies, Default::default(), 1).await.unwrap();
    let service = fixture.guard.guarded(Principal::anonymous());
    drop(service);
    for sql in [
        "SELECT id FROM notes ORDER BY id",
        "WITH c AS (SELECT id FROM notes) SELECT id FROM c",
        "WITH c AS MATERIALIZED (SELECT id FROM notes) SELECT id FROM c",
        "SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM notes)",
        "SELECT id FROM teams WHERE id IN (SELECT team_id FROM notes) OR true",
        "SELECT id FROM seen",
        "SELECT * FROM all_notes()",
        "SELECT counted()",
        "SELECT auth.uid()",
        "SELECT count(*) FROM notes WHERE owner = auth.uid()::text",
    ] {
        let ask = async |db: &Guarded| rows(db, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let (ann, bob, anon) =
            (ask(&fixture.ann()).await, ask(&fixture.bob()).await, ask(&fixture.anon()).await);
        // From the sixth run on, PostgreSQL may keep one plan for all values.
        for _ in 0..8 {
            assert_eq!(ask(&fixture.bob()).await, bob, "{sql}");
            assert_eq!(ask(&fixture.anon()).await, anon, "{sql}");
            assert_eq!(ask(&fixture.ann()).await, ann, "{sql}");
        }
        assert!(ann != anon || sql.contains("owner"), "{sql}: {ann:?}");
    }
    // Through the host's own sqlx.
    for (db, expected) in
        [(fixture.ann(), 3), (fixture.bob(), 3), (fixture.anon(), 1), (fixture.as_user(EVE), 0)]
    {
        for _ in 0..8 {
            let query = sqlx::query_as::<_, (i64,)>("SELECT id FROM notes WHERE id > $1").bind(0_i64);
            assert_eq!(query.fetch_all(db.postgres().unwrap()).await.unwrap().len(), expected);
        }
    }
}

/// attack G11: a savepoint and its rollback keep the outer identity, never none and never another.
#[tokio::test]
async fn g11_a_savepoint_keeps_the_identity() {
    let fixture = Fixture::one_connection().await;
    let unread = fixture.ann().without_wall_one_for_tests();
    let mut tx = unread.begin().await.unwrap();
    for sql in [
        "SAVEPOINT a",
        "SELECT set_config('role', 'anon', true)",
        "SELECT set_config('request.jwt.claims', '{}', true)",
        "ROLLBACK TO a",
    ] {
        tx.query(sql).execute().await.unwrap();
    }
    assert_eq!(tx.query_as::<Raw>("SELECT id FROM notes").fetch_all().await.unwrap().len(), 3);
    tx.query("SELECT set_config('role', 'anon', true)").execute().await.unwrap();
    tx.query("RELEASE a").execute().await.unwrap();
    // The role is another one's now, and the claims are not bound to it.
    let after = tx.query_as::<Raw>("SELECT id FROM notes").fetch_all().await;
    assert!(after.is_err() || after.unwrap().is_empty());
    drop(tx);
    each_is_who_they_are(&fixture, "savepoints").await;
}

/// attack Q01:
/// A statement's text is the host's constant or an explicit claim of its safety: nothing of a caller's becomes text.
#[tokio::test]
async fn what_a_caller_says_never_becomes_text() {
    let fixture = Fixture::new().await;
    let before = hidden(&fixture).await;
    let claims = format!(r#"{{"sub":"{ANN}","role":"authenticated","x":"*/ RESET ROLE; /*"}}"#);
    let bind = aurora_core::store::Bind::new("authenticated", &claims, aurora_core::store::Mode::ReadWrite);
    let mut transaction = fixture.database.begin_as(bind).await.unwrap();
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM notes")
        .fetch_one(transaction.connection().unwrap())
        .await
        .unwrap();
    assert_eq!(count, 3);
    transaction.commit().await.unwrap();
    let odd = fixture.ann().query("SELECT 1 /* */ */").execute().await.unwrap_err();
    assert_eq!(odd.code(), Code::BadStatement);
    assert_eq!(hidden(&fixture).await, before);
}

/// A schema that changed under a cached plan asks for another try, and the next one works.
#[tokio::test]
async fn a_changed_table_costs_one_try_at_most() {
    let fixture = Fixture::one_connection().await;
    let ann = fixture.ann();
    let sql = "SELECT * FROM members";
    assert_eq!(rows(&ann, sql).await.unwrap().len(), 1);
    crate::fixture::run(&mut fixture.superuser().await, "ALTER TABLE members ADD COLUMN since date").await;
    let mut tries = 0;
    while rows(&ann, sql).await.is_err() {
        tries += 1;
        assert!(tries < 3, "the statement stays broken");
    }
    println!("{tries} failed tries");
}

//! Identities by settings, after a superuser revoked `set_config`: what a statement of the host's can do within
//! itself forges nobody. Whole statements of an attacker's choosing (`SET`, `DO`) are wall one's to refuse here.

use aurora_core::guard::GuardOptions;
use aurora_core::store::{IdentityBy, PostgresDatabase, PostgresOptions, identity_sql};
use aurora_core::types::{Code, Principal, UserId};
use futures_util::StreamExt as _;
use sqlx::{Connection as _, Row as _};

use crate::attacks::{attempt, rows};
use crate::fixture::{ANN, BOB, Fixture, POLICIES, Place, ROWS, SCHEMA, owner_url, run, superuser};
use crate::forging::forgeries;

const VIEWS: &str = "SELECT string_agg(c.relname || pg_get_viewdef(c.oid), '' ORDER BY c.relname) FROM pg_class c \
    WHERE c.relnamespace = 'aurora'::regnamespace AND c.relkind = 'v'";

async fn place() -> Place {
    let place = Place::new(SCHEMA, ROWS).await;
    run(&mut superuser(&place.name).await, identity_sql(IdentityBy::Settings)).await;
    place
}

async fn fixture() -> Fixture {
    Fixture::at(place().await, POLICIES, GuardOptions::default(), 1).await.unwrap()
}

#[tokio::test]
async fn everybody_sees_and_changes_their_own() {
    let fixture = fixture().await;
    let ann = fixture.ann();
    for (who, count) in [(ann.clone(), 3), (fixture.bob(), 3), (fixture.anon(), 0), (ann.clone(), 3)] {
        assert_eq!(rows(&who, "SELECT id FROM notes").await.unwrap().len(), count);
    }
    let mut tx = ann.begin().await.unwrap();
    tx.query("INSERT INTO notes (title, owner) VALUES ('mine', auth.uid()::text)").execute().await.unwrap();
    let refused =
        tx.query("INSERT INTO notes (title, owner) VALUES ('theirs', $1)").bind(BOB).execute().await;
    assert_eq!(refused.unwrap_err().code(), Code::InsufficientPrivilege);
    tx.rollback().await.unwrap();
    ann.query("UPDATE notes SET body = 'x' WHERE owner = auth.uid()::text").execute().await.unwrap();
    let mut snapshot = ann.snapshot().await.unwrap();
    let mut stream =
        snapshot.query_as::<(String,)>("SELECT body FROM notes WHERE owner = $1").bind(ANN).fetch();
    while let Some(row) = stream.next().await {
        assert_eq!(row.unwrap().0, "x");
    }
    let mut connection = fixture.superuser().await;
    let changed: i64 = sqlx::query_scalar("SELECT count(*) FROM notes WHERE body = 'x'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(changed, 2);
}

/// Claims are part of a statement's text here, and whatever they hold they stay within their string.
#[tokio::test]
async fn claims_are_nothing_but_a_value() {
    let fixture = fixture().await;
    let hard = [
        r"\'; SET LOCAL ROLE aurora_store; --",
        "'; RESET ROLE; SELECT 1; --",
        r"\",
        r"\\'",
        "$$ $x$ E'\u{e9}\u{1f512}",
        r"'' \u0027 \n ''",
    ];
    for name in hard {
        let claims = serde_json::json!({"sub": ANN, "role": "authenticated", "name": name}).to_string();
        let who = Principal::user(ANN.parse::<UserId>().unwrap()).with_claims(&claims).unwrap();
        let db = fixture.guard.guarded(who);
        let read: (Option<String>, String) =
            db.query_as("SELECT auth.jwt() ->> 'name', current_user::text").fetch_one().await.unwrap();
        assert_eq!(read, (Some(name.to_owned()), "authenticated".to_owned()));
        assert_eq!(rows(&db, "SELECT id FROM notes").await.unwrap().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn one_statement_forges_nobody() {
    let fixture = fixture().await;
    let ann = fixture.ann().without_wall_one_for_tests();
    let statements: Vec<String> =
        forgeries().into_iter().filter(|sql| !sql.starts_with("SET ") && !sql.starts_with("DO ")).collect();
    let mut refused = 0;
    for sql in &statements {
        refused += usize::from(attempt(&fixture, &ann, sql).await.is_err());
        assert_eq!(rows(&fixture.bob(), "SELECT id FROM notes").await.unwrap().len(), 3, "{sql}");
        assert_eq!(rows(&fixture.anon(), "SELECT id FROM notes").await.unwrap().len(), 0, "{sql}");
    }
    println!("{} statements, {refused} refused, none shows or changes what is hidden", statements.len());
    assert!(refused > 60, "{refused} of {}", statements.len());
}

/// What would make a setting out of data, were there such a function: text that runs, a rule, a second statement.
#[tokio::test]
async fn settings_are_made_by_statements_alone() {
    let fixture = fixture().await;
    let ann = fixture.ann().without_wall_one_for_tests();
    let role = "SET LOCAL ROLE aurora_service";
    let tried = [
        format!("SELECT query_to_xml('{role}', true, true, '')::text"),
        format!("SELECT query_to_xml_and_xmlschema('{role}; SELECT title FROM notes', true, true, '')::text"),
        format!("SELECT query_to_xml('DO $x$ BEGIN EXECUTE ''{role}''; END $x$', true, true, '')::text"),
        format!("SELECT 1; {role}; SELECT title FROM notes"),
        "UPDATE pg_settings SET setting = 'aurora_service' WHERE name = 'role'".to_owned(),
        "INSERT INTO pg_db_role_setting VALUES (0, 0, '{role=aurora_service}')".to_owned(),
        format!("SELECT ts_stat('{role}')"),
        "SELECT pg_catalog.set_config('role'::text, 'aurora_service'::text, true)".to_owned(),
        "SELECT (pg_catalog.set_config('role', 'none', true), title) FROM notes".to_owned(),
    ];
    for sql in &tried {
        let outcome = attempt(&fixture, &ann, sql).await;
        assert!(outcome.is_err(), "{sql}: {outcome:?}");
        let role: (String,) = ann.query_as("SELECT current_user::text").fetch_one().await.unwrap();
        assert_eq!(role.0, "authenticated");
    }
    println!("{} statements refused", tried.len());
}

#[tokio::test]
async fn one_without_the_other_does_not_start() {
    let place = place().await;
    let mut superuser = superuser(&place.name).await;
    let start = async || PostgresDatabase::connect(place.run.clone(), &PostgresOptions::default()).await;
    start().await.unwrap();
    let function = "EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean)";
    for role in ["PUBLIC", "authenticated", place.run.get_username()] {
        run(&mut superuser, &format!("GRANT {function} TO {role}")).await;
        let error = start().await.unwrap_err();
        assert_eq!(error.code(), Code::Configuration);
        assert!(error.message().contains("may call set_config"), "{}", error.message());
        run(&mut superuser, &format!("REVOKE {function} FROM {role}")).await;
    }
    // Half of the views, as a restore that was broken off leaves them.
    let view = "SELECT NULL::jsonb AS claims, NULL::uuid AS uid, false AS bound FROM aurora.identity_keys";
    run(&mut superuser, &format!("CREATE OR REPLACE VIEW aurora.as_anon AS {view}")).await;
    let error = start().await.unwrap_err();
    assert!(error.message().contains("some of the views"), "{}", error.message());
    // The other way round: revoked, while the views ask for a MAC.
    run(&mut superuser, identity_sql(IdentityBy::Mac)).await;
    start().await.unwrap();
    run(&mut superuser, &format!("REVOKE {function} FROM PUBLIC")).await;
    let error = start().await.unwrap_err();
    assert!(error.message().contains("set_config is revoked"), "{}", error.message());
}

/// Contrib's `xml2` runs text with statements of its own, and a function may be made over PostgreSQL's own code.
#[tokio::test]
async fn what_else_sets_a_setting_does_not_start() {
    let place = place().await;
    let mut superuser = superuser(&place.name).await;
    let start = async || PostgresDatabase::connect(place.run.clone(), &PostgresOptions::default()).await;
    for (make, remove, named) in [
        ("CREATE EXTENSION xml2", "DROP EXTENSION xml2", "public.xpath_table"),
        (
            "CREATE FUNCTION public.alias(text, text, boolean) RETURNS text LANGUAGE internal AS 'set_config_by_name'",
            "DROP FUNCTION public.alias(text, text, boolean)",
            "public.alias(text,text,boolean)",
        ),
    ] {
        start().await.unwrap();
        run(&mut superuser, make).await;
        let error = start().await.unwrap_err();
        assert!(error.message().contains(&format!("PUBLIC may call {named}")), "{}", error.message());
        run(&mut superuser, remove).await;
    }
}

/// Only a superuser's REVOKE takes: of anybody else the script changes nothing at all.
#[tokio::test]
async fn an_owner_cannot_open_the_views_by_half() {
    let place = Place::new(SCHEMA, ROWS).await;
    let mut superuser = superuser(&place.name).await;
    let before: String = sqlx::query(VIEWS).fetch_one(&mut superuser).await.unwrap().get(0);
    let mut owner = sqlx::PgConnection::connect(&owner_url(&place.name)).await.unwrap();
    let refused = sqlx::raw_sql(identity_sql(IdentityBy::Settings)).execute(&mut owner).await.unwrap_err();
    assert!(refused.to_string().contains("run this as a superuser"), "{refused}");
    let after: String = sqlx::query(VIEWS).fetch_one(&mut superuser).await.unwrap().get(0);
    assert_eq!(before, after);
    PostgresDatabase::connect(place.run.clone(), &PostgresOptions::default()).await.unwrap();
}

/// What a host's own functions leave in a session is gone before the next principal comes.
#[tokio::test]
async fn nothing_is_left_for_the_next_one() {
    let place = place().await;
    let functions = "CREATE FUNCTION public.hold() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN
            EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT title FROM notes'; RETURN 1; END $f$;
        CREATE FUNCTION public.prepare() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN
            EXECUTE 'PREPARE sqlx_s_90 AS SELECT 1'; RETURN 1; END $f$;
        CREATE FUNCTION public.lock() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN
            PERFORM pg_advisory_lock(42); RETURN 1; END $f$;
        CREATE FUNCTION public.hear() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN
            EXECUTE 'LISTEN gossip'; RETURN 1; END $f$;";
    run(&mut superuser(&place.name).await, functions).await;
    let fixture = Fixture::at(place, POLICIES, GuardOptions::default(), 1).await.unwrap();
    for function in ["hold", "prepare", "lock", "hear"] {
        rows(&fixture.bob(), &format!("SELECT {function}()")).await.unwrap();
        let ann = fixture.ann().without_wall_one_for_tests();
        let cursor = attempt(&fixture, &ann, "SELECT cursor_to_xml('held', 9, true, true, '')::text").await;
        assert!(cursor.is_err(), "{cursor:?}");
        let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), \
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
            (SELECT count(*) FROM pg_listening_channels())";
        let left: (i64, i64, i64) = ann.query_as(left).fetch_one().await.unwrap();
        assert_eq!(left, (0, 0, 0), "{function}");
    }
}

#[tokio::test]
async fn the_way_back_is_what_was_there_before() {
    let place = Place::new(SCHEMA, ROWS).await;
    let mut superuser = superuser(&place.name).await;
    let views = async |connection: &mut sqlx::PgConnection| {
        sqlx::query(VIEWS).fetch_one(connection).await.unwrap().get::<String, _>(0)
    };
    let before = views(&mut superuser).await;
    run(&mut superuser, identity_sql(IdentityBy::Settings)).await;
    assert_ne!(views(&mut superuser).await, before);
    run(&mut superuser, identity_sql(IdentityBy::Mac)).await;
    assert_eq!(views(&mut superuser).await, before);
    let fixture = Fixture::at(place, POLICIES, GuardOptions::default(), 1).await.unwrap();
    assert_eq!(rows(&fixture.ann(), "SELECT id FROM notes").await.unwrap().len(), 3);
}

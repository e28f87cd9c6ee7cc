//! On a real PostgreSQL: a transaction is bound to whom it acts as, and nothing of it outlives it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "common/postgres.rs"]
mod postgres;

use std::time::Duration;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::store::{Bind, Database as _, Mode, PostgresDatabase, PostgresOptions, PostgresOwner};
use aurora_core::types::{Code, UserId};
use postgres::{Place, run};
use sqlx::Row as _;

const ANN: &str = r#"{"sub":"11111111-1111-4111-8111-111111111111","role":"authenticated"}"#;
const BEN: &str = r#"{"sub":"22222222-2222-4222-8222-222222222222","role":"authenticated"}"#;

async fn place() -> (Place, String) {
    let place = Place::new().await;
    let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
    owner.migrate(SystemClock.now()).await.unwrap();
    let (role, url) = place.role("run", "NOINHERIT").await;
    owner.admit_run_role(&role).await.unwrap();
    let mut connection = place.superuser().await;
    run(
        &mut connection,
        "CREATE TABLE notes (id int, owner uuid, body text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY; \
         ALTER TABLE notes OWNER TO aurora_test_owner; \
         GRANT SELECT, INSERT ON notes TO authenticated; \
         CREATE POLICY own ON notes TO authenticated USING (owner = (SELECT auth.uid())); \
         INSERT INTO notes VALUES (1, '11111111-1111-4111-8111-111111111111', 'ann''s'), \
         (2, '22222222-2222-4222-8222-222222222222', 'ben''s'); \
         INSERT INTO auth.users (id, email, encrypted_password, raw_app_meta_data, raw_user_meta_data, created_at, \
         updated_at) VALUES ('22222222-2222-4222-8222-222222222222', 'ben@example.com', 'hash', '{}', '{}', now(), now())",
    )
    .await;
    owner.close().await;
    (place, url)
}

async fn open(url: &str, options: &PostgresOptions) -> PostgresDatabase {
    let database = PostgresDatabase::open(url, options).await.unwrap();
    database.bind_identity(&|generation| [u8::try_from(generation).unwrap(); 32]).await.unwrap();
    database
}

fn ann() -> Bind<'static> {
    Bind::new("authenticated", ANN, Mode::ReadWrite)
}

#[tokio::test]
async fn a_transaction_sees_its_own_rows_and_no_more() {
    let (_place, url) = place().await;
    let database = open(&url, &PostgresOptions::default()).await;
    for (claims, body) in [(ANN, "ann's"), (BEN, "ben's"), (ANN, "ann's")] {
        for mode in [Mode::ReadWrite, Mode::ReadOnly, Mode::Snapshot] {
            let mut transaction = database.begin_as(Bind::new("authenticated", claims, mode)).await.unwrap();
            let rows: Vec<String> = sqlx::query_scalar("SELECT body FROM notes")
                .fetch_all(transaction.connection().unwrap())
                .await
                .unwrap();
            assert_eq!(rows, [body]);
            transaction.commit().await.unwrap();
        }
    }
    let mut transaction = database.begin_as(Bind::new("anon", "{}", Mode::ReadWrite)).await.unwrap();
    let refused = sqlx::query("SELECT body FROM notes").fetch_all(transaction.connection().unwrap()).await;
    assert_eq!(code(refused.unwrap_err()), "42501");
}

fn code(error: sqlx::Error) -> String {
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

/// attacks G: identity cannot be forged from SQL.
#[tokio::test]
async fn claims_cannot_be_forged_from_sql() {
    let (_place, url) = place().await;
    let database = open(&url, &PostgresOptions::default()).await;
    let forged = [
        format!("SELECT set_config('request.jwt.claims', '{BEN}', true) UNION ALL SELECT body FROM notes"),
        format!(
            "SELECT n.body FROM (SELECT set_config('request.jwt.claims', '{BEN}', true)) AS c, \
             LATERAL (SELECT body FROM notes WHERE c.set_config IS NOT NULL OFFSET 0) AS n"
        ),
        format!(
            "SELECT query_to_xml('SELECT set_config(''request.jwt.claims'', ''{BEN}'', true)', true, true, '')::text \
             UNION ALL SELECT query_to_xml('SELECT body FROM notes', true, true, '')::text"
        ),
        "SELECT set_config('role', 'aurora_store', true) UNION ALL SELECT encrypted_password FROM auth.users"
            .into(),
        "SELECT set_config('role', 'aurora_service', true) UNION ALL SELECT body FROM notes".into(),
        "SELECT set_config('role', 'none', true) UNION ALL SELECT body FROM notes".into(),
        "SELECT set_config('aurora.mac', '', true) UNION ALL SELECT body FROM notes".into(),
        "SELECT inner_block::text FROM aurora.identity_keys".into(),
        "SELECT encrypted_password FROM auth.users".into(),
        "SELECT wrapped::text FROM aurora.keys".into(),
    ];
    for text in &forged {
        let mut transaction = database.begin_as(ann()).await.unwrap();
        let seen = sqlx::raw_sql(sqlx::AssertSqlSafe(text.clone()))
            .fetch_all(transaction.connection().unwrap())
            .await;
        let error = seen.map(|rows| rows.len()).expect_err(text);
        assert_eq!(code(error), "42501", "{text}");
        println!("refused: {text}");
    }
    // pg_settings is a way to set, too.
    let mut transaction = database.begin_as(ann()).await.unwrap();
    let connection = transaction.connection().unwrap();
    let update = "UPDATE pg_catalog.pg_settings SET setting = 'aurora_store' WHERE name = 'role'";
    assert!(sqlx::raw_sql(update).execute(&mut *connection).await.is_ok());
    let role: String =
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut *connection).await.unwrap();
    // Some servers list the role there, so that it changes; others do not.
    println!("through pg_settings the role became {role}");
    let users = sqlx::query("SELECT id FROM auth.users").fetch_all(&mut *connection).await;
    assert_eq!(code(users.unwrap_err()), "42501");
    drop(transaction);
    // A second statement after the switch, the mac of this transaction in another one, and the session's settings.
    let mut transaction = database.begin_as(ann()).await.unwrap();
    let connection = transaction.connection().unwrap();
    let mac: String =
        sqlx::query_scalar("SELECT current_setting('aurora.mac')").fetch_one(&mut *connection).await.unwrap();
    assert!(
        sqlx::query("SELECT set_config('role', 'aurora_store', true)")
            .execute(&mut *connection)
            .await
            .is_ok()
    );
    let users = sqlx::query("SELECT id FROM auth.users").fetch_all(&mut *connection).await;
    assert_eq!(code(users.unwrap_err()), "42501");
    drop(transaction);
    let mut transaction = database.begin_as(Bind::new("authenticated", BEN, Mode::ReadWrite)).await.unwrap();
    let connection = transaction.connection().unwrap();
    sqlx::query("SELECT set_config('request.jwt.claims', $1, true), set_config('aurora.mac', $2, true)")
        .bind(ANN)
        .bind(mac)
        .execute(&mut *connection)
        .await
        .unwrap();
    let replayed = sqlx::query("SELECT body FROM notes").fetch_all(&mut *connection).await;
    assert_eq!(code(replayed.unwrap_err()), "42501");
}

/// attack G02: what a statement leaves in the session ends with its transaction's successor's first message.
#[tokio::test]
async fn a_connection_carries_nothing_over() {
    let (_place, url) = place().await;
    let database = open(&url, &PostgresOptions { connections: 1, ..PostgresOptions::default() }).await;
    let mut transaction = database.begin_as(ann()).await.unwrap();
    sqlx::query(
        "SELECT set_config('role', 'aurora_store', false), set_config('search_path', 'evil', false), \
         set_config('aurora.mac', 'x', false), set_config('DateStyle', 'German', false), \
         set_config('row_security', 'off', false), set_config('TimeZone', 'Asia/Tokyo', false)",
    )
    .execute(transaction.connection().unwrap())
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = database.begin_as(Bind::new("authenticated", BEN, Mode::ReadWrite)).await.unwrap();
    let row = sqlx::query(
        "SELECT current_setting('role'), current_setting('search_path'), current_setting('DateStyle'), \
         current_setting('row_security'), current_setting('TimeZone'), (SELECT string_agg(body, ',') FROM notes)",
    )
    .fetch_one(transaction.connection().unwrap())
    .await
    .unwrap();
    let found: Vec<String> = (0..6).map(|index| row.get(index)).collect();
    assert_eq!(found, ["authenticated", "\"public\", pg_temp", "ISO, MDY", "on", "UTC", "ben's"]);
}

/// faults K32 and sqlx #4385: dropped after any number of polls, while it begins, runs or waits.
#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_before_the_next_turn() {
    let (place, url) = place().await;
    let database = open(&url, &PostgresOptions { connections: 1, ..PostgresOptions::default() }).await;
    for polls in 0..40 {
        let mut work = Box::pin(async {
            let mut transaction = database.begin_as(ann()).await.unwrap();
            let insert = "INSERT INTO notes VALUES (3, '11111111-1111-4111-8111-111111111111', 'cancelled')";
            let connection = transaction.connection().unwrap();
            sqlx::query(insert).execute(&mut *connection).await.unwrap();
            sqlx::query("SELECT pg_sleep(0.02)").execute(&mut *connection).await.unwrap();
            std::future::pending::<()>().await;
        });
        for _ in 0..polls {
            let _ = tokio::time::timeout(Duration::from_micros(300), &mut work).await;
        }
        drop(work);
        let next = database.begin_as(Bind::new("authenticated", BEN, Mode::ReadWrite));
        let mut transaction = tokio::time::timeout(Duration::from_secs(5), next).await.unwrap().unwrap();
        let rows: Vec<String> = sqlx::query_scalar("SELECT body FROM notes")
            .fetch_all(transaction.connection().unwrap())
            .await
            .unwrap();
        assert_eq!(rows, ["ben's"], "after {polls} polls");
        transaction.commit().await.unwrap();
    }
    let mut connection = place.superuser().await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&mut connection).await.unwrap();
    assert_eq!(count, 2);
}

/// PostgreSQL answers COMMIT in a failed transaction with ROLLBACK, which is no error to the protocol.
#[tokio::test]
async fn a_failed_transaction_does_not_commit() {
    let (_place, url) = place().await;
    let database = open(&url, &PostgresOptions { connections: 1, ..PostgresOptions::default() }).await;
    let mut transaction = database.begin_as(ann()).await.unwrap();
    assert!(sqlx::query("SELECT 1 / 0").execute(transaction.connection().unwrap()).await.is_err());
    assert_eq!(transaction.commit().await.unwrap_err().code(), Code::TransactionPoisoned);
    // sqlx's own `begin` within it is a savepoint, and its commit no end.
    let mut transaction = database.begin_as(ann()).await.unwrap();
    let inner = sqlx::Connection::begin(transaction.connection().unwrap()).await.unwrap();
    inner.commit().await.unwrap();
    let uid = sqlx::query("SELECT aurora.uid()").execute(transaction.connection().unwrap()).await;
    assert!(uid.is_ok());
    transaction.commit().await.unwrap();
}

/// A server that restarted meanwhile costs a caller nothing: nothing was done on the dead connection.
#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let (place, url) = place().await;
    let database = open(&url, &PostgresOptions::default()).await;
    database.begin_as(ann()).await.unwrap().commit().await.unwrap();
    let mut connection = place.superuser().await;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .execute(&mut connection)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    database.begin_as(ann()).await.unwrap().commit().await.unwrap();
}

/// attack G01, asvs(V13.2.2)
#[tokio::test]
async fn a_run_role_that_could_do_more_is_refused_with_the_fix() {
    let (place, _) = place().await;
    let mut connection = place.superuser().await;
    let members = "anon, authenticated, aurora_store, aurora_service";
    let name = &place.name;
    let cases = [
        ("super", "SUPERUSER NOINHERIT", String::new(), "superuser"),
        ("bypass", "BYPASSRLS NOINHERIT", String::new(), "NOBYPASSRLS"),
        ("maker", "CREATEROLE NOINHERIT", String::new(), "NOCREATEROLE"),
        ("heir", "INHERIT", String::new(), "NOINHERIT"),
        ("service", "NOINHERIT", format!("GRANT service_role TO {name}_service;"), "REVOKE \"service_role\""),
        (
            "indirect",
            "NOINHERIT",
            format!(
                "CREATE ROLE {name}_between NOLOGIN; GRANT service_role TO {name}_between; \
                 GRANT {name}_between TO {name}_indirect;"
            ),
            "directly or through another",
        ),
        ("reader", "NOINHERIT", format!("GRANT pg_read_all_data TO {name}_reader;"), "pg_read_all_data"),
        (
            "tables",
            "NOINHERIT",
            format!("CREATE TABLE mine (); ALTER TABLE mine OWNER TO {name}_tables;"),
            "owns `public.mine`",
        ),
        (
            "maker2",
            "NOINHERIT",
            format!("GRANT CREATE ON SCHEMA public TO {name}_maker2;"),
            "REVOKE CREATE ON SCHEMA",
        ),
        (
            "schema",
            "NOINHERIT",
            format!("CREATE SCHEMA s AUTHORIZATION {name}_schema;"),
            "owns the schema `s`",
        ),
        ("owner", "NOINHERIT", format!("ALTER DATABASE {name} OWNER TO {name}_owner;"), "owns the database"),
    ];
    for (suffix, attributes, more, fix) in &cases {
        let (role, url) = place.role(suffix, attributes).await;
        run(&mut connection, &format!("GRANT {members} TO {role}; {more}")).await;
        let refused = PostgresDatabase::open(&url, &PostgresOptions::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Configuration, "{suffix}");
        assert!(refused.message().contains(fix), "{suffix}: {}", refused.message());
        println!("{}", refused.message());
    }
    let (_, url) = place.role("stranger", "NOINHERIT").await;
    let refused = PostgresDatabase::open(&url, &PostgresOptions::default()).await.unwrap_err();
    assert!(refused.message().contains("no member of `aurora_store`"), "{}", refused.message());
}

#[tokio::test]
async fn another_root_s_key_is_refused_and_the_owner_renews_it() {
    let (place, url) = place().await;
    open(&url, &PostgresOptions::default()).await;
    let database = PostgresDatabase::open(&url, &PostgresOptions::default()).await.unwrap();
    let refused = database.bind_identity(&|_| [9; 32]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Configuration);
    assert_eq!(database.begin_as(ann()).await.unwrap_err().code(), Code::Configuration);
    let owner = PostgresOwner::open(&place.owner_url()).await.unwrap();
    assert_eq!(owner.identity_generation().await.unwrap(), 1);
    owner.install_identity(2, &[9; 32]).await.unwrap();
    database.bind_identity(&|_| [9; 32]).await.unwrap();
    database.begin_as(ann()).await.unwrap().commit().await.unwrap();
}

/// A user's row that was locked is not locked again, unless the host went back behind that.
#[tokio::test]
async fn a_lock_behind_a_savepoint_is_not_believed() {
    let (_place, url) = place().await;
    let (database, other) =
        (open(&url, &PostgresOptions::default()).await, open(&url, &PostgresOptions::default()).await);
    let ben: UserId = "22222222-2222-4222-8222-222222222222".parse().unwrap();
    let is_free = async || {
        let mut second = other.begin().await.unwrap();
        match tokio::time::timeout(Duration::from_millis(300), second.user(ben)).await {
            Ok(found) => found.unwrap().is_some(),
            Err(_waits) => false,
        }
    };
    let mut first = database.begin().await.unwrap();
    assert!(is_free().await);
    sqlx::raw_sql("SAVEPOINT a").execute(first.host().await.unwrap().postgres().unwrap()).await.unwrap();
    assert!(first.user(ben).await.unwrap().is_some());
    assert!(!is_free().await, "locked");
    let back = sqlx::raw_sql("ROLLBACK TO SAVEPOINT a");
    back.execute(first.host().await.unwrap().postgres().unwrap()).await.unwrap();
    assert!(is_free().await, "the savepoint took it back");
    // Of nobody, so that it locks nobody.
    assert!(first.refresh_token(&[0; 32]).await.unwrap().is_none());
    assert!(first.user(ben).await.unwrap().is_some());
    assert!(!is_free().await, "locked again");
    assert!(first.user(ben).await.unwrap().is_some());
    first.commit().await.unwrap();
    assert!(is_free().await);
}

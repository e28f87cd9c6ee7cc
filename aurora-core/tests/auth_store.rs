//! Sign-in and the host's own tables in one file: hooks, foreign keys, a host that changes our rows itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;
#[path = "common/dropped.rs"]
mod dropped;

use std::sync::Arc;
use std::time::Duration;

use aurora_core::auth::{Account, ComeBack, Credentials, SignUp, SignUpHook};
use aurora_core::store::HostTransaction;
use aurora_core::types::{BoxFuture, Code, Error, Result};
use common::{Fixture, Options, PASSWORD};
use dropped::dropped_at;
use serde_json::Value;

const SCHEMA: &str = "
    CREATE TABLE profiles (user_id TEXT PRIMARY KEY REFERENCES auth_users (id) ON DELETE CASCADE, name TEXT NOT NULL);
    CREATE TABLE invoices (id INTEGER PRIMARY KEY, user_id TEXT REFERENCES auth_users (id));
    CREATE TABLE scores (uid BLOB REFERENCES auth_users (uid) ON DELETE CASCADE, points INTEGER);";
const POSTGRES_SCHEMA: &str = "
    CREATE TABLE profiles (user_id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE, name text NOT NULL);
    CREATE TABLE invoices (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, user_id uuid REFERENCES auth.users (id));
    CREATE TABLE scores (uid uuid REFERENCES auth.users (id) ON DELETE CASCADE, points integer);";

#[derive(Debug)]
struct Profiles;

impl SignUpHook for Profiles {
    fn signed_up<'a>(
        &'a self,
        mut tx: HostTransaction<'a>,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let metadata: Value = serde_json::from_str(account.user_metadata()).map_err(Error::internal)?;
            let name = metadata["name"].as_str().unwrap_or("nobody").to_owned();
            assert_ne!(name, "panic", "a host's bug");
            if name == "refuse" {
                return Err(Error::new(Code::ValidationFailed, "that name is taken"));
            }
            let insert = "INSERT INTO profiles (user_id, name) VALUES ($1, $2)";
            common::host_writes(&mut tx, insert, account.id(), Some(&name)).await?;
            if let HostTransaction::Sqlite(connection) = &mut tx {
                let query = sqlx::query("INSERT INTO scores (uid, points) VALUES ($1, 0)");
                let uid = account.id().as_bytes().to_vec();
                query.bind(uid).execute(&mut **connection).await.map_err(Error::internal)?;
                return Ok(());
            }
            let insert = "INSERT INTO scores (uid, points) VALUES ($1, 0)";
            common::host_writes(&mut tx, insert, account.id(), None).await
        })
    }
}

async fn hosted() -> Fixture {
    Fixture::with(Options {
        hook: Some(Arc::new(Profiles)),
        schema: SCHEMA,
        postgres_schema: POSTGRES_SCHEMA,
        ..Options::default()
    })
    .await
}

fn wish(email: &str, name: &str) -> SignUp {
    let data = Some(serde_json::json!({ "name": name }).to_string());
    SignUp { email: email.to_owned(), password: PASSWORD.into(), data, back: ComeBack::default() }
}

/// asvs(V2.3.3):
/// fault K30: the host's row commits with ours, and a refusal or a panic of the host's leaves neither.
#[tokio::test]
async fn the_host_s_profile_row_is_part_of_the_sign_up() {
    let fixture = hosted().await;
    fixture.auth.sign_up(wish("ann@example.com", "Ann"), &fixture.client()).await.unwrap();
    let refused =
        fixture.auth.sign_up(wish("bob@example.com", "refuse"), &fixture.client()).await.unwrap_err();
    assert_eq!(refused.message(), "that name is taken");
    let body =
        serde_json::json!({ "email": "eve@example.com", "password": PASSWORD, "data": { "name": "panic" } });
    let panicked = fixture.call("POST", "/signup", None, body).await;
    assert_eq!((panicked.status.as_u16(), panicked.code()), (500, "unexpected_failure"));
    for table in [
        "SELECT count(*) FROM auth_users",
        "SELECT count(*) FROM profiles",
        "SELECT count(*) FROM scores",
        "SELECT count(*) FROM aurora_audit",
    ] {
        assert_eq!(fixture.count(table).await, 1, "{table}");
    }
    assert_eq!(fixture.sign_up("later@example.com").await.status, 200, "the writer's turn goes on");
}

#[tokio::test]
async fn host_tables_reference_users_by_text_and_by_blob() {
    let fixture = hosted().await;
    let ann = fixture.sign_up("ann@example.com").await.user_id();
    if !common::on_postgres() {
        let orphan = sqlx::query("INSERT INTO profiles (user_id, name) VALUES ('nobody', 'x')");
        let mut connection = common::connect(fixture.database.sqlite()).await;
        sqlx::query("PRAGMA foreign_keys = ON").execute(&mut connection).await.unwrap();
        assert!(orphan.execute(&mut connection).await.is_err());
    }
    fixture.execute(&format!("INSERT INTO invoices (user_id) VALUES ('{ann}')")).await;
    let kept = fixture.auth.delete_user(ann.parse().unwrap()).await.unwrap_err();
    assert_eq!(kept.code(), Code::ForeignKeyViolation);
    assert_eq!(fixture.count("SELECT count(*) FROM auth_sessions").await, 1, "nothing changed");
    fixture.execute("DELETE FROM invoices").await;
    fixture.auth.delete_user(ann.parse().unwrap()).await.unwrap();
    assert_eq!(
        fixture.count("SELECT (SELECT count(*) FROM profiles) + (SELECT count(*) FROM scores)").await,
        0
    );
}

/// attack J17, asvs(V7.4.2):
/// for a host that changes our rows with its own SQL, from wherever: within a second.
#[tokio::test]
async fn a_host_s_own_delete_and_ban_end_access_tokens() {
    let fixture = Fixture::new().await;
    for statement in [
        "PRAGMA foreign_keys = ON; DELETE FROM auth_sessions",
        "PRAGMA foreign_keys = ON; UPDATE auth_users SET banned_until = 9000000000000000",
        "PRAGMA foreign_keys = ON; DELETE FROM auth_users",
    ] {
        let session = fixture.sign_up("ann@example.com").await;
        let session =
            if session.status == 200 { session } else { fixture.sign_in("ann@example.com", PASSWORD).await };
        assert_eq!(fixture.user(&session.access()).await.status, 200);
        fixture.execute(statement).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(fixture.user(&session.access()).await.code(), "session_not_found", "{statement}");
        assert_eq!(fixture.refresh(&session.refresh()).await.status, 400, "{statement}");
        fixture.execute("UPDATE auth_users SET banned_until = NULL").await;
    }
}

/// A session that ended before a restart stays ended after it.
#[tokio::test]
async fn revocations_outlive_a_restart() {
    let options = Options::default();
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let first = Fixture::with(options).await;
    let session = first.sign_up("ann@example.com").await;
    first.call("POST", "/logout", Some(&session.access()), Value::Null).await;
    first.database.close().await;
    let second = Fixture::with(Options { path, start_key: key, ..Options::default() }).await;
    assert_eq!(second.user(&session.access()).await.code(), "session_not_found");
    assert_eq!(second.sign_in("ann@example.com", PASSWORD).await.status, 200);
}

/// asvs(V16.5.2):
/// fault K29, K32: while another process holds the file's or the user's lock, sign-in and refresh say 503 and change
/// nothing.
#[tokio::test]
async fn contention_is_503() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    if let common::Engine::Postgres(_, place) = &fixture.database {
        let mut other = place.superuser().await;
        common::postgres::run(&mut other, "BEGIN; SELECT id FROM auth.users FOR UPDATE").await;
        let refreshed = fixture.refresh(&session.refresh()).await;
        assert_eq!(
            (refreshed.status.as_u16(), refreshed.code()),
            (503, "over_capacity"),
            "{}",
            refreshed.text
        );
        assert!(refreshed.headers.contains_key("retry-after"));
        assert_eq!(fixture.user(&session.access()).await.status, 200, "readers never wait for a writer");
        common::postgres::run(&mut other, "ROLLBACK").await;
        assert_eq!(fixture.refresh(&session.refresh()).await.status, 200);
        return;
    }
    let mut other = common::connect(fixture.database.sqlite()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refreshed = fixture.refresh(&session.refresh()).await;
    assert_eq!((refreshed.status.as_u16(), refreshed.code()), (503, "over_capacity"));
    assert!(refreshed.headers.contains_key("retry-after"));
    assert_eq!(fixture.user(&session.access()).await.status, 200, "readers never wait for a writer");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(fixture.refresh(&session.refresh()).await.status, 200);
}

/// fault K32: each flow is dropped at its n-th poll; then the state is the one before or the one after, the writer's
/// turn is free, and the same request simply works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flows_dropped_at_any_poll_leave_before_or_after() {
    let fixture = hosted().await;
    let mut token =
        match fixture.auth.sign_up(wish("ann@example.com", "Ann"), &fixture.client()).await.unwrap() {
            aurora_core::auth::SignedUp::Session(session) => session.refresh_token,
            aurora_core::auth::SignedUp::Pending(_) => unreachable!(),
        };
    let (mut refreshes, mut sign_ins, mut sign_ups) = (0, 0, 0);
    for polls in 1.. {
        let client = fixture.client();
        let (auth, held) = (fixture.auth.clone(), token.clone());
        if !dropped_at(polls, async { auth.refresh(&held, &client).await.unwrap() }).await {
            refreshes = polls;
            break;
        }
        // The client never saw an answer and asks again with the token it has.
        token = fixture.auth.refresh(&token, &client).await.unwrap().refresh_token;
    }
    for polls in 1.. {
        let client = fixture.client();
        let credentials = Credentials { email: "ann@example.com".to_owned(), password: PASSWORD.into() };
        if !dropped_at(polls, async { fixture.auth.sign_in(credentials.clone(), &client).await.unwrap() })
            .await
        {
            sign_ins = polls;
            break;
        }
        fixture.auth.sign_in(credentials, &client).await.unwrap();
    }
    for polls in 1.. {
        let client = fixture.client();
        let email = format!("user{polls}@example.com");
        if !dropped_at(polls, async { fixture.auth.sign_up(wish(&email, "x"), &client).await.unwrap() }).await
        {
            sign_ups = polls;
            break;
        }
        let again = fixture.auth.sign_up(wish(&email, "x"), &client).await;
        assert!(again.is_ok() || again.unwrap_err().code() == Code::UserAlreadyExists);
    }
    println!("dropped at every poll: refresh {refreshes}, sign-in {sign_ins}, sign-up {sign_ups}");
    let users = fixture.count("SELECT count(*) FROM auth_users").await;
    assert_eq!(users, fixture.count("SELECT count(*) FROM profiles").await);
    assert_eq!(users, fixture.count("SELECT count(*) FROM auth_identities").await);
    assert_eq!(
        users,
        fixture.count("SELECT count(*) FROM aurora_audit WHERE action = 'user_signedup'").await
    );
    let sessions = fixture.count("SELECT count(*) FROM auth_sessions").await;
    let begun = "SELECT count(*) FROM aurora_audit WHERE action IN ('user_signedup', 'login')";
    assert_eq!(sessions, fixture.count(begun).await);
}

/// A trigger that changes its own row would fire itself without end, were recursion on.
#[tokio::test]
async fn a_host_s_trigger_on_its_own_table_fires_once_in_the_hook() {
    #[derive(Debug)]
    struct Named;

    impl SignUpHook for Named {
        fn signed_up<'a>(
            &'a self,
            mut tx: HostTransaction<'a>,
            account: &'a Account,
        ) -> BoxFuture<'a, Result<()>> {
            Box::pin(async move {
                for statement in [
                    "INSERT INTO names (user_id) VALUES ($1)",
                    "UPDATE names SET name = 'new' WHERE user_id = $1",
                ] {
                    common::host_writes(&mut tx, statement, account.id(), None).await?;
                }
                Ok(())
            })
        }
    }

    let schema = "
        CREATE TABLE names (user_id TEXT PRIMARY KEY REFERENCES auth_users (id), name TEXT, changes INT DEFAULT 0);
        CREATE TRIGGER names_changed AFTER UPDATE ON names BEGIN
            UPDATE names SET changes = changes + 1 WHERE user_id = NEW.user_id;
        END;";
    let postgres_schema = "
        CREATE TABLE names (user_id uuid PRIMARY KEY REFERENCES auth.users (id), name text, changes int DEFAULT 0);
        CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.changes = OLD.changes + 1; RETURN NEW; END $$;
        CREATE TRIGGER names_changed BEFORE UPDATE ON names FOR EACH ROW EXECUTE FUNCTION count_change();";
    let hook: Option<Arc<dyn SignUpHook>> = Some(Arc::new(Named));
    let fixture = Fixture::with(Options { schema, postgres_schema, hook, ..Options::default() }).await;
    let reply = fixture.sign_up("ann@example.com").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(fixture.count("SELECT changes FROM names WHERE name = 'new'").await, 1);
}

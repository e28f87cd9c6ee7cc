//! Serialization failures and deadlocks under the flows: 503 with a time to come back, nothing half done, and the
//! same request works.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;
#[path = "common/totp.rs"]
mod totp;

use std::time::{Duration, Instant};

use aurora_core::auth::Granter;
use aurora_core::mail::Kind;
use aurora_core::types::{Code, RoleName, Secret};
use common::mailed::{confirmed, mail, options, post};
use common::postgres::{Place, run};
use common::{Engine, Fixture, PASSWORD, Reply};
use serde_json::{Value, json};

fn place(fixture: &Fixture) -> &Place {
    match &fixture.database {
        Engine::Postgres(_, place) => place,
        Engine::Sqlite(_) => panic!("this test is about PostgreSQL"),
    }
}

/// Everything that Aurora's tables hold, as a text.
async fn everything(fixture: &Fixture) -> Vec<String> {
    let mut connection = place(fixture).superuser().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('auth', 'aurora') ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.len() >= 15, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let text = format!("SELECT '{table} ' || row::text FROM {table} row ORDER BY 1");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
        all.extend(rows);
    }
    all
}

/// What PostgreSQL says, and when.
const CONFLICTS: [(&str, &str, &str); 4] = [
    ("40001", "BEFORE", ""),
    ("40P01", "BEFORE", ""),
    ("40001", "AFTER", "DEFERRABLE INITIALLY DEFERRED"),
    ("40P01", "AFTER", "DEFERRABLE INITIALLY DEFERRED"),
];

/// Every write of a record fails from now on: in the middle of a transaction, or at its commit.
async fn conflict(fixture: &Fixture, (code, when, deferred): (&str, &str, &str)) {
    let kind = if deferred.is_empty() { "TRIGGER" } else { "CONSTRAINT TRIGGER" };
    let text = format!(
        "CREATE OR REPLACE FUNCTION public.clash() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN RAISE EXCEPTION 'another was first' USING ERRCODE = '{code}'; END $$; \
         CREATE {kind} clash {when} INSERT ON aurora.audit {deferred} \
             FOR EACH ROW EXECUTE FUNCTION public.clash()"
    );
    run(&mut place(fixture).superuser().await, &text).await;
}

async fn peace(fixture: &Fixture) {
    run(&mut place(fixture).superuser().await, "DROP TRIGGER clash ON aurora.audit").await;
}

/// A request of each kind of flow, each of it good.
async fn asks(fixture: &Fixture) -> Vec<(&'static str, String, Option<String>, Value)> {
    let ann = confirmed(fixture, "ann@example.com").await;
    confirmed(fixture, "ben@example.com").await;
    post(fixture, "/otp", json!({ "email": "ben@example.com" })).await;
    let code = mail(fixture, Kind::MagicLink, "ben@example.com").await.code.unwrap();
    let cyd = confirmed(fixture, "cyd@example.com").await.access();
    let body = json!({ "factor_type": "totp" });
    let enrolled = fixture.call("POST", "/factors", Some(&cyd), body).await.json;
    let (id, seed) = (enrolled["id"].as_str().unwrap(), enrolled["totp"]["secret"].as_str().unwrap());
    let challenge = format!("/factors/{id}/challenge");
    let asked = fixture.call("POST", &challenge, Some(&cyd), json!({})).await.json;
    let totp = totp::code_at(seed, fixture.now().as_seconds());
    let dan = confirmed(fixture, "dan@example.com").await;
    let eve = confirmed(fixture, "eve@example.com").await;
    let post =
        |path: &str, token: Option<&str>, body| ("POST", path.to_owned(), token.map(str::to_owned), body);
    vec![
        post("/signup", None, json!({ "email": "new@example.com", "password": PASSWORD })),
        post("/token?grant_type=password", None, json!({ "email": "ann@example.com", "password": PASSWORD })),
        post("/token?grant_type=refresh_token", None, json!({ "refresh_token": ann.refresh() })),
        post("/verify", None, json!({ "type": "email", "email": "ben@example.com", "token": code })),
        post(
            &format!("/factors/{id}/verify"),
            Some(&cyd),
            json!({ "challenge_id": asked["id"], "code": totp }),
        ),
        post("/recover", None, json!({ "email": "ann@example.com" })),
        ("PUT", "/user".to_owned(), Some(dan.access()), json!({ "password": "a brand new one" })),
        post("/logout", Some(&eve.access()), Value::Null),
    ]
}

async fn send(fixture: &Fixture, ask: &(&'static str, String, Option<String>, Value)) -> Reply {
    fixture.call(ask.0, &ask.1, ask.2.as_deref(), ask.3.clone()).await
}

/// asvs(V16.5.2)
/// fault K29
#[tokio::test]
async fn a_transaction_that_lost_is_503_and_leaves_nothing() {
    let mut lost = 0;
    for (at, what) in CONFLICTS.into_iter().enumerate() {
        let mut options = options();
        // As production answers, without the cause.
        options.settings.profile = aurora_core::config::Profile::Production;
        let fixture = Fixture::with(options).await;
        let asks = asks(&fixture).await;
        let id = confirmed(&fixture, "fay@example.com").await.user_id().parse().unwrap();
        let editor: RoleName = "editor".parse().unwrap();
        let role = aurora_core::auth::UserRole {
            name: editor.clone(),
            rank: 5,
            permissions: Vec::new().into_iter().collect(),
        };
        fixture.auth.define_role(role, "test").await.unwrap();
        fixture.send_mails().await;
        let before = everything(&fixture).await;
        conflict(&fixture, what).await;
        for ask in &asks {
            let reply = send(&fixture, ask).await;
            let seen = (reply.status.as_u16(), reply.code());
            assert_eq!(seen, (503, "over_capacity"), "{what:?} {}: {}", ask.1, reply.text);
            assert!(reply.headers.contains_key("retry-after"), "{}", ask.1);
            assert!(!reply.text.contains("another was first"), "{}", reply.text);
            lost += 1;
        }
        let refused = fixture.auth.grant_role(Granter::Service("test"), id, &editor).await.unwrap_err();
        assert_eq!((refused.code(), refused.retry_after().is_some()), (Code::OverCapacity, true));
        assert!(format!("{refused:?}").contains("another was first"), "{refused:?}");
        let after = everything(&fixture).await;
        let changed = after.iter().find(|row| !before.contains(row));
        assert!(after == before, "conflict {at} left {changed:?}");
        peace(&fixture).await;
        for ask in &asks {
            let reply = send(&fixture, ask).await;
            assert!(reply.status.is_success(), "{what:?} {}: {}", ask.1, reply.text);
        }
        assert!(fixture.auth.grant_role(Granter::Service("test"), id, &editor).await.unwrap());
    }
    println!("{lost} transactions lost in 4 ways, each 503; each worked at the second try");
    assert_eq!(lost, 32);
}

/// fault K29: a refresh and a host's own statement that take user and session in opposite order. PostgreSQL ends the
/// refresh; its token is as good as before, and goes on once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_the_host_s_own_sql_ends_in_503() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    let token = Secret::new(session.refresh());
    let before = everything(&fixture).await;
    let mut host = place(&fixture).superuser().await;
    // The host looks for deadlocks last, so that it is not the one that is ended.
    run(&mut host, "SET deadlock_timeout = '60s'; BEGIN; SELECT id FROM auth.sessions FOR UPDATE").await;
    let start = Instant::now();
    let (here, held) = (fixture.clone(), token.clone());
    let flow = tokio::spawn(async move { here.auth.refresh(&held, &here.client()).await });
    // It has the user, and waits for the session.
    let mut looking = place(&fixture).superuser().await;
    loop {
        let waits: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut looking)
        .await
        .unwrap();
        if waits == 1 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10) && !flow.is_finished(), "it never waited");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run(&mut host, "SELECT id FROM auth.users FOR UPDATE").await;
    let error = flow.await.unwrap().unwrap_err();
    println!("ended after {:?}: {error:?}", start.elapsed());
    assert_eq!((error.code(), error.status().as_u16()), (Code::OverCapacity, 503));
    assert!(error.retry_after().is_some());
    assert!(format!("{error:?}").contains("deadlock detected"), "{error:?}");
    run(&mut host, "ROLLBACK").await;
    assert_eq!(everything(&fixture).await, before, "nothing half done");
    let next = fixture.refresh(token.expose()).await;
    assert_eq!(next.status, 200, "{}", next.text);
    assert_eq!(fixture.refresh(&next.refresh()).await.status, 200);
    let refreshed = fixture.audit().await.into_iter().filter(|row| row.action == "token_refreshed");
    assert_eq!(refreshed.count(), 2, "no double effect");
}

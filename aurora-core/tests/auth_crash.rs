//! kill -9 in the middle of refresh and sign-up (faults K01, K02). `AURORA_LONG=1` kills 500 and 60 times. When a
//! process is killed is computed from the round, so that both runs try the same moments from the first on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aurora_core::auth::{Account, SignUpHook};
use aurora_core::store::HostTransaction;
use aurora_core::types::{BoxFuture, Result};
use common::{Fixture, Options};

/// How often the refresh and the sign-up are killed.
fn kills() -> (u64, u64) {
    if std::env::var_os("AURORA_LONG").is_some() { (500, 60) } else { (30, 8) }
}

#[derive(Debug)]
struct Profiles;

impl SignUpHook for Profiles {
    fn signed_up<'a>(
        &'a self,
        mut tx: HostTransaction<'a>,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let insert = "INSERT INTO profiles (user_id) VALUES ($1)";
            common::host_writes(&mut tx, insert, account.id(), None).await
        })
    }
}

async fn open(path: PathBuf, key: &str) -> Fixture {
    let schema = "CREATE TABLE IF NOT EXISTS profiles (user_id TEXT PRIMARY KEY REFERENCES auth_users (id));";
    let hook: Option<Arc<dyn SignUpHook>> = Some(Arc::new(Profiles));
    let postgres_schema =
        "CREATE TABLE IF NOT EXISTS profiles (user_id uuid PRIMARY KEY REFERENCES auth.users (id));";
    let start_key = key.to_owned();
    Fixture::with(Options { path, start_key, hook, schema, postgres_schema, ..Options::default() }).await
}

/// Runs `flow` in another process, which says a line per acknowledged step, and kills it after a while.
fn run_and_kill(flow: &str, path: &std::path::Path, key: &str, token: &str, after: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
        .env("AURORA_CHILD", flow)
        .env("AURORA_PATH", path)
        .env("AURORA_KEY", key)
        .env("AURORA_TOKEN", token)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(std::result::Result::ok);
    // The time runs from the first step on: starting takes longer than what is to be interrupted.
    let first = lines.by_ref().find(|line| line.starts_with("STEP "));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let mut steps: Vec<String> = first.into_iter().collect();
    steps.extend(lines.filter(|line| line.starts_with("STEP ")));
    killer.join().unwrap();
    steps.into_iter().map(|line| line[5..].to_owned()).collect()
}

#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn child() {
    let Ok(flow) = std::env::var("AURORA_CHILD") else { return };
    let fixture =
        open(std::env::var("AURORA_PATH").unwrap().into(), &std::env::var("AURORA_KEY").unwrap()).await;
    let mut token = std::env::var("AURORA_TOKEN").unwrap();
    for step in 0.. {
        let said = if flow == "refresh" {
            token = fixture.refresh(&token).await.refresh();
            token.clone()
        } else {
            let reply = fixture.sign_up(&format!("{flow}{step}@example.com")).await;
            assert_eq!(reply.status, 200);
            reply.user_id()
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nSTEP {said}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_survives_a_kill_in_the_middle_of_its_refresh() {
    let options = Options::default();
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let mut token = open(path.clone(), &key).await.sign_up("ann@example.com").await.refresh();
    let (kills, mut steps) = (kills().0, 0);
    for round in 0..kills {
        let heard =
            run_and_kill("refresh", &path, &key, &token, Duration::from_micros(500 + round * 7_919 % 30_000));
        steps += heard.len();
        // The client holds the last token that it was told; the one in flight may or may not have been committed.
        if let Some(last) = heard.last() {
            token.clone_from(last);
        }
        let fixture = open(path.clone(), &key).await;
        let again = fixture.refresh(&token).await;
        assert_eq!(again.status, 200, "round {round}: {}", again.text);
        assert_eq!(fixture.user(&again.access()).await.status, 200);
        assert_eq!(fixture.refresh(&token).await.refresh(), again.refresh(), "one successor");
        token = again.refresh();
        assert_eq!(fixture.count("SELECT count(*) FROM auth_refresh_tokens WHERE used_at IS NULL").await, 1);
        let rotations = fixture.count("SELECT count(*) FROM auth_refresh_tokens WHERE generation > 0").await;
        let records = "SELECT count(*) FROM aurora_audit WHERE action = 'token_refreshed' \
            AND json_extract(payload, '$.reissued') IS NULL";
        assert_eq!(rotations, fixture.count(records).await, "each rotation has its record");
        fixture.database.close().await;
    }
    println!("{kills} kills, {steps} acknowledged refreshes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_sign_up_leaves_all_or_nothing() {
    let options = Options::default();
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let (kills, mut acknowledged) = (kills().1, Vec::new());
    for round in 0..kills {
        let after = Duration::from_micros(5_000 + round * 7_919 % 60_000);
        acknowledged.extend(run_and_kill(&format!("r{round}x"), &path, &key, "", after));
    }
    let fixture = open(path, &key).await;
    let users = fixture.count("SELECT count(*) FROM auth_users").await;
    for (table, statement) in [
        ("identities", "SELECT count(*) FROM auth_identities"),
        ("profiles", "SELECT count(*) FROM profiles"),
        ("records", "SELECT count(*) FROM aurora_audit WHERE action = 'user_signedup'"),
        ("sessions", "SELECT count(*) FROM auth_sessions"),
        ("tokens", "SELECT count(*) FROM auth_refresh_tokens"),
    ] {
        assert_eq!(fixture.count(statement).await, users, "{table}");
    }
    let there = fixture.database.rows("SELECT id FROM auth_users").await;
    let there: Vec<String> = there.into_iter().filter_map(|mut row| row.swap_remove(0)).collect();
    assert!(acknowledged.iter().all(|user| there.contains(user)), "nothing acknowledged is lost");
    println!("{kills} kills, {} acknowledged sign-ups, {users} users", acknowledged.len());
}

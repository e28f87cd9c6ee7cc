//! kill -9 in the middle of refresh, sign-up, a password reset, recovery codes and changes of a role (faults K01, K02).
//! `AURORA_LONG=1` kills 500 and 60 times. When a process is killed is computed from the round, so that both runs try
//! the same moments from the first on. Of roles `AURORA_ROUNDS` says how often, and `AURORA_SEED` when.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod common;
#[path = "common/rng.rs"]
mod rng;
#[path = "common/totp.rs"]
mod totp;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_core::auth::{Account, Granter, SignUpHook, UserRole};
use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::store::HostTransaction;
use aurora_core::types::{BoxFuture, Result, RoleName, UserId};
use common::mailed::{by_code, mail, post};
use common::{Fixture, Options};
use serde_json::{Value, json};

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
    let mut options = Options { path, start_key, hook, schema, postgres_schema, ..Options::default() };
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
    Fixture::with(options).await
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
    if flow == "reset" {
        // The first password of a process reads lists of words: what is to be interrupted comes after that.
        fixture.sign_up(&format!("process{}@example.com", std::process::id())).await;
        return reset(&fixture, &token, say).await;
    }
    if flow == "roles" {
        return grant_and_revoke(&fixture, token.parse().unwrap()).await;
    }
    for step in 0.. {
        let said = if flow == "recovery codes" {
            let mut words = token.split(' ');
            let access = words.next().unwrap();
            let Some(code) = words.nth(step) else { return };
            let body = json!({ "code": code });
            let reply = fixture.call("POST", "/factors/recovery-codes/verify", Some(access), body).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            code.to_owned()
        } else if flow == "refresh" {
            token = fixture.refresh(&token).await.refresh();
            token.clone()
        } else {
            let reply = fixture.sign_up(&format!("{flow}{step}@example.com")).await;
            assert_eq!(reply.status, 200);
            reply.user_id()
        };
        say(&said);
    }
}

/// Acknowledges a step.
fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nSTEP {what}").unwrap();
    out.flush().unwrap();
}

/// The address, the code of the mail and the new password, with a word after each answer.
async fn reset(fixture: &Fixture, words: &str, said: impl Fn(&str)) {
    let words: Vec<&str> = words.split(' ').collect();
    said("ready");
    let session = by_code(fixture, "recovery", words[0], words[1]).await;
    assert_eq!(session.status, 200, "{}", session.text);
    said(&format!("verified {}", session.access()));
    let body = json!({ "password": words[2] });
    let changed = fixture.call("PUT", "/user", Some(&session.access()), body).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    said("changed");
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

/// A code to choose a new password with.
async fn recovery_code(fixture: &Fixture, email: &str) -> String {
    let asked = post(fixture, "/recover", json!({ "email": email })).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    mail(fixture, Kind::Recovery, email).await.code.unwrap()
}

/// fault K02: one of the two passwords signs in, never both and never neither; the code is good once; sessions end
/// with the change, and live on without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_reset_leaves_the_old_password_or_the_new_one() {
    const EMAIL: &str = "ann@example.com";
    const CHANGES: &str = "SELECT count(*) FROM aurora_audit WHERE action = 'user_updated_password'";
    const SIGN_INS: &str = "SELECT count(*) FROM aurora_audit WHERE action = 'login'";
    let options = Options::default();
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let fixture = open(path.clone(), &key).await;
    assert_eq!(fixture.sign_up(EMAIL).await.status, 200);
    // How long it takes here and now, so that the kills are spread over all of it.
    let mut password = "quiet-harbour-lamp-before".to_owned();
    let words = format!("{EMAIL} {} {password}", recovery_code(&fixture, EMAIL).await);
    let began = Instant::now();
    reset(&fixture, &words, |_| ()).await;
    let whole = began.elapsed();
    fixture.send_mails().await;
    fixture.database.close().await;

    let (rounds, mut verified_in, mut changed_in) = (kills().1, 0, 0);
    for round in 0..rounds {
        let fixture = open(path.clone(), &key).await;
        let elsewhere = fixture.sign_in(EMAIL, &password).await;
        let code = recovery_code(&fixture, EMAIL).await;
        let before = (fixture.count(CHANGES).await, fixture.count(SIGN_INS).await);
        fixture.database.close().await;
        let new = format!("quiet-harbour-lamp-{round}");
        // The first at once, the last when it is long over.
        let tenths = if round + 1 == rounds { 60 } else { u32::try_from(round * 7 % 16).unwrap() };
        let words = format!("{EMAIL} {code} {new}");
        let heard = run_and_kill("reset", &path, &key, &words, whole * tenths / 10);

        let fixture = open(path.clone(), &key).await;
        let is_changed = fixture.count(CHANGES).await - before.0 == 1;
        let is_verified = fixture.count(SIGN_INS).await - before.1 == 1;
        let told = heard.iter().find_map(|line| line.strip_prefix("verified "));
        let case = format!("round {round}, {tenths}/10: {} steps heard", heard.len());
        assert!(is_verified || !is_changed && told.is_none(), "{case}: acknowledged and lost");
        assert!(
            is_changed || heard.last().is_none_or(|line| line != "changed"),
            "{case}: acknowledged and lost"
        );
        fixture.send_mails().await;
        let notices =
            fixture.mailbox.mails().iter().filter(|mail| mail.kind == Kind::PasswordChanged).count();
        assert_eq!(notices, usize::from(is_changed), "{case}: its owner is told");
        // A session of before ends with the change alone; the one that changed it goes on.
        assert_eq!(fixture.user(&elsewhere.access()).await.status == 200, !is_changed, "{case}");
        assert_eq!(fixture.refresh(&elsewhere.refresh()).await.status == 200, !is_changed, "{case}");
        if let Some(token) = told {
            assert_eq!(fixture.user(token).await.status, 200, "{case}");
        }
        let old = fixture.sign_in(EMAIL, &password).await.status == 200;
        assert_eq!(
            (old, fixture.sign_in(EMAIL, &new).await.status == 200),
            (!is_changed, is_changed),
            "{case}"
        );
        // Good once, in whichever process.
        assert_eq!(by_code(&fixture, "recovery", EMAIL, &code).await.status == 200, !is_verified, "{case}");
        assert_eq!(by_code(&fixture, "recovery", EMAIL, &code).await.code(), "otp_expired", "{case}");
        (verified_in, changed_in) =
            (verified_in + u64::from(is_verified), changed_in + u64::from(is_changed));
        if is_changed {
            password = new;
        }
        fixture.database.close().await;
    }
    println!("{rounds} kills within {whole:?}: {verified_in} codes used, {changed_in} passwords changed");
    assert!(changed_in > 0 && changed_in < rounds, "the kills were all on one side");
}

async fn ask(fixture: &Fixture, token: &str, path: &str, body: Value) -> common::Reply {
    fixture.call("POST", &format!("/factors{path}"), Some(token), body).await
}

/// A recovery code that was acknowledged is used up; one that was not is used up with its record, or still good.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_recovery_codes_leaves_none_good_twice() {
    const RECORDS: &str = "SELECT count(*) FROM aurora_audit WHERE action = 'recovery_code_used'";
    let options = Options::default();
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let fixture = open(path.clone(), &key).await;
    let first = fixture.sign_up("ann@example.com").await.access();
    let enrolled = ask(&fixture, &first, "", json!({ "factor_type": "totp" })).await.json;
    let (id, seed) = (enrolled["id"].as_str().unwrap(), enrolled["totp"]["secret"].as_str().unwrap());
    let asked = ask(&fixture, &first, &format!("/{id}/challenge"), json!({})).await.json;
    let code = totp::code_at(seed, fixture.now().as_seconds());
    let answer = json!({ "challenge_id": asked["id"], "code": code });
    let token = ask(&fixture, &first, &format!("/{id}/verify"), answer).await.access();
    fixture.database.close().await;
    let (rounds, mut acknowledged, mut used) = (kills().1, 0, 0);
    for round in 0..rounds {
        let fixture = open(path.clone(), &key).await;
        let has_some = fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await > 0;
        let new = if has_some { "/recovery-codes/regenerate" } else { "/recovery-codes" };
        let told = ask(&fixture, &token, new, json!({})).await;
        let codes: Vec<String> = serde_json::from_value(told.json["codes"].clone()).unwrap();
        let before = fixture.count(RECORDS).await;
        fixture.database.close().await;
        let words = format!("{token} {}", codes.join(" "));
        let after = Duration::from_micros(300 + round * 3_989 % 9_000);
        let heard = run_and_kill("recovery codes", &path, &key, &words, after).len();
        let fixture = open(path.clone(), &key).await;
        let left = fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await;
        let gone = 10 - usize::try_from(left).unwrap();
        let records = usize::try_from(fixture.count(RECORDS).await - before).unwrap();
        assert_eq!(records, gone, "round {round}: each use has its record");
        assert!((heard..=heard + 1).contains(&gone), "round {round}: {heard} heard of, {gone} gone");
        for (is_left, code) in [(false, gone.checked_sub(1)), (true, Some(gone))] {
            let Some(code) = code.and_then(|place| codes.get(place)) else { continue };
            let reply = ask(&fixture, &token, "/recovery-codes/verify", json!({ "code": code })).await;
            assert_eq!(reply.status == 200, is_left, "round {round}: {}", reply.text);
        }
        acknowledged += heard;
        used += gone;
        fixture.database.close().await;
    }
    println!("{rounds} kills, {acknowledged} acknowledged codes, {used} used up");
}

const SERVICE: Granter<'static> = Granter::Service("test");

fn editor() -> RoleName {
    "editor".parse().unwrap()
}

/// Gives and takes the role in turn, with a word after each.
async fn grant_and_revoke(fixture: &Fixture, user: UserId) {
    loop {
        let held = fixture.auth.roles_of(user).await.unwrap().contains(&editor());
        let (changed, word) = if held {
            (fixture.auth.revoke_role(SERVICE, user, &editor()).await, "role_revoked")
        } else {
            (fixture.auth.grant_role(SERVICE, user, &editor()).await, "role_granted")
        };
        assert!(changed.unwrap(), "{word}: nobody else changes it");
        say(word);
    }
}

/// fault K02: a role is held exactly if the last of its records says so; whatever was acknowledged has its record,
/// and a token of before says the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_role_changes_leaves_what_the_records_say() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (rounds, seed) = (number("AURORA_ROUNDS").unwrap_or(10), number("AURORA_SEED").unwrap_or(20));
    let mut random = rng::Rng::seeded(seed);
    let options = Options::default();
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let fixture = open(path.clone(), &key).await;
    let ann = fixture.sign_up("ann@example.com").await;
    let (user, token): (UserId, _) = (ann.user_id().parse().unwrap(), ann.access());
    let role = UserRole { name: editor(), rank: 10, permissions: Vec::new() };
    fixture.auth.define_role(role.clone(), "test").await.unwrap();
    fixture.database.close().await;
    let (mut before, mut acknowledged, mut unheard, mut held_after) = (Vec::new(), 0, 0, 0);
    for round in 0..rounds {
        let after = Duration::from_micros(300 + u64::try_from(random.below(25_000)).unwrap());
        let heard = run_and_kill("roles", &path, &key, &user.to_string(), after);
        let case = format!("round {round} of seed {seed}, after {after:?}: {} steps heard", heard.len());
        let fixture = open(path.clone(), &key).await;
        // It waits its turn among changes of roles: what the killed process had under way has ended then.
        fixture.auth.define_role(role.clone(), "test").await.unwrap();
        let rows = fixture.audit().await.into_iter();
        let records: Vec<String> = rows
            .filter(|row| ["role_granted", "role_revoked"].contains(&row.action.as_str()))
            .map(|row| row.action)
            .collect();
        let turns = ["role_granted", "role_revoked"].into_iter().cycle();
        assert!(
            records.iter().zip(turns).all(|(record, turn)| record == turn),
            "{case}: each has its record"
        );
        let held = fixture.auth.roles_of(user).await.unwrap().contains(&editor());
        assert_eq!(held, records.last().is_some_and(|last| last == "role_granted"), "{case}");
        let principal = fixture.auth.sessions().admit(&token).await.unwrap();
        assert_eq!(principal.has_role("editor"), held, "{case}: what the token of before gives");
        // One more than was heard of, at the most: the change that was committed and not acknowledged.
        let new = &records[before.len()..];
        assert_eq!(records[..before.len()], before[..], "{case}: no record is lost");
        assert!(new.len() == heard.len() || new.len() == heard.len() + 1, "{case}: {} records", new.len());
        assert_eq!(new[..heard.len()], heard[..], "{case}: acknowledged and lost");
        assert!(!heard.is_empty(), "{case}: it was killed before it began");
        acknowledged += heard.len();
        unheard += new.len() - heard.len();
        held_after += u64::from(held);
        before = records;
        fixture.database.close().await;
    }
    println!(
        "AURORA_SEED={seed}: {rounds} kills, {acknowledged} acknowledged changes, {unheard} committed unheard; \
         {held_after} times it was held"
    );
    assert!(rounds > 0);
}

//! Many at once, in one process and in two: refreshes, sign-ups, guesses, sign-outs; and what fails underneath: no
//! room on disk, no randomness, no writer's turn, no hashing thread, a hook that panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail; clippy exempts the test functions, not what they call"
)]

#[path = "../faults/mod.rs"]
mod faults;
mod underneath;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aurora_core::auth::{Scope, SignUp, UserChange};
use aurora_core::env::{Entropy, SystemClock, SystemEntropy};
use aurora_core::load::Quota;
use aurora_core::testing::TestClient;
use aurora_core::types::{Error, Result, SessionId, Timestamp};
use faults::{
    Answer, PASSWORD, PROFILES, Place, Profiles, Random, Worker, admits, call, client, count, refresh, say,
    secret, sign_in, sign_up,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

/// Not a test by itself: what the children run.
#[test]
fn child() {
    let Some(role) = faults::role() else { return };
    let runtime = faults::runtime();
    let builder = faults::builder(&faults::given_folder());
    let builder = if role == "full" { builder.policies("policies.sql", OWN_NOTES) } else { builder };
    let aurora = runtime.block_on(builder.build()).unwrap();
    say("READY");
    match role.as_str() {
        "refresh" => {
            for token in faults::heard() {
                let answers = runtime.block_on(many(50, |_| {
                    let (aurora, token) = (aurora.clone(), token.clone());
                    async move { refresh(&aurora, &token).await }
                }));
                for answer in answers {
                    say(&format!(
                        "{} {}",
                        answer.status,
                        answer.json["refresh_token"].as_str().unwrap_or(answer.code())
                    ));
                }
                say("DONE");
            }
        }
        "admit" => {
            for token in faults::heard() {
                say(if runtime.block_on(admits(&aurora, &token)) { "yes" } else { "no" });
            }
        }
        "full" => runtime.block_on(underneath::with_a_full_disk(&aurora)),
        other => panic!("no role {other}"),
    }
}

const NOTES: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, owner TEXT NOT NULL)";
const OWN_NOTES: &str = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text) WITH CHECK (owner = auth.uid()::text);";

/// Runs so many tasks at once.
async fn many<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    times: usize,
    mut make: impl FnMut(usize) -> F,
) -> Vec<T> {
    let running: Vec<_> = (0..times).map(|number| tokio::spawn(make(number))).collect();
    let mut all = Vec::new();
    for task in running {
        all.push(task.await.unwrap());
    }
    all
}

fn statuses(answers: &[Answer]) -> std::collections::BTreeMap<u16, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_insert(0) += 1;
    }
    counts
}

/// attack R03
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_of_one_token_give_one_successor() {
    let place = Place::new("hundred");
    let aurora = place.builder().build().await.unwrap();
    let ann = TestClient::new(&aurora).sign_in("ann@example.test").await.unwrap();
    let token = ann.refresh_token().expose().to_owned();
    let answers = many(100, |_| {
        let (aurora, token) = (aurora.clone(), token.clone());
        async move { refresh(&aurora, &token).await }
    })
    .await;
    assert_eq!(statuses(&answers), [(200, 100)].into());
    let successors: BTreeSet<String> = answers.iter().map(|answer| answer.text("refresh_token")).collect();
    assert_eq!(successors.len(), 1, "one successor");
    let mut connection = place.plain().await;
    assert_eq!(
        count(&mut connection, "SELECT count(*) FROM auth_refresh_tokens").await,
        2,
        "one successor row"
    );
    for answer in &answers {
        assert!(admits(&aurora, &answer.text("access_token")).await);
    }
    assert_eq!(refresh(&aurora, successors.first().unwrap()).await.status, 200, "the session lives");
}

/// attack R03, two processes on one file
#[test]
fn two_processes_refresh_one_token_and_agree() {
    let (place, runtime) = (Place::new("two-processes"), faults::runtime());
    let aurora = runtime.block_on(place.builder().build()).unwrap();
    let ann = runtime.block_on(TestClient::new(&aurora).sign_in("ann@example.test")).unwrap();
    let mut token = ann.refresh_token().expose().to_owned();
    let mut workers = [Worker::start("refresh", place.folder()), Worker::start("refresh", place.folder())];
    workers.iter().for_each(|worker| worker.expect("READY"));
    for _ in 0..3 {
        workers.iter_mut().for_each(|worker| worker.tell(&token));
        let mut said = BTreeSet::new();
        for worker in &workers {
            let lines: Vec<String> =
                std::iter::repeat_with(|| worker.line()).take_while(|line| line != "DONE").collect();
            assert_eq!(lines.len(), 50);
            said.extend(lines);
        }
        assert_eq!(said.len(), 1, "{said:?}");
        let one = said.pop_first().unwrap();
        token = one.strip_prefix("200 ").unwrap_or_else(|| panic!("{one}")).to_owned();
    }
    runtime.block_on(async {
        assert_eq!(refresh(&aurora, &token).await.status, 200, "the session lives");
        let mut connection = place.plain().await;
        assert_eq!(count(&mut connection, "SELECT count(*) FROM auth_refresh_tokens").await, 5);
    });
}

/// attack P14, asvs(V2.3.4)
#[tokio::test(flavor = "multi_thread")]
async fn fifty_spellings_of_one_address_are_one_account() {
    let place = Place::new("spellings");
    let steps = faults::migrations(&place.path("migrations"), &[PROFILES]).await;
    let aurora = place.builder().migrations(steps).on_sign_up(Arc::new(Profiles)).build().await.unwrap();
    let foreign = [
        "ａnn@example.test",
        "ann@example。test",
        "ann@EXAMPLE.teſt",
        "ann\u{200b}@example.test",
        "аnn@example.test",
    ];
    let answers = many(50, |number| {
        let aurora = aurora.clone();
        async move {
            let email: String = match foreign.get(number) {
                Some(text) => (*text).to_owned(),
                None => "ann@example.test"
                    .chars()
                    .enumerate()
                    .map(
                        |(at, letter)| {
                            if number >> (at % 6) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
                        },
                    )
                    .collect(),
            };
            sign_up(&aurora, &email).await
        }
    })
    .await;
    assert_eq!(statuses(&answers), [(200, 1), (400, 5), (422, 44)].into());
    let mut connection = place.plain().await;
    for table in ["auth_users", "auth_identities", "profiles", "auth_sessions"] {
        assert_eq!(count(&mut connection, &format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
}

/// attacks P10, P11
#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_guesses_at_limit_five_five_are_evaluated() {
    let place = Place::new("guesses");
    let mut limits = faults::wide();
    limits.guesses = Quota::new(5, Duration::from_secs(900));
    let aurora = place.builder().limits(limits).build().await.unwrap();
    assert_eq!(sign_up(&aurora, "ann@example.test").await.status, 200);
    // A session of hers at this address would let it guess under a key of its own (attack P11).
    let ann = sign_in(&aurora, "ann@example.test", PASSWORD).await;
    let out = call(&aurora, "POST", "/logout", Some(&ann.text("access_token")), Value::Null).await;
    assert_eq!(out.status, 204);
    for email in ["ann@example.test", "nobody@example.test"] {
        let answers = many(100, |number| {
            let aurora = aurora.clone();
            // Each guess in another spelling: they count together.
            let email = if number % 2 == 0 { email.to_uppercase() } else { email.to_owned() };
            async move { sign_in(&aurora, &email, &format!("wrong guess {number}")).await }
        })
        .await;
        assert_eq!(statuses(&answers), [(400, 5), (429, 95)].into(), "{email}");
        let late = answers.iter().filter(|answer| answer.status == 429);
        assert!(late.clone().all(|answer| answer.headers.contains_key("retry-after")));
    }
    let mut connection = place.plain().await;
    let recorded = "SELECT count(*) FROM aurora_audit WHERE action = 'login_failed'";
    assert_eq!(count(&mut connection, recorded).await, 10, "what was evaluated is what was recorded");
}

/// attacks J17, R06, asvs(V7.4.1, V7.4.2, V7.4.3, V7.4.5):
/// in this process at once, in another process on the same file within a second.
#[test]
fn access_tokens_end_with_their_session_in_every_process() {
    let (place, runtime) = (Place::new("ends"), faults::runtime());
    let aurora = runtime.block_on(place.builder().build()).unwrap();
    let mut other = Worker::start("admit", place.folder());
    other.expect("READY");
    for way in [
        "sign-out",
        "sign-out others",
        "ban",
        "password",
        "delete",
        "end",
        "revoked by the service",
        "host's DELETE",
    ] {
        let email = format!("{}@example.test", way.replace([' ', '\''], "-"));
        let (session, token, others) = runtime.block_on(async {
            let first = sign_up(&aurora, &email).await;
            let second = sign_in(&aurora, &email, PASSWORD).await;
            (first.text("refresh_token"), first.text("access_token"), second.text("access_token"))
        });
        assert!(runtime.block_on(admits(&aurora, &token)), "{way}");
        assert_eq!(other.ask(&token), "yes", "{way}");
        let started = Instant::now();
        runtime.block_on(end(&aurora, &place, way, &token, &others));
        let ended = Instant::now();
        if way == "host's DELETE" {
            // Past Aurora: this process learns it as any other does, from the trigger's note.
            while runtime.block_on(admits(&aurora, &token)) {
                assert!(ended.elapsed() < Duration::from_secs(1), "{way}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        assert!(!runtime.block_on(admits(&aurora, &token)), "{way}: here at once");
        while other.ask(&token) == "yes" {
            assert!(ended.elapsed() < Duration::from_secs(1), "{way}: in the other process");
            std::thread::sleep(Duration::from_millis(10));
        }
        println!(
            "{way}: over in the other process after {:?} (the change took {:?})",
            ended.elapsed(),
            ended - started
        );
        assert_eq!(
            runtime.block_on(refresh(&aurora, &session)).status,
            400,
            "{way}: nor does its refresh token"
        );
    }
}

async fn end(aurora: &aurora_core::Aurora, place: &Place, way: &str, token: &str, others: &str) {
    let auth = aurora.auth();
    let principal = auth.sessions().admit(token).await.unwrap();
    let user = principal.user_id().unwrap();
    let second = auth.sessions().admit(others).await.unwrap();
    match way {
        "sign-out" => auth.sign_out(&principal, Scope::Global, &client()).await.unwrap(),
        "sign-out others" => auth.sign_out(&second, Scope::Others, &client()).await.unwrap(),
        "ban" => auth.ban(user, Timestamp::from_seconds(9_000_000_000)).await.unwrap(),
        "password" => {
            let change = UserChange { password: Some(secret("another password")), ..UserChange::default() };
            drop(auth.update_user(&second, change, &client()).await.unwrap());
            assert!(admits(aurora, others).await, "the session that changed it goes on");
        }
        "delete" => auth.delete_user(user).await.unwrap(),
        "end" => auth.end_session(&second, principal.session_id().unwrap(), &client()).await.unwrap(),
        "revoked by the service" => auth.end_sessions_of(user).await.unwrap(),
        _ => {
            let mut connection = place.plain().await;
            let delete = sqlx::query("DELETE FROM auth_sessions WHERE user_id = $1").bind(user.to_string());
            delete.execute(&mut connection).await.unwrap();
        }
    }
}

/// attack S04: a session of somebody else is one that does not exist.
#[tokio::test]
async fn nobody_ends_the_session_of_another() {
    let place = Place::new("theirs");
    let aurora = place.builder().build().await.unwrap();
    let test = TestClient::new(&aurora);
    let (ann, bob) =
        (test.sign_in("ann@example.test").await.unwrap(), test.sign_in("bob@example.test").await.unwrap());
    let of_ann: SessionId =
        aurora.auth().sessions().admit(ann.token().expose()).await.unwrap().session_id().unwrap();
    for id in [of_ann.to_string(), "00000000-0000-4000-8000-000000000000".to_owned(), "x".to_owned()] {
        let answer =
            call(&aurora, "DELETE", &format!("/sessions/{id}"), Some(bob.token().expose()), Value::Null)
                .await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"));
        let nobody = call(&aurora, "DELETE", &format!("/sessions/{id}"), None, Value::Null).await;
        assert_eq!(nobody.status, 401);
    }
    assert!(admits(&aurora, ann.token().expose()).await);
    assert_eq!(refresh(&aurora, ann.refresh_token().expose()).await.status, 200);
}

/// attack R06, asvs(V15.4.2):
/// A refresh that races with a sign-out gives tokens that are dead, or none: the session never comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_races_with_a_sign_out_revives_nothing() {
    let place = Place::new("race");
    let aurora = place.builder().build().await.unwrap();
    let mut random = Random::new("a_refresh_that_races_with_a_sign_out_revives_nothing");
    let (mut refreshed_first, mut late) = (0, 0);
    for number in 0..40 {
        let ann = TestClient::new(&aurora).sign_in(&format!("race{number}@example.test")).await.unwrap();
        let principal = aurora.auth().sessions().admit(ann.token().expose()).await.unwrap();
        let (pause, first) = (Duration::from_micros(random.below(4_000)), random.below(2) == 0);
        let signing_out = async {
            if !first {
                tokio::time::sleep(pause).await;
            }
            aurora.auth().sign_out(&principal, Scope::Global, &client()).await.unwrap();
        };
        let refreshing = async {
            if first {
                tokio::time::sleep(pause).await;
            }
            refresh(&aurora, ann.refresh_token().expose()).await
        };
        let ((), answer) = tokio::join!(signing_out, refreshing);
        match answer.status {
            200 => {
                refreshed_first += 1;
                assert!(
                    !admits(&aurora, &answer.text("access_token")).await,
                    "an access token of an ended session"
                );
                assert_eq!(refresh(&aurora, &answer.text("refresh_token")).await.status, 400);
            }
            400 => late += 1,
            other => panic!("{other}: {answer:?}"),
        }
        assert!(!admits(&aurora, ann.token().expose()).await);
    }
    println!("refreshed before the sign-out: {refreshed_first}, after: {late}");
    assert_eq!(count(&mut place.plain().await, "SELECT count(*) FROM auth_sessions").await, 0);
}

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

mod faults;

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
        "full" => runtime.block_on(with_a_full_disk(&aurora)),
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

/// attack P14
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

/// attack P10
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

/// attacks J17, R06: in this process at once, in another process on the same file within a second.
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

/// attack P03: too many hashes are 503 with Retry-After; refreshes go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_hashes_says_come_back() {
    let place = Place::new("overload");
    let narrow = place.builder().configure(|settings| {
        settings.passwords.permits = 1;
        settings.passwords.queue = 2;
        settings.passwords.deadline = Duration::from_secs(2);
    });
    let aurora = narrow.build().await.unwrap();
    let ann = TestClient::new(&aurora).sign_in("ann@example.test").await.unwrap();
    let flood = tokio::spawn({
        let aurora = aurora.clone();
        async move {
            many(60, |number| {
                let aurora = aurora.clone();
                async move { sign_in(&aurora, &format!("nobody{number}@example.test"), PASSWORD).await }
            })
            .await
        }
    });
    let mut token = ann.refresh_token().expose().to_owned();
    let mut refreshed = 0;
    while !flood.is_finished() || refreshed < 3 {
        let answer = refresh(&aurora, &token).await;
        assert_eq!(answer.status, 200, "a refresh during the flood: {answer:?}");
        (token, refreshed) = (answer.text("refresh_token"), refreshed + 1);
    }
    let answers = flood.await.unwrap();
    let counts = statuses(&answers);
    println!("sign-ins in the flood: {counts:?}, refreshes meanwhile: {refreshed}");
    assert!(counts.keys().all(|status| [400, 503].contains(status)), "{counts:?}");
    assert!(counts[&503] > 0 && counts[&400] >= 3, "{counts:?}");
    for busy in answers.iter().filter(|answer| answer.status == 503) {
        assert_eq!((busy.code(), &busy.headers["retry-after"]), ("over_capacity", &"2".parse().unwrap()));
    }
    assert_eq!(sign_in(&aurora, "nobody@example.test", PASSWORD).await.status, 400, "afterwards as ever");
}

/// fault K29: the write lock is held elsewhere. Refreshes wait, then 503, and the token is as good as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_does_not_come_is_503() {
    let place = Place::new("busy");
    let aurora = place.builder().build().await.unwrap();
    let ann = TestClient::new(&aurora).sign_in("ann@example.test").await.unwrap();
    let mut holder = place.plain().await;
    faults::run(&mut holder, "BEGIN IMMEDIATE").await;
    let started = Instant::now();
    let answers = many(10, |_| {
        let (aurora, token) = (aurora.clone(), ann.refresh_token().expose().to_owned());
        async move { refresh(&aurora, &token).await }
    })
    .await;
    assert_eq!(statuses(&answers), [(503, 10)].into());
    assert!(answers.iter().all(|answer| answer.headers.contains_key("retry-after")));
    assert!(started.elapsed() < Duration::from_secs(11), "a bounded wait: {:?}", started.elapsed());
    let user = call(&aurora, "GET", "/user", Some(ann.token().expose()), Value::Null).await;
    assert_eq!(user.status, 200, "reads go on");
    faults::run(&mut holder, "ROLLBACK").await;
    assert_eq!(refresh(&aurora, ann.refresh_token().expose()).await.status, 200);
    let records = "SELECT count(*) FROM aurora_audit WHERE action = 'token_refreshed'";
    assert_eq!(count(&mut holder, records).await, 1, "no double effect");
}

/// Randomness that can be taken away.
#[derive(Debug, Default)]
struct Dry(AtomicBool);

impl Entropy for Dry {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::overloaded(1));
        }
        SystemEntropy.fill(bytes)
    }
}

/// fault K24
#[tokio::test]
async fn without_randomness_nothing_weak_is_made() {
    let place = Place::new("dry");
    let entropy = Arc::new(Dry::default());
    let aurora = place.builder().environment(Arc::new(SystemClock), entropy.clone()).build().await.unwrap();
    assert_eq!(sign_up(&aurora, "ann@example.test").await.status, 200);
    let ann = sign_in(&aurora, "ann@example.test", PASSWORD).await;
    let rows =
        "SELECT (SELECT count(*) FROM auth_users) || ' ' || (SELECT count(*) FROM auth_sessions) || ' ' ||
        (SELECT count(*) FROM auth_refresh_tokens) || ' ' || (SELECT count(*) FROM aurora_audit)";
    let mut connection = place.plain().await;
    let before: String = sqlx::query_scalar(rows).fetch_one(&mut connection).await.unwrap();
    entropy.0.store(true, Ordering::SeqCst);
    for (what, answer) in [
        ("sign-up", sign_up(&aurora, "bob@example.test").await),
        ("sign-in", sign_in(&aurora, "ann@example.test", PASSWORD).await),
        ("wrong password", sign_in(&aurora, "ann@example.test", "not hers").await),
        ("refresh", refresh(&aurora, &ann.text("refresh_token")).await),
        ("sign-out", call(&aurora, "POST", "/logout", Some(&ann.text("access_token")), Value::Null).await),
    ] {
        assert_eq!((answer.status, answer.code()), (503, "over_capacity"), "{what}");
    }
    let during: String = sqlx::query_scalar(rows).fetch_one(&mut connection).await.unwrap();
    assert_eq!(during, before, "nothing was written");
    assert!(admits(&aurora, &ann.text("access_token")).await, "who is signed in stays so");
    entropy.0.store(false, Ordering::SeqCst);
    assert_eq!(refresh(&aurora, &ann.text("refresh_token")).await.status, 200);

    let (fresh, dry) = (Place::new("dry-start"), Arc::new(Dry(AtomicBool::new(true))));
    assert!(fresh.builder().environment(Arc::new(SystemClock), dry).build().await.is_err());
    assert!(!fresh.key().exists(), "no key of zeros");
}

/// faults K15, K16: nothing can be written any more. Errors are clean, reads go on, and it recovers by itself.
#[test]
fn a_full_disk_fails_cleanly_and_recovers() {
    let place = Place::new("full");
    faults::runtime().block_on(async { faults::run(&mut place.plain().await, NOTES).await });
    // The limit on file sizes makes every write fail with EFBIG, for root too; ignored, its signal kills nobody.
    let worker = Worker::start_in_shell("trap '' XFSZ; exec \"$0\" \"$@\"", "full", place.folder());
    worker.expect("READY");
    worker.expect("RECOVERED");
    worker.finish();
    faults::runtime().block_on(async {
        let mut connection = place.plain().await;
        let integrity: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
        assert_eq!(integrity, "ok");
    });
}

async fn with_a_full_disk(aurora: &aurora_core::Aurora) {
    assert_eq!(sign_up(aurora, "ann@example.test").await.status, 200);
    let ann = sign_in(aurora, "ann@example.test", PASSWORD).await;
    let (token, access) = (ann.text("refresh_token"), ann.text("access_token"));
    let db = aurora.guarded(aurora.auth().sessions().admit(&access).await.unwrap());
    let owner = db.principal().user_id().unwrap().to_string();
    let insert =
        || db.query("INSERT INTO notes (title, owner) VALUES ('a note', $1)").bind(owner.clone()).execute();
    insert().await.unwrap();
    let whole = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(0), maximum: whole.maximum }).unwrap();
    // Not a word through the pipe meanwhile: it is no file, but let nothing depend on it.
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(("refresh", refresh(aurora, &token).await));
        seen.push(("sign-up", sign_up(aurora, "bob@example.test").await));
        seen.push(("sign-in", sign_in(aurora, "ann@example.test", PASSWORD).await));
        seen.push(("wrong", sign_in(aurora, "ann@example.test", "wrong password").await));
        seen.push(("sign-out", call(aurora, "POST", "/logout", Some(&access), Value::Null).await));
    }
    let mut guarded = Vec::new();
    for _ in 0..3 {
        guarded.push(insert().await);
        let mut transaction = db.begin().await.unwrap();
        let text = "INSERT INTO notes (title, owner) VALUES ('another', $1)";
        let written = transaction.query(text).bind(owner.clone()).execute().await.map(|_| ());
        guarded.push(match written {
            Ok(()) => transaction.commit().await.map(|()| panic!("a commit without room")),
            Err(error) => Err(error),
        });
    }
    let notes = db.query_as::<(i64,)>("SELECT id FROM notes").fetch_all().await;
    let reading = call(aurora, "GET", "/user", Some(&access), Value::Null).await;
    let listing = call(aurora, "GET", "/sessions", Some(&access), Value::Null).await;
    setrlimit(Resource::Fsize, whole).unwrap();
    for (what, answer) in seen {
        assert_eq!((answer.status, answer.code()), (503, "over_capacity"), "{what}: {answer:?}");
        assert!(answer.headers.contains_key("retry-after"), "{what}");
        assert!(answer.json.get("refresh_token").is_none(), "never an unrotated token");
    }
    for answer in guarded {
        let error = answer.expect_err("a write without room");
        assert_eq!((error.status().as_u16(), error.retry_after().is_some()), (503, true), "{error:?}");
    }
    assert_eq!((reading.status, listing.status, notes.unwrap().len()), (200, 200, 1), "reads go on");
    insert().await.unwrap();
    assert!(admits(aurora, &access).await);
    let next = refresh(aurora, &token).await;
    assert_eq!(next.status, 200, "the same token, once there is room: {next:?}");
    assert_eq!(
        sign_up(aurora, "bob@example.test").await.status,
        200,
        "nothing of the failed sign-ups stayed"
    );
    let json = json!({ "data": { "colour": "blue" } });
    assert_eq!(call(aurora, "PUT", "/user", Some(&next.text("access_token")), json).await.status, 200);
    say("RECOVERED");
}

/// A database that cannot be opened does not start, and says which.
#[test]
fn a_database_that_cannot_be_opened_stops_the_start_with_its_name() {
    let place = Place::new("no-folder");
    let missing = place.path("nowhere");
    let error = faults::runtime().block_on(faults::builder(&missing).build()).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains(&missing.join("app.db").display().to_string()), "{error}");
}

/// fault K30
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_panics_costs_one_sign_up() {
    let place = Place::new("panic");
    let steps = faults::migrations(&place.path("migrations"), &[PROFILES]).await;
    let aurora = place.builder().migrations(steps).on_sign_up(Arc::new(Profiles)).build().await.unwrap();
    let answers = many(20, |number| {
        let aurora = aurora.clone();
        let name = if number % 2 == 0 { "panic" } else { "calm" };
        async move { sign_up(&aurora, &format!("{name}{number}@example.test")).await }
    })
    .await;
    assert_eq!(statuses(&answers), [(200, 10), (500, 10)].into());
    let failed = answers.iter().find(|answer| answer.status == 500).unwrap();
    assert!(!failed.json.to_string().contains("the hook panics"), "{failed:?}");
    // A plain call panics into its task, and into nothing else.
    let plain = tokio::spawn({
        let aurora = aurora.clone();
        async move {
            let wish =
                SignUp { email: "panic@example.test".to_owned(), password: secret(PASSWORD), data: None };
            aurora.auth().sign_up(wish, &client()).await.map(|_| ())
        }
    });
    assert!(plain.await.unwrap_err().is_panic());
    let mut connection = place.plain().await;
    for table in ["auth_users", "auth_identities", "profiles", "auth_sessions"] {
        assert_eq!(
            count(&mut connection, &format!("SELECT count(*) FROM {table}")).await,
            10,
            "{table}: rolled back"
        );
    }
    let records = "SELECT count(*) FROM aurora_audit WHERE action = 'user_signedup'";
    assert_eq!(count(&mut connection, records).await, 10);
    assert_eq!(sign_up(&aurora, "afterwards@example.test").await.status, 200, "no lock is poisoned");
    assert_eq!(sign_in(&aurora, "calm1@example.test", PASSWORD).await.status, 200);
}

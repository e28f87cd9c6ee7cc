//! Kill -9 in the middle of refreshes and sign-ups (faults K01, K02): this binary starts itself as a child that works
//! and tells what was acknowledged, kills it at a random moment, and compares a ledger with what is left.
//! `AURORA_ROUNDS=500` for the long run, `AURORA_SEED` to repeat one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail; clippy exempts the test functions, not what they call"
)]

mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aurora_core::Aurora;
use aurora_core::auth::{ComeBack, SignUp, SignedUp};
use aurora_core::testing::TestClient;
use faults::{
    PASSWORD, PROFILES, Place, Profiles, Random, Worker, admits, client, count, refresh, role, say, secret,
};
use sqlx::SqliteConnection;

const CLIENTS: usize = 4;

/// Not a test by itself: what the children run.
#[test]
fn child() {
    let Some(role) = role() else { return };
    faults::runtime().block_on(async {
        match role.as_str() {
            "refresh" => refresh_until_killed().await,
            "sign-up" => sign_up_until_killed().await,
            "start" => {
                service(&faults::given_folder()).await.unwrap();
                say("STARTED");
                std::thread::sleep(Duration::from_secs(60));
            }
            other => panic!("no role {other}"),
        }
    });
}

async fn service(folder: &std::path::Path) -> aurora_core::types::Result<Aurora> {
    let migrations = faults::migrations(&folder.join("migrations"), &[PROFILES]).await;
    let builder = faults::builder(folder).migrations(migrations).on_sign_up(std::sync::Arc::new(Profiles));
    builder.configure(|settings| settings.tokens.reuse_grace = Duration::from_secs(1)).build().await
}

/// Each client of `clients.txt` refreshes without a pause, every third time twice at once as two tabs do.
async fn refresh_until_killed() {
    let folder = faults::given_folder();
    let tokens = std::fs::read_to_string(folder.join("clients.txt")).unwrap();
    let aurora = service(&folder).await.unwrap();
    say("READY");
    let mut working = Vec::new();
    for (number, token) in tokens.lines().enumerate() {
        let (aurora, mut token) = (aurora.clone(), token.to_owned());
        working.push(tokio::spawn(async move {
            for turn in 0.. {
                say(&format!("TRY {number} {token}"));
                let (old, here) = (secret(&token), client());
                let one = aurora.auth().refresh(&old, &here);
                let next = if turn % 3 == 2 {
                    let (one, two) = tokio::join!(one, aurora.auth().refresh(&old, &here));
                    let (one, two) = (one.unwrap(), two.unwrap());
                    assert_eq!(
                        one.refresh_token.expose(),
                        two.refresh_token.expose(),
                        "two tabs, one successor"
                    );
                    one
                } else {
                    one.await.unwrap()
                };
                let next = next.refresh_token.expose().to_owned();
                say(&format!("ACK {number} {token} {next}"));
                token = next;
            }
        }));
    }
    for work in working {
        if let Err(error) = work.await {
            say(&format!("FAILED {error}"));
        }
    }
}

async fn sign_up_until_killed() {
    let folder = faults::given_folder();
    let round = std::fs::read_to_string(folder.join("round.txt")).unwrap();
    let aurora = service(&folder).await.unwrap();
    say("READY");
    let mut working = Vec::new();
    for lane in 0..3 {
        let (aurora, round) = (aurora.clone(), round.clone());
        working.push(tokio::spawn(async move {
            for number in 0.. {
                let email = format!("r{round}-{lane}-{number}@example.test");
                say(&format!("TRY {email}"));
                let wish = SignUp {
                    email: email.clone(),
                    password: secret(PASSWORD),
                    data: None,
                    back: ComeBack::default(),
                };
                let SignedUp::Session(session) = aurora.auth().sign_up(wish, &client()).await.unwrap() else {
                    panic!("autoconfirm gives a session");
                };
                let user = session.account.id();
                say(&format!("ACK {email} {user} {}", session.refresh_token.expose()));
                say(&format!("TRYROLE {user}"));
                aurora.auth().update_app_metadata(user, r#"{"role":"editor"}"#).await.unwrap();
                say(&format!("ACKROLE {user}"));
            }
        }));
    }
    for work in working {
        if let Err(error) = work.await {
            say(&format!("FAILED {error}"));
        }
    }
}

async fn assert_sound(connection: &mut SqliteConnection) {
    let integrity: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(integrity, "ok");
    assert_eq!(count(connection, "SELECT count(*) FROM pragma_foreign_key_check").await, 0, "foreign keys");
    let wrong = count(
        connection,
        "SELECT count(*) FROM auth_sessions s WHERE
           s.generation IS NOT (SELECT max(t.generation) FROM auth_refresh_tokens t WHERE t.session_id = s.id)
           OR s.generation + 1 IS NOT (SELECT count(*) FROM auth_refresh_tokens t WHERE t.session_id = s.id)
           OR (SELECT count(*) FROM auth_refresh_tokens t WHERE t.session_id = s.id AND t.used_at IS NULL) IS NOT 1
           OR s.generation IS NOT (SELECT count(*) FROM aurora_audit a WHERE a.target = s.id
                AND a.action = 'token_refreshed' AND a.payload NOT LIKE '%reissued%')",
    )
    .await;
    assert_eq!(
        wrong, 0,
        "each session has one chain, one unused token, and an audit record for each rotation"
    );
}

/// What the world was told about refresh tokens.
#[derive(Default)]
struct Ledger {
    /// The successor of each token that has one. It never changes.
    successors: BTreeMap<String, String>,
    /// Per client, every token it was given, in order.
    given: Vec<Vec<String>>,
    acknowledged: usize,
    unknown: usize,
}

impl Ledger {
    fn note(&mut self, number: usize, old: &str, new: &str) {
        let known = self.successors.entry(old.to_owned()).or_insert_with(|| new.to_owned());
        assert_eq!(known, new, "a token has one successor");
        if self.given[number].last().is_none_or(|last| last != new) {
            self.given[number].push(new.to_owned());
        }
    }

    /// What a killed child said; a line that the kill cut short has too few parts, or a token too short.
    fn read(&mut self, lines: &[String]) {
        let mut open: BTreeSet<usize> = BTreeSet::new();
        for line in lines {
            assert!(!line.starts_with("FAILED"), "{line}");
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["TRY", number, token] if token.len() == 47 => {
                    open.insert(number.parse().unwrap());
                }
                ["ACK", number, old, new] if new.len() == 47 => {
                    let number = number.parse().unwrap();
                    open.remove(&number);
                    self.acknowledged += 1;
                    self.note(number, old, new);
                }
                _ => {}
            }
        }
        self.unknown += open.len();
    }
}

/// attack R04:
/// faults K01: every client ends with a usable token or gets the same successor again; none is valid twice.
#[test]
fn killed_in_the_middle_of_refreshes() {
    let mut random = Random::new("killed_in_the_middle_of_refreshes");
    let (place, runtime) = (Place::new("crash-refresh"), faults::runtime());
    let mut ledger = Ledger { given: vec![Vec::new(); CLIENTS], ..Ledger::default() };
    runtime.block_on(async {
        let aurora = service(place.folder()).await.unwrap();
        for (number, given) in ledger.given.iter_mut().enumerate() {
            let user = TestClient::new(&aurora).sign_in(&format!("c{number}@example.test")).await.unwrap();
            given.push(user.refresh_token().expose().to_owned());
        }
        aurora.close().await;
    });
    let rounds = faults::rounds();
    for round in 0..rounds {
        let tokens: Vec<&str> = ledger.given.iter().map(|given| given.last().unwrap().as_str()).collect();
        std::fs::write(place.path("clients.txt"), tokens.join("\n")).unwrap();
        let mut worker = Worker::start("refresh", place.folder());
        worker.expect("READY");
        std::thread::sleep(Duration::from_micros(random.below(150_000)));
        ledger.read(&worker.kill());
        runtime.block_on(async {
            let mut connection = place.plain().await;
            assert_sound(&mut connection).await;
            sqlx::Connection::close(connection).await.unwrap();
            // Half the clients come back to the process that starts next, half to the one that asks here.
            let aurora = service(place.folder()).await.unwrap();
            for number in (0..CLIENTS).filter(|number| (*number as u64 + round).is_multiple_of(2)) {
                let token = ledger.given[number].last().unwrap().clone();
                let first = refresh(&aurora, &token).await;
                assert_eq!(first.status, 200, "round {round}, client {number}: {first:?}");
                let again = refresh(&aurora, &token).await;
                assert_eq!(again.status, 200, "round {round}, client {number}: {again:?}");
                assert_eq!(first.text("refresh_token"), again.text("refresh_token"));
                assert!(admits(&aurora, &first.text("access_token")).await);
                ledger.note(number, &token, &first.text("refresh_token"));
            }
            aurora.close().await;
        });
    }
    let distinct: BTreeSet<&String> = ledger.successors.values().collect();
    assert_eq!(distinct.len(), ledger.successors.len(), "no token is the successor of two");
    assert!(ledger.acknowledged > 0 && ledger.unknown > 0, "the kills hit refreshes");
    println!(
        "{rounds} kills: {} refreshes acknowledged, {} outcomes unknown, {} tokens",
        ledger.acknowledged,
        ledger.unknown,
        ledger.successors.len()
    );
    runtime.block_on(no_token_is_revived(&place, &ledger));
}

/// After the crashes: an old token revokes its family, and then none of the family works, in a new process neither.
async fn no_token_is_revived(place: &Place, ledger: &Ledger) {
    let aurora = service(place.folder()).await.unwrap();
    let mut access = Vec::new();
    for given in &ledger.given {
        let newest = refresh(&aurora, given.last().unwrap()).await;
        assert_eq!(newest.status, 200);
        access.push(newest.text("access_token"));
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let used_long_ago = &given[given.len().saturating_sub(4)];
        let replayed = refresh(&aurora, used_long_ago).await;
        assert_eq!((replayed.status, replayed.code()), (400, "refresh_token_already_used"), "{replayed:?}");
    }
    aurora.close().await;
    let aurora = service(place.folder()).await.unwrap();
    for token in ledger.given.iter().flatten() {
        assert_eq!(refresh(&aurora, token).await.status, 400, "a token of a revoked family");
    }
    for token in access {
        assert!(!admits(&aurora, &token).await, "an access token of a revoked family, after a restart");
    }
    let mut connection = place.plain().await;
    let noted =
        count(&mut connection, "SELECT count(*) FROM aurora_audit WHERE action = 'token_revoked'").await;
    assert_eq!(noted, CLIENTS as i64);
    aurora.close().await;
}

/// What is left of a sign-up: user, identity, audit record, profile, session.
async fn traces(connection: &mut SqliteConnection, email: &str) -> [i64; 5] {
    let mut found = [0; 5];
    for (found, from) in found.iter_mut().zip([
        "auth_users u WHERE u.email = $1",
        "auth_users u JOIN auth_identities i ON i.user_id = u.id WHERE u.email = $1",
        "auth_users u JOIN aurora_audit a ON a.target = u.id AND a.action = 'user_signedup' WHERE u.email = $1",
        "auth_users u JOIN profiles p ON p.user_id = u.id WHERE u.email = $1",
        "auth_users u JOIN auth_sessions s ON s.user_id = u.id WHERE u.email = $1",
    ]) {
        let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
        *found = sqlx::query_scalar(query).bind(email).fetch_one(&mut *connection).await.unwrap();
    }
    found
}

/// asvs(V2.3.3):
/// faults K02: user, identity, audit record, profile and session are all there or none; so is a change of role.
#[test]
fn killed_in_the_middle_of_sign_ups() {
    let mut random = Random::new("killed_in_the_middle_of_sign_ups");
    let (place, runtime) = (Place::new("crash-sign-up"), faults::runtime());
    let (mut acknowledged, mut whole, mut none) = (BTreeMap::new(), 0, 0);
    let rounds = faults::rounds();
    for round in 0..rounds {
        std::fs::write(place.path("round.txt"), round.to_string()).unwrap();
        let mut worker = Worker::start("sign-up", place.folder());
        worker.expect("READY");
        std::thread::sleep(Duration::from_micros(60_000 + random.below(350_000)));
        let lines = worker.kill();
        runtime.block_on(async {
            let mut connection = place.plain().await;
            assert_sound(&mut connection).await;
            let mut tried = BTreeSet::new();
            let mut fresh = BTreeMap::new();
            for line in &lines {
                assert!(!line.starts_with("FAILED"), "{line}");
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["TRY", email] if email.ends_with(".test") => drop(tried.insert(email.to_owned())),
                    ["ACK", email, _, token] if token.len() == 47 => {
                        fresh.insert(email.to_owned(), token.to_owned());
                    }
                    ["TRYROLE" | "ACKROLE", user] if user.len() == 36 => {
                        role_is_whole(&mut connection, user, line.starts_with("ACK")).await;
                    }
                    _ => {}
                }
            }
            for email in tried {
                match traces(&mut connection, &email).await {
                    [1, 1, 1, 1, 1] => whole += 1,
                    [0, 0, 0, 0, 0] if !fresh.contains_key(&email) => none += 1,
                    other => panic!("round {round}: {email} is left as {other:?}"),
                }
            }
            acknowledged.append(&mut fresh);
            sqlx::Connection::close(connection).await.unwrap();
        });
    }
    assert!(whole > 0 && none > 0, "the kills hit sign-ups: {whole} whole, {none} none");
    runtime.block_on(async {
        let aurora = service(place.folder()).await.unwrap();
        for (email, token) in &acknowledged {
            let answer = refresh(&aurora, token).await;
            assert_eq!(answer.status, 200, "the session of {email}: {answer:?}");
        }
        let (email, _) = acknowledged.first_key_value().unwrap();
        assert_eq!(faults::sign_in(&aurora, email, PASSWORD).await.status, 200);
        let mut connection = place.plain().await;
        let users = count(&mut connection, "SELECT count(*) FROM auth_users").await;
        assert_eq!(users, whole, "nobody else came in");
        let recorded = "SELECT count(*) FROM aurora_audit WHERE action = 'user_signedup'";
        assert_eq!(count(&mut connection, recorded).await, whole, "no record without its user");
        aurora.close().await;
    });
    println!(
        "{rounds} kills: {} sign-ups acknowledged, {whole} whole, {none} left nothing",
        acknowledged.len()
    );
}

async fn role_is_whole(connection: &mut SqliteConnection, user: &str, acknowledged: bool) {
    let changed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM auth_users WHERE id = $1 AND app_metadata->>'role' = 'editor'",
    )
    .bind(user)
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let recorded: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM aurora_audit WHERE target = $1 AND action = 'user_modified'",
    )
    .bind(user)
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    assert_eq!(changed, recorded, "a role and its record");
    assert!(changed == 1 || !acknowledged, "an acknowledged role is there");
}

/// The very first start, killed: the next one finds nothing, or keys that are whole. Both roots are one.
#[test]
fn killed_in_the_middle_of_the_first_start() {
    let mut random = Random::new("killed_in_the_middle_of_the_first_start");
    let runtime = faults::runtime();
    let (mut with_key, mut with_data_keys) = (0, 0);
    for round in 0..faults::rounds() {
        let place = Place::new("crash-start");
        let mut worker = Worker::start("start", place.folder());
        std::thread::sleep(Duration::from_micros(random.below(90_000)));
        worker.kill();
        with_key += u64::from(place.key().exists());
        runtime.block_on(async {
            if place.database().exists() {
                let mut connection = place.plain().await;
                let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'aurora_keys'";
                if count(&mut connection, tables).await == 1 {
                    let keys = count(&mut connection, "SELECT count(*) FROM aurora_keys").await;
                    with_data_keys += u64::from(keys > 0);
                    assert!(keys == 0 || place.key().exists(), "data keys without their root");
                }
            }
            let aurora = service(place.folder()).await;
            let aurora =
                aurora.unwrap_or_else(|error| panic!("round {round}: no start after a kill: {error}"));
            assert_eq!(faults::sign_up(&aurora, "first@example.test").await.status, 200);
            aurora.close().await;
            service(place.folder()).await.unwrap().close().await;
        });
    }
    println!("killed after the key file in {with_key} rounds, after data keys in {with_data_keys}");
}

/// Services that start at once on an empty folder agree on one root key, one set of data keys, one signing key, and
/// apply the host's migrations once.
#[test]
fn processes_that_start_together_agree() {
    for _ in 0..5 {
        let place = Place::new("start-together");
        let workers: Vec<Worker> = (0..4).map(|_| Worker::start("start", place.folder())).collect();
        for worker in &workers {
            worker.expect("STARTED");
        }
        drop(workers);
        faults::runtime().block_on(async {
            let mut connection = place.plain().await;
            assert_eq!(count(&mut connection, "SELECT count(*) FROM aurora_keys").await, 5);
            assert_eq!(count(&mut connection, "SELECT count(*) FROM aurora_signing_keys").await, 1);
            assert_eq!(count(&mut connection, "SELECT count(*) FROM _sqlx_migrations").await, 1);
            let files = std::fs::read_dir(place.folder()).unwrap();
            let drafts =
                files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
            assert_eq!(drafts.count(), 0, "drafts of key files");
            service(place.folder()).await.unwrap();
        });
    }
}

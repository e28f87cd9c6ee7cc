//! What fails underneath: no room on disk, no randomness, no writer's turn, no hashing thread, a hook that panics.

use super::*;

/// attack P03, asvs(V15.4.4): too many hashes are 503 with Retry-After; refreshes go on.
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

/// attack S11, asvs(V7.2.3, V11.5.1), fault K24
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

/// asvs(V16.5.2):
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

pub(crate) async fn with_a_full_disk(aurora: &aurora_core::Aurora) {
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

/// asvs(V16.5.4): fault K30
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
            let wish = SignUp {
                email: "panic@example.test".to_owned(),
                password: secret(PASSWORD),
                data: None,
                back: aurora_core::auth::ComeBack::default(),
            };
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

//! PostgreSQL that is killed, absent, slow, unreachable, exhausted or read-only, under a service that goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "common/cluster.rs"]
mod cluster;
mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aurora_core::config::Profile;
use aurora_core::load::{Limits, Quota};
use aurora_core::session::Client;
use aurora_core::store::PostgresOptions;
use aurora_core::testing::TestClient;
use aurora_core::types::{Code, RequestId, Secret};
use aurora_core::{Aurora, Builder, Database, Migrations};
use cluster::Cluster;
use common::postgres::Place;
use sqlx::migrate::Migrator;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const POLICIES: &str = "
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes TO authenticated USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;";
/// What a statement may take, a connection's opening and a little more: nobody waits longer for a server that is away.
const BOUND: Duration = Duration::from_secs(25);

// ---- a server between ---------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Open,
    /// Each answer comes so much later.
    Slow(Duration),
    /// Packets go in, nothing comes out, and nobody is told.
    Hole,
    /// Connections end, and new ones are refused.
    Cut,
}

/// What stands between the service and the server.
struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
}

impl Proxy {
    async fn before(server: (String, u16)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, state) = watch::channel(Line::Open);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *state.borrow() != Line::Cut {
                    tokio::spawn(forward(client, server.clone(), state.clone()));
                }
            }
        });
        Self { port, line }
    }

    fn set(&self, line: Line) {
        self.line.send(line).unwrap();
    }

    fn url(&self, url: &str) -> String {
        let (before, after) = url.split_once('@').unwrap();
        let (_, database) = after.split_once('/').unwrap();
        format!("{before}@127.0.0.1:{}/{database}", self.port)
    }
}

async fn forward(client: TcpStream, (host, port): (String, u16), state: watch::Receiver<Line>) {
    let Ok(server) = TcpStream::connect((host.as_str(), port)).await else { return };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let mut cut = state.clone();
    tokio::select! {
        () = pump(client_in, server_out, state.clone(), false) => {}
        () = pump(server_in, client_out, state, true) => {}
        _ = cut.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn pump(
    from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<Line>,
    answers: bool,
) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        from.readable().await.unwrap();
        let read = match from.try_read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let now = *state.borrow();
        match now {
            Line::Hole => {
                // What fell into the hole stays there, also when the line is open again.
                let _ = state.wait_for(|line| *line != Line::Hole).await;
                std::future::pending::<()>().await;
            }
            Line::Slow(by) if answers => tokio::time::sleep(by).await,
            _ => {}
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

// ---- the service --------------------------------------------------------------------------------------------

async fn builder(url: &str, options: PostgresOptions) -> Builder {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("aurora-faults-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    for engine in ["postgres", "sqlite"] {
        std::fs::create_dir_all(folder.join(engine)).unwrap();
    }
    std::fs::write(
        folder.join("postgres/0001_notes.sql"),
        "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         owner uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id) ON DELETE CASCADE, title text NOT NULL)",
    )
    .unwrap();
    let migrations = Migrations {
        sqlite: Migrator::new(folder.join("sqlite")).await.unwrap(),
        postgres: Migrator::new(folder.join("postgres")).await.unwrap(),
    };
    let wide = Quota::new(1_000_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    (limits.request, limits.sign_up, limits.sign_in, limits.refresh) = (wide, wide, wide, wide);
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(url).unwrap().postgres_options(options).unwrap())
        .key_file(folder.join("aurora.key"))
        .migrations(migrations)
        .policies("policies.sql", POLICIES)
        .limits(limits)
}

async fn behind_a_proxy(options: PostgresOptions) -> (Aurora, Proxy) {
    let place = Place::new().await;
    let server: sqlx::postgres::PgConnectOptions = place.owner_url().parse().unwrap();
    let proxy = Proxy::before((server.get_host().to_owned(), server.get_port())).await;
    let aurora = builder(&proxy.url(&place.owner_url()), options).await.build().await.unwrap();
    (aurora, proxy)
}

fn quick() -> PostgresOptions {
    let mut options = PostgresOptions::default();
    (options.connections, options.store_connections, options.deadline) = (3, 2, Duration::from_secs(1));
    options
}

fn client() -> Client {
    Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestId::from_bytes([7; 16]))
}

async fn token(aurora: &Aurora, email: &str) -> Secret {
    TestClient::new(aurora).sign_in(email).await.unwrap().refresh_token().clone()
}

/// fault K10: the postmaster is killed and started again under refreshes and guarded writes. What was in flight is
/// 503, never a session's end; what was acknowledged is there; five seconds after the server answers again, so does
/// the service, and every client goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_costs_nobody_their_session() {
    const CLIENTS: usize = 6;
    let cluster = Cluster::start();
    let url = cluster.database().await;
    let aurora = builder(&url, PostgresOptions::default()).await.build().await.unwrap();

    let (over, denied) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for person in 0..CLIENTS {
        let (aurora, over, denied) = (aurora.clone(), Arc::clone(&over), Arc::clone(&denied));
        let user = TestClient::new(&aurora).sign_in(&format!("person{person}@example.com")).await.unwrap();
        tasks.spawn(async move {
            let (mut token, mut acknowledged, mut refreshed) = (user.refresh_token().clone(), 0_i64, 0_u64);
            while !over.load(Ordering::SeqCst) {
                match aurora.auth().refresh(&token, &client()).await {
                    Ok(session) => (token, refreshed) = (session.refresh_token, refreshed + 1),
                    Err(error) => {
                        assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
                        denied.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                match user.guarded().query("INSERT INTO notes (title) VALUES ('n')").execute().await {
                    Ok(_) => acknowledged += 1,
                    Err(error) => {
                        assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
                        denied.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
            // The client's own token is good, whatever happened.
            aurora.auth().refresh(&token, &client()).await.unwrap();
            let found: Vec<(i64,)> =
                user.guarded().query_as("SELECT count(*) FROM notes").fetch_all().await.unwrap();
            assert!(found[0].0 >= acknowledged, "{} of {acknowledged} acknowledged notes", found[0].0);
            (refreshed, acknowledged)
        });
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.again();
        drop(cluster.connection().await);
        let start = Instant::now();
        while token_of(&aurora).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(5), "it did not recover within five seconds");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        slowest = slowest.max(start.elapsed());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.store(true, Ordering::SeqCst);
    let (refreshed, notes): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().unzip();
    let denied = denied.load(Ordering::SeqCst);
    assert!(denied > 0, "nobody was in flight when the server died");
    println!(
        "3 kills, {} refreshes and {} notes acknowledged, {denied} answered 503, back after {slowest:?}",
        refreshed.iter().sum::<u64>(),
        notes.iter().sum::<i64>()
    );
    aurora.close().await;
}

async fn token_of(aurora: &Aurora) -> aurora_core::types::Result<Secret> {
    Ok(TestClient::new(aurora).sign_in("probe@example.com").await?.refresh_token().clone())
}

/// fault K11: without a server the start says so within its deadline, and names no password; while it is away, what
/// needs it is 503 and a token that is known is still verified; it comes back by itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_absent_server_is_said_plainly() {
    let place = Place::new().await;
    let server: sqlx::postgres::PgConnectOptions = place.owner_url().parse().unwrap();
    let proxy = Proxy::before((server.get_host().to_owned(), server.get_port())).await;
    proxy.set(Line::Cut);
    let url = proxy.url(&place.owner_url());
    let start = Instant::now();
    let error = builder(&url, quick()).await.build().await.unwrap_err();
    assert_eq!(error.code(), Code::Configuration, "{error:?}");
    let said = format!("{error} {error:?}");
    assert!(said.contains("connect") && !said.contains("throw-away"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    println!("said after {:?}: {error}", start.elapsed());

    proxy.set(Line::Open);
    let aurora = builder(&url, quick()).await.build().await.unwrap();
    let session = token(&aurora, "ann@example.com").await;
    let session = aurora.auth().refresh(&session, &client()).await.unwrap();
    proxy.set(Line::Cut);
    for _ in 0..5 {
        let error = aurora.auth().refresh(&session.refresh_token, &client()).await.unwrap_err();
        assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
    }
    proxy.set(Line::Open);
    aurora.auth().refresh(&session.refresh_token, &client()).await.unwrap();
    aurora.close().await;
}

/// fault K12: a server that answers two seconds late makes requests wait or come back, never more of them than there
/// are connections; who needs no database does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_does_not_hold_up_who_needs_none() {
    let (aurora, proxy) = behind_a_proxy(quick()).await;
    let first = token(&aurora, "ann@example.com").await;
    let session = aurora.auth().refresh(&first, &client()).await.unwrap();
    aurora.auth().sessions().admit(session.access_token.expose()).await.unwrap();
    proxy.set(Line::Slow(Duration::from_secs(2)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (aurora, token) = (aurora.clone(), session.refresh_token.clone());
        tasks.spawn(async move {
            let start = Instant::now();
            let answer = aurora.auth().refresh(&token, &client()).await;
            (start.elapsed(), answer.map_err(|error| error.code()).map(drop))
        });
    }
    // Longer than what is known of ended sessions is fresh: from then on a moment is waited for news, once.
    let start = Instant::now();
    let mut waited = Duration::ZERO;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = Instant::now();
        aurora.auth().sessions().admit(session.access_token.expose()).await.unwrap();
        waited += asked.elapsed();
    }
    assert!(start.elapsed() > Duration::from_secs(2));
    assert!(waited < Duration::from_secs(2), "a hundred tokens waited for the database: {waited:?}");
    println!("a hundred tokens waited {waited:?} in all");
    let answers = tasks.join_all().await;
    let later = answers.iter().filter(|(_, answer)| *answer == Err(Code::OverCapacity)).count();
    assert!(
        answers.iter().all(|(_, answer)| matches!(answer, Ok(()) | Err(Code::OverCapacity))),
        "{answers:?}"
    );
    assert!(later > 0, "eight waited for two connections: {answers:?}");
    let slowest = answers.iter().map(|(took, _)| *took).max().unwrap();
    assert!(slowest < BOUND * 2, "{slowest:?}");
    proxy.set(Line::Open);
    again(&aurora, &session.refresh_token).await;
    println!("8 refreshes: {later} came back 503, the slowest answer after {slowest:?}");
    aurora.close().await;
}

/// The same token, until the service has noticed that the line is open again.
async fn again(aurora: &Aurora, token: &Secret) {
    let start = Instant::now();
    loop {
        match aurora.auth().refresh(token, &client()).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.code(), Code::OverCapacity, "{error:?}"),
        }
        assert!(start.elapsed() < BOUND, "it does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// fault K13: packets vanish without a word. Nobody waits for ever: 503 within the bound, also on connections that
/// were open before, and all is well once there is a line again.
#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_is_noticed() {
    let (aurora, proxy) = behind_a_proxy(quick()).await;
    let user = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap();
    user.guarded().query("INSERT INTO notes (title) VALUES ('before')").execute().await.unwrap();
    proxy.set(Line::Hole);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..6 {
        let (aurora, token, db) = (aurora.clone(), user.refresh_token().clone(), user.guarded().clone());
        tasks.spawn(async move {
            let start = Instant::now();
            let answer = async {
                if task % 2 == 0 {
                    aurora.auth().refresh(&token, &client()).await.map(drop)
                } else {
                    db.query_as::<(String,)>("SELECT title FROM notes").fetch_all().await.map(drop)
                }
            };
            let answer = tokio::time::timeout(BOUND * 2, answer).await;
            (start.elapsed(), answer.map(|answer| answer.map_err(|error| error.code())))
        });
    }
    let answers = tasks.join_all().await;
    for (took, answer) in &answers {
        assert_eq!(*answer, Ok(Err(Code::OverCapacity)), "after {took:?}: {answers:?}");
        assert!(*took < BOUND, "{took:?}");
    }
    let slowest = answers.iter().map(|(took, _)| *took).max().unwrap();
    proxy.set(Line::Open);
    again(&aurora, user.refresh_token()).await;
    println!("6 requests into a black hole: all 503, the slowest after {slowest:?}");
    aurora.close().await;
}

/// fault K14: every connection of the host's statements is taken. The next one is 503 within the deadline, and
/// sign-in, which has connections of its own, goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_is_503_and_no_deadlock() {
    let place = Place::new().await;
    let aurora = builder(&place.owner_url(), quick()).await.build().await.unwrap();
    let user = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(user.guarded().begin().await.unwrap());
    }
    let start = Instant::now();
    let error =
        user.guarded().query_as::<(String,)>("SELECT title FROM notes").fetch_all().await.unwrap_err();
    assert_eq!(error.code(), Code::OverCapacity);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    aurora.auth().refresh(user.refresh_token(), &client()).await.unwrap();
    TestClient::new(&aurora).sign_in("ben@example.com").await.unwrap();
    drop(held);
    user.guarded().query_as::<(String,)>("SELECT title FROM notes").fetch_all().await.unwrap();
    println!("3 of 3 connections held: 503 after {:?}", start.elapsed());
    aurora.close().await;
}

/// fault K15: the server became a standby. Refreshes are 503 and rotate nothing, reads go on; after its promotion the
/// same token is as good as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_refreshes_nobody_and_loses_nobody() {
    let cluster = Cluster::start();
    let url = cluster.database().await;
    let aurora = builder(&url, PostgresOptions::default()).await.build().await.unwrap();
    let user = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap();
    user.guarded().query("INSERT INTO notes (title) VALUES ('kept')").execute().await.unwrap();

    let options = std::fs::read_to_string(cluster.data().join("postmaster.opts")).unwrap();
    cluster.control(&["stop", "-m", "fast"]);
    std::fs::write(cluster.data().join("standby.signal"), "").unwrap();
    std::fs::write(cluster.data().join("postmaster.opts"), options).unwrap();
    cluster.again();
    drop(cluster.connection().await);
    for _ in 0..3 {
        let error = aurora.auth().refresh(user.refresh_token(), &client()).await.unwrap_err();
        assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
    }
    let read = user.guarded().query_as::<(String,)>("SELECT title FROM notes").fetch_all().await.unwrap();
    assert_eq!(read, [("kept".to_owned(),)]);
    let error = user.guarded().query("INSERT INTO notes (title) VALUES ('no')").execute().await.unwrap_err();
    assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
    cluster.control(&["promote"]);
    again(&aurora, user.refresh_token()).await;
    let read = user.guarded().query_as::<(String,)>("SELECT title FROM notes").fetch_all().await.unwrap();
    assert_eq!(read.len(), 1);
    println!("a standby: 3 refreshes and a write 503, a read answered; promoted: the same token refreshed");
    aurora.close().await;
}

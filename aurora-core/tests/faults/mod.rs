//! What the tests of faults share: a folder with a database and its key, cheap hashes, children to kill.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aurora_core::auth::{Account, SignUpHook};
use aurora_core::config::Profile;
use aurora_core::env::{Entropy as _, SystemEntropy};
use aurora_core::http::Peer;
use aurora_core::load::{Limits, Quota};
use aurora_core::session::Client;
use aurora_core::store::HostTransaction;
use aurora_core::types::{BoxFuture, Error, RequestId, Result, Secret};
use aurora_core::{Aurora, Builder, Database};
use http::{HeaderMap, Request};
use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// The cheapest Argon2id that any profile takes: 8 MiB, five passes, about 20 ms.
pub(crate) const MEMORY_KIB: u32 = 8_192;
pub(crate) const PASSES: u32 = 5;
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A folder of its own, removed at the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("aurora-{name}-{}-{:x}", std::process::id(), seed()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("app.db")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path("app.key")
    }

    /// A development service on this folder.
    pub(crate) fn builder(&self) -> Builder {
        builder(&self.0)
    }

    pub(crate) async fn plain(&self) -> SqliteConnection {
        plain(&self.database()).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A development service on `folder`: cheap hashes, limits out of the way.
pub(crate) fn builder(folder: &Path) -> Builder {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&url).unwrap())
        .key_file(folder.join("app.key"))
        .limits(wide())
        .configure(|settings| {
            settings.passwords.memory_kib = MEMORY_KIB;
            settings.passwords.passes = PASSES;
            settings.passwords.queue = 1_000;
            settings.passwords.deadline = Duration::from_secs(60);
        })
}

/// Limits that no test runs into.
pub(crate) fn wide() -> Limits {
    let wide = Quota::new(1_000_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    limits.request = wide;
    limits.sign_up = wide;
    limits.sign_in = wide;
    limits.refresh = wide;
    limits.guesses = wide;
    limits
}

pub(crate) fn client() -> Client {
    Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestId::from_bytes([7; 16]))
}

/// A connection past everything of Aurora's.
pub(crate) async fn plain(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true).create_if_missing(true);
    options.busy_timeout(Duration::from_secs(5)).disable_statement_logging().connect().await.unwrap()
}

pub(crate) async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

pub(crate) async fn count(connection: &mut SqliteConnection, sql: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap()
}

/// The host's migrations, read from a folder as `sqlx migrate` does.
pub(crate) async fn migrations(folder: &Path, steps: &[(&str, &str)]) -> sqlx::migrate::Migrator {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in steps {
        // Children may start at once: none finds a file half written.
        let (draft, name) = (folder.join(format!("{name}.{}", std::process::id())), folder.join(name));
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(&draft, name).unwrap();
    }
    sqlx::migrate::Migrator::new(folder.to_owned()).await.unwrap()
}

pub(crate) const PROFILES: (&str, &str) = (
    "0001_profiles.sql",
    "CREATE TABLE profiles (user_id TEXT PRIMARY KEY REFERENCES auth_users (id) ON DELETE CASCADE);",
);

/// The same behind others.
pub(crate) const PROFILES_LATER: (&str, &str) = ("0004_profiles.sql", PROFILES.1);

/// Writes a profile row in the sign-up's transaction. Addresses that begin with `panic` make it panic after that.
#[derive(Debug)]
pub(crate) struct Profiles;

impl SignUpHook for Profiles {
    fn signed_up<'a>(
        &'a self,
        mut tx: HostTransaction<'a>,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            sqlx::query("INSERT INTO profiles (user_id) VALUES ($1)")
                .bind(account.id().to_string())
                .execute(tx.sqlite()?)
                .await
                .map_err(Error::internal)?;
            let address = account.email().map(ToString::to_string).unwrap_or_default();
            assert!(!address.starts_with("panic"), "the hook panics");
            Ok(())
        })
    }
}

/// What the wire answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn text(&self, name: &str) -> String {
        self.json[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    pub(crate) fn code(&self) -> &str {
        self.json["error_code"].as_str().or(self.json["code"].as_str()).unwrap_or_default()
    }
}

pub(crate) async fn call(
    aurora: &Aurora,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: Value,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/auth/v1{path}"))
        .header("content-type", "application/json")
        .header("x-supabase-api-version", "2024-01-01");
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let peer = Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (head, body) = aurora.http().call(request.body(body).unwrap(), peer).await.into_parts();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status: head.status.as_u16(), headers: head.headers, json }
}

pub(crate) async fn refresh(aurora: &Aurora, token: &str) -> Answer {
    let body = serde_json::json!({ "refresh_token": token });
    call(aurora, "POST", "/token?grant_type=refresh_token", None, body).await
}

pub(crate) async fn sign_up(aurora: &Aurora, email: &str) -> Answer {
    call(aurora, "POST", "/signup", None, serde_json::json!({ "email": email, "password": PASSWORD })).await
}

pub(crate) async fn sign_in(aurora: &Aurora, email: &str, password: &str) -> Answer {
    let body = serde_json::json!({ "email": email, "password": password });
    call(aurora, "POST", "/token?grant_type=password", None, body).await
}

pub(crate) async fn admits(aurora: &Aurora, token: &str) -> bool {
    aurora.auth().sessions().admit(token).await.is_ok()
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text)
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.into_string().unwrap())
}

/// Numbers from a seed: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    /// From `AURORA_SEED`, or from anywhere; printed, so that a failure can be run again.
    pub(crate) fn new(what: &str) -> Self {
        let seed = variable("AURORA_SEED").map_or_else(seed, |text| text.parse().unwrap());
        println!("{what}: AURORA_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// How often a crash test crashes.
pub(crate) fn rounds() -> u64 {
    variable("AURORA_ROUNDS").map_or(30, |text| text.parse().unwrap())
}

/// The role this process has as somebody's child.
pub(crate) fn role() -> Option<String> {
    variable("AURORA_CHILD")
}

/// The folder that the parent gave.
pub(crate) fn given_folder() -> PathBuf {
    PathBuf::from(variable("AURORA_FOLDER").unwrap())
}

/// Tells the parent something, at once: what a killed process wrote before stays in the pipe.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A child: this test binary again, in a role.
pub(crate) struct Worker {
    child: Child,
    pub(crate) lines: Receiver<String>,
    input: Option<ChildStdin>,
}

impl Worker {
    pub(crate) fn start(role: &str, folder: &Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), role, folder)
    }

    /// Through a shell command that ends in `exec "$0" "$@"`.
    pub(crate) fn start_in_shell(command: &str, role: &str, folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).arg(std::env::current_exe().unwrap());
        Self::start_by(shell, role, folder)
    }

    pub(crate) fn start_by(mut command: Command, role: &str, folder: &Path) -> Self {
        command
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env("AURORA_CHILD", role)
            .env("AURORA_FOLDER", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                // A line that was cut by the kill has no end; `lines` gives it all the same, and no reader takes it.
                if let Some((_, said)) = line.split_once('@')
                    && sender.send(said.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, lines, input }
    }

    /// The next line, within half a minute.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).expect("the child says nothing")
    }

    pub(crate) fn expect(&self, wanted: &str) {
        let line = self.line();
        assert_eq!(line, wanted, "what the child said");
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.line()
    }

    /// SIGKILL, and all that it had said.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Lets it end by itself.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.input.take());
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the child does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(self.child.wait().unwrap().success(), "the child failed");
        self.lines.iter().collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The parent's words, line by line, until it closes the pipe.
pub(crate) fn heard() -> impl Iterator<Item = String> {
    std::io::stdin().lines().map_while(std::result::Result::ok)
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

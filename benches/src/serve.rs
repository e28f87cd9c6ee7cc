//! The servers under load, each a process of its own: Aurora's, and a bare axum handler with the same query.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aurora_axum::{Aurora, Database, Guarded, Profile};
use aurora_core::load::{Limits, Quota};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

use crate::data;

#[derive(serde::Serialize, sqlx::FromRow)]
struct Note {
    id: i64,
    title: String,
    body: String,
}

/// A server in a process of its own, stopped when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(kind: &str, folder: &Path, pinned: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve", kind, folder.to_str().unwrap(), if pinned { "pinned" } else { "free" }])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().expect("the server's port"), child }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        memory(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn memory(process: u32) -> u64 {
    told_of(process, "VmRSS:")
}

/// The most that it ever held.
pub(crate) fn peak(process: u32) -> u64 {
    told_of(process, "VmHWM:")
}

fn told_of(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The child's side of [`Server::start`].
pub(crate) fn child() {
    let arguments: Vec<String> = std::env::args().collect();
    let (kind, folder) = (arguments[2].clone(), arguments[3].clone());
    if arguments[4] == "pinned"
        && let Some(core) = core_affinity::get_core_ids().unwrap_or_default().last()
    {
        core_affinity::set_for_current(*core);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        match kind.as_str() {
            "aurora" => aurora(Path::new(&folder)).await,
            kind if crate::adapters::server(kind, Path::new(&folder)).await => {}
            kind if crate::files::server(kind, Path::new(&folder)).await => {}
            kind if crate::tls::server(kind, Path::new(&folder)).await => {}
            kind if crate::relational::serve(kind, Path::new(&folder)).await => {}
            _ => bare(Path::new(&folder)).await,
        }
    });
}

/// The quickstart's shape with limits out of the way: a flood comes from one address here.
pub(crate) async fn build(folder: &Path) -> Aurora {
    let path = folder.join("app.db");
    let fresh = !path.exists();
    if fresh {
        data::fill(&path).await;
    }
    let wide = Quota::new(1_000_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    (limits.request, limits.sign_up, limits.sign_in, limits.refresh) = (wide, wide, wide, wide);
    limits.guesses = wide;
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&format!("sqlite://{}", path.display())).unwrap())
        .policies("bench.sql", data::OWNER)
        .limits(limits)
        .configure(|settings| settings.passwords.queue = 600)
        .configure(|settings| settings.passwords.deadline = Duration::from_secs(60))
        .build()
        .await
        .unwrap()
}

async fn aurora(folder: &Path) {
    async fn notes(db: Guarded) -> aurora_axum::Result<Json<Vec<Note>>> {
        let rows =
            db.query_as("SELECT id, title, body FROM notes ORDER BY id DESC LIMIT 20").fetch_all().await?;
        Ok(Json(rows))
    }
    let aurora = build(folder).await;
    let app = aurora_axum::secure(&aurora, Router::new().route("/notes", get(notes))).public(Router::new());
    let port = free_port();
    say(port);
    aurora_axum::serve(app, SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
}

async fn bare(folder: &Path) {
    async fn notes(State((pool, owner)): State<(SqlitePool, String)>) -> Json<Vec<Note>> {
        let rows =
            sqlx::query_as("SELECT id, title, body FROM notes WHERE owner = ?1 ORDER BY id DESC LIMIT 20")
                .bind(owner)
                .fetch_all(&pool)
                .await
                .unwrap();
        Json(rows)
    }
    let options = SqliteConnectOptions::new().filename(folder.join("app.db")).read_only(true);
    let options = sqlx::ConnectOptions::disable_statement_logging(options);
    let cores = std::thread::available_parallelism().unwrap().get() as u32;
    let pool = SqlitePoolOptions::new()
        .max_connections(cores.max(4))
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .unwrap();
    let owner = std::fs::read_to_string(folder.join("owner")).unwrap();
    let app = Router::new().route("/notes", get(notes)).with_state((pool, owner));
    let port = free_port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    say(port);
    axum::serve(listener, app).await.unwrap();
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn say(port: u16) {
    println!("{port}");
    std::io::stdout().flush().unwrap();
}

/// Waits until the port answers.
pub(crate) async fn ready(port: u16) {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the server does not answer");
}

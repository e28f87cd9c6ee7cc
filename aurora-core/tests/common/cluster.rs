//! A PostgreSQL of a test's own, to kill.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::common::postgres;

pub(crate) struct Cluster {
    folder: PathBuf,
    /// A superuser's URL.
    url: String,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("aurora-faults-{}-{number}", std::process::id()));
        let output = Command::new(script()).arg("start").arg(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("export AURORA_TEST_POSTGRES=")).unwrap();
        Self { url: line.to_owned(), folder }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// kill -9, to the postmaster.
    pub(crate) fn kill(&self) {
        let lines = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let process = lines.lines().next().unwrap().to_owned();
        assert!(Command::new("kill").args(["-KILL", &process]).status().unwrap().success());
    }

    /// Starts it again, as its options stand in its own file. Until the last backend of the one before has noticed,
    /// that fails.
    pub(crate) fn again(&self) {
        let line = std::fs::read_to_string(self.data().join("postmaster.opts")).unwrap();
        // /usr/lib/postgresql/15/bin/postgres "-D" "..": every argument is quoted.
        let (program, options) = line.trim().split_once(" \"").unwrap();
        let words: Vec<&str> = options.trim_end_matches('"').split("\" \"").collect();
        let log = std::fs::OpenOptions::new().append(true).open(self.folder.join("server.log")).unwrap();
        let start = Instant::now();
        loop {
            let mut command = as_server(program);
            command.args(&words).stdout(Stdio::null()).stderr(log.try_clone().unwrap()).stdin(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(300));
            if child.try_wait().unwrap().is_none() {
                return;
            }
            if start.elapsed() > Duration::from_secs(30) {
                panic!("PostgreSQL does not start again: {}", self.said());
            }
        }
    }

    /// The end of its log.
    pub(crate) fn said(&self) -> String {
        let said = std::fs::read_to_string(self.folder.join("server.log")).unwrap();
        said[said.len().saturating_sub(2_000)..].to_owned()
    }

    fn programs() -> PathBuf {
        let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL: run scripts/test")
            .map(|one| one.unwrap().path().join("bin"))
            .collect();
        found.sort();
        found.pop().unwrap()
    }

    pub(crate) fn control(&self, arguments: &[&str]) {
        let mut command = as_server(Self::programs().join("pg_ctl").to_str().unwrap());
        let data = self.data();
        command.args(["-D", data.to_str().unwrap(), "-w", "-l"]).arg(self.folder.join("server.log"));
        assert!(command.args(arguments).stdout(Stdio::null()).status().unwrap().success(), "{arguments:?}");
    }

    pub(crate) async fn connection(&self) -> sqlx::PgConnection {
        use sqlx::Connection as _;
        for _ in 0..200 {
            if let Ok(connection) = sqlx::PgConnection::connect(&self.url).await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not come back: {}", self.said());
    }

    /// A database for a service, by its owner's URL. Acknowledged means written to the log, as in production.
    pub(crate) async fn database(&self) -> String {
        let mut superuser = self.connection().await;
        postgres::run(&mut superuser, "CREATE ROLE app LOGIN CREATEROLE PASSWORD 'app'").await;
        postgres::run(&mut superuser, "CREATE DATABASE app OWNER app").await;
        postgres::run(&mut superuser, "ALTER DATABASE app SET synchronous_commit = on").await;
        let (_, address) = self.url.split_once('@').unwrap();
        let (address, _) = address.split_once('/').unwrap();
        format!("postgres://app:app@{address}/app?sslmode=disable")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new(script()).arg("stop").arg(&self.folder).status();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/test-postgres")
}

/// PostgreSQL does not run as root.
fn as_server(program: &str) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    let mut command = Command::new(if root { "runuser" } else { program });
    if root {
        command.args(["-u", "postgres", "--", program]);
    }
    command.current_dir("/");
    command
}

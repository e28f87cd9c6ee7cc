//! A mail server that others wrote (`tests/smtp`), as a process of its own that can be killed and started again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing fixture fails the test"
)]
#![allow(unreachable_pub, reason = "a module of a test program")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for what should come.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    child: Child,
    pub port: u16,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    /// Starts one with these options and waits until it listens.
    pub fn start(options: &Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/smtp");
        assert!(
            folder.join("node_modules/smtp-server").exists(),
            "the mail server of the tests is not installed: run scripts/test, or `npm ci --ignore-scripts` in tests/smtp"
        );
        let mut child = Command::new("node")
            .arg("server.mjs")
            .arg(options.to_string())
            .current_dir(folder)
            // It ends when this end is closed, whatever becomes of the test.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js runs the mail server of the tests");
        let output = BufReader::new(child.stdout.take().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let began = Instant::now();
        let port = loop {
            let ready = seen.lock().unwrap().iter().find(|event: &&Value| event["event"] == "ready").cloned();
            if let Some(ready) = ready {
                break ready["port"].as_u64().unwrap().try_into().unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "the mail server did not start");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { child, port, seen }
    }

    /// One that takes everything in clear.
    pub fn plain() -> Self {
        Self::start(&json!({}))
    }

    /// The same again on the same port.
    pub fn again(port: u16) -> Self {
        Self::start(&json!({ "port": port }))
    }

    /// What happened of that kind.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.seen.lock().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
    }

    /// What arrived, as the parser read it.
    pub fn mails(&self) -> Vec<Value> {
        self.events("mail")
    }

    /// Waits until so many of that kind have happened. What is said of a mail may come after the answer to it.
    pub async fn wait(&self, kind: &str, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let events = self.events(kind);
            if events.len() >= count {
                return events;
            }
            assert!(began.elapsed() < PATIENCE, "{} of {count} `{kind}` came", events.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many of that kind there are when at least `count` have come, and what was said since had its time.
    pub async fn counted(&self, kind: &str, count: usize) -> usize {
        self.wait(kind, count).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.events(kind).len()
    }

    /// kill -9.
    pub fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server for `localhost` shows, who vouches for it, and somebody else's authority.
pub struct Certificates {
    pub authority: String,
    pub stranger: String,
    pub key: String,
    pub certificate: String,
}

/// Made once for each run.
pub fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("smtp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        let openssl = |arguments: &str| {
            let done = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(&folder)
                .output()
                .expect("openssl is installed");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        for name in ["authority", "stranger"] {
            openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} \
                 -addext basicConstraints=critical,CA:TRUE -keyout {name}.key -out {name}.pem"
            ));
        }
        openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout leaf.key -out leaf.csr",
        );
        openssl(
            "x509 -req -in leaf.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names \
             -out leaf.pem",
        );
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let made = Certificates {
            authority: read("authority.pem"),
            stranger: read("stranger.pem"),
            key: read("leaf.key"),
            certificate: read("leaf.pem"),
        };
        std::fs::remove_dir_all(&folder).unwrap();
        made
    })
}

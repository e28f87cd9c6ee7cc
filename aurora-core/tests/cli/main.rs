//! The command line as a host's program has it: every command on the quickstart's tables and policies, on both
//! engines, with a deliberate bug of each kind in the policy file.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it ran"
)]

#[path = "../common/postgres.rs"]
mod postgres;

mod check;
mod commands;
mod data;
mod explain;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_core::config::Profile;
use aurora_core::http::HostRoutes;
use aurora_core::{Aurora, Database, Migrations, cli};

use postgres::Place;

const POLICIES: &str = include_str!("../../../examples/quickstart/policies.sql");

const ANN: &str = "531d8831-8dd2-4b11-88f3-6f4626667cf0";

const BOB: &str = "731d8831-8dd2-4b11-88f3-6f4626667cf1";

/// The host's program: one run of it, with the command line that `AURORA_CLI` holds, an argument a line.
#[tokio::test]
#[ignore = "the host's program, started by the tests below"]
async fn host() {
    let Ok(arguments) = std::env::var("AURORA_CLI") else { return };
    let policies = std::fs::read_to_string(std::env::var("AURORA_CLI_POLICIES").unwrap()).unwrap();
    let builder = Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&std::env::var("AURORA_CLI_DATABASE").unwrap()).unwrap())
        .key_file(std::env::var("AURORA_CLI_KEY").unwrap())
        .migrations(Migrations {
            sqlite: sqlx::migrate!("../examples/quickstart/migrations/sqlite"),
            postgres: sqlx::migrate!("../examples/quickstart/migrations/postgres"),
        })
        .policies("policies.sql", &policies)
        .routes(
            HostRoutes::new()
                .private("DELETE", "/notes/{id}")
                .factor("aal2")
                .public("GET", "/public/notes")
                .limit("60/min by the proxy"),
        );
    // The table of `data.rs`.
    let builder = match policies.contains("patients") {
        true => builder.sealed(&data::DIAGNOSIS).personal_data("patients", "owner"),
        false => builder,
    };
    println!("\n<<<");
    let arguments = ["notes"].into_iter().chain(arguments.lines()).map(OsString::from);
    let outcome = cli::run_with(builder, arguments).await;
    match outcome {
        Ok(None) => println!(">>>done|||"),
        Ok(Some(aurora)) => {
            aurora.close().await;
            println!(">>>serves|||");
        }
        Err(error) => println!(">>>{error:?}|||"),
    }
}

/// A host with a database of its own.
struct Host {
    folder: PathBuf,
    url: String,
    place: Option<Place>,
}

impl Drop for Host {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("aurora-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What a run printed, and how it ended: `done`, `serves` or the error.
struct Said {
    text: String,
    end: String,
}

impl Host {
    fn on_sqlite() -> Self {
        let folder = folder();
        let url = format!("sqlite://{}", folder.join("notes.db").display());
        Self { folder, url, place: None }
    }

    async fn on_postgres() -> Self {
        let place = Place::new().await;
        Self { folder: folder(), url: place.owner_url(), place: Some(place) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn run(&self, policies: &str, arguments: &[&str]) -> Said {
        std::fs::write(self.path("policies.sql"), policies).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "host", "--nocapture", "--test-threads=1"])
            .env("AURORA_CLI", arguments.join("\n"))
            .env("AURORA_CLI_POLICIES", self.path("policies.sql"))
            .env("AURORA_CLI_DATABASE", &self.url)
            .env("AURORA_CLI_KEY", self.path("root.key"))
            .output()
            .unwrap();
        let all = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let (_, said) = all.split_once("<<<\n").unwrap_or_else(|| panic!("{all}\n{errors}"));
        let (text, end) = said.rsplit_once(">>>").unwrap_or_else(|| panic!("{all}\n{errors}"));
        let end = end.split("|||").next().unwrap_or_default().trim().to_owned();
        println!("$ notes {}\n{text}{end}\n", arguments.join(" "));
        Said { text: text.to_owned(), end }
    }

    /// Runs what must end well.
    fn ran(&self, policies: &str, arguments: &[&str]) -> String {
        let said = self.run(policies, arguments);
        assert_eq!(said.end, "done", "{arguments:?}: {}", said.text);
        said.text
    }

    /// Runs what must fail, with that in its error.
    fn fails(&self, policies: &str, arguments: &[&str], error: &str) -> String {
        let said = self.run(policies, arguments);
        assert!(said.end.contains(error), "{arguments:?} ended with {}, not {error}", said.end);
        said.text
    }
}

/// The line on which something that is added to the quickstart's policies stands.
fn added(text: &str) -> (String, usize) {
    let line = POLICIES.lines().count() + 1;
    (format!("{}\n{text}\n", POLICIES.trim_end()), line)
}

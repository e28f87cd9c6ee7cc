//! A throw-away PostgreSQL: the one that `AURORA_TEST_POSTGRES` names (a superuser's URL), or one of the bench's own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr as _;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::store::{IdentityBy, PostgresDatabase, PostgresOptions, PostgresOwner, identity_sql};
use aurora_core::types::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::data::Folder;
use crate::serve;

const OWNER: &str = "aurora_bench_owner";
const PASSWORD: &str = "owner-of-throw-away-databases";

/// A server, stopped when dropped if the bench started it.
pub(crate) struct Postgres {
    options: PgConnectOptions,
    own: Option<(PathBuf, Folder)>,
}

impl Postgres {
    /// Without fsync the disk's time, the same on both sides, hides nothing.
    pub(crate) fn start() -> Self {
        Self::started("off")
    }

    /// Where a commit is what is measured: it reaches the disk. A server from the environment has its own setting.
    pub(crate) fn durable() -> Self {
        Self::started("on")
    }

    fn started(fsync: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a bench takes its server from the environment")]
        let given = std::env::var("AURORA_TEST_POSTGRES");
        if let Ok(url) = given {
            let options = PgConnectOptions::from_str(&url).unwrap().disable_statement_logging();
            return Self { options, own: None };
        }
        let programs = std::fs::read_dir("/usr/lib/postgresql").map(|found| {
            let mut found: Vec<PathBuf> = found.map(|one| one.unwrap().path().join("bin")).collect();
            found.sort();
            found.pop()
        });
        let Ok(Some(programs)) = programs else {
            panic!("no PostgreSQL: install it or set AURORA_TEST_POSTGRES")
        };
        let folder = Folder::new("postgres");
        let data = folder.0.join("data");
        let port = serve::free_port();
        ran(Command::new("chmod").arg("777").arg(&folder.0));
        let place = data.to_str().unwrap();
        ran(as_user(&programs.join("initdb")).args([
            "-D",
            place,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]));
        let settings = format!(
            "-p {port} -k {} -c fsync={fsync} -c shared_buffers=256MB -c listen_addresses=127.0.0.1",
            folder.0.display()
        );
        let log = folder.0.join("log");
        ran(as_user(&programs.join("pg_ctl")).args([
            "-D",
            place,
            "-w",
            "-l",
            log.to_str().unwrap(),
            "-o",
            &settings,
            "start",
        ]));
        let options = PgConnectOptions::new().host("127.0.0.1").port(port).username("postgres");
        Self { options: options.disable_statement_logging(), own: Some((programs, folder)) }
    }

    pub(crate) async fn superuser(&self, database: &str) -> PgConnection {
        self.options.clone().database(database).connect().await.expect("the throw-away server answers")
    }

    /// Options for a login role of the server.
    pub(crate) fn login(&self, database: &str, role: &str, password: &str) -> PgConnectOptions {
        self.options.clone().database(database).username(role).password(password)
    }

    /// A database of that name, empty.
    pub(crate) async fn database(&self, name: &str, owner: &str) {
        let mut connection = self.superuser("postgres").await;
        run(&mut connection, &format!("DROP DATABASE IF EXISTS {name}")).await;
        run(&mut connection, &format!("CREATE DATABASE {name} OWNER {owner}")).await;
        connection.close().await.unwrap();
    }

    /// An empty database: its owner's URL.
    pub(crate) async fn owned(&self, name: &str) -> String {
        let mut connection = self.superuser("postgres").await;
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        run(&mut connection, &role).await;
        self.database(name, OWNER).await;
        let (host, port) = (self.options.get_host(), self.options.get_port());
        format!("postgres://{OWNER}:{PASSWORD}@{host}:{port}/{name}?sslmode=disable")
    }

    /// A database with Aurora's schema: its owner, and how the run role gets there.
    pub(crate) async fn aurora(&self, name: &str, identity: IdentityBy) -> (PostgresOwner, PostgresDatabase) {
        let owner = PostgresOwner::open(&self.owned(name).await).await.unwrap();
        owner.migrate(SystemClock.now()).await.unwrap();
        if identity == IdentityBy::Settings {
            run(&mut self.superuser(name).await, identity_sql(identity)).await;
        }
        let run_as = owner.make_run_role(&Secret::new("0123456789abcdef".to_owned())).await.unwrap();
        let options = PostgresOptions::default();
        let database = PostgresDatabase::connect(run_as.disable_statement_logging(), &options).await.unwrap();
        database.bind_identity(&|generation| [u8::try_from(generation).unwrap(); 32]).await.unwrap();
        (owner, database)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some((programs, folder)) = &self.own else { return };
        let place = folder.0.join("data");
        let _ = as_user(&programs.join("pg_ctl"))
            .args(["-D", place.to_str().unwrap(), "-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .status();
    }
}

pub(crate) async fn run(connection: &mut PgConnection, text: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{error}\n{text}"));
}

/// PostgreSQL does not run as root.
fn as_user(program: &PathBuf) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn ran(command: &mut Command) {
    let status = command.stdout(Stdio::null()).current_dir("/").status().unwrap();
    assert!(status.success(), "{command:?}");
}

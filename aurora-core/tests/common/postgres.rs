//! Databases of their own on the throw-away server that `scripts/test` starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failing fixture fails the test"
)]
#![allow(unreachable_pub, reason = "a module of several test programs")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

/// A superuser's URL of a server whose content may be lost.
pub const SERVER: &str = "AURORA_TEST_POSTGRES";
/// The role that owns every test database: no superuser.
pub const OWNER: &str = "aurora_test_owner";
pub const OWNER_PASSWORD: &str = "owner-of-throw-away-databases";

/// The server's URL. A missing server is a failure, never a skip.
pub fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!("{SERVER} is not set: run scripts/test, or name a throw-away server's superuser URL in it")
    })
}

pub async fn superuser(database: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(&server()).unwrap().database(database);
    options.disable_statement_logging().connect().await.expect("the throw-away server answers")
}

pub async fn run(connection: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap_or_else(|error| {
        panic!("{error}\n{text}");
    });
}

/// Drops the databases of test programs that have ended: hundreds of them would fill a small disk. Their names hold
/// the program's process id. Once in each program.
pub async fn sweep(connection: &mut PgConnection) {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::SeqCst) || !std::path::Path::new("/proc/self").exists() {
        return;
    }
    let names: Vec<(String,)> =
        sqlx::query_as("SELECT datname::text FROM pg_database WHERE NOT datistemplate")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    for (name,) in names {
        let process = ["aurora_", "guard_", "differential_"].iter().find_map(|kind| name.strip_prefix(kind));
        let process = process.and_then(|rest| rest.split('_').find_map(|part| part.parse::<u32>().ok()));
        if process.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()) {
            // Another program may be at the same.
            let text = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let _ = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await;
        }
    }
}

/// An empty database, owned by [`OWNER`].
#[derive(Clone, Debug)]
pub struct Place {
    pub name: String,
}

impl Place {
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("aurora_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        Self::named(name).await
    }

    pub async fn named(name: String) -> Self {
        let mut connection = superuser("postgres").await;
        sweep(&mut connection).await;
        let owner = format!(
            "DO $$ BEGIN CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{OWNER_PASSWORD}'; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        run(&mut connection, &owner).await;
        run(&mut connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        run(&mut connection, &format!("CREATE DATABASE {name} OWNER {OWNER}")).await;
        connection.close().await.unwrap();
        Self { name }
    }

    pub fn url(&self, role: &str, password: &str) -> String {
        let server = PgConnectOptions::from_str(&server()).unwrap();
        format!(
            "postgres://{role}:{password}@{}:{}/{}?sslmode=disable",
            server.get_host(),
            server.get_port(),
            self.name
        )
    }

    pub fn owner_url(&self) -> String {
        self.url(OWNER, OWNER_PASSWORD)
    }

    /// A login role of the test's own, with `attributes`.
    pub async fn role(&self, suffix: &str, attributes: &str) -> (String, String) {
        let role = format!("{}_{suffix}", self.name);
        let mut connection = superuser(&self.name).await;
        let text =
            format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN {attributes} PASSWORD 'run'");
        run(&mut connection, &text).await;
        connection.close().await.unwrap();
        (role.clone(), self.url(&role, "run"))
    }

    pub fn superuser_url(&self) -> String {
        let server = server();
        let (address, _) = server.rsplit_once('/').unwrap();
        format!("{address}/{}", self.name)
    }

    pub async fn superuser(&self) -> PgConnection {
        superuser(&self.name).await
    }
}

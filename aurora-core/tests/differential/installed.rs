//! Aurora's own PostgreSQL engine: the policies installed by Aurora, statements through the guard of a run role that
//! owns nothing, identity bound to its transaction.

use std::time::Duration;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::guard::{Guard, GuardOptions};
use aurora_core::policy::Policies;
use aurora_core::store::{PostgresDatabase, PostgresOptions, PostgresOwner};
use aurora_core::types::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, FromRow as _};

use super::answer::{Answer, Rows};
use super::cells::AnyRow;
use super::drive;
use super::postgres::{is_type, plain, writes};
use super::sqlite;
use super::statements::Script;
use super::tree::Engine;
use super::world::{Who, World};

const OWNER: &str = "aurora_differential_owner";
const PASSWORD: &str = "owner-of-throw-away-databases";

/// A database with Aurora's schema, kept for the whole run.
pub(crate) struct Place {
    admin: PgConnectOptions,
    name: String,
    /// Past every policy.
    plain: PgConnection,
    owner: PostgresOwner,
    run: PgConnectOptions,
}

/// One world in it.
pub(crate) struct Installed {
    guard: Guard,
    database: PostgresDatabase,
}

async fn run(connection: &mut PgConnection, text: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{error}\n{text}"));
}

impl Place {
    pub(crate) async fn new(url: &str) -> Self {
        let admin = plain(url);
        let mut first = admin.connect().await.unwrap();
        let name = format!("differential_aurora_{}", std::process::id());
        let role = format!(
            "SELECT pg_advisory_lock(4711); DO $$ BEGIN CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        run(&mut first, &role).await;
        let create = format!(
            "CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
        );
        run(&mut first, &create).await;
        let (host, port) = (admin.get_host().to_owned(), admin.get_port());
        let owner = format!("postgres://{OWNER}:{PASSWORD}@{host}:{port}/{name}?sslmode=disable");
        let owner = PostgresOwner::open(&owner).await.unwrap();
        owner.migrate(SystemClock.now()).await.unwrap();
        let run_as = owner.make_run_role(&Secret::new("0123456789abcdef".to_owned())).await.unwrap();
        first.close().await.unwrap();
        let mut plain = admin.clone().database(&name).connect().await.unwrap();
        run(&mut plain, "SET TimeZone = 'UTC'; SET client_min_messages = error").await;
        Self { admin, name, plain, owner, run: run_as.disable_statement_logging().options([("jit", "off")]) }
    }

    pub(crate) async fn open(&mut self, world: &World) -> Result<Installed, String> {
        let types = world.policies.iter().map(|policy| policy.text(Engine::Postgres));
        let types: String = types.filter(|text| is_type(text)).map(|text| format!("{text};")).collect();
        let script = format!(
            "BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION {OWNER}; SET LOCAL ROLE {OWNER};
             SET LOCAL search_path = public; {types}{}{} COMMIT;",
            world.schema(Engine::Postgres),
            world.data(Engine::Postgres)
        );
        run(&mut self.plain, &script).await;
        let policies =
            Policies::parse(&world.policy_text(), "policies.sql").map_err(|why| why.to_string())?;
        let mut options = PostgresOptions::default();
        (options.connections, options.store_connections) = (1, 1);
        let database = PostgresDatabase::connect(self.run.clone(), &options).await.unwrap();
        database.bind_identity(&|generation| [u8::try_from(generation).unwrap(); 32]).await.unwrap();
        let mut options = GuardOptions::default();
        options.statement_budget = Duration::from_secs(60);
        let guard = Guard::open_postgres(database.clone(), Some(&self.owner), &policies, options).await;
        guard.map(|guard| Installed { guard, database }).map_err(|error| error.message().to_owned())
    }

    /// Runs a script as somebody, and puts the rows back.
    pub(crate) async fn ask(&mut self, at: &Installed, world: &World, who: &Who, script: &Script) -> Answer {
        let handle = at.guard.guarded(sqlite::principal(who));
        let outcomes = drive::drive(&handle, script, Engine::Postgres).await;
        let mut content = None;
        if script.statements.iter().any(|statement| writes(&statement.text(Engine::Postgres))) {
            let mut tables = Vec::new();
            for sql in world.content() {
                let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.plain).await.unwrap();
                let found: Vec<AnyRow> = found.iter().map(|row| AnyRow::from_row(row).unwrap()).collect();
                tables.push(Rows { types: Vec::new(), rows: found.into_iter().map(|row| row.0).collect() });
            }
            content = Some(tables);
            let names: Vec<&str> = world.tables.iter().map(|table| table.name.as_str()).collect();
            // DELETE, as tables this small are emptied sooner by it than by TRUNCATE; children come first.
            let deletes: String = names.iter().map(|name| format!("DELETE FROM {name};")).collect();
            run(&mut self.plain, &format!("BEGIN; {deletes}{} COMMIT;", world.data(Engine::Postgres))).await;
        }
        Answer { outcomes, content }
    }

    /// The world with its rows in the order in which they lie here: some took the room that others left.
    pub(crate) async fn as_it_lies(&mut self, world: &World) -> World {
        let mut placed = Vec::new();
        for (table, row) in &world.rows {
            let of = &world.tables[*table];
            let literal = |at: usize| row[at].literal(of.columns[at].of, Engine::Postgres);
            let key: Vec<String> =
                of.key.iter().map(|at| format!("{} = {}", of.columns[*at].name, literal(*at))).collect();
            let place = format!("SELECT ctid::text FROM {} WHERE {}", of.name, key.join(" AND "));
            let place: String =
                sqlx::query_scalar(AssertSqlSafe(place)).fetch_one(&mut self.plain).await.unwrap();
            let (block, offset) = place.trim_matches(['(', ')']).split_once(',').unwrap();
            let at: (u32, u32) = (block.parse().unwrap(), offset.parse().unwrap());
            placed.push((*table, at, row.clone()));
        }
        placed.sort_by_key(|(table, at, _)| (*table, *at));
        World { rows: placed.into_iter().map(|(table, _, row)| (table, row)).collect(), ..world.clone() }
    }

    pub(crate) async fn close(self) {
        self.plain.close().await.unwrap();
        self.owner.close().await;
        let mut admin = self.admin.connect().await.unwrap();
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

impl Installed {
    pub(crate) async fn close(self) {
        drop(self.guard);
        self.database.close().await;
    }
}

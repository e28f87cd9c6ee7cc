//! The referee: a real PostgreSQL with bare row level security, the policy text as written, and identity the plain
//! way, by `SET LOCAL ROLE` and `request.jwt.claims`. Nothing of Aurora's runs here.

use std::str::FromStr as _;

use futures_util::StreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Either, Row as _, TypeInfo as _,
    ValueRef as _,
};

use super::answer::{Answer, Cell, Outcome, Rows};
use super::statements::Script;
use super::tree::{Engine, Node};
use super::world::{Who, World};

pub(crate) struct Postgres {
    conn: PgConnection,
    admin: PgConnectOptions,
    database: String,
    stopped: Stopped,
    prepared: usize,
}

type Failure = (String, String);

/// The policy statement that failed, and the character in it or in the body of its function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopped {
    pub(crate) statement: usize,
    pub(crate) position: usize,
    pub(crate) body: Option<String>,
}

/// In the place of an SQLSTATE: the schema or its rows did not load, and nothing was tested.
pub(crate) const SCHEMA: &str = "schema";

/// What Supabase's functions of these names do.
const AUTH: &str = "
CREATE SCHEMA auth;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
  AS $$ SELECT coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'sub')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'role' $$;
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'email' $$;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
";

/// What Supabase's functions of these names do.
const STORAGE: &str = "CREATE SCHEMA storage;
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE _parts text[]; BEGIN select string_to_array(name, '/') into _parts;
return _parts[1:array_length(_parts,1)-1]; END $$;
CREATE FUNCTION storage.filename(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE _parts text[]; BEGIN select string_to_array(name, '/') into _parts;
return _parts[array_length(_parts,1)]; END $$;
CREATE FUNCTION storage.extension(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE _parts text[]; _filename text; BEGIN select string_to_array(name, '/') into _parts;
select _parts[array_length(_parts,1)] into _filename; return reverse(split_part(reverse(_filename), '.', 1)); END $$;
GRANT USAGE ON SCHEMA storage TO PUBLIC;
";

/// Roles belong to the server: whoever starts at the same moment waits.
const ROLES: &str = "SELECT pg_advisory_xact_lock(7308895); DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN CREATE ROLE anon NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN CREATE ROLE authenticated NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
    CREATE ROLE service_role NOLOGIN BYPASSRLS; END IF;
END $$";

fn failure(error: &sqlx::Error) -> Failure {
    match error.as_database_error() {
        Some(error) => (error.code().unwrap_or_default().into_owned(), error.message().to_owned()),
        None => ("?".to_owned(), error.to_string()),
    }
}

fn rows(rows: &[PgRow]) -> Rows {
    let types = rows
        .first()
        .map(|row| row.columns().iter().map(|column| column.type_info().name().to_uppercase()).collect())
        .unwrap_or_default();
    let cell = |row: &PgRow, at: usize| {
        let value = row.try_get_raw(at).unwrap();
        if value.is_null() { Cell::Null } else { Cell::Text(value.as_str().unwrap().to_owned()) }
    };
    let rows = rows.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect()).collect();
    Rows { types, rows }
}

/// Without compiling expressions: what a planner thinks costly may take it seconds over a handful of rows.
pub(crate) fn plain(url: &str) -> PgConnectOptions {
    PgConnectOptions::from_str(url).unwrap().disable_statement_logging().options([("jit", "off")])
}

impl Postgres {
    /// A database of its own on the server of `url`, whose role is a superuser.
    pub(crate) async fn new(url: &str) -> Self {
        let admin = plain(url);
        let mut first = admin.connect().await.unwrap_or_else(|error| panic!("AURORA_TEST_POSTGRES: {error}"));
        let database = format!("differential_{}_{}", std::process::id(), number());
        run(&mut first, ROLES).await.unwrap();
        let create = format!(
            "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
        );
        run(&mut first, &create).await.unwrap();
        let mut conn = admin.clone().database(&database).connect().await.unwrap();
        run(&mut conn, AUTH).await.unwrap();
        run(&mut conn, STORAGE).await.unwrap();
        run(&mut conn, "SET TimeZone = 'UTC'; SET client_min_messages = error").await.unwrap();
        let (version,): (String,) = sqlx::query_as("SHOW server_version").fetch_one(&mut conn).await.unwrap();
        println!("PostgreSQL {version}");
        Self { conn, admin, database, stopped: Stopped::default(), prepared: 0 }
    }

    pub(crate) async fn close(self) {
        self.conn.close().await.unwrap();
        let mut admin = self.admin.connect().await.unwrap();
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await.unwrap();
    }

    /// Schema, rows and policies; the first policy statement that PostgreSQL refuses.
    pub(crate) async fn open(&mut self, world: &World) -> Result<(), Failure> {
        let mut script = String::from("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;");
        script.push_str("GRANT USAGE ON SCHEMA public TO PUBLIC;");
        for schema in &world.schemas {
            script.push_str(&format!(
                "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO PUBLIC;"
            ));
        }
        for policy in world.policies.iter().filter(|policy| is_type(&policy.text(Engine::Postgres))) {
            script.push_str(&policy.text(Engine::Postgres));
            script.push(';');
        }
        script.push_str(&world.schema(Engine::Postgres));
        script.push_str(&world.data(Engine::Postgres));
        script.push_str("GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;");
        let script = format!("BEGIN; {script} COMMIT;");
        if let Err(error) = run(&mut self.conn, &script).await {
            run(&mut self.conn, "ROLLBACK").await.unwrap();
            return Err((SCHEMA.to_owned(), format!("{error}: {script}")));
        }
        for (at, policy) in world.policies.iter().enumerate() {
            let text = policy.text(Engine::Postgres);
            if !is_type(&text)
                && let Err(error) = run(&mut self.conn, &text).await
            {
                self.stopped = stopped(at, &error);
                return Err(failure(&error));
            }
        }
        Ok(())
    }

    /// Where [`open`](Self::open) failed.
    pub(crate) fn stopped(&self) -> Stopped {
        self.stopped.clone()
    }

    /// Whether each condition is true of some row and not of another, whoever asks.
    pub(crate) async fn decides(&mut self, world: &World, conditions: &[String]) -> bool {
        let table = &world.tables[0].name;
        for condition in conditions {
            let (mut passes, mut fails) = (0, 0);
            for who in &world.who {
                let (mut tenant, claims) = (who.tenant.unwrap_or_default().to_owned(), &who.claims);
                tenant.retain(|c| c != '\'');
                let role = if who.user.is_some() { "authenticated" } else { "anon" };
                let sql = format!(
                    "BEGIN; SELECT set_config('request.jwt.claims', '{claims}', true), \
                     set_config('app.tenant_id', '{tenant}', true), set_config('app.current_tenant', '{tenant}', true), \
                     set_config('app.role', '{role}', true); \
                     SELECT count(*) FILTER (WHERE {condition}), count(*) FILTER (WHERE ({condition}) IS NOT TRUE) FROM {table}"
                );
                let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.conn).await;
                run(&mut self.conn, "ROLLBACK").await.unwrap();
                let Ok(found) = found else { return false };
                let counts = rows(&found[found.len() - 1..]);
                let number = |at: usize| match &counts.rows[0][at] {
                    Cell::Text(text) => text.parse::<u64>().unwrap(),
                    _ => 0,
                };
                passes += number(0);
                fails += number(1);
            }
            if passes == 0 || fails == 0 {
                return false;
            }
        }
        true
    }

    /// Whether PostgreSQL takes one more policy, and every table can be spoken of with it; it is not kept.
    pub(crate) async fn takes(&mut self, world: &World, policy: &str) -> Result<(), Failure> {
        run(&mut self.conn, "BEGIN").await.unwrap();
        let taken = run(&mut self.conn, policy).await;
        let circle = taken.is_ok() && self.recurses(world).await;
        run(&mut self.conn, "ROLLBACK").await.unwrap();
        if circle {
            return Err(("42P17".to_owned(), "infinite recursion".to_owned()));
        }
        taken.map_err(|error| failure(&error))
    }

    /// Runs a script as somebody; nothing of it stays.
    pub(crate) async fn ask(&mut self, world: &World, who: &Who, script: &Script) -> Answer {
        let role = if who.user.is_some() { "authenticated" } else { "anon" };
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let tenant = quoted(who.tenant.unwrap_or_default());
        let become_them = format!(
            "BEGIN; SAVEPOINT start; SET LOCAL ROLE {role}; SELECT set_config('request.jwt.claims', {}, true), \
             set_config('app.tenant_id', {tenant}, true), set_config('app.current_tenant', {tenant}, true)",
            quoted(&who.claims),
        );
        run(&mut self.conn, &become_them).await.unwrap();
        let mut outcomes = Vec::new();
        for statement in &script.statements {
            outcomes.push(self.statement(statement, script.bound).await);
        }
        let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(..)));
        let writes = script.statements.iter().any(|statement| writes(&statement.text(Engine::Postgres)));
        let mut content = None;
        if writes {
            let undo = if failed || script.transaction == Some(false) { "ROLLBACK TO start;" } else { "" };
            let look = format!("{undo} RESET ROLE; {}", world.content().join(";"));
            content = Some(self.many(&look).await);
        }
        run(&mut self.conn, if script.bound { "ROLLBACK; DEALLOCATE ALL" } else { "ROLLBACK" })
            .await
            .unwrap();
        if let (Some(true), true) = (script.transaction, failed) {
            outcomes.push(Outcome::Failed("25P02".to_owned(), "COMMIT of a failed transaction".to_owned()));
        }
        Answer { outcomes, content }
    }

    async fn statement(&mut self, statement: &Node, bound: bool) -> Outcome {
        let text = statement.text(Engine::Postgres);
        let (with, values) = statement.bound(Engine::Postgres);
        if !bound || values.is_empty() {
            return self.one(&text, &text).await;
        }
        let types: Vec<&str> = values.iter().map(|(_, of)| of.bound_as().0).collect();
        let literals: Vec<String> =
            values.iter().map(|(value, of)| value.literal(*of, Engine::Postgres)).collect();
        self.prepared += 1;
        let name = format!("bound_{}", self.prepared);
        let prepare = format!("PREPARE {name} ({}) AS {with}", types.join(", "));
        if let Err(error) = run(&mut self.conn, &prepare).await {
            let (state, said) = failure(&error);
            return Outcome::Failed(state, said);
        }
        self.one(&format!("EXECUTE {name} ({})", literals.join(", ")), &text).await
    }

    /// `like` says what kind of statement it is.
    async fn one(&mut self, sql: &str, like: &str) -> Outcome {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(&mut self.conn);
        let (mut found, mut affected) = (Vec::new(), 0);
        while let Some(step) = stream.next().await {
            match step {
                Ok(Either::Left(done)) => affected = done.rows_affected(),
                Ok(Either::Right(row)) => found.push(row),
                Err(error) => {
                    let (state, message) = failure(&error);
                    return Outcome::Failed(state, message);
                }
            }
        }
        if writes(like) && !like.contains(" RETURNING ") {
            Outcome::Affected(affected)
        } else {
            Outcome::Rows(rows(&found))
        }
    }

    /// The rows of each SELECT among several statements.
    async fn many(&mut self, sql: &str) -> Vec<Rows> {
        let selects = sql.matches("SELECT * FROM").count();
        let mut all = Vec::new();
        {
            let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(&mut self.conn);
            let mut found = Vec::new();
            while let Some(step) = stream.next().await {
                match step.unwrap() {
                    Either::Left(_) => all.push(rows(&std::mem::take(&mut found))),
                    Either::Right(row) => found.push(row),
                }
            }
        }
        all.split_off(all.len() - selects)
    }

    /// Whether any statement of anybody's runs into a circle of policies.
    async fn recurses(&mut self, world: &World) -> bool {
        for role in ["anon", "authenticated"] {
            for table in &world.tables {
                let name = &table.name;
                for statement in [
                    format!("SELECT 1 FROM {name}"),
                    format!("INSERT INTO {name} DEFAULT VALUES"),
                    format!("UPDATE {name} SET id = NULL"),
                    format!("DELETE FROM {name}"),
                ] {
                    let script = format!("SAVEPOINT asked; SET LOCAL ROLE {role}; EXPLAIN {statement}");
                    let outcome = run(&mut self.conn, &script).await;
                    run(&mut self.conn, "ROLLBACK TO asked").await.unwrap();
                    if outcome.is_err_and(|error| failure(&error).0 == "42P17") {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether the policies that are there run into a circle.
    pub(crate) async fn has_circles(&mut self, world: &World) -> bool {
        run(&mut self.conn, "BEGIN").await.unwrap();
        let found = self.recurses(world).await;
        run(&mut self.conn, "ROLLBACK").await.unwrap();
        found
    }
}

fn stopped(statement: usize, error: &sqlx::Error) -> Stopped {
    use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
    let known = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    match known.and_then(PgDatabaseError::position) {
        Some(PgErrorPosition::Original(position)) => Stopped { statement, position, body: None },
        Some(PgErrorPosition::Internal { position, query }) => {
            Stopped { statement, position, body: Some(query.to_owned()) }
        }
        None => Stopped { statement, ..Stopped::default() },
    }
}

pub(crate) fn is_type(text: &str) -> bool {
    text.starts_with("CREATE TYPE")
}

pub(crate) fn writes(sql: &str) -> bool {
    ["INSERT ", "UPDATE ", "DELETE "]
        .iter()
        .any(|word| sql.starts_with(word) || (sql.starts_with("WITH ") && sql.contains(word)))
}

async fn run(conn: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(|_| ())
}

fn number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

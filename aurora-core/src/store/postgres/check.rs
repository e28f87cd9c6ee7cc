//! What the server and the run role must be, asked before anything relies on them.

use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::failure;
use crate::types::{Code, Error, Result, quote};

/// Oldest server: `EXTRACT` answers exact numbers, and `public` is nobody's to create in.
const OLDEST: i32 = 150_000;
/// The first minor of each major without CVE-2026-14666: the cache of plans ignores that the role changed, and
/// with it the row policies.
const MENDED: [(i32, i32); 4] = [(15, 19), (16, 15), (17, 11), (18, 6)];

/// Everything that makes a role more than a run role may be, with its fix. Asks about every role that the session's
/// own one can become.
const EXCESSES: &str = r"
    WITH me AS (SELECT oid, rolname FROM pg_catalog.pg_roles WHERE rolname = session_user),
    reach AS (
        SELECT r.* FROM pg_catalog.pg_roles r, me
        WHERE r.oid = me.oid OR pg_catalog.pg_has_role(me.oid, r.oid, 'MEMBER')
    )
    SELECT 'superuser' AS what, rolname::text AS name FROM reach WHERE rolsuper
    UNION ALL SELECT 'bypassrls', rolname::text FROM reach WHERE rolbypassrls
    UNION ALL SELECT 'createrole', rolname::text FROM reach WHERE rolcreaterole
    UNION ALL SELECT 'replication', rolname::text FROM reach WHERE rolreplication
    UNION ALL SELECT 'member', reach.rolname::text FROM reach, me
        WHERE reach.oid <> me.oid AND (reach.rolname = 'service_role' OR reach.rolname LIKE 'pg\_%')
    UNION ALL SELECT 'inherits', reach.rolname::text FROM reach, me
        WHERE reach.oid <> me.oid AND pg_catalog.pg_has_role(me.oid, reach.oid, 'USAGE')
    UNION ALL SELECT 'owner of the database', d.datname::text FROM pg_catalog.pg_database d
        WHERE d.datname = pg_catalog.current_database() AND d.datdba IN (SELECT oid FROM reach)
    UNION ALL SELECT 'owner of the schema', n.nspname::text FROM pg_catalog.pg_namespace n
        WHERE n.nspowner IN (SELECT oid FROM reach) AND n.nspname NOT LIKE 'pg\_%'
    UNION ALL SELECT * FROM (SELECT 'owner of', c.oid::regclass::text FROM pg_catalog.pg_class c
        WHERE c.relowner IN (SELECT oid FROM reach) AND c.relpersistence <> 't'
        ORDER BY c.relname LIMIT 3) AS tables
    UNION ALL SELECT 'creates in', n.nspname::text FROM pg_catalog.pg_namespace n, me
        WHERE n.nspname = ANY($1) AND (
            pg_catalog.has_schema_privilege(me.oid, n.oid, 'CREATE')
            OR EXISTS (SELECT FROM reach WHERE pg_catalog.has_schema_privilege(reach.oid, n.oid, 'CREATE')))
    UNION ALL SELECT 'temporary', d.datname::text FROM pg_catalog.pg_database d
        WHERE d.datname = pg_catalog.current_database() AND EXISTS (SELECT FROM reach WHERE NOT rolsuper
            AND pg_catalog.has_database_privilege(reach.oid, d.oid, 'TEMPORARY'))
    UNION ALL SELECT 'cannot become', wanted FROM unnest(ARRAY['anon', 'authenticated', 'aurora_store',
        'aurora_service']) AS wanted WHERE wanted NOT IN (SELECT rolname FROM reach)";

/// Which of the views of identities believe settings: those that ask no key. Then who, of the roles that the session
/// can become, may call `set_config`, or what of PostgreSQL's own does the same under another name or runs text with
/// statements of its own (contrib's `xml2`).
const SETTINGS: &str = r"
    SELECT (SELECT array_agg(pg_catalog.pg_get_viewdef(c.oid) NOT LIKE '%identity_keys%')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'aurora' AND c.relkind = 'v' AND (c.relname = 'identity' OR c.relname LIKE 'as\_%')),
    (SELECT CASE WHEN pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE') THEN 'PUBLIC'
            ELSE r.rolname::text END || ' may call ' || p.oid::regprocedure::text
        FROM pg_catalog.pg_roles r, pg_catalog.pg_proc p
        WHERE p.prosrc IN ('set_config_by_name', 'xpath_table')
        AND (r.rolname = session_user OR pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER'))
        AND (r.rolname <> 'aurora_store' OR p.oid <> 'pg_catalog.set_config(text, text, boolean)'::regprocedure)
        AND pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE')
        ORDER BY 1 LIMIT 1),
    pg_catalog.has_function_privilege('pg_catalog.set_config(text, text, boolean)', 'EXECUTE')";

/// How old the server may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Vulnerable {
    Warn,
    Refuse,
}

/// Refuses a server before 15, and one with CVE-2026-14666 where it is to be refused.
pub(super) fn server(version: i32, vulnerable: Vulnerable) -> Result<()> {
    let (major, minor) = (version / 10_000, version % 10_000);
    if version < OLDEST {
        let text = format!("the server is PostgreSQL {major}; upgrade it to PostgreSQL 15 or newer");
        return Err(Error::new(Code::Configuration, text));
    }
    let Some((_, first)) = MENDED.iter().find(|(mended, _)| *mended == major) else { return Ok(()) };
    if minor >= *first {
        return Ok(());
    }
    let text = format!(
        "PostgreSQL {major}.{minor} has CVE-2026-14666: a cached plan keeps the row policies of another role; \
         upgrade the server to {major}.{first} or newer"
    );
    match vulnerable {
        Vulnerable::Warn => {
            tracing::warn!("{text}");
            Ok(())
        }
        Vulnerable::Refuse => Err(Error::new(
            Code::Configuration,
            format!("{text}, or accept it by `accept_vulnerable_server`"),
        )),
    }
}

/// The server's version, as a number: 150018.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i32> {
    sqlx::query_scalar("SELECT pg_catalog.current_setting('server_version_num')::integer")
        .fetch_one(connection)
        .await
        .map_err(failure)
}

/// Refuses a role that could do more than act as somebody.
pub(super) async fn run_role(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
    schemas: &[String],
) -> Result<()> {
    let found = sqlx::query(EXCESSES).bind(schemas.to_vec()).fetch_all(connection).await.map_err(failure)?;
    let role = options.get_username();
    let mut lines = Vec::new();
    for row in &found {
        let (what, name): (String, String) =
            (row.try_get(0).map_err(failure)?, row.try_get(1).map_err(failure)?);
        lines.push(format!("  - {}", excess(role, &what, &name)));
    }
    if lines.is_empty() {
        return Ok(());
    }
    let text = format!("the role `{role}` cannot run Aurora:\n{}", lines.join("\n"));
    Err(Error::new(Code::Configuration, text))
}

/// Whether identities are believed because `set_config` is revoked. Refuses the one without the other.
pub(super) async fn settings_are_believed(connection: &mut PgConnection) -> Result<bool> {
    let row = sqlx::query(SETTINGS).fetch_one(connection).await.map_err(failure)?;
    let views: Option<Vec<bool>> = row.try_get(0).map_err(failure)?;
    let (caller, callable): (Option<String>, bool) =
        (row.try_get(1).map_err(failure)?, row.try_get(2).map_err(failure)?);
    let views = views.unwrap_or_default();
    let text = match (views.contains(&true), views.contains(&false), caller) {
        (false, _, _) if callable => return Ok(false),
        (false, _, _) => {
            "set_config is revoked, and identities are bound with it; let a superuser run what `setup \
             --print-sql --identity settings` prints, or grant it to PUBLIC again"
                .to_owned()
        }
        (true, false, None) => return Ok(true),
        (true, true, _) => {
            "some of the views of identities believe settings, and some do not; let a superuser run \
             what `setup --print-sql --identity mac` prints"
                .to_owned()
        }
        (true, false, Some(caller)) => format!(
            "the database believes settings, and {caller}; revoke it, or let a superuser go back with what `setup \
             --print-sql --identity mac` prints"
        ),
    };
    Err(Error::new(Code::Configuration, text))
}

fn excess(role: &str, what: &str, name: &str) -> String {
    let (quoted, other) = (quote(role), quote(name));
    let through = if role == name { "it".to_owned() } else { format!("it can become `{name}`, which") };
    match what {
        "superuser" => {
            format!(
                "{through} is a superuser, whom no policy holds; connect as a role of its own, see `setup`"
            )
        }
        "bypassrls" => format!("{through} skips row policies; ALTER ROLE {other} NOBYPASSRLS"),
        "createrole" => format!("{through} makes roles; ALTER ROLE {other} NOCREATEROLE"),
        "replication" => format!("{through} may copy the server; ALTER ROLE {other} NOREPLICATION"),
        "member" => {
            format!("it is a member of `{name}`, directly or through another; REVOKE {other} FROM {quoted}")
        }
        "inherits" => format!(
            "it has the rights of `{name}` without becoming it; ALTER ROLE {quoted} NOINHERIT, then REVOKE {other} \
             FROM {quoted} and GRANT {other} TO {quoted} again"
        ),
        "temporary" => format!(
            "it may make temporary tables, which outlive a transaction and hide others; as the database's owner: \
             REVOKE TEMPORARY ON DATABASE {other} FROM PUBLIC"
        ),
        "owner of the database" => {
            format!("it owns the database `{name}`; connect as a role that owns nothing")
        }
        "owner of the schema" => {
            format!("it owns the schema `{name}`; ALTER SCHEMA {other} OWNER TO another role")
        }
        "owner of" => format!("it owns `{name}`; ALTER TABLE {name} OWNER TO another role"),
        "creates in" => format!(
            "it may create objects in `{name}`; REVOKE CREATE ON SCHEMA {other} FROM PUBLIC, {quoted}"
        ),
        "cannot become" => {
            format!("it is no member of `{name}`; GRANT {other} TO {quoted}, or start with a migrate URL")
        }
        other => other.to_owned(),
    }
}

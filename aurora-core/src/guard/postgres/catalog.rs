//! What stands in the database: tables, policies and grants as `pg_catalog` has them.

use std::collections::BTreeSet;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};

use crate::policy::postgres::TableName;
use crate::policy::{Column, Index, Schema, Table};
use crate::types::{Error, Result};

/// Schemas that are not the host's.
macro_rules! host_schemas {
    () => {
        "n.nspname NOT IN ('information_schema', 'auth', 'aurora') AND n.nspname NOT LIKE 'pg\\_%'"
    };
}

const RELATIONS: &str = concat!(
    "SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
        EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
            WHERE option_name = 'security_invoker' AND option_value IN ('true', 'on', 'yes', '1'))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND ",
    host_schemas!(),
    " ORDER BY 1, 2"
);

const COLUMNS: &str = concat!(
    "SELECT n.nspname::text, c.relname::text, a.attname::text,
        CASE coalesce(b.typtype, t.typtype) WHEN 'e' THEN 'text'
            ELSE format_type(coalesce(b.oid, t.oid), NULL) END,
        a.attnotnull, a.attgenerated <> ''
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = NULLIF(t.typbasetype, 0)
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND ",
    host_schemas!(),
    " ORDER BY 1, 2, a.attnum"
);

const INDEXES: &str = concat!(
    "SELECT n.nspname::text, c.relname::text, x.relname::text, i.indisunique, i.indisprimary,
        i.indpred IS NOT NULL,
        ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, ord)
            LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
            ORDER BY k.ord)
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE i.indisvalid AND c.relpersistence <> 't' AND ",
    host_schemas!(),
    " ORDER BY 1, 2, 3"
);

const POLICIES: &str = concat!(
    "SELECT n.nspname::text, c.relname::text, p.polname::text, obj_description(p.oid, 'pg_policy'),
        concat_ws('|', p.polcmd, p.polpermissive,
            (SELECT string_agg(CASE r.oid WHEN 0 THEN 'public' ELSE pg_get_userbyid(r.oid)::text END, ',' ORDER BY r.oid)
             FROM unnest(p.polroles) AS r(oid)),
            'using ' || coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
            'check ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))
     FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE ",
    host_schemas!(),
    " ORDER BY 1, 2, 3"
);

const GRANTS: &str = concat!(
    "WITH held AS (
        SELECT c.oid, NULL::text AS col, a.grantee, a.privilege_type FROM pg_class c, aclexplode(c.relacl) AS a
        UNION ALL
        SELECT t.attrelid, t.attname::text, a.grantee, a.privilege_type
        FROM pg_attribute t, aclexplode(t.attacl) AS a WHERE NOT t.attisdropped)
     SELECT n.nspname::text, c.relname::text,
        CASE h.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(h.grantee)::text END, h.privilege_type, h.col
     FROM held h JOIN pg_class c ON c.oid = h.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE (h.grantee = 0 OR pg_get_userbyid(h.grantee) IN ('anon', 'authenticated', 'aurora_service'))
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ",
    host_schemas!()
);

const SEQUENCES: &str = concat!(
    "SELECT n.nspname::text, c.relname::text, format('%I.%I', sn.nspname, s.relname),
        ARRAY(SELECT r FROM unnest(ARRAY['anon', 'authenticated', 'aurora_service']) AS r
              WHERE has_sequence_privilege(r, s.oid, 'USAGE'))
     FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
     JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
        AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
     JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE s.relkind = 'S' AND ",
    host_schemas!()
);

const FUNCTIONS: &str = concat!(
    "SELECT n.nspname::text, p.proname::text, p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc'),
        pg_get_functiondef(p.oid)
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE p.prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        AND ",
    host_schemas!(),
    " ORDER BY 1, 2, 3"
);

const TYPES: &str = concat!(
    "SELECT n.nspname::text, t.typname::text,
        ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND ",
    host_schemas!()
);

const SCHEMAS: &str = concat!(
    "SELECT n.nspname::text,
        ARRAY(SELECT r FROM unnest(ARRAY['anon', 'authenticated', 'aurora_service']) AS r
              WHERE has_schema_privilege(r, n.oid, 'USAGE')),
        EXISTS (SELECT FROM unnest(ARRAY['anon', 'authenticated', 'aurora_service']) AS r
              WHERE has_schema_privilege(r, n.oid, 'CREATE'))
     FROM pg_namespace n WHERE ",
    host_schemas!()
);

/// What the database holds of the host's.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) relations: Vec<Relation>,
    pub(super) functions: Vec<LiveFunction>,
    pub(super) types: Vec<(TableName, Vec<String>)>,
    pub(super) schemas: Vec<LiveSchema>,
    pub(super) schema: Schema,
}

/// A table, a view, or what else rows are read from.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) name: TableName,
    /// As `pg_class.relkind` has it.
    pub(super) kind: String,
    pub(super) row_security: bool,
    pub(super) security_invoker: bool,
    pub(super) policies: Vec<LivePolicy>,
    pub(super) held: BTreeSet<LiveGrant>,
    pub(super) sequences: Vec<(String, BTreeSet<String>)>,
}

impl Relation {
    /// A table, partitioned or not: row policies stand nowhere else.
    pub(super) fn carries_policies(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p")
    }
}

#[derive(Debug)]
pub(super) struct LivePolicy {
    pub(super) name: String,
    pub(super) comment: Option<String>,
    /// All that decides what it means, as PostgreSQL prints it.
    pub(super) definition: String,
}

/// Role, privilege, column.
pub(super) type LiveGrant = (String, String, Option<String>);

#[derive(Debug)]
pub(super) struct LiveFunction {
    pub(super) name: TableName,
    pub(super) signature: String,
    pub(super) comment: Option<String>,
    pub(super) definition: String,
}

#[derive(Debug)]
pub(super) struct LiveSchema {
    pub(super) name: String,
    pub(super) usage: BTreeSet<String>,
    pub(super) create: bool,
}

type Columns = (String, String, String, String, bool, bool);
type Indexed = (String, String, String, bool, bool, bool, Vec<Option<String>>);

/// The tables of a PostgreSQL database as policies see them.
pub(crate) async fn schema_on_postgres(connection: &mut PgConnection) -> Result<Schema> {
    let mut transaction = sqlx::Connection::begin(connection).await.map_err(failed)?;
    let live = Live::read(&mut transaction).await?;
    transaction.rollback().await.map_err(failed)?;
    Ok(live.schema)
}

impl Live {
    /// Reads the catalog, within a transaction.
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self> {
        // Expressions print names with their schema where the path does not hold it.
        let path = "SET LOCAL search_path = pg_catalog, pg_temp";
        sqlx::raw_sql(path).execute(&mut *connection).await.map_err(failed)?;
        let mut live = Self::default();
        for row in rows::<(String, String, String, bool, bool)>(connection, RELATIONS).await? {
            let (schema, name, kind, row_security, security_invoker) = row;
            live.relations.push(Relation {
                name: TableName { schema, name },
                kind,
                row_security,
                security_invoker,
                policies: Vec::new(),
                held: BTreeSet::new(),
                sequences: Vec::new(),
            });
        }
        type Described = (String, String, String, Option<String>, String);
        for (schema, table, name, comment, definition) in rows::<Described>(connection, POLICIES).await? {
            if let Some(relation) = live.relation(&schema, &table) {
                relation.policies.push(LivePolicy { name, comment, definition });
            }
        }
        type Grant = (String, String, String, String, Option<String>);
        for (schema, table, role, privilege, column) in rows::<Grant>(connection, GRANTS).await? {
            if let Some(relation) = live.relation(&schema, &table) {
                relation.held.insert((role, privilege, column));
            }
        }
        for (schema, table, sequence, usage) in
            rows::<(String, String, String, Vec<String>)>(connection, SEQUENCES).await?
        {
            if let Some(relation) = live.relation(&schema, &table) {
                relation.sequences.push((sequence, usage.into_iter().collect()));
            }
        }
        for (schema, name, signature, comment, definition) in
            rows::<(String, String, String, Option<String>, String)>(connection, FUNCTIONS).await?
        {
            live.functions.push(LiveFunction {
                name: TableName { schema, name },
                signature,
                comment,
                definition,
            });
        }
        for (schema, name, labels) in rows::<(String, String, Vec<String>)>(connection, TYPES).await? {
            live.types.push((TableName { schema, name }, labels));
        }
        for (name, usage, create) in rows::<(String, Vec<String>, bool)>(connection, SCHEMAS).await? {
            live.schemas.push(LiveSchema { name, usage: usage.into_iter().collect(), create });
        }
        live.schema = schema(connection).await?;
        Ok(live)
    }

    fn relation(&mut self, schema: &str, name: &str) -> Option<&mut Relation> {
        self.relations
            .iter_mut()
            .find(|relation| relation.name.schema == schema && relation.name.name == name)
    }
}

/// The tables as policies are checked against them.
async fn schema(connection: &mut PgConnection) -> Result<Schema> {
    let mut schema = Schema::default();
    for (namespace, table, name, kind, not_null, generated) in rows::<Columns>(connection, COLUMNS).await? {
        let joined = TableName { schema: namespace, name: table }.joined();
        if schema.tables.last().is_none_or(|last| last.name != joined) {
            schema.tables.push(Table::new(joined, Vec::new()));
        }
        if let Some(last) = schema.tables.last_mut() {
            last.columns.push(Column { not_null, generated, ..Column::new(name, kind) });
        }
    }
    for (namespace, table, name, unique, primary, partial, columns) in
        rows::<Indexed>(connection, INDEXES).await?
    {
        let joined = TableName { schema: namespace, name: table }.joined();
        let Some(table) = schema.tables.iter_mut().find(|known| known.name == joined) else { continue };
        let plain: Vec<String> = columns.iter().flatten().cloned().collect();
        if primary {
            table.primary_key = plain;
        } else if unique && !partial && plain.len() == columns.len() {
            table.unique.push(plain);
        }
        table.indexes.push(Index { name, columns, partial, unique });
    }
    Ok(schema)
}

async fn rows<T>(connection: &mut PgConnection, sql: &'static str) -> Result<Vec<T>>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    // Not kept prepared: this runs at start, and a pooler may stand between.
    let found = sqlx::query(sql).persistent(false).fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| T::from_row(row).map_err(failed)).collect()
}

fn failed(error: sqlx::Error) -> Error {
    Error::internal(format!("the catalog cannot be read: {error}"))
}

/// Takes turns with every other process that installs policies here, until the transaction ends.
pub(super) async fn take_turns(connection: &mut PgConnection) -> Result<()> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('aurora policies', 0))");
    let row = lock.persistent(false).fetch_one(connection).await.map_err(failed)?;
    row.try_get_raw(0).map_err(failed)?;
    Ok(())
}

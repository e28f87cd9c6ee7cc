//! Expressions of policies against the same expressions on PostgreSQL: true, false, NULL or the error's SQLSTATE, on
//! each of a few rows.
//!
//! `AURORA_TEST_POSTGRES` names a database that may be written to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

use std::sync::Arc;
use std::time::Duration;

use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::guard::{Guard, GuardOptions};
use aurora_core::policy::Policies;
use aurora_core::store::WriterLock;
use aurora_core::types::Principal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};

/// The columns on both sides, and the rows of each.
const COLUMNS: [(&str, &str, &str); 11] = [
    ("id", "bigint", "INTEGER PRIMARY KEY"),
    ("n", "bigint", "INTEGER"),
    ("t", "text", "TEXT"),
    ("u", "uuid", "TEXT"),
    ("b", "boolean", "BOOLEAN"),
    ("ts", "timestamptz", "TIMESTAMP"),
    ("d", "date", "DATE"),
    ("j", "jsonb", "JSON"),
    ("ta", "text[]", "TEXT[]"),
    ("ia", "bigint[]", "INTEGER[]"),
    ("role", "app_role", "app_role"),
];

const ROWS: [[&str; 11]; 4] = [
    [
        "1",
        "5",
        "'avatars/a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11/Me.PNG'",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "true",
        "'2024-01-31 22:13:20+00'",
        "'2024-01-31'",
        r#"'{"a":1,"b":"1","on":true,"none":null,"tags":["x","y"],"deep":{"k":[1,{"z":2}]}}'"#,
        "{a,b}",
        "{1,2,3}",
        "'admin'",
    ],
    [
        "2",
        "-7",
        "''",
        "NULL",
        "false",
        "'1969-12-31 23:59:59.5+00'",
        "'2023-02-28'",
        "'[1,\"x\",true,null]'",
        "{}",
        "{}",
        "'member'",
    ],
    [
        "3",
        "NULL",
        "'a%_\\x'",
        "'00000000-0000-4000-8000-00000000000a'",
        "NULL",
        "NULL",
        "NULL",
        "'\"x\"'",
        "{a,NULL,c}",
        "{NULL}",
        "NULL",
    ],
    [
        "4",
        "9223372036854775807",
        "'Äpfel 12'",
        "'ffffffff-ffff-4fff-8fff-ffffffffffff'",
        "true",
        "'2024-02-29 00:00:00+00'",
        "'2024-02-29'",
        "'12'",
        "NULL",
        "NULL",
        "'owner'",
    ],
];

const EXPRESSIONS: &[&str] = &[
    // Integers.
    "n + 1 > 5",
    "n * 2 = 10",
    "n / 2 = 2",
    "n % 3 = -1",
    "n / 0 = 1",
    "n % 0 = 1",
    "-n = 7",
    "abs(n) = 7",
    "n + 9223372036854775807 > 0",
    "n = '5'",
    "n BETWEEN -7 AND 5",
    "n IN (5, NULL)",
    "n NOT IN (5, 6)",
    "n::text = '5'",
    "n::int = 5",
    "n::smallint = 5",
    "n::int::boolean",
    "greatest(n, 3) = 5",
    "least(n, 3) = 3",
    "coalesce(n, 0) = 0",
    "nullif(n, 5) IS NULL",
    "n IS DISTINCT FROM 5",
    "n IS NOT DISTINCT FROM NULL",
    // Text.
    "t = ''",
    "t LIKE 'avatars/%'",
    "t LIKE 'a\\%\\_%'",
    "t LIKE 'a%\\'",
    "t ILIKE 'AVATARS/%'",
    "t LIKE '_pfel%'",
    "t NOT LIKE '%12'",
    "lower(t) LIKE 'äpfel%'",
    "upper(left(t, 1)) = 'Ä'",
    "length(t) = 8",
    "char_length(t) = 0",
    "split_part(t, '/', 2) = ''",
    "split_part(t, '/', -1) = 'Me.PNG'",
    "split_part(t, '/', 0) = ''",
    "split_part(t, '', 1) = t",
    "substring(t, 2, 3) = 'vat'",
    "substring(t from 2 for 3) = 'vat'",
    "substr(t, 0, 3) = 'av'",
    "substr(t, -1, 3) = 'a'",
    "substring(t, 2, -1) = ''",
    "left(t, -3) = 'Äpfel'",
    "right(t, 3) = ' 12'",
    "right(t, -6) = '12'",
    "replace(t, 'a', '') = 'vtrs'",
    "strpos(t, '/') = 8",
    "position('12' in t) = 7",
    "starts_with(t, 'ava')",
    "trim(t) = t",
    "btrim('xxaxx', 'x') = 'a'",
    "ltrim(' a ') = 'a '",
    "rtrim(' a ') = ' a'",
    "trim(both 'x' from 'xax') = 'a'",
    "concat(t, NULL, n) = '-7'",
    "concat_ws('-', t, 'z') = '-z'",
    "t || 'x' = 'x'",
    "'n' || n = 'n5'",
    "'b' || b = 'btrue'",
    "concat('b', b) = 'bt'",
    "t || NULL IS NULL",
    "t::int = 5",
    "t::uuid = u",
    "t::boolean",
    "t::bigint IS NULL",
    "'12'::int = 12",
    "'x' = ANY(string_to_array('x,y', ','))",
    "(string_to_array(t, '/'))[1] = 'avatars'",
    "(string_to_array(t, '/'))[9] IS NULL",
    // Regular expressions.
    "t ~ '^avatars/[0-9a-f]{8}-[0-9a-f]{4}'",
    "t ~ '^$'",
    "t ~ '.+'",
    "t ~* 'me\\.png$'",
    "t !~ '^A'",
    "t !~* '^ä'",
    "t ~ '(a|Ä)p'",
    "t ~ '[^a-z0-9/.-]'",
    "t ~ 'a{2,1}'",
    "t ~ '('",
    "t ~ '\\d{2}$'",
    "t ~ 'a*?b+?'",
    "t ~ '^(avatars|files)/'",
    "t ~ ('^' || 'avatars' || '/')",
    "t ~ '[]a]'",
    "t ~ '[a\\]%]'",
    // Uuids.
    "u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
    "u::text LIKE 'a0ee%'",
    "u IN ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, NULL)",
    "u <> '00000000-0000-4000-8000-00000000000a'::uuid",
    "split_part(t, '/', 2)::uuid = u",
    "CASE WHEN split_part(t, '/', 2) ~ '^[0-9a-f]{8}-' THEN split_part(t, '/', 2)::uuid END = u",
    // Booleans.
    "b",
    "NOT b",
    "b IS TRUE",
    "b IS NOT TRUE",
    "b IS FALSE",
    "b IS NOT FALSE",
    "b IS UNKNOWN",
    "b = false",
    "b <> true",
    "b::text = 'true'",
    "b::int = 1",
    "b IS DISTINCT FROM true",
    "b AND NULL",
    "b OR NULL",
    "(n > 0) = b",
    "b = ANY(ARRAY[true, NULL])",
    // Times.
    "ts > '2024-01-01 00:00:00+00'",
    "ts + interval '1 month' = '2024-02-29 22:13:20+00'",
    "ts - interval '7 days 2 hours' < '2024-01-25 00:00:00+00'",
    "ts + interval '1 year 2 mons -3 days' > '2025-03-28 00:00:00+00'",
    "ts - ts = interval '0'",
    "ts - '2024-01-30 22:13:20+00'::timestamptz = interval '24 hours'",
    "'2024-03-01'::timestamptz - ts < interval '1 month'",
    "ts::date = d",
    "d + 1 = '2024-03-01'::date",
    "d - '2024-01-01'::date = 30",
    "d > '2023-12-31'",
    "d = ts::date",
    "d < ts",
    "date_part('year', ts) = 2024",
    "extract(month from ts) = 2",
    "extract(dow from d) = 3",
    "extract(isodow from ts) = 3",
    "date_part('hour', ts) = 23",
    "date_part('quarter', ts) = 1",
    "date_trunc('month', ts) = '2024-02-01 00:00:00+00'",
    "date_trunc('week', ts) = '2024-01-29'",
    "date_trunc('day', ts) = ts",
    "date_trunc('hour', ts) <= ts",
    "d::text = '2023-02-28'",
    "d + interval '1 month' = '2024-02-29'",
    "ts + 2 * interval '1 day' > '2024-03-01'",
    "ts > now()",
    "now() - interval '100 years' < ts",
    "interval '1 mon' = interval '30 days'",
    "interval '1 day' * 3 > interval '71:59'",
    "- interval '1 day' < interval '0 days'",
    "'2024-01-31 22:13:20+02'::timestamptz < ts",
    "'nonsense'::text = t OR ts IS NULL",
    "greatest(ts, '2024-02-01'::timestamptz) = ts",
    "current_date > d",
    "ts BETWEEN '2024-01-01' AND '2024-12-31'",
    // jsonb.
    "j ->> 'a' = '1'",
    "j -> 'a' = '1'",
    "j ->> 'on' = 'true'",
    "j ->> 'none' IS NULL",
    "j -> 'none' IS NULL",
    "j -> 'none' = 'null'",
    "j ->> 'b' = '1'",
    "j -> 'tags' ->> 1 = 'y'",
    "j ->> 0 = '1'",
    "j ->> -1 IS NULL",
    "j -> 'deep' -> 'k' -> 1 ->> 'z' = '2'",
    "j #>> '{deep,k,1,z}' = '2'",
    "j #> '{tags}' = '[\"x\", \"y\"]'",
    "j #>> '{1}' = 'x'",
    "j #>> '{tags,-1}' = 'y'",
    "j @> '{\"a\": 1}'",
    "j @> '{\"deep\": {\"k\": [{\"z\": 2}]}}'",
    "j @> '[1]'",
    "j @> '1'",
    "j @> '\"x\"'",
    "j <@ '[1, \"x\", true, null, 5]'",
    "j ? 'a'",
    "j ? 'x'",
    "j ?| ARRAY['zz', 'tags']",
    "j ?& ARRAY['a', 'b']",
    "j ?& '{a,zz}'",
    "(j ->> 'a')::int = 1",
    "(j -> 'a')::int = 1",
    "(j -> 'on')::boolean",
    "(j -> 'b')::int = 1",
    "(j ->> 'b')::bigint > 0",
    "jsonb_typeof(j) = 'array'",
    "jsonb_typeof(j -> 'a') = 'number'",
    "jsonb_array_length(j) = 4",
    "jsonb_array_length(j -> 'tags') = 2",
    "j = '12'",
    "j <> '12'",
    "to_jsonb(n) = '5'",
    "to_jsonb(t) = '\"\"'",
    "j -> 'a' = to_jsonb(1)",
    "'x' = ANY(ARRAY['x', j ->> 'a'])",
    "(j ->> 'b') IN ('1', '2')",
    "j['a'] = '1'",
    "coalesce(j ->> 'zz', 'y') = 'y'",
    "j::text = '12'",
    // Arrays.
    "'a' = ANY(ta)",
    "'z' = ANY(ta)",
    "'a' <> ALL(ta)",
    "NULL = ANY(ta)",
    "NOT 'z' = ANY(ta)",
    "n = ANY(ia)",
    "3 > ANY(ia)",
    "3 > ALL(ia)",
    "2 <= ALL(ia)",
    "n = ANY('{5,-7}'::bigint[])",
    "n <> ALL('{5}')",
    "ta @> ARRAY['a']",
    "ta @> ARRAY[]::text[]",
    "ta <@ ARRAY['a', 'b', 'c']",
    "ta && ARRAY['b', 'c']",
    "ta @> '{a,NULL}'",
    "ta = ARRAY['a', 'b']",
    "ta <> '{}'",
    "cardinality(ta) = 2",
    "array_length(ta, 1) = 3",
    "array_length(ta, 1) IS NULL",
    "array_length(ta, 2) IS NULL",
    "ta[1] = 'a'",
    "ta[2] IS NULL",
    "ia[3] = 3",
    "ta[0] IS NULL",
    "ia @> '{1,2}'",
    "ARRAY[n] <@ ia",
    "'a' = ANY(coalesce(ta, '{a}'))",
    "t = ANY(ARRAY[t, 'x'])",
    "u = ANY(ARRAY[u])",
    "u::text = ANY('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}')",
    "cardinality(coalesce(ta, '{}')) = 0",
    // Enums.
    "role = 'admin'",
    "role >= 'admin'",
    "role::app_role < 'owner'",
    "role IN ('admin', 'owner')",
    "role <> 'member'",
    "role::text = 'admin'",
    "'admin'::app_role = role",
    "role = ANY('{admin,owner}'::app_role[])",
    "lower(role::text) LIKE 'a%'",
    "t::app_role = role",
    "role IS NULL",
    // Choices.
    "CASE WHEN n > 0 THEN b ELSE n < -5 END",
    "CASE n WHEN 5 THEN true WHEN -7 THEN false END",
    "coalesce(b, n = 5, true)",
    "CASE WHEN n = 0 THEN 1 / 0 = 1 ELSE true END",
    "nullif(t, '') IS NULL",
    // storage's helpers, which the test makes in PostgreSQL as Supabase has them.
    "(storage.foldername(t))[1] = 'avatars'",
    "storage.filename(t) = 'Me.PNG'",
    "storage.extension(t) = 'PNG'",
    "(storage.foldername(t))[2]::uuid = u",
    "'avatars' = ANY(storage.foldername(t))",
    "array_length(storage.foldername(t), 1) = 2",
];

/// What Supabase defines.
const STORAGE: &str = "CREATE SCHEMA IF NOT EXISTS storage;
CREATE OR REPLACE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE _parts text[]; BEGIN select string_to_array(name, '/') into _parts; return _parts[1:array_length(_parts,1)-1]; END $$;
CREATE OR REPLACE FUNCTION storage.filename(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE _parts text[]; BEGIN select string_to_array(name, '/') into _parts; return _parts[array_length(_parts,1)]; END $$;
CREATE OR REPLACE FUNCTION storage.extension(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE _parts text[]; _filename text; BEGIN select string_to_array(name, '/') into _parts;
select _parts[array_length(_parts,1)] into _filename; return reverse(split_part(reverse(_filename), '.', 1)); END $$;";

const ENUM: &str = "CREATE TYPE app_role AS ENUM ('member', 'admin', 'owner');";

async fn postgres() -> PgConnection {
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    let url = std::env::var("AURORA_TEST_POSTGRES");
    let Ok(url) = url else { panic!("AURORA_TEST_POSTGRES must name a PostgreSQL database for this test") };
    let mut db = PgConnection::connect(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
    let mut script = format!(
        "SET TIME ZONE 'UTC'; DROP SCHEMA IF EXISTS aurora_values CASCADE; CREATE SCHEMA aurora_values;
         SET search_path = aurora_values, public; {STORAGE} {ENUM} CREATE TABLE v ({});",
        columns.join(", ")
    );
    for row in ROWS {
        let row: Vec<String> = row
            .iter()
            .map(|value| if value.starts_with('{') { format!("'{value}'") } else { (*value).to_owned() })
            .collect();
        script.push_str(&format!("INSERT INTO v VALUES ({});", row.join(", ")));
    }
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut db).await.unwrap();
    db
}

/// `t`, `f`, `n`, or the SQLSTATE.
async fn on_postgres(db: &mut PgConnection, expression: &str, id: usize) -> String {
    let sql = format!("SELECT ({expression}) FROM v WHERE id = {id}");
    match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(db).await {
        Ok(row) => match row.get::<Option<bool>, _>(0) {
            Some(true) => "t".to_owned(),
            Some(false) => "f".to_owned(),
            None => "n".to_owned(),
        },
        Err(sqlx::Error::Database(error)) => error.code().unwrap_or_default().into_owned(),
        Err(error) => panic!("{expression}: {error}"),
    }
}

/// The same array as JSON.
fn json(array: &str) -> String {
    let items: Vec<String> = array
        .trim_matches(['{', '}'])
        .split(',')
        .filter(|item| !item.is_empty())
        .map(|item| match item {
            "NULL" => "null".to_owned(),
            number if number.parse::<i64>().is_ok() => number.to_owned(),
            text => format!("\"{text}\""),
        })
        .collect();
    format!("'[{}]'", items.join(","))
}

async fn guard(expressions: &[&str]) -> Result<Guard, String> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("aurora-values-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("app.db");
    let columns: Vec<String> = COLUMNS.iter().map(|(name, _, kind)| format!("{name} {kind}")).collect();
    let rows: Vec<String> = ROWS
        .iter()
        .map(|row| {
            let row = row
                .iter()
                .map(|value| if value.starts_with('{') { json(value) } else { (*value).to_owned() });
            format!("({})", row.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let (mut script, mut policies) = (String::from("BEGIN;"), ENUM.to_owned());
    for (at, expression) in expressions.iter().enumerate() {
        for (kind, condition) in [
            ("t", format!("({expression})")),
            ("f", format!("NOT ({expression})")),
            ("n", format!("({expression}) IS NULL")),
        ] {
            let table = format!("{kind}{at}");
            script.push_str(&format!("CREATE TABLE {table} ({});", columns.join(", ")));
            script.push_str(&format!("INSERT INTO {table} VALUES {};", rows.join(", ")));
            policies.push_str(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"));
            policies.push_str(&format!("CREATE POLICY p ON {table} FOR SELECT USING ({condition});\n"));
        }
    }
    script.push_str("COMMIT;");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut plain = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut plain).await.unwrap();
    plain.close().await.unwrap();
    let policies = Policies::parse(&policies, "values.sql").map_err(|errors| errors.to_string())?;
    let writer = WriterLock::new(Duration::from_secs(5));
    let opened =
        Guard::open(&path, &policies, writer, Arc::new(SystemClock), &SystemEntropy, GuardOptions::default())
            .await;
    opened.map_err(|error| error.to_string())
}

async fn on_sqlite(guard: &Guard, at: usize, id: usize) -> String {
    let db = guard.guarded(Principal::anonymous());
    let mut found = String::new();
    for kind in ["t", "f", "n"] {
        let sql = format!("SELECT count(*) FROM {kind}{at} WHERE id = {id}");
        // The policy runs on every row that the key lets through, and on that one alone.
        match db.query_as::<(i64,)>(&sql).fetch_one().await {
            Ok((1,)) => found.push_str(kind),
            Ok(_) => {}
            Err(error) => return error.message().split(' ').next().unwrap_or_default().to_owned(),
        }
    }
    found
}

#[tokio::test]
async fn values_are_postgresqls() {
    let mut db = postgres().await;
    let mut accepted: Vec<&str> = Vec::new();
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    for expression in EXPRESSIONS {
        match guard(&[expression]).await {
            Ok(_) => accepted.push(expression),
            Err(error) => {
                // What PostgreSQL raises for every row may be refused beforehand.
                let mut answers = Vec::new();
                for id in 1..=ROWS.len() {
                    answers.push(on_postgres(&mut db, expression, id).await);
                }
                if answers.iter().all(|answer| answer.len() == 5) {
                    refused.push(*expression);
                } else {
                    wrong.push(format!("{expression}: refused: {error}"));
                }
            }
        }
    }
    let guard = guard(&accepted).await.unwrap();
    let mut compared = 0;
    for (at, expression) in accepted.iter().enumerate() {
        for id in 1..=ROWS.len() {
            let expected = on_postgres(&mut db, expression, id).await;
            let found = on_sqlite(&guard, at, id).await;
            compared += 1;
            if expected != found {
                wrong.push(format!("{expression} on row {id}: PostgreSQL {expected}, here {found}"));
            }
        }
    }
    println!(
        "{} expressions, {compared} answers compared, {} refused as PostgreSQL raises for every row",
        accepted.len(),
        refused.len()
    );
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

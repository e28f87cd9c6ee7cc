//! Wall two by itself: host SQL runs unread, as if wall one had let everything through, and still nobody becomes
//! anybody else. Rows G05, G06, G08, G09, A03, A05, A07 and Q01 of the attacks.

use aurora_core::guard::{Guarded, Transaction};
use aurora_core::store::{Bind, Mode};
use aurora_core::types::Code;

use crate::attacks::{Raw, attempt, hidden, rows};
use crate::fixture::{ANN, BOB, Fixture, POLICIES, ROWS, SCHEMA, run};

fn bobs() -> String {
    format!(r#"{{"sub":"{BOB}","role":"authenticated"}}"#)
}

fn unread(fixture: &Fixture) -> Guarded {
    fixture.ann().without_wall_one_for_tests()
}

/// Single statements: the row that forges and the row that profits.
pub(crate) fn forgeries() -> Vec<String> {
    let claims = bobs();
    let forge = format!("set_config('request.jwt.claims', '{claims}', true)");
    let mut statements = vec![
        format!("SELECT {forge} UNION ALL SELECT title FROM notes"),
        format!("SELECT title FROM notes UNION ALL SELECT {forge} UNION ALL SELECT title FROM notes"),
        format!("SELECT n.title FROM (SELECT {forge} OFFSET 0) AS s, LATERAL (SELECT title FROM notes) AS n"),
        format!(
            "SELECT n.title FROM (SELECT {forge} OFFSET 0) s CROSS JOIN LATERAL (SELECT title FROM notes WHERE s IS NOT NULL) n"
        ),
        format!("WITH f AS MATERIALIZED (SELECT {forge}) SELECT title FROM f, notes"),
        format!("SELECT title FROM notes WHERE {forge} IS NOT NULL"),
        format!("SELECT CASE WHEN {forge} IS NOT NULL THEN (SELECT string_agg(title, ',') FROM notes) END"),
        format!(
            "SELECT query_to_xml('SELECT {}', true, true, '')::text, query_to_xml('SELECT title FROM notes', true, true, '')::text",
            forge.replace('\'', "''")
        ),
        "SELECT table_to_xml('notes', true, true, '')::text".to_owned(),
        "SELECT schema_to_xml('public', true, true, '')::text".to_owned(),
        format!("UPDATE pg_settings SET setting = '{claims}' WHERE name = 'request.jwt.claims'"),
        format!(
            "WITH f AS (UPDATE pg_settings SET setting = '{claims}' WHERE name = 'request.jwt.claims' RETURNING 1) SELECT title FROM f, notes"
        ),
        format!(
            "UPDATE notes SET body = (SELECT string_agg(title, ',') FROM notes) WHERE {forge} IS NOT NULL RETURNING body"
        ),
        format!("INSERT INTO notes (title, owner) SELECT {forge} || 'x', '{BOB}'"),
        "DO $$ BEGIN PERFORM set_config('role', 'aurora_service', true); PERFORM * FROM notes; END $$"
            .to_owned(),
    ];
    for role in
        ["aurora_service", "aurora_store", "service_role", "authenticated", "anon", "none", "postgres"]
    {
        let switch = format!("set_config('role', '{role}', true)");
        statements.push(format!("SELECT {switch} UNION ALL SELECT title FROM notes"));
        statements.push(format!("SELECT {switch} UNION ALL SELECT word FROM secrets"));
        statements.push(format!("SELECT {switch} UNION ALL SELECT email FROM auth.users"));
        statements
            .push(format!("SELECT {switch}, query_to_xml('SELECT * FROM notes', true, true, '')::text"));
        statements
            .push(format!("SELECT {switch}, query_to_xml('SELECT * FROM secrets', true, true, '')::text"));
        statements.push(format!(
            "SELECT {switch}, query_to_xml('SELECT * FROM aurora.identity_keys', true, true, '')::text"
        ));
        statements.push(format!("SET LOCAL ROLE {role}"));
        // The role is switched, the inner statement planned, and the role switched back before it runs.
        for secret in ["title FROM notes", "word FROM secrets", "email FROM auth.users", "name FROM teams"] {
            let inner = format!("SELECT set_config('role', 'authenticated', true) UNION ALL SELECT {secret}");
            statements.push(format!(
                "SELECT {switch}, query_to_xml('{}', true, true, '')::text",
                inner.replace('\'', "''")
            ));
        }
    }
    statements
}

/// attack G08
#[tokio::test]
async fn one_statement_forges_nobody() {
    let fixture = Fixture::one_connection().await;
    let ann = unread(&fixture);
    let statements = forgeries();
    let tried = statements.len();
    let mut refused = 0;
    for sql in statements {
        refused += usize::from(attempt(&fixture, &ann, &sql).await.is_err());
        // Who comes next on the connection is who they are.
        assert_eq!(rows(&fixture.bob(), "SELECT id FROM notes").await.unwrap().len(), 3, "{sql}");
        assert_eq!(rows(&fixture.anon(), "SELECT id FROM notes").await.unwrap().len(), 0, "{sql}");
    }
    println!("{tried} statements, {refused} refused, none shows or changes what is hidden");
    assert!(refused > 20, "{refused} of {tried}");
}

/// The role stands switched while a statement is planned, and is the old one again when its policies are asked.
#[tokio::test]
async fn a_role_that_is_switched_back_in_time_opens_nothing() {
    let fixture = Fixture::one_connection().await;
    let kept = hidden(&fixture).await;
    let mut tried = 0;
    for (who, own) in [(fixture.ann(), "authenticated"), (fixture.anon(), "anon")] {
        let unread = who.without_wall_one_for_tests();
        let back = format!("set_config('role', '{own}', true)");
        let statements = |secret: &str, table: &str| {
            vec![
                vec![format!("SELECT {back} UNION ALL SELECT {secret} FROM {table}")],
                vec![format!("WITH b AS MATERIALIZED (SELECT {back} AS r) SELECT {secret} FROM b, {table}")],
                vec![
                    format!("DECLARE c CURSOR FOR SELECT {secret} FROM {table}"),
                    format!("SET LOCAL ROLE {own}"),
                    "FETCH ALL FROM c".to_owned(),
                ],
                vec![format!(
                    "WITH b AS MATERIALIZED (SELECT {back} AS r) UPDATE {table} SET {secret} = 'stolen' FROM b \
                     WHERE b.r IS NOT NULL RETURNING {secret}"
                )],
                vec![format!(
                    "WITH b AS MATERIALIZED (SELECT {back} AS r) DELETE FROM {table} USING b WHERE b.r IS NOT NULL \
                     RETURNING {secret}"
                )],
                vec![format!(
                    "WITH b AS MATERIALIZED (SELECT {back} AS r) INSERT INTO notes (title, owner) \
                     SELECT 'forged', '{BOB}' FROM b WHERE r IS NOT NULL"
                )],
                vec![format!(
                    "DO $x$ DECLARE c refcursor; t text; BEGIN OPEN c FOR SELECT {secret} FROM {table}; \
                     SET LOCAL ROLE {own}; FETCH c INTO t; RAISE EXCEPTION '%', t; END $x$"
                )],
            ]
        };
        for role in ["aurora_service", "aurora_store", "authenticated", "anon", "none"] {
            for (secret, table) in [
                ("title", "notes"),
                ("name", "teams"),
                ("word", "secrets"),
                ("note", "drops"),
                ("email", "auth.users"),
                ("kid", "aurora.signing_keys"),
                ("actor", "aurora.audit"),
            ] {
                for list in statements(secret, table) {
                    let mut tx = unread.begin().await.unwrap();
                    let mut said = Vec::new();
                    for sql in [format!("SET LOCAL ROLE {role}")].iter().chain(&list) {
                        let outcome = tx.query_as::<Raw>(sql).fetch_all().await;
                        let ended = outcome.is_err();
                        said.push(format!("{outcome:?}"));
                        if ended {
                            break;
                        }
                    }
                    let _ = tx.commit().await;
                    let said = said.join("\n");
                    for canary in ["HIDDEN", "blue", "bob@"] {
                        assert!(!said.contains(canary), "{role} {list:?}: {said}");
                    }
                    assert_eq!(hidden(&fixture).await, kept, "{role} {list:?}");
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} statements planned as another role, none shows or changes what is hidden");
}

/// Whatever a transaction's statements set, what follows in it sees no more than its principal.
async fn follow(fixture: &Fixture, before: &[String], sql: &[&str]) -> Vec<Result<Vec<Raw>, Code>> {
    let kept = hidden(fixture).await;
    let mut found = Vec::new();
    for statement in sql {
        let mut tx = unread(fixture).begin().await.unwrap();
        let mut outcome = Ok(Vec::new());
        for setting in before {
            if let Err(error) = tx.query(setting).execute().await {
                outcome = Err(error.code());
            }
        }
        if outcome.is_ok() {
            outcome = tx.query_as::<Raw>(statement).fetch_all().await.map_err(|error| {
                let shown = format!("{error:?}");
                assert!(!shown.contains("HIDDEN"), "{before:?} {statement}: {shown}");
                error.code()
            });
        }
        let shown = format!("{outcome:?}");
        assert!(!shown.contains("HIDDEN") && !shown.contains("blue"), "{before:?} {statement}: {shown}");
        let _ = tx.commit().await;
        assert_eq!(hidden(fixture).await, kept, "{before:?} {statement}");
        found.push(outcome);
    }
    found
}

const AFTER: [&str; 9] = [
    "SELECT title FROM notes",
    "SELECT name FROM teams",
    "SELECT word FROM secrets",
    "SELECT email FROM auth.users",
    "SELECT encode(inner_block, 'hex') FROM aurora.identity_keys",
    "INSERT INTO notes (title, owner) VALUES ('forged', '00000000-0000-4000-8000-00000000000b')",
    "UPDATE notes SET title = title || '!' WHERE owner <> '00000000-0000-4000-8000-00000000000a'",
    "DELETE FROM notes WHERE owner <> '00000000-0000-4000-8000-00000000000a'",
    "INSERT INTO drops VALUES ('x')",
];

/// attack G08
#[tokio::test]
async fn a_following_statement_is_nobody_else_either() {
    let fixture = Fixture::one_connection().await;
    let claims = bobs();
    let set = |name: &str, value: &str| format!("SELECT set_config('{name}', '{value}', true)");
    let mac = "1.".to_owned() + &"0".repeat(64);
    let mut tried = 0;
    for before in [
        vec![set("request.jwt.claims", &claims)],
        vec![set("request.jwt.claims", &claims), set("aurora.mac", "")],
        vec![set("request.jwt.claims", &claims), set("aurora.mac", &mac)],
        vec![set("request.jwt.claim.sub", BOB)],
        vec![set("role", "aurora_service")],
        vec![set("role", "aurora_service"), set("request.jwt.claims", r#"{"role":"service_role"}"#)],
        vec![set("role", "aurora_store"), set("request.jwt.claims", r#"{"aurora":"store"}"#)],
        vec![set("role", "anon")],
        vec![set("role", "none")],
        vec!["SET LOCAL ROLE aurora_service".to_owned()],
        vec!["SET SESSION ROLE aurora_service".to_owned()],
        vec!["RESET ROLE".to_owned()],
        vec!["SET SESSION AUTHORIZATION aurora_service".to_owned()],
        vec!["SAVEPOINT a".to_owned(), set("role", "aurora_service"), "RELEASE a".to_owned()],
        vec!["RESET ALL".to_owned()],
        vec!["DISCARD ALL".to_owned()],
        vec!["SET LOCAL row_security = off".to_owned()],
        vec!["ROLLBACK".to_owned()],
        vec!["COMMIT".to_owned(), "BEGIN".to_owned(), set("role", "aurora_service")],
        vec!["GRANT aurora_service TO authenticated".to_owned()],
        vec!["ALTER TABLE notes DISABLE ROW LEVEL SECURITY".to_owned()],
        vec!["CREATE POLICY p ON notes USING (true)".to_owned()],
    ] {
        let found = follow(&fixture, &before, &AFTER).await;
        tried += found.len();
        // The identity keys are nobody's, and no forged row is written.
        assert!(found[4].is_err(), "{before:?}: {found:?}");
        assert_eq!(rows(&fixture.bob(), "SELECT id FROM notes").await.unwrap().len(), 3, "{before:?}");
    }
    println!("{tried} statements after a forgery");
}

/// attack G01
#[tokio::test]
async fn a_switched_role_opens_no_policy_that_asks_nobody() {
    // `USING (true)` for authenticated: an anonymous injection must not read it by switching its role.
    let policies = format!(
        "{POLICIES} CREATE POLICY all_signed_in ON teams FOR SELECT TO authenticated USING (true);
         CREATE POLICY public_notes ON notes FOR SELECT TO authenticated USING (NOT public);"
    );
    let fixture = Fixture::with(SCHEMA, ROWS, &policies, Default::default()).await.unwrap();
    assert_eq!(rows(&fixture.ann(), "SELECT name FROM teams").await.unwrap().len(), 2);
    let anon = fixture.anon().without_wall_one_for_tests();
    for table in ["SELECT name FROM teams", "SELECT title FROM notes"] {
        let mut tx = anon.begin().await.unwrap();
        tx.query("SELECT set_config('role', 'authenticated', true)").execute().await.unwrap();
        let refused = tx.query(table).execute().await.unwrap_err();
        assert_eq!(refused.code(), Code::InsufficientPrivilege, "{refused:?}");
        assert_eq!(refused.message(), "this transaction is bound to nobody");
    }
}

async fn value(tx: &mut Transaction, name: &str) -> String {
    let sql = format!("SELECT current_setting('{name}')");
    tx.query_as::<(String,)>(&sql).fetch_one().await.unwrap().0
}

/// attack G08:
/// What Bob could tell of his own transaction is worth nothing in another one, on his connection or elsewhere.
#[tokio::test]
async fn a_captured_mac_is_worth_nothing_later_or_elsewhere() {
    for fixture in [Fixture::one_connection().await, Fixture::new().await] {
        let mut tx = fixture.bob().begin().await.unwrap();
        let (mac, claims) = (value(&mut tx, "aurora.mac").await, value(&mut tx, "request.jwt.claims").await);
        // On a second connection while Bob's transaction is open, where there is one.
        let elsewhere = fixture.place.as_str();
        println!("{elsewhere}: replaying {}..", &mac[..12]);
        tx.commit().await.unwrap();
        let mut ann = unread(&fixture).begin().await.unwrap();
        let own = value(&mut ann, "aurora.mac").await;
        assert_ne!(own, mac);
        for (name, text) in [("request.jwt.claims", &claims), ("aurora.mac", &mac)] {
            let query = ann.query("SELECT set_config($1, $2, true)").bind(name).bind(text.as_str());
            query.execute().await.unwrap();
        }
        let refused = ann.query("SELECT title FROM notes").execute().await.unwrap_err();
        assert_eq!(refused.code(), Code::InsufficientPrivilege, "{refused:?}");
    }
    // Both open at once, on two connections.
    let fixture = Fixture::new().await;
    let mut bob = fixture.bob().begin().await.unwrap();
    let (mac, claims) = (value(&mut bob, "aurora.mac").await, value(&mut bob, "request.jwt.claims").await);
    let mut ann = unread(&fixture).begin().await.unwrap();
    for (name, text) in [("request.jwt.claims", &claims), ("aurora.mac", &mac)] {
        let query = ann.query("SELECT set_config($1, $2, true)").bind(name).bind(text.as_str());
        query.execute().await.unwrap();
    }
    assert!(ann.query("SELECT title FROM notes").execute().await.is_err());
    // Her own MAC does not carry his claims.
    let mut ann = unread(&fixture).begin().await.unwrap();
    let query = ann.query("SELECT set_config('request.jwt.claims', $1, true)").bind(claims.as_str());
    query.execute().await.unwrap();
    assert!(ann.query("SELECT title FROM notes").execute().await.is_err());
}

/// attack G05: what conflicts with a hidden row neither reads nor writes it.
#[tokio::test]
async fn g05_conflicts_and_merge_reach_no_hidden_row() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    for sql in [
        format!("INSERT INTO notes (id, title, owner) VALUES (4, 'x', '{ANN}') ON CONFLICT (id) DO UPDATE SET title = 'taken'"),
        format!("INSERT INTO notes (id, title, owner) VALUES (4, 'x', '{ANN}') ON CONFLICT (id) DO UPDATE SET title = excluded.title RETURNING notes.*"),
        format!("INSERT INTO notes (id, title, owner) VALUES (4, 'x', '{ANN}') ON CONFLICT (id) DO NOTHING RETURNING *"),
        format!("INSERT INTO notes (id, title, owner) VALUES (4, 'x', '{ANN}') ON CONFLICT DO NOTHING RETURNING *"),
        format!("INSERT INTO notes (title, owner) VALUES ('HIDDEN-four', '{ANN}') ON CONFLICT (title) DO UPDATE SET body = notes.body RETURNING body"),
        "MERGE INTO notes USING (VALUES (4)) AS v(id) ON notes.id = v.id WHEN MATCHED THEN UPDATE SET title = 'taken'".to_owned(),
        "MERGE INTO notes USING (VALUES (4)) AS v(id) ON notes.id = v.id WHEN MATCHED THEN DELETE".to_owned(),
        format!("MERGE INTO notes USING (VALUES (4)) AS v(id) ON notes.id = v.id WHEN NOT MATCHED THEN INSERT (id, title, owner) VALUES (4, 'x', '{ANN}')"),
    ] {
        let _ = attempt(&fixture, &ann, &sql).await;
    }
}

/// attack G06: what is not a row policy's to hold is not granted.
#[tokio::test]
async fn g06_nothing_but_rows_is_granted() {
    let schema = format!(
        "{SCHEMA} CREATE TABLE parts (id bigint, owner text) PARTITION BY LIST (owner);
         CREATE TABLE parts_bob PARTITION OF parts FOR VALUES IN ('{BOB}');
         CREATE VIEW definer AS SELECT * FROM notes;
         CREATE VIEW invoker WITH (security_invoker = true) AS SELECT * FROM notes;
         CREATE MATERIALIZED VIEW mat AS SELECT * FROM notes;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, PUBLIC;"
    );
    let rows_of = format!("{ROWS} INSERT INTO parts VALUES (1, '{BOB}'); REFRESH MATERIALIZED VIEW mat;");
    let policies = format!(
        "{POLICIES} ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON parts TO authenticated USING (owner = auth.uid()::text);"
    );
    let fixture = Fixture::with(&schema, &rows_of, &policies, Default::default()).await.unwrap();
    let ann = unread(&fixture);
    for sql in [
        "COPY notes TO STDOUT",
        "COPY notes TO '/tmp/x'",
        "COPY notes FROM STDIN",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "TRUNCATE notes",
        "TRUNCATE drops",
        "CREATE TABLE refers (id bigint REFERENCES notes(id))",
        "LOCK TABLE secrets",
        "SELECT * FROM parts_bob",
        "SELECT * FROM mat",
        "SELECT * FROM definer",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "ALTER TABLE notes OWNER TO authenticated",
        "REINDEX TABLE notes",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "CREATE EXTENSION dblink",
        "DROP POLICY own ON notes",
    ] {
        let refused = attempt(&fixture, &ann, sql).await;
        assert!(refused.is_err(), "{sql}: {refused:?}");
    }
    assert_eq!(rows(&fixture.ann(), "SELECT id FROM parts").await.unwrap().len(), 0);
    assert_eq!(rows(&fixture.bob(), "SELECT id FROM parts").await.unwrap().len(), 1);
    // A view that reads as its caller is as good as its text.
    assert_eq!(rows(&fixture.ann(), "SELECT id FROM invoker").await.unwrap().len(), 3);
    assert_eq!(rows(&fixture.anon(), "SELECT id FROM invoker").await.unwrap().len(), 0);
}

/// attack G08: an identity is a value, whatever it holds.
#[tokio::test]
async fn g08_claims_are_values() {
    let fixture = Fixture::one_connection().await;
    let large = format!(r#"{{"sub":"{ANN}","x":"{}"}}"#, "y".repeat(1 << 20));
    for claims in [
        format!(r#"{{"sub":"{ANN}","x":"a'b"}}"#),
        format!(r#"{{"sub":"{ANN}","x":"a\\b\"c"}}"#),
        format!(r#"{{"sub":"{ANN}","x":"'; SET ROLE aurora_service; --"}}"#),
        format!(r#"{{"sub":"{ANN}","x":"|{BOB}|"}}"#),
        large,
    ] {
        let bind = Bind::new("authenticated", &claims, Mode::ReadOnly);
        let mut transaction = fixture.database.begin_as(bind).await.unwrap();
        let (same, count): (bool, i64) =
            sqlx::query_as("SELECT aurora.claims() = $1::text::jsonb, count(*) FROM notes")
                .bind(&claims)
                .fetch_one(transaction.connection().unwrap())
                .await
                .unwrap();
        assert!(same);
        assert_eq!(count, 3);
        transaction.rollback().await.unwrap();
    }
    let nul = format!("{{\"sub\":\"{ANN}\",\"x\":\"a\0b\"}}");
    assert!(fixture.database.begin_as(Bind::new("authenticated", &nul, Mode::ReadOnly)).await.is_err());
    assert_eq!(rows(&fixture.bob(), "SELECT id FROM notes").await.unwrap().len(), 3);
}

/// attack G09: no function of the host's, no plan and no statistic sees a hidden row.
#[tokio::test]
async fn g09_nothing_runs_on_hidden_rows_and_no_statistic_shows_them() {
    let schema = format!(
        "{SCHEMA} CREATE FUNCTION f_leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
         BEGIN IF value LIKE 'HIDDEN%' THEN RAISE EXCEPTION 'leaked %', value; END IF; RETURN true; END $$;"
    );
    let fixture = Fixture::with(&schema, ROWS, POLICIES, Default::default()).await.unwrap();
    run(&mut fixture.superuser().await, "ANALYZE notes; ANALYZE teams; ANALYZE secrets").await;
    for sql in [
        "SELECT id FROM notes WHERE f_leak(title)",
        "SELECT id FROM notes WHERE f_leak(title) AND id > 0 ORDER BY f_leak(body)",
        "SELECT id FROM notes n WHERE EXISTS (SELECT 1 FROM notes m WHERE f_leak(m.title) AND m.id > n.id) OR true",
        "UPDATE notes SET stars = 1 WHERE f_leak(title)",
        "DELETE FROM notes WHERE f_leak(title) AND false",
    ] {
        let found = attempt(&fixture, &fixture.ann(), sql).await;
        assert!(found.is_ok(), "{sql}: {found:?}");
    }
    let ann = unread(&fixture);
    for sql in [
        "EXPLAIN SELECT * FROM notes WHERE f_leak(title)",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM notes WHERE f_leak(title)",
        "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename IN ('notes', 'teams', 'secrets')",
        "SELECT stavalues1::text FROM pg_statistic",
        "SELECT * FROM pg_stats_ext",
        "SELECT query FROM pg_stat_activity",
        "SELECT rolpassword FROM pg_authid",
    ] {
        let _ = attempt(&fixture, &ann, sql).await;
    }
}

/// attacks A03, A05, A07, asvs(V8.4.1): an owner, a tenant or a role is not what the statement says.
#[tokio::test]
async fn a03_a05_a07_neither_owner_tenant_nor_role_is_taken() {
    let schema = format!("{SCHEMA} CREATE TABLE docs (id bigint PRIMARY KEY, org text);");
    let data = format!("{ROWS} INSERT INTO docs VALUES (1, 'a'), (2, 'b');");
    let policies = format!(
        "{POLICIES} ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
         CREATE POLICY tenant ON docs TO authenticated USING (org = current_setting('app.tenant_id', true));"
    );
    let fixture = Fixture::with(&schema, &data, &policies, Default::default()).await.unwrap();
    let ann = fixture.ann();
    for sql in [
        format!("INSERT INTO notes (title, owner) VALUES ('n', '{BOB}')"),
        format!("UPDATE notes SET owner = '{BOB}' WHERE id = 1"),
        "UPDATE members SET role = 'admin' WHERE team_id = 1".to_owned(),
        format!("INSERT INTO members VALUES (2, '{ANN}', 'member')"),
    ] {
        let refused = attempt(&fixture, &ann, &sql).await;
        assert!(refused.is_err() || refused.unwrap().is_empty(), "{sql}");
    }
    let principal = ann.principal().in_tenant("a".parse().unwrap());
    let tenant = fixture.guard.guarded(principal);
    assert_eq!(rows(&tenant, "SELECT id FROM docs").await.unwrap(), [Raw(vec!["id=1".to_owned()])]);
    let unread = tenant.without_wall_one_for_tests();
    let mut tx = unread.begin().await.unwrap();
    for name in ["app.tenant_id", "app.tenant", "app.current_tenant"] {
        let query = tx.query("SELECT set_config($1, 'b', true)").bind(name);
        query.execute().await.unwrap();
    }
    assert_eq!(tx.query_as::<(i64,)>("SELECT id FROM docs").fetch_all().await.unwrap(), [(1,)]);
    assert_eq!(rows(&ann, "SELECT id FROM docs").await.unwrap().len(), 0);
}

/// attack Q01, asvs(V1.2.4): what is bound is a value; what is not a value cannot be bound.
#[tokio::test]
async fn q01_a_bound_value_is_never_sql() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    for text in [
        "' OR true --",
        "'; DROP TABLE notes; --",
        "1); DELETE FROM notes; --",
        "$$; $$",
        "\\'; SELECT 1; --",
        "ann one' UNION SELECT word FROM secrets --",
    ] {
        let found: Vec<(i64,)> =
            ann.query_as("SELECT id FROM notes WHERE title = $1").bind(text).fetch_all().await.unwrap();
        assert!(found.is_empty(), "{text}");
        let found: Vec<(i64,)> =
            ann.query_as("SELECT id FROM notes ORDER BY $1").bind(text).fetch_all().await.unwrap();
        assert_eq!(found.len(), 3, "a bound name sorts by nothing: {text}");
    }
    for injected in [
        "SELECT id FROM notes WHERE title = '' OR true --'",
        "SELECT id FROM notes WHERE title = '' UNION SELECT id FROM secrets --'",
        "SELECT id FROM notes WHERE title = ''; DROP TABLE notes; --'",
        "SELECT id FROM notes ORDER BY (SELECT word FROM secrets)",
        "SELECT id FROM notes LIMIT (SELECT count(*) FROM secrets)",
        "SELECT body::json #>> '{a}' FROM notes WHERE id = 4 OR body = ''",
    ] {
        let _ = attempt(&fixture, &ann, injected).await;
    }
}

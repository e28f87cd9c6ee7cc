//! Statements that reach past the rows: catalogs, pragmas, files, transactions, several statements, injection.

use aurora_core::types::Code;

use crate::attacks::{attempt, refused, rows};
use crate::fixture::{ANN, Fixture};

const NO: &[Code] = &[Code::BadStatement, Code::StatementNotSupported, Code::InsufficientPrivilege];

/// attacks L03, L04
#[tokio::test]
async fn what_is_no_query_or_write_of_rows_is_refused() {
    let fixture = Fixture::new().await;
    for sql in [
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE notes (a)",
        "CREATE TEMP TABLE members AS SELECT 1 AS team_id",
        "CREATE TABLE x AS SELECT * FROM notes",
        "CREATE VIEW x AS SELECT 1",
        "CREATE TEMP VIEW members AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER UPDATE ON notes BEGIN SELECT 1; END",
        "CREATE INDEX x ON notes (title)",
        "CREATE VIRTUAL TABLE x USING fts5(a)",
        "ALTER TABLE notes RENAME TO x",
        "ALTER TABLE notes ADD COLUMN x",
        "DROP TABLE notes",
        "DROP VIEW notes",
        "DROP TRIGGER x",
        "DROP INDEX notes_owner",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
        "VACUUM INTO '/tmp/stolen.db'",
        "VACUUM main INTO '/tmp/stolen.db'",
        "ATTACH 'app.db' AS x",
        "ATTACH DATABASE ':memory:' AS x",
        "DETACH main",
        "DETACH DATABASE temp",
        "PRAGMA database_list",
        "PRAGMA table_info(notes)",
        "PRAGMA writable_schema = 1",
        "PRAGMA foreign_keys = 0",
        "PRAGMA recursive_triggers = 0",
        "PRAGMA trusted_schema = 1",
        "PRAGMA defer_foreign_keys = 1",
        "PRAGMA ignore_check_constraints = 1",
        "PRAGMA query_only = 0",
        "PRAGMA case_sensitive_like = 1",
        "PRAGMA wal_checkpoint",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA journal_mode = delete",
        "EXPLAIN SELECT * FROM notes",
        "EXPLAIN QUERY PLAN SELECT * FROM notes",
        "DESCRIBE notes",
        "SHOW TABLES",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT x",
        "RELEASE x",
        "ROLLBACK TO x",
        "START TRANSACTION",
        "SET x = 1",
        "TRUNCATE TABLE notes",
        "MERGE INTO notes USING teams ON 1 WHEN MATCHED THEN DELETE",
        "REPLACE INTO notes (id, title, owner) VALUES (4, 'x', auth.uid())",
        "COPY notes TO '/tmp/x'",
        "GRANT ALL ON notes TO anon",
        "CREATE POLICY x ON notes",
        "TABLE notes",
        "CALL x()",
        "",
        ";",
        "--",
        "SELECT",
        "LOCK TABLE notes",
        "SELECT * FROM notes FOR UPDATE",
        "SELECT * INTO x FROM notes",
        "SELECT * FROM notes INDEXED BY notes_owner",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM main.sqlite_schema",
        "SELECT * FROM temp.sqlite_schema",
        "SELECT * FROM sqlite_temp_schema",
        "SELECT * FROM sqlite_temp_master",
        "SELECT * FROM sqlite_stat1",
        "SELECT * FROM sqlite_stat4",
        "SELECT * FROM sqlite_sequence",
        "SELECT * FROM dbstat",
        "SELECT * FROM dbstat('main')",
        "SELECT * FROM pragma_table_list",
        "SELECT * FROM pragma_table_list()",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_table_info('notes')",
        "SELECT * FROM pragma_function_list",
        "SELECT * FROM pragma_compile_options",
        "SELECT * FROM sqlite_dbpage",
        "SELECT * FROM bytecode('SELECT 1')",
        "SELECT * FROM tables_used('SELECT 1')",
        "SELECT * FROM sqlite_stmt",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT * FROM fts5vocab",
        "SELECT * FROM secrets",
        "SELECT * FROM drops.notes",
        "INSERT INTO sqlite_schema VALUES (1)",
        "UPDATE sqlite_schema SET sql = ''",
        "DELETE FROM sqlite_sequence",
        "INSERT INTO secrets VALUES (2, 'x')",
        "UPDATE secrets SET word = 'x'",
        "DELETE FROM secrets",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x')",
        "SELECT fts3_tokenizer('x', x'00')",
        "SELECT last_insert_rowid()",
        "SELECT changes()",
        "SELECT total_changes()",
        "SELECT sqlite_version()",
        "SELECT sqlite_source_id()",
        "SELECT sqlite_compileoption_get(1)",
        "SELECT sqlite_log(1, 'x')",
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        "SELECT sqlite_offset(title) FROM notes",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT edit('x')",
        "SELECT auth_uid()",
        "SELECT pg_sleep(1)",
        "SELECT set_config('role', 'service_role', true)",
        "SELECT set_config('request.jwt.claims', '{}', true)",
        "SELECT current_setting('role')",
        "SET ROLE service_role",
        "SELECT title MATCH 'x' FROM notes",
        "SELECT title REGEXP 'x' FROM notes",
        "SELECT raise(IGNORE)",
        "SELECT RAISE(ROLLBACK, 'x') FROM notes",
        "UPDATE notes SET stars = RAISE(IGNORE)",
        "SELECT @x, :y",
        "SELECT id FROM notes WHERE id IN secrets",
        "SELECT id FROM notes WHERE id IN notes",
        "SELECT CAST(title AS ENUM('a')) FROM notes",
        "SELECT title COLLATE nosuch FROM notes",
        "SELECT 12abc",
        "SELECT E'\\x41'",
        "SELECT U&'\\0041'",
        "SELECT $$x$$",
        "SELECT N'x'",
        "SELECT 'a' 'b' 'c' FROM",
        "SELECT \"x\"",
    ] {
        refused(&fixture, sql, NO).await;
    }
    assert!(!std::path::Path::new("/tmp/stolen.db").exists());
}

/// attack L01
#[tokio::test]
async fn conflict_words_reach_no_hidden_row() {
    let fixture = Fixture::new().await;
    for word in ["REPLACE", "ROLLBACK", "FAIL"] {
        for sql in [
            format!("INSERT OR {word} INTO notes (id, title, owner) VALUES (4, 'x', auth.uid())"),
            format!("INSERT OR {word} INTO notes (title, owner) VALUES ('HIDDEN-four', auth.uid())"),
            format!("UPDATE OR {word} notes SET id = 4 WHERE id = 1"),
            format!("UPDATE OR {word} notes SET title = 'HIDDEN-four' WHERE id = 1"),
        ] {
            refused(&fixture, &sql, &[Code::StatementNotSupported, Code::BadStatement]).await;
        }
    }
    for sql in [
        "INSERT OR IGNORE INTO notes (id, title, owner) VALUES (4, 'x', auth.uid()) RETURNING *",
        "UPDATE OR IGNORE notes SET id = 4 WHERE id = 1 RETURNING *",
        "INSERT INTO notes (id, title, owner) VALUES (4, 'x', auth.uid()) ON CONFLICT DO NOTHING RETURNING *",
        "INSERT INTO notes (id, title, owner) VALUES (4, 'x', auth.uid()) ON CONFLICT (id) DO NOTHING RETURNING *",
    ] {
        assert_eq!(attempt(&fixture, sql).await.unwrap(), [], "{sql}");
    }
    for key in ["(id, title) VALUES (4, 'x'", "(id, title) VALUES (9, 'HIDDEN-four'"] {
        let (columns, values) = key.split_once(") VALUES (").unwrap();
        let target = if key.contains("HIDDEN") { "title" } else { "id" };
        for action in [
            "SET stars = 1",
            "SET owner = auth.uid()",
            "SET title = notes.title || '!'",
            "SET body = json(notes.body)",
            "SET stars = 1 WHERE json_valid(notes.body)",
            "SET stars = 1 WHERE json(notes.body)",
            "SET (title, owner) = (SELECT notes.title, auth.uid())",
            "SET stars = 1 WHERE notes.stars > 99",
        ] {
            for returning in ["", " RETURNING *", " RETURNING title, body"] {
                let sql = format!(
                    "INSERT INTO notes {columns}, owner) VALUES ({values}, auth.uid()) ON CONFLICT ({target}) DO UPDATE {action}{returning}"
                );
                refused(&fixture, &sql, &[Code::InsufficientPrivilege]).await;
            }
        }
    }
    // As in PostgreSQL, a condition on the proposed row alone is asked first; it tells nothing of the hidden one.
    let proposed = "INSERT INTO notes (id, title, owner) VALUES (4, 'x', auth.uid()) ON CONFLICT (id) DO UPDATE SET stars = 1";
    for condition in ["false", "excluded.id > 4", "NULL"] {
        let sql = format!("{proposed} WHERE {condition} RETURNING title");
        assert_eq!(attempt(&fixture, &sql).await.unwrap(), [], "{sql}");
    }
    for condition in ["true", "excluded.id = 4", "excluded.id = stars + 4", "(SELECT body) = 'x'"] {
        let sql = format!("{proposed} WHERE {condition} RETURNING title");
        refused(&fixture, &sql, &[Code::InsufficientPrivilege]).await;
    }
    // A covert channel that PostgreSQL has too: the key is taken.
    refused(
        &fixture,
        "INSERT INTO notes (id, title, owner) VALUES (4, 'x', auth.uid())",
        &[Code::UniqueViolation],
    )
    .await;
    refused(&fixture, "UPDATE notes SET title = 'HIDDEN-four' WHERE id = 1", &[Code::UniqueViolation]).await;
    // But it is asked after WITH CHECK.
    refused(
        &fixture,
        "INSERT INTO notes (id, title, owner) VALUES (4, 'x', 'bob')",
        &[Code::InsufficientPrivilege],
    )
    .await;
}

#[tokio::test]
async fn one_statement_at_a_time() {
    let fixture = Fixture::new().await;
    for tail in
        ["DELETE FROM notes", "SELECT * FROM secrets", "ATTACH 'x' AS y", "COMMIT", "x", "'", "/*", ")"]
    {
        for gap in [";", ";;", "; ", ";\n", ";--\n", ";/**/", " ; \t", "\u{a0};", "\u{0};", ";\u{feff}"] {
            let sql = format!("SELECT id FROM notes{gap}{tail}");
            refused(&fixture, &sql, &[Code::StatementNotSupported, Code::BadStatement]).await;
        }
    }
    assert_eq!(fixture.titles().await.len(), 5);
}

/// What a host may concatenate into: `{}` is where the attacker's text goes.
const HOLES: &[&str] = &[
    "SELECT id, title FROM notes WHERE title = '{}'",
    "SELECT id, title FROM notes WHERE title LIKE '%{}%' ORDER BY id",
    "SELECT id, title FROM notes WHERE id = {}",
    "SELECT id, title FROM notes WHERE id IN ({})",
    "SELECT id, title FROM notes ORDER BY {}",
    "SELECT id, title FROM notes ORDER BY id {}",
    "SELECT id, title FROM notes LIMIT {}",
    "SELECT {} FROM notes",
    "SELECT \"{}\" FROM notes",
    "SELECT id, title FROM {}",
    "SELECT json_extract(body, '{}') FROM notes",
    "UPDATE notes SET title = '{}' WHERE id = 1",
    "UPDATE notes SET {} = 1 WHERE id = 1",
    "DELETE FROM notes WHERE id = {}",
    "INSERT INTO notes (title, owner) VALUES ('{}', auth.uid())",
    "INSERT INTO notes ({}) VALUES (1, 2)",
];

const INJECTIONS: &[&str] = &[
    "' OR '1'='1",
    "' OR 1=1 --",
    "' OR 1=1 /*",
    "'; DROP TABLE notes; --",
    "' UNION SELECT id, word FROM secrets --",
    "' UNION SELECT id, title FROM main.notes --",
    "x' UNION ALL SELECT 1, group_concat(title) FROM notes --",
    "' UNION SELECT type, sql FROM sqlite_schema --",
    "\\' OR 1=1 --",
    "\\\\' OR 1=1 --",
    "'' OR 1=1 --",
    "' || title || '",
    "1 OR 1=1",
    "1) OR (1=1",
    "4",
    "4 OR id = 5",
    "1 UNION SELECT id, title FROM notes",
    "1; DELETE FROM notes",
    "id) FROM notes UNION SELECT word FROM secrets --",
    "* FROM secrets --",
    "(SELECT word FROM secrets)",
    "(SELECT group_concat(title) FROM notes)",
    "title, (SELECT group_concat(body) FROM notes)",
    "notes; SELECT 1",
    "notes, secrets",
    "secrets",
    "notes UNION SELECT * FROM secrets",
    "(SELECT * FROM secrets)",
    "id, title",
    "CASE WHEN (SELECT count(*) FROM notes WHERE id = 4) THEN id ELSE json('x') END",
    "-1 UNION SELECT 1, 2",
    "-1",
    "9223372036854775808",
    "99999999999999999999",
    "1e999",
    "0x4",
    "$",
    "$.a",
    "$[",
    "$.k",
    "\" FROM secrets --",
    "\"\" FROM secrets --",
    "id\" FROM notes UNION SELECT \"word\" FROM secrets --",
    "` OR 1 --",
    "] OR 1 --",
    "owner = 'x', stars",
    "title = (SELECT word FROM secrets), stars",
    "(title, stars)",
    "rowid",
    "id",
    "title, owner",
    "title, owner) SELECT word, auth.uid() FROM secrets --",
    "title, owner) VALUES ('x', auth.uid()) RETURNING * --",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\u{ff07} OR 1=1 --",
    "\u{2019} OR 1=1 --",
    "%",
    "_",
    "%' ESCAPE '",
    "é",
    "𝒳",
    "'",
    "\"",
    "''",
    ";",
];

/// attack Q01, asvs(V1.2.4)
#[tokio::test]
async fn an_injection_sees_its_own_rows_only() {
    let fixture = Fixture::new().await;
    let (mut ran, mut all) = (0, 0);
    for hole in HOLES {
        for injection in INJECTIONS {
            all += 1;
            ran += usize::from(attempt(&fixture, &hole.replace("{}", injection)).await.is_ok());
        }
    }
    println!("{ran} of {all} injected statements ran, none saw or changed what is hidden");
    assert!(ran > 100, "{ran} of {all}");
    assert!(rows(&fixture.bob(), "SELECT id FROM notes WHERE id > 2").await.unwrap().len() == 3);
}

/// attacks Q01, Q04, asvs(V1.2.4)
#[tokio::test]
async fn a_bound_value_is_never_sql_nor_an_identity() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    for value in INJECTIONS {
        let found: Vec<(i64,)> =
            ann.query_as("SELECT id FROM notes WHERE title = $1").bind(*value).fetch_all().await.unwrap();
        assert_eq!(found, [], "{value:?}");
        let denied = ann
            .query("INSERT INTO notes (title, owner) VALUES ('t', $1)")
            .bind(*value)
            .execute()
            .await
            .unwrap_err();
        assert_eq!(denied.code(), Code::InsufficientPrivilege, "{value:?}");
    }
    let long = "x".repeat(1 << 20);
    let (length,): (i64,) = ann.query_as("SELECT length($1)").bind(&long).fetch_one().await.unwrap();
    assert_eq!(length, 1 << 20);
    let (back,): (String,) = ann.query_as("SELECT $1").bind("a\0b'").fetch_one().await.unwrap();
    assert_eq!(back, "a\0b'");
    assert_eq!(rows(&ann, "SELECT auth.uid()").await.unwrap()[0].0[0], format!("auth.uid()={ANN}"));
}

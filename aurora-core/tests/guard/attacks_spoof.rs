//! Names: common table expressions that play a view, every quote style, schema-qualified and secret names.

use aurora_core::types::Code;

use crate::attacks::{attempt, refused};
use crate::fixture::Fixture;

const NO: &[Code] = &[Code::BadStatement, Code::StatementNotSupported, Code::InsufficientPrivilege];

/// `{s}` is any name: a table's, or one of the guard's own.
const SPOOFS: &[&str] = &[
    "WITH {s} AS (SELECT * FROM notes) SELECT * FROM {s}",
    "WITH {s} AS (SELECT * FROM secrets) SELECT * FROM {s}",
    "WITH {s} AS (SELECT * FROM main.secrets) SELECT * FROM {s}",
    "WITH {s} AS MATERIALIZED (SELECT * FROM secrets) SELECT * FROM {s}",
    "WITH RECURSIVE {s}(a) AS (SELECT word FROM secrets UNION ALL SELECT a FROM {s} LIMIT 3) SELECT * FROM {s}",
    "WITH RECURSIVE {s}(a) AS (SELECT 1 UNION ALL SELECT s.id FROM secrets s, {s} LIMIT 3) SELECT * FROM {s}",
    "SELECT (WITH {s} AS (SELECT word FROM secrets) SELECT word FROM {s})",
    "SELECT * FROM notes WHERE id IN (WITH {s} AS (SELECT id FROM secrets) SELECT id FROM {s})",
    "INSERT INTO drops (note) WITH {s} AS (SELECT word FROM secrets) SELECT word FROM {s}",
    "WITH {s} AS (SELECT word FROM secrets) INSERT INTO drops (note) SELECT word FROM {s}",
    "WITH {s} AS (SELECT word FROM secrets) UPDATE notes SET title = (SELECT word FROM {s}) WHERE id = 1",
    "UPDATE notes SET title = (WITH {s} AS (SELECT word FROM secrets) SELECT word FROM {s}) WHERE id = 1",
    "UPDATE notes SET title = s.word FROM (WITH {s} AS (SELECT word FROM secrets) SELECT * FROM {s}) s",
    "WITH {s} AS (SELECT word FROM secrets) DELETE FROM notes WHERE title IN (SELECT word FROM {s}) RETURNING *",
    "DELETE FROM notes WHERE id = 1 RETURNING (WITH {s} AS (SELECT word FROM secrets) SELECT word FROM {s})",
    "SELECT * FROM secrets AS {s}",
    "SELECT * FROM (SELECT * FROM secrets) AS {s}",
    "SELECT {s}.* FROM secrets {s}",
    "SELECT * FROM {s}",
    "SELECT * FROM {s}.notes",
    "SELECT * FROM {s}.secrets",
    "SELECT * FROM main.{s}",
    "SELECT * FROM temp.{s}",
    "SELECT {s} FROM notes",
    "SELECT notes.{s} FROM notes WHERE json_valid(body)",
    "SELECT {s}.notes.title FROM notes",
    "SELECT {s}() FROM notes",
    "SELECT {s}('x') FROM notes",
    "INSERT INTO {s} VALUES (1)",
    "INSERT INTO {s}.notes (title, owner) VALUES ('x', 'y')",
    "UPDATE {s} SET title = 'x'",
    "UPDATE {s}.notes SET title = 'x'",
    "UPDATE notes AS {s} SET title = (SELECT word FROM secrets)",
    "DELETE FROM {s}.notes",
    "DELETE FROM {s}",
    "SELECT * FROM notes JOIN {s} USING (id)",
    "SELECT * FROM notes ORDER BY {s}",
    "SELECT * FROM json_each((SELECT json_group_array(word) FROM {s}.secrets))",
    "DROP TABLE {s}.notes",
    "DETACH {s}",
    "ATTACH ':memory:' AS {s}",
    "CREATE TEMP VIEW {s} AS SELECT 1",
    "DROP VIEW {s}",
    "DROP TRIGGER {s}",
    "PRAGMA {s}.table_info(notes)",
    "INSERT INTO notes (title, owner) VALUES ('x', auth.uid()) RETURNING {s}.notes.title",
];

fn quotings(name: &str) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("\"{name}\""),
        format!("`{name}`"),
        format!("[{name}]"),
        format!("'{name}'"),
        format!("\"{}\"", name.to_uppercase()),
    ]
}

#[tokio::test]
async fn secret_names_open_nothing() {
    let fixture = Fixture::new().await;
    let mut ran = 0;
    for secret in fixture.guard.secret_names_for_tests() {
        for quoted in quotings(&secret) {
            for spoof in SPOOFS {
                refused(&fixture, &spoof.replace("{s}", &quoted), NO).await;
                ran += 1;
            }
        }
    }
    println!("{ran} statements with secret names, all refused");
}

/// attack L03
#[tokio::test]
async fn names_of_tables_and_catalogs_capture_nothing() {
    let fixture = Fixture::new().await;
    let names = [
        "notes",
        "secrets",
        "members",
        "sqlite_schema",
        "sqlite_master",
        "sqlite_temp_schema",
        "sqlite_sequence",
        "sqlite_stat1",
        "dbstat",
        "json_each",
        "main",
        "temp",
        "auth_users",
        "_sqlx_migrations",
        "excluded",
        "new",
        "old",
        "~x",
        "rowid",
        "pragma_table_list",
        "fts3_tokenizer",
        "x",
    ];
    let mut ran = 0;
    for name in names {
        for quoted in quotings(name) {
            for spoof in SPOOFS {
                // What it answers does not matter: the judge looks for what is hidden.
                let _ = attempt(&fixture, &spoof.replace("{s}", &quoted)).await;
                ran += 1;
            }
        }
    }
    println!("{ran} statements with captured names");
    assert_eq!(fixture.titles().await.len(), 5 - deleted(&fixture).await);
}

/// Ann may delete her own two notes, and some of the statements do.
async fn deleted(fixture: &Fixture) -> usize {
    let titles = fixture.titles().await;
    assert!(titles.contains(&"HIDDEN-four".to_owned()) && titles.contains(&"bob red".to_owned()));
    5 - titles.len().min(5)
}

/// attack L01
#[tokio::test]
async fn a_cte_never_stands_for_a_table_nor_a_table_for_a_cte() {
    let fixture = Fixture::new().await;
    // In RETURNING, where the engine has another idea of what is in scope.
    for sql in [
        "WITH notes AS (SELECT 'shadow' AS title, 1 AS id) UPDATE notes SET stars = 0 WHERE id = 1 RETURNING (SELECT group_concat(title) FROM notes)",
        "WITH notes AS (SELECT 'shadow' AS title) DELETE FROM notes WHERE id = 2 RETURNING (SELECT group_concat(title) FROM notes)",
        "WITH notes AS (SELECT 'shadow' AS title) INSERT INTO notes (title, owner) SELECT title, auth.uid() FROM notes RETURNING (SELECT group_concat(title) FROM notes)",
        "WITH notes AS (SELECT 'shadow' AS title, 1 AS id) INSERT INTO notes (id, title, owner) VALUES (1, 'x', auth.uid()) ON CONFLICT (id) DO UPDATE SET title = (SELECT group_concat(title) FROM notes)",
        "UPDATE members SET role = 'x' WHERE EXISTS (SELECT 1 FROM notes x, members x)",
        "UPDATE notes SET stars = (SELECT count(*) FROM members x, notes x)",
        "UPDATE notes SET title = (SELECT group_concat(title) FROM teams x, notes x)",
        "UPDATE notes SET title = (SELECT group_concat(x.title) FROM teams x JOIN notes X ON 1)",
    ] {
        let _ = attempt(&fixture, sql).await;
    }
    // `rowid` that falls through to the base table of a write would tell of hidden rows.
    for sql in [
        "UPDATE notes SET stars = 1 WHERE EXISTS (SELECT 1 FROM (SELECT 1 AS one) notes WHERE json_extract(CASE notes.rowid WHEN 4 THEN 'HIDDEN' ELSE '1' END, '$'))",
        "UPDATE notes SET stars = 1 WHERE EXISTS (SELECT 1 FROM (SELECT 1 AS one) d WHERE json_extract(CASE rowid WHEN 4 THEN 'HIDDEN' ELSE '1' END, '$'))",
        "WITH d AS (SELECT 1 AS one) UPDATE notes SET stars = 1 WHERE EXISTS (SELECT 1 FROM d WHERE json(CASE oid WHEN 4 THEN 'HIDDEN' ELSE '1' END))",
        "DELETE FROM notes WHERE EXISTS (SELECT 1 FROM teams, members WHERE json(CASE _rowid_ WHEN 4 THEN 'HIDDEN' ELSE '1' END))",
    ] {
        refused(&fixture, sql, NO).await;
    }
    for sql in [
        "UPDATE notes SET stars = 1 WHERE json(CASE rowid WHEN 4 THEN 'HIDDEN' ELSE '1' END)",
        "UPDATE notes SET stars = 1 WHERE json(CASE notes.oid WHEN 5 THEN 'HIDDEN' ELSE '1' END)",
        "UPDATE notes SET stars = 1 WHERE EXISTS (SELECT 1 WHERE json(CASE rowid WHEN 4 THEN 'HIDDEN' ELSE '1' END))",
    ] {
        attempt(&fixture, sql).await.unwrap();
    }
}

/// attack L04
#[tokio::test]
async fn columns_without_a_name_do_not_print_ours() {
    let fixture = Fixture::new().await;
    for (sql, name) in [
        ("SELECT auth.uid()", "auth.uid()"),
        ("SELECT (SELECT count(*) FROM notes)", "(SELECT count(*) FROM notes)"),
        ("SELECT EXISTS (SELECT 1 FROM notes)", "EXISTS (SELECT 1 FROM notes)"),
        ("SELECT rowid FROM notes WHERE id = 1", "id"),
        ("SELECT drops.rowid FROM drops", "rowid"),
        ("SELECT count(*) FROM notes", "count(*)"),
        ("SELECT 1 UNION SELECT (SELECT id FROM notes LIMIT 1)", "1"),
        (
            "UPDATE notes SET stars = 1 WHERE id = 1 RETURNING (SELECT count(*) FROM notes)",
            "(SELECT count(*) FROM notes)",
        ),
        ("UPDATE notes SET stars = 1 WHERE id = 1 RETURNING auth.uid()", "auth.uid()"),
    ] {
        let rows = attempt(&fixture, sql).await.unwrap();
        if let Some(row) = rows.first() {
            assert!(row.0[0].starts_with(&format!("{name}=")), "{sql}: {:?}", row.0);
        }
    }
    // `*` beside a condition that needs the inner view, and beside a derived table without a name.
    for sql in [
        "SELECT * FROM notes, (SELECT 1 AS one) WHERE json_valid(body)",
        "SELECT * FROM notes WHERE json_valid(body)",
        "SELECT *, rowid FROM notes WHERE json_valid(body)",
        "SELECT * FROM (SELECT * FROM notes WHERE json_valid(body))",
        "SELECT d.* FROM (SELECT * FROM notes WHERE json_valid(body)) d, drops WHERE abs(d.id)",
        "WITH c AS (SELECT *, rowid FROM drops) SELECT * FROM c",
    ] {
        attempt(&fixture, sql).await.unwrap();
    }
}

/// attack L04
#[tokio::test]
async fn errors_print_no_secret() {
    let fixture = Fixture::new().await;
    for sql in [
        "SELECT nosuch FROM notes",
        "SELECT notes.nosuch FROM notes",
        "SELECT id FROM notes, teams",
        "SELECT nosuch(id) FROM notes",
        "SELECT * FROM nosuch",
        "SELECT abs() FROM notes",
        "SELECT (1, 2) FROM notes",
        "SELECT * FROM notes ORDER BY 99",
        "SELECT id FROM notes UNION SELECT id, title FROM notes",
        "SELECT max(id) FROM notes WHERE max(id) > 1",
        "SELECT * FROM notes GROUP BY count(*)",
        "SELECT * FROM notes JOIN teams USING (nosuch)",
        "INSERT INTO notes (nosuch) VALUES (1)",
        "INSERT INTO notes (title) VALUES (1, 2)",
        "INSERT INTO notes VALUES (1)",
        "INSERT INTO notes (title, owner) VALUES (NULL, auth.uid())",
        "INSERT INTO notes (title, owner) VALUES ('ann one', auth.uid())",
        "INSERT INTO notes (title, owner, team_id) VALUES ('t', auth.uid(), 99)",
        "INSERT INTO notes (title, owner) VALUES ('t', auth.uid()) ON CONFLICT (stars) DO NOTHING",
        "UPDATE notes SET nosuch = 1",
        "UPDATE notes SET title = NULL",
        "UPDATE notes SET id = 'x'",
        "UPDATE notes SET title = 'ann two'",
        "UPDATE notes SET (stars, public) = (SELECT 1)",
        "DELETE FROM notes RETURNING nosuch",
        "UPDATE notes SET stars = 1 RETURNING count(*)",
        "WITH c AS (SELECT * FROM c) SELECT * FROM c",
        "WITH c(a) AS (SELECT 1, 2) SELECT * FROM c",
        "SELECT json_extract('x', '$')",
        "SELECT 1 FROM notes n WHERE n.id = (SELECT id, title FROM notes)",
        "INSERT INTO members VALUES (1, 'x', 'y')",
    ] {
        assert!(attempt(&fixture, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn no_operator_prints_as_a_comment() {
    let fixture = Fixture::new().await;
    for sql in [
        "UPDATE notes SET stars = - -json(body)",
        "UPDATE notes SET stars = - - -1",
        "UPDATE notes SET stars = -(-1), public = - ~ - + -1",
        "UPDATE notes SET stars = 1 - - 1",
        "DELETE FROM notes WHERE id = - - 4",
        "SELECT * FROM notes WHERE stars = - - 0 AND json_valid(body)",
        "SELECT id FROM notes WHERE id > - - 1 AND json_extract(body, '$.a') ORDER BY - - id",
        "INSERT INTO notes (title, owner, stars) VALUES ('x', auth.uid(), - -1) RETURNING - - stars",
        "SELECT 4/ *, 1 FROM notes",
        "SELECT - -1 COLLATE NOCASE, - -1 || 'x', - body -> 'a', - - body -> '$.a' FROM notes",
    ] {
        let outcome = attempt(&fixture, sql).await;
        assert!(outcome.is_ok() || sql.contains("/ *") || sql.contains("COLLATE"), "{sql}: {outcome:?}");
    }
}

//! Lowered policies run in a real SQLite and give the rows that the policy's own text gives there.
//!
//! The conditions use only what both engines read alike, so that the text as a person wrote it can be the
//! reference; identity is written into both as a literal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

use aurora_core::policy::{Column, Command, Names, Policies, Predicate, Schema, Table};
use aurora_core::types::Role;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

const ALICE: &str = "0d6a1e5c-1111-4111-8111-00000000000a";
const BOB: &str = "0d6a1e5c-2222-4222-8222-00000000000b";

struct Inline;

impl Names for Inline {
    fn row(&self, column: &str) -> String {
        format!("\"notes\".\"{column}\"")
    }
    fn table(&self, table: &str) -> String {
        format!("\"{table}\"")
    }
    fn owner_table(&self, table: &str) -> String {
        format!("\"{table}\"")
    }
    fn function(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// Puts values in place of the identity functions, which only the guard registers.
fn inlined(lowered: &str) -> String {
    let blob: String = ALICE.chars().filter(|c| *c != '-').collect();
    lowered
        .replace("auth_uid_text()", &format!("'{ALICE}'"))
        .replace("auth_uid_blob()", &format!("x'{blob}'"))
        .replace("auth_email()", "'alice@example.org'")
        .replace("auth_jwt_text('app_metadata', 'role')", "'admin'")
}

fn schema() -> Schema {
    let columns =
        |names: &[(&str, &str)]| names.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
    Schema {
        tables: vec![
            Table::new(
                "notes",
                columns(&[
                    ("id", "INTEGER"),
                    ("owner", "TEXT"),
                    ("team_id", "INTEGER"),
                    ("public", "BOOLEAN"),
                    ("title", "TEXT"),
                ]),
            ),
            Table::new("members", columns(&[("team_id", "INTEGER"), ("user_id", "TEXT"), ("role", "TEXT")])),
            Table::new("teams", columns(&[("id", "INTEGER"), ("parent", "INTEGER"), ("open", "BOOLEAN")])),
        ],
    }
}

/// Every combination of owner, team and visibility, NULL among them.
async fn database() -> SqliteConnection {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let mut script = String::from(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, owner TEXT, team_id INTEGER, public BOOLEAN, title TEXT);
         CREATE TABLE members (team_id INTEGER, user_id TEXT, role TEXT);
         CREATE TABLE teams (id INTEGER PRIMARY KEY, parent INTEGER, open BOOLEAN);
         CREATE INDEX notes_owner ON notes (owner); CREATE INDEX notes_team ON notes (team_id);
         CREATE INDEX members_user ON members (user_id, team_id);
         INSERT INTO teams VALUES (1, NULL, 1), (2, 1, 0), (3, 2, NULL), (4, NULL, 0);",
    );
    for (team, user, role) in [
        ("1", ALICE, "'admin'"),
        ("2", ALICE, "'member'"),
        ("2", BOB, "'admin'"),
        ("NULL", ALICE, "'admin'"),
        ("3", BOB, "NULL"),
    ] {
        script.push_str(&format!("INSERT INTO members VALUES ({team}, '{user}', {role});"));
    }
    for owner in ["NULL".to_owned(), format!("'{ALICE}'"), format!("'{BOB}'")] {
        for team in ["NULL", "1", "2", "3", "4"] {
            for public in ["NULL", "0", "1"] {
                for title in ["NULL", "'a'", "'A'"] {
                    script.push_str(&format!(
                        "INSERT INTO notes (owner, team_id, public, title) VALUES ({owner}, {team}, {public}, {title});"
                    ));
                }
            }
        }
    }
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut db).await.unwrap();
    db
}

async fn ids(db: &mut SqliteConnection, condition: &str) -> Vec<i64> {
    let sql = format!("SELECT id FROM notes WHERE {condition} ORDER BY id");
    let rows = sqlx::query(AssertSqlSafe(sql.clone())).fetch_all(db).await;
    rows.unwrap_or_else(|error| panic!("{error}: {sql}")).iter().map(|row| row.get(0)).collect()
}

fn lower(condition: &str) -> String {
    lower_for(condition, false)
}

fn lower_for(condition: &str, one_row: bool) -> String {
    let text = format!(
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
         ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON notes FOR SELECT USING ({condition});"
    );
    let lowered = Policies::parse(&text, "p.sql").and_then(|policies| policies.lower(&schema()));
    let lowered = lowered.unwrap_or_else(|errors| panic!("{errors}"));
    match lowered.using("notes", Role::Authenticated, Command::Select) {
        Predicate::True => "1".into(),
        Predicate::False => "0".into(),
        Predicate::Expr(lowering) if one_row => inlined(&lowering.render_for_one_row(&Inline)),
        Predicate::Expr(lowering) => inlined(&lowering.render(&Inline)),
    }
}

#[tokio::test]
async fn lowered_policies_give_the_rows_of_their_own_text() {
    let mut db = database().await;
    let member =
        "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())";
    let conditions = [
        "owner = auth.uid()".to_owned(),
        "owner = auth.uid() OR public".to_owned(),
        "NOT public".to_owned(),
        "public IS NOT TRUE".to_owned(),
        "public IS NOT DISTINCT FROM true OR NOT (public IS FALSE)".to_owned(),
        member.to_owned(),
        format!("owner = auth.uid() OR {member}"),
        format!("NOT {member}"),
        format!("NOT (owner = 'x' OR {member})"),
        format!("({member}) = false"),
        format!("coalesce({member}, true)"),
        format!("CASE WHEN {member} THEN public ELSE owner = auth.uid() END"),
        "team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())".to_owned(),
        "team_id NOT IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())".to_owned(),
        "auth.uid() IN (SELECT m.user_id FROM members m WHERE m.team_id = notes.team_id)".to_owned(),
        "auth.uid() NOT IN (SELECT m.user_id FROM members m WHERE m.team_id = notes.team_id)".to_owned(),
        "EXISTS (SELECT 1 FROM members m JOIN teams t ON t.id = m.team_id WHERE t.id = notes.team_id AND t.open)".to_owned(),
        "EXISTS (SELECT 1 FROM teams t WHERE t.id = notes.team_id AND (t.open OR t.parent IN
           (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())))".to_owned(),
        "EXISTS (SELECT 1 FROM members m WHERE m.team_id = team_id AND m.role = 'admin')".to_owned(),
        "(SELECT t.open FROM teams t WHERE t.id = notes.team_id)".to_owned(),
        "(SELECT t.parent FROM teams t WHERE t.id = notes.team_id) IS NULL AND team_id = ANY (ARRAY[1, 2, 3])".to_owned(),
        "title = 'a' OR title IN ('A', 'b') AND team_id BETWEEN 2 AND 3".to_owned(),
        "title IS DISTINCT FROM 'a'".to_owned(),
        "team_id IN (1, NULL)".to_owned(),
        "team_id NOT IN (1, NULL)".to_owned(),
        "nullif(title, 'a') IS NULL".to_owned(),
    ];
    for condition in &conditions {
        let written = condition
            .replace("auth.uid()", &format!("'{ALICE}'"))
            .replace("= ANY (ARRAY[1, 2, 3])", "IN (1, 2, 3)");
        let expected = ids(&mut db, &format!("({written})")).await;
        for one_row in [false, true] {
            let lowered = lower_for(condition, one_row);
            let lowered = lowered.replace("aurora_uuid(", "lower(").replace("aurora_raise(", "lower(");
            assert_eq!(ids(&mut db, &lowered).await, expected, "{condition}\nlowered: {lowered}");
        }
    }
    println!("{} conditions agree on 135 rows, in both renderings", conditions.len());
}

#[tokio::test]
async fn one_row_is_asked_for_and_nothing_is_listed() {
    let mut db = database().await;
    let nested = "EXISTS (SELECT 1 FROM teams t WHERE t.id = notes.team_id AND t.parent IN
        (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()))";
    for condition in ["team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())", nested] {
        for (one_row, listed) in [(false, true), (true, false)] {
            let lowered = lower_for(condition, one_row);
            let sql = format!("EXPLAIN QUERY PLAN SELECT id FROM notes WHERE id = 1 AND {lowered}");
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut db).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let plan = plan.join("\n");
            assert_eq!(plan.contains("LIST SUBQUERY"), listed, "{lowered}\n{plan}");
            assert!(plan.contains("members_user"), "{plan}");
        }
    }
}

#[tokio::test]
async fn the_membership_policy_uses_both_indexes() {
    let mut db = database().await;
    let lowered = lower(
        "owner = auth.uid() OR EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid())",
    );
    let sql = format!("EXPLAIN QUERY PLAN SELECT id FROM notes WHERE {lowered}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut db).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("MULTI-INDEX OR"), "{plan}");
    assert!(
        plan.contains("notes_owner") && plan.contains("notes_team") && plan.contains("members_user"),
        "{plan}"
    );
    assert!(
        !plan.contains("CORRELATED") && !plan.contains("SCAN notes") && !plan.contains("SCAN aurora"),
        "{plan}"
    );
}

/// The guard bounds an expression's depth at 400.
#[tokio::test]
async fn a_thousand_policies_on_one_table_run() {
    let mut db = database().await;
    let text: String =
        (0..1_000).map(|i| format!("CREATE POLICY p{i} ON notes FOR SELECT USING (id = {i});")).collect();
    let text = format!("ALTER TABLE notes ENABLE ROW LEVEL SECURITY; {text}");
    let lowered = Policies::parse(&text, "p.sql").unwrap().lower(&schema()).unwrap();
    let Predicate::Expr(lowering) = lowered.using("notes", Role::Authenticated, Command::Select) else {
        panic!()
    };
    let rendered = lowering.render(&Inline);
    let (mut depth, mut deepest) = (0, 0);
    for c in rendered.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        deepest = deepest.max(depth);
    }
    assert!(deepest < 12, "{deepest}");
    assert_eq!(ids(&mut db, &rendered).await.len(), 135);
}

/// attack L07
#[tokio::test]
async fn values_that_are_no_booleans_open_nothing() {
    let mut db = database().await;
    sqlx::raw_sql("UPDATE notes SET public = 'true'; UPDATE notes SET title = 'A'")
        .execute(&mut db)
        .await
        .unwrap();
    for condition in
        ["public", "NOT public", "public = true", "public <> true", "public IS NOT TRUE", "title = 'a'"]
    {
        assert_eq!(ids(&mut db, &lower(condition)).await, [0i64; 0], "{condition}");
    }
    sqlx::raw_sql(
        "DROP TABLE notes; CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT COLLATE NOCASE);
                   INSERT INTO notes (title) VALUES ('A')",
    )
    .execute(&mut db)
    .await
    .unwrap();
    assert_eq!(ids(&mut db, &lower("title = 'a'")).await, [0i64; 0]);
    assert_eq!(ids(&mut db, &lower("title IN ('a', 'b')")).await, [0i64; 0]);
    assert_eq!(ids(&mut db, &lower("title = 'A'")).await, [1]);
}

//! The codes of failures, and that no text of one holds a row.

use aurora_core::guard::GuardOptions;
use aurora_core::types::{Code, Error};

use crate::fixture::{ANN, BOB, Fixture, POLICIES, ROWS, SCHEMA};

fn printed(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(" {inner} {inner:?}"));
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn each_failure_has_its_code_and_shows_no_row() {
    let fixture = Fixture::new().await;
    let ann = fixture.ann();
    for (sql, code) in [
        (format!("INSERT INTO notes (title, owner) VALUES ('HIDDEN-four', '{ANN}')"), Code::UniqueViolation),
        (
            format!("INSERT INTO notes (title, owner, team_id) VALUES ('n', '{ANN}', 99)"),
            Code::ForeignKeyViolation,
        ),
        (format!("INSERT INTO notes (title, owner) VALUES (NULL, '{ANN}')"), Code::NotNullViolation),
        (
            format!("INSERT INTO notes (title, owner, stars) VALUES ('PRIVATE', '{ANN}', -1)"),
            Code::CheckViolation,
        ),
        (format!("INSERT INTO notes (title, owner) VALUES ('n', '{BOB}')"), Code::InsufficientPrivilege),
        ("SELECT 'PRIVATE'::uuid".to_owned(), Code::BadStatement),
        ("SELECT 9999999999::int".to_owned(), Code::BadStatement),
        ("SELECT 1/0".to_owned(), Code::BadStatement),
        ("SELEC 1".to_owned(), Code::StatementNotSupported),
        ("SELECT FROM WHERE".to_owned(), Code::BadStatement),
        ("SELECT * FROM missing".to_owned(), Code::BadStatement),
        ("SELECT missing FROM notes".to_owned(), Code::BadStatement),
        ("SELECT missing(1)".to_owned(), Code::BadStatement),
    ] {
        let error = ann.query(&sql).execute().await.unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error:?}");
        let text = printed(&error);
        for word in ["PRIVATE", "Failing row", "already exists", "Key (", "HIDDEN", ANN] {
            assert!(!text.contains(word), "{sql}: {text}");
        }
    }
    let nul = ann.query("SELECT $1").bind("a\0b").execute().await.unwrap_err();
    assert_eq!(nul.code(), Code::ValidationFailed, "{nul:?}");
}

#[tokio::test]
async fn a_policys_subquery_of_two_rows_says_21000_as_on_sqlite() {
    let policies = POLICIES.replace(
        "CREATE POLICY own ON notes FOR ALL TO authenticated",
        "CREATE POLICY two ON notes FOR SELECT TO authenticated USING ((SELECT t.id FROM teams t) = notes.id);
         CREATE POLICY own ON notes FOR INSERT TO authenticated",
    );
    let policies = policies.replace("USING (owner = auth.uid()::text) WITH CHECK", "WITH CHECK");
    let policies = policies.replace(
        "CREATE POLICY teams_read ON teams FOR SELECT TO authenticated",
        "CREATE POLICY teams_all ON teams FOR SELECT USING (true);
         CREATE POLICY teams_read ON teams FOR SELECT TO authenticated",
    );
    let fixture = Fixture::with(SCHEMA, ROWS, &policies, GuardOptions::default()).await.unwrap();
    let error = fixture.ann().query("SELECT id FROM notes").execute().await.unwrap_err();
    assert_eq!(error.code(), Code::BadStatement, "{error:?}");
    assert!(error.message().starts_with("21000 more than one row"), "{error}");
}

/// attack Q04: a NUL is refused, what is large is refused or carried, and the next statement answers its own.
#[tokio::test]
async fn q04_odd_values_do_not_upset_the_protocol() {
    let fixture = Fixture::one_connection().await;
    let ann = fixture.ann();
    let large = "x".repeat(8 << 20);
    let (length,): (i64,) = ann.query_as("SELECT length($1)::bigint").bind(large).fetch_one().await.unwrap();
    assert_eq!(length, 8 << 20);
    assert!(ann.query("SELECT length($1)").bind("\0").execute().await.is_err());
    let (same,): (String,) =
        ann.query_as("SELECT $1").bind("\u{fffd}\u{1f600}e\u{301}").fetch_one().await.unwrap();
    assert_eq!(same, "\u{fffd}\u{1f600}e\u{301}");
    // More parameters than the protocol counts.
    let many: Vec<String> = (1..=70_000).map(|n| format!("${n}::text")).collect();
    let sql = format!("SELECT coalesce({})", many.join(","));
    let mut query = ann.query(&sql);
    for _ in 0..70_000 {
        query = query.bind("x");
    }
    assert!(query.execute().await.is_err());
    let (one,): (i64,) = ann.query_as("SELECT 1::bigint").fetch_one().await.unwrap();
    assert_eq!(one, 1);
}

/// attack A01: a policy that fails on a hidden row fails the statement, and does not print the row.
#[tokio::test]
async fn a01_a_policy_that_fails_is_no_yes_and_prints_nothing() {
    let policies = POLICIES.replace(
        "CREATE POLICY own ON notes",
        "CREATE POLICY odd ON notes FOR SELECT TO anon USING (body::int > 0);\nCREATE POLICY own ON notes",
    );
    let fixture = Fixture::with(SCHEMA, ROWS, &policies, Default::default()).await.unwrap();
    let error = fixture.anon().query("SELECT id FROM notes").execute().await.unwrap_err();
    assert_eq!(error.code(), Code::BadStatement);
    assert!(!printed(&error).contains("HIDDEN") && !printed(&error).contains("a\":"), "{error:?}");
}

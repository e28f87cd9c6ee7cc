//! Helper functions, functions of the host's and grants on columns, through the guard.

use aurora_core::guard::{GuardOptions, Guarded};
use aurora_core::policy::Policies;
use aurora_core::policy::functions::Value;
use aurora_core::types::Code;

use crate::fixture::{ANN, Fixture, POLICIES, ROWS, SCHEMA};

async fn ids(db: &Guarded, sql: &str) -> Vec<i64> {
    db.query_as::<(i64,)>(sql).fetch_all().await.unwrap().into_iter().map(|(id,)| id).collect()
}

async fn code(db: &Guarded, sql: &str) -> Option<Code> {
    db.query(sql).execute().await.err().map(|error| error.code())
}

async fn fixture(policies: &str) -> Fixture {
    Fixture::with(SCHEMA, ROWS, policies, GuardOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_definer_function_sees_what_its_caller_does_not() {
    let helper = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
        CREATE FUNCTION in_team(t bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
          $$ SELECT EXISTS (SELECT 1 FROM public.members m WHERE m.team_id = t AND m.user_id = auth.uid()::text) $$;
        CREATE FUNCTION knows_word() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
          $$ BEGIN RETURN (SELECT count(*) = 1 FROM secrets WHERE word = 'HIDDEN'); END $$;
        CREATE POLICY team ON notes FOR SELECT USING (in_team(team_id) AND (SELECT knows_word()));";
    // The members table has no policy at all, and nobody may look at the secrets.
    let definer = fixture(helper).await;
    assert_eq!(ids(&definer.ann(), "SELECT id FROM notes").await, [3]);
    assert_eq!(ids(&definer.bob(), "SELECT id FROM notes").await, [5]);
    assert_eq!(ids(&definer.anon(), "SELECT id FROM notes").await, [0_i64; 0]);
    assert_eq!(ids(&definer.ann(), "SELECT team_id FROM members").await, [0_i64; 0]);
    assert_eq!(code(&definer.ann(), "SELECT word FROM secrets").await, Some(Code::BadStatement));
    let invoker = helper.replace("SECURITY DEFINER SET search_path = ''", "");
    let invoker = fixture(&invoker).await;
    assert_eq!(ids(&invoker.ann(), "SELECT id FROM notes").await, [0_i64; 0]);
}

#[tokio::test]
async fn a_function_of_the_host_decides_in_rust() {
    let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY odd ON notes FOR SELECT USING (is_odd(id, title));";
    let policies = Policies::parse(text, "policies.sql").unwrap();
    let unregistered = Fixture::over(SCHEMA, ROWS, &policies, GuardOptions::default()).await.err().unwrap();
    assert!(unregistered.to_string().contains("with_function"), "{unregistered}");
    let policies = policies
        .with_function("is_odd", &["bigint", "text"], "boolean", |arguments| match arguments {
            [Value::Integer(id), Value::Text(_)] => Ok(Value::Integer(id % 2)),
            _ => Err("22004 null value not allowed".to_owned()),
        })
        .unwrap();
    let fixture = Fixture::over(SCHEMA, ROWS, &policies, GuardOptions::default()).await.unwrap();
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM notes ORDER BY id").await, [1, 3, 5]);
}

/// fault K30: a function of the host's that panics fails the statement that asks it, whatever kind it is; nothing is
/// read or written, and the next identity on the same connections has its own rows.
#[tokio::test]
async fn a_function_of_the_host_s_that_panics_fails_its_statement_alone() {
    let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON notes TO authenticated
          USING (owner = auth.uid()::text AND calm(owner, auth.uid()::text));";
    let policies = Policies::parse(text, "policies.sql").unwrap();
    let policies = policies
        .with_function("calm", &["text", "text"], "boolean", |arguments| match arguments {
            [_, Value::Text(who)] if who == ANN => panic!("a secret of the host's"),
            _ => Ok(Value::Integer(1)),
        })
        .unwrap();
    let mut options = GuardOptions::default();
    options.readers = 1;
    let fixture = Fixture::over(SCHEMA, ROWS, &policies, options).await.unwrap();
    let before = fixture.titles().await;
    let statements = [
        "SELECT id FROM notes",
        "SELECT count(*) FROM notes",
        "SELECT id FROM notes WHERE true OR title = 'x'",
        "WITH x AS (SELECT id FROM notes) SELECT id FROM x",
        "UPDATE notes SET title = title || '!'",
        "DELETE FROM notes",
        "INSERT INTO notes (title, owner) VALUES ('new', '00000000-0000-4000-8000-00000000000a') RETURNING id",
    ];
    for sql in statements {
        let error = fixture.ann().query_as::<(i64,)>(sql).fetch_all().await.unwrap_err();
        assert_eq!(error.code(), Code::BadStatement, "{sql}: {error}");
        assert!(!error.to_string().contains("secret"), "{sql}: {error}");
        assert_eq!(ids(&fixture.bob(), "SELECT id FROM notes ORDER BY id").await, [3, 4, 5], "{sql}");
        assert_eq!(ids(&fixture.anon(), "SELECT id FROM notes").await, [0_i64; 0], "{sql}");
        let own = "UPDATE notes SET stars = stars + 1 RETURNING id";
        assert_eq!(ids(&fixture.bob(), own).await.len(), 3, "{sql}: the writer goes on");
        assert_eq!(fixture.titles().await, before, "{sql}");
    }
    println!("{} statements met a panic", statements.len());
}

/// attack A06, asvs(V8.2.3)
#[tokio::test]
async fn columns_are_granted_one_by_one() {
    let text = format!(
        "{POLICIES} REVOKE SELECT, UPDATE, INSERT ON notes FROM authenticated;
         GRANT SELECT (id, title, owner), UPDATE (title, stars), INSERT (title, owner) ON notes TO authenticated;"
    );
    let fixture = fixture(&text).await;
    let ann = fixture.ann();
    let allowed = [
        "SELECT id, title FROM notes WHERE owner <> ''",
        "SELECT count(*) FROM notes",
        "WITH x AS (SELECT id FROM notes) SELECT * FROM x",
        "SELECT n.title FROM notes n JOIN members m ON m.user_id = n.owner",
        "SELECT title FROM notes WHERE title || 'x' LIKE '%one%' GROUP BY title HAVING max(title || 'x') > ''",
        "UPDATE notes SET stars = 3",
        "UPDATE notes SET title = title || '!' WHERE id = 1",
        "INSERT INTO notes (title, owner) VALUES ('new', '00000000-0000-4000-8000-00000000000a') RETURNING id",
        "INSERT INTO notes (title, owner) VALUES ('new', '00000000-0000-4000-8000-00000000000a')
         ON CONFLICT (title) DO UPDATE SET title = excluded.title",
        "DELETE FROM notes WHERE title = 'new'",
    ];
    for sql in allowed {
        assert_eq!(code(&ann, sql).await, None, "{sql}");
    }
    let denied = [
        "SELECT * FROM notes",
        "SELECT n.* FROM notes n",
        "SELECT body FROM notes",
        "SELECT id FROM notes WHERE body = 'x'",
        "SELECT id FROM notes ORDER BY stars",
        "SELECT id FROM notes WHERE json_extract(body, '$.a') = 1",
        "WITH x AS (SELECT * FROM notes) SELECT id FROM x",
        "SELECT (SELECT body FROM notes LIMIT 1)",
        "SELECT d.body FROM (SELECT body FROM notes) d",
        "SELECT 1 FROM members m JOIN notes n ON n.team_id = m.team_id",
        "SELECT id FROM notes GROUP BY id HAVING max(body || 'x') > ''",
        "UPDATE notes SET body = 'x'",
        "UPDATE notes SET title = body",
        "UPDATE notes SET title = 'x' WHERE stars = 1",
        "UPDATE notes SET stars = stars + 1",
        "UPDATE notes SET title = 'y' RETURNING body",
        "UPDATE notes SET title = 'z' RETURNING *",
        "INSERT INTO notes (title, owner, body) VALUES ('n', 'o', 'b')",
        "INSERT INTO notes VALUES (9, 'n', 'b', 'o', NULL, 0, 0)",
        "INSERT INTO notes (title, owner) VALUES ('n', 'o') RETURNING stars",
        "INSERT INTO notes (title, owner) VALUES ('n', 'o') ON CONFLICT (title) DO UPDATE SET body = 'x'",
        // What is read of the proposed row must be granted too.
        "INSERT INTO notes (title, owner) VALUES ('ann one', '00000000-0000-4000-8000-00000000000a')
         ON CONFLICT (title) DO UPDATE SET stars = excluded.stars",
        "DELETE FROM notes WHERE body = 'x'",
        "DELETE FROM notes RETURNING *",
    ];
    let before = fixture.titles().await;
    for sql in denied {
        assert_eq!(code(&ann, sql).await, Some(Code::InsufficientPrivilege), "{sql}");
    }
    assert_eq!(fixture.titles().await, before);
    // Its own policies may read what the caller may not; nobody else is held back.
    assert_eq!(ids(&ann, "SELECT id FROM notes ORDER BY id").await, [1, 2, 3]);
    assert_eq!(ids(&fixture.anon(), "SELECT id FROM notes WHERE body = ''").await, [0_i64; 0]);
    println!("{} allowed, {} denied as {ANN}", allowed.len(), denied.len());
}

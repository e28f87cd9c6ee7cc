//! Installing a policy file: what it makes, what it leaves, and what it refuses to start beside. Rows G01, A01, A06.

use aurora_core::guard::{ForeignPolicies, Guard, GuardOptions, Plan, apply, plan};
use aurora_core::policy::Policies;
use aurora_core::types::{Code, Error, Principal};
use sqlx::postgres::PgConnection;

use crate::attacks::rows;
use crate::fixture::{ANN, Fixture, POLICIES, Place, ROWS, SCHEMA, run, superuser};

fn policies(text: &str) -> Policies {
    Policies::parse(text, "policies.sql").unwrap_or_else(|errors| panic!("{errors}"))
}

async fn planned(place: &Place, policies: &Policies) -> Plan {
    let mut transaction = place.owner.begin().await.unwrap();
    let plan = plan(transaction.connection().unwrap(), policies).await.unwrap();
    transaction.rollback().await.unwrap();
    plan
}

async fn open(place: &Place, policies: &Policies) -> Result<Guard, Error> {
    let database = place.database(1).await;
    Guard::open_postgres(database, None, policies, GuardOptions::default()).await
}

async fn texts(connection: &mut PgConnection, sql: &'static str) -> Vec<String> {
    let found: Vec<(String,)> = sqlx::query_as(sql).fetch_all(connection).await.unwrap();
    found.into_iter().map(|(text,)| text).collect()
}

#[tokio::test]
async fn installing_twice_changes_nothing_the_second_time() {
    let place = Place::new(SCHEMA, ROWS).await;
    let file = policies(POLICIES);
    let before = planned(&place, &file).await;
    println!("{before}");
    assert!(before.changes().any(|change| change == "policy \"own\" on notes"));
    assert_eq!(before.foreign().count() + before.drift().count(), 0);
    let refused = open(&place, &file).await.unwrap_err();
    assert_eq!(refused.code(), Code::Configuration);
    assert!(refused.message().contains("policy apply"), "{refused}");
    apply(&place.owner, &file, ForeignPolicies::Keep).await.unwrap();
    assert_eq!(planned(&place, &file).await.to_string(), "the database has the policies of the file\n");
    let again = apply(&place.owner, &file, ForeignPolicies::Keep).await.unwrap();
    assert_eq!(again.plan().changes().count(), 0);
    let guard = open(&place, &file).await.unwrap();
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    assert_eq!(rows(&ann, "SELECT id FROM notes").await.unwrap().len(), 3);
    // Two at once take turns.
    let (one, two) = tokio::join!(
        apply(&place.owner, &file, ForeignPolicies::Keep),
        apply(&place.owner, &file, ForeignPolicies::Keep)
    );
    one.unwrap();
    two.unwrap();
    let mut connection = superuser(&place.name).await;
    let comments = texts(
        &mut connection,
        "SELECT obj_description(oid, 'pg_policy') FROM pg_policy WHERE polname = 'own'",
    )
    .await;
    assert!(comments[0].starts_with("aurora policy ") && comments[0].contains("CREATE POLICY own ON notes"));
    let team =
        texts(&mut connection, "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'team'")
            .await;
    assert!(team[0].contains("ANY (ARRAY("), "{team:?}");
}

#[tokio::test]
async fn what_the_file_no_longer_says_goes_and_what_it_says_anew_comes() {
    let place = Place::new(SCHEMA, ROWS).await;
    apply(&place.owner, &policies(POLICIES), ForeignPolicies::Keep).await.unwrap();
    let less = POLICIES
        .replace(
            "CREATE POLICY teams_own ON teams FOR ALL TO authenticated USING (owner = auth.uid()::text);",
            "",
        )
        .replace(
            "FOR INSERT TO anon, authenticated WITH CHECK (true)",
            "FOR INSERT TO anon WITH CHECK (note <> '')",
        );
    let less = policies(&format!("{less} REVOKE UPDATE ON notes FROM authenticated;"));
    let plan = planned(&place, &less).await;
    println!("{plan}");
    let text = plan.to_string();
    for line in ["- policy \"teams_own\" on teams", "~ policy \"drops_in\" on drops", "~ grants on notes"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(open(&place, &less).await.is_err());
    apply(&place.owner, &less, ForeignPolicies::Keep).await.unwrap();
    let guard = open(&place, &less).await.unwrap();
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    let refused = ann.query("UPDATE notes SET stars = 1").execute().await.unwrap_err();
    assert_eq!(refused.code(), Code::InsufficientPrivilege);
    assert_eq!(refused.message(), "permission denied for table notes");
}

#[tokio::test]
async fn what_somebody_changed_in_the_database_is_drift_and_refused() {
    for change in [
        "ALTER POLICY own ON notes USING (true)",
        "ALTER POLICY own ON notes TO anon",
        "DROP POLICY own ON notes; CREATE POLICY own ON notes USING (true)",
        "DROP POLICY members_read ON members",
        "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
        "GRANT TRUNCATE ON notes TO authenticated",
        "GRANT SELECT ON secrets TO anon",
        "GRANT SELECT (word) ON secrets TO PUBLIC",
        "REVOKE SELECT ON notes FROM authenticated",
        "CREATE POLICY wide ON notes USING (true)",
        "CREATE TABLE later (id bigint); ALTER TABLE later OWNER TO aurora_guard_owner; GRANT SELECT ON later TO authenticated",
        "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
        "COMMENT ON POLICY own ON notes IS NULL",
    ] {
        let place = Place::new(SCHEMA, ROWS).await;
        let file = policies(POLICIES);
        apply(&place.owner, &file, ForeignPolicies::Keep).await.unwrap();
        run(&mut superuser(&place.name).await, change).await;
        let refused = open(&place, &file).await.unwrap_err();
        assert_eq!(refused.code(), Code::Configuration, "{change}: {refused:?}");
        assert!(refused.message().contains("policy apply"), "{change}: {refused}");
        println!("{change}\n{}", planned(&place, &file).await);
        apply(&place.owner, &file, ForeignPolicies::Replace).await.unwrap();
        open(&place, &file).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    }
}

/// A limit on how many rows somebody may insert reads its own table: what Aurora adds to policies must not make that
/// a circle (42P17) where PostgreSQL finds none.
#[tokio::test]
async fn a_policy_may_count_the_rows_of_its_own_table() {
    let schema = "CREATE TABLE t (id bigint PRIMARY KEY, owner uuid, public boolean);
        CREATE TABLE u (id bigint PRIMARY KEY, t_id bigint);";
    let text = "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE u ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON t FOR SELECT USING (owner = auth.uid());
        CREATE POLICY open ON t FOR SELECT USING (public);
        CREATE POLICY few ON t FOR INSERT
          WITH CHECK (owner = auth.uid() AND (SELECT count(*) FROM t x WHERE x.owner = auth.uid()) < 2);
        CREATE POLICY through ON u FOR SELECT USING (EXISTS (SELECT 1 FROM t WHERE t.id = u.t_id));
        CREATE POLICY back ON t FOR DELETE USING (NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id));";
    let fixture = Fixture::with(schema, "", text, GuardOptions::default()).await.unwrap();
    let ann = fixture.ann();
    for (id, taken) in [(1, true), (2, true), (3, false)] {
        let insert = format!("INSERT INTO t VALUES ({id}, '{ANN}', false) RETURNING id");
        let done = ann.query_as::<(i64,)>(&insert).fetch_one().await;
        assert_eq!(done.is_ok(), taken, "{done:?}");
    }
    assert_eq!(ann.query("DELETE FROM t WHERE id = 1").execute().await.unwrap().rows_affected(), 1);
    let bob = fixture.as_user("00000000-0000-4000-8000-00000000000b");
    assert_eq!(rows(&bob, "SELECT id FROM t").await.unwrap().len(), 0);
    // A role that was switched to sees nothing all the same.
    let mut connection = superuser(&fixture.place).await;
    run(&mut connection, "INSERT INTO t VALUES (9, NULL, true)").await;
    run(&mut connection, "SET ROLE authenticated").await;
    let seen = sqlx::query("SELECT id FROM t").fetch_all(&mut connection).await;
    assert!(seen.is_err() || seen.is_ok_and(|rows| rows.is_empty()));
}

#[tokio::test]
async fn others_policies_are_reported_and_touched_only_when_told() {
    let place = Place::new(SCHEMA, ROWS).await;
    let mut connection = superuser(&place.name).await;
    run(
        &mut connection,
        "CREATE POLICY legacy ON notes USING (public); CREATE POLICY elsewhere ON secrets USING (true);",
    )
    .await;
    let file = policies(POLICIES);
    apply(&place.owner, &file, ForeignPolicies::Keep).await.unwrap();
    let plan = planned(&place, &file).await;
    assert_eq!(plan.foreign().collect::<Vec<_>>(), ["policy \"legacy\" on notes"]);
    let refused = open(&place, &file).await.unwrap_err();
    assert!(refused.message().contains("legacy"), "{refused}");
    apply(&place.owner, &file, ForeignPolicies::Replace).await.unwrap();
    open(&place, &file).await.unwrap();
    let left = texts(
        &mut connection,
        "SELECT polname::text FROM pg_policy WHERE polname IN ('legacy', 'elsewhere')",
    );
    assert_eq!(left.await, ["elsewhere"]);
}

/// attacks A01, G01: a file that does not fit the tables is refused by file and line, and nothing is installed.
#[tokio::test]
async fn a_file_that_does_not_fit_is_refused() {
    let place = Place::new(SCHEMA, ROWS).await;
    for (text, word) in [
        ("ALTER TABLE missing ENABLE ROW LEVEL SECURITY;", "missing"),
        (
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes USING (nobody = auth.uid());",
            "nobody",
        ),
        (
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;\nCREATE POLICY p ON notes USING (id IN (SELECT id FROM notes));",
            "recursion",
        ),
    ] {
        let file = policies(text);
        let refused = apply(&place.owner, &file, ForeignPolicies::Keep).await.unwrap_err();
        assert_eq!(refused.code(), Code::Configuration);
        assert!(refused.message().contains(word), "{text}: {refused}");
    }
    let mut connection = superuser(&place.name).await;
    let count = texts(
        &mut connection,
        "SELECT count(*)::text FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace = 'public'::regnamespace",
    );
    assert_eq!(count.await, ["0"]);
}

/// attack A06, asvs(V8.2.3): a column that is not granted is refused wherever it stands, and so is no oracle.
#[tokio::test]
async fn a06_helpers_types_and_columns_of_a_file_for_postgresql_alone() {
    let place = Place::new(SCHEMA, ROWS).await;
    let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE TYPE mood AS ENUM ('good', 'it''s bad');
        CREATE FUNCTION is_member(team bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$
          SELECT EXISTS (SELECT 1 FROM members m WHERE m.team_id = team AND m.user_id = auth.uid()::text) $$;
        CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text);
        CREATE POLICY team ON notes FOR SELECT TO authenticated USING (is_member(team_id) AND title ~ '^bob');
        REVOKE SELECT ON notes FROM authenticated; GRANT SELECT (id, title) ON notes TO authenticated;";
    let file = Policies::parse_for_postgres_only(text, "policies.sql").unwrap();
    apply(&place.owner, &file, ForeignPolicies::Keep).await.unwrap();
    assert!(planned(&place, &file).await.is_empty(), "{}", planned(&place, &file).await);
    let guard = open(&place, &file).await.unwrap();
    let ann = guard.guarded(Principal::user(ANN.parse().unwrap()));
    assert_eq!(rows(&ann, "SELECT id, title FROM notes").await.unwrap().len(), 3);
    for sql in [
        "SELECT body FROM notes",
        "SELECT * FROM notes",
        "SELECT id FROM notes WHERE body LIKE 'H%'",
        "SELECT id FROM notes ORDER BY body",
        "SELECT count(*) FROM notes GROUP BY body",
        "SELECT notes FROM notes",
        "UPDATE notes SET stars = 1 RETURNING body",
    ] {
        let refused = ann.query(sql).execute().await.unwrap_err();
        assert_eq!(refused.code(), Code::InsufficientPrivilege, "{sql}: {refused:?}");
    }
    // A function that the file no longer holds goes with its policies.
    let less = Policies::parse_for_postgres_only(
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes FOR ALL TO authenticated USING (owner = auth.uid()::text);",
        "policies.sql",
    )
    .unwrap();
    apply(&place.owner, &less, ForeignPolicies::Keep).await.unwrap();
    let mut connection = superuser(&place.name).await;
    assert_eq!(
        texts(&mut connection, "SELECT count(*)::text FROM pg_proc WHERE proname = 'is_member'").await,
        ["0"]
    );
    // Such a file holds on PostgreSQL alone, and says so.
    assert!(file.lower(&Default::default()).unwrap_err().to_string().contains("PostgreSQL only"));
}

/// The rewritten membership shows the same rows as what was written, and a plan with the index.
#[tokio::test]
async fn membership_as_an_array_shows_the_same_rows() {
    let many = format!(
        "{ROWS} INSERT INTO teams SELECT g, 't' || g, 'x' FROM generate_series(10, 400) g;
         INSERT INTO members SELECT g, '{ANN}', 'm' FROM generate_series(10, 400, 7) g;
         INSERT INTO notes (title, owner, team_id) SELECT 'n' || g, 'x', CASE g % 3 WHEN 0 THEN NULL ELSE 10 + g % 391 END
           FROM generate_series(1, 20000) g; ANALYZE;"
    );
    let fixture = Fixture::with(SCHEMA, &many, POLICIES, GuardOptions::default()).await.unwrap();
    let sql = "SELECT id FROM notes ORDER BY id";
    let found: Vec<(i64,)> = fixture.ann().query_as(sql).fetch_all().await.unwrap();
    let mut connection = fixture.superuser().await;
    let expected: Vec<(i64,)> = sqlx::query_as(
        "SELECT id FROM notes n WHERE owner = $1 OR EXISTS (SELECT 1 FROM members m WHERE m.team_id = n.team_id AND m.user_id = $1)
         ORDER BY id",
    )
    .bind(ANN)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(found.len() > 1_000 && found.len() < 5_000, "{}", found.len());
    assert_eq!(found, expected);
}

//! PostgreSQL's rules for row policies, point by point of rowsecurity.c and CREATE POLICY, on either engine.

use aurora_core::guard::Guarded;
use aurora_core::types::Code;

use crate::attacks::rows;
use crate::fixture::{ANN, BOB, Fixture, SQLITE, T};

fn data() -> String {
    format!(
        "INSERT INTO t (id, owner, n, tag) VALUES (1, '{ANN}', 1, 'a'), (2, '{ANN}', 2, 'b'), (3, '{BOB}', 3, 'c'), (4, NULL, 4, 'd');
         INSERT INTO u VALUES (1, '{ANN}'), (2, '{BOB}'); INSERT INTO quiet VALUES (1, '{ANN}');"
    )
}

const OWN: &str = "(owner = auth.uid()::text)";

async fn with(policies: &str) -> Fixture {
    let policies = format!("ALTER TABLE t ENABLE ROW LEVEL SECURITY; {}", policies.replace("OWN", OWN));
    Fixture::with(T, &data(), &policies, Default::default()).await.unwrap()
}

async fn ids(db: &Guarded, sql: &str) -> Vec<i64> {
    db.query_as::<(i64,)>(sql).fetch_all().await.unwrap().into_iter().map(|(id,)| id).collect()
}

async fn changed(db: &Guarded, sql: &str) -> u64 {
    db.query(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).rows_affected()
}

async fn denied(db: &Guarded, sql: &str) -> String {
    let error = db.query(sql).execute().await.expect_err(sql);
    assert_eq!(error.code(), Code::InsufficientPrivilege, "{sql}: {error:?}");
    error.message().to_owned()
}

const NEW_ROW: &str = "new row violates row-level security policy for table \"t\"";

#[tokio::test]
async fn point_1_permissive_or_and_each_restrictive() {
    let fixture = with(
        "CREATE POLICY a ON t FOR SELECT USING (n = 1); CREATE POLICY b ON t FOR SELECT USING (n > 2);
         CREATE POLICY r ON t AS RESTRICTIVE FOR SELECT USING (n < 4);",
    )
    .await;
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t ORDER BY id").await, [1, 3]);
    // A restrictive one alone shows nothing.
    let fixture = with("CREATE POLICY r ON t AS RESTRICTIVE USING (true);").await;
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t").await, [0_i64; 0]);
    assert_eq!(denied(&fixture.ann(), "INSERT INTO t (id) VALUES (9)").await, NEW_ROW);
    // ALL with a check only: nothing to see, but inserting is allowed.
    let fixture = with("CREATE POLICY c ON t FOR ALL WITH CHECK (n < 10);").await;
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t").await, [0_i64; 0]);
    assert_eq!(changed(&fixture.ann(), "UPDATE t SET n = 1").await, 0);
    assert_eq!(changed(&fixture.ann(), "DELETE FROM t").await, 0);
    assert_eq!(changed(&fixture.ann(), "INSERT INTO t (id, n) VALUES (9, 9)").await, 1);
    denied(&fixture.ann(), "INSERT INTO t (id, n) VALUES (10, 10)").await;
}

/// attack A01
#[tokio::test]
async fn point_2_default_deny_and_3_null_is_no() {
    let fixture = with("").await;
    let ann = fixture.ann();
    assert_eq!(ids(&ann, "SELECT id FROM t").await, [0_i64; 0]);
    assert_eq!(changed(&ann, "UPDATE t SET n = 9").await, 0);
    assert_eq!(changed(&ann, "DELETE FROM t").await, 0);
    assert_eq!(denied(&ann, "INSERT INTO t (id) VALUES (9)").await, NEW_ROW);
    let fixture = with("CREATE POLICY p ON t USING OWN;").await;
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t ORDER BY id").await, [1, 2]);
    denied(&fixture.ann(), "INSERT INTO t (id, owner) VALUES (9, NULL)").await;
    denied(&fixture.ann(), "UPDATE t SET owner = NULL WHERE id = 1").await;
}

#[tokio::test]
async fn point_4_all_counts_as_each_and_using_stands_for_check() {
    let fixture = with("CREATE POLICY p ON t FOR ALL USING (n < 3);").await;
    let ann = fixture.ann();
    assert_eq!(changed(&ann, "UPDATE t SET n = 2 WHERE id = 1").await, 1);
    assert_eq!(denied(&ann, "UPDATE t SET n = 3 WHERE id = 1").await, NEW_ROW);
    denied(&ann, "INSERT INTO t (id, n) VALUES (9, 3)").await;
    assert_eq!(changed(&ann, "DELETE FROM t").await, 2);
    let fixture = with("CREATE POLICY p ON t FOR UPDATE USING (n < 3) WITH CHECK (n < 9); CREATE POLICY s ON t FOR SELECT USING (true);").await;
    denied(&fixture.ann(), "UPDATE t SET n = 9 WHERE id = 1").await;
    assert_eq!(changed(&fixture.ann(), "UPDATE t SET n = 8 WHERE id < 4").await, 2);
    assert_eq!(changed(&fixture.ann(), "UPDATE t SET n = 8 WHERE id < 4").await, 0);
}

#[tokio::test]
async fn point_5_a_restrictive_failure_names_its_policy_in_order() {
    let fixture = with(
        "CREATE POLICY p ON t WITH CHECK (n < 100); CREATE POLICY zz ON t AS RESTRICTIVE FOR INSERT WITH CHECK (n < 10);
         CREATE POLICY aa ON t AS RESTRICTIVE FOR INSERT WITH CHECK (n < 20);",
    )
    .await;
    let ann = fixture.ann();
    let insert = |n: i64| format!("INSERT INTO t (id, n) VALUES (9, {n})");
    assert_eq!(denied(&ann, &insert(200)).await, NEW_ROW);
    let named =
        |policy: &str| format!("new row violates row-level security policy \"{policy}\" for table \"t\"");
    assert_eq!(denied(&ann, &insert(50)).await, named("aa"));
    assert_eq!(denied(&ann, &insert(15)).await, named("zz"));
    assert_eq!(changed(&ann, &insert(5)).await, 1);
}

#[tokio::test]
async fn point_6_reading_a_column_applies_select_policies() {
    let fixture =
        with("CREATE POLICY w ON t FOR UPDATE USING (n < 4); CREATE POLICY d ON t FOR DELETE USING (n < 4);")
            .await;
    let ann = fixture.ann();
    assert_eq!(changed(&ann, "UPDATE t SET n = 3").await, 3);
    for sql in [
        "UPDATE t SET n = 3 WHERE id = 1",
        "UPDATE t SET n = n + 1",
        "UPDATE t SET n = 3 RETURNING id",
        "UPDATE t SET n = 3 RETURNING *",
        "UPDATE t SET n = (SELECT t.n)",
        "UPDATE t SET n = 3 WHERE rowid = 1",
        "UPDATE t AS x SET n = 3 WHERE x.id > 0",
        "DELETE FROM t WHERE id = 1",
        "DELETE FROM t RETURNING id",
    ] {
        // PostgreSQL has no such column.
        if SQLITE || !sql.contains("rowid") {
            assert_eq!(changed(&ann, sql).await, 0, "{sql}");
        }
    }
    // Neither a constant nor another table's column reads the target.
    for sql in [
        "UPDATE t SET n = 3 RETURNING 1",
        "UPDATE t SET n = 3 RETURNING 1 + 1",
        "UPDATE t SET n = 3 WHERE EXISTS (SELECT 1)",
        "UPDATE t SET n = 3 WHERE 1 = 1",
        "DELETE FROM t",
    ] {
        assert_eq!(
            rows(&ann, sql).await.map(|rows| rows.len()).unwrap_or(0) as u64 + 3,
            3 + if sql.contains("RETURNING") { 3 } else { 0 },
            "{sql}"
        );
    }
}

/// attack L04
#[tokio::test]
async fn point_7_returning_needs_the_row_to_be_seen() {
    let fixture = with(
        "CREATE POLICY i ON t FOR INSERT WITH CHECK (true); CREATE POLICY s ON t FOR SELECT USING OWN;
         CREATE POLICY w ON t FOR UPDATE USING (true);",
    )
    .await;
    let ann = fixture.ann();
    assert_eq!(changed(&ann, &format!("INSERT INTO t (id, owner) VALUES (9, '{BOB}')")).await, 1);
    assert_eq!(
        changed(&ann, &format!("INSERT INTO t (id, owner) VALUES (10, '{BOB}') RETURNING 1")).await,
        1
    );
    assert_eq!(
        denied(&ann, &format!("INSERT INTO t (id, owner) VALUES (11, '{BOB}') RETURNING id")).await,
        NEW_ROW
    );
    assert_eq!(denied(&ann, &format!("UPDATE t SET owner = '{BOB}' WHERE id = 1")).await, NEW_ROW);
    assert_eq!(changed(&ann, &format!("UPDATE t SET owner = '{BOB}'")).await, 6);
}

#[tokio::test]
async fn point_8_on_conflict() {
    let fixture = with(
        "CREATE POLICY i ON t FOR INSERT WITH CHECK (n < 100); CREATE POLICY s ON t FOR SELECT USING OWN;
         CREATE POLICY w ON t FOR UPDATE USING OWN WITH CHECK (n < 50);",
    )
    .await;
    let ann = fixture.ann();
    // Without a target: the insert check only, even where a hidden row is in the way.
    assert_eq!(changed(&ann, "INSERT INTO t (id, owner) VALUES (3, 'x') ON CONFLICT DO NOTHING").await, 0);
    assert_eq!(changed(&ann, "INSERT INTO t (id, owner) VALUES (20, 'x') ON CONFLICT DO NOTHING").await, 1);
    // With one: the proposed row must be visible.
    denied(&ann, "INSERT INTO t (id, owner) VALUES (21, 'x') ON CONFLICT (id) DO NOTHING").await;
    let upsert = |id: i64, n: i64, set: &str| {
        format!(
            "INSERT INTO t (id, owner, n) VALUES ({id}, '{ANN}', {n}) ON CONFLICT (id) DO UPDATE SET {set}"
        )
    };
    // The insert check is asked of every proposed row, conflict or not.
    assert_eq!(denied(&ann, &upsert(1, 100, "n = 1")).await, NEW_ROW);
    // A hidden row in the way is an error, never skipped.
    assert_eq!(
        denied(&ann, &upsert(3, 1, "n = 1")).await,
        "new row violates row-level security policy (USING expression) for table \"t\""
    );
    assert_eq!(denied(&ann, &upsert(1, 1, "n = 50")).await, NEW_ROW);
    denied(&ann, &upsert(1, 1, "owner = 'x'")).await;
    assert_eq!(changed(&ann, &upsert(1, 7, "n = excluded.n + t.n")).await, 1);
    assert_eq!(ids(&ann, "SELECT n FROM t WHERE id = 1").await, [8]);
    assert_eq!(changed(&ann, &format!("{} WHERE t.n > 100", upsert(1, 7, "n = 0"))).await, 0);
}

#[tokio::test]
async fn point_11_other_tables_get_their_select_policies_and_13_as_the_caller() {
    let more = "ALTER TABLE u ENABLE ROW LEVEL SECURITY; CREATE POLICY u ON u FOR SELECT USING OWN;";
    let fixture =
        with(&format!("{more} CREATE POLICY p ON t USING (EXISTS (SELECT 1 FROM u WHERE u.id = t.id));"))
            .await;
    // The policy's subquery sees what the caller sees of the other table.
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t ORDER BY id").await, [1]);
    assert_eq!(ids(&fixture.bob(), "SELECT id FROM t ORDER BY id").await, [2]);
    let fixture = with(&format!("{more} CREATE POLICY p ON t USING (true);")).await;
    let ann = fixture.ann();
    assert_eq!(changed(&ann, "UPDATE t SET n = 7 WHERE id IN (SELECT id FROM u)").await, 1);
    assert_eq!(changed(&ann, "UPDATE t SET n = 7 FROM u WHERE u.id = t.id").await, 1);
    assert_eq!(changed(&ann, "DELETE FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)").await, 1);
    assert_eq!(
        ids(&ann, "SELECT t.id FROM t LEFT JOIN u ON u.id = t.id WHERE u.id IS NOT NULL").await,
        [0_i64; 0]
    );
    // No grant on the other table: permission denied, not an empty answer.
    let fixture = with(&format!(
        "{more} REVOKE ALL ON u FROM authenticated; CREATE POLICY p ON t USING (EXISTS (SELECT 1 FROM u));"
    ))
    .await;
    assert_eq!(denied(&fixture.ann(), "SELECT id FROM t").await, "permission denied for table u");
}

/// attack A01
#[tokio::test]
async fn point_12_roles_grants_and_what_no_policy_names() {
    let fixture = with(
        "CREATE POLICY a ON t FOR SELECT TO anon USING (n = 1); CREATE POLICY b ON t FOR SELECT TO authenticated USING (n = 2);
         CREATE POLICY c ON t FOR SELECT TO public USING (n = 3); REVOKE DELETE ON t FROM anon;",
    )
    .await;
    let sql = "SELECT id FROM t ORDER BY id";
    assert_eq!(ids(&fixture.anon(), sql).await, [1, 3]);
    assert_eq!(ids(&fixture.ann(), sql).await, [2, 3]);
    assert_eq!(denied(&fixture.anon(), "DELETE FROM t").await, "permission denied for table t");
    assert_eq!(changed(&fixture.ann(), "DELETE FROM t").await, 0);
    for sql in [
        "SELECT * FROM quiet",
        "INSERT INTO quiet VALUES (2, 'x')",
        "UPDATE quiet SET id = 1",
        "DELETE FROM quiet",
    ] {
        let error = fixture.ann().query(sql).execute().await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::BadStatement, "no such table: quiet"));
    }
}

#[tokio::test]
async fn point_16_keys_ignore_policies_but_come_after_the_check() {
    let fixture = with("CREATE POLICY p ON t USING OWN;").await;
    let ann = fixture.ann();
    denied(&ann, "INSERT INTO t (owner, tag) VALUES ('x', 'c')").await;
    denied(&ann, "INSERT INTO t (id, owner) VALUES (3, 'x')").await;
    let taken =
        ann.query(&format!("INSERT INTO t (owner, tag) VALUES ('{ANN}', 'c')")).execute().await.unwrap_err();
    assert_eq!(taken.code(), Code::UniqueViolation);
    denied(&ann, "UPDATE t SET owner = 'x', tag = 'c' WHERE id = 1").await;
    // A policy that fails is a failure of the statement, not a no.
    let fixture = with("CREATE POLICY p ON t USING (10 / (n - 3) > 0);").await;
    assert!(fixture.ann().query("SELECT id FROM t").execute().await.is_err());
}

#[tokio::test]
async fn point_9_merge_is_refused_or_follows_each_action() {
    let fixture = with(
        "CREATE POLICY s ON t FOR SELECT USING OWN; CREATE POLICY w ON t FOR UPDATE USING OWN;
         CREATE POLICY i ON t FOR INSERT WITH CHECK OWN;",
    )
    .await;
    let ann = fixture.ann();
    let merge = |what: &str| {
        format!("MERGE INTO t USING (SELECT 3 AS id UNION ALL SELECT 1) AS v ON t.id = v.id {what}")
    };
    let update = merge("WHEN MATCHED THEN UPDATE SET n = 9");
    if SQLITE {
        assert!(ann.query(&update).execute().await.is_err());
        return;
    }
    // The hidden row is no match; what does not match and is inserted meets the check, and then the key.
    assert_eq!(changed(&ann, &update).await, 1);
    assert_eq!(ids(&ann, "SELECT n FROM t WHERE id = 1").await, [9]);
    denied(&ann, &merge("WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (50, 'x')")).await;
    denied(&ann, &merge("WHEN MATCHED THEN UPDATE SET owner = 'x'")).await;
}

#[tokio::test]
async fn point_10_locking_needs_update() {
    let fixture =
        with("CREATE POLICY s ON t FOR SELECT USING (true); CREATE POLICY w ON t FOR UPDATE USING (n < 3);")
            .await;
    let locked = "SELECT id FROM t ORDER BY id FOR UPDATE";
    if SQLITE {
        assert!(fixture.ann().query(locked).execute().await.is_err());
        return;
    }
    assert_eq!(ids(&fixture.ann(), locked).await, [1, 2]);
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t ORDER BY id").await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn point_14_recursion_is_refused_before_anything_runs() {
    for policies in [
        "CREATE POLICY p ON t USING (EXISTS (SELECT 1 FROM t x WHERE x.id = t.id));",
        "ALTER TABLE u ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON t USING (EXISTS (SELECT 1 FROM u)); CREATE POLICY p ON u USING (EXISTS (SELECT 1 FROM t));",
    ] {
        let policies = format!("ALTER TABLE t ENABLE ROW LEVEL SECURITY; {policies}");
        let refused = Fixture::with(T, &data(), &policies, Default::default()).await.err().unwrap();
        assert_eq!(refused.code(), Code::Configuration);
        assert!(refused.message().contains("infinite recursion"), "{refused}");
    }
}

#[tokio::test]
async fn point_15_a_policy_decides_before_the_statements_own_conditions() {
    let fixture = with("CREATE POLICY p ON t USING (n <> 3);").await;
    // Where the hidden row is, this fails.
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t WHERE 10 / (n - 3) <> 99 ORDER BY id").await, [1, 2, 4]);
    assert_eq!(changed(&fixture.ann(), "UPDATE t SET tag = NULL WHERE 10 / (n - 3) <> 99").await, 3);
    assert_eq!(changed(&fixture.ann(), "DELETE FROM t WHERE 10 / (n - 3) <> 99").await, 3);
}

#[tokio::test]
async fn point_17_names_are_the_innermost_ones() {
    let fixture = with(
        "ALTER TABLE u ENABLE ROW LEVEL SECURITY; CREATE POLICY u ON u USING OWN;
         CREATE POLICY p ON t USING (EXISTS (SELECT 1 FROM u WHERE u.owner = owner));",
    )
    .await;
    // `owner` is u's own: everyone who sees a row of u sees every row of t.
    assert_eq!(ids(&fixture.ann(), "SELECT id FROM t ORDER BY id").await, [1, 2, 3, 4]);
    assert_eq!(ids(&fixture.anon(), "SELECT id FROM t").await, [0_i64; 0]);
}

/// Found by the differential referee: `id` is the rowid, which SQLite may draw only while it writes the row.
#[tokio::test]
async fn a_check_that_reads_the_rowid_comes_before_keys_and_conflicts() {
    if !SQLITE {
        return; // PostgreSQL has no rowid
    }
    let fixture = with(
        "CREATE POLICY i ON t FOR INSERT WITH CHECK (id > 10); CREATE POLICY s ON t FOR SELECT USING (true);
         CREATE POLICY u ON t FOR UPDATE USING (true);",
    )
    .await;
    let ann = fixture.ann();
    denied(&ann, "INSERT INTO t (id, tag) VALUES (9, 'c')").await;
    denied(&ann, "INSERT INTO t (id) VALUES (3) ON CONFLICT (id) DO UPDATE SET n = 9").await;
    denied(&ann, "INSERT INTO t (id) VALUES (3) ON CONFLICT DO NOTHING").await;
    denied(&ann, "INSERT INTO t (tag) VALUES ('e')").await;
    assert_eq!(changed(&ann, "INSERT INTO t (id) VALUES (11)").await, 1);
    assert_eq!(changed(&ann, "INSERT INTO t (tag) VALUES ('e')").await, 1);
    assert_eq!(changed(&ann, "INSERT INTO t (id) VALUES (12) ON CONFLICT (id) DO UPDATE SET n = 9").await, 1);
}

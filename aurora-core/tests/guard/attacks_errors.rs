//! A statement answers the same whether or not hidden rows exist, wherever an expression that can fail stands.

use std::time::Duration;

use aurora_core::guard::GuardOptions;

use crate::attacks::Raw;
use crate::fixture::{ANN, Fixture, POLICIES, ROWS, SCHEMA};

/// Each fails, or runs out of time, on a note that Ann may not see, and on no other.
const RAISING: &[&str] = &[
    "json_extract(n.body, '$.a')",
    "(n.body -> '$.a')",
    "json_array_length(n.body)",
    "abs(CASE WHEN n.title LIKE 'HIDDEN%' THEN -9223372036854775807 - 1 ELSE 1 END)",
    "CASE WHEN n.title LIKE 'HIDDEN%' THEN json('no json') ELSE 1 END",
    "CASE WHEN n.title LIKE 'HIDDEN%' THEN 'a' LIKE $1 ELSE 1 END",
    "CASE WHEN n.title LIKE 'HIDDEN%' THEN 'a' LIKE 'b' ESCAPE 'two' ELSE 1 END",
    "(SELECT count(*) FROM json_each(n.body))",
    "EXISTS (SELECT 1 FROM json_each(n.body) j WHERE j.value IS NOT 99)",
    "(SELECT ntile(1 - 2 * (n.title LIKE 'HIDDEN%')) OVER ())",
    "(SELECT sum(9223372036854775807) FROM (VALUES (1), (2)) WHERE n.title LIKE 'HIDDEN%')",
    "(SELECT json_extract(n.body, '$.a') FROM teams LIMIT 1)",
    "(1 IN (SELECT json_extract(n.body, '$.a') FROM teams))",
    "CASE WHEN n.title LIKE 'HIDDEN%' THEN (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
     SELECT count(*) FROM c) ELSE 1 END",
    "CASE WHEN n.title LIKE 'HIDDEN%' THEN (WITH c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
     SELECT count(*) FROM c) ELSE 1 END",
];

/// Every place an expression can stand, with `{e}` for it; the note is `n`.
const PLACES: &[&str] = &[
    "SELECT {e} FROM notes n",
    "SELECT DISTINCT {e} FROM notes n",
    "SELECT count({e}), max({e}), group_concat(({e}), ',') FROM notes n",
    "SELECT count(*) FILTER (WHERE {e}) FROM notes n",
    "SELECT CASE WHEN {e} THEN 1 END, coalesce({e}, 0) FROM notes n",
    "SELECT n.title FROM notes n WHERE {e}",
    "SELECT n.title FROM notes n WHERE NOT ({e})",
    "SELECT n.title FROM notes n WHERE {e} IS NULL OR n.stars = 0",
    "SELECT n.title FROM notes n WHERE n.stars = 0 AND ({e}) > 0",
    "SELECT n.title FROM notes n WHERE (n.stars = 0 AND (n.public = 0 AND {e} > 0))",
    "SELECT n.title FROM notes n WHERE {e} IN (1, 2)",
    "SELECT n.title FROM notes n WHERE 1 IN ({e}, 2)",
    "SELECT n.title FROM notes n WHERE 1 IN (SELECT {e})",
    "SELECT n.title FROM notes n WHERE ({e}, 1) IN (VALUES (1, 1))",
    "SELECT n.title FROM notes n WHERE {e} BETWEEN 0 AND 5 AND n.id BETWEEN 0 AND {e}",
    "SELECT n.title FROM notes n WHERE n.title LIKE ({e}) OR n.title GLOB ({e}) OR 'a' LIKE 'b' ESCAPE substr(({e}), 1, 1) || 'x'",
    "SELECT n.title FROM notes n WHERE n.id = {e}",
    "SELECT n.title FROM notes n WHERE n.id IN (1, 2, 3, 4, 5) AND {e}",
    "SELECT n.title FROM notes n WHERE n.title >= 'H' AND {e} COLLATE NOCASE = 'x'",
    "SELECT n.title FROM notes n WHERE EXISTS (SELECT 1 WHERE {e})",
    "SELECT n.title FROM notes n WHERE EXISTS (SELECT 1 FROM teams WHERE {e})",
    "SELECT n.title FROM notes n WHERE EXISTS (SELECT 1 FROM teams GROUP BY {e} HAVING {e})",
    "SELECT n.title FROM notes n WHERE (SELECT 1 FROM teams ORDER BY {e} LIMIT 1)",
    "SELECT n.title FROM notes n WHERE (SELECT row_number() OVER (PARTITION BY {e} ORDER BY {e}) FROM teams)",
    "SELECT n.title FROM notes n WHERE CAST({e} AS TEXT) = '1'",
    "SELECT n.title FROM notes n WHERE EXISTS (SELECT 1 FROM json_each(json_array({e})))",
    "SELECT n.title FROM notes n WHERE (SELECT d.x FROM (SELECT {e} AS x) d)",
    "SELECT n.title FROM notes n JOIN teams t ON {e}",
    "SELECT n.title FROM teams t JOIN notes n ON {e}",
    "SELECT n.title FROM notes n LEFT JOIN teams t ON {e}",
    "SELECT n.title FROM teams t LEFT JOIN notes n ON {e}",
    "SELECT n.title FROM teams t LEFT JOIN notes n ON n.team_id = t.id WHERE {e}",
    "SELECT n.title FROM notes n RIGHT JOIN teams t ON {e}",
    "SELECT n.title FROM notes n FULL JOIN teams t ON {e}",
    "SELECT n.title FROM notes n CROSS JOIN teams t WHERE {e}",
    "SELECT n.title FROM notes n JOIN notes m ON m.id = n.id AND {e}",
    "SELECT n.title FROM notes m LEFT JOIN (notes n JOIN teams t ON t.id = n.team_id AND {e}) ON n.id = m.id",
    "SELECT n.title FROM (notes n JOIN teams t ON {e})",
    "SELECT n.title FROM notes n JOIN (SELECT id FROM teams) t ON t.id = n.team_id AND {e}",
    "SELECT n.title FROM notes n JOIN (SELECT id AS i FROM notes) USING (id) WHERE {e}",
    "SELECT n.title FROM notes n JOIN members m USING (team_id) WHERE {e}",
    "SELECT n.title FROM notes n NATURAL JOIN (SELECT 1 AS one) WHERE {e}",
    "SELECT n.stars FROM notes n GROUP BY {e}",
    "SELECT n.stars FROM notes n GROUP BY n.stars HAVING max({e})",
    "SELECT n.title FROM notes n GROUP BY n.title, n.body, n.id HAVING {e}",
    "SELECT n.title FROM notes n ORDER BY {e}",
    "SELECT n.title FROM notes n ORDER BY {e} LIMIT 1",
    "SELECT n.title FROM notes n ORDER BY n.stars, {e} DESC LIMIT 2 OFFSET 1",
    "SELECT row_number() OVER (PARTITION BY {e}) FROM notes n",
    "SELECT sum(n.stars) OVER (ORDER BY {e}) FROM notes n",
    "SELECT sum(({e})) OVER w FROM notes n WINDOW w AS (PARTITION BY n.stars ORDER BY {e})",
    "SELECT count(*) FILTER (WHERE {e}) OVER () FROM notes n",
    "SELECT lag(({e}), 1, ({e})) OVER (ORDER BY n.id) FROM notes n",
    "SELECT d.x FROM (SELECT {e} AS x, n.id FROM notes n) d",
    "SELECT d.x FROM (SELECT {e} AS x, n.id FROM notes n) d WHERE d.x > 0",
    "SELECT d.x FROM (SELECT {e} AS x, n.id FROM notes n ORDER BY 1) d WHERE d.x > 0 AND d.id > 0",
    "SELECT d.x FROM (SELECT {e} AS x FROM notes n GROUP BY n.id) d WHERE d.x > 0",
    "SELECT d.x FROM (SELECT DISTINCT {e} AS x FROM notes n) d WHERE d.x > 0",
    "SELECT d.x FROM (SELECT c.x FROM (SELECT {e} AS x FROM notes n) c WHERE c.x IS NOT 9) d WHERE d.x > 0",
    "SELECT n.title FROM (SELECT * FROM notes) n WHERE {e}",
    "SELECT n.title FROM (SELECT * FROM (SELECT * FROM notes) WHERE stars = 0) n WHERE {e}",
    "SELECT n.title FROM (SELECT *, row_number() OVER (PARTITION BY owner) r FROM notes) n WHERE {e}",
    "SELECT n.title FROM (SELECT title, body FROM notes GROUP BY title, body) n WHERE {e}",
    "SELECT n.title FROM (SELECT title, body FROM notes UNION ALL SELECT title, body FROM notes) n WHERE {e}",
    "SELECT n.title FROM (SELECT title, body FROM notes UNION SELECT name, '1' FROM teams) n WHERE {e}",
    "WITH n AS (SELECT * FROM notes) SELECT n.title FROM n WHERE {e}",
    "WITH n AS MATERIALIZED (SELECT * FROM notes) SELECT n.title FROM n WHERE {e}",
    "WITH n AS NOT MATERIALIZED (SELECT * FROM notes) SELECT n.title FROM n WHERE {e}",
    "WITH c AS (SELECT {e} AS x FROM notes n) SELECT x FROM c WHERE x > 0",
    "WITH c AS (SELECT {e} AS x FROM notes n), d AS (SELECT x FROM c WHERE x > 0) SELECT * FROM d WHERE x < 9",
    "WITH n AS (SELECT * FROM notes) SELECT 1 FROM teams t WHERE EXISTS (SELECT 1 FROM n WHERE {e})",
    "WITH RECURSIVE c(x, k) AS (SELECT 1, 0 UNION ALL SELECT {e}, c.k + 1 FROM c JOIN notes n ON n.id > c.k WHERE c.k < 1 AND {e}) SELECT x FROM c",
    "SELECT {e} FROM notes n UNION SELECT 1",
    "SELECT 1 UNION ALL SELECT n.id FROM notes n WHERE {e}",
    "SELECT 1 EXCEPT SELECT {e} FROM notes n WHERE {e} INTERSECT SELECT {e} FROM notes n",
    "SELECT (SELECT {e} FROM notes n WHERE {e} ORDER BY n.id LIMIT 1)",
    "SELECT t.id, (SELECT count(*) FROM notes n WHERE n.team_id = t.id AND {e}) FROM teams t",
    "SELECT n.title, j.value FROM notes n, json_each(json_array({e})) j",
    "SELECT n.title FROM notes n JOIN json_each(n.body) j ON {e}",
    "SELECT n.title FROM notes n JOIN json_each(json_array({e})) j LEFT JOIN teams t ON t.id = n.team_id",
    "SELECT n.title FROM json_each(n.body) j, notes n",
    "SELECT n.title FROM json_each(body) j, notes n",
    "SELECT n.title FROM json_each(json_array(body)) j JOIN notes n ON {e}",
    "VALUES ((SELECT {e} FROM notes n WHERE {e}))",
    "SELECT n.title FROM notes n LIMIT (SELECT 5 FROM notes n WHERE {e})",
    "SELECT rowid FROM notes n WHERE {e} AND rowid > 0",
    "SELECT n.* FROM notes n, (SELECT 1) WHERE {e}",
    "SELECT n.title FROM shown n WHERE {e}",
    "SELECT n.title FROM shown_again n WHERE {e} AND n.stars = 0",
];

const WRITES: &[&str] = &[
    "UPDATE notes AS n SET stars = ({e}) RETURNING title, stars",
    "UPDATE notes AS n SET stars = 1 WHERE {e} RETURNING title",
    "UPDATE notes AS n SET stars = 1 WHERE n.id > 0 AND ({e}) RETURNING title",
    "UPDATE notes AS n SET (stars, public) = (SELECT {e}, 1) WHERE {e} RETURNING n.title",
    "UPDATE notes AS n SET stars = 1 RETURNING ({e})",
    "UPDATE notes AS n SET stars = 1 WHERE rowid IN (SELECT rowid FROM notes n WHERE {e}) RETURNING title",
    "UPDATE notes AS n SET stars = t.id FROM teams t WHERE {e} RETURNING title",
    "UPDATE notes AS n SET stars = 1 FROM teams t JOIN members m ON m.team_id = t.id WHERE {e} RETURNING title",
    "UPDATE notes AS n SET stars = 1 FROM json_each(json_array({e})) RETURNING title",
    "UPDATE notes AS n SET stars = 1 FROM (SELECT {e} AS x FROM notes n) d WHERE d.x > 0 RETURNING title",
    "UPDATE OR IGNORE notes AS n SET stars = ({e}) WHERE {e} RETURNING title",
    "WITH c AS (SELECT {e} AS x FROM notes n) UPDATE notes SET stars = 2 WHERE id IN (SELECT x FROM c WHERE x > 0) RETURNING title",
    "DELETE FROM notes AS n WHERE {e} RETURNING title",
    "DELETE FROM notes AS n WHERE n.stars = 0 AND EXISTS (SELECT 1 FROM teams WHERE {e}) RETURNING title",
    "DELETE FROM notes AS n WHERE n.id > 0 RETURNING ({e})",
    "INSERT INTO drops (note) SELECT {e} FROM notes n WHERE {e}",
    "INSERT INTO notes (title, owner) SELECT n.title || '!', auth.uid() FROM notes n WHERE {e} RETURNING title",
    "INSERT INTO notes AS n (id, title, owner) VALUES (1, 'x', auth.uid()) ON CONFLICT (id) DO UPDATE SET stars = ({e}) WHERE {e} RETURNING title",
    "INSERT INTO notes AS n (title, body, owner) VALUES ('y', '[1]', auth.uid()) RETURNING ({e})",
    "INSERT INTO notes (title, owner) VALUES ((SELECT group_concat(({e})) FROM notes n), auth.uid()) RETURNING title",
];

const VIEWS: &str = "CREATE VIEW shown AS SELECT id, title, body, owner, stars FROM notes;
CREATE VIEW shown_again AS WITH s AS (SELECT * FROM shown) SELECT * FROM s WHERE title <> ''";

/// A policy that SQLite can only ask late: after every plain or failing condition that stands beside it.
const LATE: &str = "CREATE POLICY own ON notes FOR ALL TO authenticated
  USING (EXISTS (SELECT 1 FROM spans s WHERE s.user_id = auth.uid()::text AND s.low <= notes.id AND s.high >= notes.id))
  WITH CHECK (true);
CREATE POLICY spans_own ON spans FOR SELECT USING (user_id = auth.uid()::text);
ALTER TABLE spans ENABLE ROW LEVEL SECURITY;";

const LATE_SCHEMA: &str = "CREATE TABLE spans (user_id TEXT, low INTEGER, high INTEGER);
INSERT INTO spans VALUES ('00000000-0000-4000-8000-00000000000a', 1, 3), ('00000000-0000-4000-8000-00000000000b', 1, 9);
CREATE INDEX notes_covering ON notes(title, body, stars, owner, team_id, public)";

async fn pair(late: bool) -> (Fixture, Fixture) {
    let options = || {
        let mut options = GuardOptions::default();
        options.statement_budget = Duration::from_millis(1_500);
        options.longest_transaction = Duration::from_secs(60);
        options
    };
    let (own, rest) = POLICIES.split_once("CREATE POLICY own").unwrap();
    let (_, rest) = rest.split_once("CREATE POLICY members_read").unwrap();
    let (schema, policies) = if late {
        (format!("{SCHEMA};{VIEWS};{LATE_SCHEMA}"), format!("{own}{LATE} CREATE POLICY members_read{rest}"))
    } else {
        (format!("{SCHEMA};{VIEWS}"), POLICIES.to_owned())
    };
    let more = "INSERT INTO members VALUES (2, '00000000-0000-4000-8000-00000000000a', 'gone');
                DELETE FROM members WHERE role = 'gone';";
    let with = Fixture::with(&schema, &format!("{ROWS};{more}"), &policies, options()).await.unwrap();
    let less = "DELETE FROM notes WHERE id > 3; DELETE FROM members WHERE team_id = 2";
    let without = Fixture::with(&schema, &format!("{ROWS};{less}"), &policies, options()).await.unwrap();
    (with, without)
}

async fn outcome(fixture: &Fixture, sql: &str) -> Result<Vec<Raw>, String> {
    let ann = fixture.ann();
    let mut tx = ann.begin().await.unwrap();
    let mut query = tx.query_as::<Raw>(sql);
    if sql.contains("$1") {
        query = query.bind("x".repeat(2_000));
    }
    let mut rows = query.fetch_all().await.map_err(|error| error.message().to_owned())?;
    rows.sort();
    Ok(rows)
}

async fn compare(places: &[&str], late: bool) -> (usize, usize) {
    let (with, without) = pair(late).await;
    let mut ran = 0;
    let mut told = Vec::new();
    for place in places {
        for raising in RAISING {
            let sql = place.replace("{e}", raising);
            let outcomes = (outcome(&with, &sql).await, outcome(&without, &sql).await);
            ran += usize::from(outcomes.1.is_ok());
            if outcomes.0 != outcomes.1 {
                told.push(format!("{sql}\n   {:?}\n   {:?}", outcomes.0, outcomes.1));
            }
        }
    }
    assert!(told.is_empty(), "{} statements tell of hidden rows:\n{}", told.len(), told.join("\n"));
    (ran, places.len() * RAISING.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_place_in_a_query_runs_on_hidden_rows() {
    for late in [false, true] {
        let (ran, all) = compare(PLACES, late).await;
        println!("{ran} of {all} queries ran");
        assert!(ran * 100 >= all * 80, "only {ran} of {all} ran");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_place_in_a_write_runs_on_hidden_rows() {
    for late in [false, true] {
        let (ran, all) = compare(WRITES, late).await;
        println!("{ran} of {all} writes ran");
        assert!(ran * 100 >= all * 70, "only {ran} of {all} ran");
    }
}

#[tokio::test]
async fn each_raising_expression_raises_for_who_sees_the_row() {
    let (with, without) = pair(false).await;
    for raising in RAISING {
        let sql = format!("SELECT {raising} FROM notes n").replace("$1", &format!("'{}'", "x".repeat(2_000)));
        let bob = with.bob().query(&sql).execute().await;
        assert!(bob.is_err(), "{raising} does not fail on a hidden row");
        let ann = without.ann().query(&sql).execute().await;
        assert!(ann.is_ok(), "{sql}\n{ann:?}");
    }
    assert!(!ANN.is_empty());
}

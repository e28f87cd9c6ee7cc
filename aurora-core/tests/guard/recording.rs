//! An expression of the host's never runs on a row that its principal may not see.
//!
//! `probe(x)` answers `x` and keeps a record. Hidden rows are marked: their text says HIDDEN, their JSON is none, and
//! their numbers are the one that `abs` fails on, so an expression that runs early is seen, or raises.

use aurora_core::policy::functions::Value;
use aurora_core::types::{Code, Error};

use crate::generated::{Tally, USERS, is_refusal};
use crate::generator::Gen;
use crate::generator::world::{ANN, AnyRow, BOB, Cell, Scenario, World, ZED, cases, marked};

/// Every place an expression over `n` can stand in: `@` is where; at `~` columns stand bare, at `^` behind `notes`.
const PLACES: &[&str] = &[
    "SELECT @ FROM notes n",
    "SELECT n.id FROM notes n WHERE @",
    "SELECT n.id FROM notes n WHERE n.owner = 'x' OR @",
    "SELECT n.id FROM notes n WHERE n.id > 0 AND @ AND n.stars >= 0",
    "SELECT n.id FROM notes n WHERE NOT (@)",
    "SELECT n.id FROM notes n WHERE n.owner > '' AND @",
    "SELECT n.id FROM notes n WHERE n.stars < 9 AND @",
    "SELECT n.id FROM notes n WHERE (n.id, @) IN (SELECT 1, 2)",
    "SELECT n.id FROM notes n WHERE @ IN (SELECT t.weight FROM tags t)",
    "SELECT n.id FROM notes n WHERE 3 IN (SELECT @ FROM tags t)",
    "SELECT n.id FROM notes n WHERE EXISTS (SELECT 1 FROM tags t WHERE t.note_id = n.id AND @)",
    "SELECT n.id FROM notes n WHERE (SELECT @) > 0",
    "SELECT n.id FROM notes n WHERE (SELECT max(t.weight) FROM tags t WHERE @) > 0",
    "SELECT n.id FROM notes n JOIN tags t ON t.note_id = n.id AND @",
    "SELECT n.id FROM notes n LEFT JOIN tags t ON t.note_id = n.id AND @",
    "SELECT n.id FROM tags t LEFT JOIN notes n ON @",
    "SELECT n.id FROM tags t RIGHT JOIN notes n ON @",
    "SELECT n.id FROM notes n FULL JOIN tags t ON @",
    "SELECT n.id FROM tags t, notes n WHERE @",
    "SELECT n.id FROM notes n NATURAL JOIN teams t WHERE @",
    "SELECT n.id FROM notes n JOIN members m USING (team_id) WHERE @",
    "SELECT n.id FROM notes n CROSS JOIN json_each(json_array(@)) j",
    "SELECT n.id FROM json_each('[1,2]') j, notes n WHERE @",
    "SELECT count(*) FROM notes n WHERE @",
    "SELECT count(@) FROM notes n",
    "SELECT sum(n.stars) FROM notes n GROUP BY @",
    "SELECT count(*) FROM notes n GROUP BY n.owner HAVING @",
    "SELECT n.owner, count(*) FROM notes n GROUP BY n.owner HAVING max(@) IS NOT NULL",
    "SELECT count(*) FILTER (WHERE @) FROM notes n",
    "SELECT row_number() OVER (PARTITION BY @ ORDER BY n.id) FROM notes n",
    "SELECT max(n.id) OVER (ORDER BY @) FROM notes n",
    "SELECT lag(@) OVER (ORDER BY n.id) FROM notes n",
    "SELECT n.id FROM notes n ORDER BY @",
    "SELECT n.id FROM notes n ORDER BY @ LIMIT 2",
    "SELECT DISTINCT @ FROM notes n",
    "SELECT n.id FROM notes n UNION SELECT @ FROM notes n",
    "SELECT @ FROM notes n EXCEPT SELECT 1",
    "SELECT d.x FROM (SELECT @ AS x, n.stars AS s FROM notes n) d WHERE d.s > 0 AND d.x IS NOT NULL",
    "SELECT n.id FROM (SELECT * FROM notes) n WHERE @",
    "SELECT n.id FROM (SELECT * FROM notes WHERE id > 1 UNION ALL SELECT * FROM notes) n WHERE @",
    "SELECT n.id FROM (SELECT * FROM notes UNION ALL VALUES (1,'a','{}','o',1,1,1,1)) n WHERE @",
    "WITH n AS (SELECT * FROM notes) SELECT n.id FROM n WHERE @",
    "WITH n AS NOT MATERIALIZED (SELECT * FROM notes) SELECT a.id FROM n a, n WHERE @",
    "WITH c AS (SELECT @ AS x FROM notes n) SELECT x FROM c WHERE x IS NOT NULL",
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION SELECT n.id FROM notes n JOIN r ON n.parent = r.i WHERE @) SELECT i FROM r",
    "SELECT CASE WHEN n.id > 0 THEN @ END FROM notes n WHERE n.title > ''",
    "SELECT iif(n.id > 0, @, 1) FROM notes n WHERE n.title > ''",
    "UPDATE notes AS n SET stars = 1 WHERE @",
    "UPDATE notes AS n SET stars = (@) IS NULL",
    "UPDATE notes AS n SET stars = stars + 1 WHERE n.owner > '' AND @ RETURNING id",
    "UPDATE notes AS n SET stars = 1 RETURNING ~",
    "UPDATE notes AS n SET stars = 2 FROM tags t WHERE t.note_id = n.id AND @",
    "UPDATE notes AS n SET stars = 2 FROM (SELECT @ AS x FROM notes n) d WHERE d.x = n.id",
    "UPDATE OR IGNORE notes AS n SET stars = 2 WHERE @",
    "DELETE FROM notes AS n WHERE @",
    "DELETE FROM notes WHERE stars >= 0 AND ~ RETURNING ~",
    "INSERT INTO tags (note_id, tag) SELECT 99, @ FROM notes n",
    "INSERT INTO notes (id, title, owner) VALUES (12, 'x', '$') ON CONFLICT (id) DO UPDATE SET stars = 1 WHERE ^",
    "INSERT INTO notes (id, title, owner) VALUES (12, 'x', '$') ON CONFLICT (id) DO UPDATE SET stars = (^) IS NULL",
    "INSERT INTO notes (id, title, owner) VALUES (1, 'x', '$') ON CONFLICT (id) DO UPDATE SET stars = 1 WHERE ^",
    "INSERT INTO notes (id, title, owner) VALUES (12, 'x', '$') ON CONFLICT DO NOTHING RETURNING ~",
];

/// What may stand there: watched columns, and expressions that raise on hidden values.
const EXPRESSIONS: &[&str] = &[
    "probe(n.title)",
    "probe_now(n.title)",
    "probe(n.body)",
    "probe_now(n.stars)",
    "probe(n.id || n.title)",
    "length(probe(n.title)) > 0",
    "probe(n.title) LIKE '%x%'",
    "probe(n.owner) = n.owner",
    "coalesce(probe(n.team_id), probe(n.title))",
    "json_extract(n.body, '$.a')",
    "n.body -> '$.a'",
    "n.body ->> 'a' = 1",
    "json_valid(n.body) AND probe(n.body) > ''",
    "abs(n.stars)",
    "abs(n.stars) > 0 OR probe(n.title)",
    "(SELECT probe(n.title))",
    "(SELECT abs(n.stars))",
    "EXISTS (SELECT 1 FROM tags x WHERE x.tag = probe(n.title))",
    "EXISTS (SELECT 1 FROM tags x WHERE x.note_id = n.id AND probe(x.tag) > '')",
    "(SELECT sum(abs(x.weight)) FROM tags x WHERE x.note_id = n.id)",
    "CASE probe(n.title) WHEN 'a' THEN 1 ELSE json_extract(n.body, '$.a') END",
    "probe(n.title) BETWEEN 'a' AND probe(n.owner)",
    "NOT probe(n.stars)",
    "probe(n.title) GLOB '*'",
    "likely(probe(n.title))",
];

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Integer(number) => Cell::Int(number),
        Value::Real(number) => Cell::Real(number.to_string()),
        Value::Text(text) => Cell::Text(text),
        Value::Blob(bytes) => Cell::Blob(bytes),
    }
}

/// What a raising expression says, though its user sees no row that it fails on.
fn raised(error: &Error) -> bool {
    let text = format!("{error:?}").to_lowercase();
    ["malformed json", "integer overflow", "hidden"].iter().any(|word| text.contains(word))
}

async fn watch(world: &World, user: Option<&str>, sql: &str, tally: &mut Tally) {
    tally.cases += 1;
    world.probe.take();
    let db = world.as_user(user);
    let outcome: Result<Vec<AnyRow>, Error> =
        if sql.contains("SET ") || sql.contains("INTO ") || sql.contains("DELETE ") {
            // Taken back: a write may make its user a member of a hidden team.
            let mut tx = db.begin().await.unwrap();
            let outcome = tx.query_as(sql).fetch_all().await;
            tx.rollback().await.unwrap();
            outcome
        } else {
            db.query_as(sql).fetch_all().await
        };
    let seen = world.probe.take();
    tally.compared += seen.len() as u64;
    let mut leaked: Vec<Cell> = seen.into_iter().map(cell).filter(marked).collect();
    leaked.dedup();
    let place = format!("{:?} {user:?}", world.scenario);
    if !leaked.is_empty() {
        tally
            .failures
            .push(format!("{place}: a hidden value was seen: {:?}\n{sql}", &leaked[..leaked.len().min(3)]));
    }
    match outcome {
        Err(error) if raised(&error) => tally.failures.push(format!("{place}: {error:?}\n{sql}")),
        Err(error) if is_refusal(&error) => tally.refuse(&error, sql),
        Err(error) if error.code() == Code::BadStatement => {
            tally.invalid += 1;
            if tally.invalid <= 2 {
                println!("dropped: {error:?}: {sql}");
            }
        }
        Err(_) => {}
        Ok(rows) => {
            tally.rows += rows.len() as u64;
            if rows.iter().flat_map(|row| &row.cells).any(marked) {
                tally.failures.push(format!("{place}: a hidden value came back\n{sql}"));
            }
        }
    }
}

#[tokio::test]
async fn listed_places_never_show_a_hidden_row() {
    let mut tally = Tally::default();
    for scenario in Scenario::ALL {
        let world = World::new(scenario).await;
        for place in PLACES {
            for expression in EXPRESSIONS {
                let sql = place
                    .replace("'$'", &format!("'{ANN}'"))
                    .replace('@', expression)
                    .replace('~', &expression.replace("n.", ""))
                    .replace('^', &expression.replace("n.", "notes."));
                watch(&world, Some(ANN), &sql, &mut tally).await;
            }
        }
    }
    println!(
        "recording: {} places x {} expressions x {} policies",
        PLACES.len(),
        EXPRESSIONS.len(),
        Scenario::ALL.len()
    );
    assert!(tally.compared > 10_000, "the recording function hardly ran: {}", tally.compared);
    tally.report("listed");
}

#[tokio::test]
async fn generated_statements_never_show_a_hidden_row() {
    let mut tally = Tally::default();
    let mut seed = 900_000_000;
    for scenario in Scenario::ALL {
        let world = World::new(scenario).await;
        for user in USERS {
            for _ in 0..cases(3_000) / 15 {
                seed += 1;
                let mut generator = Gen::new(seed, 35);
                let sql = match (seed % 4, user) {
                    (0, Some(user)) => generator.write(user, &[ANN, BOB, ZED]).sql,
                    _ => generator.read().sql,
                };
                watch(&world, user, &sql, &mut tally).await;
            }
        }
    }
    tally.report("watched");
}

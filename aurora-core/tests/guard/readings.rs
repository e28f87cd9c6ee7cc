//! The rewriter and SQLite read a statement alike; and where a statement is broken at random, whatever the first
//! wall lets through shows nothing hidden and changes nothing hidden.

use std::collections::BTreeSet;

use aurora_core::types::Error;

use crate::fuzz::{CORPUS, mutate};
use crate::generated::{Tally, USERS, is_refusal};
use crate::generator::world::{ANN, AnyRow, BOB, Scenario, World, ZED, cases, marked, plain, rows_of};
use crate::generator::{Gen, Rng};

/// The tables a statement on `seen` may reach, by the scenario's policies.
fn reach(scenario: Scenario, seen: &[String]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = seen.iter().cloned().collect();
    loop {
        let more: Vec<String> =
            all.iter().flat_map(|table| scenario.reaches(table)).map(|table| (*table).to_owned()).collect();
        let before = all.len();
        all.extend(more);
        if all.len() == before {
            return all;
        }
    }
}

/// asvs(V1.5.3)
#[tokio::test]
async fn the_parser_and_the_engine_see_the_same_tables() {
    let mut tally = Tally::default();
    let mut seed = 1_300_000_000;
    for scenario in Scenario::ALL {
        let world = World::new(scenario).await;
        for user in USERS {
            for _ in 0..cases(1_500) / 15 {
                seed += 1;
                let mut generator = Gen::new(seed, 0);
                let sql = match (seed % 3, user) {
                    (0, Some(user)) => generator.write(user, &[ANN, BOB]).sql,
                    _ => generator.read().sql,
                };
                tally.cases += 1;
                match world.as_user(user).compare_readings(&sql).await {
                    Ok((seen, asked)) => {
                        tally.compared += 1;
                        let asked: BTreeSet<String> = asked.into_iter().collect();
                        let known = reach(scenario, &seen);
                        // SQLite does not look into a common table expression that nothing reads.
                        let missed =
                            !sql.contains("WITH ") && !seen.iter().all(|table| asked.contains(table));
                        if missed || !asked.is_subset(&known) {
                            tally
                                .failures
                                .push(format!("{scenario:?} parser {seen:?} engine {asked:?}\n{sql}"));
                        }
                    }
                    Err(error) if is_refusal(&error) => tally.refuse(&error, &sql),
                    // A check or a constraint, at run time.
                    Err(_) => tally.invalid += 1,
                }
            }
        }
    }
    tally.report("readings");
}

/// Everything that the user may not see, as it stands in the file.
async fn hidden(world: &World) -> Vec<AnyRow> {
    let mut conn = plain(&world.path).await;
    let mut rows = Vec::new();
    for table in ["teams", "notes"] {
        rows.extend(
            rows_of(&mut conn, &format!("SELECT * FROM {table} WHERE owner = '{ZED}' ORDER BY id"))
                .await
                .unwrap(),
        );
    }
    rows.extend(rows_of(&mut conn, &format!("SELECT * FROM members WHERE user_id = '{ZED}'")).await.unwrap());
    rows.extend(rows_of(&mut conn, "SELECT * FROM secrets").await.unwrap());
    rows.extend(
        rows_of(&mut conn, "SELECT * FROM tags WHERE extra = 'HIDDEN [' ORDER BY 1, 2").await.unwrap(),
    );
    rows
}

/// attacks L03, V05
#[tokio::test]
async fn a_broken_statement_shows_and_changes_nothing_hidden() {
    let mut tally = Tally::default();
    let mut accepted = 0_u64;
    let mut rng = Rng::seeded(77);
    for scenario in Scenario::ALL {
        let world = World::new(scenario).await;
        let before: Vec<_> = hidden(&world).await.into_iter().map(|row| row.cells).collect();
        let rounds = cases(2_500) / 5;
        let mut recent = Vec::new();
        for round in 0..rounds {
            let user = USERS[rng.below(3)];
            let mut generator = Gen::new(rng.next(), 20);
            let base = match rng.below(4) {
                0 => (*rng.pick(CORPUS)).to_owned(),
                1 => generator.write(user.unwrap_or(ANN), &[ANN, BOB]).sql,
                _ => generator.read().sql,
            };
            let sql = if round % 10 == 0 { base } else { mutate(&mut rng, &base) };
            tally.cases += 1;
            // What takes rights by the rules (joining a hidden team) is no leak, so all is taken back.
            let mut tx = world.as_user(user).begin().await.unwrap();
            let outcome: Result<Vec<AnyRow>, Error> = tx.query_as(&sql).fetch_all().await;
            tx.rollback().await.unwrap();
            recent.push(sql.clone());
            match outcome {
                Ok(rows) => {
                    accepted += 1;
                    tally.rows += rows.len() as u64;
                    let names = rows.iter().flat_map(|row| &row.names).any(|name| name.contains("HIDDEN"));
                    if names || rows.iter().flat_map(|row| &row.cells).any(marked) {
                        tally.failures.push(format!("{scenario:?} {user:?} shown: {sql}"));
                    }
                }
                Err(error) => {
                    let text = format!("{error:?} {error}");
                    let secret = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
                        word.len() == 33
                            && word.starts_with('z')
                            && word.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
                    });
                    if secret || (text.contains("HIDDEN") && !sql.contains("HIDDEN")) {
                        tally.failures.push(format!("{scenario:?} {user:?} said {text}: {sql}"));
                    }
                }
            }
            if round % 50 == 0 || round + 1 == rounds {
                let now: Vec<_> = hidden(&world).await.into_iter().map(|row| row.cells).collect();
                if now != before {
                    tally
                        .failures
                        .push(format!("{scenario:?} {user:?} hidden rows changed by one of: {recent:#?}"));
                    break;
                }
                recent.clear();
            }
        }
        // No identity, transaction or broken connection stays behind.
        let left: Vec<AnyRow> =
            world.as_user(None).query_as("SELECT count(*) FROM members").fetch_all().await.unwrap();
        assert_eq!(left.len(), 1);
    }
    println!("broken: {} statements, {accepted} accepted by both walls", tally.cases);
    assert!(accepted * 20 > tally.cases, "hardly anything got through: {accepted}");
    tally.report("broken");
}

//! A write through the guard changes nothing its user may not change, and does to the visible rows what plain
//! SQLite does to them where only they are there.

use std::collections::{BTreeMap, BTreeSet};

use aurora_core::types::{Code, Error};
use sqlx::sqlite::SqliteConnection;

use crate::generated::{Tally, is_refusal};
use crate::generator::world::{
    ANN, AnyRow, BOB, Cell, Does, Scenario, TABLES, World, ZED, alias, cases, marked, plain, rows_of, run,
};
use crate::generator::{Gen, Verb, Write};

type Rows = BTreeMap<Vec<Cell>, Vec<Cell>>;

/// The columns of a table's key, which stand first in it.
fn key_width(table: &str) -> usize {
    if matches!(table, "teams" | "notes") { 1 } else { 2 }
}

fn keyed(table: &str, rows: Vec<AnyRow>) -> Rows {
    rows.into_iter().map(|row| (row.cells[..key_width(table)].to_vec(), row.cells)).collect()
}

/// Everything in `schema`, table by table.
async fn state(conn: &mut SqliteConnection, schema: &str) -> Vec<Rows> {
    let mut all = Vec::new();
    for table in TABLES {
        all.push(keyed(table, rows_of(conn, &format!("SELECT * FROM {schema}.{table}")).await.unwrap()));
    }
    all
}

/// The keys of the rows of `schema.table` for which the scenario's policy holds.
async fn holding(
    conn: &mut SqliteConnection,
    world: &World,
    schema: &str,
    table: &str,
    does: Does,
    user: &str,
) -> BTreeSet<Vec<Cell>> {
    let means = world.scenario.means(table, does, Some(user));
    let sql = format!("SELECT * FROM {schema}.{table} AS {} WHERE {means}", alias(table));
    keyed(table, rows_of(conn, &sql).await.unwrap()).into_keys().collect()
}

/// Rows that went or changed, as they were, and rows that came or changed, as they are.
fn differences(before: &Rows, after: &Rows) -> (BTreeSet<Vec<Cell>>, BTreeSet<Vec<Cell>>) {
    let of = |from: &Rows, to: &Rows| {
        from.iter().filter(|(key, row)| to.get(*key) != Some(row)).map(|(key, _)| key.clone()).collect()
    };
    (of(before, after), of(after, before))
}

/// Which of the rows a write touched, and may it?
struct Rights {
    old: BTreeSet<Vec<Cell>>,
    new: BTreeSet<Vec<Cell>>,
}

async fn may(
    conn: &mut SqliteConnection,
    world: &World,
    schema: &str,
    write: &Write,
    user: &str,
    new: bool,
) -> BTreeSet<Vec<Cell>> {
    let does: &[Does] = match (write.verb, new) {
        (Verb::Insert, true) => &[Does::CheckInsert],
        (Verb::Upsert, true) => &[Does::CheckInsert, Does::CheckUpdate],
        (Verb::Update, true) => &[Does::CheckUpdate],
        (Verb::Update | Verb::Upsert, false) => &[Does::Update],
        (Verb::Delete, false) => &[Does::Delete],
        (Verb::Insert, false) | (Verb::Delete, true) => &[],
    };
    let mut allowed = BTreeSet::new();
    for does in does {
        allowed.extend(holding(conn, world, schema, write.table, *does, user).await);
    }
    allowed
}

/// One world's connections: the whole file, and the user's part of it.
struct Bench<'w> {
    world: &'w World,
    user: &'static str,
    whole: SqliteConnection,
    part: SqliteConnection,
}

impl<'w> Bench<'w> {
    async fn new(world: &'w World, user: &'static str) -> Self {
        let mut whole = plain(&world.path).await;
        let mut keep = String::from("PRAGMA synchronous = OFF; ATTACH ':memory:' AS keep;");
        for table in TABLES {
            keep.push_str(&format!("CREATE TABLE keep.{table} AS SELECT * FROM main.{table};"));
        }
        run(&mut whole, keep).await.unwrap();
        let part = world.reduced(Some(user)).await;
        Self { world, user, whole, part }
    }

    /// Both databases as they were made.
    async fn reset(&mut self) {
        let mut sql = String::from("BEGIN IMMEDIATE;");
        for table in TABLES {
            sql.push_str(&format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM keep.{table};"
            ));
        }
        sql.push_str("COMMIT;");
        run(&mut self.whole, sql).await.unwrap();
        self.world.refill(&mut self.part, Some(self.user)).await;
    }

    async fn case(&mut self, write: &Write, tally: &mut Tally) -> Result<(), String> {
        self.reset().await;
        let position = TABLES.iter().position(|table| *table == write.table).unwrap();
        let before = state(&mut self.whole, "main").await;
        let part_before = state(&mut self.part, "main").await;
        let expected = rows_of(&mut self.part, &write.sql).await;
        if let Err(error) = &expected
            && !error.to_string().contains("constraint failed")
        {
            tally.invalid += 1;
            if tally.invalid <= 3 {
                println!("dropped: {error}: {}", write.sql);
            }
            return Ok(());
        }
        tally.cases += 1;
        let part_after = state(&mut self.part, "main").await;
        let (old, new) = differences(&part_before[position], &part_after[position]);
        let (may_old, may_new) = {
            let allowed_old =
                may(&mut self.whole_as_f().await, self.world, "f", write, self.user, false).await;
            let new_ok = may(&mut self.part, self.world, "main", write, self.user, true).await;
            let seen =
                holding(&mut self.part, self.world, "main", write.table, Does::Select, self.user).await;
            (allowed_old, new_ok.intersection(&seen).cloned().collect::<BTreeSet<_>>())
        };
        let wants = Rights { old, new };
        let hidden_clash = wants
            .new
            .iter()
            .any(|key| !part_before[position].contains_key(key) && before[position].contains_key(key));
        // A proposed row that met a conflict must pass WITH CHECK too, and an update that changes nothing touches a
        // row all the same: neither shows in the difference.
        let touched = expected.as_ref().map_or(0, Vec::len);
        let shows = match write.verb {
            Verb::Insert | Verb::Upsert => wants.new.len() == write.proposed,
            Verb::Update => !write.returning || touched == wants.old.len(),
            Verb::Delete => true,
        };
        // What an upsert proposes over a row that is there does not show either.
        let proposed_well = write.verb != Verb::Upsert
            || (wants.old.is_empty()
                && wants.new.is_subset(
                    &holding(&mut self.part, self.world, "main", write.table, Does::CheckInsert, self.user)
                        .await,
                ));
        let rightful = shows && wants.old.is_subset(&may_old) && wants.new.is_subset(&may_new);

        let answer: Result<Vec<AnyRow>, Error> =
            self.world.as_user(Some(self.user)).query_as(&write.sql).fetch_all().await;
        let after = state(&mut self.whole, "main").await;
        self.nothing_hidden_changed(write, position, &before, &after).await?;
        match (&answer, &expected) {
            (Err(error), _) if is_refusal(error) => tally.refuse(error, &write.sql),
            (Err(error), _) if before != after => return Err(format!("changed although {error:?}")),
            (Err(error), Ok(_)) if rightful && proposed_well && !hidden_clash && !is_channel(error) => {
                return Err(format!("refused a rightful write: {error:?}"));
            }
            (Ok(rows), Ok(expected)) if rightful && !hidden_clash => {
                tally.rows += rows.len() as u64;
                let mut both =
                    [rows, expected].map(|rows| rows.iter().map(|row| row.cells.clone()).collect::<Vec<_>>());
                both.iter_mut().for_each(|rows| rows.sort());
                if both[0] != both[1] {
                    return Err(format!("returned {:?} and not {:?}", both[0], both[1]));
                }
                self.world.refill(&mut self.part, Some(self.user)).await;
                let seen = state(&mut self.part, "main").await;
                if seen[position] != part_after[position] {
                    return Err(format!("left {:?}\n and not {:?}", seen[position], part_after[position]));
                }
                tally.compared += 1;
            }
            _ => {}
        }
        if let Ok(rows) = &answer
            && rows.iter().flat_map(|row| &row.cells).any(marked)
        {
            return Err("returned a hidden value".to_owned());
        }
        Ok(())
    }

    /// A connection where the whole database is also `f`, as the policies' meaning has it.
    async fn whole_as_f(&self) -> SqliteConnection {
        let mut conn = plain(&self.world.path).await;
        run(&mut conn, format!("ATTACH '{}' AS f", self.world.path.display())).await.unwrap();
        conn
    }

    async fn nothing_hidden_changed(
        &mut self,
        write: &Write,
        position: usize,
        before: &[Rows],
        after: &[Rows],
    ) -> Result<(), String> {
        for (at, table) in TABLES.iter().enumerate() {
            if at != position && before[at] != after[at] {
                return Err(format!("changed {table}"));
            }
        }
        let (old, new) = differences(&before[position], &after[position]);
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        // What new rows satisfy is asked of the file as it is; what old rows satisfied, of the kept copy.
        let mut conn = self.whole_as_f().await;
        let new_ok = may(&mut conn, self.world, "f", write, self.user, true).await;
        if !new.is_subset(&new_ok) {
            return Err(format!(
                "left rows past WITH CHECK: {:?}",
                new.difference(&new_ok).collect::<Vec<_>>()
            ));
        }
        self.reset().await;
        let old_ok = may(&mut conn, self.world, "f", write, self.user, false).await;
        // Put back what the guard left, for who compares it.
        let mut sql = format!("DELETE FROM main.{};", write.table);
        for row in after[position].values() {
            let cells: Vec<String> = row.iter().map(literal).collect();
            sql.push_str(&format!("INSERT INTO main.{} VALUES ({});", write.table, cells.join(", ")));
        }
        run(&mut self.whole, sql).await.unwrap();
        if old.is_subset(&old_ok) {
            Ok(())
        } else {
            Err(format!("changed {:?}", old.difference(&old_ok).collect::<Vec<_>>()))
        }
    }
}

fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(number) if *number == i64::MIN => "(-9223372036854775807 - 1)".to_owned(),
        Cell::Int(number) => number.to_string(),
        Cell::Real(text) => text.clone(),
        Cell::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Cell::Blob(_) => "NULL".to_owned(),
    }
}

/// Constraints speak of hidden rows too, as in PostgreSQL.
fn is_channel(error: &Error) -> bool {
    matches!(error.code(), Code::UniqueViolation)
}

/// attacks A03, A10, L01
#[tokio::test]
async fn writes_change_what_their_user_may_change_and_nothing_else() {
    let total = cases(1_000);
    let mut tally = Tally::default();
    let mut seed = 500_000_000;
    for scenario in Scenario::ALL {
        let world = World::new(scenario).await;
        for user in [ANN, BOB] {
            let mut bench = Bench::new(&world, user).await;
            for _ in 0..total / 10 {
                seed += 1;
                let write = Gen::new(seed, 0).write(user, &[ANN, BOB, ZED]);
                if let Err(failure) = bench.case(&write, &mut tally).await {
                    tally
                        .failures
                        .push(format!("{scenario:?} {user} {:?}: {failure}\n{}", write.verb, write.sql));
                }
            }
        }
    }
    tally.report("writes");
    assert!(tally.compared * 4 > tally.cases, "the comparison with plain SQLite hardly ever applied");
}

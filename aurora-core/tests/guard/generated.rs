//! A query through the guard answers what it answers on a plain database that holds only the visible rows.

use std::collections::BTreeMap;

use aurora_core::types::{Code, Error};
use sqlx::sqlite::SqliteConnection;

use crate::generator::world::{ANN, AnyRow, BOB, Cell, Scenario, World, cases, marked, rows_of};
use crate::generator::{Gen, Read};

pub(crate) const USERS: [Option<&str>; 3] = [Some(ANN), Some(BOB), None];

/// What became of a run.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    pub(crate) invalid: u64,
    /// Counts by reason, with an example.
    pub(crate) refused: BTreeMap<String, (u64, String)>,
    pub(crate) rows: u64,
    /// Writes whose outcome was held against plain SQLite's.
    pub(crate) compared: u64,
    pub(crate) failures: Vec<String>,
}

impl Tally {
    pub(crate) fn refuse(&mut self, error: &Error, sql: &str) {
        let entry =
            self.refused.entry(reason(error)).or_insert_with(|| (0, format!("{}: {sql}", error.message())));
        entry.0 += 1;
    }

    pub(crate) fn report(&self, name: &str) {
        let refused: u64 = self.refused.values().map(|(count, _)| count).sum();
        println!(
            "{name}: {} cases, {} rows, {} compared, {} dropped (plain SQLite refuses them), {refused} refused by the guard ({:.2}%)",
            self.cases,
            self.rows,
            self.compared,
            self.invalid,
            refused as f64 * 100.0 / self.cases.max(1) as f64
        );
        for (reason, (count, example)) in &self.refused {
            println!("  {count:6}  {reason}\n          {}", example.chars().take(400).collect::<String>());
        }
        let failed = self.failures.len();
        assert!(
            failed == 0,
            "{name}: {failed} failures, the first:\n{}",
            self.failures.iter().take(4).cloned().collect::<Vec<_>>().join("\n\n")
        );
        assert!(refused * 100 <= self.cases * 5, "{name}: more than 5% refused");
    }
}

/// Whether the guard says that it does not carry the statement.
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.code() == Code::StatementNotSupported
        || (error.code() == Code::BadStatement && error.message().starts_with("syntax:"))
}

fn reason(error: &Error) -> String {
    // What stands in backticks differs from case to case.
    if let Some((head, _)) = error.message().split_once(", found:") {
        return head.to_owned();
    }
    let mut kept = String::new();
    for (at, part) in error.message().split('`').enumerate() {
        if at % 2 == 0 {
            kept.push_str(part);
        } else {
            kept.push_str("..");
        }
    }
    kept.chars().take(110).collect()
}

fn sorted(rows: &[AnyRow]) -> Vec<&Vec<Cell>> {
    let mut cells: Vec<&Vec<Cell>> = rows.iter().map(|row| &row.cells).collect();
    cells.sort();
    cells
}

/// Names the host may rely on: those of columns and aliases.
fn same_names(plain: &[AnyRow], guarded: &[AnyRow]) -> bool {
    let (Some(plain), Some(guarded)) = (plain.first(), guarded.first()) else { return true };
    let sure = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.names.len() == guarded.names.len()
        && plain.names.iter().zip(&guarded.names).all(|(plain, guarded)| !sure(plain) || plain == guarded)
}

async fn check(
    world: &World,
    user: Option<&str>,
    plain: &mut SqliteConnection,
    read: &Read,
    tally: &mut Tally,
) {
    let expected = match rows_of(plain, &read.sql).await {
        Ok(rows) => rows,
        Err(error) => {
            tally.invalid += 1;
            if tally.invalid <= 3 {
                println!("dropped: {error}: {}", read.sql);
            }
            return;
        }
    };
    tally.cases += 1;
    let db = world.as_user(user);
    let guarded: Vec<AnyRow> = match db.query_as(&read.sql).fetch_all().await {
        Ok(rows) => rows,
        Err(error) if is_refusal(&error) => {
            tally.refuse(&error, &read.sql);
            return;
        }
        Err(error) => {
            tally.failures.push(format!("{:?} {user:?}: {error:?}\n{}", world.scenario, read.sql));
            return;
        }
    };
    tally.rows += guarded.len() as u64;
    tally.compared += 1;
    let same = if read.ordered {
        guarded.iter().map(|row| &row.cells).eq(expected.iter().map(|row| &row.cells))
    } else {
        sorted(&guarded) == sorted(&expected)
    };
    if !same || !same_names(&expected, &guarded) || guarded.iter().flat_map(|row| &row.cells).any(marked) {
        tally.failures.push(format!(
            "{:?} {user:?}\n{}\nplain   {expected:?}\nguarded {guarded:?}",
            world.scenario, read.sql
        ));
    }
}

/// attack L01
#[tokio::test]
async fn reads_answer_as_if_only_visible_rows_were_there() {
    let total = cases(3_000);
    let mut tally = Tally::default();
    let mut seed = 0;
    for scenario in Scenario::ALL {
        let world = World::new(scenario).await;
        for (at, user) in USERS.into_iter().enumerate() {
            let share = total * [45, 45, 10][at] / 500;
            let mut plain = world.reduced(user).await;
            for _ in 0..share {
                seed += 1;
                let read = Gen::new(seed, 0).read();
                check(&world, user, &mut plain, &read, &mut tally).await;
            }
        }
    }
    tally.report("reads");
}

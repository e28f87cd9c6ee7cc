//! One case on every engine, and what makes a failing one smaller.

use super::answer::{self, Answer, Outcome};
use super::postgres::{Postgres, SCHEMA};
use super::sqlite::Sqlite;
use super::statements::Script;
use super::tree::{Engine, Kind, Node};
use super::world::{Who, World};

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) who: Who,
    pub(crate) script: Script,
}

/// What Aurora says where it cannot tell what PostgreSQL's planner leaves out.
pub(crate) const DOUBTED: &str = "PostgreSQL's planner may leave out what";

/// How the engines took a world's policies.
pub(crate) enum Opened {
    Both(Box<Sqlite>),
    /// Refused by both, or circles that both find.
    Neither,
    /// Aurora refuses it since it cannot tell what PostgreSQL would do.
    Doubted,
    /// One of them refuses, and why.
    One(String, String),
    /// The schema itself does not load.
    Broken(String),
}

pub(crate) async fn open(postgres: &mut Postgres, world: &World) -> Opened {
    let one = postgres.open(world).await;
    let other = Sqlite::open(world).await;
    match (one, other) {
        (Err((state, why)), _) if state == SCHEMA => Opened::Broken(why),
        (Ok(()), Ok(sqlite)) => Opened::Both(Box::new(sqlite)),
        (Err(_), Err(_)) => Opened::Neither,
        (Ok(()), Err(why)) if why.contains("42P17") && postgres.has_circles(world).await => Opened::Neither,
        (Ok(()), Err(why)) if why.contains(DOUBTED) => Opened::Doubted,
        (Ok(()), Err(why)) => {
            let help =
                why.lines().next().and_then(|line| line.rsplit_once("; ")).map_or("", |(_, help)| help);
            Opened::One(format!("refused by Aurora alone: {help}"), why)
        }
        (Err((state, why)), Ok(_)) => {
            Opened::One("refused by PostgreSQL alone".to_owned(), format!("{state} {why}"))
        }
    }
}

/// How the engines differ on a case, and both answers as text.
pub(crate) async fn judge(postgres: &mut Postgres, case: &Case) -> Option<(String, String)> {
    match open(postgres, &case.world).await {
        Opened::Both(mut sqlite) => {
            let (one, other) = both(postgres, &mut sqlite, case).await;
            let how = differs(postgres, case, &one, &other).await?;
            Some((how, shown(&one, &other)))
        }
        Opened::One(how, why) => Some((how, why)),
        Opened::Neither | Opened::Doubted | Opened::Broken(_) => None,
    }
}

pub(crate) async fn both(postgres: &mut Postgres, sqlite: &mut Sqlite, case: &Case) -> (Answer, Answer) {
    let one = postgres.ask(&case.world, &case.who, &case.script).await;
    (one, sqlite.ask(&case.world, &case.who, &case.script).await)
}

/// How the answers differ, but for which row was wrong first, and for the one place where Aurora is stricter on
/// purpose: PostgreSQL asks the WHERE of DO UPDATE on a hidden row, so that error or silence tells what that row holds;
/// Aurora's error comes either way. The referee proves either each time: without the WHERE, PostgreSQL's error is the
/// same.
pub(crate) async fn differs(
    postgres: &mut Postgres,
    case: &Case,
    one: &Answer,
    other: &Answer,
) -> Option<String> {
    let how = answer::difference(one, other)?;
    if another_row_first(postgres, case, one, other).await {
        return None;
    }
    let at = other.outcomes.iter().position(|outcome| {
        matches!(outcome, Outcome::Failed(state, said) if state == "42501" && said.contains("(USING expression)"))
    });
    let silent = |at: usize| match &one.outcomes[at] {
        Outcome::Rows(rows) => rows.rows.is_empty(),
        Outcome::Affected(many) => *many == 0,
        Outcome::Failed(..) => false,
    };
    let Some(at) = at.filter(|at| silent(*at)) else { return Some(how) };
    let text = case.script.statements[at].text(Engine::Postgres);
    let Some((head, tail)) = text.split_once(" DO UPDATE SET ") else { return Some(how) };
    let Some((set, _)) = tail.split_once(" WHERE ") else { return Some(how) };
    let mut without = case.clone();
    without.script.bound = false;
    without.script.statements.truncate(at);
    without.script.statements.push(Node::atom(Kind::Other, format!("{head} DO UPDATE SET {set}")));
    let answer = postgres.ask(&without.world, &without.who, &without.script).await;
    let hidden = matches!(answer.outcomes.get(at), Some(Outcome::Failed(state, said)) if state == "42501" && said.contains("(USING"));
    if hidden { None } else { Some(how) }
}

/// Whether both refuse the same statement, and which row they came upon first is all that tells them apart: over the
/// same rows in another order PostgreSQL answers as the other does. A heap lies in the order of its writes and of the
/// room that others left, a table WITHOUT ROWID in that of its keys.
async fn another_row_first(postgres: &mut Postgres, case: &Case, one: &Answer, other: &Answer) -> bool {
    let failed = |answer: &Answer| answer.outcomes.iter().position(|one| matches!(one, Outcome::Failed(..)));
    if failed(one).is_none() || failed(one) != failed(other) {
        return false;
    }
    let mut by_key = case.world.rows.clone();
    by_key.sort_by_key(|(table, row)| {
        let of = &case.world.tables[*table];
        of.key.iter().map(|at| row[*at].literal(of.columns[*at].of, Engine::Postgres)).collect::<Vec<_>>()
    });
    let turned: Vec<_> = case.world.rows.iter().rev().cloned().collect();
    for rows in [by_key, turned] {
        let mut ordered = case.clone();
        ordered.world.rows = rows;
        if is_so_in_order(postgres, case, &ordered, other).await {
            return true;
        }
    }
    false
}

/// Whether PostgreSQL answers so over the same rows in another order.
pub(crate) async fn is_so_in_order(
    postgres: &mut Postgres,
    case: &Case,
    ordered: &Case,
    other: &Answer,
) -> bool {
    let mut alike = false;
    if postgres.open(&ordered.world).await.is_ok() {
        let answer = postgres.ask(&ordered.world, &ordered.who, &ordered.script).await;
        alike = answer::difference(&answer, other).is_none();
    }
    postgres.open(&case.world).await.expect("it was open before");
    alike
}

fn shown(one: &Answer, other: &Answer) -> String {
    format!("-- PostgreSQL:\n{}-- SQLite:\n{}", answer::show(one, one), answer::show(other, one))
}

/// Every case that is one step smaller, the boldest steps first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut push = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        found.push(changed);
    };
    for at in 0..case.script.statements.len() {
        if case.script.statements.len() > 1 {
            push(&|case| drop(case.script.statements.remove(at)));
        }
    }
    if case.script.transaction.is_some() && case.script.statements.len() == 1 {
        push(&|case| case.script.transaction = None);
    }
    let policies = case.world.policies.len();
    for at in 0..policies {
        push(&|case| drop(case.world.policies.remove(at)));
    }
    let rows = case.world.rows.len();
    for chunk in [4, 1] {
        for at in (0..rows).step_by(chunk) {
            if rows > chunk || chunk == 1 {
                push(&|case| drop(case.world.rows.drain(at..rows.min(at + chunk))));
            }
        }
    }
    for at in 0..case.script.statements.len() {
        for statement in case.script.statements[at].smaller() {
            push(&|case| case.script.statements[at] = statement.clone());
        }
    }
    if case.script.bound {
        push(&|case| case.script.bound = false);
    }
    for at in 0..policies {
        for policy in case.world.policies[at].smaller() {
            push(&|case| case.world.policies[at] = policy.clone());
        }
    }
    found
}

/// The smallest case that differs in the same way, within so many tries.
pub(crate) async fn shrink(postgres: &mut Postgres, mut case: Case, how: &str, mut tries: usize) -> Case {
    'again: loop {
        for candidate in smaller(&case) {
            if tries == 0 {
                return case;
            }
            tries -= 1;
            if judge(postgres, &candidate).await.is_some_and(|(same, _)| same == how) {
                case = candidate;
                continue 'again;
            }
        }
        return case;
    }
}

/// The case as a script that a person can run.
pub(crate) fn script(case: &Case, how: &str, detail: &str) -> String {
    let spoken: String = case.script.statements.iter().map(|one| one.text(Engine::Postgres)).collect();
    let text = format!("{}{spoken}", case.world.policy_text());
    let used = |name: &str| text.contains(name);
    let mut world = case.world.clone();
    let named: Vec<bool> = world.tables.iter().map(|table| used(&table.name)).collect();
    let parents: Vec<usize> = world
        .tables
        .iter()
        .filter_map(|table| table.foreign.as_ref().map(|foreign| foreign.parent))
        .collect();
    let shown = |at: usize| named[at] || parents.contains(&at);
    let mut out = format!("-- {how}\n-- PostgreSQL:\n");
    let lines = |engine| {
        let names: Vec<&str> = case
            .world
            .tables
            .iter()
            .enumerate()
            .filter(|(at, _)| shown(*at))
            .map(|(_, table)| table.name.as_str())
            .collect();
        let schema = case.world.schema(engine);
        let kept = schema
            .lines()
            .filter(|line| line.split_whitespace().nth(2).is_some_and(|name| names.contains(&name)));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    out.push_str(&lines(Engine::Postgres));
    out.push_str("-- SQLite:\n");
    out.push_str(&lines(Engine::Sqlite));
    out.push_str("-- rows (as PostgreSQL has them):\n");
    out.push_str(&case.world.data(Engine::Postgres));
    out.push_str("-- policies:\n");
    world.policies.retain(|policy| !policy.text(Engine::Postgres).is_empty());
    out.push_str(&world.policy_text());
    out.push_str(&format!("-- as {} {} tenant {:?}\n", case.who.name, case.who.claims, case.who.tenant));
    if let Some(commit) = case.script.transaction {
        out.push_str(if commit {
            "-- in a transaction that commits\n"
        } else {
            "-- in a transaction, rolled back\n"
        });
    }
    if case.script.bound {
        out.push_str("-- with bound parameters\n");
    }
    for statement in &case.script.statements {
        out.push_str(&format!("{};\n", statement.text(Engine::Postgres)));
        let own = statement.text(Engine::Sqlite);
        if own != statement.text(Engine::Postgres) {
            out.push_str(&format!("-- in SQLite: {own};\n"));
        }
    }
    out.push_str(detail);
    out
}

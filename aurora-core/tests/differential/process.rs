//! The same policies in process: rows decided one by one by the evaluator, against what PostgreSQL shows and takes.
//! Facts are asked of PostgreSQL, as the principal.

use std::collections::BTreeMap;

use aurora_core::env::{Clock as _, SystemClock};
use aurora_core::policy::{
    Clause, Command, Compiled, Decision, FactValue, Facts, Lowered, Policies, RowLayout, ValueRef, functions,
};
use aurora_core::types::Role;

use super::answer::{Answer, Cell, Outcome, Rows};
use super::judge::Case;
use super::postgres::Postgres;
use super::sqlite;
use super::statements::Script;
use super::tree::{Kind, Node};
use super::world::{Value, Who, World};

pub(crate) struct Process {
    lowered: Lowered,
}

/// What a question in process came to.
pub(crate) enum Asked {
    Answer(Answer),
    /// It cannot be answered here, and the compiler said so.
    Refused,
}

impl Process {
    pub(crate) fn open(world: &World) -> Self {
        let policies = Policies::parse(&world.policy_text(), "policies.sql").unwrap();
        Self { lowered: policies.lower(&sqlite::schema(world)).unwrap() }
    }

    fn compiled(
        &self,
        world: &World,
        who: &Who,
        table: usize,
        command: Command,
        clause: Clause,
    ) -> Option<Compiled> {
        let role = if who.user.is_some() { Role::Authenticated } else { Role::Anon };
        let known = &world.tables[table];
        let layout = RowLayout::new(known.columns.iter().map(|column| column.name.clone()));
        // Grants of columns are the statement's affair: a row by itself has none.
        let columns = self.lowered.columns(&known.name, role, command);
        if known.columns.iter().any(|column| !columns.contains(&column.name)) {
            return None;
        }
        self.lowered.compile(&known.name, role, command, clause, &layout).ok()
    }

    /// The facts that the policy needs; `None` if one of them has no text for PostgreSQL.
    async fn facts(postgres: &mut Postgres, world: &World, who: &Who, compiled: &Compiled) -> Option<Facts> {
        let mut facts = Facts::of(&sqlite::principal(who));
        for fact in compiled.needs() {
            let text = fact.postgres()?;
            let statements = vec![Node::atom(Kind::Other, text)];
            let script = Script { statements, transaction: None, bound: false, tables: Vec::new() };
            let answer = postgres.ask(world, who, &script).await;
            let Some(Outcome::Rows(rows)) = answer.outcomes.first() else { return None };
            let rows: Vec<Vec<FactValue>> = rows.rows.iter().map(|row| values(row, &rows.types)).collect();
            facts.insert(fact, rows);
        }
        Some(facts)
    }

    /// The rows that somebody sees.
    pub(crate) async fn visible(
        &self,
        postgres: &mut Postgres,
        world: &World,
        who: &Who,
        table: usize,
    ) -> Asked {
        let Some(compiled) = self.compiled(world, who, table, Command::Select, Clause::Using) else {
            return Asked::Refused;
        };
        let Some(facts) = Self::facts(postgres, world, who, &compiled).await else { return Asked::Refused };
        let bound = compiled.bind(&facts).unwrap();
        let mut rows = Vec::new();
        for (_, row) in world.rows.iter().filter(|(of, _)| *of == table) {
            let kept: Vec<Kept> = row.iter().map(kept).collect();
            let borrowed: Vec<ValueRef<'_>> =
                row.iter().zip(&kept).map(|(value, kept)| borrow(value, kept)).collect();
            match bound.decide(borrowed.as_slice(), SystemClock.now()) {
                Decision::Allow => rows.push(row.iter().map(cell).collect()),
                Decision::Deny => {}
                Decision::Error(error) => {
                    let failed = Outcome::Failed(error.sqlstate().to_owned(), error.message().to_owned());
                    return Asked::Answer(Answer { outcomes: vec![failed], content: None });
                }
            }
        }
        let rows = Outcome::Rows(Rows { types: Vec::new(), rows });
        Asked::Answer(Answer { outcomes: vec![rows], content: None })
    }

    /// Whether a copy of an existing row may be inserted: PostgreSQL asks that before it finds the key taken.
    pub(crate) async fn insert(
        &self,
        postgres: &mut Postgres,
        world: &World,
        who: &Who,
        at: usize,
    ) -> Option<(Case, String)> {
        let (table, row) = &world.rows[at];
        let compiled = self.compiled(world, who, *table, Command::Insert, Clause::Check)?;
        let facts = Self::facts(postgres, world, who, &compiled).await?;
        let kept: Vec<Kept> = row.iter().map(kept).collect();
        let borrowed: Vec<ValueRef<'_>> =
            row.iter().zip(&kept).map(|(value, kept)| borrow(value, kept)).collect();
        let decision = compiled.bind(&facts).unwrap().decide(borrowed.as_slice(), SystemClock.now());
        let known = &world.tables[*table];
        let literals: Vec<Node> =
            row.iter().zip(&known.columns).map(|(value, column)| value.node(column.of)).collect();
        let form = format!("INSERT INTO {} VALUES ({})", known.name, vec!["{}"; literals.len()].join(", "));
        let statements = vec![Node::of(Kind::Other, &form, literals)];
        let script = Script { statements, transaction: None, bound: false, tables: vec![*table] };
        let answer = postgres.ask(world, who, &script).await;
        let theirs = match answer.outcomes.first() {
            Some(Outcome::Failed(state, _)) if state == "42501" => "denied",
            Some(Outcome::Failed(state, _)) if !state.starts_with("23") => "error",
            _ => "allowed",
        };
        let ours = match &decision {
            Decision::Allow => "allowed",
            Decision::Error(error) if error.sqlstate() != "42501" => "error",
            _ => "denied",
        };
        let case = Case { world: world.clone(), who: who.clone(), script };
        (ours != theirs)
            .then(|| (case, format!("insert {theirs} by PostgreSQL, {ours} in process: {decision:?}")))
    }
}

pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let bytes: Option<Vec<u8>> =
        (0..16).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// What a value is kept as where it is not kept as it was drawn.
#[derive(Default)]
struct Kept {
    uuid: [u8; 16],
    json: String,
}

fn kept(value: &Value) -> Kept {
    match value {
        Value::Uuid(text) => Kept { uuid: uuid(text).unwrap(), ..Kept::default() },
        Value::Array(_) => Kept { json: value.json(), ..Kept::default() },
        _ => Kept::default(),
    }
}

fn borrow<'a>(value: &'a Value, kept: &'a Kept) -> ValueRef<'a> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Int(value) => ValueRef::Integer(*value),
        Value::Bool(value) => ValueRef::Bool(*value),
        Value::Real(quarters) => ValueRef::Real(*quarters as f64 / 4.0),
        Value::Uuid(_) => ValueRef::Uuid(&kept.uuid),
        Value::Array(_) => ValueRef::Text(&kept.json),
        Value::Text(text) | Value::Time(text) | Value::Json(text) => ValueRef::Text(text),
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Int(value) => Cell::Int(*value),
        Value::Bool(value) => Cell::Int((*value).into()),
        Value::Real(quarters) => Cell::Real(*quarters as f64 / 4.0),
        Value::Array(_) => Cell::Text(value.json()),
        Value::Text(text) | Value::Time(text) | Value::Json(text) | Value::Uuid(text) => {
            Cell::Text(text.clone())
        }
    }
}

/// PostgreSQL's row as the evaluator's functions take values; uuids become what the column keeps.
fn values(row: &[Cell], types: &[String]) -> Vec<FactValue> {
    let of = |at: usize| types.get(at).map_or("", String::as_str);
    row.iter()
        .enumerate()
        .map(|(at, cell)| match (cell, of(at)) {
            (Cell::Text(text), "UUID") => FactValue::from(uuid(text).unwrap()),
            (Cell::Text(text), "BOOL") => FactValue::from(text == "t"),
            (Cell::Text(text), "INT2" | "INT4" | "INT8") => FactValue::from(text.parse::<i64>().unwrap()),
            (Cell::Text(text), "FLOAT8") => FactValue::from(functions::Value::Real(text.parse().unwrap())),
            (Cell::Text(text), of @ ("INT8[]" | "TEXT[]" | "UUID[]")) => {
                FactValue::from(stored(&super::answer::array(text), of == "INT8[]"))
            }
            (Cell::Text(text), _) => FactValue::from(text.clone()),
            _ => FactValue::from(functions::Value::Null),
        })
        .collect()
}

/// How many questions were answered in process, and how many refused when they were compiled.
pub(crate) fn count(asked: &Asked, into: &mut BTreeMap<String, u64>) {
    let name = match asked {
        Asked::Answer(_) => "in process: answered",
        Asked::Refused => "in process: refused when compiled",
    };
    *into.entry(name.to_owned()).or_default() += 1;
}

/// An array of texts as a column would keep it.
fn stored(json: &str, numbers: bool) -> String {
    if numbers { json.replace('"', "") } else { json.to_owned() }
}

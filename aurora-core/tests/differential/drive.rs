//! Scripts through a guarded handle, on either engine.

use aurora_core::guard::{Guarded, Transaction};
use aurora_core::types::Error;

use super::answer::{Outcome, Rows};
use super::cells::AnyRow;
use super::postgres::writes;
use super::statements::Script;
use super::tree::Engine;
use super::values::{Type, Value};

/// A statement as it is sent.
struct Sent {
    text: String,
    values: Vec<(Value, Type)>,
    returns: bool,
}

macro_rules! with_values {
    ($query:expr, $values:expr, $engine:expr) => {{
        let mut query = $query;
        for (value, of) in $values {
            query = match value {
                Value::Null => unreachable!("NULL is written out"),
                Value::Int(value) => query.bind(*value),
                Value::Bool(value) => query.bind(*value),
                Value::Real(quarters) => query.bind(*quarters as f64 / 4.0),
                Value::Uuid(text) if *of == Type::UuidBlob && $engine == Engine::Sqlite => {
                    query.bind(super::process::uuid(text).unwrap().to_vec())
                }
                Value::Array(_) if $engine == Engine::Sqlite => query.bind(value.json()),
                Value::Array(_) => query.bind(value.postgres_array()),
                Value::Text(text) | Value::Uuid(text) | Value::Time(text) | Value::Json(text) => {
                    query.bind(text.clone())
                }
            };
        }
        query
    }};
}

pub(crate) async fn drive(handle: &Guarded, script: &Script, engine: Engine) -> Vec<Outcome> {
    let statements = script.statements.iter().map(|statement| {
        let plain = statement.text(engine);
        let returns = !writes(&plain) || plain.contains(" RETURNING ");
        let (text, values) = if script.bound { statement.bound(engine) } else { (plain, Vec::new()) };
        Sent { text, values, returns }
    });
    let statements: Vec<Sent> = statements.collect();
    let mut outcomes = Vec::new();
    match script.transaction {
        None => {
            for sent in &statements {
                outcomes.push(if sent.returns {
                    let query = handle.query_as::<AnyRow>(&sent.text);
                    rows(with_values!(query, &sent.values, engine).fetch_all().await)
                } else {
                    let query = handle.query(&sent.text);
                    let done = with_values!(query, &sent.values, engine).execute().await;
                    affected(done.map(|done| done.rows_affected()))
                });
            }
        }
        Some(commit) => {
            let mut transaction: Transaction = handle.begin().await.unwrap();
            for sent in &statements {
                outcomes.push(if sent.returns {
                    let query = transaction.query_as::<AnyRow>(&sent.text);
                    rows(with_values!(query, &sent.values, engine).fetch_all().await)
                } else {
                    let query = transaction.query(&sent.text);
                    let done = with_values!(query, &sent.values, engine).execute().await;
                    affected(done.map(|done| done.rows_affected()))
                });
            }
            if !commit {
                transaction.rollback().await.unwrap();
            } else if let Err(error) = transaction.commit().await {
                outcomes.push(failed(&error));
            }
        }
    }
    outcomes
}

fn rows(answer: Result<Vec<AnyRow>, Error>) -> Outcome {
    match answer {
        Ok(found) => {
            Outcome::Rows(Rows { types: Vec::new(), rows: found.into_iter().map(|row| row.0).collect() })
        }
        Err(error) => failed(&error),
    }
}

fn affected(answer: Result<u64, Error>) -> Outcome {
    match answer {
        Ok(many) => Outcome::Affected(many),
        Err(error) => failed(&error),
    }
}

/// An error of a policy's function says its SQLSTATE first.
fn failed(error: &Error) -> Outcome {
    let message = error.message().to_owned();
    let own = error.code().as_str();
    let state = match message.split_once(' ') {
        // Each SQLSTATE of ours begins with a digit.
        Some((state, _)) if state.len() == 5 && state.starts_with(|c: char| c.is_ascii_digit()) => {
            state.to_owned()
        }
        _ => own.to_owned(),
    };
    Outcome::Failed(state, message)
}

//! What an engine answered, and when two answers are the same.

use std::collections::BTreeMap;

/// A cell as an engine gave it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// PostgreSQL's names of the columns' types; empty from SQLite.
    pub(crate) types: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Rows(Rows),
    Affected(u64),
    /// An SQLSTATE and what was said.
    Failed(String, String),
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcomes: Vec<Outcome>,
    /// Every table afterwards; `None` if nothing can have changed.
    pub(crate) content: Option<Vec<Rows>>,
}

/// One spelling for equal values, by PostgreSQL's type.
fn plain(cell: &Cell, of: &str) -> String {
    match (cell, of) {
        (Cell::Null, _) => "NULL".to_owned(),
        (Cell::Int(value), "BOOL") => (*value != 0).to_string(),
        (Cell::Text(text), "BOOL") => (text == "t").to_string(),
        (Cell::Text(text), "INT2" | "INT4" | "INT8" | "NUMERIC") => {
            text.parse::<f64>().map_or_else(|_| text.clone(), |number| format!("{number:?}"))
        }
        (Cell::Text(text), "FLOAT8" | "FLOAT4") => {
            text.parse::<f64>().map_or_else(|_| text.clone(), |number| format!("{number:?}"))
        }
        #[expect(clippy::cast_precision_loss, reason = "the generator's numbers are small")]
        (Cell::Int(value), _) => format!("{:?}", *value as f64),
        (Cell::Real(value), _) => format!("{value:?}"),
        (Cell::Text(text), "JSONB" | "JSON") => serde_json::from_str::<serde_json::Value>(text)
            .map_or_else(|_| format!("malformed {text}"), |value| value.to_string()),
        (Cell::Text(text), of) if of.ends_with("[]") => array(text),
        (Cell::Blob(bytes), "UUID") => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            match hex.len() {
                32 => {
                    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
                }
                _ => hex,
            }
        }
        (Cell::Blob(bytes), _) => format!("{bytes:?}"),
        (Cell::Text(text), _) => text.clone(),
    }
}

/// An array as either engine writes it, as JSON of texts.
pub(crate) fn array(text: &str) -> String {
    if let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text) {
        let items = items.into_iter().map(|item| match item {
            serde_json::Value::Number(number) => number.to_string().into(),
            other => other,
        });
        return serde_json::Value::Array(items.collect()).to_string();
    }
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return format!("malformed {text}");
    };
    let mut items: Vec<serde_json::Value> = Vec::new();
    // The generator's texts hold neither commas nor quotes nor braces.
    for item in inner.split(',').filter(|_| !inner.is_empty()) {
        items.push(match item {
            "NULL" => serde_json::Value::Null,
            item => item.trim_matches('"').into(),
        });
    }
    serde_json::Value::Array(items).to_string()
}

impl Rows {
    /// As a multiset of rows, spelled by these types.
    pub(crate) fn spelled(&self, types: &[String]) -> Vec<Vec<String>> {
        let of = |at: usize| types.get(at).map_or("", String::as_str);
        let mut rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().enumerate().map(|(at, cell)| plain(cell, of(at))).collect())
            .collect();
        rows.sort();
        rows
    }
}

fn class(state: &str) -> &str {
    // Which value was wrong first is for each engine to say; that one was is not.
    if state.starts_with("22") { "22" } else { state }
}

/// What a 42501 is about.
fn privilege(message: &str) -> &str {
    if message.starts_with("permission denied") {
        "permission denied"
    } else if message.contains("(USING expression)") {
        "USING expression"
    } else {
        "new row"
    }
}

fn same(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Outcome::Rows(postgres), Outcome::Rows(sqlite)) => {
            postgres.spelled(&postgres.types) == sqlite.spelled(&postgres.types)
        }
        (Outcome::Affected(one), Outcome::Affected(other)) => one == other,
        (Outcome::Failed(one, said), Outcome::Failed(other, also)) => {
            class(one) == class(other) && (one != "42501" || privilege(said) == privilege(also))
        }
        _ => false,
    }
}

/// How two answers differ; `None` if they do not. Names no row, so that a smaller case can differ the same way.
pub(crate) fn difference(postgres: &Answer, sqlite: &Answer) -> Option<String> {
    for (one, other) in postgres.outcomes.iter().zip(&sqlite.outcomes) {
        if !same(one, other) {
            return Some(format!("{} in PostgreSQL, {} in SQLite", kind(one), kind(other)));
        }
    }
    if postgres.outcomes.len() != sqlite.outcomes.len() {
        return Some("a different number of answers".to_owned());
    }
    if let (Some(one), Some(other)) = (&postgres.content, &sqlite.content) {
        for (one, other) in one.iter().zip(other) {
            if one.spelled(&one.types) != other.spelled(&one.types) {
                return Some("other content afterwards".to_owned());
            }
        }
    }
    None
}

fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rows(_) => "rows".to_owned(),
        Outcome::Affected(_) => "rows affected".to_owned(),
        Outcome::Failed(state, said) if state == "42501" => format!("42501 ({})", privilege(said)),
        Outcome::Failed(state, _) => state.clone(),
    }
}

pub(crate) fn show(answer: &Answer, types: &Answer) -> String {
    let mut out = String::new();
    for (outcome, typed) in answer.outcomes.iter().zip(&types.outcomes) {
        let known: &[String] = if let Outcome::Rows(rows) = typed { &rows.types } else { &[] };
        match outcome {
            Outcome::Rows(rows) => {
                out.push_str(&format!("--   {} rows", rows.rows.len()));
                for row in rows.spelled(known).iter().take(12) {
                    out.push_str(&format!(" ({})", row.join(", ")));
                }
                out.push('\n');
            }
            Outcome::Affected(many) => out.push_str(&format!("--   {many} affected\n")),
            Outcome::Failed(state, message) => out.push_str(&format!("--   {state} {message}\n")),
        }
    }
    for (at, rows) in answer.content.iter().flatten().enumerate() {
        let known =
            types.content.as_ref().and_then(|content| content.get(at)).map_or(&[][..], |rows| &rows.types);
        out.push_str(&format!("--   table {at}:"));
        for row in rows.spelled(known).iter().take(12) {
            out.push_str(&format!(" ({})", row.join(", ")));
        }
        out.push('\n');
    }
    out
}

/// What the outcomes were, for the histogram.
pub(crate) fn features(answer: &Answer, into: &mut BTreeMap<&'static str, u64>) {
    for outcome in &answer.outcomes {
        let name = match outcome {
            Outcome::Rows(rows) if rows.rows.is_empty() => "answer: no rows",
            Outcome::Rows(_) => "answer: rows",
            Outcome::Affected(0) => "answer: nothing affected",
            Outcome::Affected(_) => "answer: rows affected",
            Outcome::Failed(state, said) => match state.as_str() {
                "42501" if said.starts_with("permission denied") => "answer: permission denied",
                "42501" if said.contains("USING") => "answer: 42501 USING",
                "42501" => "answer: 42501 WITH CHECK",
                "23505" => "answer: unique violation",
                "23503" => "answer: foreign key violation",
                "23502" => "answer: NULL violation",
                "23514" => "answer: CHECK violation",
                "25P02" => "answer: poisoned transaction",
                state if state.starts_with("22") || state == "21000" => "answer: value error",
                _ => "answer: another error",
            },
        };
        *into.entry(name).or_default() += 1;
    }
}

//! Types and values, spelled for both engines.

use super::rng::Rng;
use super::tree::{Engine, Kind, Node};

pub(crate) const USERS: [&str; 3] = [
    "0a000000-0000-4000-8000-00000000000a",
    "0b000000-0000-4000-8000-00000000000b",
    "0c000000-0000-4000-8000-00000000000c",
];

/// As both engines print and keep a time.
pub(crate) const TIMES: [&str; 5] = [
    "2020-01-01 00:00:00+00",
    "2023-06-15 12:30:00+00",
    "2024-02-29 23:59:59+00",
    "2025-12-31 00:00:00+00",
    "2099-01-01 08:00:00+00",
];

pub(crate) const WORDS: [&str; 7] = ["a", "b", "Ab", "ab c", "", "a%", "x_y"];
/// Names of files, some in their owner's folder.
pub(crate) const PATHS: [&str; 10] = [
    "0a000000-0000-4000-8000-00000000000a/pic.png",
    // A file of that name is in nobody's folder, nor is one whose folder only begins so.
    "0a000000-0000-4000-8000-00000000000a",
    "0b000000-0000-4000-8000-00000000000bb/pic.png",
    "public",
    "0b000000-0000-4000-8000-00000000000b/a/b.tar.gz",
    "public/Me.PNG",
    "public/x/",
    "readme",
    "",
    "/a.jpg",
];
pub(crate) const LABELS: [&str; 3] = ["open", "closed", "draft"];

/// A column's type on both engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    BigInt,
    Text,
    Bool,
    /// Kept as hyphenated text in SQLite.
    UuidText,
    /// Kept as 16 bytes in SQLite.
    UuidBlob,
    Time,
    Json,
    Real,
    Enum,
    /// Arrays are JSON text in SQLite.
    Ints,
    Texts,
    Uuids,
}

impl Type {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Type::Int | Type::BigInt => Kind::Int,
            Type::Text => Kind::Text,
            Type::Bool => Kind::Bool,
            Type::UuidText | Type::UuidBlob => Kind::Uuid,
            Type::Time => Kind::Time,
            Type::Json => Kind::Json,
            Type::Real => Kind::Real,
            Type::Enum => Kind::Enum,
            Type::Ints => Kind::Ints,
            Type::Texts => Kind::Texts,
            Type::Uuids => Kind::Uuids,
        }
    }

    pub(crate) fn declared(self, engine: Engine) -> &'static str {
        match (self, engine) {
            (Type::Int, Engine::Postgres) => "integer",
            (Type::BigInt, Engine::Postgres) => "bigint",
            (Type::Int, Engine::Sqlite) => "INTEGER",
            (Type::BigInt, Engine::Sqlite) => "BIGINT",
            (Type::Text, _) => "text",
            (Type::Bool, _) => "boolean",
            (Type::UuidText, Engine::Sqlite) => "text",
            (Type::UuidText, _) => "uuid",
            (Type::UuidBlob, _) => "uuid",
            (Type::Time, Engine::Postgres) => "timestamptz",
            (Type::Time, Engine::Sqlite) => "TIMESTAMP",
            (Type::Json, Engine::Postgres) => "jsonb",
            (Type::Json, Engine::Sqlite) => "JSON",
            (Type::Real, Engine::Postgres) => "double precision",
            (Type::Real, Engine::Sqlite) => "REAL",
            (Type::Enum, Engine::Postgres) => "state",
            (Type::Enum, Engine::Sqlite) => "TEXT",
            (Type::Ints, Engine::Postgres) => "bigint[]",
            (Type::Ints, Engine::Sqlite) => "INTEGER[]",
            (Type::Texts, Engine::Postgres) => "text[]",
            (Type::Texts, Engine::Sqlite) => "TEXT[]",
            (Type::Uuids, Engine::Postgres) => "uuid[]",
            (Type::Uuids, Engine::Sqlite) => "UUID[]",
        }
    }

    /// The type that a parameter is declared with, and what makes of it a value of this type.
    pub(crate) fn bound_as(self) -> (&'static str, bool) {
        match self {
            Type::Int | Type::BigInt => ("bigint", false),
            Type::Bool => ("boolean", false),
            Type::Real => ("double precision", false),
            Type::Text => ("text", false),
            _ => ("text", true),
        }
    }

    pub(crate) fn parameter(self, number: usize, engine: Engine) -> String {
        match (engine, self.bound_as().1) {
            (Engine::Postgres, true) => format!("${number}::{}", self.declared(engine)),
            _ => format!("${number}"),
        }
    }

    pub(crate) fn feature(self) -> &'static str {
        match self {
            Type::Int => "type integer",
            Type::BigInt => "type bigint",
            Type::Text => "type text",
            Type::Bool => "type boolean",
            Type::UuidText => "type uuid (text)",
            Type::UuidBlob => "type uuid (16 bytes)",
            Type::Time => "type timestamptz",
            Type::Json => "type jsonb",
            Type::Real => "type double precision",
            Type::Enum => "type enum",
            Type::Ints => "type bigint[]",
            Type::Texts => "type text[]",
            Type::Uuids => "type uuid[]",
        }
    }
}

#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bool(bool),
    Uuid(String),
    Time(String),
    Json(String),
    Real(i64),
    Array(Vec<Value>),
}

impl Value {
    pub(crate) fn literal(&self, of: Type, engine: Engine) -> String {
        match self {
            Value::Null => "NULL".to_owned(),
            Value::Array(_) => {
                let text = if engine == Engine::Postgres { self.postgres_array() } else { self.json() };
                format!("'{}'", text.replace('\'', "''"))
            }
            Value::Int(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Real(quarters) => format!("{:?}", *quarters as f64 / 4.0),
            Value::Uuid(text) if of == Type::UuidBlob && engine == Engine::Sqlite => {
                format!("x'{}'", text.replace('-', ""))
            }
            Value::Text(text) | Value::Uuid(text) | Value::Time(text) | Value::Json(text) => {
                format!("'{}'", text.replace('\'', "''"))
            }
        }
    }

    /// `{1,"a b",NULL}`.
    pub(crate) fn postgres_array(&self) -> String {
        let Value::Array(items) = self else { return String::new() };
        let items: Vec<String> = items
            .iter()
            .map(|item| match item {
                Value::Null => "NULL".to_owned(),
                Value::Int(value) => value.to_string(),
                Value::Text(text) | Value::Uuid(text) => format!("\"{text}\""),
                other => unreachable!("no array of {other:?}"),
            })
            .collect();
        format!("{{{}}}", items.join(","))
    }

    /// As SQLite keeps an array.
    pub(crate) fn json(&self) -> String {
        let Value::Array(items) = self else { return String::new() };
        let items = items.iter().map(|item| match item {
            Value::Int(value) => serde_json::Value::from(*value),
            Value::Text(text) | Value::Uuid(text) => serde_json::Value::from(text.as_str()),
            _ => serde_json::Value::Null,
        });
        serde_json::Value::Array(items.collect()).to_string()
    }

    pub(crate) fn node(&self, of: Type) -> Node {
        Node::value(self.clone(), of)
    }
}

pub(crate) fn value(rng: &mut Rng, column: &str, of: Type) -> Value {
    match of {
        Type::Int | Type::BigInt => Value::Int(rng.below(6) as i64 - 1 + if rng.chance(4) { 200 } else { 0 }),
        Type::Text if column == "owner_text" => Value::Text((*rng.pick(&USERS)).to_owned()),
        Type::Text if column == "path" => Value::Text((*rng.pick(&PATHS)).to_owned()),
        Type::Text => Value::Text((*rng.pick(&WORDS)).to_owned()),
        Type::Bool => Value::Bool(rng.chance(50)),
        Type::UuidText | Type::UuidBlob => Value::Uuid((*rng.pick(&USERS)).to_owned()),
        Type::Time => Value::Time((*rng.pick(&TIMES)).to_owned()),
        Type::Json => Value::Json(json(rng)),
        Type::Real => Value::Real(rng.below(9) as i64 - 2),
        Type::Enum => Value::Text((*rng.pick(&LABELS)).to_owned()),
        Type::Ints => array(rng, column, Type::BigInt),
        Type::Texts => array(rng, column, Type::Text),
        Type::Uuids => array(rng, column, Type::UuidText),
    }
}

fn array(rng: &mut Rng, column: &str, of: Type) -> Value {
    let many = rng.weighted(&[15, 30, 35, 20]);
    let item = |rng: &mut Rng| if rng.chance(7) { Value::Null } else { value(rng, column, of) };
    Value::Array((0..many).map(|_| item(rng)).collect())
}

fn json(rng: &mut Rng) -> String {
    let mut fields = Vec::new();
    if rng.chance(70) {
        fields.push(format!("\"owner\": \"{}\"", rng.pick(&USERS)));
    }
    if rng.chance(60) {
        fields.push(format!(
            "\"n\": {}",
            if rng.chance(15) { "null".into() } else { rng.below(4).to_string() }
        ));
    }
    if rng.chance(50) {
        fields.push(format!("\"ok\": {}", rng.pick(&["true", "false", "null"])));
    }
    if rng.chance(50) {
        fields.push(format!("\"in\": {{\"k\": \"{}\"}}", rng.pick(&["a", "b"])));
    }
    format!("{{{}}}", fields.join(", "))
}

pub(crate) fn key(rng: &mut Rng, of: Type, number: usize) -> Value {
    match of {
        Type::Int | Type::BigInt => Value::Int(number as i64),
        Type::Text => Value::Text(format!("k{number}")),
        Type::UuidText | Type::UuidBlob if number < USERS.len() && rng.chance(50) => {
            Value::Uuid(USERS[number].to_owned())
        }
        _ => Value::Uuid(format!("00000000-0000-4000-9000-{number:012}")),
    }
}

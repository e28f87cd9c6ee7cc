//! A world: tables, rows, principals and policies, in a form that both engines can be given.

use std::fmt::Write as _;

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
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) of: Type,
    pub(crate) not_null: bool,
    pub(crate) default: Option<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) column: usize,
    pub(crate) parent: usize,
    pub(crate) action: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Positions of the primary key's columns.
    pub(crate) key: Vec<usize>,
    pub(crate) without_rowid: bool,
    pub(crate) unique: Option<usize>,
    pub(crate) check: Option<String>,
    pub(crate) foreign: Option<Foreign>,
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
}

/// Somebody who runs statements.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: &'static str,
    /// `None`: anon.
    pub(crate) user: Option<&'static str>,
    pub(crate) claims: String,
    pub(crate) tenant: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) tables: Vec<Table>,
    pub(crate) rows: Vec<(usize, Vec<Value>)>,
    /// The policy file, one node a statement.
    pub(crate) policies: Vec<Node>,
    pub(crate) who: Vec<Who>,
}

impl Value {
    pub(crate) fn literal(&self, of: Type, engine: Engine) -> String {
        match self {
            Value::Null => "NULL".to_owned(),
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

    pub(crate) fn node(&self, of: Type) -> Node {
        Node::each(of.kind(), self.literal(of, Engine::Postgres), self.literal(of, Engine::Sqlite))
    }
}

impl Table {
    pub(crate) fn is_key(&self, column: usize) -> bool {
        self.key.contains(&column)
    }

    fn create(&self, world: &World, engine: Engine) -> String {
        let mut lines = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let mut line = format!("{} {}", column.name, column.of.declared(engine));
            if column.not_null || self.is_key(index) {
                line.push_str(" NOT NULL");
            }
            if let Some(default) = &column.default {
                write!(line, " DEFAULT {}", default.literal(column.of, engine)).unwrap();
            }
            if self.unique == Some(index) {
                line.push_str(" UNIQUE");
            }
            lines.push(line);
        }
        let names =
            |of: &[usize]| of.iter().map(|at| self.columns[*at].name.as_str()).collect::<Vec<_>>().join(", ");
        lines.push(format!("PRIMARY KEY ({})", names(&self.key)));
        if let Some(check) = &self.check {
            lines.push(format!("CHECK ({check})"));
        }
        if let Some(foreign) = &self.foreign {
            let parent = &world.tables[foreign.parent];
            lines.push(format!(
                "FOREIGN KEY ({}) REFERENCES {} ({}) {}",
                self.columns[foreign.column].name,
                parent.name,
                parent.columns[parent.key[0]].name,
                foreign.action
            ));
        }
        let tail = if self.without_rowid && engine == Engine::Sqlite { " WITHOUT ROWID" } else { "" };
        format!("CREATE TABLE {} ({}){tail};\n", self.name, lines.join(", "))
    }
}

impl World {
    pub(crate) fn schema(&self, engine: Engine) -> String {
        // Parents have higher numbers than their children.
        let mut text = String::new();
        for table in self.tables.iter().rev() {
            text.push_str(&table.create(self, engine));
        }
        text
    }

    /// Parents first.
    pub(crate) fn data(&self, engine: Engine) -> String {
        let mut text = String::new();
        for (index, table) in self.tables.iter().enumerate().rev() {
            for (_, row) in self.rows.iter().filter(|(of, _)| *of == index) {
                let values: Vec<String> = row
                    .iter()
                    .zip(&table.columns)
                    .map(|(value, column)| value.literal(column.of, engine))
                    .collect();
                writeln!(text, "INSERT INTO {} VALUES ({});", table.name, values.join(", ")).unwrap();
            }
        }
        text
    }

    pub(crate) fn policy_text(&self) -> String {
        self.policies.iter().map(|policy| format!("{};\n", policy.text(Engine::Postgres))).collect()
    }

    /// Reads every table past the policies, in the order of its keys.
    pub(crate) fn content(&self) -> Vec<String> {
        self.tables.iter().map(|table| format!("SELECT * FROM {}", table.name)).collect()
    }
}

const NAMES: [&str; 4] = ["notes", "items", "teams", "members"];
const POOL: [(&str, &[Type]); 14] = [
    ("owner", &[Type::UuidText, Type::UuidBlob]),
    ("editor", &[Type::UuidText, Type::UuidBlob]),
    ("team", &[Type::Int, Type::BigInt]),
    ("n", &[Type::Int, Type::BigInt]),
    ("size", &[Type::BigInt]),
    ("title", &[Type::Text]),
    ("label", &[Type::Text]),
    ("owner_text", &[Type::Text]),
    ("flag", &[Type::Bool]),
    ("shared", &[Type::Bool]),
    ("at", &[Type::Time]),
    ("data", &[Type::Json]),
    ("rate", &[Type::Real]),
    ("state", &[Type::Enum]),
];

pub(crate) fn value(rng: &mut Rng, column: &str, of: Type) -> Value {
    match of {
        Type::Int | Type::BigInt => Value::Int(rng.below(6) as i64 - 1 + if rng.chance(4) { 200 } else { 0 }),
        Type::Text if column == "owner_text" => Value::Text((*rng.pick(&USERS)).to_owned()),
        Type::Text => Value::Text((*rng.pick(&WORDS)).to_owned()),
        Type::Bool => Value::Bool(rng.chance(50)),
        Type::UuidText | Type::UuidBlob => Value::Uuid((*rng.pick(&USERS)).to_owned()),
        Type::Time => Value::Time((*rng.pick(&TIMES)).to_owned()),
        Type::Json => Value::Json(json(rng)),
        Type::Real => Value::Real(rng.below(9) as i64 - 2),
        Type::Enum => Value::Text((*rng.pick(&LABELS)).to_owned()),
    }
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

impl World {
    pub(crate) fn people() -> Vec<Who> {
        let user = |name, user: &'static str, more: &str, tenant| Who {
            name,
            user: Some(user),
            claims: format!("{{\"sub\":\"{user}\",\"role\":\"authenticated\"{more}}}"),
            tenant,
        };
        vec![
            Who { name: "anon", user: None, claims: r#"{"role":"anon"}"#.to_owned(), tenant: None },
            user("ann", USERS[0], "", None),
            user(
                "bob",
                USERS[1],
                r#","email":"a","aal":"aal2","app_metadata":{"role":"admin","team":2,"teams":[1,2]},"banned":false"#,
                Some("a"),
            ),
            user(
                "eve",
                USERS[2],
                r#","email":null,"aal":"aal1","app_metadata":{"role":"b","team":"3"},"banned":true"#,
                Some("Ab"),
            ),
        ]
    }

    /// Tables and rows; the policies come after.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut world =
            World { tables: Vec::new(), rows: Vec::new(), policies: Vec::new(), who: Self::people() };
        let count = 2 + rng.weighted(&[30, 50, 20]);
        for name in NAMES.into_iter().take(count) {
            let table = draw_table(rng, name);
            world.tables.push(table);
        }
        for child in 0..count.saturating_sub(1) {
            if rng.chance(60) {
                world.tables[child].foreign = draw_foreign(rng, &world, child);
            }
        }
        for index in (0..count).rev() {
            world.draw_rows(rng, index);
        }
        world
    }

    fn draw_rows(&mut self, rng: &mut Rng, index: usize) {
        let table = self.tables[index].clone();
        let many = 3 + rng.below(6);
        let mut unique: Vec<Value> = Vec::new();
        for number in 0..many {
            let mut row: Vec<Value> = Vec::new();
            for (at, column) in table.columns.iter().enumerate() {
                let mut drawn = if table.key.first() == Some(&at) {
                    key(rng, column.of, number)
                } else if table.is_key(at) {
                    value(rng, &column.name, column.of)
                } else if !column.not_null && rng.chance(15) {
                    Value::Null
                } else {
                    value(rng, &column.name, column.of)
                };
                if let Some(foreign) = table.foreign.as_ref().filter(|foreign| foreign.column == at) {
                    drawn = self.parent_key(rng, foreign.parent, drawn);
                }
                if table.unique == Some(at) && drawn != Value::Null && unique.contains(&drawn) {
                    drawn = Value::Null;
                }
                if table.unique == Some(at) {
                    unique.push(drawn.clone());
                }
                if table.check.is_some() && drawn > Value::Int(99) && matches!(drawn, Value::Int(_)) {
                    drawn = Value::Int(7);
                }
                row.push(drawn);
            }
            self.rows.push((index, row));
        }
    }

    pub(crate) fn parent_key(&self, rng: &mut Rng, parent: usize, otherwise: Value) -> Value {
        let key = self.tables[parent].key[0];
        let keys: Vec<&Value> =
            self.rows.iter().filter(|(of, _)| *of == parent).map(|(_, row)| &row[key]).collect();
        if keys.is_empty() { otherwise } else { (*rng.pick(&keys)).clone() }
    }
}

fn draw_table(rng: &mut Rng, name: &str) -> Table {
    let of = *rng.pick(&[
        Type::Int,
        Type::Int,
        Type::BigInt,
        Type::BigInt,
        Type::Text,
        Type::UuidText,
        Type::UuidBlob,
    ]);
    let mut columns = vec![Column { name: "id".to_owned(), of, not_null: true, default: None }];
    let mut key = vec![0];
    if rng.chance(15) {
        columns.push(Column { name: "part".to_owned(), of: Type::Int, not_null: true, default: None });
        key.push(1);
    }
    let mut left: Vec<usize> = (0..POOL.len()).collect();
    // Nearly every table says whose a row is.
    let wanted = 3 + rng.below(5);
    let mut take = vec![0];
    left.remove(0);
    while take.len() < wanted {
        let at = rng.below(left.len());
        take.push(left.remove(at));
    }
    if rng.chance(10) {
        take.remove(0);
    }
    for at in take {
        let (name, types) = POOL[at];
        let of = *rng.pick(types);
        let not_null = rng.chance(20);
        let default = if not_null || rng.chance(30) { Some(value(rng, name, of)) } else { None };
        columns.push(Column { name: name.to_owned(), of, not_null, default });
    }
    let ints = |column: &Column| column.of.kind() == Kind::Int && !column.not_null;
    let check = match columns.iter().skip(key.len()).find(|column| ints(column)) {
        Some(column) if rng.chance(40) => Some(format!("{} < 100", column.name)),
        _ => None,
    };
    let texts: Vec<usize> = (key.len()..columns.len())
        .filter(|at| {
            columns[*at].of == Type::Text && !columns[*at].not_null && columns[*at].default.is_none()
        })
        .collect();
    let unique = if !texts.is_empty() && rng.chance(25) { Some(*rng.pick(&texts)) } else { None };
    let without_rowid = rng.chance(15);
    Table { name: name.to_owned(), columns, key, without_rowid, unique, check, foreign: None }
}

fn draw_foreign(rng: &mut Rng, world: &World, child: usize) -> Option<Foreign> {
    let table = &world.tables[child];
    let mut possible = Vec::new();
    for parent in child + 1..world.tables.len() {
        let other = &world.tables[parent];
        if other.key.len() != 1 {
            continue;
        }
        let of = other.columns[other.key[0]].of;
        for (at, column) in table.columns.iter().enumerate() {
            if !table.is_key(at) && column.of == of && table.unique != Some(at) {
                possible.push((at, parent));
            }
        }
    }
    if possible.is_empty() {
        return None;
    }
    let (column, parent) = *rng.pick(&possible);
    let mut actions =
        vec!["", "ON DELETE CASCADE", "ON DELETE RESTRICT", "ON UPDATE CASCADE ON DELETE CASCADE"];
    if !table.columns[column].not_null {
        actions.push("ON DELETE SET NULL");
    }
    Some(Foreign { column, parent, action: rng.pick::<&str>(&actions) })
}

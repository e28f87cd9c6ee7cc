//! A world: tables, rows, principals and policies, in a form that both engines can be given.

use std::fmt::Write as _;

use super::helpers::Helper;
use super::rng::Rng;
use super::tree::{Engine, Kind, Node};
pub(crate) use super::values::{LABELS, TIMES, Type, USERS, Value, WORDS, key, value};

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

/// Somebody who runs statements.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: &'static str,
    /// `None`: anon.
    pub(crate) user: Option<&'static str>,
    pub(crate) claims: String,
    pub(crate) tenant: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) tables: Vec<Table>,
    pub(crate) rows: Vec<(usize, Vec<Value>)>,
    /// The policy file, one node a statement.
    pub(crate) policies: Vec<Node>,
    pub(crate) who: Vec<Who>,
    /// Beside `public`, on PostgreSQL.
    pub(crate) schemas: Vec<String>,
    /// What the policies may call.
    pub(crate) helpers: Vec<Helper>,
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
const POOL: [(&str, &[Type]); 18] = [
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
    ("path", &[Type::Text]),
    ("numbers", &[Type::Ints]),
    ("tags", &[Type::Texts]),
    ("viewers", &[Type::Uuids]),
];

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
        let mut world = Self { who: Self::people(), ..Self::default() };
        let count = 2 + rng.weighted(&[30, 50, 20]);
        for name in NAMES.into_iter().take(count) {
            let table = draw_table(rng, name);
            world.tables.push(table);
        }
        for child in 0..count.saturating_sub(1) {
            if rng.chance(85) {
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
    let wanted = 3 + rng.below(7);
    let mut take = vec![0];
    left.remove(0);
    while take.len() < wanted {
        let at = rng.below(left.len());
        take.push(left.remove(at));
    }
    if rng.chance(10) {
        take.remove(0);
    }
    // What conditions of their own forms need: a name of a file, JSON, arrays.
    for (at, chance) in [(POOL.len() - 4, 25), (11, 15), (POOL.len() - 2, 12), (POOL.len() - 1, 12)] {
        if !take.contains(&at) && rng.chance(chance) {
            take.push(at);
        }
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
        Some(column) if rng.chance(80) => Some(format!("{} < 100", column.name)),
        _ => None,
    };
    let texts: Vec<usize> = (key.len()..columns.len())
        .filter(|at| {
            columns[*at].of == Type::Text && !columns[*at].not_null && columns[*at].default.is_none()
        })
        .collect();
    let unique = if !texts.is_empty() && rng.chance(50) { Some(*rng.pick(&texts)) } else { None };
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

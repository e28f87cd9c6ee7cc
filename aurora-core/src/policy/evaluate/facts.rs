//! What a policy asks of other tables, and the answers for one principal.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::super::expr::{Expr, Select};
use super::super::functions::{Claims, FunctionName, Value};
use super::super::render::{self, Names};
use super::super::schema::Schema;
use super::super::values;
use super::cell::{utf8, uuid_text};
use super::describe::Describer;
use super::set::Answers;
use crate::types::{Principal, Role, UserId};

/// A question that a policy asks of inner tables: the same for every row, answered once per principal.
///
/// `EXISTS (SELECT 1 FROM members m WHERE m.team = notes.team AND m.uid = auth.uid())` asks for the teams of the
/// caller: rows of one value, the key that each note's `team` is looked up by. Inner tables answer under their own
/// policies, so whoever loads a fact reads as the principal: through the guard, or under row level security.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact(Arc<Question>);

#[derive(Debug, PartialEq)]
pub(super) struct Question {
    text: String,
    /// Equal for questions whose answers can stand for each other.
    key: Arc<str>,
    postgres: Option<String>,
    sqlite: Option<String>,
    pub(super) select: Select,
    /// The keys, then the output if there is one.
    outputs: Vec<Expr>,
    pub(super) keys: usize,
    pub(super) output: bool,
    /// Rows are counted, so equal ones are kept.
    counted: bool,
    /// Which outputs keep uuids as 16 bytes.
    forms: Vec<bool>,
    tables: Vec<String>,
    columns: Vec<String>,
    timed: bool,
}

/// The shape of a question, as the compiler finds it.
pub(super) struct Shape {
    pub(super) select: Select,
    pub(super) keys: Vec<Expr>,
    pub(super) output: Option<Expr>,
    pub(super) counted: bool,
    pub(super) columns: Vec<String>,
}

impl Fact {
    pub(super) fn new(shape: Shape, schema: &Schema, table: &str) -> Self {
        let Shape { select, keys: key_list, output, counted, columns } = shape;
        let (keys, has_output) = (key_list.len(), output.is_some());
        let outputs: Vec<Expr> = key_list.into_iter().chain(output).collect();
        let mut describer = Describer::new(schema, table);
        let text = describer.query(&outputs, &select, !counted);
        let forms = outputs.iter().map(|one| describer.is_blob(one)).collect();
        let mut timed = false;
        let mut tables: Vec<String> = select.sources.iter().map(|source| source.table.clone()).collect();
        let mut look = |part: &Expr| {
            timed |= matches!(part, Expr::Call(FunctionName::Now, _));
            let inner = part.select().into_iter().flat_map(|select| &select.sources);
            tables.extend(inner.map(|source| source.table.clone()));
        };
        select.walk(&mut look);
        outputs.iter().for_each(|one| one.walk(&mut look));
        tables.sort_unstable();
        tables.dedup();
        // What a SECURITY DEFINER function reads, no principal may ask for.
        let mut owner = select.sources.iter().any(|source| source.owner);
        let mut owned = |part: &Expr| {
            owner |= part.select().is_some_and(|select| select.sources.iter().any(|source| source.owner));
        };
        select.walk(&mut owned);
        let asked = !describer.loose && !owner;
        let postgres = asked.then(|| text.clone());
        let sqlite = asked.then(|| Describer::for_sqlite(schema, table).query(&outputs, &select, !counted));
        let output = has_output;
        Self(Arc::new(Question {
            key: format!("{keys} {output} {text}").into(),
            text,
            postgres,
            sqlite,
            select,
            outputs,
            keys,
            output,
            counted,
            forms,
            tables,
            columns,
            timed,
        }))
    }

    /// The question as text to read; equal questions have equal texts.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The inner tables it reads, as spelled in the schema, those of nested subqueries included.
    pub fn tables(&self) -> Vec<&str> {
        self.0.tables.iter().map(String::as_str).collect()
    }

    /// The columns of the guarded row by which its rows are looked up.
    pub fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// How many values a row of it has: the keys, then the output if there is one; at least 1.
    pub fn width(&self) -> usize {
        self.0.outputs.len().max(1)
    }

    /// It reads `now()`: an answer holds for the moment at which it was loaded.
    pub fn is_timed(&self) -> bool {
        self.0.timed
    }

    /// The question in SQLite's text, for a connection on which the functions of lowered policies answer for the
    /// principal. [`Names::table`] has to name what applies the inner table's own policies.
    pub fn render(&self, names: &dyn Names) -> String {
        let Question { select, outputs, counted, .. } = &*self.0;
        let mut text = if *counted { "SELECT ".to_owned() } else { "SELECT DISTINCT ".to_owned() };
        let columns: Vec<String> = outputs.iter().map(|one| render::render(one, names)).collect();
        text.push_str(if columns.is_empty() { "1" } else { "" });
        text.push_str(&columns.join(", "));
        // The tail of the same query without outputs, so that it is printed in one place alone.
        let whole = render::render(&Expr::Exists(Box::new(select.clone())), names);
        let tail = whole.strip_prefix("EXISTS (SELECT 1").and_then(|rest| rest.strip_suffix(')'));
        text.push_str(tail.unwrap_or_default());
        text
    }

    /// The question in PostgreSQL's text, to be run as the principal under row level security; `None` where it
    /// holds something that only SQLite's form of the policy says.
    pub fn postgres(&self) -> Option<&str> {
        self.0.postgres.as_deref()
    }

    /// The question as host SQL that SQLite's guard runs as the principal; `None` as for
    /// [`postgres`](Self::postgres), and for what a `SECURITY DEFINER` function reads.
    pub fn sqlite(&self) -> Option<&str> {
        self.0.sqlite.as_deref()
    }

    /// A value as the column that it is compared with keeps it.
    fn value(&self, position: usize, value: FactValue) -> Value {
        let blob = self.0.forms.get(position).copied().unwrap_or(false);
        match value.0 {
            Held::Value(value) => value,
            Held::Uuid(bytes) if blob => Value::Blob(bytes.to_vec()),
            Held::Uuid(bytes) => Value::Text(utf8(&uuid_text(&bytes)).to_owned()),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// A value in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct FactValue(Held);

#[derive(Clone, Debug, PartialEq)]
enum Held {
    Value(Value),
    Uuid([u8; 16]),
}

macro_rules! fact_value {
    ($($type:ty: |$value:ident| $held:expr;)+) => {$(
        impl From<$type> for FactValue {
            fn from($value: $type) -> Self {
                Self($held)
            }
        }
    )+};
}

fact_value! {
    Value: |value| Held::Value(value);
    i32: |value| Held::Value(Value::Integer(value.into()));
    i64: |value| Held::Value(Value::Integer(value));
    bool: |value| Held::Value(Value::Integer(value.into()));
    &str: |value| Held::Value(Value::Text(value.to_owned()));
    String: |value| Held::Value(Value::Text(value));
    [u8; 16]: |value| Held::Uuid(value);
    UserId: |value| Held::Uuid(*value.as_bytes());
}

/// What is known of one principal: who it is, and the answers to the facts that policies asked for.
#[derive(Clone, Debug)]
pub struct Facts {
    pub(super) role: Role,
    pub(super) claims: Arc<Claims>,
    answers: HashMap<Arc<str>, Arc<Answers>>,
}

impl Facts {
    /// The principal, with nothing known yet beyond its claims.
    pub fn of(principal: &Principal) -> Self {
        Self { role: principal.role(), claims: Arc::new(Claims::of(principal)), answers: HashMap::new() }
    }

    /// Brings the answer to a fact: rows of [`Fact::width`] values. An earlier answer is replaced. Shorter rows
    /// are filled with NULL, which equals nothing; of longer ones the rest is dropped.
    pub fn insert<R, V>(&mut self, fact: &Fact, rows: impl IntoIterator<Item = R>)
    where
        R: IntoIterator<Item = V>,
        V: Into<FactValue>,
    {
        let width = fact.width();
        let row = |row: R| {
            let values = row.into_iter().take(width).enumerate();
            let mut values: Vec<Value> =
                values.map(|(position, value)| fact.value(position, value.into())).collect();
            values.resize(width, Value::Null);
            values
        };
        let rows: Vec<Vec<Value>> = rows.into_iter().map(row).collect();
        let answers = Answers::of(rows, fact.0.keys, fact.0.output);
        self.answers.insert(Arc::clone(&fact.0.key), Arc::new(answers));
    }

    /// The same with one more answer.
    #[must_use]
    pub fn with<R, V>(mut self, fact: &Fact, rows: impl IntoIterator<Item = R>) -> Self
    where
        R: IntoIterator<Item = V>,
        V: Into<FactValue>,
    {
        self.insert(fact, rows);
        self
    }

    /// Whether the fact is answered.
    pub fn knows(&self, fact: &Fact) -> bool {
        self.answers.contains_key(&fact.0.key)
    }

    pub(super) fn answers(&self, fact: &Fact) -> Option<&Arc<Answers>> {
        self.answers.get(&fact.0.key)
    }
}

/// The sixteen bytes of a text that is spelled as a column keeps a uuid.
pub(super) fn canonical_uuid(text: &str) -> Option<[u8; 16]> {
    values::uuid(text).filter(|bytes| utf8(&uuid_text(bytes)) == text)
}

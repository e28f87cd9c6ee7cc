//! A typed expression as PostgreSQL text again, for people and, where nothing is lost, for PostgreSQL.

use super::super::expr::{Expr, Form, ROW, Select, Type};
use super::super::functions::FunctionName;
use super::super::raw::Comparison;
use super::super::schema::Schema;
use super::super::values;
use crate::types::{Timestamp, quote};

/// Prints expressions over one guarded table.
pub(super) struct Describer<'a> {
    schema: &'a Schema,
    table: &'a str,
    /// The inner tables with their numbers; they are called by their names where that is clear.
    inner: Vec<(usize, String)>,
    /// Something was printed that PostgreSQL would read otherwise, or not at all.
    pub(super) loose: bool,
    /// For SQLite's guard, where `auth.uid()` in host SQL is text.
    sqlite: bool,
}

impl<'a> Describer<'a> {
    pub(super) fn new(schema: &'a Schema, table: &'a str) -> Self {
        Self { schema, table, inner: Vec::new(), loose: false, sqlite: false }
    }

    /// For text that SQLite's guard runs as the principal.
    pub(super) fn for_sqlite(schema: &'a Schema, table: &'a str) -> Self {
        Self { sqlite: true, ..Self::new(schema, table) }
    }

    /// `SELECT` of these outputs over the tables and conditions of a subquery.
    pub(super) fn query(&mut self, outputs: &[Expr], select: &Select, distinct: bool) -> String {
        self.enter(select);
        let outputs: Vec<String> = match outputs {
            [] => vec!["1".to_owned()],
            some => some.iter().map(|one| self.expr(one)).collect(),
        };
        let distinct = if distinct { "DISTINCT " } else { "" };
        format!("SELECT {distinct}{}{}", outputs.join(", "), self.tail(select))
    }

    fn enter(&mut self, select: &Select) {
        for source in &select.sources {
            if !self.inner.iter().any(|(known, _)| *known == source.id) {
                self.inner.push((source.id, source.table.clone()));
            }
        }
    }

    fn tail(&mut self, select: &Select) -> String {
        let from: Vec<String> = select
            .sources
            .iter()
            .map(|source| {
                let (alias, table) = (self.alias(source.id), identifier(&source.table));
                if alias == table { table } else { format!("{table} {alias}") }
            })
            .collect();
        let mut text = if from.is_empty() { String::new() } else { format!(" FROM {}", from.join(", ")) };
        for (position, condition) in select.filter.iter().enumerate() {
            text.push_str(if position == 0 { " WHERE " } else { " AND " });
            text.push_str(&self.beneath(condition));
        }
        text
    }

    /// The table's own name, unless two inner tables, or an inner one and the guarded one, share it.
    fn alias(&self, id: usize) -> String {
        let Some((_, table)) = self.inner.iter().find(|(known, _)| *known == id) else {
            return format!("inner_{id}");
        };
        let same = |other: &str| other.eq_ignore_ascii_case(table);
        let shared = self.inner.iter().filter(|(_, other)| same(other)).count() > 1 || same(self.table);
        if shared { identifier(&format!("{table}_{id}")) } else { identifier(table) }
    }

    /// In parentheses where AND or OR would tear it apart.
    fn beneath(&mut self, expr: &Expr) -> String {
        let text = self.expr(expr);
        if matches!(expr, Expr::And(_) | Expr::Or(_)) { format!("({text})") } else { text }
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::Null => "NULL".to_owned(),
            Expr::Bool(value) => value.to_string(),
            Expr::Integer(number) => number.to_string(),
            Expr::Real(digits) => digits.clone(),
            Expr::Text(text) => literal(text),
            Expr::Blob(bytes) => format!("'{}'::uuid", values::uuid_text(bytes)),
            Expr::Column { source: ROW, name } if self.inner.is_empty() => identifier(name),
            Expr::Column { source: ROW, name } => format!("{}.{}", identifier(self.table), identifier(name)),
            Expr::Column { source, name } => format!("{}.{}", self.alias(*source), identifier(name)),
            Expr::Compare { op, left, right, .. } => {
                let (one, other) = (self.side(left, right), self.side(right, left));
                format!("{one} {} {other}", operator(*op))
            }
            Expr::And(many) => self.joined(many, " AND ", "true"),
            Expr::Or(many) => self.joined(many, " OR ", "false"),
            Expr::Not(one) => format!("NOT ({})", self.expr(one)),
            Expr::IsNull(one) => format!("{} IS NULL", self.beneath(one)),
            Expr::Is(one, value) => format!("({}) IS {}", self.expr(one), value.to_string().to_uppercase()),
            Expr::InList { left, list, .. } => format!("{} IN ({})", self.beneath(left), self.list(list)),
            Expr::InSelect { left, select, .. } => {
                let outer = self.side(left, select.output.as_ref().unwrap_or(&Expr::Null));
                format!("{outer} IN ({})", self.select(select))
            }
            Expr::Exists(select) => format!("EXISTS ({})", self.select(select)),
            Expr::Scalar { select, .. } => format!("({})", self.select(select)),
            Expr::Call(name, arguments) => self.call(*name, arguments),
            Expr::Coalesce(many) => format!("coalesce({})", self.list(many)),
            Expr::Case { arms, otherwise } => {
                let arms: Vec<String> = arms
                    .iter()
                    .map(|(when, then)| format!("WHEN {} THEN {}", self.expr(when), self.expr(then)))
                    .collect();
                format!("CASE {} ELSE {} END", arms.join(" "), self.expr(otherwise))
            }
            Expr::Concat(left, right) => format!("({} || {})", self.expr(left), self.expr(right)),
            Expr::Digits(one) => format!("{}::text", self.expr(one)),
        }
    }

    fn select(&mut self, select: &Select) -> String {
        self.enter(select);
        // The outer table's columns are qualified from here on.
        let outputs: Vec<Expr> = select.output.iter().cloned().collect();
        self.query(&outputs, select, false)
    }

    fn joined(&mut self, many: &[Expr], by: &str, none: &str) -> String {
        if many.is_empty() {
            return none.to_owned();
        }
        let parts: Vec<String> = many.iter().map(|one| self.beneath(one)).collect();
        parts.join(by)
    }

    fn list(&mut self, many: &[Expr]) -> String {
        many.iter().map(|one| self.expr(one)).collect::<Vec<_>>().join(", ")
    }

    /// One side of a comparison: what the lowering dropped because SQLite keeps both sides alike comes back.
    fn side(&mut self, one: &Expr, other: &Expr) -> String {
        let text = self.beneath(one);
        let micros = |expr: &Expr| matches!(expr, Expr::Call(FunctionName::Time | FunctionName::Now, _));
        match one {
            Expr::Integer(number) if micros(other) => {
                format!("'{}'::timestamptz", Timestamp::from_micros(*number))
            }
            Expr::Call(FunctionName::UidText, _) if !self.sqlite && self.is_text(other) => {
                format!("{text}::text")
            }
            _ => text,
        }
    }

    fn is_text(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Column { source, name } if self.kind(*source, name) == Some(Type::StoredText))
    }

    /// Whether a column, or a call that yields a uuid, keeps it as 16 bytes.
    pub(super) fn is_blob(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column { source, name } => self.kind(*source, name) == Some(Type::Uuid(Form::Blob)),
            Expr::Blob(_) | Expr::Call(FunctionName::UidBlob | FunctionName::UuidBlob, _) => true,
            _ => false,
        }
    }

    fn kind(&self, source: usize, column: &str) -> Option<Type> {
        let table = match source {
            ROW => self.table,
            _ => self.inner.iter().find(|(id, _)| *id == source).map(|(_, table)| table.as_str())?,
        };
        self.schema.table(table)?.column(column)?.policy_type()
    }

    fn call(&mut self, name: FunctionName, arguments: &[Expr]) -> String {
        let cast = |text: String, to: &str| format!("{text}::{to}");
        let infix = |this: &mut Self, operator: &str| match arguments {
            [left, right] => format!("({} {operator} {})", this.expr(left), this.expr(right)),
            _ => String::new(),
        };
        match (name, arguments) {
            (FunctionName::UidBlob, _) if self.sqlite => "unhex(replace(auth.uid(), '-', ''))".to_owned(),
            (FunctionName::UidText | FunctionName::UidBlob, _) => "auth.uid()".to_owned(),
            (FunctionName::Email, _) => "auth.email()".to_owned(),
            (FunctionName::Now, _) => "now()".to_owned(),
            (FunctionName::JwtJson | FunctionName::JwtText, path) => self.claim(name, path),
            (FunctionName::Time, [one]) => cast(self.expr(one), "timestamptz"),
            (FunctionName::Uuid | FunctionName::UuidBlob, [one]) => cast(self.expr(one), "uuid"),
            (FunctionName::Bool, [one]) => cast(self.expr(one), "boolean"),
            (FunctionName::Int, [one]) => cast(self.expr(one), "bigint"),
            (FunctionName::Jsonb, [one]) => cast(self.expr(one), "jsonb"),
            (FunctionName::JsonQuote, [one]) => format!("to_jsonb({})", self.expr(one)),
            (FunctionName::Json, [_, _]) => infix(self, "->"),
            (FunctionName::JsonText, [_, _]) => infix(self, "->>"),
            (FunctionName::Add, [_, _]) => infix(self, "+"),
            (FunctionName::Subtract, [_, _]) => infix(self, "-"),
            (FunctionName::Multiply, [_, _]) => infix(self, "*"),
            (FunctionName::Divide, [_, _]) => infix(self, "/"),
            (FunctionName::Remainder, [_, _]) => infix(self, "%"),
            (FunctionName::Lower, [one]) => format!("lower({})", self.expr(one)),
            (FunctionName::Upper, [one]) => format!("upper({})", self.expr(one)),
            (FunctionName::Length, [one]) => format!("length({})", self.expr(one)),
            (FunctionName::Like | FunctionName::ILike, [value, pattern, escape]) => {
                let word = if name == FunctionName::Like { "LIKE" } else { "ILIKE" };
                let text = format!("{} {word} {}", self.expr(value), self.expr(pattern));
                match escape {
                    Expr::Text(escape) if escape == "\\" => text,
                    escape => format!("{text} ESCAPE {}", self.expr(escape)),
                }
            }
            (FunctionName::Tenant, _) => {
                self.loose = true;
                "auth.tenant()".to_owned()
            }
            _ => {
                self.loose = true;
                format!("{}({})", name.as_str(), self.list(arguments))
            }
        }
    }

    fn claim(&mut self, name: FunctionName, path: &[Expr]) -> String {
        let mut text = "auth.jwt()".to_owned();
        for (position, key) in path.iter().enumerate() {
            let last = position + 1 == path.len() && name == FunctionName::JwtText;
            let key = self.expr(key);
            text.push_str(if last { " ->> " } else { " -> " });
            text.push_str(&key);
        }
        if path.is_empty() { text } else { format!("({text})") }
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quoted unless PostgreSQL reads it back as it stands.
fn identifier(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !RESERVED.contains(&name);
    if plain && !name.is_empty() { name.to_owned() } else { quote(name) }
}

/// Words of PostgreSQL that are no names without quotes, those that occur as names of columns and tables.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "into",
    "leading",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "primary",
    "references",
    "returning",
    "select",
    "some",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "when",
    "where",
    "window",
    "with",
];

fn operator(op: Comparison) -> &'static str {
    match op {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Distinct => "IS DISTINCT FROM",
        Comparison::NotDistinct => "IS NOT DISTINCT FROM",
    }
}

use super::expr::{Element, Form, Type};

/// What a statement does to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// `SELECT`.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
}

impl Command {
    /// Every command.
    pub const ALL: [Command; 4] = [Command::Select, Command::Insert, Command::Update, Command::Delete];

    /// The command's SQL word.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::Select => "SELECT",
            Command::Insert => "INSERT",
            Command::Update => "UPDATE",
            Command::Delete => "DELETE",
        }
    }
}

/// The tables that policies may speak of.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Every table of the database, the host's and Aurora's.
    pub tables: Vec<Table>,
}

impl Schema {
    /// The table of that name; SQLite's names ignore ASCII case.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }
}

/// One table as SQLite's catalog describes it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its name, as written in `CREATE TABLE`.
    pub name: String,
    /// Its columns in order, hidden ones left out.
    pub columns: Vec<Column>,
    /// The columns of the primary key in key order; empty if none is declared.
    pub primary_key: Vec<String>,
    /// Declared `WITHOUT ROWID`.
    pub without_rowid: bool,
    /// Declared `STRICT`.
    pub strict: bool,
    /// The columns of each other unique constraint or total unique index.
    pub unique: Vec<Vec<String>>,
    /// Its indexes, those of constraints included.
    pub indexes: Vec<Index>,
}

impl Table {
    /// A table with these columns and no keys.
    pub fn new(name: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { name: name.into(), columns, ..Self::default() }
    }

    /// The column of that name; SQLite's names ignore ASCII case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// One column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// Its name, as written in `CREATE TABLE`.
    pub name: String,
    /// Its declared type, empty if none.
    pub declared_type: String,
    /// Declared `NOT NULL`.
    pub not_null: bool,
    /// A generated column.
    pub generated: bool,
}

impl Column {
    /// A nullable, ordinary column.
    pub fn new(name: impl Into<String>, declared_type: impl Into<String>) -> Self {
        Self { name: name.into(), declared_type: declared_type.into(), not_null: false, generated: false }
    }

    /// What the declared type stands for in a policy; `None` where a policy cannot tell.
    pub(super) fn policy_type(&self) -> Option<Type> {
        let declared = self.declared_type.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if let Some(element) = declared.trim_end().strip_suffix("[]") {
            let element = Column::new("", element.trim_end());
            // A uuid in an array is text: JSON has no bytes.
            return element.policy_type().and_then(Element::of).map(Type::Array);
        }
        let kind = if declared.trim() == "DATE" {
            Type::Date
        } else if has("BOOL") {
            Type::Bool
        } else if has("TIMESTAMP") || has("DATE") {
            Type::Time
        } else if has("UUID") || has("BLOB") || has("BINARY") || has("BYTEA") {
            Type::Uuid(Form::Blob)
        } else if has("JSON") {
            Type::Json
        } else if has("INTERVAL") || has("POINT") {
            return None;
        } else if has("INT") || has("SERIAL") {
            Type::StoredInteger
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Type::StoredText
        } else if has("REAL") || has("FLOA") || has("DOUB") || has("NUMERIC") || has("DECIMAL") {
            Type::Real
        } else {
            return None;
        };
        Some(kind)
    }
}

/// One index.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns in order; `None` for an expression.
    pub columns: Vec<Option<String>>,
    /// It has a `WHERE`.
    pub partial: bool,
    /// It is unique.
    pub unique: bool,
}

//! Explaining a row that is at hand as a JSON object.

use serde_json::{Map, Value as Json};

use crate::policy::{Clause, Column, Command, Explanation, RowLayout, ValueRef};
use crate::types::{Code, Error, Result, Timestamp, UserId};

use super::guarded::Guarded;

/// What is done to which row.
pub(crate) struct Asked<'a> {
    pub(crate) table: &'a str,
    pub(crate) command: Command,
    pub(crate) clause: Clause,
    pub(crate) row: &'a Map<String, Json>,
}

impl Guarded {
    /// Why this principal may or may not.
    ///
    /// # Errors
    /// [`Code::NotFound`] without such a table.
    pub(crate) async fn explanation(&self, asked: &Asked<'_>, now: Timestamp) -> Result<Explanation> {
        let policies = self.lowered();
        let columns = columns(policies.schema(), asked.table)?;
        let layout = RowLayout::new(columns.iter().map(|column| column.name.clone()));
        let role = self.principal().role();
        let explainer = policies
            .explainer(asked.table, role, asked.command, asked.clause, &layout)
            .map_err(|errors| Error::new(Code::Configuration, errors.to_string()))?;
        // What cannot be asked as the principal stays unknown in the explanation.
        let facts: Vec<_> =
            explainer.needs().iter().filter(|fact| fact.postgres().is_some()).cloned().collect();
        let facts = self.facts(&facts).await?;
        let cells: Vec<Cell> =
            columns.iter().map(|column| Cell::of(column, asked.row.get(&column.name))).collect();
        let values: Vec<ValueRef<'_>> = cells.iter().map(Cell::as_value).collect();
        Ok(explainer.explain(values.as_slice(), &facts, now))
    }
}

/// The columns of a table.
///
/// # Errors
/// [`Code::NotFound`] without such a table.
pub(crate) fn columns<'a>(schema: &'a crate::policy::Schema, table: &str) -> Result<&'a [Column]> {
    match schema.table(table) {
        Some(found) => Ok(&found.columns),
        None => Err(Error::new(Code::NotFound, format!("no table {table}"))),
    }
}

/// A member of a JSON object, as a column's value.
enum Cell {
    Missing,
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Uuid([u8; 16]),
}

impl Cell {
    fn of(column: &Column, value: Option<&Json>) -> Self {
        let declared = column.declared_type.to_ascii_uppercase();
        let bytes = ["UUID", "BLOB", "BINARY", "BYTEA"].iter().any(|word| declared.contains(word));
        match value {
            None => Self::Missing,
            Some(Json::Null) => Self::Null,
            Some(Json::Bool(value)) => Self::Bool(*value),
            Some(Json::Number(number)) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Real(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(Json::String(text)) => match text.parse::<UserId>() {
                Ok(uuid) if bytes => Self::Uuid(*uuid.as_bytes()),
                _ => Self::Text(text.clone()),
            },
            Some(nested) => Self::Text(nested.to_string()),
        }
    }

    fn as_value(&self) -> ValueRef<'_> {
        match self {
            Self::Missing => ValueRef::Missing,
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value),
            Self::Uuid(value) => ValueRef::Uuid(value),
        }
    }
}

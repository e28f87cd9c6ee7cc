//! What a policy in process asks the database: facts about one principal, and rows as JSON.

use serde_json::Value as Json;

use crate::policy::{Column, Fact, FactValue, Facts};
use crate::types::{Code, Error, Result, UserId, quote};

use super::guarded::{Guarded, Unguarded};

impl Guarded {
    /// Answers `facts` for this principal. Each is one guarded statement: inner tables answer under their own
    /// policies.
    ///
    /// # Errors
    /// [`Code::StatementNotSupported`] for a fact that only the database can answer.
    pub async fn facts(&self, facts: &[Fact]) -> Result<Facts> {
        let mut known = Facts::of(self.principal());
        for fact in facts {
            let question = if self.is_postgres() { fact.postgres() } else { fact.sqlite() };
            let question = question.ok_or_else(|| {
                let text = format!("`{fact}` cannot be asked apart from its policy");
                Error::new(Code::StatementNotSupported, text)
            })?;
            let width = fact.width();
            let columns: Vec<String> = (0..width).map(|number| format!("c{number}")).collect();
            let list = columns.join(", ");
            let array = if self.is_postgres() { "json_build_array" } else { "json_array" };
            let text = if self.is_postgres() { "::text" } else { "" };
            // The names are given by a CTE: both engines take that form.
            let sql = format!("WITH fact ({list}) AS ({question}) SELECT {array}({list}){text} FROM fact");
            let rows: Vec<(String,)> = self.query_as(&sql).fetch_all().await?;
            let rows = rows.iter().map(|(row,)| values(row)).collect::<Result<Vec<_>>>()?;
            known.insert(fact, rows);
        }
        Ok(known)
    }
}

fn values(row: &str) -> Result<Vec<FactValue>> {
    let row: Vec<Json> = serde_json::from_str(row).map_err(Error::internal)?;
    Ok(row.iter().map(value).collect())
}

fn value(value: &Json) -> FactValue {
    use crate::policy::functions::Value;
    match value {
        Json::Null => Value::Null.into(),
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => Value::Real(number.as_f64().unwrap_or(f64::NAN)).into(),
        },
        // A uuid as text takes the form of the column it is compared with.
        Json::String(text) => match text.parse::<UserId>() {
            Ok(uuid) if uuid.to_string() == *text => uuid.into(),
            _ => text.as_str().into(),
        },
        nested => nested.to_string().into(),
    }
}

impl Unguarded {
    /// A statement for the rows of `table` in which `column` is `$1` as text, each as a JSON object; 16 bytes as
    /// the text of a uuid.
    pub(crate) fn rows_as_json(&self, table: &str, columns: &[Column], column: &str, most: usize) -> String {
        if self.is_postgres() {
            let (table, column) = (quote(table), quote(column));
            return format!(
                "SELECT to_jsonb(t)::text FROM {table} t WHERE t.{column}::text = $1 LIMIT {most}"
            );
        }
        let text = |name: &str| {
            format!("CASE typeof({0}) WHEN 'blob' THEN lower(hex({0})) ELSE {0} END", quote(name))
        };
        let members: Vec<String> = columns
            .iter()
            .map(|column| format!("'{}', {}", column.name.replace('\'', "''"), text(&column.name)))
            .collect();
        format!(
            "SELECT json_object({}) FROM {} WHERE CAST({} AS TEXT) = $1 LIMIT {most}",
            members.join(", "),
            quote(table),
            text(column)
        )
    }
}

//! Development's log: which clause removed a row, or refused one.
//!
//! Where a statement about one table found nothing, the same rows are looked for without policies, and what is found
//! is explained. It is a second look, later than the statement: a help for who writes policies, and never part of an
//! answer. Production does not have it.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use sqlparser::ast::{
    AssignmentTarget, Expr, FromTable, ObjectName, SelectItem, SetExpr, Statement, TableFactor, TableObject,
    TableWithJoins,
};
use sqlparser::dialect::{PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use crate::env::Clock;
use crate::policy::{Clause, Column, Command};
use crate::types::{Error, Result, quote};

use super::guarded::Guarded;
use super::json_row::{Asked, columns};
use super::query::Arguments;

/// At most this many rows of one statement are explained.
const MOST: usize = 3;

/// That hidden rows are told of, and the clock that policies are asked with.
#[derive(Clone)]
pub(crate) struct Telling(pub(crate) Arc<dyn Clock>);

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Telling")
    }
}

/// A statement that is about to run, kept for the case that nothing comes of it.
pub(super) struct Kept {
    pub(super) telling: Telling,
    pub(super) actor: Guarded,
    pub(super) arguments: Arguments,
    pub(super) sql: String,
}

/// How it ended.
pub(super) enum Ended {
    Empty,
    Refused,
}

impl Kept {
    /// Writes what removed the rows into the log. What cannot be explained is left out.
    pub(super) async fn tell(self, ended: Ended) {
        let told = match ended {
            Ended::Empty => self.tell_hidden().await,
            Ended::Refused => self.tell_refused().await,
        };
        if let Err(error) = told {
            tracing::debug!(error = ?error, "a row could not be explained");
        }
    }

    async fn tell_hidden(&self) -> Result<()> {
        let Some(about) = About::read(&self.sql, self.actor.is_postgres()) else { return Ok(()) };
        let Some(rows) = about.rows else { return Ok(()) };
        self.explain(&about.table, about.command, Clause::Using, &rows, "hidden").await
    }

    async fn tell_refused(&self) -> Result<()> {
        let Some(about) = About::read(&self.sql, self.actor.is_postgres()) else { return Ok(()) };
        let Some(made) = about.made else { return Ok(()) };
        self.explain(&about.table, about.command, Clause::Check, &made, "refused").await
    }

    async fn explain(
        &self,
        table: &str,
        command: Command,
        clause: Clause,
        rows: &Source,
        fate: &str,
    ) -> Result<()> {
        let columns = columns(self.actor.lowered().schema(), table)?;
        let sql = rows.sql(columns, self.actor.is_postgres());
        let found: Vec<(String,)> =
            self.actor.as_service().query_as(&sql).with(self.arguments.clone()).fetch_all().await?;
        for (row,) in found {
            let row: Map<String, Json> = serde_json::from_str(&row).map_err(Error::internal)?;
            let asked = Asked { table, command, clause, row: &row };
            let explanation = self.actor.explanation(&asked, self.telling.0.now()).await?;
            if !explanation.decision().is_allow() {
                tracing::info!(table, "a row of {table} is {fate} by its policies\n{explanation}");
            }
        }
        Ok(())
    }
}

/// Rows of one table as a FROM clause with its condition, and what stands in each column.
struct Source {
    /// Name of the columns' table within it.
    alias: String,
    /// Behind FROM.
    from: String,
    /// What replaces a column's value, as `column`, `expression`. Others are the table's own.
    set: Vec<(String, String)>,
    /// No other columns than those.
    only: bool,
}

impl Source {
    fn sql(&self, columns: &[Column], postgres: bool) -> String {
        let mut members = Vec::new();
        for column in columns {
            let set = self.set.iter().find(|(name, _)| *name == column.name);
            let value = match set {
                Some((_, value)) => format!("({value})"),
                None if self.only => continue,
                None => format!("{}.{}", quote(&self.alias), quote(&column.name)),
            };
            let value = if postgres {
                value
            } else {
                format!("CASE typeof({value}) WHEN 'blob' THEN lower(hex({value})) ELSE {value} END")
            };
            members.push(format!("'{}', {value}", column.name.replace('\'', "''")));
        }
        let members = members.join(", ");
        let (object, text) = if postgres { ("jsonb_build_object", "::text") } else { ("json_object", "") };
        format!("SELECT {object}({members}){text}{} LIMIT {MOST}", self.from)
    }
}

/// A statement about one table.
struct About {
    command: Command,
    table: String,
    /// The rows that it looked for.
    rows: Option<Source>,
    /// The rows that it would have made.
    made: Option<Source>,
}

impl About {
    fn read(sql: &str, postgres: bool) -> Option<Self> {
        let parsed = if postgres {
            Parser::parse_sql(&PostgreSqlDialect {}, sql)
        } else {
            Parser::parse_sql(&SQLiteDialect {}, sql)
        };
        let mut statements = parsed.ok()?;
        let about = match (statements.pop()?, statements.is_empty()) {
            (Statement::Query(query), true) if query.with.is_none() => Self::of_select(*query.body),
            (Statement::Update(update), true) if update.from.is_none() => {
                let (table, alias) = table(&update.table)?;
                let rows = source(&table, &alias, update.selection.as_ref());
                let mut set = Vec::new();
                for assignment in &update.assignments {
                    let AssignmentTarget::ColumnName(column) = &assignment.target else { return None };
                    set.push((last(column)?, assignment.value.to_string()));
                }
                let made = Source { set, ..source(&table, &alias, update.selection.as_ref()) };
                Some(Self { command: Command::Update, table: table.1, rows: Some(rows), made: Some(made) })
            }
            (Statement::Delete(delete), true) if delete.using.is_none() => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                let [from] = from.as_slice() else { return None };
                let (table, alias) = table(from)?;
                let rows = source(&table, &alias, delete.selection.as_ref());
                Some(Self { command: Command::Delete, table: table.1, rows: Some(rows), made: None })
            }
            (Statement::Insert(insert), true) => {
                let TableObject::TableName(name) = &insert.table else { return None };
                let body = *insert.source?.body;
                let SetExpr::Values(values) = body else { return None };
                let [row] = values.rows.as_slice() else { return None };
                let set: Option<Vec<(String, String)>> = insert
                    .columns
                    .iter()
                    .zip(row.iter())
                    .map(|(column, value)| Some((last(column)?, value.to_string())))
                    .collect();
                let made = Source { alias: String::new(), from: String::new(), set: set?, only: true };
                Some(Self { command: Command::Insert, table: last(name)?, rows: None, made: Some(made) })
            }
            _ => None,
        }?;
        about.numbered(sql).then_some(about)
    }

    fn of_select(body: SetExpr) -> Option<Self> {
        let SetExpr::Select(select) = body else { return None };
        let [from] = select.from.as_slice() else { return None };
        // An aggregate is a row where there is none to see, and comes to nothing here.
        let plain = select.having.is_none()
            && select.projection.iter().all(|item| {
                !matches!(
                    item,
                    SelectItem::UnnamedExpr(Expr::Function(_))
                        | SelectItem::ExprWithAlias { expr: Expr::Function(_), .. }
                )
            });
        let (table, alias) = table(from)?;
        let rows = source(&table, &alias, select.selection.as_ref());
        plain.then_some(Self { command: Command::Select, table: table.1, rows: Some(rows), made: None })
    }

    /// Whether parameters keep their places when only a part of the statement is taken.
    fn numbered(&self, sql: &str) -> bool {
        let marks = |text: &str| text.matches('?').count();
        let parts = self.rows.iter().chain(&self.made);
        parts.into_iter().all(|source| {
            let set: usize = source.set.iter().map(|(_, value)| marks(value)).sum();
            marks(sql) == marks(&source.from) + set || marks(sql) == 0
        })
    }
}

/// Schema and name, as written.
type Name = (Option<String>, String);

fn source(table: &Name, alias: &str, filter: Option<&Expr>) -> Source {
    let schema = table.0.as_ref().map(|schema| format!("{}.", quote(schema))).unwrap_or_default();
    let filter = filter.map_or_else(|| "true".to_owned(), Expr::to_string);
    Source {
        alias: alias.to_owned(),
        from: format!(" FROM {schema}{} AS {} WHERE {filter}", quote(&table.1), quote(alias)),
        set: Vec::new(),
        only: false,
    }
}

/// The one table of a FROM clause, and what it is called.
fn table(from: &TableWithJoins) -> Option<(Name, String)> {
    let TableFactor::Table { name, alias, args: None, .. } = &from.relation else { return None };
    if !from.joins.is_empty() {
        return None;
    }
    let schema = match name.0.as_slice() {
        [_] => None,
        [schema, _] => Some(schema.as_ident()?.value.clone()),
        _ => return None,
    };
    let called = last(name)?;
    let alias = alias.as_ref().map_or_else(|| called.clone(), |alias| alias.name.value.clone());
    Some(((schema, called), alias))
}

fn last(name: &ObjectName) -> Option<String> {
    let part = name.0.last()?.as_ident()?;
    Some(if part.quote_style.is_some() { part.value.clone() } else { part.value.to_lowercase() })
}

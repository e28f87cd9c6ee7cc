//! What a statement writes into sealed columns, read from its text.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, ConflictTarget, Expr, Insert, ObjectName, OnConflictAction,
    OnInsert, SetExpr, Statement, TableFactor, TableObject, Update, Value, visit_statements,
};
use sqlparser::dialect::{PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::value::Noted;
use super::{Declared, RowKey};
use crate::types::{Code, Error, Result};

/// A parameter that goes into a sealed column, or the index of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Write {
    declared: Declared,
    /// It goes into the blind index, not the column itself.
    index: bool,
    parameter: usize,
    /// The parameter that names the row.
    key: usize,
}

impl Write {
    /// Whether what was bound belongs there.
    pub(super) fn check(&self, noted: &[Option<Noted>]) -> Result<()> {
        let Declared { table, column, .. } = self.declared;
        let bound =
            |parameter: usize| parameter.checked_sub(1).and_then(|at| noted.get(at)).copied().flatten();
        let Some(Noted::Key(key)) = bound(self.key) else {
            let sentence = format!("`${}` names a row with sealed cells: bind a RowKey", self.key);
            return Err(Error::new(Code::StatementNotSupported, sentence));
        };
        let right = match bound(self.parameter) {
            Some(Noted::Cell(Some(place))) => {
                !self.index && (place.table, place.column, place.key) == (table, column, key)
            }
            Some(Noted::Index(index)) => {
                self.index && index == self.declared.index.map(|column| (table, column))
            }
            _ => false,
        };
        if right { Ok(()) } else { Err(self.wrong(key)) }
    }

    fn wrong(&self, key: RowKey) -> Error {
        let Declared { table, column, .. } = self.declared;
        let how = if self.index { "Guarded::blind" } else { "Guarded::seal" };
        let at = self.parameter;
        let sentence = format!(
            "`${at}` is written into {table}.{column} of row {key}: bind what {how} gave for that cell"
        );
        Error::new(Code::StatementNotSupported, sentence)
    }
}

/// Whether the text may write into one of the columns: it is looked at closely then.
pub(super) fn concerns(sql: &str, columns: &[Declared]) -> bool {
    let text = sql.to_ascii_lowercase();
    let writes = ["insert", "update", "replace", "merge"].iter().any(|word| text.contains(word));
    writes && columns.iter().any(|declared| text.contains(&declared.table.to_ascii_lowercase()))
}

/// Every parameter that goes into a sealed column.
///
/// # Errors
/// [`Code::StatementNotSupported`] for a statement that writes one in another way than by a bound parameter, or whose
/// row is not named by one.
pub(super) fn read(sql: &str, on_postgres: bool, columns: &[Declared]) -> Result<Vec<Write>> {
    let parsed = if on_postgres {
        Parser::parse_sql(&PostgreSqlDialect {}, sql)
    } else {
        Parser::parse_sql(&SQLiteDialect {}, sql)
    };
    let statements =
        parsed.map_err(|_| refused("a statement about a table with sealed columns that cannot be read"))?;
    let mut writes = Vec::new();
    let mut outcome = Ok(());
    let _ = visit_statements(&statements, |statement| {
        let read = match statement {
            Statement::Insert(insert) => of_insert(insert, columns, &mut writes),
            Statement::Update(update) => of_update(update, columns, &mut writes),
            Statement::Merge { .. } => Err(refused("MERGE beside sealed columns")),
            _ => Ok(()),
        };
        match read {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        }
    });
    outcome.map(|()| writes)
}

fn of_insert(insert: &Insert, columns: &[Declared], writes: &mut Vec<Write>) -> Result<()> {
    let TableObject::TableName(name) = &insert.table else { return Ok(()) };
    let sealed = of_table(name, columns);
    let Some(first) = sealed.first() else { return Ok(()) };
    if insert.columns.is_empty() {
        return Err(refused(&format!("INSERT INTO {} without its columns", first.table)));
    }
    let position = |column: &str| {
        insert
            .columns
            .iter()
            .position(|name| last(name).is_some_and(|name| name.eq_ignore_ascii_case(column)))
    };
    for declared in &sealed {
        for (column, index) in cells(declared) {
            let Some(at) = position(column) else { continue };
            let key = position(declared.key).ok_or_else(|| {
                refused(&format!("a new row of {} without its `{}`", declared.table, declared.key))
            })?;
            let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|source| &*source.body) else {
                return Err(not_bound(declared, column));
            };
            for row in &values.rows {
                write(declared, index, row.content.get(at), row.content.get(key), writes)?;
            }
        }
    }
    let Some(OnInsert::OnConflict(conflict)) = &insert.on else {
        return if insert.on.is_some() { Err(refused("this clause beside sealed columns")) } else { Ok(()) };
    };
    let OnConflictAction::DoUpdate(update) = &conflict.action else { return Ok(()) };
    for declared in &sealed {
        // The row that is there has the key of the one that was to be made, when that is what they met in.
        let by_key = matches!(&conflict.conflict_target, Some(ConflictTarget::Columns(columns))
            if columns.len() == 1 && columns.iter().all(|column| column.value.eq_ignore_ascii_case(declared.key)));
        let touches = touched(&update.assignments, declared)?;
        if touches.is_empty() {
            continue;
        }
        if !by_key {
            return Err(refused(&format!(
                "ON CONFLICT that is not about `{}` beside sealed columns",
                declared.key
            )));
        }
        let key =
            position(declared.key).and_then(|at| match insert.source.as_ref().map(|source| &*source.body) {
                Some(SetExpr::Values(values)) if values.rows.len() == 1 => {
                    values.rows.first().and_then(|row| row.content.get(at))
                }
                _ => None,
            });
        for (column, index, value) in touches {
            let excluded = format!("excluded.{column}");
            if value.to_string().eq_ignore_ascii_case(&excluded) {
                continue;
            }
            write(declared, index, Some(value), key, writes)?;
        }
    }
    Ok(())
}

fn of_update(update: &Update, columns: &[Declared], writes: &mut Vec<Write>) -> Result<()> {
    // `ONLY` is read as a table's name here, and is none to PostgreSQL.
    let (name, is_plain) = match &update.table.relation {
        TableFactor::Table { name, args: None, .. } => (name, !last(name).is_some_and(is_only)),
        _ => return Err(refused("an UPDATE of something else than a table beside sealed columns")),
    };
    if !is_plain {
        return Err(refused("UPDATE ONLY beside sealed columns"));
    }
    for declared in of_table(name, columns) {
        for (_, index, value) in touched(&update.assignments, &declared)? {
            // Another table's rows would say which rows are changed.
            if update.from.is_some() || !update.table.joins.is_empty() {
                return Err(refused("UPDATE .. FROM of a sealed cell"));
            }
            let key = update.selection.as_ref().and_then(|selection| named(selection, declared.key));
            write(&declared, index, Some(value), key, writes)?;
        }
    }
    Ok(())
}

/// The assignments to cells of a declared column. Its rows' key does not change.
fn touched<'a>(
    assignments: &'a [Assignment],
    declared: &Declared,
) -> Result<Vec<(&'static str, bool, &'a Expr)>> {
    let mut touched = Vec::new();
    for assignment in assignments {
        let names: Vec<&ObjectName> = match &assignment.target {
            AssignmentTarget::ColumnName(name) => vec![name],
            AssignmentTarget::Tuple(names) => names.iter().collect(),
        };
        let is = |name: &ObjectName, column: &str| {
            last(name).is_some_and(|name| name.eq_ignore_ascii_case(column))
        };
        if names.iter().any(|name| is(name, declared.key)) {
            return Err(refused(&format!(
                "a change of {}.{}, which its sealed cells belong to",
                declared.table, declared.key
            )));
        }
        for (column, index) in cells(declared) {
            match names.as_slice() {
                [name] if is(name, column) => touched.push((column, index, &assignment.value)),
                several if several.iter().any(|name| is(name, column)) => {
                    return Err(not_bound(declared, column));
                }
                _ => {}
            }
        }
    }
    Ok(touched)
}

/// One value for one cell.
fn write(
    declared: &Declared,
    index: bool,
    value: Option<&Expr>,
    key: Option<&Expr>,
    writes: &mut Vec<Write>,
) -> Result<()> {
    match value.map(plain) {
        Some(Expr::Value(value)) if matches!(value.value, Value::Null) => return Ok(()),
        Some(Expr::Identifier(word))
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") =>
        {
            return Ok(());
        }
        _ => {}
    }
    let parameter = value.and_then(parameter).ok_or_else(|| not_bound(declared, declared.column))?;
    let key = key.and_then(self::parameter).ok_or_else(|| {
        let Declared { table, key, .. } = declared;
        refused(&format!("a sealed cell of {table} whose row is not named by `{key} = $n`"))
    })?;
    writes.push(Write { declared: *declared, index, parameter, key });
    Ok(())
}

/// What a condition says the key is, when it can be nothing else.
fn named<'a>(condition: &'a Expr, key: &str) -> Option<&'a Expr> {
    match plain(condition) {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            named(left, key).or_else(|| named(right, key))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let is_key = |side: &Expr| match plain(side) {
                Expr::Identifier(word) => word.value.eq_ignore_ascii_case(key),
                Expr::CompoundIdentifier(words) => {
                    words.last().is_some_and(|word| word.value.eq_ignore_ascii_case(key))
                }
                _ => false,
            };
            match (is_key(left), is_key(right)) {
                (true, false) => Some(&**right),
                (false, true) => Some(&**left),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `$n`, perhaps with a cast.
fn parameter(expression: &Expr) -> Option<usize> {
    match plain(expression) {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => text.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        Expr::Cast { expr, .. } => parameter(expr),
        _ => None,
    }
}

fn plain(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => plain(inner),
        other => other,
    }
}

/// The column of the cells, and that of their index.
fn cells(declared: &Declared) -> impl Iterator<Item = (&'static str, bool)> + use<> {
    std::iter::once((declared.column, false)).chain(declared.index.map(|column| (column, true)))
}

fn of_table(name: &ObjectName, columns: &[Declared]) -> Vec<Declared> {
    let is = |declared: &&Declared| last(name).is_some_and(|name| name.eq_ignore_ascii_case(declared.table));
    columns.iter().filter(is).copied().collect()
}

fn is_only(name: &str) -> bool {
    name.eq_ignore_ascii_case("only")
}

fn last(name: &ObjectName) -> Option<&str> {
    name.0.last().and_then(|part| part.as_ident()).map(|word| word.value.as_str())
}

fn not_bound(declared: &Declared, column: &str) -> Error {
    refused(&format!("{}.{column} written otherwise than by a bound value ($n)", declared.table))
}

fn refused(what: &str) -> Error {
    Error::new(Code::StatementNotSupported, format!("guarded SQL does not carry {what}"))
}

//! Columns that a policy's subquery reads and its caller was not granted: PostgreSQL checks those of policies too.

use super::check::Ground;
use super::expr::Expr;
use super::grants::Columns;
use super::schema::Command;
use crate::types::Role;

/// The inner tables of which a column is read that the role holds no grant of. `whole`: those of which all are.
pub(super) fn columns(ground: Ground<'_>, expr: &Expr, whole: &[String], role: Role) -> Vec<String> {
    let mut tables: Vec<(usize, String)> = Vec::new();
    let mut columns: Vec<(usize, String)> = Vec::new();
    expr.walk(&mut |part| {
        if let Expr::Column { source, name } = part {
            columns.push((*source, name.clone()));
        }
        let sources = part.select().into_iter().flat_map(|select| &select.sources);
        tables.extend(sources.filter(|source| !source.owner).map(|one| (one.id, one.table.clone())));
    });
    let mut read: Vec<(&str, &str)> = Vec::new();
    for (source, column) in &columns {
        read.extend(tables.iter().find(|(id, _)| id == source).map(|(_, table)| (&**table, &**column)));
    }
    for table in whole.iter().filter_map(|name| ground.schema.table(name)) {
        read.extend(table.columns.iter().map(|column| (table.name.as_str(), column.name.as_str())));
    }
    let hidden = read.into_iter().filter_map(|(table, column)| {
        let granted = ground.catalog.table(table)?.grants.columns(role, Command::Select);
        // A table of which no column is granted at all is `Reach`'s to tell, who knows what constants leave out.
        let some = !matches!(&granted, Columns::Only(columns) if columns.is_empty());
        (some && !granted.contains(column)).then(|| table.to_owned())
    });
    hidden.collect()
}

/// The first of them that is asked for at all, as PostgreSQL's error text has it.
pub(super) fn told(hidden: &[String], left_out: &[String]) -> Option<String> {
    let asked = |table: &&String| !left_out.iter().any(|one| one.eq_ignore_ascii_case(table));
    hidden.iter().find(asked).map(|table| format!("table {table}"))
}

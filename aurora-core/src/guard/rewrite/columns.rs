//! Columns that a statement names: which of them a write reads, and what is granted.

use crate::policy::Command;
use crate::types::{Code, Error, Result};

use super::Rewriter;
use super::expr::is_rowid;

impl Rewriter<'_> {
    /// Whether the write reads its target: the name is looked up from the inside out, as the engine does. What it
    /// reads must be granted.
    pub(super) fn note_column(&mut self, qualifier: Option<&str>, column: &str) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let has = |columns: &[String]| columns.iter().any(|known| known.eq_ignore_ascii_case(column));
        let mut reads = match qualifier {
            Some(qualifier) => qualifier.eq_ignore_ascii_case(&target.alias),
            None => is_rowid(column) || has(&target.columns),
        };
        let mut proposed = qualifier.is_some_and(|qualifier| qualifier.eq_ignore_ascii_case("excluded"));
        for item in self.blocks.iter().rev().flat_map(|block| &block.items) {
            let found =
                match (qualifier, item.table.and_then(|position| self.rules.host.tables.get(position))) {
                    (Some(qualifier), _) => qualifier.eq_ignore_ascii_case(&item.alias),
                    (None, Some(table)) => has(&table.columns),
                    (None, None) => false,
                };
            if found {
                (reads, proposed) = (item.target, false);
                break;
            }
        }
        let table = target.table.clone();
        if !reads {
            // The proposed row is no row of the table, but PostgreSQL asks for its columns' grant all the same.
            return if proposed { self.granted(&table, column, Command::Select) } else { Ok(()) };
        }
        self.reads_target = true;
        self.granted(&table, column, Command::Select)
    }

    /// A column of a table in sight must be granted. What a subquery or a CTE might offer is left to the engine, which
    /// asks for every column of every view.
    pub(super) fn read_granted(&self, qualifier: Option<&str>, column: &str) -> Result<()> {
        for block in self.blocks.iter().rev() {
            for item in block.items.iter().filter(|item| !item.target) {
                let table = item.table.and_then(|position| self.rules.host.tables.get(position));
                let named = match (qualifier, table) {
                    (Some(qualifier), _) => qualifier.eq_ignore_ascii_case(&item.alias),
                    (None, Some(table)) => table.columns.iter().any(|own| own.eq_ignore_ascii_case(column)),
                    (None, None) => return Ok(()),
                };
                match table {
                    Some(table) if named => return self.granted(&table.name, column, Command::Select),
                    _ if named => return Ok(()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The column's own grant, where the table's is not held.
    pub(super) fn granted(&self, table: &str, column: &str, command: Command) -> Result<()> {
        let columns = self.rules.lowered.columns(table, self.rules.role, command);
        let known = self.rules.host.position(table).and_then(|at| self.rules.host.tables.get(at));
        // `rowid` is the key by another name.
        let named = match known.map(|table| table.primary_key.as_slice()) {
            Some([key])
                if is_rowid(column)
                    && !known.is_some_and(|table| table.columns.iter().any(|own| own == column)) =>
            {
                key
            }
            _ => column,
        };
        if columns.contains(named) {
            return Ok(());
        }
        let message = format!("permission denied for table {table}");
        Err(Error::new(Code::InsufficientPrivilege, message))
    }
}

//! Writes: the base table under its secret schema, and only the rows that an inner view shows.

use std::fmt::Write as _;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectNamePart, OnConflictAction,
    OnInsert, SelectItem, SqliteOnConflict, TableFactor, TableObject, TableWithJoins, Update,
    UpdateTableFromKind, Value, With,
};

use crate::policy::Command;
use crate::types::{Code, Error, Result, quote};

use super::super::names::View;
use super::super::schema::HostTable;
use super::expr::{column, name_of};
use super::fence::guard_conjuncts;
use super::{Block, Item, Need, Rewriter, Safety, Target, refused, text};

impl Rewriter<'_> {
    pub(super) fn insert(&mut self, with: Option<With>, insert: Insert) -> Result<String> {
        let Insert {
            or,
            ignore,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            on,
            returning,
            replace_into,
            output,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            has_table_keyword,
            priority,
            into,
            ..
        } = insert;
        let odd = overwrite
            || ignore
            || !into
            || has_table_keyword
            || !assignments.is_empty()
            || !after_columns.is_empty()
            || multi_table_insert_type.is_some()
            || priority.is_some();
        let clause =
            partitioned.is_some() || output.is_some() || insert_alias.is_some() || settings.is_some();
        if odd || clause || format_clause.is_some() {
            return Err(refused("this form of INSERT"));
        }
        if replace_into {
            return Err(refused("REPLACE INTO; write INSERT .. ON CONFLICT (..) DO UPDATE SET .."));
        }
        let TableObject::TableName(name) = &table else { return Err(refused("this INSERT target")) };
        let alias = table_alias.map(|alias| alias.alias.value);
        let (position, alias) = self.open_target(name, alias, Command::Insert)?;
        let with = self.open_with(with)?;
        let mut sql = with.clone();
        let conflict = conflict_word(or, self.in_trigger)?;
        write(&mut sql, format_args!("INSERT{conflict} INTO {}", self.base(position, &alias)?));
        let own = self.host_table(position)?;
        let (table, all) = (own.name.clone(), own.columns.clone());
        if source.is_some() || !columns.is_empty() {
            let given = columns.iter().map(|name| Ok(text::table_name(name)?.1.to_owned()));
            let given = if columns.is_empty() { Ok(all) } else { given.collect::<Result<Vec<_>>>() };
            for column in given? {
                self.granted(&table, &column, Command::Insert)?;
            }
        }
        if !columns.is_empty() {
            let names: Result<Vec<String>> =
                columns.iter().map(|name| Ok(quote(text::table_name(name)?.1))).collect();
            write(&mut sql, format_args!(" ({})", names?.join(", ")));
        }
        // The source does not read the row that is being made.
        let target = self.target.take();
        match source {
            Some(mut source) => {
                self.query(&mut source)?;
                write(&mut sql, format_args!(" {source}"));
            }
            None => sql.push_str(" DEFAULT VALUES"),
        }
        self.target = target;
        if let Some(on) = on {
            let clause = self.on_conflict(on, position, &alias)?;
            write(&mut sql, format_args!(" {clause}"));
        }
        sql.push_str(&self.returning(returning, position)?);
        self.close_with(&with);
        Ok(sql)
    }

    pub(super) fn update(&mut self, with: Option<With>, update: Update) -> Result<String> {
        let Update {
            table, mut assignments, from, selection, returning, or, order_by, limit, output, ..
        } = update;
        if !order_by.is_empty() || limit.is_some() || output.is_some() {
            return Err(refused("ORDER BY, LIMIT or OUTPUT on UPDATE"));
        }
        let (name, alias) = single_table(&table)?;
        let (position, alias) = self.open_target(name, alias, Command::Update)?;
        let with = self.open_with(with)?;
        let conflict = conflict_word(or, self.in_trigger)?;
        let mut sql = format!("{with}UPDATE{conflict} {} SET ", self.base(position, &alias)?);
        self.assignments(&mut sql, &mut assignments)?;
        let returned = self.returning(returning, position)?;
        match from {
            None => {
                let key = self.key_filter(selection, position, &alias, Command::Update)?;
                write(&mut sql, format_args!(" WHERE {key}"));
            }
            Some(UpdateTableFromKind::AfterSet(tables)) => {
                let clause = self.update_from(tables, selection, position, &alias)?;
                sql.push_str(&clause);
            }
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err(refused("UPDATE FROM before SET")),
        }
        sql.push_str(&returned);
        self.close_with(&with);
        Ok(sql)
    }

    pub(super) fn delete(&mut self, with: Option<With>, delete: Delete) -> Result<String> {
        let Delete { tables, from, using, selection, returning, order_by, limit, output, .. } = delete;
        if !tables.is_empty()
            || using.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || output.is_some()
        {
            return Err(refused("USING, ORDER BY or LIMIT on DELETE; write WHERE .. IN (SELECT ..)"));
        }
        let FromTable::WithFromKeyword(tables) = from else { return Err(refused("DELETE without FROM")) };
        let [table] = tables.as_slice() else { return Err(refused("DELETE from several tables")) };
        let (name, alias) = single_table(table)?;
        let (position, alias) = self.open_target(name, alias, Command::Delete)?;
        let with = self.open_with(with)?;
        let returned = self.returning(returning, position)?;
        let key = self.key_filter(selection, position, &alias, Command::Delete)?;
        let sql = format!("{with}DELETE FROM {} WHERE {key}{returned}", self.base(position, &alias)?);
        self.close_with(&with);
        Ok(sql)
    }

    fn open_target(
        &mut self,
        name: &sqlparser::ast::ObjectName,
        alias: Option<String>,
        command: Command,
    ) -> Result<(usize, String)> {
        let (schema, table) = text::table_name(name)?;
        if !schema.is_none_or(text::is_own_schema) {
            return Err(refused(format_args!("the schema of `{name}`")));
        }
        if self.rules.host.view(table).is_some() {
            return Err(refused(format_args!("writing to the view `{table}`")));
        }
        let position = self.table(table, command)?;
        let known = self.host_table(position)?;
        let alias = alias.unwrap_or_else(|| table.to_owned());
        if ["excluded", "new", "old"].iter().any(|word| alias.eq_ignore_ascii_case(word))
            || alias.contains(['"', '\''])
        {
            return Err(refused(format_args!("the alias `{alias}`")));
        }
        self.target =
            Some(Target { table: known.name.clone(), alias: alias.clone(), columns: known.columns.clone() });
        self.need(Need::Triggers(position));
        Ok((position, alias))
    }

    fn host_table(&self, position: usize) -> Result<&HostTable> {
        let missing = || Error::new(Code::BadStatement, "no such table");
        self.rules.host.tables.get(position).ok_or_else(missing)
    }

    /// `schema.table AS alias`; in a trigger a target has neither.
    fn base(&self, position: usize, alias: &str) -> Result<String> {
        let table = quote(&self.host_table(position)?.name);
        if self.in_trigger {
            return Ok(table);
        }
        Ok(format!("{}.{table} AS {}", quote(&self.rules.names.schema()), quote(alias)))
    }

    fn open_with(&mut self, with: Option<With>) -> Result<String> {
        let Some(mut with) = with else { return Ok(String::new()) };
        if self.in_trigger {
            return Err(refused("WITH in a trigger"));
        }
        let target = self.target.take();
        let safety = self.with(&mut with)?;
        self.target = target;
        // The rest of the statement is not read yet, so the fence stands whatever it holds.
        self.fence_ctes(Some(&mut with), safety.and(Safety::Watched));
        Ok(format!("{with} "))
    }

    fn close_with(&mut self, with: &str) {
        if !with.is_empty() {
            self.scopes.pop();
        }
    }

    fn assignments(&mut self, sql: &mut String, assignments: &mut [Assignment]) -> Result<()> {
        for (index, assignment) in assignments.iter_mut().enumerate() {
            self.expr(&mut assignment.value)?;
            let table = self.target.as_ref().map(|target| target.table.clone()).unwrap_or_default();
            let simple = |name: &sqlparser::ast::ObjectName| match name.0.as_slice() {
                [ObjectNamePart::Identifier(column)] => {
                    self.granted(&table, &column.value, Command::Update)?;
                    Ok(quote(&column.value))
                }
                _ => Err(refused(format_args!("the assignment to `{name}`"))),
            };
            let target = match &assignment.target {
                AssignmentTarget::ColumnName(name) => simple(name)?,
                AssignmentTarget::Tuple(names) => {
                    let names: Result<Vec<String>> = names.iter().map(simple).collect();
                    format!("({})", names?.join(", "))
                }
            };
            let comma = if index == 0 { "" } else { ", " };
            write(sql, format_args!("{comma}{target} = {}", assignment.value));
        }
        Ok(())
    }

    /// `key IN (SELECT key FROM inner AS alias WHERE ..)`.
    fn key_filter(
        &mut self,
        selection: Option<Expr>,
        position: usize,
        alias: &str,
        command: Command,
    ) -> Result<String> {
        let mut condition = selection;
        let mut conjuncts = Vec::new();
        if let Some(condition) = &mut condition {
            self.blocks.push(Block { items: vec![target_item(alias, position)], ..Block::default() });
            self.condition(condition, &mut conjuncts)?;
            self.blocks.pop();
        }
        let view = self.write_view(position, command)?;
        if let Some(condition) = &mut condition {
            let visible = column(alias, &self.rules.names.visible());
            guard_conjuncts(condition, &visible, &mut conjuncts.into_iter());
        }
        let filter = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        self.key_in(position, alias, view, &filter)
    }

    fn key_in(&mut self, position: usize, alias: &str, view: View, filter: &str) -> Result<String> {
        self.need(Need::Inner(position, view, self.rules.known));
        let names = self.rules.names;
        let inner = quote(&self.rules.inner(position, view));
        let table = self.host_table(position)?;
        let (outside, inside) = match &table.rowid {
            Some(rowid) => (format!("{}.{rowid}", self.target_name(alias)), quote(&names.row())),
            None => {
                let own: Vec<String> = table
                    .primary_key
                    .iter()
                    .map(|key| format!("{}.{}", self.target_name(alias), quote(key)))
                    .collect();
                let keys: Vec<String> = table.primary_key.iter().map(|key| quote(key)).collect();
                (format!("({})", own.join(", ")), keys.join(", "))
            }
        };
        Ok(format!("{outside} IN (SELECT {inside} FROM {inner} AS {}{filter})", quote(alias)))
    }

    fn target_name(&self, alias: &str) -> String {
        match &self.target {
            Some(target) if self.in_trigger => quote(&target.table),
            _ => quote(alias),
        }
    }

    /// The rows a write may touch; a write that reads a column needs them visible too.
    fn write_view(&mut self, position: usize, command: Command) -> Result<View> {
        if self.reads_target {
            let name = self.host_table(position)?.name.clone();
            self.table(&name, Command::Select)?;
        }
        Ok(match (command, self.reads_target) {
            (Command::Delete, true) => View::DeleteReading,
            (Command::Delete, false) => View::Delete,
            (_, true) => View::UpdateReading,
            (_, false) => View::Update,
        })
    }

    /// `UPDATE .. FROM`: the joined tables are read through their views, the target by its key, and the user's
    /// condition runs behind both.
    fn update_from(
        &mut self,
        mut tables: Vec<TableWithJoins>,
        selection: Option<Expr>,
        position: usize,
        alias: &str,
    ) -> Result<String> {
        self.reads_target = true;
        let view = self.write_view(position, Command::Update)?;
        let key = self.key_in(position, alias, view, "")?;
        let (clause, block) = self.fenced_from(&mut tables, &key, target_item(alias, position))?;
        let mut condition = selection.unwrap_or(Expr::value(Value::Number("1".to_owned(), false)));
        self.blocks.push(Block { items: vec![target_item(alias, position)], ..Block::default() });
        self.blocks.push(block);
        self.expr(&mut condition)?;
        self.blocks.truncate(self.blocks.len().saturating_sub(2));
        Ok(format!(" FROM {clause} WHERE {key} AND CASE WHEN {key} THEN ({condition}) END"))
    }

    fn on_conflict(&mut self, on: OnInsert, position: usize, alias: &str) -> Result<String> {
        let OnInsert::OnConflict(on) = on else { return Err(refused("ON DUPLICATE KEY UPDATE")) };
        let target = match &on.conflict_target {
            None => String::new(),
            Some(sqlparser::ast::ConflictTarget::Columns(columns)) => {
                // The proposed row must pass the SELECT policies too, as in PostgreSQL.
                self.reads_target = true;
                let name = self.host_table(position)?.name.clone();
                self.table(&name, Command::Select)?;
                for column in columns {
                    self.granted(&name, name_of(column), Command::Select)?;
                }
                let names: Vec<String> = columns.iter().map(|name| quote(name_of(name))).collect();
                format!(" ({})", names.join(", "))
            }
            Some(_) => return Err(refused("ON CONFLICT ON CONSTRAINT; name the columns")),
        };
        match on.action {
            OnConflictAction::DoNothing => Ok(format!("ON CONFLICT{target} DO NOTHING")),
            OnConflictAction::DoUpdate(mut update) => {
                let name = self.host_table(position)?.name.clone();
                self.table(&name, Command::Update)?;
                self.reads_target = true;
                let view = self.write_view(position, Command::Update)?;
                let mut sets = String::new();
                self.assignments(&mut sets, &mut update.assignments)?;
                let key = self.key_in(position, alias, view, "")?;
                let reads_row = update.selection.as_ref().is_some_and(reads_existing_row);
                let condition = match &mut update.selection {
                    Some(selection) => {
                        self.expr(selection)?;
                        selection.to_string()
                    }
                    None => "1".to_owned(),
                };
                // A hidden row is an error before anything of the user's looks at it. PostgreSQL asks the WHERE first,
                // and so tells by error or silence what a hidden row holds; here only a condition on the proposed row
                // alone is asked first.
                let deny = quote(&self.rules.names.function("deny"));
                let message = format!(
                    "42501 new row violates row-level security policy (USING expression) for table \"{name}\""
                );
                let message = message.replace('\'', "''");
                let filter = if reads_row {
                    format!("CASE WHEN {key} THEN ({condition}) ELSE {deny}('{message}') END")
                } else {
                    format!(
                        "CASE WHEN ({condition}) THEN CASE WHEN {key} THEN 1 ELSE {deny}('{message}') END END"
                    )
                };
                Ok(format!("ON CONFLICT{target} DO UPDATE SET {sets} WHERE {filter}"))
            }
        }
    }

    /// ` RETURNING ..`, with its reads noted: call it before what depends on them.
    fn returning(&mut self, items: Option<Vec<SelectItem>>, position: usize) -> Result<String> {
        let Some(mut items) = items else { return Ok(String::new()) };
        if self.in_trigger {
            return Err(refused("RETURNING in a trigger"));
        }
        self.in_returning = true;
        self.projection(&mut items)?;
        self.in_returning = false;
        let mut printed = Vec::with_capacity(items.len());
        for item in items {
            match &item {
                SelectItem::Wildcard(_) => {
                    self.reads_target = true;
                    let own = self.host_table(position)?;
                    for column in &own.columns {
                        self.granted(&own.name, column, Command::Select)?;
                    }
                    printed.push("*".to_owned());
                }
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {
                    printed.push(item.to_string())
                }
                other => return Err(refused(format_args!("`{other}` in RETURNING; write *"))),
            }
        }
        if self.reads_target {
            let name = self.host_table(position)?.name.clone();
            self.table(&name, Command::Select)?;
        }
        Ok(format!(" RETURNING {}", printed.join(", ")))
    }
}

fn target_item(alias: &str, position: usize) -> Item {
    Item { alias: alias.to_owned(), table: Some(position), inner: true, target: true }
}

/// Whether the WHERE of DO UPDATE may look at the row that is there: it names something that is not `excluded`'s.
fn reads_existing_row(condition: &Expr) -> bool {
    let found = sqlparser::ast::visit_expressions(condition, |part| {
        let reads = match part {
            Expr::CompoundIdentifier(parts) => {
                !parts.first().is_some_and(|first| first.value.eq_ignore_ascii_case("excluded"))
            }
            // TRUE and FALSE are values to the parser.
            Expr::Identifier(_) | Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => true,
            _ => false,
        };
        if reads { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    });
    found.is_break()
}

fn write(sql: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = sql.write_fmt(arguments);
}

/// An explicit ABORT overrides what a constraint may say; REPLACE and ROLLBACK reach past the policies.
fn conflict_word(or: Option<SqliteOnConflict>, in_trigger: bool) -> Result<&'static str> {
    match or {
        // Inside a trigger the outer statement's word counts, and that one we wrote.
        None if in_trigger => Ok(""),
        None | Some(SqliteOnConflict::Abort) => Ok(" OR ABORT"),
        Some(SqliteOnConflict::Ignore) => Ok(" OR IGNORE"),
        Some(other) => Err(refused(format_args!("OR {other}; write ON CONFLICT (..) DO ..."))),
    }
}

fn single_table(table: &TableWithJoins) -> Result<(&sqlparser::ast::ObjectName, Option<String>)> {
    match (&table.relation, table.joins.as_slice()) {
        (TableFactor::Table { name, alias, args: None, .. }, []) => {
            Ok((name, alias.as_ref().map(|alias| name_of(&alias.name).to_owned())))
        }
        _ => Err(refused("a write to more than one table")),
    }
}

//! The TEMP objects that enforce the policies in the engine: views for reading, triggers for writing.

use sqlparser::ast::{Statement, TriggerEvent, TriggerPeriod};

use crate::policy::{Command, Known, Names as PolicyNames, Predicate};
use crate::types::{Error, Result, Role, quote};

use super::names::View;
use super::rewrite::{Need, Rules, parse_schema, rewrite_condition, rewrite_in_trigger};
use super::schema::{HostTable, not_carried};

/// One object of the guard's as the statements that make it, and what must stand before it.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) statements: Vec<String>,
    pub(super) needs: Vec<Need>,
}

/// The object behind `need` for a role.
pub(super) fn object(rules: Rules<'_>, need: Need) -> Result<Object> {
    match need {
        Need::Inner(position, view, known) => {
            inner(Rules { known, ..rules }, table(rules, position)?, position, view)
        }
        Need::Outer(position, known) => outer(Rules { known, ..rules }, table(rules, position)?, position),
        // They serve whoever writes.
        Need::Triggers(position) => {
            triggers(Rules { known: Known::NOTHING, ..rules }, table(rules, position)?, position)
        }
    }
}

fn table(rules: Rules<'_>, position: usize) -> Result<&HostTable> {
    rules.host.tables.get(position).ok_or_else(|| Error::internal("no such table in the schema"))
}

/// How lowered policy text names things: `row` is the alias or `NEW`/`OLD` that the guarded row goes by.
struct Spelling<'a> {
    rules: Rules<'a>,
    row: &'a str,
    collated: bool,
    /// The view that stands for an inner table.
    view: View,
}

impl PolicyNames for Spelling<'_> {
    fn row(&self, column: &str) -> String {
        let binary = if self.collated { " COLLATE BINARY" } else { "" };
        format!("{}.{}{binary}", self.row, quote(column))
    }

    fn table(&self, table: &str) -> String {
        let Rules { host, .. } = self.rules;
        // A table that is not there reads as a name that does not resolve: the statement fails closed.
        host.position(table).map_or_else(|| "\"\"".to_owned(), |at| quote(&self.rules.inner(at, self.view)))
    }

    fn owner_table(&self, table: &str) -> String {
        let owner = |at| quote(&self.rules.inner(at, View::Owner));
        self.rules.host.position(table).map_or_else(|| "\"\"".to_owned(), owner)
    }

    fn function(&self, name: &str) -> String {
        quote(&self.rules.names.function(name))
    }
}

/// A predicate as text, and the inner views it reads. `view` is [`View::SelectOne`] where it is asked of one row
/// that is known already.
fn render(
    rules: Rules<'_>,
    table: &HostTable,
    predicate: &Predicate,
    (row, view): (&str, View),
    needs: &mut Vec<Need>,
) -> String {
    let lowering = match predicate {
        Predicate::True => return "1".to_owned(),
        Predicate::False => return "0".to_owned(),
        Predicate::Expr(lowering) => lowering,
    };
    for inner in lowering.tables() {
        if let Some(position) = rules.host.position(inner) {
            needs.push(Need::Inner(position, view, rules.known));
        }
    }
    for owned in lowering.owner_tables() {
        if let Some(position) = rules.host.position(owned) {
            needs.push(Need::Inner(position, View::Owner, rules.known));
        }
    }
    let spelling = Spelling { rules, row, collated: table.collated, view };
    match view {
        View::SelectOne => lowering.render_for_one_row(&spelling),
        View::SelectFew => lowering.render_for_first_rows(&spelling, &|table| personal(rules, table)),
        _ => lowering.render(&spelling),
    }
}

/// Whether the table's policies show few rows because they are about who asks.
fn personal(rules: Rules<'_>, table: &str) -> bool {
    match rules.using(table, Command::Select) {
        Predicate::False => true,
        Predicate::True => false,
        Predicate::Expr(lowering) => lowering.personal(&|inner| personal(rules, inner)),
    }
}

fn inner(rules: Rules<'_>, table: &HostTable, position: usize, view: View) -> Result<Object> {
    let names = rules.names;
    let base = quote(&format!("{}_b", names.visible()));
    let mut needs = Vec::new();
    let commands: &[Command] = match view {
        View::Select | View::SelectOne | View::SelectFew | View::SelectByKey => &[Command::Select],
        View::Update => &[Command::Update],
        View::UpdateReading => &[Command::Update, Command::Select],
        View::Delete => &[Command::Delete],
        View::DeleteReading => &[Command::Delete, Command::Select],
        View::Owner => &[],
    };
    if let (View::Owner, Some(why)) = (view, &table.refusal) {
        return Err(not_carried("table", &table.name, why));
    }
    // One row of this table asks one row of the next, and a list that stays is a short one.
    let read = match view {
        View::SelectOne | View::SelectFew => view,
        View::SelectByKey => View::SelectFew,
        _ => View::Select,
    };
    let predicates: Vec<String> = commands
        .iter()
        .map(|command| rules.using(&table.name, *command))
        .filter(|predicate| !matches!(predicate, Predicate::True))
        .map(|predicate| render(rules, table, &predicate, (&base, read), &mut needs))
        .collect();
    let (visible, mut filter) = if predicates.is_empty() {
        ("1".to_owned(), String::new())
    } else {
        let all = predicates.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(" AND ");
        (format!("(({all}) IS TRUE)"), format!(" WHERE {all}"))
    };
    if view == View::SelectByKey
        && let Some(keys) = by_keys(rules, table, &base, &mut needs)
    {
        filter = format!(" WHERE {keys}");
    }
    let mut columns: Vec<String> =
        table.columns.iter().map(|name| format!("{base}.{0} AS {0}", quote(name))).collect();
    columns.push(format!("{visible} AS {}", quote(&names.visible())));
    if let Some(rowid) = &table.rowid {
        columns.push(format!("{base}.{rowid} AS {}", quote(&names.row())));
    }
    let statement = format!(
        "CREATE TEMP VIEW IF NOT EXISTS {} AS SELECT {} FROM {}.{} AS {base}{filter}",
        quote(&rules.inner(position, view)),
        columns.join(", "),
        quote(&names.schema()),
        quote(&table.name),
    );
    Ok(Object { statements: vec![statement], needs })
}

/// The condition of [`View::SelectByKey`] where it is an OR of what only few rows satisfy: the rowids that each arm's
/// index has, so that SQLite goes through them in their order instead of reading and sorting every row.
fn by_keys(rules: Rules<'_>, table: &HostTable, base: &str, needs: &mut Vec<Need>) -> Option<String> {
    let rowid = table.rowid.as_deref()?;
    let Predicate::Expr(lowering) = rules.using(&table.name, Command::Select) else { return None };
    let (arms, beside) = lowering.arms(&|inner| personal(rules, inner))?;
    let key = quote(&format!("{}_a", rules.names.visible()));
    let of = format!("{}.{} AS {key}", quote(&rules.names.schema()), quote(&table.name));
    let mut part =
        |lowering, row: &str| render(rules, table, &Predicate::Expr(lowering), (row, View::SelectFew), needs);
    let arms: Vec<String> = arms
        .into_iter()
        .map(|arm| format!("SELECT {key}.{rowid} FROM {of} WHERE {}", part(arm, &key)))
        .collect();
    let beside = beside.map(|beside| format!(" AND {}", part(beside, base))).unwrap_or_default();
    Some(format!("{base}.{rowid} IN ({}){beside}", arms.join(" UNION ALL ")))
}

fn outer(rules: Rules<'_>, table: &HostTable, position: usize) -> Result<Object> {
    let columns: Vec<String> = table.columns.iter().map(|name| quote(name)).collect();
    let statement = format!(
        "CREATE TEMP VIEW IF NOT EXISTS {} AS SELECT {} FROM {}",
        quote(&rules.outer(position)),
        columns.join(", "),
        quote(&rules.inner(position, View::Select)),
    );
    Ok(Object { statements: vec![statement], needs: vec![Need::Inner(position, View::Select, rules.known)] })
}

fn triggers(rules: Rules<'_>, table: &HostTable, position: usize) -> Result<Object> {
    let mut needs = Vec::new();
    let mut statements = Vec::new();
    if rules.role != Role::Service {
        check_triggers(rules, table, position, &mut statements, &mut needs);
    }
    for (index, sql) in table.triggers.iter().enumerate() {
        statements.push(host_trigger(rules, table, position, index, sql, &mut needs)?);
    }
    // A foreign key action changes the child, and what hangs on the child must be there.
    for (child, other) in rules.host.tables.iter().enumerate() {
        if other.foreign_keys.iter().any(|key| key.acts() && key.parent.eq_ignore_ascii_case(&table.name)) {
            needs.push(Need::Triggers(child));
        }
    }
    Ok(Object { statements, needs })
}

/// WITH CHECK before and after, USING before: the engine's own answer should the rewriting ever miss one.
fn check_triggers(
    rules: Rules<'_>,
    table: &HostTable,
    position: usize,
    statements: &mut Vec<String>,
    needs: &mut Vec<Need>,
) {
    let Rules { names, lowered, role, .. } = rules;
    let using = |command: Command| rules.using(&table.name, command);
    let hidden = format!("new row violates row-level security policy for table \"{}\"", table.name);
    let using_failed =
        format!("new row violates row-level security policy (USING expression) for table \"{}\"", table.name);
    for (command, event) in [(Command::Insert, "INSERT"), (Command::Update, "UPDATE")] {
        let mut early = Vec::new();
        let mut late = Vec::new();
        let mut only_late = false;
        for check in lowered.checks(&table.name, role, command) {
            let text = render(rules, table, &check.predicate, ("NEW", View::SelectOne), needs);
            if text == "1" {
                continue;
            }
            only_late |=
                push_early(table, command, &check.predicate, (&check.message, &text, None), &mut early);
            late.push(raise(&check.message, &text, None));
        }
        let select = using(Command::Select);
        if !matches!(select, Predicate::True) {
            let text = render(rules, table, &select, ("NEW", View::SelectOne), needs);
            let reads = format!("{}({})", quote(&names.function("reads")), literal(&table.name));
            only_late |= push_early(table, command, &select, (&hidden, &text, Some(&reads)), &mut early);
            late.push(raise(&hidden, &text, Some(&reads)));
        }
        if command == Command::Update {
            let text = render(rules, table, &using(Command::Update), ("OLD", View::SelectOne), needs);
            if text != "1" {
                early.insert(0, raise(&using_failed, &text, None));
            }
        }
        // NEW is the same before and after but for late columns and what a host's trigger does in between: without
        // those, one check is enough.
        let once = table.triggers.is_empty() && !only_late;
        let late = if once { Vec::new() } else { late };
        for (period, lines) in [("BEFORE", early), ("AFTER", late)] {
            push_trigger(rules, table, position, (period, event), &lines, statements);
        }
    }
    let text = render(rules, table, &using(Command::Delete), ("OLD", View::SelectOne), needs);
    if text != "1" {
        let line = raise(&using_failed, &text, None);
        push_trigger(rules, table, position, ("BEFORE", "DELETE"), &[line], statements);
    }
}

fn push_trigger(
    rules: Rules<'_>,
    table: &HostTable,
    position: usize,
    (period, event): (&str, &str),
    lines: &[String],
    statements: &mut Vec<String>,
) {
    if lines.is_empty() {
        return;
    }
    let Rules { names, role, .. } = rules;
    let orphaned = if event == "INSERT" { String::new() } else { orphaned(rules, table) };
    statements.push(format!(
        "CREATE TEMP TRIGGER IF NOT EXISTS {} {period} {event} ON {}.{} WHEN {}(){orphaned} BEGIN {} END",
        quote(&names.trigger(position, role, &format!("{period}{event}").to_ascii_lowercase())),
        quote(&names.schema()),
        quote(&table.name),
        quote(&names.function(&format!("as_{}", role.as_str()))),
        lines.join(" "),
    ));
}

/// Row policies do not apply to what a foreign key does by itself (PostgreSQL likewise). While SQLite runs such an
/// action the parent key is already gone, which no other statement can see: keys with actions are immediate.
fn orphaned(rules: Rules<'_>, table: &HostTable) -> String {
    let mut text = String::new();
    let direct = quote(&rules.names.function("direct"));
    for key in table.foreign_keys.iter().filter(|key| key.acts()) {
        let present: Vec<String> =
            key.columns.iter().map(|column| format!("OLD.{} IS NOT NULL", quote(column))).collect();
        let same: Vec<String> = key
            .columns
            .iter()
            .zip(&key.parent_columns)
            .map(|(column, parent)| format!("p.{} = OLD.{}", quote(parent), quote(column)))
            .collect();
        text.push_str(&format!(
            " AND NOT (NOT {direct}({}) AND {} AND NOT EXISTS (SELECT 1 FROM {}.{} AS p WHERE {}))",
            literal(&table.name),
            present.join(" AND "),
            quote(&rules.names.schema()),
            quote(&key.parent),
            same.join(" AND "),
        ));
    }
    text
}

fn raise(message: &str, predicate: &str, only_if: Option<&str>) -> String {
    let gate = only_if.map(|gate| format!("{gate} AND ")).unwrap_or_default();
    format!(
        "SELECT RAISE(ABORT, {}) WHERE {gate}(({predicate}) IS NOT TRUE);",
        literal(&format!("42501 {message}"))
    )
}

/// The check as it runs before the row is written, so that it comes ahead of the constraints and of ON CONFLICT.
/// True if it must run afterwards too: a generated column, or a rowid that SQLite draws itself, is not known before.
fn push_early(
    table: &HostTable,
    command: Command,
    predicate: &Predicate,
    (message, text, gate): (&str, &str, Option<&str>),
    early: &mut Vec<String>,
) -> bool {
    let late = reads_late(predicate, table);
    let mut gate = gate.map(str::to_owned);
    match late.as_slice() {
        [] => {}
        [column] if table.rowid_alias.as_ref() == Some(*column) => {
            if command == Command::Insert {
                // A rowid that is not given reads as -1 here.
                let given = format!("NEW.{} IS NOT -1", quote(column));
                gate = Some(gate.map_or(given.clone(), |gate| format!("{gate} AND {given}")));
            }
        }
        _ => return true,
    }
    early.push(raise(message, text, gate.as_deref()));
    !late.is_empty() && command == Command::Insert
}

fn reads_late<'a>(predicate: &Predicate, table: &'a HostTable) -> Vec<&'a String> {
    let Predicate::Expr(lowering) = predicate else { return Vec::new() };
    let read = |late: &&String| lowering.columns().iter().any(|column| late.eq_ignore_ascii_case(column));
    table.late_columns.iter().filter(read).collect()
}

/// A trigger of the host's, made again over guarded tables: its statements act as the caller, as PostgreSQL's
/// trigger functions do.
fn host_trigger(
    rules: Rules<'_>,
    table: &HostTable,
    position: usize,
    index: usize,
    sql: &str,
    needs: &mut Vec<Need>,
) -> Result<String> {
    let refuse = |why: &str| not_carried("the trigger on table", &table.name, why);
    let trigger = match parse_schema(sql) {
        Ok(Statement::CreateTrigger(trigger)) => trigger,
        Ok(_) => return Err(refuse("it does not read as one")),
        Err(error) => return Err(refuse(error.message())),
    };
    let period = match trigger.period {
        Some(TriggerPeriod::Before) => "BEFORE",
        Some(TriggerPeriod::After) | None => "AFTER",
        _ => return Err(refuse("INSTEAD OF triggers belong to views")),
    };
    let [event] = trigger.events.as_slice() else { return Err(refuse("it has several events")) };
    let event = match event {
        TriggerEvent::Insert => "INSERT".to_owned(),
        TriggerEvent::Delete => "DELETE".to_owned(),
        TriggerEvent::Update(columns) if columns.is_empty() => "UPDATE".to_owned(),
        TriggerEvent::Update(columns) => {
            let columns: Vec<String> = columns.iter().map(|column| quote(&column.value)).collect();
            format!("UPDATE OF {}", columns.join(", "))
        }
        TriggerEvent::Truncate => return Err(refuse("TRUNCATE")),
    };
    let Some(body) = trigger.statements else { return Err(refuse("it has no body")) };
    let mut lines = Vec::new();
    for statement in body.statements() {
        match rewrite_in_trigger(rules, statement.clone()) {
            Ok(rewritten) => {
                needs.extend(rewritten.needs);
                lines.push(format!("{};", rewritten.sql));
            }
            // The role lacks a grant: as in PostgreSQL, that is an error of the statement that sets it off.
            Err(error) if error.code() == crate::types::Code::InsufficientPrivilege => {
                lines.push(raise(error.message(), "0", None));
            }
            Err(error) => return Err(refuse(&format!("{} (in `{statement}`)", error.message()))),
        }
    }
    let condition = match trigger.condition {
        Some(mut condition) => {
            needs.extend(rewrite_condition(rules, &mut condition)?);
            format!(" AND ({condition})")
        }
        None => String::new(),
    };
    Ok(format!(
        "CREATE TEMP TRIGGER IF NOT EXISTS {} {period} {event} ON {}.{} WHEN {}(){condition} BEGIN {} END",
        quote(&rules.names.trigger(position, rules.role, &format!("h{index}"))),
        quote(&rules.names.schema()),
        quote(&table.name),
        quote(&rules.names.function(&format!("as_{}", rules.role.as_str()))),
        lines.join(" "),
    ))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What goes wrong with an object while the guard opens is a matter of configuration.
pub(super) fn at_start(error: Error) -> Error {
    Error::new(crate::types::Code::Configuration, error.message().to_owned())
}

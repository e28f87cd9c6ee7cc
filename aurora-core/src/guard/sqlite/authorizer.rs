//! The second wall: what SQLite itself is about to do, decided without looking at the text.

use std::sync::PoisonError;

use libsqlite3_sys as sys;

use super::super::names::Names;
use super::context::{Context, Mode, Ticket};
use super::probe::Probe;

/// One question of SQLite's (<https://www.sqlite.org/c3ref/set_authorizer.html>).
pub(super) struct Request<'a> {
    pub(super) action: i32,
    pub(super) first: Option<&'a str>,
    pub(super) second: Option<&'a str>,
    pub(super) schema: Option<&'a str>,
    /// The innermost view, trigger or CTE; anyone can name a CTE, so only a secret name proves anything.
    pub(super) accessor: Option<&'a str>,
}

/// The answer. There is no "pretend NULL": a statement that reaches for something is refused whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Allow,
    Deny,
}

/// Built-in functions that host SQL may call. Left out: what outlives an identity (`last_insert_rowid`,
/// `changes`, `total_changes`), what reaches outside (`load_extension`, `fts3_tokenizer`), what tells about the
/// engine (`sqlite_*`), and what allocates at will (`zeroblob`, `randomblob`).
const FUNCTIONS: &[&str] = &[
    "->",
    "->>",
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "cosh",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_patch",
    "json_pretty",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "max",
    "median",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "percentile",
    "percentile_cont",
    "percentile_disc",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "random",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "tan",
    "tanh",
    "time",
    "timediff",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unhex",
    "unicode",
    "unistr",
    "unistr_quote",
    "unixepoch",
    "unlikely",
    "upper",
];

/// Table-valued functions that host SQL may read; they see only their own arguments.
pub(crate) const TABLE_FUNCTIONS: &[&str] = &["json_each", "json_tree"];

pub(super) fn decide(context: &Context, request: &Request<'_>) -> Verdict {
    let state = context.state();
    if state.mode == Mode::Own {
        return Verdict::Allow;
    }
    if state.role.is_none() {
        return Verdict::Deny;
    }
    record(context, request);
    let allowed = match request.action {
        sys::SQLITE_SELECT | sys::SQLITE_RECURSIVE => true,
        sys::SQLITE_FUNCTION => function(context, request),
        sys::SQLITE_READ => read(context, request, &state.ticket),
        sys::SQLITE_INSERT | sys::SQLITE_UPDATE | sys::SQLITE_DELETE => {
            write(context, request, state.ticket.target.as_deref())
        }
        // DDL, ATTACH, DETACH, PRAGMA, TRANSACTION, SAVEPOINT, ANALYZE, REINDEX, vtables, and what comes next.
        _ => false,
    };
    if allowed { Verdict::Allow } else { Verdict::Deny }
}

fn function(context: &Context, request: &Request<'_>) -> bool {
    let Some(name) = request.second else { return false };
    if context.names.owns(name) {
        return true;
    }
    if context.facts.probe.is_some() && Probe::NAMES.contains(&name) {
        return true;
    }
    FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn read(context: &Context, request: &Request<'_>, ticket: &Ticket) -> bool {
    let target = ticket.target.as_deref();
    let Some(table) = request.first else { return false };
    let Some(schema) = request.schema else {
        // A FROM item of which no column is left (a count, a constant condition), asked about by the name that
        // stands in the text: one of our views, a common table expression, a table-valued function.
        return request.second == Some("")
            && (context.names.owns(table)
                || is_table_function(table)
                || ticket.ctes.contains(&lower(table)));
    };
    if schema.eq_ignore_ascii_case(&context.schema) {
        let key = || request.second.is_some_and(|column| is_key(context, table, column));
        if is_aurora_s(table) {
            // No view of ours reads them. A host's row may refer to a user, whom foreign keys and our triggers look for.
            return key() && request.accessor.is_none_or(|accessor| context.names.owns(accessor));
        }
        return match request.accessor {
            Some(accessor) if context.names.owns(accessor) => true,
            // The same after flattening, without its view's name: only tables the statement reads through views.
            _ if request.second == Some("") => ticket.tables.contains(&lower(table)),
            Some(_) => false,
            None => target.is_some_and(|target| table.eq_ignore_ascii_case(target) || key()),
        };
    }
    if schema.eq_ignore_ascii_case("temp") {
        return context.names.owns(table) && granted(context, request, table);
    }
    schema.eq_ignore_ascii_case("main") && is_table_function(table)
}

/// Whether the role may read that column of a view. What our own views read of each other is their own affair.
fn granted(context: &Context, request: &Request<'_>, view: &str) -> bool {
    let Some(columns) = context.facts.columns.get(Names::for_all(view)) else { return true };
    let column = request.second.unwrap_or_default();
    column.is_empty()
        || context.names.owns(column)
        || request.accessor.is_some_and(|accessor| context.names.owns(accessor))
        || columns.contains(&lower(column))
}

/// A column that foreign keys read.
fn is_key(context: &Context, table: &str, column: &str) -> bool {
    context.facts.key_columns.contains(&(lower(table), lower(column)))
}

/// Aurora's own tables, which no statement of the host's reaches.
pub(in crate::guard) fn is_aurora_s(table: &str) -> bool {
    let lower = lower(table);
    lower.starts_with("aurora_") || lower.starts_with("auth_")
}

fn is_table_function(name: &str) -> bool {
    TABLE_FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn write(context: &Context, request: &Request<'_>, target: Option<&str>) -> bool {
    let (Some(table), Some(schema), Some(target)) = (request.first, request.schema, target) else {
        return false;
    };
    if !schema.eq_ignore_ascii_case(&context.schema) || is_aurora_s(table) {
        return false;
    }
    match request.accessor {
        Some(accessor) => context.names.owns(accessor),
        None => {
            table.eq_ignore_ascii_case(target)
                || context.facts.cascades.contains(&(lower(target), lower(table)))
        }
    }
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn record(context: &Context, request: &Request<'_>) {
    let mut recorder = context.recorder.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(seen) = recorder.as_mut() else { return };
    let (Some(table), Some(schema)) = (request.first, request.schema) else { return };
    if schema.eq_ignore_ascii_case(&context.schema) {
        seen.push(lower(table));
    }
}

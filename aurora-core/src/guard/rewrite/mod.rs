//! The first wall: host SQL is parsed, checked against a written grammar, rewritten and printed again. Only
//! printed text runs.
//!
//! 1. One statement. Every table is named by us in what is printed; what we cannot name is refused.
//! 2. A user expression that could fail or be watched never runs on a row its user may not see: in WHERE and ON
//!    it stands inside `CASE WHEN <row is visible> THEN .. END`, elsewhere a barrier keeps SQLite from moving it.
//! 3. A write goes to the base table, to the rows that an inner view shows.
//!
//! The accepted grammar is written down in `docs/guide/guarded-sql.md`.

mod columns;
mod dialect;
mod dml;
mod expr;
mod fence;
mod from;
mod select;
mod text;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlparser::ast::{Query, SetExpr, Statement};

use crate::policy::{Command, Known, Lowered, Predicate};
use crate::types::{Code, Error, Result, Role};

pub(super) use text::parse_schema;

use super::names::{Names, View};
use super::schema::HostSchema;
use super::sqlite::Ticket;

/// A statement as it will run.
#[derive(Debug)]
pub(super) struct Rewritten {
    /// Its own in this process.
    pub(super) id: u64,
    pub(super) sql: Arc<str>,
    pub(super) writes: bool,
    pub(super) ticket: Ticket,
    /// The guard's objects the text names, for the role it was rewritten for.
    pub(super) needs: Vec<Need>,
    /// The host tables the statement reaches, lower case, as the parser saw them.
    pub(super) tables: BTreeSet<String>,
}

/// An object of the guard's, in the order it must exist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Need {
    /// An inner view of the table with that position, for those of whom that is known.
    Inner(usize, View, Known),
    /// The outer view.
    Outer(usize, Known),
    /// The triggers that check writes.
    Triggers(usize),
}

/// What the rewriting decides by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) host: &'a HostSchema,
    pub(super) names: &'a Names,
    pub(super) lowered: &'a Lowered,
    pub(super) role: Role,
    /// What claims decide already for whom the statement is.
    pub(super) known: Known,
}

impl Rules<'_> {
    /// The name of an inner view.
    pub(super) fn inner(&self, position: usize, view: View) -> String {
        self.names.inner(position, self.role, view, self.known)
    }

    /// Which rows of the table the command may touch.
    pub(super) fn using(&self, table: &str, command: Command) -> Predicate {
        self.lowered.using_known(table, self.role, command, self.known)
    }

    /// The name of an outer view.
    pub(super) fn outer(&self, position: usize) -> String {
        self.names.outer(position, self.role, self.known)
    }
}

/// Rewrites one statement of the host's.
pub(super) fn rewrite(rules: Rules<'_>, sql: &str) -> Result<Rewritten> {
    let statement = text::parse(rules.names, sql)?;
    let mut rewriter = Rewriter::new(rules);
    let (sql, writes) = match statement {
        Statement::Query(mut query) => rewriter.top_query(&mut query)?,
        Statement::Insert(insert) => (rewriter.insert(None, insert)?, true),
        Statement::Update(update) => (rewriter.update(None, update)?, true),
        Statement::Delete(delete) => (rewriter.delete(None, delete)?, true),
        other => {
            return Err(refused(format!("`{}` statements", text::first_word(&other.to_string()))));
        }
    };
    Ok(Rewritten {
        id: next_id(),
        sql: Arc::from(text::checked(sql)?),
        writes,
        ticket: Ticket {
            target: rewriter.target.as_ref().map(|target| Arc::from(target.table.as_str())),
            reads_target: rewriter.reads_target,
            ctes: Arc::new(rewriter.ctes),
            ..Ticket::default()
        },
        needs: rewriter.needs,
        tables: rewriter.tables,
    })
}

/// Rewrites one statement of a host trigger's body for one role; `NEW` and `OLD` stay as they are.
pub(super) fn rewrite_in_trigger(rules: Rules<'_>, statement: Statement) -> Result<Rewritten> {
    let mut rewriter = Rewriter::new(rules);
    rewriter.in_trigger = true;
    let (sql, writes) = match statement {
        Statement::Query(mut query) => rewriter.top_query(&mut query)?,
        Statement::Insert(insert) => (rewriter.insert(None, insert)?, true),
        Statement::Update(update) => (rewriter.update(None, update)?, true),
        Statement::Delete(delete) => (rewriter.delete(None, delete)?, true),
        other => return Err(refused(format!("`{}` in a trigger", text::first_word(&other.to_string())))),
    };
    Ok(Rewritten {
        id: next_id(),
        sql: Arc::from(text::checked(sql)?),
        writes,
        ticket: Ticket::default(),
        needs: rewriter.needs,
        tables: rewriter.tables,
    })
}

/// Rewrites the WHEN of a host trigger.
pub(super) fn rewrite_condition(rules: Rules<'_>, condition: &mut sqlparser::ast::Expr) -> Result<Vec<Need>> {
    let mut rewriter = Rewriter::new(rules);
    rewriter.in_trigger = true;
    rewriter.expr(condition)?;
    text::checked(condition.to_string())?;
    Ok(rewriter.needs)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Whether an expression may run on a row before its policy has been asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Safety {
    /// Cannot fail and cannot be watched, whatever the row holds.
    Plain,
    /// Might.
    Watched,
}

impl Safety {
    fn and(self, other: Self) -> Self {
        if self == Self::Plain { other } else { Self::Watched }
    }
}

/// The table a write goes to.
struct Target {
    table: String,
    alias: String,
    columns: Vec<String>,
}

/// One item of a FROM clause.
#[derive(Clone)]
struct Item {
    alias: String,
    /// The position of a guarded table; `None` for anything else.
    table: Option<usize>,
    /// Something named a column that only the inner view has.
    inner: bool,
    /// The table a write goes to, read by its inner view.
    target: bool,
}

/// The FROM clause whose names an expression may use.
#[derive(Clone, Default)]
struct Block {
    items: Vec<Item>,
    /// A parenthesised join stands in it.
    nested: bool,
    /// A table-valued function stands in it.
    arguments: bool,
    /// A join keeps rows without a partner.
    one_sided: bool,
    /// Columns are merged by USING or NATURAL.
    merged: bool,
    /// How its only table is read, if not as a whole.
    view: Option<View>,
}

struct Rewriter<'a> {
    rules: Rules<'a>,
    needs: Vec<Need>,
    tables: BTreeSet<String>,
    /// Every CTE name.
    ctes: HashSet<String>,
    /// CTE names in scope, innermost last, lower case.
    scopes: Vec<Vec<String>>,
    target: Option<Target>,
    reads_target: bool,
    /// The FROM clauses in sight, innermost last.
    blocks: Vec<Block>,
    in_returning: bool,
    in_trigger: bool,
    /// Some block keeps watched expressions off hidden rows.
    fenced: bool,
    /// Views of the host's being read, against circles.
    views: Vec<String>,
    /// How deep the expression, and how deep the query, that is being read.
    depth: usize,
    queries: usize,
}

impl<'a> Rewriter<'a> {
    fn new(rules: Rules<'a>) -> Self {
        Self {
            rules,
            needs: Vec::new(),
            tables: BTreeSet::new(),
            ctes: HashSet::new(),
            scopes: Vec::new(),
            target: None,
            reads_target: false,
            blocks: Vec::new(),
            in_returning: false,
            in_trigger: false,
            fenced: false,
            views: Vec::new(),
            depth: 0,
            queries: 0,
        }
    }

    fn top_query(&mut self, query: &mut Query) -> Result<(String, bool)> {
        if matches!(&*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)) {
            let with = query.with.take();
            let plain = query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
            if !plain {
                return Err(refused("ORDER BY or LIMIT on a write"));
            }
            let body = std::mem::replace(&mut *query.body, SetExpr::Values(empty_values()));
            let sql = match body {
                SetExpr::Insert(Statement::Insert(insert)) => self.insert(with, insert)?,
                SetExpr::Update(Statement::Update(update)) => self.update(with, update)?,
                SetExpr::Delete(Statement::Delete(delete)) => self.delete(with, delete)?,
                _ => return Err(refused("this form of write")),
            };
            return Ok((sql, true));
        }
        self.query(query)?;
        Ok((query.to_string(), false))
    }

    /// The position of a host table the role may use for `command`.
    fn table(&mut self, name: &str, command: Command) -> Result<usize> {
        let rules = self.rules;
        let missing = || Error::new(Code::BadStatement, format!("no such table: {name}"));
        let position = rules.host.position(name).ok_or_else(missing)?;
        let table = rules.host.tables.get(position).ok_or_else(missing)?;
        let named = rules.lowered.names(&table.name);
        // A trigger is the host's own text, read at start: there the reason may be told.
        match &table.refusal {
            Some(why) if self.in_trigger => return Err(refused(format_args!("`{name}`: {why}"))),
            Some(_) => return Err(missing()),
            None if named || rules.role == Role::Service => {}
            None if self.in_trigger => {
                return Err(refused(format_args!(
                    "`{name}`, which the policy file does not name; enable row level security on it and write a policy"
                )));
            }
            None => return Err(missing()),
        }
        if let Some(denied) = rules.lowered.denied(&table.name, rules.role, command) {
            return Err(Error::new(Code::InsufficientPrivilege, denied));
        }
        self.tables.insert(table.name.to_ascii_lowercase());
        Ok(position)
    }

    fn need(&mut self, need: Need) {
        if !self.needs.contains(&need) {
            self.needs.push(need);
        }
    }

    fn is_cte(&self, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        self.scopes.iter().any(|scope| scope.contains(&lower))
    }
}

fn empty_values() -> sqlparser::ast::Values {
    sqlparser::ast::Values { explicit_row: false, value_keyword: false, rows: Vec::new() }
}

/// The error for a construct that guarded SQL does not carry.
fn refused(what: impl std::fmt::Display) -> Error {
    Error::new(Code::StatementNotSupported, format!("guarded SQL does not carry {what}"))
}

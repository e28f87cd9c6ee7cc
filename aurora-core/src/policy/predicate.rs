//! What policies come to for one command: all rows, none, or a condition that is printed where it is needed.

use std::sync::Arc;

use super::expr::{Expr, ROW};
use super::one_row;
use super::optimise::optimise;
use super::prefix;
use super::render::{self, Names};

/// Which rows a statement may touch.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// None.
    False,
    /// All.
    True,
    /// Those for which it is true; false and NULL mean no.
    Expr(Lowering),
}

/// What every new row must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The condition; a row for which it is not true fails the statement. Never [`Predicate::True`].
    pub predicate: Predicate,
    /// PostgreSQL's error text, SQLSTATE 42501.
    pub message: String,
    /// The restrictive policy, or `None` for the permissive ones together.
    pub policy: Option<String>,
}

/// A condition on a row, printed anew for each place it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowering {
    expr: Arc<Expr>,
    tables: Arc<[String]>,
    owned: Arc<[String]>,
    columns: Arc<[String]>,
}

impl Lowering {
    fn new(expr: Expr) -> Self {
        let (mut tables, mut owned, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        let note = |names: &mut Vec<String>, name: &String| {
            if !names.contains(name) {
                names.push(name.clone());
            }
        };
        expr.walk(&mut |part| {
            if let Expr::Column { source: ROW, name } = part {
                note(&mut columns, name);
            }
            for source in part.select().into_iter().flat_map(|select| &select.sources) {
                note(if source.owner { &mut owned } else { &mut tables }, &source.table);
            }
        });
        Self { expr: Arc::new(expr), tables: tables.into(), owned: owned.into(), columns: columns.into() }
    }

    /// The condition itself.
    pub(super) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The condition as SQLite text, in parentheses of its own.
    pub fn render(&self, names: &dyn Names) -> String {
        render::render(&self.expr, names)
    }

    /// The same condition for a row that is found otherwise, by its key: a membership is asked for that row alone
    /// instead of listed.
    pub fn render_for_one_row(&self, names: &dyn Names) -> String {
        render::render(&one_row::asked(&self.expr, &|_| false), names)
    }

    /// The same condition for the first few of many rows in an order of their own: what is not about who asks is
    /// asked row by row. `inner` is [`Lowering::personal`] of an inner table's policies.
    pub fn render_for_first_rows(&self, names: &dyn Names, inner: &dyn Fn(&str) -> bool) -> String {
        render::render(&one_row::first(&self.expr, inner), names)
    }

    /// The arms of an OR that is all about who asks, and what must hold beside it: where rows are wanted in the order
    /// of their key, the keys of each arm are listed by its own index and no row is read to be sorted.
    pub fn arms(&self, inner: &dyn Fn(&str) -> bool) -> Option<(Vec<Lowering>, Option<Lowering>)> {
        let (arms, mut beside) = one_row::arms(&self.expr, inner)?;
        let beside = match beside.len() {
            0 => None,
            1 => beside.pop(),
            _ => Some(Expr::And(beside)),
        };
        Some((arms.into_iter().map(Self::new).collect(), beside.map(Self::new)))
    }

    /// Whether it holds for few rows because it is about who asks; `inner` says so of an inner table's policies.
    pub fn personal(&self, inner: &dyn Fn(&str) -> bool) -> bool {
        one_row::personal(&self.expr, inner)
    }

    /// The inner tables it reads under their own policies, as spelled in the schema.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The inner tables it reads without their policies, in SECURITY DEFINER functions.
    pub fn owner_tables(&self) -> &[String] {
        &self.owned
    }

    /// The columns of the guarded row that it reads, as spelled in the schema.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

/// Reduces a condition, and tells it from one that constants decide.
pub(super) fn predicate(expr: Expr) -> Predicate {
    match optimise(expr, true) {
        Expr::Bool(true) => Predicate::True,
        Expr::Bool(false) | Expr::Null => Predicate::False,
        other => Predicate::Expr(Lowering::new(prefix::ranges(other))),
    }
}

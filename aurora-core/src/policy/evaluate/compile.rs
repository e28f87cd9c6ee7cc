//! From typed expressions to a tree over one row layout.

use std::sync::Arc;

use super::super::expr::{Expr, ROW, Select};
use super::super::functions::{FUNCTIONS, Function, FunctionName, Value};
use super::super::lower::Lowered;
use super::super::raw::Comparison;
use super::super::schema::Schema;
use super::describe::Describer;
use super::facts::{Fact, Shape};
use super::node::{Node, Operand, Place, Source, Tied, Truth};
use super::row::RowLayout;
use super::set::Set;

/// More equalities than this tie no policy of ours to its row; the keys are compared without allocating.
pub(super) const MOST_KEYS: usize = 4;

/// Compiles the expressions of one table's policies.
pub(super) struct Compiler<'a> {
    pub(super) schema: &'a Schema,
    pub(super) table: &'a str,
    pub(super) layout: &'a RowLayout,
    /// The host's own.
    functions: &'a [Function],
    pub(super) facts: Vec<Fact>,
    /// What cannot be answered in process, and what to do instead.
    pub(super) refusals: Vec<(String, String)>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(lowered: &'a Lowered, table: &'a str, layout: &'a RowLayout) -> Self {
        let (schema, functions) = (lowered.schema(), lowered.functions());
        Self { schema, table, layout, functions, facts: Vec::new(), refusals: Vec::new() }
    }

    /// For conditions that speak of no row.
    pub(super) fn bare(schema: &'a Schema, layout: &'a RowLayout) -> Self {
        Self { schema, table: "", layout, functions: &[], facts: Vec::new(), refusals: Vec::new() }
    }

    fn refuse(&mut self, construct: impl Into<String>, help: impl Into<String>) -> Node {
        self.refusals.push((construct.into(), help.into()));
        Node::Constant(Truth::False)
    }

    pub(super) fn node(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::Null => Node::Constant(Truth::Null),
            Expr::Bool(value) => Node::Constant(Truth::of(Some(*value))),
            Expr::And(many) => Node::And(many.iter().map(|one| self.node(one)).collect()),
            Expr::Or(many) => Node::Or(many.iter().map(|one| self.node(one)).collect()),
            Expr::Not(one) => Node::Not(Box::new(self.node(one))),
            Expr::IsNull(one) => Node::IsNull(Box::new(self.operand(one))),
            Expr::Is(one, value) if one.is_predicate() => Node::Is(Box::new(self.node(one)), *value),
            Expr::Is(one, value) => Node::Compare {
                op: Comparison::NotDistinct,
                left: Box::new(self.operand(one)),
                right: Box::new(Operand::Constant(Value::Integer((*value).into()))),
            },
            Expr::Compare { op, left, right, .. } => Node::Compare {
                op: *op,
                left: Box::new(self.operand(left)),
                right: Box::new(self.operand(right)),
            },
            Expr::InList { left, list, .. } => {
                let set = Arc::new(Set::of(list.iter().filter_map(constant)));
                Node::In { left: Box::new(self.operand(left)), set, exists: false }
            }
            Expr::InSelect { left, select, .. } => {
                let output = select.output.clone().unwrap_or(Expr::Null);
                let left = Box::new(self.operand(left));
                match self.tied(select, Some(output), false) {
                    Some(tied) => Node::Member { tied, left: Some(left) },
                    None => Node::Constant(Truth::False),
                }
            }
            Expr::Exists(select) => match self.tied(select, None, false) {
                Some(tied) => Node::Member { tied, left: None },
                None => Node::Constant(Truth::False),
            },
            other => Node::Truthy(Box::new(self.operand(other))),
        }
    }

    pub(super) fn operand(&mut self, expr: &Expr) -> Operand {
        if let Some(value) = constant(expr) {
            return Operand::Constant(value);
        }
        match expr {
            Expr::Column { source: ROW, name } => self.column(name),
            Expr::Call(FunctionName::Now, _) => Operand::Now,
            Expr::Call(name, arguments) => self.call(*name, arguments),
            Expr::Coalesce(many) => Operand::Coalesce(many.iter().map(|one| self.operand(one)).collect()),
            Expr::Case { arms, otherwise } => Operand::Case {
                arms: arms.iter().map(|(when, then)| (self.node(when), self.operand(then))).collect(),
                otherwise: Box::new(self.operand(otherwise)),
            },
            Expr::Concat(left, right) => {
                Operand::Concat(Box::new(self.operand(left)), Box::new(self.operand(right)))
            }
            Expr::Digits(one) => Operand::Digits(Box::new(self.operand(one))),
            Expr::Scalar { select, single } => {
                let output = select.output.clone().unwrap_or(Expr::Null);
                match self.tied(select, Some(output), !single) {
                    Some(tied) => Operand::Scalar { tied, single: *single },
                    None => Operand::Constant(Value::Null),
                }
            }
            Expr::Column { name, .. } => {
                self.none(format!("column `{name}` of an inner table outside its subquery"), "")
            }
            condition => Operand::Condition(Box::new(self.node(condition))),
        }
    }

    fn call(&mut self, name: FunctionName, arguments: &[Expr]) -> Operand {
        let known = FUNCTIONS.iter().chain(self.functions);
        let Some(function) = known.into_iter().find(|function| function.name == name.as_str()) else {
            return self.none(format!("function {}", name.as_str()), "it runs in a database only");
        };
        let mut arguments: Vec<Operand> = arguments.iter().map(|one| self.operand(one)).collect();
        match (name, arguments.pop()) {
            (FunctionName::Time, Some(only)) if arguments.is_empty() => {
                Operand::Time(function.body.clone(), Box::new(only))
            }
            (_, last) => {
                arguments.extend(last);
                Operand::Call { body: function.body.clone(), arguments }
            }
        }
    }

    fn none(&mut self, construct: String, help: &str) -> Operand {
        self.refuse(construct, help);
        Operand::Constant(Value::Null)
    }

    fn column(&mut self, name: &str) -> Operand {
        match self.layout.position(name) {
            Some(column) => {
                let blob = Describer::new(self.schema, self.table)
                    .is_blob(&Expr::Column { source: ROW, name: name.to_owned() });
                Operand::Column(Place { column, blob })
            }
            None => self.none(
                format!("column `{name}` is not in the row"),
                "the policy reads it: give the row layout that column too",
            ),
        }
    }

    /// A subquery as a fact: conditions on inner tables alone stay in the question, equalities between an inner
    /// value and one of the row become keys, and conditions on the row alone are asked before.
    fn tied(&mut self, select: &Select, output: Option<Expr>, counted: bool) -> Option<Tied> {
        if select.aggregate.is_some() || select.limit.is_some() {
            let help = "in process, facts are sets of values; in the database it is answered as it stands";
            self.refuse("a subquery with an aggregate or LIMIT", help);
            return None;
        }
        let (mut guards, mut keys, mut inner_keys, mut kept) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut columns: Vec<String> = Vec::new();
        for condition in &select.filter {
            if !reads_row(condition) {
                kept.push(condition.clone());
            } else if !reads_inner(condition, select) {
                guards.push(self.node(condition));
            } else if let Some((inner, row)) = equality(condition, select) {
                row.walk(&mut |part| {
                    if let Expr::Column { source: ROW, name } = part
                        && !columns.contains(name)
                    {
                        columns.push(name.clone());
                    }
                });
                keys.push(self.operand(row));
                inner_keys.push(inner.clone());
            } else {
                let text =
                    Describer::new(self.schema, self.table).expr(&Expr::Exists(Box::new(select.clone())));
                let help = "in process, a subquery is looked up by values of the row: tie it with =, joined by AND; \
                            in the database it is answered as it stands";
                self.refuse(format!("a subquery tied to the row by more than equality: {text}"), help);
                return None;
            }
        }
        if keys.len() > MOST_KEYS {
            let construct = format!("a subquery tied to the row by {} equalities", keys.len());
            self.refuse(construct, format!("in process at most {MOST_KEYS} are looked up"));
            return None;
        }
        if output.as_ref().is_some_and(reads_row) {
            let help = "in process, a subquery's value comes from its own tables: compare outside of it";
            self.refuse("a subquery that selects a value of the guarded row", help);
            return None;
        }
        let select = Select { sources: select.sources.clone(), filter: kept, ..Select::default() };
        let shape = Shape { select, keys: inner_keys, output, counted, columns };
        let fact = Fact::new(shape, self.schema, self.table);
        let known = self.facts.iter().position(|known| *known == fact);
        let number = known.unwrap_or_else(|| {
            self.facts.push(fact);
            self.facts.len() - 1
        });
        Some(Tied { guards, keys, source: Source::Fact(number) })
    }
}

/// A value that stands in the policy itself.
fn constant(expr: &Expr) -> Option<Value> {
    Some(match expr {
        Expr::Null => Value::Null,
        Expr::Bool(value) => Value::Integer((*value).into()),
        Expr::Integer(number) => Value::Integer(*number),
        Expr::Real(digits) => Value::Real(digits.parse().ok()?),
        Expr::Text(text) => Value::Text(text.clone()),
        Expr::Blob(bytes) => Value::Blob(bytes.to_vec()),
        _ => return None,
    })
}

fn reads_row(expr: &Expr) -> bool {
    expr.sources().contains(&ROW)
}

/// It reads the subquery's own tables, rather than only those of subqueries within itself.
fn reads_inner(expr: &Expr, select: &Select) -> bool {
    let read = expr.sources();
    select.sources.iter().any(|source| read.contains(&source.id))
}

/// The inner side and the row's side of an equality.
fn equality<'e>(condition: &'e Expr, select: &Select) -> Option<(&'e Expr, &'e Expr)> {
    let Expr::Compare { op: Comparison::Equal, left, right, .. } = condition else { return None };
    let apart = |inner: &Expr, row: &Expr| !reads_row(inner) && !reads_inner(row, select);
    if apart(left, right) {
        Some((left, right))
    } else if apart(right, left) {
        Some((right, left))
    } else {
        None
    }
}

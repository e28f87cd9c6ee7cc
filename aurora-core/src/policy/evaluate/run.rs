//! Evaluation of a bound policy on one row.
//!
//! From left to right, as PostgreSQL's executor goes: AND ends at false and OR at true, NULL ends neither, and the
//! first error that is met is the answer. So an error is never an allow, and a row that needs no division is not
//! denied for one.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::functions::{Body, Claims, Value};
use super::super::raw::Comparison;
use super::super::values;
use super::cell::{Cell, integer_real};
use super::compile::MOST_KEYS;
use super::node::{Node, Operand, Place, Source, Tied, Truth};
use super::row::{Row, ValueRef};
use super::set::Entry;
use crate::types::Timestamp;

/// Where evaluation stands: the row, whom it is for, and when.
pub(super) struct At<'a, R: Row + ?Sized> {
    row: &'a R,
    claims: &'a Claims,
    now: Timestamp,
    error: RefCell<String>,
}

impl<'a, R: Row + ?Sized> At<'a, R> {
    pub(super) fn new(row: &'a R, claims: &'a Claims, now: Timestamp) -> Self {
        Self { row, claims, now, error: RefCell::new(String::new()) }
    }

    /// What was met when the answer was [`Truth::Error`].
    pub(super) fn error(&self) -> String {
        self.error.take()
    }

    #[cold]
    fn fail(&self, error: &str) -> Truth {
        self.error.replace(error.to_owned());
        Truth::Error
    }

    fn cell(&self, place: Place) -> Result<Cell<'a>, String> {
        Cell::read(self.row.value(place.column), place.blob).ok_or_else(|| MISSING.to_owned())
    }
}

const MISSING: &str = "XX000 the row does not hold a column that the policy reads";
const MANY_ROWS: &str = "21000 more than one row returned by a subquery used as an expression";
const PANICKED: &str = "XX000 a function of the host's panicked";
pub(super) const UNANSWERED: &str = "XX000 a fact was not answered";

pub(super) fn truth<R: Row + ?Sized>(node: &Node, at: &At<'_, R>) -> Truth {
    match node {
        Node::EqualText { place, text, uuid } => match at.row.value(place.column) {
            ValueRef::Text(value) => equal(*value == **text),
            ValueRef::Uuid(value) => equal(uuid.as_ref() == Some(value)),
            other => plain(other, at, |cell| cell.order(&Cell::Text((&**text).into()))),
        },
        Node::EqualInteger { place, number } => match at.row.value(place.column) {
            ValueRef::Integer(value) => equal(value == *number),
            ValueRef::Bool(value) => equal(i64::from(value) == *number),
            ValueRef::Real(value) if !value.is_nan() => {
                equal(integer_real(*number, value) == Ordering::Equal)
            }
            other => plain(other, at, |cell| cell.order(&Cell::Integer(*number))),
        },
        Node::EqualBlob { place, bytes } => match at.row.value(place.column) {
            ValueRef::Blob(value) => equal(*value == **bytes),
            ValueRef::Uuid(value) if place.blob => equal(value[..] == **bytes),
            other => plain(other, at, |cell| cell.order(&Cell::Blob((&**bytes).into()))),
        },
        Node::ColumnIn { place, set, exists } => {
            let found = match at.row.value(place.column) {
                ValueRef::Text(text) => set.answer(set.text(text)),
                ValueRef::Integer(number) => set.answer(set.integer(number)),
                other => match Cell::read(other, place.blob) {
                    Some(cell) => set.holds(&cell),
                    None => return at.fail(MISSING),
                },
            };
            member(found, *exists)
        }
        Node::Or(many) => junction(many, at, Truth::True, Truth::False),
        Node::And(many) => junction(many, at, Truth::False, Truth::True),
        Node::Constant(known) => *known,
        other => uncommon(other, at),
    }
}

#[inline]
fn equal(same: bool) -> Truth {
    if same { Truth::True } else { Truth::False }
}

fn plain<'r, R: Row + ?Sized>(
    value: ValueRef<'r>,
    at: &At<'_, R>,
    order: impl FnOnce(&Cell<'r>) -> Option<Ordering>,
) -> Truth {
    match Cell::read(value, false) {
        Some(cell) => Truth::of(order(&cell).map(|order| order == Ordering::Equal)),
        None => at.fail(MISSING),
    }
}

#[inline]
fn member(found: Option<bool>, exists: bool) -> Truth {
    match found {
        None if exists => Truth::False,
        other => Truth::of(other),
    }
}

fn junction<R: Row + ?Sized>(many: &[Node], at: &At<'_, R>, ends: Truth, start: Truth) -> Truth {
    let mut known = start;
    for one in many {
        let found = truth(one, at);
        if found == ends || found == Truth::Error {
            return found;
        }
        if found == Truth::Null {
            known = Truth::Null;
        }
    }
    known
}

#[inline(never)]
fn uncommon<R: Row + ?Sized>(node: &Node, at: &At<'_, R>) -> Truth {
    let found = match node {
        Node::Fails(error) => return at.fail(error),
        Node::Not(one) => {
            return match truth(one, at) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                other => other,
            };
        }
        Node::Is(one, expected) => {
            return match truth(one, at) {
                Truth::Error => Truth::Error,
                known => equal(known == equal(*expected)),
            };
        }
        Node::IsNull(one) => value(one, at).map(|cell| Some(cell == Cell::Null)),
        Node::Compare { op, left, right } => compare(*op, left, right, at),
        Node::In { left, set, exists } => value(left, at).map(|cell| match set.holds(&cell) {
            None if *exists => Some(false),
            found => found,
        }),
        Node::Member { tied, left } => subquery(tied, left.as_deref(), at),
        Node::Truthy(one) => value(one, at).map(|cell| cell.truth()),
        common => return truth(common, at),
    };
    match found {
        Ok(found) => Truth::of(found),
        Err(error) => at.fail(&error),
    }
}

fn compare<R: Row + ?Sized>(
    op: Comparison,
    left: &Operand,
    right: &Operand,
    at: &At<'_, R>,
) -> Result<Option<bool>, String> {
    let (left, right) = (value(left, at)?, value(right, at)?);
    let order = left.order(&right);
    let same = match order {
        Some(order) => order == Ordering::Equal,
        None => left == Cell::Null && right == Cell::Null,
    };
    Ok(match op {
        Comparison::NotDistinct => Some(same),
        Comparison::Distinct => Some(!same),
        Comparison::Equal => order.map(Ordering::is_eq),
        Comparison::NotEqual => order.map(Ordering::is_ne),
        Comparison::Less => order.map(Ordering::is_lt),
        Comparison::LessOrEqual => order.map(Ordering::is_le),
        Comparison::Greater => order.map(Ordering::is_gt),
        Comparison::GreaterOrEqual => order.map(Ordering::is_ge),
    })
}

/// `EXISTS`, or `IN` where there is a left side.
fn subquery<R: Row + ?Sized>(
    tied: &Tied,
    left: Option<&Operand>,
    at: &At<'_, R>,
) -> Result<Option<bool>, String> {
    let left = left.map(|left| value(left, at)).transpose()?;
    let Source::Answers(answers) = &tied.source else { return Err(UNANSWERED.to_owned()) };
    if guarded(tied, at)? {
        return Ok(Some(false));
    }
    Ok(match (tied.keys.as_slice(), left) {
        ([], None) => Some(answers.rows > 0),
        ([], Some(left)) => answers.set.holds(&left),
        ([key], None) => Some(answers.set.holds(&value(key, at)?) == Some(true)),
        (_, left) => match (entry(tied, at)?, left) {
            (None, _) => Some(false),
            (Some(_), None) => Some(true),
            (Some(entry), Some(left)) => entry.outputs.holds(&left),
        },
    })
}

/// A condition on the row alone keeps every row of the subquery out.
fn guarded<R: Row + ?Sized>(tied: &Tied, at: &At<'_, R>) -> Result<bool, String> {
    for guard in &tied.guards {
        match truth(guard, at) {
            Truth::True => {}
            Truth::Error => return Err(at.error()),
            Truth::False | Truth::Null => return Ok(true),
        }
    }
    Ok(false)
}

/// The rows of the subquery that belong to this row, by their keys.
fn entry<'t, R: Row + ?Sized>(tied: &'t Tied, at: &At<'_, R>) -> Result<Option<&'t Entry>, String> {
    let Source::Answers(answers) = &tied.source else { return Err(UNANSWERED.to_owned()) };
    let mut cells = [const { Cell::Null }; MOST_KEYS];
    for (place, key) in cells.iter_mut().zip(&tied.keys) {
        *place = value(key, at)?;
        if *place == Cell::Null {
            return Ok(None);
        }
    }
    Ok(answers.at(cells.get(..tied.keys.len()).unwrap_or_default()))
}

pub(super) fn value<'a, R: Row + ?Sized>(operand: &'a Operand, at: &At<'a, R>) -> Result<Cell<'a>, String> {
    Ok(match operand {
        Operand::Constant(value) => Cell::borrowed(value),
        Operand::Fails(error) => return Err(error.to_string()),
        Operand::Column(place) => at.cell(*place)?,
        Operand::Now => Cell::Integer(at.now.as_micros()),
        Operand::Time(body, one) => return time(body, one, at),
        Operand::Call { body, arguments } => return call(body, arguments, at),
        Operand::Coalesce(many) => {
            for one in many {
                match value(one, at)? {
                    Cell::Null => {}
                    found => return Ok(found),
                }
            }
            Cell::Null
        }
        Operand::Case { arms, otherwise } => {
            for (when, then) in arms {
                match truth(when, at) {
                    Truth::True => return value(then, at),
                    Truth::Error => return Err(at.error()),
                    Truth::False | Truth::Null => {}
                }
            }
            return value(otherwise, at);
        }
        Operand::Concat(left, right) => {
            let (left, right) = (value(left, at)?.into_text(), value(right, at)?.into_text());
            match (left.into_value(), right.into_value()) {
                (Value::Text(left), Value::Text(right)) => Cell::Text((left + &right).into()),
                _ => Cell::Null,
            }
        }
        Operand::Digits(one) => value(one, at)?.into_text(),
        Operand::Scalar { tied, .. } if guarded(tied, at)? => Cell::Null,
        Operand::Scalar { tied, single } => match entry(tied, at)? {
            None => Cell::Null,
            Some(entry) if entry.rows > 1 && !single => return Err(MANY_ROWS.to_owned()),
            Some(entry) => Cell::borrowed(&entry.first),
        },
        Operand::Condition(one) => match truth(one, at) {
            Truth::True => Cell::Integer(1),
            Truth::False => Cell::Integer(0),
            Truth::Null => Cell::Null,
            Truth::Error => return Err(at.error()),
        },
    })
}

/// `aurora_time` without allocating for what a column holds.
fn time<'a, R: Row + ?Sized>(body: &Body, operand: &'a Operand, at: &At<'a, R>) -> Result<Cell<'a>, String> {
    if let Operand::Column(place) = operand
        && let ValueRef::Time(moment) = at.row.value(place.column)
    {
        return Ok(Cell::Integer(moment.as_micros()));
    }
    let cell = value(operand, at)?;
    match &cell {
        Cell::Text(text) => match values::time(text) {
            Some(micros) => Ok(Cell::Integer(micros)),
            None => compute(body, &[cell.into_value()], at),
        },
        _ => compute(body, &[cell.into_value()], at),
    }
}

/// A function of ours, exactly as the database calls it.
fn call<'a, R: Row + ?Sized>(
    body: &Body,
    arguments: &'a [Operand],
    at: &At<'a, R>,
) -> Result<Cell<'a>, String> {
    let mut given = Vec::with_capacity(arguments.len());
    for argument in arguments {
        given.push(value(argument, at)?.into_value());
    }
    compute(body, &given, at)
}

fn compute<'a, R: Row + ?Sized>(body: &Body, given: &[Value], at: &At<'a, R>) -> Result<Cell<'a>, String> {
    match body {
        Body::Pure(compute) => compute(given),
        Body::Identity(compute) => compute(at.claims, given),
        Body::Clock(compute) => Ok(compute(at.now)),
        // A panic of the host's is an error here as it is in the database.
        Body::Host(compute) => catch_unwind(AssertUnwindSafe(|| compute(given)))
            .unwrap_or_else(|_panic| Err(PANICKED.to_owned())),
    }
    .map(Cell::owned)
}

//! Arithmetic on integers, moments, days and intervals.
//!
//! An interval is known as its months and its microseconds when policies are compiled: months move by the calendar, and
//! a day has 24 hours because every moment is in UTC.

use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Expr, Type};
use super::functions::FunctionName;
use super::raw::{Arithmetic, Raw};
use super::values::DAY;

/// PostgreSQL compares intervals as if a month had 30 days.
const MONTH: i64 = 30 * DAY;

impl Checker<'_> {
    pub(super) fn arithmetic(&mut self, op: Arithmetic, left: &Raw, right: &Raw, line: u64) -> Typed {
        let (left, right) = (self.value(left, false), self.value(right, false));
        let kinds = (left.1, right.1);
        if let Some(typed) = moment(op, &left, &right) {
            return typed;
        }
        let name = function(op);
        match (coerce::coerce(left.0, left.1, Type::Integer), coerce::coerce(right.0, right.1, Type::Integer))
        {
            // PostgreSQL computes constants ahead of the CASE that they stand in.
            (Some(Expr::Integer(_)), Some(Expr::Integer(0)))
                if matches!(op, Arithmetic::Divide | Arithmetic::Remainder) =>
            {
                self.refuse(line, "division by zero (22012)", "correct the divisor")
            }
            (Some(left), Some(right)) => (Expr::Call(name, vec![left, right]), Type::Integer),
            _ => {
                let construct = format!("arithmetic on {} and {}", kinds.0.name(), kinds.1.name());
                let help = "integers, and timestamps or dates with intervals: write interval '7 days' for a length \
                            of time, and keep amounts as integers";
                self.refuse(line, construct, help)
            }
        }
    }

    /// The length of an interval in microseconds, by which it is compared.
    pub(super) fn length(&mut self, interval: &Expr, line: u64) -> Option<Expr> {
        match parts(interval) {
            Some((months, micros)) => {
                let months = number(Arithmetic::Multiply, months, Expr::Integer(MONTH));
                Some(number(Arithmetic::Add, months, micros))
            }
            None => {
                let help = "write the interval itself, or compare timestamps";
                self.refuse(line, "an interval that is chosen at run time", help);
                None
            }
        }
    }
}

fn function(op: Arithmetic) -> FunctionName {
    match op {
        Arithmetic::Add => FunctionName::Add,
        Arithmetic::Subtract => FunctionName::Subtract,
        Arithmetic::Multiply => FunctionName::Multiply,
        Arithmetic::Divide => FunctionName::Divide,
        Arithmetic::Remainder => FunctionName::Remainder,
    }
}

/// Two integers, folded where both are known.
fn number(op: Arithmetic, left: Expr, right: Expr) -> Expr {
    if let (Expr::Integer(a), Expr::Integer(b)) = (&left, &right) {
        let folded = match op {
            Arithmetic::Add => a.checked_add(*b),
            Arithmetic::Subtract => a.checked_sub(*b),
            Arithmetic::Multiply => a.checked_mul(*b),
            Arithmetic::Divide | Arithmetic::Remainder => None,
        };
        if let Some(folded) = folded {
            return Expr::Integer(folded);
        }
    }
    Expr::Call(function(op), vec![left, right])
}

fn parts(interval: &Expr) -> Option<(Expr, Expr)> {
    match interval {
        Expr::Call(FunctionName::Interval, parts) => match parts.as_slice() {
            [months, micros] => Some((months.clone(), micros.clone())),
            _ => None,
        },
        _ => None,
    }
}

fn interval(months: Expr, micros: Expr) -> Typed {
    (Expr::Call(FunctionName::Interval, vec![months, micros]), Type::Interval)
}

/// Arithmetic in which a moment, a day or an interval takes part.
fn moment(op: Arithmetic, left: &Typed, right: &Typed) -> Option<Typed> {
    use Arithmetic::{Add, Multiply, Subtract};
    let micros = |typed: &Typed| match typed.1 {
        Type::Micros | Type::Time | Type::Date => coerce::coerce(typed.0.clone(), typed.1, Type::Micros),
        _ => None,
    };
    let integer = |typed: &Typed| match typed.1 {
        Type::Integer | Type::StoredInteger => Some(typed.0.clone()),
        _ => None,
    };
    let of = |typed: &Typed| parts(&typed.0).filter(|_| typed.1 == Type::Interval);
    let moved = |at: Expr, (months, micros): (Expr, Expr), back: bool| {
        let sign = |part: Expr| if back { number(Subtract, Expr::Integer(0), part) } else { part };
        (Expr::Call(FunctionName::TimeAdd, vec![at, sign(months), sign(micros)]), Type::Micros)
    };
    match (op, left.1, right.1) {
        (Add | Subtract, Type::Date, Type::Integer | Type::StoredInteger) => {
            let days = number(Multiply, right.0.clone(), Expr::Integer(DAY));
            Some((number(op, left.0.clone(), days), Type::Date))
        }
        (Add, Type::Integer | Type::StoredInteger, Type::Date) => {
            let days = number(Multiply, left.0.clone(), Expr::Integer(DAY));
            Some((number(Add, right.0.clone(), days), Type::Date))
        }
        (Subtract, Type::Date, Type::Date) => {
            let apart = number(Subtract, left.0.clone(), right.0.clone());
            Some((number(Arithmetic::Divide, apart, Expr::Integer(DAY)), Type::Integer))
        }
        (Subtract, _, Type::Micros | Type::Time | Type::Date) => {
            Some(interval(Expr::Integer(0), number(Subtract, micros(left)?, micros(right)?)))
        }
        (Add | Subtract, Type::Micros | Type::Time | Type::Date, Type::Interval) => {
            Some(moved(micros(left)?, of(right)?, op == Subtract))
        }
        (Add, Type::Interval, Type::Micros | Type::Time | Type::Date) => {
            Some(moved(micros(right)?, of(left)?, false))
        }
        (Add | Subtract, Type::Interval, Type::Interval) => {
            let ((a, b), (c, d)) = (of(left)?, of(right)?);
            Some(interval(number(op, a, c), number(op, b, d)))
        }
        // The parser has a sign before an interval as 0 - interval.
        (Subtract, Type::Integer, Type::Interval) if left.0 == Expr::Integer(0) => {
            let (months, micros) = of(right)?;
            let zero = || Expr::Integer(0);
            Some(interval(number(Subtract, zero(), months), number(Subtract, zero(), micros)))
        }
        (Multiply, Type::Interval, _) => {
            let ((months, micros), times) = (of(left)?, integer(right)?);
            Some(interval(number(op, months, times.clone()), number(op, micros, times)))
        }
        (Multiply, _, Type::Interval) => {
            let ((months, micros), times) = (of(right)?, integer(left)?);
            Some(interval(number(op, months, times.clone()), number(op, micros, times)))
        }
        _ => None,
    }
}

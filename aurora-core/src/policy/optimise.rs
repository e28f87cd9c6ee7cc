//! Rewrites that keep every answer: constants are folded, and a membership test that SQLite would run for each
//! row becomes a list that it reads once.
//!
//! `truth` marks places where false and NULL mean the same: a policy as a whole, a subquery's `WHERE`, a `CASE`
//! condition, and through AND and OR whatever stands in such a place. `NOT` ends it.

use super::expr::{Expr, Key, Select};
use super::functions::FunctionName;
use super::raw::Comparison;
use super::values;

pub(super) fn optimise(expr: Expr, truth: bool) -> Expr {
    match fold(expr, truth) {
        Expr::Null if truth => Expr::Bool(false),
        other => other,
    }
}

fn fold(expr: Expr, truth: bool) -> Expr {
    match expr {
        Expr::And(many) => junction(many, truth, false),
        Expr::Or(many) => junction(many, truth, true),
        Expr::Not(one) => match negation(*one) {
            Expr::Not(one) => match optimise(*one, false) {
                Expr::Bool(value) => Expr::Bool(!value),
                Expr::Null => Expr::Null,
                other => Expr::Not(Box::new(other)),
            },
            other => fold(other, truth),
        },
        Expr::IsNull(one) => match optimise(*one, false) {
            Expr::Null => Expr::Bool(true),
            Expr::Bool(_) | Expr::Integer(_) | Expr::Text(_) | Expr::Blob(_) => Expr::Bool(false),
            other => Expr::IsNull(Box::new(other)),
        },
        Expr::Is(one, expected) => match optimise(*one, false) {
            Expr::Null => Expr::Bool(false),
            Expr::Bool(value) => Expr::Bool(value == expected),
            other => Expr::Is(Box::new(other), expected),
        },
        Expr::Compare { op, left, right, bytes } => {
            compare(op, optimise(*left, false), optimise(*right, false), bytes)
        }
        Expr::InList { left, list, bytes } => match optimise(*left, false) {
            Expr::Null => Expr::Null,
            constant @ (Expr::Text(_) | Expr::Integer(_) | Expr::Blob(_)) => {
                Expr::Bool(list.contains(&constant))
            }
            left => Expr::InList { left: Box::new(left), list, bytes },
        },
        Expr::InSelect { left, select, bytes } => {
            in_select(optimise(*left, false), subquery(*select), bytes, truth)
        }
        Expr::Exists(select) => {
            let select = subquery(*select);
            if never(&select) {
                return Expr::Bool(false);
            }
            if truth && select.sources.is_empty() {
                return optimise(Expr::And(select.filter), true);
            }
            match decorrelate(&select).filter(|_| truth) {
                Some(member) => member,
                None => Expr::Exists(Box::new(select)),
            }
        }
        Expr::Scalar { select, single } => {
            let select = subquery(*select);
            // An aggregate is a row whatever there is.
            if never(&select) && select.aggregate.is_none() {
                return Expr::Null;
            }
            Expr::Scalar { select: Box::new(select), single }
        }
        other => value(other),
    }
}

/// What is no condition by itself.
fn value(expr: Expr) -> Expr {
    match expr {
        Expr::Call(name, arguments) => {
            let arguments: Vec<Expr> = arguments.into_iter().map(|one| optimise(one, false)).collect();
            let null = name.is_strict() && arguments.contains(&Expr::Null);
            match (name, arguments.as_slice()) {
                _ if null => Expr::Null,
                (FunctionName::Jsonb, [Expr::Text(text)]) if values::jsonb(text).is_some() => {
                    Expr::Text(values::jsonb(text).unwrap_or_default())
                }
                _ => Expr::Call(name, arguments),
            }
        }
        Expr::Coalesce(many) => coalesce(many),
        Expr::Case { arms, otherwise } => case(arms, optimise(*otherwise, false)),
        Expr::Concat(left, right) => match (optimise(*left, false), optimise(*right, false)) {
            (Expr::Null, _) | (_, Expr::Null) => Expr::Null,
            (left, right) => Expr::Concat(Box::new(left), Box::new(right)),
        },
        Expr::Digits(one) => match optimise(*one, false) {
            Expr::Null => Expr::Null,
            Expr::Integer(value) => Expr::Text(value.to_string()),
            other => Expr::Digits(Box::new(other)),
        },
        leaf => leaf,
    }
}

/// NOT moved inwards (De Morgan holds with NULL too), down to boolean columns: `NOT flag` is `flag = 0`, so that
/// a value that is no boolean at all satisfies neither.
fn negation(expr: Expr) -> Expr {
    let each = |many: Vec<Expr>| many.into_iter().map(negation).collect();
    match expr {
        Expr::And(many) => Expr::Or(each(many)),
        Expr::Or(many) => Expr::And(each(many)),
        Expr::Not(one) => *one,
        Expr::Bool(value) => Expr::Bool(!value),
        Expr::Null => Expr::Null,
        Expr::Compare { op: Comparison::Equal, left, right, bytes } if !left.is_predicate() => match *right {
            Expr::Bool(value) => {
                let right = Box::new(Expr::Bool(!value));
                Expr::Compare { op: Comparison::Equal, left, right, bytes }
            }
            other => {
                let right = Box::new(other);
                Expr::Not(Box::new(Expr::Compare { op: Comparison::Equal, left, right, bytes }))
            }
        },
        other => Expr::Not(Box::new(other)),
    }
}

/// AND (`ends` false) or OR (`ends` true), flat and without repetition.
fn junction(many: Vec<Expr>, truth: bool, ends: bool) -> Expr {
    let mut kept: Vec<Expr> = Vec::with_capacity(many.len());
    for one in many {
        match (optimise(one, truth), ends) {
            (Expr::Bool(value), _) if value == ends => return Expr::Bool(ends),
            (Expr::Bool(_), _) => {}
            (Expr::Or(inner), true) | (Expr::And(inner), false) => {
                for one in inner {
                    if !kept.contains(&one) {
                        kept.push(one);
                    }
                }
            }
            (other, _) => {
                if !kept.contains(&other) {
                    kept.push(other);
                }
            }
        }
    }
    match (kept.pop(), ends) {
        (None, _) => Expr::Bool(!ends),
        (Some(one), _) if kept.is_empty() => one,
        (Some(last), true) => {
            kept.push(last);
            Expr::Or(kept)
        }
        (Some(last), false) => {
            kept.push(last);
            Expr::And(kept)
        }
    }
}

fn compare(op: Comparison, left: Expr, right: Expr, bytes: bool) -> Expr {
    let known =
        |expr: &Expr| matches!(expr, Expr::Text(_) | Expr::Integer(_) | Expr::Blob(_) | Expr::Bool(_));
    let distinct = matches!(op, Comparison::Distinct | Comparison::NotDistinct);
    if !distinct && (left == Expr::Null || right == Expr::Null) {
        return Expr::Null;
    }
    // One kind only: `true::int = 1` compares what SQLite keeps alike.
    if known(&left) && known(&right) && std::mem::discriminant(&left) == std::mem::discriminant(&right) {
        match op {
            Comparison::Equal | Comparison::NotDistinct => return Expr::Bool(left == right),
            Comparison::NotEqual | Comparison::Distinct => return Expr::Bool(left != right),
            _ => {}
        }
    }
    Expr::Compare { op, left: Box::new(left), right: Box::new(right), bytes }
}

fn coalesce(many: Vec<Expr>) -> Expr {
    let mut kept = Vec::new();
    for one in many {
        match optimise(one, false) {
            Expr::Null => {}
            last @ (Expr::Bool(_) | Expr::Integer(_) | Expr::Text(_) | Expr::Blob(_)) => {
                kept.push(last);
                break;
            }
            other => kept.push(other),
        }
    }
    match kept.len() {
        0 => Expr::Null,
        1 => kept.pop().unwrap_or(Expr::Null),
        _ => Expr::Coalesce(kept),
    }
}

fn case(arms: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    let mut kept = Vec::new();
    for (when, then) in arms {
        let then = optimise(then, false);
        match optimise(when, true) {
            Expr::Bool(false) => {}
            Expr::Bool(true) if kept.is_empty() => return then,
            Expr::Bool(true) => return Expr::Case { arms: kept, otherwise: Box::new(then) },
            when => kept.push((when, then)),
        }
    }
    if kept.is_empty() { otherwise } else { Expr::Case { arms: kept, otherwise: Box::new(otherwise) } }
}

/// A row passes a `WHERE` only if it is true, whatever stands above the subquery.
fn subquery(select: Select) -> Select {
    let filter = match optimise(Expr::And(select.filter), true) {
        Expr::And(many) => many,
        Expr::Bool(true) => Vec::new(),
        one => vec![one],
    };
    let order = select.order.into_iter().map(|key| Key { value: optimise(key.value, false), ..key });
    Select {
        filter,
        output: select.output.map(|output| optimise(output, false)),
        order: order.collect(),
        ..select
    }
}

fn never(select: &Select) -> bool {
    select.filter.contains(&Expr::Bool(false))
}

fn in_select(left: Expr, select: Select, bytes: bool, truth: bool) -> Expr {
    if never(&select) {
        return Expr::Bool(false);
    }
    if truth {
        if left == Expr::Null || select.output == Some(Expr::Null) {
            return Expr::Bool(false);
        }
        // `auth.uid() IN (SELECT m.user_id .. WHERE m.team_id = notes.team_id)` asks whether a row exists.
        if select.is_plain()
            && correlated(&select)
            && left.select().is_none()
            && let Some(output) = &select.output
        {
            let mut asked = select.clone();
            asked.output = None;
            let (left, right) = (Box::new(output.clone()), Box::new(left.clone()));
            asked.filter.push(Expr::Compare { op: Comparison::Equal, left, right, bytes });
            if let Some(member) = decorrelate(&asked) {
                return member;
            }
        }
    }
    Expr::InSelect { left: Box::new(left), select: Box::new(select), bytes }
}

fn correlated(select: &Select) -> bool {
    let own = select.own_sources();
    let mut found = false;
    select.walk(&mut |expr| {
        if let Expr::Column { source, .. } = expr
            && !own.contains(source)
        {
            found = true;
        }
    });
    found
}

/// `EXISTS (SELECT 1 FROM m WHERE m.team = row.team AND rest)` as `row.team IN (SELECT m.team FROM m WHERE rest)`,
/// if that one equality is all that ties the subquery to the row.
fn decorrelate(select: &Select) -> Option<Expr> {
    if !select.is_plain() {
        return None;
    }
    let own = select.own_sources();
    let outer = |expr: &Expr| expr.sources().iter().any(|source| !own.contains(source));
    let mut ties = select.filter.iter().enumerate().filter(|(_, condition)| outer(condition));
    let (Some((position, tie)), None) = (ties.next(), ties.next()) else { return None };
    let Expr::Compare { op: Comparison::Equal, left, right, bytes } = tie else { return None };
    let inner_only = |expr: &Expr| {
        let sources = expr.sources();
        !sources.is_empty() && sources.iter().all(|source| own.contains(source))
    };
    let outer_only = |expr: &Expr| expr.sources().iter().all(|source| !own.contains(source));
    let (inner, row) = match (&**left, &**right) {
        (inner, row) if inner_only(inner) && outer_only(row) => (inner, row),
        (row, inner) if inner_only(inner) && outer_only(row) => (inner, row),
        _ => return None,
    };
    let plain = |expr: &Expr| {
        let mut plain = true;
        expr.walk(&mut |part| plain &= part.select().is_none());
        plain
    };
    if !plain(inner) || !plain(row) {
        return None;
    }
    let mut filter = select.filter.clone();
    filter.remove(position);
    let output = Some(inner.clone());
    let members = Select { sources: select.sources.clone(), filter, output, ..Select::default() };
    Some(Expr::InSelect { left: Box::new(row.clone()), select: Box::new(members), bytes: *bytes })
}

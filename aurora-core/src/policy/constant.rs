//! What constants alone decide, as PostgreSQL's planner folds them before it looks at subqueries. Identity is no
//! constant there, and a subquery never is.

use super::duplicate::{Doubt, reduced};
use super::raw::{Arithmetic, Cast, Comparison, Raw, RawKind, RawSelect, Relation};

/// The value of a condition that constants decide: `Some(None)` is NULL.
pub(super) fn decided(raw: &Raw) -> Option<Option<bool>> {
    match &raw.kind {
        RawKind::Bool(value) => Some(Some(*value)),
        RawKind::Null => Some(None),
        RawKind::Cast(one, _) if one.kind == RawKind::Null => Some(None),
        RawKind::Cast(one, Cast::Bool) if matches!(one.kind, RawKind::Cast(_, Cast::Bool)) => decided(one),
        RawKind::Cast(one, Cast::Bool) => decided(one).or_else(|| match scalar(one)? {
            Scalar::Null => Some(None),
            Scalar::Integer(value) => Some(Some(value != 0)),
            Scalar::Text(_) => None,
        }),
        RawKind::And(many) => junction(many, false),
        RawKind::Or(many) => junction(many, true),
        RawKind::Not(one) => decided(one).map(|value| value.map(|value| !value)),
        RawKind::IsBool(one, expected) => decided(one).map(|value| Some(value == Some(*expected))),
        RawKind::IsNull(one) => match &one.kind {
            RawKind::Integer(_) | RawKind::Text(_) | RawKind::Real(_) => Some(Some(false)),
            _ => decided(one).map(|value| Some(value.is_none())),
        },
        // Operators are strict: with a NULL on one side, the other is never looked at.
        RawKind::Compare(op, left, right)
            if !matches!(op, Comparison::Distinct | Comparison::NotDistinct)
                && (is_null(left) || is_null(right)) =>
        {
            Some(None)
        }
        RawKind::Compare(op, left, right) => match (decided(left), decided(right)) {
            (Some(Some(left)), Some(Some(right))) => {
                compare(*op, &Scalar::Integer(left.into()), &Scalar::Integer(right.into()))
            }
            _ => compare(*op, &scalar(left)?, &scalar(right)?),
        },
        RawKind::InList(left, list) => {
            let left = scalar(left)?;
            let items: Option<Vec<Scalar>> = list.iter().map(scalar).collect();
            let equal: Vec<_> = items?.iter().map(|item| compare(Comparison::Equal, &left, item)).collect();
            if equal.contains(&None) {
                None
            } else if equal.contains(&Some(Some(true))) {
                Some(Some(true))
            } else if equal.contains(&Some(None)) {
                Some(None)
            } else {
                Some(Some(false))
            }
        }
        RawKind::Like { value, pattern, escape, fold: false } => match (scalar(value)?, scalar(pattern)?) {
            (Scalar::Text(value), Scalar::Text(pattern)) => {
                let escape = escape.as_ref().and_then(|escape| escape.chars().next());
                super::pattern::like(&value, &pattern, escape).ok().map(Some)
            }
            (Scalar::Null, _) | (_, Scalar::Null) => Some(None),
            _ => None,
        },
        RawKind::Coalesce(many) => {
            let mut rest = many.iter().map(decided).skip_while(|value| *value == Some(None));
            rest.next().unwrap_or(Some(None))
        }
        RawKind::Case { operand: None, arms, otherwise } => {
            for (when, then) in arms {
                match decided(when) {
                    Some(Some(true)) => return decided(then),
                    Some(_) => {}
                    None => return None,
                }
            }
            otherwise.as_ref().map_or(Some(None), |otherwise| decided(otherwise))
        }
        _ => None,
    }
}

fn junction(many: &[Raw], ends: bool) -> Option<Option<bool>> {
    let values: Vec<_> = many.iter().map(decided).collect();
    if values.contains(&Some(Some(ends))) {
        Some(Some(ends))
    } else if values.contains(&None) {
        None
    } else if values.contains(&Some(None)) {
        Some(None)
    } else {
        Some(Some(!ends))
    }
}

fn is_null(raw: &Raw) -> bool {
    decided(raw) == Some(None) || matches!(scalar(raw), Some(Scalar::Null))
}

/// A constant that is no boolean.
enum Scalar {
    Null,
    Integer(i64),
    Text(String),
}

fn scalar(raw: &Raw) -> Option<Scalar> {
    match &raw.kind {
        RawKind::Null => Some(Scalar::Null),
        RawKind::Integer(value) => Some(Scalar::Integer(*value)),
        RawKind::Text(text) => Some(Scalar::Text(text.clone())),
        RawKind::Arithmetic(op, left, right) => match (scalar(left)?, scalar(right)?) {
            (Scalar::Integer(left), Scalar::Integer(right)) => {
                let value = match op {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                    Arithmetic::Divide => left.checked_div(right),
                    Arithmetic::Remainder => left.checked_rem(right),
                };
                // Out of int4's range PostgreSQL raises 22003, unless one side is a bigint already.
                let small = |value: i64| i32::try_from(value).is_ok();
                value.filter(|value| small(*value) || !small(left) || !small(right)).map(Scalar::Integer)
            }
            (Scalar::Null, _) | (_, Scalar::Null) => Some(Scalar::Null),
            _ => None,
        },
        RawKind::Cast(one, to) => cast(one, to),
        RawKind::Case { operand: None, arms, otherwise } => {
            let among = || arms.iter().map(|(_, then)| then).chain(otherwise.as_deref());
            for (when, then) in arms {
                if decided(when)? == Some(true) {
                    return chosen(scalar(then)?, among());
                }
            }
            let otherwise = otherwise.as_ref().map_or(Some(Scalar::Null), |otherwise| scalar(otherwise));
            chosen(otherwise?, among())
        }
        RawKind::Concat(left, right) => match (scalar(left)?, scalar(right)?) {
            (Scalar::Text(left), Scalar::Text(right)) => Some(Scalar::Text(left + &right)),
            (Scalar::Null, _) | (_, Scalar::Null) => Some(Scalar::Null),
            _ => None,
        },
        RawKind::Call(call) => {
            let ([(None, one)], None | Some("pg_catalog")) =
                (call.arguments.as_slice(), call.schema.as_deref())
            else {
                return None;
            };
            match (call.last.as_str(), scalar(one)?) {
                ("lower" | "upper" | "length", Scalar::Null) => Some(Scalar::Null),
                ("lower", Scalar::Text(text)) => Some(Scalar::Text(text.to_lowercase())),
                ("upper", Scalar::Text(text)) => Some(Scalar::Text(text.to_uppercase())),
                ("length", Scalar::Text(text)) => {
                    i64::try_from(text.chars().count()).ok().map(Scalar::Integer)
                }
                _ => None,
            }
        }
        RawKind::Coalesce(many) => {
            for one in many {
                match scalar(one)? {
                    Scalar::Null => {}
                    known => return chosen(known, many.iter()),
                }
            }
            Some(Scalar::Null)
        }
        _ => None,
    }
}

/// A literal takes the type of what it is chosen among: text is known only among texts.
fn chosen<'a>(picked: Scalar, mut among: impl Iterator<Item = &'a Raw>) -> Option<Scalar> {
    let text =
        |one: &Raw| matches!(one.kind, RawKind::Text(_) | RawKind::Null | RawKind::Cast(_, Cast::Text));
    (!matches!(picked, Scalar::Text(_)) || among.all(text)).then_some(picked)
}

/// A constant in another type. What PostgreSQL refuses at planning is left to it.
fn cast(one: &Raw, to: &Cast) -> Option<Scalar> {
    let from = match decided(one) {
        Some(None) => return Some(Scalar::Null),
        Some(Some(value)) => {
            return match to {
                Cast::Integer(4) => Some(Scalar::Integer(value.into())),
                Cast::Text => Some(Scalar::Text(value.to_string())),
                _ => None,
            };
        }
        // A boolean is no scalar, and is not looked at again.
        None if matches!(one.kind, RawKind::Cast(_, Cast::Bool)) => return None,
        None => scalar(one)?,
    };
    let fits = |value: i64, bytes: u8| {
        let bits = u32::from(bytes).saturating_mul(8).clamp(8, 64);
        matches!(value >> (bits - 1), 0 | -1)
    };
    match (from, to) {
        (Scalar::Null, _) => Some(Scalar::Null),
        (Scalar::Integer(value), Cast::Integer(bytes)) => {
            fits(value, *bytes).then_some(Scalar::Integer(value))
        }
        (Scalar::Integer(value), Cast::Text) => Some(Scalar::Text(value.to_string())),
        (Scalar::Text(text), Cast::Text) => Some(Scalar::Text(text)),
        (Scalar::Text(text), Cast::Integer(bytes)) => {
            super::values::integer(&text).filter(|value| fits(*value, *bytes)).map(Scalar::Integer)
        }
        _ => None,
    }
}

fn compare(op: Comparison, left: &Scalar, right: &Scalar) -> Option<Option<bool>> {
    let order = match (left, right) {
        (Scalar::Integer(left), Scalar::Integer(right)) => left.cmp(right),
        (Scalar::Text(left), Scalar::Text(right)) => left.cmp(right),
        (Scalar::Null, _) | (_, Scalar::Null)
            if !matches!(op, Comparison::Distinct | Comparison::NotDistinct) =>
        {
            return Some(None);
        }
        _ => return None,
    };
    Some(Some(match op {
        Comparison::Equal | Comparison::NotDistinct => order.is_eq(),
        Comparison::NotEqual | Comparison::Distinct => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }))
}

/// Visits the subqueries that constants and repeated sides of an OR leave standing in a condition, and those within
/// them.
pub(super) fn live(raw: &Raw, doubt: Doubt, select: &mut impl FnMut(&RawSelect)) {
    // Perhaps PostgreSQL's planner knows what we do not, and drops the rest.
    if doubt == Doubt::Same && hangs_on_an_undecided_constant(raw) {
        return;
    }
    condition(&reduced(raw, doubt), true, doubt, select);
}

fn hangs_on_an_undecided_constant(raw: &Raw) -> bool {
    match &raw.kind {
        RawKind::And(many) | RawKind::Or(many) => many.iter().any(hangs_on_an_undecided_constant),
        RawKind::Not(one) => hangs_on_an_undecided_constant(one),
        _ => is_undecided_constant(raw),
    }
}

/// Whether it reads no row, nobody's identity and no clock, and is yet not decided here. A function may be one that
/// the planner calls.
fn is_undecided_constant(raw: &Raw) -> bool {
    if decided(raw).is_some() {
        return false;
    }
    let (mut reads, mut selects) = (false, false);
    let mut look = |one: &Raw| {
        use RawKind::{Column, Identity, Now, Parameter};
        reads |= matches!(one.kind, Column { .. } | Parameter(_) | Identity(_) | Now);
    };
    raw.walk(&mut look, &mut |_| selects = true);
    !reads && !selects
}

/// `truth`: NULL and false mean the same here.
fn condition(raw: &Raw, truth: bool, doubt: Doubt, select: &mut impl FnMut(&RawSelect)) {
    if decided(raw).is_some() {
        return;
    }
    if truth
        && let RawKind::And(many) = &raw.kind
        && many.iter().any(|one| decided(one) == Some(None))
    {
        return;
    }
    match &raw.kind {
        RawKind::And(many) | RawKind::Or(many) => {
            many.iter().for_each(|one| condition(one, truth, doubt, select))
        }
        RawKind::Coalesce(many) => {
            for one in many {
                condition(one, false, doubt, select);
                if matches!(decided(one), Some(Some(_))) {
                    break;
                }
            }
        }
        RawKind::Case { operand: None, arms, otherwise } => {
            for (when, then) in arms {
                match decided(when) {
                    Some(Some(true)) => return condition(then, false, doubt, select),
                    Some(_) => {}
                    None => {
                        condition(when, false, doubt, select);
                        condition(then, false, doubt, select);
                    }
                }
            }
            if let Some(otherwise) = otherwise {
                condition(otherwise, false, doubt, select);
            }
        }
        RawKind::InSelect(one, inner) => {
            condition(one, false, doubt, select);
            subquery(inner, doubt, select);
        }
        // Nobody reads what an EXISTS puts out, and PostgreSQL mostly leaves it out.
        RawKind::Exists(inner) if doubt == Doubt::Same => {
            let (output, more, order) = (None, Vec::new(), Vec::new());
            subquery(&RawSelect { output, more, order, ..(**inner).clone() }, doubt, select)
        }
        RawKind::Exists(inner) | RawKind::Scalar(inner) | RawKind::ArraySelect(inner) => {
            subquery(inner, doubt, select)
        }
        _ => raw.children().into_iter().for_each(|one| condition(one, false, doubt, select)),
    }
}

fn subquery(inner: &RawSelect, doubt: Doubt, select: &mut impl FnMut(&RawSelect)) {
    select(inner);
    for source in &inner.sources {
        if let Relation::Select(derived) = &source.relation {
            subquery(derived, doubt, select);
        }
        if let Some(on) = &source.left {
            live(on, doubt, select);
        }
    }
    for other in &inner.union {
        subquery(other, doubt, select);
    }
    let never = inner.conditions.iter().any(|(_, one)| matches!(decided(one), Some(Some(false) | None)));
    // PostgreSQL makes joins of some subqueries before it folds constants, and of others after that.
    if never && doubt == Doubt::Same {
        return;
    }
    for (_, one) in &inner.conditions {
        if never { one.walk(&mut |_| {}, select) } else { live(one, doubt, select) }
    }
    let outputs = inner.output.iter().chain(inner.more.iter().map(|(_, output)| output));
    for output in outputs.chain(inner.order.iter().map(|(key, ..)| key)) {
        condition(output, false, doubt, select);
    }
}

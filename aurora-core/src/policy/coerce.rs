//! Which types meet, and what brings one to the other.

use super::check::{falsity, truth};
use super::expr::{Expr, Form, Type};
use super::functions::FunctionName;
use super::raw::{Cast, Comparison};
use super::values;

pub(super) type Typed = (Expr, Type);

/// The type in which two values are compared or chosen between.
pub(super) fn common(left: Type, right: Type) -> Option<Type> {
    use Type::{
        Bool, Integer, Json, Micros, Null, Real, StoredInteger, StoredText, Text, Time, Unknown, Uuid,
    };
    Some(match (left, right) {
        (same, other) if same == other => same,
        (Null, other) | (other, Null) | (Unknown, other) | (other, Unknown) => other,
        (StoredText, Text) | (Text, StoredText) => Text,
        (StoredText, Json) | (Json, StoredText) => Json,
        (StoredText, Time | Micros) | (Time | Micros, StoredText) | (Time, Micros) | (Micros, Time) => Micros,
        (StoredText, Uuid(Form::Blob)) | (Uuid(Form::Blob), StoredText) => Uuid(Form::Blob),
        (StoredText, Uuid(_)) | (Uuid(_), StoredText) => Uuid(Form::Text),
        (StoredInteger, Integer) | (Integer, StoredInteger) => Integer,
        (StoredInteger, Bool) | (Bool, StoredInteger) => Bool,
        (Integer | StoredInteger, Real) | (Real, Integer | StoredInteger) => Real,
        (Uuid(Form::Any), other @ Uuid(_)) | (other @ Uuid(_), Uuid(Form::Any)) => other,
        (Uuid(_), Uuid(_)) => Uuid(Form::Blob),
        _ => return None,
    })
}

/// The value as that type, where PostgreSQL converts by itself; literals are read here, once.
pub(super) fn coerce(value: Expr, from: Type, to: Type) -> Option<Expr> {
    if from == to || from == Type::Null || value == Expr::Null {
        return Some(value);
    }
    if let (Type::Unknown, Expr::Text(text)) = (from, &value) {
        return literal(text, to);
    }
    let call = |name, value| Some(Expr::Call(name, vec![value]));
    match (from, to) {
        (Type::StoredText, Type::Text | Type::Json)
        | (Type::Text, Type::StoredText)
        | (Type::StoredInteger, Type::Bool | Type::Integer | Type::Real)
        | (Type::Integer, Type::StoredInteger | Type::Real)
        | (Type::StoredText, Type::Uuid(Form::Text | Form::Any)) => Some(value),
        (Type::StoredText | Type::Time, Type::Micros) => call(FunctionName::Time, value),
        (Type::StoredText | Type::Uuid(Form::Text), Type::Uuid(Form::Blob)) => {
            call(FunctionName::UuidBlob, value)
        }
        (Type::Uuid(Form::Blob), Type::Uuid(Form::Text)) => call(FunctionName::Uuid, value),
        (Type::Uuid(Form::Any), Type::Uuid(form)) => Some(in_form(value, form)),
        (Type::Uuid(_), Type::Uuid(Form::Any)) => Some(value),
        _ => None,
    }
}

fn in_form(value: Expr, form: Form) -> Expr {
    match (value, form) {
        (Expr::Call(FunctionName::UidText, none), Form::Blob) => Expr::Call(FunctionName::UidBlob, none),
        (Expr::Text(text), Form::Blob) => values::uuid(&text).map_or(Expr::Null, Expr::Blob),
        (other, Form::Blob) => Expr::Call(FunctionName::UuidBlob, vec![other]),
        (other, _) => other,
    }
}

fn literal(text: &str, to: Type) -> Option<Expr> {
    Some(match to {
        Type::Null | Type::Unknown | Type::Text | Type::StoredText | Type::Time => {
            Expr::Text(text.to_owned())
        }
        Type::Bool => Expr::Bool(values::bool(text)?),
        Type::Integer | Type::StoredInteger => Expr::Integer(values::integer(text)?),
        Type::Real => {
            let number: f64 = text.trim().parse().ok().filter(|number: &f64| number.is_finite())?;
            Expr::Real(format!("{number:?}"))
        }
        Type::Uuid(Form::Blob) => Expr::Blob(values::uuid(text)?),
        Type::Uuid(_) => Expr::Text(values::uuid_text(&values::uuid(text)?)),
        Type::Json => Expr::Text(values::jsonb(text)?),
        Type::Micros => Expr::Integer(values::time(text)?),
    })
}

/// An explicit `::text`, or what `||` does to its sides.
pub(super) fn to_text(value: Expr, from: Type) -> Option<Expr> {
    Some(match from {
        Type::Null | Type::Unknown | Type::Text | Type::StoredText => value,
        Type::Integer | Type::StoredInteger => Expr::Digits(Box::new(value)),
        Type::Uuid(Form::Blob) => Expr::Call(FunctionName::Uuid, vec![value]),
        Type::Uuid(_) => value,
        Type::Json => Expr::Call(FunctionName::Jsonb, vec![value]),
        Type::Bool => Expr::Case {
            arms: vec![
                (truth(value.clone()), Expr::Text("true".to_owned())),
                (falsity(value), Expr::Text("false".to_owned())),
            ],
            otherwise: Box::new(Expr::Null),
        },
        Type::Real | Type::Micros | Type::Time => return None,
    })
}

/// An explicit cast; `None` where PostgreSQL has none or the literal is malformed.
pub(super) fn cast(value: Expr, from: Type, cast: &Cast) -> Option<Typed> {
    let target = match cast {
        Cast::Text | Cast::Enum(_) => Type::Text,
        Cast::Uuid => Type::Uuid(Form::Any),
        Cast::Integer => Type::Integer,
        Cast::Bool => Type::Bool,
        Cast::Time => Type::Micros,
        Cast::Json => Type::Json,
    };
    if from == Type::Null || from == Type::Unknown {
        return Some((coerce(value, from, target)?, target));
    }
    let textual = matches!(from, Type::Text | Type::StoredText);
    let call = |name, value, kind| Some((Expr::Call(name, vec![value]), kind));
    match (cast, from) {
        (Cast::Text, _) => Some((to_text(value, from)?, Type::Text)),
        (Cast::Enum(_), _) if textual => Some((value, Type::Text)),
        (Cast::Uuid, Type::Uuid(_)) => Some((value, from)),
        (Cast::Uuid, _) if textual => call(FunctionName::Uuid, value, Type::Uuid(Form::Text)),
        (Cast::Integer, Type::Integer | Type::StoredInteger | Type::Bool) => Some((value, Type::Integer)),
        (Cast::Integer, _) if textual => call(FunctionName::Int, value, Type::Integer),
        (Cast::Bool, Type::Bool) => Some((value, Type::Bool)),
        (Cast::Bool, Type::Integer | Type::StoredInteger) => {
            let zero = Box::new(Expr::Integer(0));
            let differs =
                Expr::Compare { op: Comparison::NotEqual, left: Box::new(value), right: zero, bytes: false };
            Some((differs, Type::Bool))
        }
        (Cast::Bool, _) if textual => call(FunctionName::Bool, value, Type::Bool),
        (Cast::Time, Type::Micros) => Some((value, Type::Micros)),
        (Cast::Time, Type::Time) => call(FunctionName::Time, value, Type::Micros),
        (Cast::Time, _) if textual => call(FunctionName::Time, value, Type::Micros),
        (Cast::Json, Type::Json) => Some((value, Type::Json)),
        (Cast::Json, _) if textual => call(FunctionName::Jsonb, value, Type::Json),
        _ => None,
    }
}

pub(super) fn cast_name(cast: &Cast) -> &str {
    match cast {
        Cast::Text => "text",
        Cast::Uuid => "uuid",
        Cast::Integer => "integer",
        Cast::Bool => "boolean",
        Cast::Time => "timestamp",
        Cast::Json => "jsonb",
        Cast::Enum(name) => name,
    }
}

pub(super) enum Problem {
    /// The two types do not meet.
    Types,
    /// They meet in a type that has no order here.
    Order(Type),
    /// A text column beside a uuid literal that is not in the spelling uuids are stored in; that one is given.
    Spelling(String),
}

/// One comparison. `plain`: no NOT above; see [`canonical`].
pub(super) fn compare(op: Comparison, left: Typed, right: Typed, plain: bool) -> Result<Expr, Problem> {
    let null = |typed: &Typed| typed.0 == Expr::Null;
    let is_null = |value: Expr| Expr::IsNull(Box::new(value));
    match op {
        Comparison::NotDistinct if null(&right) => return Ok(is_null(left.0)),
        Comparison::NotDistinct if null(&left) => return Ok(is_null(right.0)),
        Comparison::Distinct if null(&right) => return Ok(Expr::Not(Box::new(is_null(left.0)))),
        Comparison::Distinct if null(&left) => return Ok(Expr::Not(Box::new(is_null(right.0)))),
        _ => {}
    }
    let mut kind = common(left.1, right.1).ok_or(Problem::Types)?;
    match kind {
        Type::Unknown => kind = Type::Text,
        Type::Time => kind = Type::Micros,
        _ => {}
    }
    if op.orders()
        && !matches!(kind, Type::Integer | Type::StoredInteger | Type::Real | Type::Micros | Type::Null)
    {
        return Err(Problem::Order(kind));
    }
    for (column, literal) in [(&left, &right), (&right, &left)] {
        if let (Type::StoredText, Type::Unknown, Expr::Text(text)) = (column.1, literal.1, &literal.0)
            && let Some(uuid) = values::uuid(text).map(|bytes| values::uuid_text(&bytes))
            && uuid != *text
        {
            return Err(Problem::Spelling(uuid));
        }
    }
    let stored = left.1 == Type::StoredText || right.1 == Type::StoredText;
    let loose = !(plain && op == Comparison::Equal);
    let side = |typed: Typed| -> Result<Expr, Problem> {
        let from = typed.1;
        let value = coerce(typed.0, from, kind).ok_or(Problem::Types)?;
        Ok(canonical(value, from, kind, loose))
    };
    let (left, right) = (side(left)?, side(right)?);
    if kind == Type::Bool
        && let Some(expr) = compare_bool(op, &left, &right)
    {
        return Ok(expr);
    }
    let bytes = stored && matches!(kind, Type::Text | Type::StoredText);
    Ok(Expr::Compare { op, left: Box::new(left), right: Box::new(right), bytes })
}

/// JSON gets one spelling before it is compared. So does a uuid kept as text, but only where a difference in
/// spelling would show a row rather than hide it: elsewhere the column's index matters more.
fn canonical(value: Expr, from: Type, kind: Type, loose: bool) -> Expr {
    match (kind, &value) {
        (_, Expr::Null | Expr::Text(_) | Expr::Call(FunctionName::Jsonb, _)) => value,
        (Type::Json, _) => Expr::Call(FunctionName::Jsonb, vec![value]),
        (Type::Uuid(Form::Text), _) if loose && from == Type::StoredText => {
            Expr::Call(FunctionName::Uuid, vec![value])
        }
        _ => value,
    }
}

/// `flag = true` is the flag itself.
fn compare_bool(op: Comparison, left: &Expr, right: &Expr) -> Option<Expr> {
    let (value, constant) = match (left, right) {
        (value, Expr::Bool(constant)) | (Expr::Bool(constant), value) => (value.clone(), *constant),
        _ => return None,
    };
    match (op, constant) {
        (Comparison::Equal, true) | (Comparison::NotEqual, false) => Some(truth(value)),
        (Comparison::Equal, false) | (Comparison::NotEqual, true) => Some(falsity(value)),
        (Comparison::NotDistinct, constant) => Some(Expr::Is(Box::new(value), constant)),
        (Comparison::Distinct, constant) if value.is_predicate() => {
            Some(Expr::Not(Box::new(Expr::Is(Box::new(value), constant))))
        }
        (Comparison::Distinct, constant) => Some(Expr::Or(vec![
            super::check::equals_bool(value.clone(), !constant),
            Expr::IsNull(Box::new(value)),
        ])),
        _ => None,
    }
}

/// `x IN ('a', 'b')` where every item is a constant of x's type.
pub(super) fn constant_list(left: &Typed, items: &[Typed], plain: bool) -> Option<Expr> {
    let mut value = None;
    let mut list = Vec::with_capacity(items.len());
    let mut byte_wise = false;
    for item in items {
        if !matches!(item.0, Expr::Text(_) | Expr::Integer(_)) {
            return None;
        }
        match compare(Comparison::Equal, left.clone(), item.clone(), plain).ok()? {
            Expr::Compare { left, right, bytes, .. } => {
                if !matches!(*right, Expr::Text(_) | Expr::Integer(_) | Expr::Blob(_)) {
                    return None;
                }
                list.push(*right);
                byte_wise |= bytes;
                if value.get_or_insert_with(|| left.clone()) != &left {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(Expr::InList { left: value?, list, bytes: byte_wise })
}

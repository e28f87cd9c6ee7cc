//! Single values: uuid, boolean, integer, text and arithmetic.

use super::{Answer, Value};
use crate::policy::{pattern, regex, values};

/// The single argument, or an answer for NULL and wrong counts.
pub(super) fn one(arguments: &[Value]) -> Option<&Value> {
    arguments.first().filter(|value| **value != Value::Null)
}

pub(super) fn uuid_bytes(value: &Value) -> Result<[u8; 16], String> {
    match value {
        Value::Text(text) => values::uuid(text),
        Value::Blob(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    }
    .ok_or_else(|| "22P02 invalid input syntax for type uuid".to_owned())
}

pub(super) fn uuid(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    uuid_bytes(value).map(|bytes| Value::Text(values::uuid_text(&bytes)))
}

pub(super) fn uuid_blob(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    uuid_bytes(value).map(|bytes| Value::Blob(bytes.to_vec()))
}

/// Applies `read` to a text argument.
pub(super) fn read(arguments: &[Value], kind: &str, read: impl Fn(&str) -> Option<Value>) -> Answer {
    match one(arguments) {
        None => return Ok(Value::Null),
        Some(Value::Text(text)) => read(text),
        Some(Value::Integer(number)) => read(&number.to_string()),
        Some(Value::Real(number)) => read(&number.to_string()),
        Some(_) => None,
    }
    .ok_or_else(|| format!("22P02 invalid input syntax for type {kind}"))
}

pub(super) fn bool(arguments: &[Value]) -> Answer {
    read(arguments, "boolean", |text| values::bool(text).map(|value| Value::Integer(value.into())))
}

pub(super) fn int(arguments: &[Value]) -> Answer {
    read(arguments, "integer", |text| values::integer(text).map(Value::Integer))
}

/// The text of each argument; `None` if any is NULL.
pub(super) fn texts(arguments: &[Value]) -> Result<Option<Vec<&str>>, String> {
    let mut texts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument {
            Value::Null => return Ok(None),
            Value::Text(text) => texts.push(text.as_str()),
            _ => return Err("42883 operator needs text".to_owned()),
        }
    }
    Ok(Some(texts))
}

pub(super) fn like(arguments: &[Value]) -> Answer {
    matching(arguments, false)
}

pub(super) fn ilike(arguments: &[Value]) -> Answer {
    matching(arguments, true)
}

pub(super) fn matching(arguments: &[Value], fold: bool) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let [value, pattern, escape] = texts.as_slice() else {
        return Err("42883 like takes three arguments".to_owned());
    };
    let fold = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    let matched = pattern::like(&fold(value), &fold(pattern), fold(escape).chars().next())?;
    Ok(Value::Integer(matched.into()))
}

pub(super) fn map_text(arguments: &[Value], map: impl Fn(&str) -> Value) -> Answer {
    Ok(texts(arguments)?.and_then(|texts| texts.first().map(|text| map(text))).unwrap_or(Value::Null))
}

pub(super) fn lower(arguments: &[Value]) -> Answer {
    map_text(arguments, |text| Value::Text(text.to_lowercase()))
}

pub(super) fn upper(arguments: &[Value]) -> Answer {
    map_text(arguments, |text| Value::Text(text.to_uppercase()))
}

pub(super) fn length(arguments: &[Value]) -> Answer {
    map_text(arguments, |text| Value::Integer(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)))
}

pub(super) fn arithmetic(arguments: &[Value], apply: fn(i64, i64) -> Option<i64>) -> Answer {
    match arguments {
        [Value::Integer(left), Value::Integer(right)] => {
            apply(*left, *right).map(Value::Integer).ok_or_else(|| "22003 bigint out of range".to_owned())
        }
        [Value::Null, _] | [_, Value::Null] => Ok(Value::Null),
        _ => Err("42883 operator needs integers".to_owned()),
    }
}

pub(super) fn add(arguments: &[Value]) -> Answer {
    arithmetic(arguments, i64::checked_add)
}

pub(super) fn subtract(arguments: &[Value]) -> Answer {
    arithmetic(arguments, i64::checked_sub)
}

pub(super) fn multiply(arguments: &[Value]) -> Answer {
    arithmetic(arguments, i64::checked_mul)
}

pub(super) fn divide(arguments: &[Value]) -> Answer {
    by_zero(arguments)?;
    arithmetic(arguments, i64::checked_div)
}

pub(super) fn remainder(arguments: &[Value]) -> Answer {
    by_zero(arguments)?;
    // i64::MIN % -1 is 0 in PostgreSQL.
    arithmetic(arguments, |left, right| Some(left.wrapping_rem(right)))
}

pub(super) fn by_zero(arguments: &[Value]) -> Result<(), String> {
    match arguments {
        [Value::Integer(_), Value::Integer(0)] => Err("22012 division by zero".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn float(arguments: &[Value]) -> Answer {
    match one(arguments) {
        None => Ok(Value::Null),
        Some(Value::Text(text)) => text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(Value::Real)
            .ok_or_else(|| "22P02 invalid input syntax for type double precision".to_owned()),
        Some(Value::Integer(number)) => {
            #[expect(clippy::cast_precision_loss, reason = "PostgreSQL's cast rounds likewise")]
            let float = *number as f64;
            Ok(Value::Real(float))
        }
        Some(other) => Ok(other.clone()),
    }
}

/// An integer of that many bytes.
pub(super) fn int_fit(arguments: &[Value]) -> Answer {
    match arguments {
        [Value::Integer(number), Value::Integer(2)] if i16::try_from(*number).is_err() => {
            Err("22003 smallint out of range".to_owned())
        }
        [Value::Integer(number), Value::Integer(4)] if i32::try_from(*number).is_err() => {
            Err("22003 integer out of range".to_owned())
        }
        [number, _] => Ok(number.clone()),
        _ => Err("42883 a cast takes one value".to_owned()),
    }
}

pub(super) fn abs(arguments: &[Value]) -> Answer {
    match one(arguments) {
        None => Ok(Value::Null),
        Some(Value::Integer(number)) => {
            number.checked_abs().map(Value::Integer).ok_or_else(|| "22003 bigint out of range".to_owned())
        }
        Some(_) => Err("42883 operator needs integers".to_owned()),
    }
}

pub(super) fn regex_match(arguments: &[Value]) -> Answer {
    match arguments {
        [Value::Text(value), Value::Text(pattern), Value::Integer(fold)] => {
            regex::matches(value, pattern, *fold != 0).map(|found| Value::Integer(found.into()))
        }
        [Value::Null, ..] | [_, Value::Null, _] => Ok(Value::Null),
        _ => Err("42883 operator needs text".to_owned()),
    }
}

/// The position of a label among an enum's, which sorts its values.
pub(super) fn rank(arguments: &[Value]) -> Answer {
    label_at(arguments).map(|at| at.map_or(Value::Null, Value::Integer))
}

/// The label itself, if it is one.
pub(super) fn label(arguments: &[Value]) -> Answer {
    label_at(arguments).map(|_| arguments.first().cloned().unwrap_or(Value::Null))
}

fn label_at(arguments: &[Value]) -> Result<Option<i64>, String> {
    let Some((value, labels)) = arguments.split_first() else { return Ok(None) };
    if *value == Value::Null {
        return Ok(None);
    }
    let at = labels.iter().position(|label| label == value).and_then(|at| i64::try_from(at).ok());
    at.map(Some).ok_or_else(|| "22P02 invalid input value for enum".to_owned())
}

/// The largest, NULLs left out.
pub(super) fn greatest(arguments: &[Value]) -> Answer {
    Ok(extreme(arguments, |a, b| a > b))
}

pub(super) fn least(arguments: &[Value]) -> Answer {
    Ok(extreme(arguments, |a, b| a < b))
}

fn extreme(arguments: &[Value], better: fn(f64, f64) -> bool) -> Value {
    let mut best = Value::Null;
    for value in arguments {
        let wins = match (value, &best) {
            (Value::Null, _) => false,
            (_, Value::Null) => true,
            (Value::Integer(a), Value::Integer(b)) => {
                if better(1.0, 0.0) {
                    a > b
                } else {
                    a < b
                }
            }
            (a, b) => better(number(a), number(b)),
        };
        if wins {
            best = value.clone();
        }
    }
    best
}

fn number(value: &Value) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "compared with a float")]
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        _ => f64::NAN,
    }
}

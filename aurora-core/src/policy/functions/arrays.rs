//! Arrays as JSON text.

use serde_json::Value as Json;

use super::scalar::one;
use super::{Answer, Value};
use crate::policy::values;

/// The elements of an array, each in its canonical form; `None` is a NULL among them.
pub(super) fn items(array: &Value, word: &str) -> Result<Vec<Option<Json>>, String> {
    let malformed = || "22P02 malformed array literal".to_owned();
    let Value::Text(text) = array else { return Err(malformed()) };
    let parsed: Vec<Json> = serde_json::from_str(text).map_err(|_| malformed())?;
    parsed.into_iter().map(|item| canonical(item, word)).collect()
}

fn canonical(item: Json, word: &str) -> Result<Option<Json>, String> {
    let bad = || format!("22P02 invalid input syntax for type {word}");
    if item.is_null() {
        return Ok(None);
    }
    let text = match &item {
        Json::String(text) => Some(text.clone()),
        Json::Array(_) | Json::Object(_) => return Err("0A000 arrays of arrays are not carried".to_owned()),
        _ => None,
    };
    values::element(&text.unwrap_or_else(|| item.to_string()), word).map(Some).ok_or_else(bad)
}

fn of_value(value: &Value, word: &str) -> Result<Option<Json>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => canonical(Json::from(text.as_str()), word),
        Value::Integer(number) => canonical(Json::from(*number), word),
        Value::Real(number) => canonical(Json::from(*number), word),
        Value::Blob(bytes) => canonical(Json::from(values::uuid_text(bytes)), word),
    }
}

fn spelled(items: Vec<Option<Json>>) -> Value {
    let items: Vec<Json> = items.into_iter().map(|item| item.unwrap_or(Json::Null)).collect();
    Value::Text(Json::from(items).to_string())
}

/// `aurora_array(word, a, b, ..)`.
pub(super) fn of(arguments: &[Value]) -> Answer {
    let Some((Value::Text(word), values)) = arguments.split_first() else { return Ok(Value::Null) };
    let items: Result<Vec<_>, String> = values.iter().map(|value| of_value(value, word)).collect();
    Ok(spelled(items?))
}

/// One spelling for equal arrays, its elements read as `word`.
pub(super) fn cast(arguments: &[Value]) -> Answer {
    match arguments {
        [Value::Null, _] => Ok(Value::Null),
        [array, Value::Text(word)] => Ok(spelled(items(array, word)?)),
        _ => Ok(Value::Null),
    }
}

/// `array[index]`, counted from 1.
pub(super) fn element(arguments: &[Value]) -> Answer {
    let [array, Value::Integer(index), Value::Text(word)] = arguments else { return Ok(Value::Null) };
    if *array == Value::Null {
        return Ok(Value::Null);
    }
    let mut items = items(array, word)?;
    let at = usize::try_from(*index).ok().and_then(|index| index.checked_sub(1));
    let Some(item) = at.filter(|at| *at < items.len()).and_then(|at| items.swap_remove(at)) else {
        return Ok(Value::Null);
    };
    Ok(match item {
        Json::String(text) => Value::Text(text),
        Json::Bool(value) => Value::Integer(value.into()),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => number.as_f64().map_or(Value::Null, Value::Real),
        },
        _ => Value::Null,
    })
}

/// Both arrays; `None` where one is NULL.
fn both(arguments: &[Value]) -> Result<Option<[Vec<Option<Json>>; 2]>, String> {
    match arguments {
        [Value::Null, ..] | [_, Value::Null, ..] => Ok(None),
        [left, right, Value::Text(word)] => Ok(Some([items(left, word)?, items(right, word)?])),
        _ => Err("42883 operator needs arrays".to_owned()),
    }
}

/// `left @> right`: a NULL among the elements equals nothing.
pub(super) fn contains(arguments: &[Value]) -> Answer {
    let Some([left, right]) = both(arguments)? else { return Ok(Value::Null) };
    let all = right.iter().all(|item| item.is_some() && left.contains(item));
    Ok(Value::Integer(all.into()))
}

/// `left && right`.
pub(super) fn overlaps(arguments: &[Value]) -> Answer {
    let Some([left, right]) = both(arguments)? else { return Ok(Value::Null) };
    let any = right.iter().any(|item| item.is_some() && left.contains(item));
    Ok(Value::Integer(any.into()))
}

fn count(array: &Value) -> Result<i64, String> {
    Ok(i64::try_from(items(array, "text")?.len()).unwrap_or(i64::MAX))
}

/// `array_length(array, dimension)`: NULL of an empty array and of a second dimension.
pub(super) fn length(arguments: &[Value]) -> Answer {
    match arguments {
        [array, Value::Integer(dimension)] if *array != Value::Null => Ok(match (count(array)?, dimension) {
            (0, _) => Value::Null,
            (length, 1) => Value::Integer(length),
            _ => Value::Null,
        }),
        _ => Ok(Value::Null),
    }
}

pub(super) fn cardinality(arguments: &[Value]) -> Answer {
    match one(arguments) {
        Some(array) => Ok(Value::Integer(count(array)?)),
        None => Ok(Value::Null),
    }
}

/// `string_to_array(text, delimiter)`: each character where the delimiter is NULL.
pub(super) fn split(arguments: &[Value]) -> Answer {
    let parts: Vec<Option<Json>> = match arguments {
        [Value::Text(text), _] if text.is_empty() => Vec::new(),
        [Value::Text(text), Value::Null] => text.chars().map(|c| Some(Json::from(c.to_string()))).collect(),
        [Value::Text(text), Value::Text(by)] if by.is_empty() => vec![Some(Json::from(text.as_str()))],
        [Value::Text(text), Value::Text(by)] => {
            text.split(by.as_str()).map(|part| Some(Json::from(part))).collect()
        }
        [Value::Null, _] => return Ok(Value::Null),
        _ => return Err("42883 function needs text".to_owned()),
    };
    Ok(spelled(parts))
}

/// `x op ANY (array)` as `aurora_any_of(x, op, array, word)`.
pub(super) fn any_of(arguments: &[Value]) -> Answer {
    quantified(arguments, true)
}

/// Whether the text is among the texts of an array, as long as they are ASCII and written without escapes and blanks,
/// which most are. `None` is for [`any_of`] to say.
pub(super) fn plain_any(value: &[u8], array: &[u8]) -> Option<bool> {
    let mut rest = match array {
        [b'[', b']'] => return Some(false),
        [b'[', rest @ ..] => rest,
        _ => return None,
    };
    let mut found = false;
    loop {
        let [b'"', text @ ..] = rest else { return None };
        let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..))?;
        let (item, after) = text.split_at_checked(end)?;
        found |= item == value;
        rest = match after {
            [b'"', b',', more @ ..] => more,
            [b'"', b']'] => return Some(found),
            _ => return None,
        };
    }
}

/// `x op ALL (array)`.
pub(super) fn all_of(arguments: &[Value]) -> Answer {
    quantified(arguments, false)
}

fn quantified(arguments: &[Value], any: bool) -> Answer {
    let [value, Value::Text(op), array, Value::Text(word)] = arguments else { return Ok(Value::Null) };
    if *array == Value::Null {
        return Ok(Value::Null);
    }
    let items = items(array, word)?;
    if items.is_empty() {
        return Ok(Value::Integer((!any).into()));
    }
    let Some(value) = of_value(value, word)? else { return Ok(Value::Null) };
    let mut unknown = false;
    for item in &items {
        match item {
            None => unknown = true,
            Some(item) if holds(&value, op, item) == any => return Ok(Value::Integer(any.into())),
            Some(_) => {}
        }
    }
    Ok(if unknown { Value::Null } else { Value::Integer((!any).into()) })
}

fn holds(left: &Json, op: &str, right: &Json) -> bool {
    let order = match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
    };
    let equal = left == right || order == Some(std::cmp::Ordering::Equal);
    match op {
        "=" => equal,
        "<>" => !equal,
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        ">=" => order.is_some_and(std::cmp::Ordering::is_ge),
        _ => false,
    }
}

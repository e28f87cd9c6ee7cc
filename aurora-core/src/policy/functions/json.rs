//! json and jsonb.

use serde_json::Value as Json;

use super::scalar::{one, read};
use super::{Answer, Value};
use crate::policy::values;

pub(super) fn walk<'a>(mut at: Option<&'a Json>, path: &[Value]) -> Option<&'a Json> {
    for key in path {
        at = step(at?, key);
    }
    at
}

/// PostgreSQL's `->`: text names a field, an integer an element, negative ones from the end.
fn step<'a>(value: &'a Json, key: &Value) -> Option<&'a Json> {
    match (value, key) {
        (Json::Object(fields), Value::Text(key)) => fields.get(key),
        (Json::Array(items), Value::Integer(index)) => {
            let from_end = index.checked_add(i64::try_from(items.len()).ok()?)?;
            items.get(usize::try_from(if *index < 0 { from_end } else { *index }).ok()?)
        }
        // A bare jsonb value is kept as an array of one.
        (value, Value::Integer(0 | -1)) if is_scalar(value) => Some(value),
        _ => None,
    }
}

pub(super) fn as_json(value: Option<&Json>) -> Value {
    value.map_or(Value::Null, |value| {
        let mut text = String::new();
        values::write_jsonb(value, &mut text);
        Value::Text(text)
    })
}

pub(super) fn as_text(value: Option<&Json>) -> Value {
    match value {
        None | Some(Json::Null) => Value::Null,
        Some(Json::String(text)) => Value::Text(text.clone()),
        other => as_json(other),
    }
}

pub(super) fn jsonb(arguments: &[Value]) -> Answer {
    read(arguments, "json", |text| values::jsonb(text).map(Value::Text))
}

pub(super) fn json_quote(arguments: &[Value]) -> Answer {
    read(arguments, "text", |text| Some(Value::Text(Json::from(text).to_string())))
}

fn field(arguments: &[Value], answer: fn(Option<&Json>) -> Value) -> Answer {
    let (Some(value), Some(key)) = (one(arguments), one(arguments.get(1..).unwrap_or_default())) else {
        return Ok(Value::Null);
    };
    Ok(answer(step(&parsed(value)?, key)))
}

fn parsed(value: &Value) -> Result<Json, String> {
    match value {
        Value::Text(text) => serde_json::from_str(text).ok(),
        Value::Integer(number) => Some(Json::from(*number)),
        Value::Real(number) => Some(Json::from(*number)),
        _ => None,
    }
    .ok_or_else(|| "22P02 invalid input syntax for type json".to_owned())
}

/// Both arguments; `None` if one is NULL.
fn two(arguments: &[Value]) -> Option<(&Value, &Value)> {
    match arguments {
        [Value::Null, _] | [_, Value::Null] => None,
        [left, right] => Some((left, right)),
        _ => None,
    }
}

/// `#>` and `#>>`: each step names a field, or an element by its number.
fn at_path(arguments: &[Value], answer: fn(Option<&Json>) -> Value) -> Answer {
    let Some((value, path)) = two(arguments) else { return Ok(Value::Null) };
    let value = parsed(value)?;
    let mut at = Some(&value);
    for key in super::arrays::items(path, "text")? {
        let Some(key) = key else { return Ok(Value::Null) };
        let key = key.as_str().unwrap_or_default();
        at = match at {
            Some(Json::Array(_)) => match key.trim().parse() {
                Ok(index) => at.and_then(|value| step(value, &Value::Integer(index))),
                Err(_) => None,
            },
            Some(value) => step(value, &Value::Text(key.to_owned())),
            None => None,
        };
    }
    Ok(answer(at))
}

pub(super) fn path(arguments: &[Value]) -> Answer {
    at_path(arguments, as_json)
}

pub(super) fn path_text(arguments: &[Value]) -> Answer {
    at_path(arguments, as_text)
}

/// `left @> right`.
pub(super) fn contains(arguments: &[Value]) -> Answer {
    let Some((left, right)) = two(arguments) else { return Ok(Value::Null) };
    let (left, right) = (parsed(left)?, parsed(right)?);
    // An array contains a bare value of its own, at the top only.
    let bare = matches!(&left, Json::Array(items) if is_scalar(&right) && items.iter().any(|item| same(item, &right)));
    Ok(Value::Integer((bare || within(&left, &right)).into()))
}

fn is_scalar(value: &Json) -> bool {
    !matches!(value, Json::Array(_) | Json::Object(_))
}

fn same(left: &Json, right: &Json) -> bool {
    let spelled = |value: &Json| {
        let mut text = String::new();
        values::write_jsonb(value, &mut text);
        text
    };
    spelled(left) == spelled(right)
}

fn within(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Object(left), Json::Object(right)) => {
            right.iter().all(|(key, value)| left.get(key).is_some_and(|own| within(own, value)))
        }
        (Json::Array(left), Json::Array(right)) => right.iter().all(|value| {
            left.iter().any(|own| if is_scalar(value) { same(own, value) } else { within(own, value) })
        }),
        (left, right) => is_scalar(left) && is_scalar(right) && same(left, right),
    }
}

fn has_key(value: &Json, key: &str) -> bool {
    match value {
        Json::Object(fields) => fields.contains_key(key),
        Json::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
        Json::String(text) => text == key,
        _ => false,
    }
}

pub(super) fn has(arguments: &[Value]) -> Answer {
    match two(arguments) {
        Some((value, Value::Text(key))) => Ok(Value::Integer(has_key(&parsed(value)?, key).into())),
        Some(_) => Err("42883 operator needs text".to_owned()),
        None => Ok(Value::Null),
    }
}

fn keys(arguments: &[Value], answer: impl Fn(&Json, Vec<String>) -> bool) -> Answer {
    let Some((value, keys)) = two(arguments) else { return Ok(Value::Null) };
    let keys = super::arrays::items(keys, "text")?;
    let keys = keys.into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect();
    Ok(Value::Integer(answer(&parsed(value)?, keys).into()))
}

pub(super) fn has_any(arguments: &[Value]) -> Answer {
    keys(arguments, |value, keys| keys.iter().any(|key| has_key(value, key)))
}

pub(super) fn has_all(arguments: &[Value]) -> Answer {
    keys(arguments, |value, keys| keys.iter().all(|key| has_key(value, key)))
}

fn word(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

pub(super) fn type_of(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    Ok(Value::Text(word(&parsed(value)?).to_owned()))
}

pub(super) fn array_length(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    match parsed(value)? {
        Json::Array(items) => Ok(Value::Integer(i64::try_from(items.len()).unwrap_or(i64::MAX))),
        Json::Object(_) => Err("22023 cannot get array length of a non-array".to_owned()),
        _ => Err("22023 cannot get array length of a scalar".to_owned()),
    }
}

/// A jsonb number as an integer, rounded away from zero at the half.
pub(super) fn integer(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    match parsed(value)? {
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Value::Integer(integer)),
            (None, Some(float)) if float.abs() < 9e18 => {
                #[expect(clippy::cast_possible_truncation, reason = "below 9e18 by the guard of this arm")]
                let rounded = float.round() as i64;
                Ok(Value::Integer(rounded))
            }
            _ => Err("22003 bigint out of range".to_owned()),
        },
        other => Err(format!("22023 cannot cast jsonb {} to type integer", word(&other))),
    }
}

pub(super) fn boolean(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    match parsed(value)? {
        Json::Bool(value) => Ok(Value::Integer(value.into())),
        other => Err(format!("22023 cannot cast jsonb {} to type boolean", word(&other))),
    }
}

pub(super) fn json(arguments: &[Value]) -> Answer {
    field(arguments, as_json)
}

pub(super) fn json_text(arguments: &[Value]) -> Answer {
    field(arguments, as_text)
}

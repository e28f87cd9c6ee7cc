//! Text functions of PostgreSQL and of Supabase's storage schema, over characters.

use serde_json::Value as Json;

use super::scalar::texts;
use super::{Answer, Value};

fn integer(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A text and an integer; `None` where one is NULL.
fn text_and_number(arguments: &[Value]) -> Result<Option<(&str, i64)>, String> {
    match arguments {
        [Value::Text(text), Value::Integer(number)] => Ok(Some((text, *number))),
        [Value::Null, _] | [_, Value::Null] => Ok(None),
        _ => Err("42883 function needs text and an integer".to_owned()),
    }
}

pub(super) fn split_part(arguments: &[Value]) -> Answer {
    let (text, by, at) = match arguments {
        [Value::Text(text), Value::Text(by), Value::Integer(at)] => (text, by, *at),
        arguments if arguments.contains(&Value::Null) => return Ok(Value::Null),
        _ => return Err("42883 split_part takes text, text and an integer".to_owned()),
    };
    if at == 0 {
        return Err("22023 field position must not be zero".to_owned());
    }
    let parts: Vec<&str> = if by.is_empty() { vec![text] } else { text.split(by.as_str()).collect() };
    let index = if at > 0 {
        usize::try_from(at - 1).ok()
    } else {
        usize::try_from(at.unsigned_abs()).ok().and_then(|back| parts.len().checked_sub(back))
    };
    let part = if text.is_empty() { None } else { index.and_then(|index| parts.get(index)) };
    Ok(Value::Text(part.copied().unwrap_or_default().to_owned()))
}

/// `substr(text, from[, count])`, counted from 1; places before the first count too.
pub(super) fn substr(arguments: &[Value]) -> Answer {
    let (text, from, count) = match arguments {
        [Value::Text(text), Value::Integer(from)] => (text, *from, None),
        [Value::Text(text), Value::Integer(from), Value::Integer(count)] => (text, *from, Some(*count)),
        arguments if arguments.contains(&Value::Null) => return Ok(Value::Null),
        _ => return Err("42883 substring takes text and integers".to_owned()),
    };
    if count.is_some_and(i64::is_negative) {
        return Err("22011 negative substring length not allowed".to_owned());
    }
    let end = count.map_or(i64::MAX, |count| from.saturating_add(count));
    let kept = text.chars().zip(1_i64..).filter(|(_, at)| *at >= from && *at < end);
    Ok(Value::Text(kept.map(|(c, _)| c).collect()))
}

pub(super) fn left(arguments: &[Value]) -> Answer {
    let Some((text, count)) = text_and_number(arguments)? else { return Ok(Value::Null) };
    Ok(Value::Text(text.chars().take(kept(text, count)).collect()))
}

pub(super) fn right(arguments: &[Value]) -> Answer {
    let Some((text, count)) = text_and_number(arguments)? else { return Ok(Value::Null) };
    let skipped = text.chars().count() - kept(text, count);
    Ok(Value::Text(text.chars().skip(skipped).collect()))
}

/// How many characters stay: a negative count takes away from the other end.
fn kept(text: &str, count: i64) -> usize {
    let length = text.chars().count();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 { wanted.min(length) } else { length.saturating_sub(wanted) }
}

pub(super) fn replace(arguments: &[Value]) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let [text, from, to] = texts.as_slice() else { return Ok(Value::Null) };
    Ok(Value::Text(if from.is_empty() { (*text).to_owned() } else { text.replace(from, to) }))
}

pub(super) fn strpos(arguments: &[Value]) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let [text, part] = texts.as_slice() else { return Ok(Value::Null) };
    let at = text.find(part).and_then(|at| text.get(..at)).map(|before| before.chars().count() + 1);
    Ok(integer(at.unwrap_or(0)))
}

pub(super) fn starts_with(arguments: &[Value]) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let [text, part] = texts.as_slice() else { return Ok(Value::Null) };
    Ok(Value::Integer(text.starts_with(part).into()))
}

fn trim(arguments: &[Value], cut: for<'a> fn(&'a str, &[char]) -> &'a str) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let Some((text, rest)) = texts.split_first() else { return Ok(Value::Null) };
    let set: Vec<char> = rest.first().map_or_else(|| vec![' '], |set| set.chars().collect());
    Ok(Value::Text(cut(text, &set).to_owned()))
}

pub(super) fn btrim(arguments: &[Value]) -> Answer {
    trim(arguments, |text, set| text.trim_matches(set))
}

pub(super) fn ltrim(arguments: &[Value]) -> Answer {
    trim(arguments, |text, set| text.trim_start_matches(set))
}

pub(super) fn rtrim(arguments: &[Value]) -> Answer {
    trim(arguments, |text, set| text.trim_end_matches(set))
}

fn joined(arguments: &[Value], by: &str) -> Value {
    let parts: Vec<&str> = arguments
        .iter()
        .filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    Value::Text(parts.join(by))
}

/// NULLs are left out.
pub(super) fn concat(arguments: &[Value]) -> Answer {
    Ok(joined(arguments, ""))
}

pub(super) fn concat_ws(arguments: &[Value]) -> Answer {
    match arguments.split_first() {
        Some((Value::Text(by), rest)) => Ok(joined(rest, by)),
        _ => Ok(Value::Null),
    }
}

/// `storage.foldername`: the parts before the last, as an array.
pub(super) fn foldername(arguments: &[Value]) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let mut parts = parts(texts.first().copied().unwrap_or_default());
    // A slice up to NULL is NULL.
    match parts.pop() {
        Some(_) => Ok(Value::Text(Json::from(parts).to_string())),
        None => Ok(Value::Null),
    }
}

/// `string_to_array(name, '/')`: nothing of an empty text.
fn parts(name: &str) -> Vec<&str> {
    if name.is_empty() { Vec::new() } else { name.split('/').collect() }
}

/// `storage.filename`: the last part.
pub(super) fn filename(arguments: &[Value]) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let last = parts(texts.first().copied().unwrap_or_default()).pop();
    Ok(last.map_or(Value::Null, |last| Value::Text(last.to_owned())))
}

/// `storage.extension`: what stands behind the last point of the last part.
pub(super) fn extension(arguments: &[Value]) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let last = parts(texts.first().copied().unwrap_or_default()).pop();
    Ok(last.map_or(Value::Null, |last| Value::Text(last.rsplit('.').next().unwrap_or_default().to_owned())))
}

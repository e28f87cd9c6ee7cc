//! Moments, days and intervals, all in UTC.

use super::scalar::one;
use super::{Answer, Value};
use crate::policy::values;

pub(super) fn time(arguments: &[Value]) -> Answer {
    let micros = match one(arguments) {
        None => return Ok(Value::Null),
        Some(Value::Text(text)) => values::time(text),
        // As sqlx reads them: seconds since 1970.
        Some(Value::Integer(seconds)) => seconds.checked_mul(1_000_000),
        Some(Value::Real(seconds)) if seconds.abs() < 9e12 => {
            #[expect(clippy::cast_possible_truncation, reason = "below 9e18 by the guard of this arm")]
            let micros = (seconds * 1e6) as i64;
            Some(micros)
        }
        Some(_) => None,
    };
    micros.map(Value::Integer).ok_or_else(|| "22007 invalid input syntax for type timestamp".to_owned())
}

/// The midnight of a moment or a stored time.
pub(super) fn date(arguments: &[Value]) -> Answer {
    Ok(match time(arguments)? {
        Value::Integer(micros) => Value::Integer(micros.div_euclid(values::DAY) * values::DAY),
        other => other,
    })
}

/// The midnight of a moment already in microseconds.
pub(super) fn day(arguments: &[Value]) -> Answer {
    Ok(match one(arguments) {
        Some(Value::Integer(micros)) => Value::Integer(micros.div_euclid(values::DAY) * values::DAY),
        _ => Value::Null,
    })
}

/// `2026-11-22`.
pub(super) fn date_text(arguments: &[Value]) -> Answer {
    Ok(match one(arguments) {
        Some(Value::Integer(micros)) => {
            let (year, month, day) = values::civil_from_days(micros.div_euclid(values::DAY));
            Value::Text(format!("{year:04}-{month:02}-{day:02}"))
        }
        _ => Value::Null,
    })
}

/// A moment, months and microseconds: months first, by the calendar, the day cut to what the month has.
pub(super) fn add(arguments: &[Value]) -> Answer {
    match arguments {
        [Value::Integer(micros), Value::Integer(months), Value::Integer(more)] => {
            let moved = if *months == 0 { Some(*micros) } else { values::add_months(*micros, *months) };
            moved
                .and_then(|moved| moved.checked_add(*more))
                .map(Value::Integer)
                .ok_or_else(|| "22008 timestamp out of range".to_owned())
        }
        arguments if arguments.contains(&Value::Null) => Ok(Value::Null),
        _ => Err("42883 operator needs a timestamp".to_owned()),
    }
}

/// `date_part(field, moment)` and `extract`.
pub(super) fn part(arguments: &[Value]) -> Answer {
    let [Value::Text(field), Value::Integer(micros)] = arguments else { return Ok(Value::Null) };
    let days = micros.div_euclid(values::DAY);
    let second = micros.rem_euclid(values::DAY) / 1_000_000;
    let (year, month, day) = values::civil_from_days(days);
    Ok(Value::Integer(match field.as_str() {
        "year" => year,
        "month" => month,
        "day" => day,
        "hour" => second / 3600,
        "minute" => second / 60 % 60,
        "quarter" => (month - 1) / 3 + 1,
        // 1970-01-01 was a Thursday.
        "dow" => (days + 4).rem_euclid(7),
        "isodow" => (days + 3).rem_euclid(7) + 1,
        _ => return Err("22023 unit not recognized".to_owned()),
    }))
}

/// `date_trunc(field, moment)`.
pub(super) fn trunc(arguments: &[Value]) -> Answer {
    let [Value::Text(field), Value::Integer(micros)] = arguments else { return Ok(Value::Null) };
    let days = micros.div_euclid(values::DAY);
    let (year, month, _) = values::civil_from_days(days);
    let floor = |unit: i64| Some(micros.div_euclid(unit) * unit);
    let first = |year, month| values::days_from_civil(year, month, 1).checked_mul(values::DAY);
    let moved = match field.as_str() {
        "second" => floor(1_000_000),
        "minute" => floor(60_000_000),
        "hour" => floor(3_600_000_000),
        "day" => floor(values::DAY),
        "week" => (days - (days + 3).rem_euclid(7)).checked_mul(values::DAY),
        "month" => first(year, month),
        "quarter" => first(year, (month - 1) / 3 * 3 + 1),
        "year" => first(year, 1),
        _ => return Err("22023 unit not recognized".to_owned()),
    };
    moved.map(Value::Integer).ok_or_else(|| "22008 timestamp out of range".to_owned())
}

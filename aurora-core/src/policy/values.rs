//! PostgreSQL's readings of text as uuid, boolean, integer, time and jsonb.

use serde_json::Value as Json;

/// A uuid as PostgreSQL reads it: any case, optional braces, a hyphen allowed after each four digits.
pub(super) fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = match (text.strip_prefix('{'), text.strip_suffix('}')) {
        (Some(_), Some(_)) => text.get(1..text.len().saturating_sub(1))?,
        (None, None) => text,
        _ => return None,
    };
    let mut nibbles = Vec::with_capacity(32);
    let mut after_hyphen = true;
    for c in text.chars() {
        if c == '-' {
            if after_hyphen || nibbles.len() % 4 != 0 {
                return None;
            }
            after_hyphen = true;
        } else {
            nibbles.push(u8::try_from(c.to_digit(16)?).ok()?);
            after_hyphen = false;
        }
    }
    if after_hyphen || nibbles.len() != 32 {
        return None;
    }
    let bytes: Vec<u8> =
        nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect();
    bytes.try_into().ok()
}

/// Hyphenated, lower-case.
pub(super) fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    text
}

/// `true`, `yes`, `on`, `1`, their opposites, and unique prefixes, in any case.
pub(super) fn bool(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "" | "o" => None,
        "1" | "on" => Some(true),
        "0" | "of" | "off" => Some(false),
        other if "true".starts_with(other) || "yes".starts_with(other) => Some(true),
        other if "false".starts_with(other) || "no".starts_with(other) => Some(false),
        _ => None,
    }
}

/// A decimal integer with an optional sign and surrounding blanks.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']).parse().ok()
}

pub(super) const DAY: i64 = 86_400_000_000;

/// A time as microseconds since 1970. ISO 8601 with a blank or `T`; without an offset it is UTC.
pub(super) fn time(text: &str) -> Option<i64> {
    plain_time(text.as_bytes()).or_else(|| spelled_time(text))
}

fn spelled_time(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        "epoch" => return Some(0),
        _ => {}
    }
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.trim()),
        None => (text, ""),
    };
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?, 4, 6)?;
    let month = digits(parts.next()?, 1, 2)?;
    let day = digits(parts.next()?, 1, 2)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let midnight = days_from_civil(year, month, day).checked_mul(DAY)?;
    if rest.is_empty() { Some(midnight) } else { midnight.checked_add(clock(rest)?) }
}

/// The same of the spelling that nearly every stored time has, `2026-11-22T09:05:00.25Z` or with a blank, without a
/// zone or with `+00:00`. What it does not know, right or wrong, is for [`time`] to say.
pub(super) fn plain_time(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b' ', clock @ ..] = text else { return None };
    let [h1, h2, b':', i1, i2, b':', s1, s2, rest @ ..] = clock else { return None };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let (hour, minute, second) = (two(*h1, *h2)?, two(*i1, *i2)?, two(*s1, *s2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (mut micros, mut zone) = (0, rest);
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
        let (digits, after) = fraction.split_at_checked(length)?;
        if !(1..=6).contains(&length) {
            return None;
        }
        micros = digits.iter().fold(0, |all, digit| all * 10 + i64::from(digit - b'0'));
        micros *= 10_i64.pow(u32::try_from(6 - length).ok()?);
        zone = after;
    }
    if !matches!(zone, b"" | b"Z" | b"+00:00") {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days_from_civil(year, month, day) * DAY + seconds * 1_000_000 + micros)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let both = tens.is_ascii_digit() && ones.is_ascii_digit();
    both.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// `HH:MM[:SS[.ffffff]]` and an offset, as microseconds to add to midnight UTC.
fn clock(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, zone) = (text.get(..end)?, text.get(end..)?.trim());
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 1, 2)?;
    let minute = digits(parts.next()?, 2, 2)?;
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(second) => match second.split_once('.') {
            None => (digits(second, 1, 2)?, 0),
            Some((second, fraction)) => (digits(second, 1, 2)?, fraction_micros(fraction)?),
        },
    };
    if hour > 24 || minute > 59 || second > 60 || (hour == 24 && (minute > 0 || second > 0 || micros > 0)) {
        return None;
    }
    Some(((hour * 60 + minute - offset_minutes(zone)?) * 60 + second) * 1_000_000 + micros)
}

fn fraction_micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept: String = fraction.chars().chain("000000".chars()).take(6).collect();
    kept.parse().ok()
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.is_empty() || ["z", "utc", "gmt"].iter().any(|name| zone.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let (sign, rest) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (digits(hours, 1, 2)?, digits(minutes, 2, 2)?),
        None if rest.len() == 4 => (digits(rest.get(..2)?, 2, 2)?, digits(rest.get(2..)?, 2, 2)?),
        None => (digits(rest, 1, 2)?, 0),
    };
    (hours <= 15 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    if text.len() < least || text.len() > most || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Howard Hinnant's algorithm).
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day since 1970-01-01 (Howard Hinnant's algorithm): year, month, day.
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A moment some calendar months on, its day cut to what the month has.
pub(super) fn add_months(micros: i64, months: i64) -> Option<i64> {
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let total = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(months)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    if !(-4_713..=294_276).contains(&year) {
        return None;
    }
    days_from_civil(year, month, day.min(days_in(year, month))).checked_mul(DAY)?.checked_add(rest)
}

/// An interval as months and microseconds: `1 year 2 months 3 days 04:05:06`, units in full or as PostgreSQL
/// shortens them, and ISO 8601's `P1DT2H` not among them. A day has 24 hours: all moments are in UTC.
pub(super) fn interval(text: &str) -> Option<(i64, i64)> {
    let (mut months, mut micros) = (0_i64, 0_i64);
    let lower = text.trim().to_ascii_lowercase();
    let (body, sign) = match lower.strip_suffix("ago") {
        Some(body) => (body.trim_end(), -1),
        None => (lower.as_str(), 1),
    };
    // `7days` reads as `7 days`.
    let mut spaced = String::with_capacity(body.len() + 4);
    let mut before = ' ';
    for c in body.chars() {
        if c.is_ascii_alphabetic() && before.is_ascii_digit() {
            spaced.push(' ');
        }
        spaced.push(c);
        before = c;
    }
    let mut words = spaced.split_whitespace();
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        if word.contains(':') {
            let (negative, clock_text) = match word.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, word.strip_prefix('+').unwrap_or(word)),
            };
            micros = micros.checked_add(hours(clock_text)? * negative)?;
            continue;
        }
        let amount: i64 = word.strip_prefix('+').unwrap_or(word).parse().ok()?;
        // A number alone is of seconds.
        let (of_months, of_micros) = words.next().map_or(Some((0, 1_000_000)), unit)?;
        months = months.checked_add(amount.checked_mul(of_months)?)?;
        micros = micros.checked_add(amount.checked_mul(of_micros)?)?;
    }
    any.then_some((months * sign, micros * sign))
}

/// `HH:MM[:SS[.ffffff]]`, of any number of hours.
fn hours(text: &str) -> Option<i64> {
    let (hours, rest) = text.split_once(':')?;
    let below = clock(&format!("00:{rest}"))?;
    digits(hours, 1, 9)?.checked_mul(3_600_000_000)?.checked_add(below)
}

/// Months and microseconds of one unit.
fn unit(word: &str) -> Option<(i64, i64)> {
    Some(match word {
        "year" | "years" | "yr" | "yrs" | "y" => (12, 0),
        "month" | "months" | "mon" | "mons" => (1, 0),
        "week" | "weeks" | "w" => (0, 7 * DAY),
        "day" | "days" | "d" => (0, DAY),
        "hour" | "hours" | "hr" | "hrs" | "h" => (0, 3_600_000_000),
        "minute" | "minutes" | "min" | "mins" | "m" => (0, 60_000_000),
        "second" | "seconds" | "sec" | "secs" | "s" => (0, 1_000_000),
        "millisecond" | "milliseconds" | "ms" => (0, 1_000),
        "microsecond" | "microseconds" | "us" => (0, 1),
        "decade" | "decades" => (120, 0),
        _ => return None,
    })
}

/// One element of an array from its text.
pub(super) fn element(text: &str, word: &str) -> Option<Json> {
    Some(match word {
        "uuid" => Json::from(uuid_text(&uuid(text)?)),
        "integer" => Json::from(integer(text)?),
        "boolean" => Json::from(bool(text)?),
        "double precision" => Json::from(text.trim().parse::<f64>().ok().filter(|value| value.is_finite())?),
        _ => Json::from(text),
    })
}

/// PostgreSQL's array literal `{a,"b c",NULL}`, one dimension, as JSON text.
pub(super) fn array(text: &str, word: &str) -> Option<String> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut chars = inner.chars().peekable();
    let blank = |c: &char| c.is_ascii_whitespace();
    while chars.next_if(blank).is_some() {}
    if chars.peek().is_none() {
        return Some("[]".to_owned());
    }
    loop {
        while chars.next_if(blank).is_some() {}
        let (mut item, mut quoted) = (String::new(), false);
        if chars.next_if_eq(&'"').is_some() {
            quoted = true;
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => item.push(chars.next()?),
                    c => item.push(c),
                }
            }
            while chars.next_if(blank).is_some() {}
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                match c {
                    '{' | '}' | '"' => return None,
                    '\\' => item.push(chars.next()?),
                    c => item.push(c),
                }
            }
            item.truncate(item.trim_end().len());
            if item.is_empty() {
                return None;
            }
        }
        let null = !quoted && item.eq_ignore_ascii_case("null");
        items.push(if null { Json::Null } else { element(&item, word)? });
        match chars.next() {
            None => break,
            Some(',') => {}
            Some(_) => return None,
        }
    }
    Some(Json::from(items).to_string())
}

/// One spelling for equal jsonb values: keys sorted, no blanks, whole numbers without a fraction.
pub(super) fn jsonb(text: &str) -> Option<String> {
    let value: Json = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    write_jsonb(&value, &mut out);
    Some(out)
}

pub(super) fn write_jsonb(value: &Json, out: &mut String) {
    match value {
        Json::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            // As jsonb sorts them: the shorter first.
            sorted.sort_by(|a, b| (a.0.len(), a.0).cmp(&(b.0.len(), b.0)));
            out.push('{');
            for (position, (key, field)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                out.push_str(&Json::from(key.as_str()).to_string());
                out.push_str(": ");
                write_jsonb(field, out);
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                write_jsonb(item, out);
            }
            out.push(']');
        }
        Json::Number(number) => out.push_str(&number_text(number)),
        other => out.push_str(&other.to_string()),
    }
}

/// A whole number prints without a fraction, so that 1 and 1.0 are one value, as in PostgreSQL.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_read_as_in_postgresql() {
        let plain = uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").unwrap();
        for same in [
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(uuid(same), Some(plain), "{same}");
        }
        for wrong in [
            "",
            "a0eebc99",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{é",
        ] {
            assert_eq!(uuid(wrong), None, "{wrong}");
        }
        assert_eq!(uuid_text(&plain), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    }

    #[test]
    fn the_usual_spelling_of_a_time_is_read_as_any_other() {
        let (mut read, mut left) = (0, 0);
        let dates = [
            "2026-11-22",
            "1969-02-28",
            "2024-02-29",
            "2023-02-29",
            "2026-13-01",
            "2026-00-10",
            "0001-01-01",
        ];
        let clocks = ["00:00:00", "23:59:59", "24:00:00", "12:60:00", "12:00:60", "9:00:00", "1a:00:00"];
        let fractions = ["", ".5", ".123456", ".1234567", ".", ".x"];
        for (date, clock) in dates.iter().flat_map(|date| clocks.iter().map(move |clock| (date, clock))) {
            for fraction in fractions {
                for zone in ["", "Z", "+00:00", "+02", "z", " ", "x"] {
                    for between in ["T", " ", "t", "_"] {
                        let text = format!("{date}{between}{clock}{fraction}{zone}");
                        match plain_time(text.as_bytes()) {
                            Some(micros) => {
                                assert_eq!(spelled_time(&text), Some(micros), "{text}");
                                read += 1;
                            }
                            None => left += 1,
                        }
                    }
                }
            }
        }
        println!("{read} read at once, {left} left to the whole grammar");
        // 4 days, 2 times, 3 fractions, 3 zones, 2 signs between.
        assert_eq!(read, 4 * 2 * 3 * 3 * 2);
    }

    #[test]
    fn times_read_as_utc_unless_told() {
        let noon = Some(1_700_000_000_000_000);
        for same in [
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20Z",
            "2023-11-14 22:13:20.000000 UTC",
            "2023-11-15T00:13:20+02:00",
            "2023-11-14 17:13:20-0500",
        ] {
            assert_eq!(time(same), noon, "{same}");
        }
        assert_eq!(time("1970-01-01"), Some(0));
        assert_eq!(time("1969-12-31 23:59:59.5"), Some(-500_000));
        assert_eq!(time("2024-02-29"), Some(1_709_164_800_000_000));
        for wrong in ["", "now", "2023-02-29", "2023-13-01", "2023-11-14 25:00", "2023-11-14 10:00 CEST", "é"]
        {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn booleans_take_unique_prefixes() {
        for (text, value) in
            [("t", true), ("TRUE", true), (" yes ", true), ("of", false), ("n", false), ("0", false)]
        {
            assert_eq!(bool(text), Some(value), "{text}");
        }
        assert_eq!(["", "o", "2", "truth"].map(bool), [None; 4]);
    }

    #[test]
    fn equal_json_has_one_spelling() {
        assert_eq!(jsonb(r#"{"b":1.0,"a":[1, null]}"#), jsonb(r#" { "a": [1,null], "b": 1 } "#));
        assert_ne!(jsonb("\"1\""), jsonb("1"));
        assert_eq!(jsonb("{"), None);
    }
}

//! A value while it is being looked at, and SQLite's order of values.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::functions::Value;
use super::row::ValueRef;

/// A value of a row or of an expression. Owned only where a function made it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
    /// A uuid whose column keeps text; it is compared as that text.
    Uuid(&'a [u8; 16]),
}

impl<'a> Cell<'a> {
    /// A row's value; `None` if the row does not hold it. `blob`: the column keeps uuids as 16 bytes.
    pub(super) fn read(value: ValueRef<'a>, blob: bool) -> Option<Self> {
        Some(match value {
            ValueRef::Missing => return None,
            ValueRef::Null => Cell::Null,
            ValueRef::Bool(value) => Cell::Integer(value.into()),
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) if number.is_nan() => Cell::Null,
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(text) => Cell::Text(Cow::Borrowed(text)),
            ValueRef::Blob(bytes) => Cell::Blob(Cow::Borrowed(bytes)),
            ValueRef::Uuid(bytes) if blob => Cell::Blob(Cow::Borrowed(bytes)),
            ValueRef::Uuid(bytes) => Cell::Uuid(bytes),
            ValueRef::Time(moment) => Cell::Text(Cow::Owned(moment.to_string())),
        })
    }

    pub(super) fn borrowed(value: &'a Value) -> Self {
        match value {
            Value::Null => Cell::Null,
            Value::Integer(number) => Cell::Integer(*number),
            Value::Real(number) => Cell::Real(*number),
            Value::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Value::Blob(bytes) => Cell::Blob(Cow::Borrowed(bytes)),
        }
    }

    pub(super) fn owned(value: Value) -> Self {
        match value {
            Value::Null => Cell::Null,
            Value::Integer(number) => Cell::Integer(number),
            Value::Real(number) if number.is_nan() => Cell::Null,
            Value::Real(number) => Cell::Real(number),
            Value::Text(text) => Cell::Text(Cow::Owned(text)),
            Value::Blob(bytes) => Cell::Blob(Cow::Owned(bytes)),
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Integer(number) => Value::Integer(number),
            Cell::Real(number) => Value::Real(number),
            Cell::Text(text) => Value::Text(text.into_owned()),
            Cell::Blob(bytes) => Value::Blob(bytes.into_owned()),
            Cell::Uuid(bytes) => Value::Text(utf8(&uuid_text(bytes)).to_owned()),
        }
    }

    /// SQLite's order: numbers, text by bytes, blobs. `None` where either is NULL.
    pub(super) fn order(&self, other: &Cell<'_>) -> Option<Ordering> {
        if let (Cell::Uuid(one), Cell::Uuid(other)) = (self, other) {
            // Both print alike, so their bytes are in the order of their texts.
            return Some(one.cmp(other));
        }
        let (mut left, mut right) = ([0; 36], [0; 36]);
        let (left, right) = (self.key(&mut left)?, other.key(&mut right)?);
        Some(order(left, right))
    }

    fn key<'k>(&'k self, text: &'k mut [u8; 36]) -> Option<Key<'k>> {
        Some(match self {
            Cell::Null => return None,
            Cell::Integer(number) => Key::Integer(*number),
            Cell::Real(number) => Key::Real(*number),
            Cell::Text(text) => Key::Text(text.as_bytes()),
            Cell::Blob(bytes) => Key::Blob(bytes),
            Cell::Uuid(bytes) => {
                *text = uuid_text(bytes);
                Key::Text(text)
            }
        })
    }

    /// What SQLite takes for true where a value stands as a condition.
    pub(super) fn truth(&self) -> Option<bool> {
        Some(match self {
            Cell::Null => return None,
            Cell::Integer(number) => *number != 0,
            Cell::Real(number) => *number != 0.0,
            Cell::Text(text) => leading_number(text) != 0.0,
            Cell::Blob(bytes) => leading_number(&String::from_utf8_lossy(bytes)) != 0.0,
            Cell::Uuid(bytes) => leading_number(utf8(&uuid_text(bytes))) != 0.0,
        })
    }

    /// `CAST(x AS TEXT)`.
    pub(super) fn into_text(self) -> Cell<'a> {
        match self {
            Cell::Null | Cell::Text(_) | Cell::Uuid(_) => self,
            Cell::Integer(number) => Cell::Text(Cow::Owned(number.to_string())),
            Cell::Real(number) => Cell::Text(Cow::Owned(real_text(number))),
            Cell::Blob(bytes) => Cell::Text(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }
}

/// What is compared, without NULL.
#[derive(Clone, Copy)]
enum Key<'a> {
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

fn order(left: Key<'_>, right: Key<'_>) -> Ordering {
    let class = |key: Key<'_>| match key {
        Key::Integer(_) | Key::Real(_) => 0,
        Key::Text(_) => 1,
        Key::Blob(_) => 2,
    };
    match (left, right) {
        (Key::Integer(one), Key::Integer(other)) => one.cmp(&other),
        (Key::Real(one), Key::Real(other)) => one.partial_cmp(&other).unwrap_or(Ordering::Equal),
        (Key::Integer(one), Key::Real(other)) => integer_real(one, other),
        (Key::Real(one), Key::Integer(other)) => integer_real(other, one).reverse(),
        (Key::Text(one), Key::Text(other)) | (Key::Blob(one), Key::Blob(other)) => one.cmp(other),
        _ => class(left).cmp(&class(right)),
    }
}

/// Exact: a float holds no integer above 2^53 faithfully.
pub(super) fn integer_real(integer: i64, real: f64) -> Ordering {
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    // In range by the lines above; the fraction is looked at next.
    let whole = real as i64;
    integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&(real - whole as f64)).unwrap_or(Ordering::Equal))
}

/// SQLite's reading of text as a number: the longest numeric start, else 0.
fn leading_number(text: &str) -> f64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let start = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut end = digits(start);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digits(sign) > sign {
            end = digits(sign);
        }
    }
    text.get(..end).and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// SQLite's `%!.15g`: fifteen significant digits, always with a point.
fn real_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{number:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-5..15).contains(&exponent) {
        let decimals = usize::try_from(14 - exponent).unwrap_or(0);
        return trimmed(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

fn trimmed(digits: &str) -> String {
    if !digits.contains('.') {
        return format!("{digits}.0");
    }
    let short = digits.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

/// Hyphenated and lower-case, without allocating.
pub(super) fn uuid_text(bytes: &[u8; 16]) -> [u8; 36] {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut text = [b'-'; 36];
    let places = text.iter_mut().enumerate().filter(|(place, _)| !matches!(place, 8 | 13 | 18 | 23));
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for ((_, place), nibble) in places.zip(nibbles) {
        *place = digit(nibble);
    }
    text
}

/// Hexadecimal digits and hyphens always are.
pub(super) fn utf8(text: &[u8; 36]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        assert_eq!(integer_real(9_007_199_254_740_993, 9_007_199_254_740_992.0), Ordering::Greater);
        assert_eq!(integer_real(i64::MAX, 9_223_372_036_854_775_807.0), Ordering::Less);
        assert_eq!(integer_real(i64::MIN, -9_223_372_036_854_775_808.0), Ordering::Equal);
        assert_eq!(integer_real(-1, -1.5), Ordering::Greater);
        assert_eq!(integer_real(1, 1.5), Ordering::Less);
        assert_eq!(integer_real(0, f64::NEG_INFINITY), Ordering::Greater);
    }

    #[test]
    fn a_uuid_prints_as_everywhere_else() {
        let bytes = *b"\x0d\x6a\x1e\x5c\x11\x11\x41\x11\x81\x11\x00\x00\x00\x00\x00\x0a";
        assert_eq!(utf8(&uuid_text(&bytes)), "0d6a1e5c-1111-4111-8111-00000000000a");
    }

    #[test]
    fn floats_print_as_in_sqlite() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e15, "1.0e+15"),
            (123_456_789.125, "123456789.125"),
            (1e-7, "1.0e-07"),
            (0.1 + 0.2, "0.3"),
        ] {
            assert_eq!(real_text(number), text);
        }
    }
}

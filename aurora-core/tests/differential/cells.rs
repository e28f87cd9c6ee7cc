//! Any row of either engine, each cell as the referee's connection would print it.

use sqlx::postgres::{PgRow, PgValueFormat, PgValueRef};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};

use super::answer::Cell;

pub(crate) struct AnyRow(pub(crate) Vec<Cell>);

impl<'r> sqlx::FromRow<'r, SqliteRow> for AnyRow {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        let mut cells = Vec::new();
        for at in 0..row.len() {
            let value = row.try_get_raw(at)?;
            let failed = sqlx::Error::Decode;
            cells.push(if value.is_null() {
                Cell::Null
            } else {
                match value.type_info().name() {
                    "INTEGER" | "BOOLEAN" => {
                        Cell::Int(<i64 as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?)
                    }
                    "REAL" => Cell::Real(<f64 as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?),
                    "TEXT" => {
                        let bytes = <&[u8] as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?;
                        Cell::Text(String::from_utf8_lossy(bytes).into_owned())
                    }
                    _ => Cell::Blob(<Vec<u8> as sqlx::Decode<sqlx::Sqlite>>::decode(value).map_err(failed)?),
                }
            });
        }
        Ok(Self(cells))
    }
}

impl<'r> sqlx::FromRow<'r, PgRow> for AnyRow {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let mut cells = Vec::new();
        for at in 0..row.len() {
            let value = row.try_get_raw(at)?;
            cells.push(if value.is_null() { Cell::Null } else { Cell::Text(printed(value)?) });
        }
        Ok(Self(cells))
    }
}

/// PostgreSQL's text for a value that may have come in its binary form.
fn printed(value: PgValueRef<'_>) -> Result<String, sqlx::Error> {
    let name = value.type_info().name().to_uppercase();
    if value.format() == PgValueFormat::Text {
        return Ok(value.as_str().map_err(sqlx::Error::Decode)?.to_owned());
    }
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    Ok(match name.as_str() {
        name if name.ends_with("[]") => array(bytes),
        "BOOL" => if bytes == [1] { "t" } else { "f" }.to_owned(),
        "INT2" | "INT4" | "INT8" => whole(bytes).to_string(),
        "FLOAT8" => format!("{:?}", f64::from_be_bytes(bytes.try_into().unwrap())),
        "NUMERIC" => numeric(bytes),
        "UUID" => uuid(bytes),
        "TIMESTAMPTZ" => moment(whole(bytes)),
        "JSONB" => text(&bytes[1..]),
        _ => text(bytes),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Big-endian, of any width.
fn whole(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value: i64, byte| (value << 8) | i64::from(*byte))
}

fn uuid(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Digits of base 10,000; sums of integers have no others.
fn numeric(bytes: &[u8]) -> String {
    let word = |at: usize| whole(&bytes[2 * at..2 * at + 2]);
    let (digits, weight, negative) = (word(0), word(1), word(2) != 0);
    let mut value: i64 = 0;
    for at in 0..=weight {
        let digit = if at < digits { word(usize::try_from(at).unwrap() + 4) } else { 0 };
        value = value * 10_000 + digit;
    }
    if negative { -value } else { value }.to_string()
}

/// From microseconds since 2000; the worlds' times are whole seconds.
fn moment(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (days, within) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, in eras of 400 years.
    let days = days + 730_425;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (within / 3_600, within / 60 % 60, within % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00")
}

/// As JSON.
fn array(bytes: &[u8]) -> String {
    let number = |at: usize| whole(&bytes[at..at + 4]);
    let mut items: Vec<serde_json::Value> = Vec::new();
    if number(0) == 1 {
        let (of, many) = (number(8), number(12));
        let mut at = 20;
        for _ in 0..many {
            let length = number(at);
            at += 4;
            let Ok(length) = usize::try_from(length) else {
                items.push(serde_json::Value::Null);
                continue;
            };
            let item = &bytes[at..at + length];
            at += length;
            items.push(match of {
                // int8, uuid
                20 => whole(item).into(),
                2950 => uuid(item).into(),
                _ => text(item).into(),
            });
        }
    }
    serde_json::Value::Array(items).to_string()
}

#[test]
fn times_are_printed_as_postgresql_prints_them() {
    assert_eq!(moment(0), "2000-01-01 00:00:00+00");
    assert_eq!(moment(762_566_399_000_000), "2024-02-29 23:59:59+00");
    assert_eq!(moment(-1_000_000), "1999-12-31 23:59:59+00");
    assert_eq!(numeric(&[0, 1, 0, 1, 0x40, 0, 0, 0, 0, 3]), "-30000");
    assert_eq!(whole(&[0xff, 0xfe]), -2);
}

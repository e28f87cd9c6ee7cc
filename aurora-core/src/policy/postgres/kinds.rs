//! Types of columns that are compared with members of an array.

/// Types between which `= ANY (array)` compares as `=` does.
pub(super) fn alike(left: &str, right: &str) -> bool {
    let family = |kind: &str| match kind.to_ascii_lowercase().as_str() {
        "smallint" | "integer" | "bigint" => Some("integer".to_owned()),
        "text" | "character varying" => Some("text".to_owned()),
        "uuid" => Some("uuid".to_owned()),
        _ => None,
    };
    family(left).is_some() && family(left) == family(right)
}

/// The least value of a type in the order of its indexes.
pub(super) fn least(kind: &str) -> Option<&'static str> {
    match kind.to_ascii_lowercase().as_str() {
        "smallint" => Some("'-32768'::smallint"),
        "integer" => Some("'-2147483648'::integer"),
        "bigint" => Some("'-9223372036854775808'::bigint"),
        "text" | "character varying" => Some("''::text"),
        "uuid" => Some("'00000000-0000-0000-0000-000000000000'::uuid"),
        _ => None,
    }
}

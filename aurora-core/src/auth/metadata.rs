use serde_json::{Map, Value};

use crate::types::{Code, Error, Result};
use crate::validate::strict_json;

/// Metadata travels in every access token and, with server-side rendering, in every cookie.
const LONGEST: usize = 4 * 1024;

/// Lays the members of `change` over those of `current`; `null` removes one. As Supabase does it.
pub(super) fn merge(current: &str, change: Option<&str>) -> Result<String> {
    let Some(change) = change else { return Ok(current.to_owned()) };
    let mut merged = object(current)?;
    for (name, value) in object(change)? {
        if value.is_null() {
            merged.remove(&name);
        } else {
            merged.insert(name, value);
        }
    }
    let text = Value::Object(merged).to_string();
    if text.len() > LONGEST {
        return Err(Error::new(Code::ValidationFailed, "`data` must not be longer than 4096 bytes in all"));
    }
    Ok(text)
}

pub(super) fn object(text: &str) -> Result<Map<String, Value>> {
    strict_json(text.as_bytes()).map_err(|error| {
        Error::new(Code::ValidationFailed, "`data` must be a JSON object").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_bounds() {
        assert_eq!(merge("{}", None).unwrap(), "{}");
        assert_eq!(merge(r#"{"a":1,"b":2}"#, Some(r#"{"b":null,"c":[3]}"#)).unwrap(), r#"{"a":1,"c":[3]}"#);
        for change in ["[]", "7", "{", r#"{"a":1,"a":2}"#, &format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST))] {
            assert_eq!(merge("{}", Some(change)).unwrap_err().code(), Code::ValidationFailed);
        }
    }
}

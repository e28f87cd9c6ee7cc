use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::types::{Code, Error, Result};

/// Reads one JSON value as `T`, more strictly than `serde_json` does: an object that names a member twice, at any
/// depth, is refused (two readers would take different ones), and so are bytes after the value, invalid UTF-8,
/// numbers beyond a double and nesting deeper than 128.
///
/// [`Code::BadJson`] for what is not such JSON; [`Code::ValidationFailed`], with the path of the field, for what
/// does not fit `T`. Neither message repeats a value.
///
/// ```
/// use aurora_core::validate::strict_json;
/// assert_eq!(strict_json::<Vec<u8>>(b"[1, 2]").unwrap(), [1, 2]);
/// assert!(strict_json::<std::collections::HashMap<String, u8>>(br#"{"a": 1, "a": 2}"#).is_err());
/// ```
pub fn strict_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice::<NoDuplicates>(bytes).map_err(|error| bad_json(&error))?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        Error::new(Code::ValidationFailed, misfit(&path, &error.inner().to_string()))
    })
}

fn bad_json(error: &serde_json::Error) -> Error {
    if let Some(name) = error.to_string().strip_prefix(TWICE) {
        let name: String =
            name.chars().take_while(|c| *c != '`').filter(|c| !c.is_control()).take(64).collect();
        return Error::new(Code::BadJson, format!("body names `{name}` twice"));
    }
    let (line, column) = (error.line(), error.column());
    Error::new(Code::BadJson, format!("body is not JSON (line {line}, column {column})"))
}

/// What does not fit, from serde's message but without its Rust names and the value.
fn misfit(path: &str, message: &str) -> String {
    let quoted = |prefix: &str| {
        message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(|name| {
            let parent = if path == "." { String::new() } else { format!("{path}.") };
            // An unknown field is already the end of the path.
            if parent.strip_suffix('.').is_some_and(|p| p == name || p.ends_with(&format!(".{name}"))) {
                path.to_owned()
            } else {
                format!("{parent}{name}")
            }
        })
    };
    let path_or = |path: &str| if path == "." { "body".to_owned() } else { format!("`{path}`") };
    if let Some(field) = quoted("missing field `") {
        format!("`{field}` is required")
    } else if let Some(field) = quoted("unknown field `") {
        format!("`{field}` is not a known field")
    } else if message.starts_with("unknown variant") || message.starts_with("invalid value") {
        format!("{} has a value that is not allowed", path_or(path))
    } else if message.starts_with("invalid length") {
        format!("{} has the wrong length", path_or(path))
    } else {
        format!("{} has the wrong type", path_or(path))
    }
}

const TWICE: &str = "member twice `";

/// Visits everything, keeps nothing, and fails on the second member of one name.
pub(crate) struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = NoDuplicates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_str<E>(self, _: &str) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_unit<E>(self) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NoDuplicates, A::Error> {
        while seq.next_element::<NoDuplicates>()?.is_some() {}
        Ok(NoDuplicates)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoDuplicates, A::Error> {
        let mut names = Names::default();
        while let Some(Text(name)) = map.next_key()? {
            map.next_value::<NoDuplicates>()?;
            names.add(name)?;
        }
        Ok(NoDuplicates)
    }
}

/// The names of one object's members.
#[derive(Default)]
pub(crate) struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    /// Objects are small: looking through a handful costs less than hashing does.
    const FEW: usize = 24;

    /// Fails on a name that was there before.
    pub(crate) fn add<E: serde::de::Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Err(E::custom(format!("{TWICE}{name}`")));
        }
        if self.few.is_empty() {
            // A token's claims in one allocation.
            self.few.reserve(16);
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

/// A string, lent by the input where it has no escapes.
pub(crate) struct Text<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Lend)
    }
}

struct Lend;

impl<'de> Visitor<'de> for Lend {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Note {
        title: String,
        #[serde(default)]
        tags: Vec<Tag>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Tag {
        name: String,
    }

    fn told(json: &str) -> (Code, String) {
        let error = strict_json::<Note>(json.as_bytes()).expect_err(json);
        (error.code(), error.message().to_owned())
    }

    #[test]
    fn names_the_field_and_never_the_value() {
        let bad =
            |json, text: &str| assert_eq!(told(json), (Code::ValidationFailed, text.to_owned()), "{json}");
        bad("{}", "`title` is required");
        bad(r#"{"title": 5}"#, "`title` has the wrong type");
        bad(r#"{"title": "a", "role": "admin"}"#, "`role` is not a known field");
        bad(r#"{"title": "a", "tags": [{"name": "x"}, {"name": 7}]}"#, "`tags[1].name` has the wrong type");
        bad(r#"{"title": "a", "tags": [{}]}"#, "`tags[0].name` is required");
        bad("[]", "body has the wrong length");
        bad("7", "body has the wrong type");
    }

    /// asvs(V1.5.3)
    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for json in [
            r#"{"title": "a", "title": "b"}"#,
            r#"{"title": "a", "tags": [{"name": "a", "na\u006de": "b"}]}"#,
            r#"{"title": "a"} {"#,
            r#"{"title": "a"}x"#,
            r#"{"title": 1e309}"#,
            "",
            "{'title': 1}",
            &deep,
        ] {
            assert_eq!(told(json).0, Code::BadJson, "{}", &json[..json.len().min(40)]);
        }
        assert!(strict_json::<Note>(b"{\"title\": \"\xff\"}").is_err());
        let many: String = (0..100).map(|n| format!(r#""m{n}": 0,"#)).collect();
        assert!(strict_json::<serde_json::Value>(format!(r#"{{{many}"last": 0}}"#).as_bytes()).is_ok());
        for twice in [0, 23, 24, 99] {
            let json = format!(r#"{{{many}"m{twice}": 0}}"#);
            assert!(strict_json::<serde_json::Value>(json.as_bytes()).is_err(), "m{twice}");
        }
        assert_eq!(told(r#"{"title": "a", "title": "b"}"#).1, "body names `title` twice");
    }
}

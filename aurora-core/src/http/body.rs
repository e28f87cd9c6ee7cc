use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types::{Code, Error, Result, Secret};
use crate::validate::strict_json;

// Members that are not named here are ignored: nobody becomes an administrator by writing `role` (attack P18).

#[derive(Deserialize)]
pub(super) struct SignUpBody {
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) data: Option<Map<String, Value>>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RecoverBody {
    pub(super) email: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct OtpBody {
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) create_user: Option<bool>,
    pub(super) data: Option<Map<String, Value>>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ResendBody {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct VerifyBody {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) token_hash: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct PkceBody {
    pub(super) auth_code: Option<Secret>,
    pub(super) code_verifier: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct PasswordBody {
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) password: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct RefreshBody {
    pub(super) refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct UserBody {
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) current_password: Option<Secret>,
    pub(super) nonce: Option<Secret>,
    pub(super) data: Option<Map<String, Value>>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
}

/// Reads a body that says it is JSON and holds an object, strictly
/// ([`strict_json`](crate::validate::strict_json())): the error names the field.
pub fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T> {
    if !is_json(headers) {
        return Err(Error::new(Code::UnsupportedMediaType, "Content-Type must be application/json"));
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        // Also an array: serde would read one as a struct, member by member.
        return Err(Error::new(Code::BadJson, "Could not parse request body as JSON: an object is expected"));
    }
    strict_json(body)
}

/// What is wrong with which field of a body that a host validated, by its `validator::ValidationErrors`: every field
/// in the order of their names; never the value.
pub fn tell_invalid(errors: &impl Serialize) -> Error {
    let told = serde_json::to_value(errors).map(|errors| tell(&errors, "")).unwrap_or_default();
    Error::new(Code::ValidationFailed, told.join("; "))
}

fn tell(errors: &Value, path: &str) -> Vec<String> {
    let mut told = Vec::new();
    for (name, kind) in errors.as_object().into_iter().flatten() {
        let field = format!("{path}{name}");
        match kind {
            Value::Array(wrong) => told.extend(wrong.iter().map(|error| match error["message"].as_str() {
                Some(message) => format!("`{field}` {message}"),
                None => format!("`{field}` fails `{}`", error["code"].as_str().unwrap_or("its check")),
            })),
            // The items of a list, by their places.
            Value::Object(items) if items.keys().all(|at| at.parse::<usize>().is_ok()) => {
                told.extend(items.iter().flat_map(|(at, inner)| tell(inner, &format!("{field}[{at}]."))));
            }
            inner => told.extend(tell(inner, &format!("{field}."))),
        }
    }
    told.sort();
    told
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let media_type = text.split_once(';').map_or(text, |(media_type, _)| media_type);
    media_type.trim().eq_ignore_ascii_case("application/json")
}

/// The only value of `name` in a query, decoded.
pub(super) fn decoded(query: Option<&str>, name: &str) -> Result<Option<String>> {
    let Some(value) = parameter(query, name)? else { return Ok(None) };
    let pair = format!("a={value}");
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
    Ok(decoded)
}

/// The fields of a form that a page of ours posts, each once.
pub(super) fn form(headers: &HeaderMap, body: &[u8]) -> Result<Vec<(String, String)>> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let is_form = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().is_ok_and(|text| {
            let media_type = text.split_once(';').map_or(text, |(media_type, _)| media_type);
            media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        }),
        _ => false,
    };
    if !is_form {
        let sentence = "Content-Type must be application/x-www-form-urlencoded";
        return Err(Error::new(Code::UnsupportedMediaType, sentence));
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(body).take(16) {
        if fields.iter().any(|(found, _)| *found == name) {
            return Err(Error::new(Code::ValidationFailed, "a field stands twice in the form"));
        }
        fields.push((name.into_owned(), value.into_owned()));
    }
    Ok(fields)
}

/// The only value of `name` in a query. Names and values of ours need no decoding.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Result<Option<&'a str>> {
    let mut values = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Error::new(Code::ValidationFailed, format!("`{name}` stands twice in the query"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(value));
        headers
    }

    /// attacks S06, V02, asvs(V3.5.2)
    #[test]
    fn only_json_that_says_so() {
        let code = |content_type, body: &[u8]| {
            read_json::<PasswordBody>(&typed(content_type), body).err().map(|e| e.code())
        };
        assert_eq!(code("application/json;charset=UTF-8", b"{\"email\":\"a@b\"}"), None);
        assert_eq!(code("Application/JSON", b" {}"), None);
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/json, text/plain", ""]
        {
            assert_eq!(code(content_type, b"{}"), Some(Code::UnsupportedMediaType), "{content_type}");
        }
        for body in
            [&b""[..], b"[]", b"null", b"{", b"{\"email\":\"a\",\"email\":\"b\"}", b"{\"email\":\"\xff\"}"]
        {
            assert_eq!(code("application/json", body), Some(Code::BadJson), "{body:?}");
        }
        assert_eq!(code("application/json", b"{\"email\":7}"), Some(Code::ValidationFailed));
    }

    /// asvs(V15.3.7)
    #[test]
    fn parameters_stand_once() {
        assert_eq!(parameter(Some("a=1&grant_type=password"), "grant_type").unwrap(), Some("password"));
        assert_eq!(parameter(None, "grant_type").unwrap(), None);
        assert!(parameter(Some("a=1&a=2"), "a").is_err());
    }
}

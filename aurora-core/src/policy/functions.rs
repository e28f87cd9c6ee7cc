//! The SQL functions that lowered policies call, as plain Rust over SQLite's five kinds of value.
//!
//! The guard registers every entry of [`FUNCTIONS`] under the name that [`Names::function`](super::Names)
//! gives for [`Function::name`], with [`Function::arity`] arguments (`None`: any number), all as
//! `SQLITE_INNOCUOUS` and, where [`Function::deterministic`] says so, `SQLITE_DETERMINISTIC`.
//!
//! | name | arity | gives |
//! | --- | --- | --- |
//! | `auth_uid_text` | 0 | the user's id, hyphenated and lower-case; NULL for nobody |
//! | `auth_uid_blob` | 0 | the same as 16 bytes |
//! | `auth_email` | 0 | claim `email`; NULL if absent |
//! | `auth_tenant` | 0 | the principal's tenant; NULL if none |
//! | `auth_jwt_json` | any | the claims at that path as JSON text (PostgreSQL's `->`); the whole without arguments |
//! | `auth_jwt_text` | any | the claims at that path as text (`->>`): strings bare, `true`, `12`, JSON null is NULL |
//! | `aurora_now` | 0 | the statement's time in microseconds since 1970 |
//! | `aurora_time` | 1 | a stored time in microseconds: ISO text, integer or real seconds; error 22007 |
//! | `aurora_uuid` | 1 | text or 16 bytes as hyphenated lower-case text; error 22P02 |
//! | `aurora_uuid_blob` | 1 | text or 16 bytes as 16 bytes; error 22P02 |
//! | `aurora_bool` | 1 | text as 0 or 1 as PostgreSQL reads it; error 22P02 |
//! | `aurora_int` | 1 | text as an integer; error 22P02 |
//! | `aurora_json` | 2 | `value -> key`: JSON text; NULL where the key is absent; error 22P02 on malformed JSON |
//! | `aurora_json_text` | 2 | `value ->> key` |
//! | `aurora_jsonb` | 1 | one spelling for equal JSON values; error 22P02 |
//! | `aurora_json_quote` | 1 | text as a JSON string |
//! | `aurora_like` | 3 | `like(value, pattern, escape)`, case-sensitive; an empty escape is none; error 22025 |
//! | `aurora_ilike` | 3 | the same without case |
//! | `aurora_lower`, `aurora_upper`, `aurora_length` | 1 | over Unicode characters |
//! | `aurora_add`, `_subtract`, `_multiply`, `_divide`, `_remainder` | 2 | on integers; errors 22003, 22012 |
//! | `aurora_raise` | 1 | never a value: its argument is the error |
//!
//! Every function but `aurora_raise` answers NULL when an argument is NULL. An error's text starts with its
//! SQLSTATE and a blank and holds no value of any row.

use serde_json::Value as Json;

use super::pattern;
use super::values;
use crate::types::{Principal, Timestamp};

/// One of SQLite's five kinds of value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// An integer.
    Integer(i64),
    /// A float.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Who asks: what the identity functions read. Built once per principal; the claims are parsed here.
#[derive(Clone, Debug)]
pub struct Claims {
    uid: Option<[u8; 16]>,
    tenant: Option<String>,
    claims: Json,
}

impl Claims {
    /// The claims of a principal. Claims that are no JSON object read as empty.
    pub fn of(principal: &Principal) -> Self {
        Self {
            uid: principal.user_id().and_then(|id| values::uuid(&id.to_string())),
            tenant: principal.tenant().map(ToString::to_string),
            claims: serde_json::from_str(principal.claims()).unwrap_or(Json::Null),
        }
    }
}

/// What a function gives, or the text of its error.
pub type Answer = Result<Value, String>;

/// How a function is computed.
#[derive(Clone, Copy)]
pub enum Body {
    /// From its arguments alone.
    Pure(fn(&[Value]) -> Answer),
    /// From the connection's current identity and its arguments.
    Identity(fn(&Claims, &[Value]) -> Answer),
    /// From the time at which the statement began.
    Clock(fn(Timestamp) -> Value),
}

/// A function that the guard registers.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name in lowered text before [`Names::function`](super::Names) changes it.
    pub name: &'static str,
    /// The number of arguments; `None` for any.
    pub arity: Option<u8>,
    /// It may carry `SQLITE_DETERMINISTIC`.
    pub deterministic: bool,
    /// How it is computed.
    pub body: Body,
}

macro_rules! functions {
    ($($variant:ident = $name:literal, $arity:expr, $deterministic:literal, $body:expr;)+) => {
        /// The functions by name, for the typed form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum FunctionName { $($variant,)+ }

        impl FunctionName {
            pub(super) fn as_str(self) -> &'static str {
                match self { $(FunctionName::$variant => $name,)+ }
            }
        }

        /// Every function that lowered text may call.
        pub const FUNCTIONS: &[Function] = &[$(Function {
            name: $name, arity: $arity, deterministic: $deterministic, body: $body,
        },)+];
    };
}

functions! {
    UidText = "auth_uid_text", Some(0), true, Body::Identity(uid_text);
    UidBlob = "auth_uid_blob", Some(0), true, Body::Identity(uid_blob);
    Email = "auth_email", Some(0), true, Body::Identity(email);
    Tenant = "auth_tenant", Some(0), true, Body::Identity(tenant);
    JwtJson = "auth_jwt_json", None, true, Body::Identity(jwt_json);
    JwtText = "auth_jwt_text", None, true, Body::Identity(jwt_text);
    Now = "aurora_now", Some(0), true, Body::Clock(now);
    Time = "aurora_time", Some(1), true, Body::Pure(time);
    Uuid = "aurora_uuid", Some(1), true, Body::Pure(uuid);
    UuidBlob = "aurora_uuid_blob", Some(1), true, Body::Pure(uuid_blob);
    Bool = "aurora_bool", Some(1), true, Body::Pure(bool);
    Int = "aurora_int", Some(1), true, Body::Pure(int);
    Json = "aurora_json", Some(2), true, Body::Pure(json);
    JsonText = "aurora_json_text", Some(2), true, Body::Pure(json_text);
    Jsonb = "aurora_jsonb", Some(1), true, Body::Pure(jsonb);
    JsonQuote = "aurora_json_quote", Some(1), true, Body::Pure(json_quote);
    Like = "aurora_like", Some(3), true, Body::Pure(like);
    ILike = "aurora_ilike", Some(3), true, Body::Pure(ilike);
    Lower = "aurora_lower", Some(1), true, Body::Pure(lower);
    Upper = "aurora_upper", Some(1), true, Body::Pure(upper);
    Length = "aurora_length", Some(1), true, Body::Pure(length);
    Add = "aurora_add", Some(2), true, Body::Pure(add);
    Subtract = "aurora_subtract", Some(2), true, Body::Pure(subtract);
    Multiply = "aurora_multiply", Some(2), true, Body::Pure(multiply);
    Divide = "aurora_divide", Some(2), true, Body::Pure(divide);
    Remainder = "aurora_remainder", Some(2), true, Body::Pure(remainder);
    // Not deterministic: SQLite computes constant calls ahead of the CASE branch they stand in.
    Raise = "aurora_raise", Some(1), false, Body::Pure(raise);
}

fn uid_text(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.uid.map_or(Value::Null, |uid| Value::Text(values::uuid_text(&uid))))
}

fn uid_blob(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.uid.map_or(Value::Null, |uid| Value::Blob(uid.to_vec())))
}

fn email(claims: &Claims, _: &[Value]) -> Answer {
    Ok(as_text(claims.claims.get("email")))
}

fn tenant(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.tenant.clone().map_or(Value::Null, Value::Text))
}

fn jwt_json(claims: &Claims, path: &[Value]) -> Answer {
    Ok(as_json(walk(Some(&claims.claims), path)))
}

fn jwt_text(claims: &Claims, path: &[Value]) -> Answer {
    Ok(as_text(walk(Some(&claims.claims), path)))
}

fn now(now: Timestamp) -> Value {
    Value::Integer(now.as_micros())
}

fn walk<'a>(mut at: Option<&'a Json>, path: &[Value]) -> Option<&'a Json> {
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
        _ => None,
    }
}

fn as_json(value: Option<&Json>) -> Value {
    value.map_or(Value::Null, |value| {
        let mut text = String::new();
        values::write_jsonb(value, &mut text);
        Value::Text(text)
    })
}

fn as_text(value: Option<&Json>) -> Value {
    match value {
        None | Some(Json::Null) => Value::Null,
        Some(Json::String(text)) => Value::Text(text.clone()),
        other => as_json(other),
    }
}

/// The single argument, or an answer for NULL and wrong counts.
fn one(arguments: &[Value]) -> Option<&Value> {
    arguments.first().filter(|value| **value != Value::Null)
}

fn time(arguments: &[Value]) -> Answer {
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

fn uuid_bytes(value: &Value) -> Result<[u8; 16], String> {
    match value {
        Value::Text(text) => values::uuid(text),
        Value::Blob(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    }
    .ok_or_else(|| "22P02 invalid input syntax for type uuid".to_owned())
}

fn uuid(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    uuid_bytes(value).map(|bytes| Value::Text(values::uuid_text(&bytes)))
}

fn uuid_blob(arguments: &[Value]) -> Answer {
    let Some(value) = one(arguments) else { return Ok(Value::Null) };
    uuid_bytes(value).map(|bytes| Value::Blob(bytes.to_vec()))
}

/// Applies `read` to a text argument.
fn read(arguments: &[Value], kind: &str, read: impl Fn(&str) -> Option<Value>) -> Answer {
    match one(arguments) {
        None => return Ok(Value::Null),
        Some(Value::Text(text)) => read(text),
        Some(Value::Integer(number)) => read(&number.to_string()),
        Some(Value::Real(number)) => read(&number.to_string()),
        Some(_) => None,
    }
    .ok_or_else(|| format!("22P02 invalid input syntax for type {kind}"))
}

fn bool(arguments: &[Value]) -> Answer {
    read(arguments, "boolean", |text| values::bool(text).map(|value| Value::Integer(value.into())))
}

fn int(arguments: &[Value]) -> Answer {
    read(arguments, "integer", |text| values::integer(text).map(Value::Integer))
}

fn jsonb(arguments: &[Value]) -> Answer {
    read(arguments, "json", |text| values::jsonb(text).map(Value::Text))
}

fn json_quote(arguments: &[Value]) -> Answer {
    read(arguments, "text", |text| Some(Value::Text(Json::from(text).to_string())))
}

fn field(arguments: &[Value], answer: fn(Option<&Json>) -> Value) -> Answer {
    let (Some(value), Some(key)) = (one(arguments), one(arguments.get(1..).unwrap_or_default())) else {
        return Ok(Value::Null);
    };
    let parsed = match value {
        Value::Text(text) => serde_json::from_str(text).ok(),
        Value::Integer(number) => Some(Json::from(*number)),
        Value::Real(number) => Some(Json::from(*number)),
        _ => None,
    };
    let parsed: Json = parsed.ok_or_else(|| "22P02 invalid input syntax for type json".to_owned())?;
    Ok(answer(step(&parsed, key)))
}

fn json(arguments: &[Value]) -> Answer {
    field(arguments, as_json)
}

fn json_text(arguments: &[Value]) -> Answer {
    field(arguments, as_text)
}

/// The text of each argument; `None` if any is NULL.
fn texts(arguments: &[Value]) -> Result<Option<Vec<&str>>, String> {
    let mut texts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument {
            Value::Null => return Ok(None),
            Value::Text(text) => texts.push(text.as_str()),
            _ => return Err("42883 operator needs text".to_owned()),
        }
    }
    Ok(Some(texts))
}

fn like(arguments: &[Value]) -> Answer {
    matching(arguments, false)
}

fn ilike(arguments: &[Value]) -> Answer {
    matching(arguments, true)
}

fn matching(arguments: &[Value], fold: bool) -> Answer {
    let Some(texts) = texts(arguments)? else { return Ok(Value::Null) };
    let [value, pattern, escape] = texts.as_slice() else {
        return Err("42883 like takes three arguments".to_owned());
    };
    let fold = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    let matched = pattern::like(&fold(value), &fold(pattern), fold(escape).chars().next())?;
    Ok(Value::Integer(matched.into()))
}

fn map_text(arguments: &[Value], map: impl Fn(&str) -> Value) -> Answer {
    Ok(texts(arguments)?.and_then(|texts| texts.first().map(|text| map(text))).unwrap_or(Value::Null))
}

fn lower(arguments: &[Value]) -> Answer {
    map_text(arguments, |text| Value::Text(text.to_lowercase()))
}

fn upper(arguments: &[Value]) -> Answer {
    map_text(arguments, |text| Value::Text(text.to_uppercase()))
}

fn length(arguments: &[Value]) -> Answer {
    map_text(arguments, |text| Value::Integer(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)))
}

fn arithmetic(arguments: &[Value], apply: fn(i64, i64) -> Option<i64>) -> Answer {
    match arguments {
        [Value::Integer(left), Value::Integer(right)] => {
            apply(*left, *right).map(Value::Integer).ok_or_else(|| "22003 bigint out of range".to_owned())
        }
        [Value::Null, _] | [_, Value::Null] => Ok(Value::Null),
        _ => Err("42883 operator needs integers".to_owned()),
    }
}

fn add(arguments: &[Value]) -> Answer {
    arithmetic(arguments, i64::checked_add)
}

fn subtract(arguments: &[Value]) -> Answer {
    arithmetic(arguments, i64::checked_sub)
}

fn multiply(arguments: &[Value]) -> Answer {
    arithmetic(arguments, i64::checked_mul)
}

fn divide(arguments: &[Value]) -> Answer {
    by_zero(arguments)?;
    arithmetic(arguments, i64::checked_div)
}

fn remainder(arguments: &[Value]) -> Answer {
    by_zero(arguments)?;
    // i64::MIN % -1 is 0 in PostgreSQL.
    arithmetic(arguments, |left, right| Some(left.wrapping_rem(right)))
}

fn by_zero(arguments: &[Value]) -> Result<(), String> {
    match arguments {
        [Value::Integer(_), Value::Integer(0)] => Err("22012 division by zero".to_owned()),
        _ => Ok(()),
    }
}

fn raise(arguments: &[Value]) -> Answer {
    match arguments.first() {
        Some(Value::Text(text)) => Err(text.clone()),
        _ => Err("XX000 internal error".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: &[Value]) -> Answer {
        let found = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        let claims = r#"{"sub":"x","email":"a@b.c","app_metadata":{"role":"admin","level":7,"on":true,"none":null,
                         "teams":["x","y"]}}"#;
        let user = "0d6a1e5c-1111-4111-8111-00000000000a".parse().unwrap();
        let mut identity = Claims::of(&Principal::user(user));
        identity.claims = serde_json::from_str(claims).unwrap();
        match found.body {
            Body::Pure(body) => body(arguments),
            Body::Identity(body) => body(&identity, arguments),
            Body::Clock(body) => Ok(body(Timestamp::from_micros(5))),
        }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn identity_is_the_principals() {
        assert_eq!(call("auth_uid_text", &[]), Ok(text("0d6a1e5c-1111-4111-8111-00000000000a")));
        let Ok(Value::Blob(bytes)) = call("auth_uid_blob", &[]) else { panic!("no blob") };
        assert_eq!((bytes.len(), bytes.first()), (16, Some(&0x0d)));
        assert_eq!(uid_text(&Claims::of(&Principal::anonymous()), &[]), Ok(Value::Null));
        assert_eq!(call("auth_email", &[]), Ok(text("a@b.c")));
        assert_eq!(call("auth_tenant", &[]), Ok(Value::Null));
        assert_eq!(call("aurora_now", &[]), Ok(Value::Integer(5)));
    }

    #[test]
    fn claims_have_postgresql_text() {
        let path = |name, key| call(name, &[text("app_metadata"), key]);
        assert_eq!(path("auth_jwt_text", text("role")), Ok(text("admin")));
        assert_eq!(path("auth_jwt_json", text("role")), Ok(text("\"admin\"")));
        assert_eq!(path("auth_jwt_text", text("level")), Ok(text("7")));
        assert_eq!(path("auth_jwt_text", text("on")), Ok(text("true")));
        assert_eq!(path("auth_jwt_text", text("none")), Ok(Value::Null));
        assert_eq!(path("auth_jwt_json", text("none")), Ok(text("null")));
        assert_eq!(path("auth_jwt_text", text("absent")), Ok(Value::Null));
        assert_eq!(path("auth_jwt_text", Value::Integer(0)), Ok(Value::Null));
        let last = [text("app_metadata"), text("teams"), Value::Integer(-1)];
        assert_eq!(call("auth_jwt_text", &last), Ok(text("y")));
    }

    #[test]
    fn like_is_postgresqls() {
        let like =
            |value: &str, pattern: &str| call("aurora_like", &[text(value), text(pattern), text("\\")]);
        for (value, pattern) in
            [("abc", "a%"), ("abc", "_b_"), ("a%c", "a\\%c"), ("", "%"), ("ababac", "%ab%ac"), ("é", "_")]
        {
            assert_eq!(like(value, pattern), Ok(Value::Integer(1)), "{value} {pattern}");
        }
        for (value, pattern) in [("ABC", "a%"), ("abc", "a\\%"), ("abc", "ab"), ("", "_")] {
            assert_eq!(like(value, pattern), Ok(Value::Integer(0)), "{value} {pattern}");
        }
        for (value, pattern) in [("ab", "a\\"), ("b", "%\\"), ("ab", "_\\"), ("b", "%_\\")] {
            assert!(like(value, pattern).unwrap_err().starts_with("22025 "), "{value} {pattern}");
        }
        // PostgreSQL 15 does not come to the end of the pattern here.
        for (value, pattern) in [("a", "a\\"), ("b", "a\\"), ("", "%\\"), ("a", "a%\\")] {
            assert_eq!(like(value, pattern), Ok(Value::Integer(0)), "{value} {pattern}");
        }
        assert_eq!(call("aurora_ilike", &[text("ABC"), text("a%"), text("")]), Ok(Value::Integer(1)));
        assert_eq!(call("aurora_like", &[Value::Null, text("a"), text("")]), Ok(Value::Null));
    }

    #[test]
    fn arithmetic_raises_where_sqlite_would_not() {
        let (one, zero, most) = (Value::Integer(1), Value::Integer(0), Value::Integer(i64::MAX));
        assert!(call("aurora_divide", &[one.clone(), zero.clone()]).unwrap_err().starts_with("22012 "));
        assert!(call("aurora_remainder", &[one.clone(), zero]).unwrap_err().starts_with("22012 "));
        assert!(call("aurora_add", &[one.clone(), most]).unwrap_err().starts_with("22003 "));
        assert_eq!(call("aurora_divide", &[Value::Integer(-7), Value::Integer(2)]), Ok(Value::Integer(-3)));
        assert_eq!(call("aurora_add", &[one, Value::Null]), Ok(Value::Null));
    }

    #[test]
    fn errors_carry_a_code_and_no_value() {
        for name in
            ["aurora_uuid", "aurora_uuid_blob", "aurora_bool", "aurora_int", "aurora_jsonb", "aurora_time"]
        {
            let error = call(name, &[text("hidden{")]).unwrap_err();
            assert!(error.starts_with("22") && !error.contains("hidden"), "{error}");
            assert_eq!(call(name, &[Value::Null]), Ok(Value::Null), "{name}");
        }
        assert!(
            call("aurora_json", &[text("hidden{"), text("a")]).is_err_and(|error| !error.contains("hidden"))
        );
        assert_eq!(call("aurora_raise", &[text("21000 x")]), Err("21000 x".to_owned()));
    }

    #[test]
    fn uuids_change_form() {
        let canonical = text("0d6a1e5c-1111-4111-8111-00000000000a");
        let Ok(blob) = call("aurora_uuid_blob", &[text("0D6A1E5C-1111-4111-8111-00000000000A")]) else {
            panic!()
        };
        assert_eq!(call("aurora_uuid", &[blob]), Ok(canonical));
    }
}

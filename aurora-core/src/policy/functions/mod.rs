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
//! | `auth_topic` | 0 | the topic being subscribed to; NULL elsewhere |
//! | `aurora_regex` | 3 | `regex(value, pattern, fold)`: `~`, and `~*` where fold is 1; errors 2201B, 0A000 |
//! | `aurora_float`, `aurora_int_fit`, `aurora_label`, `aurora_rank` | | casts to double precision, small integers, enums |
//! | `aurora_array..`, `aurora_any_of`, `aurora_all_of`, .. | | arrays, which are JSON text here; see below |
//! | `aurora_json_..` | | the operators `@>`, `?`, `#>` of jsonb and its casts |
//! | `aurora_date`, `aurora_time_add`, .. | | days, months and parts of moments |
//! | `aurora_split_part`, `aurora_substr`, .. | | text functions of the same names |
//! | `storage_..` | 1 | the functions of Supabase's storage schema |
//! | `host_0`, `host_1`, .. | any | what [`Policies::with_function`](super::Policies::with_function) registered |
//! | `aurora_raise` | 1 | never a value: its argument is the error |
//!
//! An array is JSON text, `["a", null]`; a uuid in it is text. Where a function takes the word for its elements it
//! is `text`, `uuid`, `integer`, `boolean` or `double precision`.
//!
//! Every function answers NULL when an argument is NULL but for those that PostgreSQL has otherwise (`concat`,
//! `greatest`, an array of NULLs, `NULL = ANY ('{}')`) and `aurora_raise`. An error's text starts with its SQLSTATE
//! and a blank and holds no value of any row.

mod arrays;
mod json;
mod scalar;
mod text;
mod time;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value as Json;

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
    topic: Option<String>,
    claims: Json,
}

impl Claims {
    /// The claims of a principal. Claims that are no JSON object read as empty.
    pub fn of(principal: &Principal) -> Self {
        Self {
            uid: principal.user_id().and_then(|id| values::uuid(&id.to_string())),
            tenant: principal.tenant().map(ToString::to_string),
            topic: None,
            claims: serde_json::from_str(principal.claims()).unwrap_or(Json::Null),
        }
    }

    /// The same for a subscription to a topic: what `realtime.topic()` gives, which is NULL elsewhere.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }
}

/// What a function gives, or the text of its error.
pub type Answer = Result<Value, String>;

/// A function of the host's.
pub type HostBody = Arc<dyn Fn(&[Value]) -> Answer + Send + Sync>;

/// How a function is computed.
#[derive(Clone)]
pub enum Body {
    /// From its arguments alone.
    Pure(fn(&[Value]) -> Answer),
    /// From the connection's current identity and its arguments.
    Identity(fn(&Claims, &[Value]) -> Answer),
    /// From the time at which the statement began.
    Clock(fn(Timestamp) -> Value),
    /// By the host, from its arguments alone.
    Host(HostBody),
}

/// A function that the guard registers.
#[derive(Clone)]
pub struct Function {
    /// Its name in lowered text before [`Names::function`](super::Names) changes it.
    pub name: Cow<'static, str>,
    /// The number of arguments; `None` for any.
    pub arity: Option<u8>,
    /// It may carry `SQLITE_DETERMINISTIC`.
    pub deterministic: bool,
    /// How it is computed.
    pub body: Body,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("arity", &self.arity)
            .finish_non_exhaustive()
    }
}

macro_rules! functions {
    ($($variant:ident = $name:literal, $arity:expr, $deterministic:literal, $body:expr;)+) => {
        /// The functions by name, for the typed form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum FunctionName {
            $($variant,)+
            /// One of the host's, by its position.
            Host(usize),
        }

        impl FunctionName {
            pub(super) fn as_str(self) -> Cow<'static, str> {
                match self {
                    $(FunctionName::$variant => Cow::Borrowed($name),)+
                    FunctionName::Host(at) => Cow::Owned(format!("host_{at}")),
                }
            }
        }

        /// Every function that lowered text may call, those of the host left out.
        pub const FUNCTIONS: &[Function] = &[$(Function {
            name: Cow::Borrowed($name), arity: $arity, deterministic: $deterministic, body: $body,
        },)+];
    };
}

functions! {
    UidText = "auth_uid_text", Some(0), true, Body::Identity(uid_text);
    UidBlob = "auth_uid_blob", Some(0), true, Body::Identity(uid_blob);
    Email = "auth_email", Some(0), true, Body::Identity(email);
    Tenant = "auth_tenant", Some(0), true, Body::Identity(tenant);
    Topic = "auth_topic", Some(0), true, Body::Identity(topic);
    JwtJson = "auth_jwt_json", None, true, Body::Identity(jwt_json);
    JwtText = "auth_jwt_text", None, true, Body::Identity(jwt_text);
    Now = "aurora_now", Some(0), true, Body::Clock(now);
    Time = "aurora_time", Some(1), true, Body::Pure(time::time);
    Date = "aurora_date", Some(1), true, Body::Pure(time::date);
    Day = "aurora_day", Some(1), true, Body::Pure(time::day);
    DateText = "aurora_date_text", Some(1), true, Body::Pure(time::date_text);
    TimeAdd = "aurora_time_add", Some(3), true, Body::Pure(time::add);
    DatePart = "aurora_date_part", Some(2), true, Body::Pure(time::part);
    DateTrunc = "aurora_date_trunc", Some(2), true, Body::Pure(time::trunc);
    // Known apart when policies are compiled; nothing of it is left to run.
    Interval = "aurora_interval", Some(2), true, Body::Pure(raise);
    Uuid = "aurora_uuid", Some(1), true, Body::Pure(scalar::uuid);
    UuidBlob = "aurora_uuid_blob", Some(1), true, Body::Pure(scalar::uuid_blob);
    Bool = "aurora_bool", Some(1), true, Body::Pure(scalar::bool);
    Int = "aurora_int", Some(1), true, Body::Pure(scalar::int);
    IntFit = "aurora_int_fit", Some(2), true, Body::Pure(scalar::int_fit);
    Float = "aurora_float", Some(1), true, Body::Pure(scalar::float);
    Label = "aurora_label", None, true, Body::Pure(scalar::label);
    Rank = "aurora_rank", None, true, Body::Pure(scalar::rank);
    Greatest = "aurora_greatest", None, true, Body::Pure(scalar::greatest);
    Least = "aurora_least", None, true, Body::Pure(scalar::least);
    Abs = "aurora_abs", Some(1), true, Body::Pure(scalar::abs);
    Json = "aurora_json", Some(2), true, Body::Pure(json::json);
    JsonText = "aurora_json_text", Some(2), true, Body::Pure(json::json_text);
    JsonPath = "aurora_json_path", Some(2), true, Body::Pure(json::path);
    JsonPathText = "aurora_json_path_text", Some(2), true, Body::Pure(json::path_text);
    JsonContains = "aurora_json_contains", Some(2), true, Body::Pure(json::contains);
    JsonHas = "aurora_json_has", Some(2), true, Body::Pure(json::has);
    JsonHasAny = "aurora_json_has_any", Some(2), true, Body::Pure(json::has_any);
    JsonHasAll = "aurora_json_has_all", Some(2), true, Body::Pure(json::has_all);
    JsonInt = "aurora_json_int", Some(1), true, Body::Pure(json::integer);
    JsonBool = "aurora_json_bool", Some(1), true, Body::Pure(json::boolean);
    JsonType = "aurora_json_typeof", Some(1), true, Body::Pure(json::type_of);
    JsonLength = "aurora_json_array_length", Some(1), true, Body::Pure(json::array_length);
    Jsonb = "aurora_jsonb", Some(1), true, Body::Pure(json::jsonb);
    JsonQuote = "aurora_json_quote", Some(1), true, Body::Pure(json::json_quote);
    ArrayOf = "aurora_array", None, true, Body::Pure(arrays::of);
    ArrayCast = "aurora_array_cast", Some(2), true, Body::Pure(arrays::cast);
    ArrayElement = "aurora_array_element", Some(3), true, Body::Pure(arrays::element);
    ArrayContains = "aurora_array_contains", Some(3), true, Body::Pure(arrays::contains);
    ArrayOverlaps = "aurora_array_overlaps", Some(3), true, Body::Pure(arrays::overlaps);
    ArrayLength = "aurora_array_length", Some(2), true, Body::Pure(arrays::length);
    Cardinality = "aurora_cardinality", Some(1), true, Body::Pure(arrays::cardinality);
    StringToArray = "aurora_string_to_array", Some(2), true, Body::Pure(arrays::split);
    AnyOf = "aurora_any_of", Some(4), true, Body::Pure(arrays::any_of);
    AllOf = "aurora_all_of", Some(4), true, Body::Pure(arrays::all_of);
    Foldername = "storage_foldername", Some(1), true, Body::Pure(text::foldername);
    Filename = "storage_filename", Some(1), true, Body::Pure(text::filename);
    Extension = "storage_extension", Some(1), true, Body::Pure(text::extension);
    Like = "aurora_like", Some(3), true, Body::Pure(scalar::like);
    ILike = "aurora_ilike", Some(3), true, Body::Pure(scalar::ilike);
    Regex = "aurora_regex", Some(3), true, Body::Pure(scalar::regex_match);
    Lower = "aurora_lower", Some(1), true, Body::Pure(scalar::lower);
    Upper = "aurora_upper", Some(1), true, Body::Pure(scalar::upper);
    Length = "aurora_length", Some(1), true, Body::Pure(scalar::length);
    SplitPart = "aurora_split_part", Some(3), true, Body::Pure(text::split_part);
    Substr = "aurora_substr", None, true, Body::Pure(text::substr);
    Left = "aurora_left", Some(2), true, Body::Pure(text::left);
    Right = "aurora_right", Some(2), true, Body::Pure(text::right);
    Replace = "aurora_replace", Some(3), true, Body::Pure(text::replace);
    Strpos = "aurora_strpos", Some(2), true, Body::Pure(text::strpos);
    StartsWith = "aurora_starts_with", Some(2), true, Body::Pure(text::starts_with);
    Btrim = "aurora_btrim", None, true, Body::Pure(text::btrim);
    Ltrim = "aurora_ltrim", None, true, Body::Pure(text::ltrim);
    Rtrim = "aurora_rtrim", None, true, Body::Pure(text::rtrim);
    Concat = "aurora_concat", None, true, Body::Pure(text::concat);
    ConcatWs = "aurora_concat_ws", None, true, Body::Pure(text::concat_ws);
    Add = "aurora_add", Some(2), true, Body::Pure(scalar::add);
    Subtract = "aurora_subtract", Some(2), true, Body::Pure(scalar::subtract);
    Multiply = "aurora_multiply", Some(2), true, Body::Pure(scalar::multiply);
    Divide = "aurora_divide", Some(2), true, Body::Pure(scalar::divide);
    Remainder = "aurora_remainder", Some(2), true, Body::Pure(scalar::remainder);
    // Not deterministic: SQLite computes constant calls ahead of the CASE branch they stand in.
    Raise = "aurora_raise", Some(1), false, Body::Pure(raise);
}

/// `aurora_time` of the spelling that nearly every stored time has, read where it lies; all else is for the function.
pub(crate) fn plain_time(text: &[u8]) -> Option<i64> {
    values::plain_time(text)
}

/// What [`plain_time`] is of.
pub(crate) const TIME: &str = "aurora_time";

/// `aurora_any_of` of text and an array of plain texts, read where they lie; all else is for the function.
pub(crate) fn plain_any(value: &[u8], op: &[u8], array: &[u8], word: &[u8]) -> Option<bool> {
    (op == b"=" && word == b"text").then(|| arrays::plain_any(value, array)).flatten()
}

/// What [`plain_any`] is of.
pub(crate) const ANY: &str = "aurora_any_of";

impl FunctionName {
    /// NULL among its arguments makes it NULL, whatever the others are.
    pub(super) fn is_strict(self) -> bool {
        !matches!(
            self,
            FunctionName::Raise
                | FunctionName::Interval
                | FunctionName::Greatest
                | FunctionName::Least
                | FunctionName::ArrayOf
                | FunctionName::AnyOf
                | FunctionName::AllOf
                | FunctionName::StringToArray
                | FunctionName::Concat
                | FunctionName::ConcatWs
                | FunctionName::Host(_)
        )
    }

    /// The same for the whole statement: who asks, and when.
    pub(super) fn is_context(self) -> bool {
        matches!(
            self,
            FunctionName::UidText
                | FunctionName::UidBlob
                | FunctionName::Email
                | FunctionName::Tenant
                | FunctionName::Topic
                | FunctionName::JwtJson
                | FunctionName::JwtText
                | FunctionName::Now
        )
    }
}

fn uid_text(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.uid.map_or(Value::Null, |uid| Value::Text(values::uuid_text(&uid))))
}

fn uid_blob(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.uid.map_or(Value::Null, |uid| Value::Blob(uid.to_vec())))
}

fn email(claims: &Claims, _: &[Value]) -> Answer {
    Ok(json::as_text(claims.claims.get("email")))
}

fn tenant(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.tenant.clone().map_or(Value::Null, Value::Text))
}

fn topic(claims: &Claims, _: &[Value]) -> Answer {
    Ok(claims.topic.clone().map_or(Value::Null, Value::Text))
}

fn jwt_json(claims: &Claims, path: &[Value]) -> Answer {
    Ok(json::as_json(json::walk(Some(&claims.claims), path)))
}

fn jwt_text(claims: &Claims, path: &[Value]) -> Answer {
    Ok(json::as_text(json::walk(Some(&claims.claims), path)))
}

fn now(now: Timestamp) -> Value {
    Value::Integer(now.as_micros())
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
        match &found.body {
            Body::Pure(body) => body(arguments),
            Body::Identity(body) => body(&identity, arguments),
            Body::Clock(body) => Ok(body(Timestamp::from_micros(5))),
            Body::Host(body) => body(arguments),
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
    fn plain_arrays_are_asked_as_any_other() {
        let (mut read, mut left) = (0, 0);
        for array in [
            "[]",
            r#"["a"]"#,
            r#"["b","a"]"#,
            r#"["ab","", "a"]"#,
            r#"["b","é"]"#,
            r#"["\u0061"]"#,
            r#"["a",null]"#,
            r#"["a",1]"#,
            r#"["a"] "#,
            r#"["a",]"#,
            r#"["a"]]"#,
            r#"["a""#,
            "",
            "[",
            "null",
            r#"{"a":1}"#,
            r#"["a","a]"#,
        ] {
            for value in ["a", "", "b", "é", "1"] {
                let slow = call("aurora_any_of", &[text(value), text("="), text(array), text("text")]);
                match plain_any(value.as_bytes(), b"=", array.as_bytes(), b"text") {
                    Some(found) => {
                        assert_eq!(slow, Ok(Value::Integer(found.into())), "{value} {array}");
                        read += 1;
                    }
                    None => left += 1,
                }
            }
            assert_eq!(plain_any(b"a", b"<>", array.as_bytes(), b"text"), None);
            assert_eq!(plain_any(b"a", b"=", array.as_bytes(), b"uuid"), None);
        }
        println!("{read} read at once, {left} left to the whole grammar");
        assert_eq!(read, 15);
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

    /// asvs(V1.4.2)
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

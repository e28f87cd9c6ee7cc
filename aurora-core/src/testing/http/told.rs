//! What of an answer is the adapter's, without what differs from run to run.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::wire::Answer;

/// Headers that a client relies on.
const HEADERS: [&str; 27] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "link",
    "location",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "www-authenticate",
    "x-aurora-reason",
    "x-content-type-options",
    "x-frame-options",
    "x-robots-tag",
    "x-sb-error-code",
    "x-supabase-api-version",
    "x-total-count",
];

/// Members whose value is another one each time.
const CHANGING: [&str; 14] = [
    "expires_at",
    "iat",
    "exp",
    "timestamp",
    "kid",
    "x",
    "y",
    "user_agent",
    "qr_code",
    "secret",
    "uri",
    "codes",
    "email_otp",
    "hashed_token",
];

/// One exchange: what was asked for, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked for.
    pub name: String,
    /// The route of Aurora's that it went to, as `POST /verify`.
    pub route: Option<String>,
    /// The status.
    pub status: u16,
    /// The headers that a client relies on.
    pub headers: BTreeMap<String, String>,
    /// Whether the answer names its request.
    pub has_request_id: bool,
    /// The body; ids, tokens and times as placeholders.
    pub body: String,
}

impl Exchange {
    pub(super) fn new(name: &str, route: Option<String>, answer: &Answer) -> Self {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (header, value) in &answer.headers {
            if HEADERS.contains(&header.as_str()) {
                headers
                    .entry(header.clone())
                    .and_modify(|all| *all = format!("{all}, {}", placeholders(value)))
                    .or_insert_with(|| placeholders(value));
            }
        }
        let body = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(mut value) => {
                still(&mut value);
                value.to_string()
            }
            Err(_) => placeholders(&String::from_utf8_lossy(&answer.body)),
        };
        let has_request_id = answer.header("x-request-id").is_some();
        Self { name: name.to_owned(), route, status: answer.status, headers, has_request_id, body }
    }
}

fn still(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                if CHANGING.contains(&name.as_str()) && !inner.is_null() {
                    *inner = Value::from("<changing>");
                } else {
                    still(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        Value::String(text) => *text = placeholders(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn placeholders(text: &str) -> String {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let patterns = [
            (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<jwt>"),
            (r"art_[\w-]+", "<refresh token>"),
            (r"[\w-]{60,}\.[\w-]{43}", "<signed token>"),
            (r"csrf_[\w-]{43}", "<csrf token>"),
            (r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<uuid>"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
            (r"\b[0-9a-f]{32}\b", "<id>"),
            (r"expires_at=\d+", "expires_at=<time>"),
            (r"(token=|code=|value=\x22)(pkce_)?[\w-]{43}", "${1}${2}<link token>"),
            (r"\b\d{6}\b", "<code>"),
        ];
        patterns.into_iter().filter_map(|(pattern, name)| Some((Regex::new(pattern).ok()?, name))).collect()
    });
    let mut text = text.to_owned();
    for (pattern, name) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

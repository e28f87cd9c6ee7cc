//! A hand-written statement with its parameters in order.

use std::rc::Rc;
use std::sync::Arc;

use aurora_core::env::{Clock as _, SystemClock};

use super::shapes::On;
use super::world;

/// A bound value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Uuid,
    Text(String),
    Time(String),
    Key,
}

pub(super) struct Statement {
    pub(super) name: String,
    pub(super) sql: Arc<str>,
    pub(super) values: Rc<Vec<Value>>,
}

impl Statement {
    /// `{uid}` and the others become numbered parameters, equal ones once.
    pub(super) fn new(engine: On, name: &str, text: &str) -> Self {
        let now = SystemClock.now().to_string();
        let known = [
            ("{uid}", Value::Uuid),
            ("{uid-text}", Value::Text(world::USER.to_owned())),
            ("{tenant}", Value::Text(world::TENANT.to_owned())),
            ("{now}", Value::Time(now)),
            ("{key}", Value::Key),
        ];
        let mut sql = text.replace("{true}", if engine == On::Sqlite { "1" } else { "true" });
        if engine == On::Postgres {
            // What the person would write there anyway.
            sql = sql.replace("is_public = true", "is_public").replace("{now}", "{now}::timestamptz");
        }
        let mut values = Vec::new();
        for (placeholder, value) in known {
            if sql.contains(placeholder) {
                values.push(value);
                sql = sql.replace(placeholder, &format!("${}", values.len()));
            }
        }
        Self { name: name.to_owned(), sql: Arc::from(sql), values: Rc::new(values) }
    }

    /// The ids of up to 200 rows that the condition shows, spread over the table, without a key.
    pub(super) fn spread(condition: &str, engine: On) -> Self {
        let text = format!("SELECT id FROM docs WHERE {condition} ORDER BY id * 7919 % 100003 LIMIT 200");
        Self::new(engine, "keys", &text)
    }
}

pub(super) fn uid_bytes() -> [u8; 16] {
    let digits: String = world::USER.chars().filter(char::is_ascii_hexdigit).collect();
    std::array::from_fn(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap())
}

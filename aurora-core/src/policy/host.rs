//! Functions of the host's, registered in Rust under the name that policies call.

use std::sync::Arc;

use sqlparser::ast::DataType;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::error::{PolicyError, PolicyErrors};
use super::functions::{Answer, HostBody, Value};
use super::parse::Policies;
use super::raw::Cast;
use super::spelling::cast_of;

/// One of them.
#[derive(Clone)]
pub(super) struct HostFunction {
    /// As [`RawCall::name`](super::raw::RawCall::name).
    pub(super) name: String,
    pub(super) parameters: Vec<Cast>,
    pub(super) result: Cast,
    pub(super) body: HostBody,
}

impl std::fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Policies {
    /// Registers a function that policies call: one whose body in the policy file is outside the subset, or that
    /// the file does not hold at all. It takes precedence over a body of the same name and arguments.
    ///
    /// Types are spelled as in SQL. `body` is given a [`Value`] for each argument: text and enums as text, a uuid as
    /// hyphenated lower-case text, a boolean as 0 or 1, a time as microseconds since 1970, json and arrays as JSON
    /// text; NULL is passed on. It answers in the same form. It must give the same answer for the same arguments as
    /// long as a statement runs, and an error's text starts with an SQLSTATE and a blank. A panic is an error.
    ///
    /// ```
    /// use aurora_core::policy::{Policies, functions::Value};
    ///
    /// let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    ///             CREATE POLICY vip ON notes FOR SELECT USING (is_vip(owner));";
    /// let policies = Policies::parse(text, "policies.sql").unwrap();
    /// let policies = policies
    ///     .with_function("is_vip", &["uuid"], "boolean", |arguments| match arguments {
    ///         [Value::Text(id)] => Ok(Value::Integer(id.ends_with('1').into())),
    ///         _ => Ok(Value::Null),
    ///     })
    ///     .unwrap();
    /// assert!(policies.clone().with_function("other", &["money"], "boolean", |_| Ok(Value::Null)).is_err());
    /// ```
    ///
    /// # Errors
    /// A type that policies do not know.
    pub fn with_function(
        self,
        name: &str,
        arguments: &[&str],
        result: &str,
        body: impl Fn(&[Value]) -> Answer + Send + Sync + 'static,
    ) -> Result<Self, PolicyErrors> {
        let mut errors = Vec::new();
        let mut kind = |text: &str| {
            let known = data_type(text).as_ref().and_then(cast_of);
            if known.is_none() || known == Some(Cast::Interval) {
                let construct = format!("type `{text}` of the registered function {name}");
                let help = "text, uuid, integer types, double precision, boolean, timestamptz, date, jsonb, enums \
                            and arrays are known here";
                errors.push(PolicyError::new(&self.0.file, 1, construct, help));
            }
            known
        };
        let parameters: Vec<Cast> = arguments.iter().filter_map(|argument| kind(argument)).collect();
        let result = kind(result).unwrap_or(Cast::Text);
        let name = match name.rsplit_once('.') {
            Some(("public", last)) => last.to_ascii_lowercase(),
            Some((schema, last)) => format!("{schema}_{last}").to_ascii_lowercase(),
            None => name.to_ascii_lowercase(),
        };
        let own = HostFunction { name, parameters, result, body: Arc::new(body) };
        let mut functions: Vec<HostFunction> = self.1.to_vec();
        functions.retain(|other| other.name != own.name || other.parameters != own.parameters);
        functions.push(own);
        PolicyErrors::unless_empty(errors, Self(self.0, Arc::from(functions)))
    }
}

fn data_type(text: &str) -> Option<DataType> {
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok()?;
    let kind = parser.parse_data_type().ok()?;
    parser.expect_token(&sqlparser::tokenizer::Token::EOF).ok()?;
    Some(kind)
}

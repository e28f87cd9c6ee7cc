//! `TO editor`: a policy for whoever holds a role that the service gives.
//!
//! Such a role is none of the database's. Its policy is one `TO authenticated` that asks the claims first, on both
//! engines and in process: a permissive one holds for its holders alone, a restrictive one binds them alone.

use sqlparser::ast::{CreatePolicy, CreateRole};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::convert::Converter;
use super::grants::Refusal;
use super::raw::{Raw, RawKind};
use crate::types::RoleName;

/// Notes the roles of `CREATE ROLE editor`.
pub(super) fn declare(known: &mut Vec<RoleName>, role: &CreateRole) -> Result<(), Refusal> {
    for name in &role.names {
        let plain = role.to_string() == format!("CREATE ROLE {name}");
        let name = name.to_string();
        let Some(name) = name.parse::<RoleName>().ok().filter(|_| plain) else {
            let help =
                "write CREATE ROLE name, in lower-case letters, digits and _, with nothing behind it: it \
                        declares a role that the service gives to users"
                    .to_owned();
            return Err((format!("role `{name}`"), help));
        };
        if !known.contains(&name) {
            known.push(name);
        }
    }
    Ok(())
}

pub(super) fn unknown(name: &str) -> Refusal {
    let (construct, help) = super::grants::unknown_role(name);
    (construct, format!("{help}; or declare a role that the service gives to users: CREATE ROLE {name};"))
}

/// Whom a policy is for.
pub(super) struct Holders(Vec<RoleName>);

impl Holders {
    pub(super) fn of(
        roles: Vec<RoleName>,
        others: bool,
        policy: &CreatePolicy,
    ) -> Result<Option<Self>, Refusal> {
        let Some(first) = roles.first() else { return Ok(None) };
        if others {
            let help = "write two policies: who holds the role is `authenticated` as well".to_owned();
            return Err((format!("role `{first}` beside a role of the database"), help));
        }
        if policy.using.is_none() && policy.with_check.is_none() {
            let help = "write what its holders may do, for example USING (true)".to_owned();
            return Err((format!("a policy TO {first} without USING or WITH CHECK"), help));
        }
        Ok(Some(Self(roles)))
    }

    /// The condition for holders of these roles.
    pub(super) fn of_condition(
        &self,
        converter: &mut Converter<'_>,
        condition: Raw,
        restrictive: bool,
    ) -> Raw {
        let line = condition.line;
        let asked = asked(self.0.iter().map(RoleName::as_str));
        let parsed = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(&asked)
            .and_then(|mut parser| parser.parse_expr());
        let before = std::mem::replace(&mut converter.before, converter.line.saturating_sub(1));
        let holds = match &parsed {
            Ok(expr) => converter.condition(expr),
            // Never: the text is ours. A condition that nobody meets would be one that everybody passes if the policy
            // is restrictive, so it is an error.
            Err(_) => Raw { kind: converter.refuse(line, "a role in TO", "write it as a claim"), line },
        };
        converter.before = before;
        let raw = |kind| Raw { kind, line };
        if restrictive {
            let others = RawKind::Not(Box::new(raw(RawKind::IsBool(Box::new(holds), true))));
            return raw(RawKind::Or(vec![raw(others), condition]));
        }
        raw(RawKind::And(vec![holds, condition]))
    }
}

/// Whether the claims name one of these roles. A role's name needs no escaping.
fn asked<'a>(roles: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = roles.map(|role| format!("'{role}'")).collect();
    match quoted.as_slice() {
        [one] => format!("(auth.jwt() -> 'user_roles') ? {one}"),
        several => format!("(auth.jwt() -> 'user_roles') ?| ARRAY[{}]", several.join(", ")),
    }
}

/// The same as text, for PostgreSQL. The condition may end in a comment.
pub(super) fn of_text(roles: &[String], condition: &str, restrictive: bool) -> String {
    let asked = asked(roles.iter().map(String::as_str));
    if restrictive {
        format!("(({asked}) IS NOT TRUE) OR ({condition}\n)")
    } else {
        format!("({asked}) AND ({condition}\n)")
    }
}

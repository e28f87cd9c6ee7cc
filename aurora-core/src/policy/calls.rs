//! Calls: what a policy's function call stands for before types are known.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName,
    ObjectNamePart,
};

use super::convert::Converter;
use super::parse::fold;
use super::raw::{Cast, Comparison, Identity, Raw, RawCall, RawKind};

/// `count(DISTINCT x)` as a name that nobody can write.
pub(super) const COUNT_DISTINCT: &str = "count distinct";

/// The settings that stand for the principal's tenant.
const TENANT: [&str; 4] = ["app.current_tenant", "app.current_tenant_id", "app.tenant", "app.tenant_id"];

impl Converter<'_> {
    pub(super) fn function(&mut self, function: &Function, line: u64) -> RawKind {
        let arguments = match self.plain_arguments(function) {
            Ok(arguments) => arguments,
            Err(problem) => {
                let construct = format!("{problem} in the call of `{}()`", function.name);
                return self.refuse(line, construct, "write plain arguments");
            }
        };
        let distinct = matches!(&function.args, FunctionArguments::List(list)
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
        let Some(mut call) = named(&function.name, arguments) else {
            let help = "write schema.function(..) or function(..)";
            return self.refuse(line, format!("the name `{}`", function.name), help);
        };
        if distinct {
            if call.last != "count" || call.schema.is_some() {
                return self.refuse(line, "DISTINCT in this call", "only count(DISTINCT x) is known here");
            }
            call.last = COUNT_DISTINCT.to_owned();
        }
        self.known(call, line)
    }

    /// What has a form of its own; everything else stays a call.
    fn known(&mut self, mut call: RawCall, line: u64) -> RawKind {
        let names_given = call.arguments.iter().any(|(name, _)| name.is_some());
        if names_given {
            return RawKind::Call(call);
        }
        match (call.schema.as_deref(), call.last.as_str(), call.arguments.len()) {
            (None, "array", 1)
                if matches!(
                    call.arguments.as_slice(),
                    [(None, Raw { kind: RawKind::ArraySelect(_), .. })]
                ) =>
            {
                call.arguments.pop().map_or(RawKind::Null, |(_, argument)| argument.kind)
            }
            (Some("auth"), "uid", 0) => RawKind::Identity(Identity::Uid),
            (Some("auth"), "role", 0) => RawKind::Identity(Identity::Role),
            (Some("auth"), "email", 0) => RawKind::Identity(Identity::Email),
            (Some("auth"), "jwt", 0) => RawKind::Identity(Identity::Jwt),
            (Some("realtime"), "topic", 0) => RawKind::Identity(Identity::Topic),
            (None, name @ ("current_user" | "session_user" | "user" | "current_role"), 0) => {
                let name = name.to_owned();
                self.session(&name, line)
            }
            (None, "now" | "transaction_timestamp", 0) => RawKind::Now,
            (None, name @ ("current_timestamp" | "current_date" | "localtimestamp"), 0) => {
                let name = name.to_owned();
                self.clock(&name, line)
            }
            (None, "coalesce", 1..) => {
                RawKind::Coalesce(call.arguments.into_iter().map(|(_, argument)| argument).collect())
            }
            (None, "nullif", 2) => {
                let right = call.arguments.pop().map(|(_, argument)| argument);
                let left = call.arguments.pop().map(|(_, argument)| argument);
                let (Some(left), Some(right)) = (left, right) else { return RawKind::Null };
                let equal = RawKind::Compare(Comparison::Equal, Box::new(left.clone()), Box::new(right));
                let null = Raw { kind: RawKind::Null, line };
                let arms = vec![(Raw { kind: equal, line }, null)];
                RawKind::Case { operand: None, arms, otherwise: Some(Box::new(left)) }
            }
            (None, "current_setting", 1 | 2) => {
                let name = match call.arguments.first() {
                    Some((_, Raw { kind: RawKind::Text(name), .. })) => name.clone(),
                    Some((_, Raw { kind: RawKind::Cast(inner, Cast::Text), .. })) => match &inner.kind {
                        RawKind::Text(name) => name.clone(),
                        _ => String::new(),
                    },
                    _ => String::new(),
                };
                self.setting(&name, line)
            }
            _ => RawKind::Call(call),
        }
    }

    /// `current_user` is the role a principal acts as; the login behind it is nobody's business.
    pub(super) fn session(&mut self, name: &str, line: u64) -> RawKind {
        if matches!(name, "current_user" | "current_role" | "user") {
            return RawKind::Call(RawCall {
                name: "current_user".to_owned(),
                last: "current_user".to_owned(),
                schema: None,
                arguments: Vec::new(),
            });
        }
        self.refuse(line, format!("`{name}`"), "write auth.role() for the role or auth.uid() for the user")
    }

    pub(super) fn clock(&mut self, name: &str, line: u64) -> RawKind {
        let now = Raw { kind: RawKind::Now, line };
        match name {
            "current_date" => RawKind::Cast(Box::new(now), Cast::Date),
            _ => RawKind::Now,
        }
    }

    /// The settings that PostgREST and tenants' services use stand for what a principal carries.
    fn setting(&mut self, name: &str, line: u64) -> RawKind {
        let raw = |kind| Raw { kind, line };
        if name == "request.jwt.claims" {
            return RawKind::Cast(Box::new(raw(RawKind::Identity(Identity::Jwt))), Cast::Text);
        }
        if let Some(claim) = name.strip_prefix("request.jwt.claim.") {
            return RawKind::Json {
                value: Box::new(raw(RawKind::Identity(Identity::Jwt))),
                key: Box::new(raw(RawKind::Text(claim.to_owned()))),
                text: true,
            };
        }
        if TENANT.contains(&name) {
            return RawKind::Identity(Identity::Tenant);
        }
        if name == "role" {
            return RawKind::Identity(Identity::Role);
        }
        let help = if name.starts_with("request.") {
            "a policy sees who asks, not the HTTP request: carry the value as a claim and write auth.jwt() ->> 'claim'"
        } else {
            "only `request.jwt.claims`, `request.jwt.claim.*` and `app.tenant_id` (the principal's tenant) are \
             bound to who asks; any statement could set another: carry the value as a claim and write auth.jwt() \
             ->> 'claim'"
        };
        self.refuse(line, format!("current_setting('{name}')"), help)
    }

    fn plain_arguments(&mut self, function: &Function) -> Result<Vec<(Option<String>, Raw)>, &'static str> {
        if function.filter.is_some() {
            return Err("FILTER");
        }
        if function.over.is_some() || function.null_treatment.is_some() {
            return Err("a window");
        }
        if !function.within_group.is_empty() || function.parameters != FunctionArguments::None {
            return Err("WITHIN GROUP");
        }
        match &function.args {
            FunctionArguments::None => Ok(Vec::new()),
            FunctionArguments::List(list) if list.clauses.is_empty() => {
                self.arguments(&list.args).ok_or("this form of argument")
            }
            FunctionArguments::List(_) => Err("ORDER BY or another clause"),
            FunctionArguments::Subquery(query) => {
                // `ARRAY(SELECT ..)` comes as a call too.
                let line = self.line;
                let kind = match function.name.0.as_slice() {
                    [ObjectNamePart::Identifier(name)] if name.value.eq_ignore_ascii_case("array") => {
                        self.array_select(query)
                    }
                    _ => self.scalar(query, line),
                };
                Ok(vec![(None, Raw { kind, line })])
            }
        }
    }

    pub(super) fn arguments(&mut self, args: &[FunctionArg]) -> Option<Vec<(Option<String>, Raw)>> {
        let mut arguments = Vec::with_capacity(args.len());
        for argument in args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    arguments.push((None, self.convert(expr)));
                }
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                    arguments.push((Some(fold(name)), self.convert(expr)));
                }
                FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => {
                    let FunctionArgExpr::Expr(expr) = arg else { return None };
                    arguments.push((Some(fold(name)), self.convert(expr)));
                }
                // `count(*)`
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if args.len() == 1 => {}
                _ => return None,
            }
        }
        Some(arguments)
    }
}

/// The call of a name; `None` for one of more than two parts.
pub(super) fn named(name: &ObjectName, arguments: Vec<(Option<String>, Raw)>) -> Option<RawCall> {
    let mut parts = Vec::new();
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(fold(ident)),
            ObjectNamePart::Function(_) => return None,
        }
    }
    let (schema, last) = match parts.as_slice() {
        [last] => (None, last.clone()),
        [schema, last] if schema == "pg_catalog" => (None, last.clone()),
        [schema, last] => (Some(schema.clone()), last.clone()),
        _ => return None,
    };
    let name = match &schema {
        Some(schema) if schema != "public" => format!("{schema}_{last}"),
        _ => last.clone(),
    };
    Some(RawCall { name: name.to_ascii_lowercase(), last, schema, arguments })
}

//! The functions that a policy may call.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::convert::Converter;
use super::parse::table_name;
use super::raw::{Cast, Comparison, Identity, Raw, RawKind, TextFunction};

impl Converter<'_> {
    pub(super) fn function(&mut self, function: &Function, line: u64) -> RawKind {
        let Some(arguments) = plain_arguments(function) else {
            let help = "aggregates, windows and named arguments are outside the subset";
            return self.refuse(line, format!("this call of `{}()`", function.name), help);
        };
        let schema = function.name.0.len() > 1;
        let name = match table_name(&function.name) {
            Ok(name) => name,
            Err((construct, help)) => return self.refuse(line, construct, &help),
        };
        match (name.as_str(), schema, arguments.as_slice()) {
            ("auth_uid", true, []) => RawKind::Identity(Identity::Uid),
            ("auth_role", true, []) => RawKind::Identity(Identity::Role),
            ("auth_email", true, []) => RawKind::Identity(Identity::Email),
            ("auth_jwt", true, []) => RawKind::Identity(Identity::Jwt),
            ("now" | "pg_catalog_now", _, [])
            | ("current_timestamp" | "transaction_timestamp", false, []) => RawKind::Now,
            ("coalesce", false, [_, ..]) => {
                RawKind::Coalesce(arguments.iter().map(|argument| self.convert(argument)).collect())
            }
            ("nullif", false, [left, right]) => {
                let equal = Raw { kind: self.compare(Comparison::Equal, left, right, line), line };
                let null = Raw { kind: RawKind::Null, line };
                let otherwise = Some(self.boxed(left));
                RawKind::Case { operand: None, arms: vec![(equal, null)], otherwise }
            }
            ("lower", _, [one]) => RawKind::Text1(TextFunction::Lower, self.boxed(one)),
            ("upper", _, [one]) => RawKind::Text1(TextFunction::Upper, self.boxed(one)),
            ("length" | "char_length" | "character_length", _, [one]) => {
                RawKind::Text1(TextFunction::Length, self.boxed(one))
            }
            ("to_jsonb" | "to_json", _, [one]) => RawKind::ToJson(self.boxed(one)),
            ("current_setting", _, [name] | [name, _]) => self.setting(name, line),
            _ => {
                let help = "functions of the host cannot run in policies yet: write the body into the policy as \
                            EXISTS (SELECT ..) or IN (SELECT ..)";
                self.refuse(line, format!("function `{}()`", function.name), help)
            }
        }
    }

    /// The settings that PostgREST and tenants' services use stand for what a principal carries.
    fn setting(&mut self, name: &Expr, line: u64) -> RawKind {
        let name = match self.convert(name).kind {
            RawKind::Text(name) => name,
            _ => String::new(),
        };
        let tenant = ["app.current_tenant", "app.current_tenant_id", "app.tenant", "app.tenant_id"];
        if name == "request.jwt.claims" {
            return RawKind::Cast(Box::new(Raw { kind: RawKind::Identity(Identity::Jwt), line }), Cast::Text);
        }
        if let Some(claim) = name.strip_prefix("request.jwt.claim.") {
            return RawKind::Json {
                value: Box::new(Raw { kind: RawKind::Identity(Identity::Jwt), line }),
                key: Box::new(Raw { kind: RawKind::Text(claim.to_owned()), line }),
                text: true,
            };
        }
        if tenant.contains(&name.as_str()) {
            return RawKind::Identity(Identity::Tenant);
        }
        self.refuse(
            line,
            format!("current_setting('{name}')"),
            "only `request.jwt.claims` and `app.tenant_id` (the principal's tenant) exist: write auth.jwt() ->> \
             'claim'",
        )
    }
}

fn plain_arguments(function: &Function) -> Option<Vec<&Expr>> {
    if function.filter.is_some()
        || function.over.is_some()
        || function.null_treatment.is_some()
        || !function.within_group.is_empty()
        || function.parameters != FunctionArguments::None
    {
        return None;
    }
    match &function.args {
        FunctionArguments::None => Some(Vec::new()),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            let plain = |argument| match argument {
                &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
                _ => None,
            };
            list.args.iter().map(plain).collect()
        }
        _ => None,
    }
}

//! The functions that a policy may call.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart};

use super::convert::Converter;
use super::parse::fold;
use super::raw::{Cast, Comparison, Identity, Raw, RawKind, TextFunction};

impl Converter<'_> {
    pub(super) fn function(&mut self, function: &Function, line: u64) -> RawKind {
        let Some(arguments) = plain_arguments(function) else {
            let help = "aggregates, windows and named arguments are outside the subset";
            return self.refuse(line, format!("this call of `{}()`", function.name), help);
        };
        let mut parts = Vec::new();
        for part in &function.name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => parts.push(fold(ident)),
                ObjectNamePart::Function(_) => return self.refuse(line, "this call", "name the function"),
            }
        }
        let mut name: Vec<&str> = parts.iter().map(String::as_str).collect();
        if let [schema, _] = name.as_slice()
            && *schema == "pg_catalog"
        {
            name.remove(0);
        }
        match (name.as_slice(), arguments.as_slice()) {
            (["auth", "uid"], []) => RawKind::Identity(Identity::Uid),
            (["auth", "role"], []) => RawKind::Identity(Identity::Role),
            (["auth", "email"], []) => RawKind::Identity(Identity::Email),
            (["auth", "jwt"], []) => RawKind::Identity(Identity::Jwt),
            (["now" | "current_timestamp" | "transaction_timestamp"], []) => RawKind::Now,
            (["coalesce"], [_, ..]) => {
                RawKind::Coalesce(arguments.iter().map(|argument| self.convert(argument)).collect())
            }
            (["nullif"], [left, right]) => {
                let equal = Raw { kind: self.compare(Comparison::Equal, left, right, line), line };
                let null = Raw { kind: RawKind::Null, line };
                let otherwise = Some(self.boxed(left));
                RawKind::Case { operand: None, arms: vec![(equal, null)], otherwise }
            }
            (["lower"], [one]) => RawKind::Text1(TextFunction::Lower, self.boxed(one)),
            (["upper"], [one]) => RawKind::Text1(TextFunction::Upper, self.boxed(one)),
            (["length" | "char_length" | "character_length"], [one]) => {
                RawKind::Text1(TextFunction::Length, self.boxed(one))
            }
            (["to_jsonb" | "to_json"], [one]) => RawKind::ToJson(self.boxed(one)),
            (["current_setting"], [name] | [name, _]) => self.setting(name, line),
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

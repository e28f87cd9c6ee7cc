//! The operators whose types need a closer look: CASE, arithmetic, `||`, casts and JSON.

use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Expr, Type};
use super::functions::FunctionName;
use super::query::plain_value;
use super::raw::{Arithmetic, Cast, Comparison, Identity, Raw, RawKind};

impl Checker<'_> {
    pub(super) fn case(
        &mut self,
        operand: Option<&Raw>,
        arms: &[(Raw, Raw)],
        otherwise: Option<&Raw>,
        line: u64,
    ) -> Typed {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (when, then) in arms {
            conditions.push(match operand {
                Some(operand) => self.comparison(Comparison::Equal, operand, when, false, line),
                None => self.condition(when, false),
            });
            results.push(self.value(then, false));
        }
        results.push(otherwise.map_or((Expr::Null, Type::Null), |raw| self.value(raw, false)));
        let (mut results, kind) = self.unify(results, "CASE", line);
        let otherwise = Box::new(results.pop().unwrap_or(Expr::Null));
        (Expr::Case { arms: conditions.into_iter().zip(results).collect(), otherwise }, kind)
    }

    pub(super) fn arithmetic(&mut self, op: Arithmetic, left: &Raw, right: &Raw, line: u64) -> Typed {
        let name = match op {
            Arithmetic::Add => FunctionName::Add,
            Arithmetic::Subtract => FunctionName::Subtract,
            Arithmetic::Multiply => FunctionName::Multiply,
            Arithmetic::Divide => FunctionName::Divide,
            Arithmetic::Remainder => FunctionName::Remainder,
        };
        let (left, right) = (self.value(left, false), self.value(right, false));
        let kinds = (left.1, right.1);
        match (coerce::coerce(left.0, left.1, Type::Integer), coerce::coerce(right.0, right.1, Type::Integer))
        {
            (Some(left), Some(right)) => (Expr::Call(name, vec![left, right]), Type::Integer),
            _ => {
                let construct = format!("arithmetic on {} and {}", kinds.0.name(), kinds.1.name());
                self.refuse(
                    line,
                    construct,
                    "integers only: keep moments and amounts in columns of their own",
                )
            }
        }
    }

    pub(super) fn concat(&mut self, left: &Raw, right: &Raw, line: u64) -> Typed {
        let (left, right) = (self.value(left, false), self.value(right, false));
        let kinds = (left.1, right.1);
        let textual = |kind| matches!(kind, Type::Text | Type::StoredText | Type::Unknown);
        if textual(kinds.0) || textual(kinds.1) {
            let one = coerce::to_text(left.0, left.1);
            if let (Some(one), Some(other)) = (one, coerce::to_text(right.0, right.1)) {
                return (Expr::Concat(Box::new(one), Box::new(other)), Type::Text);
            }
        }
        self.mismatch(line, "||", kinds.0, kinds.1)
    }

    pub(super) fn cast(&mut self, (value, kind): Typed, cast: &Cast, line: u64) -> Typed {
        if let Cast::Enum(name) = cast {
            let Some(known) = self.catalog.enums.iter().find(|other| other.name == *name) else {
                let help = format!("declare it above: CREATE TYPE {name} AS ENUM ('first', 'second');");
                return self.refuse(line, format!("type `{name}` does not exist"), &help);
            };
            if let (Expr::Text(label), Type::Unknown) = (&value, kind)
                && !known.labels.contains(label)
            {
                let construct = format!("`{label}` is no label of enum {name}");
                return self.refuse(line, construct, "correct it, or add it to CREATE TYPE");
            }
        }
        match coerce::cast(value, kind, cast) {
            Some(typed) => typed,
            None => {
                let construct = format!("cast of {} to {}", kind.name(), coerce::cast_name(cast));
                self.refuse(line, construct, "PostgreSQL refuses it or the value is malformed: correct it")
            }
        }
    }

    pub(super) fn json(&mut self, value: &Raw, key: &Raw, text: bool, line: u64) -> Typed {
        let kind = if text { Type::Text } else { Type::Json };
        if let (Some(mut path), RawKind::Text(key)) = (claims_path(value), &key.kind) {
            path.push(Expr::Text(key.clone()));
            let name = if text { FunctionName::JwtText } else { FunctionName::JwtJson };
            return (Expr::Call(name, path), kind);
        }
        let object = self.value(value, false);
        if !matches!(object.1, Type::Json | Type::StoredText | Type::Null) {
            let construct = format!("-> on {}", object.1.name());
            return self.refuse(line, construct, "only json has fields: cast to jsonb");
        }
        let key = match self.value(key, false) {
            (key, Type::Unknown | Type::Text | Type::StoredText) => key,
            (key, Type::Integer | Type::StoredInteger) => key,
            (_, other) => return self.mismatch(line, "->", object.1, other),
        };
        let name = if text { FunctionName::JsonText } else { FunctionName::Json };
        (Expr::Call(name, vec![object.0, key]), kind)
    }

    pub(super) fn json_of(&mut self, raw: &Raw) -> Typed {
        let (value, kind) = self.value(raw, false);
        let json = match kind {
            Type::Null => Some(Expr::Null),
            Type::Text | Type::StoredText => Some(Expr::Call(FunctionName::JsonQuote, vec![value])),
            Type::Bool | Type::Integer | Type::StoredInteger => coerce::to_text(value, kind),
            Type::Json => Some(value),
            Type::Uuid(_) => {
                coerce::to_text(value, kind).map(|text| Expr::Call(FunctionName::JsonQuote, vec![text]))
            }
            _ => None,
        };
        match json {
            Some(json) => (json, Type::Json),
            None => self.refuse(raw.line, format!("to_jsonb of {}", kind.name()), "cast it to text first"),
        }
    }
}

/// `auth.jwt() -> 'a' -> 'b'` as the path `a`, `b`; also through `current_setting(..)::json`.
fn claims_path(raw: &Raw) -> Option<Vec<Expr>> {
    match &raw.kind {
        RawKind::Identity(Identity::Jwt) => Some(Vec::new()),
        RawKind::Scalar(select) => claims_path(plain_value(select)?),
        RawKind::Cast(inner, Cast::Json) => match &inner.kind {
            RawKind::Cast(text, Cast::Text) => claims_path(text),
            _ => claims_path(inner),
        },
        RawKind::Json { value, key, text: false } => {
            let RawKind::Text(key) = &key.kind else { return None };
            let mut path = claims_path(value)?;
            path.push(Expr::Text(key.clone()));
            Some(path)
        }
        _ => None,
    }
}

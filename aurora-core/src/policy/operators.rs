//! The operators whose types need a closer look: CASE, arithmetic, `||`, casts and JSON.

use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Expr, Type};
use super::functions::FunctionName;
use super::raw::{Cast, Comparison, Identity, Raw, RawKind, plain_value};

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
        let Some(target) = self.type_of(cast) else {
            let name = innermost(cast);
            let help = format!("declare it above: CREATE TYPE {name} AS ENUM ('first', 'second');");
            return self.refuse(line, format!("type `{name}` does not exist"), &help);
        };
        self.check_label(&value, kind, target, line);
        let checked = matches!(target, Type::Enum(_)) && matches!(kind, Type::Text | Type::StoredText);
        match coerce::cast(value, kind, cast, target) {
            Some((value, target)) if checked => match self.labels(target) {
                Some(mut arguments) => {
                    arguments.insert(0, value);
                    (Expr::Call(FunctionName::Label, arguments), target)
                }
                None => (value, target),
            },
            Some(typed) => typed,
            None => {
                let construct = format!("cast of {} to {}", kind.name(), coerce::cast_name(cast));
                self.refuse(line, construct, "PostgreSQL refuses it or the value is malformed: correct it")
            }
        }
    }

    /// The labels of an enum, as literals.
    fn labels(&self, kind: Type) -> Option<Vec<Expr>> {
        let Type::Enum(at) = kind else { return None };
        let known = self.catalog.enums.get(at)?;
        Some(known.labels.iter().map(|label| Expr::Text(label.clone())).collect())
    }

    /// A literal that becomes an enum must be one of its labels.
    pub(super) fn check_label(&mut self, value: &Expr, from: Type, to: Type, line: u64) {
        let catalog = self.catalog;
        let (at, labels) = match (from, to, value) {
            (Type::Unknown, Type::Enum(at), Expr::Text(label)) => (at, vec![label.clone()]),
            (Type::Unknown, Type::Array(super::expr::Element::Enum(at)), Expr::Text(text)) => {
                let array = super::values::array(text, "text").unwrap_or_default();
                let items: Vec<Option<String>> = serde_json::from_str(&array).unwrap_or_default();
                (at, items.into_iter().flatten().collect())
            }
            _ => return,
        };
        let Some(known) = catalog.enums.get(at) else { return };
        for label in labels {
            if !known.labels.contains(&label) {
                let construct = format!("`{label}` is no label of enum {}", known.name);
                self.refuse(line, construct, "correct it, or add it to CREATE TYPE");
            }
        }
    }

    /// The two sides of a comparison: enums by their position where an order is asked for, intervals by their
    /// length.
    pub(super) fn comparable(
        &mut self,
        op: Comparison,
        left: Typed,
        right: Typed,
        line: u64,
    ) -> Option<(Typed, Typed)> {
        let common = coerce::common(left.1, right.1);
        if let Some(kind @ Type::Enum(_)) = common {
            self.check_label(&left.0, left.1, kind, line);
            self.check_label(&right.0, right.1, kind, line);
            if op.orders()
                && let Some(labels) = self.labels(kind)
            {
                let rank = |value: Expr| {
                    let mut arguments = vec![value];
                    arguments.extend(labels.iter().cloned());
                    (Expr::Call(FunctionName::Rank, arguments), Type::Integer)
                };
                return Some((rank(left.0), rank(right.0)));
            }
        }
        if common == Some(Type::Interval) {
            let length = |this: &mut Self, (value, kind): Typed| {
                let value = coerce::coerce(value, kind, Type::Interval)?;
                this.length(&value, line).map(|value| (value, Type::Integer))
            };
            return Some((length(self, left)?, length(self, right)?));
        }
        Some((left, right))
    }

    pub(super) fn json(&mut self, value: &Raw, key: &Raw, text: bool, line: u64) -> Typed {
        let kind = if text { Type::Text } else { Type::Json };
        if let (Some(mut path), RawKind::Text(key)) = (claims_path(value), &key.kind) {
            path.push(Expr::Text(key.clone()));
            if path.first() == Some(&Expr::Text("user_metadata".to_owned())) {
                self.warn_of_metadata(line);
            }
            let name = if text { FunctionName::JwtText } else { FunctionName::JwtJson };
            return (Expr::Call(name, path), kind);
        }
        let object = self.value(value, false);
        if matches!(&object.0, Expr::Column { name, .. } if name.eq_ignore_ascii_case("raw_user_meta_data")) {
            self.warn_of_metadata(line);
        }
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
            Type::Uuid(_) | Type::Enum(_) | Type::Date => {
                coerce::to_text(value, kind).map(|text| Expr::Call(FunctionName::JsonQuote, vec![text]))
            }
            // Arrays are JSON already.
            Type::Array(of) => {
                let word = Expr::Text(of.word().to_owned());
                Some(Expr::Call(
                    FunctionName::Jsonb,
                    vec![Expr::Call(FunctionName::ArrayCast, vec![value, word])],
                ))
            }
            _ => None,
        };
        match json {
            Some(json) => (json, Type::Json),
            None => self.refuse(raw.line, format!("to_jsonb of {}", kind.name()), "cast it to text first"),
        }
    }
}

fn innermost(cast: &Cast) -> &str {
    match cast {
        Cast::Array(of) => innermost(of),
        other => coerce::cast_name(other),
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

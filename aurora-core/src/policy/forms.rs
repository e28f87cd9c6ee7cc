//! Constructs with a grammar of their own: arrays, ANY and ALL, patterns, and the text functions that read as
//! sentences.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, DateTimeField, Expr, Interval, Subscript, TrimWhereField, Value,
};

use super::convert::Converter;
use super::raw::{Cast, Comparison, Raw, RawCall, RawKind};
use super::spelling::cast_of;

impl Converter<'_> {
    pub(super) fn special(&mut self, expr: &Expr, line: u64) -> RawKind {
        match expr {
            Expr::Array(array) => RawKind::Array(self.many(&array.elem)),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut value = self.convert(root);
                for access in access_chain {
                    let AccessExpr::Subscript(Subscript::Index { index }) = access else {
                        let help = "only single elements are known here: value[1]";
                        return self.refuse(line, "an array slice or field", help);
                    };
                    let index = self.convert(index);
                    value = Raw { kind: RawKind::Element(Box::new(value), Box::new(index)), line };
                }
                value.kind
            }
            Expr::Interval(interval) => self.interval(interval, line),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.convert(expr)];
                match (substring_from, substring_for) {
                    (Some(from), None) => arguments.push(self.convert(from)),
                    (from, Some(count)) => {
                        let one = Raw { kind: RawKind::Integer(1), line };
                        arguments.push(from.as_ref().map_or(one, |from| self.convert(from)));
                        arguments.push(self.convert(count));
                    }
                    (None, None) => {}
                }
                builtin("substr", arguments)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = vec![self.convert(expr)];
                let listed = trim_characters.as_deref().and_then(<[Expr]>::first);
                if let Some(what) = trim_what.as_deref().or(listed) {
                    arguments.push(self.convert(what));
                }
                builtin(name, arguments)
            }
            Expr::Position { expr, r#in } => builtin("strpos", vec![self.convert(r#in), self.convert(expr)]),
            Expr::Extract { field, expr, .. } => {
                let field = match field {
                    DateTimeField::Custom(name) => name.value.to_ascii_lowercase(),
                    other => other.to_string().to_ascii_lowercase(),
                };
                let field = Raw { kind: RawKind::Text(field), line };
                builtin("date_part", vec![field, self.convert(expr)])
            }
            Expr::Tuple(_) => self.refuse(line, "a row of several values", "compare the columns one by one"),
            Expr::AtTimeZone { timestamp, time_zone } => match &**time_zone {
                Expr::Value(value) if is_utc(&value.value) => self.convert(timestamp).kind,
                _ => self.refuse(line, "AT TIME ZONE", "times are compared in UTC: leave it out"),
            },
            Expr::Collate { .. } => {
                self.refuse(line, "COLLATE", "text is compared by bytes here: leave it out")
            }
            Expr::SimilarTo { .. } | Expr::RLike { .. } => {
                self.refuse(line, "SIMILAR TO", "write LIKE, or ~ with a regular expression")
            }
            Expr::Like { .. } | Expr::ILike { .. } => {
                let help = "write one LIKE for each pattern, joined by OR or AND";
                self.refuse(line, "LIKE ANY or LIKE ALL", help)
            }
            Expr::Overlay { .. } => self.refuse(line, "OVERLAY", "write left, right, substring and ||"),
            _ => {
                let help = "write it with comparisons, AND, OR, NOT, IN, LIKE, EXISTS, -> and ->>";
                self.refuse(line, "this expression", help)
            }
        }
    }

    pub(super) fn regex(&mut self, value: &Expr, pattern: &Expr, fold: bool, _line: u64) -> RawKind {
        RawKind::Regex { value: self.boxed(value), pattern: self.boxed(pattern), fold }
    }

    fn interval(&mut self, interval: &Interval, line: u64) -> RawKind {
        let value = self.convert(&interval.value);
        let RawKind::Text(text) = value.kind else {
            return self.refuse(
                line,
                "this interval",
                "write interval '7 days', or a number times interval '1 day'",
            );
        };
        let plain = interval.leading_precision.is_none()
            && interval.last_field.is_none()
            && interval.fractional_seconds_precision.is_none();
        if !plain {
            return self.refuse(line, "an interval with fields", "write interval '1 day 2 hours'");
        }
        let text = match &interval.leading_field {
            Some(field) => format!("{text} {field}"),
            None => text,
        };
        RawKind::Cast(Box::new(Raw { kind: RawKind::Text(text), line }), Cast::Interval)
    }

    /// `op ANY (..)` and `op ALL (..)` over an array, an array column or a subquery.
    pub(super) fn quantified(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        all: bool,
        line: u64,
    ) -> RawKind {
        let op = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            BinaryOperator::PGLikeMatch | BinaryOperator::PGILikeMatch => {
                return self.refuse(
                    line,
                    "LIKE ANY or LIKE ALL",
                    "write one LIKE for each pattern, joined by OR",
                );
            }
            other => {
                return self.refuse(line, format!("`{other}` with ANY or ALL"), "write a comparison");
            }
        };
        // `x = ANY (..)` is IN, `x <> ALL (..)` is NOT IN.
        let member = matches!((op, all), (Comparison::Equal, false) | (Comparison::NotEqual, true));
        let wrap = |this: &mut Self, kind: RawKind| {
            if all { this.negated(line, |_| kind) } else { kind }
        };
        let (array, element) = unwrapped(right);
        match array {
            Expr::Subquery(query) if element.is_none() && is_written(right) => {
                if !member {
                    let help = "write = ANY (..), <> ALL (..), or compare with (SELECT max(..) ..)";
                    return self.refuse(line, "this ANY or ALL over a subquery", help);
                }
                let kind = self.in_select(left, query);
                wrap(self, kind)
            }
            Expr::Value(text) if member && element.is_some() && literal_items(&text.value).is_some() => {
                let cast = |item: Option<String>| match (item, &element) {
                    (Some(item), Some(cast)) => {
                        let item = Raw { kind: RawKind::Text(item), line };
                        Raw { line, kind: RawKind::Cast(Box::new(item), cast.clone()) }
                    }
                    _ => Raw { line, kind: RawKind::Null },
                };
                let items = literal_items(&text.value).unwrap_or_default();
                let kind = RawKind::InList(self.boxed(left), items.into_iter().map(cast).collect());
                wrap(self, kind)
            }
            Expr::Array(array) if member && !array.elem.is_empty() => {
                let cast = |item: Raw| match &element {
                    Some(cast) => Raw { line, kind: RawKind::Cast(Box::new(item), cast.clone()) },
                    None => item,
                };
                let items = self.many(&array.elem).into_iter().map(cast).collect();
                let kind = RawKind::InList(self.boxed(left), items);
                wrap(self, kind)
            }
            _ => {
                let array = self.boxed(right);
                if member
                    && let RawKind::ArraySelect(select) = &array.kind
                    && select.aggregate == Some(super::raw::Aggregate::ArraySelect)
                {
                    let mut select = select.clone();
                    select.aggregate = None;
                    let kind = RawKind::InSelect(self.boxed(left), select);
                    return wrap(self, kind);
                }
                RawKind::Quantified { op, all, left: self.boxed(left), array }
            }
        }
    }
}

pub(super) fn builtin(name: &str, arguments: Vec<Raw>) -> RawKind {
    RawKind::Call(RawCall {
        name: name.to_owned(),
        last: name.to_owned(),
        schema: None,
        arguments: arguments.into_iter().map(|argument| (None, argument)).collect(),
    })
}

/// The array within parentheses and array casts, and the type of its elements.
fn unwrapped(expr: &Expr) -> (&Expr, Option<Cast>) {
    let (mut array, mut element) = (expr, None);
    loop {
        match array {
            Expr::Nested(inner) => array = inner,
            Expr::Cast { expr, data_type: data_type @ DataType::Array(_), .. } => {
                match (cast_of(data_type), &element) {
                    (Some(Cast::Array(of)), None) => element = Some(*of),
                    (Some(Cast::Array(_)), Some(_)) => {}
                    _ => return (array, element),
                }
                array = expr;
            }
            _ => return (array, element),
        }
    }
}

/// `ANY (SELECT ..)` and not `ANY ((SELECT ..))`, which PostgreSQL takes for one array.
fn is_written(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_))
}

fn is_utc(value: &Value) -> bool {
    matches!(value, Value::SingleQuotedString(zone) if zone.eq_ignore_ascii_case("utc"))
}

/// The elements of `'{a,b}'`, if there are any.
fn literal_items(value: &Value) -> Option<Vec<Option<String>>> {
    let Value::SingleQuotedString(text) = value else { return None };
    let items: Vec<Option<String>> = serde_json::from_str(&super::values::array(text, "text")?).ok()?;
    (!items.is_empty()).then_some(items)
}

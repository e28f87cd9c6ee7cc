//! From the parser's syntax to our own: the gate through which the accepted subset passes.

use std::sync::Arc;

use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, UnaryOperator, Value,
};

use super::error::PolicyError;
use super::parse::{fold, join_schema, line_of, table_name};
use super::raw::{Arithmetic, Cast, Comparison, Identity, Raw, RawKind, TextFunction};

/// Deeper expressions than people write; keeps every later recursion within a thread's stack.
const DEEPEST: usize = 96;

pub(super) struct Converter<'a> {
    file: &'a Arc<str>,
    line: u64,
    context: String,
    depth: usize,
    pub(super) errors: Vec<PolicyError>,
}

impl<'a> Converter<'a> {
    pub(super) fn new(file: &'a Arc<str>, line: u64, context: String) -> Self {
        Self { file, line, context, depth: 0, errors: Vec::new() }
    }

    /// A whole `USING` or `WITH CHECK`.
    pub(super) fn condition(&mut self, expr: &Expr) -> Raw {
        self.depth = 0;
        self.convert(expr)
    }

    /// Notes what was refused; what it returns only keeps the reading going.
    pub(super) fn refuse(&mut self, line: u64, construct: impl AsRef<str>, help: &str) -> RawKind {
        let construct = format!("{}: {}", self.context, construct.as_ref());
        self.errors.push(PolicyError::new(self.file, line, construct, help));
        RawKind::Null
    }

    pub(super) fn line_at(&self, expr: &Expr) -> u64 {
        line_of(expr).unwrap_or(self.line)
    }

    pub(super) fn convert(&mut self, expr: &Expr) -> Raw {
        // Parentheses nest without meaning, but the parser bounds how deep.
        if let Expr::Nested(inner) = expr {
            return self.convert(inner);
        }
        let line = if self.depth < 8 { self.line_at(expr) } else { self.line };
        if self.depth >= DEEPEST {
            let kind = self.refuse(line, "an expression this deep", "write it with fewer levels");
            return Raw { kind, line };
        }
        let outer = std::mem::replace(&mut self.line, line);
        self.depth += 1;
        let kind = self.kind(expr, line);
        self.depth -= 1;
        self.line = outer;
        Raw { kind, line }
    }

    fn boxed(&mut self, expr: &Expr) -> Box<Raw> {
        Box::new(self.convert(expr))
    }

    fn many(&mut self, exprs: &[Expr]) -> Vec<Raw> {
        exprs.iter().map(|expr| self.convert(expr)).collect()
    }

    fn kind(&mut self, expr: &Expr, line: u64) -> RawKind {
        match expr {
            Expr::Identifier(ident) => match (ident.quote_style, ident.value.to_ascii_lowercase().as_str()) {
                (None, "current_user" | "session_user" | "user" | "current_role") => self.refuse(
                    line,
                    format!("`{ident}`"),
                    "write auth.role() for the role or auth.uid() for the user",
                ),
                _ => RawKind::Column { table: None, name: fold(ident) },
            },
            Expr::CompoundIdentifier(parts) => {
                let mut names: Vec<String> = parts.iter().map(fold).collect();
                match (names.pop(), join_schema(&names)) {
                    (Some(name), Some(table)) => RawKind::Column { table: Some(table), name },
                    _ => self.refuse(line, format!("name `{expr}`"), "write table.column"),
                }
            }
            Expr::Value(value) => self.value(&value.value, line),
            Expr::TypedString(typed) => {
                let value = Raw { kind: self.value(&typed.value.value, line), line };
                self.cast(value, &typed.data_type, line)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
                let value = self.convert(expr);
                self.cast(value, data_type, line)
            }
            Expr::IsNull(one) => RawKind::IsNull(self.boxed(one)),
            Expr::IsNotNull(one) => self.negated(line, |this| RawKind::IsNull(this.boxed(one))),
            Expr::IsUnknown(one) => RawKind::IsNull(self.boxed(one)),
            Expr::IsNotUnknown(one) => self.negated(line, |this| RawKind::IsNull(this.boxed(one))),
            Expr::IsTrue(one) => RawKind::IsBool(self.boxed(one), true),
            Expr::IsNotTrue(one) => self.negated(line, |this| RawKind::IsBool(this.boxed(one), true)),
            Expr::IsFalse(one) => RawKind::IsBool(self.boxed(one), false),
            Expr::IsNotFalse(one) => self.negated(line, |this| RawKind::IsBool(this.boxed(one), false)),
            Expr::IsDistinctFrom(left, right) => self.compare(Comparison::Distinct, left, right, line),
            Expr::IsNotDistinctFrom(left, right) => self.compare(Comparison::NotDistinct, left, right, line),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, line),
            Expr::BinaryOp { left, op, right } => self.binary(expr, left, op, right, line),
            Expr::Case { operand, conditions, else_result, .. } => RawKind::Case {
                operand: operand.as_ref().map(|operand| self.boxed(operand)),
                arms: conditions
                    .iter()
                    .map(|CaseWhen { condition, result }| (self.convert(condition), self.convert(result)))
                    .collect(),
                otherwise: else_result.as_ref().map(|result| self.boxed(result)),
            },
            Expr::Function(function) => self.function(function, line),
            _ => self.set_or_pattern(expr, line),
        }
    }

    fn set_or_pattern(&mut self, expr: &Expr, line: u64) -> RawKind {
        match expr {
            Expr::Between { expr, negated, low, high } => self.perhaps_not(*negated, line, |this| {
                let lower = this.compare(Comparison::GreaterOrEqual, expr, low, line);
                let upper = this.compare(Comparison::LessOrEqual, expr, high, line);
                RawKind::And(vec![Raw { kind: lower, line }, Raw { kind: upper, line }])
            }),
            Expr::InList { expr, list, negated } => self.perhaps_not(*negated, line, |this| {
                RawKind::InList(this.boxed(expr), this.many(list))
            }),
            Expr::InSubquery { expr, subquery, negated } => {
                self.perhaps_not(*negated, line, |this| this.in_select(expr, subquery))
            }
            Expr::Exists { subquery, negated } => self.perhaps_not(*negated, line, |this| {
                RawKind::Exists(Box::new(this.select(subquery, false)))
            }),
            Expr::Subquery(query) => self.scalar(query, line),
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => self.any(left, right, line),
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
                self.negated(line, |this| this.any(left, right, line))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.perhaps_not(*negated, line, |this| this.like(expr, pattern, escape_char.as_deref(), false))
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.perhaps_not(*negated, line, |this| this.like(expr, pattern, escape_char.as_deref(), true))
            }
            other => {
                let (construct, help) = outside(other);
                self.refuse(line, construct, help)
            }
        }
    }

    fn negated(&mut self, line: u64, inner: impl FnOnce(&mut Self) -> RawKind) -> RawKind {
        let kind = inner(self);
        RawKind::Not(Box::new(Raw { kind, line }))
    }

    fn perhaps_not(&mut self, not: bool, line: u64, inner: impl FnOnce(&mut Self) -> RawKind) -> RawKind {
        if not { self.negated(line, inner) } else { inner(self) }
    }

    fn value(&mut self, value: &Value, line: u64) -> RawKind {
        match value {
            Value::Null => RawKind::Null,
            Value::Boolean(value) => RawKind::Bool(*value),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) if text.contains('\0') => {
                self.refuse(line, "a NUL character in a string", "leave it out")
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => RawKind::Text(text.clone()),
            Value::DollarQuotedString(text) => RawKind::Text(text.value.clone()),
            Value::Number(digits, _) => {
                let digits: String = digits.chars().filter(|c| *c != '_').collect();
                match digits.parse::<i64>() {
                    Ok(integer) => RawKind::Integer(integer),
                    Err(_) if digits.parse::<f64>().is_ok_and(f64::is_finite) => RawKind::Real(digits),
                    Err(_) => self.refuse(line, format!("number `{digits}`"), "write a decimal number"),
                }
            }
            other => self.refuse(line, format!("literal `{other}`"), "write a plain 'string', number or boolean"),
        }
    }

    fn cast(&mut self, value: Raw, target: &DataType, line: u64) -> RawKind {
        match cast_of(target) {
            Some(cast) => RawKind::Cast(Box::new(value), cast),
            None => self.refuse(
                line,
                format!("cast to `{target}`"),
                "casts to text, uuid, integer types, boolean, timestamps, json and enums are known here",
            ),
        }
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr, line: u64) -> RawKind {
        match op {
            UnaryOperator::Not => RawKind::Not(self.boxed(expr)),
            UnaryOperator::Plus => self.convert(expr).kind,
            UnaryOperator::Minus => match self.convert(expr) {
                Raw { kind: RawKind::Integer(value), .. } => RawKind::Integer(-value),
                Raw { kind: RawKind::Real(digits), .. } if digits.starts_with(|c: char| c != '-') => {
                    RawKind::Real(format!("-{digits}"))
                }
                other => {
                    let zero = Raw { kind: RawKind::Integer(0), line };
                    RawKind::Arithmetic(Arithmetic::Subtract, Box::new(zero), Box::new(other))
                }
            },
            other => self.refuse(line, format!("operator `{other}`"), "write it with the operators of the subset"),
        }
    }

    /// AND and OR become flat without recursion: the parser builds long chains as deep trees.
    fn chain(&mut self, whole: &Expr, op: &BinaryOperator) -> Vec<Raw> {
        let mut operands = Vec::new();
        let mut rest = whole;
        loop {
            match rest {
                Expr::BinaryOp { left, op: own, right } if own == op => {
                    operands.push(&**right);
                    rest = left;
                }
                Expr::Nested(inner) if matches!(&**inner, Expr::BinaryOp { op: own, .. } if own == op) => {
                    rest = inner;
                }
                last => {
                    operands.push(last);
                    break;
                }
            }
        }
        operands.into_iter().rev().map(|operand| self.convert(operand)).collect()
    }

    fn binary(&mut self, whole: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr, line: u64) -> RawKind {
        let arithmetic = |this: &mut Self, op| RawKind::Arithmetic(op, this.boxed(left), this.boxed(right));
        match op {
            BinaryOperator::And => RawKind::And(self.chain(whole, op)),
            BinaryOperator::Or => RawKind::Or(self.chain(whole, op)),
            BinaryOperator::Eq => self.compare(Comparison::Equal, left, right, line),
            BinaryOperator::NotEq => self.compare(Comparison::NotEqual, left, right, line),
            BinaryOperator::Lt => self.compare(Comparison::Less, left, right, line),
            BinaryOperator::LtEq => self.compare(Comparison::LessOrEqual, left, right, line),
            BinaryOperator::Gt => self.compare(Comparison::Greater, left, right, line),
            BinaryOperator::GtEq => self.compare(Comparison::GreaterOrEqual, left, right, line),
            BinaryOperator::Plus => arithmetic(self, Arithmetic::Add),
            BinaryOperator::Minus => arithmetic(self, Arithmetic::Subtract),
            BinaryOperator::Multiply => arithmetic(self, Arithmetic::Multiply),
            BinaryOperator::Divide => arithmetic(self, Arithmetic::Divide),
            BinaryOperator::Modulo => arithmetic(self, Arithmetic::Remainder),
            BinaryOperator::StringConcat => RawKind::Concat(self.boxed(left), self.boxed(right)),
            BinaryOperator::Arrow | BinaryOperator::LongArrow => RawKind::Json {
                text: *op == BinaryOperator::LongArrow,
                value: self.boxed(left),
                key: self.boxed(right),
            },
            BinaryOperator::PGLikeMatch => self.like(left, right, None, false),
            BinaryOperator::PGILikeMatch => self.like(left, right, None, true),
            BinaryOperator::PGNotLikeMatch => self.negated(line, |this| this.like(left, right, None, false)),
            BinaryOperator::PGNotILikeMatch => self.negated(line, |this| this.like(left, right, None, true)),
            other => {
                let help = match other {
                    BinaryOperator::PGRegexMatch
                    | BinaryOperator::PGRegexIMatch
                    | BinaryOperator::PGRegexNotMatch
                    | BinaryOperator::PGRegexNotIMatch => "regular expressions are outside the subset: write LIKE",
                    BinaryOperator::PGExp => "powers are outside the subset: write a multiplication",
                    BinaryOperator::AtArrow | BinaryOperator::ArrowAt | BinaryOperator::PGOverlap => {
                        "arrays and containment are outside the subset: write IN over a membership table"
                    }
                    BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => "write a chain of -> and ->>",
                    _ => "write it with comparisons, AND, OR, NOT, IN, LIKE, EXISTS, -> and ->>",
                };
                self.refuse(line, format!("operator `{other}`"), help)
            }
        }
    }

    fn compare(&mut self, op: Comparison, left: &Expr, right: &Expr, line: u64) -> RawKind {
        // PostgreSQL's comparisons do not associate, and LIKE, IN and BETWEEN bind tighter there.
        for side in [left, right] {
            let comparison = match side {
                Expr::BinaryOp { op, .. } => is_comparison(op),
                Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => true,
                Expr::UnaryOp { op: UnaryOperator::Not, .. } => true,
                _ => false,
            };
            if comparison {
                return self.refuse(
                    line,
                    format!("a comparison of the comparison `{side}`"),
                    "put the inner one in parentheses",
                );
            }
        }
        RawKind::Compare(op, self.boxed(left), self.boxed(right))
    }

    fn like(&mut self, value: &Expr, pattern: &Expr, escape: Option<&Expr>, fold: bool) -> RawKind {
        let escape = match escape {
            None => Some("\\".to_owned()),
            Some(expr) => match self.convert(expr).kind {
                RawKind::Text(text) if text.chars().count() == 1 => Some(text),
                RawKind::Text(text) if text.is_empty() => None,
                _ => {
                    let line = self.line;
                    return self.refuse(line, "ESCAPE", "write one character, or '' for none");
                }
            },
        };
        RawKind::Like { value: self.boxed(value), pattern: self.boxed(pattern), escape, fold }
    }

    /// `= ANY (..)` over a written-out array or a subquery.
    fn any(&mut self, left: &Expr, right: &Expr, line: u64) -> RawKind {
        let mut array = right;
        let mut element = None;
        loop {
            match array {
                Expr::Nested(inner) => array = inner,
                Expr::Cast { expr, data_type: DataType::Array(of), .. } => {
                    if element.is_none() {
                        element = array_element(of);
                    }
                    array = expr;
                }
                _ => break,
            }
        }
        let items = match array {
            Expr::Subquery(query) => return self.in_select(left, query),
            Expr::Array(array) => self.many(&array.elem),
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) if element.is_some() => {
                    let Some(items) = array_literal(text) else {
                        return self.refuse(line, "this array literal", "write ARRAY['a', 'b']");
                    };
                    items.into_iter().map(|item| Raw { kind: RawKind::Text(item), line }).collect()
                }
                _ => return self.refuse(line, "ANY over a value", "write IN (..) or = ANY (ARRAY[..])"),
            },
            _ => {
                let help = "array columns are outside the subset: write IN (SELECT ..) over a table of their \
                            elements, or = ANY (ARRAY[..])";
                return self.refuse(line, format!("ANY (`{right}`)"), help);
            }
        };
        let cast = |item: Raw| match &element {
            Some(cast) => Raw { line, kind: RawKind::Cast(Box::new(item), cast.clone()) },
            None => item,
        };
        RawKind::InList(self.boxed(left), items.into_iter().map(cast).collect())
    }

    fn function(&mut self, function: &Function, line: u64) -> RawKind {
        let Some(arguments) = plain_arguments(function) else {
            let (construct, help) =
                (format!("call `{function}`"), "aggregates, windows and named arguments are outside the subset");
            return self.refuse(line, construct, help);
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
            ("now" | "pg_catalog_now", _, []) | ("current_timestamp" | "transaction_timestamp", false, []) => {
                RawKind::Now
            }
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

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// What stands outside the subset by its shape alone.
fn outside(expr: &Expr) -> (String, &'static str) {
    match expr {
        Expr::RLike { .. } | Expr::SimilarTo { .. } => {
            (format!("pattern `{expr}`"), "regular expressions are outside the subset: write LIKE")
        }
        Expr::AnyOp { .. } | Expr::AllOp { .. } => {
            (format!("`{expr}`"), "write = ANY (ARRAY[..]), <> ALL (ARRAY[..]), IN or NOT IN")
        }
        Expr::CompoundFieldAccess { .. } | Expr::Array(_) => {
            (format!("array `{expr}`"), "arrays are outside the subset but for = ANY (ARRAY[..])")
        }
        Expr::Interval(_) => {
            (format!("`{expr}`"), "intervals are outside the subset: store the moment itself and compare with now()")
        }
        Expr::Tuple(_) => (format!("row `{expr}`"), "compare the columns one by one"),
        other => (format!("`{other}`"), "write it with comparisons, AND, OR, NOT, IN, LIKE, EXISTS, -> and ->>"),
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

fn cast_of(target: &DataType) -> Option<Cast> {
    Some(match target {
        DataType::Text | DataType::Varchar(None) | DataType::CharacterVarying(None) => Cast::Text,
        DataType::Uuid => Cast::Uuid,
        DataType::Int(None)
        | DataType::Integer(None)
        | DataType::BigInt(None)
        | DataType::SmallInt(None)
        | DataType::Int2(None)
        | DataType::Int4(None)
        | DataType::Int8(None) => Cast::Integer,
        DataType::Bool | DataType::Boolean => Cast::Bool,
        DataType::Timestamp(None, _) => Cast::Time,
        DataType::JSON | DataType::JSONB => Cast::Json,
        DataType::Custom(name, arguments) if arguments.is_empty() => match table_name(name).ok()?.as_str() {
            "timestamptz" => Cast::Time,
            "citext" | "name" | "regclass" | "interval" | "inet" | "date" | "time" => return None,
            other => Cast::Enum(other.to_owned()),
        },
        _ => return None,
    })
}

fn array_element(of: &sqlparser::ast::ArrayElemTypeDef) -> Option<Cast> {
    match of {
        sqlparser::ast::ArrayElemTypeDef::SquareBracket(element, _)
        | sqlparser::ast::ArrayElemTypeDef::AngleBracket(element)
        | sqlparser::ast::ArrayElemTypeDef::Parenthesis(element) => cast_of(element),
        sqlparser::ast::ArrayElemTypeDef::None | sqlparser::ast::ArrayElemTypeDef::Qualified(..) => None,
    }
}

/// `{a,b}` without quotes, escapes or nested braces.
fn array_literal(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.contains(['"', '\\', '{', '}']) {
        return None;
    }
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let items: Vec<String> = inner.split(',').map(|item| item.trim().to_owned()).collect();
    let null = |item: &String| item.is_empty() || item.eq_ignore_ascii_case("null");
    if items.iter().any(null) { None } else { Some(items) }
}

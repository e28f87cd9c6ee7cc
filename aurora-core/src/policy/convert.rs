//! From the parser's syntax to our own: the gate through which the accepted subset passes.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, CaseWhen, CastKind, DataType, Expr, UnaryOperator, Value};

use super::error::PolicyError;
use super::parse::{fold, join_schema};
use super::raw::{Arithmetic, Comparison, Operator, Qualifier, Raw, RawKind};
use super::spelling::{cast_of, is_comparison, line_of};

/// Deeper expressions than people write; keeps every later recursion within a thread's stack.
const DEEPEST: usize = 96;

pub(super) struct Converter<'a> {
    file: &'a Arc<str>,
    pub(super) line: u64,
    context: String,
    depth: usize,
    /// Lines before the text that is being read: a function's body is a text of its own.
    pub(super) before: u64,
    pub(super) errors: Vec<PolicyError>,
}

impl<'a> Converter<'a> {
    pub(super) fn new(file: &'a Arc<str>, line: u64, context: String) -> Self {
        Self { file, line, context, depth: 0, before: 0, errors: Vec::new() }
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

    pub(super) fn convert(&mut self, expr: &Expr) -> Raw {
        // Parentheses nest without meaning, but the parser bounds how deep.
        if let Expr::Nested(inner) = expr {
            return self.convert(inner);
        }
        let line = self.shifted(line_of(expr)).unwrap_or(self.line);
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

    pub(super) fn shifted(&self, line: Option<u64>) -> Option<u64> {
        line.map(|line| line + self.before)
    }

    pub(super) fn boxed(&mut self, expr: &Expr) -> Box<Raw> {
        Box::new(self.convert(expr))
    }

    pub(super) fn many(&mut self, exprs: &[Expr]) -> Vec<Raw> {
        exprs.iter().map(|expr| self.convert(expr)).collect()
    }

    fn kind(&mut self, expr: &Expr, line: u64) -> RawKind {
        match expr {
            Expr::Identifier(ident) => match (ident.quote_style, ident.value.to_ascii_lowercase().as_str()) {
                (None, name @ ("current_user" | "session_user" | "user" | "current_role")) => {
                    self.session(name, line)
                }
                (None, name @ ("current_date" | "localtimestamp" | "current_timestamp")) => {
                    self.clock(name, line)
                }
                _ => RawKind::Column { table: None, name: fold(ident) },
            },
            Expr::CompoundIdentifier(parts) => {
                let mut names: Vec<String> = parts.iter().map(fold).collect();
                let name = names.pop().unwrap_or_default();
                match (names.as_slice(), join_schema(&names)) {
                    ([table], _) => RawKind::Column { table: Some(Qualifier::Name(table.clone())), name },
                    (_, Some(full)) => RawKind::Column { table: Some(Qualifier::Full(full)), name },
                    _ => self.refuse(line, "a name of more than three parts", "write table.column"),
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
            Expr::InList { expr, list, negated } => {
                self.perhaps_not(*negated, line, |this| RawKind::InList(this.boxed(expr), this.many(list)))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                self.perhaps_not(*negated, line, |this| this.in_select(expr, subquery))
            }
            Expr::Exists { subquery, negated } => {
                self.perhaps_not(*negated, line, |this| this.exists(subquery))
            }
            Expr::Subquery(query) => self.scalar(query, line),
            Expr::AnyOp { left, compare_op, right, .. } => {
                self.quantified(left, compare_op, right, false, line)
            }
            Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true, line),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.perhaps_not(*negated, line, |this| {
                    this.like(expr, pattern, escape_char.as_deref(), false)
                })
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.perhaps_not(*negated, line, |this| {
                    this.like(expr, pattern, escape_char.as_deref(), true)
                })
            }
            other => self.special(other, line),
        }
    }

    pub(super) fn negated(&mut self, line: u64, inner: impl FnOnce(&mut Self) -> RawKind) -> RawKind {
        let kind = inner(self);
        RawKind::Not(Box::new(Raw { kind, line }))
    }

    pub(super) fn perhaps_not(
        &mut self,
        not: bool,
        line: u64,
        inner: impl FnOnce(&mut Self) -> RawKind,
    ) -> RawKind {
        if not { self.negated(line, inner) } else { inner(self) }
    }

    pub(super) fn value(&mut self, value: &Value, line: u64) -> RawKind {
        match value {
            Value::Null => RawKind::Null,
            Value::Boolean(value) => RawKind::Bool(*value),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) if text.contains('\0') => {
                self.refuse(line, "a NUL character in a string", "leave it out")
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                RawKind::Text(text.clone())
            }
            Value::DollarQuotedString(text) => RawKind::Text(text.value.clone()),
            Value::Number(digits, _) => {
                let digits: String = digits.chars().filter(|c| *c != '_').collect();
                match digits.parse::<i64>() {
                    Ok(integer) => RawKind::Integer(integer),
                    Err(_) if digits.parse::<f64>().is_ok_and(f64::is_finite) => RawKind::Real(digits),
                    Err(_) => self.refuse(line, format!("number `{digits}`"), "write a decimal number"),
                }
            }
            Value::Placeholder(name) => {
                match name.strip_prefix('$').and_then(|at| at.parse::<usize>().ok()) {
                    Some(at) if at > 0 => RawKind::Parameter(at - 1),
                    _ => self.refuse(
                        line,
                        format!("placeholder `{name}`"),
                        "a function's arguments are $1, $2, ..",
                    ),
                }
            }
            other => {
                self.refuse(line, format!("literal `{other}`"), "write a plain 'string', number or boolean")
            }
        }
    }

    pub(super) fn cast(&mut self, value: Raw, target: &DataType, line: u64) -> RawKind {
        match cast_of(target) {
            Some(cast) => RawKind::Cast(Box::new(value), cast),
            None => self.refuse(
                line,
                format!("cast to `{target}`"),
                "casts to text, uuid, smallint, integer, bigint, double precision, boolean, timestamptz, date, \
                 interval, jsonb, enums and arrays of most of them are known here",
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
            other => {
                self.refuse(line, format!("operator `{other}`"), "write it with the operators of the subset")
            }
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
        // PostgreSQL reads all of these from the left, the parser does not.
        if is_other(op) && matches!(right, Expr::BinaryOp { op, .. } if is_other(op)) {
            let help = "put the right side in parentheses: PostgreSQL reads it from the left";
            return self.refuse(line, format!("operator `{op}` before another one"), help);
        }
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
            BinaryOperator::PGRegexMatch => self.regex(left, right, false, line),
            BinaryOperator::PGRegexIMatch => self.regex(left, right, true, line),
            BinaryOperator::PGRegexNotMatch => {
                self.negated(line, |this| this.regex(left, right, false, line))
            }
            BinaryOperator::PGRegexNotIMatch => {
                self.negated(line, |this| this.regex(left, right, true, line))
            }
            other => match operator_of(other) {
                Some(op) => RawKind::Operator(op, self.boxed(left), self.boxed(right)),
                None if matches!(other, BinaryOperator::PGExp) => {
                    self.refuse(line, "operator `^`", "powers are outside the subset: write a multiplication")
                }
                None => {
                    let help = "write it with comparisons, AND, OR, NOT, IN, LIKE, EXISTS, -> and ->>";
                    self.refuse(line, format!("operator `{other}`"), help)
                }
            },
        }
    }

    pub(super) fn compare(&mut self, op: Comparison, left: &Expr, right: &Expr, line: u64) -> RawKind {
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
                    "a comparison whose side is a comparison",
                    "put the inner one in parentheses",
                );
            }
        }
        RawKind::Compare(op, self.boxed(left), self.boxed(right))
    }

    pub(super) fn like(
        &mut self,
        value: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        fold: bool,
    ) -> RawKind {
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
}

fn operator_of(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::AtArrow => Operator::Contains,
        BinaryOperator::ArrowAt => Operator::ContainedBy,
        BinaryOperator::PGOverlap => Operator::Overlaps,
        BinaryOperator::Question => Operator::HasKey,
        BinaryOperator::QuestionPipe => Operator::HasAnyKey,
        BinaryOperator::QuestionAnd => Operator::HasAllKeys,
        BinaryOperator::HashArrow => Operator::Path,
        BinaryOperator::HashLongArrow => Operator::PathText,
        _ => return None,
    })
}

/// The operators that PostgreSQL's grammar knows as "any other operator", of one precedence.
fn is_other(op: &BinaryOperator) -> bool {
    operator_of(op).is_some()
        || matches!(
            op,
            BinaryOperator::StringConcat
                | BinaryOperator::Arrow
                | BinaryOperator::LongArrow
                | BinaryOperator::PGRegexMatch
                | BinaryOperator::PGRegexIMatch
                | BinaryOperator::PGRegexNotMatch
                | BinaryOperator::PGRegexNotIMatch
        )
}

//! Expressions: which are carried, which may run early, and the subqueries in them.

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, ObjectName, ObjectNamePart, OrderByExpr, UnaryOperator,
    Value, WindowFrameBound, WindowSpec, WindowType,
};

use crate::types::Result;

use super::{Rewriter, Safety, refused, text};

/// Built-in functions that cannot fail and cannot be watched, whatever they are given.
const PLAIN: &[&str] = &[
    "coalesce", "date", "datetime", "ifnull", "iif", "instr", "julianday", "length", "likelihood", "likely",
    "lower", "ltrim", "max", "min", "nullif", "octet_length", "round", "rtrim", "sign", "strftime", "substr",
    "substring", "time", "trim", "typeof", "unicode", "unixepoch", "unlikely", "upper", "count", "avg", "total",
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value",
    "last_value", "current_timestamp", "current_date", "current_time",
];

impl Rewriter<'_> {
    /// Checks and rewrites an expression in place.
    pub(super) fn expr(&mut self, expr: &mut Expr) -> Result<Safety> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(refused("an expression this deep"));
        }
        let safety = self.expr_inner(expr);
        self.depth -= 1;
        safety
    }

    fn expr_inner(&mut self, expr: &mut Expr) -> Result<Safety> {
        use Safety::{Plain, Watched};
        Ok(match expr {
            Expr::Identifier(ident) => {
                self.note_column(None, &ident.value);
                Plain
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => {
                    self.note_column(Some(&table.value), &column.value);
                    Plain
                }
                _ => return Err(refused(format_args!("the name `{expr}`"))),
            },
            Expr::Value(value) => match value.value {
                Value::Number(..) | Value::SingleQuotedString(_) | Value::HexStringLiteral(_) => Plain,
                Value::Null | Value::Boolean(_) | Value::Placeholder(_) => Plain,
                _ => return Err(refused(format_args!("the literal `{value}`"))),
            },
            Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::Nested(e) => self.expr(e)?,
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => self.expr(a)?.and(self.expr(b)?),
            Expr::InList { expr, list, .. } => {
                let first = self.expr(expr)?;
                first.and(self.exprs(list)?)
            }
            Expr::InSubquery { expr, subquery, .. } => self.expr(expr)?.and(self.query(subquery)?),
            Expr::Between { expr, low, high, .. } => {
                self.expr(expr)?.and(self.expr(low)?).and(self.expr(high)?)
            }
            Expr::BinaryOp { left, op, right } => {
                let own = operator(op, right)?;
                own.and(self.expr(left)?).and(self.expr(right)?)
            }
            Expr::Like { any: false, expr, pattern, escape_char, .. } => {
                // A pattern that is too long fails; one from a column would tell its length.
                let own = if is_constant(pattern) { Plain } else { Watched };
                let escape = match escape_char {
                    Some(escape) if is_constant(escape) => self.expr(escape)?,
                    Some(escape) => Watched.and(self.expr(escape)?),
                    None => Plain,
                };
                own.and(escape).and(self.expr(expr)?).and(self.expr(pattern)?)
            }
            Expr::UnaryOp { op, expr } => {
                if !matches!(op, UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not | UnaryOperator::BitwiseNot)
                {
                    return Err(refused(format_args!("the operator `{op}`")));
                }
                self.expr(expr)?
            }
            Expr::Cast { kind: CastKind::Cast, expr, format: None, .. } => self.expr(expr)?,
            Expr::Collate { expr, collation } => {
                let known = ["binary", "nocase", "rtrim"];
                if !known.contains(&collation.to_string().to_ascii_lowercase().trim_matches('"')) {
                    return Err(refused(format_args!("the collation `{collation}`")));
                }
                self.expr(expr)?
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut safety = Plain;
                if let Some(operand) = operand {
                    safety = self.expr(operand)?;
                }
                for when in conditions {
                    safety = safety.and(self.expr(&mut when.condition)?).and(self.expr(&mut when.result)?);
                }
                if let Some(last) = else_result {
                    safety = safety.and(self.expr(last)?);
                }
                safety
            }
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => self.query(subquery)?,
            Expr::Tuple(list) => self.exprs(list)?,
            Expr::Function(_) => return self.function(expr),
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(_) }
            | Expr::Floor { expr, field: CeilFloorKind::DateTimeField(_) } => self.expr(expr)?,
            Expr::Substring { expr, substring_from, substring_for, special, .. } => {
                // Print with commas: SQLite does not know FROM .. FOR.
                *special = true;
                let mut safety = self.expr(expr)?;
                for part in [substring_from, substring_for].into_iter().flatten() {
                    safety = safety.and(self.expr(part)?);
                }
                safety
            }
            Expr::Trim { expr, trim_where: None, trim_what: None, trim_characters } => {
                let safety = self.expr(expr)?;
                match trim_characters {
                    Some(characters) => safety.and(self.exprs(characters)?),
                    None => safety,
                }
            }
            other => return Err(refused(format_args!("the expression `{other}`"))),
        })
    }

    pub(super) fn exprs(&mut self, list: &mut [Expr]) -> Result<Safety> {
        let mut safety = Safety::Plain;
        for expr in list {
            safety = safety.and(self.expr(expr)?);
        }
        Ok(safety)
    }

    pub(super) fn order_by(&mut self, list: &mut [OrderByExpr]) -> Result<Safety> {
        let mut safety = Safety::Plain;
        for item in list {
            if item.with_fill.is_some() {
                return Err(refused("WITH FILL"));
            }
            safety = safety.and(self.expr(&mut item.expr)?);
        }
        Ok(safety)
    }

    fn function(&mut self, expr: &mut Expr) -> Result<Safety> {
        let Expr::Function(function) = expr else { return Ok(Safety::Watched) };
        let name = match function.name.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => name.value.to_ascii_lowercase(),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)]
                if schema.value.eq_ignore_ascii_case("auth") =>
            {
                let name = name.value.to_ascii_lowercase();
                return self.identity(expr, &name);
            }
            _ => return Err(refused(format_args!("the function `{}`", function.name))),
        };
        if function.uses_odbc_syntax
            || function.parameters != FunctionArguments::None
            || !function.within_group.is_empty()
        {
            return Err(refused(format_args!("this form of calling `{name}`")));
        }
        let mut safety = if PLAIN.contains(&name.as_str()) { Safety::Plain } else { Safety::Watched };
        safety = safety.and(self.arguments(function)?);
        if let Some(filter) = &mut function.filter {
            safety = safety.and(self.expr(filter)?);
        }
        if let Some(WindowType::WindowSpec(window)) = &mut function.over {
            safety = safety.and(self.window(window)?);
        }
        Ok(safety)
    }

    fn arguments(&mut self, function: &mut Function) -> Result<Safety> {
        let mut safety = Safety::Plain;
        match &mut function.args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(query) => safety = self.query(query)?,
            FunctionArguments::List(list) => {
                if list.duplicate_treatment == Some(DuplicateTreatment::All) {
                    list.duplicate_treatment = None;
                }
                for argument in &mut list.args {
                    safety = safety.and(self.argument(argument)?);
                }
                for clause in &mut list.clauses {
                    match clause {
                        FunctionArgumentClause::OrderBy(order) => safety = safety.and(self.order_by(order)?),
                        other => return Err(refused(format_args!("`{other}` in a function call"))),
                    }
                }
            }
        }
        Ok(safety)
    }

    pub(super) fn argument(&mut self, argument: &mut FunctionArg) -> Result<Safety> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(Safety::Plain),
            other => Err(refused(format_args!("the argument `{other}`"))),
        }
    }

    pub(super) fn window(&mut self, window: &mut WindowSpec) -> Result<Safety> {
        let mut safety = self.exprs(&mut window.partition_by)?.and(self.order_by(&mut window.order_by)?);
        if let Some(frame) = &mut window.window_frame {
            for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
                if let WindowFrameBound::Preceding(Some(n)) | WindowFrameBound::Following(Some(n)) = bound {
                    safety = safety.and(self.expr(n)?);
                }
            }
        }
        Ok(safety)
    }

    /// `auth.uid()` and its friends in host SQL: what they answer in a policy, as text.
    fn identity(&mut self, expr: &mut Expr, name: &str) -> Result<Safety> {
        let function = match name {
            "uid" => "auth_uid_text",
            "email" => "auth_email",
            "jwt" => "auth_jwt_json",
            "role" => {
                *expr = Expr::value(Value::SingleQuotedString(self.rules.role.as_str().to_owned()));
                return Ok(Safety::Plain);
            }
            _ => return Err(refused(format_args!("the function `auth.{name}`"))),
        };
        if let Expr::Function(call) = expr {
            call.name = ObjectName(vec![ObjectNamePart::Identifier(text::quoted(
                &self.rules.names.function(function),
            ))]);
        }
        Ok(Safety::Plain)
    }

    /// Whether the write reads its target; naming one of its columns anywhere counts.
    pub(super) fn note_column(&mut self, qualifier: Option<&str>, column: &str) {
        let Some(target) = &self.target else { return };
        let reads = match qualifier {
            Some(qualifier) => qualifier.eq_ignore_ascii_case(&target.alias),
            None => {
                is_rowid(column) || target.columns.iter().any(|known| known.eq_ignore_ascii_case(column))
            }
        };
        self.reads_target |= reads;
    }
}

pub(super) fn is_rowid(name: &str) -> bool {
    ["rowid", "_rowid_", "oid"].iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn operator(op: &BinaryOperator, right: &Expr) -> Result<Safety> {
    use BinaryOperator as Op;
    Ok(match op {
        Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => Safety::Plain,
        Op::Gt | Op::Lt | Op::GtEq | Op::LtEq | Op::Eq | Op::NotEq | Op::And | Op::Or => Safety::Plain,
        Op::BitwiseAnd | Op::BitwiseOr | Op::PGBitwiseShiftLeft | Op::PGBitwiseShiftRight => Safety::Plain,
        Op::Glob if is_constant(right) => Safety::Plain,
        // A concatenation can outgrow the longest string, JSON operators fail on text that is not JSON.
        Op::Glob | Op::StringConcat | Op::Arrow | Op::LongArrow => Safety::Watched,
        other => return Err(refused(format_args!("the operator `{other}`"))),
    })
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(_))
}

/// `ident` as an expression.
pub(super) fn column(table: &str, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![text::quoted(table), text::quoted(column)])
}

/// The name in an identifier.
pub(super) fn name_of(ident: &Ident) -> &str {
    &ident.value
}

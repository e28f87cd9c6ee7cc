//! Expressions: which are carried, which may run early, and the subqueries in them.

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    OrderByExpr, UnaryOperator, Value, WindowFrameBound, WindowSpec, WindowType,
};

use crate::types::{Code, Error, Result};

use super::{Rewriter, Rules, Safety, refused, text};

/// Built-in functions that cannot fail and cannot be watched, whatever they are given.
///
/// Not among them, though they look it: `strftime` (a long format grows past the longest string only where the
/// date is one), `ntile` and `nth_value` (fail on what is not positive), `sum` (overflows).
const PLAIN: &[&str] = &[
    "coalesce",
    "date",
    "datetime",
    "ifnull",
    "iif",
    "instr",
    "julianday",
    "length",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "round",
    "rtrim",
    "sign",
    "substr",
    "substring",
    "time",
    "trim",
    "typeof",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
    "count",
    "avg",
    "total",
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "current_timestamp",
    "current_date",
    "current_time",
];

/// How deep an expression may nest, chains of two-sided operators aside.
const DEEPEST_EXPRESSION: usize = 70;

/// The longest pattern that LIKE and GLOB take, in bytes; the engine is told the same.
const LONGEST_PATTERN: usize = 1_000;

impl Rewriter<'_> {
    /// Checks and rewrites an expression in place.
    pub(super) fn expr(&mut self, expr: &mut Expr) -> Result<Safety> {
        self.depth += 1;
        if self.depth > DEEPEST_EXPRESSION {
            return Err(refused("an expression this deep"));
        }
        let safety = self.expr_inner(expr);
        self.depth -= 1;
        safety
    }

    fn expr_inner(&mut self, expr: &mut Expr) -> Result<Safety> {
        use Safety::{Plain, Watched};
        Ok(match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                self.name(expr)?;
                Plain
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) if !name.starts_with('?') => {
                    return Err(refused(format_args!("the parameter `{name}`; write $1, $2, ..")));
                }
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
            Expr::BinaryOp { .. } => {
                // Down the left side in a loop: a chain is as deep as it is long.
                let mut safety = Plain;
                let mut rest = expr;
                while let Expr::BinaryOp { left, op, right } = rest {
                    safety = safety.and(operator(op, right)?).and(self.expr(right)?);
                    rest = left;
                }
                safety.and(self.expr(rest)?)
            }
            Expr::Like { any: false, expr, pattern, escape_char, .. } => {
                // A pattern that is too long fails, and only where a row is looked at.
                let own = if is_short(pattern, LONGEST_PATTERN) { Plain } else { Watched };
                let escape = match escape_char {
                    Some(escape) if is_short(escape, 1) => self.expr(escape)?,
                    Some(escape) => Watched.and(self.expr(escape)?),
                    None => Plain,
                };
                own.and(escape).and(self.expr(expr)?).and(self.expr(pattern)?)
            }
            Expr::UnaryOp { op, expr } => {
                if !matches!(
                    op,
                    UnaryOperator::Plus
                        | UnaryOperator::Minus
                        | UnaryOperator::Not
                        | UnaryOperator::BitwiseNot
                ) {
                    return Err(refused(format_args!("the operator `{op}`")));
                }
                let safety = self.expr(expr)?;
                // Two signs in a row would be printed as a comment.
                if matches!(**expr, Expr::UnaryOp { .. }) {
                    let inner = std::mem::replace(&mut **expr, Expr::value(Value::Null));
                    **expr = Expr::Nested(Box::new(inner));
                }
                safety
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None, .. } => {
                let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '(' | ')' | ',');
                if !data_type.to_string().chars().all(simple) {
                    return Err(refused(format_args!("a cast to `{data_type}`")));
                }
                self.expr(expr)?
            }
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
        if name == "raise"
            && (!self.in_trigger || function.args.to_string().to_ascii_uppercase().starts_with("(ROLLBACK"))
        {
            return Err(refused("RAISE(ROLLBACK, ..), or RAISE outside a trigger; write RAISE(ABORT, ..)"));
        }
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
                if let Expr::Function(call) = &*expr {
                    plain_identity(call, name)?;
                }
                *expr = Expr::value(Value::SingleQuotedString(self.rules.role.as_str().to_owned()));
                return Ok(Safety::Plain);
            }
            _ => return Err(refused(format_args!("the function `auth.{name}`"))),
        };
        if let Expr::Function(call) = expr {
            plain_identity(call, name)?;
            call.name = ObjectName(vec![ObjectNamePart::Identifier(text::quoted(
                &self.rules.names.function(function),
            ))]);
        }
        Ok(Safety::Plain)
    }

    /// A column's name: a schema in front goes, `rowid` becomes what the view calls it, and a read of a write's
    /// target is noted.
    fn name(&mut self, expr: &mut Expr) -> Result<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [schema, _, _] = parts.as_slice()
            && text::is_own_schema(&schema.value)
        {
            parts.remove(0);
        }
        let (qualifier, name) = match &*expr {
            Expr::Identifier(name) => (None, name.value.clone()),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] => (Some(table.value.clone()), name.value.clone()),
                _ => return Err(refused(format_args!("the name `{expr}`"))),
            },
            _ => return Ok(()),
        };
        self.note_column(qualifier.as_deref(), &name)?;
        self.read_granted(qualifier.as_deref(), &name)?;
        if is_rowid(&name)
            && let Some(known) = self.rowid(qualifier.as_deref(), &name)?
        {
            *expr = known;
        } else if let (true, Some(qualifier), Some(target)) = (self.in_returning, qualifier, &self.target)
            && qualifier.eq_ignore_ascii_case(&target.alias)
            && !self.in_sight(&qualifier)
        {
            // SQLite's RETURNING knows the table's name only.
            if self.in_sight(&target.table) {
                return Err(refused(format_args!("`{}` as another table's alias", target.table)));
            }
            *expr = column(&target.table, &name);
        }
        Ok(())
    }

    fn in_sight(&self, alias: &str) -> bool {
        self.blocks.iter().flat_map(|block| &block.items).any(|item| item.alias.eq_ignore_ascii_case(alias))
    }

    /// What `rowid` stands for. Views have none, and a name that the inside does not know the engine looks up
    /// outside, in the end on the base table of a write: so it is settled here, or refused.
    fn rowid(&mut self, qualifier: Option<&str>, word: &str) -> Result<Option<Expr>> {
        let Rules { host, names, .. } = self.rules;
        let settled = self.target.is_none();
        for block in self.blocks.iter_mut().rev() {
            let item = match qualifier {
                Some(alias) => block.items.iter_mut().find(|item| item.alias.eq_ignore_ascii_case(alias)),
                None => match block.items.as_mut_slice() {
                    [] => None,
                    [item] => Some(item),
                    _ => {
                        return Err(refused(format_args!(
                            "`{word}` beside several tables; write table.{word}"
                        )));
                    }
                },
            };
            let Some(item) = item else { continue };
            return match item.table.and_then(|position| host.tables.get(position)) {
                None if settled => Ok(None),
                None => Err(refused(format_args!("`{word}` of what is not a table"))),
                Some(table) if table.columns.iter().any(|known| known.eq_ignore_ascii_case(word)) => Ok(None),
                Some(table) => match (table.rowid.is_some(), table.primary_key.as_slice()) {
                    (true, [key]) if table.late_columns.contains(key) => Ok(Some(column(&item.alias, key))),
                    (true, _) => {
                        item.inner = true;
                        Ok(Some(column(&item.alias, &names.row())))
                    }
                    (false, _) => Err(Error::new(Code::BadStatement, format!("no such column: {word}"))),
                },
            };
        }
        Ok(None)
    }
}

/// Identity functions are answered by us, so what stands in their call is not walked like other expressions: it must
/// be nothing at all, or for `auth.jwt` a path of literals.
fn plain_identity(call: &Function, name: &str) -> Result<()> {
    let bare = !call.uses_odbc_syntax
        && call.parameters == FunctionArguments::None
        && call.within_group.is_empty()
        && call.filter.is_none()
        && call.null_treatment.is_none()
        && call.over.is_none();
    let literal = |argument: &FunctionArg| {
        matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))
            if matches!(value.value, Value::SingleQuotedString(_) | Value::Number(..) | Value::Placeholder(_)))
    };
    let arguments = match &call.args {
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            list.args.is_empty() || (name == "jwt" && list.args.iter().all(literal))
        }
        _ => false,
    };
    if bare && arguments {
        return Ok(());
    }
    Err(refused(format_args!("this form of calling `auth.{name}`; its arguments are literals")))
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
        Op::Glob if is_short(right, LONGEST_PATTERN) => Safety::Plain,
        // A concatenation can outgrow the longest string, JSON operators fail on text that is not JSON.
        Op::Glob | Op::StringConcat | Op::Arrow | Op::LongArrow => Safety::Watched,
        other => return Err(refused(format_args!("the operator `{other}`"))),
    })
}

/// A literal of at most so many bytes; a parameter may hold anything.
fn is_short(expr: &Expr, longest: usize) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            // As it was written: a quote stands doubled in it.
            Value::SingleQuotedString(text) => !text.is_empty() && text.replace("''", "'").len() <= longest,
            _ => false,
        },
        _ => false,
    }
}

/// `ident` as an expression.
pub(super) fn column(table: &str, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![text::quoted(table), text::quoted(column)])
}

/// The name in an identifier.
pub(super) fn name_of(ident: &Ident) -> &str {
    &ident.value
}

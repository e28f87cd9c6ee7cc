//! Names and types: from an expression as written to one that can be printed.

use super::catalog::{Catalog, Policy};
use super::coerce::{self, Typed};
use super::error::{PolicyError, PolicyWarning};
use super::expr::{Expr, Form, ROW, Type};
use super::functions::FunctionName;
use super::host::HostFunction;
use super::inline::Frame;
use super::raw::{Comparison, Identity, Raw, RawKind, plain_value};
use super::schema::{Schema, Table};
use super::select::{Choices, Columns, Flat, Named};
use crate::types::Role;

/// What the policies of one file are checked against.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) host: &'a [HostFunction],
    pub(super) schema: &'a Schema,
}

/// Checks the expressions of one policy for one role: `auth.role()` is a constant then, and `auth.uid()` is
/// NULL for `anon`.
pub(super) struct Checker<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) host: &'a [HostFunction],
    pub(super) schema: &'a Schema,
    pub(super) role: Role,
    context: String,
    /// Outermost first; the guarded row is the first.
    pub(super) scopes: Vec<Vec<Named<'a>>>,
    pub(super) next: usize,
    /// The functions being inlined, outermost first.
    pub(super) frames: Vec<Frame<'a>>,
    /// The subquery whose FROM is being gathered.
    pub(super) flat: Option<Flat>,
    pub(super) choices: Choices,
    /// Expressions looked at, which bounds how far functions unfold.
    pub(super) spent: usize,
    /// Inner tables that are read under their own policies.
    pub(super) reads: Vec<String>,
    /// Tables of which a subquery takes every column: `EXISTS (SELECT * ..)`.
    pub(super) whole: Vec<String>,
    /// What the role may not use, as PostgreSQL's error text has it: `table t`, `function f`.
    pub(super) denied: Option<String>,
    pub(super) errors: Vec<PolicyError>,
    pub(super) warnings: Vec<PolicyWarning>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(ground: Ground<'a>, table: &'a Table, role: Role, policy: &Policy) -> Self {
        let Ground { catalog, host, schema } = ground;
        let columns = Columns::Table(table);
        let row = Named { id: ROW, alias: policy.called.clone(), bare: true, columns, visible: true };
        Self {
            catalog,
            host,
            schema,
            role,
            context: format!("policy \"{}\" on {}", policy.name, table.name),
            scopes: vec![vec![row]],
            next: ROW + 1,
            frames: Vec::new(),
            flat: None,
            choices: Choices::default(),
            spent: 0,
            reads: Vec::new(),
            whole: Vec::new(),
            denied: None,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Where in the file's terms the checker is.
    pub(super) fn place(&self) -> String {
        match self.frames.last() {
            Some(frame) => format!("{}, function {}", self.context, frame.name()),
            None => self.context.clone(),
        }
    }

    pub(super) fn refuse(&mut self, line: u64, construct: impl AsRef<str>, help: &str) -> Typed {
        let construct = format!("{}: {}", self.place(), construct.as_ref());
        self.errors.push(PolicyError::new(&self.catalog.file, line, construct, help));
        (Expr::Null, Type::Null)
    }

    pub(super) fn warn(&mut self, line: u64, message: impl AsRef<str>) {
        let message = format!("{}: {}", self.place(), message.as_ref());
        let warning = PolicyWarning { file: self.catalog.file.clone(), line, message };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn mismatch(&mut self, line: u64, what: &str, left: Type, right: Type) -> Typed {
        let construct = format!("{what} of {} and {}", left.name(), right.name());
        self.refuse(
            line,
            construct,
            "PostgreSQL has no such operator: cast one side, for example ::uuid or ::text",
        )
    }

    /// A boolean expression. `plain`: no NOT stands above, so that what is not equal stays hidden.
    pub(super) fn condition(&mut self, raw: &Raw, plain: bool) -> Expr {
        self.spent += 1;
        match &raw.kind {
            RawKind::And(many) => Expr::And(many.iter().map(|one| self.condition(one, plain)).collect()),
            RawKind::Or(many) => Expr::Or(many.iter().map(|one| self.condition(one, plain)).collect()),
            RawKind::Not(one) => self.negation(one),
            RawKind::IsNull(one) => Expr::IsNull(Box::new(self.value(one, false).0)),
            RawKind::IsBool(one, value) => Expr::Is(Box::new(self.boolean(one, false)), *value),
            RawKind::Compare(op, left, right) => self.comparison(*op, left, right, plain, raw.line),
            RawKind::InList(left, list) => self.in_list(left, list, plain, raw.line),
            RawKind::InSelect(left, select) => self.in_select(left, select, plain, raw.line),
            RawKind::Exists(select) => self.exists(select, plain),
            RawKind::Like { value, pattern, escape, fold } => {
                let name = if *fold { FunctionName::ILike } else { FunctionName::Like };
                let escape = Expr::Text(escape.clone().unwrap_or_default());
                Expr::Call(name, vec![self.text(value, "LIKE"), self.text(pattern, "LIKE"), escape])
            }
            RawKind::Regex { value, pattern, fold } => self.regex(value, pattern, *fold),
            RawKind::Quantified { op, all, left, array } => self.quantified(*op, *all, left, array, raw.line),
            RawKind::Call(call) => match self.call(call, plain, true, raw.line) {
                (value, Type::Bool | Type::Null) => truth(value),
                (value, kind) => truth(self.as_boolean((value, kind), raw.line)),
            },
            RawKind::Scalar(select) if plain_value(select).is_some() => match plain_value(select) {
                Some(value) => self.condition(value, plain),
                None => Expr::Null,
            },
            _ => truth(self.boolean(raw, plain)),
        }
    }

    /// Neither side of a boolean column's `NOT` lets through a value that is no boolean at all.
    fn negation(&mut self, one: &Raw) -> Expr {
        match &one.kind {
            RawKind::IsBool(inner, value) => {
                let inner = self.boolean(inner, false);
                if inner.is_predicate() {
                    return Expr::Not(Box::new(Expr::Is(Box::new(inner), *value)));
                }
                Expr::Or(vec![equals_bool(inner.clone(), !value), Expr::IsNull(Box::new(inner))])
            }
            RawKind::And(_)
            | RawKind::Or(_)
            | RawKind::Not(_)
            | RawKind::IsNull(_)
            | RawKind::Compare(..)
            | RawKind::InList(..)
            | RawKind::InSelect(..)
            | RawKind::Exists(_)
            | RawKind::Quantified { .. }
            | RawKind::Regex { .. }
            | RawKind::Like { .. } => Expr::Not(Box::new(self.condition(one, false))),
            _ => falsity(self.boolean(one, false)),
        }
    }

    /// A value that PostgreSQL takes as boolean.
    fn boolean(&mut self, raw: &Raw, plain: bool) -> Expr {
        let typed = self.value(raw, plain);
        self.as_boolean(typed, raw.line)
    }

    fn as_boolean(&mut self, (value, kind): Typed, line: u64) -> Expr {
        match coerce::coerce(value, kind, Type::Bool) {
            Some(value) => value,
            None => {
                let construct = format!("a condition of type {}, not boolean", kind.name());
                self.refuse(line, construct, "compare it with a value").0
            }
        }
    }

    /// `plain`: NULL in place of this value would hide the row.
    pub(super) fn value(&mut self, raw: &Raw, plain: bool) -> Typed {
        self.spent += 1;
        match &raw.kind {
            RawKind::Parameter(at) => self.positional(*at, raw.line),
            RawKind::Column { table, name } => self.column(table.as_ref(), name, raw.line),
            RawKind::Null => (Expr::Null, Type::Null),
            RawKind::Bool(value) => (Expr::Bool(*value), Type::Bool),
            RawKind::Integer(value) => (Expr::Integer(*value), Type::Integer),
            RawKind::Real(digits) => (Expr::Real(digits.clone()), Type::Real),
            RawKind::Text(text) => (Expr::Text(text.clone()), Type::Unknown),
            RawKind::Cast(inner, cast) => {
                let value = self.value(inner, plain);
                self.cast(value, cast, raw.line)
            }
            RawKind::Scalar(select) => match plain_value(select) {
                Some(value) => self.value(value, plain),
                None => self.scalar(select, plain),
            },
            RawKind::Json { value, key, text } => self.json(value, key, *text, raw.line),
            RawKind::Coalesce(many) => {
                let many: Vec<Typed> = many.iter().map(|one| self.value(one, false)).collect();
                let (mut many, kind) = self.unify(many, "coalesce", raw.line);
                if many.len() == 1 {
                    return (many.pop().unwrap_or(Expr::Null), kind);
                }
                (Expr::Coalesce(many), kind)
            }
            RawKind::Case { operand, arms, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref(), raw.line)
            }
            RawKind::Arithmetic(op, left, right) => self.arithmetic(*op, left, right, raw.line),
            RawKind::Concat(left, right) => self.concat(left, right, raw.line),
            RawKind::Call(call) => self.call(call, plain, false, raw.line),
            RawKind::Operator(op, left, right) => self.operator(*op, left, right, raw.line),
            RawKind::Array(items) => self.array(items, raw.line),
            RawKind::ArraySelect(select) => self.scalar(select, plain),
            RawKind::Element(array, index) => self.element(array, index, raw.line),
            RawKind::Identity(identity) => {
                if *identity == Identity::Tenant {
                    self.warn_of_setting(raw.line);
                }
                self.identity(*identity)
            }
            RawKind::Now => (Expr::Call(FunctionName::Now, Vec::new()), Type::Micros),
            _ => (self.condition(raw, false), Type::Bool),
        }
    }

    fn identity(&self, identity: Identity) -> Typed {
        let call = |name| Expr::Call(name, Vec::new());
        match identity {
            Identity::Uid if self.role == Role::Anon => (Expr::Null, Type::Uuid(Form::Any)),
            Identity::Uid => (call(FunctionName::UidText), Type::Uuid(Form::Any)),
            Identity::Role => (Expr::Text(self.role.as_str().to_owned()), Type::Text),
            Identity::Email => (call(FunctionName::Email), Type::Text),
            Identity::Jwt => (call(FunctionName::JwtJson), Type::Json),
            Identity::Topic => (call(FunctionName::Topic), Type::Text),
            Identity::Tenant => (call(FunctionName::Tenant), Type::Text),
        }
    }

    pub(super) fn comparison(
        &mut self,
        op: Comparison,
        left: &Raw,
        right: &Raw,
        plain: bool,
        line: u64,
    ) -> Expr {
        // NULL on either side hides the row, unless the comparison tells NULL apart.
        let hides = plain && !matches!(op, Comparison::Distinct | Comparison::NotDistinct);
        let (one, other) = (self.value(left, hides), self.value(right, hides));
        self.warn_of_capture(left, right, &one.0, &other.0, line);
        self.compare(op, one, other, plain, line)
    }

    pub(super) fn compare(
        &mut self,
        op: Comparison,
        left: Typed,
        right: Typed,
        plain: bool,
        line: u64,
    ) -> Expr {
        let (left, right) = match self.comparable(op, left, right, line) {
            Some(sides) => sides,
            None => return Expr::Null,
        };
        match coerce::compare(op, left.clone(), right.clone(), plain) {
            Ok(expr) => expr,
            Err(coerce::Problem::Types) => self.mismatch(line, "comparison", left.1, right.1).0,
            Err(coerce::Problem::Spelling(uuid)) => {
                let help =
                    format!("this column is text: write '{uuid}', or '..'::uuid to compare it as a uuid");
                self.refuse(line, "a uuid spelled otherwise than it is stored", &help).0
            }
            Err(coerce::Problem::Order(kind)) => {
                let construct = format!("an order of {} values", kind.name());
                let help = "orders exist for numbers and times here (text sorts by PostgreSQL's collation): cast \
                            to timestamptz or integer, or write = and IN";
                self.refuse(line, construct, help).0
            }
        }
    }

    fn in_list(&mut self, left: &Raw, list: &[Raw], plain: bool, line: u64) -> Expr {
        let value = self.value(left, false);
        let items: Vec<Typed> = list.iter().map(|item| self.value(item, false)).collect();
        if items.is_empty() {
            return Expr::Bool(false);
        }
        if let Some(expr) = coerce::constant_list(&value, &items, plain) {
            return expr;
        }
        // One comparison each: columns of different types, and SQLite's MULTI-INDEX OR, want them apart.
        Expr::Or(
            items
                .into_iter()
                .map(|item| self.compare(Comparison::Equal, value.clone(), item, plain, line))
                .collect(),
        )
    }

    pub(super) fn text(&mut self, raw: &Raw, what: &str) -> Expr {
        let (value, kind) = self.value(raw, false);
        match coerce::coerce(value, kind, Type::Text) {
            Some(value) => value,
            None => self.mismatch(raw.line, what, kind, Type::Text).0,
        }
    }

    pub(super) fn unify(&mut self, many: Vec<Typed>, what: &str, line: u64) -> (Vec<Expr>, Type) {
        let mut common = Type::Null;
        for (_, kind) in &many {
            match coerce::common(common, *kind) {
                Some(both) => common = both,
                None => {
                    self.mismatch(line, what, common, *kind);
                    return (Vec::new(), Type::Null);
                }
            }
        }
        // PostgreSQL takes literals that nothing gives a type for text.
        if common == Type::Unknown {
            common = Type::Text;
        }
        for (value, kind) in &many {
            self.check_label(value, *kind, common, line);
        }
        let coerced =
            many.into_iter().map(|(value, kind)| coerce::coerce(value, kind, common).unwrap_or(Expr::Null));
        (coerced.collect(), common)
    }
}

pub(super) fn equals_bool(value: Expr, expected: bool) -> Expr {
    let right = Box::new(Expr::Bool(expected));
    Expr::Compare { op: Comparison::Equal, left: Box::new(value), right, bytes: false }
}

/// True only where the value is 1: a column may hold `'true'`, which SQLite takes for 0.
pub(super) fn truth(value: Expr) -> Expr {
    if value.is_predicate() { value } else { equals_bool(value, true) }
}

/// True only where the value is 0.
pub(super) fn falsity(value: Expr) -> Expr {
    if value.is_predicate() { Expr::Not(Box::new(value)) } else { equals_bool(value, false) }
}

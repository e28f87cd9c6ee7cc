//! Names and types: from an expression as written to one that can be printed.

use super::catalog::{Catalog, Policy};
use super::coerce::{self, Typed};
use super::error::{PolicyError, PolicyWarning};
use super::expr::{Expr, Form, ROW, Select, Type};
use super::functions::FunctionName;
use super::query::plain_value;
use super::raw::{Comparison, Identity, Qualifier, Raw, RawKind, RawSelect, TextFunction};
use super::schema::{Schema, Table};
use crate::types::Role;

/// Checks the expressions of one policy for one role: `auth.role()` is a constant then, and `auth.uid()` is
/// NULL for `anon`.
pub(super) struct Checker<'a> {
    pub(super) catalog: &'a Catalog,
    schema: &'a Schema,
    role: Role,
    context: String,
    /// Outermost first; the guarded row is the first.
    scopes: Vec<Vec<Named<'a>>>,
    next: usize,
    pub(super) errors: Vec<PolicyError>,
    pub(super) warnings: Vec<PolicyWarning>,
}

struct Named<'a> {
    id: usize,
    alias: String,
    /// `schema.table.column` means it too: no alias hides the name.
    bare: bool,
    table: &'a Table,
    /// A join condition sees the sides of its own join only.
    visible: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        schema: &'a Schema,
        table: &'a Table,
        role: Role,
        policy: &Policy,
    ) -> Self {
        let context = format!("policy \"{}\" on {}", policy.name, table.name);
        let row = Named { id: ROW, alias: policy.called.clone(), bare: true, table, visible: true };
        let (errors, warnings) = (Vec::new(), Vec::new());
        Self { catalog, schema, role, context, scopes: vec![vec![row]], next: ROW + 1, errors, warnings }
    }

    pub(super) fn refuse(&mut self, line: u64, construct: impl AsRef<str>, help: &str) -> Typed {
        let construct = format!("{}: {}", self.context, construct.as_ref());
        self.errors.push(PolicyError::new(&self.catalog.file, line, construct, help));
        (Expr::Null, Type::Null)
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
        match &raw.kind {
            RawKind::And(many) => Expr::And(many.iter().map(|one| self.condition(one, plain)).collect()),
            RawKind::Or(many) => Expr::Or(many.iter().map(|one| self.condition(one, plain)).collect()),
            RawKind::Not(one) => self.negation(one),
            RawKind::IsNull(one) => Expr::IsNull(Box::new(self.value(one, false).0)),
            RawKind::IsBool(one, value) => Expr::Is(Box::new(self.boolean(one, false)), *value),
            RawKind::Compare(op, left, right) => self.comparison(*op, left, right, plain, raw.line),
            RawKind::InList(left, list) => self.in_list(left, list, plain, raw.line),
            RawKind::InSelect(left, select) => self.in_select(left, select, plain, raw.line),
            RawKind::Exists(select) => {
                let (mut select, _) = self.select(select, plain);
                select.output = None;
                Expr::Exists(Box::new(select))
            }
            RawKind::Like { value, pattern, escape, fold } => {
                let name = if *fold { FunctionName::ILike } else { FunctionName::Like };
                let escape = Expr::Text(escape.clone().unwrap_or_default());
                Expr::Call(name, vec![self.text(value, "LIKE"), self.text(pattern, "LIKE"), escape])
            }
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
            | RawKind::Like { .. } => Expr::Not(Box::new(self.condition(one, false))),
            _ => falsity(self.boolean(one, false)),
        }
    }

    /// A value that PostgreSQL takes as boolean.
    fn boolean(&mut self, raw: &Raw, plain: bool) -> Expr {
        let (value, kind) = self.value(raw, plain);
        match coerce::coerce(value, kind, Type::Bool) {
            Some(value) => value,
            None => {
                let construct = format!("a condition of type {}, not boolean", kind.name());
                self.refuse(raw.line, construct, "compare it with a value").0
            }
        }
    }

    /// `plain`: NULL in place of this value would hide the row.
    pub(super) fn value(&mut self, raw: &Raw, plain: bool) -> Typed {
        match &raw.kind {
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
            RawKind::ToJson(value) => self.json_of(value),
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
            RawKind::Text1(function, one) => {
                let value = self.text(one, "a text function");
                match function {
                    TextFunction::Lower => (Expr::Call(FunctionName::Lower, vec![value]), Type::Text),
                    TextFunction::Upper => (Expr::Call(FunctionName::Upper, vec![value]), Type::Text),
                    TextFunction::Length => (Expr::Call(FunctionName::Length, vec![value]), Type::Integer),
                }
            }
            RawKind::Identity(identity) => self.identity(*identity),
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
            Identity::Tenant => (call(FunctionName::Tenant), Type::Text),
        }
    }

    /// Innermost scope first, as PostgreSQL does; a qualified name stops at the first table of that name.
    fn column(&mut self, table: Option<&Qualifier>, name: &str, line: u64) -> Typed {
        for scope in self.scopes.iter().rev() {
            let named = |source: &&Named<'_>| {
                source.visible
                    && match table {
                        None => true,
                        Some(Qualifier::Name(alias)) => source.alias.eq_ignore_ascii_case(alias),
                        Some(Qualifier::Full(full)) => {
                            source.bare && source.table.name.eq_ignore_ascii_case(full)
                        }
                    }
            };
            let sources: Vec<&Named<'_>> = scope.iter().filter(named).collect();
            let mut found = sources.iter().filter_map(|source| Some((source.id, source.table.column(name)?)));
            match (found.next(), found.next()) {
                (Some((source, column)), None) => {
                    let Some(kind) = column.policy_type() else {
                        let construct = format!("column `{name}` of type `{}`", column.declared_type);
                        return self.refuse(
                            line,
                            construct,
                            "declare a type that a policy knows, such as TEXT",
                        );
                    };
                    return (Expr::Column { source, name: column.name.clone() }, kind);
                }
                (Some(_), Some(_)) => {
                    return self.refuse(
                        line,
                        format!("column reference `{name}` is ambiguous"),
                        "qualify it",
                    );
                }
                (None, _) if table.is_some() && !sources.is_empty() => break,
                (None, _) => {}
            }
        }
        let written = table.map_or_else(|| name.to_owned(), |table| format!("{}.{name}", table.as_str()));
        self.refuse(line, format!("column `{written}` does not exist"), "correct the name or add the column")
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

    fn compare(&mut self, op: Comparison, left: Typed, right: Typed, plain: bool, line: u64) -> Expr {
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

    fn in_select(&mut self, left: &Raw, raw: &RawSelect, plain: bool, line: u64) -> Expr {
        let value = self.value(left, false);
        let (mut select, output) = self.select(raw, plain);
        let output = (select.output.take().unwrap_or(Expr::Null), output);
        if select.sources.is_empty() && select.filter.is_empty() {
            return self.compare(Comparison::Equal, value, output, plain, line);
        }
        match self.compare(Comparison::Equal, value, output, plain, line) {
            Expr::Compare { left, right, bytes, .. } => {
                select.output = Some(*right);
                Expr::InSelect { left, select: Box::new(select), bytes }
            }
            Expr::Null => Expr::Null,
            _ => self.refuse(line, "IN over booleans", "write EXISTS (SELECT .. WHERE ..)").0,
        }
    }

    fn scalar(&mut self, raw: &RawSelect, plain: bool) -> Typed {
        let (select, kind) = self.select(raw, plain);
        let single = self.at_most_one(&select);
        (Expr::Scalar { select: Box::new(select), single }, kind)
    }

    /// A key of the only source is given whole.
    fn at_most_one(&self, select: &Select) -> bool {
        let [(id, name)] = select.sources.as_slice() else { return select.sources.is_empty() };
        let Some(table) = self.schema.table(name) else { return false };
        let mut given: Vec<&str> = Vec::new();
        for condition in &select.filter {
            let Expr::Compare { op: Comparison::Equal, left, right, .. } = condition else { continue };
            for (column, other) in [(left, right), (right, left)] {
                if let Expr::Column { source, name } = &**column
                    && source == id
                    && !other.sources().contains(id)
                {
                    given.push(name);
                }
            }
        }
        let keys = std::iter::once(&table.primary_key).chain(&table.unique);
        keys.filter(|key| !key.is_empty())
            .any(|key| key.iter().all(|column| given.iter().any(|name| name.eq_ignore_ascii_case(column))))
    }

    /// A subquery with its own scope; its conditions in one flat conjunction.
    fn select(&mut self, raw: &RawSelect, plain: bool) -> (Select, Type) {
        let mut scope: Vec<Named<'a>> = Vec::new();
        let mut sources = Vec::new();
        for source in &raw.sources {
            let Some(table) = self.inner_table(&source.table, source.line) else { continue };
            if scope.iter().any(|other| other.alias.eq_ignore_ascii_case(&source.alias)) {
                let construct = format!("table name `{}` specified more than once", source.alias);
                self.refuse(source.line, construct, "give one of them an alias");
            }
            let (id, bare) = (self.next, source.bare);
            scope.push(Named { id, alias: source.alias.clone(), bare, table, visible: true });
            sources.push((self.next, table.name.clone()));
            self.next += 1;
        }
        self.scopes.push(scope);
        let mut filter = Vec::new();
        for (range, condition) in &raw.conditions {
            self.show(Some(range));
            match self.condition(condition, plain) {
                Expr::And(many) => filter.extend(many),
                one => filter.push(one),
            }
        }
        self.show(None);
        let output = raw.output.as_ref().map(|output| self.value(output, false));
        self.scopes.pop();
        let kind = output.as_ref().map_or(Type::Null, |(_, kind)| *kind);
        let kind = if kind == Type::Unknown { Type::Text } else { kind };
        (Select { sources, filter, output: output.map(|(expr, _)| expr) }, kind)
    }

    fn show(&mut self, range: Option<&std::ops::Range<usize>>) {
        for (position, source) in self.scopes.last_mut().into_iter().flatten().enumerate() {
            source.visible = range.is_none_or(|range| range.contains(&position));
        }
    }

    /// An inner table answers under its own policies, so it must have been given some.
    fn inner_table(&mut self, name: &str, line: u64) -> Option<&'a Table> {
        let Some(table) = self.schema.table(name) else {
            self.refuse(
                line,
                format!("table `{name}` does not exist"),
                "correct the name or add a migration",
            );
            return None;
        };
        if !self.catalog.table(name).is_some_and(|guarded| guarded.enabled) {
            let help = format!(
                "a subquery sees what the caller may see, which is nothing: add ALTER TABLE {name} ENABLE ROW \
                 LEVEL SECURITY; and a policy FOR SELECT on {name}"
            );
            self.refuse(line, format!("table `{name}` has no policies of its own"), &help);
        }
        Some(table)
    }

    /// `m.team_id = team_id` inside a subquery over a table that has `team_id` compares it with itself.
    fn warn_of_capture(&mut self, left: &Raw, right: &Raw, one: &Expr, other: &Expr, line: u64) {
        let (Expr::Column { source, name }, Expr::Column { source: same, name: twin }) = (one, other) else {
            return;
        };
        if source != same || *source == ROW {
            return;
        }
        let captured = [left, right].into_iter().find_map(|raw| match &raw.kind {
            RawKind::Column { table: None, name } => {
                let outer = self.scopes.split_last().map_or(&[][..], |(_, outer)| outer);
                let hides = outer.iter().flatten().find(|outer| outer.table.column(name).is_some())?;
                Some((name.clone(), hides.alias.clone()))
            }
            _ => None,
        });
        let message = match captured {
            Some((name, outer)) => format!(
                "{}: `{name}` means the inner table's column here, as in PostgreSQL; for the outer one write \
                 `{outer}.{name}`",
                self.context
            ),
            None if name == twin => format!("{}: `{name}` is compared with itself", self.context),
            None => return,
        };
        let warning = PolicyWarning { file: self.catalog.file.clone(), line, message };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn text(&mut self, raw: &Raw, what: &str) -> Expr {
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

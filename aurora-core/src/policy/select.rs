//! Subqueries: what their names mean, and each as one conjunction over tables.
//!
//! A derived table, a set-returning function and the row that a LEFT JOIN finds dissolve into the subquery around
//! them. Where that leaves several cases (the sides of a UNION, a LEFT JOIN with and without a partner), the whole
//! subquery is read once for each: [`Checker::branches`].

use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Element, Expr, Form, Key, Select, Source, Type};
use super::functions::FunctionName;
use super::raw::{Aggregate, Comparison, Raw, RawSelect, RawSource, Relation};
use super::schema::Table;

/// More cases than subqueries that people write have.
const MOST_BRANCHES: usize = 16;

/// One item of a FROM clause by its name.
pub(super) struct Named<'a> {
    pub(super) id: usize,
    pub(super) alias: String,
    /// `schema.table.column` means it too: no alias hides the name.
    pub(super) bare: bool,
    pub(super) columns: Columns<'a>,
    /// A join condition sees the sides of its own join only.
    pub(super) visible: bool,
}

pub(super) enum Columns<'a> {
    Table(&'a Table),
    /// The side of a LEFT JOIN that found no partner.
    Nothing(&'a Table),
    Derived(Vec<Output>),
}

/// An output of a subquery with its name.
pub(super) type Output = (Option<String>, Typed);

impl Named<'_> {
    pub(super) fn has(&self, column: &str) -> bool {
        match &self.columns {
            Columns::Table(table) | Columns::Nothing(table) => table.column(column).is_some(),
            Columns::Derived(outputs) => outputs.iter().any(|(name, _)| is(name.as_deref(), column)),
        }
    }
}

pub(super) fn is(name: Option<&str>, column: &str) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(column))
}

/// A subquery's tables and conditions while they are gathered.
#[derive(Default)]
pub(super) struct Flat {
    pub(super) sources: Vec<Source>,
    pub(super) filter: Vec<Expr>,
    /// A DISTINCT was dissolved: rows may not be counted.
    pub(super) distinct: bool,
    /// A set-returning function may stand here: in the output.
    pub(super) open: bool,
    /// No NOT stands above the subquery.
    pub(super) plain: bool,
}

/// Which side was taken at each fork, with how many there are.
#[derive(Default)]
pub(super) struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    fn choose(&mut self, of: usize) -> usize {
        let choice = match self.taken.get(self.at) {
            Some((choice, _)) => *choice,
            None => {
                self.taken.push((0, of));
                0
            }
        };
        self.at += 1;
        choice
    }

    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, of)) = self.taken.pop() {
            if choice + 1 < of {
                self.taken.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

/// A subquery in one of its cases.
pub(super) struct Branch {
    pub(super) select: Select,
    pub(super) outputs: Vec<Output>,
    pub(super) distinct: bool,
}

impl Branch {
    pub(super) fn output(&mut self) -> Typed {
        let kind = self.outputs.first().map_or(Type::Null, |(_, (_, kind))| *kind);
        (self.select.output.take().unwrap_or(Expr::Null), kind)
    }
}

impl<'a> Checker<'a> {
    pub(super) fn branches(&mut self, raw: &RawSelect, plain: bool) -> Vec<Branch> {
        let outer = std::mem::take(&mut self.choices);
        let mut found = Vec::new();
        loop {
            found.push(self.branch(raw, plain));
            if !self.choices.advance() {
                break;
            }
            if found.len() >= MOST_BRANCHES {
                self.refuse(raw.line, "so many UNIONs and LEFT JOINs", "split the subquery");
                break;
            }
        }
        self.choices = outer;
        found
    }

    /// One case of a subquery, with a scope of its own.
    pub(super) fn branch(&mut self, raw: &RawSelect, plain: bool) -> Branch {
        let mut raw = raw;
        while !raw.union.is_empty() {
            match self.choices.choose(raw.union.len() + 1).checked_sub(1) {
                None => break,
                Some(at) => match raw.union.get(at) {
                    Some(side) => raw = side,
                    None => break,
                },
            }
        }
        let outer = self.flat.replace(Flat { distinct: raw.distinct, plain, ..Flat::default() });
        self.scopes.push(Vec::new());
        for source in &raw.sources {
            self.source(source, plain);
        }
        if raw.star && !self.as_owner() {
            self.whole.extend(raw.sources.iter().filter_map(RawSource::table).map(str::to_owned));
        }
        for (range, condition) in &raw.conditions {
            self.show(Some(range));
            let condition = self.condition(condition, plain);
            self.filter(condition);
        }
        self.show(None);
        let mut outputs = Vec::new();
        let named = raw.output.iter().map(|output| (&raw.name, output));
        for (name, output) in named.chain(raw.more.iter().map(|(name, output)| (name, output))) {
            self.open(true);
            outputs.push((name.clone(), settled(self.value(output, false))));
            self.open(false);
        }
        let order = raw.order.iter().map(|(key, descending, nulls_first)| {
            let value = self.key(key);
            Key { value, descending: *descending, nulls_first: *nulls_first }
        });
        let order = order.collect();
        self.scopes.pop();
        let flat = std::mem::replace(&mut self.flat, outer).unwrap_or_default();
        let output = outputs.first().map(|(_, (value, _))| value.clone());
        let Flat { sources, filter, distinct, .. } = flat;
        let select = Select { sources, filter, output, aggregate: None, order, limit: raw.limit };
        Branch { select, outputs, distinct }
    }

    fn open(&mut self, open: bool) {
        if let Some(flat) = &mut self.flat {
            flat.open = open;
        }
    }

    pub(super) fn filter(&mut self, condition: Expr) {
        let Some(flat) = &mut self.flat else { return };
        match condition {
            Expr::And(many) => flat.filter.extend(many),
            one => flat.filter.push(one),
        }
    }

    fn key(&mut self, raw: &Raw) -> Expr {
        let (value, kind) = self.value(raw, false);
        let sorted = match kind {
            Type::Time | Type::StoredText => {
                coerce::coerce(value, kind, Type::Micros).filter(|_| kind == Type::Time)
            }
            Type::Integer | Type::StoredInteger | Type::Real | Type::Micros | Type::Date | Type::Bool => {
                Some(value)
            }
            _ => None,
        };
        match sorted {
            Some(value) => value,
            None => {
                let help = "sort by numbers and times: text sorts by PostgreSQL's collation";
                self.refuse(raw.line, format!("ORDER BY {}", kind.name()), help).0
            }
        }
    }

    fn source(&mut self, raw: &RawSource, plain: bool) {
        let taken = self.scopes.last().is_some_and(|scope| {
            scope.iter().any(|other| other.alias.eq_ignore_ascii_case(&raw.alias) && !raw.alias.is_empty())
        });
        if taken {
            let construct = format!("table name `{}` specified more than once", raw.alias);
            self.refuse(raw.line, construct, "give one of them an alias");
        }
        let id = self.next;
        self.next += 1;
        let columns = match &raw.relation {
            Relation::Table { name, schema } => match self.inner_table(name, schema.as_deref(), raw.line) {
                Some(table) => match &raw.left {
                    None => {
                        self.push_source(id, table);
                        Columns::Table(table)
                    }
                    Some(on) => return self.left_join(raw, table, id, on, plain),
                },
                None => Columns::Derived(Vec::new()),
            },
            Relation::Select(inner) => {
                // A derived table does not see its neighbours.
                let own = self.scopes.pop();
                let Branch { select, outputs, distinct } = self.branch(inner, plain);
                self.scopes.extend(own);
                self.absorb(select, distinct);
                Columns::Derived(renamed(outputs, &raw.columns))
            }
            Relation::Call(call) => {
                let mut outputs = self.call_as_source(call, plain, raw.line);
                if let [(name, _)] = outputs.as_mut_slice()
                    && !raw.bare
                    && raw.columns.is_empty()
                {
                    *name = Some(raw.alias.clone());
                }
                Columns::Derived(renamed(outputs, &raw.columns))
            }
        };
        let named = Named { id, alias: raw.alias.clone(), bare: raw.bare, columns, visible: true };
        self.bring(named);
    }

    /// Into the innermost scope.
    fn bring(&mut self, named: Named<'a>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(named);
        }
    }

    fn push_source(&mut self, id: usize, table: &Table) {
        let owner = self.as_owner();
        if let Some(flat) = &mut self.flat {
            flat.sources.push(Source { id, table: table.name.clone(), owner });
        }
    }

    /// What a dissolved subquery leaves in the one around it.
    pub(super) fn absorb(&mut self, select: Select, distinct: bool) {
        if let Some(flat) = &mut self.flat {
            flat.sources.extend(select.sources);
            flat.filter.extend(select.filter);
            flat.distinct |= distinct;
        }
    }

    /// Either the partner is there, or there is none and its columns are NULL.
    fn left_join(&mut self, raw: &RawSource, table: &'a Table, id: usize, on: &Raw, plain: bool) {
        let named = |columns| Named { id, alias: raw.alias.clone(), bare: raw.bare, columns, visible: true };
        if self.choices.choose(2) == 0 {
            self.push_source(id, table);
            let named = named(Columns::Table(table));
            self.bring(named);
            let condition = self.condition(on, plain);
            self.filter(condition);
            return;
        }
        self.scopes.push(vec![named(Columns::Table(table))]);
        let outer = self.flat.replace(Flat::default());
        self.push_source(id, table);
        let condition = self.condition(on, false);
        self.filter(condition);
        let flat = std::mem::replace(&mut self.flat, outer).unwrap_or_default();
        self.scopes.pop();
        let partner = Select { sources: flat.sources, filter: flat.filter, ..Select::default() };
        self.filter(Expr::Not(Box::new(Expr::Exists(Box::new(partner)))));
        let named = Named {
            id,
            alias: raw.alias.clone(),
            bare: raw.bare,
            columns: Columns::Nothing(table),
            visible: true,
        };
        self.bring(named);
    }

    fn show(&mut self, range: Option<&std::ops::Range<usize>>) {
        for (position, source) in self.scopes.last_mut().into_iter().flatten().enumerate() {
            source.visible = range.is_none_or(|range| range.contains(&position));
        }
    }

    pub(super) fn exists(&mut self, raw: &RawSelect, plain: bool) -> Expr {
        let branches = self.branches(raw, plain);
        let each = branches.into_iter().map(|Branch { select, .. }| match select.limit {
            Some(0) => Expr::Bool(false),
            _ => Expr::Exists(Box::new(Select {
                sources: select.sources,
                filter: select.filter,
                ..Select::default()
            })),
        });
        one_of(each.collect())
    }

    pub(super) fn in_select(&mut self, left: &Raw, raw: &RawSelect, plain: bool, line: u64) -> Expr {
        let value = self.value(left, false);
        let branches = self.branches(raw, plain);
        let each = branches.into_iter().map(|mut branch| {
            let output = branch.output();
            if branch.distinct && branch.select.limit.is_some_and(|limit| limit > 1) {
                return self.refuse(line, "DISTINCT with LIMIT", "leave out DISTINCT").0;
            }
            let mut select = branch.select;
            if select.limit.is_none() {
                select.order.clear();
            }
            if select.sources.is_empty() && select.filter.is_empty() && select.limit.is_none() {
                return self.compare(Comparison::Equal, value.clone(), output, plain, line);
            }
            match self.compare(Comparison::Equal, value.clone(), output, plain, line) {
                Expr::Compare { left, right, bytes, .. } => {
                    select.output = Some(*right);
                    Expr::InSelect { left, select: Box::new(select), bytes }
                }
                Expr::Null => Expr::Null,
                _ => self.refuse(line, "IN over booleans", "write EXISTS (SELECT .. WHERE ..)").0,
            }
        });
        one_of(each.collect())
    }

    /// `(SELECT ..)` as a value, `ARRAY(SELECT ..)` and aggregates.
    pub(super) fn scalar(&mut self, raw: &RawSelect, plain: bool) -> Typed {
        let mut branches = self.branches(raw, plain);
        let (Some(mut branch), true) = (branches.pop(), branches.is_empty()) else {
            let help = "a value comes from one SELECT without UNION or LEFT JOIN: write IN or EXISTS";
            return self.refuse(raw.line, "a UNION or LEFT JOIN as a value", help);
        };
        let (value, kind) = branch.output();
        let mut select = branch.select;
        if let Some(aggregate) = raw.aggregate {
            if branch.distinct {
                return self.refuse(raw.line, "an aggregate over DISTINCT", "write count(DISTINCT column)");
            }
            let (value, kind) = self.folded(aggregate, (value, kind), raw.line);
            select.order.clear();
            (select.output, select.aggregate) = (Some(value), Some(aggregate));
            return (Expr::Scalar { select: Box::new(select), single: true }, kind);
        }
        if select.limit.is_some_and(|limit| limit != 1) {
            let help = "write LIMIT 1, or the condition that leaves one row";
            return self.refuse(raw.line, "this LIMIT in a value", help);
        }
        let single = select.limit == Some(1) || self.at_most_one(&select);
        if select.limit.is_none() {
            select.order.clear();
        }
        select.output = Some(value);
        (Expr::Scalar { select: Box::new(select), single }, kind)
    }

    /// The argument and the type of an aggregate.
    fn folded(&mut self, aggregate: Aggregate, (value, kind): Typed, line: u64) -> Typed {
        let refused = |this: &mut Self, name: &str| {
            let help = "count, and sum of integers, min and max of numbers and times, bool_and, bool_or and \
                        array_agg are known here";
            this.refuse(line, format!("{name} of {}", kind.name()), help)
        };
        match aggregate {
            Aggregate::Count => (value, Type::Integer),
            Aggregate::CountDistinct => {
                let value = match kind {
                    Type::Uuid(Form::Stored) => Expr::Call(FunctionName::Uuid, vec![value]),
                    Type::Json => Expr::Call(FunctionName::Jsonb, vec![value]),
                    Type::Time => Expr::Call(FunctionName::Time, vec![value]),
                    Type::Array(_) | Type::Interval => return refused(self, "count(DISTINCT)"),
                    _ => value,
                };
                (value, Type::Integer)
            }
            Aggregate::Sum => match kind {
                Type::Integer | Type::StoredInteger => (value, Type::Integer),
                _ => refused(self, "sum"),
            },
            Aggregate::Min | Aggregate::Max => match kind {
                Type::Integer | Type::StoredInteger | Type::Real | Type::Micros | Type::Date => (value, kind),
                Type::Time => (Expr::Call(FunctionName::Time, vec![value]), Type::Micros),
                _ => refused(self, "min or max"),
            },
            Aggregate::Every | Aggregate::Some => match coerce::coerce(value, kind, Type::Bool) {
                Some(value) => (value, Type::Bool),
                None => refused(self, "bool_and or bool_or"),
            },
            Aggregate::Array | Aggregate::ArraySelect => match Element::of(kind) {
                Some(of) => {
                    let value = match kind {
                        Type::Uuid(Form::Blob) => Expr::Call(FunctionName::Uuid, vec![value]),
                        _ => value,
                    };
                    (value, Type::Array(of))
                }
                None => refused(self, "an array"),
            },
        }
    }

    /// A key of the only source is given whole.
    fn at_most_one(&self, select: &Select) -> bool {
        let [Source { id, table, .. }] = select.sources.as_slice() else { return select.sources.is_empty() };
        let Some(table) = self.schema.table(table) else { return false };
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
}

/// One case is enough, and NULL in one is not NULL in all.
fn one_of(mut each: Vec<Expr>) -> Expr {
    match (each.pop(), each.is_empty()) {
        (Some(one), true) => one,
        (Some(last), false) => {
            each.push(last);
            Expr::Or(each)
        }
        (None, _) => Expr::Bool(false),
    }
}

/// `AS t(a, b)`.
fn renamed(outputs: Vec<Output>, names: &[String]) -> Vec<Output> {
    let names = names.iter().cloned().map(Some).chain(std::iter::repeat(None));
    outputs.into_iter().zip(names).map(|((own, typed), given)| (given.or(own), typed)).collect()
}

/// PostgreSQL takes a literal that nothing gives a type for text.
fn settled((value, kind): Typed) -> Typed {
    (value, if kind == Type::Unknown { Type::Text } else { kind })
}

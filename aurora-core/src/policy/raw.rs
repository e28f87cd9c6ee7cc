//! A policy expression as written: the accepted subset, names and types not looked at yet.

/// An expression and the line it starts on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) kind: RawKind,
    pub(super) line: u64,
}

/// What stands before a column's name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Qualifier {
    /// `table.column`: an alias, or the last part of a table's name.
    Name(String),
    /// `schema.table.column`: a table without alias, as one name.
    Full(String),
}

impl Qualifier {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Qualifier::Name(name) | Qualifier::Full(name) => name,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RawKind {
    Column {
        table: Option<Qualifier>,
        name: String,
    },
    /// `$1` in a function's body, counted from 0.
    Parameter(usize),
    Null,
    Bool(bool),
    Integer(i64),
    Real(String),
    Text(String),
    Cast(Box<Raw>, Cast),
    Compare(Comparison, Box<Raw>, Box<Raw>),
    And(Vec<Raw>),
    Or(Vec<Raw>),
    Not(Box<Raw>),
    IsNull(Box<Raw>),
    IsBool(Box<Raw>, bool),
    InList(Box<Raw>, Vec<Raw>),
    InSelect(Box<Raw>, Box<RawSelect>),
    Exists(Box<RawSelect>),
    Scalar(Box<RawSelect>),
    /// `left op ANY (array)`, or ALL.
    Quantified {
        op: Comparison,
        all: bool,
        left: Box<Raw>,
        array: Box<Raw>,
    },
    /// `ARRAY[..]`.
    Array(Vec<Raw>),
    /// `ARRAY(SELECT ..)`.
    ArraySelect(Box<RawSelect>),
    /// `array[1]`.
    Element(Box<Raw>, Box<Raw>),
    Like {
        value: Box<Raw>,
        pattern: Box<Raw>,
        escape: Option<String>,
        fold: bool,
    },
    /// `value ~ pattern`.
    Regex {
        value: Box<Raw>,
        pattern: Box<Raw>,
        fold: bool,
    },
    Json {
        value: Box<Raw>,
        key: Box<Raw>,
        text: bool,
    },
    /// An operator whose meaning hangs on the types of its sides.
    Operator(Operator, Box<Raw>, Box<Raw>),
    Coalesce(Vec<Raw>),
    Case {
        operand: Option<Box<Raw>>,
        arms: Vec<(Raw, Raw)>,
        otherwise: Option<Box<Raw>>,
    },
    Arithmetic(Arithmetic, Box<Raw>, Box<Raw>),
    Concat(Box<Raw>, Box<Raw>),
    Call(RawCall),
    Identity(Identity),
    Now,
}

/// A call of anything that has no form of its own above.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawCall {
    /// Lower-case, `public` left out and another schema joined by `_`: `is_member`, `auth_is_admin`.
    pub(super) name: String,
    /// Without its schema.
    pub(super) last: String,
    /// The schema as written.
    pub(super) schema: Option<String>,
    /// Each with the name it was given by `name => value`.
    pub(super) arguments: Vec<(Option<String>, Raw)>,
}

impl RawCall {
    /// As written, for messages.
    pub(super) fn written(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.last),
            None => self.last.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Distinct,
    NotDistinct,
}

impl Comparison {
    /// It asks for an order, which uuids, JSON and booleans are not given here.
    pub(super) fn orders(self) -> bool {
        matches!(
            self,
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual
        )
    }

    /// As written in SQL.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Distinct => "IS DISTINCT FROM",
            Comparison::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `@>`
    Contains,
    /// `<@`
    ContainedBy,
    /// `&&`
    Overlaps,
    /// `?`
    HasKey,
    /// `?|`
    HasAnyKey,
    /// `?&`
    HasAllKeys,
    /// `#>`
    Path,
    /// `#>>`
    PathText,
}

impl Operator {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Operator::Contains => "@>",
            Operator::ContainedBy => "<@",
            Operator::Overlaps => "&&",
            Operator::HasKey => "?",
            Operator::HasAnyKey => "?|",
            Operator::HasAllKeys => "?&",
            Operator::Path => "#>",
            Operator::PathText => "#>>",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Uid,
    Role,
    Email,
    Jwt,
    Tenant,
    Topic,
}

/// A type by name: the target of a cast, a parameter, a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Text,
    Uuid,
    /// With the number of its bytes.
    Integer(u8),
    Double,
    Bool,
    Time,
    Date,
    Interval,
    Json,
    /// A type made by `CREATE TYPE .. AS ENUM`, its name as written.
    Enum(String),
    Array(Box<Cast>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    /// Rows whose value is not NULL.
    Count,
    CountDistinct,
    Sum,
    Min,
    Max,
    Every,
    Some,
    /// `array_agg`: NULL of no rows.
    Array,
    /// `ARRAY(SELECT ..)`: empty of no rows.
    ArraySelect,
}

/// A subquery.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawSelect {
    pub(super) sources: Vec<RawSource>,
    /// Join conditions with the sources that each may name, then the `WHERE`, which may name all.
    pub(super) conditions: Vec<(std::ops::Range<usize>, Raw)>,
    /// Absent for `EXISTS (SELECT * ..)` and for constants that nobody reads.
    pub(super) output: Option<Raw>,
    /// The name of the output, and the outputs after the first: what a derived table offers.
    pub(super) name: Option<String>,
    pub(super) more: Vec<(Option<String>, Raw)>,
    /// `SELECT *`, read or not: PostgreSQL asks for the grant of every column.
    pub(super) star: bool,
    /// The output is folded over the rows.
    pub(super) aggregate: Option<Aggregate>,
    /// Keys with descending and NULLs first.
    pub(super) order: Vec<(Raw, bool, bool)>,
    pub(super) limit: Option<u64>,
    pub(super) distinct: bool,
    /// The other sides of UNIONs.
    pub(super) union: Vec<RawSelect>,
    pub(super) line: u64,
}

impl RawSelect {
    pub(super) fn empty(line: u64) -> Self {
        Self {
            sources: Vec::new(),
            conditions: Vec::new(),
            output: None,
            name: None,
            more: Vec::new(),
            star: false,
            aggregate: None,
            order: Vec::new(),
            limit: None,
            distinct: false,
            union: Vec::new(),
            line,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Relation {
    /// With its schema, if one was written.
    Table {
        name: String,
        schema: Option<String>,
    },
    Select(Box<RawSelect>),
    Call(RawCall),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawSource {
    pub(super) relation: Relation,
    /// The given alias, or the last part of the name as written.
    pub(super) alias: String,
    /// No alias was given, so that `schema.table.column` means it too.
    pub(super) bare: bool,
    /// Names given to the columns: `AS t(a, b)`.
    pub(super) columns: Vec<String>,
    /// Joined by LEFT JOIN on this.
    pub(super) left: Option<Raw>,
    pub(super) line: u64,
}

impl RawSource {
    pub(super) fn table(&self) -> Option<&str> {
        match &self.relation {
            Relation::Table { name, .. } => Some(name),
            Relation::Select(_) | Relation::Call(_) => None,
        }
    }
}

impl Raw {
    /// Visits this expression and those beneath it, subqueries included, with the subqueries themselves.
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Raw), select: &mut impl FnMut(&RawSelect)) {
        visit(self);
        for child in self.children() {
            child.walk(visit, select);
        }
        if let RawKind::InSelect(_, inner)
        | RawKind::Exists(inner)
        | RawKind::Scalar(inner)
        | RawKind::ArraySelect(inner) = &self.kind
        {
            inner.walk(visit, select);
        }
    }

    pub(super) fn children(&self) -> Vec<&Raw> {
        match &self.kind {
            RawKind::Column { .. }
            | RawKind::Parameter(_)
            | RawKind::Null
            | RawKind::Bool(_)
            | RawKind::Integer(_)
            | RawKind::Real(_)
            | RawKind::Text(_)
            | RawKind::Exists(_)
            | RawKind::Scalar(_)
            | RawKind::ArraySelect(_)
            | RawKind::Identity(_)
            | RawKind::Now => Vec::new(),
            RawKind::Cast(one, _)
            | RawKind::Not(one)
            | RawKind::IsNull(one)
            | RawKind::IsBool(one, _)
            | RawKind::InSelect(one, _) => vec![one],
            RawKind::Compare(_, left, right)
            | RawKind::Operator(_, left, right)
            | RawKind::Arithmetic(_, left, right)
            | RawKind::Element(left, right)
            | RawKind::Concat(left, right) => vec![left, right],
            RawKind::Quantified { left, array, .. } => vec![left, array],
            RawKind::Like { value, pattern, .. } | RawKind::Regex { value, pattern, .. } => {
                vec![value, pattern]
            }
            RawKind::Json { value, key, .. } => vec![value, key],
            RawKind::And(many) | RawKind::Or(many) | RawKind::Coalesce(many) | RawKind::Array(many) => {
                many.iter().collect()
            }
            RawKind::Call(call) => call.arguments.iter().map(|(_, argument)| argument).collect(),
            RawKind::InList(one, many) => std::iter::once(&**one).chain(many).collect(),
            RawKind::Case { operand, arms, otherwise } => operand
                .iter()
                .map(|operand| &**operand)
                .chain(arms.iter().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.iter().map(|otherwise| &**otherwise))
                .collect(),
        }
    }
}

impl Raw {
    /// As [`Raw::children`].
    pub(super) fn children_mut(&mut self) -> Vec<&mut Raw> {
        match &mut self.kind {
            RawKind::Column { .. }
            | RawKind::Parameter(_)
            | RawKind::Null
            | RawKind::Bool(_)
            | RawKind::Integer(_)
            | RawKind::Real(_)
            | RawKind::Text(_)
            | RawKind::Exists(_)
            | RawKind::Scalar(_)
            | RawKind::ArraySelect(_)
            | RawKind::Identity(_)
            | RawKind::Now => Vec::new(),
            RawKind::Cast(one, _)
            | RawKind::Not(one)
            | RawKind::IsNull(one)
            | RawKind::IsBool(one, _)
            | RawKind::InSelect(one, _) => vec![one],
            RawKind::Compare(_, left, right)
            | RawKind::Operator(_, left, right)
            | RawKind::Arithmetic(_, left, right)
            | RawKind::Element(left, right)
            | RawKind::Concat(left, right) => vec![left, right],
            RawKind::Quantified { left, array, .. } => vec![left, array],
            RawKind::Like { value, pattern, .. } | RawKind::Regex { value, pattern, .. } => {
                vec![value, pattern]
            }
            RawKind::Json { value, key, .. } => vec![value, key],
            RawKind::And(many) | RawKind::Or(many) | RawKind::Coalesce(many) | RawKind::Array(many) => {
                many.iter_mut().collect()
            }
            RawKind::Call(call) => call.arguments.iter_mut().map(|(_, argument)| argument).collect(),
            RawKind::InList(one, many) => std::iter::once(&mut **one).chain(many).collect(),
            RawKind::Case { operand, arms, otherwise } => operand
                .iter_mut()
                .map(|operand| &mut **operand)
                .chain(arms.iter_mut().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.iter_mut().map(|otherwise| &mut **otherwise))
                .collect(),
        }
    }
}

impl RawSelect {
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Raw), select: &mut impl FnMut(&RawSelect)) {
        select(self);
        for source in &self.sources {
            match &source.relation {
                Relation::Select(inner) => inner.walk(visit, select),
                Relation::Call(call) => {
                    for (_, argument) in &call.arguments {
                        argument.walk(visit, select);
                    }
                }
                Relation::Table { .. } => {}
            }
            if let Some(on) = &source.left {
                on.walk(visit, select);
            }
        }
        let conditions = self.conditions.iter().map(|(_, condition)| condition);
        let outputs = self.output.iter().chain(self.more.iter().map(|(_, output)| output));
        for raw in conditions.chain(outputs).chain(self.order.iter().map(|(key, ..)| key)) {
            raw.walk(visit, select);
        }
        for other in &self.union {
            other.walk(visit, select);
        }
    }
}

/// A scalar subquery without tables is its output.
pub(super) fn plain_value(select: &RawSelect) -> Option<&Raw> {
    let plain = select.sources.is_empty()
        && select.conditions.is_empty()
        && select.union.is_empty()
        && select.aggregate.is_none()
        && select.more.is_empty()
        && select.limit != Some(0);
    if plain { select.output.as_ref() } else { None }
}

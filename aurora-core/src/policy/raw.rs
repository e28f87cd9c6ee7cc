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
    Column { table: Option<Qualifier>, name: String },
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
    Like { value: Box<Raw>, pattern: Box<Raw>, escape: Option<String>, fold: bool },
    Json { value: Box<Raw>, key: Box<Raw>, text: bool },
    ToJson(Box<Raw>),
    Coalesce(Vec<Raw>),
    Case { operand: Option<Box<Raw>>, arms: Vec<(Raw, Raw)>, otherwise: Option<Box<Raw>> },
    Arithmetic(Arithmetic, Box<Raw>, Box<Raw>),
    Concat(Box<Raw>, Box<Raw>),
    Text1(TextFunction, Box<Raw>),
    Identity(Identity),
    Now,
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
    /// It asks for an order, which uuids, JSON, enums and booleans are not given here.
    pub(super) fn orders(self) -> bool {
        matches!(
            self,
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual
        )
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
pub(super) enum TextFunction {
    Lower,
    Upper,
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Uid,
    Role,
    Email,
    Jwt,
    Tenant,
}

/// The target of a cast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Text,
    Uuid,
    Integer,
    Bool,
    Time,
    Json,
    /// A type made by `CREATE TYPE .. AS ENUM`, its name as written.
    Enum(String),
}

/// A subquery: inner joins only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawSelect {
    pub(super) sources: Vec<RawSource>,
    /// Join conditions with the sources that each may name, then the `WHERE`, which may name all.
    pub(super) conditions: Vec<(std::ops::Range<usize>, Raw)>,
    /// Absent for `EXISTS (SELECT * ..)` and for constants that nobody reads.
    pub(super) output: Option<Raw>,
    pub(super) line: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawSource {
    pub(super) table: String,
    /// The given alias, or the last part of the name as written.
    pub(super) alias: String,
    /// No alias was given, so that `schema.table.column` means it too.
    pub(super) bare: bool,
    pub(super) line: u64,
}

impl Raw {
    /// Visits this expression and those beneath it, subqueries included, with the subqueries themselves.
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Raw), select: &mut impl FnMut(&RawSelect)) {
        visit(self);
        for child in self.children() {
            child.walk(visit, select);
        }
        if let RawKind::InSelect(_, inner) | RawKind::Exists(inner) | RawKind::Scalar(inner) = &self.kind {
            select(inner);
            for (_, condition) in &inner.conditions {
                condition.walk(visit, select);
            }
            if let Some(output) = &inner.output {
                output.walk(visit, select);
            }
        }
    }

    pub(super) fn children(&self) -> Vec<&Raw> {
        match &self.kind {
            RawKind::Column { .. }
            | RawKind::Null
            | RawKind::Bool(_)
            | RawKind::Integer(_)
            | RawKind::Real(_)
            | RawKind::Text(_)
            | RawKind::Exists(_)
            | RawKind::Scalar(_)
            | RawKind::Identity(_)
            | RawKind::Now => Vec::new(),
            RawKind::Cast(one, _)
            | RawKind::Not(one)
            | RawKind::IsNull(one)
            | RawKind::IsBool(one, _)
            | RawKind::InSelect(one, _)
            | RawKind::ToJson(one)
            | RawKind::Text1(_, one) => vec![one],
            RawKind::Compare(_, left, right)
            | RawKind::Arithmetic(_, left, right)
            | RawKind::Concat(left, right) => vec![left, right],
            RawKind::Like { value, pattern, .. } => vec![value, pattern],
            RawKind::Json { value, key, .. } => vec![value, key],
            RawKind::And(many) | RawKind::Or(many) | RawKind::Coalesce(many) => many.iter().collect(),
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

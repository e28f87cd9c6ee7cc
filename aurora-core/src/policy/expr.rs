//! A policy expression with names resolved and types checked: what gets printed.

use super::functions::FunctionName;
use super::raw::{Aggregate, Comparison};

/// How a uuid is kept: hyphenated lower-case text, or 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Blob,
    /// A text column that is known to hold uuids, in whatever spelling.
    Stored,
    /// Not decided yet: `auth.uid()` and literals take the form of what they are compared with.
    Any,
}

/// What an expression stands for. The `Stored` ones come from a column whose SQLite type says less than
/// PostgreSQL's would: text may be a uuid, a time, JSON, an array or an enum; an integer may be a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    /// A string literal that took no type yet, as in PostgreSQL.
    Unknown,
    Bool,
    Integer,
    StoredInteger,
    Real,
    Text,
    StoredText,
    Uuid(Form),
    Json,
    /// Microseconds since 1970, UTC.
    Micros,
    /// A column that keeps a time as text or as seconds.
    Time,
    /// A day, as the microseconds of its midnight UTC.
    Date,
    /// Months and microseconds, both known apart: [`FunctionName::Interval`] of the two.
    Interval,
    /// A type of the policy file, by its position there.
    Enum(usize),
    /// JSON text of an array.
    Array(Element),
}

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// `'{}'` or `ARRAY[NULL]`: nothing told yet.
    Any,
    Bool,
    Integer,
    Real,
    Text,
    Uuid,
    Enum(usize),
}

impl Element {
    /// The element type that holds values of that type, if arrays of it are known here.
    pub(super) fn of(kind: Type) -> Option<Self> {
        Some(match kind {
            Type::Null | Type::Unknown => Element::Any,
            Type::Bool => Element::Bool,
            Type::Integer | Type::StoredInteger => Element::Integer,
            Type::Real => Element::Real,
            Type::Text | Type::StoredText => Element::Text,
            Type::Uuid(_) => Element::Uuid,
            Type::Enum(at) => Element::Enum(at),
            Type::Json | Type::Micros | Type::Time | Type::Date | Type::Interval | Type::Array(_) => {
                return None;
            }
        })
    }

    /// The type of one element.
    pub(super) fn kind(self) -> Type {
        match self {
            Element::Any | Element::Text => Type::Text,
            Element::Bool => Type::Bool,
            Element::Integer => Type::Integer,
            Element::Real => Type::Real,
            Element::Uuid => Type::Uuid(Form::Text),
            Element::Enum(at) => Type::Enum(at),
        }
    }

    /// How the array functions are told to read an element.
    pub(super) fn word(self) -> &'static str {
        match self {
            Element::Any | Element::Text | Element::Enum(_) => "text",
            Element::Bool => "boolean",
            Element::Integer => "integer",
            Element::Real => "double precision",
            Element::Uuid => "uuid",
        }
    }
}

impl Type {
    /// PostgreSQL's name for it, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Null | Type::Unknown => "unknown",
            Type::Bool => "boolean",
            Type::Integer | Type::StoredInteger => "integer",
            Type::Real => "numeric",
            Type::Text | Type::StoredText => "text",
            Type::Uuid(_) => "uuid",
            Type::Json => "jsonb",
            Type::Micros | Type::Time => "timestamp",
            Type::Date => "date",
            Type::Interval => "interval",
            Type::Enum(_) => "an enum",
            Type::Array(Element::Any) => "an array",
            Type::Array(Element::Bool) => "boolean[]",
            Type::Array(Element::Integer) => "integer[]",
            Type::Array(Element::Real) => "numeric[]",
            Type::Array(Element::Text) => "text[]",
            Type::Array(Element::Uuid) => "uuid[]",
            Type::Array(Element::Enum(_)) => "an array of an enum",
        }
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Type::Text | Type::StoredText | Type::Unknown)
    }
}

/// The guarded row among the sources; inner tables count from 1.
pub(super) const ROW: usize = 0;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Integer(i64),
    /// Digits, point and exponent only.
    Real(String),
    Text(String),
    Blob([u8; 16]),
    Column {
        source: usize,
        name: String,
    },
    /// `bytes`: compare text by bytes, whatever collation the column declares.
    Compare {
        op: Comparison,
        left: Box<Expr>,
        right: Box<Expr>,
        bytes: bool,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// `IS TRUE`, `IS FALSE` of something that is 0, 1 or NULL.
    Is(Box<Expr>, bool),
    InList {
        left: Box<Expr>,
        list: Vec<Expr>,
        bytes: bool,
    },
    InSelect {
        left: Box<Expr>,
        select: Box<Select>,
        bytes: bool,
    },
    Exists(Box<Select>),
    /// `single`: at most one row can answer, so that nothing needs counting.
    Scalar {
        select: Box<Select>,
        single: bool,
    },
    Call(FunctionName, Vec<Expr>),
    Coalesce(Vec<Expr>),
    Case {
        arms: Vec<(Expr, Expr)>,
        otherwise: Box<Expr>,
    },
    Concat(Box<Expr>, Box<Expr>),
    /// `CAST(x AS TEXT)` of an integer.
    Digits(Box<Expr>),
}

/// One inner table of a subquery.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    /// The number that its columns carry.
    pub(super) id: usize,
    pub(super) table: String,
    /// Read as its owner does, without its policies: the body of a SECURITY DEFINER function.
    pub(super) owner: bool,
}

/// What `ORDER BY` sorts by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) value: Expr,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

/// A subquery over inner tables, all conditions in one conjunction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Select {
    pub(super) sources: Vec<Source>,
    pub(super) filter: Vec<Expr>,
    /// Absent: nobody reads it.
    pub(super) output: Option<Expr>,
    /// The output folded over all rows: one row whatever there is. Then without order and limit.
    pub(super) aggregate: Option<Aggregate>,
    pub(super) order: Vec<Key>,
    pub(super) limit: Option<u64>,
}

impl Expr {
    /// It yields 0, 1 or NULL by itself; other booleans are compared with 1 first, since a column may hold
    /// anything.
    pub(super) fn is_predicate(&self) -> bool {
        matches!(
            self,
            Expr::Null
                | Expr::Bool(_)
                | Expr::Compare { .. }
                | Expr::And(_)
                | Expr::Or(_)
                | Expr::Not(_)
                | Expr::IsNull(_)
                | Expr::Is(..)
                | Expr::InList { .. }
                | Expr::InSelect { .. }
                | Expr::Exists(_)
                | Expr::Call(
                    FunctionName::Like
                        | FunctionName::ILike
                        | FunctionName::Regex
                        | FunctionName::AnyOf
                        | FunctionName::AllOf
                        | FunctionName::ArrayContains
                        | FunctionName::ArrayOverlaps
                        | FunctionName::JsonContains
                        | FunctionName::JsonHas
                        | FunctionName::JsonHasAny
                        | FunctionName::JsonHasAll
                        | FunctionName::StartsWith,
                    _
                )
        )
    }

    /// The expressions directly beneath, those of a subquery not among them.
    pub(super) fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Null
            | Expr::Bool(_)
            | Expr::Integer(_)
            | Expr::Real(_)
            | Expr::Text(_)
            | Expr::Blob(_)
            | Expr::Column { .. }
            | Expr::Exists(_)
            | Expr::Scalar { .. } => Vec::new(),
            Expr::Not(one) | Expr::IsNull(one) | Expr::Is(one, _) | Expr::Digits(one) => vec![one],
            Expr::InSelect { left, .. } => vec![left],
            Expr::Compare { left, right, .. } | Expr::Concat(left, right) => vec![left, right],
            Expr::And(many) | Expr::Or(many) | Expr::Coalesce(many) | Expr::Call(_, many) => {
                many.iter().collect()
            }
            Expr::InList { left, list, .. } => std::iter::once(&**left).chain(list).collect(),
            Expr::Case { arms, otherwise } => arms
                .iter()
                .flat_map(|(when, then)| [when, then])
                .chain(std::iter::once(&**otherwise))
                .collect(),
        }
    }

    /// The subquery that hangs on this very expression.
    pub(super) fn select(&self) -> Option<&Select> {
        match self {
            Expr::InSelect { select, .. } | Expr::Exists(select) | Expr::Scalar { select, .. } => {
                Some(select)
            }
            _ => None,
        }
    }

    /// Visits this expression and all beneath it, subqueries included.
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
        if let Some(select) = self.select() {
            select.walk(visit);
        }
    }

    /// Which sources its columns belong to.
    pub(super) fn sources(&self) -> Vec<usize> {
        let mut found = Vec::new();
        self.walk(&mut |expr| {
            if let Expr::Column { source, .. } = expr
                && !found.contains(source)
            {
                found.push(*source);
            }
        });
        found
    }
}

impl Select {
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        let keys = self.order.iter().map(|key| &key.value);
        for part in self.filter.iter().chain(&self.output).chain(keys) {
            part.walk(visit);
        }
    }

    /// It holds that source, in itself or in a subquery beneath.
    pub(super) fn own_sources(&self) -> Vec<usize> {
        let mut own: Vec<usize> = self.sources.iter().map(|source| source.id).collect();
        self.walk(&mut |expr| {
            if let Some(inner) = expr.select() {
                own.extend(inner.sources.iter().map(|source| source.id));
            }
        });
        own
    }

    /// Every row counts for itself: nothing is folded or left out by its place.
    pub(super) fn is_plain(&self) -> bool {
        self.aggregate.is_none() && self.limit.is_none()
    }
}

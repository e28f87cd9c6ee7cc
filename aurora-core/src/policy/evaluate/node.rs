//! A compiled policy: a tree whose leaves know where a row keeps its columns.
//!
//! The same tree stands before and after it is bound to a principal: binding puts constants in place of
//! identity calls and answers in place of facts, and picks the short forms for the shapes that policies are
//! mostly made of.

use std::sync::Arc;

use super::super::functions::{Body, Value};
use super::super::raw::Comparison;
use super::set::{Answers, Set};

/// SQL's three truth values, and that an error was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    False,
    True,
    Null,
    Error,
}

impl Truth {
    pub(super) fn of(value: Option<bool>) -> Self {
        match value {
            Some(true) => Truth::True,
            Some(false) => Truth::False,
            None => Truth::Null,
        }
    }
}

/// Where a row keeps a column, and whether that column keeps uuids as 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) column: usize,
    pub(super) blob: bool,
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Truth),
    /// The error that is met here.
    Fails(Arc<str>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull(Box<Operand>),
    /// `IS TRUE`, `IS FALSE`.
    Is(Box<Node>, bool),
    Compare {
        op: Comparison,
        left: Box<Operand>,
        right: Box<Operand>,
    },
    /// `exists`: NULL is no member, rather than unknown.
    In {
        left: Box<Operand>,
        set: Arc<Set>,
        exists: bool,
    },
    /// A subquery: `EXISTS` without `left`, else `IN`.
    Member {
        tied: Tied,
        left: Option<Box<Operand>>,
    },
    /// A value that stands as a condition.
    Truthy(Box<Operand>),

    // The shapes of most policies, without a detour over operands.
    EqualText {
        place: Place,
        text: Box<str>,
        uuid: Option<[u8; 16]>,
    },
    EqualInteger {
        place: Place,
        number: i64,
    },
    EqualBlob {
        place: Place,
        bytes: Box<[u8]>,
    },
    ColumnIn {
        place: Place,
        set: Arc<Set>,
        exists: bool,
    },
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Constant(Value),
    Fails(Arc<str>),
    Column(Place),
    Now,
    /// A stored time in microseconds, and the function that reads what is no plain text.
    Time(Body, Box<Operand>),
    Call {
        body: Body,
        arguments: Vec<Operand>,
    },
    Coalesce(Vec<Operand>),
    Case {
        arms: Vec<(Node, Operand)>,
        otherwise: Box<Operand>,
    },
    Concat(Box<Operand>, Box<Operand>),
    Digits(Box<Operand>),
    Scalar {
        tied: Tied,
        single: bool,
    },
    Condition(Box<Node>),
}

/// How a subquery hangs on the row.
#[derive(Clone, Debug)]
pub(super) struct Tied {
    /// Conditions of its `WHERE` that speak of the row alone.
    pub(super) guards: Vec<Node>,
    /// What its keys are compared with.
    pub(super) keys: Vec<Operand>,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The number of the fact that answers it.
    Fact(usize),
    Answers(Arc<Answers>),
    /// Explaining only: nobody brought the answer.
    Unknown,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Body::Pure(_) => "Pure",
            Body::Identity(_) => "Identity",
            Body::Clock(_) => "Clock",
        })
    }
}

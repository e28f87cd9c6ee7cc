//! A compiled policy for one principal: identity calls become constants, facts their answers, and what is then
//! constant is decided here, once.

use std::sync::Arc;

use super::super::functions::{Body, Claims, Value};
use super::super::raw::Comparison;
use super::facts::{Fact, Facts, canonical_uuid};
use super::node::{Node, Operand, Source, Tied, Truth};
use super::row::ValueRef;
use super::run::{At, truth, value};
use super::set::Set;
use crate::types::Timestamp;

/// What binding puts in.
pub(super) struct Binder<'a> {
    pub(super) claims: &'a Claims,
    pub(super) needs: &'a [Fact],
    pub(super) facts: &'a Facts,
}

impl Binder<'_> {
    pub(super) fn node(&self, node: &Node) -> Node {
        match node {
            Node::And(many) => self.junction(many, Truth::False),
            Node::Or(many) => self.junction(many, Truth::True),
            Node::Not(one) => self.settled(Node::Not(Box::new(self.node(one)))),
            Node::IsNull(one) => self.settled(Node::IsNull(Box::new(self.operand(one)))),
            Node::Is(one, expected) => self.settled(Node::Is(Box::new(self.node(one)), *expected)),
            Node::Compare { op, left, right } => {
                self.settled(short_comparison(*op, self.operand(left), self.operand(right)))
            }
            Node::In { left, set, exists } => {
                self.settled(short_in(self.operand(left), Arc::clone(set), *exists))
            }
            Node::Member { tied, left } => self.member(tied, left.as_deref()),
            Node::Truthy(one) => self.settled(Node::Truthy(Box::new(self.operand(one)))),
            leaf => leaf.clone(),
        }
    }

    /// AND (`ends` false) or OR (`ends` true): from left to right, as PostgreSQL's executor goes, so that an error
    /// is met exactly where it would be met there.
    fn junction(&self, many: &[Node], ends: Truth) -> Node {
        let neutral = if ends == Truth::True { Truth::False } else { Truth::True };
        let mut kept: Vec<Node> = Vec::with_capacity(many.len());
        let mut add = |node: Node| match node {
            Node::Constant(value) if value == neutral => false,
            Node::Constant(value) if value == ends => {
                kept.retain(fallible);
                kept.push(Node::Constant(ends));
                true
            }
            failure @ Node::Fails(_) => {
                kept.push(failure);
                true
            }
            other => {
                kept.push(other);
                false
            }
        };
        for one in many {
            let flat = match (self.node(one), ends) {
                (Node::And(inner), Truth::False) | (Node::Or(inner), Truth::True) => inner,
                (other, _) => vec![other],
            };
            if flat.into_iter().any(&mut add) {
                break;
            }
        }
        match (kept.pop(), ends) {
            (None, _) => Node::Constant(neutral),
            (Some(one), _) if kept.is_empty() => one,
            (Some(last), Truth::True) => {
                kept.push(last);
                Node::Or(kept)
            }
            (Some(last), _) => {
                kept.push(last);
                Node::And(kept)
            }
        }
    }

    fn tied(&self, tied: &Tied) -> Tied {
        let source = match &tied.source {
            Source::Fact(number) => {
                let answers = self.needs.get(*number).and_then(|fact| self.facts.answers(fact));
                answers.map_or(Source::Unknown, |answers| Source::Answers(Arc::clone(answers)))
            }
            other => other.clone(),
        };
        Tied {
            guards: tied.guards.iter().map(|guard| self.node(guard)).collect(),
            keys: tied.keys.iter().map(|key| self.operand(key)).collect(),
            source,
        }
    }

    fn member(&self, tied: &Tied, left: Option<&Operand>) -> Node {
        let mut tied = self.tied(tied);
        let left = left.map(|left| self.operand(left));
        if let (true, Source::Answers(answers)) = (tied.guards.is_empty(), &tied.source) {
            match (tied.keys.len(), left) {
                (0, None) => return Node::Constant(Truth::of(Some(answers.rows > 0))),
                (0, Some(left)) => return self.settled(short_in(left, Arc::clone(&answers.set), false)),
                (1, None) => {
                    let set = Arc::clone(&answers.set);
                    let key = tied.keys.pop().unwrap_or(Operand::Constant(Value::Null));
                    return self.settled(short_in(key, set, true));
                }
                (_, left) => return Node::Member { tied, left: left.map(Box::new) },
            }
        }
        Node::Member { tied, left: left.map(Box::new) }
    }

    pub(super) fn operand(&self, operand: &Operand) -> Operand {
        let bound = match operand {
            Operand::Constant(_) | Operand::Fails(_) | Operand::Column(_) | Operand::Now => {
                return operand.clone();
            }
            Operand::Time(body, one) => Operand::Time(*body, Box::new(self.operand(one))),
            Operand::Call { body, arguments } => {
                let arguments = arguments.iter().map(|one| self.operand(one)).collect();
                Operand::Call { body: *body, arguments }
            }
            Operand::Coalesce(many) => Operand::Coalesce(many.iter().map(|one| self.operand(one)).collect()),
            Operand::Case { arms, otherwise } => Operand::Case {
                arms: arms.iter().map(|(when, then)| (self.node(when), self.operand(then))).collect(),
                otherwise: Box::new(self.operand(otherwise)),
            },
            Operand::Concat(left, right) => {
                Operand::Concat(Box::new(self.operand(left)), Box::new(self.operand(right)))
            }
            Operand::Digits(one) => Operand::Digits(Box::new(self.operand(one))),
            Operand::Scalar { tied, single } => Operand::Scalar { tied: self.tied(tied), single: *single },
            Operand::Condition(one) => Operand::Condition(Box::new(self.node(one))),
        };
        if !constant_operand(&bound) {
            return bound;
        }
        match value(&bound, &self.nowhere()) {
            Ok(found) => Operand::Constant(found.into_value()),
            Err(error) => Operand::Fails(error.into()),
        }
    }

    /// The node's answer, if no row and no moment changes it.
    fn settled(&self, node: Node) -> Node {
        if !constant_node(&node) {
            return node;
        }
        let at = self.nowhere();
        match truth(&node, &at) {
            Truth::Error => Node::Fails(at.error().into()),
            known => Node::Constant(known),
        }
    }

    fn nowhere(&self) -> At<'_, [ValueRef<'static>]> {
        At::new(&[], self.claims, Timestamp::default())
    }
}

/// Neither a row nor the time is looked at.
fn constant_node(node: &Node) -> bool {
    match node {
        Node::Constant(_) | Node::Fails(_) => true,
        Node::And(many) | Node::Or(many) => many.iter().all(constant_node),
        Node::Not(one) | Node::Is(one, _) => constant_node(one),
        Node::IsNull(one) | Node::Truthy(one) | Node::In { left: one, .. } => constant_operand(one),
        Node::Compare { left, right, .. } => constant_operand(left) && constant_operand(right),
        Node::Member { tied, left } => {
            constant_tied(tied) && left.as_ref().is_none_or(|left| constant_operand(left))
        }
        Node::EqualText { .. }
        | Node::EqualInteger { .. }
        | Node::EqualBlob { .. }
        | Node::ColumnIn { .. } => false,
    }
}

fn constant_operand(operand: &Operand) -> bool {
    match operand {
        Operand::Constant(_) | Operand::Fails(_) => true,
        Operand::Column(_) | Operand::Now => false,
        Operand::Time(_, one) | Operand::Digits(one) => constant_operand(one),
        Operand::Call { body, arguments } => {
            !matches!(body, Body::Clock(_)) && arguments.iter().all(constant_operand)
        }
        Operand::Coalesce(many) => many.iter().all(constant_operand),
        Operand::Case { arms, otherwise } => {
            constant_operand(otherwise)
                && arms.iter().all(|(when, then)| constant_node(when) && constant_operand(then))
        }
        Operand::Concat(left, right) => constant_operand(left) && constant_operand(right),
        Operand::Scalar { tied, .. } => constant_tied(tied),
        Operand::Condition(one) => constant_node(one),
    }
}

fn constant_tied(tied: &Tied) -> bool {
    matches!(tied.source, Source::Answers(_))
        && tied.guards.iter().all(constant_node)
        && tied.keys.iter().all(constant_operand)
}

/// It may answer with an error, so that what stands before it may not be passed over.
fn fallible(node: &Node) -> bool {
    match node {
        // A column that the row lacks is an error too, but one that no engine has: leaving it out is no loss.
        Node::Constant(_)
        | Node::EqualText { .. }
        | Node::EqualInteger { .. }
        | Node::EqualBlob { .. }
        | Node::ColumnIn { .. } => false,
        Node::And(many) | Node::Or(many) => many.iter().any(fallible),
        Node::Not(one) | Node::Is(one, _) => fallible(one),
        Node::IsNull(one) | Node::In { left: one, .. } => !matches!(**one, Operand::Column(_)),
        Node::Compare { left, right, .. } => {
            let plain =
                |one: &Operand| matches!(one, Operand::Column(_) | Operand::Constant(_) | Operand::Now);
            !(plain(left) && plain(right))
        }
        Node::Fails(_) | Node::Member { .. } | Node::Truthy(_) => true,
    }
}

fn short_comparison(op: Comparison, left: Operand, right: Operand) -> Node {
    let (place, constant) = match (op, &left, &right) {
        (Comparison::Equal, Operand::Column(place), Operand::Constant(value))
        | (Comparison::Equal, Operand::Constant(value), Operand::Column(place)) => (*place, value),
        _ => return Node::Compare { op, left: Box::new(left), right: Box::new(right) },
    };
    match constant {
        Value::Text(text) if !place.blob => {
            Node::EqualText { place, uuid: canonical_uuid(text), text: text.as_str().into() }
        }
        Value::Integer(number) => Node::EqualInteger { place, number: *number },
        Value::Blob(bytes) => Node::EqualBlob { place, bytes: bytes.as_slice().into() },
        // `x = NULL` is NULL whatever x is, provided the row has it.
        _ => Node::Compare { op, left: Box::new(left), right: Box::new(right) },
    }
}

fn short_in(left: Operand, set: Arc<Set>, exists: bool) -> Node {
    match left {
        Operand::Column(place) => Node::ColumnIn { place, set, exists },
        left => Node::In { left: Box::new(left), set, exists },
    }
}

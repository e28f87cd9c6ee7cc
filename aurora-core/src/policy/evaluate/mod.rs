//! Policies on plain Rust values: the same lowered expressions that the database runs, evaluated in process.
//!
//! 1. The answer is [`Decision::Allow`], [`Decision::Deny`] or [`Decision::Error`]; NULL denies, an error is never
//!    an allow. Conditions are met from left to right, as PostgreSQL's executor meets them: AND ends at false, OR
//!    at true, and the first error that is met is the answer.
//! 2. Three steps: [`Lowered::compile`] for one table, role, command and row layout; [`Compiled::bind`] to one
//!    principal, once; [`Bound::decide`] per row, which allocates nothing where a policy compares columns with
//!    constants and the caller's identity, looks them up in facts, and joins that by AND, OR, NOT and IS NULL.
//! 3. A subquery is answered from a [`Fact`], which the caller brings; [`Compiled::needs`] says which. A fact may
//!    hang on the row by up to four equalities. What cannot be answered so is refused when the policy is
//!    compiled, with file, line and construct.
//! 4. Facts belong to a principal: [`Facts`] carries its claims, so those of one cannot be used for another.
//! 5. Functions are the very ones that SQLite is given ([`functions`](super::functions)); values compare as SQLite
//!    compares them, text by bytes.
//! 6. A command that the role was not granted answers with PostgreSQL's error 42501, whatever the row.
//! 7. Pure: the time is an argument.
//!
//! ```
//! use aurora_core::policy::{Clause, Column, Command, Decision, Facts, Policies, Record, Schema, Table};
//! use aurora_core::types::{Principal, Role, Timestamp, UserId};
//!
//! struct Note { owner: UserId, team: i64 }
//! aurora_core::row!(Note { owner, team });
//!
//! let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
//!     CREATE POLICY own ON members FOR SELECT USING (uid = auth.uid());
//!     CREATE POLICY seen ON notes FOR SELECT TO authenticated USING (owner = auth.uid() OR EXISTS
//!       (SELECT 1 FROM members m WHERE m.team = notes.team AND m.uid = auth.uid()));";
//! let schema = Schema { tables: vec![
//!     Table::new("notes", vec![Column::new("owner", "TEXT"), Column::new("team", "INTEGER")]),
//!     Table::new("members", vec![Column::new("team", "INTEGER"), Column::new("uid", "TEXT")]),
//! ] };
//! let lowered = Policies::parse(text, "policies.sql").unwrap().lower(&schema).unwrap();
//!
//! let seen = lowered
//!     .compile("notes", Role::Authenticated, Command::Select, Clause::Using, &Note::layout())
//!     .unwrap();
//! let (ann, bob) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
//! let facts = Facts::of(&Principal::user(ann)).with(&seen.needs()[0], [[7_i64], [8]]);
//! let bound = seen.bind(&facts).unwrap();
//!
//! let now = Timestamp::from_seconds(1_700_000_000);
//! assert_eq!(bound.decide(&Note { owner: ann, team: 1 }, now), Decision::Allow);
//! assert_eq!(bound.decide(&Note { owner: bob, team: 7 }, now), Decision::Allow);
//! assert_eq!(bound.decide(&Note { owner: bob, team: 9 }, now), Decision::Deny);
//! ```

mod bind;
mod cell;
mod compile;
mod describe;
mod explain;
mod facts;
mod hint;
mod node;
mod row;
mod run;
mod set;

use std::fmt;
use std::sync::Arc;

pub use explain::{Explainer, Explanation, Outcome};
pub use facts::{Fact, FactValue, Facts};
pub use row::{AsValue, Record, Row, RowLayout, ValueRef};

use super::error::{PolicyError, PolicyErrors};
use super::expr::Expr;
use super::functions::Claims;
use super::lower::{Lowered, Part};
use super::schema::{Command, Schema};
use crate::types::{Role, Timestamp};
use bind::Binder;
use compile::Compiler;
use node::{Node, Truth};
use run::At;

/// Which expression of a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clause {
    /// `USING`: may the command touch this row of the table? Not for `INSERT`.
    Using,
    /// `WITH CHECK`: may this new row stand? For `INSERT` and `UPDATE`.
    Check,
}

impl Clause {
    /// The clause's SQL words.
    pub fn as_str(self) -> &'static str {
        match self {
            Clause::Using => "USING",
            Clause::Check => "WITH CHECK",
        }
    }

    fn fits(self, command: Command) -> bool {
        match self {
            Clause::Using => command != Command::Insert,
            Clause::Check => matches!(command, Command::Insert | Command::Update),
        }
    }
}

/// What a policy says about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// The row passes.
    Allow,
    /// It does not: false, or NULL.
    Deny,
    /// The policy could not be evaluated, where PostgreSQL would end the statement. Never let the row pass.
    Error(EvaluationError),
}

impl Decision {
    /// Whether the row passes.
    pub fn is_allow(&self) -> bool {
        *self == Decision::Allow
    }
}

/// Why a policy could not be evaluated. Holds no value of any row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationError(Box<str>);

impl EvaluationError {
    /// PostgreSQL's five-character code: 22012 for a division by zero.
    pub fn sqlstate(&self) -> &str {
        self.0.split_once(' ').map_or("XX000", |(code, _)| code)
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        self.0.split_once(' ').map_or(&*self.0, |(_, message)| message)
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate(), self.message())
    }
}

impl std::error::Error for EvaluationError {}

/// A condition on claims alone.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) expr: Expr,
    node: Node,
}

impl Claimed {
    pub(super) fn new(schema: &Schema, expr: Expr) -> Self {
        let node = Compiler::bare(schema, &RowLayout::new([""; 0])).node(&expr);
        Self { expr, node }
    }

    /// Whether it is true; `None` if it fails.
    pub(super) fn answer(&self, claims: &Claims) -> Option<bool> {
        let row: &[ValueRef<'static>] = &[];
        match run::truth(&self.node, &At::new(row, claims, Timestamp::default())) {
            Truth::True => Some(true),
            Truth::False | Truth::Null => Some(false),
            Truth::Error => None,
        }
    }
}

/// One table's policies for one role, command and clause, over one row layout. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compiled(Arc<Program>);

#[derive(Debug)]
struct Program {
    role: Role,
    node: Node,
    facts: Vec<Fact>,
}

/// The facts do not fit the policy that they were brought for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindError(String);

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BindError {}

impl Lowered {
    /// The table's policies, ready to be asked about rows of that layout: permissive ones ORed, restrictive ones
    /// ANDed, none means deny. Grants count too: what the role was not granted answers 42501.
    ///
    /// # Errors
    /// What cannot be answered in process: a column that the layout lacks, a subquery that is tied to the row by
    /// more than equality. And a clause that the command does not have.
    pub fn compile(
        &self,
        table: &str,
        role: Role,
        command: Command,
        clause: Clause,
        layout: &RowLayout,
    ) -> Result<Compiled, PolicyErrors> {
        clause_of(self, command, clause)?;
        let mut compiler = Compiler::new(self, table, layout);
        let node = if let Some(message) = self.denied(table, role, command) {
            Node::Fails(format!("42501 {message}").into())
        } else if role == Role::Service {
            Node::Constant(Truth::True)
        } else {
            let parts = self.parts(table, role, command, clause == Clause::Check);
            compiled(self, table, parts, clause, &mut compiler)?
        };
        Ok(Compiled(Arc::new(Program { role, node, facts: compiler.facts })))
    }
}

fn clause_of(lowered: &Lowered, command: Command, clause: Clause) -> Result<(), PolicyErrors> {
    let error = || {
        let construct = format!("{} has no {}", command.as_str(), clause.as_str());
        PolicyError::new(lowered.file(), 1, construct, "ask for the clause that the command has")
    };
    PolicyErrors::unless_empty(if clause.fits(command) { Vec::new() } else { vec![error()] }, ())
}

/// The policies combined; a refusal names the policy that it stands in.
fn compiled<'p>(
    lowered: &Lowered,
    table: &str,
    parts: impl Iterator<Item = &'p Part>,
    clause: Clause,
    compiler: &mut Compiler<'_>,
) -> Result<Node, PolicyErrors> {
    let (mut permissive, mut restrictive, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let Some(expr) = part.expr(clause == Clause::Check) else { continue };
        let node = compiler.node(expr);
        for (construct, help) in compiler.refusals.drain(..) {
            let construct = format!("policy \"{}\" on {table}: in process: {construct}", part.policy);
            errors.push(PolicyError::new(lowered.file(), part.line, construct, help));
        }
        if part.restrictive { restrictive.push(node) } else { permissive.push(node) }
    }
    let mut all = vec![Node::Or(permissive)];
    all.append(&mut restrictive);
    PolicyErrors::unless_empty(errors, Node::And(all))
}

impl Compiled {
    /// The facts that it is answered from, each once.
    pub fn needs(&self) -> &[Fact] {
        &self.0.facts
    }

    /// The policy for one principal. Do it once per principal; it costs what the policy's text costs.
    ///
    /// # Errors
    /// A fact was not brought, or the facts are of a principal in another role.
    pub fn bind(&self, facts: &Facts) -> Result<Bound, BindError> {
        let program = &*self.0;
        if facts.role != program.role {
            return Err(BindError(format!(
                "the policy was compiled for role {}, the facts are of a principal in role {}",
                program.role.as_str(),
                facts.role.as_str()
            )));
        }
        if let Some(missing) = program.facts.iter().find(|fact| !facts.knows(fact)) {
            return Err(BindError(format!("no answer was brought to the fact: {missing}")));
        }
        let binder = Binder { claims: &facts.claims, needs: &program.facts, facts };
        Ok(Bound { node: binder.node(&program.node), claims: Arc::clone(&facts.claims) })
    }

    /// Binds and decides at once, for a single row.
    ///
    /// # Errors
    /// As [`Compiled::bind`].
    pub fn decide<R: Row + ?Sized>(
        &self,
        row: &R,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Decision, BindError> {
        Ok(self.bind(facts)?.decide(row, now))
    }
}

/// A policy bound to one principal: asked about row after row.
#[derive(Clone, Debug)]
pub struct Bound {
    node: Node,
    claims: Arc<Claims>,
}

impl Bound {
    /// What the policy says about the row at that time.
    #[inline]
    pub fn decide<R: Row + ?Sized>(&self, row: &R, now: Timestamp) -> Decision {
        let at = At::new(row, &self.claims, now);
        match run::truth(&self.node, &at) {
            Truth::True => Decision::Allow,
            Truth::False | Truth::Null => Decision::Deny,
            Truth::Error => Decision::Error(EvaluationError(at.error().into())),
        }
    }
}

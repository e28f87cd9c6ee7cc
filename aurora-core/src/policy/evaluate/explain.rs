//! Why a row passes or does not: each policy, each clause of it, what it answered, and what would have to differ.
//!
//! An explanation holds values of the row. It is for development and for whoever may see the row anyway.

use std::fmt;

use super::super::error::PolicyErrors;
use super::super::expr::{Expr, ROW};
use super::super::functions::{FunctionName, Value};
use super::super::lower::Lowered;
use super::super::schema::{Command, Schema};
use super::bind::Binder;
use super::cell::Cell;
use super::compile::Compiler;
use super::describe::Describer;
use super::facts::{Fact, Facts};
use super::hint;
use super::node::{Node, Operand, Truth};
use super::row::{Row, RowLayout};
use super::run::{self, At};
use super::{Clause, Decision, EvaluationError, clause_of};
use crate::types::{Role, Timestamp, UserId};

/// Explains one table's policies for one role and command.
#[derive(Clone, Debug)]
pub struct Explainer {
    heading: String,
    denied: Option<String>,
    /// The service role passes every policy.
    service: bool,
    policies: Vec<Policy>,
    facts: Vec<Fact>,
}

#[derive(Clone, Debug)]
struct Policy {
    name: String,
    place: String,
    restrictive: bool,
    branch: Branch,
}

/// A condition with those it is made of.
#[derive(Clone, Debug)]
struct Branch {
    join: Join,
    text: String,
    /// Refused: what cannot be answered in process.
    node: Result<Node, String>,
    /// What the row and the caller give it: the text of the expression, and how to compute it.
    reads: Vec<(String, Operand)>,
    beneath: Vec<Branch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
    Not,
    Leaf,
}

/// What a condition answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// True.
    True,
    /// False.
    False,
    /// NULL, which shows no row.
    Null,
    /// It could not be evaluated: PostgreSQL's code and message.
    Error(String),
    /// It was not answered: a fact was not brought, or it runs in a database only.
    Unknown(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::True => "true",
            Outcome::False => "false",
            Outcome::Null => "null",
            Outcome::Error(_) => "error",
            Outcome::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A condition after it was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) join: Join,
    pub(super) text: String,
    pub(super) outcome: Outcome,
    /// `owner is 'bob'`.
    pub(super) values: Vec<String>,
    /// Values among which the left side would have to be.
    pub(super) among: Vec<Value>,
    pub(super) beneath: Vec<Asked>,
}

/// One policy's answer.
#[derive(Clone, Debug)]
struct Answered {
    name: String,
    place: String,
    restrictive: bool,
    asked: Asked,
}

/// Why a row passes or does not. Its `Display` is at most 100 columns wide.
#[derive(Clone, Debug)]
pub struct Explanation {
    heading: String,
    decision: Decision,
    denied: Option<String>,
    policies: Vec<Answered>,
}

impl Lowered {
    /// Gets ready to explain rows of that layout.
    ///
    /// # Errors
    /// The command does not have that clause. What cannot be answered in process is part of the explanation.
    pub fn explainer(
        &self,
        table: &str,
        role: Role,
        command: Command,
        clause: Clause,
        layout: &RowLayout,
    ) -> Result<Explainer, PolicyErrors> {
        clause_of(self, command, clause)?;
        let mut compiler = Compiler::new(self, table, layout);
        let mut policies = Vec::new();
        let check = clause == Clause::Check;
        for part in self.parts(table, role, command, check) {
            let Some(expr) = part.expr(check) else { continue };
            policies.push(Policy {
                name: part.policy.clone(),
                place: format!("{}:{}", self.file(), part.line),
                restrictive: part.restrictive,
                branch: branch(expr, &mut compiler),
            });
        }
        let heading = format!("{} on {table} as {}, {}", command.as_str(), role.as_str(), clause.as_str());
        let denied = self.denied(table, role, command);
        let service = role == Role::Service;
        Ok(Explainer { heading, denied, service, policies, facts: compiler.facts })
    }
}

fn branch(expr: &Expr, compiler: &mut Compiler<'_>) -> Branch {
    let (join, beneath): (Join, Vec<&Expr>) = match expr {
        Expr::And(many) => (Join::And, many.iter().collect()),
        Expr::Or(many) => (Join::Or, many.iter().collect()),
        Expr::Not(one) => (Join::Not, vec![one]),
        _ => (Join::Leaf, Vec::new()),
    };
    let beneath = beneath.into_iter().map(|one| branch(one, compiler)).collect();
    let node = compiler.node(expr);
    let refused: Vec<String> = compiler.refusals.drain(..).map(|(construct, _)| construct).collect();
    let reads = if join == Join::Leaf { reads(expr, compiler) } else { Vec::new() };
    let text = Describer::new(compiler.schema, compiler.table).expr(expr);
    let node = if refused.is_empty() { Ok(node) } else { Err(refused.join("; ")) };
    Branch { join, text, node, reads, beneath }
}

/// The row's columns and the caller's identity that a condition reads, each once.
fn reads(expr: &Expr, compiler: &mut Compiler<'_>) -> Vec<(String, Operand)> {
    let mut found: Vec<Expr> = Vec::new();
    expr.walk(&mut |part| {
        let identity = matches!(part, Expr::Call(name, _) if is_identity(*name));
        let column = matches!(part, Expr::Column { source: ROW, .. });
        if (identity || column) && !found.contains(part) {
            found.push(part.clone());
        }
    });
    let schema: &Schema = compiler.schema;
    let reads =
        found.iter().map(|one| (Describer::new(schema, compiler.table).expr(one), compiler.operand(one)));
    let reads = reads.collect();
    // A column that the layout lacks was refused with the condition itself.
    compiler.refusals.clear();
    reads
}

fn is_identity(name: FunctionName) -> bool {
    matches!(
        name,
        FunctionName::UidText
            | FunctionName::UidBlob
            | FunctionName::Email
            | FunctionName::Tenant
            | FunctionName::JwtJson
            | FunctionName::JwtText
    )
}

impl Explainer {
    /// The facts that the explanation asks for. Where one is not brought, what it answers is
    /// [`Outcome::Unknown`].
    pub fn needs(&self) -> &[Fact] {
        &self.facts
    }

    /// Explains one row for one principal.
    pub fn explain<R: Row + ?Sized>(&self, row: &R, facts: &Facts, now: Timestamp) -> Explanation {
        let binder = Binder { claims: &facts.claims, needs: &self.facts, facts };
        let at = At::new(row, &facts.claims, now);
        let answered = |policy: &Policy| Answered {
            name: policy.name.clone(),
            place: policy.place.clone(),
            restrictive: policy.restrictive,
            asked: ask(&policy.branch, &binder, &at),
        };
        let policies: Vec<Answered> = self.policies.iter().map(answered).collect();
        let decision = match &self.denied {
            Some(message) => Decision::Error(EvaluationError(format!("42501 {message}").into())),
            None if self.service => Decision::Allow,
            None => combined(&policies),
        };
        let policies = if self.service { Vec::new() } else { policies };
        Explanation { heading: self.heading.clone(), decision, denied: self.denied.clone(), policies }
    }
}

fn ask<R: Row + ?Sized>(branch: &Branch, binder: &Binder<'_>, at: &At<'_, R>) -> Asked {
    let (mut among, mut outcome) = (Vec::new(), None);
    match &branch.node {
        Err(refused) => outcome = Some(Outcome::Unknown(refused.clone())),
        Ok(node) => {
            let bound = binder.node(node);
            if let Node::ColumnIn { set, .. } | Node::In { set, .. } = &bound {
                among = set.sample(hint::SAMPLE + 1);
            }
            outcome = outcome.or(Some(match run::truth(&bound, at) {
                Truth::True => Outcome::True,
                Truth::False => Outcome::False,
                Truth::Null => Outcome::Null,
                Truth::Error => match at.error() {
                    missing if missing == run::UNANSWERED => {
                        Outcome::Unknown("a fact was not brought".into())
                    }
                    error => Outcome::Error(error),
                },
            }));
        }
    }
    let read = |(text, operand): &(String, Operand)| {
        let bound = binder.operand(operand);
        let value = run::value(&bound, at);
        value.map_or_else(|_| format!("{text} is missing"), |cell| format!("{text} is {}", shown(&cell)))
    };
    Asked {
        join: branch.join,
        text: branch.text.clone(),
        outcome: outcome.unwrap_or(Outcome::Null),
        values: branch.reads.iter().map(read).collect(),
        among,
        beneath: branch.beneath.iter().map(|one| ask(one, binder, at)).collect(),
    }
}

/// A value for a person to read, cut where it is long. Sixteen bytes are a UUID.
pub(super) fn shown(cell: &Cell<'_>) -> String {
    const MOST: usize = 40;
    match cell.clone().into_value() {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => {
            let more = if text.chars().count() > MOST { "…" } else { "" };
            format!("'{}{more}'", text.chars().take(MOST).map(printable).collect::<String>())
        }
        Value::Blob(bytes) => {
            if let Ok(id) = <[u8; 16]>::try_from(bytes.as_ref()) {
                return format!("'{}'", UserId::from_bytes(id));
            }
            let hex: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}{}'", if bytes.len() > 16 { "…" } else { "" })
        }
    }
}

/// Line breaks and terminal codes of a row do not reach a terminal.
fn printable(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// Permissive policies ORed, restrictive ones ANDed, from left to right.
fn combined(policies: &[Answered]) -> Decision {
    let error = |outcome: &Outcome| match outcome {
        Outcome::Error(text) => Some(EvaluationError(text.as_str().into())),
        Outcome::Unknown(text) => Some(EvaluationError(format!("XX000 {text}").into())),
        _ => None,
    };
    let mut allowed = false;
    for policy in policies.iter().filter(|policy| !policy.restrictive) {
        if let Some(error) = error(&policy.asked.outcome) {
            return Decision::Error(error);
        }
        if policy.asked.outcome == Outcome::True {
            allowed = true;
            break;
        }
    }
    for policy in policies.iter().filter(|policy| policy.restrictive) {
        match &policy.asked.outcome {
            Outcome::True => {}
            // A false permissive side ends the conjunction before the restrictive ones are met.
            other if allowed => return error(other).map_or(Decision::Deny, Decision::Error),
            _ => return Decision::Deny,
        }
    }
    if allowed { Decision::Allow } else { Decision::Deny }
}

impl Explanation {
    /// What the policies say about the row.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Each policy by name, with what it answered as a whole.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.policies.iter().map(|policy| (policy.name.as_str(), &policy.asked.outcome))
    }

    /// The conditions of that policy that stand beneath AND, OR and NOT, as text, with what each answered.
    pub fn clauses(&self, policy: &str) -> Vec<(&str, &Outcome)> {
        fn collect<'a>(asked: &'a Asked, into: &mut Vec<(&'a str, &'a Outcome)>) {
            if asked.beneath.is_empty() {
                into.push((asked.text.as_str(), &asked.outcome));
            }
            asked.beneath.iter().for_each(|one| collect(one, into));
        }
        let mut clauses = Vec::new();
        for one in self.policies.iter().filter(|one| one.name == policy) {
            collect(&one.asked, &mut clauses);
        }
        clauses
    }

    /// What would have to differ for the row to pass; empty where it passes.
    pub fn differences(&self) -> Vec<String> {
        if self.decision.is_allow() {
            return Vec::new();
        }
        if let Some(message) = &self.denied {
            return vec![format!(
                "{message}: GRANT the command to the role, or enable row level security there"
            )];
        }
        let mut lines = Vec::new();
        let permissive: Vec<&Answered> = self.policies.iter().filter(|policy| !policy.restrictive).collect();
        if permissive.is_empty() {
            lines.push(
                "a permissive policy for this command and role: there is none, so nothing passes".to_owned(),
            );
        } else if !permissive.iter().any(|policy| policy.asked.outcome == Outcome::True) {
            if permissive.len() > 1 {
                lines.push("one of these:".to_owned());
            }
            let indent = usize::from(permissive.len() > 1);
            for policy in permissive {
                hint::differences(&format!("\"{}\": ", policy.name), &policy.asked, true, indent, &mut lines);
            }
        }
        for policy in self.policies.iter().filter(|policy| policy.restrictive) {
            hint::differences(
                &format!("restrictive \"{}\": ", policy.name),
                &policy.asked,
                true,
                0,
                &mut lines,
            );
        }
        lines
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = match &self.decision {
            Decision::Allow => "allow".to_owned(),
            Decision::Deny => "deny".to_owned(),
            Decision::Error(error) => format!("error {error}"),
        };
        hint::wrapped(f, 0, 4, &format!("{}: {decision}", self.heading))?;
        for policy in &self.policies {
            let kind = if policy.restrictive { "restrictive" } else { "permissive" };
            let text =
                format!("policy \"{}\" ({}), {kind}: {}", policy.name, policy.place, policy.asked.outcome);
            hint::wrapped(f, 0, 4, &text)?;
            tree(f, &policy.asked, 2)?;
        }
        let differences = self.differences();
        if !differences.is_empty() {
            hint::wrapped(f, 0, 4, "to pass, this would have to differ:")?;
        }
        for line in differences {
            let indent = line.chars().take_while(|c| *c == ' ').count();
            hint::wrapped(f, indent + 2, 4, line.trim_start())?;
        }
        Ok(())
    }
}

fn tree(f: &mut fmt::Formatter<'_>, asked: &Asked, indent: usize) -> fmt::Result {
    let word = asked.outcome.word();
    let text = match asked.join {
        Join::And => "all of:",
        Join::Or => "any of:",
        Join::Not => "not:",
        Join::Leaf => asked.text.as_str(),
    };
    hint::wrapped(f, indent, 12, &format!("{word:<7} {text}"))?;
    if let Outcome::Error(why) | Outcome::Unknown(why) = &asked.outcome
        && asked.beneath.is_empty()
    {
        hint::wrapped(f, indent + 8, 4, why)?;
    }
    if !asked.values.is_empty() {
        hint::wrapped(f, indent + 8, 4, &asked.values.join(", "))?;
    }
    asked.beneath.iter().try_for_each(|one| tree(f, one, indent + 2))
}

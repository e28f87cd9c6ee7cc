//! What claims alone decide: the same for every row, so it is decided once per principal instead of row by row.
//!
//! `owner = auth.uid() OR auth.jwt() ->> 'role' = 'staff'` is `owner = auth.uid()` for whoever is no staff: an index
//! finds those rows, where the whole condition would be asked of every row of the table.

use super::expr::Expr;
use super::functions::{Claims, FunctionName};
use super::lower::Lowered;
use super::one_row::quiet;
use super::optimise::optimise;
use super::predicate::{Predicate, predicate};
use super::schema::Command;
use crate::types::Role;

/// So many conditions of a role are decided: what they come to makes the number of ways a table is read.
const MOST: usize = 6;

/// What the first few conditions on claims alone come to for one principal. Nothing is decided by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Known(u16);

impl Known {
    /// Nothing is decided: every condition stands as it is.
    pub const NOTHING: Self = Self(0);

    /// `None` is a condition that failed: it stays where it stands, to fail where PostgreSQL has it fail.
    fn of(answers: impl Iterator<Item = Option<bool>>) -> Self {
        Self(answers.take(MOST).enumerate().fold(0, |all, (at, answer)| {
            let two = match answer {
                None => 0,
                Some(false) => 1,
                Some(true) => 2,
            };
            all | two << (2 * at)
        }))
    }

    fn answer(self, at: usize) -> Option<bool> {
        match self.0 >> (2 * at) & 3 {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        }
    }

    /// A number of its own for whatever is decided; 0 for nothing.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl Lowered {
    /// What is decided for a principal in that role. Claims are all that is looked at, so it holds as long as they do.
    pub fn known(&self, role: Role, claims: &Claims) -> Known {
        Known::of(self.claimed(role).iter().map(|condition| condition.answer(claims)))
    }

    /// [`Lowered::using`] for the principals of whom that is known.
    pub fn using_known(&self, table: &str, role: Role, command: Command, known: Known) -> Predicate {
        match self.using(table, role, command) {
            Predicate::Expr(lowering) if known != Known::NOTHING => {
                predicate(self.decided(lowering.expr(), role, known))
            }
            other => other,
        }
    }

    fn decided(&self, expr: &Expr, role: Role, known: Known) -> Expr {
        let asked = self.claimed(role).iter().position(|condition| condition.expr == *expr);
        if let Some(answer) = asked.and_then(|at| known.answer(at)) {
            return Expr::Bool(answer);
        }
        match expr {
            Expr::And(many) => Expr::And(self.junction(many, false, role, known)),
            Expr::Or(many) => Expr::Or(self.junction(many, true, role, known)),
            other => other.clone(),
        }
    }

    /// What ends an AND (`ends` false) or an OR (`ends` true) takes the conditions before it away: those that may fail
    /// are asked first, as in PostgreSQL.
    fn junction(&self, many: &[Expr], ends: bool, role: Role, known: Known) -> Vec<Expr> {
        let mut decided = Vec::with_capacity(many.len());
        let mut may_fail = false;
        for one in many {
            let now = optimise(self.decided(one, role, known), true);
            decided.push(if may_fail && now == Expr::Bool(ends) { one.clone() } else { now });
            may_fail |= !self.is_quiet(one, role);
        }
        decided
    }

    /// It has an answer whatever the rows hold, those of inner tables and of their policies too.
    fn is_quiet(&self, expr: &Expr, role: Role) -> bool {
        let mut tables = Vec::new();
        expr.walk(&mut |part| {
            let sources = part.select().into_iter().flat_map(|select| &select.sources);
            tables.extend(sources.filter(|source| !source.owner).map(|source| source.table.clone()));
        });
        quiet(expr)
            && tables.iter().all(|table| match self.using(table, role, Command::Select) {
                // Policies that read each other in a circle were refused.
                Predicate::Expr(lowering) => self.is_quiet(lowering.expr(), role),
                Predicate::True | Predicate::False => true,
            })
    }
}

/// The conditions on claims alone that stand in places where false and NULL mean the same, each once.
pub(super) fn conditions<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Vec<Expr> {
    let mut found = Vec::new();
    for expr in exprs {
        collect(expr, &mut found);
    }
    found
}

fn collect(expr: &Expr, found: &mut Vec<Expr>) {
    if found.len() == MOST {
        return;
    }
    if of_claims(expr) {
        if !found.contains(expr) {
            found.push(expr.clone());
        }
        return;
    }
    match expr {
        Expr::And(many) | Expr::Or(many) => many.iter().for_each(|one| collect(one, found)),
        _ => {}
    }
}

/// Claims decide it, and nothing else: no row, no time, no function of the host's.
fn of_claims(expr: &Expr) -> bool {
    let (mut identity, mut alone) = (false, true);
    expr.walk(&mut |part| match part {
        Expr::Call(FunctionName::Now | FunctionName::Host(_) | FunctionName::Raise, _) => alone = false,
        Expr::Call(name, _) => identity |= name.is_context(),
        Expr::Column { .. } | Expr::InSelect { .. } | Expr::Exists(_) | Expr::Scalar { .. } => alone = false,
        _ => {}
    });
    identity && alone
}

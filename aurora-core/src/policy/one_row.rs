//! A condition as it is best asked row by row: whether a membership exists, which an index answers, instead of a
//! list of all of them.
//!
//! A list pays where it leads to the rows: it is short, because it is about who asks. It does not pay for a row
//! that is found by its key, nor for the first few rows of many where it is not about who asks.

use super::expr::{Expr, Select};
use super::functions::FunctionName;
use super::raw::Comparison;

/// The same for the first few of many rows, in an order that an index has.
///
/// An OR that is not all about who asks is likely to hold for many rows (`is_public OR owner = auth.uid()`): to read
/// them all by their indexes and sort them costs more than to go through the table until there are enough, and
/// without end more where there are many. `CASE` keeps SQLite from the former.
pub(super) fn first(expr: &Expr, inner: &dyn Fn(&str) -> bool) -> Expr {
    let keep = |select: &Select| personal_list(select, inner);
    match expr {
        Expr::And(many) => Expr::And(many.iter().map(|one| first(one, inner)).collect()),
        Expr::Or(_) if !personal(expr, inner) => {
            let arms = vec![(asked(expr, &keep), Expr::Bool(true))];
            Expr::Case { arms, otherwise: Box::new(Expr::Bool(false)) }
        }
        _ => asked(expr, &keep),
    }
}

/// The same condition; false and NULL mean the same, as for [`super::optimise`] with `truth`. `keep` says which
/// lists stay.
pub(super) fn asked(expr: &Expr, keep: &dyn Fn(&Select) -> bool) -> Expr {
    let each = |many: &[Expr]| many.iter().map(|one| asked(one, keep)).collect();
    match expr {
        Expr::And(many) => Expr::And(each(many)),
        Expr::Or(many) => Expr::Or(each(many)),
        Expr::Exists(select) => Expr::Exists(Box::new(within(select, keep))),
        Expr::InSelect { left, select, bytes } if plain(left) && whole(select) && !keep(select) => {
            match &select.output {
                Some(output) if plain(output) => {
                    let mut exists = within(select, keep);
                    exists.output = None;
                    let (left, right) = (Box::new(output.clone()), left.clone());
                    exists.filter.push(Expr::Compare { op: Comparison::Equal, left, right, bytes: *bytes });
                    Expr::Exists(Box::new(exists))
                }
                _ => expr.clone(),
            }
        }
        other => other.clone(),
    }
}

/// Nothing folds its rows or cuts them off: a test of one row would mean something else then.
fn whole(select: &Select) -> bool {
    // Every part is named, so that a new one is thought of here.
    let Select { sources: _, filter: _, output: _, aggregate, order: _, limit } = select;
    aggregate.is_none() && limit.is_none()
}

/// A row passes a `WHERE` only if it is true.
fn within(select: &Select, keep: &dyn Fn(&Select) -> bool) -> Select {
    let filter = select.filter.iter().map(|one| asked(one, keep)).collect();
    Select { filter, ..select.clone() }
}

fn plain(expr: &Expr) -> bool {
    let mut plain = true;
    expr.walk(&mut |part| plain &= part.select().is_none());
    plain
}

/// Whether the condition holds for few rows because it is about who asks; `inner` says the same of an inner
/// table's own policies.
pub(super) fn personal(expr: &Expr, inner: &dyn Fn(&str) -> bool) -> bool {
    match expr {
        Expr::And(many) => many.iter().any(|one| personal(one, inner)),
        Expr::Or(many) => many.iter().all(|one| personal(one, inner)),
        Expr::Compare { op: Comparison::Equal | Comparison::NotDistinct, left, right, .. } => {
            let of_a_row = |expr: &Expr| !expr.sources().is_empty();
            is_identity(left) && of_a_row(right) || is_identity(right) && of_a_row(left)
        }
        Expr::InSelect { select, .. } | Expr::Exists(select) => personal_list(select, inner),
        _ => false,
    }
}

fn personal_list(select: &Select, inner: &dyn Fn(&str) -> bool) -> bool {
    select.filter.iter().any(|one| personal(one, inner))
        || select.sources.iter().any(|source| !source.owner && inner(&source.table))
}

fn is_identity(expr: &Expr) -> bool {
    use FunctionName::{Email, JwtJson, JwtText, Tenant, UidBlob, UidText};
    matches!(expr, Expr::Call(UidText | UidBlob | Email | Tenant | JwtText | JwtJson, _))
}

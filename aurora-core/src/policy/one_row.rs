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
/// without end more where there are many. An arm that no index answers keeps SQLite from the former: `OR 0`, of which
/// nothing is left to run.
pub(super) fn first(expr: &Expr, inner: &dyn Fn(&str) -> bool) -> Expr {
    let keep = |select: &Select| personal_list(select, inner);
    match expr {
        Expr::And(many) => Expr::And(many.iter().map(|one| first(one, inner)).collect()),
        Expr::Or(_) if !personal(expr, inner) => {
            let mut arms = match asked(expr, &keep) {
                Expr::Or(arms) => arms,
                one => vec![one],
            };
            arms.push(Expr::Bool(false));
            Expr::Or(arms)
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

/// More arms than this are not looked up one by one.
const MOST_ARMS: usize = 8;

/// The arms of an OR that is all about who asks, and the conditions that stand beside it: each arm leads to its few
/// rows by an index of its own.
///
/// An arm is asked of rows for which the one before it holds already, so none may be able to fail.
pub(super) fn arms(expr: &Expr, inner: &dyn Fn(&str) -> bool) -> Option<(Vec<Expr>, Vec<Expr>)> {
    let mut beside = match expr {
        Expr::And(many) => many.clone(),
        one => vec![one.clone()],
    };
    let fits = |one: &Expr| {
        personal(one, inner)
            && matches!(one, Expr::Or(arms) if arms.len() <= MOST_ARMS && arms.iter().all(quiet))
    };
    let at = beside.iter().position(fits)?;
    match beside.remove(at) {
        Expr::Or(arms) => Some((arms, beside)),
        _ => None,
    }
}

/// It has an answer whatever a row holds.
pub(super) fn quiet(expr: &Expr) -> bool {
    let own = match expr {
        Expr::Null
        | Expr::Bool(_)
        | Expr::Integer(_)
        | Expr::Real(_)
        | Expr::Text(_)
        | Expr::Blob(_)
        | Expr::Column { .. }
        | Expr::Compare { .. }
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::Is(..)
        | Expr::InList { .. } => true,
        Expr::Call(name, _) => name.is_context(),
        Expr::InSelect { select, .. } | Expr::Exists(select) => {
            whole(select) && select.filter.iter().chain(&select.output).all(quiet)
        }
        _ => false,
    };
    own && expr.children().into_iter().all(quiet)
}

fn is_identity(expr: &Expr) -> bool {
    use FunctionName::{Email, JwtJson, JwtText, Tenant, UidBlob, UidText};
    matches!(expr, Expr::Call(UidText | UidBlob | Email | Tenant | JwtText | JwtJson, _))
}

//! `(storage.foldername(path))[1] = auth.uid()::text` as the range of paths in that folder, which an index on the path
//! has together and which is read without taking the path apart.
//!
//! The user's id holds no slash, so the first part of a path equals it exactly where the path begins with it and one:
//! `path >= id || '/' AND path < id || '0'`, since `0` is the character behind `/`. Text is compared by its bytes, as
//! the parts are.

use super::expr::Expr;
use super::functions::FunctionName;
use super::raw::Comparison;

/// The condition with its ranges; false and NULL mean the same.
pub(super) fn ranges(expr: Expr) -> Expr {
    match expr {
        Expr::And(many) => Expr::And(many.into_iter().flat_map(range_or_itself).collect()),
        Expr::Or(many) => Expr::Or(many.into_iter().map(ranges).collect()),
        other => match range(&other) {
            Some(both) => Expr::And(both.into()),
            None => other,
        },
    }
}

fn range_or_itself(expr: Expr) -> Vec<Expr> {
    match range(&expr) {
        Some(both) => both.into(),
        None => vec![ranges(expr)],
    }
}

fn range(expr: &Expr) -> Option<[Expr; 2]> {
    let Expr::Compare { op: Comparison::Equal, left, right, .. } = expr else { return None };
    let path = first_folder(left)
        .filter(|_| is_user(right))
        .or_else(|| first_folder(right).filter(|_| is_user(left)))?;
    let user = || Box::new(Expr::Call(FunctionName::UidText, Vec::new()));
    let bound = |op, end: &str| {
        let right = Box::new(Expr::Concat(user(), Box::new(Expr::Text(end.to_owned()))));
        Expr::Compare { op, left: Box::new(path.clone()), right, bytes: true }
    };
    Some([bound(Comparison::GreaterOrEqual, "/"), bound(Comparison::Less, "0")])
}

/// The column of `(storage.foldername(column))[1]`.
fn first_folder(expr: &Expr) -> Option<&Expr> {
    let Expr::Call(FunctionName::ArrayElement, arguments) = expr else { return None };
    let [Expr::Call(FunctionName::Foldername, path), Expr::Integer(1), _] = arguments.as_slice() else {
        return None;
    };
    match path.as_slice() {
        [column @ Expr::Column { .. }] => Some(column),
        _ => None,
    }
}

fn is_user(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(FunctionName::UidText, _))
}

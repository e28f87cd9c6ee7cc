//! What keeps user expressions off hidden rows: `CASE WHEN visible`, and fences that SQLite moves nothing through.

use std::mem;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, LimitClause, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
    UnaryOperator, Value, WildcardAdditionalOptions,
};

use crate::policy::Columns;
use crate::types::{Result, quote};

use super::super::names::Names;
use super::expr::column;
use super::{Item, Safety, refused, text};

/// How a block keeps user expressions off hidden rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing to keep off.
    Nothing,
    /// Watched conjuncts stand inside `CASE WHEN visible`.
    Case,
    /// Tables stand behind `(SELECT * FROM view LIMIT -1)`, which SQLite does not move terms into.
    Barrier,
}

/// `a.visible IS NOT 0 AND b.visible IS NOT 0`; NULL is the empty side of an outer join.
pub(super) fn visible<'i>(names: &Names, items: impl IntoIterator<Item = &'i Item>) -> Option<Expr> {
    let visible = names.visible();
    let zero = || Expr::value(Value::Number("0".to_owned(), false));
    items
        .into_iter()
        .filter(|item| item.table.is_some())
        .map(|item| Expr::IsDistinctFrom(Box::new(column(&item.alias, &visible)), Box::new(zero())))
        .reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        })
}

pub(super) fn single(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(text::quoted(name))])
}

/// `(SELECT * FROM view LIMIT -1) AS alias`; where the role may read some columns only, those.
pub(super) fn fenced(view: &str, alias: &str, columns: &Columns) -> Result<TableFactor> {
    let shown = match columns {
        Columns::All => "*".to_owned(),
        Columns::Only(columns) if columns.is_empty() => "NULL".to_owned(),
        Columns::Only(columns) => columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", "),
    };
    Ok(TableFactor::Derived {
        lateral: false,
        subquery: query_of(&format!("SELECT {shown} FROM \"{view}\" LIMIT -1"))?,
        alias: Some(TableAlias { explicit: true, name: text::quoted(alias), columns: Vec::new(), at: None }),
        sample: None,
    })
}

/// `WITH "~v"(columns) AS (query) SELECT * FROM "~v"`: a view with a column list.
pub(super) fn with_columns(query: Box<Query>, columns: &[String]) -> Result<Box<Query>> {
    let mut wrapped = query_of("WITH \"~v\" AS (SELECT 1) SELECT * FROM \"~v\"")?;
    let cte = wrapped.with.as_mut().and_then(|with| with.cte_tables.first_mut());
    let Some(cte) = cte else { return Err(refused("this view")) };
    cte.alias.columns = columns
        .iter()
        .map(|name| TableAliasColumnDef { name: text::quoted(name), data_type: None })
        .collect();
    cte.query = query;
    Ok(wrapped)
}

/// A query of our own making.
fn query_of(sql: &str) -> Result<Box<Query>> {
    let statement = sqlparser::parser::Parser::parse_sql(&super::dialect::GuardedSql, sql);
    match statement.map(|mut list| list.pop()) {
        Ok(Some(Statement::Query(query))) => Ok(query),
        _ => Err(refused("this query")),
    }
}

/// Keeps SQLite from moving terms of the outer query into this one: a LIMIT does (optimisation "WHERE-clause
/// push-down" and "query flattening", rules 19 and 6).
pub(super) fn barrier(query: &mut Query) {
    // VALUES takes no LIMIT, and reads no table either.
    if query.limit_clause.is_none() && !matches!(&*query.body, SetExpr::Values(_)) {
        let everything = Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(Expr::value(Value::Number("1".to_owned(), false))),
        };
        query.limit_clause =
            Some(LimitClause::LimitOffset { limit: Some(everything), offset: None, limit_by: Vec::new() });
    }
}

/// `VALUES ..` at the end of a compound as `SELECT * FROM (VALUES ..)`, which takes a LIMIT.
pub(super) fn selected(body: &mut SetExpr) -> Result<()> {
    if !matches!(body, SetExpr::Values(_)) {
        return Ok(());
    }
    let mut outer = query_of("SELECT * FROM (SELECT 1)")?;
    if let SetExpr::Select(select) = &mut *outer.body
        && let Some(TableFactor::Derived { subquery, .. }) =
            select.from.first_mut().map(|from| &mut from.relation)
    {
        mem::swap(&mut *subquery.body, body);
        *body = *outer.body;
    }
    Ok(())
}

/// Every watched conjunct of a condition inside `CASE WHEN visible THEN (..) END`; `conjuncts` comes from
/// `Rewriter::condition` on the same condition.
pub(super) fn guard_conjuncts(
    condition: &mut Expr,
    visible: &Expr,
    conjuncts: &mut dyn Iterator<Item = Safety>,
) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            guard_conjuncts(left, visible, conjuncts);
            guard_conjuncts(right, visible, conjuncts);
        }
        Expr::Nested(inner) => guard_conjuncts(inner, visible, conjuncts),
        other => {
            // Should the two walks ever differ, the rest counts as watched.
            if conjuncts.next() != Some(Safety::Plain) {
                wrap(other, visible);
            }
        }
    }
}

pub(super) fn wrap(expr: &mut Expr, visible: &Expr) {
    let inner = mem::replace(expr, Expr::value(Value::Null));
    *expr = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: visible.clone(), result: Expr::Nested(Box::new(inner)) }],
        else_result: None,
    };
}

/// `*` as the columns that the host knows: an inner view has more.
pub(super) fn expand_wildcards<'c>(
    select: &mut Select,
    items: &[Item],
    columns: impl Fn(usize) -> Option<&'c [String]>,
) {
    let expand = |item: &Item| -> Vec<SelectItem> {
        match item.table.and_then(&columns) {
            Some(known) => {
                known.iter().map(|name| SelectItem::UnnamedExpr(column(&item.alias, name))).collect()
            }
            None => vec![SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(single(&item.alias)),
                WildcardAdditionalOptions::default(),
            )],
        }
    };
    let projection = mem::take(&mut select.projection);
    for entry in projection {
        match &entry {
            SelectItem::Wildcard(_) => select.projection.extend(items.iter().flat_map(expand)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let named = text::table_name(name).map(|(_, alias)| alias.to_owned()).unwrap_or_default();
                match items.iter().find(|item| item.alias.eq_ignore_ascii_case(&named)) {
                    Some(item) => select.projection.extend(expand(item)),
                    None => select.projection.push(entry),
                }
            }
            _ => select.projection.push(entry),
        }
    }
}

//! Subqueries of a policy: inner joins over tables, one output.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, Query, Select, SelectItem,
    SetExpr, TableFactor, TableWithJoins, Value,
};

use super::convert::Converter;
use super::parse::{fold, table_name};
use super::raw::{Raw, RawKind, RawSelect, RawSource};

impl Converter<'_> {
    pub(super) fn in_select(&mut self, left: &Expr, query: &Query) -> RawKind {
        let left = self.convert(left);
        RawKind::InSelect(Box::new(left), Box::new(self.select(query, true)))
    }

    /// A subquery used as a value; without `FROM` it is the value itself.
    pub(super) fn scalar(&mut self, query: &Query, line: u64) -> RawKind {
        if let SetExpr::Select(select) = &*query.body
            && matches!(&select.distinct, Some(Distinct::Distinct | Distinct::On(_)))
            && !select.from.is_empty()
        {
            return self.refuse(line, "SELECT DISTINCT as a value", "write the condition that leaves one row");
        }
        RawKind::Scalar(Box::new(self.select(query, true)))
    }

    /// `read`: somebody looks at the output.
    pub(super) fn select(&mut self, query: &Query, read: bool) -> RawSelect {
        let line = super::parse::line_of(query).unwrap_or(1);
        let mut select = RawSelect { sources: Vec::new(), conditions: Vec::new(), output: None, line };
        if let Some(part) = unwanted_query_part(query, read) {
            self.refuse(line, part.0, part.1);
        }
        match &*query.body {
            SetExpr::Select(body) => self.select_body(body, read, &mut select),
            SetExpr::Query(inner) => return self.select(inner, read),
            SetExpr::SetOperation { op, .. } => {
                let help = "write the two sides as two IN (SELECT ..) or EXISTS joined by OR";
                self.refuse(line, format!("{op} in a subquery"), help);
            }
            _ => {
                self.refuse(line, "this subquery", "write SELECT .. FROM .. WHERE ..");
            }
        }
        select
    }

    fn select_body(&mut self, body: &Select, read: bool, select: &mut RawSelect) {
        if let Some((construct, help)) = unwanted_select_part(body) {
            self.refuse(select.line, construct, help);
        }
        for item in &body.from {
            self.from_item(item, select);
        }
        let all = 0..select.sources.len();
        if let Some(condition) = &body.selection {
            let condition = self.convert(condition);
            select.conditions.push((all, condition));
        }
        match body.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => {
                if read || !is_constant(expr) {
                    select.output = Some(self.convert(expr));
                }
            }
            [SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)] | [] if !read => {}
            items if !read => {
                // EXISTS reads no output, but its names must exist.
                for item in items {
                    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                        let unread = self.convert(expr);
                        select.output.get_or_insert(unread);
                    }
                }
            }
            _ => {
                self.refuse(select.line, "a subquery with several outputs", "select exactly one column");
            }
        }
    }

    fn from_item(&mut self, item: &TableWithJoins, select: &mut RawSelect) {
        let first = select.sources.len();
        self.source(&item.relation, select);
        for Join { relation, join_operator, .. } in &item.joins {
            self.source(relation, select);
            let constraint = match join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::CrossJoin(constraint) => constraint,
                _ => {
                    let help = "only inner joins are known here: write EXISTS or NOT EXISTS for an outer join";
                    self.refuse(select.line, "an outer join", help);
                    continue;
                }
            };
            match constraint {
                // ON sees the sides of its own join only.
                JoinConstraint::On(condition) => {
                    let condition = self.convert(condition);
                    select.conditions.push((first..select.sources.len(), condition));
                }
                JoinConstraint::None => {}
                JoinConstraint::Using(_) | JoinConstraint::Natural => {
                    self.refuse(select.line, "JOIN USING or NATURAL JOIN", "write JOIN .. ON a.column = b.column");
                }
            }
        }
    }

    fn source(&mut self, relation: &TableFactor, select: &mut RawSelect) {
        let line = super::parse::line_of(relation).unwrap_or(select.line);
        match relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let table = match table_name(name) {
                    Ok(table) => table,
                    Err((construct, help)) => {
                        self.refuse(line, construct, &help);
                        return;
                    }
                };
                let alias = match alias {
                    Some(alias) if alias.columns.is_empty() => fold(&alias.name),
                    Some(alias) => {
                        self.refuse(line, format!("column aliases of `{alias}`"), "name the table only");
                        return;
                    }
                    None => table.clone(),
                };
                select.sources.push(RawSource { table, alias, line });
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.from_item(table_with_joins, select),
            other => {
                let help = "name tables only: write a derived table's condition into the WHERE";
                self.refuse(line, format!("`{other}` in FROM"), help);
            }
        }
    }
}

/// Nobody reads it and it names nothing.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) => is_constant(inner),
        Expr::Cast { expr, .. } => is_constant(expr),
        _ => false,
    }
}

type Part = (&'static str, &'static str);

fn unwanted_query_part(query: &Query, read: bool) -> Option<Part> {
    if query.with.is_some() {
        return Some(("WITH in a subquery", "write its tables and conditions into FROM and WHERE"));
    }
    if let Some(limit) = &query.limit_clause {
        // LIMIT 1 changes nothing about whether a row exists.
        let one = matches!(limit, LimitClause::LimitOffset { limit: Some(Expr::Value(value)), offset: None, limit_by }
            if limit_by.is_empty() && matches!(&value.value, Value::Number(digits, _) if digits == "1"));
        if read || !one {
            return Some(("LIMIT in a subquery", "leave it out: write the condition that leaves one row"));
        }
    }
    if query.fetch.is_some() || query.for_clause.is_some() || !query.pipe_operators.is_empty() {
        return Some(("FETCH or FOR in a subquery", "leave it out"));
    }
    if !query.locks.is_empty() {
        return Some(("row locks in a subquery", "leave out FOR UPDATE or FOR SHARE"));
    }
    if query.order_by.is_some() || query.settings.is_some() || query.format_clause.is_some() {
        return Some(("ORDER BY in a subquery", "leave it out: a policy asks whether a row exists"));
    }
    None
}

fn unwanted_select_part(body: &Select) -> Option<Part> {
    let grouped = match &body.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, modifiers) => !expressions.is_empty() || !modifiers.is_empty(),
    };
    if grouped || body.having.is_some() {
        return Some(("GROUP BY or HAVING in a subquery", "aggregates are outside the subset: write EXISTS"));
    }
    if matches!(body.distinct, Some(Distinct::On(_))) {
        return Some(("DISTINCT ON in a subquery", "leave it out: a policy asks whether a row exists"));
    }
    let other = body.top.is_some()
        || body.exclude.is_some()
        || body.into.is_some()
        || body.prewhere.is_some()
        || body.qualify.is_some()
        || body.value_table_mode.is_some()
        || body.select_modifiers.is_some()
        || !(body.lateral_views.is_empty()
            && body.connect_by.is_empty()
            && body.cluster_by.is_empty()
            && body.distribute_by.is_empty()
            && body.sort_by.is_empty()
            && body.named_window.is_empty()
            && body.optimizer_hints.is_empty());
    other.then_some(("this form of SELECT", "write SELECT .. FROM .. WHERE .."))
}

/// A scalar subquery without tables is its output.
pub(super) fn plain_value(select: &RawSelect) -> Option<&Raw> {
    if select.sources.is_empty() && select.conditions.is_empty() { select.output.as_ref() } else { None }
}

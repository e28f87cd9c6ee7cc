//! Subqueries of a policy: tables, derived tables and functions, joined; one output or, in FROM, several.

use sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, OrderByKind,
    OrderBySort, Query, Select, SelectItem, SetExpr, SetOperator, TableAlias, TableFactor, TableWithJoins,
    Value,
};

use super::convert::Converter;
use super::parse::{fold, last_part, schema_part, table_name};
use super::raw::{Aggregate, Raw, RawKind, RawSelect, RawSource, Relation};

impl Converter<'_> {
    pub(super) fn in_select(&mut self, left: &Expr, query: &Query) -> RawKind {
        let left = self.convert(left);
        RawKind::InSelect(Box::new(left), Box::new(self.select(query, Use::One)))
    }

    pub(super) fn exists(&mut self, query: &Query) -> RawKind {
        let select = self.select(query, Use::Nothing);
        // An aggregate over no rows is a row.
        if select.sources.is_empty() && select.output.as_ref().is_some_and(folded) {
            return RawKind::Bool(true);
        }
        RawKind::Exists(Box::new(select))
    }

    /// A subquery used as a value; without `FROM` it is the value itself.
    pub(super) fn scalar(&mut self, query: &Query, line: u64) -> RawKind {
        if let SetExpr::Select(select) = &*query.body
            && matches!(&select.distinct, Some(Distinct::Distinct | Distinct::On(_)))
            && !select.from.is_empty()
        {
            let help = "write the condition that leaves one row";
            return self.refuse(line, "SELECT DISTINCT as a value", help);
        }
        RawKind::Scalar(Box::new(self.select(query, Use::One)))
    }

    pub(super) fn array_select(&mut self, query: &Query) -> RawKind {
        let mut select = self.select(query, Use::One);
        let ordered = !select.order.is_empty() || select.limit.is_some();
        if ordered || select.aggregate.is_some() || !select.union.is_empty() {
            let help = "write ARRAY(SELECT .. FROM .. WHERE ..), or IN (SELECT ..) in its place";
            return self.refuse(select.line, "this query in ARRAY(..)", help);
        }
        select.aggregate = Some(Aggregate::ArraySelect);
        RawKind::ArraySelect(Box::new(select))
    }

    pub(super) fn select(&mut self, query: &Query, used: Use) -> RawSelect {
        let line = self.shifted(line_of(query)).unwrap_or(self.line);
        let outer = std::mem::replace(&mut self.line, line);
        let mut select = self.set(&query.body, used, line);
        if let Some((construct, help)) = unwanted_query_part(query) {
            self.refuse(line, construct, help);
        }
        self.tail(query, &mut select);
        self.line = outer;
        select
    }

    /// `ORDER BY`, `LIMIT`.
    fn tail(&mut self, query: &Query, select: &mut RawSelect) {
        let line = select.line;
        let limit = match &query.limit_clause {
            None => None,
            Some(LimitClause::LimitOffset { limit, offset: None, limit_by }) if limit_by.is_empty() => {
                match limit {
                    None => None,
                    Some(Expr::Value(value)) => match &value.value {
                        Value::Null => None,
                        Value::Number(digits, _) if digits.parse::<u64>().is_ok() => digits.parse().ok(),
                        _ => {
                            self.refuse(line, "this LIMIT", "write a plain number");
                            None
                        }
                    },
                    Some(_) => {
                        self.refuse(line, "LIMIT by an expression", "write a plain number");
                        None
                    }
                }
            }
            Some(_) => {
                self.refuse(line, "OFFSET in a subquery", "write the condition that leaves the wanted row");
                None
            }
        };
        if limit.is_some() && !select.union.is_empty() {
            self.refuse(line, "LIMIT over a UNION", "write the limit into each side");
        }
        select.limit = limit;
        let keys = match query.order_by.as_ref().map(|order| &order.kind) {
            None => return,
            Some(OrderByKind::Expressions(keys)) => keys,
            Some(OrderByKind::All(_)) => {
                self.refuse(line, "ORDER BY ALL", "name the columns");
                return;
            }
        };
        for key in keys {
            let descending = match key.options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(_) => {
                    self.refuse(line, "ORDER BY .. USING", "write ASC or DESC");
                    false
                }
            };
            if matches!(&key.expr, Expr::Value(_)) {
                self.refuse(line, "ORDER BY a position", "name the column");
            }
            let value = self.convert(&key.expr);
            // PostgreSQL: NULLs are larger than everything.
            select.order.push((value, descending, key.options.nulls_first.unwrap_or(descending)));
        }
    }

    fn set(&mut self, body: &SetExpr, used: Use, line: u64) -> RawSelect {
        let mut select = RawSelect::empty(line);
        match body {
            SetExpr::Select(body) => self.select_body(body, used, &mut select),
            SetExpr::Query(inner) => return self.select(inner, used),
            SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => {
                select = self.set(left, used, line);
                let right = self.set(right, used, line);
                select.union.push(right);
            }
            SetExpr::SetOperation { op, .. } => {
                let help = "write the two sides as two IN (SELECT ..) or EXISTS joined by AND and NOT";
                self.refuse(line, format!("{op} in a subquery"), help);
            }
            _ => {
                self.refuse(line, "this subquery", "write SELECT .. FROM .. WHERE ..");
            }
        }
        select
    }

    fn select_body(&mut self, body: &Select, used: Use, select: &mut RawSelect) {
        if let Some((construct, help)) = unwanted_select_part(body) {
            self.refuse(select.line, construct, help);
        }
        select.distinct = matches!(body.distinct, Some(Distinct::Distinct));
        for item in &body.from {
            self.joined_tables(item, select);
        }
        let all = 0..select.sources.len();
        if let Some(condition) = &body.selection {
            let condition = self.convert(condition);
            select.conditions.push((all, condition));
        }
        self.projection(&body.projection, used, select);
        if select.output.as_ref().is_some_and(|output| !folds_in(output).is_empty()) {
            self.fold_rows(select);
        }
    }

    fn projection(&mut self, items: &[SelectItem], used: Use, select: &mut RawSelect) {
        let read = used != Use::Nothing;
        match items {
            [item @ (SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))] if !read => {
                select.star = matches!(item, SelectItem::Wildcard(_)) || select.sources.len() == 1;
                return;
            }
            [] if !read => return,
            [SelectItem::UnnamedExpr(expr)] if !read && is_constant(expr) => return,
            [_] => {}
            _ if used == Use::One => {
                self.refuse(select.line, "a subquery with several outputs", "select exactly one column");
                return;
            }
            _ => {}
        }
        for item in items {
            let (expr, name) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, output_name(expr)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias))),
                _ => {
                    self.refuse(select.line, "`*` in a subquery whose output is read", "name the columns");
                    continue;
                }
            };
            let raw = self.convert(expr);
            if select.output.is_none() {
                select.output = Some(raw);
                select.name = name;
            } else {
                select.more.push((name, raw));
            }
        }
    }

    /// `SELECT f(count(x)) FROM t WHERE c` is `SELECT f((SELECT count(x) FROM t WHERE c))`.
    fn fold_rows(&mut self, select: &mut RawSelect) {
        if !select.more.is_empty() {
            self.refuse(select.line, "several outputs with an aggregate", "select exactly one column");
        }
        let mut inner = RawSelect::empty(select.line);
        inner.sources = std::mem::take(&mut select.sources);
        inner.conditions = std::mem::take(&mut select.conditions);
        if let Some(output) = &mut select.output {
            replace_folds(output, &inner);
        }
    }

    fn joined_tables(&mut self, item: &TableWithJoins, select: &mut RawSelect) {
        let first = select.sources.len();
        self.source(&item.relation, select);
        for Join { relation, join_operator, .. } in &item.joins {
            let before = select.sources.len();
            self.source(relation, select);
            let (constraint, outer) = match join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::CrossJoin(constraint) => (constraint, false),
                JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (constraint, true),
                _ => {
                    let help = "write it as a LEFT JOIN, EXISTS or NOT EXISTS";
                    self.refuse(select.line, "a RIGHT, FULL or special join", help);
                    continue;
                }
            };
            match constraint {
                // ON sees the sides of its own join only.
                JoinConstraint::On(condition) => {
                    let condition = self.convert(condition);
                    let one = select.sources.len() == before + 1;
                    match select.sources.last_mut() {
                        Some(source) if outer && one && source.table().is_some() => {
                            source.left = Some(condition);
                        }
                        _ if outer => {
                            let help = "write LEFT JOIN table ON .., or NOT EXISTS";
                            self.refuse(select.line, "a LEFT JOIN of more than a table", help);
                        }
                        _ => select.conditions.push((first..select.sources.len(), condition)),
                    }
                }
                JoinConstraint::None if !outer => {}
                _ => {
                    let help = "write JOIN .. ON a.column = b.column";
                    self.refuse(select.line, "JOIN USING or NATURAL JOIN", help);
                }
            }
        }
    }

    fn source(&mut self, relation: &TableFactor, select: &mut RawSelect) {
        let line = select.line;
        let (relation, alias, name) = match relation {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let last = last_part(name).unwrap_or_default();
                match (table_name(name), args) {
                    (Ok(table), None) => {
                        (Relation::Table { name: table, schema: schema_part(name) }, alias, last)
                    }
                    (Ok(_), Some(args)) if args.settings.is_none() => {
                        let Some(call) = self.call_of(name, &args.args, line) else { return };
                        (Relation::Call(call), alias, last)
                    }
                    (Ok(_), Some(_)) => {
                        self.refuse(line, "this function in FROM", "write plain arguments");
                        return;
                    }
                    (Err((construct, help)), _) => {
                        self.refuse(line, construct, &help);
                        return;
                    }
                }
            }
            TableFactor::Function { name, args, alias, with_ordinality: false, .. } => {
                let Some(call) = self.call_of(name, args, line) else { return };
                (Relation::Call(call), alias, last_part(name).unwrap_or_default())
            }
            TableFactor::Derived { subquery, alias, lateral: false, sample: None } => {
                let inner = self.select(subquery, Use::All);
                if inner.aggregate.is_some() || inner.limit.is_some() {
                    let help = "write its condition into the WHERE, or compare with it as a value";
                    self.refuse(line, "LIMIT in a derived table", help);
                }
                (Relation::Select(Box::new(inner)), alias, String::new())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joined_tables(table_with_joins, select);
                return;
            }
            _ => {
                let help = "name tables, functions or derived tables: FROM (SELECT ..) AS t";
                self.refuse(line, "this relation in FROM", help);
                return;
            }
        };
        select.sources.push(self.aliased(relation, alias.as_ref(), name, line));
    }

    fn aliased(
        &mut self,
        relation: Relation,
        alias: Option<&TableAlias>,
        name: String,
        line: u64,
    ) -> RawSource {
        let columns: Vec<String> = match alias {
            Some(alias) => alias.columns.iter().map(|column| fold(&column.name)).collect(),
            None => Vec::new(),
        };
        if !columns.is_empty() && matches!(relation, Relation::Table { .. }) {
            self.refuse(line, "column aliases of a table", "name the table only");
        }
        let bare = alias.is_none();
        let alias = alias.map_or(name, |alias| fold(&alias.name));
        RawSource { relation, alias, bare, columns, left: None, line }
    }

    fn call_of(
        &mut self,
        name: &sqlparser::ast::ObjectName,
        args: &[sqlparser::ast::FunctionArg],
        line: u64,
    ) -> Option<super::raw::RawCall> {
        let Some(arguments) = self.arguments(args) else {
            self.refuse(line, format!("this call of `{name}()`"), "write plain arguments");
            return None;
        };
        match super::calls::named(name, arguments) {
            Some(call) => Some(call),
            None => {
                self.refuse(line, format!("the name `{name}`"), "write schema.function(..) or function(..)");
                None
            }
        }
    }
}

/// Who looks at a subquery's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Nothing,
    One,
    All,
}

/// The name that PostgreSQL gives an output by itself.
fn output_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        Expr::Nested(inner) => output_name(inner),
        Expr::Cast { expr, .. } => output_name(expr),
        Expr::Function(Function { name, .. }) => last_part(name),
        _ => None,
    }
}

/// The aggregates of this level.
fn folds_in(raw: &Raw) -> Vec<&Raw> {
    let mut found = Vec::new();
    let mut open = vec![raw];
    while let Some(raw) = open.pop() {
        match &raw.kind {
            RawKind::Call(call) if aggregate_of(call).is_some() => found.push(raw),
            _ => open.extend(raw.children()),
        }
    }
    found
}

/// It is folded already: what [`Converter::fold_rows`] made.
fn folded(raw: &Raw) -> bool {
    let mut found = false;
    raw.walk(&mut |_| {}, &mut |select| found |= select.aggregate.is_some());
    found
}

pub(super) fn aggregate_of(call: &super::raw::RawCall) -> Option<Aggregate> {
    if call.schema.is_some() {
        return None;
    }
    Some(match (call.last.as_str(), call.arguments.len()) {
        ("count", 0 | 1) => Aggregate::Count,
        (super::calls::COUNT_DISTINCT, 1) => Aggregate::CountDistinct,
        ("sum", 1) => Aggregate::Sum,
        ("min", 1) => Aggregate::Min,
        ("max", 1) => Aggregate::Max,
        ("bool_and" | "every", 1) => Aggregate::Every,
        ("bool_or", 1) => Aggregate::Some,
        ("array_agg", 1) => Aggregate::Array,
        _ => return None,
    })
}

fn replace_folds(raw: &mut Raw, inner: &RawSelect) {
    if let RawKind::Call(call) = &mut raw.kind
        && let Some(aggregate) = aggregate_of(call)
    {
        let mut select = inner.clone();
        let one = || Raw { kind: RawKind::Integer(1), line: raw.line };
        select.output = Some(call.arguments.pop().map_or_else(one, |(_, argument)| argument));
        select.aggregate = Some(aggregate);
        raw.kind = RawKind::Scalar(Box::new(select));
        return;
    }
    for child in raw.children_mut() {
        replace_folds(child, inner);
    }
}

/// The line of its `SELECT`.
pub(super) fn line_of(query: &Query) -> Option<u64> {
    let mut body = &*query.body;
    loop {
        body = match body {
            SetExpr::Select(select) => {
                let line = select.select_token.0.span.start.line;
                return (line > 0).then_some(line);
            }
            SetExpr::SetOperation { left, .. } => left,
            SetExpr::Query(query) => &query.body,
            _ => return None,
        };
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

fn unwanted_query_part(query: &Query) -> Option<Part> {
    if query.with.is_some() {
        return Some(("WITH in a subquery", "write its tables and conditions into FROM and WHERE"));
    }
    if query.fetch.is_some() || query.for_clause.is_some() || !query.pipe_operators.is_empty() {
        return Some(("FETCH or FOR in a subquery", "leave it out"));
    }
    if !query.locks.is_empty() {
        return Some(("row locks in a subquery", "leave out FOR UPDATE or FOR SHARE"));
    }
    if query.settings.is_some() || query.format_clause.is_some() {
        return Some(("this form of SELECT", "write SELECT .. FROM .. WHERE .."));
    }
    None
}

fn unwanted_select_part(body: &Select) -> Option<Part> {
    let grouped = match &body.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, modifiers) => !expressions.is_empty() || !modifiers.is_empty(),
    };
    if grouped || body.having.is_some() {
        let help = "compare an aggregate as a value: (SELECT count(*) FROM .. WHERE ..) > 1";
        return Some(("GROUP BY or HAVING in a subquery", help));
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

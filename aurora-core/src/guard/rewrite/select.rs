//! Queries: common table expressions, FROM, and where user expressions may run.

use std::mem;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, NamedWindowExpr,
    ObjectName, ObjectNamePart, OrderByKind, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, UnaryOperator, Value,
    WildcardAdditionalOptions, With,
};

use crate::policy::Command;
use crate::types::Result;

use super::super::names::View;
use super::super::sqlite::TABLE_FUNCTIONS;
use super::expr::{column, is_rowid, name_of};
use super::{Need, Rewriter, Safety, refused, text};

/// One item of a FROM clause.
struct Item {
    alias: String,
    /// The position of a guarded table; `None` for anything else.
    table: Option<usize>,
}

/// How a block keeps user expressions off hidden rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Nothing to keep off.
    Nothing,
    /// Watched conjuncts stand inside `CASE WHEN visible`.
    Case,
    /// Tables stand behind `(SELECT * FROM view LIMIT -1)`, which SQLite does not move terms into.
    Barrier,
}

impl Rewriter<'_> {
    /// Checks and rewrites a query in place; `Watched` if any expression in it is.
    pub(super) fn query(&mut self, query: &mut Query) -> Result<Safety> {
        self.depth += 1;
        if self.depth > 60 {
            return Err(refused("a query this deep"));
        }
        let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, .. } = query;
        if fetch.is_some() || for_clause.is_some() || settings.is_some() {
            return Err(refused("FETCH, FOR XML or SETTINGS; write LIMIT"));
        }
        if query.format_clause.is_some() || !query.pipe_operators.is_empty() {
            return Err(refused("FORMAT or pipe operators"));
        }
        if !locks.is_empty() {
            return Err(refused("FOR UPDATE; begin a transaction instead, it holds the only writer"));
        }
        let scoped = with.is_some();
        let mut safety = match with {
            Some(with) => self.with(with)?,
            None => Safety::Plain,
        };
        safety = safety.and(self.set_expr(body)?);
        if let Some(order) = order_by {
            let OrderByKind::Expressions(list) = &mut order.kind else { return Err(refused("ORDER BY ALL")) };
            safety = safety.and(self.order_by(list)?);
        }
        match limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                for part in [limit.as_mut(), offset.as_mut().map(|offset| &mut offset.value)].into_iter().flatten()
                {
                    safety = safety.and(self.expr(part)?);
                }
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                safety = safety.and(self.expr(offset)?).and(self.expr(limit)?);
            }
            Some(_) => return Err(refused("LIMIT BY")),
            None => {}
        }
        if scoped {
            self.scopes.pop();
        }
        self.fence_ctes(query.with.as_mut(), safety);
        self.depth -= 1;
        Ok(safety)
    }

    /// Opens a scope; the caller pops it.
    pub(super) fn with(&mut self, with: &mut With) -> Result<Safety> {
        let names: Vec<String> =
            with.cte_tables.iter().map(|cte| name_of(&cte.alias.name).to_ascii_lowercase()).collect();
        self.ctes.extend(names.iter().cloned());
        self.scopes.push(names);
        let mut safety = Safety::Plain;
        for cte in &mut with.cte_tables {
            if cte.from.is_some() {
                return Err(refused("FROM behind a common table expression"));
            }
            if matches!(&*cte.query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)) {
                return Err(refused("a write inside WITH"));
            }
            safety = safety.and(self.query(&mut cte.query)?);
        }
        Ok(safety)
    }

    /// Once the whole statement was read: what an outer block asks of a CTE must not move inside it where either
    /// holds a watched expression.
    pub(super) fn fence_ctes(&self, with: Option<&mut With>, safety: Safety) {
        if let Some(with) = with
            && (self.fenced || safety == Safety::Watched)
        {
            for cte in &mut with.cte_tables {
                barrier(&mut cte.query);
            }
        }
    }

    fn set_expr(&mut self, body: &mut SetExpr) -> Result<Safety> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(_) => Err(refused("parentheses around a SELECT; write it without them")),
            SetExpr::SetOperation { left, right, .. } => {
                self.depth += 1;
                if self.depth > 60 {
                    return Err(refused("a query this deep"));
                }
                let safety = self.set_expr(left)?.and(self.set_expr(right)?);
                self.depth -= 1;
                Ok(safety)
            }
            SetExpr::Values(values) => {
                let mut safety = Safety::Plain;
                for row in &mut values.rows {
                    safety = safety.and(self.exprs(&mut row.content)?);
                }
                Ok(safety)
            }
            _ => Err(refused("this form of query")),
        }
    }

    fn select(&mut self, select: &mut Select) -> Result<Safety> {
        plain_clauses(select)?;
        let mut items = Vec::new();
        let mut derived = Safety::Plain;
        for from in &mut select.from {
            derived = derived.and(self.from(from, &mut items)?);
        }
        self.rowids(select, &items);
        let mut conjuncts = Vec::new();
        if let Some(selection) = &mut select.selection {
            self.condition(selection, &mut conjuncts)?;
        }
        let mut merged = false;
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            match constraint(&mut join.join_operator)? {
                Some(JoinConstraint::On(on)) => self.condition(on, &mut conjuncts)?,
                Some(JoinConstraint::Using(_) | JoinConstraint::Natural) => merged = true,
                _ => {}
            }
        }
        let mut safety = self.projection(&mut select.projection)?;
        if let GroupByExpr::Expressions(list, modifiers) = &mut select.group_by {
            if !modifiers.is_empty() {
                return Err(refused("GROUP BY modifiers"));
            }
            safety = safety.and(self.exprs(list)?);
        } else {
            return Err(refused("GROUP BY ALL"));
        }
        let mut having = Safety::Plain;
        if let Some(clause) = &mut select.having {
            having = self.expr(clause)?;
        }
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
                safety = safety.and(self.window(spec)?);
            }
        }
        // The arguments of table-valued functions count as filters: they run on rows not yet filtered.
        let filter = conjuncts.iter().fold(Safety::Plain, |all, own| all.and(*own));
        let watched = filter == Safety::Watched || takes_arguments(select);
        let keep = match (watched, having) {
            (_, Safety::Watched) => Keep::Barrier,
            (true, _) if merged => Keep::Barrier,
            (true, _) => Keep::Case,
            (false, _) => Keep::Nothing,
        };
        self.fenced |= keep != Keep::Nothing;
        self.keep(select, &items, keep, conjuncts)?;
        Ok(safety.and(filter).and(having).and(derived))
    }

    fn projection(&mut self, projection: &mut [SelectItem]) -> Result<Safety> {
        let mut safety = Safety::Plain;
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    safety = safety.and(self.expr(expr)?);
                }
                SelectItem::Wildcard(options) => plain_wildcard(options)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    plain_wildcard(options)?;
                    text::table_name(name)?;
                }
                other => return Err(refused(format_args!("`{other}` in a SELECT list"))),
            }
        }
        Ok(safety)
    }

    fn from(&mut self, from: &mut TableWithJoins, items: &mut Vec<Item>) -> Result<Safety> {
        let mut safety = self.factor(&mut from.relation, items)?;
        for Join { relation, global, join_operator } in &mut from.joins {
            if *global {
                return Err(refused("GLOBAL JOIN"));
            }
            constraint(join_operator)?;
            safety = safety.and(self.factor(relation, items)?);
        }
        Ok(safety)
    }

    fn factor(&mut self, factor: &mut TableFactor, items: &mut Vec<Item>) -> Result<Safety> {
        match factor {
            TableFactor::Table { name, alias, args, with_hints, version, with_ordinality, partitions, .. } => {
                if !with_hints.is_empty() || version.is_some() || *with_ordinality || !partitions.is_empty() {
                    return Err(refused("hints, versions or partitions in FROM"));
                }
                check_alias(alias.as_ref())?;
                let (schema, table) = text::table_name(name)?;
                let table = table.to_owned();
                if !schema.is_none_or(|schema| schema.eq_ignore_ascii_case("main") || schema == "public") {
                    return Err(refused(format_args!("the schema of `{name}`")));
                }
                if let Some(args) = args {
                    if !TABLE_FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(&table)) {
                        return Err(refused(format_args!("the table-valued function `{table}`")));
                    }
                    let mut safety = Safety::Plain;
                    for argument in &mut args.args {
                        safety = safety.and(self.argument(argument)?);
                    }
                    items.push(Item { alias: alias_or(alias.as_ref(), &table), table: None });
                    return Ok(safety);
                }
                if schema.is_none() && self.is_cte(&table) {
                    items.push(Item { alias: alias_or(alias.as_ref(), &table), table: None });
                    return Ok(Safety::Plain);
                }
                let shown = alias_or(alias.as_ref(), &table);
                if self.rules.host.view(&table).is_some() {
                    *factor = self.inline_view(&table, &shown)?;
                    items.push(Item { alias: shown, table: None });
                    return Ok(Safety::Plain);
                }
                let position = self.table(&table, Command::Select)?;
                if let TableFactor::Table { name, alias, index_hints, .. } = factor {
                    if !index_hints.is_empty() {
                        return Err(refused("index hints"));
                    }
                    // Which view is decided once the whole block is known.
                    *name = ObjectName(vec![ObjectNamePart::Identifier(text::quoted(&table))]);
                    *alias = Some(plain_alias(&shown));
                }
                items.push(Item { alias: shown, table: Some(position) });
                Ok(Safety::Plain)
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                check_alias(alias.as_ref())?;
                let safety = self.query(subquery)?;
                items.push(Item { alias: alias_or(alias.as_ref(), ""), table: None });
                if safety == Safety::Watched {
                    barrier(subquery);
                }
                Ok(safety)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Err(refused(format_args!("parentheses around the join `{table_with_joins}`; write it without them")))
            }
            other => Err(refused(format_args!("`{other}` in FROM"))),
        }
    }

    /// A FROM clause behind a fence, as text: for `UPDATE .. FROM`.
    pub(super) fn from_fenced(&mut self, tables: &mut [TableWithJoins]) -> Result<String> {
        let mut items = Vec::new();
        for table in tables.iter_mut() {
            self.from(table, &mut items)?;
        }
        self.fenced = true;
        for table in tables.iter_mut() {
            self.place(&mut table.relation, &items, Keep::Barrier)?;
            for join in &mut table.joins {
                if let Some(JoinConstraint::On(on)) = constraint(&mut join.join_operator)? {
                    self.expr(on)?;
                }
                self.place(&mut join.relation, &items, Keep::Barrier)?;
            }
        }
        Ok(tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }

    /// A view of the host's stands for its text, read under the caller's policies.
    fn inline_view(&mut self, name: &str, alias: &str) -> Result<TableFactor> {
        let lower = name.to_ascii_lowercase();
        let Some(view) = self.rules.host.view(name) else { return Err(refused("this view")) };
        if self.views.contains(&lower) {
            return Err(refused(format_args!("the view `{name}`, which reads itself")));
        }
        let mut query = match &view.query {
            Ok(query) => query.clone(),
            Err(why) => return Err(refused(format_args!("the view `{name}`: {why}"))),
        };
        self.views.push(lower);
        // The statement's common table expressions are not in the view's sight.
        let scopes = mem::take(&mut self.scopes);
        let outcome = self.query(&mut query);
        self.scopes = scopes;
        self.views.pop();
        if outcome? == Safety::Watched {
            barrier(&mut query);
        }
        let alias = plain_alias(alias);
        if !view.columns.is_empty() {
            return Err(refused(format_args!("the view `{name}` with a column list; use AS in its SELECT")));
        }
        Ok(TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None })
    }

    /// `rowid` and its synonyms on a guarded table whose rowid has a name.
    fn rowids(&mut self, select: &mut Select, items: &[Item]) {
        let [Item { alias, table: Some(position) }] = items else { return };
        let Some(table) = self.rules.host.tables.get(*position) else { return };
        let [key] = table.primary_key.as_slice() else { return };
        if table.rowid.is_none() || !table.late_columns.contains(key) {
            return;
        }
        let fix = |expr: &mut Expr| match expr {
            Expr::Identifier(ident) if is_rowid(&ident.value) => *expr = column(alias, key),
            _ => {}
        };
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                fix(expr);
            }
        }
        if let Some(Expr::BinaryOp { left, right, .. }) = &mut select.selection {
            fix(left);
            fix(right);
        }
    }

    /// Checks a condition and notes the safety of each of its conjuncts, in order.
    pub(super) fn condition(&mut self, condition: &mut Expr, conjuncts: &mut Vec<Safety>) -> Result<()> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(refused("a condition this long"));
        }
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.condition(left, conjuncts)?;
                self.condition(right, conjuncts)?;
            }
            Expr::Nested(inner) => self.condition(inner, conjuncts)?,
            other => {
                let safety = self.expr(other)?;
                conjuncts.push(safety);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Puts views in the place of tables, and keeps watched expressions off hidden rows.
    fn keep(&mut self, select: &mut Select, items: &[Item], keep: Keep, conjuncts: Vec<Safety>) -> Result<()> {
        if keep == Keep::Case {
            expand_wildcards(select, items, |position| {
                self.rules.host.tables.get(position).map(|table| table.columns.as_slice())
            });
            let mut conjuncts = conjuncts.into_iter();
            if let (Some(selection), Some(visible)) = (&mut select.selection, self.visible(items)) {
                guard_conjuncts(selection, &visible, &mut conjuncts);
            }
            let mut seen = 0;
            for from in &mut select.from {
                seen += 1;
                for join in &mut from.joins {
                    // An ON clause may not name tables to its right.
                    seen += 1;
                    let visible = self.visible(items.get(..seen).unwrap_or(items));
                    if let (Some(JoinConstraint::On(on)), Some(visible)) =
                        (constraint(&mut join.join_operator)?, visible)
                    {
                        guard_conjuncts(on, &visible, &mut conjuncts);
                    }
                }
            }
        }
        for from in &mut select.from {
            self.place(&mut from.relation, items, keep)?;
            for join in &mut from.joins {
                self.place(&mut join.relation, items, keep)?;
            }
        }
        Ok(())
    }

    fn place(&mut self, factor: &mut TableFactor, items: &[Item], keep: Keep) -> Result<()> {
        match factor {
            TableFactor::Table { args: Some(args), .. } => {
                if let (Keep::Case, Some(visible)) = (keep, self.visible(items)) {
                    for argument in &mut args.args {
                        if let sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(expr)) =
                            argument
                            && !matches!(expr, Expr::Value(_))
                        {
                            wrap(expr, &visible);
                        }
                    }
                }
            }
            TableFactor::Table { name, alias: Some(alias), .. } => {
                let shown = name_of(&alias.name).to_owned();
                let Some(Item { table: Some(position), .. }) =
                    items.iter().find(|item| item.alias == shown && item.table.is_some())
                else {
                    return Ok(());
                };
                let (position, role) = (*position, self.rules.role);
                if self.is_cte_reference(name, position) {
                    return Ok(());
                }
                let names = self.rules.names;
                match keep {
                    Keep::Case => {
                        self.need(Need::Inner(position, View::Select));
                        *name = single(&names.inner(position, role, View::Select));
                    }
                    Keep::Nothing => {
                        self.need(Need::Outer(position));
                        *name = single(&names.outer(position, role));
                    }
                    Keep::Barrier => {
                        self.need(Need::Outer(position));
                        *factor = fenced(&names.outer(position, role), &shown)?;
                    }
                }
            }
            TableFactor::Derived { subquery, .. } if keep != Keep::Nothing => barrier(subquery),
            _ => {}
        }
        Ok(())
    }

    /// A CTE may carry a guarded table's name and another item's alias: it keeps its own name.
    fn is_cte_reference(&self, name: &ObjectName, position: usize) -> bool {
        let Ok((None, written)) = text::table_name(name) else { return false };
        !self.rules.host.tables.get(position).is_some_and(|table| table.name.eq_ignore_ascii_case(written))
    }

    /// `a.visible IS NOT 0 AND b.visible IS NOT 0`; NULL is the empty side of an outer join.
    fn visible(&self, items: &[Item]) -> Option<Expr> {
        let visible = self.rules.names.visible();
        let zero = || Expr::value(Value::Number("0".to_owned(), false));
        items
            .iter()
            .filter(|item| item.table.is_some())
            .map(|item| Expr::IsDistinctFrom(Box::new(column(&item.alias, &visible)), Box::new(zero())))
            .reduce(|left, right| Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::And,
                right: Box::new(right),
            })
    }
}

fn single(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(text::quoted(name))])
}

fn plain_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: text::quoted(name), columns: Vec::new(), at: None }
}

fn alias_or(alias: Option<&TableAlias>, name: &str) -> String {
    alias.map_or_else(|| name.to_owned(), |alias| name_of(&alias.name).to_owned())
}

fn check_alias(alias: Option<&TableAlias>) -> Result<()> {
    match alias {
        Some(alias) if !alias.columns.is_empty() || alias.at.is_some() => {
            Err(refused("column names behind an alias in FROM"))
        }
        _ => Ok(()),
    }
}

/// `(SELECT * FROM view LIMIT -1) AS alias`.
fn fenced(view: &str, alias: &str) -> Result<TableFactor> {
    let sql = format!("SELECT * FROM \"{view}\" LIMIT -1");
    let statement = sqlparser::parser::Parser::parse_sql(&sqlparser::dialect::SQLiteDialect {}, &sql);
    match statement.map(|mut list| list.pop()) {
        Ok(Some(sqlparser::ast::Statement::Query(subquery))) => Ok(TableFactor::Derived {
            lateral: false,
            subquery,
            alias: Some(plain_alias(alias)),
            sample: None,
        }),
        _ => Err(refused("this query")),
    }
}

/// Keeps SQLite from moving terms of the outer query into this one: a LIMIT does (optimisation "WHERE-clause
/// push-down" and "query flattening", rules 19 and 6).
fn barrier(query: &mut Query) {
    // Nothing that is moved into VALUES meets a row of a table.
    if query.limit_clause.is_none() && !matches!(*query.body, SetExpr::Values(_)) {
        wrap_last_values(&mut query.body);
        let everything = Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(Expr::value(Value::Number("1".to_owned(), false))),
        };
        query.limit_clause =
            Some(LimitClause::LimitOffset { limit: Some(everything), offset: None, limit_by: Vec::new() });
    }
}

/// A LIMIT cannot follow VALUES: as the last arm of a compound they become `SELECT * FROM (VALUES ..)`.
fn wrap_last_values(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { right, .. } => wrap_last_values(right),
        SetExpr::Values(_) => {
            let statement = sqlparser::parser::Parser::parse_sql(&sqlparser::dialect::SQLiteDialect {}, "SELECT * FROM (VALUES (1))");
            if let Ok(Some(sqlparser::ast::Statement::Query(mut outer))) = statement.map(|mut list| list.pop())
                && let SetExpr::Select(select) = &mut *outer.body
                && let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation)
            {
                mem::swap(&mut *subquery.body, body);
                *body = *outer.body;
            }
        }
        _ => {}
    }
}

/// Every watched conjunct of a condition inside `CASE WHEN visible THEN (..) END`; `conjuncts` comes from
/// [`Rewriter::condition`] on the same condition.
pub(super) fn guard_conjuncts(condition: &mut Expr, visible: &Expr, conjuncts: &mut dyn Iterator<Item = Safety>) {
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

fn expand_wildcards<'c>(select: &mut Select, items: &[Item], columns: impl Fn(usize) -> Option<&'c [String]>) {
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
            SelectItem::Wildcard(_) if items.iter().all(|item| !item.alias.is_empty()) => {
                select.projection.extend(items.iter().flat_map(expand));
            }
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

fn takes_arguments(select: &Select) -> bool {
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    factors.into_iter().any(|factor| matches!(factor, TableFactor::Table { args: Some(_), .. }))
}

fn constraint(operator: &mut JoinOperator) -> Result<Option<&mut JoinConstraint>> {
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => return Err(refused("this kind of JOIN")),
    })
}

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    if options.to_string().is_empty() { Ok(()) } else { Err(refused("options behind `*`")) }
}

fn plain_clauses(select: &Select) -> Result<()> {
    let odd = !select.optimizer_hints.is_empty()
        || select.select_modifiers.is_some()
        || select.top.is_some()
        || select.exclude.is_some()
        || select.into.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || select.flavor != SelectFlavor::Standard
        || matches!(select.distinct, Some(Distinct::On(_)));
    if odd { Err(refused("this clause of SELECT")) } else { Ok(()) }
}

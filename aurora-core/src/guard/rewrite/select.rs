//! Queries: common table expressions, clauses, and where user expressions may run.

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, JoinConstraint, LimitClause, NamedWindowExpr, OrderByExpr,
    OrderByKind, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins, WildcardAdditionalOptions, With,
};

use crate::policy::Command;
use crate::types::Result;

use super::super::names::View;
use super::expr::name_of;
use super::fence::{Keep, barrier};
use super::from::constraint;
use super::{Block, Item, Rewriter, Safety, refused, text};

/// How deep queries may nest.
const DEEPEST_QUERY: usize = 20;

impl Rewriter<'_> {
    /// Checks and rewrites a query in place; `Watched` if any expression in it is.
    pub(super) fn query(&mut self, query: &mut Query) -> Result<Safety> {
        self.queries += 1;
        if self.queries > DEEPEST_QUERY {
            return Err(refused("a query this deep"));
        }
        plain_query(query)?;
        let scoped = query.with.is_some();
        let mut safety = match &mut query.with {
            Some(with) => {
                let own = self.with(with)?;
                // A recursion in an expression could be made to take long on the rows of the attacker's choice.
                let inside = self.queries > 1 || self.target.is_some() || !self.blocks.is_empty();
                if inside { Safety::Watched } else { own }
            }
            None => Safety::Plain,
        };
        let mut order = match &mut query.order_by {
            Some(order) if order.interpolate.is_some() => return Err(refused("INTERPOLATE")),
            Some(order) => match &mut order.kind {
                OrderByKind::Expressions(list) => Some(list),
                OrderByKind::All(_) => return Err(refused("ORDER BY ALL")),
            },
            None => None,
        };
        safety = safety.and(match &mut *query.body {
            SetExpr::Select(select) => {
                let limited = query.limit_clause.is_some();
                self.select(select, order.as_deref_mut().map(Vec::as_mut_slice), limited)?
            }
            body => {
                let body = self.set_expr(body)?;
                body.and(order.map_or(Ok(Safety::Plain), |list| self.order_by(list))?)
            }
        });
        safety = safety.and(self.limit(query.limit_clause.as_mut())?);
        if scoped {
            self.scopes.pop();
        }
        self.fence_ctes(query.with.as_mut(), safety);
        self.queries -= 1;
        Ok(safety)
    }

    fn limit(&mut self, clause: Option<&mut LimitClause>) -> Result<Safety> {
        let mut parts = match clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                [limit.as_mut(), offset.as_mut().map(|offset| &mut offset.value)]
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => [Some(offset), Some(limit)],
            Some(_) => return Err(refused("LIMIT BY")),
            None => return Ok(Safety::Plain),
        };
        let mut safety = Safety::Plain;
        for part in parts.iter_mut().flatten() {
            let own = self.expr(part)?;
            // What is no integer is an error, so it must not hang on a row.
            safety = safety.and(if matches!(part, Expr::Value(_)) { own } else { Safety::Watched });
        }
        Ok(safety)
    }

    /// Opens a scope; the caller pops it. Every name is changed, here and where it is used: no common table
    /// expression is ever called like a table, a view or one of ours, wherever SQLite comes to look for it.
    pub(super) fn with(&mut self, with: &mut With) -> Result<Safety> {
        let names = with.cte_tables.iter().map(|cte| name_of(&cte.alias.name).to_ascii_lowercase()).collect();
        self.scopes.push(names);
        let mut safety = Safety::Plain;
        for cte in &mut with.cte_tables {
            if cte.from.is_some() {
                return Err(refused("FROM behind a common table expression"));
            }
            if matches!(&*cte.query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)) {
                return Err(refused("a write inside WITH"));
            }
            cte.alias.name = self.cte_name(name_of(&cte.alias.name))?;
            self.ctes.insert(name_of(&cte.alias.name).to_ascii_lowercase());
            safety = safety.and(self.query(&mut cte.query)?);
        }
        Ok(safety)
    }

    pub(super) fn cte_name(&self, name: &str) -> Result<sqlparser::ast::Ident> {
        let changed = format!("~{name}");
        if self.rules.host.position(&changed).is_some() || name.contains(['"', '\'']) {
            return Err(refused(format_args!("the name `{name}` for a common table expression")));
        }
        Ok(text::quoted(&changed))
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
            SetExpr::Select(select) => self.select(select, None, false),
            SetExpr::Query(_) => Err(refused("parentheses around a SELECT; write it without them")),
            SetExpr::SetOperation { left, right, .. } => {
                // The tokens were counted: no compound is longer than the longest chain.
                let safety = self.set_expr(left)?.and(self.set_expr(right)?);
                super::fence::selected(right)?;
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

    fn select(
        &mut self,
        select: &mut Select,
        order: Option<&mut [OrderByExpr]>,
        limited: bool,
    ) -> Result<Safety> {
        plain_clauses(select)?;
        let mut block = Block::default();
        let mut safety = Safety::Plain;
        for from in &mut select.from {
            safety = safety.and(self.from(from, &mut block)?);
        }
        block.view = if self.finds_one(select.selection.as_ref(), &block) {
            Some(View::SelectOne)
        } else if limited {
            self.takes_few(select, order.as_deref(), &block)
        } else {
            None
        };
        self.blocks.push(block);
        for from in &mut select.from {
            self.table_arguments(from)?;
        }
        let mut conjuncts = Vec::new();
        if let Some(selection) = &mut select.selection {
            self.condition(selection, &mut conjuncts)?;
        }
        for from in &mut select.from {
            self.joined_on(from, &mut conjuncts)?;
        }
        safety = safety.and(self.projection(&mut select.projection)?);
        safety = safety.and(self.groups(select)?);
        let having = match &mut select.having {
            Some(clause) => self.expr(clause)?,
            None => Safety::Plain,
        };
        if let Some(order) = order {
            safety = safety.and(self.order_by(order)?);
        }
        let block = self.blocks.pop().unwrap_or_default();
        let filter = conjuncts.iter().fold(Safety::Plain, |all, own| all.and(*own));
        // The arguments of table-valued functions count as filters: they run on rows not yet filtered.
        let watched = filter == Safety::Watched || block.arguments;
        let odd = block.merged || block.nested || (block.arguments && block.one_sided);
        let keep = match (watched, having) {
            (_, Safety::Watched) => Keep::Barrier,
            (true, _) if odd => Keep::Barrier,
            (true, _) => Keep::Case,
            (false, _) => Keep::Nothing,
        };
        self.fenced |= keep != Keep::Nothing;
        self.keep(select, &block, keep, conjuncts)?;
        let arguments = if block.arguments { Safety::Watched } else { Safety::Plain };
        Ok(safety.and(filter).and(having).and(arguments))
    }

    /// Whether the condition gives the primary key of the only table of its block.
    fn finds_one(&self, condition: Option<&Expr>, block: &Block) -> bool {
        let [Item { alias, table: Some(position), .. }] = block.items.as_slice() else { return false };
        let table = self.rules.host.tables.get(*position);
        let Some([key]) = table.map(|table| table.primary_key.as_slice()) else { return false };
        let is_key = |expr: &Expr| match expr {
            Expr::Identifier(name) => name.value.eq_ignore_ascii_case(key),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] => {
                    table.value.eq_ignore_ascii_case(alias) && name.value.eq_ignore_ascii_case(key)
                }
                _ => false,
            },
            _ => false,
        };
        let mut open: Vec<&Expr> = condition.into_iter().collect();
        while let Some(part) = open.pop() {
            match part {
                Expr::Nested(inner) => open.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => open.extend([&**left, &**right]),
                Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                    let value = |expr: &Expr| matches!(expr, Expr::Value(_));
                    if is_key(left) && value(right) || is_key(right) && value(left) {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Which view serves rows that are taken one after the other, in the order of the key or of an index, until there
    /// are enough.
    fn takes_few(&self, select: &Select, order: Option<&[OrderByExpr]>, block: &Block) -> Option<View> {
        let [Item { alias, table: Some(position), .. }] = block.items.as_slice() else { return None };
        let table = self.rules.host.tables.get(*position)?;
        let plain = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            }
            _ => true,
        };
        let grouped = match &select.group_by {
            GroupByExpr::Expressions(list, _) => !list.is_empty(),
            GroupByExpr::All(_) => true,
        };
        if grouped || select.distinct.is_some() || !select.projection.iter().all(plain) {
            return None;
        }
        let Some([first, ..]) = order else { return Some(View::SelectFew) };
        let column = match &first.expr {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] if table.value.eq_ignore_ascii_case(alias) => name,
                _ => return None,
            },
            _ => return None,
        };
        let leads = |name: Option<&String>| name.is_some_and(|name| name.eq_ignore_ascii_case(&column.value));
        let indexes = self.rules.host.catalog.table(&table.name).map(|known| known.indexes.as_slice());
        if leads(table.rowid_alias.as_ref()) {
            return Some(View::SelectByKey);
        }
        let by_index = leads(table.primary_key.first())
            || indexes
                .unwrap_or_default()
                .iter()
                .any(|index| !index.partial && leads(index.columns.first().and_then(Option::as_ref)));
        by_index.then_some(View::SelectFew)
    }

    fn groups(&mut self, select: &mut Select) -> Result<Safety> {
        let GroupByExpr::Expressions(list, modifiers) = &mut select.group_by else {
            return Err(refused("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(refused("GROUP BY modifiers"));
        }
        let mut safety = self.exprs(list)?;
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
                safety = safety.and(self.window(spec)?);
            }
        }
        Ok(safety)
    }

    pub(super) fn projection(&mut self, projection: &mut [SelectItem]) -> Result<Safety> {
        let mut safety = Safety::Plain;
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let written = match &*expr {
                        Expr::CompoundIdentifier(parts) => {
                            parts.last().map(|part| part.value.clone()).unwrap_or_default()
                        }
                        other => other.to_string(),
                    };
                    safety = safety.and(self.expr(expr)?);
                    // A column that no one named is called like its text, and the text now holds names of ours.
                    if self.rules.names.within(&expr.to_string()) {
                        let alias = text::quoted(&written.replace('"', ""));
                        let expr = std::mem::replace(expr, Expr::value(sqlparser::ast::Value::Null));
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                }
                SelectItem::ExprWithAlias { expr, .. } => safety = safety.and(self.expr(expr)?),
                SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    self.all_granted(None)?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    plain_wildcard(options)?;
                    if let (Some(schema), table) = text::table_name(name)? {
                        if !text::is_own_schema(schema) {
                            return Err(refused(format_args!("the schema of `{name}`")));
                        }
                        *name = super::fence::single(table);
                    }
                    let named = text::table_name(name)?.1.to_owned();
                    self.all_granted(Some(&named))?;
                }
                other => return Err(refused(format_args!("`{other}` in a SELECT list"))),
            }
        }
        Ok(safety)
    }

    /// `*` reads every column: of all items, or of the one called so.
    fn all_granted(&self, alias: Option<&str>) -> Result<()> {
        let items = self.blocks.last().into_iter().flat_map(|block| &block.items);
        for item in items.filter(|item| alias.is_none_or(|alias| item.alias.eq_ignore_ascii_case(alias))) {
            let table = item.table.and_then(|position| self.rules.host.tables.get(position));
            for column in table.into_iter().flat_map(|table| &table.columns) {
                self.granted(table.map_or("", |table| &table.name), column, Command::Select)?;
            }
        }
        Ok(())
    }

    /// The ON clauses of a FROM item, in the order in which [`Rewriter::keep`] guards them.
    pub(super) fn joined_on(&mut self, from: &mut TableWithJoins, conjuncts: &mut Vec<Safety>) -> Result<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = &mut from.relation {
            self.joined_on(table_with_joins, conjuncts)?;
        }
        for join in &mut from.joins {
            if let TableFactor::NestedJoin { table_with_joins, .. } = &mut join.relation {
                self.joined_on(table_with_joins, conjuncts)?;
            }
            if let Some(JoinConstraint::On(on)) = constraint(&mut join.join_operator)? {
                self.condition(on, conjuncts)?;
            }
        }
        Ok(())
    }

    /// Checks a condition and notes the safety of each of its conjuncts, in order.
    pub(super) fn condition(&mut self, condition: &mut Expr, conjuncts: &mut Vec<Safety>) -> Result<()> {
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
        Ok(())
    }
}

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    if options.to_string().is_empty() { Ok(()) } else { Err(refused("options behind `*`")) }
}

fn plain_query(query: &Query) -> Result<()> {
    if query.fetch.is_some() || query.for_clause.is_some() || query.settings.is_some() {
        return Err(refused("FETCH, FOR XML or SETTINGS; write LIMIT"));
    }
    if query.format_clause.is_some() || !query.pipe_operators.is_empty() {
        return Err(refused("FORMAT or pipe operators"));
    }
    if !query.locks.is_empty() {
        return Err(refused("FOR UPDATE; begin a transaction instead, it holds the only writer"));
    }
    Ok(())
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

//! FROM: which names stand for what, and which of our views takes their place.

use std::mem;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, Select, TableAlias,
    TableFactor, TableFunctionArgs, TableWithJoins, visit_expressions,
};

use crate::policy::{Columns, Command};
use crate::types::Result;

use super::super::names::View;
use super::super::sqlite::TABLE_FUNCTIONS;
use super::expr::name_of;
use super::fence::{Keep, barrier, expand_wildcards, fenced, guard_conjuncts, single, visible, wrap};
use super::{Block, Item, Need, Rewriter, Rules, Safety, refused, text};

impl Rewriter<'_> {
    pub(super) fn from(&mut self, from: &mut TableWithJoins, block: &mut Block) -> Result<Safety> {
        let mut safety = self.factor(&mut from.relation, block)?;
        for Join { relation, global, join_operator } in &mut from.joins {
            if *global {
                return Err(refused("GLOBAL JOIN"));
            }
            block.one_sided |= !matches!(
                join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            );
            block.merged |= matches!(
                constraint(join_operator)?,
                Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
            );
            safety = safety.and(self.factor(relation, block)?);
        }
        Ok(safety)
    }

    fn factor(&mut self, factor: &mut TableFactor, block: &mut Block) -> Result<Safety> {
        match factor {
            TableFactor::Table { .. } => self.table_factor(factor, block),
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                check_alias(alias.as_ref())?;
                let safety = self.query(subquery)?;
                let shown = match alias {
                    Some(alias) => name_of(&alias.name).to_owned(),
                    // A name for it, so that `*` can be told apart by table.
                    None => format!("~{}", block.items.len()),
                };
                *alias = Some(plain_alias(&shown));
                self.item(block, shown, None)?;
                if safety == Safety::Watched {
                    barrier(subquery);
                }
                Ok(safety)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                block.nested = true;
                self.from(table_with_joins, block)
            }
            other => Err(refused(format_args!("`{other}` in FROM"))),
        }
    }

    fn table_factor(&mut self, factor: &mut TableFactor, block: &mut Block) -> Result<Safety> {
        let TableFactor::Table { name, alias, args, json_path, sample, index_hints, .. } = factor else {
            return Err(refused("this FROM"));
        };
        check_alias(alias.as_ref())?;
        let (schema, table) = text::table_name(name)?;
        let (bare, table) = (schema.is_none(), table.to_owned());
        if !schema.is_none_or(text::is_own_schema) {
            return Err(refused(format_args!("the schema of `{name}`")));
        }
        let shown = alias.as_ref().map_or_else(|| table.clone(), |alias| name_of(&alias.name).to_owned());
        if json_path.is_some() || sample.is_some() || !index_hints.is_empty() {
            return Err(refused("paths, samples or index hints in FROM"));
        }
        let args = args.take();
        plain_factor(factor)?;
        let (to, position) = if let Some(list) = &args {
            if !TABLE_FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(&table))
                || list.settings.is_some()
            {
                return Err(refused(format_args!("the table-valued function `{table}`")));
            }
            block.arguments = true;
            (text::quoted(&table.to_ascii_lowercase()), None)
        } else if bare && self.is_cte(&table) {
            (self.cte_name(&table)?, None)
        } else if self.rules.host.view(&table).is_some() {
            *factor = self.inline_view(&table, &shown)?;
            self.item(block, shown, None)?;
            return Ok(Safety::Plain);
        } else {
            // Which view takes its place is decided once the whole block is known.
            (text::quoted(&table), Some(self.table(&table, Command::Select)?))
        };
        if let TableFactor::Table { name, alias, args: place, .. } = factor {
            *name = sqlparser::ast::ObjectName(vec![sqlparser::ast::ObjectNamePart::Identifier(to)]);
            *alias = Some(plain_alias(&shown));
            *place = args;
        }
        self.item(block, shown, position)?;
        Ok(Safety::Plain)
    }

    /// Two items of one name would leave open which of them a view takes the place of.
    fn item(&self, block: &mut Block, alias: String, table: Option<usize>) -> Result<()> {
        if block.items.iter().any(|item| item.alias.eq_ignore_ascii_case(&alias)) {
            return Err(refused(format_args!("`{alias}` twice in one FROM; give one another alias")));
        }
        block.items.push(Item { alias, table, inner: false, target: false });
        Ok(())
    }

    /// The arguments of table-valued functions, which may name the items beside them.
    pub(super) fn table_arguments(&mut self, from: &mut TableWithJoins) -> Result<()> {
        for relation in
            std::iter::once(&mut from.relation).chain(from.joins.iter_mut().map(|join| &mut join.relation))
        {
            match relation {
                TableFactor::Table { args: Some(args), .. } => {
                    for argument in &mut args.args {
                        self.argument(argument)?;
                    }
                }
                TableFactor::NestedJoin { table_with_joins, .. } => self.table_arguments(table_with_joins)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A FROM clause behind a fence, as text: for `UPDATE .. FROM`. What in it may speak of the row that is
    /// updated stands behind `key`.
    pub(super) fn fenced_from(
        &mut self,
        tables: &mut [TableWithJoins],
        key: &str,
        target: Item,
    ) -> Result<(String, Block)> {
        let mut block = Block::default();
        for table in tables.iter_mut() {
            self.from(table, &mut block)?;
        }
        self.fenced = true;
        let key = Expr::Identifier(Ident::new(format!("({key})")));
        self.blocks.push(Block { items: vec![target], ..Block::default() });
        self.blocks.push(block);
        for table in tables.iter_mut() {
            self.table_arguments(table)?;
            self.joined_on(table, &mut Vec::new())?;
        }
        // SQLite lets a single item, and only that, speak of the row that is updated.
        if let [TableWithJoins { relation: TableFactor::Table { args: Some(args), .. }, .. }] = tables {
            wrap_arguments(&mut args.args, &key);
        }
        let block = self.blocks.pop().unwrap_or_default();
        self.blocks.pop();
        if block.items.iter().any(|item| item.inner) {
            return Err(refused("`rowid` in UPDATE .. FROM"));
        }
        for table in tables.iter_mut() {
            self.place_all(table, &block, Keep::Barrier)?;
        }
        Ok((tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), block))
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
        // Neither the statement's common table expressions nor its tables are in the view's sight.
        let scopes = mem::take(&mut self.scopes);
        let blocks = mem::take(&mut self.blocks);
        let target = self.target.take();
        let outcome = self.query(&mut query);
        (self.scopes, self.blocks, self.target) = (scopes, blocks, target);
        self.views.pop();
        if outcome? == Safety::Watched {
            barrier(&mut query);
        }
        if !view.columns.is_empty() {
            query = super::fence::with_columns(query, &view.columns)?;
            self.ctes.insert("~v".to_owned());
        }
        Ok(TableFactor::Derived {
            lateral: false,
            subquery: query,
            alias: Some(plain_alias(alias)),
            sample: None,
        })
    }

    /// Whether the item goes by that name, or has such a column.
    fn has_name(&self, item: &Item, name: &str) -> bool {
        let table = item.table.and_then(|position| self.rules.host.tables.get(position));
        let column =
            table.is_some_and(|table| table.columns.iter().any(|known| known.eq_ignore_ascii_case(name)));
        column || item.alias.eq_ignore_ascii_case(name)
    }

    /// Puts views in the place of tables, and keeps watched expressions off hidden rows.
    pub(super) fn keep(
        &mut self,
        select: &mut Select,
        block: &Block,
        keep: Keep,
        conjuncts: Vec<Safety>,
    ) -> Result<()> {
        let names = self.rules.names;
        let inner = block.items.iter().any(|item| item.inner);
        if inner && block.merged {
            return Err(refused("`rowid` beside USING or NATURAL; write ON"));
        }
        if keep == Keep::Case || inner || (block.view.is_some() && keep == Keep::Nothing) {
            expand_wildcards(select, &block.items, |position| {
                self.rules.host.tables.get(position).map(|table| table.columns.as_slice())
            });
        }
        if keep == Keep::Case {
            let mut conjuncts = conjuncts.into_iter();
            if let (Some(selection), Some(visible)) = (&mut select.selection, visible(names, &block.items)) {
                guard_conjuncts(selection, &visible, &mut conjuncts);
            }
            let mut seen = 0;
            for from in &mut select.from {
                seen += 1;
                for join in &mut from.joins {
                    // An ON clause may not name tables to its right.
                    seen += 1;
                    let visible = visible(names, block.items.get(..seen).unwrap_or(&block.items));
                    if let (Some(JoinConstraint::On(on)), Some(visible)) =
                        (constraint(&mut join.join_operator)?, visible)
                    {
                        guard_conjuncts(on, &visible, &mut conjuncts);
                    }
                }
            }
        }
        for from in &mut select.from {
            self.place_all(from, block, keep)?;
        }
        Ok(())
    }

    fn place_all(&mut self, from: &mut TableWithJoins, block: &Block, keep: Keep) -> Result<()> {
        self.place(&mut from.relation, block, keep)?;
        for join in &mut from.joins {
            self.place(&mut join.relation, block, keep)?;
        }
        Ok(())
    }

    fn place(&mut self, factor: &mut TableFactor, block: &Block, keep: Keep) -> Result<()> {
        let Rules { names, role, known, .. } = self.rules;
        match factor {
            TableFactor::Table { args: Some(args), alias, .. } => {
                // What stands to the right may depend on this item, unless its arguments speak of it.
                let shown = alias.as_ref().map(|alias| name_of(&alias.name)).unwrap_or_default();
                let before =
                    block.items.iter().position(|item| item.alias == shown).unwrap_or(block.items.len());
                let spoken = spoken_of(args);
                let near =
                    block.items.iter().enumerate().filter(|(at, item)| {
                        *at < before || spoken.iter().any(|name| self.has_name(item, name))
                    });
                if let (Keep::Case, Some(visible)) = (keep, visible(names, near.map(|(_, item)| item))) {
                    wrap_arguments(&mut args.args, &visible);
                }
            }
            TableFactor::Table { name, alias: Some(alias), .. } => {
                let shown = name_of(&alias.name).to_owned();
                let item = block.items.iter().find(|item| item.alias == shown);
                let Some(Item { table: Some(position), inner, .. }) = item else { return Ok(()) };
                let (position, inner) = (*position, *inner || keep == Keep::Case);
                let view = if let Some(view) = block.view.filter(|_| keep != Keep::Barrier) {
                    self.need(Need::Inner(position, view, known));
                    self.rules.inner(position, view)
                } else if inner {
                    self.need(Need::Inner(position, View::Select, known));
                    self.rules.inner(position, View::Select)
                } else {
                    self.need(Need::Outer(position, known));
                    self.rules.outer(position)
                };
                match keep {
                    Keep::Case | Keep::Nothing => *name = single(&view),
                    Keep::Barrier => {
                        let table = self.rules.host.tables.get(position);
                        let columns = table.map_or(Columns::All, |table| {
                            self.rules.lowered.columns(&table.name, role, Command::Select)
                        });
                        *factor = fenced(&view, &shown, &columns)?;
                    }
                }
            }
            TableFactor::Derived { subquery, .. } if keep != Keep::Nothing => barrier(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.place_all(table_with_joins, block, keep)?
            }
            _ => {}
        }
        Ok(())
    }
}

fn wrap_arguments(arguments: &mut [FunctionArg], visible: &Expr) {
    for argument in arguments {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
            && !matches!(expr, Expr::Value(_))
        {
            wrap(expr, visible);
        }
    }
}

fn plain_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: text::quoted(name), columns: Vec::new(), at: None }
}

fn check_alias(alias: Option<&TableAlias>) -> Result<()> {
    match alias {
        Some(alias) if !alias.columns.is_empty() || alias.at.is_some() => {
            Err(refused("column names behind an alias in FROM; write WITH name(a, b) AS (..)"))
        }
        Some(alias) if name_of(&alias.name).contains(['"', '\'']) => Err(refused("a quote in an alias")),
        _ => Ok(()),
    }
}

fn plain_factor(factor: &TableFactor) -> Result<()> {
    match factor {
        TableFactor::Table { with_hints, version, with_ordinality, partitions, .. }
            if !with_hints.is_empty() || version.is_some() || *with_ordinality || !partitions.is_empty() =>
        {
            Err(refused("hints, versions or partitions in FROM"))
        }
        _ => Ok(()),
    }
}

pub(super) fn constraint(operator: &mut JoinOperator) -> Result<Option<&mut JoinConstraint>> {
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

/// The aliases that the arguments of a table-valued function name, and the columns that stand there alone.
fn spoken_of(args: &TableFunctionArgs) -> Vec<String> {
    let mut names = Vec::new();
    let _ = visit_expressions(&args.args, |expr| {
        match expr {
            Expr::CompoundIdentifier(parts) => names.extend(parts.first().map(|table| table.value.clone())),
            Expr::Identifier(column) => names.push(column.value.clone()),
            _ => {}
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    names
}

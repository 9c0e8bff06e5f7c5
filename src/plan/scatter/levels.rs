//! Which level of a statement an aggregate in a subquery belongs to: that of its arguments, which may be outside.
//!
//! Used by [`super::expression`]. `SELECT (SELECT sum(t.x)) FROM t` is one row, as `SELECT sum(t.x) FROM t` is.
//!
//! Invariants:
//! 1. An aggregate is its subquery's only where one of its columns surely is, or it has none.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins,
    visit_expressions,
};

use super::expression::{folded, object_name};
use crate::plan::PlanningContext;

/// What the FROM of a subquery brings, by name.
#[derive(Debug, Default)]
pub(super) struct Level {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: Option<String>,
    /// Those that are surely there.
    columns: Vec<String>,
}

impl Level {
    /// Of a set operation nothing is known: its parts have levels of their own.
    pub fn of(query: &Query, ctx: &PlanningContext) -> Self {
        let mut level = Self::default();
        if let SetExpr::Select(select) = &*query.body {
            select.from.iter().for_each(|table| level.add(table, query, ctx));
        }
        level
    }

    fn add(&mut self, table: &TableWithJoins, query: &Query, ctx: &PlanningContext) {
        let joined = table.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&table.relation).chain(joined) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None, .. } => {
                    self.add(table_with_joins, query, ctx);
                }
                _ => self.sources.extend(source(factor, query, ctx)),
            }
        }
    }

    fn has(&self, parts: &[String]) -> bool {
        match parts {
            [column] => self.sources.iter().any(|source| source.columns.contains(column)),
            [.., table, _] => self.sources.iter().any(|source| source.name.as_ref() == Some(table)),
            [] => false,
        }
    }
}

fn source(factor: &TableFactor, query: &Query, ctx: &PlanningContext) -> Option<Source> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let name = object_name(name)?;
            let of_with = |with: &sqlparser::ast::With| {
                with.cte_tables.iter().any(|part| folded(&part.alias.name) == name.name)
            };
            let shadowed = query.with.as_ref().is_some_and(of_with);
            let info = ctx.catalog.resolve(&name, &ctx.search_path).filter(|_| !shadowed);
            let columns = info.into_iter().flat_map(|info| &info.columns).map(|column| column.name.clone());
            Some(named(alias.as_ref(), Some(name.name.clone()), columns.collect()))
        }
        TableFactor::Derived { subquery, alias, .. } => {
            let select = match &*subquery.body {
                SetExpr::Select(select) => Some(select),
                _ => None,
            };
            let columns = select.into_iter().flat_map(|select| outputs(select)).collect();
            Some(named(alias.as_ref(), None, columns))
        }
        TableFactor::Function { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::Table { alias, .. } => {
            let alias = alias.as_ref()?;
            // A function of one column: the alias is the column's name, too.
            Some(named(Some(alias), None, vec![folded(&alias.name)]))
        }
        _ => None,
    }
}

/// An alias may rename the columns.
fn named(alias: Option<&TableAlias>, name: Option<String>, columns: Vec<String>) -> Source {
    match alias {
        None => Source { name, columns },
        Some(alias) => {
            let renamed: Vec<_> = alias.columns.iter().map(|column| folded(&column.name)).collect();
            let columns = if renamed.is_empty() { columns } else { renamed };
            Source { name: Some(folded(&alias.name)), columns }
        }
    }
}

/// Names of columns that a query surely has.
fn outputs(select: &Select) -> impl Iterator<Item = String> {
    select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        _ => None,
    })
}

/// Whether an aggregate within these levels, the outermost first, may belong outside of all of them.
pub(super) fn may_be_outside(levels: &[Level], aggregate: &Function) -> bool {
    let (mut columns, mut inside) = (false, false);
    let _ = visit_expressions(aggregate, |expr| {
        let parts = match expr {
            Expr::Identifier(name) => vec![folded(name)],
            Expr::CompoundIdentifier(parts) => parts.iter().map(folded).collect(),
            _ => return ControlFlow::<()>::Continue(()),
        };
        columns = true;
        inside |= levels.iter().any(|level| level.has(&parts));
        ControlFlow::Continue(())
    });
    let rows = super::expression::has_row_argument(aggregate);
    (columns || rows) && !inside
}

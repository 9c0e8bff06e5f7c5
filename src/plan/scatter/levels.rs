//! Which level of a statement an aggregate in a subquery belongs to: that of its arguments, which may be outside.
//!
//! Used by [`super::expression`]. `SELECT (SELECT sum(t.x)) FROM t` is one row, as `SELECT sum(t.x) FROM t` is.
//!
//! Invariants:
//! 1. Of what a query's WITH and FROM hold nothing sees its sources; LATERAL makes no difference here.
//! 2. An aggregate is its subquery's only where one of its columns surely is, or it has none.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Visit,
    Visitor, With, visit_expressions,
};

use super::expression::{folded, object_name};
use crate::plan::PlanningContext;

/// Built-in functions whose only column has no name of its own and is no row.
const SINGLE_COLUMNS: &[&str] =
    &["generate_series", "generate_subscripts", "regexp_split_to_table", "string_to_table"];

/// What the FROM of a subquery brings, by name.
#[derive(Debug, Default)]
pub(super) struct Level {
    sources: Vec<Source>,
    /// Names that its WITH brings, which hide tables.
    ctes: Vec<String>,
    /// Queries of its own that do not see its sources: in WITH and in FROM.
    blind: Vec<*const Query>,
    /// It is such a one of the level around it.
    is_blind: bool,
}

/// The queries of a part, but not those inside of them.
struct Queries {
    found: Vec<*const Query>,
    depth: u32,
}

impl Visitor for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.found.push(query);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

#[derive(Debug)]
struct Source {
    name: Option<String>,
    /// Those that are surely there.
    columns: Vec<String>,
}

impl Level {
    /// Of a set operation nothing is known: its parts have levels of their own.
    pub fn of(query: &Query, around: &[Self], ctx: &PlanningContext) -> Self {
        let mut level = Self::of_with(query.with.as_ref());
        level.is_blind = around.last().is_some_and(|outer| outer.blind.contains(&std::ptr::from_ref(query)));
        let mut inner = Queries { found: Vec::new(), depth: 0 };
        let _ = query.with.visit(&mut inner);
        if let SetExpr::Select(select) = &*query.body {
            let _ = select.from.visit(&mut inner);
            select.from.iter().for_each(|table| level.add(table, around, ctx));
        }
        level.blind = inner.found;
        level
    }

    /// Of a query that is only known to have this WITH.
    pub fn of_with(with: Option<&With>) -> Self {
        let ctes = with.into_iter().flat_map(|with| &with.cte_tables);
        Self::of_names(ctes.map(|cte| folded(&cte.alias.name)))
    }

    /// Of a query that is only known to see these queries of WITH.
    pub fn of_names(ctes: impl Iterator<Item = String>) -> Self {
        Self { ctes: ctes.collect(), ..Self::default() }
    }

    fn add(&mut self, table: &TableWithJoins, around: &[Self], ctx: &PlanningContext) {
        let joined = table.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&table.relation).chain(joined) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None, .. } => {
                    self.add(table_with_joins, around, ctx);
                }
                _ => {
                    let is_cte = |name: &String| {
                        std::iter::once(&*self).chain(around).any(|level| level.ctes.contains(name))
                    };
                    let source = source(factor, is_cte, ctx);
                    self.sources.extend(source);
                }
            }
        }
    }

    fn has(&self, parts: &[String]) -> bool {
        match parts {
            [column] => self.sources.iter().any(|source| source.columns.contains(column)),
            [table, _] => self.sources.iter().any(|source| source.name.as_ref() == Some(table)),
            // Of two schemas' tables of one name, either.
            _ => false,
        }
    }
}

fn source(factor: &TableFactor, is_cte: impl Fn(&String) -> bool, ctx: &PlanningContext) -> Option<Source> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let name = object_name(name)?;
            let hidden = name.schema.is_none() && is_cte(&name.name);
            let info = ctx.catalog.resolve(&name, &ctx.search_path).filter(|_| !hidden);
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
        TableFactor::Function { name, alias: Some(alias), .. }
        | TableFactor::Table { name, alias: Some(alias), args: Some(_), .. } => {
            // The alias is the column's name, too, where the result is no row and no OUT parameter names it.
            let single = object_name(name).is_some_and(|name| SINGLE_COLUMNS.contains(&name.name.as_str()));
            let columns = single.then(|| folded(&alias.name)).into_iter();
            Some(named(Some(alias), None, columns.collect()))
        }
        TableFactor::TableFunction { alias, .. } | TableFactor::UNNEST { alias, .. } => {
            Some(named(Some(alias.as_ref()?), None, Vec::new()))
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
        let within = levels.iter().skip(1).map(|level| level.is_blind).chain([false]);
        inside |= levels.iter().zip(within).any(|(level, blind)| !blind && level.has(&parts));
        ControlFlow::Continue(())
    });
    let rows = super::expression::has_row_argument(aggregate);
    (columns || rows) && !inside
}

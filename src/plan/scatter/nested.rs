//! A SELECT that reads nothing but the groups of another one: the server that finishes the groups computes it, too.
//!
//! ```text
//! SELECT count(*) FROM (SELECT city, count(*) AS n FROM rides GROUP BY city) AS c WHERE n > 100
//!     each shard   SELECT city, count(*) FROM rides GROUP BY city
//!     finished     SELECT count(*) FROM (SELECT p.c1, sum(p.c2)::bigint FROM … GROUP BY p.c1) AS c(city, n) WHERE n > 100
//! ```
//!
//! The inner SELECT stands in FROM or is the first part of WITH. The last choice of the merges: otherwise whole tables would
//! be gathered.
//!
//! Invariants:
//! 1. Besides the inner SELECT the statement names no table, and nothing that is not the same on every server.
//! 2. The inner columns have the names that PostgreSQL gives them, or this way is not taken.

use sqlparser::ast::{
    Ident, Query, Select, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
};

use crate::plan::PlanningContext;
use crate::sql::facts::{Block, Facts};
use crate::sql::parse::{facts_of_part, parse_tree};

use super::expression::{self, OutputName, quoted};
use super::select;
use super::{Combine, Level, OWN_NAMES, Scatter, scratch};

/// Stands for the inner SELECT while the text around it is printed.
const INNER: &str = "SELECT meridian__inner_";
/// What PostgreSQL calls a column that has no name.
const ANONYMOUS: &str = "?column?";

/// `text`: the statement as it is printed. None where it is not of this kind.
pub(super) fn compile(text: &str, whole: &Facts, ctx: &PlanningContext) -> Option<Scatter> {
    if text.contains(OWN_NAMES) {
        return None;
    }
    let mut tree = parse_tree(text)?;
    let query = select::single_block(&mut tree).ok()?;
    let inner = replace_inner(query)?;
    let outer = tree.to_string();
    let (before, after) = outer.split_once(INNER)?;
    if !reads_nothing(&tree, whole, ctx)? || after.contains(INNER) {
        return None;
    }
    let scatter =
        Scatter::of_part(&inner, whole, ctx, Level::Inner).or_else(|| compile(&inner, whole, ctx))?;
    let Combine::Finish(finish) = &scatter.combine else { return None };
    Some(Scatter { combine: Combine::Finish(finish.within(before, after)), visible_columns: None, ..scatter })
}

/// Takes the one inner SELECT out, and has its columns named where it stood. Its text.
fn replace_inner(query: &mut Query) -> Option<String> {
    if let Some(with) = &mut query.with {
        let first = with.cte_tables.first_mut().filter(|_| !with.recursive)?;
        return take(&mut first.query, &mut first.alias);
    }
    let select = select::select_of_mut(query).ok()?;
    let (subquery, alias) = derived(select)?;
    take(subquery, alias)
}

/// The one derived table in FROM.
fn derived(select: &mut Select) -> Option<(&mut Query, &mut TableAlias)> {
    let joined = select.from.iter_mut().flat_map(|item| {
        std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|join| &mut join.relation))
    });
    let mut found = joined.filter_map(|factor| match factor {
        TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None }
            if !matches!(*subquery.body, SetExpr::Values(_)) =>
        {
            Some((&mut **subquery, alias))
        }
        _ => None,
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn take(query: &mut Query, alias: &mut TableAlias) -> Option<String> {
    let names = select::select_of(query).ok()?.projection.iter().map(|item| match select::item_name(item)? {
        OutputName::Named(name) => Some(name),
        OutputName::Anonymous => Some(ANONYMOUS.to_owned()),
        OutputName::OneOf(_) | OutputName::Unsure => None,
    });
    let names = names.collect::<Option<Vec<String>>>()?;
    if alias.columns.len() > names.len() || alias.at.is_some() {
        return None;
    }
    let unnamed = names.iter().skip(alias.columns.len());
    let named: Vec<Ident> = unnamed.map(|name| quoted(name)).collect();
    alias.columns.extend(named.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }));
    let Statement::Query(marker) = &*parse_tree(INNER)? else { return None };
    let inner = std::mem::replace(query, (**marker).clone());
    Some(inner.to_string())
}

/// Whether what stands around the inner SELECT is the same whichever server computes it.
fn reads_nothing(outer: &Statement, whole: &Facts, ctx: &PlanningContext) -> Option<bool> {
    let facts = facts_of_part(outer, whole)?;
    let Statement::Query(query) = outer else { return None };
    let apart = expression::contents(&**query, ctx).server_dependent || scratch::looks_names_up(&facts);
    Some(!apart && names_no_table(&facts.block))
}

fn names_no_table(block: &Block) -> bool {
    block.relations.is_empty() && block.children.iter().all(names_no_table)
}

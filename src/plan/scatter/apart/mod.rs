//! Whether the union of what the shards answer is the answer: found in the statement's tree, level by level.
//!
//! A level (one SELECT) is *apart* if each shard computes a part of its rows, and every row on one shard only: at least
//! one sharded table is joined in, on the preserved side, and all of them by equality of keys with one placement. It is
//! the *same* everywhere if it reads reference tables only, or if an equality of keys pins it to the row around it:
//! `EXISTS (SELECT … FROM stops s WHERE s.region = r.region)` meets on the shard of `r` all rows that it can meet.
//!
//! ```text
//!   FROM ─▶ sources, grouped by equal keys (source)      ─▶ all sharded ones in one group?   apart : refused
//!   WHERE ─▶ a key of the group = a key of a level around ─▶ same (pinned)
//!   GROUP BY, DISTINCT, PARTITION BY that hold the key    ─▶ closed: what is computed stays on one shard
//! ```
//!
//! Invariants:
//! 1. A relation that cannot be resolved refuses; it is never taken for a reference table.
//! 2. A level inside another is the same everywhere, or apart and closed; else the statement is refused here.
//! 3. Of a level that is the same but not pinned nothing is taken that may differ between copies of the same rows: which
//!    rows a LIMIT keeps, or in which order an aggregate meets them.
//!
//! Not here: what the outermost select list does with the rows ([`super::compile`](super::Scatter::compile)).

mod closed;
mod key;
mod source;

use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, Expr, OrderBy, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, TableAlias, Visit,
    Visitor, With,
};

use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::sql::extract::has_foreign_clauses;

use super::expression::{self, OutputName, folded};
use super::refusals::Reason;
use super::select;

use key::Key;
use source::Level;

/// How the outermost level's rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Apart {
    /// So do the rows of the answer: each shard's whole answer, without ORDER BY and LIMIT, is a part of it.
    pub closed: bool,
    /// A subquery outside FROM and WHERE reads sharded tables: only a row's own shard can compute it.
    pub reads_beside: bool,
}

/// A column of the outermost FROM, by the name of its table there and its own.
pub(super) type Named = (String, String);

/// Looks through a query, which reads sharded tables in FROM. Also the columns of which equal values are on one shard.
pub(super) fn of(query: &Query, ctx: &PlanningContext) -> Result<(Apart, Vec<Named>), Refusal> {
    let analysis = Analysis { ctx };
    let found = analysis.query(query, &Around::default(), true)?;
    match found.lies {
        Lies::Same { .. } => Err(Reason::NotASelect.refusal("no sharded table in FROM")),
        Lies::Apart { closed } => Ok((Apart { closed, reads_beside: found.reads_beside }, found.parted)),
    }
}

/// How a level's rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// `reads`: sharded tables are behind it, of which only rows of one shard count.
    Same {
        reads: bool,
    },
    Apart {
        closed: bool,
    },
}

/// What a query gives to the level around it.
#[derive(Debug, Clone)]
struct Output<'a> {
    lies: Lies,
    /// None where they are not known; an empty name can be named by nobody.
    columns: Option<Vec<String>>,
    /// By position: output columns that hold a key of its own rows.
    keys: Vec<(usize, Key<'a>)>,
    reads_beside: bool,
    /// Columns of its own FROM of which equal values are on one shard.
    parted: Vec<Named>,
}

impl<'a> Output<'a> {
    /// Of columns that are not known.
    const fn same(reads: bool) -> Self {
        let lies = Lies::Same { reads };
        Self { lies, columns: None, keys: Vec::new(), reads_beside: false, parted: Vec::new() }
    }

    /// Columns renamed by `name (a, b)`.
    fn rename(&mut self, alias: &TableAlias) {
        match &mut self.columns {
            Some(columns) => {
                columns.iter_mut().zip(&alias.columns).for_each(|(column, new)| *column = folded(&new.name));
            }
            None if !alias.columns.is_empty() => self.keys.clear(),
            None => {}
        }
    }
}

/// What a query can see.
#[derive(Clone, Default)]
struct Around<'l, 'a> {
    level: Option<&'l Level<'l, 'a>>,
    /// Innermost last.
    ctes: Vec<(String, Output<'a>)>,
}

impl<'a> Around<'_, 'a> {
    /// Of what stands inside this level.
    fn inside<'n>(&self, level: &'n Level<'n, 'a>) -> Around<'n, 'a> {
        Around { level: Some(level), ctes: self.ctes.clone() }
    }
}

#[derive(Clone, Copy)]
struct Analysis<'a> {
    ctx: &'a PlanningContext,
}

impl<'a> Analysis<'a> {
    fn query(&self, query: &Query, around: &Around<'_, 'a>, outermost: bool) -> Result<Output<'a>, Refusal> {
        if !query.locks.is_empty() {
            return Err(Reason::Locking.refusal(""));
        }
        let mut around = around.clone();
        if let Some(with) = &query.with {
            self.enter_with(with, &mut around)?;
        }
        let found = match &*query.body {
            SetExpr::Select(select) => self.select(select, &query.order_by, outermost, &around)?,
            body => {
                let found = self.body(body, &around)?;
                if expression::contents(&query.order_by, self.ctx).subquery {
                    return Err(Reason::Subquery.refusal("in ORDER BY"));
                }
                found
            }
        };
        let bounds = Level::new(around.level);
        let counts = self.expressions(&query.limit_clause, &bounds, &around)?
            | self.expressions(&query.fetch, &bounds, &around)?;
        if counts && outermost {
            return Err(Reason::Subquery.refusal("in LIMIT"));
        }
        let cut = query.limit_clause.is_some() || query.fetch.is_some();
        match found.lies {
            Lies::Apart { closed } if !outermost && (cut || !closed) => Err(Reason::Subquery.refusal("")),
            Lies::Same { .. } if cut => self.only_for_one_row(query, &around).map(|()| found),
            _ => Ok(found),
        }
    }

    fn enter_with(&self, with: &With, around: &mut Around<'_, 'a>) -> Result<(), Refusal> {
        for Cte { alias, query, .. } in &with.cte_tables {
            let name = folded(&alias.name);
            if with.recursive {
                // Its own name is in scope: as rows that are the same everywhere, which holds if all that it reads is.
                around.ctes.push((name.clone(), Output::same(false)));
            }
            let mut output = self.query(query, around, false)?;
            if with.recursive {
                around.ctes.pop();
                if output.lies != (Lies::Same { reads: false }) {
                    return Err(Reason::Subquery.refusal("in WITH RECURSIVE"));
                }
            }
            output.rename(alias);
            around.ctes.push((name, output));
        }
        Ok(())
    }

    fn body(&self, body: &SetExpr, around: &Around<'_, 'a>) -> Result<Output<'a>, Refusal> {
        match body {
            SetExpr::Select(select) => self.select(select, &None, false, around),
            SetExpr::Query(query) => self.query(query, around, false),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let left = self.body(left, around)?;
                let right = self.body(right, around)?;
                combined(left, right, *op, *set_quantifier)
            }
            SetExpr::Values(values) => {
                let level = Level::new(around.level);
                let reads = self.expressions(&values.rows, &level, around)?;
                Ok(Output::same(reads))
            }
            _ => Err(Reason::NotASelect.refusal("")),
        }
    }

    /// One level, with the ORDER BY behind it.
    fn select(
        &self,
        select: &Select,
        order_by: &Option<OrderBy>,
        outermost: bool,
        around: &Around<'_, 'a>,
    ) -> Result<Output<'a>, Refusal> {
        if select.into.is_some() {
            return Err(Reason::Into.refusal(""));
        }
        if has_foreign_clauses(select) {
            return Err(Reason::Clause.refusal(""));
        }
        if !outermost && expression::contents(select, self.ctx).volatile {
            return Err(Reason::VolatileFunction.refusal("in a subquery"));
        }
        let mut level = Level::new(around.level);
        let mut reads = self.from(&select.from, &mut level, around)?;
        let mut pinned = false;
        for condition in select.selection.iter().flat_map(conjuncts) {
            reads |= self.condition(condition, &level, around)?;
            pinned |= level.equate(condition);
        }
        let mut beside = self.expressions(&select.projection, &level, around)?;
        beside |= self.expressions(&select.group_by, &level, around)?;
        beside |= self.expressions(&select.having, &level, around)?;
        beside |= self.expressions(&select.distinct, &level, around)?;
        beside |= self.expressions(&select.named_window, &level, around)?;
        beside |= self.expressions(order_by, &level, around)?;
        let sharded = level.sharded()?;
        let lies = match sharded {
            false => Lies::Same { reads: reads || beside },
            true if pinned || level.is_pinned() => Lies::Same { reads: true },
            true => Lies::Apart { closed: closed::is_closed(select, order_by, &level, around, self.ctx) },
        };
        if matches!(lies, Lies::Same { .. }) && !sharded && closed::may_differ(select, self.ctx) {
            self.only_for_one_row(select, around)?;
        }
        let (columns, keys) = level.output(&select.projection);
        let keys = if matches!(lies, Lies::Apart { .. }) { keys } else { Vec::new() };
        let parted = if outermost { level.parted() } else { Vec::new() };
        Ok(Output { lies, columns, keys, reads_beside: beside, parted })
    }

    /// A part of WHERE; whether it reads sharded tables. NULL counts as false there, so `key IN (SELECT key …)` needs only
    /// the rows of its own shard: what stands on another equals no key here.
    fn condition(
        &self,
        condition: &Expr,
        level: &Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let Expr::InSubquery { expr, subquery, negated: false } = condition else {
            return self.expressions(condition, level, around);
        };
        let beside = self.expressions(&**expr, level, around)?;
        let found = self.query(subquery, &around.inside(level), false)?;
        if let Lies::Same { reads } = found.lies {
            return Ok(reads || beside);
        }
        let left = match &**expr {
            Expr::Tuple(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let meets = |(position, key): &(usize, Key<'a>)| {
            let own = left.get(*position).and_then(|expr| level.own_key(expr));
            own.is_some_and(|own| own.meets(key))
        };
        match found.keys.iter().any(meets) {
            true => Ok(true),
            false => Err(Reason::Subquery.refusal("")),
        }
    }

    /// Subqueries in expressions: each must be the same everywhere. Whether one reads sharded tables.
    fn expressions<T: Visit>(
        &self,
        node: &T,
        level: &Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let around = around.inside(level);
        let mut subqueries = Subqueries { analysis: *self, around: &around, depth: 0, reads: false };
        match node.visit(&mut subqueries) {
            ControlFlow::Continue(()) => Ok(subqueries.reads),
            ControlFlow::Break(refusal) => Err(refusal),
        }
    }

    /// What differs between copies of the same rows may be asked for each row around it, not once for all.
    fn only_for_one_row<T: Visit>(&self, node: &T, around: &Around<'_, 'a>) -> Result<(), Refusal> {
        match around.level.is_some_and(|level| level.is_mentioned(node)) {
            true => Ok(()),
            false => Err(Reason::Subquery.refusal("whose rows may be others on each copy of its tables")),
        }
    }
}

/// A set operation: equal rows must be on one shard, unless all are kept.
fn combined<'a>(
    left: Output<'a>,
    right: Output<'a>,
    op: SetOperator,
    quantifier: SetQuantifier,
) -> Result<Output<'a>, Refusal> {
    let refused = || Reason::SetOperation.refusal("");
    if matches!(quantifier, SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName)
    {
        return Err(refused());
    }
    let reads_beside = left.reads_beside || right.reads_beside;
    let both = |(position, key): &(usize, Key<'a>)| {
        let theirs = right.keys.iter().find(|(other, theirs)| other == position && key.meets(theirs));
        theirs.map(|(_, theirs)| (*position, Key { nulls: key.nulls.and(theirs.nulls), ..*key }))
    };
    let keys: Vec<(usize, Key<'a>)> = left.keys.iter().filter_map(both).collect();
    let lies = match (left.lies, right.lies) {
        (Lies::Same { reads: a }, Lies::Same { reads: b }) => Lies::Same { reads: a || b },
        (Lies::Apart { closed: true }, Lies::Apart { closed: true }) => {
            let all = op == SetOperator::Union && quantifier == SetQuantifier::All;
            match all || keys.iter().any(|(_, key)| key.is_fixed()) {
                true => Lies::Apart { closed: true },
                false => return Err(refused()),
            }
        }
        _ => return Err(refused()),
    };
    Ok(Output { lies, columns: left.columns, keys, reads_beside, parted: Vec::new() })
}

/// The parts of a conjunction.
fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut rest = vec![condition];
    while let Some(expr) = rest.pop() {
        match expr {
            Expr::Nested(inner) => rest.push(inner),
            Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::And, right } => {
                rest.push(right);
                rest.push(left);
            }
            _ => parts.push(expr),
        }
    }
    parts
}

struct Subqueries<'s, 'l, 'a> {
    analysis: Analysis<'a>,
    around: &'s Around<'l, 'a>,
    depth: usize,
    reads: bool,
}

impl Visitor for Subqueries<'_, '_, '_> {
    type Break = Refusal;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        self.depth += 1;
        if self.depth > 1 {
            return ControlFlow::Continue(());
        }
        match self.analysis.query(query, self.around, false) {
            Ok(Output { lies: Lies::Same { reads }, .. }) => {
                self.reads |= reads;
                ControlFlow::Continue(())
            }
            Ok(_) => ControlFlow::Break(Reason::Subquery.refusal("")),
            Err(refusal) => ControlFlow::Break(refusal),
        }
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Refusal> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// The name of an output column as the level around it can write it.
fn output_name(item: &SelectItem) -> Option<String> {
    match select::item_name(item)? {
        OutputName::Named(name) => Some(name),
        OutputName::Anonymous => Some(String::new()),
        OutputName::OneOf(_) | OutputName::Unsure => None,
    }
}

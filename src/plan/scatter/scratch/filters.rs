//! Conditions that the shards may apply before their rows are gathered.
//!
//! A condition of WHERE, or of a join's ON, that speaks of one table only is asked of the shards already: the row that
//! fails it cannot be in the answer. A table that the statement names several times is asked for the rows that any of
//! the places may need; where one place demands nothing, all rows are.
//!
//! ```text
//! FROM rides r JOIN drivers d ON d.id = r.driver_id AND d.rating > 4 WHERE r.fare > 10
//!     rides   WHERE ((fare > 10))          drivers   WHERE ((rating > 4))
//! ```
//!
//! An equality of columns of two tables makes a link ([`super::tied`]): of the table that it finds nothing in, the keys of the
//! other are all that is needed. Which way it is used, if at all, is decided when it runs ([`super::links`]).
//!
//! Invariants:
//! 1. A condition of WHERE is pushed only to a table whose rows no outer join of its level may leave without a partner.
//! 2. A condition is pushed only if everything in it is known: columns of that table, values, built-in functions.
//! 3. What is never run needs no rows.
//! 4. Where a place of a table was not seen in the tree, nothing is pushed to it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Query, Select, SetExpr, TableFactor, VisitMut,
    VisitorMut,
};

use crate::plan::PlanningContext;
use crate::sql::parse::{Parsed, parse_tree, with_stack};
use crate::sql::render::prints_as_read;

use super::super::expression::folded;
use super::super::{STACK_BASE, STACK_MAX, STACK_PER_BYTE};
use super::Found;
use super::cut::{self, Cut};
use super::idle;
use super::links::Link;
use super::places::{Place, Tables};
use super::tied::{Level, On};

/// What the text needs of a table's rows.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub filter: Option<String>,
    pub links: Vec<Link>,
    pub cut: Option<Cut>,
}

/// For each table.
pub(super) fn of(parsed: &Parsed, found: &[Found<'_>], ctx: &PlanningContext) -> Vec<Needs> {
    let none = || found.iter().map(|_| Needs::default()).collect();
    let Some(text) = parsed.text.as_deref() else { return none() };
    let Some(mut tree) = parse_tree(text) else { return none() };
    with_stack((STACK_BASE + text.len() * STACK_PER_BYTE).min(STACK_MAX), || {
        if !prints_as_read(text, &tree) {
            return none();
        }
        let places = found.iter().map(|_| Places::default()).collect();
        let mut collector = Collector {
            tables: Tables { found, ctx },
            places,
            cte_names: Vec::new(),
            idle: false,
            cuts: Vec::new(),
            around: Vec::new(),
            hidden: Vec::new(),
        };
        let _ = VisitMut::visit(&mut *tree, &mut collector);
        collector.needs()
    })
}

/// What the places of one table demand.
#[derive(Debug, Default)]
struct Places {
    seen: usize,
    /// A place demands nothing.
    everything: bool,
    demands: Vec<String>,
    links: Vec<Link>,
    cut: Option<Cut>,
}

struct Collector<'c, 'a> {
    tables: Tables<'c, 'a>,
    places: Vec<Places>,
    /// Names of CTEs anywhere: a table of such a name may be one.
    cte_names: Vec<String>,
    /// What is visited is never run ([`idle`]).
    idle: bool,
    /// Of the queries around, innermost last: the cut that its own level may take.
    cuts: Vec<Option<Cut>>,
    /// The levels that what is visited can see, innermost last.
    around: Vec<Option<Vec<Place>>>,
    /// Those that a table in FROM cannot see, which is not LATERAL.
    hidden: Vec<Option<Vec<Place>>>,
}

impl VisitorMut for Collector<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let names = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| folded(&cte.alias.name));
        self.cte_names.extend(names);
        for mut part in idle::take(query) {
            let around = std::mem::replace(&mut self.idle, true);
            let _ = VisitMut::visit(&mut part, self);
            self.idle = around;
        }
        let cut = self.cut_of(query);
        self.cuts.push(cut);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.cuts.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let cut = self.cuts.last_mut().and_then(Option::take);
        let places = self.level(select, cut);
        self.around.push(places);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: false, .. } = factor {
            let level = self.around.pop();
            self.hidden.push(level.flatten());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: false, .. } = factor {
            self.around.extend(self.hidden.pop());
        }
        ControlFlow::Continue(())
    }
}

impl Collector<'_, '_> {
    fn needs(self) -> Vec<Needs> {
        let Self { tables: Tables { found, .. }, places, cte_names, .. } = self;
        let ambiguous = |found: &Found<'_>| cte_names.contains(&found.info.name.name);
        let needs = |(own, places): (&Found<'_>, Places)| {
            let is_known = places.seen == own.relations.len() && !own.by_view && !ambiguous(own);
            let filtered = is_known && !places.everything && !places.demands.is_empty();
            let mut demands = places.demands;
            demands.dedup();
            let mut links = places.links;
            links.retain(|link| is_known && places.seen == 1 && !ambiguous(&found[link.by]));
            let cut = places.cut.filter(|_| is_known && places.seen == 1);
            Needs { filter: filtered.then(|| demands.join(" OR ")), links, cut }
        };
        found.iter().zip(places).map(needs).collect()
    }

    /// The cut of a query over one table and nothing else, if the shards apply its conditions.
    fn cut_of(&self, query: &Query) -> Option<Cut> {
        let SetExpr::Select(select) = &*query.body else { return None };
        let places = self.tables.only(select)?;
        cut::of(query, self.tables.ctx, |expr| {
            let place = self.tables.place_of(expr, &places);
            place.map(|_| {
                let mut own = expr.clone();
                let _ = VisitMut::visit(&mut own, &mut Unqualify);
                own.to_string()
            })
        })
    }

    /// One SELECT: its tables, and what its conditions demand of them.
    fn level(&mut self, select: &mut Select, cut: Option<Cut>) -> Option<Vec<Place>> {
        let (places, understood) = self.tables.of(select);
        let mut level = Level { places, around: &self.around, inside: Vec::new() };
        let mut applied = true;
        if understood {
            let mut at = 0;
            for item in &mut select.from {
                at += 1;
                for join in &mut item.joins {
                    let optional = is_left(join);
                    if let Some(condition) = condition_of(join) {
                        applied &= self.demand(condition, &mut level, Some(On { place: at, optional }));
                    }
                    at += 1;
                }
            }
            if let Some(condition) = &mut select.selection {
                applied &= self.demand(condition, &mut level, None);
            }
        }
        let mut cut = cut.filter(|_| applied);
        let Level { mut places, inside, .. } = level;
        inside.into_iter().for_each(|(table, link)| self.places[table].links.push(link));
        for place in &mut places {
            let Some(table) = place.table else { continue };
            let known = &mut self.places[table];
            known.seen += 1;
            if self.idle {
                known.demands.push("(false)".to_owned());
                continue;
            }
            known.everything |= place.demands.is_empty();
            known.demands.push(format!("({})", place.demands.join(" AND ")));
            known.links.append(&mut place.links);
            known.cut = cut.take();
        }
        understood.then_some(places)
    }

    /// Takes a condition apart. `joined`: it is an ON, and holds of no other place. Whether the shards apply all of it.
    fn demand(&self, condition: &mut Expr, level: &mut Level<'_>, joined: Option<On>) -> bool {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let left = self.demand(left, level, joined);
                self.demand(right, level, joined) && left
            }
            Expr::Nested(inner) => self.demand(inner, level, joined),
            _ => {
                let Some(place) = self.tables.place_of(condition, &level.places) else {
                    level.tie(condition, joined, self.tables);
                    return false;
                };
                let applies = match joined {
                    Some(on) => on.place == place,
                    None => !level.places[place].nullable,
                };
                if applies {
                    let _ = VisitMut::visit(condition, &mut Unqualify);
                    level.places[place].demands.push(format!("({condition})"));
                }
                applies
            }
        }
    }
}

fn is_left(join: &Join) -> bool {
    matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_))
}

/// ON of a join whose right side is one table; not of the kinds of join that keep the right side's rows without it.
fn condition_of(join: &mut Join) -> Option<&mut Expr> {
    use JoinOperator::{Inner, Left, LeftOuter};
    match &mut join.join_operator {
        JoinOperator::Join(constraint) | Inner(constraint) | Left(constraint) | LeftOuter(constraint) => {
            match constraint {
                JoinConstraint::On(condition) => Some(condition),
                JoinConstraint::Using(_) | JoinConstraint::Natural | JoinConstraint::None => None,
            }
        }
        _ => None,
    }
}

/// The table stands alone in the shards' text: its columns need no qualifier.
struct Unqualify;

impl VisitorMut for Unqualify {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some(column) = parts.pop()
        {
            *expr = Expr::Identifier(column);
        }
        ControlFlow::Continue(())
    }
}

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
//! An equality of columns of two tables makes a link: of the table that it finds nothing in, the keys of the other are all
//! that is needed. Which way it is used, if at all, is decided when it runs ([`super::links`]).
//!
//! Invariants:
//! 1. A condition of WHERE is pushed only to a table whose rows no outer join of its level may leave without a partner.
//! 2. A condition is pushed only if everything in it is known: columns of that table, values, built-in functions.
//! 3. What is never run needs no rows.
//! 4. Where a place of a table was not seen in the tree, nothing is pushed to it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Query, Select, SetExpr, TableFactor,
    TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::catalog::{FunctionKind, Volatility};
use crate::plan::PlanningContext;
use crate::sql::parse::{Parsed, parse_tree, with_stack};
use crate::sql::render::prints_as_read;

use super::super::expression::{folded, object_name};
use super::super::functions::{Steadiness, steadiness};
use super::super::{STACK_BASE, STACK_MAX, STACK_PER_BYTE};
use super::cut::{self, Cut};
use super::idle;
use super::links::Link;
use super::{Found, position_of};

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
        let mut collector =
            Collector { found, ctx, places, cte_names: Vec::new(), idle: false, cuts: Vec::new() };
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
    found: &'c [Found<'a>],
    ctx: &'c PlanningContext,
    places: Vec<Places>,
    /// Names of CTEs anywhere: a table of such a name may be one.
    cte_names: Vec<String>,
    /// What is visited is never run ([`idle`]).
    idle: bool,
    /// Of the queries around, innermost last: the cut that its own level may take.
    cuts: Vec<Option<Cut>>,
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
        self.level(select, cut);
        ControlFlow::Continue(())
    }
}

/// A table in FROM, at one place.
struct Place {
    /// Which of the gathered tables; None: something else.
    table: Option<usize>,
    /// As columns are qualified with it.
    name: String,
    /// Its rows may be missing: conditions of WHERE do not hold of them.
    nullable: bool,
    demands: Vec<String>,
    links: Vec<Link>,
}

impl Collector<'_, '_> {
    fn needs(self) -> Vec<Needs> {
        let Self { found, places, cte_names, .. } = self;
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
        let places = self.only_place(select)?;
        cut::of(query, self.ctx, |expr| {
            let place = self.place_of(expr, &places);
            place.map(|_| {
                let mut own = expr.clone();
                let _ = VisitMut::visit(&mut own, &mut Unqualify);
                own.to_string()
            })
        })
    }

    /// The only table in FROM.
    fn only_place(&self, select: &Select) -> Option<Vec<Place>> {
        let [TableWithJoins { relation, joins }] = select.from.as_slice() else { return None };
        let TableFactor::Table { sample: None, .. } = relation else { return None };
        let mut places = Vec::new();
        (joins.is_empty() && self.note(relation, false, &mut places)).then_some(places)
    }

    /// One SELECT: its tables, and what its conditions demand of them.
    fn level(&mut self, select: &mut Select, cut: Option<Cut>) {
        let mut places = Vec::new();
        let mut applied = true;
        let mut simple = true;
        for item in &select.from {
            simple &= self.enter(item, &mut places);
        }
        if simple {
            let mut at = 0;
            for item in &mut select.from {
                at += 1;
                for join in &mut item.joins {
                    let optional = is_left(join);
                    if let Some(condition) = condition_of(join) {
                        applied &= self.demand(condition, &mut places, Some(On { place: at, optional }));
                    }
                    at += 1;
                }
            }
            if let Some(condition) = &mut select.selection {
                applied &= self.demand(condition, &mut places, None);
            }
        }
        let mut cut = cut.filter(|_| applied);
        for place in places {
            let Some(table) = place.table else { continue };
            let known = &mut self.places[table];
            known.seen += 1;
            if self.idle {
                known.demands.push("(false)".to_owned());
                continue;
            }
            known.everything |= place.demands.is_empty();
            known.demands.push(format!("({})", place.demands.join(" AND ")));
            known.links.extend(place.links);
            known.cut = cut.take();
        }
    }

    /// Notes the tables of an item of FROM in order. False where a join is not understood: then nothing is demanded.
    fn enter(&self, item: &TableWithJoins, places: &mut Vec<Place>) -> bool {
        let first = places.len();
        let mut simple = self.note(&item.relation, false, places);
        for join in &item.joins {
            use JoinOperator::{CrossJoin, FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
            let (before, after) = match &join.join_operator {
                JoinOperator::Join(_) | Inner(_) | CrossJoin(_) => (false, false),
                Left(_) | LeftOuter(_) => (false, true),
                Right(_) | RightOuter(_) => (true, false),
                FullOuter(_) => (true, true),
                _ => {
                    simple = false;
                    (true, true)
                }
            };
            places[first..].iter_mut().for_each(|place| place.nullable |= before);
            simple &= self.note(&join.relation, after, places);
        }
        simple
    }

    fn note(&self, factor: &TableFactor, nullable: bool, places: &mut Vec<Place>) -> bool {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let table = position_of(self.found, name, self.ctx);
                let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                let called = match alias {
                    Some(alias) => folded(&alias.name),
                    None => object_name(name).map(|name| name.name).unwrap_or_default(),
                };
                places.push(Place { table, name: called, nullable, demands: Vec::new(), links: Vec::new() });
                !renamed
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.enter(table_with_joins, places);
                false
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => {
                let name = alias.as_ref().map(|alias| folded(&alias.name)).unwrap_or_default();
                places.push(Place { table: None, name, nullable, demands: Vec::new(), links: Vec::new() });
                true
            }
            _ => false,
        }
    }

    /// Takes a condition apart. `joined`: it is an ON, and holds of no other place. Whether the shards apply all of it.
    fn demand(&self, condition: &mut Expr, places: &mut [Place], joined: Option<On>) -> bool {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let left = self.demand(left, places, joined);
                self.demand(right, places, joined) && left
            }
            Expr::Nested(inner) => self.demand(inner, places, joined),
            _ => {
                let Some(place) = self.place_of(condition, places) else {
                    self.link(condition, places, joined);
                    return false;
                };
                let applies = match joined {
                    Some(on) => on.place == place,
                    None => !places[place].nullable,
                };
                if applies {
                    let _ = VisitMut::visit(condition, &mut Unqualify);
                    places[place].demands.push(format!("({condition})"));
                }
                applies
            }
        }
    }

    /// Notes an equality of columns of two places. Rows of the one without a partner in the other do not count.
    fn link(&self, condition: &Expr, places: &mut [Place], joined: Option<On>) {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return };
        let (Some(left), Some(right)) = (self.column_at(left, places), self.column_at(right, places)) else {
            return;
        };
        for ((own, column), (other, their)) in [(&left, &right), (&right, &left)] {
            let applies = match joined {
                None => !places[*own].nullable && !places[*other].nullable,
                Some(on) if on.optional => on.place == *own,
                Some(on) => on.place == *own || on.place == *other,
            };
            let tables = places[*own].table.zip(places[*other].table);
            let Some((own_table, by)) = tables.filter(|(a, b)| applies && a != b) else { continue };
            let infos = (self.found[own_table].info, self.found[by].info);
            places[*own].links.extend(Link::new(infos, (column, their), by));
        }
    }

    /// The place and the name of a column, if it is one.
    fn column_at(&self, expr: &Expr, places: &[Place]) -> Option<(usize, String)> {
        let name = match expr {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(parts) => parts.last()?,
            _ => return None,
        };
        Some((self.place_of(expr, places)?, folded(name)))
    }

    /// The one place that a condition speaks of, if everything in it is known.
    fn place_of(&self, condition: &Expr, places: &[Place]) -> Option<usize> {
        let mut reader = Reader { collector: self, places, place: None };
        match Visit::visit(condition, &mut reader) {
            ControlFlow::Continue(()) => reader.place,
            ControlFlow::Break(()) => None,
        }
    }

    fn has_column(&self, place: &Place, column: &str) -> Option<bool> {
        let info = self.found[place.table?].info;
        Some(info.columns.iter().any(|known| known.name == column))
    }
}

/// The ON under which a condition stands.
#[derive(Clone, Copy)]
struct On {
    /// The right side of the join.
    place: usize,
    /// Of a left join: rows of the left side stay without a partner.
    optional: bool,
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

/// Finds the one place whose columns an expression reads; breaks where anything is not understood.
struct Reader<'r, 'c, 'a> {
    collector: &'r Collector<'c, 'a>,
    places: &'r [Place],
    place: Option<usize>,
}

impl Reader<'_, '_, '_> {
    fn reads(&mut self, place: usize) -> ControlFlow<()> {
        match self.place.replace(place) {
            None => ControlFlow::Continue(()),
            Some(other) if other == place => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }

    /// A bare name: one of these tables has such a column, and all others are known not to.
    fn bare(&mut self, column: &str) -> ControlFlow<()> {
        let mut owner = None;
        for (index, place) in self.places.iter().enumerate() {
            match self.collector.has_column(place, column) {
                Some(false) => {}
                Some(true) if owner.is_none() => owner = Some(index),
                Some(true) | None => return ControlFlow::Break(()),
            }
        }
        owner.map_or(ControlFlow::Break(()), |owner| self.reads(owner))
    }

    fn qualified(&mut self, qualifier: &str, column: &str) -> ControlFlow<()> {
        let mut named = self.places.iter().enumerate().filter(|(_, place)| place.name == qualifier);
        let (Some((index, place)), None) = (named.next(), named.next()) else {
            return ControlFlow::Break(());
        };
        match self.collector.has_column(place, column) {
            Some(true) => self.reads(index),
            Some(false) | None => ControlFlow::Break(()),
        }
    }
}

impl Visitor for Reader<'_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.bare(&folded(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [qualifier, column] => self.qualified(&folded(qualifier), &folded(column)),
                _ => ControlFlow::Break(()),
            },
            Expr::Function(function) => {
                let plain = function.over.is_none()
                    && function.filter.is_none()
                    && function.within_group.is_empty()
                    && object_name(&function.name).is_some_and(|name| {
                        let steady = steadiness(&name, super::super::expression::argument_count(function));
                        let known =
                            self.collector.ctx.catalog.function(&name, &self.collector.ctx.search_path);
                        let computes = known.is_some_and(|info| {
                            info.built_in
                                && info.volatility == Volatility::Immutable
                                && info.kind == FunctionKind::Function
                        });
                        computes || steady == Steadiness::Clock
                    });
                if plain { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
            Expr::BinaryOp {
                op: BinaryOperator::PGCustomBinaryOperator(_) | BinaryOperator::Custom(_),
                ..
            } => ControlFlow::Break(()),
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::BinaryOp { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
            | Expr::UnaryOp { .. }
            | Expr::Cast { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Collate { .. }
            | Expr::Nested(_)
            | Expr::Value(_)
            | Expr::TypedString(_)
            | Expr::Case { .. }
            | Expr::Interval(_)
            | Expr::Array(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
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

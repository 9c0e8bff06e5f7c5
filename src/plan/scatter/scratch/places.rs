//! The tables in FROM of a SELECT, and whose column a name or an expression means.
//!
//! Invariant: what is not certain is [`Whose::Unclear`]: a table of which the columns are not known may have any.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, JoinOperator, Query, Select, TableFactor, TableWithJoins, Visit, Visitor,
};

use crate::catalog::{FunctionKind, Volatility};
use crate::plan::PlanningContext;

use super::super::expression::{argument_count, folded, object_name};
use super::super::functions::{Steadiness, steadiness};
use super::links::Link;
use super::{Found, position_of};

/// A table in FROM, at one place.
pub(super) struct Place {
    /// Which of the gathered tables; None: something else.
    pub table: Option<usize>,
    /// As columns are qualified with it.
    pub name: String,
    /// Its rows may be missing: conditions of WHERE do not hold of them.
    pub nullable: bool,
    pub demands: Vec<String>,
    pub links: Vec<Link>,
}

impl Place {
    const fn new(table: Option<usize>, name: String, nullable: bool) -> Self {
        Self { table, name, nullable, demands: Vec::new(), links: Vec::new() }
    }
}

/// Whose a column is among the tables of one FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Of(usize),
    Unclear,
    /// Of a table around, if it is a column at all.
    Nobodys,
}

/// The gathered tables, by which places are known.
#[derive(Clone, Copy)]
pub(super) struct Tables<'c, 'a> {
    pub found: &'c [Found<'a>],
    pub ctx: &'c PlanningContext,
}

impl Tables<'_, '_> {
    /// The tables of a FROM in order, and whether all of it is understood.
    pub fn of(&self, select: &Select) -> (Vec<Place>, bool) {
        let mut places = Vec::new();
        let understood: Vec<bool> = select.from.iter().map(|item| self.enter(item, &mut places)).collect();
        (places, understood.iter().all(|known| *known))
    }

    /// The only table in FROM, with all its rows.
    pub fn only(&self, select: &Select) -> Option<Vec<Place>> {
        let [TableWithJoins { relation: TableFactor::Table { sample: None, .. }, joins }] =
            select.from.as_slice()
        else {
            return None;
        };
        let (places, understood) = self.of(select);
        (joins.is_empty() && understood).then_some(places)
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
                places.push(Place::new(table, called, nullable));
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
                places.push(Place::new(None, name, nullable));
                true
            }
            _ => false,
        }
    }

    /// Of a name; anything else is unclear.
    pub fn whose(&self, expr: &Expr, places: &[Place]) -> Whose {
        match expr {
            Expr::Identifier(name) => self.whose_bare(&folded(name), places),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [qualifier, column] => self.whose_qualified(&folded(qualifier), &folded(column), places),
                _ => Whose::Unclear,
            },
            _ => Whose::Unclear,
        }
    }

    /// One of these tables has such a column, and all others are known not to.
    fn whose_bare(&self, column: &str, places: &[Place]) -> Whose {
        let mut owner = Whose::Nobodys;
        for (index, place) in places.iter().enumerate() {
            match self.has_column(place, column) {
                Some(false) => {}
                Some(true) if owner == Whose::Nobodys => owner = Whose::Of(index),
                Some(true) | None => return Whose::Unclear,
            }
        }
        owner
    }

    fn whose_qualified(&self, qualifier: &str, column: &str, places: &[Place]) -> Whose {
        let mut named = places.iter().enumerate().filter(|(_, place)| place.name == qualifier);
        match (named.next(), named.next()) {
            (None, _) => Whose::Nobodys,
            (Some((index, place)), None) if self.has_column(place, column) == Some(true) => Whose::Of(index),
            _ => Whose::Unclear,
        }
    }

    /// The one place that an expression speaks of, if everything in it is known.
    pub fn place_of(&self, expr: &Expr, places: &[Place]) -> Option<usize> {
        let mut reader = Reader { tables: *self, places, place: None };
        match Visit::visit(expr, &mut reader) {
            ControlFlow::Continue(()) => reader.place,
            ControlFlow::Break(()) => None,
        }
    }

    fn has_column(&self, place: &Place, column: &str) -> Option<bool> {
        let info = self.found[place.table?].info;
        Some(info.columns.iter().any(|known| known.name == column))
    }
}

/// The name of a column without what qualifies it.
pub(super) fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

/// Finds the one place whose columns an expression reads; breaks where anything is not understood.
struct Reader<'r, 'c, 'a> {
    tables: Tables<'c, 'a>,
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
}

impl Visitor for Reader<'_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => match self.tables.whose(expr, self.places) {
                Whose::Of(place) => self.reads(place),
                Whose::Unclear | Whose::Nobodys => ControlFlow::Break(()),
            },
            Expr::Function(function) => {
                let plain = function.over.is_none()
                    && function.filter.is_none()
                    && function.within_group.is_empty()
                    && object_name(&function.name).is_some_and(|name| {
                        let steady = steadiness(&name, argument_count(function));
                        let known = self.tables.ctx.catalog.function(&name, &self.tables.ctx.search_path);
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

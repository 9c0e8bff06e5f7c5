//! Equalities by which rows of one table count only with rows of another: joins, and subqueries that are tied to the row around
//! them.
//!
//! ```text
//! FROM a JOIN b ON b.x = a.y                            a by b, b by a
//! FROM a WHERE EXISTS (SELECT … FROM b WHERE b.x = a.y)  a by b, b by a
//! FROM a WHERE NOT EXISTS (SELECT … WHERE b.x = a.y)     b by a: rows of b that meet no row of a are looked at in vain
//! SELECT (SELECT sum(b.z) FROM b WHERE b.x = a.y) FROM a b by a
//! FROM a WHERE a.y IN (SELECT b.x FROM b)                a by b, b by a
//! ```
//!
//! Not here: which of them is used, if any ([`super::links`]).

use sqlparser::ast::{BinaryOperator, Expr, Query, Select, SelectItem, SetExpr};

use super::cut;
use super::links::Link;
use super::places::{Place, Tables, Whose, column_name};

/// The ON under which a condition stands.
#[derive(Clone, Copy)]
pub(super) struct On {
    /// The right side of the join.
    pub place: usize,
    /// Of a left join: rows of the left side stay without a partner.
    pub optional: bool,
}

/// The levels around a SELECT, innermost last; None: one whose FROM is not understood.
pub(super) type Around = [Option<Vec<Place>>];

/// A level's tables while its conditions are read.
pub(super) struct Level<'l> {
    pub places: Vec<Place>,
    pub around: &'l Around,
    /// Of tables inside of subqueries: the table, and what limits it.
    pub inside: Vec<(usize, Link)>,
}

/// A column of a gathered table at one place.
struct Side {
    place: usize,
    table: usize,
    column: String,
}

impl Level<'_> {
    /// Notes what a condition, of which the shards can apply nothing, says of its tables.
    pub fn tie(&mut self, condition: &Expr, joined: Option<On>, tables: Tables<'_, '_>) {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                match (tables.side(left, &self.places), tables.side(right, &self.places)) {
                    (Some(left), Some(right)) => self.join(&left, &right, joined, tables),
                    (Some(own), None) => self.correlate(&own, right, joined, tables),
                    (None, Some(own)) => self.correlate(&own, left, joined, tables),
                    (None, None) => {}
                }
            }
            Expr::Exists { subquery, negated: false } if joined.is_none() => self.exists(subquery, tables),
            Expr::InSubquery { expr, subquery, negated: false } if joined.is_none() => {
                self.is_among(expr, subquery, tables);
            }
            _ => {}
        }
    }

    /// Columns of two places. Rows of the one without a partner in the other do not count.
    fn join(&mut self, left: &Side, right: &Side, joined: Option<On>, tables: Tables<'_, '_>) {
        for (own, other) in [(left, right), (right, left)] {
            let applies = match joined {
                None => !self.places[own.place].nullable && !self.places[other.place].nullable,
                Some(on) if on.optional => on.place == own.place,
                Some(on) => on.place == own.place || on.place == other.place,
            };
            if applies {
                let link = tables.link(own, other);
                self.places[own.place].links.extend(link);
            }
        }
    }

    /// A column of this level and one of a level around. Rows that meet no row there are looked at in vain.
    fn correlate(&mut self, own: &Side, other: &Expr, joined: Option<On>, tables: Tables<'_, '_>) {
        let applies = match joined {
            None => !self.places[own.place].nullable,
            Some(on) => on.place == own.place,
        };
        if !applies || tables.whose(other, &self.places) != Whose::Nobodys {
            return;
        }
        for level in self.around.iter().rev() {
            let Some(level) = level else { return };
            if let Some(other) = tables.side(other, level) {
                let link = tables.link(own, &other);
                self.places[own.place].links.extend(link);
                return;
            }
            if tables.whose(other, level) != Whose::Nobodys {
                return;
            }
        }
    }

    /// Rows for which the subquery is empty do not count.
    fn exists(&mut self, subquery: &Query, tables: Tables<'_, '_>) {
        let Some((select, inner)) = tables.rows_of(subquery) else { return };
        let mut equalities = Vec::new();
        select.selection.iter().for_each(|condition| equals(condition, &mut equalities));
        for (left, right) in equalities {
            for (their, own) in [(left, right), (right, left)] {
                let Some(their) = tables.side(their, &inner).filter(|side| !inner[side.place].nullable)
                else {
                    continue;
                };
                if tables.whose(own, &inner) == Whose::Nobodys {
                    self.limit(own, &their, tables);
                }
            }
        }
    }

    /// Rows whose value is not among the subquery's do not count; nor do those of the subquery that are nobody's value.
    fn is_among(&mut self, expr: &Expr, subquery: &Query, tables: Tables<'_, '_>) {
        let Some((select, inner)) = tables.rows_of(subquery) else { return };
        let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_slice()
        else {
            return;
        };
        let Some(their) = tables.side(item, &inner) else { return };
        if let Some(own) = self.limit(expr, &their, tables)
            && !inner[their.place].nullable
        {
            self.inside.extend(tables.link(&their, &own).map(|link| (their.table, link)));
        }
    }

    /// A column of this level is among those of a subquery.
    fn limit(&mut self, own: &Expr, their: &Side, tables: Tables<'_, '_>) -> Option<Side> {
        let own = tables.side(own, &self.places).filter(|own| !self.places[own.place].nullable)?;
        let link = tables.link(&own, their);
        self.places[own.place].links.extend(link);
        Some(own)
    }
}

impl Tables<'_, '_> {
    fn side(&self, expr: &Expr, places: &[Place]) -> Option<Side> {
        let Whose::Of(place) = self.whose(expr, places) else { return None };
        Some(Side { place, table: places[place].table?, column: column_name(expr)? })
    }

    fn link(&self, own: &Side, other: &Side) -> Option<Link> {
        if own.table == other.table || self.ctx.catalog.compares_otherwise {
            return None;
        }
        let infos = (self.found[own.table].info, self.found[other.table].info);
        Link::new(infos, (&own.column, &other.column), other.table)
    }

    /// The SELECT of a subquery that gives a row for each row of its FROM that passes WHERE, and its tables.
    fn rows_of<'q>(&self, subquery: &'q Query) -> Option<(&'q Select, Vec<Place>)> {
        let SetExpr::Select(select) = &*subquery.body else { return None };
        let whole = subquery.limit_clause.is_none() && subquery.fetch.is_none();
        let (places, understood) = self.of(select);
        (whole && understood && cut::keeps_rows(select, self.ctx)).then_some((&**select, places))
    }
}

/// The equalities among the parts of a condition that must all hold.
fn equals<'e>(condition: &'e Expr, found: &mut Vec<(&'e Expr, &'e Expr)>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equals(left, found);
            equals(right, found);
        }
        Expr::Nested(inner) => equals(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => found.push((left, right)),
        _ => {}
    }
}

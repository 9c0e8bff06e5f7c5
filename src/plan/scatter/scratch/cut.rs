//! LIMIT of a SELECT over one gathered table: each shard sends no more rows than that, the first ones in the order asked for.
//!
//! ```text
//! FROM (SELECT * FROM rides WHERE fare > 10 ORDER BY fare DESC LIMIT 5 OFFSET 2) r JOIN drivers d ON d.id = r.driver_id
//!     rides   WHERE ((fare > 10)) ORDER BY fare DESC NULLS FIRST LIMIT 7
//! ```
//!
//! The rows that the level keeps of all are among those that it would keep of each shard's, and the client's own text
//! chooses among them again.
//!
//! Invariants:
//! 1. The level computes nothing over several rows and makes of one row one row.
//! 2. Its order is of the table's own columns and values, and nothing in it or in WHERE is read from a clock: what passed by a
//!    shard's might not pass by the scratch session's, and another row would have stood in its place.
//! 3. The shards apply its whole WHERE, and no other place of the text needs rows of the table ([`super::filters`]).
//!
//! As for every LIMIT that is pushed down, the shards' servers must have one version of a collation.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Function, Query, Select, SelectItem, SetExpr, Visit, Visitor};

use crate::catalog::FunctionKind;
use crate::plan::PlanningContext;
use crate::sql::arguments::{Arguments, Literal};
use crate::sql::extract::has_foreign_clauses;

use super::super::expression::{contents, folded, object_name};
use super::super::limit::{LimitValue, Limits};
use super::super::placeholders::Numbered;
use super::super::select::{self, Target};
use super::super::{Text, ordered};

/// What is asked of a level's only table instead of all its rows.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// ORDER BY, columns without qualifier; empty where any rows will do.
    pub order: String,
    pub limits: Limits,
    /// As written, for people.
    pub bounds: String,
}

/// The SELECT of a table's rows that ends in ORDER BY; LIMIT is to follow.
#[derive(Debug, Clone)]
pub(super) struct Shortened {
    pub text: Text,
    pub limits: Limits,
    pub bounds: String,
}

impl Shortened {
    /// `select`: the rows of the table that pass its conditions.
    pub fn new(select: &str, cut: Cut) -> Option<Self> {
        let text = Text::new(format!("{select}{}", cut.order)).ok()?;
        Some(Self { text, limits: cut.limits, bounds: cut.bounds })
    }

    /// None where these values are no limit, or no valid one: the client's own text then says so.
    pub fn fill(&self, arguments: &Arguments<'_>) -> Option<Vec<u8>> {
        if names_a_time(arguments) {
            return None;
        }
        let rows = self.limits.bind(arguments).ok()?.pushed?;
        let mut text = self.text.fill(arguments).ok()?;
        text.extend_from_slice(format!(" LIMIT {rows}").as_bytes());
        Some(text)
    }
}

/// Whether a value may be one that a clock is read for, as `'now'` is where a timestamp is wanted.
fn names_a_time(arguments: &Arguments<'_>) -> bool {
    const NAMES: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
    let named = |bytes: &[u8]| {
        let at = |name: &[u8]| bytes.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name));
        NAMES.into_iter().any(at)
    };
    let literal = |literal: &Literal| {
        arguments.text.get(literal.start as usize..literal.end as usize).is_none_or(named)
    };
    let mut parameters = (0..).map_while(|index| arguments.parameters.value(index));
    arguments.literals.iter().any(literal) || parameters.any(|value| value.is_some_and(named))
}

/// The cut of a query's own level, if it has one. `own`: an expression of its only table's columns, printed without qualifiers.
pub(super) fn of(query: &Query, ctx: &PlanningContext, own: impl Fn(&Expr) -> Option<String>) -> Option<Cut> {
    let limits = Limits::of(query, &Numbered).ok().filter(|limits| limits.limit != LimitValue::Absent)?;
    let SetExpr::Select(level) = &*query.body else { return None };
    if contents(&level.selection, ctx).clock || !keeps_rows(level, ctx) {
        return None;
    }
    let items = &level.projection;
    let mut keys = Vec::new();
    for item in select::order_by(query).ok()? {
        let key = meant(&item.expr, items).filter(|key| !contents(*key, ctx).clock)?;
        keys.push(format!("{} {}", own(key)?, select::direction_text(select::direction(item))));
    }
    let order = if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) };
    Some(Cut { order, limits, bounds: ordered::bounds(query) })
}

/// What an item of ORDER BY sorts by.
fn meant<'a>(expr: &'a Expr, items: &'a [SelectItem]) -> Option<&'a Expr> {
    let target = match (select::ordinal(expr, items, &Numbered).ok()?, expr) {
        (Some(target), _) => target,
        (None, Expr::Identifier(name)) => {
            let name = folded(name);
            select::named_item(&name, items).ok()?.map_or(Target::Expression, Target::Item)
        }
        (None, _) => Target::Expression,
    };
    match target {
        Target::Item(index) => select::item_expr(items.get(index)?),
        Target::Expression => Some(expr),
        Target::Position(_) => None,
    }
}

/// Whether each row of FROM that passes WHERE is one row of the answer.
pub(super) fn keeps_rows(level: &Select, ctx: &PlanningContext) -> bool {
    let plain = level.distinct.is_none()
        && level.having.is_none()
        && level.named_window.is_empty()
        && level.into.is_none()
        && !has_foreign_clauses(level)
        && select::group_by(level).is_ok_and(<[Expr]>::is_empty);
    plain && Visit::visit(&level.projection, &mut RowByRow { ctx }).is_continue()
}

/// Breaks where an expression may not be one value for one row.
struct RowByRow<'a> {
    ctx: &'a PlanningContext,
}

impl RowByRow<'_> {
    fn gives_one_value(&self, call: &Function) -> bool {
        let known = object_name(&call.name)
            .and_then(|name| self.ctx.catalog.function(&name, &self.ctx.search_path))
            .is_some_and(|info| info.kind == FunctionKind::Function && !info.returns_set);
        known && call.over.is_none() && call.filter.is_none() && call.within_group.is_empty()
    }
}

impl Visitor for RowByRow<'_> {
    type Break = ();

    /// An aggregate inside may be of the level around.
    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let known = match expr {
            Expr::Function(call) => self.gives_one_value(call),
            // Whose function is not looked for.
            Expr::BinaryOp {
                op: BinaryOperator::PGCustomBinaryOperator(_) | BinaryOperator::Custom(_),
                ..
            } => false,
            _ => true,
        };
        if known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

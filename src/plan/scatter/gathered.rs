//! A SELECT whose rows must be together before anything is computed from them: gathered, then left to PostgreSQL.
//!
//! Window functions, DISTINCT ON, grouping sets, ordered-set and other aggregates without partial form, clocks in
//! the select list: each shard sends just the columns that the select list, GROUP BY, HAVING and ORDER BY name, of
//! the rows that FROM and WHERE let pass, and one PostgreSQL runs the rest over all of them. Bounded like every
//! Finish, so it is the last choice.
//!
//! Invariants:
//! 1. Every column reference outside FROM and WHERE is resolved by the catalog or the statement refuses.
//! 2. FROM and WHERE run on the shards, everything else once, over all rows: nothing is pushed below a window.
//! 3. Equal rows are gathered once only where no aggregate counts them twice, and equal means the same in every way.

use std::ops::ControlFlow;

use sqlparser::ast::{Distinct, Expr, GroupByExpr, Ident, OrderByKind, Query, VisitMut, VisitorMut};

use crate::catalog::{Collation, Column};
use crate::merge::is_told_by_bytes;
use crate::merge::types::oid;
use crate::plan::refusal::Refusal;

use super::aggregates;
use super::expression;
use super::finish::{Finish, Markers};
use super::grouped::order_target;
use super::refusals::Reason;
use super::select::{self, Target};
use super::{Combine, Inputs, Scatter, SelectText, ShardText, Text, ordered};

/// Compiles a query by gathering the columns that it names.
pub fn compile(query: &mut Query, inputs: &Inputs<'_>) -> Result<Scatter, Refusal> {
    let names = Names::resolve(query, inputs)?;
    let once = aggregates::ignore_repeated_rows(query, inputs);
    let mut columns = Columns { inputs, found: Vec::new(), told_apart: true };
    columns.replace(query, &names)?;
    let mut partial: Vec<String> = columns.found.iter().map(ToString::to_string).collect();
    if partial.is_empty() {
        partial.push("true".to_owned());
    }
    let mut text = SelectText::of(query)?;
    if once && columns.told_apart {
        text.distinct = "DISTINCT ".to_owned();
    }
    let select = select::select_of(query)?;
    let mut final_text = format!("{}SELECT {}", text.with, names.distinct(query)?);
    let items: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    final_text.push_str(&format!(
        "{} FROM {}",
        items.join(", "),
        Markers::gathered(&text.print_empty(&partial, ""))
    ));
    final_text.push_str(&names.list(" GROUP BY ", select::group_by(select)?, &names.group_by));
    if let Some(having) = &select.having {
        final_text.push_str(&format!(" HAVING {having}"));
    }
    final_text.push_str(&names.order_by(query)?);
    final_text.push_str(&ordered::bounds(query));

    let finish = Finish::new(&final_text, Vec::new(), 0, inputs);
    let mut scatter = Scatter::new(query, inputs, Combine::Finish(finish))?;
    scatter.shard = ShardText::Rewritten(Text::new(text.print(&partial, ""))?);
    scatter.learn_parameters = true;
    Ok(scatter)
}

/// Bare names and ordinals that mean items of the select list, found before columns are replaced.
struct Names {
    group_by: Vec<Target>,
    order_by: Vec<Target>,
    distinct_on: Vec<Target>,
}

impl Names {
    fn resolve(query: &Query, inputs: &Inputs<'_>) -> Result<Self, Refusal> {
        let select = select::select_of(query)?;
        let items = &select.projection;
        let group = |expr: &Expr| match expr {
            Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) | Expr::Tuple(_) => {
                only_input_names(expr, inputs).map(|()| Target::Expression)
            }
            _ => super::grouped::group_target(expr, items, inputs),
        };
        let order = |expr: &Expr| order_target(expr, items, inputs);
        let distinct_on = match &select.distinct {
            Some(Distinct::On(expressions)) => expressions.iter().map(order).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let order_by =
            select::order_by(query)?.iter().map(|item| order(&item.expr)).collect::<Result<_, _>>()?;
        let group_by = select::group_by(select)?.iter().map(group).collect::<Result<_, _>>()?;
        Ok(Self { group_by, order_by, distinct_on })
    }

    fn distinct(&self, query: &Query) -> Result<String, Refusal> {
        Ok(match &select::select_of(query)?.distinct {
            None | Some(Distinct::All) => String::new(),
            Some(Distinct::Distinct) => "DISTINCT ".to_owned(),
            Some(Distinct::On(expressions)) => {
                format!("{}) ", self.list("DISTINCT ON (", expressions, &self.distinct_on))
            }
        })
    }

    fn order_by(&self, query: &Query) -> Result<String, Refusal> {
        let written = select::order_by(query)?;
        let keys: Vec<String> = written
            .iter()
            .zip(&self.order_by)
            .map(|(item, target)| {
                let direction = select::direction_text(select::direction(item));
                format!("{} {direction}", spelled(&item.expr, *target))
            })
            .collect();
        Ok(if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) })
    }

    /// A clause of expressions, items by number; nothing for an empty list.
    fn list(&self, clause: &str, written: &[Expr], targets: &[Target]) -> String {
        let spelled: Vec<String> =
            written.iter().zip(targets).map(|(expr, target)| spelled(expr, *target)).collect();
        if spelled.is_empty() { String::new() } else { format!("{clause}{}", spelled.join(", ")) }
    }
}

fn spelled(expr: &Expr, target: Target) -> String {
    match target {
        Target::Item(index) => (index + 1).to_string(),
        Target::Position(_) | Target::Expression => expr.to_string(),
    }
}

/// Names inside grouping sets follow GROUP BY's rule one by one; here they must all be input columns.
fn only_input_names(expr: &Expr, inputs: &Inputs<'_>) -> Result<(), Refusal> {
    let found = sqlparser::ast::visit_expressions(expr, |inner| match inner {
        Expr::Identifier(name) if inputs.scope.is_input_column(&expression::folded(name)) != Some(true) => {
            ControlFlow::Break(Reason::GroupName.refusal(&name.value))
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Whether equal values of the column are the same bytes: 1.0 and 1.00 are equal, and not the same.
fn is_told_apart(column: &Column) -> bool {
    let by_bytes =
        is_told_by_bytes(column.type_oid) || matches!(column.type_oid, oid::TIMESTAMPTZ | oid::NAME);
    by_bytes && column.collation != Collation::Nondeterministic
}

/// Replaces column references by columns of the gathered rows.
struct Columns<'a> {
    inputs: &'a Inputs<'a>,
    /// What to gather: qualified columns.
    found: Vec<Expr>,
    /// Whatever differs in them in any way is not equal.
    told_apart: bool,
}

impl Columns<'_> {
    /// Everywhere but in FROM and WHERE; what means an item of the select list is printed as a number.
    fn replace(&mut self, query: &mut Query, names: &Names) -> Result<(), Refusal> {
        let select = select::select_of_mut(query)?;
        self.visit(&mut select.projection)?;
        self.visit(&mut select.having)?;
        if let GroupByExpr::Expressions(written, _) = &mut select.group_by {
            self.visit_expressions(written.iter_mut().zip(&names.group_by))?;
        }
        if let Some(Distinct::On(written)) = &mut select.distinct {
            self.visit_expressions(written.iter_mut().zip(&names.distinct_on))?;
        }
        match query.order_by.as_mut().map(|order| &mut order.kind) {
            Some(OrderByKind::Expressions(written)) => {
                self.visit_expressions(written.iter_mut().map(|item| &mut item.expr).zip(&names.order_by))
            }
            Some(OrderByKind::All(_)) | None => Ok(()),
        }
    }

    fn visit_expressions<'e>(
        &mut self,
        mut expressions: impl Iterator<Item = (&'e mut Expr, &'e Target)>,
    ) -> Result<(), Refusal> {
        expressions.try_for_each(|(expr, target)| match target {
            Target::Item(_) => Ok(()),
            Target::Position(_) | Target::Expression => self.visit(expr),
        })
    }

    fn visit<T: VisitMut>(&mut self, part: &mut T) -> Result<(), Refusal> {
        match part.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(refusal) => Err(refusal),
        }
    }
}

impl VisitorMut for Columns<'_> {
    type Break = Refusal;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Refusal> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let Some((alias, column)) = self.inputs.scope.column(expr) else {
                    return ControlFlow::Break(Reason::UnresolvedColumn.refusal(&expr.to_string()));
                };
                self.told_apart &=
                    is_told_apart(column) || self.inputs.ctx.catalog.enums.contains_key(&column.type_oid);
                let parts = vec![expression::quoted(alias), expression::quoted(&column.name)];
                let column = Expr::CompoundIdentifier(parts);
                let index = self.found.iter().position(|known| *known == column).unwrap_or(self.found.len());
                if index == self.found.len() {
                    self.found.push(column);
                }
                let name = Ident::new(format!("c{}", index + 1));
                *expr = Expr::CompoundIdentifier(vec![Ident::new(Markers::TABLE), name]);
            }
            Expr::CompoundFieldAccess { .. } | Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                return ControlFlow::Break(Reason::UnresolvedColumn.refusal(&expr.to_string()));
            }
            // `count(r.*)`: the whole row is not among the gathered columns.
            Expr::Function(function) if expression::has_row_argument(function) => {
                return ControlFlow::Break(Reason::Wildcard.refusal(&expr.to_string()));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Refusal> {
        ControlFlow::Break(Reason::GroupedSubquery.refusal(""))
    }
}

//! The one SELECT block that can be scattered, taken apart; every clause that is not understood refuses.
//!
//! Accessors for the select list, GROUP BY and ORDER BY, directions with their defaults, `*` spelled out, and the
//! rules by which a bare name or an ordinal means an item of the select list.
//!
//! Invariants:
//! 1. Clauses of other dialects that sqlparser knows refuse, whatever they would mean.
//! 2. An ordinal that is a placeholder refuses: its value is not part of the shape.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByExpr, OrderByKind, OrderBySort, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, UnaryOperator,
};

use crate::plan::refusal::Refusal;
use crate::sql::bare::is_negated_constant;
use crate::sql::extract::has_foreign_clauses;

use super::columns::Scope;
use super::expression::{self, OutputName};
use super::placeholders::Placeholders;
use super::refusals::Reason;

/// The query of a statement, if it is one plain SELECT block, or a set operation.
pub fn single_block(statement: &mut Statement) -> Result<&mut Query, Refusal> {
    let Statement::Query(query) = statement else {
        return Err(Reason::NotASelect.refusal(""));
    };
    if !query.locks.is_empty() {
        return Err(Reason::Locking.refusal(""));
    }
    let foreign = query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty();
    if foreign {
        return Err(Reason::Clause.refusal(""));
    }
    match &*query.body {
        SetExpr::SetOperation { .. } => {}
        _ => check_block(select_of(query)?)?,
    }
    Ok(query)
}

/// The SELECT block of a query.
pub fn select_of(query: &Query) -> Result<&Select, Refusal> {
    match &*query.body {
        SetExpr::Select(select) => Ok(select),
        SetExpr::SetOperation { .. } => Err(Reason::SetOperation.refusal("")),
        _ => Err(Reason::NotASelect.refusal("")),
    }
}

/// The same, to be rewritten.
pub fn select_of_mut(query: &mut Query) -> Result<&mut Select, Refusal> {
    match &mut *query.body {
        SetExpr::Select(select) => Ok(select),
        _ => Err(Reason::NotASelect.refusal("")),
    }
}

fn check_block(select: &Select) -> Result<(), Refusal> {
    if select.into.is_some() {
        return Err(Reason::Into.refusal(""));
    }
    if !select.named_window.is_empty() {
        return Err(Reason::Window.refusal(""));
    }
    if has_foreign_clauses(select) { Err(Reason::Clause.refusal("")) } else { Ok(()) }
}

/// Whether plain DISTINCT is written.
pub fn is_distinct(select: &Select) -> bool {
    matches!(select.distinct, Some(Distinct::Distinct))
}

/// The expressions of GROUP BY, grouping sets among them.
pub fn group_by(select: &Select) -> Result<&[Expr], Refusal> {
    match &select.group_by {
        GroupByExpr::Expressions(expressions, modifiers) if modifiers.is_empty() => Ok(expressions),
        _ => Err(Reason::Clause.refusal("GROUP BY ALL")),
    }
}

/// Whether GROUP BY holds more than plain expressions.
pub fn has_grouping_sets(expressions: &[Expr]) -> bool {
    let special = |expr: &Expr| {
        matches!(expr, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_) | Expr::Tuple(_))
    };
    expressions.iter().any(special)
}

/// Spells `*` and `t.*` out as the catalog's columns, where that is certain.
pub fn expand_wildcards(select: &mut Select, scope: &Scope<'_>) -> Result<(), Refusal> {
    if select.projection.iter().all(|item| item_expr(item).is_some()) {
        return Ok(());
    }
    let mut expanded = Vec::new();
    for item in std::mem::take(&mut select.projection) {
        let alias = match &item {
            SelectItem::Wildcard(_) => None,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let name = expression::object_name(name).ok_or_else(|| Reason::Wildcard.refusal(""))?;
                Some(name.name)
            }
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {
                expanded.push(item);
                continue;
            }
            _ => return Err(Reason::Wildcard.refusal("")),
        };
        let columns = scope.expand(alias.as_deref()).ok_or_else(|| Reason::Wildcard.refusal(""))?;
        expanded.extend(columns.into_iter().map(SelectItem::UnnamedExpr));
    }
    select.projection = expanded;
    Ok(())
}

/// The items of ORDER BY.
pub fn order_by(query: &Query) -> Result<&[OrderByExpr], Refusal> {
    let Some(order_by) = &query.order_by else { return Ok(&[]) };
    match &order_by.kind {
        OrderByKind::Expressions(items) if order_by.interpolate.is_none() => match items.iter().all(is_plain)
        {
            true => Ok(items),
            false => Err(Reason::OrderUsing.refusal("")),
        },
        _ => Err(Reason::Clause.refusal("ORDER BY ALL")),
    }
}

fn is_plain(item: &OrderByExpr) -> bool {
    item.with_fill.is_none() && !matches!(item.options.sort, Some(OrderBySort::Using(_)))
}

/// Direction of an ORDER BY item, defaults filled in: descending, nulls first.
pub fn direction(item: &OrderByExpr) -> (bool, bool) {
    let descending = matches!(item.options.sort, Some(OrderBySort::Desc));
    (descending, item.options.nulls_first.unwrap_or(descending))
}

/// The direction spelled out.
pub fn direction_text((descending, nulls_first): (bool, bool)) -> &'static str {
    match (descending, nulls_first) {
        (false, false) => "ASC NULLS LAST",
        (false, true) => "ASC NULLS FIRST",
        (true, false) => "DESC NULLS LAST",
        (true, true) => "DESC NULLS FIRST",
    }
}

/// The expression of a select item; None for the kinds of `*`.
pub fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// The name of a select item's column; None for the kinds of `*`.
pub fn item_name(item: &SelectItem) -> Option<OutputName> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(expression::output_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(OutputName::Named(expression::folded(alias))),
        _ => None,
    }
}

/// What an item of ORDER BY (or GROUP BY) says about the select list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The select item with this index.
    Item(usize),
    /// The n-th column, from one, behind a `*`.
    Position(usize),
    /// An expression over the input columns.
    Expression,
}

/// An integer constant that stands for a column; constants of other kinds refuse.
pub fn ordinal(
    expr: &Expr,
    items: &[SelectItem],
    placeholders: &dyn Placeholders,
) -> Result<Option<Target>, Refusal> {
    let negates = |expr: &Expr| match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            matches!(**expr, Expr::Value(_) | Expr::UnaryOp { .. })
        }
        _ => false,
    };
    if negates(expr) || is_negated_constant(expr) {
        // PostgreSQL takes a negative number for a constant, and so for a column's position.
        return Err(Reason::OrderName.refusal("constant"));
    }
    let Expr::Value(value) = expr else { return Ok(None) };
    let sqlparser::ast::Value::Number(digits, _) = &value.value else {
        return match value.value {
            sqlparser::ast::Value::Placeholder(_) => Ok(None),
            _ => Err(Reason::OrderName.refusal("constant")),
        };
    };
    if placeholders.literal(&value.value).is_some() {
        return Err(Reason::OrderName.refusal("constant"));
    }
    let position = digits.parse::<usize>().map_err(|_| Reason::OrderName.refusal(digits))?;
    let plain = items.iter().take(position).all(|item| item_expr(item).is_some());
    match position.checked_sub(1) {
        Some(index) if plain && index < items.len() => Ok(Some(Target::Item(index))),
        Some(_) if !plain => Ok(Some(Target::Position(position))),
        _ => Err(super::refusals::postgres_error(
            "42P10",
            format!("ORDER BY position {position} is not in select list"),
        )),
    }
}

/// The select item that a bare name means by PostgreSQL's rule for ORDER BY (SQL92): an output column wins.
pub fn named_item(name: &str, items: &[SelectItem]) -> Result<Option<usize>, Refusal> {
    let refused = || Reason::OrderName.refusal(name);
    let mut found: Option<usize> = None;
    let mut unsure = false;
    for (index, item) in items.iter().enumerate() {
        match item_name(item) {
            Some(OutputName::Named(output)) if output == name => match found {
                None => found = Some(index),
                Some(first) if item_expr(&items[first]) == item_expr(item) => {}
                Some(_) => return Err(refused()),
            },
            Some(other) => unsure |= other.may_be(name),
            None => {}
        }
    }
    if unsure { Err(refused()) } else { Ok(found) }
}

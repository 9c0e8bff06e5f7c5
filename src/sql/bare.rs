//! Takes the parentheses off what ORDER BY, GROUP BY and DISTINCT ON list: to PostgreSQL's grammar `(1)` and `(name)` are `1` and
//! `name`, so a position or the name of an output column all the same. Those of other expressions mean nothing either way and stay.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByExpr, Select, Statement, UnaryOperator, Value, VisitMut, VisitorMut,
};

/// In every query of the statement.
pub(super) fn bare_lists(tree: &mut Statement) {
    let _ = tree.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let Some(Distinct::On(keys)) = &mut select.distinct {
            keys.iter_mut().for_each(bare);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_group_by(&mut self, group_by: &mut GroupByExpr) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(groups, _) = group_by {
            groups.iter_mut().for_each(bare);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_order_by_expr(&mut self, key: &mut OrderByExpr) -> ControlFlow<()> {
        bare(&mut key.expr);
        ControlFlow::Continue(())
    }
}

fn bare(expr: &mut Expr) {
    let mut inner = &*expr;
    while let Expr::Nested(within) = inner {
        inner = within;
    }
    if matches!(inner, Expr::Identifier(_) | Expr::Value(_) | Expr::UnaryOp { .. }) {
        *expr = inner.clone();
    }
}

/// Whether PostgreSQL reads it as a negative constant: parentheses are nothing to it.
pub fn is_negated_constant(mut expr: &Expr) -> bool {
    let mut negated = false;
    loop {
        match expr {
            Expr::Nested(inner) => expr = inner,
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => (expr, negated) = (inner, true),
            Expr::Value(value) => return negated && matches!(value.value, Value::Number(..)),
            _ => return false,
        }
    }
}

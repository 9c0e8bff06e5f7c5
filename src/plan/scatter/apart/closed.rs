//! Whether what a level computes of its rows can be computed on each shard by itself.
//!
//! Rows are grouped, made distinct and numbered within the values of a key, which lie on one shard: then no two shards
//! have parts of one result.
//!
//! Invariant: a name that may mean something else than a key closes nothing.

use sqlparser::ast::{Distinct, Expr, Function, OrderBy, Select, Visit, WindowType};

use crate::plan::PlanningContext;

use super::super::expression::{self, folded, object_name};
use super::super::levels;
use super::super::placeholders::Numbered;
use super::super::select::{self, Target};
use super::Around;
use super::source::Level;

/// Of a level that is apart.
pub(super) fn is_closed(
    select: &Select,
    order_by: &Option<OrderBy>,
    level: &Level<'_, '_>,
    around: &Around<'_, '_>,
    ctx: &PlanningContext,
) -> bool {
    let Ok(written) = select::group_by(select) else { return false };
    let outer = || levels::Level::of_names(around.ctes.iter().map(|(name, _)| name.clone()));
    let contents = [
        expression::contents_under(&select.projection, outer(), ctx),
        expression::contents_under(order_by, outer(), ctx),
    ];
    let aggregates =
        select.having.is_some() || contents.iter().any(|part| part.aggregate || part.aggregate_within);
    let groups = match written {
        [] => !aggregates,
        _ if select::has_grouping_sets(written) => false,
        written => written.iter().any(|expr| holds_key(expr, Names::InputFirst, select, level)),
    };
    let items = || select.projection.iter().filter_map(select::item_expr);
    let distinct = match &select.distinct {
        None | Some(Distinct::All) => true,
        Some(Distinct::Distinct) => items().any(|expr| level.is_fixed(expr)),
        Some(Distinct::On(written)) => {
            written.iter().any(|expr| holds_key(expr, Names::OutputFirst, select, level))
        }
    };
    groups && distinct && windows_hold_key(&select.projection, level) && windows_hold_key(order_by, level)
}

/// Which of two meanings of a bare name PostgreSQL prefers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    InputFirst,
    OutputFirst,
}

fn holds_key(expr: &Expr, names: Names, select: &Select, level: &Level<'_, '_>) -> bool {
    let items = &select.projection;
    let item = |index: usize| items.get(index).and_then(select::item_expr);
    match (select::ordinal(expr, items, &Numbered), expr) {
        (Ok(Some(Target::Item(index))), _) => item(index).is_some_and(|expr| level.is_fixed(expr)),
        (Ok(None), Expr::Nested(inner)) if names == Names::InputFirst => {
            holds_key(inner, names, select, level)
        }
        (Ok(None), Expr::Identifier(name)) if names == Names::OutputFirst => {
            let name = folded(name);
            let named = |item| select::item_name(item).is_none_or(|output| output.may_be(&name));
            let mut meant = items.iter().filter(|item| named(item)).map(select::item_expr);
            match (meant.next(), meant.next()) {
                (None, _) => level.is_fixed(expr),
                (Some(Some(item)), None) => level.is_fixed(item),
                _ => false,
            }
        }
        (Ok(None), _) => level.is_fixed(expr),
        _ => false,
    }
}

/// Whether every window's partitions hold the key.
fn windows_hold_key<T: Visit>(node: &T, level: &Level<'_, '_>) -> bool {
    !expression::has_call(node, |call| match &call.over {
        None => false,
        Some(WindowType::WindowSpec(window)) if window.window_name.is_none() => {
            !window.partition_by.iter().any(|expr| level.is_fixed(expr))
        }
        Some(_) => true,
    })
}

/// Aggregates whose value does not depend on the order of the rows.
const STEADY_AGGREGATES: &str = "avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every max min \
    percentile_cont percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy \
    regr_syy stddev stddev_pop stddev_samp sum var_pop var_samp variance";

/// Whether a level over copies of the same rows may come out differently on each: rows have no order of their own.
pub(super) fn may_differ(select: &Select, ctx: &PlanningContext) -> bool {
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return true;
    }
    let steady = |name: &str| STEADY_AGGREGATES.split_ascii_whitespace().any(|known| known == name);
    let moves = |call: &Function| {
        call.over.is_some()
            || expression::is_aggregate(call, ctx)
                && object_name(&call.name).is_none_or(|name| !steady(&name.name))
    };
    expression::has_call(&select.projection, moves) || expression::has_call(&select.having, moves)
}

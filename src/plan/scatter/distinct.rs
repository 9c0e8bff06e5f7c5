//! DISTINCT of plain columns whose equal values are equal bytes: the shards' rows as they come, equal ones once.
//!
//! Each shard is asked the client's own text and leaves out its own equal rows; `merge::DistinctRows` leaves out those
//! that another shard has sent. Nothing goes to a server once more, as it does where PostgreSQL must say what is equal
//! ([`super::grouped`]).
//!
//! Not here: DISTINCT beside ORDER BY, LIMIT, aggregates or GROUP BY.

use sqlparser::ast::{Expr, Query};

use crate::catalog::Collation;
use crate::merge::is_told_by_bytes;
use crate::plan::refusal::Refusal;

use super::{Combine, Inputs, Scatter, select};

/// None: another way is to be found. Wildcards are spelled out.
pub fn compile(query: &Query, inputs: &Inputs<'_>) -> Result<Option<Scatter>, Refusal> {
    let select = select::select_of(query)?;
    let bare = select.having.is_none()
        && select::group_by(select)?.is_empty()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none();
    let told_by_bytes = |expr: &Expr| {
        inputs.scope.column(expr).is_some_and(|(_, column)| {
            is_told_by_bytes(column.type_oid) && column.collation != Collation::Nondeterministic
        })
    };
    let mut items = select.projection.iter().map(select::item_expr);
    match select::is_distinct(select) && bare && items.all(|item| item.is_some_and(told_by_bytes)) {
        true => Scatter::new(query, inputs, Combine::Distinct).map(Some),
        false => Ok(None),
    }
}

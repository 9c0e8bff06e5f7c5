//! UNION and its kin where equal rows are on one shard: each shard's answer is a part of the whole one.
//!
//! ORDER BY of a set operation names columns of its output. They are shown once more, as the merge's keys; the output keeps
//! its own names:
//!
//! ```text
//! SELECT city FROM rides UNION ALL SELECT home FROM drivers ORDER BY city LIMIT 5
//! SELECT meridian__u.*, meridian__v.c1 AS meridian__k1
//!   FROM (SELECT city FROM rides UNION ALL SELECT home FROM drivers) AS meridian__u,
//!        LATERAL (SELECT meridian__u.*) AS meridian__v(c1) ORDER BY meridian__k1 LIMIT 5
//! ```

use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr};

use crate::merge::TextOrder;
use crate::plan::refusal::Refusal;

use super::apart::Apart;
use super::expression::OutputName;
use super::refusals::Reason;
use super::select::{self, Target};
use super::{Combine, Inputs, Limits, OWN_NAMES, OrderKey, Scatter, ShardText, Text, expression};

pub fn compile(query: &Query, apart: Apart, inputs: &Inputs<'_>) -> Result<Scatter, Refusal> {
    let contents = expression::contents(&query.body, inputs.ctx);
    let moving = contents.clock || contents.volatile || contents.server_dependent;
    if !apart.closed || moving {
        return Err(Reason::SetOperation.refusal(""));
    }
    let limits = Limits::of(query, inputs.placeholders)?;
    let with = query.with.as_ref().map(|with| format!("{with} ")).unwrap_or_default();
    if query.order_by.is_some() {
        return ordered(query, &with, limits, inputs);
    }
    let mut scatter = Scatter::of_columns(None, inputs, Combine::Concat);
    if !limits.is_none() {
        let limit = scatter.push_limit(limits);
        scatter.shard = ShardText::Rewritten(Text::new(format!("{with}{}{limit}", query.body))?);
    }
    Ok(scatter)
}

fn ordered(query: &Query, with: &str, limits: Limits, inputs: &Inputs<'_>) -> Result<Scatter, Refusal> {
    let items =
        &first_select(&query.body).ok_or_else(|| Reason::SetOperation.refusal("ORDER BY"))?.projection;
    if items.iter().any(|item| select::item_expr(item).is_none()) {
        return Err(Reason::Wildcard.refusal("under ORDER BY of a set operation"));
    }
    let (mut keys, mut shown, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for (index, item) in select::order_by(query)?.iter().enumerate() {
        let (column, direction) = (column(&item.expr, items, inputs)? + 1, select::direction(item));
        let (descending, nulls_first) = direction;
        let name = format!("{OWN_NAMES}k{}", index + 1);
        shown.push(format!("{OWN_NAMES}v.c{column} AS {name}"));
        order.push(format!("{name} {}", select::direction_text(direction)));
        // What is text, and in which order it is, only a server knows.
        keys.push(OrderKey { descending, nulls_first, text: TextOrder::Unknown });
    }
    let names: Vec<String> = (1..=items.len()).map(|column| format!("c{column}")).collect();
    let combine = Combine::Ordered { keys, otherwise: None };
    let mut scatter = Scatter::of_columns(Some(items.len()), inputs, combine);
    let limit = scatter.push_limit(limits);
    let text = format!(
        "{with}SELECT {OWN_NAMES}u.*, {} FROM ({}) AS {OWN_NAMES}u, LATERAL (SELECT {OWN_NAMES}u.*) AS {OWN_NAMES}v({}) \
         ORDER BY {}{limit}",
        shown.join(", "),
        query.body,
        names.join(", "),
        order.join(", ")
    );
    scatter.shard = ShardText::Rewritten(Text::new(text)?);
    Ok(scatter)
}

/// It gives the output its names.
fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

/// Which column of the output is meant, from zero.
fn column(expr: &Expr, items: &[SelectItem], inputs: &Inputs<'_>) -> Result<usize, Refusal> {
    let refused = || Reason::OrderName.refusal(&expr.to_string());
    if let Some(target) = select::ordinal(expr, items, inputs.placeholders)? {
        return match target {
            Target::Item(index) => Ok(index),
            Target::Position(_) | Target::Expression => Err(refused()),
        };
    }
    let Expr::Identifier(name) = expr else { return Err(refused()) };
    let name = expression::folded(name);
    // Two columns of one name are ambiguous here even where they are equal.
    let is_named = |item: &&SelectItem| match select::item_name(item) {
        Some(OutputName::Named(output)) => output == name,
        Some(other) => other.may_be(&name),
        None => false,
    };
    match items.iter().filter(is_named).count() {
        1 => select::named_item(&name, items)?.ok_or_else(refused),
        _ => Err(refused()),
    }
}

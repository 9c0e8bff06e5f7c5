//! ORDER BY over several shards: sort keys as hidden columns, or a sort by one PostgreSQL.
//!
//! Every key is appended to the select list under a name of our own and each shard sorts by these names, so that a
//! key is evaluated once per row whatever it is. The merge compares the hidden columns. Where a key is text that
//! does not sort by bytes, the rows are gathered and one PostgreSQL sorts them; where the type is known only at run
//! time, that second plan stands by.

use std::sync::Arc;

use sqlparser::ast::{Expr, Query, SelectItem};

use crate::merge::TextOrder;
use crate::plan::refusal::Refusal;

use super::columns::Order;
use super::expression;
use super::finish::{Finish, Markers};
use super::limit::{LimitValue, Limits};
use super::refusals::Reason;
use super::select::{self, Target};
use super::{Combine, Inputs, OrderKey, Scatter, SelectText, ShardText, Text, item_texts};

struct Key {
    text: String,
    order: Order,
    direction: (bool, bool),
}

/// Compiles a query with ORDER BY and without grouping.
pub fn compile(query: &Query, inputs: &Inputs<'_>) -> Result<Scatter, Refusal> {
    let items = &select::select_of(query)?.projection;
    // With columns behind the list, a position beyond it would name one of them.
    for group in select::group_by(select::select_of(query)?)? {
        select::ordinal(group, items, inputs.placeholders)?;
    }
    let mut keys = Vec::new();
    for item in select::order_by(query)? {
        let (text, order) = resolve(&item.expr, items, inputs)?;
        keys.push(Key { text, order, direction: select::direction(item) });
    }
    let limits = Limits::of(query, inputs.placeholders);
    let (true, Ok(limits)) = (keys.iter().all(|key| key.order != Order::OtherText), limits.clone()) else {
        return sorted_by_postgres(query, &keys, limits.ok(), inputs);
    };
    let otherwise = match keys.iter().all(|key| key.order == Order::Bytes) {
        true => None,
        false => Some(Arc::new(sorted_by_postgres(query, &keys, Some(limits), inputs)?)),
    };
    let order_keys = keys.iter().map(|key| OrderKey {
        descending: key.direction.0,
        nulls_first: key.direction.1,
        text: if key.order == Order::Bytes { TextOrder::Bytes } else { TextOrder::Unknown },
    });
    let combine = Combine::Ordered { keys: order_keys.collect(), otherwise };
    let mut scatter = Scatter::new(query, inputs, combine)?;
    scatter.sort_on_shards(query, &keys, limits)?;
    scatter.learn_parameters = has_parameters(query, inputs)?;
    Ok(scatter)
}

impl Scatter {
    /// The shards' text: keys behind the select list under names of our own, sorted by these, and limited.
    fn sort_on_shards(&mut self, query: &Query, keys: &[Key], limits: Limits) -> Result<(), Refusal> {
        let limit = self.push_limit(limits);
        let mut columns = item_texts(&select::select_of(query)?.projection);
        let mut order = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let name = format!("{}k{}", super::OWN_NAMES, index + 1);
            columns.push(format!("{} AS {name}", key.text));
            order.push(format!("{name} {}", select::direction_text(key.direction)));
        }
        let tail = format!(" ORDER BY {}{limit}", order.join(", "));
        self.shard = ShardText::Rewritten(Text::new(SelectText::whole(query)?.print(&columns, &tail))?);
        Ok(())
    }
}

/// A parameter in a sort key moves to the select list, which PostgreSQL looks at earlier.
fn has_parameters(query: &Query, inputs: &Inputs<'_>) -> Result<bool, Refusal> {
    let items = &select::select_of(query)?.projection;
    let in_list = expression::contents(items, inputs.ctx).parameter;
    Ok(in_list || expression::contents(&query.order_by, inputs.ctx).parameter)
}

/// The expression that an ORDER BY item sorts by, and what is proved of its order.
fn resolve(expr: &Expr, items: &[SelectItem], inputs: &Inputs<'_>) -> Result<(String, Order), Refusal> {
    let starred = items.iter().any(|item| select::item_expr(item).is_none());
    let target = match (select::ordinal(expr, items, inputs.placeholders)?, expr) {
        (Some(target), _) => target,
        (None, Expr::Identifier(name)) => {
            let name = expression::folded(name);
            match select::named_item(&name, items)? {
                Some(_) if starred && inputs.scope.is_input_column(&name) != Some(false) => {
                    return Err(Reason::OrderName.refusal(&name));
                }
                Some(index) => Target::Item(index),
                None => Target::Expression,
            }
        }
        (None, _) => Target::Expression,
    };
    match target {
        Target::Item(index) => {
            let item = items.get(index).and_then(select::item_expr);
            let item = item.ok_or_else(|| Reason::OrderName.refusal(&expr.to_string()))?;
            if expression::contents(item, inputs.ctx).volatile {
                return Err(Reason::VolatileFunction.refusal("in a column that ORDER BY names"));
            }
            Ok((item.to_string(), inputs.scope.order(item)))
        }
        Target::Position(position) => {
            let refused = || Reason::OrderName.refusal(&position.to_string());
            let [SelectItem::Wildcard(_)] = items else { return Err(refused()) };
            let (alias, column) = inputs.scope.nth_column(position).ok_or_else(refused)?;
            let name =
                Expr::CompoundIdentifier(vec![expression::quoted(alias), expression::quoted(&column.name)]);
            Ok((name.to_string(), inputs.scope.order(&name)))
        }
        Target::Expression => Ok((expr.to_string(), inputs.scope.order(expr))),
    }
}

/// Gathers the rows, keys behind them, and lets one PostgreSQL sort and cut them. A limit is pushed down, so the
/// shards' servers must have one version of the collation, as min and max of text need too.
fn sorted_by_postgres(
    query: &Query,
    keys: &[Key],
    limits: Option<Limits>,
    inputs: &Inputs<'_>,
) -> Result<Scatter, Refusal> {
    let text = SelectText::whole(query)?;
    let mut columns = item_texts(&select::select_of(query)?.projection);
    columns.extend(keys.iter().map(|key| key.text.clone()));
    let order: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| format!("{} {}", Markers::key(index), select::direction_text(key.direction)))
        .collect();
    let final_text = format!(
        "{}SELECT {} FROM {} ORDER BY {}{}",
        text.with,
        Markers::VISIBLE,
        Markers::gathered(&text.print_empty(&columns, "")),
        order.join(", "),
        bounds(query),
    );
    let finish = Finish::new(&final_text, Vec::new(), keys.len(), inputs);
    let mut scatter = Scatter::new(query, inputs, Combine::Finish(finish))?;
    match limits.filter(|limits| limits.limit != LimitValue::Absent) {
        Some(limits) => scatter.sort_on_shards(query, keys, limits)?,
        None => scatter.shard = ShardText::Rewritten(Text::new(text.print(&columns, ""))?),
    }
    scatter.learn_parameters = true;
    Ok(scatter)
}

/// LIMIT, OFFSET and FETCH as written.
pub fn bounds(query: &Query) -> String {
    let mut text = String::new();
    if let Some(limit) = &query.limit_clause {
        text.push_str(&limit.to_string());
    }
    if let Some(fetch) = &query.fetch {
        text.push(' ');
        text.push_str(&fetch.to_string());
    }
    text
}

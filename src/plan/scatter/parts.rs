//! UNION ALL of SELECTs that are each answered over the shards by themselves: one after the other, in one answer.
//!
//! ```text
//! SELECT 'rides', count(*) FROM rides UNION ALL (SELECT name, rating FROM drivers ORDER BY rating DESC LIMIT 3)
//!     part 1   partial counts, finished by one server
//!     part 2   merged in order, cut here
//! ```
//!
//! The last choice of the merges, where the shards cannot answer the whole ([`super::united`]). That the parts' columns are of
//! the union's types is seen when it runs; where they are not, the tables are gathered.

use sqlparser::ast::{Query, SetExpr, SetOperator, SetQuantifier};

use crate::plan::PlanningContext;
use crate::sql::facts::Facts;

use super::{Combine, Level, Limits, Scatter, ShardText, Text};

/// One SELECT of the union.
#[derive(Debug, Clone)]
pub struct Part {
    /// As the client has it.
    pub text: Text,
    pub scatter: Scatter,
}

/// None where a part cannot be merged, or something is done to the rows of all.
pub(super) fn compile(query: &Query, facts: &Facts, ctx: &PlanningContext) -> Option<Scatter> {
    let mut texts = Vec::new();
    if is_bare(query) {
        collect(&query.body, &mut texts)?;
    }
    if texts.len() < 2 {
        return None;
    }
    let parts: Option<Vec<Part>> = texts.into_iter().map(|text| part(text, facts, ctx)).collect();
    Some(Scatter {
        shard: ShardText::Original,
        combine: Combine::Parts(parts?),
        limits: Limits::NONE,
        pushed_limit: None,
        undeclared: Vec::new(),
        learn_parameters: false,
        visible_columns: None,
        equal_literals: Vec::new(),
        constant_literals: Vec::new(),
        param_count: facts.param_count,
        residency: None,
    })
}

/// Nothing but a body.
fn is_bare(query: &Query) -> bool {
    query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
}

/// The texts of the parts in order. A set operation of another kind is one part.
fn collect(body: &SetExpr, texts: &mut Vec<String>) -> Option<()> {
    match body {
        SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right } => {
            collect(left, texts)?;
            collect(right, texts)
        }
        SetExpr::Query(query) if is_bare(query) => collect(&query.body, texts),
        SetExpr::Query(query) => {
            texts.push(query.to_string());
            Some(())
        }
        SetExpr::Select(_) | SetExpr::SetOperation { .. } => {
            texts.push(body.to_string());
            Some(())
        }
        _ => None,
    }
}

fn part(text: String, whole: &Facts, ctx: &PlanningContext) -> Option<Part> {
    let mut scatter = Scatter::of_part(&text, whole, ctx, Level::Whole)?;
    let text = Text::new(text).ok()?;
    if scatter.shard == ShardText::Original {
        scatter.shard = ShardText::Rewritten(text.clone());
    }
    Some(Part { text, scatter })
}

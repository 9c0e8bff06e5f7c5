//! SELECT, and what runs a SELECT: cursors, COPY (query) TO.
//!
//! Called by `make`. A read is relayed where one shard suffices; over several shards the scatter must know how to
//! combine the rows, and what stands in its way is named here first.

use std::sync::Arc;

use crate::sql::facts::{Facts, Kind, SessionObject};

use super::action::{Access, Action, Many, PlanningContext};
use super::bind::Route;
use super::code;
use super::functions::Demands;
use super::home::Home;
use super::make::{Combine, Outcome};
use super::refusal::{self, Refusal};
use super::scatter::Ways;
use super::survey::{Fixed, Survey};

/// SELECT, VALUES, TABLE.
pub(super) fn select(
    facts: &Facts,
    context: &PlanningContext,
    locking: bool,
    combine: Combine<'_>,
) -> Result<Outcome, Refusal> {
    query(facts, context, locking, &|ways| combine(ways).map(|scatter| Many::Scatter(Arc::new(scatter))))
}

/// The query inside of another statement: over several shards its tables are gathered; `otherwise` is the refusal where they
/// cannot be.
pub(super) fn query_inside(
    facts: &Facts,
    context: &PlanningContext,
    otherwise: &refusal::Limit,
) -> Result<Outcome, Refusal> {
    let survey = Survey::of_sources(context, &facts.block);
    let name = survey.sharded().map(|m| m.relation.name.to_string()).unwrap_or_default();
    let locking = matches!(facts.kind, Kind::Session(SessionObject::DeclareCursor { locking: true, .. }));
    query(facts, context, locking, &|_| Ok(Many::Gather(otherwise.naming(&[&name]))))
}

fn query(
    facts: &Facts,
    context: &PlanningContext,
    locking: bool,
    combine: &dyn Fn(Ways) -> Result<Many, Refusal>,
) -> Result<Outcome, Refusal> {
    let demands = Demands::of(context, facts);
    if let Some(refusal) = demands.refused {
        return Err(refusal);
    }
    let access = if locking { Access::Write } else { demands.access };
    let survey = Survey::of_sources(context, &facts.block);
    let fixed = code::merge(survey.fixed()?, demands.server.clone())?;
    let keyed = survey.keyed();
    if let Some(reason) = demands.pinned {
        let elsewhere = fixed.as_ref().filter(|fixed| fixed.shard != context.topology.default_shard);
        return match keyed.first().map(|keyed| &keyed.name).or(elsewhere.map(|fixed| &fixed.name)) {
            Some(name) => Err(refusal::MIXED_HOMES.naming(&[reason, name])),
            None => Ok(Outcome::new(Action::Pinned(reason), Access::Write)),
        };
    }
    if keyed.is_empty() {
        let only_default = locking || demands.one_shard.is_some() || demands.one_server.is_some();
        let mut outcome = without_sharded(context, &survey, fixed, access, only_default);
        outcome.route.any_server &= !demands.reads_tables;
        return Ok(outcome);
    }
    let many = if let Some(member) = survey.over_sharded() {
        let refusal = refusal::VIEW_OVER_SHARDS.naming(&[&member.relation.name.to_string()]);
        let free = demands.one_server.is_none() && facts.system_column.is_none() && !locking;
        match free && !demands.reads_tables {
            true => combine(Ways::ScratchOnly).unwrap_or(Many::Refuse(refusal)),
            false => Many::Refuse(refusal),
        }
    } else if let Some(refusal) = demands.one_server {
        Many::Refuse(refusal)
    } else if let Some(column) = facts.system_column {
        Many::Refuse(refusal::SYSTEM_COLUMN_OVER_SHARDS.naming(&[column]))
    } else if locking {
        let name = keyed.first().map(|keyed| keyed.name.as_str()).unwrap_or_default();
        Many::Refuse(refusal::LOCKS_OVER_SHARDS.naming(&[name]))
    } else if let Some(fixed) = &fixed {
        let name = keyed.first().map(|keyed| keyed.name.as_str()).unwrap_or_default();
        let refusal = refusal::MIXED_HOMES.naming(&[name, &fixed.name]);
        match demands.reads_tables {
            true => Many::Refuse(refusal),
            false => combine(Ways::ScratchOnly).unwrap_or(Many::Refuse(refusal)),
        }
    } else if let Some(refusal) = demands.one_shard {
        combine(Ways::ScratchOnly).unwrap_or(Many::Refuse(refusal))
    } else {
        combine(Ways::All).unwrap_or_else(Many::Refuse)
    };
    Ok(Outcome::routed(many, access, Route { keyed, fixed, ..Route::default() }))
}

/// No sharded table: the shard of the single tables, any shard for reference tables, else the default shard.
///
/// A statement that names no table goes to the default shard too: object identifiers (`'t'::regclass`) and settings
/// are a server's own, and the catalogs that they are compared with are the default shard's. Row locks on reference
/// tables are taken where every writer passes.
fn without_sharded(
    context: &PlanningContext,
    survey: &Survey<'_>,
    fixed: Option<Fixed>,
    access: Access,
    only_default: bool,
) -> Outcome {
    let anywhere = fixed.is_none() && survey.reference().is_some() && !only_default;
    if anywhere {
        return Outcome::new(Action::Anywhere, access);
    }
    let shard = fixed.as_ref().map_or(context.topology.default_shard, |fixed| fixed.shard);
    let mut outcome = Outcome::new(Action::Fixed(shard), access);
    let of_tables = survey.members().any(|m| matches!(m.home, Home::Single(_)));
    outcome.route.any_server = access != Access::Write && !of_tables;
    outcome.route.fixed = fixed;
    outcome
}

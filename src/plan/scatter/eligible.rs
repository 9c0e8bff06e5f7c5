//! Whether a statement may be asked of several shards at all: its kind, and the functions that it calls.
//!
//! Not here: whether the shards' rows make up the answer ([`super::apart`]).

use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::sql::facts::{Facts, Kind};

use super::functions;
use super::refusals::Reason;

/// Ok: nothing but where its rows lie stands against it.
pub fn may_scatter(facts: &Facts, ctx: &PlanningContext) -> Result<(), Refusal> {
    match facts.kind {
        Kind::Select { locking: true, .. } => return Err(Reason::Locking.refusal("")),
        Kind::Select { into: true, .. } => return Err(Reason::Into.refusal("")),
        Kind::Select { .. } => {}
        _ => return Err(Reason::NotASelect.refusal("")),
    }
    if facts.shadowed {
        return Err(Reason::RoundTrip.refusal(""));
    }
    facts.functions.iter().try_for_each(|call| functions::may_run(call, ctx))
}

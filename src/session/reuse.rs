//! Statements without a name that a server has of earlier clients: it parses them once, and plans them once where their
//! plan is the same for all values.
//!
//! A client cannot tell, but by the speed: before `pg_prepared_statements` is read, the server forgets what it has of ours.
//! PostgreSQL reads an unnamed statement anew at each Parse, so one that is kept must be one that would be read alike
//! ([`super::statements`]), and:
//!
//! | it could be told by | so |
//! | --- | --- |
//! | a plan for all values, where its own would be better | only plans that are steady are kept; others are prepared anew before PostgreSQL would think of one |
//! | an error because tables have changed, as "cached plan must not change result type" | the statement is all of its transaction; whatever fails before it is run is asked again, as a statement without a name |
//! | tables of the session's own that hide others | not in sessions that are pinned |
//! | our names for statements in an error | where Bind has another number of parameters, the statement is left without a name |
//!
//! The second holds for named statements that the client has just prepared, too.
//!
//! Invariants:
//! 1. What was asked again had done nothing: Bind and Describe fail before anything runs.

use super::Session;
use super::batch::{BatchEnd, Message};
use super::interner::Prepared;
use super::pipeline::Part;
use crate::backend::Connection;
use crate::execute::Lane;

/// So often PostgreSQL plans a statement for the values of an execution before it considers a plan for all values
/// (`choose_custom_plan` in plancache.c).
const CUSTOM_PLANS: u32 = 5;

impl Session {
    /// Whether statements of this segment that have no name may be ones that the server has.
    pub(super) fn may_reuse(&self, messages: &[Message], part: Part) -> bool {
        let alone = part.alone && part.end == Some(BatchEnd::Sync);
        let underway = self.block.is_open() || self.lanes.iter().any(|lane| lane.open_pipeline);
        let free = self.pin.is_none() && !underway;
        let parses = messages.iter().filter(|message| message.parsed_name().is_some()).count();
        let executions = messages.iter().filter(|message| message.is_execution()).count();
        let counted = |message: &Message| !matches!(message, Message::Bind { counted: false, .. });
        alone && free && parses <= 1 && executions <= 1 && messages.iter().all(counted)
    }
}

/// Whether the statement has a place among those that the server keeps.
pub(super) fn is_kept(prepared: &Prepared, named: bool, reuse: bool) -> bool {
    named || reuse && prepared.is_repeated()
}

/// Sees to it that the server has the statement, kept or as its unnamed one, before what follows.
pub(super) fn ensure_prepared(lane: &mut Lane, prepared: &Prepared, kept: bool) {
    if kept {
        prepare(lane, prepared, true);
    } else if lane.connection.unnamed != Some(prepared.id) {
        lane.parse(b"", prepared.known_tail(), prepared.id, true);
    }
}

/// Prepares a statement that is kept, unless the server has it; whether it was sent. `hidden`: the client knows it already.
pub(super) fn prepare(lane: &mut Lane, prepared: &Prepared, hidden: bool) -> bool {
    if lane.connection.statements.touch(prepared.id) {
        if !is_worn(lane, prepared) {
            return false;
        }
        lane.forget(prepared.id);
    }
    let name = Connection::statement_name(prepared.id);
    let tail = if hidden { prepared.known_tail() } else { &prepared.tail };
    lane.parse(&name, tail, prepared.id, hidden);
    true
}

/// Whether the server may choose a plan for all values at the next execution, which it never would for an unnamed one.
fn is_worn(lane: &Lane, prepared: &Prepared) -> bool {
    let steady = || prepared.planned.borrow().as_ref().is_some_and(|planned| planned.plan.steady);
    prepared.is_repeated() && lane.connection.statements.bound(prepared.id) >= CUSTOM_PLANS && !steady()
}

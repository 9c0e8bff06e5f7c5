//! Commands that take a table for themselves, beside cursors and portals over several shards of the same session.
//!
//! Called by `everywhere` before it asks the servers. What a cursor has gathered is held by a session of its own, whose locks
//! are not the client's: the command would wait for it, and it for the end of the transaction.
//!
//! Invariants:
//! 1. No command waits for locks of its own client's.
//! 2. What concerns no table that is being read runs.

use std::collections::HashSet;

use super::Session;
use super::everywhere::command_words;
use super::perform::Work;
use super::planning::Planned;
use crate::plan::{Action, family};
use crate::sql::facts::{Facts, Kind};
use crate::sql::name::ObjectName;
use crate::wire::error::{SqlError, SqlState};

/// Words of commands that reach tables which they do not name.
const FAR: [&str; 7] = ["cascade", "index", "schema", "owned", "type", "domain", "extension"];

impl Session {
    /// The relations, what they are made of and what inherits from them, at any depth.
    pub(super) fn families_of<'n>(
        &self,
        names: impl IntoIterator<Item = &'n ObjectName>,
    ) -> HashSet<ObjectName> {
        names.into_iter().flat_map(|name| family(&self.context.planning, name)).collect()
    }

    /// PostgreSQL refuses it, too, of tables that are in use.
    pub(super) fn check_unused(&self, planned: &Planned, work: Work<'_>) -> Result<(), SqlError> {
        if self.held.of_transaction().next().is_none() {
            return Ok(());
        }
        let facts = &planned.plan.facts;
        let named = self.taken(planned, facts);
        let is_read = |name: &ObjectName| self.held.of_transaction().any(|held| held.reads.contains(name));
        let in_use = named.iter().copied().find(|name| self.families_of([*name]).iter().any(is_read));
        let has_far_word = || facts.words.iter().any(|word| FAR.contains(&word.as_str()));
        let creates = facts.words.first().is_some_and(|word| word == "create");
        let far = match facts.kind {
            Kind::Truncate { cascade, .. } => cascade,
            _ => planned.changes_schema() && !creates && has_far_word(),
        };
        if in_use.is_none() && !far && !matches!(planned.plan.action, Action::EachShard) {
            return Ok(());
        }
        let table = in_use.or(named.first().copied());
        let what = match facts.kind {
            Kind::LockTable => "LOCK TABLE".to_owned(),
            _ => command_words(work.text()).trim_end_matches(" CONCURRENTLY").to_owned(),
        };
        let table = table.map_or("a table", |table| table.name.as_str());
        let message =
            format!("cannot {what} \"{table}\" because it is being used by active queries in this session");
        Err(SqlError::new(SqlState::OBJECT_IN_USE, message))
    }

    /// What the command takes for itself, as far as it names it.
    fn taken<'p>(&self, planned: &Planned, facts: &'p Facts) -> Vec<&'p ObjectName> {
        match &facts.kind {
            Kind::Truncate { targets, .. } => targets.iter().map(|relation| &relation.name).collect(),
            Kind::LockTable => facts.block.relations.iter().map(|relation| &relation.name).collect(),
            _ if planned.changes_schema() => facts.targets.iter().chain(&facts.objects).collect(),
            _ => Vec::new(),
        }
    }
}

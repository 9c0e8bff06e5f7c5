//! Snapshots told to other sessions: `SELECT pg_export_snapshot()` and `SET TRANSACTION SNAPSHOT '…'`, as `pg_dump -j` uses them.
//!
//! A server's identifier of a snapshot is good on that server. Ours is made of those of all shards that the transaction sees,
//! so that any process that serves these shards can take it up:
//!
//! ```text
//!   us-east=1/00000003-0000001B-1;us-west=1/00000004-00000011-1
//!   shard   = the primary's timeline / what the primary calls it
//! ```
//!
//! An identifier of another form is one of the default shard's server (of a replication slot, say), and goes there as it is.
//!
//! Called by `perform` and `control` for statements that are these and nothing else; the function amid another statement is the
//! default shard's server's.
//!
//! Invariants:
//! 1. Snapshots are exported and taken up on primaries, of one timeline: on another server the identifier would be another's.
//! 2. Who has taken one up sees the shards that it names, and no others.

use std::fmt::Write;
use std::sync::Arc;

use super::control::OUTSIDE_OF_BLOCK;
use super::perform::Work;
use super::planning::Planned;
use super::snapshot::Snapshot;
use super::{Failure, Outcome, Session};
use crate::execute::drain::drain;
use crate::execute::refusals;
use crate::plan::Access;
use crate::sql::facts::Isolation;
use crate::sql::snapshot_identifier;
use crate::topology::{ShardId, ShardSet, Topology};
use crate::wire::error::{SqlError, SqlState};

const EXPORT: &str = "SELECT pg_catalog.pg_export_snapshot()";

/// What the primary of a shard calls the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    shard: ShardId,
    timeline: u32,
    identifier: String,
}

impl Session {
    pub(super) async fn export_snapshot(
        &mut self,
        planned: &Planned,
        label: &str,
        work: Work<'_>,
    ) -> Outcome {
        let serializable = |t: &super::block::Transaction| t.isolation == Isolation::Serializable;
        // Outside of a transaction it is gone at once.
        if self.block.get().is_none_or(serializable) {
            return self.perform_on(planned, work, self.default_shard()).await;
        }
        let topology = Arc::clone(&self.context.planning.topology);
        let allowed = |shard: &ShardId| self.fence.allows_shard(&topology, *shard);
        let shards: ShardSet = topology.all_shards().iter().filter(allowed).collect();
        if self.block.get().is_some_and(|t| t.snapshot == Snapshot::NotTaken) && self.looks_back() {
            self.take_snapshots(shards, Access::ReadPrimary).await?;
        }
        let seen = match self.block.get().map(|transaction| transaction.snapshot) {
            Some(Snapshot::Of(seen)) => seen,
            _ => shards,
        };
        let mut told = String::new();
        for shard in topology.default_first().filter(|shard| seen.contains(*shard)) {
            let index = self.join(shard, Access::ReadPrimary, &[]).await?;
            self.quiet_lane(index).await?;
            if self.lanes[index].replica {
                return Err(Failure::Sql(refusals::EXPORT_OF_REPLICA.error(&[])));
            }
            let rows = self.rows_on(index, EXPORT).await?;
            let identifier = rows.into_iter().flatten().flatten().next();
            let identifier = identifier.ok_or_else(|| Self::internal("a snapshot has no identifier"))?;
            let timeline = topology.node(self.lanes[index].connection.node).state.timeline();
            let between = if told.is_empty() { "" } else { ";" };
            let _ = write!(told, "{between}{}={timeline}/{identifier}", topology.shard(shard).name);
        }
        self.answer_text(label, &[told], "SELECT 1", work.describes());
        Ok(())
    }

    /// SET TRANSACTION SNAPSHOT.
    pub(super) async fn import_snapshot(&mut self, sql: String) -> Outcome {
        let Some(transaction) = self.block.get() else {
            self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, OUTSIDE_OF_BLOCK));
            return Err(not_for_each_statement());
        };
        let (isolation, snapshot) = (transaction.isolation, transaction.snapshot);
        if !matches!(isolation, Isolation::RepeatableRead | Isolation::Serializable) {
            return Err(not_for_each_statement());
        }
        if snapshot != Snapshot::NotTaken {
            let message = "SET TRANSACTION SNAPSHOT must be called before any query";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message).into());
        }
        let topology = Arc::clone(&self.context.planning.topology);
        let identifier = snapshot_identifier(sql.as_bytes(), self.lex_options());
        let parts = identifier.as_deref().and_then(|told| parts(told, &topology));
        let default = topology.default_shard;
        let seen: ShardSet = match &parts {
            Some(parts) => parts.iter().map(|part| part.shard).collect(),
            None => std::iter::once(default).collect(),
        };
        if isolation == Isolation::Serializable && seen.len() > 1 {
            return Err(Failure::Sql(refusals::SNAPSHOT_OVER_SHARDS.error(&[])));
        }
        self.clear_the_way(seen);
        match parts {
            Some(parts) => {
                for part in &parts {
                    self.take_up(part, &topology).await?;
                }
            }
            None => {
                let index = self.join(default, Access::ReadPrimary, &[]).await?;
                self.lanes[index].hidden_words(&sql);
            }
        }
        let lanes = self.lanes.iter_mut().filter(|lane| lane.in_block && seen.contains(lane.shard));
        for drained in futures_util::future::join_all(lanes.map(drain)).await {
            let drained = drained.map_err(|error| Failure::Sql(error.into_sql()))?;
            self.pass_reports(&drained.asides);
            if let Some(error) = drained.error {
                return Err(Failure::Sql(error));
            }
        }
        if let Some(transaction) = self.block.transaction() {
            transaction.snapshot = Snapshot::Of(seen);
        }
        self.complete("SET");
        Ok(())
    }

    async fn take_up(&mut self, part: &Part, topology: &Topology) -> Outcome {
        let index = self.join(part.shard, Access::ReadPrimary, &[]).await?;
        let lane = &mut self.lanes[index];
        if lane.replica || topology.node(lane.connection.node).state.timeline() != part.timeline {
            let message = format!("invalid snapshot identifier: \"{}\"", part.identifier);
            let detail = format!("Shard \"{}\" has another primary since.", topology.shard(part.shard).name);
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).detail(detail).into());
        }
        lane.hidden_words(&format!("SET TRANSACTION SNAPSHOT '{}'", part.identifier));
        Ok(())
    }

    /// A read-only user's transaction takes a snapshot at once, so that it stays read-only: this one does as well. All servers
    /// that can join later must have taken it up.
    fn clear_the_way(&mut self, seen: ShardSet) {
        let joined = self.lanes.iter().any(|lane| lane.in_block);
        let default = self.default_shard();
        let may = self.fence.read_only && !joined && seen.contains(default);
        if let Some(transaction) = self.block.transaction().filter(|_| may) {
            transaction.prologue.retain(|sql| sql != super::fence::SNAPSHOT);
        }
    }
}

/// None where it is not one of ours.
fn parts(told: &str, topology: &Topology) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for part in told.split(';') {
        let (shard, rest) = part.rsplit_once('=')?;
        let (timeline, identifier) = rest.split_once('/')?;
        let shard = topology.all_shards().iter().find(|id| topology.shard(*id).name == shard)?;
        let is_plain = identifier.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if !is_plain || parts.iter().any(|other| other.shard == shard) {
            return None;
        }
        parts.push(Part { shard, timeline: timeline.parse().ok()?, identifier: identifier.to_owned() });
    }
    Some(parts)
}

fn not_for_each_statement() -> Failure {
    let message =
        "a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ";
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).into()
}

//! What a transaction under REPEATABLE READ or SERIALIZABLE sees: one shard, or all as they were when it began to read.
//!
//! PostgreSQL takes such a transaction's snapshot with its first statement. A first statement that belongs to one shard takes
//! it there, and the transaction stays there. Any other takes it on all shards at once, and whatever follows is answered from
//! these snapshots:
//!
//! ```text
//!   BEGIN ISOLATION LEVEL REPEATABLE READ;
//!   SELECT count(*) FROM rides;                 BEGIN and a snapshot on every shard, then the question
//!   SELECT … FROM rides WHERE region = 'x';     as it was then
//! ```
//!
//! Called before a statement joins its lanes (`lanes`, `perform`, `combine`, `everywhere`, `copy`).
//!
//! Invariants:
//! 1. No row is read from a shard whose snapshot was not taken with the transaction's first statement.
//! 2. Nothing is serializable over several servers: such a transaction sees one shard.
//!
//! The snapshots are taken at one time, but not at one instant: a transaction that commits meanwhile on two shards may be seen
//! on one. That is so for every statement over several shards.

use super::fence::SNAPSHOT;
use super::{Failure, Outcome, Session};
use crate::execute::drain::{Drained, drain};
use crate::execute::lane::Hidden;
use crate::execute::refusals;
use crate::plan::{Access, Action, Plan};
use crate::sql::facts::{Isolation, Kind, SessionObject};
use crate::topology::{ShardId, ShardSet};
use crate::wire::error::SqlError;

/// Which shards' rows a transaction sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshot {
    #[default]
    NotTaken,
    Of(ShardSet),
}

/// How a statement is bound to the shards that it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    /// The rows are there and nowhere else.
    Home,
    /// Another server would do: reference tables, or several shards.
    Loose,
    /// A server's own state: no rows of ours.
    Server,
    /// A setting: nothing that a snapshot shows.
    Setting,
}

impl Tie {
    pub fn of(plan: &Plan) -> Self {
        match plan.action {
            Action::Control if shows_no_rows(&plan.facts.kind) => Self::Setting,
            Action::Anywhere => Self::Loose,
            _ if plan.asks_any_server() || plan.only_sets() => Self::Server,
            _ => Self::Home,
        }
    }
}

impl Session {
    /// The statement under way is to see these shards, as the transaction does.
    pub(super) async fn see(&mut self, shards: ShardSet, tie: Tie) -> Outcome {
        match self.is_seen(shards, tie)? {
            true => Ok(()),
            false => Box::pin(self.take_snapshots(shards, Access::Read)).await,
        }
    }

    /// False: snapshots are to be taken first.
    fn is_seen(&mut self, shards: ShardSet, tie: Tie) -> Result<bool, Failure> {
        let Some(transaction) = self.block.transaction() else { return Ok(true) };
        match (transaction.isolation, transaction.snapshot) {
            (Isolation::RepeatableRead | Isolation::Serializable, Snapshot::Of(seen)) => {
                let sees = seen.contains_all(shards) || matches!(tie, Tie::Server | Tie::Setting);
                if sees { Ok(true) } else { Err(Failure::Sql(out_of_sight())) }
            }
            (Isolation::Serializable, Snapshot::NotTaken) if shards.len() > 1 => {
                Err(Failure::Sql(out_of_sight()))
            }
            _ if tie == Tie::Setting => Ok(true),
            (Isolation::RepeatableRead, Snapshot::NotTaken) if tie != Tie::Home => Ok(false),
            (Isolation::RepeatableRead | Isolation::Serializable, Snapshot::NotTaken) => {
                transaction.snapshot = Snapshot::Of(shards);
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Before something is written on every shard. What the transaction sees later is what it saw before, if anything.
    pub(super) async fn see_everywhere(&mut self) -> Outcome {
        self.await_resumed(self.context.planning.topology.all_shards()).await?;
        let Some(transaction) = self.block.get() else { return Ok(()) };
        match (transaction.isolation, transaction.snapshot) {
            (Isolation::RepeatableRead, Snapshot::NotTaken) => {
                let all = self.context.planning.topology.all_shards();
                self.see(all, Tie::Loose).await
            }
            _ => Ok(()),
        }
    }

    /// The one shard that the transaction sees, if it sees one only.
    pub(super) fn sole_sight(&self) -> Option<ShardId> {
        match self.block.get()?.snapshot {
            Snapshot::Of(seen) => seen.single(),
            Snapshot::NotTaken => None,
        }
    }

    /// The transaction's servers let nothing be written.
    pub(super) fn is_read_only(&self) -> bool {
        self.block.get().is_some_and(|transaction| transaction.read_only)
    }

    /// What the transaction sees is decided by its first statement.
    pub(super) fn keeps_snapshot(&self) -> bool {
        let isolation = self.block.get().map(|transaction| transaction.isolation);
        matches!(isolation, Some(Isolation::RepeatableRead | Isolation::Serializable))
    }

    /// The transaction reads what others can no longer see.
    pub(super) fn looks_back(&self) -> bool {
        self.block.get().is_some_and(|transaction| transaction.isolation == Isolation::RepeatableRead)
    }

    /// On every shard that has a server now, and on those that are needed.
    pub(super) async fn take_snapshots(&mut self, needed: ShardSet, access: Access) -> Outcome {
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        let wanted = |shard: &ShardId| {
            let allowed = self.fence.allows_shard(&topology, *shard);
            needed.contains(*shard) || allowed && self.has_server(*shard, access)
        };
        let mut shards: Vec<ShardId> = topology.all_shards().iter().filter(wanted).collect();
        self.await_resumed(shards.iter().copied().collect()).await?;
        // Who waits for connections of the same pools waits in one order.
        shards.sort_by_key(|shard| *shard != topology.default_shard);
        self.warm_pools(&shards, access, &[]).await;
        let mut seen = ShardSet::default();
        for shard in shards {
            // What is pinned is pinned to the default shard's primary: a dump prepares statements.
            let access = if shard == topology.default_shard { Access::ReadPrimary } else { access };
            match self.join(shard, access, &[]).await {
                Ok(index) => {
                    let lane = &mut self.lanes[index];
                    match lane.one_by_one {
                        true => {
                            lane.pipeline(SNAPSHOT);
                            lane.sync(true);
                        }
                        false => lane.hidden_query(SNAPSHOT, Hidden::Prologue),
                    }
                    seen.insert(shard);
                }
                Err(Failure::Sql(error)) if !needed.contains(shard) => {
                    let shard = &topology.shard(shard).name;
                    tracing::debug!(shard, %error, "the transaction's snapshot is without this shard");
                }
                Err(failure) => return Err(failure),
            }
        }
        let seen = self.await_snapshots(seen, needed).await?;
        if let Some(transaction) = self.block.transaction() {
            transaction.snapshot = Snapshot::Of(seen);
        }
        Ok(())
    }

    /// All servers at once; one that fails takes its shard out of sight, or fails the statement that needs it.
    async fn await_snapshots(&mut self, mut seen: ShardSet, needed: ShardSet) -> Result<ShardSet, Failure> {
        let lanes = self.lanes.iter_mut().filter(|lane| lane.in_block && seen.contains(lane.shard));
        let taken = lanes.map(|lane| async move { (lane.shard, drain(lane).await) });
        for (shard, result) in futures_util::future::join_all(taken).await {
            let error = match result {
                Ok(Drained { error: None, .. }) => continue,
                Ok(Drained { error: Some(error), .. }) => error,
                Err(error) => error.into_sql(),
            };
            if let Some(index) = self.lanes.iter().position(|lane| lane.shard == shard) {
                let mut lane = self.lanes.swap_remove(index);
                lane.connection.broken = true;
                self.give(lane);
            }
            if needed.contains(shard) {
                return Err(Failure::Sql(error));
            }
            seen.remove(shard);
        }
        Ok(seen)
    }
}

fn shows_no_rows(kind: &Kind) -> bool {
    matches!(kind, Kind::Show { .. } | Kind::Session(SessionObject::Signal { .. }))
}

fn out_of_sight() -> SqlError {
    refusals::SNAPSHOT_OVER_SHARDS.error(&[])
}

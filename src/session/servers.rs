//! Which server of a shard the session takes, and the taking of a connection: the one way to the pools.
//!
//! Called by `lanes`, and by `syntax` for a question aside. A choice is pure (`backend::choice`); here it is narrowed by the
//! transaction's state, by what has just failed, and by the user's fence.
//!
//! Invariants:
//! 1. No connection is taken to a node that the user's regions do not allow: neither that of its shard, nor that where it
//!    stands. [`Session::take_from`] and [`Session::take_idle`] are the only ways into the pools, and `choose` names no such
//!    node.
//! 2. A statement waits for a primary at most `primary_wait`, counted over all attempts; and as long for what is committed
//!    and not applied on its shard yet (`transaction/unfinished.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block::Origin;
use super::planning::{Asks, Planned};
use super::{Failure, Outcome, Session};
use crate::backend::{BackendError, Connection, Pools, ReadPolicy, Wanted, choice};
use crate::execute::Lane;
use crate::plan::Access;
use crate::sql::facts::Isolation;
use crate::topology::{NodeId, NodeRole, ShardId, ShardSet, Topology};

/// Which server of a shard a statement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Primary,
    Reader,
    /// A hint demands a replica.
    Replica,
}

impl Session {
    /// What access means in the session's present state.
    pub(super) fn need(&self, access: Access) -> Need {
        let by_access = if access == Access::Read { Need::Reader } else { Need::Primary };
        match self.block.get() {
            // A transaction that is there for the fence only: the statement goes where it would go without it.
            Some(transaction) if self.fence.read_only && transaction.origin == Origin::Implicit => by_access,
            Some(transaction) if !transaction.read_only || transaction.on_primaries => Need::Primary,
            // No replica knows it.
            Some(transaction) if transaction.isolation == Isolation::Serializable => Need::Primary,
            None if self.following.serializable => Need::Primary,
            // What does not merely read may be allowed in a read-only transaction, and by no replica.
            Some(_) | None => by_access,
        }
    }

    /// Whether the primary is asked what a replica could be asked. A server's settings by itself: those of the primary are
    /// expected, which is not read-only. In a transaction of one snapshot, which cannot move to another server, also the
    /// catalogs: who looks at them first, as dumps do, may ask next what no replica knows.
    pub(super) fn prefers_primary(&self, planned: &Planned) -> bool {
        if planned.plan.access != Access::Read || !planned.plan.asks_any_server() {
            return false;
        }
        match self.block.get() {
            Some(transaction) => transaction.isolation.keeps_snapshot(),
            None => planned.plan.facts.functions.iter().any(|call| call.name.name == "current_setting"),
        }
    }

    /// Whether it has what pins the session.
    pub(super) fn is_pinned_to(&self, lane: &Lane) -> bool {
        self.pin.is_some() && !lane.replica && lane.shard == self.default_shard()
    }

    /// A connection to a node that fits, waiting for one to appear as long as is configured.
    pub(super) async fn acquire(
        &self,
        shard: ShardId,
        need: Need,
        avoid: &[NodeId],
    ) -> Result<Box<Connection>, BackendError> {
        self.acquire_from(&self.worker.pools, shard, need, avoid).await
    }

    /// The same, from other pools.
    pub(super) async fn acquire_from(
        &self,
        pools: &Pools,
        shard: ShardId,
        need: Need,
        avoid: &[NodeId],
    ) -> Result<Box<Connection>, BackendError> {
        self.check_regions(shard, need)?;
        let paused = self.is_held_up(shard);
        let behind = self.worker.shared.registry.unfinished.is_on(shard);
        // As a rule there is a server with a free connection: nothing else is made ready before it is missing.
        let topology = &self.context.planning.topology;
        if !paused
            && !behind
            && let Some(node) = self.choose(topology, shard, need, avoid)
            && let Some(connection) = self.take_idle(pools, topology, node)
        {
            return Ok(connection);
        }
        let wait = async {
            if paused {
                self.worker.shared.orders.await_resumed(shard).await;
            }
            if behind {
                self.await_applied(shard).await?;
            }
            self.await_server(pools, shard, need, avoid).await
        };
        tokio::select! {
            biased;
            () = self.cancel.requested() => Err(BackendError::Cancelled),
            () = expiry(self.following.bounds.statement) => Err(BackendError::TimedOut),
            connection = wait => connection,
        }
    }

    /// Whether the shard is paused for what runs. What had begun before may go on, so that the shard comes to rest: a
    /// transaction, and a statement that holds servers already.
    fn is_held_up(&self, shard: ShardId) -> bool {
        let orders = &self.worker.shared.orders;
        let has_begun = self.lanes.iter().any(|lane| lane.in_block || !self.is_pinned_to(lane));
        if !has_begun {
            self.begun_at.set(orders.moment());
        }
        orders.is_paused_since(shard, self.begun_at.get())
    }

    /// Before the first of these shards is joined: behind it, the statement has begun for all of them.
    pub(super) async fn await_resumed(&self, shards: ShardSet) -> Outcome {
        let orders = &self.worker.shared.orders;
        if !shards.iter().any(|shard| self.is_held_up(shard)) {
            return Ok(());
        }
        let resumed = async {
            while let Some(shard) = shards.iter().find(|shard| orders.is_paused(*shard)) {
                orders.await_resumed(shard).await;
            }
        };
        let ended = tokio::select! {
            biased;
            () = self.cancel.requested() => BackendError::Cancelled,
            () = expiry(self.following.bounds.statement) => BackendError::TimedOut,
            () = resumed => return Ok(()),
        };
        Err(Failure::Sql(ended.into_sql()))
    }

    /// What was told to be committed is on the shard.
    async fn await_applied(&self, shard: ShardId) -> Result<(), BackendError> {
        let applied = self.worker.shared.registry.unfinished.await_applied(shard);
        let applied = tokio::time::timeout(self.live.session.primary_wait, applied).await;
        applied.map_err(|_| BackendError::Behind {
            shard: self.context.planning.topology.shard(shard).name.clone(),
        })
    }

    async fn await_server(
        &self,
        pools: &Pools,
        shard: ShardId,
        need: Need,
        avoid: &[NodeId],
    ) -> Result<Box<Connection>, BackendError> {
        let deadline = Instant::now() + self.live.session.primary_wait;
        let mut roles = self.worker.shared.signals.watch_roles();
        let mut failed: Vec<NodeId> = avoid.to_vec();
        loop {
            roles.mark_unchanged();
            let topology = Arc::clone(&self.context.planning.topology);
            let error = match self.choose(&topology, shard, need, &failed) {
                Some(node) => match self.take_from(pools, &topology, node).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if error.retry_elsewhere() => {
                        self.worker.shared.signals.probe_now();
                        if need != Need::Primary {
                            failed.push(node);
                            if self.choose(&topology, shard, need, &failed).is_some() {
                                continue;
                            }
                        }
                        error
                    }
                    Err(error) => return Err(error),
                },
                None => BackendError::NoNode {
                    shard: topology.shard(shard).name.clone(),
                    wanted: if need == Need::Primary { "primary" } else { "server" },
                },
            };
            failed.clear();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(error);
            }
            self.worker.shared.signals.probe_now();
            // Wakes on a change of roles; looks again now and then, for a server that restarts in its old role.
            let pause = left.min(Duration::from_millis(200));
            let _ = tokio::time::timeout(pause, roles.changed()).await;
        }
    }

    /// Connects at once to the nodes that these shards will be joined on, where no connection is idle: over a distance
    /// the slowest counts, and not the sum.
    pub(super) async fn warm_pools(&self, shards: &[ShardId], access: Access, avoid: &[NodeId]) {
        let topology = &self.context.planning.topology;
        let need = self.need(access);
        let missing = shards.iter().filter(|shard| !self.lanes.iter().any(|lane| lane.shard == **shard));
        let nodes = missing.filter_map(|shard| self.choose(topology, *shard, need, avoid));
        let connects =
            nodes.map(|node| self.worker.pools.warm(topology, node, &self.pool_user, &self.account));
        futures_util::future::join_all(connects).await;
    }

    /// Whether a server of the shard could be asked now.
    pub(super) fn has_server(&self, shard: ShardId, access: Access) -> bool {
        self.choose(&self.context.planning.topology, shard, self.need(access), &[]).is_some()
    }

    /// The last look before the pools.
    pub(super) async fn take(
        &self,
        topology: &Topology,
        node: NodeId,
    ) -> Result<Box<Connection>, BackendError> {
        self.take_from(&self.worker.pools, topology, node).await
    }

    /// A connection that lies in the pool. [`Session::choose`] has looked at the node.
    fn take_idle(&self, pools: &Pools, topology: &Topology, node: NodeId) -> Option<Box<Connection>> {
        let allowed = self.fence.allows_node(topology, node);
        if allowed { pools.take_idle(node, &self.pool_user, self.wanted()) } else { None }
    }

    /// Of a connection that is taken now. What a transaction will ask is not known yet.
    fn wanted(&self) -> Wanted<'_> {
        Wanted { own: &self.placeholders, no_others: self.asks != Asks::Nothing || self.block.is_open() }
    }

    async fn take_from(
        &self,
        pools: &Pools,
        topology: &Topology,
        node: NodeId,
    ) -> Result<Box<Connection>, BackendError> {
        if !self.fence.allows_node(topology, node) {
            let error = self.fence.region_refusal(topology, node);
            return Err(BackendError::Server(Box::new(error)));
        }
        pools.take(topology, node, &self.pool_user, &self.account, self.wanted()).await
    }

    /// Fails where waiting would not help: every server of the kind that is needed is beyond the fence.
    fn check_regions(&self, shard: ShardId, need: Need) -> Result<(), BackendError> {
        if !self.fence.is_regional() {
            return Ok(());
        }
        let topology = &self.context.planning.topology;
        let refused = |error| Err(BackendError::Server(Box::new(error)));
        if !self.fence.allows_shard(topology, shard) {
            return refused(self.fence.shard_refusal(topology, shard));
        }
        let beyond = |node: &NodeId| !self.fence.allows_node(topology, *node);
        let nodes = &topology.shard(shard).nodes;
        let found = match need {
            Need::Primary => choice::primary(topology, shard).filter(beyond),
            Need::Reader | Need::Replica if nodes.iter().all(beyond) => nodes.first().copied(),
            Need::Reader | Need::Replica => None,
        };
        found.map_or(Ok(()), |node| refused(self.fence.region_refusal(topology, node)))
    }

    /// A shard for what only asks or validates: the default one, where the fence leaves it and it has a server.
    pub(super) fn home_shard(&self) -> ShardId {
        let topology = &self.context.planning.topology;
        let default = topology.default_shard;
        let usable = self.fence.allows_shard(topology, default) && self.has_server(default, Access::Read);
        match self.pin.is_some() || usable {
            true => default,
            false => self.any_shard(),
        }
    }

    pub(super) fn choose(
        &self,
        topology: &Topology,
        shard: ShardId,
        need: Need,
        avoid: &[NodeId],
    ) -> Option<NodeId> {
        if !self.fence.is_regional() {
            return self.choose_from(topology, shard, need, avoid);
        }
        if !self.fence.allows_shard(topology, shard) {
            return None;
        }
        let beyond = topology.shard(shard).nodes.iter().copied();
        let beyond = beyond.filter(|node| !self.fence.allows_node(topology, *node));
        let avoid: Vec<NodeId> = beyond.chain(avoid.iter().copied()).collect();
        self.choose_from(topology, shard, need, &avoid).filter(|node| self.fence.allows_node(topology, *node))
    }

    fn choose_from(
        &self,
        topology: &Topology,
        shard: ShardId,
        need: Need,
        avoid: &[NodeId],
    ) -> Option<NodeId> {
        match need {
            Need::Primary => choice::primary(topology, shard),
            Need::Reader | Need::Replica => {
                let policy = ReadPolicy {
                    consistency: self.own.consistency,
                    max_lag: self.own.max_lag,
                    token: self.tokens.get(usize::from(shard.0)).copied().flatten(),
                };
                let order = topology.nodes_by_distance_from(self.own.region, shard);
                if need == Need::Replica {
                    let primaries: Vec<NodeId> = order
                        .iter()
                        .copied()
                        .filter(|n| topology.node(*n).state.role() == NodeRole::Primary)
                        .chain(avoid.iter().copied())
                        .collect();
                    return choice::reader(topology, shard, &policy, &order, &primaries);
                }
                choice::reader(topology, shard, &policy, &order, avoid)
            }
        }
    }
}

/// Never where nothing is bounded.
async fn expiry(bound: Option<Duration>) {
    match bound {
        Some(bound) => tokio::time::sleep(bound).await,
        None => std::future::pending().await,
    }
}
